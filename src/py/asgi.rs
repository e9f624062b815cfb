//! Tells an ASGI application from a WSGI one, by its signature, and both from tornado's; and whether the worker class can
//! serve it.
//!
//! Owns the judgement. Must never take an application for what it is not: what calls itself a coroutine and still takes
//! two arguments, or tells nothing of its arguments, passes as either. Read next: `served.rs`.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::failure::Fault;
use crate::config::kind::WorkerClass;
use crate::config::{Origin, Settings};

/// CO_COROUTINE of the `inspect` module, which is asked only about what has it: importing it costs every worker.
const COROUTINE: u32 = 0x80;

/// Whether the worker class of `settings` can serve `app`. Where none was chosen, an ASGI application chooses its own.
pub(super) fn check(app: &Bound<'_, PyAny>, settings: &Settings) -> Result<(), Fault> {
    let class = settings.workers.class();
    if !matches!(class, WorkerClass::Tornado | WorkerClass::Own(_)) && is_tornado(app)? {
        return Err(Fault::Tornado(class.as_str().to_owned()));
    }
    if *class == WorkerClass::Asgi {
        return if is_wsgi(app)? { Err(Fault::Wsgi) } else { Ok(()) };
    }
    if is_chosen(settings) && is_asgi(app)? { Err(Fault::Asgi(class.as_str().to_owned())) } else { Ok(()) }
}

/// Whether `app`, which passed the check, is to be served by another class than that of `settings`.
pub fn chooses(app: &Bound<'_, PyAny>, settings: &Settings) -> bool {
    *settings.workers.class() != WorkerClass::Asgi && !is_chosen(settings) && is_asgi(app).unwrap_or(false)
}

fn is_chosen(settings: &Settings) -> bool {
    ["worker_class", "threads"].iter().any(|name| *settings.origin(name) != Origin::Default)
}

/// `async def app(scope, receive, send)`, an object that is called so, or a class of such objects.
fn is_asgi(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    lenient(app.py(), judge(app))
}

/// An application of tornado's own kind, which has imported that package.
fn is_tornado(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    let modules = app.py().import("sys")?.getattr("modules")?;
    let Ok(module) = modules.get_item("tornado.httputil") else { return Ok(false) };
    lenient(
        app.py(),
        module.getattr("HTTPServerConnectionDelegate").and_then(|class| app.is_instance(&class)),
    )
}

/// What can be called with two arguments, and not with three.
fn is_wsgi(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    lenient(app.py(), binds(app, 3).and_then(|asgi| Ok(!asgi && binds(app, 2)?)))
}

/// What raises while it is looked at is none of ours to judge; a signal's SystemExit is for somebody else.
fn lenient(py: Python<'_>, judged: PyResult<bool>) -> PyResult<bool> {
    judged.or_else(|error| if error.is_instance_of::<PyException>(py) { Ok(false) } else { Err(error) })
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
