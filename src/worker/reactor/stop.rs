//! The end of a worker: what has begun is finished, and what waits on the sockets is answered if nobody else will.
//!
//! ```text
//!   asked to stop ──▶ finishing ──────────────── everything answered, and no word that the service ends ──▶ gone
//!                        │ the service ends
//!                        ▼
//!                     draining (accepts on) ── nothing waits, or out of patience ──▶ the last of its kind?
//!                                                          no ──▶ gone │ yes: no new connections ──▶ emptied ──▶ gone
//! ```
//!
//! Must never leave while a connection it accepted can still be answered in time. Where siblings or another master go on
//! accepting, the queue is theirs.

use std::time::Duration;

use super::super::connection::Connection;
use super::super::life::{self, Stop};
use super::{EXHAUSTED_PAUSE, Reactor};
use crate::scoreboard::Stage;
use crate::wsgi::{INCOMPLETE_LIMIT, SILENT_LIMIT};

/// A client that has its response is waited for that much less than usual before its connection is closed.
const LINGER_LESS: Duration = Duration::from_millis(1500);
/// A worker that was asked to go looks this long for word from the master that the whole service ends: a supervisor may
/// signal all processes at once. It is also how long handshakes under way get to finish.
const SETTLING: Duration = Duration::from_millis(100);
/// The same for a socket of the worker's own, on whose address its siblings listen: whoever is kept off has to wait for a
/// second, so as few as possible are. It does for handshakes on the machine itself, and from a proxy beside it.
const OWN_SETTLING: Duration = Duration::from_millis(2);
/// Clients that keep coming are not served for longer than this once the service ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a stopping worker looks around.
const LOOK: Duration = Duration::from_millis(10);

/// A graceful stop under way.
pub(super) struct Stopping {
    began: Duration,
    /// When it gives up on all.
    end: Duration,
    /// Since when no new connection gets into the queue.
    closed: Option<Duration>,
    /// The queue has been left to others.
    left: bool,
}

impl Stopping {
    pub(super) fn limit(&self, connection: &Connection) -> Duration {
        let limit = if connection.is_silent() {
            // One that was just accepted has its request on the way; an older one is a connection kept in reserve.
            connection.since + SILENT_LIMIT
        } else if connection.is_receiving() {
            connection.since.max(self.began) + INCOMPLETE_LIMIT
        } else if connection.is_lingering() {
            let limit = connection.since.max(self.began) + INCOMPLETE_LIMIT;
            limit.min(connection.deadline.saturating_sub(LINGER_LESS))
        } else {
            self.end
        };
        limit.min(self.end)
    }
}

impl Reactor {
    pub(in crate::worker) fn is_done(&mut self) -> bool {
        match life::asked() {
            Stop::No => false,
            Stop::Quick => true,
            Stop::Graceful => self.has_finished(),
        }
    }

    pub(super) fn impatience(&self) -> Duration {
        match &self.stopping {
            Some(_) => LOOK.min(self.settling()),
            None => EXHAUSTED_PAUSE,
        }
    }

    fn has_finished(&mut self) -> bool {
        let (now, graceful_timeout) = (self.now, self.parts.graceful_timeout);
        if self.stopping.is_none() {
            // A little less than the master waits, so that clients get an orderly close rather than a killed process.
            let end = now + graceful_timeout.mul_f64(0.9);
            self.stopping = Some(Stopping { began: now, end, closed: None, left: false });
            self.parts.slot.set_stage(Stage::Stopping);
            self.show_load();
            self.next_sweep = now;
        }
        let Some(stopping) = &self.stopping else { return false };
        let (began, end, closed, left) = (stopping.began, stopping.end, stopping.closed, stopping.left);
        let empties = !self.parts.shared || self.parts.scoreboard.is_draining();
        if left || !empties || now >= end {
            self.stop_accepting();
            return self.is_empty() && (left || now >= end.min(began + SETTLING));
        }
        self.keep_accepting();
        let settled = self.is_empty() && !self.ready_to_accept(|_| true);
        match closed {
            // A socket that was passed to the server takes connections on, for whoever gets it next.
            Some(since) => {
                now >= since + self.settling()
                    && self.is_empty()
                    && !self.ready_to_accept(|listener| !listener.is_passed())
            }
            None if settled || now >= began + PATIENCE => self.close_queue(settled),
            None => false,
        }
    }

    /// No connection is left but those of threads that are stuck.
    fn is_empty(&self) -> bool {
        self.table.len() <= self.stuck
    }

    /// No worker but the last may shut the door: connections that come until then are served by those who stay.
    fn close_queue(&mut self, settled: bool) -> bool {
        let (last, shared, now) = (self.parts.slot.leave(), self.parts.shared, self.now);
        let Some(stopping) = &mut self.stopping else { return settled };
        if shared && !last {
            stopping.left = true;
            return settled;
        }
        stopping.closed = Some(now);
        for listener in self.parts.listeners.iter() {
            if let Err(error) = listener.refuse_connections() {
                log::debug!("Cannot keep new connections off {}: {error}", listener.url());
            }
        }
        false
    }

    const fn settling(&self) -> Duration {
        if self.parts.shared { SETTLING } else { OWN_SETTLING }
    }
}
