//! The environ: a template made once per listener, copied for each request and completed from its head.
//!
//! Values are native strings straight from the received bytes (latin-1, PEP 3333). What a proxy may say is decided by
//! `http::ForwardedRules`; this file only asks.

use std::sync::Arc;

use memchr::memchr;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors::ErrorStream;
use super::exchange::Exchange;
use super::file_wrapper::FileWrapper;
use super::keys::{Keys, enter};
use super::objects::Objects;
use super::text::{self, native};
use crate::http::{
    Addresses, Client, Decision, Detail, ForwardedRules, Head, PeerError, Policy, Proxied, Scheme, Version,
    percent_decode,
};
use crate::net::Listener;

/// What `SERVER_SOFTWARE` says, in every environ and in the process's environment.
pub const SERVER_SOFTWARE: &str = concat!("rwsgi/", env!("CARGO_PKG_VERSION"));

/// Why there is no environ.
#[derive(Debug)]
pub(crate) enum EnvironError {
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
    keys: Keys<PyString>,
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
        enter(&environ, "wsgi.errors", errors)?;
        enter(&environ, "wsgi.version", (1, 0))?;
        enter(&environ, "wsgi.multithread", concurrency.multithread)?;
        enter(&environ, "wsgi.multiprocess", concurrency.multiprocess)?;
        enter(&environ, "wsgi.run_once", false)?;
        enter(&environ, "wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        enter(&environ, "wsgi.input_terminated", true)?;
        enter(&environ, "SERVER_SOFTWARE", SERVER_SOFTWARE)?;
        let unix = match listener.local() {
            crate::net::Local::Tcp(local) => {
                enter(&environ, "SERVER_NAME", listener.server_name().unwrap_or_default())?;
                enter(&environ, "SERVER_PORT", local.port().to_string())?;
                None
            }
            crate::net::Local::Unix(name) => Some(name.clone()),
        };
        let variable = py.import("os")?.getattr("environ")?.call_method1("get", ("SCRIPT_NAME", ""))?;
        let script_name: String = variable.extract()?;
        // What each request has: a copy with all keys is made at one stroke, and replacing a value moves nothing. Values
        // that most requests share stay.
        enter(&environ, "REQUEST_METHOD", "GET")?;
        enter(&environ, "QUERY_STRING", "")?;
        enter(&environ, "SERVER_PROTOCOL", Version::Http11.as_str())?;
        enter(&environ, "SCRIPT_NAME", &script_name)?;
        enter(&environ, "wsgi.url_scheme", Scheme::Http.as_str())?;
        for key in
            ["RAW_URI", "PATH_INFO", "REMOTE_ADDR", "wsgi.input", "wsgi.early_hints", "gunicorn.socket"]
        {
            enter(&environ, key, py.None())?;
        }
        make_room(&environ)?;
        Ok(Self {
            template: environ.unbind(),
            policy: Arc::clone(policy),
            script_name: script_name.into_bytes(),
            unix,
            keys: Keys::new(),
        })
    }

    /// The environ of one request.
    pub(super) fn environ<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_>,
        exchange: &Exchange,
        objects: &Objects,
    ) -> Result<Bound<'py, PyDict>, EnvironError> {
        let rules = self.rules(exchange);
        let forwarded = rules.apply(head)?;
        let scheme = forwarded.scheme.unwrap_or(Scheme::Http);
        // What the Host field does not decide: the proxy's word, then the target's.
        let host = forwarded.host.as_deref().or_else(|| head.authority());
        let environ = self.template.bind(py).copy()?;
        request_line(&environ, head)?;
        let script_name = self.fields(&environ, head, &rules)?;
        self.path(&environ, head, script_name)?;
        connection(&environ, exchange, forwarded.client)?;
        environ.set_item(intern!(py, "wsgi.input"), &objects.input)?;
        environ.set_item(intern!(py, "wsgi.early_hints"), &objects.early_hints)?;
        environ.set_item(intern!(py, "gunicorn.socket"), &objects.socket)?;
        if let Some(host) = host {
            environ.set_item(intern!(py, "HTTP_HOST"), native(py, host))?;
        }
        if scheme != Scheme::Http {
            environ.set_item(intern!(py, "wsgi.url_scheme"), scheme.as_str())?;
        }
        if let Some(socket) = &self.unix {
            unix_server(&environ, host.or_else(|| head.host()), scheme, socket)?;
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
            let (key, value) = (self.keys.key(py, name), native(py, value));
            if let Some(before) = text::set_new(environ, &key, &value)? {
                // RFC 9110 section 5.3.
                environ.set_item(key, before.add(",")?.add(value)?)?;
            }
        }
        Ok(script_name)
    }

    /// `script_name`: the proxy's, where it gives one.
    fn path(
        &self,
        environ: &Bound<'_, PyDict>,
        head: &Head<'_>,
        script_name: Option<&[u8]>,
    ) -> Result<(), EnvironError> {
        let py = environ.py();
        let prefix = script_name.unwrap_or(&self.script_name);
        let Some(rest) = head.path().strip_prefix(prefix) else {
            let (path, prefix) = (Detail::new(head.path()), Detail::new(prefix));
            return Err(PeerError::ScriptName { path, prefix }.into());
        };
        let target = native(py, head.target());
        if rest.len() == head.target().len() && memchr(b'%', rest).is_none() {
            // Nothing but a path, and nothing in it is escaped.
            environ.set_item(intern!(py, "PATH_INFO"), &target)?;
        } else {
            let mut decoded = Vec::with_capacity(rest.len());
            percent_decode(rest, &mut decoded);
            environ.set_item(intern!(py, "PATH_INFO"), native(py, &decoded))?;
        }
        environ.set_item(intern!(py, "RAW_URI"), target)?;
        if let Some(given) = script_name {
            environ.set_item(intern!(py, "SCRIPT_NAME"), native(py, given))?;
        }
        Ok(())
    }
}

/// A dictionary grows by doubling, and a copy is as large as its model: one that has been a little larger has room for a
/// request's fields.
fn make_room(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    const LARGER: usize = 3;
    let names = || (0..LARGER).map(|number| format!("room {number}"));
    names().try_for_each(|name| environ.set_item(name, environ.py().None()))?;
    names().try_for_each(|name| environ.del_item(name))
}

/// In place of what the client sent: the application is to see the id that is logged.
pub(super) fn identify(environ: &Bound<'_, PyDict>, id: &str) -> PyResult<()> {
    let py = environ.py();
    environ.set_item(intern!(py, "HTTP_X_REQUEST_ID"), id)?;
    environ.set_item(intern!(py, "rwsgi.request_id"), id)
}

/// Sets the values that are not the template's.
fn request_line(environ: &Bound<'_, PyDict>, head: &Head<'_>) -> PyResult<()> {
    let py = environ.py();
    if head.method_bytes() != b"GET" {
        environ.set_item(intern!(py, "REQUEST_METHOD"), head.method())?;
    }
    if !head.query().is_empty() {
        environ.set_item(intern!(py, "QUERY_STRING"), native(py, head.query()))?;
    }
    if head.version() != Version::Http11 {
        environ.set_item(intern!(py, "SERVER_PROTOCOL"), head.version().as_str())?;
    }
    Ok(())
}

/// `client`: who the proxy says it is. What the proxy does not say of the port is not made up.
fn connection(environ: &Bound<'_, PyDict>, exchange: &Exchange, client: Option<Client>) -> PyResult<()> {
    let py = environ.py();
    match client {
        None => {
            let remote = exchange.remote(py);
            environ.set_item(intern!(py, "REMOTE_ADDR"), &remote.address)?;
            if let Some(port) = &remote.port {
                environ.set_item(intern!(py, "REMOTE_PORT"), port)?;
            }
        }
        Some(client) => {
            environ.set_item(intern!(py, "REMOTE_ADDR"), client.ip.to_string())?;
            if let Some(port) = client.port {
                environ.set_item(intern!(py, "REMOTE_PORT"), port.to_string())?;
            }
        }
    }
    if let Some(proxied) = exchange.proxied() {
        proxy(environ, proxied)?;
    }
    Ok(())
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
