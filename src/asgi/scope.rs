//! The scope: a template made once, copied for each request and completed from its head.
//!
//! Owns what an ASGI application is told of a request. What a proxy may say is decided by `http::ForwardedRules`; this
//! file only asks. Must never hand out a dictionary that two requests share: applications write into theirs.

use std::sync::Arc;

use memchr::memchr;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::http::{
    Client, Decision, Forwarded, ForwardedRules, Head, Policy, Scheme, Version, percent_decode,
};
use crate::net::Peer;
use crate::wsgi::{EnvironError, Keys, enter};

/// The version of the "HTTP & WebSocket" specification: from 2.4 on `send` raises when the client is gone.
const SPEC_VERSION: &str = "2.4";

/// The two ends of a connection as scopes have them.
pub(super) struct Ends {
    pub client: Py<PyAny>,
    pub server: Py<PyAny>,
}

pub(super) struct Scopes {
    http: Py<PyDict>,
    websocket: Py<PyDict>,
    policy: Arc<Policy>,
    names: Keys<PyBytes>,
    /// The lifespan's, shallowly copied into each scope.
    state: Py<PyDict>,
}

impl Scopes {
    pub(super) fn new(
        py: Python<'_>,
        policy: &Arc<Policy>,
        root_path: &str,
        state: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let http = PyDict::new(py);
        enter(&http, "type", "http")?;
        enter(&http, "http_version", "1.1")?;
        enter(&http, "method", "GET")?;
        enter(&http, "scheme", Scheme::Http.as_str())?;
        enter(&http, "root_path", root_path)?;
        enter(&http, "query_string", PyBytes::new(py, b""))?;
        // What each request has of its own: a copy with all keys is made at one stroke.
        for key in ["asgi", "path", "raw_path", "headers", "client", "server", "state", "extensions"] {
            enter(&http, key, py.None())?;
        }
        let websocket = http.copy()?;
        enter(&websocket, "type", "websocket")?;
        enter(&websocket, "scheme", "ws")?;
        websocket.del_item("method")?;
        enter(&websocket, "subprotocols", py.None())?;
        Ok(Self {
            http: http.unbind(),
            websocket: websocket.unbind(),
            policy: Arc::clone(policy),
            names: Keys::made_by(lower_case),
            state: state.clone().unbind(),
        })
    }

    /// What `peer` may say for others.
    pub(super) fn rules(&self, peer: Peer) -> ForwardedRules<'_> {
        ForwardedRules::new(&self.policy, self.trusts(peer))
    }

    pub(super) fn trusts(&self, peer: Peer) -> bool {
        self.policy.forwarded_allow_ips.contains(peer.ip())
    }

    pub(super) fn http<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_>,
        peer: Peer,
        ends: &Ends,
    ) -> Result<(Bound<'py, PyDict>, Option<Client>), EnvironError> {
        let scope = self.http.bind(py).copy()?;
        if head.method() != "GET" {
            scope.set_item(intern!(py, "method"), head.method())?;
        }
        scope.set_item(intern!(py, "extensions"), extension(intern!(py, "http.response.early_hint"))?)?;
        let client = self.complete(&scope, (head, peer), intern!(py, "https"), ends)?;
        Ok((scope, client))
    }

    /// The application is to see the id that is logged, in place of what the client sent.
    pub(super) fn identify(&self, scope: &Bound<'_, PyDict>, id: &str) -> PyResult<()> {
        let py = scope.py();
        scope.set_item(intern!(py, "rwsgi.request_id"), id)?;
        let Some(headers) = scope.get_item(intern!(py, "headers"))? else { return Ok(()) };
        let headers = headers.cast_into::<PyList>()?;
        let name = self.names.key(py, b"x-request-id");
        let others = PyList::empty(py);
        for field in &headers {
            if !field.get_item(0)?.eq(&name)? {
                others.append(field)?;
            }
        }
        others.append(self.field(py, b"x-request-id", id.as_bytes())?)?;
        scope.set_item(intern!(py, "headers"), others)
    }

    pub(super) fn websocket<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_>,
        peer: Peer,
        ends: &Ends,
    ) -> Result<(Bound<'py, PyDict>, Option<Client>), EnvironError> {
        let scope = self.websocket.bind(py).copy()?;
        scope.set_item(intern!(py, "extensions"), extension(intern!(py, "websocket.http.response"))?)?;
        scope.set_item(intern!(py, "subprotocols"), subprotocols(py, head)?)?;
        let client = self.complete(&scope, (head, peer), intern!(py, "wss"), ends)?;
        Ok((scope, client))
    }

    /// What both kinds have. `secure`: the scheme, where a proxy's client speaks TLS. The client that the proxy names, if
    /// it does.
    fn complete(
        &self,
        scope: &Bound<'_, PyDict>,
        (head, peer): (&Head<'_>, Peer),
        secure: &Bound<'_, PyString>,
        ends: &Ends,
    ) -> Result<Option<Client>, EnvironError> {
        let py = scope.py();
        let rules = self.rules(peer);
        let forwarded = rules.apply(head)?;
        if forwarded.scheme == Some(Scheme::Https) {
            scope.set_item(intern!(py, "scheme"), secure)?;
        }
        let asgi = PyDict::new(py);
        asgi.set_item(intern!(py, "version"), intern!(py, "3.0"))?;
        asgi.set_item(intern!(py, "spec_version"), intern!(py, SPEC_VERSION))?;
        scope.set_item(intern!(py, "asgi"), asgi)?;
        if head.version() == Version::Http10 {
            scope.set_item(intern!(py, "http_version"), intern!(py, "1.0"))?;
        }
        scope.set_item(intern!(py, "path"), path(py, head.path()))?;
        scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, head.path()))?;
        if !head.query().is_empty() {
            scope.set_item(intern!(py, "query_string"), PyBytes::new(py, head.query()))?;
        }
        scope.set_item(intern!(py, "headers"), self.headers(py, head, &rules, &forwarded)?)?;
        match forwarded.client {
            None => scope.set_item(intern!(py, "client"), &ends.client)?,
            // What the proxy does not say of the port is not made up.
            Some(client) => {
                let pair = (client.ip.to_string(), client.port.unwrap_or_default());
                scope.set_item(intern!(py, "client"), pair)?;
            }
        }
        scope.set_item(intern!(py, "server"), &ends.server)?;
        scope.set_item(intern!(py, "state"), self.state.bind(py).copy()?)?;
        Ok(forwarded.client)
    }

    fn headers<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_>,
        rules: &ForwardedRules<'_>,
        forwarded: &Forwarded,
    ) -> PyResult<Bound<'py, PyList>> {
        // What the Host field does not decide: the proxy's word, then the target's.
        let host = forwarded.host.as_deref().or_else(|| head.authority());
        let underscores = head.has_underscores();
        let mut fields: Vec<Bound<'py, PyTuple>> = Vec::with_capacity(head.fields().len() + 1);
        if let Some(host) = host {
            fields.push(self.field(py, b"host", host)?);
        }
        for (name, value) in head.fields() {
            let replaced = host.is_some() && name.eq_ignore_ascii_case(b"host");
            if replaced || (underscores && rules.decide(name) != Decision::Keep) {
                continue;
            }
            fields.push(self.field(py, name, value)?);
        }
        PyList::new(py, fields)
    }

    fn field<'py>(&self, py: Python<'py>, name: &[u8], value: &[u8]) -> PyResult<Bound<'py, PyTuple>> {
        (self.names.key(py, name), PyBytes::new(py, value)).into_pyobject(py)
    }
}

/// A dictionary of the one extension that a scope has.
fn extension<'py>(name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyDict>> {
    let extensions = PyDict::new(name.py());
    extensions.set_item(name, PyDict::new(name.py()))?;
    Ok(extensions)
}

fn lower_case<'py>(py: Python<'py>, name: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &name.to_ascii_lowercase())
}

/// Percent-decoded UTF-8; what is none is replaced, for a path has to be text.
fn path<'py>(py: Python<'py>, raw: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(raw) {
        Ok(text) if memchr(b'%', raw).is_none() => PyString::new(py, text),
        _ => {
            let mut decoded = Vec::with_capacity(raw.len());
            percent_decode(raw, &mut decoded);
            PyString::new(py, &String::from_utf8_lossy(&decoded))
        }
    }
}

fn subprotocols<'py>(py: Python<'py>, head: &Head<'_>) -> PyResult<Bound<'py, PyList>> {
    let named = head.fields().filter(|field| field.0.eq_ignore_ascii_case(b"sec-websocket-protocol"));
    let offered = named.flat_map(|field| field.1.split(|byte| *byte == b','));
    let offered = offered.map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned());
    PyList::new(py, offered.filter(|name| !name.is_empty()).collect::<Vec<_>>())
}

/// The two ends of a connection: `server` is what the socket is bound to. A unix socket has a path and no port, and a
/// client of one has no address.
pub(super) fn ends(py: Python<'_>, client: Peer, server: &Bound<'_, PyAny>) -> PyResult<Ends> {
    let client = match client {
        Peer::Ip(address) => {
            (address.ip().to_string(), address.port()).into_pyobject(py)?.into_any().unbind()
        }
        Peer::Unix => py.None(),
    };
    let server = match server.cast::<PyTuple>() {
        Ok(address) => (address.get_item(0)?, address.get_item(1)?).into_pyobject(py)?.into_any(),
        Err(_) => (server, py.None()).into_pyobject(py)?.into_any(),
    };
    Ok(Ends { client, server: server.unbind() })
}
