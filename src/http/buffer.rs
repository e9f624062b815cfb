//! The receive buffer of one connection: head, unread input and room for more in one allocation, which is the connection's
//! own and reused for ever, or one that the driver lends it.
//!
//! ```text
//!   | stale | head (kept while a request is in hand) | taken | unread | room |
//!   0       base                                              at       end    bytes.len()
//! ```
//! Invariant: `base <= at <= end <= bytes.len()`, and all of `bytes` is initialised. Bytes move only when at least as
//! much room is won as bytes are moved, so compaction costs a constant per byte received.

use std::ops::Range;

/// A buffer that one large request blew up is given back when it is empty.
const KEEP: usize = 64 * 1024;
const FIRST: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    bytes: Vec<u8>,
    base: usize,
    kept: usize,
    at: usize,
    end: usize,
    /// `bytes` belongs to the driver.
    lent: bool,
}

impl ReceiveBuffer {
    /// Receives into `bytes`, if the connection has no buffer; else they are handed back.
    pub(crate) fn lend(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        if !self.bytes.is_empty() {
            return Some(bytes);
        }
        *self = Self { bytes, lent: true, ..Self::default() };
        None
    }

    /// What was lent, if it is still in use. What is needed of its bytes moves to a buffer of the connection's own.
    pub(crate) fn give_back(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.lent) {
            return None;
        }
        let own = [self.head(), self.unread()].concat();
        (self.base, self.at, self.end) = (0, self.kept, own.len());
        Some(std::mem::replace(&mut self.bytes, own))
    }

    /// The same where the connection is over.
    pub(crate) fn forget(&mut self) -> Option<Vec<u8>> {
        let forgotten = std::mem::take(self);
        forgotten.lent.then_some(forgotten.bytes)
    }

    /// Room for at least `min` bytes.
    pub(crate) fn spare(&mut self, min: usize) -> &mut [u8] {
        let min = min.max(1);
        if self.room() < min {
            self.make_room(min);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    fn room(&self) -> usize {
        self.bytes.len().saturating_sub(self.end)
    }

    fn make_room(&mut self, min: usize) {
        let live = self.kept.saturating_add(self.unread().len());
        if self.end.saturating_sub(live) >= live {
            self.compact(live);
        }
        if self.room() < min {
            let size = self.end.saturating_add(min).next_power_of_two().max(FIRST);
            // Too large for what was lent: the allocation is the connection's from now on.
            self.lent = false;
            self.bytes.resize(size, 0);
        }
    }

    fn compact(&mut self, live: usize) {
        let head = self.head_range();
        self.bytes.copy_within(head, 0);
        self.bytes.copy_within(self.at..self.end, self.kept);
        self.base = 0;
        self.at = self.kept;
        self.end = live;
    }

    fn head_range(&self) -> Range<usize> {
        self.base..self.base.saturating_add(self.kept)
    }

    pub(crate) fn filled(&mut self, n: usize) {
        debug_assert!(n <= self.room());
        self.end = self.end.saturating_add(n).min(self.bytes.len());
    }

    /// Of its own: what is lent is counted by who lends it.
    pub(crate) fn allocated(&self) -> usize {
        if self.lent { 0 } else { self.bytes.len() }
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Received and not yet taken.
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.at..self.end).unwrap_or_default()
    }

    pub(crate) fn take(&mut self, n: usize) {
        self.at = self.at.saturating_add(n).min(self.end);
    }

    /// Takes the first `n` unread bytes as the head, which stays readable until `release`.
    pub(crate) fn keep(&mut self, n: usize) {
        self.base = self.at;
        self.take(n);
        self.kept = self.at.saturating_sub(self.base);
    }

    pub(crate) fn head(&self) -> &[u8] {
        self.bytes.get(self.head_range()).unwrap_or_default()
    }

    pub(crate) fn head_mut(&mut self) -> &mut [u8] {
        let range = self.head_range();
        self.bytes.get_mut(range).unwrap_or_default()
    }

    /// Gives back what is not needed while no more is read.
    pub(crate) fn shrink(&mut self) {
        if self.at == self.end && self.allocated() > KEEP {
            self.bytes = self.head().to_vec();
            (self.base, self.at, self.end) = (0, self.kept, self.kept);
        }
    }

    /// Forgets the head; unread bytes stay.
    pub(crate) fn release(&mut self) {
        self.kept = 0;
        self.base = self.at;
        if self.at == self.end {
            (self.base, self.at, self.end) = (0, 0, 0);
            if self.allocated() > KEEP {
                self.bytes = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEEP, ReceiveBuffer};

    fn receive(buffer: &mut ReceiveBuffer, bytes: &[u8]) {
        buffer.spare(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn the_head_survives_growth_and_compaction() {
        let mut buffer = ReceiveBuffer::default();
        receive(&mut buffer, b"stale");
        buffer.take(5);
        receive(&mut buffer, b"headbody");
        buffer.keep(4);
        for round in 0..10_000_u32 {
            buffer.take(buffer.unread().len() - 2);
            let before = buffer.unread().to_vec();
            receive(&mut buffer, &round.to_le_bytes());
            assert_eq!(buffer.head(), b"head");
            assert_eq!(buffer.unread(), [before, round.to_le_bytes().to_vec()].concat());
        }
        assert!(
            buffer.bytes.len() <= 8192,
            "a body read as it comes needs no more room: {}",
            buffer.bytes.len()
        );
        receive(&mut buffer, &[b'x'; 100_000]);
        assert_eq!(buffer.head(), b"head");
        assert_eq!(buffer.unread().len(), 100_006);
        buffer.take(100_006);
        buffer.shrink();
        assert_eq!((buffer.head(), buffer.bytes.len()), (&b"head"[..], 4));
        receive(&mut buffer, b"next");
        assert_eq!((buffer.head(), buffer.unread()), (&b"head"[..], &b"next"[..]));
        buffer.take(4);
        buffer.release();
        assert!(buffer.bytes.len() <= KEEP);
    }

    #[test]
    fn what_is_lent_comes_back_and_loses_nothing() {
        let mut buffer = ReceiveBuffer::default();
        assert!(buffer.lend(vec![0; KEEP * 2]).is_none());
        assert!(buffer.lend(vec![1]).is_some(), "it has one");
        receive(&mut buffer, b"stalehead and more");
        buffer.take(5);
        buffer.keep(4);
        buffer.take(1);
        assert_eq!(buffer.allocated(), 0);
        assert_eq!(buffer.give_back().map(|lent| lent.len()), Some(KEEP * 2));
        assert_eq!((buffer.head(), buffer.unread()), (&b"head"[..], &b"and more"[..]));
        receive(&mut buffer, b" of it");
        assert_eq!((buffer.head(), buffer.unread()), (&b"head"[..], &b"and more of it"[..]));
        assert!(buffer.give_back().is_none(), "that is its own");
        buffer.take(14);
        buffer.release();
        buffer.forget();
        assert!(buffer.is_absent());
    }

    #[test]
    fn what_is_lent_and_becomes_too_small_is_kept() {
        let mut buffer = ReceiveBuffer::default();
        buffer.lend(vec![0; 4096]);
        receive(&mut buffer, &[b'x'; 5000]);
        assert!(buffer.give_back().is_none() && buffer.allocated() >= 5000);
        assert_eq!(buffer.unread(), [b'x'; 5000]);
        assert!(buffer.forget().is_none());
        buffer.lend(vec![0; KEEP * 2]);
        receive(&mut buffer, b"x");
        buffer.take(1);
        buffer.release();
        assert!(buffer.give_back().is_some_and(|lent| lent.len() == KEEP * 2));
        assert!(buffer.is_absent(), "an idle connection has none");
    }
}
