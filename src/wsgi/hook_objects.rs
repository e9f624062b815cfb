//! `req` and `resp`: what a request's hooks see of it.
//!
//! They are copies, made only for hooks, so that one may keep them. Values are native strings, as in the environ. Read
//! next: `hooks.rs`.

use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::environ::{EnvironError, Server};
use super::exchange::Exchange;
use super::text::native;
use crate::http::{
    Client, Decision, ForwardedRules, Head, ResponseHead, ResponseWriter, Scheme, Version, reason,
};
use crate::net::Peer;

#[pyclass(dict, weakref, module = "rwsgi", name = "Request")]
pub(crate) struct Request {
    #[pyo3(get)]
    method: String,
    uri: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
    #[pyo3(get)]
    headers: Py<PyList>,
    #[pyo3(get)]
    version: (u8, u8),
    /// `wsgi.url_scheme`.
    #[pyo3(get)]
    scheme: &'static str,
    peer: Peer,
    /// The client of a PROXY header, and whom the proxy speaks for in a field.
    sender: Peer,
    client: Option<Client>,
}

impl Request {
    /// Fails, as the environ would, with a peer's contradictions.
    pub(super) fn new(py: Python<'_>, server: &Server, exchange: &Exchange) -> Result<Self, EnvironError> {
        let reader = exchange.reading()?;
        let head = reader.head().ok_or_else(|| PyAssertionError::new_err("there is no request to serve"))?;
        Self::of(py, &head, &server.rules(exchange), (exchange.peer, exchange.client()))
    }

    /// The request with this head. `peer`: the other end of the socket; `sender`: whom a PROXY header there names.
    pub(crate) fn of(
        py: Python<'_>,
        head: &Head<'_>,
        rules: &ForwardedRules<'_>,
        (peer, sender): (Peer, Peer),
    ) -> Result<Self, EnvironError> {
        let forwarded = rules.apply(head)?;
        let scheme = forwarded.scheme.unwrap_or(Scheme::Http);
        let headers = PyList::empty(py);
        for (name, value) in fields(head, rules) {
            headers.append((native(py, &name.to_ascii_uppercase()), native(py, value)))?;
        }
        let fragment = head.target().splitn(2, |byte| *byte == b'#').nth(1).unwrap_or_default();
        Ok(Self {
            method: head.method().to_owned(),
            uri: head.target().to_vec(),
            path: head.path().to_vec(),
            query: head.query().to_vec(),
            fragment: fragment.to_vec(),
            headers: headers.unbind(),
            version: match head.version() {
                Version::Http10 => (1, 0),
                Version::Http11 => (1, 1),
            },
            scheme: scheme.as_str(),
            peer,
            sender,
            client: forwarded.client,
        })
    }
}

/// The fields that reach the application.
fn fields<'a>(head: &Head<'a>, rules: &ForwardedRules<'_>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let underscores = head.has_underscores();
    head.fields().filter(move |(name, _)| !underscores || rules.decide(name) == Decision::Keep)
}

#[pymethods]
impl Request {
    #[getter]
    fn uri<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        native(py, &self.uri)
    }

    /// Still escaped.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        native(py, &self.path)
    }

    #[getter]
    fn query<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        native(py, &self.query)
    }

    #[getter]
    fn fragment<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        native(py, &self.fragment)
    }

    /// `(address, port)`, empty on a unix socket.
    #[getter]
    fn remote_addr<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.client {
            Some(client) => {
                let port = client.port.unwrap_or_default();
                Ok((client.ip.to_string(), port).into_pyobject(py)?.into_any())
            }
            None => pair(py, self.sender),
        }
    }

    /// The other end of the socket, whatever a PROXY header says.
    #[getter]
    fn peer_addr<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        pair(py, self.peer)
    }
}

fn pair(py: Python<'_>, peer: Peer) -> PyResult<Bound<'_, PyAny>> {
    Ok(match peer {
        Peer::Ip(address) => (address.ip().to_string(), address.port()).into_pyobject(py)?.into_any(),
        Peer::Unix => "".into_pyobject(py)?.into_any(),
    })
}

#[derive(Default)]
#[pyclass(dict, weakref, module = "rwsgi", name = "Response")]
pub(crate) struct Response {
    status: Option<Vec<u8>>,
    #[pyo3(get)]
    status_code: Option<u16>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    #[pyo3(get)]
    headers_sent: bool,
    /// Bytes of the body.
    #[pyo3(get)]
    sent: u64,
    /// Content-Length, if the application gave one.
    #[pyo3(get)]
    response_length: Option<u64>,
}

impl Response {
    /// What the client gets, be it the server's own page: for the logger.
    pub(super) fn answered(exchange: &Exchange) -> Self {
        let shown = Self::new(exchange);
        match exchange.response() {
            Some(response) => shown.or_status(response.status()),
            None => shown,
        }
    }

    pub(super) fn new(exchange: &Exchange) -> Self {
        // A thread that the application left behind may be inside it: then there is nothing to tell.
        exchange.response().map_or_else(Self::default, |response| Self::of(&response.head, &response.writer))
    }

    /// Empty if the application gave no response.
    pub(crate) fn of(head: &ResponseHead, writer: &ResponseWriter) -> Self {
        if !head.is_set() {
            return Self::default();
        }
        let pair = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
        Self {
            status: Some(head.status_line().to_vec()),
            status_code: Some(head.status()),
            fields: head.fields().map(pair).collect(),
            headers_sent: writer.head_sent(),
            sent: writer.body_sent(),
            response_length: head.content_length(),
        }
    }

    /// Another has written the body, of so many bytes.
    pub(crate) fn having_sent(mut self, sent: u64) -> Self {
        self.headers_sent = true;
        self.sent = sent;
        self
    }

    /// What the client gets where the application gave no response.
    pub(crate) fn or_status(mut self, status: u16) -> Self {
        if self.status.is_none() {
            self.status = Some(format!("{status} {}", reason(status)).into_bytes());
            self.status_code = Some(status);
        }
        self
    }
}

#[pymethods]
impl Response {
    /// `200 OK`; `None` if the application gave no response.
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.status.as_deref().map(|status| native(py, status))
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.fields.iter().map(|(name, value)| (native(py, name), native(py, value))))
    }
}
