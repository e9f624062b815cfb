//! The arbiter's policy: `on_event(event, now) -> actions`. No system call, no clock, no Python.
//!
//! Owns: who is alive, which generation serves, when to spawn, whom to stop, when to give up. Must never: do anything.
//! The loop in `run` performs the actions and answers some of them with an event. Every time here is an argument, so each
//! sequence of signals and deaths is a unit test (`tests.rs`). Read next: `balance.rs`, which every event ends in.
//!
//! ```text
//!   worker:   Booting ──ready──▶ Serving ──worn──▶ Serving, its successor booting ──TERM/QUIT──▶ Stopping ──▶ (reaped)
//!                └───────────────────┴──── dies ────────────────────▶ (reaped, respawned)
//!   master:   Running ──HUP──▶ Running with a newer generation booting; each new worker that is ready retires an
//!                 │            old one; a generation none of which gets ready is given up, the old one stays
//!                 └─ TERM/INT/QUIT, or the first boot fails ──▶ Stopping ──last worker gone──▶ Exit
//! ```

mod balance;
mod beat;
mod death;
mod event;
mod reload;
mod resume;
mod stop;
#[cfg(test)]
mod tests;
mod upgrade;

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;

use super::plan::{Plan, Summary};
use super::signals::Command;
use super::wording::Line;
use stop::{Shutdown, Stopping};

pub use death::{APP_FAILED, BOOT_FAILED};
pub use event::{Action, Beat, Death, Event, Status};

/// How long a stuck worker has between ABRT, on which it logs its stacks, and KILL.
const ABORT_GRACE: Duration = Duration::from_secs(2);
/// The longest the loop may sleep: beats are looked at this often.
const TURN: Duration = Duration::from_secs(1);

/// A worker as the master sees it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Spawn counter, from 1; also the worker's identity until it has a pid.
    pub age: u64,
    pub generation: u32,
    pub pid: Option<i32>,
    spawned: Duration,
    ready: bool,
    worn: bool,
    stopping: Option<Stopping>,
    aborted: Option<Duration>,
    killed: bool,
}

impl Worker {
    const fn new(age: u64, generation: u32, now: Duration) -> Self {
        Self {
            age,
            generation,
            pid: None,
            spawned: now,
            ready: false,
            worn: false,
            stopping: None,
            aborted: None,
            killed: false,
        }
    }

    /// It has been asked to go.
    pub const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }
}

/// A generation and the plan it runs under.
#[derive(Clone, Debug)]
struct Epoch {
    generation: u32,
    plan: Plan,
}

/// The arbiter's whole memory.
pub struct State {
    /// The generation being kept alive.
    current: Epoch,
    /// The generation to fall back to while none of `current` has been ready.
    fallback: Option<Epoch>,
    /// Workers wanted; starts as the plan's number, moved by TTIN, TTOU and WINCH.
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
    reloads: reload::Pacing,
    relatives: upgrade::Relatives,
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
            reloads: reload::Pacing::default(),
            relatives: upgrade::Relatives::default(),
            actions: Vec::new(),
        }
    }

    /// Takes in one event and says what to do about it, in order.
    pub fn on_event(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Start | Event::Tick => {}
            Event::Signal(command, name) => self.on_signal(command, name, now),
            Event::Exited(death) => self.on_exit(&death, now),
            Event::Beats(beats) => self.on_beats(&beats, now),
            Event::Spawned { age, pid } => self.on_spawned(age, pid, now),
            Event::SpawnFailed { age, reason } => self.on_spawn_failed(age, &reason, now),
            Event::Reloaded(plan) => self.begin_generation(plan, now),
            Event::ReloadFailed(reason) => self.refuse_reload(&reason),
            Event::Trying { pid } => self.begin_trial(pid),
            Event::Tried(verdict) => self.end_trial(verdict),
            Event::Upgraded { pid } => self.on_upgraded(pid),
            Event::UpgradeFailed(reason) => self.refuse_upgrade(&reason),
            Event::PredecessorLeft => self.on_promotion(),
        }
        self.reload_when_due(now);
        self.enforce_deadlines(now);
        self.balance(now);
        std::mem::take(&mut self.actions)
    }

    /// When the loop should look again even if nothing happens.
    pub fn next_turn(&self, now: Duration) -> Duration {
        let workers = self.workers.iter().filter_map(Worker::deadline);
        let respawn = (self.spawn_after > now).then_some(self.spawn_after);
        let others = [respawn, self.reloads.due(), self.shutdown.and_then(Shutdown::begins)];
        let next = workers.chain(others.into_iter().flatten()).min();
        next.map_or(TURN, |at| at.saturating_sub(now).min(TURN))
    }

    /// The live workers, for those who need their slots.
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// The generation that is kept alive.
    pub const fn generation(&self) -> u32 {
        self.current.generation
    }

    /// How the server as a whole is doing.
    pub fn summary(&self) -> Summary {
        let ready = self.active().filter(|worker| worker.ready).count();
        let current = |worker: &&Worker| worker.generation == self.current.generation;
        let old = self.active().any(|worker| !current(&worker));
        let fresh = self.active().filter(|worker| current(worker) && worker.ready).count();
        let stopping = self.shutdown.is_some();
        Summary {
            target: self.target,
            ready,
            settled: !stopping && !old && fresh >= self.target,
            reloading: old || self.reloads.is_trying(),
            stopping,
            successor: self.relatives.successor,
        }
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
            Command::StopGracefully => self.stop_gracefully(now),
            Command::StopQuickly => self.stop_quickly(now),
            // A master that is leaving takes no further orders.
            _ if self.shutdown.is_some() => {}
            Command::Reload => self.reloads.wanted = true,
            Command::AddWorker => self.target = (self.target + 1).min(crate::scoreboard::SLOTS / 2),
            Command::RemoveWorker => self.target = self.target.saturating_sub(1).max(1.min(self.target)),
            Command::ReopenLogs => self.reopen_logs(),
            Command::Upgrade => self.upgrade(),
            Command::StopWorkers => self.stop_workers(),
        }
    }

    fn reopen_logs(&mut self) {
        self.actions.push(Action::ReopenLogs);
        self.signal_all(Signal::SIGUSR1);
    }

    fn on_spawned(&mut self, age: u64, pid: i32, now: Duration) {
        let Some(worker) = self.worker(age) else { return };
        worker.pid = Some(pid);
        // Asked to stop before it had a pid: tell it now.
        if worker.stopping.take().is_some() {
            self.stop(age, Signal::SIGTERM, now);
        }
    }

    fn worker(&mut self, age: u64) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.age == age)
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
