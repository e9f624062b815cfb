//! One request and its response, shared between the worker and the objects the application holds.
//!
//! The application may keep `wsgi.input` or `start_response` and use them from other threads, or after the request. So
//! each half is behind a lock that Python-facing calls only try: a thread that holds the interpreter never waits for one
//! that needs it. After `end` or `expire` every call raises.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::objects::Objects;
use super::patience::Patience;
use super::response::{Drained, Response};
use super::spool::Spool;
use crate::http::{Connection, PeerError, Policy, Proxied, RequestReader};
use crate::net::{Peer, Stream};
use crate::sys::clock;

/// The two halves of a connection, its socket, and what went wrong with it.
pub struct Exchange {
    pub stream: Arc<Stream>,
    /// The other end of the socket: whom the settings of trust are about.
    pub peer: Peer,
    pub patience: Arc<Patience>,
    /// What a PROXY header said.
    proxied: OnceLock<Proxied>,
    /// Since when the application has the request (monotonic, in nanoseconds).
    began: AtomicU64,
    request: Mutex<RequestReader>,
    response: Mutex<Response>,
    fault: Mutex<Option<PeerError>>,
    /// The beginning of the body, if it is in a file. Its lock is taken inside of that of `request`.
    spool: Mutex<Option<Spool>>,
    /// Of the request in hand, if requests have one.
    id: Mutex<Option<Arc<str>>>,
    /// One of [`OPEN`], [`EXPIRED`], [`ENDED`].
    state: AtomicU8,
    /// The application has asked for the socket.
    is_lent: AtomicBool,
    remote: OnceLock<Remote>,
}

/// The application may use it.
const OPEN: u8 = 0;
/// The application has had its time with it, and is still there.
const EXPIRED: u8 = 1;
const ENDED: u8 = 2;

/// What became of a request whose time in the application is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It was just ending.
    Over,
    /// The application is inside the response: ask again.
    Busy,
    /// The client got 504, or what was a whole response already.
    Answered,
    /// A part of the response was out, so the connection is cut.
    Cut,
}

/// The peer's address as the environ has it, made once a connection.
pub(super) struct Remote {
    pub(super) address: Py<PyString>,
    pub(super) port: Option<Py<PyString>>,
}

impl Exchange {
    pub fn new(stream: Stream, peer: Peer, connection: Connection, patience: Arc<Patience>) -> Self {
        Self {
            stream: Arc::new(stream),
            peer,
            patience,
            proxied: OnceLock::new(),
            began: AtomicU64::new(0),
            request: Mutex::new(connection.reader),
            response: Mutex::new(Response::new(connection.writer)),
            fault: Mutex::default(),
            spool: Mutex::default(),
            id: Mutex::default(),
            state: AtomicU8::new(OPEN),
            is_lent: AtomicBool::new(false),
            remote: OnceLock::new(),
        }
    }

    /// The client's address for the environ.
    pub(super) fn remote(&self, py: Python<'_>) -> &Remote {
        self.remote.get_or_init(|| {
            let client = self.client();
            let port = match client {
                Peer::Ip(address) => Some(PyString::new(py, &address.port().to_string()).unbind()),
                Peer::Unix => None,
            };
            Remote { address: PyString::new(py, &client.address()).unbind(), port }
        })
    }

    /// Who sent the request: the other end of the socket, or the client of the proxy that is there.
    pub fn client(&self) -> Peer {
        let addresses = self.proxied().and_then(|proxied| proxied.addresses);
        addresses.map_or(self.peer, |addresses| Peer::Ip(addresses.client))
    }

    pub(super) fn proxied(&self) -> Option<&Proxied> {
        self.proxied.get()
    }

    /// The connection began with a PROXY header. It is told once.
    pub fn set_proxied(&self, proxied: Proxied) {
        let _ = self.proxied.set(proxied);
    }

    /// The application gets the request at `now`: its waits for the client have an end together.
    pub fn begin(&self, now: Duration) {
        self.began.store(nanoseconds(now), Ordering::Relaxed);
    }

    /// How long it has had it.
    pub(super) fn elapsed(&self) -> Duration {
        clock::monotonic().saturating_sub(self.began())
    }

    fn began(&self) -> Duration {
        Duration::from_nanos(self.began.load(Ordering::Relaxed))
    }

    /// How long the application may wait from `now` on, where the client's reserve is `left`.
    pub(super) fn allowance(&self, left: Duration, now: Duration) -> Duration {
        let until = self.began().saturating_add(self.patience.application);
        left.min(until.saturating_sub(now))
    }

    /// Goes on to the connection's next request, if both sides are in order. Objects that the application kept belong to
    /// the request before, for ever. `objects`: those of this exchange that it did not keep.
    pub fn renew(this: &mut Arc<Self>, objects: &mut Option<Objects>, policy: &Arc<Policy>) -> bool {
        let known = if objects.is_some() { Objects::REFERENCES } else { 0 };
        if Arc::strong_count(this) == 1 + known {
            return this.begin_again();
        }
        *objects = None;
        Self::succeed(this, policy)
    }

    /// Nobody else knows this exchange, so that it can serve again.
    fn begin_again(&self) -> bool {
        let (Some(mut request), Some(mut response)) = (self.request(), self.response()) else { return false };
        response.clear();
        if let Some(mut kept) = available(self.fault.try_lock()) {
            *kept = None;
        }
        if let Some(mut spool) = available(self.spool.try_lock()) {
            *spool = None;
        }
        self.is_lent.store(false, Ordering::Relaxed);
        self.state.store(OPEN, Ordering::Release);
        request.next_request()
    }

    /// The halves move to a new exchange.
    fn succeed(this: &mut Arc<Self>, policy: &Arc<Policy>) -> bool {
        let Some((reader, response)) = this.halves(policy) else { return false };
        let next = Self {
            stream: Arc::clone(&this.stream),
            peer: this.peer,
            patience: Arc::clone(&this.patience),
            proxied: this.proxied.clone(),
            began: AtomicU64::new(0),
            request: Mutex::new(reader),
            response: Mutex::new(response),
            fault: Mutex::default(),
            spool: Mutex::default(),
            id: Mutex::default(),
            state: AtomicU8::new(OPEN),
            is_lent: AtomicBool::new(false),
            remote: OnceLock::new(),
        };
        let in_order = next.begin_again();
        *this = Arc::new(next);
        in_order
    }

    /// Both, with fresh ones in their places. `None` if a thread of the application is inside one.
    fn halves(&self, policy: &Arc<Policy>) -> Option<(RequestReader, Response)> {
        let (mut request, mut response) = (self.request()?, self.response()?);
        let spare = Connection::new(Arc::clone(policy), None);
        let reader = std::mem::replace(&mut *request, spare.reader);
        Some((reader, std::mem::replace(&mut *response, Response::new(spare.writer))))
    }

    /// The request side, for the worker. `None` if a thread of the application is inside it.
    pub fn request(&self) -> Option<MutexGuard<'_, RequestReader>> {
        available(self.request.try_lock())
    }

    /// The response side, for the worker. `None` if a thread of the application is inside it.
    pub fn response(&self) -> Option<MutexGuard<'_, Response>> {
        available(self.response.try_lock())
    }

    /// The request side, for a call from Python.
    pub(super) fn reading(&self) -> PyResult<MutexGuard<'_, RequestReader>> {
        self.check_open()?;
        self.request().ok_or_else(|| PyRuntimeError::new_err("another thread is reading wsgi.input"))
    }

    /// The file with the beginning of the body, if there is one. For those who have the request side.
    pub(super) fn spooled(&self) -> Option<MutexGuard<'_, Option<Spool>>> {
        available(self.spool.try_lock())
    }

    /// Puts more of the body into the file, which is begun with it.
    pub fn spool(&self, body: &[u8]) -> io::Result<()> {
        let Some(mut spool) = self.spooled() else { return Err(io::ErrorKind::WouldBlock.into()) };
        match &mut *spool {
            Some(spool) => spool.append(body),
            none => none.insert(Spool::new(&self.patience.spool_directory)?).append(body),
        }
    }

    /// Nobody will read the file any more: its room is free at once.
    pub fn drop_spool(&self) {
        if let Some(mut spool) = self.spooled() {
            *spool = None;
        }
    }

    /// The response side, for a call from Python.
    pub(super) fn writing(&self) -> PyResult<MutexGuard<'_, Response>> {
        self.check_open()?;
        self.response().ok_or_else(|| PyRuntimeError::new_err("another thread is writing the response"))
    }

    fn check_open(&self) -> PyResult<()> {
        let why = match self.state.load(Ordering::Acquire) {
            OPEN => return Ok(()),
            EXPIRED => "the request took longer than request_timeout: its client has been answered",
            _ => "the request this belongs to has ended",
        };
        Err(PyRuntimeError::new_err(why))
    }

    /// The request's id, if requests have one.
    pub fn id(&self) -> Option<Arc<str>> {
        available(self.id.try_lock()).and_then(|id| id.clone())
    }

    /// Before anybody asks for the id.
    pub(super) fn identify(&self, id: Arc<str>) {
        if let Some(mut kept) = available(self.id.try_lock()) {
            *kept = Some(id);
        }
    }

    /// The application gets the socket, and may speak to its client itself.
    pub(super) fn lend(&self) {
        self.is_lent.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lent(&self) -> bool {
        self.is_lent.load(Ordering::Relaxed)
    }

    /// The application is done with it.
    pub(super) fn take_back(&self) {
        if self.is_lent() {
            self.stream.stop_blocking();
        }
    }

    /// From now on nothing of the application reaches this connection.
    pub(super) fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
        self.drop_spool();
    }

    pub(super) fn is_expired(&self) -> bool {
        self.state.load(Ordering::Acquire) == EXPIRED
    }

    /// The application has had its time: nothing of it reaches the connection from now on, and its client is told. For
    /// another thread than the one that is in the application.
    pub fn expire(&self) -> Expiry {
        let before = self.state.compare_exchange(OPEN, EXPIRED, Ordering::AcqRel, Ordering::Acquire);
        if before == Err(ENDED) {
            return Expiry::Over;
        }
        let Some(mut response) = self.response() else { return Expiry::Busy };
        if response.writer.head_sent() && !response.writer.is_finished() {
            response.writer.abort();
            self.stream.hang_up();
            return Expiry::Cut;
        }
        if !response.writer.is_finished() {
            response.refuse(504, "");
        }
        // A client that is gone needs no answer.
        if response.drain(&self.stream).is_ok_and(|drained| drained == Drained::All)
            && !response.writer.is_persistent()
        {
            self.stream.finish_writing();
        }
        Expiry::Answered
    }

    /// Answers a request that no thread has time for.
    pub fn turn_away(&self, retry_after: u64) {
        if let Some(mut response) = self.response() {
            response.turn_away(retry_after);
        }
    }

    /// Answers what the peer did wrong, and logs it once. One that is gone gets no more than a line for those who debug.
    pub fn refuse(&self, fault: &PeerError) {
        tell_fault(&self.client(), fault);
        if let Some(mut response) = self.response() {
            response.refuse(fault.status(), &fault.page_message());
        }
    }

    /// Logs that the client is given up though its response is not out.
    pub fn give_up(&self, why: &str) {
        log::info!("Client at {} is too slow: {why}", self.client().address());
    }

    /// Remembers what the peer did wrong in the middle of its body.
    pub(super) fn set_fault(&self, fault: PeerError) {
        if let Some(mut kept) = available(self.fault.try_lock()) {
            *kept = Some(fault);
        }
    }

    pub(super) fn fault(&self) -> Option<PeerError> {
        available(self.fault.try_lock()).and_then(|kept| kept.clone())
    }
}

/// Longer than any loop counts.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// What a client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Await {
    Readable,
    Writable,
}

/// Logs what `client` did wrong. One that is gone gets no more than a line for those who debug.
pub(crate) fn tell_fault(client: &Peer, fault: &PeerError) {
    let client = client.address();
    if fault.is_disconnect() {
        log::debug!("Client at {client} went away: {fault}");
    } else if fault.is_slowness() {
        log::info!("Client at {client} is too slow: {fault}");
    } else {
        log::warn!("Invalid request from ip={client}: {fault}");
    }
}

/// What is told of a request over `request_timeout`. `line`: its method, target and id.
pub(crate) fn overdue(age: Duration, line: &str) -> String {
    format!("Request has been in the application for {:.1} s (request_timeout): {line}", age.as_secs_f64())
}

/// Waits for a client, for `limit` at most: by the worker's loop, if that is Python's, or without the interpreter and
/// through whatever signals come. False when the time passed first; raises what a signal's handler raised.
pub(super) fn wait(py: Python<'_>, exchange: &Exchange, what: Await, limit: Duration) -> PyResult<bool> {
    let stream = &exchange.stream;
    if let Some(hub) = exchange.patience.hub().get() {
        let seconds = (limit < FOR_EVER).then_some(limit.as_secs_f64());
        return hub.call1(py, (stream.fd(), what == Await::Writable, seconds))?.extract(py);
    }
    let end = clock::monotonic().saturating_add(limit);
    let ready = |limit| match what {
        Await::Readable => stream.block_until_readable(Some(limit)),
        Await::Writable => stream.block_until_writable(Some(limit)),
    };
    loop {
        match py.detach(|| ready(end.saturating_sub(clock::monotonic()))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => py.check_signals()?,
            outcome => return Ok(outcome?),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    // Five hundred years fit.
    time.as_nanos() as u64
}

/// A lock is poisoned when a panic was caught at the request's boundary; the connection closes then, and what the lock
/// holds is still well-formed.
fn available<'a, T>(
    lock: Result<MutexGuard<'a, T>, TryLockError<MutexGuard<'a, T>>>,
) -> Option<MutexGuard<'a, T>> {
    match lock {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
