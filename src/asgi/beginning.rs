//! The beginning of a request: from its head to a scope and a task, or to a refusal.
//!
//! Owns what is settled before the application hears of the request. Read next: `scope.rs`, `run.rs`.

use std::time::Duration;

use pyo3::prelude::*;

use super::connection::{Connection, Exchange, Stage};
use super::protocol::Protocol;
use super::run::Start;
use super::todo::Todo;
use super::websocket::{self, Refusal, Socket};
use crate::net::Peer;
use crate::wsgi::{EnvironError, Request};

impl Connection {
    pub(super) fn heed_proxy(&mut self, py: Python<'_>) {
        let addresses = self.reader.proxied().and_then(|proxied| proxied.addresses);
        if let Some(addresses) = addresses {
            self.sender = Peer::Ip(addresses.client);
            let client = (addresses.client.ip().to_string(), addresses.client.port());
            if let Ok(client) = client.into_pyobject(py) {
                self.ends.client = client.into_any().unbind();
            }
        }
    }

    /// A request's head is there.
    pub(super) fn begin(&mut self, protocol: &Bound<'_, Protocol>, now: Duration, todo: &mut Todo) {
        let py = protocol.py();
        self.number += 1;
        self.kept = false;
        self.exchange = Exchange { began: now, ..Exchange::default() };
        let keep = self.service.keeps();
        let (service, Some(head)) = (&self.service, self.reader.head()) else { return };
        self.writer.begin(&head, keep);
        self.stage = Stage::Serving;
        self.deadline = if head.has_body() {
            now.saturating_add(service.parts.patience.body.limit)
        } else {
            Duration::MAX
        };
        if let Some(ids) = &service.parts.request_ids {
            let id = ids.of(&head, service.scopes.trusts(self.peer));
            self.writer.identify(&id);
            self.exchange.id = Some(id);
        }
        self.exchange.kept = Some(service.parts.keeper.begin(head.method(), head.target(), now));
        match self.prepare(py) {
            Ok(Ok(start)) => todo.start = Some(start),
            Ok(Err(refusal)) => self.refuse_socket(py, &refusal, todo),
            Err(EnvironError::Peer(fault)) => self.refuse(py, &fault, now, todo),
            Err(EnvironError::Python(error)) => {
                log::error!("Cannot make a scope: {error}");
                self.answer(py, 500, "", todo);
            }
        }
    }

    fn refuse_socket(&mut self, py: Python<'_>, refusal: &Refusal, todo: &mut Todo) {
        match refusal {
            Refusal::Key => self.answer(py, 400, "Invalid Sec-WebSocket-Key", todo),
            Refusal::Version => {
                self.writer.demand(b"Sec-WebSocket-Version", b"13");
                self.answer(py, 426, "", todo);
            }
        }
    }

    fn prepare(&mut self, py: Python<'_>) -> Result<Result<Start, Refusal>, EnvironError> {
        let service = &self.service;
        let head = self
            .reader
            .head()
            .ok_or_else(|| pyo3::exceptions::PyAssertionError::new_err("there is no request to serve"))?;
        let (scope, client) = if websocket::is_wanted(&head) {
            match Socket::new(py, &head, service.parts.message_size, service.parts.pings)? {
                Ok(socket) => self.exchange.socket = Some(Box::new(socket)),
                Err(refusal) => return Ok(Err(refusal)),
            }
            service.scopes.websocket(py, &head, self.peer, &self.ends)?
        } else {
            service.scopes.http(py, &head, self.peer, &self.ends)?
        };
        self.exchange.client = client;
        if let Some(id) = &self.exchange.id {
            service.scopes.identify(&scope, id)?;
        }
        if let Some(hooks) = &service.parts.hooks {
            if hooks.wants_requests() {
                let rules = service.scopes.rules(self.peer);
                let request = Request::of(py, &head, &rules, (self.peer, self.sender))?;
                self.exchange.seen = Some(Py::new(py, request)?);
            }
            hooks.count();
        }
        let seen = self.exchange.seen.as_ref().map(|seen| seen.clone_ref(py));
        Ok(Ok(Start { number: self.number, socket: self.is_socket(), scope: scope.unbind(), seen }))
    }
}
