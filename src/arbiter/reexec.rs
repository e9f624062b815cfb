//! The master's program, executed once more: beside this one, in its place, or only to see whether it would start.
//!
//! Owns what the next program inherits: which descriptors stay open, and the text that says what they are. Invariant: an
//! execution that fails leaves this program as it was, with one line in the log. Read next: `handover.rs`, `program.rs`.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process;
use std::sync::Arc;

use pyo3::prelude::*;

use super::handover::{Handover, Resume, Sockets, VARIABLE};
use super::run::{Flow, Master};
use super::signals;
use super::state::{Event, Status};
use crate::log::with_own_streams;
use crate::net::Listener;
use crate::sys::descriptors::{self, keep_on_exec};
use crate::sys::fork::{Forked, fork};
use crate::sys::signals::{block, restore_default, unblock};

/// The variables by which gunicorn's hooks know that a new master runs beside an old one.
pub const OLD_MASTER: &str = "GUNICORN_PID";
pub const OLD_SOCKETS: &str = "GUNICORN_FD";

/// Complaints of a trial that go into the log, in bytes.
const COMPLAINT: u64 = 16 * 1024;

/// A process that is trying the new code.
pub(super) struct Trial {
    pid: i32,
    /// Its standard error.
    complaints: File,
}

impl Master {
    /// USR2: a new master beside this one.
    pub(super) fn upgrade(&mut self, py: Python<'_>) -> Flow {
        let listeners = self.open_listeners();
        let event = match self.start_beside(py, &listeners) {
            Ok(pid) => Event::Upgraded { pid },
            Err(error) => Event::UpgradeFailed(error.to_string()),
        };
        self.feed(py, event)
    }

    fn start_beside(&self, py: Python<'_>, listeners: &[Arc<Listener>]) -> io::Result<i32> {
        let sockets = self.describe(listeners);
        let numbers: Vec<String> = sockets.listeners.iter().map(|(fd, _)| fd.to_string()).collect();
        let mut variables = vec![(OLD_MASTER, process::id().to_string())];
        if !numbers.is_empty() {
            variables.push((OLD_SOCKETS, numbers.join(",")));
        }
        variables.push((VARIABLE, Handover::Beside(sockets).encode()));
        self.in_a_child(py, || {
            self.pre_exec(py).map_err(io::Error::other)?;
            for listener in listeners {
                keep_on_exec(listener, true)?;
            }
            variables.extend(self.notifier.variable());
            with_own_streams(|| Err(self.kept.program.execute(&variables)))
        })
    }

    /// A process that loads the configuration and the application anew, and ends.
    pub(super) fn try_new_code(&mut self, py: Python<'_>) -> io::Result<i32> {
        let complaints = File::from(crate::sys::shared::nameless()?);
        let pid = self.in_a_child(py, || {
            descriptors::put_at(&complaints, nix::libc::STDERR_FILENO)?;
            Err(self.kept.program.execute(&[(VARIABLE, Handover::Trial.encode())]))
        })?;
        self.trial = Some(Trial { pid, complaints });
        Ok(pid)
    }

    /// What the trial found, if it was the trial that ended.
    pub(super) fn tried(&mut self, pid: i32, status: Status) -> Option<Event> {
        let mut trial = self.trial.take_if(|trial| trial.pid == pid)?;
        if status == Status::Code(0) {
            return Some(Event::Tried(Ok(())));
        }
        let mut text = Vec::new();
        let _ = trial.complaints.rewind();
        let _ = trial.complaints.take(COMPLAINT).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        // What the application and its libraries had to say before is not the reason.
        let text = text.rfind("\nError: ").and_then(|at| text.get(at..)).unwrap_or(&text);
        let text = text.trim().trim_start_matches("Error: ");
        let reason = match status {
            _ if !text.is_empty() => condensed(text),
            Status::Code(code) => format!("loading the application ended with code {code}"),
            Status::Signal(number) => format!("loading the application was ended by signal {number}"),
        };
        Some(Event::Tried(Err(reason)))
    }

    /// The program again in this process, which keeps its id, its children and its sockets.
    pub(super) fn reexec(&mut self, py: Python<'_>) -> Flow {
        let error = match self.execute_in_place() {
            Ok(never) => match never {},
            Err(error) => error,
        };
        self.feed(py, Event::ReloadFailed(error.to_string()))
    }

    fn execute_in_place(&self) -> io::Result<std::convert::Infallible> {
        self.notifier.calm_watchdog();
        let listeners = self.open_listeners();
        let mut resume = Resume {
            sockets: self.describe(&listeners),
            pipes: self.pipes.numbers(),
            board: self.seats.board.file().as_raw_fd(),
            requests: self.seats.past().requests,
            pidfile: self.pidfile.as_ref().map(|file| file.path().to_owned()),
            ..self.state.past()
        };
        for worker in &mut resume.workers {
            worker.slot = self.seats.slot(worker.age).unwrap_or(usize::MAX);
        }
        let mut inherited: Vec<BorrowedFd<'_>> = listeners.iter().map(|listener| listener.as_fd()).collect();
        inherited.extend(self.pipes.descriptors().map(OwnedFd::as_fd));
        inherited.push(self.seats.board.file());
        // A signal that comes while neither program has a handler would end the process; blocked, it waits.
        let _blocked = block(&signals::all())?;
        let mut variables = vec![(VARIABLE, Handover::Resume(Box::new(resume)).encode())];
        variables.extend(self.notifier.variable());
        let kept = inherited.iter().try_for_each(|fd| keep_on_exec(fd, true));
        let execute = || Err::<std::convert::Infallible, _>(self.kept.program.execute(&variables));
        let Err(error) = kept.and_then(|()| with_own_streams(execute));
        for fd in &inherited {
            let _ = keep_on_exec(fd, false);
        }
        self.notifier.wake_watchdog();
        Err(error)
    }

    fn describe(&self, listeners: &[Arc<Listener>]) -> Sockets {
        let socket = |listener: &Arc<Listener>| (listener.as_fd().as_raw_fd(), listener.address().clone());
        Sockets { listeners: listeners.iter().map(socket).collect(), passed: self.kept.passed.clone() }
    }

    /// Every socket of every generation, once.
    pub(super) fn open_listeners(&self) -> Vec<Arc<Listener>> {
        let mut open: Vec<Arc<Listener>> = Vec::new();
        for listener in self.generations.values().rev().flat_map(|generation| &generation.listeners) {
            if open.iter().all(|known| known.address() != listener.address()) {
                open.push(Arc::clone(listener));
            }
        }
        open
    }

    /// Forks, and has the child do `work`, which is to execute a program: what it returns is why it could not.
    fn in_a_child(
        &self,
        py: Python<'_>,
        work: impl FnOnce() -> io::Result<std::convert::Infallible>,
    ) -> io::Result<i32> {
        let blocked = block(&signals::all())?;
        let child = match fork(py)? {
            Forked::Parent(pid) => return Ok(pid.as_raw()),
            Forked::Child => restore_default(&signals::all()).and_then(|()| unblock(&signals::all())),
        };
        drop(blocked);
        let error = match child.and_then(|()| work()) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        log::error!("Cannot start the program again: {error}");
        // Nothing of the master's may run in this copy of it, neither destructors nor Python's exit handlers.
        crate::sys::fork::leave(1)
    }
}

/// Of a traceback what went wrong and the last place that is no library's: a program that started the server has printed it.
fn condensed(text: &str) -> String {
    if !text.starts_with("Traceback ") {
        return text.to_owned();
    }
    let reason = text.lines().rfind(|line| !line.is_empty() && !line.starts_with(' ')).unwrap_or(text);
    let own = |line: &&str| line.starts_with("  File \"/") && !line.contains("-packages/");
    match text.lines().rfind(own) {
        Some(place) => format!("{reason}\n{place}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::condensed;

    #[test]
    fn of_a_traceback_two_lines_are_told() {
        let text = "Traceback (most recent call last):\n  File \"/srv/serve\", line 3, in <module>\n    serve()\n  \
                    File \"/srv/shop.py\", line 7, in make\n    connect()\n  File \"/v/site-packages/db.py\", line 1, \
                    in connect\n    raise Down\ndb.Down: no route\n";
        assert_eq!(condensed(text), "db.Down: no route\n  File \"/srv/shop.py\", line 7, in make");
        assert_eq!(condensed("app.ini:3: bad\nmore"), "app.ini:3: bad\nmore");
    }
}
