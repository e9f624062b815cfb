//! What the access log may ask about a request, and who is told of it.
//!
//! Owns the moment: when the response is whole, or when the application ends without one. Read next: `wsgi/record.rs`,
//! the observers themselves.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::connection::Connection;
use super::service::Service;
use super::todo::Todo;
use crate::wsgi::{HeadRecord, Request, ShownResponse};

/// What those who need Python objects are told, outside of the connection's lock.
pub(super) struct Told {
    request: Py<Request>,
    response: ShownResponse,
    /// The logger's copy; hooks may keep theirs.
    logged: ShownResponse,
    elapsed: Duration,
}

impl Told {
    pub(super) fn tell(self, py: Python<'_>, service: &Service) {
        let request = self.request.bind(py);
        if let Some(bridge) = service.parts.observers.as_ref().and_then(|observers| observers.bridge()) {
            match Bound::new(py, self.logged) {
                Ok(response) => bridge.access(py, &response, request, &PyDict::new(py), self.elapsed),
                Err(error) => log::error!("Cannot tell the logger of a request: {error}"),
            }
        }
        if let Some(hooks) = service.parts.hooks.as_ref().filter(|hooks| hooks.has_post_request()) {
            hooks.show(request, self.response);
        }
    }
}

impl Connection {
    /// Tells of the request in hand, once.
    pub(super) fn tell(&mut self, py: Python<'_>, now: Duration, todo: &mut Todo) {
        if let Some(kept) = self.exchange.kept.take() {
            self.service.parts.keeper.end(kept, now);
        } else {
            return;
        }
        let elapsed = now.saturating_sub(self.exchange.began);
        if let Some(observers) = &self.service.parts.observers
            && let Some(head) = self.reader.head()
        {
            observers.tell_of(&HeadRecord {
                head,
                client: &|| self.client(),
                status: self.status(),
                sent: self.writer.body_sent(),
                elapsed,
                response_field: &|name| self.head.field(name),
                request_id: self.exchange.id.as_deref(),
            });
        }
        todo.told = self.told(py, elapsed).map(Box::new);
    }

    fn told(&mut self, py: Python<'_>, elapsed: Duration) -> Option<Told> {
        let bridged = self.service.parts.observers.as_ref().is_some_and(|all| all.bridge().is_some());
        let hooked = self.service.parts.hooks.as_ref().is_some_and(|hooks| hooks.has_post_request());
        if !bridged && !hooked {
            return None;
        }
        let request = match self.exchange.seen.take() {
            Some(seen) => seen,
            None => {
                let rules = self.service.scopes.rules(self.peer);
                let head = self.reader.head()?;
                Py::new(py, Request::of(py, &head, &rules, (self.peer, self.sender)).ok()?).ok()?
            }
        };
        let shown = || ShownResponse::of(&self.head, &self.writer).or_status(self.status());
        Some(Told { request, response: shown(), logged: shown(), elapsed })
    }

    /// What the client gets, or would have got.
    fn status(&self) -> u16 {
        if self.head.is_set() { self.head.status() } else { self.exchange.error_status.unwrap_or(500) }
    }

    fn client(&self) -> String {
        self.exchange.client.map_or_else(|| self.sender.address(), |client| client.ip.to_string())
    }
}
