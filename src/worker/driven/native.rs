//! What joins a driver that reads and answers HTTP itself to the rest of the server: tornado's, for its own applications.
//!
//! Owns what every request goes through whoever parses it: the policy for heads, what a proxy may say, hooks, logs,
//! counting, and the scoreboard. Must never read or write a socket. Read next: `python/rwsgi/workers/tornado.py`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;

use super::process::Process;
use super::requests::Requests;
use crate::http::{
    Event, Forwarded, ForwardedRules, PeerError, Policy, RequestReader, ResponseHead, ResponseWriter, Scheme,
};
use crate::net::Peer;
use crate::py::bridge;
use crate::sys::clock;
use crate::wsgi::{Application, EnvironError, HeadRecord, Request, ShownResponse, overdue, tell_fault};

#[pyclass(frozen, module = "rwsgi._rwsgi")]
pub struct NativeProcess {
    process: Py<Process>,
    requests: Requests,
    policy: Arc<Policy>,
    application: Application,
}

impl NativeProcess {
    pub(in crate::worker) const fn new(
        process: Py<Process>,
        requests: Requests,
        policy: Arc<Policy>,
        application: Application,
    ) -> Self {
        Self { process, requests, policy, application }
    }

    fn rules(&self, peer: Peer) -> ForwardedRules<'_> {
        ForwardedRules::new(&self.policy, self.trusts(peer))
    }

    fn trusts(&self, peer: Peer) -> bool {
        self.policy.forwarded_allow_ips.contains(peer.ip())
    }
}

#[pymethods]
impl NativeProcess {
    #[getter]
    fn process(&self, py: Python<'_>) -> Py<Process> {
        self.process.clone_ref(py)
    }

    /// Bytes of the longest head.
    #[getter]
    fn longest_head(&self) -> usize {
        self.policy.longest_head()
    }

    /// Whether anybody wants to know what the response's fields are.
    #[getter]
    fn is_observed(&self) -> bool {
        self.application.observers.is_some() || self.application.hooks.is_some()
    }

    /// The request with this head is about to be served, or refused. `peer`: its address and port, if it has one.
    fn begin(slf: &Bound<'_, Self>, head: &[u8], peer: Option<(&str, u16)>) -> NativeRequest {
        let peer = peer_of(peer);
        let mut reader = RequestReader::new(&slf.get().policy);
        reader.receive(head);
        let read = read(&mut reader);
        let mut request = NativeRequest::new(slf, reader, peer);
        match read {
            Ok(()) => request.open(slf.py(), slf.get()),
            Err(fault) => request.refuse_for(&fault),
        }
        request
    }

    /// A client did not send its head in time: it is told of, and this is the answer.
    #[staticmethod]
    fn slow_head(peer: Option<(&str, u16)>) -> Vec<u8> {
        let fault = PeerError::HeadTimeout;
        tell_fault(&peer_of(peer), &fault);
        page(ResponseWriter::new(), fault.status(), &fault.page_message())
    }
}

/// A whole response, after which the connection ends.
fn page(mut writer: ResponseWriter, status: u16, message: &str) -> Vec<u8> {
    writer.error_response(status, message);
    writer.output().to_vec()
}

fn peer_of(peer: Option<(&str, u16)>) -> Peer {
    let address = peer.and_then(|(ip, port)| Some(SocketAddr::new(ip.parse().ok()?, port)));
    address.map_or(Peer::Unix, Peer::Ip)
}

/// The driver found the end of a head where the policy finds none: nothing more will come of it.
fn read(reader: &mut RequestReader) -> Result<(), PeerError> {
    if reader.next_event()? != Event::Head {
        reader.receive_eof();
        reader.next_event()?;
        return Err(PeerError::HeadTruncated);
    }
    Ok(())
}

#[pyclass(frozen, module = "rwsgi._rwsgi")]
pub struct NativeRequest {
    process: Py<NativeProcess>,
    reader: RequestReader,
    peer: Peer,
    began: Duration,
    forwarded: Forwarded,
    id: Option<Arc<str>>,
    seen: Option<Py<Request>>,
    /// What is to be answered in the place of the application, and then its status.
    refusal: Option<(Vec<u8>, u16)>,
    /// Its place in the scoreboard, until it ends.
    lane: Mutex<Option<usize>>,
}

/// Those of a response.
type Fields = Vec<(PyBackedBytes, PyBackedBytes)>;

impl NativeRequest {
    fn new(process: &Bound<'_, NativeProcess>, reader: RequestReader, peer: Peer) -> Self {
        Self {
            process: process.clone().unbind(),
            reader,
            peer,
            began: clock::monotonic(),
            forwarded: Forwarded::default(),
            id: None,
            seen: None,
            refusal: None,
            lane: Mutex::default(),
        }
    }

    fn open(&mut self, py: Python<'_>, process: &NativeProcess) {
        let Some(head) = self.reader.head() else { return };
        self.id =
            process.application.request_ids.as_ref().map(|ids| ids.of(&head, process.trusts(self.peer)));
        let lane = process.requests.begin(head.method(), head.target(), self.began);
        self.lane = Mutex::new(Some(lane));
        match self.prepare(py, process) {
            Ok(()) => {}
            Err(EnvironError::Peer(fault)) => self.refuse_for(&fault),
            Err(EnvironError::Python(error)) => {
                bridge::tell(py, &format!("Error handling request{}", self.line()), &error);
                self.refuse(500, "");
            }
        }
    }

    fn prepare(&mut self, py: Python<'_>, process: &NativeProcess) -> Result<(), EnvironError> {
        let Some(head) = self.reader.head() else { return Ok(()) };
        self.forwarded = process.rules(self.peer).apply(&head)?;
        let Some(hooks) = &process.application.hooks else { return Ok(()) };
        hooks.count();
        if hooks.wants_requests() {
            let request = self.request(py, process)?;
            self.seen = Some(request.clone().unbind());
            hooks.call_pre(&request)?;
        }
        Ok(())
    }

    fn refuse_for(&mut self, fault: &PeerError) {
        tell_fault(&self.peer, fault);
        self.refuse(fault.status(), &fault.page_message());
    }

    fn refuse(&mut self, status: u16, message: &str) {
        self.refusal = Some((self.page(status, message), status));
    }

    fn page(&self, status: u16, message: &str) -> Vec<u8> {
        let mut writer = ResponseWriter::new();
        if let Some(head) = self.reader.head() {
            writer.begin(&head, false);
        }
        if let Some(id) = &self.id {
            writer.identify(id);
        }
        page(writer, status, message)
    }

    fn client(&self) -> String {
        self.forwarded.client.map_or_else(|| self.peer.address(), |client| client.ip.to_string())
    }

    /// ` METHOD target [id]`.
    fn line(&self) -> String {
        let id = self.id.as_ref().map_or_else(String::new, |id| format!(" [{id}]"));
        self.reader.head().map_or_else(String::new, |head| {
            format!(" {} {}{id}", head.method(), String::from_utf8_lossy(head.target()))
        })
    }

    fn tell(&self, py: Python<'_>, process: &NativeProcess, response: &ResponseHead, sent: u64) {
        let (application, elapsed) = (&process.application, clock::monotonic().saturating_sub(self.began));
        let Some(head) = self.reader.head() else { return };
        if let Some(observers) = &application.observers {
            observers.tell_of(&HeadRecord {
                head,
                client: &|| self.client(),
                status: response.status(),
                sent,
                elapsed,
                response_field: &|name| response.field(name),
                request_id: self.id.as_deref(),
            });
        }
        // A head that contradicts itself makes no request.
        if let Err(EnvironError::Python(error)) = self.show(py, process, (response, sent), elapsed) {
            log::error!("Cannot tell of a request: {error}");
        }
    }

    /// To a logger of the program's own, and to a hook.
    fn show(
        &self,
        py: Python<'_>,
        process: &NativeProcess,
        (response, sent): (&ResponseHead, u64),
        elapsed: Duration,
    ) -> Result<(), EnvironError> {
        let shown = || ShownResponse::of(response, &ResponseWriter::new()).having_sent(sent);
        let application = &process.application;
        if let Some(bridge) = application.observers.as_ref().and_then(|observers| observers.bridge()) {
            let (request, response) = (self.request(py, process)?, Bound::new(py, shown())?);
            bridge.access(py, &response, &request, &PyDict::new(py), elapsed);
        }
        if let Some(hooks) = application.hooks.as_ref().filter(|hooks| hooks.has_post_request()) {
            hooks.show(&self.request(py, process)?, shown());
        }
        Ok(())
    }

    fn request<'py>(
        &self,
        py: Python<'py>,
        process: &NativeProcess,
    ) -> Result<Bound<'py, Request>, EnvironError> {
        if let Some(seen) = &self.seen {
            return Ok(seen.bind(py).clone());
        }
        let head = self.reader.head().ok_or_else(|| PyValueError::new_err("there is no head"))?;
        Ok(Bound::new(py, Request::of(py, &head, &process.rules(self.peer), (self.peer, self.peer))?)?)
    }
}

#[pymethods]
impl NativeRequest {
    /// What to answer in the place of the application before the connection is closed.
    #[getter]
    fn refusal(&self) -> Option<&[u8]> {
        self.refusal.as_ref().map(|(page, _)| page.as_slice())
    }

    /// The scheme and the client's address, as far as a trusted proxy tells them.
    #[getter]
    fn forwarded(&self) -> Option<(Option<&'static str>, Option<String>)> {
        let (scheme, client) = (self.forwarded.scheme.map(Scheme::as_str), self.forwarded.client);
        (scheme.is_some() || client.is_some()).then(|| (scheme, client.map(|client| client.ip.to_string())))
    }

    /// Seconds since it began.
    #[getter]
    fn age(&self) -> f64 {
        clock::monotonic().saturating_sub(self.began).as_secs_f64()
    }

    /// It has been in the application for too long: that is told, and this is the answer.
    fn overdue(&self) -> Vec<u8> {
        log::error!("{}", overdue(clock::monotonic().saturating_sub(self.began), self.line().trim_start()));
        self.page(504, "")
    }

    /// It was answered so, or was not answered: whoever wants to know is told, once.
    fn end(&self, py: Python<'_>, status: u16, fields: Fields, sent: u64) {
        let process = self.process.get();
        let lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(lane) = lane else { return };
        process.requests.end(lane, clock::monotonic());
        if !process.is_observed() {
            return;
        }
        let status = self.refusal.as_ref().map_or(status, |(_, refused)| *refused);
        let mut response = ResponseHead::new();
        let line = format!("{status} {}", crate::http::reason(status));
        if response.set_status(line.as_bytes()).is_ok() {
            for (name, value) in &fields {
                let _ = response.push(name, value);
            }
            self.tell(py, process, &response, sent);
        }
    }
}
