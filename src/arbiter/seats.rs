//! Who sits where: the scoreboard slot and the process of each worker.
//!
//! Owns the slot numbers: one worker a slot, given again only after its owner was reaped. Must never take a number from
//! shared memory. Read next: `scoreboard/mod.rs`.

use std::time::Duration;

use super::handover::Resume;
use super::state::Beat;
use crate::scoreboard::{Latencies, SLOTS, Scoreboard, SlotView, SlotWriter, Stage};

struct Seat {
    age: u64,
    pid: Option<i32>,
    slot: usize,
}

pub(super) struct Seats {
    pub(super) board: Scoreboard,
    taken: Vec<Seat>,
    /// What workers that are gone have counted.
    past: Totals,
}

/// What all workers have counted since the master began; no number of it ever falls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) latencies: Latencies,
}

impl Totals {
    fn add(&mut self, view: &SlotView) {
        self.requests = self.requests.saturating_add(view.requests);
        self.latencies.add(&view.latencies);
    }
}

impl Seats {
    pub(super) fn new(board: Scoreboard) -> Self {
        Self { board, taken: Vec::new(), past: Totals::default() }
    }

    /// The seats of the program before this one, with their workers in them.
    pub(super) fn resume(board: Scoreboard, resume: &Resume) -> Self {
        let mut seats = Self::new(board);
        seats.past.requests = resume.requests;
        for worker in &resume.workers {
            if worker.slot < SLOTS && seats.taken.iter().all(|seat| seat.slot != worker.slot) {
                seats.taken.push(Seat { age: worker.age, pid: Some(worker.pid), slot: worker.slot });
            }
        }
        seats
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.past.clone();
        self.taken.iter().for_each(|seat| totals.add(&self.board.view(seat.slot)));
        totals
    }

    pub(super) const fn past(&self) -> &Totals {
        &self.past
    }

    /// The slot of the worker of this age.
    pub(super) fn slot(&self, age: u64) -> Option<usize> {
        self.taken.iter().find(|seat| seat.age == age).map(|seat| seat.slot)
    }

    /// An empty slot for the worker of this age. `None` when all are taken.
    pub(super) fn take(&mut self, age: u64) -> Option<SlotWriter> {
        let slot = (0..SLOTS).find(|slot| self.taken.iter().all(|seat| seat.slot != *slot))?;
        self.board.clear(slot);
        self.taken.push(Seat { age, pid: None, slot });
        self.board.writer(slot)
    }

    pub(super) fn occupy(&mut self, age: u64, pid: i32) {
        if let Some(seat) = self.taken.iter_mut().find(|seat| seat.age == age) {
            seat.pid = Some(pid);
        }
    }

    /// The fork failed.
    pub(super) fn release(&mut self, age: u64) {
        self.taken.retain(|seat| seat.age != age);
    }

    /// The worker was reaped: whether it had been ready, and what it had in hand.
    pub(super) fn leave(&mut self, pid: i32, now: Duration) -> (bool, Option<String>) {
        let Some(index) = self.taken.iter().position(|seat| seat.pid == Some(pid)) else {
            return (false, None);
        };
        let seat = self.taken.swap_remove(index);
        let view = self.board.view(seat.slot);
        self.past.add(&view);
        // Those who look around for siblings must not see the dead.
        self.board.clear(seat.slot);
        (was_ready(&view), describe(&view, now))
    }

    pub(super) fn beats(&self, now: Duration) -> Vec<Beat> {
        let beat = |seat: &Seat| {
            let view = self.board.view(seat.slot);
            Beat {
                age: seat.age,
                ready: was_ready(&view),
                worn: view.stage == Stage::Worn,
                at: view.beat,
                serving: describe(&view, now),
            }
        };
        self.taken.iter().map(beat).collect()
    }
}

/// One that stops was ready, also when the turn that would have seen it came too late.
const fn was_ready(view: &SlotView) -> bool {
    !matches!(view.stage, Stage::Empty | Stage::Booting)
}

/// `GET /report for 12.4 s`, or that and how many more.
fn describe(view: &SlotView, now: Duration) -> Option<String> {
    let (first, others) = view.serving.split_first()?;
    let seconds = now.saturating_sub(first.since).as_secs_f64();
    let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    Some(format!("{} for {seconds:.1} s{more}", first.request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_given_again_empty() {
        let mut seats = Seats::new(Scoreboard::new().unwrap());
        let writer = seats.take(1).unwrap();
        seats.occupy(1, 100);
        writer.set_stage(Stage::Ready);
        writer.serve(0, b"GET", b"/report", Duration::from_secs(10));
        let beats = seats.beats(Duration::from_millis(22_400));
        assert!(beats[0].ready);
        assert_eq!(beats[0].serving.as_deref(), Some("GET /report for 12.4 s"));
        let left = seats.leave(100, Duration::from_secs(11));
        assert_eq!(left, (true, Some("GET /report for 1.0 s".to_owned())));
        assert_eq!(seats.leave(100, Duration::ZERO), (false, None));
        seats.take(2).unwrap();
        assert!(!seats.beats(Duration::ZERO)[0].ready);
    }

    #[test]
    fn counters_never_fall() {
        let mut seats = Seats::new(Scoreboard::new().unwrap());
        let mut last = 0;
        for age in 1..=20 {
            let writer = seats.take(age).unwrap();
            seats.occupy(age, 100 + age as i32);
            for _ in 0..age {
                writer.serve(0, b"GET", b"/", Duration::ZERO);
                writer.idle(0, Duration::from_millis(3));
                assert!(seats.totals().requests > last);
                last = seats.totals().requests;
            }
            seats.leave(100 + age as i32, Duration::ZERO);
            assert_eq!(seats.totals().requests, last);
        }
        assert_eq!((last, seats.totals().latencies.count()), (210, 210));
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let mut seats = Seats::new(Scoreboard::new().unwrap());
        for age in 0..SLOTS as u64 {
            assert!(seats.take(age).is_some());
        }
        assert!(seats.take(5000).is_none());
        seats.release(7);
        assert!(seats.take(5001).is_some());
    }
}
