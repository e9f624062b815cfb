//! One client's connection: what has come, what it is waiting for, and until when.
//!
//! ```text
//!   ┌────────────────── the next request, if both sides may ───────────────────┐
//!   ▼                                                                         │
//!   Receiving ──head──▶ Serving ──response whole──▶ (Discarding the body) ────┴──▶ Lingering ──▶ Closed
//!       └── fault, or too slow ──▶ error page ─────────────────────────────────────┘
//! ```
//!
//! Owns reading. Must never run Python code of others: it notes in a [`Todo`] what is to be done. Read next: `serving.rs`
//! for what the application does to it, `sweep.rs` for time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::output::Output;
use super::protocol::Protocol;
use super::run::Start;
use super::scope::Ends;
use super::service::Service;
use super::todo::{End, Todo};
use super::websocket::Socket;
use crate::http::{self, Client, Event, PeerError, RequestReader, ResponseHead, ResponseWriter};
use crate::net::Peer;
use crate::sys::clock;
use crate::wsgi::{EACH, LINGER_FACTOR, Request};

/// Of what comes with a head so many bytes are looked at first: a large body then need not pass through the reader.
const FRONT: usize = 4096;
/// Bytes of further requests that wait for the one in hand.
const PIPELINED: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The head is not complete, or nothing of it is there.
    Receiving,
    /// The application has the request.
    Serving,
    /// The connection has become a WebSocket.
    Upgraded,
    /// It is answered, and what is left of its body is thrown away: so many bytes at most.
    Discarding {
        left: usize,
    },
    /// The last response is out; what the peer still sends is thrown away so that a reset does not destroy it.
    Lingering {
        end: Duration,
    },
    Closed,
}

pub(super) struct Connection {
    pub service: Arc<Service>,
    /// Its place in the service's table.
    pub place: usize,
    pub peer: Peer,
    /// Whom a PROXY header names.
    pub sender: Peer,
    pub ends: Ends,
    pub reader: RequestReader,
    pub writer: ResponseWriter,
    pub head: ResponseHead,
    pub output: Output,
    pub stage: Stage,
    /// The request in hand, or the last one.
    pub number: u64,
    pub exchange: Exchange,
    /// The request in hand, while it waits for the loop's next turn.
    pub postponed: Option<Start>,
    /// Pieces of the body as they came, which are older than what the reader has.
    pub pieces: VecDeque<Py<PyBytes>>,
    /// Bytes in the pieces, and bytes that the service knows of.
    pub held: usize,
    pub accounted: usize,
    /// Futures of those who wait for something to receive, or for room to send.
    pub waiters: Vec<Py<PyAny>>,
    pub read_paused: bool,
    pub eof: bool,
    /// A request was served: the client keeps the connection for others.
    pub kept: bool,
    pub flush_scheduled: bool,
    /// Since when a request is awaited, and until when it may stay as it is (monotonic).
    pub since: Duration,
    pub deadline: Duration,
    /// Until when the client has to take more of the response, and how much it had taken.
    pub taking: Option<(Duration, usize)>,
}

/// What concerns one request.
#[derive(Default)]
pub(super) struct Exchange {
    /// The service's number of the task.
    pub task: Option<u64>,
    /// The keeper's number of the request.
    pub kept: Option<usize>,
    pub began: Duration,
    /// The last piece of the body was received.
    pub body_told: bool,
    /// The application has begun its response.
    pub started: bool,
    /// Nothing more of the request can come.
    pub cut: bool,
    /// The application has given its whole response.
    pub complete: bool,
    pub error_status: Option<u16>,
    pub id: Option<Arc<str>>,
    /// Whom the proxy speaks for in a field.
    pub client: Option<Client>,
    pub seen: Option<Py<Request>>,
    /// If it is a request for a WebSocket.
    pub socket: Option<Box<Socket>>,
}

impl Connection {
    pub(super) fn new(service: &Arc<Service>, peer: Peer, ends: Ends, now: Duration) -> Self {
        let halves = http::Connection::new(Arc::clone(&service.parts.policy), peer.ip());
        Self {
            service: Arc::clone(service),
            place: service.fresh_number(),
            peer,
            sender: peer,
            ends,
            reader: halves.reader,
            writer: halves.writer,
            head: ResponseHead::new(),
            output: Output::default(),
            stage: Stage::Receiving,
            number: 0,
            exchange: Exchange::default(),
            postponed: None,
            pieces: VecDeque::new(),
            held: 0,
            accounted: 0,
            waiters: Vec::new(),
            read_paused: false,
            eof: false,
            kept: false,
            flush_scheduled: false,
            since: now,
            deadline: now.saturating_add(service.parts.patience.head),
            taking: None,
        }
    }

    /// Bytes have come.
    pub(super) fn receive(
        &mut self,
        protocol: &Bound<'_, Protocol>,
        data: &Bound<'_, PyBytes>,
        todo: &mut Todo,
    ) {
        let (now, bytes) = (clock::monotonic(), data.as_bytes());
        match self.stage {
            Stage::Closed => return,
            Stage::Upgraded => return self.receive_frames(protocol.py(), bytes, todo),
            Stage::Lingering { end } => {
                self.deadline = end.min(now.saturating_add(self.service.parts.patience.linger));
                return;
            }
            Stage::Serving if self.reader.pass(bytes.len()) => {
                self.held += bytes.len();
                self.pieces.push_back(data.clone().unbind());
                self.wake(todo);
            }
            Stage::Receiving if bytes.len() > FRONT => {
                let (front, rest) = bytes.split_at_checked(FRONT).unwrap_or((bytes, b""));
                self.reader.receive(front);
                self.advance(protocol, now, todo);
                self.receive_rest(protocol.py(), rest);
            }
            _ => self.reader.receive(bytes),
        }
        if matches!(self.stage, Stage::Serving | Stage::Discarding { .. }) && self.deadline != Duration::MAX {
            let pace = self.service.parts.patience.body;
            self.deadline = pace.extend(self.deadline, now, bytes.len());
        }
        self.advance(protocol, now, todo);
    }

    /// What came in one piece with a head, and is most often its body: it is copied once.
    fn receive_rest(&mut self, py: Python<'_>, rest: &[u8]) {
        if self.stage != Stage::Serving || !self.reader.pipelined().is_empty() {
            return self.reader.receive(rest);
        }
        let here = self.reader.body();
        let length = here.len();
        let joined = PyBytes::new_with(py, length + rest.len(), |room| {
            if let Some((front, back)) = room.split_at_mut_checked(length) {
                front.copy_from_slice(here);
                back.copy_from_slice(rest);
            }
            Ok(())
        });
        let Ok(joined) = joined else { return self.reader.receive(rest) };
        if self.reader.pass_with_body(rest.len()) {
            self.held += joined.as_bytes().len();
            self.pieces.push_back(joined.unbind());
        } else {
            self.reader.receive(rest);
        }
    }

    /// The peer will send nothing more.
    pub(super) fn receive_eof(&mut self, protocol: &Bound<'_, Protocol>, todo: &mut Todo) {
        self.eof = true;
        self.reader.receive_eof();
        let now = clock::monotonic();
        match self.stage {
            Stage::Lingering { .. } | Stage::Upgraded => self.close(End::Close, todo),
            _ => self.advance(protocol, now, todo),
        }
        if self.stage == Stage::Serving {
            // It cannot be told from one that is gone.
            self.wake(todo);
            self.condemn(now);
        }
    }

    /// What the bytes received amount to.
    pub(super) fn advance(&mut self, protocol: &Bound<'_, Protocol>, now: Duration, todo: &mut Todo) {
        loop {
            let event = self.reader.next_event();
            let goes_on = match self.stage {
                Stage::Receiving => self.on_head(protocol, event, now, todo),
                Stage::Serving => self.on_body(event, now, todo),
                Stage::Discarding { left } => self.on_rest(event, left, now, todo),
                Stage::Upgraded | Stage::Lingering { .. } | Stage::Closed => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn on_head(
        &mut self,
        protocol: &Bound<'_, Protocol>,
        event: Result<Event, PeerError>,
        now: Duration,
        todo: &mut Todo,
    ) -> bool {
        match event {
            Ok(Event::NeedData) => {
                if self.kept && !self.reader.is_idle() {
                    self.kept = false;
                    self.deadline = now.saturating_add(self.service.parts.patience.head);
                }
                false
            }
            Ok(Event::Proxied) => {
                self.heed_proxy(protocol.py());
                true
            }
            Ok(Event::Head) => {
                self.begin(protocol, now, todo);
                true
            }
            Ok(Event::Body | Event::End | Event::Closed) => {
                self.close(End::Close, todo);
                false
            }
            Err(fault) => {
                self.refuse(protocol.py(), &fault, now, todo);
                false
            }
        }
    }

    fn on_body(&mut self, event: Result<Event, PeerError>, now: Duration, todo: &mut Todo) -> bool {
        match event {
            Ok(Event::Body) => {
                self.wake(todo);
                true
            }
            Ok(Event::End) => {
                self.deadline = Duration::MAX;
                if !self.exchange.body_told {
                    self.wake(todo);
                }
                self.bound_reading(todo);
                false
            }
            Ok(_) => {
                self.bound_reading(todo);
                false
            }
            Err(fault) => {
                Python::attach(|py| self.cut(py, &fault, now, todo));
                false
            }
        }
    }

    fn on_rest(
        &mut self,
        event: Result<Event, PeerError>,
        left: usize,
        now: Duration,
        todo: &mut Todo,
    ) -> bool {
        match event {
            Ok(Event::Body) => {
                let here = self.reader.body().len();
                self.reader.consume(here);
                match left.checked_sub(here) {
                    Some(left) => self.stage = Stage::Discarding { left },
                    None => self.linger(now, todo),
                }
                true
            }
            Ok(Event::End) => self.next(now, todo),
            Ok(Event::NeedData) => false,
            Ok(_) | Err(_) => {
                self.close(End::Close, todo);
                false
            }
        }
    }

    /// More than the application has asked for is not read.
    pub(super) fn bound_reading(&mut self, todo: &mut Todo) {
        let here = self.held + self.reader.body().len();
        let crowded = self.service.hold(self.accounted, here);
        self.accounted = here;
        let most = self.service.parts.patience.request_buffer.max(1);
        let full = here >= most || (crowded && here > EACH) || self.reader.pipelined().len() > PIPELINED;
        if full && !self.read_paused && self.stage == Stage::Serving {
            self.read_paused = true;
            todo.reading = Some(false);
            // The client is not to blame, so its time stands still.
            self.deadline = Duration::MAX;
        } else if !full && self.read_paused {
            self.resume_reading(todo);
        }
    }

    pub(super) fn resume_reading(&mut self, todo: &mut Todo) {
        if std::mem::take(&mut self.read_paused) {
            todo.reading = Some(true);
            if self.stage == Stage::Serving && !self.reader.body_ended() {
                self.deadline = clock::monotonic().saturating_add(self.service.parts.patience.body.limit);
            }
        }
    }

    /// Everybody who waits looks again.
    pub(super) fn wake(&mut self, todo: &mut Todo) {
        todo.wake.append(&mut self.waiters);
    }

    /// The application may go on without its client for a while.
    pub(super) fn condemn(&self, now: Duration) {
        if let Some(task) = self.exchange.task {
            self.service.condemn(task, now.saturating_add(self.service.parts.grace));
        }
    }

    /// The response is complete: what comes next on this connection.
    pub(super) fn after_response(&mut self, now: Duration, todo: &mut Todo) {
        self.wake(todo);
        self.pieces.clear();
        self.held = 0;
        let (persistent, ended) = (self.writer.is_persistent(), self.reader.body_ended());
        if persistent && ended {
            self.next(now, todo);
        } else if persistent && !self.eof && !self.reader.wants_continue() {
            self.reader.consume(self.reader.body().len());
            self.stage = Stage::Discarding { left: self.service.parts.patience.request_buffer };
            self.deadline = now.saturating_add(self.service.parts.patience.body.limit);
            self.resume_reading(todo);
        } else if self.eof || (ended && self.reader.pipelined().is_empty()) {
            self.close(End::Close, todo);
        } else {
            self.linger(now, todo);
        }
        self.bound_reading(todo);
    }

    /// Turns to the next request. False if there is none to turn to.
    pub(super) fn next(&mut self, now: Duration, todo: &mut Todo) -> bool {
        if !self.reader.next_request() {
            self.linger(now, todo);
            return false;
        }
        self.writer.await_request();
        self.head.clear();
        self.stage = Stage::Receiving;
        self.kept = true;
        self.since = now;
        self.deadline = now.saturating_add(self.service.parts.keepalive);
        self.resume_reading(todo);
        !self.reader.is_idle() || self.eof
    }

    /// Closing under bytes that are still to come would reset the connection, and the client could lose the response
    /// (RFC 9112 section 9.6): wait for the peer to close, for a while.
    pub(super) fn linger(&mut self, now: Duration, todo: &mut Todo) {
        let linger = self.service.parts.patience.linger;
        if self.stage == Stage::Closed {
            return;
        }
        if linger.is_zero() || self.eof {
            return self.close(End::Close, todo);
        }
        self.reader.shed_body();
        self.stage = Stage::Lingering { end: now.saturating_add(linger * LINGER_FACTOR) };
        self.deadline = now.saturating_add(linger);
        self.resume_reading(todo);
        todo.end = Some(End::WriteEof);
    }

    /// Nothing more is to be done with the client.
    pub(super) fn close(&mut self, end: End, todo: &mut Todo) {
        if self.stage == Stage::Closed {
            return;
        }
        self.stage = Stage::Closed;
        self.deadline = Duration::MAX;
        todo.end = Some(end);
        todo.transport = self.output.close();
        self.wake(todo);
    }
}
