//! One request from beginning to end: environ, call, iterate, finish, close, log.
//!
//! Invariants: `close()` of the iterable is called whatever happens; an application's exception, SystemExit included,
//! ends its request and nothing else; the response is complete, or the client can tell that it is not.

use std::sync::Arc;

use pyo3::exceptions::{PyAssertionError, PyStopIteration, PyTimeoutError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::environ::{self, EnvironError, Server};
use super::exchange::Exchange;
use super::file_wrapper::FileWrapper;
use super::hooks::{RequestHooks, Seen};
use super::objects::Objects;
use super::record::Observers;
use super::request_id::RequestIds;
use super::start_response::{StartResponse, unsent};
use super::text;
use crate::py::bridge::{tell, tell_as};

/// A WSGI callable and what is to be done around it.
pub struct Application {
    pub callable: Py<PyAny>,
    pub observers: Option<Observers>,
    pub request_ids: Option<RequestIds>,
    /// Files of `wsgi.file_wrapper` are sent by the kernel.
    pub sendfile: bool,
    /// Those of the configuration, if it sets any.
    pub hooks: Option<RequestHooks>,
}

/// Why a request was not served to its end.
enum Failure {
    /// The application, or the interpreter, raised.
    Raised(PyErr),
    /// Writing to the client failed: nobody is there to tell.
    Gone(PyErr),
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl Application {
    /// Serves the request whose head `exchange` holds. The response, whole or not, waits to be drained. `objects`: those
    /// that a former request of this exchange left unused, and then those that this one leaves.
    pub fn serve(
        &self,
        py: Python<'_>,
        server: &Server,
        exchange: &Arc<Exchange>,
        objects: &mut Option<Objects>,
    ) {
        let mut seen = None;
        let begun = self.prepare(py, (server, exchange), objects.take(), &mut seen);
        let begun = begun.map_err(|error| self.refuse(py, exchange, error)).ok();
        let iterable = begun
            .as_ref()
            .and_then(|(objects, environ)| self.call(py, exchange, environ, objects.start_response.bind(py)));
        exchange.take_back();
        let persistent = finish(exchange);
        let environ = begun.as_ref().map(|(_, environ)| environ);
        if let Some(observers) = &self.observers {
            observers.tell(py, (server, exchange), environ, exchange.elapsed());
        }
        if let Some(iterable) = iterable {
            close(py, &iterable);
        }
        if let (Some(hooks), Some(seen)) = (&self.hooks, &seen) {
            hooks.after(py, exchange, seen, environ);
        }
        exchange.end();
        // Whoever has kept the environ has them too.
        *objects = begun.map(|(objects, _)| objects).filter(|objects| persistent && objects.are_as_new(py));
    }

    /// What the application is called with.
    fn prepare<'py>(
        &self,
        py: Python<'py>,
        (server, exchange): (&Server, &Arc<Exchange>),
        kept: Option<Objects>,
        seen: &mut Seen<'py>,
    ) -> Result<(Objects, Bound<'py, PyDict>), EnvironError> {
        let id = self.request_ids.as_ref().and_then(|ids| identify(server, exchange, ids));
        self.begin(py, server, exchange, seen)?;
        let objects = Objects::of(py, exchange, kept)?;
        let environ = self.environ(py, server, exchange, &objects)?;
        if let Some(id) = id {
            environ::identify(&environ, &id)?;
        }
        Ok((objects, environ))
    }

    /// What comes before the environ.
    fn begin<'py>(
        &self,
        py: Python<'py>,
        server: &Server,
        exchange: &Exchange,
        seen: &mut Seen<'py>,
    ) -> Result<(), EnvironError> {
        if let Some(hooks) = &self.hooks {
            hooks.before(py, server, exchange, seen)?;
        }
        // The hook of those who set none.
        if log::log_enabled!(log::Level::Debug)
            && !self.hooks.as_ref().is_some_and(RequestHooks::has_pre_request)
        {
            log_begin(exchange);
        }
        Ok(())
    }

    fn environ<'py>(
        &self,
        py: Python<'py>,
        server: &Server,
        exchange: &Exchange,
        objects: &Objects,
    ) -> Result<Bound<'py, PyDict>, EnvironError> {
        let reader = exchange.reading()?;
        let head = reader.head().ok_or_else(|| PyAssertionError::new_err("there is no request to serve"))?;
        server.environ(py, &head, exchange, objects)
    }

    /// There is nothing to call the application with.
    fn refuse(&self, py: Python<'_>, exchange: &Exchange, error: EnvironError) {
        match error {
            EnvironError::Peer(fault) => exchange.refuse(&fault),
            EnvironError::Python(error) => self.report(py, exchange, &error),
        }
    }

    /// Calls the application and sends what it returns. The iterable comes back to be closed.
    fn call<'py>(
        &self,
        py: Python<'py>,
        exchange: &Exchange,
        environ: &Bound<'py, PyDict>,
        start_response: &Bound<'py, StartResponse>,
    ) -> Option<Bound<'py, PyAny>> {
        let called = self.callable.bind(py).call1((environ, start_response));
        let iterable = called.map_err(|error| self.report(py, exchange, &error)).ok()?;
        match self.send(py, exchange, &iterable) {
            Ok(()) => {}
            Err(Failure::Raised(error)) => self.report(py, exchange, &error),
            Err(Failure::Gone(error)) => abandon(py, exchange, &error),
        }
        Some(iterable)
    }

    /// Sends the body that `iterable` makes.
    fn send(&self, py: Python<'_>, exchange: &Exchange, iterable: &Bound<'_, PyAny>) -> Result<(), Failure> {
        if self.sendfile
            && let Ok(wrapper) = iterable.cast_exact::<FileWrapper>()
            && send_file(py, exchange, wrapper.get())?
        {
            return Ok(());
        }
        if let Some(body) = Whole::of(iterable) {
            return send_complete(exchange, body);
        }
        send_blocks(py, exchange, iterable)
    }

    /// Tells an exception to the error log, and to the client as far as that is still possible.
    fn report(&self, py: Python<'_>, exchange: &Exchange, error: &PyErr) {
        if exchange.is_expired() {
            // Its client and the log have been told, and most often this is only what came of that.
            let debug = (log::Level::Debug, module_path!());
            return tell_as(py, debug, "Error handling a request that took too long", error);
        }
        if let Some(fault) = exchange.fault() {
            return exchange.refuse(&fault);
        }
        if exchange.is_lent() && error.is_instance_of::<PyStopIteration>(py) {
            return hand_over(exchange);
        }
        let Some(mut response) = exchange.response() else { return };
        let begun = response.writer.head_sent();
        if begun {
            response.writer.abort();
        } else {
            response.refuse(500, "");
        }
        drop(response);
        let request = if begun { bracketed(exchange) } else { format!(" {}", line(exchange)) };
        tell(py, &format!("Error handling request{request}"), error);
    }
}

/// Sends one block after the other, as the application makes them.
fn send_blocks(py: Python<'_>, exchange: &Exchange, iterable: &Bound<'_, PyAny>) -> Result<(), Failure> {
    check_iterable(iterable)?;
    // PEP 3333: one block that is known to be the only one is the whole body.
    let single = text::has_length(iterable) && iterable.len().is_ok_and(|length| length == 1);
    for item in iterable.try_iter()? {
        let item = item?;
        let block = text::block(&item)?;
        let mut response = ready(exchange)?;
        response.send_head(single.then_some(block.as_bytes().len() as u64));
        let sent = response.send_block(py, exchange, block.as_bytes());
        sent.map_err(|error| Failure::Gone(unsent(error)))?;
    }
    ready(exchange)?.send_head(Some(0));
    Ok(())
}

/// A list or tuple, whose length is known before anything of it is sent.
#[derive(Clone, Copy)]
enum Whole<'a, 'py> {
    List(&'a Bound<'py, PyList>),
    Tuple(&'a Bound<'py, PyTuple>),
}

impl<'a, 'py> Whole<'a, 'py> {
    fn of(iterable: &'a Bound<'py, PyAny>) -> Option<Self> {
        let list = iterable.cast_exact().map(Self::List);
        list.or_else(|_| iterable.cast_exact().map(Self::Tuple)).ok()
    }

    /// Does `work` with one block after the other.
    fn each<E: From<PyErr>>(self, mut work: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let visit = |item: Bound<'py, PyAny>| work(text::block(&item)?.as_bytes());
        match self {
            Self::List(list) => list.iter().try_for_each(visit),
            Self::Tuple(tuple) => tuple.iter().try_for_each(visit),
        }
    }
}

fn send_complete(exchange: &Exchange, body: Whole<'_, '_>) -> Result<(), Failure> {
    let mut length = 0;
    body.each(|block| {
        length += block.len() as u64;
        PyResult::Ok(())
    })?;
    let mut response = ready(exchange)?;
    // What `write` sent before was not counted in.
    response.send_head(Some(length));
    body.each(|block| {
        let sent = response.send_last(&exchange.stream, block);
        sent.map_err(|error| Failure::Gone(unsent(error)))
    })
}

/// True if the kernel will send the file itself.
fn send_file(py: Python<'_>, exchange: &Exchange, wrapper: &FileWrapper) -> Result<bool, Failure> {
    if !cfg!(target_os = "linux") {
        return Ok(false);
    }
    let Some(part) = wrapper.part(py) else { return Ok(false) };
    let mut response = ready(exchange)?;
    // A body begun by `write` may be chunked: a file cannot go on in it.
    if response.writer.head_sent() {
        return Ok(false);
    }
    response.send_head(Some(part.length));
    response.send_file(part.file, part.offset, part.length);
    Ok(true)
}

/// The response, if the application has said how it begins.
fn ready(exchange: &Exchange) -> PyResult<std::sync::MutexGuard<'_, super::response::Response>> {
    let response = exchange.writing()?;
    if !response.head.is_set() {
        return Err(PyAssertionError::new_err("the application did not call start_response"));
    }
    Ok(response)
}

fn check_iterable(iterable: &Bound<'_, PyAny>) -> PyResult<()> {
    if iterable.is_none() {
        return Err(PyTypeError::new_err("the application returned None instead of an iterable of bytes"));
    }
    if iterable.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("the application returned bytes; return a list with them: [body]"));
    }
    Ok(())
}

/// Ends the response. True if the connection may be used again.
fn finish(exchange: &Exchange) -> bool {
    let Some(mut response) = exchange.response() else { return false };
    let finish = response.finish();
    if finish.missing > 0 {
        log::warn!("{} bytes short of its Content-Length: {}", finish.missing, line(exchange));
    }
    if finish.excess > 0 {
        log::warn!("{} bytes beyond its Content-Length were cut: {}", finish.excess, line(exchange));
    }
    if response.writer.dropped_body() {
        tell_dropped(exchange, response.status());
    }
    finish.persistent
}

/// In gunicorn's words.
fn tell_dropped(exchange: &Exchange, status: u16) {
    let reader = exchange.request();
    let Some(head) = reader.as_ref().and_then(|reader| reader.head()) else { return };
    let facts = format!("(method={} status={status})", head.method());
    log::warn!("WSGI app sent body bytes on a no-body response {facts}; they are dropped");
}

fn close(py: Python<'_>, iterable: &Bound<'_, PyAny>) {
    // These have nothing to close, and asking costs an exception.
    if iterable.is_exact_instance_of::<PyList>() || iterable.is_exact_instance_of::<PyTuple>() {
        return;
    }
    let closed = match iterable.getattr_opt(intern!(py, "close")) {
        Ok(Some(close)) => close.call0().map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tell(py, "Error closing the application's iterable", &error);
    }
}

fn abandon(py: Python<'_>, exchange: &Exchange, error: &PyErr) {
    if error.is_instance_of::<PyTimeoutError>(py) {
        exchange.give_up(&error.value(py).to_string());
    } else {
        log::debug!("Client at {} went away: {error}", exchange.client().address());
    }
    if let Some(mut response) = exchange.response() {
        response.writer.abort();
    }
}

/// How an application says that it has spoken to its client by `gunicorn.socket`, as websocket libraries do.
fn hand_over(exchange: &Exchange) {
    if let Some(mut response) = exchange.response() {
        response.hand_over();
    }
}

fn log_begin(exchange: &Exchange) {
    if let Some(head) = exchange.request().as_ref().and_then(|reader| reader.head()) {
        log::debug!("{} {}", head.method(), head.path().escape_ascii());
    }
}

/// Gives the request its id, which its response will carry.
fn identify(server: &Server, exchange: &Exchange, ids: &RequestIds) -> Option<Arc<str>> {
    let reader = exchange.request();
    let id = ids.of(&reader.as_ref()?.head()?, server.trusts(exchange));
    exchange.identify(Arc::clone(&id));
    if let Some(mut response) = exchange.response() {
        response.writer.identify(&id);
    }
    Some(id)
}

/// `METHOD target [id]`, for the error log.
fn line(exchange: &Exchange) -> String {
    let reader = exchange.request();
    let head = reader.as_ref().and_then(|reader| reader.head());
    head.map_or_else(String::new, |head| {
        format!("{} {}{}", head.method(), head.target().escape_ascii(), bracketed(exchange))
    })
}

/// ` [id]`, if requests have one.
fn bracketed(exchange: &Exchange) -> String {
    exchange.id().map_or_else(String::new, |id| format!(" [{id}]"))
}
