//! One hook's callable: how it is found, how many arguments it takes, and the call.
//!
//! Owns the checks that are made before the server starts, in gunicorn's words. Must never call a hook to find out what
//! it takes. Read next: `config/kind/hook.rs`, for what may be written.

use std::ops::RangeInclusive;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::config::Raw;
use crate::py::failure::summary;

/// `inspect.Parameter.kind` up to this one can be given by position.
const POSITIONAL_OR_KEYWORD: u8 = 1;

pub struct Callable {
    function: Py<PyAny>,
    /// Arguments it takes.
    arity: usize,
}

impl Callable {
    /// `arity`: the arguments it may take; the most are also what it gets if that cannot be told.
    pub(super) fn new(function: Bound<'_, PyAny>, arity: RangeInclusive<usize>) -> Result<Self, String> {
        if !function.is_callable() {
            return Err("Value is not callable".to_owned());
        }
        // Callables written in C may have no signature.
        let takes = positional(&function).unwrap_or(*arity.end());
        if !arity.contains(&takes) {
            return Err(format!("Value must have an arity of: {}", arity.end()));
        }
        Ok(Self { function: function.unbind(), arity: takes })
    }

    pub fn function(&self) -> &Py<PyAny> {
        &self.function
    }

    /// Calls it with as many of the arguments as it takes.
    pub fn call(&self, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = arguments.py();
        let taken =
            if arguments.len() > self.arity { &arguments.get_slice(0, self.arity) } else { arguments };
        self.function.bind(py).call1(taken).map(drop)
    }
}

fn positional(function: &Bound<'_, PyAny>) -> PyResult<usize> {
    let signature = function.py().import("inspect")?.call_method1("signature", (function,))?;
    let mut count = 0;
    for parameter in signature.getattr("parameters")?.call_method0("values")?.try_iter()? {
        let kind: u8 = parameter?.getattr("kind")?.extract()?;
        count += usize::from(kind <= POSITIONAL_OR_KEYWORD);
    }
    Ok(count)
}

/// The object that `value` stands for; `given` is what the config file has under the setting's name.
pub(super) fn find<'py>(
    py: Python<'py>,
    value: &Raw,
    given: Option<&Py<PyAny>>,
) -> Result<Option<Bound<'py, PyAny>>, String> {
    match value {
        Raw::Callable(_) => Ok(given.map(|given| given.bind(py).clone())),
        Raw::Str(path) => import(py, path).map(Some),
        _ => Ok(None),
    }
}

pub(super) fn import<'py>(py: Python<'py>, path: &str) -> Result<Bound<'py, PyAny>, String> {
    let (module, name) = path.rsplit_once('.').ok_or("there is no module in it")?;
    let module = py.import(module).map_err(|error| summary(py, &error))?;
    module.getattr(name).map_err(|_| format!("Can not load '{name}' from '{}'", path_of(&module)))
}

fn path_of(module: &Bound<'_, PyModule>) -> String {
    module.name().map(|name| name.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pyo3::types::PyDict;

    use super::*;

    fn evaluate<'py>(py: Python<'py>, code: &str) -> Bound<'py, PyAny> {
        let builtins = py.import("builtins").unwrap();
        builtins.call_method1("eval", (code, PyDict::new(py))).unwrap()
    }

    #[test]
    fn parameters_that_take_positions_are_counted() {
        Python::initialize();
        Python::attach(|py| {
            let arity = |code: &str, arity| Callable::new(evaluate(py, code), arity).map(|found| found.arity);
            assert_eq!(arity("lambda a, b: 0", 2..=2), Ok(2));
            assert_eq!(arity("lambda a, *, b=1: 0", 1..=1), Ok(1));
            assert_eq!(arity("lambda a, b, c: 0", 2..=4), Ok(3));
            assert_eq!(arity("__import__('functools').partial(lambda a, b: 0, 1)", 1..=1), Ok(1));
            for code in ["lambda: 0", "lambda *a: 0", "lambda a, b=1: 0"] {
                assert_eq!(arity(code, 1..=1), Err("Value must have an arity of: 1".to_owned()), "{code}");
            }
            assert_eq!(arity("lambda a: 0", 2..=4), Err("Value must have an arity of: 4".to_owned()));
            assert_eq!(arity("3", 1..=1), Err("Value is not callable".to_owned()));
        });
    }

    #[test]
    fn a_hook_gets_what_it_takes() {
        Python::initialize();
        Python::attach(|py| {
            let seen = evaluate(py, "[]");
            let recorder =
                evaluate(py, "lambda seen: lambda a, b: seen.append((a, b))").call1((&seen,)).unwrap();
            let callable = Callable::new(recorder, 2..=4).unwrap();
            callable.call(&(1, 2, 3, 4).into_pyobject(py).unwrap()).unwrap();
            assert_eq!(seen.extract::<Vec<(i32, i32)>>().unwrap(), [(1, 2)]);
        });
    }

    #[test]
    fn a_dotted_name_is_imported() {
        Python::initialize();
        Python::attach(|py| {
            let found = |path: &str| find(py, &Raw::from(path), None).map(|found| found.is_some());
            assert_eq!(found("os.path.exists"), Ok(true));
            assert_eq!(found("os.nope"), Err("Can not load 'nope' from 'os'".to_owned()));
            let absent = found("rwsgi_absent.hook").unwrap_err();
            assert!(absent.contains("No module named 'rwsgi_absent'"), "{absent}");
            assert!(find(py, &Raw::None, None).unwrap().is_none());
        });
    }
}
