//! The reactor for a driver in Python: one descriptor to wait for, and one call that returns the requests to serve.
//!
//! ```text
//!   while (seconds := engine.limit()) is not None:
//!       ... until engine.fileno() is readable, or for so many seconds ...
//!       for task in engine.turn():
//!           ... task(), beside the loop ...
//! ```
//!
//! A task is a call that serves one request from beginning to end; the driver decides where it runs. Tasks that finish
//! while somebody is inside the reactor wait for the next turn: its lock is only ever tried, because a logger written in
//! Python may switch to another greenlet while it is held. Read next: `../reactor.rs`, `../single.rs`.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use std::{io, mem};

use nix::sys::eventfd::{EfdFlags, EventFd};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::net::poller::{Events, Interest, Poller};
use crate::scoreboard::Stage;
use crate::sys::clock;
use crate::worker::connection::Step;
use crate::worker::control::Control;
use crate::worker::overdue::{Overdue, Place};
use crate::worker::reactor::{CONTROL, Job, Reactor};
use crate::worker::service::Service;

const NUDGE: u64 = CONTROL + 16;
/// How often a worker in which nothing more may run looks around.
const LOOK: Duration = Duration::from_millis(10);

#[pyclass(frozen, module = "rwsgi._rwsgi")]
pub struct Engine {
    reactor: Mutex<Reactor>,
    poller: Arc<Poller>,
    /// With room for what a wait reports.
    control: Mutex<(Control, Events)>,
    /// With `request_timeout`; and when it is looked at again (monotonic, milliseconds).
    overdue: Option<Overdue>,
    next_look: AtomicU64,
    service: Service,
    /// Requests that were served while the reactor was not to be had.
    served: Mutex<Vec<Served>>,
    /// Written to when a turn is due though nothing happened on a socket.
    nudge: EventFd,
    lanes: Mutex<Lanes>,
    /// Requests in the application, and how many there may be.
    running: AtomicUsize,
    most: usize,
    began: AtomicBool,
}

struct Served {
    job: Job,
    step: Step,
    now: Duration,
    /// It was not waited for any more.
    was_stuck: bool,
}

impl Engine {
    pub(in crate::worker) fn new(
        reactor: Reactor,
        service: Service,
        control: Control,
        request_timeout: Duration,
    ) -> io::Result<Self> {
        let poller = Arc::clone(reactor.poller());
        let nudge = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        poller.add(nudge.as_fd(), NUDGE, Interest::Readable)?;
        control.watch(&poller)?;
        Ok(Self {
            most: reactor.parts().threads,
            overdue: Overdue::new(request_timeout, reactor.parts().threads),
            next_look: AtomicU64::new(0),
            reactor: Mutex::new(reactor),
            poller,
            control: Mutex::new((control, Events::new())),
            service,
            served: Mutex::default(),
            nudge,
            lanes: Mutex::default(),
            running: AtomicUsize::new(0),
            began: AtomicBool::new(false),
        })
    }

    /// Signals, the master's end, edited files; then what is ready on the sockets is noted.
    fn look(&self, py: Python<'_>) -> PyResult<()> {
        let Some(mut control) = tried(&self.control) else {
            return Err(PyRuntimeError::new_err("the loop runs already"));
        };
        let (control, events) = &mut *control;
        self.poller.wait(Duration::ZERO, events)?;
        let now = clock::monotonic();
        self.service.slot.beat(now);
        if events.tokens().any(|token| token == NUDGE) {
            let _ = self.nudge.read();
        }
        control.look(py, &self.poller, events, now);
        if let Some(mut reactor) = tried(&self.reactor) {
            if !self.began.swap(true, Relaxed) {
                reactor.tell(Stage::Ready);
            }
            reactor.note(events, now);
            self.take_back(&mut reactor);
        }
        Ok(())
    }

    fn take_back(&self, reactor: &mut Reactor) {
        let served = mem::take(&mut *self.served.lock().unwrap_or_else(PoisonError::into_inner));
        served.into_iter().for_each(|served| served.give_back(reactor));
    }

    /// Requests that have been in the application for too long.
    fn look_at_overdue(&self, py: Python<'_>) {
        let (Some(overdue), now) = (&self.overdue, clock::monotonic()) else { return };
        if (now.as_millis() as u64) < self.next_look.load(Relaxed) {
            return;
        }
        self.next_look.store((now + overdue.pause()).as_millis() as u64, Relaxed);
        if overdue.look(now) {
            overdue.tell(py, now);
        }
        if let (Some(lane), Some(mut reactor)) = (overdue.stuck(now), tried(&self.reactor))
            && let Some(age) = overdue.give_up(lane, now)
        {
            reactor.lose(age);
        }
    }

    /// A request to serve. The reactor is left between two of them.
    fn next(&self) -> Option<Job> {
        let mut reactor = tried(&self.reactor)?;
        if self.is_busy() {
            reactor.next_without_serving();
            return None;
        }
        let job = reactor.next()?;
        self.running.fetch_add(1, Relaxed);
        Some(job)
    }

    /// As many requests are in the application as may be.
    fn is_busy(&self) -> bool {
        self.running.load(Relaxed) >= self.most
    }

    /// A request was served, or will not be.
    fn finish(&self, served: Served) {
        self.running.fetch_sub(1, Relaxed);
        let Some(mut reactor) = tried(&self.reactor) else {
            self.served.lock().unwrap_or_else(PoisonError::into_inner).push(served);
            return self.nudge();
        };
        served.give_back(&mut reactor);
        if reactor.wants_turn() {
            self.nudge();
        }
    }

    fn nudge(&self) {
        // A counter that is full wakes as well.
        let _ = self.nudge.write(1);
    }

    fn serve(&self, py: Python<'_>, mut job: Job) {
        let lane = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take();
        let began = clock::monotonic();
        if let Some(overdue) = &self.overdue {
            overdue.enter(lane, &job.connection.exchange, began, Place::here(py));
        }
        let (step, now) = self.service.serve(py, lane, &mut job, began);
        let was_stuck = self.overdue.as_ref().is_some_and(|overdue| overdue.leave(lane, now));
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).give(lane);
        self.finish(Served { job, step, now, was_stuck });
    }
}

impl Served {
    fn give_back(self, reactor: &mut Reactor) {
        reactor.finish(self.job, self.step, self.now);
        if self.was_stuck {
            reactor.regain();
        }
    }
}

#[pymethods]
impl Engine {
    /// Readable when a turn is due.
    fn fileno(&self) -> RawFd {
        self.poller.as_fd().as_raw_fd()
    }

    /// Seconds after which a turn is due in any case; `None` when it is time to leave.
    fn limit(&self) -> Option<f64> {
        let Some(mut reactor) = tried(&self.reactor) else { return Some(0.0) };
        let overdue = self.overdue.as_ref().map_or(Duration::MAX, Overdue::pause);
        // Requests that wait for others to end are no reason to hurry: whoever ends nudges.
        let least = if self.is_busy() { LOOK } else { Duration::ZERO };
        (!reactor.is_done()).then(|| reactor.wait_limit().min(overdue).max(least).as_secs_f64())
    }

    /// Does what is due, and returns the requests that have come.
    fn turn(slf: &Bound<'_, Self>) -> PyResult<Vec<Py<Task>>> {
        let engine = slf.get();
        engine.look(slf.py())?;
        engine.look_at_overdue(slf.py());
        let mut tasks = Vec::new();
        while let Some(job) = engine.next() {
            tasks.push(Task::new(slf, job)?);
        }
        if let Some(mut reactor) = tried(&engine.reactor) {
            reactor.look_after_time();
        }
        crate::log::catch_up();
        Ok(tasks)
    }

    /// How calls of the application wait for a client: `wait(fd, for_writing, seconds)` returns whether the descriptor is
    /// ready, or the time has passed. Once, before the first turn.
    fn wait_by(&self, wait: Py<PyAny>) -> PyResult<()> {
        let reactor = tried(&self.reactor).ok_or_else(|| PyRuntimeError::new_err("the loop runs already"))?;
        reactor.parts().patience.wait_by(wait);
        Ok(())
    }
}

/// A request that waits to be served, by a call without arguments.
#[pyclass(frozen, freelist = 64, module = "rwsgi._rwsgi")]
pub struct Task {
    engine: Py<Engine>,
    job: Mutex<Option<Job>>,
}

impl Task {
    fn new(engine: &Bound<'_, Engine>, job: Job) -> PyResult<Py<Self>> {
        let task = Self { engine: engine.clone().unbind(), job: Mutex::new(Some(job)) };
        Py::new(engine.py(), task)
    }

    fn take(&self) -> Option<Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Task {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let job = self.take().ok_or_else(|| PyRuntimeError::new_err("this request was served already"))?;
        self.engine.get().serve(py, job);
        Ok(())
    }
}

impl Drop for Task {
    /// Nobody will serve it: whoever was to was killed first.
    fn drop(&mut self) {
        if let Some(job) = self.take() {
            self.engine.get().finish(Served {
                job,
                step: Step::Close,
                now: clock::monotonic(),
                was_stuck: false,
            });
        }
    }
}

/// Numbers for requests that run at the same time, the lowest first: the scoreboard has room for some dozens.
#[derive(Default)]
pub(super) struct Lanes {
    free: BTreeSet<usize>,
    used: usize,
}

impl Lanes {
    pub(super) fn take(&mut self) -> usize {
        self.free.pop_first().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        })
    }

    pub(super) fn give(&mut self, lane: usize) {
        self.free.insert(lane);
    }
}

fn tried<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match lock.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
