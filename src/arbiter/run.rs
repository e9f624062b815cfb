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
use std::process;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pyo3::prelude::*;

use super::gauges::Gauges;
use super::generation::Generation;
use super::notify::Notifier;
use super::oom::{Oom, OomWatch};
use super::pidfile::PidFile;
use super::pipes::Pipes;
use super::reexec::{OLD_MASTER, Trial};
use super::seats::Seats;
use super::server::Server;
use super::signals;
use super::spawn::{Birth, Dice};
use super::start::Kept;
use super::state::{Action, Death, Event, State, Status};
use super::wording::Line;
use crate::log::CRITICAL;
use crate::log::greeting::{self, START};
use crate::py::surroundings;
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
    pub(super) kept: Kept,
    pub(super) pidfile: Option<PidFile>,
    pub(super) trial: Option<Trial>,
    pub(super) dice: Dice,
    pub(super) notifier: Notifier,
    oom: OomWatch,
    /// What hooks see of this.
    pub(super) server: Py<Server>,
    /// The number of workers that hooks were told last.
    pub(super) size_told: usize,
    gauges: Gauges,
    pid: u32,
}

impl Master {
    pub(super) fn new(
        state: State,
        first: Generation,
        (pipes, seats): (Pipes, Seats),
        kept: Kept,
        (pidfile, server): (Option<PidFile>, Py<Server>),
    ) -> Self {
        // Workers of before belong to generations whose settings are gone: the present ones stand in for them.
        let mut generations: BTreeMap<u32, Generation> =
            state.workers().iter().map(|worker| (worker.generation, first.stand_in())).collect();
        generations.insert(state.generation(), first);
        Self {
            size_told: state.target(),
            state,
            pipes,
            seats,
            generations,
            notifier: Notifier::new(&kept.sources.env),
            oom: OomWatch::new(),
            kept,
            pidfile,
            trial: None,
            dice: Dice::new(),
            server,
            gauges: Gauges::default(),
            pid: process::id(),
        }
    }

    /// Until the master ends. In a child, until the worker ends.
    pub(super) fn run(mut self, py: Python<'_>) -> i32 {
        self.show_title();
        if !self.state.workers().is_empty() {
            // Those of the program before this one, which had put it to sleep.
            self.notifier.wake_watchdog();
        }
        let mut flow = self.guarded(py, |master| master.feed(py, Event::Start));
        loop {
            match flow {
                ControlFlow::Break(Leave::Child(birth)) => return self.into_worker(py, *birth),
                ControlFlow::Break(Leave::Exit(status)) => return self.end(py, status),
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
        let now = clock::monotonic();
        crate::log::catch_up();
        let gauges_limit = self.tell_gauges(now);
        let summary = self.state.summary();
        self.notifier.update(&summary, self.seats.totals().requests, now);
        if summary.settled {
            self.kept.launcher.conclude(0);
            greeting::end(summary.ready);
        }
        let limit =
            gauges_limit.map_or(self.state.next_turn(now), |limit| limit.min(self.state.next_turn(now)));
        let limit = self.notifier.turn_limit().map_or(limit, |notifier| limit.min(notifier));
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
            let event = self.tried(pid, status).unwrap_or_else(|| {
                let (ready, serving) = self.seats.leave(pid, clock::monotonic());
                self.child_exit(py, pid, status);
                let killed = status == Status::Signal(Signal::SIGKILL as i32);
                let oom = if killed { self.oom.ask() } else { Oom::No };
                Event::Exited(Death { pid, status, ready, serving, oom })
            });
            self.feed(py, event)?;
        }
        let parent = nix::unistd::getppid().as_raw();
        let orphaned = self.state.predecessor().is_some_and(|predecessor| predecessor != parent);
        self.feed(py, if orphaned { Event::PredecessorLeft } else { Event::Tick })?;
        self.forget_generations();
        ControlFlow::Continue(())
    }

    /// What there is to measure, and when there will be more.
    fn tell_gauges(&mut self, now: Duration) -> Option<Duration> {
        let generation = self.generations.get(&self.state.generation())?;
        self.gauges.tell(generation, self.state.workers().len(), now)
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
            Action::Reexec => return self.reexec(py),
            Action::Upgrade => return self.upgrade(py),
            Action::Exit(status) => return ControlFlow::Break(Leave::Exit(status)),
            Action::Kill { pid, signal } => {
                if signal == Signal::SIGABRT {
                    self.aborted(py, pid);
                }
                send(pid, signal);
            }
            Action::Log(line) => self.write(&line),
            Action::Restore { generation } => self.enter(py, generation),
            Action::ReopenLogs => self.generations.values().for_each(|generation| generation.logs.reopen()),
            Action::Promote => self.promote(py),
            Action::CloseListeners { last: true } => {
                self.seats.board.drain();
                self.generations.values_mut().for_each(Generation::close);
            }
            Action::CloseListeners { last: false } => {
                self.generations.values_mut().for_each(Generation::leave);
            }
        }
        ControlFlow::Continue(())
    }

    fn write(&self, line: &Line) {
        if line.critical {
            log::error!(target: CRITICAL, "{}", line.text);
        } else if line.echoes && self.seats.board.has_report(self.state.generation()) {
            log::log!(target: START, line.level, "{}", line.text);
        } else {
            log::log!(line.level, "{}", line.text);
        }
    }

    /// Generations nobody belongs to any more go, and with them the sockets only they had.
    fn forget_generations(&mut self) {
        let state = &self.state;
        self.generations.retain(|number, generation| {
            let kept = state.keeps(*number);
            match kept {
                true => {}
                false if state.is_only_master() => generation.close(),
                false => generation.leave(),
            }
            kept
        });
    }

    pub(super) fn current(&self) -> Option<&Generation> {
        self.generations.get(&self.state.generation())
    }

    pub(super) fn show_title(&self) {
        if let Some(generation) = self.current() {
            title::set(&format!("rwsgi: master [{}]", self.title_name(generation)));
        }
    }

    /// A master beside an older one shows that it is the second.
    pub(super) fn title_name(&self, generation: &Generation) -> String {
        let suffix = if self.state.predecessor().is_some() { ".2" } else { "" };
        format!("{}{suffix}", generation.settings.name())
    }

    /// The older master is gone: this one takes its names.
    fn promote(&mut self, py: Python<'_>) {
        if let Err(error) = surroundings::remove_variable(py, OLD_MASTER) {
            log::warn!("Cannot remove {OLD_MASTER}: {error}");
        }
        self.enter(py, self.state.generation());
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
