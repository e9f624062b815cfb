//! When a worker has served its time: after so many requests, so many seconds, with so much memory, or when one of its
//! threads is stuck.
//!
//! Owns the limits and the one moment at which the first of them is reached. A worn worker serves on: the master starts
//! its replacement, and only then asks it to go. Must never end a request. Read next: `arbiter/state/balance.rs`.

use std::time::Duration;

use crate::sys::memory;

/// How often memory is looked at: a file is read for it.
const LOOK: Duration = Duration::from_secs(1);

/// What one worker may use up, jitter included; zero means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub requests: usize,
    pub lifetime: Duration,
    /// Bytes of physical memory.
    pub memory: u64,
}

pub(super) struct Wear {
    limits: Limits,
    requests: usize,
    /// When its lifetime is over (monotonic).
    end: Duration,
    next_look: Duration,
    worn: bool,
}

impl Wear {
    pub(super) fn new(limits: Limits, now: Duration) -> Self {
        Self { limits, requests: 0, end: now + limits.lifetime, next_look: now + LOOK, worn: false }
    }

    /// A request is about to be served. The result is what to log if that wears the worker out.
    pub(super) fn count(&mut self) -> Option<String> {
        self.requests += 1;
        let reached = self.limits.requests > 0 && self.requests >= self.limits.requests;
        self.wear_out(reached, || "Autorestarting worker after current request.".to_owned())
    }

    /// Time has passed. The result is what to log if the worker turns out to be worn.
    pub(super) fn look(&mut self, now: Duration) -> Option<String> {
        let lifetime = self.limits.lifetime;
        self.wear_out(!lifetime.is_zero() && now >= self.end, || {
            format!("Replacing this worker: it is {} s old.", lifetime.as_secs())
        })
        .or_else(|| self.look_at_memory(now, memory::resident))
    }

    /// A thread of it has been in the application for so long that it is given up.
    pub(super) fn stick(&mut self, age: Duration) -> Option<String> {
        let age = age.as_secs_f64();
        self.wear_out(true, || {
            format!("Replacing this worker: a request has been in the application for {age:.1} s.")
        })
    }

    fn look_at_memory(&mut self, now: Duration, resident: impl Fn() -> Option<u64>) -> Option<String> {
        if self.limits.memory == 0 || self.worn || now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let (held, limit) = (resident()?, self.limits.memory);
        self.wear_out(held > limit, || {
            let [held, limit] = [held, limit].map(|bytes| bytes >> 20);
            format!("Replacing this worker: it holds {held} MiB of memory, more than {limit} MiB.")
        })
    }

    fn wear_out(&mut self, reached: bool, why: impl FnOnce() -> String) -> Option<String> {
        if !reached || std::mem::replace(&mut self.worn, true) {
            return None;
        }
        Some(why())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_wear_a_worker_out_once() {
        let mut wear = Wear::new(Limits { requests: 3, ..Limits::default() }, SECOND);
        let said: Vec<bool> = (0..6).map(|_| wear.count().is_some()).collect();
        assert_eq!(said, [false, false, true, false, false, false]);
    }

    #[test]
    fn time_wears_a_worker_out_once() {
        let mut wear = Wear::new(Limits { lifetime: 5 * SECOND, ..Limits::default() }, SECOND);
        assert_eq!(wear.look(5 * SECOND), None);
        assert_eq!(wear.look(6 * SECOND).as_deref(), Some("Replacing this worker: it is 5 s old."));
        assert_eq!(wear.look(9 * SECOND), None);
    }

    #[test]
    fn memory_is_looked_at_once_a_second() {
        let mut wear = Wear::new(Limits { memory: 100 << 20, ..Limits::default() }, SECOND);
        let large = || Some(150 << 20);
        assert_eq!(wear.look_at_memory(SECOND, large), None);
        assert_eq!(wear.look_at_memory(2 * SECOND, || Some(100 << 20)), None);
        assert_eq!(wear.look_at_memory(2 * SECOND, large), None, "not so soon again");
        let said = wear.look_at_memory(3 * SECOND, large).unwrap();
        assert!(said.contains("150 MiB of memory, more than 100 MiB"), "{said}");
    }

    #[test]
    fn a_thread_that_is_given_up_wears_a_worker_out_once() {
        let mut wear = Wear::new(Limits::default(), Duration::ZERO);
        assert!(wear.stick(SECOND * 2).unwrap().ends_with("in the application for 2.0 s."));
        assert_eq!(wear.stick(SECOND), None);
    }

    #[test]
    fn without_limits_nothing_wears() {
        let mut wear = Wear::new(Limits::default(), Duration::ZERO);
        assert!((0..1000).all(|_| wear.count().is_none()));
        assert_eq!(wear.look(Duration::from_secs(1 << 30)), None);
    }
}
