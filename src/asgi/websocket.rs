//! A WebSocket: the handshake, messages both ways, and the end, as the application sees them.
//!
//! ```text
//!   Connecting ──accept──▶ Open ──close, either way──▶ Closing ──▶ Closed
//!       ├── close ──▶ 403            (the peer is waited for a while)
//!       └── websocket.http.response ──▶ any response
//! ```
//!
//! Owns the order of the messages. Until it is accepted it is a request like any other. Read next: `frames.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::calls::{ClientDisconnected, Found};
use super::connection::{Connection, Stage};
use super::frames::{ABNORMAL, Frames, Heard, Message as Frame, NO_STATUS, may_send};
use super::message::Message;
use super::pings::{PingRules, Pings};
use super::serving::Outcome;
use super::todo::{End, Todo};
use crate::http::{Head, ResponseHead, Version};
use crate::sys::clock;
use crate::wsgi::date;

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How long the peer may take to answer a close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// Bytes of messages that the application has not asked for.
const UNHEARD: usize = 64 * 1024;
/// What a message takes up besides its bytes, so that empty ones count too.
const MESSAGE: usize = 64;
/// The service restarts (registered with IANA).
const RESTART: u16 = 1012;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    /// We have closed.
    Closing,
    Closed,
}

pub(super) struct Socket {
    phase: Phase,
    connect_told: bool,
    /// Sec-WebSocket-Accept.
    accept: Vec<u8>,
    frames: Frames,
    pings: Pings,
    heard: VecDeque<Frame>,
    unheard: usize,
    /// How it ended, for `websocket.disconnect`.
    end: (u16, String),
}

/// What is wrong with a request for a WebSocket.
pub(super) enum Refusal {
    Version,
    Key,
}

/// Whether the request wants the connection to become a WebSocket.
pub(super) fn is_wanted(head: &Head<'_>) -> bool {
    let names = |name: &str, token: &[u8]| {
        let mut fields = head.fields().filter(|field| field.0.eq_ignore_ascii_case(name.as_bytes()));
        fields.any(|(_, value)| {
            value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
        })
    };
    head.method() == "GET"
        && head.version() == Version::Http11
        && !head.has_body()
        && names("upgrade", b"websocket")
        && names("connection", b"upgrade")
}

impl Socket {
    /// `limit`: bytes of a message.
    pub(super) fn new(
        py: Python<'_>,
        head: &Head<'_>,
        limit: usize,
        rules: PingRules,
    ) -> PyResult<Result<Self, Refusal>> {
        if head.field("sec-websocket-version") != Some(b"13") {
            return Ok(Err(Refusal::Version));
        }
        let key = head.field("sec-websocket-key").filter(|key| key.len() == 24 && key.ends_with(b"=="));
        let Some(key) = key else { return Ok(Err(Refusal::Key)) };
        Ok(Ok(Self {
            phase: Phase::Connecting,
            connect_told: false,
            accept: accept(py, key)?,
            frames: Frames::new(limit),
            pings: Pings::new(rules, clock::monotonic()),
            heard: VecDeque::new(),
            unheard: 0,
            end: (ABNORMAL, String::new()),
        }))
    }

    const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Closed)
    }
}

/// RFC 6455 section 4.2.2.
fn accept(py: Python<'_>, key: &[u8]) -> PyResult<Vec<u8>> {
    let digest = py.import("hashlib")?.getattr("sha1")?.call1((PyBytes::new(py, &[key, GUID].concat()),))?;
    let digest = digest.call_method0("digest")?;
    py.import("base64")?.getattr("b64encode")?.call1((digest,))?.extract()
}

impl Connection {
    /// Bytes have come on an open WebSocket.
    pub(super) fn receive_frames(&mut self, py: Python<'_>, bytes: &[u8], todo: &mut Todo) {
        let Some(socket) = &mut self.exchange.socket else { return };
        socket.pings.heard();
        socket.frames.receive(bytes);
        self.hear(py, todo);
    }

    fn hear(&mut self, py: Python<'_>, todo: &mut Todo) {
        let Some(socket) = &mut self.exchange.socket else { return };
        let closed = loop {
            match socket.frames.hear() {
                Heard::Nothing => break None,
                // What comes after our close is not heard.
                Heard::Message(_) if socket.is_over() => {}
                Heard::Message(message) => {
                    socket.unheard += message.len() + MESSAGE;
                    socket.heard.push_back(message);
                }
                Heard::Closed(code, reason) => break Some((code, reason)),
            }
        };
        // Who does not read what it is told, pongs among it, is not answered for ever.
        let full = socket.unheard > UNHEARD || self.output.paused;
        self.wake(todo);
        self.send_frames(py, todo);
        if let Some((code, reason)) = closed {
            return self.socket_closed(py, code, reason, todo);
        }
        if full && !self.read_paused {
            self.read_paused = true;
            todo.reading = Some(false);
        }
    }

    /// Reads on, if there is room for what comes and for the answers to it.
    pub(super) fn hear_again(&mut self, todo: &mut Todo) {
        let has_room = self.exchange.socket.as_ref().is_some_and(|socket| socket.unheard <= UNHEARD / 2);
        if has_room && !self.output.paused {
            self.resume_reading(todo);
        }
    }

    /// The peer has closed, or was told why it has to.
    fn socket_closed(&mut self, py: Python<'_>, code: u16, reason: String, todo: &mut Todo) {
        if let Some(socket) = &mut self.exchange.socket {
            if socket.phase != Phase::Closing {
                socket.end = (code, reason);
            }
            socket.phase = Phase::Closed;
        }
        let now = clock::monotonic();
        self.tell(py, now, todo);
        self.condemn(now);
        if matches!(code, 1002 | 1007 | 1009) {
            // It may go on sending, which would destroy what it is told.
            self.wake(todo);
            return self.linger(now, todo);
        }
        self.close(End::Close, todo);
    }

    /// The transport is gone.
    pub(super) fn socket_lost(&mut self) {
        if let Some(socket) = &mut self.exchange.socket {
            socket.phase = Phase::Closed;
        }
    }

    fn send_frames(&mut self, py: Python<'_>, todo: &mut Todo) {
        let Some(socket) = &mut self.exchange.socket else { return };
        let output = socket.frames.take_output();
        if !output.is_empty() {
            let sent = self.output.send(py, &[&output], todo);
            self.sent(sent, todo);
        }
    }

    /// What there is to receive.
    pub(super) fn receive_event<'py>(&mut self, py: Python<'py>, todo: &mut Todo) -> PyResult<Found<'py>> {
        let gone = !matches!(self.stage, Stage::Serving | Stage::Upgraded) || self.eof;
        let Some(socket) = &mut self.exchange.socket else { return Ok(Found::Nothing) };
        if !std::mem::replace(&mut socket.connect_told, true) {
            return event(py, "websocket.connect").map(|event| Found::Value(event.into_any()));
        }
        if let Some(message) = socket.heard.pop_front() {
            socket.unheard = socket.unheard.saturating_sub(message.len() + MESSAGE);
            self.hear_again(todo);
            return received(py, &message).map(Found::Value);
        }
        if socket.is_over() || gone {
            return disconnect(py, socket.end.0, &socket.end.1).map(Found::Value);
        }
        self.wait(py).map(Found::Future)
    }

    /// The application sends something.
    pub(super) fn send_event(
        &mut self,
        py: Python<'_>,
        message: Message<'_>,
        todo: &mut Todo,
    ) -> PyResult<()> {
        let Some(socket) = &mut self.exchange.socket else { return Ok(()) };
        match (message, socket.phase) {
            (Message::Accept { subprotocol, head }, Phase::Connecting) if !self.exchange.started => {
                self.accept(py, subprotocol.as_deref(), head, todo);
                Ok(())
            }
            (Message::Close { .. }, Phase::Connecting) if !self.exchange.started => {
                self.answer(py, 403, "", todo);
                Ok(())
            }
            (Message::Frame(frame), Phase::Open) => {
                if !socket.frames.send(frame) {
                    return Err(ClientDisconnected::new_err("the client is gone"));
                }
                self.send_frames(py, todo);
                Ok(())
            }
            (Message::Close { code, reason }, Phase::Open) => self.close_socket(py, code, &reason, todo),
            // It may have crossed the client's own.
            (Message::Close { .. }, Phase::Closed) => Ok(()),
            (Message::Frame(_), Phase::Closed) => Err(ClientDisconnected::new_err("the client is gone")),
            (message, phase) => {
                let name = message.name();
                Err(PyRuntimeError::new_err(format!(
                    "the ASGI message '{name}' is not due: {}",
                    state(phase)
                )))
            }
        }
    }

    fn accept(&mut self, py: Python<'_>, subprotocol: Option<&str>, fields: ResponseHead, todo: &mut Todo) {
        let Some(socket) = &mut self.exchange.socket else { return };
        socket.phase = Phase::Open;
        self.head = fields;
        let accept = [(&b"Upgrade"[..], &b"websocket"[..]), (b"Connection", b"Upgrade")];
        let own = accept.into_iter().chain([(&b"Sec-WebSocket-Accept"[..], &socket.accept[..])]);
        let named = subprotocol.map(|name| (&b"Sec-WebSocket-Protocol"[..], name.as_bytes()));
        for (name, value) in own.chain(named) {
            if let Err(error) = self.head.push(name, value) {
                log::error!("The WebSocket cannot be accepted as the application wants: {error}");
            }
        }
        // A status that is written here is one.
        let _ = self.head.set_status(b"101 Switching Protocols");
        self.writer.send_head(&self.head, None, &date());
        self.writer.finish();
        self.exchange.started = true;
        self.stage = Stage::Upgraded;
        self.deadline = Duration::MAX;
        self.flush(py, todo);
        let early = self.reader.pipelined().to_vec();
        self.resume_reading(todo);
        self.receive_frames(py, &early, todo);
    }

    fn close_socket(&mut self, py: Python<'_>, code: u16, reason: &str, todo: &mut Todo) -> PyResult<()> {
        if !may_send(code) && code != NO_STATUS {
            return Err(pyo3::exceptions::PyValueError::new_err(format!("{code} is no code to close with")));
        }
        let Some(socket) = &mut self.exchange.socket else { return Ok(()) };
        socket.phase = Phase::Closing;
        socket.end = (code, reason.to_owned());
        socket.frames.close(code, reason);
        self.send_frames(py, todo);
        self.deadline = clock::monotonic().saturating_add(CLOSE_LIMIT);
        self.wake(todo);
        self.resume_reading(todo);
        Ok(())
    }

    /// Sends a ping if one is due.
    pub(super) fn ping(&mut self, py: Python<'_>, now: Duration, todo: &mut Todo) {
        let Some(socket) = self.open_socket().filter(|socket| socket.pings.are_due(now)) else { return };
        socket.frames.ping();
        self.send_frames(py, todo);
        let end = self.output.handed();
        if let Some(socket) = self.open_socket() {
            socket.pings.sent(now, end);
        }
    }

    /// Whether the client has not answered a ping in time.
    pub(super) fn is_silent(&mut self, py: Python<'_>, now: Duration) -> bool {
        if !self.open_socket().is_some_and(|socket| socket.pings.await_answer()) {
            return false;
        }
        let (paused, waiting) = (self.read_paused, self.output.waiting(py));
        let taken = self.output.taken(waiting);
        let Some(socket) = self.open_socket() else { return false };
        if paused {
            socket.pings.excuse(now);
        }
        // After a long step of the application an answer may wait to be read.
        socket.pings.are_ignored(now, taken) && !self.output.has_unread()
    }

    /// The client is taken for gone.
    pub(super) fn give_up(&mut self, py: Python<'_>, now: Duration, todo: &mut Todo) {
        log::debug!("Client at {} does not answer the pings of its WebSocket", self.sender.address());
        if let Some(socket) = self.open_socket() {
            socket.phase = Phase::Closed;
            socket.frames.close(1011, "no answer to a ping");
        }
        self.send_frames(py, todo);
        self.tell(py, now, todo);
        self.condemn(now);
        self.close(End::Abort, todo);
    }

    fn open_socket(&mut self) -> Option<&mut Socket> {
        self.exchange.socket.as_deref_mut().filter(|socket| socket.phase == Phase::Open)
    }

    /// The worker is leaving.
    pub(super) fn leave_socket(&mut self, py: Python<'_>, todo: &mut Todo) {
        let open = self.exchange.socket.as_ref().is_some_and(|socket| socket.phase == Phase::Open);
        // A code that may be sent is.
        if open && self.close_socket(py, RESTART, "", todo).is_ok() {
            self.since = clock::monotonic();
        }
    }

    /// The application has returned while the WebSocket is there.
    pub(super) fn socket_finished(&mut self, py: Python<'_>, outcome: Outcome, todo: &mut Todo) {
        match (self.stage, outcome) {
            (Stage::Upgraded, outcome) => {
                let open = self.exchange.socket.as_ref().is_some_and(|socket| socket.phase == Phase::Open);
                let code = if outcome == Outcome::Returned { 1000 } else { 1011 };
                if open && self.close_socket(py, code, "", todo).is_err() {
                    self.close(End::Abort, todo);
                }
            }
            (Stage::Serving, _) if !self.exchange.started => {
                if outcome == Outcome::Returned {
                    log::error!("ASGI application returned without accepting the WebSocket:{}", self.line());
                }
                self.answer(py, 500, "", todo);
            }
            (Stage::Serving, _) => self.abandon(py, End::Close, clock::monotonic(), todo),
            _ => self.tell(py, clock::monotonic(), todo),
        }
    }

    /// The peer has had its time to answer our close.
    pub(super) fn expire_socket(&mut self, py: Python<'_>, todo: &mut Todo) {
        self.tell(py, clock::monotonic(), todo);
        self.close(End::Abort, todo);
    }

    pub(super) const fn is_socket(&self) -> bool {
        self.exchange.socket.is_some()
    }
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "the WebSocket is not accepted",
        Phase::Open => "the WebSocket is open",
        Phase::Closing | Phase::Closed => "the WebSocket is closed",
    }
}

fn event<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
    let event = PyDict::new(py);
    event.set_item(intern!(py, "type"), name)?;
    Ok(event)
}

pub(super) fn disconnect<'py>(py: Python<'py>, code: u16, reason: &str) -> PyResult<Bound<'py, PyAny>> {
    let disconnect = event(py, "websocket.disconnect")?;
    disconnect.set_item(intern!(py, "code"), code)?;
    disconnect.set_item(intern!(py, "reason"), reason)?;
    Ok(disconnect.into_any())
}

fn received<'py>(py: Python<'py>, message: &Frame) -> PyResult<Bound<'py, PyAny>> {
    let event = PyDict::new(py);
    event.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
    match message {
        Frame::Text(text) => event.set_item(intern!(py, "text"), PyString::new(py, text.as_str()))?,
        Frame::Binary(bytes) => event.set_item(intern!(py, "bytes"), PyBytes::new(py, bytes))?,
        _ => {}
    }
    Ok(event.into_any())
}
