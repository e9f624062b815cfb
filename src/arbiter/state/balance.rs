//! The number of workers: brought to what is wanted after every event.
//!
//! Owns recycling: a worn worker goes when a fresh one is ready in its place, and only some are replaced at a time. Must
//! never leave fewer ready workers than there were, except when fewer are wanted.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Action, State, Worker};

impl State {
    pub(super) fn balance(&mut self, now: Duration) {
        if self.shutdown.is_some_and(|shutdown| self.carry_on(shutdown, now)) {
            return;
        }
        self.retire_replaced(now);
        self.retire_worn(now);
        let wanted = self.target + self.replacements();
        let count = self.current_workers().count();
        for _ in wanted..count {
            self.stop_surplus(now);
        }
        if now >= self.spawn_after {
            for _ in count..wanted {
                self.spawn(now);
            }
        }
    }

    /// The oldest goes first, as under gunicorn, unless that would leave the work to one that is still booting.
    fn stop_surplus(&mut self, now: Duration) {
        let enough = self.current_workers().filter(|worker| worker.ready).count() > self.target;
        let oldest = self.current_workers().next().map(|worker| worker.age);
        let booting = self.current_workers().filter(|worker| !worker.ready).last().map(|worker| worker.age);
        let chosen = if enough { oldest } else { booting.or(oldest) };
        if let Some(age) = chosen {
            self.stop(age, Signal::SIGTERM, now);
        }
    }

    /// Successors for worn workers that may exist beside the target: a quarter of it, at least one, so that
    /// workers which wear out together do not all import the application at the same time.
    fn replacements(&self) -> usize {
        let worn = self.current_workers().filter(|worker| worker.worn).count();
        worn.min(self.target.div_ceil(4))
    }

    fn retire_worn(&mut self, now: Duration) {
        let ready = self.current_workers().filter(|worker| worker.ready).count();
        let worn: Vec<u64> =
            self.current_workers().filter(|worker| worker.worn).map(|worker| worker.age).collect();
        for age in worn.into_iter().take(ready.saturating_sub(self.target)) {
            self.stop(age, Signal::SIGTERM, now);
        }
    }

    fn current_workers(&self) -> impl Iterator<Item = &Worker> {
        self.active().filter(|worker| worker.generation == self.current.generation)
    }

    fn spawn(&mut self, now: Duration) {
        let age = self.next_age;
        self.next_age += 1;
        let generation = self.current.generation;
        self.workers.push(Worker::new(age, generation, now));
        self.actions.push(Action::Spawn { age, generation });
    }
}
