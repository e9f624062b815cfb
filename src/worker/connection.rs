//! One client's connection in a reactor: what it waits for, and until when.
//!
//! ```text
//!   ┌───────────────── the next request, if both sides may ──────────────┐
//!   ▼                                                                   │
//!   Receiving ──request whole──▶ (served) ──▶ Draining ──▶ Lingering ──▶ closed
//!       └── fault, or too slow ──▶ error page ──┘              (when the peer may still be sending)
//! ```

use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use crate::http::{Event, PeerError, Policy, RequestReader};
use crate::net::poller::Interest;
use crate::wsgi::{Drained, Exchange};

/// A head has to be complete this long after the connection was accepted.
pub(super) const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// A body may pause this long; so may a client that reads a response.
pub(super) const PAUSE_LIMIT: Duration = Duration::from_secs(30);
/// After the response the peer has this long to close, or it is closed under what it sends.
const LINGER_LIMIT: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024;

/// A body up to this size is received before the application is called; the rest of a larger one is read by the
/// application, which then waits for the client.
const READ_AHEAD: usize = 1 << 20;
const FIRST_READ: usize = 8 * 1024;
const BODY_READ: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The request is not complete.
    Receiving { in_body: bool },
    /// It is, and waits for a thread that is free.
    Complete,
    /// The kernel has not taken the whole response.
    Draining,
    /// The response is out; what the peer still sends is thrown away so that a reset does not destroy it.
    Lingering { discarded: usize },
}

/// What to do with a connection after it was looked at.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing until it is readable, or writable.
    WaitReadable,
    WaitWritable,
    /// A request is there for the application.
    Serve,
    /// The response is out, and the next request may come, or be here already.
    Next,
    /// The peer broke the protocol.
    Refuse(PeerError),
    Close,
}

pub(super) struct Connection {
    pub exchange: Arc<Exchange>,
    /// Which listener it came from.
    pub listener: usize,
    /// Since when a request is awaited, and until when it may stay as it is (monotonic).
    pub since: Duration,
    pub deadline: Duration,
    pub phase: Phase,
    /// What the poller waits for; `None` if it does not know the socket.
    pub interest: Option<Interest>,
    /// A request was served: the client keeps the connection for others.
    pub kept: bool,
}

impl Connection {
    pub(super) fn new(exchange: Exchange, listener: usize, now: Duration) -> Self {
        Self {
            exchange: Arc::new(exchange),
            listener,
            since: now,
            deadline: now + HEAD_LIMIT,
            phase: Phase::Receiving { in_body: false },
            interest: None,
            kept: false,
        }
    }

    pub(super) const fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Receiving { .. })
    }

    pub(super) const fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }

    /// No byte of a request has come.
    pub(super) fn is_silent(&self) -> bool {
        self.is_receiving() && self.exchange.request().is_none_or(|reader| reader.is_idle())
    }

    /// Reads what is there, until the request is complete or nothing more comes. `keep`: the client may have another one.
    pub(super) fn receive(&mut self, now: Duration, keep: bool) -> Step {
        let exchange = Arc::clone(&self.exchange);
        let Some(mut reader) = exchange.request() else { return Step::Close };
        // Pipelined bytes came with the last request.
        if self.kept
            && !reader.is_idle()
            && let Some(step) = self.progress(&exchange, &mut reader, now, keep)
        {
            return step;
        }
        loop {
            let in_body = matches!(self.phase, Phase::Receiving { in_body: true });
            let room = if in_body { BODY_READ } else { FIRST_READ };
            match exchange.stream.read(reader.spare(room)) {
                Ok(None) => return Step::WaitReadable,
                Ok(Some(0)) => reader.receive_eof(),
                Ok(Some(count)) => reader.filled(count),
                Err(_) => return Step::Close,
            }
            if in_body {
                self.deadline = now + PAUSE_LIMIT;
            }
            if let Some(step) = self.progress(&exchange, &mut reader, now, keep) {
                return step;
            }
        }
    }

    /// What the bytes received amount to; `None` if they are not enough.
    fn progress(
        &mut self,
        exchange: &Exchange,
        reader: &mut RequestReader,
        now: Duration,
        keep: bool,
    ) -> Option<Step> {
        loop {
            match reader.next_event() {
                Ok(Event::NeedData) => {
                    if mem::take(&mut self.kept) {
                        self.deadline = now + HEAD_LIMIT;
                    }
                    return None;
                }
                Ok(Event::Head) => {
                    self.kept = false;
                    self.phase = Phase::Receiving { in_body: true };
                    self.deadline = now + PAUSE_LIMIT;
                    if !begin(exchange, reader, keep) {
                        return Some(Step::Close);
                    }
                }
                Ok(Event::Body) if reader.body().len() < READ_AHEAD => {}
                Ok(Event::Body | Event::End) => return Some(Step::Serve),
                Ok(Event::Closed) => return Some(Step::Close),
                Err(fault) => return Some(Step::Refuse(fault)),
            }
        }
    }

    /// Turns to the next request, which may take until `deadline` to begin. False if the connection has to close.
    pub(super) fn next(&mut self, policy: &Arc<Policy>, now: Duration, keepalive: Duration) -> bool {
        self.phase = Phase::Receiving { in_body: false };
        self.kept = true;
        self.since = now;
        self.deadline = now + keepalive;
        Exchange::renew(&mut self.exchange, policy)
    }

    /// Whether bytes of another request are here.
    pub(super) fn has_more(&self) -> bool {
        self.exchange.request().is_some_and(|reader| !reader.is_idle())
    }

    /// Hands the kernel what it takes of the response.
    pub(super) fn drain(&mut self, now: Duration) -> Step {
        let exchange = Arc::clone(&self.exchange);
        let Some(mut response) = exchange.response() else { return Step::Close };
        match response.drain(&exchange.stream) {
            Ok(Drained::All) => {
                drop(response);
                self.after_response(now)
            }
            Ok(Drained::Partly) => {
                self.phase = Phase::Draining;
                self.deadline = now + PAUSE_LIMIT;
                Step::WaitWritable
            }
            Err(_) => Step::Close,
        }
    }

    /// The response is out. Closing under bytes that are still to come would reset the connection, and the client could
    /// lose the response (RFC 9112 section 9.6): wait for the peer to close, for a while.
    fn after_response(&mut self, now: Duration) -> Step {
        let (persistent, consumed) = match (self.exchange.request(), self.exchange.response()) {
            (Some(reader), Some(response)) => {
                let ended = reader.body_ended();
                (ended && response.writer.is_persistent(), ended && reader.pipelined().is_empty())
            }
            _ => (false, false),
        };
        if persistent {
            return Step::Next;
        }
        if consumed {
            return Step::Close;
        }
        self.exchange.stream.finish_writing();
        self.phase = Phase::Lingering { discarded: 0 };
        self.deadline = now + LINGER_LIMIT;
        self.linger()
    }

    /// Throws away what the peer sends.
    pub(super) fn linger(&mut self) -> Step {
        let Phase::Lingering { discarded } = &mut self.phase else { return Step::Close };
        let mut waste = [0; 8192];
        while *discarded < LINGER_BYTES {
            match self.exchange.stream.read(&mut waste) {
                Ok(None) => return Step::WaitReadable,
                Ok(Some(0)) | Err(_) => return Step::Close,
                Ok(Some(count)) => *discarded += count,
            }
        }
        Step::Close
    }
}

/// The head is there: the response's side learns of it, and a client that waits for a go-ahead gets one.
fn begin(exchange: &Exchange, reader: &mut RequestReader, keep: bool) -> bool {
    let Some(mut response) = exchange.response() else { return false };
    let wants_continue = reader.wants_continue();
    let Some(head) = reader.head() else { return false };
    response.writer.begin(&head, keep);
    if wants_continue {
        // 100 has no fields, so there is nothing to refuse.
        let _ = response.writer.informational(100, &[]);
        return response.drain(&exchange.stream).map(drop).is_ok();
    }
    true
}

/// Failures of accept(2) that say something about this process, not about the client that went away.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    use nix::libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM))
}
