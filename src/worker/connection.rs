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

use super::buffers::Share;
use super::spooling::{Next, Spooling};
use crate::http::{Event, PeerError, Policy, RequestReader};
use crate::net::poller::Interest;
use crate::wsgi::{Drained, Exchange, LINGER_FACTOR, Objects};

/// How much of what comes after its answer is thrown away before others get their turn.
const LINGER_TURN: usize = 32;

const FIRST_READ: usize = 8 * 1024;
const BODY_READ: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The request is not complete.
    Receiving { in_body: bool },
    /// It is, and waits for a thread that is free.
    Complete,
    /// The kernel has not taken the whole response. The client had taken so much of it when it was looked at last.
    Draining { taken: usize },
    /// The response is out; what the peer still sends is thrown away so that a reset does not destroy it.
    Lingering { end: Duration },
}

/// What to do with a connection after it was looked at.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing until it is readable, or writable.
    WaitReadable,
    WaitWritable,
    /// No memory for more of it.
    Pause,
    /// A request is there for the application.
    Serve,
    /// The response is out, and the next request may come, or be here already.
    Next,
    /// The peer broke the protocol.
    Refuse(PeerError),
    /// There is no room on the disk for its body, or the like.
    TurnAway(io::Error),
    Close,
}

pub(super) struct Connection {
    pub exchange: Arc<Exchange>,
    /// Those of the last request, if the next one may have them.
    pub objects: Option<Objects>,
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
    share: Share,
    spooling: Spooling,
}

impl Connection {
    pub(super) fn new(exchange: Exchange, listener: usize, share: Share, now: Duration) -> Self {
        Self {
            deadline: now.saturating_add(exchange.patience.head),
            exchange: Arc::new(exchange),
            objects: None,
            listener,
            since: now,
            phase: Phase::Receiving { in_body: false },
            interest: None,
            kept: false,
            share,
            spooling: Spooling::new(),
        }
    }

    pub(super) const fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Receiving { .. })
    }

    pub(super) const fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }

    pub(super) const fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    /// There was no memory for more of its body.
    pub(super) const fn is_paused(&self) -> bool {
        self.share.is_paused()
    }

    /// Goes on, whatever the others have.
    pub(super) fn resume_before_others(&mut self, now: Duration) {
        self.share.exempt();
        self.resume(now);
    }

    pub(super) fn resume(&mut self, now: Duration) {
        self.share.set_paused(false);
        self.deadline = now.saturating_add(self.exchange.patience.body.limit);
    }

    /// No byte of a request has come.
    pub(super) fn is_silent(&self) -> bool {
        self.is_receiving() && self.exchange.request().is_none_or(|reader| reader.is_idle())
    }

    /// Reads what is there, until the request is complete or nothing more comes. `keep`: the client may have another one.
    pub(super) fn receive(&mut self, now: Duration, keep: bool) -> Step {
        let exchange = Arc::clone(&self.exchange);
        let Some(mut reader) = exchange.request() else { return Step::Close };
        let step = self.read(&exchange, &mut reader, now, keep);
        if !matches!(step, Step::Serve) {
            self.share.give_back(&mut reader);
        }
        step
    }

    fn read(&mut self, exchange: &Exchange, reader: &mut RequestReader, now: Duration, keep: bool) -> Step {
        self.spooling.begin_turn();
        // Pipelined bytes came with the last request.
        if self.kept
            && !reader.is_idle()
            && let Some(step) = self.progress(exchange, reader, now, keep)
        {
            return step;
        }
        loop {
            let in_body = matches!(self.phase, Phase::Receiving { in_body: true });
            if !self.share.hold_body(reader.allocated()) && in_body {
                return self.pause();
            }
            self.share.borrow(reader);
            // As much again as has come: a thousand bodies that have just begun must not take up much.
            let room = reader.body().len().clamp(FIRST_READ, BODY_READ);
            match exchange.stream.read(reader.spare(room)) {
                Ok(None) => return Step::WaitReadable,
                Ok(Some(0)) => reader.receive_eof(),
                Ok(Some(count)) => {
                    if in_body {
                        self.deadline = exchange.patience.body.extend(self.deadline, now, count);
                    }
                    reader.filled(count);
                }
                Err(_) => return Step::Close,
            }
            if let Some(step) = self.progress(exchange, reader, now, keep) {
                return step;
            }
            if self.spooling.has_had_turn() {
                return Step::WaitReadable;
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
                        self.deadline = now.saturating_add(exchange.patience.head);
                    }
                    return None;
                }
                Ok(Event::Proxied) => {
                    if let Some(proxied) = reader.proxied() {
                        exchange.set_proxied(*proxied);
                    }
                }
                Ok(Event::Head) => {
                    self.kept = false;
                    self.phase = Phase::Receiving { in_body: true };
                    self.deadline = now.saturating_add(exchange.patience.body.limit);
                    if !begin(exchange, reader, keep) {
                        return Some(Step::Close);
                    }
                    let Some(head) = reader.head() else { return Some(Step::Close) };
                    if !self.spooling.begin(&head, &exchange.patience) {
                        return Some(Step::Serve);
                    }
                }
                Ok(Event::Body) => match self.spooling.next(reader.body().len(), &exchange.patience) {
                    Next::More => {}
                    Next::Call => return Some(Step::Serve),
                    Next::Write => {
                        if let Err(error) = self.spooling.write(exchange, reader) {
                            return Some(Step::TurnAway(error));
                        }
                    }
                },
                Ok(Event::End) => return Some(Step::Serve),
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
        let in_order = Exchange::renew(&mut self.exchange, &mut self.objects, policy);
        let mut held = 0;
        if let Some(mut reader) = self.exchange.request() {
            self.share.give_back(&mut reader);
            held = reader.allocated();
        }
        self.share.begin_again(held);
        in_order
    }

    /// Whether bytes of another request are here.
    pub(super) fn has_more(&self) -> bool {
        self.exchange.request().is_some_and(|reader| !reader.is_idle())
    }

    /// The request is complete, and there is no thread for it.
    pub(super) fn wait_for_thread(&mut self) {
        self.phase = Phase::Complete;
        self.deadline = Duration::MAX;
        if let Some(mut reader) = self.exchange.request() {
            self.share.give_back(&mut reader);
        }
    }

    /// The client is not to blame, so its time stands still.
    fn pause(&mut self) -> Step {
        self.share.set_paused(true);
        self.deadline = Duration::MAX;
        Step::Pause
    }

    /// Hands the kernel what it takes of the response.
    pub(super) fn drain(&mut self, now: Duration) -> Step {
        let exchange = &*self.exchange;
        let Some(mut response) = exchange.response() else { return Step::Close };
        match response.drain(&exchange.stream) {
            Ok(Drained::All) => {
                let persistent = response.writer.is_persistent();
                drop(response);
                self.after_response(persistent, now)
            }
            Ok(Drained::Partly) => {
                let (held, taken) = (response.allocated(), response.taken(&exchange.stream));
                drop(response);
                self.shed_body();
                self.share.hold_response(held);
                self.measure(taken, now);
                Step::WaitWritable
            }
            Err(_) => Step::Close,
        }
    }

    /// Its client may take a while yet, and nobody wants it any more.
    fn shed_body(&mut self) {
        if let Some(mut reader) = self.exchange.request() {
            reader.shed_body();
            self.exchange.drop_spool();
            self.share.give_back(&mut reader);
            self.share.hold_body(reader.allocated());
        }
    }

    fn measure(&mut self, taken: usize, now: Duration) {
        let pace = self.exchange.patience.send;
        match self.phase {
            Phase::Draining { taken: before } => {
                self.deadline = pace.extend(self.deadline, now, taken.saturating_sub(before));
            }
            _ => self.deadline = now.saturating_add(pace.limit),
        }
        self.phase = Phase::Draining { taken };
    }

    /// Whether the client has taken enough to be waited for, though the kernel may still have no room.
    pub(super) fn goes_on_reading(&mut self, now: Duration) -> bool {
        let exchange = Arc::clone(&self.exchange);
        let Some(response) = exchange.response() else { return false };
        self.measure(response.taken(&exchange.stream), now);
        self.deadline > now
    }

    /// The response is out, and was `persistent`. Closing under bytes that are still to come would reset the connection,
    /// and the client could lose the response (RFC 9112 section 9.6): wait for the peer to close, for a while.
    fn after_response(&mut self, persistent: bool, now: Duration) -> Step {
        let linger = self.exchange.patience.linger;
        let (ended, consumed) = self.exchange.request().map_or((false, false), |reader| {
            let ended = reader.body_ended();
            (ended, ended && reader.pipelined().is_empty())
        });
        if ended && persistent {
            return Step::Next;
        }
        if consumed || linger.is_zero() {
            return Step::Close;
        }
        self.shed_body();
        self.share.hold_response(0);
        self.exchange.stream.finish_writing();
        self.phase = Phase::Lingering { end: now + linger * LINGER_FACTOR };
        self.deadline = now + linger;
        self.linger(now)
    }

    /// Throws away what the peer sends.
    pub(super) fn linger(&mut self, now: Duration) -> Step {
        let Phase::Lingering { end } = self.phase else { return Step::Close };
        let mut waste = [0; 8192];
        for _ in 0..LINGER_TURN {
            match self.exchange.stream.read(&mut waste) {
                Ok(None) => return Step::WaitReadable,
                Ok(Some(0)) | Err(_) => return Step::Close,
                Ok(Some(_)) => self.deadline = end.min(now + self.exchange.patience.linger),
            }
        }
        Step::WaitReadable
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.share.has_loan()
            && let Some(mut reader) = self.exchange.request()
        {
            self.share.give_up(&mut reader);
        }
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
