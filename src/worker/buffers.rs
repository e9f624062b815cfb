//! How much a worker keeps of what its clients have not sent whole, or not read: one account for bodies, one for
//! responses.
//!
//! Owns the sums. What follows from a full account is the reactor's: of bodies no more is read, save a little of each, so
//! that the small ones get through, and when all that are large wait for each other, the oldest of them goes on; of responses the one that moves
//! least is cut off. A [`Share`] that is dropped gives
//! back what it held. Also lends a few buffers: most requests arrive at once, so that one read of what is there does, into
//! memory that was used a moment ago. Must never count what the kernel keeps, or what it lends. Read next: `connection.rs`.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::RequestReader;
use crate::wsgi::EACH;

/// What is lent: 128 KiB of a body, and a head.
const LENT: usize = (128 + 8) * 1024;
/// So many at a time. One thread needs one: who waits for more gives it back.
const LOANS: usize = 4;

#[derive(Debug)]
pub(super) struct Buffers {
    limit: usize,
    bodies: AtomicUsize,
    responses: AtomicUsize,
    /// Bodies that have more than each may have, and those of them that are not read from.
    large: AtomicUsize,
    paused: AtomicUsize,
    lender: Mutex<Lender>,
}

#[derive(Debug, Default)]
struct Lender {
    spare: Vec<Vec<u8>>,
    lent: usize,
}

impl Lender {
    fn lend(&mut self) -> Option<Vec<u8>> {
        if self.lent >= LOANS {
            return None;
        }
        self.lent += 1;
        Some(self.spare.pop().unwrap_or_else(|| vec![0; LENT]))
    }

    /// `None` if it is lost.
    fn take_back(&mut self, buffer: Option<Vec<u8>>) {
        self.lent -= 1;
        self.spare.extend(buffer);
    }
}

/// Who may be read from again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    Nobody,
    All,
    /// Nothing would ever become free: one may have more than there is.
    Oldest,
}

impl Buffers {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            bodies: AtomicUsize::new(0),
            responses: AtomicUsize::new(0),
            large: AtomicUsize::new(0),
            paused: AtomicUsize::new(0),
            lender: Mutex::default(),
        })
    }

    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share {
            buffers: Arc::clone(self),
            body: 0,
            response: 0,
            is_paused: false,
            is_exempt: false,
            has_loan: false,
        }
    }

    pub(super) fn who_resumes(&self) -> Resume {
        match (self.paused.load(Relaxed), self.large.load(Relaxed)) {
            (0, _) => Resume::Nobody,
            // So much that it is worth while.
            _ if self.bodies.load(Relaxed) <= self.limit / 8 * 7 => Resume::All,
            (paused, large) if paused >= large => Resume::Oldest,
            _ => Resume::Nobody,
        }
    }

    fn lender(&self) -> MutexGuard<'_, Lender> {
        self.lender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_too_much_unread(&self) -> bool {
        self.responses.load(Relaxed) > self.limit
    }
}

/// What one connection has of it.
#[derive(Debug)]
pub(super) struct Share {
    buffers: Arc<Buffers>,
    body: usize,
    response: usize,
    is_paused: bool,
    is_exempt: bool,
    has_loan: bool,
}

impl Share {
    /// The request takes up so much now. True if more of it may be read.
    pub(super) fn hold_body(&mut self, size: usize) -> bool {
        let mut was_large = usize::from(self.body > EACH);
        account(&self.buffers.large, &mut was_large, usize::from(size > EACH));
        account(&self.buffers.bodies, &mut self.body, size);
        size <= EACH || self.is_exempt || self.buffers.bodies.load(Relaxed) < self.buffers.limit
    }

    pub(super) fn hold_response(&mut self, size: usize) {
        account(&self.buffers.responses, &mut self.response, size);
    }

    /// A buffer for a request that begins, unless others have them all.
    pub(super) fn borrow(&mut self, reader: &mut RequestReader) {
        if self.has_loan || !reader.lacks_buffer() {
            return;
        }
        if let Some(buffer) = self.buffers.lender().lend() {
            reader.lend(buffer);
            self.has_loan = true;
        }
    }

    /// Its request has to wait, or is over.
    pub(super) fn give_back(&mut self, reader: &mut RequestReader) {
        if mem::take(&mut self.has_loan) {
            self.buffers.lender().take_back(reader.give_back());
        }
    }

    /// Its connection is over.
    pub(super) fn give_up(&mut self, reader: &mut RequestReader) {
        if mem::take(&mut self.has_loan) {
            self.buffers.lender().take_back(reader.forget());
        }
    }

    pub(super) const fn has_loan(&self) -> bool {
        self.has_loan
    }

    pub(super) fn set_paused(&mut self, paused: bool) {
        if self.is_paused != paused {
            self.is_paused = paused;
            let mut before = usize::from(!paused);
            account(&self.buffers.paused, &mut before, usize::from(paused));
        }
    }

    /// The connection goes on to its next request, of which so much is here.
    pub(super) fn begin_again(&mut self, body: usize) {
        self.is_exempt = false;
        self.hold_response(0);
        self.hold_body(body);
    }

    /// From now on the limit is not for this one.
    pub(super) fn exempt(&mut self) {
        self.is_exempt = true;
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set_paused(false);
        self.hold_body(0);
        self.hold_response(0);
        if self.has_loan {
            self.buffers.lender().take_back(None);
        }
    }
}

fn account(total: &AtomicUsize, held: &mut usize, size: usize) {
    if size == *held {
        // As for nearly every request: other cores need not hear of it.
        return;
    }
    if size > *held {
        total.fetch_add(size - *held, Relaxed);
    } else {
        total.fetch_sub(*held - size, Relaxed);
    }
    *held = size;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_account_keeps_large_bodies_waiting() {
        let buffers = Buffers::new(100_000);
        let (mut large, mut small) = (buffers.share(), buffers.share());
        assert!(large.hold_body(60_000));
        assert!(!large.hold_body(100_000));
        large.set_paused(true);
        assert!(small.hold_body(EACH) && !small.hold_body(EACH + 1));
        assert_eq!(buffers.who_resumes(), Resume::Nobody);
        small.hold_body(0);
        large.hold_body(80_000);
        assert_eq!(buffers.who_resumes(), Resume::All);
        drop(large);
        assert_eq!(buffers.who_resumes(), Resume::Nobody);
        assert_eq!((buffers.bodies.load(Relaxed), buffers.large.load(Relaxed)), (0, 0));
    }

    #[test]
    fn bodies_that_wait_for_each_other_do_not_wait_for_ever() {
        let buffers = Buffers::new(100_000);
        let (mut one, mut other) = (buffers.share(), buffers.share());
        assert!(one.hold_body(50_000) && !other.hold_body(50_000));
        other.set_paused(true);
        assert_eq!(buffers.who_resumes(), Resume::Nobody);
        assert!(!one.hold_body(50_001));
        one.set_paused(true);
        assert_eq!(buffers.who_resumes(), Resume::Oldest);
        one.exempt();
        one.set_paused(false);
        assert!(one.hold_body(90_000));
        assert_eq!(buffers.who_resumes(), Resume::Nobody);
    }

    #[test]
    fn buffers_are_lent_and_come_back() {
        let buffers = Buffers::new(1000);
        let lent_and_spare = || {
            let lender = buffers.lender();
            (lender.lent, lender.spare.len())
        };
        let policy = Arc::default();
        let mut some: Vec<_> = (0..=LOANS).map(|_| (buffers.share(), RequestReader::new(&policy))).collect();
        for (share, reader) in &mut some {
            share.borrow(reader);
            reader.receive(b"GET / HT");
        }
        assert_eq!(some.iter().filter(|(share, _)| share.has_loan()).count(), LOANS);
        some.iter_mut().for_each(|(share, reader)| share.give_back(reader));
        assert!(some.iter().all(|(_, reader)| reader.pipelined() == b"GET / HT"));
        assert_eq!(lent_and_spare(), (0, LOANS));
        let (mut share, mut reader) = (buffers.share(), RequestReader::new(&policy));
        share.borrow(&mut reader);
        drop(share);
        assert_eq!(lent_and_spare(), (0, LOANS - 1), "one is lost");
    }

    #[test]
    fn responses_have_an_account_of_their_own() {
        let buffers = Buffers::new(1000);
        let mut share = buffers.share();
        share.hold_response(1001);
        assert!(buffers.has_too_much_unread());
        drop(share);
        assert!(!buffers.has_too_much_unread());
    }
}
