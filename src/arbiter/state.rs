//! The arbiter's policy: `on_event(event, now) -> actions`. No system call, no clock, no Python.
//!
//! Owns: who is alive, which generation serves, when to spawn, whom to stop, when to give up. Must never: do anything.
//! The loop in `run` performs the actions and answers `Spawn` and `Reload` with an event. Every time here is an
//! argument, so each sequence of signals and deaths is a unit test (`tests.rs`).
//!
//! ```text
//!   worker:   Booting ──ready──▶ Serving ──TERM/QUIT──▶ Stopping ──▶ (reaped, forgotten)
//!                └───────────────────┴──── dies ────────────────────▶ (reaped, respawned)
//!   master:   Running ──HUP──▶ Running with a newer generation booting; each new worker that is ready retires an
//!                 │            old one; a generation none of which gets ready is given up, the old one stays
//!                 └─ TERM/INT/QUIT, or the first boot fails ──▶ Stopping ──last worker gone──▶ Exit
//! ```

mod death;
pub use death::{APP_FAILED, BOOT_FAILED};
mod reload;
#[cfg(test)]
mod tests;

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;

use super::plan::Plan;
use super::signals::Command;
use super::wording::Line;
pub use crate::sys::reap::Ended as Status;

/// How long a stuck worker has between ABRT, on which it logs its stacks, and KILL.
const ABORT_GRACE: Duration = Duration::from_secs(2);
/// A quick stop does not wait longer than this, whatever graceful_timeout is.
const QUICK_LIMIT: Duration = Duration::from_secs(5);
/// The longest the loop may sleep: beats are looked at this often.
const TURN: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The master is set up.
    Start,
    /// A signal to the master, with its name for the log.
    Signal(Command, &'static str),
    /// A child was reaped. `serving` describes the request it had in hand.
    Exited {
        pid: i32,
        status: Status,
        serving: Option<String>,
    },
    /// What the live slots of the scoreboard say.
    Beats(Vec<Beat>),
    /// Answers to `Action::Spawn`.
    Spawned {
        age: u64,
        pid: i32,
    },
    SpawnFailed {
        age: u64,
        reason: String,
    },
    /// Answers to `Action::Reload`.
    Reloaded(Plan),
    ReloadFailed(String),
    /// Time passed.
    Tick,
}

/// One worker's slot as it was read.
#[derive(Clone, Debug)]
pub struct Beat {
    pub age: u64,
    pub ready: bool,
    /// When it last proved to be alive.
    pub at: Duration,
    pub serving: Option<String>,
}

/// What the loop must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork a worker. Answered by `Spawned` or `SpawnFailed`.
    Spawn {
        age: u64,
        generation: u32,
    },
    Kill {
        pid: i32,
        signal: Signal,
    },
    Log(Line),
    /// Read the configuration again. Answered by `Reloaded` or `ReloadFailed`.
    Reload,
    /// The generation being booted failed: go back to the configuration of this one.
    Restore {
        generation: u32,
    },
    ReopenLogs,
    CloseListeners,
    /// End the master with this exit status.
    Exit(i32),
}

/// A worker as the master sees it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Spawn counter, from 1; also the worker's identity until it has a pid.
    pub age: u64,
    pub generation: u32,
    pub pid: Option<i32>,
    spawned: Duration,
    ready: bool,
    stopping: Option<Stopping>,
    aborted: Option<Duration>,
    killed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Stopping {
    deadline: Duration,
}

/// A generation and the plan it runs under.
#[derive(Clone, Debug)]
struct Epoch {
    generation: u32,
    plan: Plan,
}

/// The end of the master, once it has begun.
#[derive(Clone, Copy, Debug)]
struct Shutdown {
    code: i32,
    reason: Option<&'static str>,
    quick: bool,
}

/// The arbiter's whole memory.
pub struct State {
    /// The generation being kept alive.
    current: Epoch,
    /// The generation to fall back to while none of `current` has been ready.
    fallback: Option<Epoch>,
    /// Workers wanted; starts as the plan's number, moved by TTIN and TTOU.
    target: usize,
    workers: Vec<Worker>,
    next_age: u64,
    next_generation: u32,
    shutdown: Option<Shutdown>,
    /// Some worker of this master has been ready.
    booted: bool,
    /// Deaths since the last worker that did well, and when to try again.
    failures: u32,
    spawn_after: Duration,
    actions: Vec<Action>,
}

impl State {
    pub fn new(plan: Plan) -> Self {
        Self {
            target: plan.workers,
            current: Epoch { generation: 1, plan },
            fallback: None,
            workers: Vec::new(),
            next_age: 1,
            next_generation: 2,
            shutdown: None,
            booted: false,
            failures: 0,
            spawn_after: Duration::ZERO,
            actions: Vec::new(),
        }
    }

    /// Takes in one event and says what to do about it, in order.
    pub fn on_event(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Start | Event::Tick => {}
            Event::Signal(command, name) => self.on_signal(command, name, now),
            Event::Exited { pid, status, serving } => self.on_exit(pid, status, serving, now),
            Event::Beats(beats) => self.on_beats(&beats, now),
            Event::Spawned { age, pid } => self.on_spawned(age, pid, now),
            Event::SpawnFailed { age, reason } => self.on_spawn_failed(age, &reason, now),
            Event::Reloaded(plan) => self.begin_generation(plan, now),
            Event::ReloadFailed(reason) => self.refuse_reload(&reason),
        }
        self.enforce_deadlines(now);
        self.balance(now);
        std::mem::take(&mut self.actions)
    }

    /// When the loop should look again even if nothing happens.
    pub fn next_turn(&self, now: Duration) -> Duration {
        let deadlines = self.workers.iter().filter_map(|worker| {
            let stop = worker.stopping.filter(|_| !worker.killed).map(|stopping| stopping.deadline);
            let abort = worker.aborted.filter(|_| !worker.killed).map(|at| at + ABORT_GRACE);
            stop.into_iter().chain(abort).min()
        });
        let respawn = (self.spawn_after > now).then_some(self.spawn_after);
        deadlines.chain(respawn).min().map_or(TURN, |at| at.saturating_sub(now).min(TURN))
    }

    /// The live workers, for those who need their slots.
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// The generation that is kept alive.
    pub const fn generation(&self) -> u32 {
        self.current.generation
    }

    /// Workers wanted.
    pub const fn target(&self) -> usize {
        self.target
    }

    /// Whether anything may still be asked of this generation.
    pub fn keeps(&self, generation: u32) -> bool {
        generation == self.current.generation
            || self.fallback.as_ref().is_some_and(|fallback| fallback.generation == generation)
            || self.workers.iter().any(|worker| worker.generation == generation)
    }

    fn on_signal(&mut self, command: Command, name: &str, now: Duration) {
        let level = if command == Command::Child { Level::Debug } else { Level::Info };
        self.log(level, format!("Handling signal: {name}"));
        match command {
            Command::Child => {}
            Command::StopGracefully => self.shut_down(Shutdown { code: 0, reason: None, quick: false }, now),
            Command::StopQuickly => self.shut_down(Shutdown { code: 0, reason: None, quick: true }, now),
            // A master that is leaving takes no further orders.
            _ if self.shutdown.is_some() => {}
            Command::Reload => {
                self.log(Level::Info, "Hang up: Master");
                self.actions.push(Action::Reload);
            }
            Command::AddWorker => self.target = (self.target + 1).min(crate::scoreboard::SLOTS / 2),
            Command::RemoveWorker => self.target = self.target.saturating_sub(1).max(1.min(self.target)),
            Command::ReopenLogs => self.reopen_logs(),
            Command::Upgrade => {
                self.log(Level::Warn, "USR2 ignored: upgrading the program in place is not supported yet");
            }
            Command::StopWorkers => self.log(Level::Debug, "SIGWINCH ignored. Not daemonized"),
        }
    }

    fn reopen_logs(&mut self) {
        self.actions.push(Action::ReopenLogs);
        self.signal_all(Signal::SIGUSR1);
    }

    fn on_spawned(&mut self, age: u64, pid: i32, now: Duration) {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.age == age) else { return };
        worker.pid = Some(pid);
        // Asked to stop before it had a pid: tell it now.
        if worker.stopping.take().is_some() {
            self.stop(age, Signal::SIGTERM, now);
        }
    }

    fn on_beats(&mut self, beats: &[Beat], now: Duration) {
        for beat in beats {
            let Some(worker) = self.workers.iter_mut().find(|worker| worker.age == beat.age) else {
                continue;
            };
            if beat.ready && !worker.ready {
                worker.ready = true;
                self.on_ready(beat.age);
            }
            if beat.ready {
                self.check_beat(beat, now);
            }
        }
    }

    fn on_ready(&mut self, age: u64) {
        self.booted = true;
        let generation = self.workers.iter().find(|worker| worker.age == age).map(|worker| worker.generation);
        if generation == Some(self.current.generation) {
            self.fallback = None;
        }
    }

    fn check_beat(&mut self, beat: &Beat, now: Duration) {
        let timeout = self.current.plan.timeout;
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.age == beat.age) else { return };
        let Some(pid) = worker.pid else { return };
        if timeout.is_zero() || worker.aborted.is_some() || now.saturating_sub(beat.at) <= timeout {
            return;
        }
        worker.aborted = Some(now);
        let serving = beat.serving.as_ref().map(|request| format!(" serving {request}")).unwrap_or_default();
        self.actions.push(Action::Log(Line::critical(format!("WORKER TIMEOUT (pid:{pid}){serving}"))));
        self.actions.push(Action::Kill { pid, signal: Signal::SIGABRT });
    }

    /// KILL for workers that were asked to go and have not.
    fn enforce_deadlines(&mut self, now: Duration) {
        for worker in &mut self.workers {
            let Some(pid) = worker.pid.filter(|_| !worker.killed) else { continue };
            let overdue = worker.stopping.is_some_and(|stopping| stopping.deadline <= now)
                || worker.aborted.is_some_and(|at| at + ABORT_GRACE <= now);
            if overdue {
                worker.killed = true;
                self.actions.push(Action::Kill { pid, signal: Signal::SIGKILL });
            }
        }
    }

    /// Brings the number of workers to what is wanted.
    fn balance(&mut self, now: Duration) {
        if let Some(shutdown) = self.shutdown {
            return self.conclude(shutdown);
        }
        self.retire_replaced(now);
        let generation = self.current.generation;
        let mut ages: Vec<u64> =
            self.active().filter(|w| w.generation == generation).map(|w| w.age).collect();
        while ages.len() > self.target {
            // The oldest goes first, as under gunicorn.
            self.stop(ages.remove(0), Signal::SIGTERM, now);
        }
        if now >= self.spawn_after {
            for _ in ages.len()..self.target {
                self.spawn(now);
            }
        }
    }

    fn spawn(&mut self, now: Duration) {
        let age = self.next_age;
        self.next_age += 1;
        let generation = self.current.generation;
        self.workers.push(Worker {
            age,
            generation,
            pid: None,
            spawned: now,
            ready: false,
            stopping: None,
            aborted: None,
            killed: false,
        });
        self.actions.push(Action::Spawn { age, generation });
    }

    /// Asks one worker to go: TERM when it may finish what it has, QUIT when it may not.
    fn stop(&mut self, age: u64, signal: Signal, now: Duration) {
        let limit = self.current.plan.graceful_timeout;
        let limit = if signal == Signal::SIGQUIT { limit.min(QUICK_LIMIT) } else { limit };
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.age == age) else { return };
        let deadline = now + limit;
        let deadline = worker.stopping.map_or(deadline, |stopping| stopping.deadline.min(deadline));
        worker.stopping = Some(Stopping { deadline });
        if let Some(pid) = worker.pid {
            self.actions.push(Action::Kill { pid, signal });
        }
    }

    fn shut_down(&mut self, shutdown: Shutdown, now: Duration) {
        let escalates = shutdown.quick && self.shutdown.is_some_and(|running| !running.quick);
        if self.shutdown.is_some() && !escalates {
            return;
        }
        if !escalates {
            self.actions.push(Action::CloseListeners);
        }
        // What was decided first says how the master exits.
        let first = self.shutdown.unwrap_or(shutdown);
        self.shutdown = Some(Shutdown { quick: shutdown.quick, ..first });
        let signal = if shutdown.quick { Signal::SIGQUIT } else { Signal::SIGTERM };
        let ages: Vec<u64> = self.workers.iter().map(|worker| worker.age).collect();
        for age in ages {
            self.stop(age, signal, now);
        }
    }

    fn conclude(&mut self, shutdown: Shutdown) {
        if !self.workers.is_empty() {
            return;
        }
        let level = if shutdown.code == 0 { Level::Info } else { Level::Error };
        self.log(level, "Shutting down: Master");
        if let Some(reason) = shutdown.reason {
            self.log(level, format!("Reason: {reason}"));
        }
        self.actions.push(Action::Exit(shutdown.code));
    }

    /// Workers that have not been asked to go.
    fn active(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.stopping.is_none())
    }

    fn signal_all(&mut self, signal: Signal) {
        let pids: Vec<i32> = self.workers.iter().filter_map(|worker| worker.pid).collect();
        self.actions.extend(pids.into_iter().map(|pid| Action::Kill { pid, signal }));
    }

    fn log(&mut self, level: Level, text: impl Into<String>) {
        self.actions.push(Action::Log(Line::new(level, text)));
    }
}
