//! What the application does to its request: receives it, answers it, or fails to.
//!
//! Owns the order in which messages may come, and the response's way into bytes. Read next: `message.rs`, `record.rs`.

use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::calls::{ClientDisconnected, Found};
use super::connection::{Connection, Stage};
use super::frames::ABNORMAL;
use super::message::{self, Message};
use super::protocol::Protocol;
use super::todo::{End, Todo};
use super::websocket;
use crate::http::PeerError;
use crate::sys::clock;
use crate::wsgi::{COPY_BELOW, date, tell_fault};

/// Blocks of a streamed response wait for each other until the loop's next turn, up to so many bytes.
const GATHERED: usize = 64 * 1024;

/// How a call of the application ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Returned,
    Cancelled,
    Raised,
}

impl Connection {
    /// What there is to receive for request `number`.
    pub(super) fn receive_message<'py>(
        &mut self,
        py: Python<'py>,
        number: u64,
        socket: bool,
        todo: &mut Todo,
    ) -> PyResult<Found<'py>> {
        if number == self.number && self.is_socket() && !self.exchange.complete {
            return self.receive_event(py, todo);
        }
        if socket {
            // It was refused, with a response of the application's.
            return websocket::disconnect(py, ABNORMAL, "").map(Found::Value);
        }
        if number != self.number || self.stage != Stage::Serving {
            return message::disconnect(py).map(Found::Value);
        }
        if let Some(body) = self.take_body(py) {
            self.bound_reading(todo);
            let more = !(self.pieces.is_empty() && self.reader.body_ended());
            self.exchange.body_told = !more;
            return message::request(py, body, more).map(Found::Value);
        }
        if self.reader.body_ended() && !self.exchange.body_told {
            self.exchange.body_told = true;
            return message::request(py, PyBytes::new(py, b""), false).map(Found::Value);
        }
        if self.eof || self.exchange.cut {
            return message::disconnect(py).map(Found::Value);
        }
        if self.reader.wants_continue() && self.writer.informational(100, &[]).is_ok() {
            self.flush(py, todo);
        }
        self.wait(py).map(Found::Future)
    }

    /// The oldest piece of the body that is here.
    fn take_body<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        if let Some(piece) = self.pieces.pop_front() {
            let piece = piece.into_bound(py);
            self.held -= piece.as_bytes().len();
            return Some(piece);
        }
        let here = self.reader.body();
        if here.is_empty() {
            return None;
        }
        let body = PyBytes::new(py, here);
        self.reader.consume(here.len());
        Some(body)
    }

    /// A future that is done when something has changed.
    pub(super) fn wait<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = self.service.create_future.call0(py)?;
        self.waiters.push(future.clone_ref(py));
        Ok(future.into_bound(py))
    }

    /// The application sends something.
    pub(super) fn send_message(
        &mut self,
        protocol: &Bound<'_, Protocol>,
        number: u64,
        message: Message<'_>,
        todo: &mut Todo,
    ) -> PyResult<()> {
        let upgraded = number == self.number && self.is_socket() && !self.exchange.complete;
        if upgraded && !matches!(message, Message::Start { .. } | Message::Body { .. }) {
            return self.send_event(protocol.py(), message, todo);
        }
        if number != self.number || self.stage != Stage::Serving {
            return self.send_late(number, &message);
        }
        match (message, self.exchange.started) {
            (Message::Start { head, close }, false) => {
                self.head = head;
                self.exchange.started = true;
                if close {
                    self.writer.refuse_persistence();
                }
                Ok(())
            }
            (Message::Body { body, more }, true) => {
                self.send_body(protocol, body.as_ref(), more, todo);
                Ok(())
            }
            (Message::EarlyHint(links), false) => self.send_hint(protocol.py(), &links, todo),
            (Message::EarlyHint(_) | Message::Trailers, true) => Ok(()),
            (message, started) => Err(unexpected(started, message.name())),
        }
    }

    /// Nobody wants it any more: because the client is gone, or because it has the whole response.
    fn send_late(&self, number: u64, message: &Message<'_>) -> PyResult<()> {
        if matches!(message, Message::Trailers) {
            return Ok(());
        }
        let complete = number != self.number || self.exchange.complete || self.stage == Stage::Upgraded;
        if complete {
            let name = message.name();
            return Err(PyRuntimeError::new_err(format!(
                "unexpected ASGI message '{name}': the response is already complete"
            )));
        }
        Err(ClientDisconnected::new_err("the client is gone"))
    }

    fn send_body(
        &mut self,
        protocol: &Bound<'_, Protocol>,
        body: Option<&Bound<'_, PyBytes>>,
        more: bool,
        todo: &mut Todo,
    ) {
        let (py, data) = (protocol.py(), body.map_or(&b""[..], |body| body.as_bytes()));
        if !self.writer.head_sent() {
            let known = (!more).then_some(data.len() as u64);
            self.writer.send_head(&self.head, known, &date());
        }
        if data.len() >= COPY_BELOW {
            self.send_large(py, data, more, todo);
        } else {
            self.writer.send_body(data);
            if !more {
                self.finish();
            }
            if !more || self.writer.output().len() >= GATHERED {
                self.flush(py, todo);
            } else if !std::mem::replace(&mut self.flush_scheduled, true) {
                todo.flush_soon = true;
            }
        }
        if !more {
            self.complete(protocol, todo);
        }
    }

    /// Sends a block from where it is.
    fn send_large(&mut self, py: Python<'_>, data: &[u8], more: bool, todo: &mut Todo) {
        let accepted = self.writer.begin_block(data.len() as u64);
        let data = data.get(..usize::try_from(accepted).unwrap_or(usize::MAX)).unwrap_or(data);
        let before = self.writer.output().len();
        if accepted > 0 {
            self.writer.end_block();
        }
        if !more {
            self.finish();
        }
        let (front, back) = self.writer.output().split_at_checked(before).unwrap_or_default();
        let sent = self.output.send(py, &[front, data, back], todo);
        self.sent(sent, todo);
    }

    /// Hands on what is encoded.
    pub(super) fn flush(&mut self, py: Python<'_>, todo: &mut Todo) {
        self.flush_scheduled = false;
        if !self.writer.output().is_empty() {
            let sent = self.output.send(py, &[self.writer.output()], todo);
            self.sent(sent, todo);
        }
    }

    pub(super) fn sent(&mut self, sent: bool, todo: &mut Todo) {
        self.writer.consume(self.writer.output().len());
        if !todo.write.is_empty() && self.output.needs_limit() {
            todo.limit = Some(self.service.parts.patience.response_buffer);
        }
        if !sent && self.stage != Stage::Closed {
            self.condemn(clock::monotonic());
            self.socket_lost();
            // Not left to the transport: an application that sends without ever waiting would not let it speak.
            self.close(End::Abort, todo);
        }
    }

    fn finish(&mut self) {
        let finish = self.writer.finish();
        if finish.missing > 0 {
            log::warn!("{} bytes short of its Content-Length:{}", finish.missing, self.line());
        }
        if finish.excess > 0 {
            log::warn!("{} bytes beyond its Content-Length were cut:{}", finish.excess, self.line());
        }
        if self.writer.dropped_body() {
            let method = self.reader.head().map_or("", |head| head.method());
            let facts = format!("(method={method} status={})", self.head.status());
            log::warn!("ASGI app sent body bytes on a no-body response {facts}; they are dropped");
        }
    }

    /// The response is whole.
    fn complete(&mut self, protocol: &Bound<'_, Protocol>, todo: &mut Todo) {
        let now = clock::monotonic();
        self.exchange.complete = true;
        self.tell(protocol.py(), now, todo);
        if self.stage != Stage::Closed {
            self.after_response(now, todo);
        }
        if self.stage == Stage::Receiving {
            self.advance(protocol, now, todo);
        }
    }

    fn send_hint(&mut self, py: Python<'_>, links: &[Vec<u8>], todo: &mut Todo) -> PyResult<()> {
        let fields: Vec<(&[u8], &[u8])> = links.iter().map(|link| (&b"Link"[..], &link[..])).collect();
        let told = self.writer.informational(103, &fields);
        told.map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
        self.flush(py, todo);
        Ok(())
    }

    /// The application has returned, or what became of it.
    pub(super) fn finished(
        &mut self,
        protocol: &Bound<'_, Protocol>,
        number: u64,
        outcome: Outcome,
        todo: &mut Todo,
    ) {
        if number != self.number {
            return;
        }
        self.exchange.task = None;
        let (py, now) = (protocol.py(), clock::monotonic());
        if self.is_socket() && !self.exchange.complete {
            return self.socket_finished(py, outcome, todo);
        }
        match (self.stage, outcome) {
            (Stage::Serving, Outcome::Cancelled) => self.abandon(py, End::Abort, now, todo),
            (Stage::Serving, _) if self.writer.head_sent() => {
                if outcome == Outcome::Returned {
                    let line = self.line();
                    log::error!(
                        "ASGI application returned without completing the response; closing the connection:{line}"
                    );
                }
                self.abandon(py, End::Close, now, todo);
            }
            (Stage::Serving, outcome) => {
                if outcome == Outcome::Returned {
                    log::error!("ASGI application returned without sending a response:{}", self.line());
                }
                self.answer(py, 500, "", todo);
            }
            _ => self.tell(py, now, todo),
        }
    }

    /// The client is to see that its response was cut short.
    pub(super) fn abandon(&mut self, py: Python<'_>, end: End, now: Duration, todo: &mut Todo) {
        self.writer.abort();
        self.flush(py, todo);
        self.tell(py, now, todo);
        self.close(end, todo);
    }

    /// Answers what the peer did wrong, and logs it once. One that is gone gets no more than a line for those who debug.
    pub(super) fn refuse(&mut self, py: Python<'_>, fault: &PeerError, now: Duration, todo: &mut Todo) {
        tell_fault(&self.sender, fault);
        if fault.is_disconnect() {
            self.tell(py, now, todo);
            return self.close(End::Close, todo);
        }
        self.answer(py, fault.status(), &fault.page_message(), todo);
    }

    /// Answers in the place of the application, and ends the connection.
    pub(super) fn answer(&mut self, py: Python<'_>, status: u16, message: &str, todo: &mut Todo) {
        let now = clock::monotonic();
        if !self.writer.head_sent() {
            self.head.clear();
            self.exchange.error_status = Some(status);
        }
        self.writer.error_response(status, message);
        self.flush(py, todo);
        self.tell(py, now, todo);
        self.pieces.clear();
        self.held = 0;
        self.wake(todo);
        self.linger(now, todo);
    }

    /// The rest of the request will not come. The application, which has the request, is told so.
    pub(super) fn cut(&mut self, py: Python<'_>, fault: &PeerError, now: Duration, todo: &mut Todo) {
        if std::mem::replace(&mut self.exchange.cut, true) {
            return;
        }
        self.deadline = Duration::MAX;
        self.condemn(now);
        self.refuse(py, fault, now, todo);
    }

    /// ` METHOD target [id]`, for the error log.
    pub(super) fn line(&self) -> String {
        let id = self.exchange.id.as_ref().map_or_else(String::new, |id| format!(" [{id}]"));
        self.reader.head().map_or_else(String::new, |head| {
            format!(" {} {}{id}", head.method(), head.target().escape_ascii())
        })
    }
}

fn unexpected(started: bool, name: &str) -> PyErr {
    let due = if started { "http.response.body" } else { "http.response.start" };
    PyRuntimeError::new_err(format!("expected the ASGI message '{due}', but got '{name}'"))
}
