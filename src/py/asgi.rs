//! Tells an ASGI application from a WSGI one, by its signature.
//!
//! Owns the judgement. Must never take a WSGI application for anything else: what calls itself a coroutine and still
//! takes two arguments, or tells nothing of its arguments, passes. Read next: `app.rs`.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// CO_COROUTINE of the `inspect` module, which is asked only about what has it: importing it costs every worker.
const COROUTINE: u32 = 0x80;

/// `async def app(scope, receive, send)`, an object that is called so, or a class of such objects.
pub(super) fn is_asgi(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    // What raises while it is looked at is none of ours to judge; a signal's SystemExit is for somebody else.
    judge(app)
        .or_else(|error| if error.is_instance_of::<PyException>(app.py()) { Ok(false) } else { Err(error) })
}

fn judge(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Ok(class) = app.cast::<PyType>() else {
        return Ok(is_coroutine(app)? && binds(app, 3)? && !binds(app, 2)?);
    };
    // Called with environ and start_response a class gives an object, which has to be iterable to be a response.
    let gives_response = class.hasattr("__iter__")? || class.hasattr("__getitem__")?;
    Ok(!gives_response && is_coroutine_function(&class.getattr("__call__")?)? && !binds(app, 2)?)
}

/// Whether calling `app` gives a coroutine.
fn is_coroutine(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(is_coroutine_function(app)? || is_coroutine_function(&app.get_type().getattr("__call__")?)?)
}

fn is_coroutine_function(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    // A method has its function's code.
    let Some(code) = function.getattr_opt("__code__")? else { return Ok(false) };
    Ok(code.getattr("co_flags")?.extract::<u32>()? & COROUTINE != 0)
}

/// Whether `app` can be called with this many arguments.
fn binds(app: &Bound<'_, PyAny>, count: usize) -> PyResult<bool> {
    let py = app.py();
    let signature = py.import("inspect")?.call_method1("signature", (app,))?;
    let arguments = PyTuple::new(py, (0..count).map(|_| py.None()).collect::<Vec<_>>())?;
    match signature.call_method1("bind", arguments) {
        Ok(_) => Ok(true),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(false),
        Err(error) => Err(error),
    }
}
