//! The shared memory between the arbiter and its workers: one slot a worker, written by that worker alone.
//!
//! Owns: the layout, the writing half (`SlotWriter`) and the reading half (`SlotView`, a copy). Must never hold a
//! pointer, a lock or anything but plain atomics: a worker may die between any two stores, and the arbiter takes every
//! number from here as a hint, never as an index or a length it did not check.

mod latency;
mod loads;
mod share;
mod slot;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::shared::{Shareable, SharedMap};

pub use latency::Latencies;
pub use share::{Balance, Place, is_clearly_more, place};
pub use slot::{Serving, SlotView, SlotWriter, Stage};

/// Workers that can exist at one time, of all generations. Pages of unused slots are never touched.
pub const SLOTS: usize = 1024;

/// Raised when the meaning of a field changes: a program of another version must not read this one's board.
pub const LAYOUT: u32 = 4;

struct Board {
    /// The generation whose boot failure has been told, so that it is told once however many workers meet it.
    reported: AtomicU32,
    /// What was told last by a worker for all of them.
    noticed: AtomicU32,
    /// The service ends: what is queued on the sockets is to be answered.
    draining: AtomicU32,
    loads: loads::Loads,
    slots: [slot::Slot; SLOTS],
}

// SAFETY: nothing but atomics and arrays of them, see `Slot`.
unsafe impl Shareable for Board {}

/// A handle to the shared memory; clones see the same memory, as do forked children.
#[derive(Clone)]
pub struct Scoreboard {
    board: Arc<SharedMap<Board>>,
}

impl Scoreboard {
    /// Maps an empty scoreboard. Must be made before the first fork.
    pub fn new() -> io::Result<Self> {
        Ok(Self { board: Arc::new(SharedMap::new()?) })
    }

    /// The scoreboard of the program that this one has replaced. `InvalidData` if its layout is another one.
    pub fn of(file: OwnedFd) -> io::Result<Self> {
        Ok(Self { board: Arc::new(SharedMap::of(file)?) })
    }

    pub fn file(&self) -> BorrowedFd<'_> {
        self.board.file().as_fd()
    }

    /// Tells all workers that no other process will accept what they leave in the queues. Only the arbiter calls this.
    pub fn drain(&self) {
        self.board.draining.store(1, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.board.draining.load(Ordering::SeqCst) == 1
    }

    /// Empties a slot for the next worker. Only the arbiter calls this, when the slot's last owner has been reaped.
    pub fn clear(&self, index: usize) {
        if let Some(slot) = self.board.slots.get(index) {
            slot.clear();
            self.board.loads.show(index, None);
        }
    }

    /// The writing half of a slot, for the worker that was given it. `None` if there is no such slot.
    pub fn writer(&self, index: usize) -> Option<SlotWriter> {
        (index < SLOTS).then(|| SlotWriter::new(self.clone(), index))
    }

    /// A copy of what the slot says now. An index out of range reads as an empty slot.
    pub fn view(&self, index: usize) -> SlotView {
        self.board.slots.get(index).map(slot::Slot::view).unwrap_or_default()
    }

    /// True for the first caller of this generation (counted from 1): that one tells why the boot failed.
    pub fn claim_report(&self, generation: u32) -> bool {
        self.board.reported.fetch_max(generation, Ordering::Relaxed) < generation
    }

    /// Whether somebody has told why the boot of this generation failed.
    pub fn has_report(&self, generation: u32) -> bool {
        self.board.reported.load(Ordering::Relaxed) >= generation
    }

    /// True for the first caller in a row with this number: that one tells what all of them have found.
    pub fn claim_notice(&self, number: u32) -> bool {
        self.board.noticed.swap(number, Ordering::Relaxed) != number
    }

    /// Whether a worker other than that of slot `own` may still accept connections.
    fn others_accept(&self, own: usize) -> bool {
        let others = self.board.slots.iter().enumerate().filter(|(index, _)| *index != own);
        others.into_iter().any(|(_, slot)| slot.accepts())
    }

    /// Connections of those who accept, but for slot `own`.
    fn loads_of_others(&self, own: usize) -> impl Iterator<Item = (usize, u32)> {
        self.board.loads.shown().filter(move |(index, _)| *index != own)
    }

    fn slot(&self, index: usize) -> Option<&slot::Slot> {
        self.board.slots.get(index)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_slot_shows_what_its_writer_stored() {
        let board = Scoreboard::new().unwrap();
        let writer = board.writer(3).unwrap();
        writer.set_stage(Stage::Ready);
        writer.beat(Duration::from_millis(1500));
        writer.introduce(1234, 7);
        writer.serve(0, b"GET", b"/report", Duration::from_millis(1400));
        let view = board.view(3);
        assert_eq!(view.stage, Stage::Ready);
        assert_eq!(view.beat, Duration::from_millis(1500));
        let serving = view.serving.first().unwrap();
        assert_eq!((serving.request.as_str(), serving.since), ("GET /report", Duration::from_millis(1400)));
        assert_eq!((view.pid, view.generation, view.requests), (1234, 7, 1));
        writer.idle(0, Duration::from_millis(1404));
        let view = board.view(3);
        assert!(view.serving.is_empty());
        assert_eq!((view.latencies.count(), view.latencies.sum()), (1, Duration::from_millis(4)));
        board.clear(3);
        assert_eq!(board.view(3).stage, Stage::Empty);
    }

    #[test]
    fn a_long_or_hostile_request_line_is_cut_and_made_printable() {
        let board = Scoreboard::new().unwrap();
        let writer = board.writer(0).unwrap();
        writer.serve(0, b"GET", &[b'\x1b'; 5000], Duration::ZERO);
        let request = board.view(0).serving.remove(0).request;
        assert!(request.len() <= slot::REQUEST_BYTES);
        assert!(request.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    }

    #[test]
    fn the_last_one_to_leave_knows_it() {
        let board = Scoreboard::new().unwrap();
        let [first, second] = [0, 1].map(|index| board.writer(index).unwrap());
        first.set_stage(Stage::Ready);
        second.set_stage(Stage::Stopping);
        assert!(!first.leave());
        assert!(second.leave());
        // Two that leave at the same time both take themselves for the last, and look after the queue.
        assert!(first.leave());
    }

    #[test]
    fn a_sibling_with_a_thread_to_spare_is_seen() {
        let board = Scoreboard::new().unwrap();
        let [own, other] = [0, 1].map(|index| board.writer(index).unwrap());
        own.set_stage(Stage::Ready);
        assert!(!own.sibling_is_free(2, Duration::ZERO));
        other.set_stage(Stage::Ready);
        other.serve(0, b"GET", b"/", Duration::ZERO);
        assert!(own.sibling_is_free(2, Duration::ZERO) && !own.sibling_is_free(1, Duration::ZERO));
        other.serve(1, b"GET", b"/", Duration::from_secs(1));
        assert!(own.sibling_is_free(2, Duration::ZERO));
        assert!(!own.sibling_is_free(2, Duration::from_secs(1)));
    }

    #[test]
    fn loads_are_those_of_others_who_accept() {
        let board = Scoreboard::new().unwrap();
        let [own, second, third] = [0, 1, 5].map(|index| board.writer(index).unwrap());
        own.show_load(Some(9));
        assert_eq!(own.loads_of_siblings().count(), 0);
        second.show_load(Some(0));
        third.show_load(Some(7));
        assert_eq!(own.loads_of_siblings().collect::<Vec<_>>(), [(1, 0), (5, 7)]);
        second.show_load(None);
        board.clear(5);
        assert_eq!(own.loads_of_siblings().count(), 0);
        assert_eq!(third.loads_of_siblings().collect::<Vec<_>>(), [(0, 9)]);
    }

    #[test]
    fn garbage_reads_as_something_harmless() {
        let board = Scoreboard::new().unwrap();
        for byte in [0x00u8, 0x7f, 0x80, 0xff] {
            board.slot(5).unwrap().fill(byte);
            let view = board.view(5);
            for serving in &view.serving {
                assert!(serving.request.len() <= slot::REQUEST_BYTES);
                assert!(serving.request.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            }
            let mut total = Latencies::default();
            total.add(&view.latencies);
            total.add(&view.latencies);
            let free = board.writer(0).unwrap().sibling_is_free(2, Duration::ZERO);
            let _ = (total.count(), total.sum(), board.others_accept(0), free);
        }
    }

    #[test]
    fn one_caller_a_generation_reports() {
        let board = Scoreboard::new().unwrap();
        assert!(!board.has_report(1));
        assert!(board.claim_report(1));
        assert!(board.has_report(1) && !board.has_report(2));
        assert!(!board.claim_report(1));
        assert!(board.claim_report(2));
        assert!(!board.claim_report(1));
    }

    #[test]
    fn what_all_have_found_is_told_once_until_another_thing_is() {
        let board = Scoreboard::new().unwrap();
        let claims: Vec<bool> =
            [7, 7, 8, 0, 8].into_iter().map(|number| board.claim_notice(number)).collect();
        assert_eq!(claims, [true, false, true, true, true]);
    }

    #[test]
    fn no_index_is_out_of_range() {
        let board = Scoreboard::new().unwrap();
        assert!(board.writer(SLOTS).is_none());
        assert_eq!(board.view(usize::MAX).stage, Stage::Empty);
        board.clear(usize::MAX);
    }
}
