//! A Python program that embeds the server, or that a PasteDeploy file has start it: from its object to a running master,
//! and what becomes of the program.
//!
//! Owns who comes back from the call. The master does, once the server has ended, with the signal handlers that the
//! program had; a worker, and the process that waited on the terminal for a daemon, end here. Must never let a forked
//! process into the program's frames: its `finally`, `with` and `except SystemExit` are the master's alone. Read next:
//! `cli.rs`, `python/rwsgi/app/base.py`.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::unistd::{getpid, gettid};
use pyo3::prelude::*;

use crate::arbiter::signals;
use crate::cli::{self, End, Launch, Origin, Refusal, Role};
use crate::config::{ServerSection, Sources};
use crate::py::served::{self, Embedder, Served};
use crate::py::surroundings::{self, Handlers};
use crate::sys::fork;

/// The server has run in this process.
static RAN: AtomicBool = AtomicBool::new(false);

/// Runs the server of a program. Returns in the master only, with the server's exit status.
pub(crate) fn serve(application: &Bound<'_, PyAny>) -> PyResult<i32> {
    let py = application.py();
    let caller = process::id();
    let mut role = None;
    let mut handlers = Handlers::default();
    let status = cli::guarded(|| {
        let end = start(application, &mut handlers)?;
        role = Some(end.role);
        Ok(end.status)
    });
    match role {
        Some(Role::Terminal) => fork::leave(status),
        Some(Role::Child) => end(py, status),
        // A panic left no word of what this process is.
        None if process::id() != caller => end(py, status),
        Some(Role::Master) | None => {}
    }
    handlers.restore(py)?;
    Ok(status)
}

/// Serves `application` with the settings of a server section. The process ends here in any case: what has called knows no
/// exit status, and takes SystemExit for words to print.
pub(crate) fn serve_section(application: &Bound<'_, PyAny>, section: ServerSection) -> ! {
    let py = application.py();
    let mut role = None;
    let status = cli::guarded(|| {
        let sources = Sources { section: Some(section), ..Sources::of_process(Vec::new())? };
        let command = surroundings::command_line(py)?;
        let served = Served { embedder: None, preloaded: Some(application.clone().unbind()) };
        let end = cli::serve(py, sources, command, served)?;
        role = Some(end.role);
        Ok(end.status)
    });
    if role == Some(Role::Terminal) {
        fork::leave(status);
    }
    end(py, status)
}

fn start(application: &Bound<'_, PyAny>, handlers: &mut Handlers) -> Result<End, Refusal> {
    let py = application.py();
    if gettid() != getpid() {
        return Err(Refusal::new("The server must be run in the program's main thread."));
    }
    let embedder = Embedder::new(application);
    let (settings, warnings, objects, sources) = embedder.read(py)?;
    if RAN.swap(true, Relaxed) {
        return Err(Refusal::new("The server has run in this process; it can be run once."));
    }
    let origin = Origin::take(py, &sources, surroundings::command_line(py)?)?;
    *handlers = Handlers::take(py, &signals::all())?;
    let served = Served { embedder: Some(embedder), preloaded: None };
    cli::run(py, origin, Launch { settings, warnings, objects, sources, served })
}

/// Ends a forked process as the interpreter ends: threads are waited for, `atexit` callbacks run, output is flushed. What
/// the program's frames hold is not torn down, for it is the master's.
fn end(py: Python<'_>, status: i32) -> ! {
    let modules = py.import("sys").and_then(|sys| sys.getattr("modules"));
    let steps = [("threading", "_shutdown"), ("atexit", "_run_exitfuncs")];
    for (name, function) in steps {
        let module = modules.as_ref().ok().and_then(|modules| modules.get_item(name).ok());
        if let Some(Err(error)) = module.map(|module| module.call_method0(function)) {
            error.write_unraisable(py, None);
        }
    }
    surroundings::flush(py);
    fork::leave(status)
}

/// Tells why the program could not make its settings. Returns the exit status.
pub(crate) fn complain(error: &Bound<'_, PyAny>) -> i32 {
    Refusal::from(served::refusal(error.py(), &PyErr::from_value(error.clone()))).tell()
}
