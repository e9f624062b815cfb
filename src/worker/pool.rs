//! A worker with several threads, or one that is watched: one leads, the others serve or sleep, and the main thread
//! supervises.
//!
//! The leader waits for events and serves requests itself, and goes on leading while they are short: no hand-over, no
//! wake-up a request. When it stays in the application for longer than a tick the supervisor appoints a thread that
//! sleeps; where requests are known to be long the leader makes way before the call. With no thread to appoint the
//! supervisor moves bytes itself: slow clients go on, requests wait, new connections stay in the queue of the socket,
//! unless there is a bound on those that wait. It also looks after requests that take too long (`overdue.rs`).
//!
//! Must never wait for the reactor's lock while holding the interpreter (`Pool::lock`): who has the lock may need the
//! interpreter to log. Read next: `lead.rs`, `reactor.rs`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use super::control::Control;
use super::lead::Lead;
use super::life::{self, Stop};
use super::overdue::{Overdue, Place};
use super::reactor::{CONTROL, Job, Reactor};
use super::service::Service;
use crate::net::poller::{Events, Interest, Poller};
use crate::scoreboard::Stage;
use crate::sys::clock;

/// The leader may be in the application so long before another thread leads.
const TICK: Duration = Duration::from_millis(1);
/// Without a request for so long the supervisor sleeps until it is woken.
const QUIET: Duration = Duration::from_millis(100);
/// Requests that take longer on the average are handed over before the call.
const LONG: Duration = Duration::from_micros(200);
/// How often the supervisor, while it moves bytes, looks at signals.
const LOOK: Duration = Duration::from_millis(10);
/// Threads that are done get so long to say so.
const PARTING: Duration = Duration::from_millis(100);

/// What Python gives its own threads on Linux.
const STACK: usize = 8 << 20;

const NUDGE: u64 = CONTROL + 16;

pub(super) struct Pool {
    reactor: Mutex<Reactor>,
    poller: Arc<Poller>,
    service: Service,
    lead: Lead,
    /// Written to when the leader has to look at the reactor, though nothing happened on a socket.
    nudge: EventFd,
    /// Written to when the supervisor has to wake.
    wakeup: OwnedFd,
    supervisor_sleeps: AtomicBool,
    /// What a request takes on the average, in microseconds.
    pace: AtomicU32,
    threads: usize,
    /// With `request_timeout`.
    overdue: Option<Overdue>,
    /// Threads that have not left.
    present: AtomicUsize,
    turn: Duration,
    done: AtomicBool,
}

/// How a pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// Every thread has left.
    Complete,
    /// Some are in the application, where nobody can call them back from.
    Abandoned,
}

impl Pool {
    pub(super) fn new(
        reactor: Reactor,
        service: Service,
        (threads, overdue): (usize, Option<Overdue>),
        wakeup: OwnedFd,
    ) -> io::Result<Arc<Self>> {
        let poller = Arc::clone(reactor.poller());
        let nudge = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        poller.add(nudge.as_fd(), NUDGE, Interest::Readable)?;
        Ok(Arc::new(Self {
            // A sleeping supervisor must not miss a request's time by much.
            turn: overdue.as_ref().map_or(Duration::MAX, Overdue::pause).min(reactor.parts().turn),
            overdue,
            reactor: Mutex::new(reactor),
            poller,
            service,
            lead: Lead::new(threads),
            nudge,
            wakeup,
            supervisor_sleeps: AtomicBool::new(false),
            pace: AtomicU32::new(0),
            threads,
            present: AtomicUsize::new(0),
            done: AtomicBool::new(false),
        }))
    }

    /// Runs the threads, and supervises them until it is time to leave.
    pub(super) fn run(self: &Arc<Self>, py: Python<'_>, control: &mut Control) -> PyResult<Parting> {
        self.service.slot.beat(clock::monotonic());
        // Before the first thread serves: what ends a worker from then on is no failure to boot.
        self.lock(py).tell(Stage::Ready);
        self.start_threads()?;
        let supervised = self.supervise(py, control);
        self.end();
        let parting = py.detach(|| self.part());
        supervised?;
        Ok(parting)
    }

    /// Real ones: where an application has patched Python's `threading`, those may be none.
    fn start_threads(self: &Arc<Self>) -> io::Result<()> {
        for number in 0..self.threads {
            let pool = Arc::clone(self);
            let thread = thread::Builder::new().name(name(number)).stack_size(STACK);
            thread.spawn(move || Python::attach(|py| pool.work(py, number)))?;
            self.present.fetch_add(1, SeqCst);
        }
        Ok(())
    }

    /// A thread's whole life.
    fn work(&self, py: Python<'_>, thread: usize) {
        if let Err(error) = introduce(py, thread) {
            log::debug!("Cannot name a thread: {error}");
        }
        let mut events = Events::new();
        while py.detach(|| self.lead.wait(thread, self.is_long(), || self.is_done())) {
            if let Err(error) = self.lead(py, thread, &mut events) {
                log::error!("Cannot wait for clients: {error}");
                life::ask(Stop::Graceful);
                self.end();
            }
        }
        self.present.fetch_sub(1, SeqCst);
        self.wake_supervisor();
    }

    /// Serves what comes for as long as this thread leads.
    fn lead(&self, py: Python<'_>, thread: usize, events: &mut Events) -> io::Result<()> {
        loop {
            let mut reactor = self.lock(py);
            while let Some(job) = reactor.next() {
                drop(reactor);
                reactor = match self.serve(py, thread, job) {
                    Some(reactor) => reactor,
                    None => return Ok(()),
                };
            }
            reactor.look_after_time();
            if self.is_done() || reactor.is_done() {
                drop(reactor);
                self.end();
                return Ok(());
            }
            let limit = reactor.wait_limit();
            drop(reactor);
            // While more is there the interpreter is kept: whoever gets it in between keeps everybody waiting.
            self.poller.wait(Duration::ZERO, events)?;
            if events.is_empty() && !limit.is_zero() {
                py.detach(|| self.poller.wait(limit, events))?;
            }
            self.heed_nudge(events);
            self.lock(py).note(events, clock::monotonic());
        }
    }

    /// Serves a request. The reactor again if this thread leads after it.
    fn serve(&self, py: Python<'_>, thread: usize, mut job: Job) -> Option<MutexGuard<'_, Reactor>> {
        let began = clock::monotonic();
        let leads = !(self.is_long() && self.lead.hand_over(thread));
        if leads {
            self.lead.enter(thread, began);
            if self.supervisor_sleeps.load(SeqCst) {
                self.wake_supervisor();
            }
        }
        if let Some(overdue) = &self.overdue {
            overdue.enter(thread, &job.connection.exchange, began, Place::thread());
        }
        self.beat_alone(began);
        let (step, now) = self.service.serve(py, thread, &mut job, began);
        self.beat_alone(now);
        let was_stuck = self.overdue.as_ref().is_some_and(|overdue| overdue.leave(thread, now));
        self.note_pace(now.saturating_sub(began));
        let leads = (leads && self.lead.leave(thread)) || self.lead.take(thread, self.is_long());
        let mut reactor = self.lock(py);
        reactor.finish(job, step, now);
        if was_stuck {
            reactor.regain();
        }
        if leads {
            return Some(reactor);
        }
        if reactor.has_work() {
            self.nudge();
        }
        None
    }

    fn supervise(&self, py: Python<'_>, control: &mut Control) -> PyResult<()> {
        let own = Poller::new()?;
        control.watch(&own)?;
        let mut events = Events::new();
        while !self.is_done() {
            py.detach(|| self.watch(&own, &mut events))?;
            let now = clock::monotonic();
            if !self.is_silent() {
                self.service.slot.beat(now);
            }
            if let Some(overdue) = &self.overdue {
                overdue.tell(py, now);
            }
            control.look(py, &own, &events, now);
            match life::asked() {
                Stop::No => {}
                Stop::Graceful => self.nudge(),
                Stop::Quick => return Ok(()),
            }
            crate::log::catch_up();
        }
        Ok(())
    }

    /// Without the interpreter: until there is something for the main thread to do, or a beat is due.
    fn watch(&self, own: &Poller, events: &mut Events) -> io::Result<()> {
        let began = clock::monotonic();
        loop {
            let now = clock::monotonic();
            let left = (began + self.turn).saturating_sub(now);
            if self.is_done() || left.is_zero() || self.look_at_overdue(now) {
                return Ok(());
            }
            if self.lead.is_supervisor() {
                self.move_bytes()?;
                own.wait(Duration::ZERO, events)?;
            } else if self.lead.quiet(now) > QUIET && self.falls_asleep() {
                own.wait(left, events)?;
                self.supervisor_sleeps.store(false, SeqCst);
            } else {
                own.wait(TICK.min(left), events)?;
            }
            if !events.is_empty() {
                return Ok(());
            }
            if self.lead.absent(clock::monotonic()).is_some_and(|absent| absent >= TICK) {
                self.lead.depose();
            }
        }
    }

    /// The only thread is in the application: as long as a worker without a supervisor would be silent, so is this one.
    fn is_silent(&self) -> bool {
        self.threads == 1 && (self.lead.is_supervisor() || self.lead.absent(Duration::ZERO).is_some())
    }

    /// The only thread enters the application or has left it, which the supervisor may not see.
    fn beat_alone(&self, now: Duration) {
        if self.threads == 1 {
            self.service.slot.beat(now);
        }
    }

    /// True if the main thread has something to tell.
    fn look_at_overdue(&self, now: Duration) -> bool {
        let Some(overdue) = &self.overdue else { return false };
        if let Some(lane) = overdue.stuck(now) {
            let mut reactor = self.reactor.lock().unwrap_or_else(PoisonError::into_inner);
            // With the reactor locked: the thread that comes back after all waits for it before it is counted again.
            if let Some(age) = overdue.give_up(lane, now) {
                reactor.lose(age);
            }
        }
        overdue.look(now)
    }

    /// Whoever enters the application from now on wakes it. False if somebody just has.
    fn falls_asleep(&self) -> bool {
        self.supervisor_sleeps.store(true, SeqCst);
        let busy = self.lead.absent(Duration::ZERO).is_some() || self.lead.is_supervisor();
        if busy {
            self.supervisor_sleeps.store(false, SeqCst);
        }
        !busy
    }

    /// In the place of a leader while all threads are in the application.
    fn move_bytes(&self) -> io::Result<()> {
        let mut events = Events::new();
        self.poller.wait(LOOK, &mut events)?;
        // Whoever leads now finds what is ready reported again.
        if !self.lead.is_supervisor() {
            return Ok(());
        }
        self.heed_nudge(&events);
        let mut reactor = self.reactor.lock().unwrap_or_else(PoisonError::into_inner);
        reactor.note(&events, clock::monotonic());
        reactor.next_without_serving();
        reactor.look_after_time();
        let done = reactor.is_done();
        let (waits, free) = (reactor.has_work(), !self.lead.is_supervisor());
        drop(reactor);
        if done {
            self.end();
        } else if waits && free {
            // It may have looked before there was something to see.
            self.nudge();
        }
        Ok(())
    }

    /// The reactor, waited for without the interpreter.
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Reactor> {
        self.reactor.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn is_long(&self) -> bool {
        Duration::from_micros(self.pace.load(Relaxed).into()) > LONG
    }

    /// An eighth of the new one and seven of what was: a hint, so that threads may overwrite each other.
    fn note_pace(&self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let before = self.pace.load(Relaxed);
        self.pace.store(before - before / 8 + took / 8, Relaxed);
    }

    fn nudge(&self) {
        // A counter that is full wakes as well.
        let _ = self.nudge.write(1);
    }

    fn heed_nudge(&self, events: &Events) {
        if events.tokens().any(|token| token == NUDGE) {
            let _ = self.nudge.read();
        }
    }

    fn wake_supervisor(&self) {
        self.supervisor_sleeps.store(false, SeqCst);
        // A full pipe wakes as well.
        let _ = nix::unistd::write(&self.wakeup, b"!");
    }

    fn is_done(&self) -> bool {
        self.done.load(SeqCst)
    }

    fn end(&self) {
        if !self.done.swap(true, SeqCst) {
            self.nudge();
            self.wake_supervisor();
        }
        self.lead.wake_all();
    }

    fn part(&self) -> Parting {
        let end = clock::monotonic() + PARTING;
        while self.present.load(SeqCst) > 0 {
            if clock::monotonic() > end {
                return Parting::Abandoned;
            }
            self.nudge();
            thread::sleep(TICK);
        }
        Parting::Complete
    }
}

fn name(thread: usize) -> String {
    format!("rwsgi-{thread}")
}

/// The application and its logs find the thread under its name.
fn introduce(py: Python<'_>, thread: usize) -> PyResult<()> {
    let current = py.import("threading")?.call_method0("current_thread")?;
    current.setattr("name", name(thread))
}
