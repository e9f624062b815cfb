//! How long requests took: a histogram that one process counts and another adds up.
//!
//! Owns the bounds of the buckets, OpenTelemetry's for HTTP, so that ready-made dashboards fit. What is read from shared
//! memory is added with saturation: garbage may make a number large, never a panic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds in milliseconds; one more bucket holds what took longer.
const BOUNDS: [u64; 14] = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000];
const BUCKETS: usize = BOUNDS.len() + 1;

/// The writing side, in shared memory.
#[repr(C)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    microseconds: AtomicU64,
}

/// A copy, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    buckets: [u64; BUCKETS],
    microseconds: u64,
}

impl Histogram {
    pub(super) fn count(&self, took: Duration) {
        // Most are in the first bucket.
        let is_short = BOUNDS.first().is_some_and(|bound| took <= Duration::from_millis(*bound));
        let longer = |bound: &u64| Duration::from_millis(*bound) < took;
        let index = if is_short { 0 } else { BOUNDS.partition_point(longer) };
        if let Some(bucket) = self.buckets.get(index) {
            increase(bucket, 1);
        }
        increase(&self.microseconds, took.as_micros() as u64);
    }

    pub(super) fn clear(&self) {
        self.counters().for_each(|counter| counter.store(0, Relaxed));
    }

    pub(super) fn view(&self) -> Latencies {
        let buckets = std::array::from_fn(|index| self.buckets.get(index).map_or(0, |n| n.load(Relaxed)));
        Latencies { buckets, microseconds: self.microseconds.load(Relaxed) }
    }

    pub(super) fn counters(&self) -> impl Iterator<Item = &AtomicU64> {
        self.buckets.iter().chain([&self.microseconds])
    }
}

/// One writer: a load and a store count as well as an atomic addition, and cheaper.
pub(super) fn increase(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Latencies {
    pub fn add(&mut self, other: &Self) {
        for (total, more) in self.buckets.iter_mut().zip(other.buckets) {
            *total = total.saturating_add(more);
        }
        self.microseconds = self.microseconds.saturating_add(other.microseconds);
    }

    /// Requests that have been counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |total, more| total.saturating_add(*more))
    }

    /// The time they took together.
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.microseconds)
    }

    /// Upper bound and requests that took no longer, from the shortest to the longest; `None` is no bound.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_millis(*bound))).chain([None]);
        let sums = self.buckets.iter().scan(0u64, |total, more| {
            *total = total.saturating_add(*more);
            Some(*total)
        });
        bounds.zip(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram =
            Histogram { buckets: [const { AtomicU64::new(0) }; BUCKETS], microseconds: AtomicU64::new(0) };
        for milliseconds in [0, 5, 6, 10_000, 10_001, 600_000] {
            histogram.count(Duration::from_millis(milliseconds));
        }
        let seen: Vec<(Option<Duration>, u64)> = histogram.view().cumulative().collect();
        assert_eq!(seen.first(), Some(&(Some(Duration::from_millis(5)), 2)));
        assert_eq!(seen.get(1), Some(&(Some(Duration::from_millis(10)), 3)));
        assert_eq!(seen.get(13), Some(&(Some(Duration::from_secs(10)), 4)));
        assert_eq!(seen.last(), Some(&(None, 6)));
    }
}
