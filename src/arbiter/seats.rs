//! Who sits where: the scoreboard slot and the process of each worker.
//!
//! Owns the slot numbers: one worker a slot, given again only after its owner was reaped. Must never take a number from
//! shared memory. Read next: `scoreboard/mod.rs`.

use std::time::Duration;

use super::state::Beat;
use crate::scoreboard::{SLOTS, Scoreboard, SlotView, SlotWriter, Stage};

struct Seat {
    age: u64,
    pid: Option<i32>,
    slot: usize,
}

pub(super) struct Seats {
    pub(super) board: Scoreboard,
    taken: Vec<Seat>,
}

impl Seats {
    pub(super) const fn new(board: Scoreboard) -> Self {
        Self { board, taken: Vec::new() }
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

    /// The worker was reaped: what it had in hand.
    pub(super) fn leave(&mut self, pid: i32, now: Duration) -> Option<String> {
        let index = self.taken.iter().position(|seat| seat.pid == Some(pid))?;
        let seat = self.taken.swap_remove(index);
        describe(&self.board.view(seat.slot), now)
    }

    /// Requests served by the workers that are there now.
    pub(super) fn requests(&self) -> u64 {
        self.taken.iter().map(|seat| self.board.view(seat.slot).requests).fold(0, u64::wrapping_add)
    }

    pub(super) fn beats(&self, now: Duration) -> Vec<Beat> {
        let beat = |seat: &Seat| {
            let view = self.board.view(seat.slot);
            Beat {
                age: seat.age,
                // One that stops was ready, also when the turn that would have seen it came too late.
                ready: matches!(view.stage, Stage::Ready | Stage::Stopping),
                at: view.beat,
                serving: describe(&view, now),
            }
        };
        self.taken.iter().map(beat).collect()
    }
}

/// `GET /report for 12.4 s`.
fn describe(view: &SlotView, now: Duration) -> Option<String> {
    let serving = view.serving.as_ref()?;
    let seconds = now.saturating_sub(serving.since).as_secs_f64();
    Some(format!("{} for {seconds:.1} s", serving.request))
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
        writer.serve("GET", b"/report", Duration::from_secs(10));
        let beats = seats.beats(Duration::from_millis(22_400));
        assert!(beats[0].ready);
        assert_eq!(beats[0].serving.as_deref(), Some("GET /report for 12.4 s"));
        assert_eq!(seats.leave(100, Duration::from_secs(11)).as_deref(), Some("GET /report for 1.0 s"));
        assert_eq!(seats.leave(100, Duration::ZERO), None);
        seats.take(2).unwrap();
        assert!(!seats.beats(Duration::ZERO)[0].ready);
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
