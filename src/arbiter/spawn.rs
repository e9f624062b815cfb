//! Forking a worker, and what is left of the master in it.
//!
//! Owns everything between the decision to spawn and `worker::run`. Invariants: no signal reaches a child that still has
//! the master's handlers; a child holds no descriptor of the master's or of another generation, and removes no file.
//! Read next: `worker/mod.rs`.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::run::{Flow, Leave, Master};
use super::state::Event;
use super::{signals, state};
use crate::config::Settings;
use crate::scoreboard::SlotWriter;
use crate::sys::clock;
use crate::sys::fork::{Forked, fork};
use crate::sys::signals::{BlockGuard, block, restore_default};
use crate::worker::{self, Boot, Hooked, Limits, Worker};

/// What a child knows of itself.
pub(super) struct Birth {
    generation: u32,
    slot: SlotWriter,
    limits: Limits,
    blocked: BlockGuard,
    worker: Py<Worker>,
    /// `pre_fork` did not raise.
    fit: bool,
}

impl Master {
    /// Forks a worker. In the child this breaks the loop.
    pub(super) fn spawn(&mut self, py: Python<'_>, age: u64, generation: u32) -> Flow {
        match self.try_spawn(py, age, generation) {
            Ok(Ok(pid)) => {
                self.seats.occupy(age, pid);
                self.feed(py, Event::Spawned { age, pid })
            }
            Ok(Err(birth)) => ControlFlow::Break(Leave::Child(birth)),
            Err(reason) => {
                self.seats.release(age);
                self.feed(py, Event::SpawnFailed { age, reason })
            }
        }
    }

    /// The child's pid, or in the child what it needs.
    fn try_spawn(
        &mut self,
        py: Python<'_>,
        age: u64,
        generation: u32,
    ) -> Result<Result<i32, Box<Birth>>, String> {
        let known = self.generations.get(&generation).ok_or("its generation is gone")?;
        let limits = limits(&known.settings, &mut self.dice);
        let slot = self.seats.take(age).ok_or("the scoreboard is full")?;
        let (worker, fit) =
            self.before_fork(py, age, known, limits.requests).map_err(|error| error.to_string())?;
        let blocked = block(&signals::all()).map_err(|error| error.to_string())?;
        match fork(py).map_err(|error| error.to_string())? {
            Forked::Parent(pid) => {
                self.after_fork(py, pid.as_raw(), worker);
                Ok(Ok(pid.as_raw()))
            }
            Forked::Child => Ok(Err(Box::new(Birth { generation, slot, limits, blocked, worker, fit }))),
        }
    }

    /// The rest of the child's life.
    pub(super) fn into_worker(self, py: Python<'_>, birth: Birth) -> i32 {
        // The policy for workers that do not boot covers those that `pre_fork` refuses, too.
        if !birth.fit {
            return state::BOOT_FAILED;
        }
        let lived = catch_unwind(AssertUnwindSafe(|| match self.boot(py, birth) {
            Ok(boot) => worker::run(py, boot),
            Err(reason) => {
                log::error!("Cannot start a worker: {reason}");
                state::BOOT_FAILED
            }
        }));
        lived.unwrap_or(1)
    }

    fn boot(mut self, py: Python<'_>, birth: Birth) -> Result<Boot, String> {
        let Birth { generation: number, slot, limits, blocked, worker, .. } = birth;
        self.kept.launcher.close();
        restore_default(&signals::all()).map_err(|error| error.to_string())?;
        let generation = self.generations.remove(&number).ok_or("its generation is gone")?;
        let title = format!("rwsgi: worker [{}]", self.title_name(&generation));
        let ends = self.pipes.worker_side();
        // The other generations' sockets: what both have becomes this one's alone.
        self.generations.clear();
        let settings = Arc::clone(&generation.settings);
        let context = Arc::clone(&generation.context);
        self.kept.variables.apply(py, &settings.mechanics.raw_env).map_err(|error| error.to_string())?;
        let (logs, identity) = (generation.logs.clone(), generation.identity.clone());
        logs.after_fork();
        let listeners = generation.into_listeners().map_err(|error| error.to_string())?;
        let config_file = self.kept.sources.config_file(&settings);
        Ok(Boot {
            settings,
            listeners: Arc::new(listeners),
            slot: Arc::new(slot),
            scoreboard: self.seats.board,
            generation: number,
            lifeline: ends.lifeline,
            notice: ends.notice,
            logs,
            identity,
            served: self.kept.served,
            config_file,
            hooked: Arc::new(Hooked { context, server: self.server.into_any(), worker }),
            title,
            limits,
            blocked,
        })
    }
}

fn limits(settings: &Settings, dice: &mut Dice) -> Limits {
    let workers = &settings.workers;
    let mut lengthen = |limit: usize, jitter: usize| match limit {
        0 => 0,
        limit => limit.saturating_add(dice.up_to(jitter)),
    };
    let requests = lengthen(workers.max_requests, workers.max_requests_jitter);
    let [lifetime, jitter] = [workers.max_worker_lifetime, workers.worker_lifetime_jitter]
        .map(|time| usize::try_from(time.as_millis()).unwrap_or(usize::MAX));
    let lifetime = Duration::from_millis(lengthen(lifetime, jitter) as u64);
    Limits { requests, lifetime, memory: workers.max_worker_memory }
}

/// Marsaglia's xorshift64*: enough to keep workers from being replaced all at once.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        let seed = clock::wall().as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        // Zero is the one state it never leaves.
        Self(seed | 1)
    }

    /// A number from 0 to `most`, both possible.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let sides = (most as u64).saturating_add(1);
        (number % sides) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_added_within_its_bounds() {
        let mut settings = Settings::default();
        settings.workers.max_requests_jitter = 3;
        settings.workers.worker_lifetime_jitter = Duration::from_secs(3);
        let mut dice = Dice::new();
        assert_eq!(limits(&settings, &mut dice), Limits::default(), "no limit stays none");
        settings.workers.max_worker_lifetime = Duration::from_secs(7);
        let lifetimes = (0..200).map(|_| limits(&settings, &mut dice).lifetime.as_secs_f64());
        assert!(lifetimes.into_iter().all(|seconds| (7.0..=10.0).contains(&seconds)));
        settings.workers.max_requests = 10;
        let drawn: Vec<usize> = (0..200).map(|_| limits(&settings, &mut dice).requests).collect();
        for number in 10..=13 {
            assert!(drawn.contains(&number), "{number} was never drawn");
        }
        assert!(drawn.iter().all(|number| (10..=13).contains(number)));
    }
}
