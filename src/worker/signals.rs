//! Signals to a worker, as Python-level handlers, so that applications see them where they expect them.
//!
//! TERM stops gracefully; INT and QUIT stop now; ABRT (the master's word for "stuck") logs every thread's Python stack
//! and stops; USR1 reopens the logs. The master's other signals do nothing here: `pkill -HUP rwsgi` must not kill
//! workers. While the application is being imported TERM, INT and QUIT all end the worker at once.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::signal::Signal;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::life::{self, Stop};
use crate::log::Logs;
use crate::sys;

/// What a signal does to a worker. Order does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Finish,
    Leave,
    Abort,
    Reopen,
    Nothing,
}

const TABLE: &[(Signal, Reaction)] = &[
    (Signal::SIGTERM, Reaction::Finish),
    (Signal::SIGINT, Reaction::Leave),
    (Signal::SIGQUIT, Reaction::Leave),
    (Signal::SIGABRT, Reaction::Abort),
    (Signal::SIGUSR1, Reaction::Reopen),
    (Signal::SIGHUP, Reaction::Nothing),
    (Signal::SIGUSR2, Reaction::Nothing),
    (Signal::SIGTTIN, Reaction::Nothing),
    (Signal::SIGTTOU, Reaction::Nothing),
    (Signal::SIGWINCH, Reaction::Nothing),
];

#[pyclass(frozen, module = "rwsgi")]
struct Handler {
    reaction: Reaction,
    logs: Logs,
}

#[pymethods]
impl Handler {
    #[pyo3(signature = (*_arguments))]
    fn __call__(&self, _arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
        match self.reaction {
            Reaction::Finish => life::ask(Stop::Graceful),
            Reaction::Leave => return leave(0),
            Reaction::Abort => return leave(1),
            Reaction::Reopen => self.logs.reopen(),
            Reaction::Nothing => {}
        }
        Ok(())
    }
}

/// Ends the request in hand through the application's own frames, and the worker after it.
fn leave(status: i32) -> PyResult<()> {
    life::ask(Stop::Quick);
    Err(PySystemExit::new_err(status))
}

/// For the time of the import.
pub(super) fn install_for_boot(py: Python<'_>, logs: &Logs) -> PyResult<()> {
    dump_stacks_on_crash(py, logs)?;
    // ABRT has its handlers already.
    for (signal, reaction) in TABLE.iter().filter(|(signal, _)| *signal != Signal::SIGABRT) {
        let reaction = if *reaction == Reaction::Finish { Reaction::Leave } else { *reaction };
        install(py, logs, *signal, reaction)?;
    }
    Ok(())
}

/// For the time of serving. `wakeup` is written to when a signal comes, so that a wait ends.
pub(super) fn install_for_serving(py: Python<'_>, logs: &Logs, wakeup: BorrowedFd<'_>) -> PyResult<()> {
    let arguments = pyo3::types::PyDict::new(py);
    arguments.set_item("warn_on_full_buffer", false)?;
    py.import("signal")?.call_method("set_wakeup_fd", (wakeup.as_raw_fd(),), Some(&arguments))?;
    install(py, logs, Signal::SIGTERM, Reaction::Finish)
}

/// Before the wake-up pipe is closed: the interpreter complains of each signal it cannot write there.
pub(super) fn stop_waking(py: Python<'_>) -> PyResult<()> {
    py.import("signal")?.call_method1("set_wakeup_fd", (-1,)).map(drop)
}

fn install(py: Python<'_>, logs: &Logs, signal: Signal, reaction: Reaction) -> PyResult<()> {
    let handler = Handler { reaction, logs: logs.clone() };
    py.import("signal")?.call_method1("signal", (signal as i32, handler)).map(drop)
}

/// The interpreter's crash handler writes stacks to the error log: at a segfault, and on the signal that the ABRT
/// handler raises. That one runs in C, so a call that never returns to the interpreter does not keep it from running.
fn dump_stacks_on_crash(py: Python<'_>, logs: &Logs) -> PyResult<()> {
    let faulthandler = py.import("faulthandler")?;
    let sink = logs.error.fd();
    faulthandler.call_method1("enable", (sink,))?;
    let signal = nix::libc::SIGRTMAX() - 1;
    let arguments = pyo3::types::PyDict::new(py);
    arguments.set_item("file", sink)?;
    arguments.set_item("all_threads", true)?;
    faulthandler.call_method("register", (signal,), Some(&arguments))?;
    // Python's handler for ABRT goes in first, so that ours, on top of it, calls it after the stacks are out.
    install(py, logs, Signal::SIGABRT, Reaction::Abort)?;
    sys::signals::raise_on(Signal::SIGABRT, signal)?;
    // In place of the crash handler's own, on which all of Python's handlers would run as well.
    sys::stack::make_room_for_signals()?;
    Ok(())
}
