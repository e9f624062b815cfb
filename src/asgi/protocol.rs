//! The protocol object that asyncio's transports drive: `asyncio.Protocol`, method by method.
//!
//! Owns the lock of a connection. It is only ever tried: one thread is in here, and no Python code runs under the lock, so
//! that whoever finds it taken is another thread, which has no business here. Read next: `connection.rs`.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::calls::{Found, wrong_thread};
use super::connection::{Connection, Stage};
use super::message::Message;
use super::run::{self, Start};
use super::scope;
use super::service::Service;
use super::serving::Outcome;
use super::todo::Todo;
use crate::net::Peer;
use crate::sys::clock;

#[pyclass(frozen, weakref, module = "rwsgi")]
pub(super) struct Protocol {
    pub service: Arc<Service>,
    place: usize,
    connection: Mutex<Connection>,
}

impl Protocol {
    pub(super) fn new(service: &Arc<Service>, peer: Peer, server: &Bound<'_, PyAny>) -> PyResult<Self> {
        let ends = scope::ends(server.py(), peer, server)?;
        let connection = Connection::new(service, peer, ends, clock::monotonic());
        let place = connection.place;
        Ok(Self { service: Arc::clone(service), place, connection: Mutex::new(connection) })
    }

    fn connection(&self) -> Option<MutexGuard<'_, Connection>> {
        match self.connection.try_lock() {
            Ok(guard) => Some(guard),
            // A panic was caught where it happened; what the lock holds is still well-formed.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Runs `work` under the lock, and after it what is to be done outside.
    fn with<T>(
        slf: &Bound<'_, Self>,
        alone: bool,
        work: impl FnOnce(&mut Connection, &mut Todo) -> T,
    ) -> Option<T> {
        let mut todo = Todo::default();
        let mut connection = slf.get().connection()?;
        let outcome = work(&mut connection, &mut todo);
        if todo.transport.is_none() && todo.needs_transport() {
            todo.transport = connection.output.transport().map(|transport| transport.clone_ref(slf.py()));
        }
        drop(connection);
        todo.perform(slf, alone);
        Some(outcome)
    }

    /// `socket`: request `number` is one for a WebSocket.
    pub(super) fn receive<'py>(
        &self,
        slf: &Bound<'py, Self>,
        number: u64,
        socket: bool,
    ) -> PyResult<Found<'py>> {
        let py = slf.py();
        Self::with(slf, false, |connection, todo| connection.receive_message(py, number, socket, todo))
            .unwrap_or_else(|| Err(wrong_thread()))
    }

    pub(super) fn send(&self, slf: &Bound<'_, Self>, number: u64, message: Message<'_>) -> PyResult<()> {
        Self::with(slf, false, |connection, todo| connection.send_message(slf, number, message, todo))
            .unwrap_or_else(|| Err(wrong_thread()))
    }

    /// Whether there is room for more of a response.
    pub(super) fn drained<'py>(&self, slf: &Bound<'py, Self>) -> PyResult<Found<'py>> {
        let Some(mut connection) = self.connection() else { return Err(wrong_thread()) };
        if connection.output.paused {
            connection.wait(slf.py()).map(Found::Future)
        } else {
            Ok(Found::Nothing)
        }
    }

    /// A request waits for the loop's next turn: the application is on the stack, and the context is one of its own.
    pub(super) fn postpone(&self, start: Start) {
        if let Some(mut connection) = self.connection() {
            connection.postponed = Some(start);
        }
    }

    /// The application's task has ended.
    pub(super) fn finished(&self, slf: &Bound<'_, Self>, number: u64, outcome: Outcome) {
        Self::with(slf, false, |connection, todo| connection.finished(slf, number, outcome, todo));
    }

    pub(super) fn set_task(&self, task: u64, number: u64) {
        if let Some(mut connection) = self.connection()
            && connection.number == number
        {
            connection.exchange.task = Some(task);
            if connection.stage == Stage::Closed || connection.eof {
                connection.condemn(clock::monotonic());
            }
        }
    }

    /// ` METHOD target [id]`, for the error log; nothing if another request is in hand by now.
    pub(super) fn describe(&self, number: u64) -> String {
        let connection = self.connection().filter(|connection| connection.number == number);
        connection.map_or_else(String::new, |connection| connection.line())
    }

    /// Time has passed.
    pub(super) fn look(&self, slf: &Bound<'_, Self>, now: Duration, stop: Option<Duration>) {
        Self::with(slf, false, |connection, todo| connection.look(slf.py(), now, stop, todo));
    }

    /// The service ends: nobody is waited for.
    pub(super) fn abort(&self, slf: &Bound<'_, Self>) {
        Self::with(slf, false, |connection, todo| connection.close(super::todo::End::Abort, todo));
    }

    /// Since when it has been idle or incomplete, if it is.
    pub(super) fn idle_since(&self) -> Option<Duration> {
        let connection = self.connection()?;
        (connection.stage == Stage::Receiving).then_some(connection.since)
    }

    /// Its place is needed for somebody else.
    pub(super) fn evict(&self, slf: &Bound<'_, Self>) {
        Self::with(slf, false, |connection, todo| connection.evict(slf.py(), todo));
    }
}

#[pymethods]
impl Protocol {
    fn connection_made(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let opened = Self::with(slf, false, |connection, _| connection.output.open(transport));
        this.service.enter(this.place, slf.clone().unbind());
        opened.unwrap_or_else(|| Err(wrong_thread()))
    }

    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) {
        Self::with(slf, true, |connection, todo| connection.receive(slf, data, todo));
    }

    /// True: the transport stays open for the answer.
    fn eof_received(slf: &Bound<'_, Self>) -> bool {
        Self::with(slf, false, |connection, todo| connection.receive_eof(slf, todo));
        true
    }

    fn connection_lost(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyAny>) {
        Self::with(slf, false, |connection, todo| connection.lose(todo));
        let this = slf.get();
        this.service.leave(this.place);
    }

    fn pause_writing(&self) {
        if let Some(mut connection) = self.connection() {
            connection.output.paused = true;
        }
    }

    fn resume_writing(slf: &Bound<'_, Self>) {
        Self::with(slf, false, |connection, todo| {
            connection.output.paused = false;
            connection.hear_again(todo);
            connection.wake(todo);
        });
    }

    /// The loop has come round: the request that waited for it is given to the application.
    fn begin(slf: &Bound<'_, Self>) {
        let start = slf.get().connection().and_then(|mut connection| connection.postponed.take());
        if let Some(start) = start {
            run::start(slf, start);
        }
    }

    /// The loop has come round: what a response gathered goes out.
    fn flush(slf: &Bound<'_, Self>) {
        Self::with(slf, false, |connection, todo| connection.flush(slf.py(), todo));
    }
}
