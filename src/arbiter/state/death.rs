//! What a worker's end means: nothing, a respawn, a respawn after a pause, or the end of the master.

use std::time::Duration;

use log::Level;

use super::super::wording;
use super::{Death, State, Status, Worker};

/// Exit status of a worker whose environment or application raised while it booted.
pub const BOOT_FAILED: i32 = 3;
/// Exit status of a worker whose application is not there or is not callable.
pub const APP_FAILED: i32 = 4;

/// A worker that dies this soon after its spawn counts as a failure even when it had been ready.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Short lives that are respawned at once before pauses begin.
const FREE_RESPAWNS: u32 = 10;
/// Workers that may die while booting, before any was ready, until the master gives up.
const BOOT_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl State {
    pub(super) fn on_exit(&mut self, death: &Death, now: Duration) {
        if self.on_successor_exit(death) {
            return;
        }
        let pid = death.pid;
        let Some(index) = self.workers.iter().position(|worker| worker.pid == Some(pid)) else {
            // Somebody else's child, inherited: a master that is pid 1 gets orphans of strangers.
            return self.log(Level::Debug, format!("Reaped process {pid}, which is no worker"));
        };
        let mut worker = self.workers.remove(index);
        if death.ready && !std::mem::replace(&mut worker.ready, true) {
            self.on_ready(worker.generation);
        }
        self.tell(&worker, death);
        if self.is_leaving() || worker.stopping.is_some() {
            return;
        }
        match (worker.ready, death.status) {
            (false, status) => self.on_boot_failure(&worker, status, now),
            // Left by itself with nothing wrong.
            (true, Status::Code(0)) => self.failures = 0,
            (true, _) => self.on_crash(&worker, now),
        }
    }

    pub(super) fn on_spawn_failed(&mut self, age: u64, reason: &str, now: Duration) {
        self.workers.retain(|worker| worker.age != age);
        self.log(Level::Error, format!("Cannot fork a worker: {reason}. Trying again."));
        self.count_failure(now);
        self.pause(self.failures, now);
    }

    fn tell(&mut self, worker: &Worker, death: &Death) {
        let asked = worker.stopping.is_some() || self.is_leaving();
        let expected = match death.status {
            Status::Code(code) => asked && (code == BOOT_FAILED || code == APP_FAILED),
            Status::Signal(number) => asked && (number == nix::libc::SIGTERM || number == nix::libc::SIGQUIT),
        };
        if expected {
            return;
        }
        if let Some(line) = wording::ended(death, worker.killed) {
            self.actions.push(super::Action::Log(line));
        }
    }

    fn on_boot_failure(&mut self, worker: &Worker, status: Status, now: Duration) {
        // One that a newer generation is replacing anyway needs no successor.
        if worker.generation != self.current.generation || self.give_up_generation(now) {
            return;
        }
        self.count_failure(now);
        if self.booted {
            return self.pause(self.failures, now);
        }
        let (code, reason) = match status {
            Status::Code(APP_FAILED) => (APP_FAILED, "App failed to load."),
            // Somebody stopped or killed it, which says nothing of the application.
            Status::Code(0) | Status::Signal(_) if self.failures < BOOT_ATTEMPTS => {
                return self.pause(self.failures, now);
            }
            Status::Code(0) | Status::Signal(_) => (BOOT_FAILED, "Workers keep dying while they boot."),
            Status::Code(_) => (BOOT_FAILED, "Worker failed to boot."),
        };
        self.give_up(code, reason, now);
    }

    /// The stop has begun: nobody who dies now is replaced.
    fn is_leaving(&self) -> bool {
        self.shutdown.is_some_and(|shutdown| shutdown.begins().is_none())
    }

    fn on_crash(&mut self, worker: &Worker, now: Duration) {
        if now.saturating_sub(worker.spawned) > SHORT_LIFE {
            self.failures = 0;
            return;
        }
        self.count_failure(now);
        if let Some(over) = self.failures.checked_sub(FREE_RESPAWNS).filter(|over| *over > 0) {
            self.pause(over, now);
        }
    }

    /// Workers that die together, or while nobody is started anyway, are one failure.
    fn count_failure(&mut self, now: Duration) {
        if now >= self.spawn_after {
            self.failures += 1;
        }
    }

    fn pause(&mut self, failures: u32, now: Duration) {
        if now < self.spawn_after {
            return;
        }
        let doubled = FIRST_PAUSE * 2u32.saturating_pow(failures.saturating_sub(1).min(10));
        let pause = doubled.min(LONGEST_PAUSE);
        self.spawn_after = now + pause;
        self.log(Level::Warn, format!("Workers keep dying: next one in {:.1} s", pause.as_secs_f64()));
    }
}
