//! How many connections each worker has, for its siblings to compare theirs with.
//!
//! They lie together, apart from the slots, because who has taken a connection looks at all of them. Stores are relaxed:
//! a number that is a connection old decides nothing that the next one does not put right. Must never be more than a hint:
//! a worker may have died or be stuck with a number in here.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::SLOTS;

#[repr(C, align(64))]
pub(super) struct Loads {
    /// Slots from here on were never used.
    end: AtomicU32,
    /// Connections plus one; zero of a worker that accepts none.
    numbers: [AtomicU32; SLOTS],
}

impl Loads {
    /// For the owner of the slot, and for the arbiter when there is none.
    pub(super) fn show(&self, slot: usize, connections: Option<usize>) {
        let Some(number) = self.numbers.get(slot) else { return };
        let shown = connections.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1));
        number.store(shown, Relaxed);
        if shown > 0 && self.end.load(Relaxed) as usize <= slot {
            self.end.fetch_max(slot as u32 + 1, Relaxed);
        }
    }

    /// Of each worker that accepts.
    pub(super) fn shown(&self) -> impl Iterator<Item = (usize, u32)> {
        let used = self.numbers.iter().take(self.end.load(Relaxed) as usize);
        used.enumerate().filter_map(|(slot, number)| Some((slot, number.load(Relaxed).checked_sub(1)?)))
    }
}
