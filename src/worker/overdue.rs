//! Requests that are in the application for longer than `request_timeout`.
//!
//! Owns who is in the application since when, a lane for each thread or greenlet. The supervisor, or a driver's loop between
//! greenlets, looks (without the interpreter, which a stuck thread may hold), has the client answered, tells the log, and in the end gives the thread up. Must never
//! hold a lane's lock while it waits for anything: threads that have the interpreter take it. Read next: `pool.rs`,
//! `wsgi/exchange.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::pthread::pthread_self;
use pyo3::prelude::*;

use crate::py::strand;
use crate::wsgi::{Exchange, Expiry, overdue};

/// An application that is inside the response gets so long to come out of it before the connection is cut.
const BUSY: Duration = Duration::from_millis(250);

pub(super) struct Overdue {
    limit: Duration,
    lanes: Vec<Mutex<Option<Running>>>,
}

/// A request in the application.
struct Running {
    exchange: Arc<Exchange>,
    /// `METHOD target`: the application may be inside the request when it is wanted.
    line: String,
    began: Duration,
    place: Place,
    stage: Stage,
}

/// Where a request is served.
#[derive(Debug)]
pub(super) enum Place {
    /// What Python calls the thread.
    Thread(u64),
    Greenlet(Py<PyAny>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InTime,
    /// The client is answered.
    Answered,
    /// The log has been told.
    Told,
    /// Nobody waits for the thread any more.
    Stuck,
}

impl Overdue {
    /// `None` without a limit.
    pub(super) fn new(limit: Duration, threads: usize) -> Option<Self> {
        let lanes = || (0..threads).map(|_| Mutex::default()).collect();
        (!limit.is_zero()).then(|| Self { limit, lanes: lanes() })
    }

    /// Looked at so often, no request's time is missed by much.
    pub(super) fn pause(&self) -> Duration {
        self.limit / 4
    }

    /// The application is about to be called.
    pub(super) fn enter(&self, lane: usize, exchange: &Arc<Exchange>, now: Duration, place: Place) {
        let running = Running {
            exchange: Arc::clone(exchange),
            line: line(exchange),
            began: now,
            place,
            stage: Stage::InTime,
        };
        self.with(lane, |lane| *lane = Some(running));
    }

    /// It has come back. True if it had been given up.
    pub(super) fn leave(&self, lane: usize, now: Duration) -> bool {
        let Some(left) = self.with(lane, Option::take).flatten() else { return false };
        if left.stage == Stage::Answered {
            log::error!("{}", left.message(now));
        }
        left.stage == Stage::Stuck
    }

    /// Answers the clients of those that are late. True if the log is to be told.
    pub(super) fn look(&self, now: Duration) -> bool {
        let look = |lane| self.with_running(lane, |running| running.look(now, self.limit));
        // Each is looked at, whatever the others say.
        (0..self.lanes.len()).filter(|&lane| look(lane).unwrap_or(false)).count() > 0
    }

    /// A lane whose thread is to be given up.
    pub(super) fn stuck(&self, now: Duration) -> Option<usize> {
        let is_stuck = |lane| self.with_running(lane, |running| running.is_stuck(now, self.limit));
        (0..self.lanes.len()).find(|&lane| is_stuck(lane).unwrap_or(false))
    }

    /// Tells the log of those whose clients were answered.
    pub(super) fn tell(&self, py: Python<'_>, now: Duration) {
        for lane in 0..self.lanes.len() {
            if let Some(Some((place, exchange))) = self.with_running(lane, |running| running.to_tell(py)) {
                let stack = place.stack(py).unwrap_or_else(|error| format!("No stack: {error}"));
                // One that has left meanwhile has told, and has another stack.
                let told = self.with_running(lane, |running| running.told(&exchange, now));
                if let Some(Some(message)) = told {
                    log::error!("{message}\n{}", stack.trim_end());
                }
            }
        }
    }

    /// The thread of this lane is given up. Its request's age, unless it has left.
    pub(super) fn give_up(&self, lane: usize, now: Duration) -> Option<Duration> {
        let age = self.with_running(lane, |running| {
            let late = running.is_stuck(now, self.limit);
            running.stage = if late { Stage::Stuck } else { running.stage };
            late.then(|| now.saturating_sub(running.began))
        });
        age.flatten()
    }

    fn with_running<T>(&self, lane: usize, work: impl FnOnce(&mut Running) -> T) -> Option<T> {
        self.with(lane, |lane| lane.as_mut().map(work)).flatten()
    }

    fn with<T>(&self, lane: usize, work: impl FnOnce(&mut Option<Running>) -> T) -> Option<T> {
        let lane = self.lanes.get(lane)?;
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        Some(work(&mut lane))
    }
}

impl Running {
    fn look(&mut self, now: Duration, limit: Duration) -> bool {
        if self.stage == Stage::InTime
            && let Some(late) = now.saturating_sub(self.began).checked_sub(limit)
            && self.answer(late)
        {
            self.stage = Stage::Answered;
        }
        self.stage == Stage::Answered
    }

    /// False if there is nothing to answer, or not yet.
    fn answer(&self, late: Duration) -> bool {
        match self.exchange.expire() {
            Expiry::Over => return false,
            Expiry::Busy if late < BUSY => return false,
            Expiry::Busy => self.exchange.stream.hang_up(),
            Expiry::Answered | Expiry::Cut => {}
        }
        true
    }

    /// The log knows, or cannot be told.
    fn is_stuck(&self, now: Duration, limit: Duration) -> bool {
        self.stage == Stage::Told && now.saturating_sub(self.began) >= limit.saturating_mul(2)
    }

    /// Whose stack is wanted.
    fn to_tell(&self, py: Python<'_>) -> Option<(Place, Arc<Exchange>)> {
        (self.stage == Stage::Answered).then(|| (self.place.clone_ref(py), Arc::clone(&self.exchange)))
    }

    /// The message, if the thread still has this request.
    fn told(&mut self, exchange: &Arc<Exchange>, now: Duration) -> Option<String> {
        if !Arc::ptr_eq(&self.exchange, exchange) {
            return None;
        }
        self.stage = Stage::Told;
        Some(self.message(now))
    }

    fn message(&self, now: Duration) -> String {
        let id = self.exchange.id().map_or_else(String::new, |id| format!(" [{id}]"));
        overdue(now.saturating_sub(self.began), &format!("{}{id}", self.line))
    }
}

impl Place {
    /// This thread, or the greenlet of it that runs.
    pub(super) fn here(py: Python<'_>) -> Self {
        strand::greenlet(py).map_or_else(Self::thread, |greenlet| Self::Greenlet(greenlet.unbind()))
    }

    pub(super) fn thread() -> Self {
        Self::Thread(pthread_self() as u64)
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Thread(thread) => Self::Thread(*thread),
            Self::Greenlet(greenlet) => Self::Greenlet(greenlet.clone_ref(py)),
        }
    }

    /// What is called there, as Python prints it.
    fn stack(&self, py: Python<'_>) -> PyResult<String> {
        let (frame, name) = match self {
            Self::Thread(thread) => {
                (py.import("sys")?.call_method0("_current_frames")?.get_item(*thread)?, "thread")
            }
            Self::Greenlet(greenlet) => (greenlet.bind(py).getattr("gr_frame")?, "greenlet"),
        };
        let lines: Vec<String> = py.import("traceback")?.call_method1("format_stack", (frame,))?.extract()?;
        Ok(format!("Stack of its {name} (most recent call last):\n{}", lines.concat()))
    }
}

fn line(exchange: &Exchange) -> String {
    let reader = exchange.request();
    let head = reader.as_ref().and_then(|reader| reader.head());
    head.map_or_else(String::new, |head| format!("{} {}", head.method(), head.target().escape_ascii()))
}
