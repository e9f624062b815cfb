//! The event loop of the `sync` class: one thread, one request in the application at a time, no keep-alive.
//!
//! A connection costs a table entry until its request is complete, so clients that send half of one delay nobody. New
//! ones are accepted one at a time, each served if it can be before the next is taken: a busy worker leaves the queue
//! to its idle siblings. Order of a turn: wait (without the interpreter), Python's signal handlers, beat, events,
//! deadlines. A panic closes the connection it happened on and is logged. Read next: `reactor/stop.rs` for the end.

mod accept;
mod stop;

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use pyo3::prelude::*;

use super::buffers::{Buffers, Resume};
use super::connection::{Connection, Phase, Step};
use super::life::{self, Stop};
use super::reloader::Reloader;
use super::table::Table;
use super::wear::Wear;
use crate::http::{PeerError, Policy};
use crate::net::Listener;
use crate::net::poller::{Interest, Poller};
use crate::scoreboard::{Scoreboard, SlotWriter, Stage};
use crate::sys::clock;
use crate::wsgi::{Application, Patience, Server};
use stop::Stopping;

/// After descriptors ran out accepting pauses this long, so that the worker does not spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);
/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// Tokens from here on are not connections.
const SPECIAL: u64 = 1 << 63;
const LIFELINE: u64 = SPECIAL | 1 << 32;
const WAKEUP: u64 = SPECIAL | 1 << 33;
const CHANGES: u64 = SPECIAL | 1 << 34;

/// What the reactor runs with.
pub(super) struct Parts {
    pub application: Application,
    /// One per listener, in the same order.
    pub servers: Vec<Server>,
    pub listeners: Arc<Vec<Listener>>,
    pub policy: Arc<Policy>,
    pub patience: Arc<Patience>,
    pub slot: SlotWriter,
    /// Readable when the master is gone.
    pub lifeline: OwnedFd,
    /// Readable when a signal came.
    pub wakeup: OwnedFd,
    pub scoreboard: Scoreboard,
    /// One byte written here makes the master look at the scoreboard.
    pub notice: Arc<OwnedFd>,
    pub wear: Wear,
    /// Under `reload`.
    pub reloader: Option<Reloader>,
    pub worker_connections: usize,
    /// Siblings share the listeners: wake one of them per connection, and take turns.
    pub siblings: bool,
    /// Other processes hold the listeners too: what this one leaves in the queue is not lost.
    pub shared: bool,
    pub graceful_timeout: Duration,
    /// The longest wait: the beat has to go on.
    pub turn: Duration,
}

pub(super) struct Reactor {
    parts: Parts,
    poller: Poller,
    table: Table,
    buffers: Arc<Buffers>,
    ready: Vec<u64>,
    now: Duration,
    accepting: bool,
    /// Accepting starts again then.
    resume: Option<Duration>,
    next_sweep: Duration,
    /// Exhaustion is not told again before.
    complain_after: Duration,
    stopping: Option<Stopping>,
}

impl Reactor {
    pub(super) fn new(parts: Parts) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&parts.lifeline, LIFELINE, Interest::Readable)?;
        poller.add(&parts.wakeup, WAKEUP, Interest::Readable)?;
        if let Some(changes) = parts.reloader.as_ref().and_then(Reloader::descriptor) {
            poller.add(changes, CHANGES, Interest::Readable)?;
        }
        let now = clock::monotonic();
        let mut reactor = Self {
            buffers: Buffers::new(parts.patience.worker_buffers),
            parts,
            poller,
            table: Table::new(),
            ready: Vec::new(),
            now,
            accepting: false,
            resume: None,
            next_sweep: now + SWEEP,
            complain_after: now,
            stopping: None,
        };
        reactor.start_accepting()?;
        Ok(reactor)
    }

    /// Serves until it is time to leave.
    pub(super) fn run(&mut self, py: Python<'_>) -> io::Result<()> {
        self.parts.slot.beat(self.now);
        self.tell(Stage::Ready);
        while !self.is_done() {
            let limit = self.wait_limit();
            let (poller, ready) = (&mut self.poller, &mut self.ready);
            py.detach(|| poller.wait(limit, ready))?;
            self.now = clock::monotonic();
            self.parts.slot.beat(self.now);
            // SystemExit from our own handlers says "leave now", which `life` knows too; anything else is the application's.
            if let Err(error) = py.check_signals()
                && life::asked() != Stop::Quick
            {
                log::error!("A signal handler raised: {error}");
            }
            if self.ready.is_empty() {
                self.renew_listeners();
            }
            for token in mem::take(&mut self.ready) {
                self.guarded(py, token);
            }
            if let Some(reloader) = &mut self.parts.reloader {
                reloader.look_around(py, self.now);
            }
            self.resume_reading(py);
            self.look_after_time();
            crate::log::catch_up();
        }
        Ok(())
    }

    /// Tells the master at once where this worker is in its life.
    fn tell(&self, stage: Stage) {
        self.parts.slot.set_stage(stage);
        // A full pipe means that the master has enough notices to wake for.
        let _ = nix::unistd::write(&self.parts.notice, b"!");
    }

    /// The worker asks to be replaced, if there is a reason, and serves on.
    fn wear_out(&self, reason: Option<String>) {
        if let Some(reason) = reason {
            log::info!("{reason}");
            // One that has been asked to go is replaced anyway.
            if self.stopping.is_none() {
                self.tell(Stage::Worn);
            }
        }
    }

    fn wait_limit(&self) -> Duration {
        if self.buffers.who_resumes() != Resume::Nobody {
            return Duration::ZERO;
        }
        let patient = self.table.is_empty() && self.resume.is_none() && self.stopping.is_none();
        if patient { self.parts.turn } else { self.parts.turn.min(self.impatience()) }
    }

    /// Handles one event; a panic in it costs the connection.
    fn guarded(&mut self, py: Python<'_>, token: u64) {
        if catch_unwind(AssertUnwindSafe(|| self.dispatch(py, token))).is_err() {
            log::error!("Internal error while serving a request; its connection is closed");
            self.close(token);
            self.parts.slot.idle(clock::monotonic());
        }
    }

    fn dispatch(&mut self, py: Python<'_>, token: u64) {
        match token {
            LIFELINE => self.orphaned(),
            WAKEUP => self.drain_wakeup(),
            CHANGES => self.hear_of_changes(py),
            _ if token & SPECIAL != 0 => self.accept(py, (token & !SPECIAL) as usize),
            _ => self.advance(py, token),
        }
    }

    fn orphaned(&self) {
        if life::asked() == Stop::No {
            log::info!("Parent changed, shutting down: <Worker {}>", std::process::id());
        }
        // The lifeline stays readable for ever.
        let _ = self.poller.remove(&self.parts.lifeline);
        life::ask(Stop::Graceful);
    }

    fn hear_of_changes(&mut self, py: Python<'_>) {
        if let Some(reloader) = self.parts.reloader.as_mut().filter(|reloader| reloader.has_news()) {
            reloader.look(py);
        }
    }

    fn drain_wakeup(&self) {
        let mut bytes = [0; 256];
        while let Ok(count) = nix::unistd::read(&self.parts.wakeup, &mut bytes) {
            if count < bytes.len() {
                break;
            }
        }
    }

    fn advance(&mut self, py: Python<'_>, token: u64) {
        let now = self.now;
        let Some(connection) = self.table.get_mut(token) else { return };
        let step = match connection.phase {
            // It is not waited for, so only its end is told.
            _ if connection.is_paused() => Step::Close,
            Phase::Receiving { .. } => connection.receive(now),
            Phase::Draining { .. } => connection.drain(now),
            Phase::Lingering { .. } => connection.linger(now),
        };
        self.perform(py, token, step);
    }

    fn perform(&mut self, py: Python<'_>, token: u64, step: Step) {
        match step {
            Step::WaitReadable => self.wait_for(token, Interest::Readable),
            Step::WaitWritable => self.wait_for(token, Interest::Writable),
            Step::Pause => self.wait_for(token, Interest::Nothing),
            Step::Serve => self.serve(py, token),
            Step::Refuse(fault) => self.refuse(token, &fault),
            Step::Close => self.close(token),
        }
    }

    fn serve(&mut self, py: Python<'_>, token: u64) {
        let Some(connection) = self.table.get_mut(token) else { return };
        let (exchange, listener) = (Arc::clone(&connection.exchange), connection.listener);
        if let Some(head) = exchange.request().as_ref().and_then(|reader| reader.head()) {
            self.parts.slot.serve(head.method(), head.target(), self.now);
        }
        let worn = self.parts.wear.count();
        self.wear_out(worn);
        let Some(server) = self.parts.servers.get(listener) else { return };
        self.parts.application.serve(py, server, &exchange);
        self.now = clock::monotonic();
        self.parts.slot.idle(self.now);
        self.parts.slot.beat(self.now);
        self.drain(token);
        self.shed_readers();
    }

    /// Clients that do not read must not fill the memory: the slowest go first.
    fn shed_readers(&mut self) {
        while self.buffers.has_too_much_unread() {
            let Some(token) = self.table.slowest_reader() else { return };
            self.give_up(token, "too much waits for clients that do not read (worker_buffers)");
        }
    }

    fn give_up(&mut self, token: u64, why: &str) {
        if let Some(connection) = self.table.get_mut(token) {
            connection.exchange.give_up(why);
        }
        self.close(token);
    }

    /// Memory has become free: goes on with clients that were not read from for lack of it.
    fn resume_reading(&mut self, py: Python<'_>) {
        let (resumed, exempt) = match self.buffers.who_resumes() {
            Resume::Nobody => return,
            Resume::All => (self.table.tokens(Connection::is_paused), false),
            Resume::Oldest => (self.table.oldest(Connection::is_paused).into_iter().collect(), true),
        };
        for token in resumed {
            let Some(connection) = self.table.get_mut(token) else { continue };
            if exempt {
                connection.resume_before_others(self.now)
            } else {
                connection.resume(self.now)
            }
            self.guarded(py, token);
        }
    }

    fn refuse(&mut self, token: u64, fault: &PeerError) {
        let Some(connection) = self.table.get_mut(token) else { return };
        connection.exchange.refuse(fault);
        if fault.is_disconnect() { self.close(token) } else { self.drain(token) }
    }

    /// The rest of the request did not come in time.
    fn refuse_slow(&mut self, token: u64, fault: PeerError) {
        let Some(connection) = self.table.get_mut(token) else { return };
        if connection.is_silent() {
            return self.close(token);
        }
        self.refuse(token, &fault);
    }

    fn drain(&mut self, token: u64) {
        let now = self.now;
        let Some(connection) = self.table.get_mut(token) else { return };
        match connection.drain(now) {
            Step::WaitReadable => self.wait_for(token, Interest::Readable),
            Step::WaitWritable => self.wait_for(token, Interest::Writable),
            _ => self.close(token),
        }
    }

    fn wait_for(&mut self, token: u64, interest: Interest) {
        let Some(connection) = self.table.get_mut(token) else { return };
        let stream = connection.exchange.stream.as_fd();
        let result = if mem::replace(&mut connection.registered, true) {
            self.poller.change(stream, token, interest)
        } else {
            self.poller.add(stream, token, interest)
        };
        if let Err(error) = result {
            log::error!("Cannot wait for a client: {error}");
            self.close(token);
        }
    }

    fn close(&mut self, token: u64) {
        let Some(connection) = self.table.take(token) else { return };
        if connection.registered {
            // The application may hold the socket's duplicate, which would keep it in the poller.
            let _ = self.poller.remove(&connection.exchange.stream);
        }
        if Arc::strong_count(&connection.exchange) > 1 {
            // Objects that the application kept must not keep the client waiting.
            connection.exchange.stream.hang_up();
        }
    }

    /// Deadlines of clients, the end of a pause, the end of a graceful stop.
    fn look_after_time(&mut self) {
        let now = self.now;
        if self.resume.is_some_and(|at| at <= now)
            && let Err(error) = self.start_accepting()
        {
            log::error!("Cannot wait for connections: {error}");
            life::ask(Stop::Graceful);
        }
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let worn = self.parts.wear.look(now);
        self.wear_out(worn);
        let stopping = self.stopping.as_ref();
        let stop =
            |connection: &Connection| stopping.map_or(Duration::MAX, |stopping| stopping.limit(connection));
        let late = self.table.tokens(|connection| connection.deadline.min(stop(connection)) <= now);
        for token in late {
            self.end_waiting(token);
        }
    }

    /// The time of a client is up, or that of the worker.
    fn end_waiting(&mut self, token: u64) {
        let now = self.now;
        let Some(connection) = self.table.get_mut(token) else { return };
        match connection.phase {
            Phase::Receiving { in_body: false } => self.refuse_slow(token, PeerError::HeadTimeout),
            Phase::Receiving { in_body: true } => self.refuse_slow(token, PeerError::BodyTimeout),
            Phase::Draining { .. } if connection.deadline <= now => {
                if !connection.goes_on_reading(now) {
                    self.give_up(token, "the response is not read");
                }
            }
            Phase::Draining { .. } => self.close(token),
            Phase::Lingering { .. } => self.close(token),
        }
    }
}
