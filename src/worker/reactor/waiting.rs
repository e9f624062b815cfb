//! Requests that wait for a thread, and the bound on them: those beyond it are told to come again.
//!
//! Owns what is done while every thread is in the application and `max_waiting_requests` is set. Clients in the queue of
//! the socket cannot be told without being accepted, so they are, but only now and then, and not while a sibling that
//! shares the queue has a thread to spare: that one is woken for them. Must never turn anybody away at a stop, which answers all that
//! came. Read next: `accept.rs`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Reactor, SPECIAL};
use crate::sys::reason::reason;

/// Who waits in the queue of the socket is left so long to siblings that are busy as well.
const CHANCE: Duration = Duration::from_millis(50);
/// A thread that has been in the application for less may be free at once.
const SHORT: Duration = Duration::from_millis(10);
/// What is taken from one queue at a time: those who are connected get their turns.
const ROUND: usize = 128;
/// When who is turned away may come again, in seconds.
const RETRY_AFTER: u64 = 1;
/// Answers are counted and told this often.
const TELLING_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Since when somebody waits in a queue, and no sibling could have taken him.
    since: Option<Duration>,
    /// Connections are taken, though there is no thread for them.
    pub(super) accepts: bool,
    /// Answers that the log does not know of, and when it may be told.
    untold: usize,
    tell_after: Duration,
}

impl Waiting {
    /// How many answers are to be told now.
    fn tell(&mut self, now: Duration) -> Option<usize> {
        if self.untold == 0 || now < self.tell_after {
            return None;
        }
        self.tell_after = now + TELLING_PAUSE;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Reactor {
    const fn is_bounded(&self) -> bool {
        self.parts.max_waiting_requests > 0 && self.stopping.is_none()
    }

    /// Whether siblings get the connections that wait, or nobody waits.
    fn leaves_queue(&mut self) -> bool {
        let (siblings, now) = (self.parts.siblings, self.now);
        let (slot, threads) = (&self.parts.slot, self.parts.threads);
        if siblings && slot.sibling_is_free(threads, now.saturating_sub(SHORT))
            || !self.ready_to_accept(|_| true)
        {
            self.waiting.since = None;
            return true;
        }
        let since = *self.waiting.since.get_or_insert(now);
        siblings && now.saturating_sub(since) < CHANCE
    }

    /// Takes the connections that nobody else takes, though there is no thread for them.
    pub(super) fn accept_to_tell(&mut self) {
        if !self.is_bounded() || self.leaves_queue() {
            return;
        }
        self.waiting.since = None;
        self.waiting.accepts = true;
        let listeners = Arc::clone(&self.parts.listeners);
        for (index, listener) in listeners.iter().enumerate() {
            // Where descriptors ran out accepting pauses.
            let mut taken = 0..ROUND;
            while self.resume.is_none() && listener.has_waiting() && taken.next().is_some() {
                if let Some(token) = self.guarded(SPECIAL | index as u64) {
                    self.wait_for_thread(token);
                }
            }
        }
        self.waiting.accepts = false;
    }

    /// Those that came last go first.
    pub(super) fn turn_away(&mut self) {
        while self.is_bounded() && self.complete.len() > self.parts.max_waiting_requests {
            let Some(token) = self.complete.pop_back() else { return };
            let Some(connection) = self.table.get_mut(token) else { continue };
            connection.exchange.turn_away(RETRY_AFTER);
            self.waiting.untold += 1;
            self.drain(token);
        }
        self.tell_turned_away();
    }

    /// Its body cannot be written to a file. The client may come again: disks fill up, and are cleared.
    pub(super) fn turn_away_upload(&mut self, token: u64, error: &io::Error) {
        let Some(connection) = self.table.get_mut(token) else { return };
        connection.exchange.drop_spool();
        connection.exchange.turn_away(RETRY_AFTER);
        let directory = connection.exchange.patience.spool_directory.display();
        if self.complain_of_spool_after <= self.now {
            log::error!(
                "Cannot keep a large body in {directory}: {}. Its client is answered 503. {} (request_spool)",
                reason(error),
                advice(error)
            );
            self.complain_of_spool_after = self.now + TELLING_PAUSE;
        }
        self.drain(token);
    }

    pub(super) fn tell_turned_away(&mut self) {
        if let Some(count) = self.waiting.tell(self.now) {
            let bound = self.parts.max_waiting_requests;
            log::warn!(
                "Every thread is busy and {bound} requests wait (max_waiting_requests): answered 503 to {count} more."
            );
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "Raise the limit of open files, or lower worker_connections.",
        Some(libc::EFBIG) => "Raise the limit of a file's size, or lower request_spool.",
        Some(libc::ENOSPC | libc::EDQUOT) => "Make room there, or set tmp_upload_dir to a larger place.",
        _ => "Set tmp_upload_dir to a directory that the workers can write to.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn answers_are_counted_between_two_warnings() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.tell(SECOND), None);
        waiting.untold += 1;
        assert_eq!(waiting.tell(SECOND), Some(1));
        waiting.untold += 7;
        assert_eq!(waiting.tell(10 * SECOND), None);
        assert_eq!(waiting.tell(11 * SECOND), Some(7));
        assert_eq!(waiting.tell(30 * SECOND), None);
    }
}
