//! What the access log may ask about a request that was served, and who is told of it.
//!
//! Values come from the environ as the application leaves it, where gunicorn's do; where there is none, from the head.
//! Read next: `log/access_log.rs`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{Bound, intern};

use super::environ::Server;
use super::exchange::Exchange;
use super::hook_objects::{self, Request};
use super::response::Response;
use super::text;
use crate::http::{Head, percent_decode};
use crate::log::access_log::{self, AccessLog, Escape, Variable};
use crate::log::{Logs, Statsd};
use crate::py::bridge::Bridge;

/// Who is told of each request.
pub struct Observers {
    access_log: Option<Arc<AccessLog>>,
    /// In the place of the access log.
    bridge: Option<Arc<Bridge>>,
    statsd: Option<Arc<Statsd>>,
}

impl Observers {
    /// `None` if nobody wants to know.
    pub fn of(logs: &Logs, bridge: Option<&Arc<Bridge>>) -> Option<Self> {
        let access_log = logs.access.clone().filter(|_| bridge.is_none());
        let bridge = bridge.filter(|bridge| bridge.wants_access()).cloned();
        let statsd = logs.statsd.clone();
        let somebody = access_log.is_some() || bridge.is_some() || statsd.is_some();
        somebody.then_some(Self { access_log, bridge, statsd })
    }

    /// Tells of a request that was served. `elapsed`: the application's time.
    pub(super) fn tell(
        &self,
        py: Python<'_>,
        (server, exchange): (&Server, &Exchange),
        environ: Option<&Bound<'_, PyDict>>,
        elapsed: Duration,
    ) {
        // No lock is held while it runs (I8).
        if let Some(bridge) = &self.bridge
            && let Err(error) = tell_logger(py, bridge, (server, exchange), environ, elapsed)
        {
            log::error!("Cannot tell the logger of a request: {error}");
        }
        let (Some(reader), Some(response)) = (exchange.request(), exchange.response()) else { return };
        let Some(head) = reader.head() else { return };
        let status = response.status();
        let id = exchange.id();
        self.tell_of(&Record { head, response: &response, exchange, environ, status, elapsed, id });
    }

    /// Tells those that need no Python.
    pub(crate) fn tell_of(&self, record: &impl access_log::Record) {
        if let Some(log) = &self.access_log {
            log.write(record);
        }
        if let Some(statsd) = &self.statsd {
            statsd.request(record.status(), record.elapsed());
        }
    }

    /// Whom Python's objects are to be shown to, outside of every lock (I8).
    pub(crate) const fn bridge(&self) -> Option<&Arc<Bridge>> {
        self.bridge.as_ref()
    }
}

fn tell_logger(
    py: Python<'_>,
    bridge: &Bridge,
    (server, exchange): (&Server, &Exchange),
    environ: Option<&Bound<'_, PyDict>>,
    elapsed: Duration,
) -> PyResult<()> {
    // A head that contradicts itself makes no request.
    let Ok(request) = Request::new(py, server, exchange) else { return Ok(()) };
    let request = Bound::new(py, request)?;
    let response = Bound::new(py, hook_objects::Response::answered(exchange))?;
    let none = PyDict::new(py);
    bridge.access(py, &response, &request, environ.unwrap_or(&none), elapsed);
    Ok(())
}

struct Record<'a, 'py> {
    head: Head<'a>,
    response: &'a Response,
    exchange: &'a Exchange,
    environ: Option<&'a Bound<'py, PyDict>>,
    status: u16,
    elapsed: Duration,
    id: Option<Arc<str>>,
}

/// A variable where there is no environ: it is worked out from the head, and `client` makes the client's address.
fn variable_of(
    head: &Head<'_>,
    client: impl FnOnce() -> String,
    variable: Variable,
    escape: Escape,
    line: &mut Vec<u8>,
) {
    match variable {
        Variable::RemoteAddr => escape(client().as_bytes(), line),
        Variable::Method => escape(head.method().as_bytes(), line),
        Variable::QueryString => escape(head.query(), line),
        Variable::PathInfo => {
            let mut decoded = Vec::new();
            percent_decode(head.path(), &mut decoded);
            escape(&decoded, line);
        }
    }
}

impl access_log::Record for Record<'_, '_> {
    fn variable(&self, variable: Variable, escape: Escape, line: &mut Vec<u8>) -> bool {
        let Some(environ) = self.environ else {
            // The request was refused before there was one.
            variable_of(&self.head, || self.exchange.client().address(), variable, escape, line);
            return true;
        };
        let py = environ.py();
        let key = match variable {
            Variable::RemoteAddr => intern!(py, "REMOTE_ADDR"),
            Variable::Method => intern!(py, "REQUEST_METHOD"),
            Variable::PathInfo => intern!(py, "PATH_INFO"),
            Variable::QueryString => intern!(py, "QUERY_STRING"),
        };
        append(environ, key, escape, line)
    }

    fn target(&self) -> &[u8] {
        self.head.target()
    }

    fn path(&self) -> &[u8] {
        self.head.path()
    }

    fn query(&self) -> &[u8] {
        self.head.query()
    }

    fn protocol(&self) -> &str {
        self.head.version().as_str()
    }

    fn status(&self) -> u16 {
        self.status
    }

    fn sent(&self) -> u64 {
        self.response.writer.body_sent()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn request_field(&self, name: &str) -> Option<&[u8]> {
        self.head.field(name)
    }

    fn response_field(&self, name: &str) -> Option<&[u8]> {
        self.response.head.field(name)
    }

    fn environ(&self, key: &str, escape: Escape, line: &mut Vec<u8>) -> bool {
        let Some(environ) = self.environ else { return false };
        if append(environ, &PyString::new(environ.py(), key), escape, line) {
            return true;
        }
        // Names in a format have no case; the environ's keys do.
        let is_key = |found: &Bound<'_, PyAny>| {
            found.extract::<&str>().is_ok_and(|found| found.eq_ignore_ascii_case(key))
        };
        let found = environ.iter().find(|(found, _)| is_key(found));
        found.is_some_and(|(_, value)| append_value(&value, escape, line))
    }

    fn request_id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

fn append(
    environ: &Bound<'_, PyDict>,
    key: &Bound<'_, PyString>,
    escape: Escape,
    line: &mut Vec<u8>,
) -> bool {
    environ.get_item(key).ok().flatten().is_some_and(|value| append_value(&value, escape, line))
}

/// Native strings are bytes in latin-1 (PEP 3333): what the client sent comes out as it was.
fn append_value(value: &Bound<'_, PyAny>, escape: Escape, line: &mut Vec<u8>) -> bool {
    match text::latin1(value, "") {
        Ok(bytes) => escape(bytes, line),
        Err(_) => match value.str() {
            Ok(text) => escape(text.to_string_lossy().as_bytes(), line),
            Err(_) => return false,
        },
    }
    true
}

/// A request without an environ: names of it that a format asks for are answered from the head.
pub(crate) struct HeadRecord<'a> {
    pub head: Head<'a>,
    /// Makes its address.
    pub client: &'a dyn Fn() -> String,
    pub status: u16,
    /// Bytes of the response's body.
    pub sent: u64,
    pub elapsed: Duration,
    pub response_field: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    pub request_id: Option<&'a str>,
}

impl access_log::Record for HeadRecord<'_> {
    fn variable(&self, variable: Variable, escape: Escape, line: &mut Vec<u8>) -> bool {
        variable_of(&self.head, self.client, variable, escape, line);
        true
    }

    fn target(&self) -> &[u8] {
        self.head.target()
    }

    fn path(&self) -> &[u8] {
        self.head.path()
    }

    fn query(&self) -> &[u8] {
        self.head.query()
    }

    fn protocol(&self) -> &str {
        self.head.version().as_str()
    }

    fn status(&self) -> u16 {
        self.status
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn request_field(&self, name: &str) -> Option<&[u8]> {
        self.head.field(name)
    }

    fn response_field(&self, name: &str) -> Option<&[u8]> {
        (self.response_field)(name)
    }

    fn environ(&self, key: &str, escape: Escape, line: &mut Vec<u8>) -> bool {
        let variable = match key.to_ascii_uppercase().as_str() {
            "REMOTE_ADDR" => Variable::RemoteAddr,
            "REQUEST_METHOD" => Variable::Method,
            "QUERY_STRING" => Variable::QueryString,
            "PATH_INFO" => Variable::PathInfo,
            "RAW_URI" => {
                escape(self.head.target(), line);
                return true;
            }
            "SERVER_PROTOCOL" => {
                escape(self.head.version().as_str().as_bytes(), line);
                return true;
            }
            _ => return false,
        };
        self.variable(variable, escape, line)
    }

    fn request_id(&self) -> Option<&str> {
        self.request_id
    }
}
