//! HUP: a new generation boots beside the old one, and takes over one ready worker at a time.
//!
//! Invariant: an old worker is asked to go only when a new one is ready in its place, so a generation that cannot
//! boot costs nothing but memory and a log line.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;

use super::super::plan::Plan;
use super::{Action, Epoch, State};

/// Reloads begin no closer together than this: a storm of HUP must not become a storm of forks.
const INTERVAL: Duration = Duration::from_secs(1);

/// When reloads begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pacing {
    /// HUP came, and the reload it asked for has not begun.
    pub(super) wanted: bool,
    not_before: Duration,
    /// The process that is trying the new code.
    trial: Option<i32>,
}

impl Pacing {
    pub(super) const fn is_trying(self) -> bool {
        self.trial.is_some()
    }

    pub(super) fn due(self) -> Option<Duration> {
        (self.wanted && self.trial.is_none()).then_some(self.not_before)
    }
}

impl State {
    pub(super) fn reload_when_due(&mut self, now: Duration) {
        if self.shutdown.is_some() || self.reloads.due().is_none_or(|at| at > now) {
            return;
        }
        self.reloads = Pacing { wanted: false, not_before: now + INTERVAL, trial: None };
        self.log(Level::Info, format!("Hang up: {}", self.name()));
        self.actions.push(Action::Reload);
    }

    /// A preloaded application is in this process, so another one finds out whether its new code loads.
    pub(super) const fn begin_trial(&mut self, pid: i32) {
        self.reloads.trial = Some(pid);
    }

    pub(super) fn end_trial(&mut self, verdict: Result<(), String>) {
        if self.reloads.trial.take().is_none() || self.shutdown.is_some() {
            return;
        }
        match verdict {
            Ok(()) => self.actions.push(Action::Reexec),
            Err(reason) => self.refuse_reload(&reason),
        }
    }

    pub(super) fn abandon_trial(&mut self) {
        let trial = self.reloads.trial.take();
        self.actions.extend(trial.map(|pid| Action::Kill { pid, signal: Signal::SIGKILL }));
    }

    pub(super) fn begin_generation(&mut self, plan: Plan, now: Duration) {
        if self.shutdown.is_some() {
            return;
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        self.target = plan.workers;
        // Workers have no business dying for the previous configuration's pauses.
        (self.failures, self.spawn_after) = (0, now);
        let replaced = std::mem::replace(&mut self.current, Epoch { generation, plan });
        // A generation that was itself never ready is not worth falling back to: the one before it is.
        if self.fallback.is_none() {
            self.fallback = Some(replaced);
        } else {
            self.stop_generation(replaced.generation, now);
        }
    }

    pub(super) fn refuse_reload(&mut self, reason: &str) {
        let generation = self.current.generation;
        self.log(Level::Error, format!("Reload failed, generation {generation} keeps serving: {reason}"));
    }

    /// The first worker of the new generation to finish booting failed. True if there was a generation to go back to.
    pub(super) fn give_up_generation(&mut self, now: Duration) -> bool {
        if !self.booted {
            return false;
        }
        let Some(fallback) = self.fallback.take() else { return false };
        let failed = std::mem::replace(&mut self.current, fallback);
        self.target = self.current.plan.workers;
        let generation = self.current.generation;
        self.log(
            Level::Error,
            format!("Reload failed: the new workers do not boot. Generation {generation} keeps serving."),
        );
        self.stop_generation(failed.generation, now);
        self.actions.push(Action::Restore { generation });
        true
    }

    /// Asks as many old workers to go as new ones are ready; all of them when the new generation is complete.
    pub(super) fn retire_replaced(&mut self, now: Duration) {
        let generation = self.current.generation;
        let ready = self.active().filter(|worker| worker.generation == generation && worker.ready).count();
        let old: Vec<u64> =
            self.active().filter(|worker| worker.generation != generation).map(|w| w.age).collect();
        // Even a smaller number of workers is reached only once the new generation has shown that it boots.
        if ready == 0 && self.target > 0 {
            return;
        }
        let keep = self.target.saturating_sub(ready);
        for age in old.iter().take(old.len().saturating_sub(keep)) {
            self.stop(*age, Signal::SIGTERM, now);
        }
    }

    fn stop_generation(&mut self, generation: u32, now: Duration) {
        let ages: Vec<u64> = self.active().filter(|w| w.generation == generation).map(|w| w.age).collect();
        for age in ages {
            self.stop(age, Signal::SIGTERM, now);
        }
    }
}
