//! Taking new connections: one at a time, in turns with the sibling workers, and with manners when descriptors run out.
//!
//! Owns whether the reactor accepts at all. Must never take a connection that it could not serve next, save to tell its
//! client so (`waiting.rs`): those in the queue belong to whichever worker is free first. Read next: `balance.rs`, whose
//! turn it is.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::{EXHAUSTED_PAUSE, Reactor, SPECIAL};
use crate::http::{self, PeerError};
use crate::net::Listener;
use crate::net::poller::Interest;
use crate::worker::connection::{Connection, is_exhaustion};
use crate::wsgi::Exchange;

/// A state that lasts is told this often.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

impl Reactor {
    pub(super) fn start_accepting(&mut self) -> io::Result<()> {
        self.end_pause();
        if !mem::replace(&mut self.accepting, true) {
            self.show_load();
            for (index, listener) in self.parts.listeners.iter().enumerate() {
                self.poller.add(listener, SPECIAL | index as u64, self.listener_interest())?;
            }
        }
        Ok(())
    }

    /// A stop has not ended accepting, or has to begin it again.
    pub(super) fn keep_accepting(&mut self) {
        if !self.accepting
            && self.resume.is_none()
            && let Err(error) = self.start_accepting()
        {
            log::error!("Cannot wait for connections: {error}");
            self.resume = Some(self.now + EXHAUSTED_PAUSE);
        }
    }

    fn end_pause(&mut self) {
        self.resume = None;
        self.balance.stays();
    }

    /// A connection waits in the queue of one of these.
    pub(super) fn ready_to_accept(&self, among: impl Fn(&Listener) -> bool) -> bool {
        self.parts.listeners.iter().filter(|listener| among(listener)).any(Listener::has_waiting)
    }

    /// A sibling may have been woken for a connection and have died before it took it: nobody else is woken for that
    /// one. Adding the listener again reports what waits.
    pub(super) fn renew_listeners(&mut self) {
        if self.accepting && self.parts.siblings {
            for (index, listener) in self.parts.listeners.iter().enumerate() {
                self.take_turns(index, listener);
            }
        }
    }

    /// The kernel wakes the first in its queue: to the end of it, so that all workers get their share.
    pub(super) fn take_turns(&self, index: usize, listener: &Listener) {
        let _ = self.poller.remove(listener);
        if let Err(error) = self.poller.add(listener, SPECIAL | index as u64, self.listener_interest()) {
            log::error!("Cannot wait for connections: {error}");
        }
    }

    pub(super) fn stop_accepting(&mut self) {
        self.leave_listeners();
        self.end_pause();
        self.show_load();
    }

    pub(super) fn leave_listeners(&mut self) {
        if mem::take(&mut self.accepting) {
            for listener in self.parts.listeners.iter() {
                let _ = self.poller.remove(listener);
            }
        }
    }

    const fn listener_interest(&self) -> Interest {
        if self.parts.siblings { Interest::Exclusive } else { Interest::Readable }
    }

    /// Takes one connection. Its token, if its request is there already.
    pub(super) fn accept(&mut self, index: usize) -> Option<u64> {
        if self.saturated && !self.waiting.accepts {
            self.stop_accepting();
        }
        if !self.accepting && !self.waiting.accepts {
            return None;
        }
        let listeners = Arc::clone(&self.parts.listeners);
        let listener = listeners.get(index)?;
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                self.crowded = false;
                // Else none waits after all, or the client went away again.
                if is_exhaustion(&error) {
                    self.on_exhaustion(&error);
                }
                return None;
            }
        };
        if self.table.len() >= self.parts.worker_connections {
            self.evict();
        }
        let protocol = http::Connection::new(Arc::clone(&self.parts.policy), peer.ip());
        let exchange = Exchange::new(stream, peer, protocol, Arc::clone(&self.parts.patience));
        let connection = Connection::new(exchange, index, self.buffers.share(), self.now);
        let token = self.table.insert(Box::new(connection));
        self.show_load();
        if self.parts.siblings && self.accepting {
            self.take_place(index, listener);
        }
        self.advance(token)
    }

    /// Descriptors or memory ran out. A client that is still sending its request gives way; if there is none, accepting
    /// pauses, so that the worker does not spin.
    fn on_exhaustion(&mut self, error: &io::Error) {
        if self.complain_after <= self.now {
            log::error!("Cannot accept connections: {error}. Raise the limit, or lower worker_connections.");
            self.complain_after = self.now + COMPLAINT_PAUSE;
        }
        if !self.evict() {
            self.stop_accepting();
            self.resume = Some(self.now + EXHAUSTED_PAUSE);
        }
    }

    /// Makes room: the client that has been sending its request for longest is told to come again, without waiting
    /// for it to hear. False if there is none.
    fn evict(&mut self) -> bool {
        let Some(token) = self.table.oldest(Connection::is_receiving) else { return false };
        self.refuse_slow(token, PeerError::Crowded);
        self.close(token);
        true
    }
}
