//! Bytes of the wire as Python strings and back: latin-1 both ways, as PEP 3333 has it.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::string::PyStringData;
use pyo3::types::{PyBytes, PyDict, PyString};

/// A native string whose code points are `bytes`.
pub(super) fn native<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyAny> {
    let length = bytes.len() as ffi::Py_ssize_t;
    // SAFETY: the pointer and length are those of a live slice (whose length fits isize), and CPython copies them. The
    // result is a new reference, or null with MemoryError set, which pyo3 turns into a panic that the request's boundary
    // catches.
    unsafe {
        Bound::from_owned_ptr(
            py,
            ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null()),
        )
    }
}

/// Sets an item whose key is not there; the value that is there otherwise.
pub(super) fn set_new<'py>(
    dict: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let before = dict.len();
    // SAFETY: all three are live objects of this interpreter. The result is borrowed from the dictionary, which holds it, or
    // null with an exception set.
    let kept = unsafe {
        let kept = ffi::PyDict_SetDefault(dict.as_ptr(), key.as_ptr(), value.as_ptr());
        Bound::from_borrowed_ptr_or_err(dict.py(), kept)?
    };
    // Not by identity: a short string is one object wherever it comes from.
    Ok((dict.len() == before).then_some(kept))
}

/// The bytes of a native string. `what` names the value in the error: TypeError if it is no `str`, ValueError if a
/// code point is above U+00FF.
pub(super) fn latin1<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a [u8]> {
    let Ok(text) = value.cast::<PyString>() else {
        let kind = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{what} must be a str, not {kind}")));
    };
    // SAFETY: the string is alive, and immutable. pyo3 decodes the bits in which CPython keeps the width of a string's code
    // points, as compilers lay them out wherever we build; the width is one byte exactly if all are latin-1.
    if let Ok(PyStringData::Ucs1(bytes)) = unsafe { text.data() } {
        return Ok(bytes);
    }
    let utf8 = text.to_str().map_err(|_| PyValueError::new_err(format!("{what} has lone surrogates")))?;
    Err(PyValueError::new_err(format!("{what} is not latin-1: {utf8:?}")))
}

/// Whether its class says how long it is. Asking one that does not costs an exception.
pub(super) fn has_length(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive and so is its type, whose tables of methods live as long as it and are only read.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        let (sequence, mapping) = ((*kind).tp_as_sequence, (*kind).tp_as_mapping);
        (!sequence.is_null() && (*sequence).sq_length.is_some())
            || (!mapping.is_null() && (*mapping).mp_length.is_some())
    }
}

/// The bytes of a block of a body. TypeError, with advice, for anything else.
pub(super) fn block<'a, 'py>(item: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    item.cast::<PyBytes>().map_err(|_| {
        let kind = item.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("the application's body must be made of bytes, not {kind}"))
    })
}
