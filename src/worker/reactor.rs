//! The connections of a worker, from accept to close: what the `sync` and `gthread` classes share.
//!
//! A connection costs a table entry until its request is complete, so clients that send half of one delay nobody. New
//! ones are accepted one at a time, each served if it can be before the next is taken: a busy worker leaves the queue
//! to its idle siblings. Whoever runs it (`single.rs`: the one thread; `pool.rs`: the thread that leads) waits without it,
//! notes what is ready, and takes jobs from it until there are none. A job is served outside and brought back. A panic
//! closes the connection it happened on and is logged. Read next: `reactor/stop.rs` for the end, `service.rs` for a job.

mod accept;
mod balance;
mod stop;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use super::buffers::{Buffers, Resume};
use super::connection::{Connection, Phase, Step};
use super::life::{self, Stop};
use super::panics::contain;
use super::parts::Parts;
use super::table::Table;
use crate::http::PeerError;
use crate::net::poller::{Events, Interest, Poller};
use crate::scoreboard::{Balance, Stage};
use crate::sys::clock;
use stop::Stopping;
use waiting::Waiting;

/// After descriptors ran out accepting pauses this long, so that the worker does not spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);
/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// Tokens from here on are not connections.
pub(super) const SPECIAL: u64 = 1 << 63;
/// Tokens from here on are not listeners either.
pub(super) const CONTROL: u64 = SPECIAL | 1 << 32;

/// A request to be served by whoever holds it, who brings it back.
pub(super) struct Job {
    token: u64,
    pub connection: Box<Connection>,
}

pub(super) struct Reactor {
    parts: Parts,
    poller: Arc<Poller>,
    table: Table,
    buffers: Arc<Buffers>,
    /// Tokens to look at.
    ready: VecDeque<u64>,
    /// Complete requests for which there was no thread.
    complete: VecDeque<u64>,
    now: Duration,
    accepting: bool,
    /// Accepting starts again then.
    resume: Option<Duration>,
    balance: Balance,
    /// Nobody is free to serve what would be accepted.
    saturated: bool,
    /// Somebody may have come to the queue while it was so, and the turn is, or was, theirs.
    crowded: bool,
    newcomers: bool,
    waiting: Waiting,
    /// Requests of threads that are not waited for any more.
    stuck: usize,
    next_sweep: Duration,
    /// Exhaustion is not told again before.
    complain_after: Duration,
    complain_of_spool_after: Duration,
    stopping: Option<Stopping>,
}

impl Reactor {
    pub(super) fn new(parts: Parts) -> io::Result<Self> {
        let now = clock::monotonic();
        let mut reactor = Self {
            buffers: Buffers::new(parts.patience.worker_buffers),
            parts,
            poller: Arc::new(Poller::new()?),
            table: Table::new(),
            ready: VecDeque::new(),
            complete: VecDeque::new(),
            now,
            accepting: false,
            resume: None,
            balance: Balance::default(),
            saturated: false,
            crowded: false,
            newcomers: false,
            waiting: Waiting::default(),
            stuck: 0,
            next_sweep: now + SWEEP,
            complain_after: now,
            complain_of_spool_after: now,
            stopping: None,
        };
        reactor.start_accepting()?;
        Ok(reactor)
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(super) const fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    /// Tells the master at once where this worker is in its life.
    pub(super) fn tell(&self, stage: Stage) {
        self.parts.tell(stage);
    }

    /// The worker asks to be replaced, if there is a reason, and serves on.
    pub(super) fn wear_out(&self, reason: Option<String>) {
        // One that has been asked to go is replaced anyway.
        self.parts.wear_out(reason, self.stopping.is_none());
    }

    /// A thread that has a request of ours does not come back, it seems. The worker is to be replaced, and a stop does not
    /// wait for that thread.
    pub(super) fn lose(&mut self, age: Duration) {
        self.stuck += 1;
        let worn = self.parts.wear.stick(age);
        self.wear_out(worn);
    }

    /// It has come back after all.
    pub(super) fn regain(&mut self) {
        self.stuck = self.stuck.saturating_sub(1);
    }

    pub(super) fn wait_limit(&self) -> Duration {
        let patient = self.table.is_empty() && self.resume.is_none() && self.stopping.is_none();
        if self.has_work() || self.buffers.who_resumes() != Resume::Nobody {
            Duration::ZERO
        } else if patient {
            self.parts.turn
        } else {
            let pause = self.resume.map_or(Duration::MAX, |at| at.saturating_sub(self.now));
            self.parts.turn.min(self.impatience()).min(pause)
        }
    }

    /// Something is to be done without another wait.
    pub(super) fn has_work(&self) -> bool {
        !self.complete.is_empty() || !self.ready.is_empty()
    }

    /// The same, or accepting is to begin again.
    pub(super) fn wants_turn(&self) -> bool {
        self.has_work() || self.saturated || self.buffers.who_resumes() != Resume::Nobody
    }

    /// A wait is over.
    pub(super) fn note(&mut self, events: &Events, now: Duration) {
        self.now = now;
        if events.is_empty() {
            self.renew_listeners();
        }
        self.ready.extend(events.tokens());
        self.resume_reading();
    }

    /// Memory has become free: those that were not read from for lack of it are looked at again.
    fn resume_reading(&mut self) {
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
            self.ready.push_back(token);
        }
    }

    /// Looks at what is ready until there is a request to serve.
    pub(super) fn next(&mut self) -> Option<Job> {
        if mem::take(&mut self.saturated) && self.stopping.is_none() {
            self.keep_accepting();
            self.crowded = true;
        }
        if self.crowded
            && let Some(job) = self.welcome()
        {
            return Some(job);
        }
        while let Some(token) = self.complete.pop_front() {
            if let Some(job) = self.hand_out(token) {
                return Some(job);
            }
        }
        while let Some(token) = self.ready.pop_front() {
            if let Some(job) = self.guarded(token).and_then(|token| self.hand_out(token)) {
                return Some(job);
            }
        }
        None
    }

    /// A request of a new connection. Kept connections alone can occupy every thread for ever, so that the queue has each
    /// second turn while somebody may wait there.
    fn welcome(&mut self) -> Option<Job> {
        self.newcomers = !self.newcomers;
        if !self.newcomers || self.has_too_many() {
            return None;
        }
        let listeners = self.parts.listeners.len() as u64;
        let served = (0..listeners).find_map(|index| self.guarded(SPECIAL | index));
        served.and_then(|token| self.hand_out(token))
    }

    /// Looks at what is ready while nobody is free to serve: complete requests wait, connections stay in the queue.
    pub(super) fn next_without_serving(&mut self) {
        if !mem::replace(&mut self.saturated, true) {
            self.stop_accepting();
        }
        self.accept_to_tell();
        while let Some(token) = self.ready.pop_front() {
            if let Some(token) = self.guarded(token) {
                self.wait_for_thread(token);
            }
        }
        self.turn_away();
    }

    fn wait_for_thread(&mut self, token: u64) {
        if let Some(connection) = self.table.get_mut(token) {
            connection.wait_for_thread();
            self.complete.push_back(token);
        }
    }

    /// A job is done; `step` is what its connection wants next.
    pub(super) fn finish(&mut self, job: Job, step: Step, now: Duration) {
        self.now = now;
        let Job { token, connection } = job;
        if self.table.bring_back(token, connection)
            && let Some(connection) = self.table.get_mut(token)
        {
            // It was muted; what it waits for has to be said again.
            connection.interest = None;
        }
        if let Some(token) = self.perform(token, step) {
            self.wait_for_thread(token);
        }
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

    /// Handles one event; a panic in it costs the connection. The token of a request that is to be served, if there is one.
    fn guarded(&mut self, token: u64) -> Option<u64> {
        contain(|| self.dispatch(token)).unwrap_or_else(|| {
            self.close(token);
            None
        })
    }

    fn dispatch(&mut self, token: u64) -> Option<u64> {
        if token >= CONTROL {
            return None;
        }
        if token & SPECIAL != 0 { self.accept((token & !SPECIAL) as usize) } else { self.advance(token) }
    }

    /// Whether the client of the next request may keep its connection after it.
    fn keeps(&self) -> bool {
        !self.parts.keepalive.is_zero() && life::asked() == Stop::No
    }

    fn advance(&mut self, token: u64) -> Option<u64> {
        let (now, keep) = (self.now, self.keeps());
        let Some(connection) = self.table.get_mut(token) else {
            self.mute(token);
            return None;
        };
        let step = match connection.phase {
            // It is not waited for, so only its end is told.
            _ if connection.is_paused() => Step::Close,
            Phase::Receiving { .. } => connection.receive(now, keep),
            Phase::Draining { .. } => connection.drain(now),
            Phase::Lingering { .. } => connection.linger(now),
            Phase::Complete => {
                self.leave_alone(token);
                return None;
            }
        };
        self.perform(token, step)
    }

    /// The thread that has it will look; until then the event would be reported without end.
    fn mute(&mut self, token: u64) {
        if let Some(stream) = self.table.mute(token) {
            let _ = self.poller.remove(&*stream);
        }
    }

    /// What comes on it is looked at when its request was served; an end of it would be reported without end.
    fn leave_alone(&mut self, token: u64) {
        if let Some(connection) = self.table.get_mut(token)
            && connection.interest.take().is_some()
        {
            let _ = self.poller.remove(&*connection.exchange.stream);
        }
    }

    /// The token of a request that is to be served, if that is the step.
    fn perform(&mut self, token: u64, step: Step) -> Option<u64> {
        match step {
            Step::Serve => return Some(token),
            Step::WaitReadable => self.wait_for(token, Interest::Readable),
            Step::WaitWritable => self.wait_for(token, Interest::Writable),
            Step::Pause => self.wait_for(token, Interest::Nothing),
            Step::Next => self.next_request(token),
            Step::Refuse(fault) => self.refuse(token, &fault),
            Step::TurnAway(error) => self.turn_away_upload(token, &error),
            Step::Close => self.close(token),
        }
        None
    }

    fn hand_out(&mut self, token: u64) -> Option<Job> {
        let connection = self.table.send_away(token)?;
        let worn = self.parts.wear.count();
        self.wear_out(worn);
        Some(Job { token, connection })
    }

    /// The client keeps the connection. Its next request takes its turn behind what is ready already.
    fn next_request(&mut self, token: u64) {
        let (policy, now, keepalive) = (&self.parts.policy, self.now, self.parts.keepalive);
        let Some(connection) = self.table.get_mut(token) else { return };
        if !connection.next(policy, now, keepalive) {
            return self.close(token);
        }
        if connection.has_more() {
            return self.ready.push_back(token);
        }
        self.wait_for(token, Interest::Readable);
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

    /// Sends a page of ours, after which there is nothing to serve.
    fn drain(&mut self, token: u64) {
        let now = self.now;
        let Some(connection) = self.table.get_mut(token) else { return };
        let step = connection.drain(now);
        self.perform(token, step);
    }

    fn wait_for(&mut self, token: u64, interest: Interest) {
        let Some(connection) = self.table.get_mut(token) else { return };
        let stream = &*connection.exchange.stream;
        let result = match connection.interest.replace(interest) {
            Some(before) if before == interest => return,
            Some(_) => self.poller.change(stream, token, interest),
            None => self.poller.add(stream, token, interest),
        };
        if let Err(error) = result {
            log::error!("Cannot wait for a client: {error}");
            self.close(token);
        }
    }

    fn close(&mut self, token: u64) {
        let Some(mut connection) = self.table.take(token) else { return };
        connection.objects = None;
        self.show_load();
        if connection.interest.is_some() {
            // The application may hold the socket's duplicate, which would keep it in the poller.
            let _ = self.poller.remove(&*connection.exchange.stream);
        }
        if Arc::strong_count(&connection.exchange) > 1 {
            // Objects that the application kept must not keep the client waiting.
            connection.exchange.stream.hang_up();
        }
    }

    /// Deadlines of clients, the end of a pause, the end of a graceful stop.
    pub(super) fn look_after_time(&mut self) {
        let now = self.now;
        if self.ends_pause()
            && let Err(error) = self.start_accepting()
        {
            log::error!("Cannot wait for connections: {error}");
            life::ask(Stop::Graceful);
        }
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        self.tell_turned_away();
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
            Phase::Draining { .. } | Phase::Lingering { .. } | Phase::Complete => self.close(token),
        }
    }
}
