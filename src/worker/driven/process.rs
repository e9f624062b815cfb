//! The worker for a driver in Python that speaks to its clients itself: everything of its life but the clients.
//!
//! Owns what such a driver needs to behave like any other worker: signals, beat, wear, stages, and the queue of the
//! sockets at a stop. Must never read or write. Read next: `python/rwsgi/_rwsgi.pyi`, which says what each call is
//! for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::net::poller::{Events, Poller};
use crate::net::{Listener, Local, Peer};
use crate::py::bridge::tell_as;
use crate::scoreboard::{SlotWriter, Stage};
use crate::sys::clock;
use crate::worker::control::Control;
use crate::worker::hooked::Hooked;
use crate::worker::life::{self, Stop};
use crate::worker::parts::Parts;

/// Looked at by the driver at least so often while the worker stops.
const LOOK: Duration = Duration::from_millis(10);

#[pyclass(frozen, module = "rwsgi._rwsgi", name = "Process")]
pub struct Process {
    pub(in crate::worker) parts: Mutex<Parts>,
    slot: Arc<SlotWriter>,
    listeners: Arc<Vec<Listener>>,
    poller: Poller,
    control: Mutex<(Control, Events)>,
    hooked: Arc<Hooked>,
    application: Py<PyAny>,
    turn: Duration,
}

impl Process {
    pub(in crate::worker) fn new(
        parts: Parts,
        control: Control,
        hooked: Arc<Hooked>,
        application: Py<PyAny>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        control.watch(&poller)?;
        Ok(Self {
            slot: Arc::clone(&parts.slot),
            listeners: Arc::clone(&parts.listeners),
            turn: parts.turn,
            parts: Mutex::new(parts),
            poller,
            control: Mutex::new((control, Events::new())),
            hooked,
            application,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Parts) -> T) -> T {
        work(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for a replacement, if there is a reason. The log may be Python's: no lock is held.
    fn wear_out(&self, reason: Option<String>) {
        if let Some(reason) = reason {
            log::info!("{reason}");
            if life::asked() == Stop::No {
                self.with(|parts| parts.tell(Stage::Worn));
            }
        }
    }
}

type Accepted<'py> = (Bound<'py, PyAny>, Option<(String, u16)>);

/// Takes a connection from a listener: its socket and who is at its other end, or nothing if none waits after all.
pub(super) fn accept<'py>(
    py: Python<'py>,
    listeners: &[Listener],
    number: usize,
) -> PyResult<Option<(Bound<'py, PyAny>, Peer)>> {
    let Some(listener) = listeners.get(number) else { return Ok(None) };
    match listener.accept() {
        Ok((stream, peer)) => Ok(Some((object(py, stream.into_fd(), listener.local())?, peer))),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// None waits after all, or the client went away again.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

/// A socket object, which owns the descriptor. Telling the family saves it from asking the kernel.
fn object<'py>(py: Python<'py>, socket: OwnedFd, local: &Local) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("socket")?;
    let family = module.getattr(match local {
        Local::Unix(_) => "AF_UNIX",
        Local::Tcp(address) if address.is_ipv6() => "AF_INET6",
        Local::Tcp(_) => "AF_INET",
    })?;
    module.getattr("socket")?.call1((family, module.getattr("SOCK_STREAM")?, 0, socket.into_raw_fd()))
}

#[pymethods]
impl Process {
    fn fileno(&self) -> RawFd {
        self.poller.as_fd().as_raw_fd()
    }

    #[getter]
    fn turn(&self) -> f64 {
        if life::asked() == Stop::No { self.turn.as_secs_f64() } else { LOOK.as_secs_f64() }
    }

    fn look(&self, py: Python<'_>) -> PyResult<u8> {
        if let Ok(mut control) = self.control.try_lock() {
            let (control, events) = &mut *control;
            self.poller.wait(Duration::ZERO, events)?;
            let now = clock::monotonic();
            self.slot.beat(now);
            control.look(py, &self.poller, events, now);
            let worn = self.with(|parts| parts.wear.look(now));
            self.wear_out(worn);
            crate::log::catch_up();
        }
        Ok(life::asked() as u8)
    }

    /// `(descriptor, URL)` of each.
    #[getter]
    fn listeners(&self) -> Vec<(RawFd, String)> {
        self.listeners.iter().map(|listener| (listener.as_fd().as_raw_fd(), listener.url())).collect()
    }

    /// Takes a connection from a listener: its socket, and the address and port of its client, if it has one.
    fn accept<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Option<Accepted<'py>>> {
        let accepted = accept(py, &self.listeners, number)?;
        Ok(accepted.map(|(socket, peer)| match peer {
            Peer::Ip(address) => (socket, Some((address.ip().to_string(), address.port()))),
            Peer::Unix => (socket, None),
        }))
    }

    /// The settings, as hooks see them.
    #[getter]
    fn cfg<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hooked.worker.bind(py).getattr("cfg")
    }

    #[getter]
    fn application(&self, py: Python<'_>) -> Py<PyAny> {
        self.application.clone_ref(py)
    }

    fn ready(&self) {
        self.slot.beat(clock::monotonic());
        self.with(|parts| parts.tell(Stage::Ready));
    }

    fn stopping(&self) {
        self.slot.set_stage(Stage::Stopping);
    }

    /// Writes to the error log; with the traceback of `error`, if there is one.
    fn tell(&self, py: Python<'_>, level: &str, message: &str, error: Option<Bound<'_, PyAny>>) {
        let level =
            if level == "warning" { log::Level::Warn } else { level.parse().unwrap_or(log::Level::Error) };
        match error {
            Some(error) => tell_as(py, (level, module_path!()), message, &PyErr::from_value(error)),
            None => log::log!(level, "{message}"),
        }
    }

    pub(super) fn count(&self) {
        let worn = self.with(|parts| parts.wear.count());
        self.wear_out(worn);
    }

    fn serve(&self, lane: usize, method: &str, target: &[u8]) {
        self.slot.serve(lane, method.as_bytes(), target, clock::monotonic());
    }

    fn idle(&self, lane: usize) {
        self.slot.idle(lane, clock::monotonic());
    }

    /// Whether the whole service ends, so that nobody else takes what is in the queues.
    #[getter]
    fn draining(&self) -> bool {
        self.with(|parts| !parts.shared || parts.scoreboard.is_draining())
    }

    fn leave(&self) -> bool {
        self.slot.leave()
    }

    fn refuse_connections(&self) {
        for listener in self.listeners.iter() {
            if let Err(error) = listener.refuse_connections() {
                log::debug!("Cannot keep new connections off {}: {error}", listener.url());
            }
        }
    }
}
