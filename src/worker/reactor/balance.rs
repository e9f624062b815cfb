//! Sharing kept connections with siblings: who has clearly more than another lets that one take the next.
//!
//! Owns the place of this worker in the kernel's queue of those who wait at a listener (`scoreboard::share` chooses it):
//!
//! ```text
//!   about as many as the others ─────────────────▶ to the end of the queue
//!   clearly fewer than another, and catching up ─▶ it stays where it is, at the head
//!   clearly more than a sibling that is free ────▶ out of it for a moment, and then to the end
//! ```
//!
//! Who is woken takes one connection in any case: nobody else was woken for that one, so it must not wait. A pause ends as
//! soon as the others have caught up, and after some milliseconds if those who have fewer do not take what waits. Must
//! never cost anything where connections are not kept, or where there is no sibling. Read next: `accept.rs`.

use std::mem;
use std::time::Duration;

use super::Reactor;
use crate::net::Listener;
use crate::scoreboard::{Place, is_clearly_more, place};

/// A sibling that has been in the application for longer does not count as one that could take a connection.
const SHORT: Duration = Duration::from_millis(5);

impl Reactor {
    const fn balances(&self) -> bool {
        self.parts.siblings && !self.parts.keepalive.is_zero()
    }

    /// One that stops is not to be waited for.
    pub(super) fn show_load(&self) {
        if self.balances() {
            let accepts = (self.accepting || self.balance.pauses()) && self.stopping.is_none();
            self.parts.slot.show_load(accepts.then(|| self.table.len()));
        }
    }

    fn load(&self) -> u32 {
        u32::try_from(self.table.len()).unwrap_or(u32::MAX)
    }

    /// A sibling that could take the next connection has clearly fewer.
    pub(super) fn has_too_many(&self) -> bool {
        let (own, slot, threads) = (self.load(), &self.parts.slot, self.parts.threads);
        let before = self.now.saturating_sub(SHORT);
        self.balances()
            && self.stopping.is_none()
            && slot
                .loads_of_siblings()
                .any(|(sibling, load)| is_clearly_more(own, load) && slot.is_free(sibling, threads, before))
    }

    /// A connection of this listener was taken.
    pub(super) fn take_place(&mut self, index: usize, listener: &Listener) {
        let place = if self.balances() { self.place() } else { Place::End };
        match place {
            Place::Head => {}
            Place::Aside if self.has_too_many() && self.balance.steps_aside() => {
                self.pause();
            }
            Place::Aside | Place::End => self.take_turns(index, listener),
        }
    }

    fn place(&mut self) -> Place {
        let own = self.load();
        let before = mem::replace(&mut self.balance.before, own);
        place(own, before, self.parts.slot.loads_of_siblings().map(|(_, load)| load))
    }

    fn pause(&mut self) {
        self.leave_listeners();
        self.resume = Some(self.now + self.balance.pause());
    }

    /// Whether accepting starts again: after its pause, or because siblings have caught up.
    pub(super) fn ends_pause(&mut self) -> bool {
        let Some(at) = self.resume else { return false };
        let is_over = at <= self.now;
        if !self.balance.pauses() {
            return is_over;
        }
        if !self.has_too_many() || is_over && !self.ready_to_accept(|_| true) {
            self.balance.trust();
            return true;
        }
        if is_over && let Some(longer) = self.balance.insist() {
            self.resume = Some(self.now + longer);
            return false;
        }
        is_over
    }
}
