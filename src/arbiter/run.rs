//! The master's loop: sleep, take in what happened, perform what `state` decides.
//!
//! Owns the order of a turn and the answers to actions. No error or panic of one turn ends the loop; in a forked child
//! the loop ends at once and the child becomes a worker (`spawn.rs`). Never touches a client's connection.
//!
//! ```text
//!   signals, notices, time ──▶ turn ──▶ State::on_event ──▶ actions ──▶ perform ──▶ answers, again events
//! ```

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{os::fd::RawFd, process};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pyo3::prelude::*;

use super::generation::Generation;
use super::pidfile::PidFile;
use super::pipes::Pipes;
use super::seats::Seats;
use super::server::Server;
use super::signals;
use super::spawn::{Birth, Dice};
use super::state::{Action, Event, State};
use super::wording::Line;
use crate::config::Sources;
use crate::log::CRITICAL;
use crate::py::surroundings::Variables;
use crate::scoreboard::Scoreboard;
use crate::sys::{clock, reap, title};

/// A turn that panics again and again must not take a whole core.
const PAUSE_AFTER_PANIC: Duration = Duration::from_millis(100);

/// Why the loop ends.
pub(super) enum Leave {
    /// The master is done; its exit status.
    Exit(i32),
    /// This process is a new child.
    Child(Box<Birth>),
}

pub(super) type Flow = ControlFlow<Leave>;

pub(super) struct Master {
    pub(super) state: State,
    pub(super) pipes: Pipes,
    pub(super) seats: Seats,
    /// By number: the current one, the one to fall back to, and those with workers left.
    pub(super) generations: BTreeMap<u32, Generation>,
    pub(super) sources: Sources,
    pub(super) variables: Variables,
    pub(super) inherited: Vec<RawFd>,
    pub(super) app: Option<Py<PyAny>>,
    pub(super) pidfile: Option<PidFile>,
    pub(super) dice: Dice,
    /// What hooks see of this.
    pub(super) server: Py<Server>,
    /// The number of workers that hooks were told last.
    pub(super) size_told: usize,
    pid: u32,
}

impl Master {
    pub(super) fn new(first: Generation, pipes: Pipes, board: Scoreboard, server: Py<Server>) -> Self {
        let state = State::new(first.plan());
        Self {
            generations: BTreeMap::from([(state.generation(), first)]),
            size_told: state.target(),
            state,
            pipes,
            seats: Seats::new(board),
            sources: Sources::default(),
            variables: Variables::default(),
            inherited: Vec::new(),
            app: None,
            pidfile: None,
            dice: Dice::new(),
            server,
            pid: process::id(),
        }
    }

    /// What a reload and a worker need.
    pub(super) fn with(
        self,
        sources: Sources,
        variables: Variables,
        inherited: Vec<RawFd>,
        app: Option<Py<PyAny>>,
        pidfile: Option<PidFile>,
    ) -> Self {
        Self { sources, variables, inherited, app, pidfile, ..self }
    }

    /// Until the master ends. In a child, until the worker ends.
    pub(super) fn run(mut self, py: Python<'_>) -> i32 {
        self.show_title();
        let mut flow = self.guarded(py, |master| master.feed(py, Event::Start));
        loop {
            match flow {
                ControlFlow::Break(Leave::Child(birth)) => return self.into_worker(py, *birth),
                ControlFlow::Break(Leave::Exit(status)) => {
                    return self.end(py, status);
                }
                ControlFlow::Continue(()) => flow = self.guarded(py, |master| master.turn(py)),
            }
        }
    }

    /// The master's last acts. A child that lost its way does none of them.
    fn end(&self, py: Python<'_>, status: i32) -> i32 {
        if process::id() != self.pid {
            return status;
        }
        self.pidfile.iter().for_each(PidFile::remove);
        self.on_exit(py, status)
    }

    /// A panic costs one turn. In a child there is no loop to go back to.
    fn guarded(&mut self, py: Python<'_>, turn: impl FnOnce(&mut Self) -> Flow) -> Flow {
        match catch_unwind(AssertUnwindSafe(|| turn(self))) {
            Ok(flow) => flow,
            Err(_) if process::id() != self.pid => ControlFlow::Break(Leave::Exit(1)),
            Err(_) => {
                log::error!("Unhandled exception in main loop");
                py.detach(|| self.pipes.wait(PAUSE_AFTER_PANIC));
                ControlFlow::Continue(())
            }
        }
    }

    fn turn(&mut self, py: Python<'_>) -> Flow {
        let limit = self.state.next_turn(clock::monotonic());
        py.detach(|| self.pipes.wait(limit));
        // Signals before deaths: of a ^C that reached the whole group, the master's own part comes first.
        for signal in self.pipes.take() {
            if let Some((command, name)) = signals::command(signal) {
                self.feed(py, Event::Signal(command, name))?;
            }
        }
        // Beats before deaths: one that was ready and left at once did not fail to boot.
        let beats = self.seats.beats(clock::monotonic());
        self.feed(py, Event::Beats(beats))?;
        while let Some((pid, status)) = reap::reap() {
            let serving = self.seats.leave(pid, clock::monotonic());
            self.child_exit(py, pid, status);
            self.feed(py, Event::Exited { pid, status, serving })?;
        }
        self.feed(py, Event::Tick)?;
        self.forget_generations();
        ControlFlow::Continue(())
    }

    /// Tells the policy what happened and does what it says.
    pub(super) fn feed(&mut self, py: Python<'_>, event: Event) -> Flow {
        for action in self.state.on_event(event, clock::monotonic()) {
            // After the line that says why, before the first worker that comes of it.
            if !matches!(action, Action::Log(_)) {
                self.tell_size(py);
            }
            self.perform(py, action)?;
        }
        self.tell_size(py);
        ControlFlow::Continue(())
    }

    pub(super) fn perform(&mut self, py: Python<'_>, action: Action) -> Flow {
        match action {
            Action::Spawn { age, generation } => return self.spawn(py, age, generation),
            Action::Reload => return self.reload(py),
            Action::Exit(status) => return ControlFlow::Break(Leave::Exit(status)),
            Action::Kill { pid, signal } => {
                if signal == Signal::SIGABRT {
                    self.aborted(py, pid);
                }
                send(pid, signal);
            }
            Action::Log(line) => write(&line),
            Action::Restore { generation } => self.enter(py, generation),
            Action::ReopenLogs => self.generations.values().for_each(|generation| generation.logs.reopen()),
            Action::CloseListeners => self.generations.values_mut().for_each(Generation::close),
        }
        ControlFlow::Continue(())
    }

    /// Generations nobody belongs to any more go, and with them the sockets only they had.
    fn forget_generations(&mut self) {
        let state = &self.state;
        self.generations.retain(|number, generation| {
            let kept = state.keeps(*number);
            if !kept {
                generation.close();
            }
            kept
        });
    }

    pub(super) fn current(&self) -> Option<&Generation> {
        self.generations.get(&self.state.generation())
    }

    pub(super) fn show_title(&self) {
        if let Some(generation) = self.current() {
            title::set(&format!("rwsgi: master [{}]", generation.name()));
        }
    }

    pub(super) fn settings(&self) -> Option<Arc<crate::config::Settings>> {
        self.current().map(|generation| Arc::clone(&generation.settings))
    }
}

fn send(pid: i32, signal: Signal) {
    // ESRCH: it is gone, which CHLD will tell.
    if let Err(error) = kill(Pid::from_raw(pid), signal)
        && error != nix::errno::Errno::ESRCH
    {
        log::warn!("Cannot send {signal} to worker (pid:{pid}): {error}");
    }
}

fn write(line: &Line) {
    if line.critical {
        log::error!(target: CRITICAL, "{}", line.text);
    } else {
        log::log!(line.level, "{}", line.text);
    }
}
