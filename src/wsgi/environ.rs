//! The environ: a template made once per listener, copied for each request and completed from its head.
//!
//! Values are native strings straight from the received bytes (latin-1, PEP 3333). What a proxy may say is decided by
//! `http::ForwardedRules`; this file only asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::client_socket::ClientSocket;
use super::errors::ErrorStream;
use super::exchange::Exchange;
use super::file_wrapper::FileWrapper;
use super::input::Input;
use super::start_response::EarlyHints;
use super::text::native;
use crate::http::{
    Addresses, Client, Decision, Detail, ForwardedRules, Head, PeerError, Policy, Proxied, Scheme,
    percent_decode,
};
use crate::net::{Listener, Peer};

/// What `SERVER_SOFTWARE` says, in every environ and in the process's environment.
pub const SERVER_SOFTWARE: &str = concat!("rwsgi/", env!("CARGO_PKG_VERSION"));

/// Field names whose environ key is remembered. Bounded, because clients choose the names.
const KNOWN_KEYS: usize = 256;

/// Why there is no environ.
#[derive(Debug)]
pub(super) enum EnvironError {
    /// The client's fault: it gets this answer.
    Peer(PeerError),
    Python(PyErr),
}

impl From<PeerError> for EnvironError {
    fn from(error: PeerError) -> Self {
        Self::Peer(error)
    }
}

impl From<PyErr> for EnvironError {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

/// What all requests to one listener share.
pub struct Server {
    template: Py<PyDict>,
    policy: Arc<Policy>,
    /// SCRIPT_NAME of requests whose proxy gives none.
    script_name: Vec<u8>,
    /// The socket's path, for a listener that has no host and port of its own.
    unix: Option<String>,
    keys: Mutex<HashMap<Box<[u8]>, Py<PyString>>>,
}

/// What the environ says of the worker.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    pub multithread: bool,
    pub multiprocess: bool,
}

impl Server {
    /// The template for requests accepted by `listener`.
    pub fn new(
        py: Python<'_>,
        listener: &Listener,
        policy: &Arc<Policy>,
        errors: &Py<ErrorStream>,
        concurrency: Concurrency,
    ) -> PyResult<Self> {
        let environ = PyDict::new(py);
        environ.set_item("wsgi.errors", errors)?;
        environ.set_item("wsgi.version", (1, 0))?;
        environ.set_item("wsgi.multithread", concurrency.multithread)?;
        environ.set_item("wsgi.multiprocess", concurrency.multiprocess)?;
        environ.set_item("wsgi.run_once", false)?;
        environ.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        environ.set_item("wsgi.input_terminated", true)?;
        environ.set_item("SERVER_SOFTWARE", SERVER_SOFTWARE)?;
        let unix = match listener.local() {
            crate::net::Local::Tcp(local) => {
                environ.set_item("SERVER_NAME", listener.server_name().unwrap_or_default())?;
                environ.set_item("SERVER_PORT", local.port().to_string())?;
                None
            }
            crate::net::Local::Unix(name) => Some(name.clone()),
        };
        let variable = py.import("os")?.getattr("environ")?.call_method1("get", ("SCRIPT_NAME", ""))?;
        let script_name: String = variable.extract()?;
        Ok(Self {
            template: environ.unbind(),
            policy: Arc::clone(policy),
            script_name: script_name.into_bytes(),
            unix,
            keys: Mutex::default(),
        })
    }

    /// The environ of one request.
    pub(super) fn environ<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_>,
        exchange: &Arc<Exchange>,
    ) -> Result<Bound<'py, PyDict>, EnvironError> {
        let rules = self.rules(exchange);
        let forwarded = rules.apply(head)?;
        let scheme = forwarded.scheme.unwrap_or(Scheme::Http);
        // What the Host field does not decide: the proxy's word, then the target's.
        let host = forwarded.host.as_deref().or_else(|| head.authority());
        let environ = self.template.bind(py).copy()?;
        request_line(&environ, head)?;
        let script_name = self.fields(&environ, head, &rules)?;
        path(&environ, head, script_name.unwrap_or(&self.script_name))?;
        connection(&environ, exchange, forwarded.client)?;
        if let Some(host) = host {
            environ.set_item(intern!(py, "HTTP_HOST"), native(py, host))?;
        }
        environ.set_item(intern!(py, "wsgi.url_scheme"), scheme.as_str())?;
        if let Some(socket) = &self.unix {
            unix_server(&environ, host.or_else(|| head.host()), scheme, socket)?;
        }
        if let Some(id) = exchange.id() {
            // In place of what the client sent: the application is to see the id that is logged.
            environ.set_item(intern!(py, "HTTP_X_REQUEST_ID"), id)?;
            environ.set_item(intern!(py, "rwsgi.request_id"), id)?;
        }
        Ok(environ)
    }

    /// What this peer may say for others.
    pub(super) fn rules(&self, exchange: &Exchange) -> ForwardedRules<'_> {
        ForwardedRules::new(&self.policy, self.trusts(exchange))
    }

    pub(super) fn trusts(&self, exchange: &Exchange) -> bool {
        self.policy.forwarded_allow_ips.contains(exchange.peer.ip())
    }

    /// Sets a key for each field line; returns the proxy's SCRIPT_NAME.
    fn fields<'a>(
        &self,
        environ: &Bound<'_, PyDict>,
        head: &Head<'a>,
        rules: &ForwardedRules<'_>,
    ) -> PyResult<Option<&'a [u8]>> {
        let py = environ.py();
        let underscores = head.has_underscores();
        let mut script_name = None;
        for (name, value) in head.fields() {
            if underscores && rules.decide(name) != Decision::Keep {
                continue;
            }
            if underscores && name.eq_ignore_ascii_case(b"SCRIPT_NAME") {
                script_name = Some(value);
            }
            let key = self.key(py, name);
            let value = native(py, value);
            match environ.get_item(&key)? {
                // RFC 9110 section 5.3.
                Some(before) => environ.set_item(key, before.add(",")?.add(value)?)?,
                None => environ.set_item(key, value)?,
            }
        }
        Ok(script_name)
    }

    fn key<'py>(&self, py: Python<'py>, name: &[u8]) -> Bound<'py, PyString> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(name) {
            return key.bind(py).clone();
        }
        let key = PyString::intern(py, &environ_key(name));
        if keys.len() < KNOWN_KEYS {
            keys.insert(name.into(), key.clone().unbind());
        }
        key
    }
}

/// `HTTP_` and the name in capitals; the two names that CGI knows go without. `Content_Length` is not one of them: nothing
/// but the field that framed the body may say how long it is.
fn environ_key(name: &[u8]) -> String {
    let upper: String = name.iter().map(|byte| char::from(*byte).to_ascii_uppercase()).collect();
    match upper.as_str() {
        "CONTENT-TYPE" => "CONTENT_TYPE".to_owned(),
        "CONTENT-LENGTH" => "CONTENT_LENGTH".to_owned(),
        _ => format!("HTTP_{}", upper.replace('-', "_")),
    }
}

fn request_line(environ: &Bound<'_, PyDict>, head: &Head<'_>) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "REQUEST_METHOD"), head.method())?;
    environ.set_item(intern!(py, "QUERY_STRING"), native(py, head.query()))?;
    environ.set_item(intern!(py, "RAW_URI"), native(py, head.target()))?;
    environ.set_item(intern!(py, "SERVER_PROTOCOL"), head.version().as_str())
}

fn path(environ: &Bound<'_, PyDict>, head: &Head<'_>, script_name: &[u8]) -> Result<(), EnvironError> {
    let py = environ.py();
    let Some(rest) = head.path().strip_prefix(script_name) else {
        let (path, prefix) = (Detail::new(head.path()), Detail::new(script_name));
        return Err(PeerError::ScriptName { path, prefix }.into());
    };
    let mut decoded = Vec::with_capacity(rest.len());
    percent_decode(rest, &mut decoded);
    environ.set_item(intern!(py, "PATH_INFO"), native(py, &decoded))?;
    environ.set_item(intern!(py, "SCRIPT_NAME"), native(py, script_name))?;
    Ok(())
}

/// `client`: who the proxy says it is. What the proxy does not say of the port is not made up.
fn connection(environ: &Bound<'_, PyDict>, exchange: &Arc<Exchange>, client: Option<Client>) -> PyResult<()> {
    let py = environ.py();
    let remote = match (client, exchange.client()) {
        (Some(client), _) => Some((client.ip, client.port)),
        (None, Peer::Ip(address)) => Some((address.ip(), Some(address.port()))),
        (None, Peer::Unix) => None,
    };
    let address = remote.map_or_else(String::new, |(ip, _)| ip.to_string());
    environ.set_item(intern!(py, "REMOTE_ADDR"), address)?;
    if let Some(port) = remote.and_then(|(_, port)| port) {
        environ.set_item(intern!(py, "REMOTE_PORT"), port.to_string())?;
    }
    if let Some(proxied) = exchange.proxied() {
        proxy(environ, proxied)?;
    }
    environ.set_item(intern!(py, "wsgi.input"), Py::new(py, Input::new(Arc::clone(exchange)))?)?;
    environ.set_item(intern!(py, "wsgi.early_hints"), Py::new(py, EarlyHints::new(Arc::clone(exchange)))?)?;
    environ.set_item(intern!(py, "gunicorn.socket"), Py::new(py, ClientSocket::new(Arc::clone(exchange)))?)
}

fn proxy(environ: &Bound<'_, PyDict>, proxied: &Proxied) -> PyResult<()> {
    environ.set_item("PROXY_PROTOCOL", proxied.protocol)?;
    if let Some(Addresses { proxy, .. }) = proxied.addresses {
        environ.set_item("PROXY_ADDR", proxy.ip().to_string())?;
        environ.set_item("PROXY_PORT", proxy.port().to_string())?;
    }
    Ok(())
}

/// A unix socket has no host and port: the Host field tells them.
fn unix_server(
    environ: &Bound<'_, PyDict>,
    host: Option<&[u8]>,
    scheme: Scheme,
    socket: &str,
) -> PyResult<()> {
    let py = environ.py();
    let default_port: &[u8] = if scheme == Scheme::Https { b"443" } else { b"80" };
    let (name, port) = match host {
        None => (socket.as_bytes(), &b""[..]),
        Some(host) => split_host(host).unwrap_or((host, default_port)),
    };
    environ.set_item(intern!(py, "SERVER_NAME"), native(py, name))?;
    environ.set_item(intern!(py, "SERVER_PORT"), native(py, port))
}

/// Host and port, where there is a port; the colons of an IPv6 literal do not count.
fn split_host(host: &[u8]) -> Option<(&[u8], &[u8])> {
    let from = host.iter().position(|byte| *byte == b']').unwrap_or(0);
    let colon = from + host.get(from..)?.iter().position(|byte| *byte == b':')?;
    Some((host.get(..colon)?, host.get(colon + 1..)?))
}
