//! Signals to a worker, as Python-level handlers, so that applications see them where they expect them.
//!
//! TERM stops gracefully; INT and QUIT stop now; ABRT (the master's word for "stuck") logs every thread's Python stack
//! and stops; USR1 reopens the logs. The master's other signals do nothing here: `pkill -HUP rwsgi` must not kill
//! workers. While the application is being imported TERM, INT and QUIT all end the worker at once.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use nix::sys::signal::Signal;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::hooked::Hooked;
use super::life::{self, Stop};
use crate::log::Logs;
use crate::py::hooks::Hook;
use crate::sys;

/// What a signal does to a worker. Order does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Finish,
    Leave,
    /// `Leave`, and the hook of it.
    Interrupt,
    Abort,
    Reopen,
    Nothing,
}

const TABLE: &[(Signal, Reaction)] = &[
    (Signal::SIGTERM, Reaction::Finish),
    (Signal::SIGINT, Reaction::Interrupt),
    (Signal::SIGQUIT, Reaction::Interrupt),
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
    surroundings: Surroundings,
}

/// What the handlers need.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) logs: Logs,
    pub(super) hooked: Arc<Hooked>,
}

#[pymethods]
impl Handler {
    #[pyo3(signature = (*arguments))]
    fn __call__(&self, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = arguments.py();
        match self.reaction {
            Reaction::Finish => life::ask(Stop::Graceful),
            Reaction::Leave => return self.leave(py, 0, None),
            Reaction::Interrupt => return self.leave(py, 0, Some(Hook::WorkerInt)),
            Reaction::Abort => return self.leave(py, 1, Some(Hook::WorkerAbort)),
            Reaction::Reopen => self.surroundings.logs.reopen(),
            Reaction::Nothing => {}
        }
        Ok(())
    }
}

impl Handler {
    /// Ends the request in hand through the application's own frames, and the worker after it.
    fn leave(&self, py: Python<'_>, status: i32, hook: Option<Hook>) -> PyResult<()> {
        life::ask(Stop::Quick);
        if let Some(hook) = hook {
            self.surroundings.hooked.on_signal(py, hook);
        }
        Quiet::install(py)?;
        Err(PySystemExit::new_err(status))
    }
}

/// `sys.unraisablehook` of a worker that leaves. Where Python cannot pass an exception on, in a callback of the import
/// system for example, it complains of it; the exit was asked for, and comes all the same.
#[pyclass(frozen, module = "rwsgi")]
struct Quiet {
    before: Py<PyAny>,
}

impl Quiet {
    fn install(py: Python<'_>) -> PyResult<()> {
        let sys = py.import("sys")?;
        let before = sys.getattr("unraisablehook")?;
        if before.cast::<Self>().is_ok() {
            return Ok(());
        }
        sys.setattr("unraisablehook", Py::new(py, Self { before: before.unbind() })?)
    }
}

#[pymethods]
impl Quiet {
    fn __call__(&self, unraisable: &Bound<'_, PyAny>) -> PyResult<()> {
        let is_exit = unraisable.getattr("exc_value")?.is_instance_of::<PySystemExit>();
        if is_exit { Ok(()) } else { self.before.call1(unraisable.py(), (unraisable,)).map(drop) }
    }
}

/// For the time of the import.
pub(super) fn install_for_boot(py: Python<'_>, with: &Surroundings) -> PyResult<()> {
    dump_stacks_on_crash(py, with)?;
    // ABRT has its handlers already.
    for (signal, reaction) in TABLE.iter().filter(|(signal, _)| *signal != Signal::SIGABRT) {
        let reaction = if *reaction == Reaction::Finish { Reaction::Leave } else { *reaction };
        install(py, with, *signal, reaction)?;
    }
    Ok(())
}

/// For the time of serving. `wakeup` is written to when a signal comes, so that a wait ends.
pub(super) fn install_for_serving(
    py: Python<'_>,
    with: &Surroundings,
    wakeup: BorrowedFd<'_>,
) -> PyResult<()> {
    let arguments = pyo3::types::PyDict::new(py);
    arguments.set_item("warn_on_full_buffer", false)?;
    py.import("signal")?.call_method("set_wakeup_fd", (wakeup.as_raw_fd(),), Some(&arguments))?;
    install(py, with, Signal::SIGTERM, Reaction::Finish)
}

/// For the end of the process. Python puts its handlers back to the default while it ends, and a signal that means
/// nothing here, or what is happening anyway, would cut `atexit` short.
pub(super) fn ignore_at_exit(py: Python<'_>) -> PyResult<()> {
    let module = py.import("signal")?;
    let ignore = module.getattr("SIG_IGN")?;
    for (signal, _) in TABLE.iter().filter(|(_, reaction)| *reaction != Reaction::Abort) {
        let mut ignored = module.call_method1("signal", (*signal as i32, &ignore));
        // A handler that was due runs first, and asks for the exit that this is: ^C reaches a worker twice, from the
        // terminal and by the master.
        for _ in TABLE {
            if !ignored.as_ref().is_err_and(|error| error.is_instance_of::<PySystemExit>(py)) {
                break;
            }
            ignored = module.call_method1("signal", (*signal as i32, &ignore));
        }
        ignored?;
    }
    Ok(())
}

/// Before the wake-up pipe is closed: the interpreter complains of each signal it cannot write there.
pub(super) fn stop_waking(py: Python<'_>) -> PyResult<()> {
    py.import("signal")?.call_method1("set_wakeup_fd", (-1,)).map(drop)
}

fn install(py: Python<'_>, with: &Surroundings, signal: Signal, reaction: Reaction) -> PyResult<()> {
    let handler = Handler { reaction, surroundings: with.clone() };
    py.import("signal")?.call_method1("signal", (signal as i32, handler)).map(drop)
}

/// The interpreter's crash handler writes stacks to the error log: at a segfault, and on the signal that the ABRT
/// handler raises. That one runs in C, so a call that never returns to the interpreter does not keep it from running.
fn dump_stacks_on_crash(py: Python<'_>, with: &Surroundings) -> PyResult<()> {
    let faulthandler = py.import("faulthandler")?;
    let sink = with.logs.error.fd();
    faulthandler.call_method1("enable", (sink,))?;
    let signal = nix::libc::SIGRTMAX() - 1;
    let arguments = pyo3::types::PyDict::new(py);
    arguments.set_item("file", sink)?;
    arguments.set_item("all_threads", true)?;
    faulthandler.call_method("register", (signal,), Some(&arguments))?;
    // Python's handler for ABRT goes in first, so that ours, on top of it, calls it after the stacks are out.
    install(py, with, Signal::SIGABRT, Reaction::Abort)?;
    sys::signals::raise_on(Signal::SIGABRT, signal)?;
    // In place of the crash handler's own, on which all of Python's handlers would run as well.
    sys::stack::make_room_for_signals()?;
    Ok(())
}
