//! The names of header fields as Python objects that are made once: for an environ, its keys.
//!
//! Owns how a field's name becomes a key. Bounded, because clients choose the names: a name for which there is no place is
//! made into an object each time. A place is written once and never changes, so that reading needs no lock. Read next:
//! `environ.rs`, and `asgi/scope.rs` for the other kind of names.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

const PLACES: usize = 512;
/// Places that a name may have.
const TRIES: usize = 4;
/// Longer names are not remembered.
const LONGEST: usize = 64;

type Known<T> = (Box<[u8]>, Py<T>);

pub(crate) struct Keys<T> {
    places: Box<[OnceLock<Known<T>>]>,
    make: for<'py> fn(Python<'py>, &[u8]) -> Bound<'py, T>,
}

impl Keys<PyString> {
    /// Keys of an environ.
    pub(super) fn new() -> Self {
        Self::made_by(made)
    }
}

impl<T> Keys<T> {
    /// `make` gives what a name becomes.
    pub(crate) fn made_by(make: for<'py> fn(Python<'py>, &[u8]) -> Bound<'py, T>) -> Self {
        Self { places: (0..PLACES).map(|_| OnceLock::new()).collect(), make }
    }

    /// The key of a field called `name`, as it was spelt.
    pub(crate) fn key<'py>(&self, py: Python<'py>, name: &[u8]) -> Bound<'py, T> {
        if name.len() <= LONGEST {
            let first = place(name);
            for number in first..first + TRIES {
                let Some(slot) = self.places.get(number % PLACES) else { break };
                match slot.get() {
                    Some((known, key)) if **known == *name => return key.bind(py).clone(),
                    Some(_) => {}
                    None => {
                        let key = (self.make)(py, name);
                        // Lost only to another thread that had a name to remember at the same time.
                        let _ = slot.set((name.into(), key.clone().unbind()));
                        return key;
                    }
                }
            }
        }
        (self.make)(py, name)
    }
}

/// An entry of the dictionary that requests get copies of. Its key is the one string of this text that the interpreter
/// keeps, as the keys are that an application looks up and that requests replace: equal ones would have to be compared.
pub(crate) fn enter<'py>(
    template: &Bound<'py, PyDict>,
    key: &str,
    value: impl IntoPyObject<'py>,
) -> PyResult<()> {
    template.set_item(PyString::intern(template.py(), key), value)
}

/// Eight bytes at a time. Names that were chosen to collide cost their sender's requests a little, and nothing else.
fn place(name: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_chunks::<8>();
    let mut hash = name.len() as u64;
    for word in words {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    hash = (hash.rotate_left(5) ^ u64::from_le_bytes(last)).wrapping_mul(FACTOR);
    (hash >> 32) as usize % PLACES
}

fn made<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyString> {
    PyString::intern(py, &environ_key(name))
}

/// `HTTP_` and the name in capitals; the two names that CGI knows go without. `Content_Length` is not one of them: nothing
/// but the field that framed the body may say how long it is.
fn environ_key(name: &[u8]) -> String {
    let upper: String = name.iter().map(|byte| char::from(*byte).to_ascii_uppercase()).collect();
    match upper.as_str() {
        "CONTENT-TYPE" => "CONTENT_TYPE".to_owned(),
        "CONTENT-LENGTH" => "CONTENT_LENGTH".to_owned(),
        _ => format!("HTTP_{}", upper.replace('-', "_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_keys_however_many_there_are() {
        Python::initialize();
        Python::attach(|py| {
            let keys = Keys::new();
            for round in 0..2 {
                for number in 0..3000 {
                    let name = format!("X-Number-{number}");
                    let key = keys.key(py, name.as_bytes()).to_string();
                    assert_eq!(key, format!("HTTP_X_NUMBER_{number}"), "round {round}");
                }
            }
            for (name, key) in [
                ("host", "HTTP_HOST"),
                ("content-type", "CONTENT_TYPE"),
                ("Content_Length", "HTTP_CONTENT_LENGTH"),
            ] {
                assert_eq!(keys.key(py, name.as_bytes()).to_string(), key);
                assert!(
                    keys.key(py, name.as_bytes()).is(keys.key(py, name.as_bytes())),
                    "{name} is made once"
                );
            }
            assert_eq!(keys.key(py, &[b'x'; 200]).to_string().len(), 205);
        });
    }
}
