//! Stopping: one worker, or all of them and the master after them.
//!
//! Owns the deadlines, and the order of the ways to stop: after a delay, gracefully, quickly, at once. A later order
//! may only hasten a stop. Invariant: every worker that was asked to go has a deadline, after which it is killed.

use std::time::Duration;

use log::Level;
use nix::sys::signal::Signal;

use super::super::plan::Plan;
use super::super::wording::Line;
use super::{ABORT_GRACE, Action, State, Worker};

/// A quick stop does not wait longer than this, whatever graceful_timeout is.
const QUICK_LIMIT: Duration = Duration::from_secs(5);

/// A worker was asked to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    deadline: Duration,
}

/// The end of the master, once it has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shutdown {
    code: i32,
    reason: Option<&'static str>,
    pace: Pace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pace {
    /// Everything goes on as before until then.
    After(Duration),
    Graceful,
    Quick,
    /// Whoever is left has been killed.
    AtOnce,
}

impl Shutdown {
    pub(super) const fn begins(self) -> Option<Duration> {
        match self.pace {
            Pace::After(at) => Some(at),
            _ => None,
        }
    }
}

impl Plan {
    /// For a worker that is asked to go now and may finish what it has.
    pub(super) fn stop_at(&self, now: Duration) -> Stopping {
        Stopping { deadline: now + self.graceful_timeout }
    }
}

impl Worker {
    /// When something is to be done about it.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let stop = self.stopping.map(|stopping| stopping.deadline);
        let abort = self.aborted.map(|at| at + ABORT_GRACE);
        stop.into_iter().chain(abort).min().filter(|_| !self.killed)
    }
}

impl State {
    /// Asks one worker to go: TERM when it may finish what it has, QUIT when it may not.
    pub(super) fn stop(&mut self, age: u64, signal: Signal, now: Duration) {
        let limit = self.current.plan.graceful_timeout;
        let limit = if signal == Signal::SIGQUIT { limit.min(QUICK_LIMIT) } else { limit };
        let Some(worker) = self.worker(age) else { return };
        let deadline = now + limit;
        let deadline = worker.stopping.map_or(deadline, |stopping| stopping.deadline.min(deadline));
        worker.stopping = Some(Stopping { deadline });
        if let Some(pid) = worker.pid {
            self.actions.push(Action::Kill { pid, signal });
        }
    }

    /// KILL for workers that were asked to go and have not.
    pub(super) fn enforce_deadlines(&mut self, now: Duration) {
        for worker in &mut self.workers {
            let overdue = worker.deadline().is_some_and(|deadline| deadline <= now);
            if let Some(pid) = worker.pid.filter(|_| overdue) {
                worker.killed = true;
                self.actions.push(Action::Kill { pid, signal: Signal::SIGKILL });
            }
        }
    }

    /// TERM: after drain_delay, which a second one cuts short.
    pub(super) fn stop_gracefully(&mut self, now: Duration) {
        let delay = self.current.plan.drain_delay;
        let pace = match self.shutdown {
            None if !delay.is_zero() => Pace::After(now + delay),
            _ => Pace::Graceful,
        };
        if let Pace::After(_) = pace {
            self.log(Level::Info, format!("Stopping in {} s; serving until then", delay.as_secs()));
        }
        self.shut_down(Shutdown { code: 0, reason: None, pace }, now);
    }

    /// INT and QUIT; the second one is immediate.
    pub(super) fn stop_quickly(&mut self, now: Duration) {
        let again = self.shutdown.is_some_and(|running| running.pace >= Pace::Quick);
        let pace = if again { Pace::AtOnce } else { Pace::Quick };
        self.shut_down(Shutdown { code: 0, reason: None, pace }, now);
    }

    /// The application or the environment is broken from the start.
    pub(super) fn give_up(&mut self, code: i32, reason: &'static str, now: Duration) {
        self.shut_down(Shutdown { code, reason: Some(reason), pace: Pace::Graceful }, now);
    }

    fn shut_down(&mut self, shutdown: Shutdown, now: Duration) {
        let running = self.shutdown;
        if running.is_some_and(|running| running.pace >= shutdown.pace) {
            return;
        }
        // What was decided first says how the master exits.
        let first = running.unwrap_or(shutdown);
        self.shutdown = Some(Shutdown { pace: shutdown.pace, ..first });
        if shutdown.begins().is_some() {
            return;
        }
        if running.is_none_or(|running| running.begins().is_some()) {
            self.abandon_trial();
            self.actions.push(Action::CloseListeners { last: self.is_only_master() });
        }
        if shutdown.pace == Pace::AtOnce {
            return self.kill_all();
        }
        let signal = if shutdown.pace == Pace::Quick { Signal::SIGQUIT } else { Signal::SIGTERM };
        let ages: Vec<u64> = self.workers.iter().map(|worker| worker.age).collect();
        for age in ages {
            self.stop(age, signal, now);
        }
    }

    fn kill_all(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.killed = true);
        self.signal_all(Signal::SIGKILL);
    }

    /// The end takes its course. False while it is still to begin, and workers are kept up as ever.
    pub(super) fn carry_on(&mut self, shutdown: Shutdown, now: Duration) -> bool {
        match shutdown.begins() {
            Some(at) if at > now => return false,
            Some(_) => self.shut_down(Shutdown { pace: Pace::Graceful, ..shutdown }, now),
            None => {}
        }
        if self.workers.is_empty() {
            self.conclude(shutdown);
        }
        true
    }

    fn conclude(&mut self, shutdown: Shutdown) {
        let level = if shutdown.code == 0 { Level::Info } else { Level::Error };
        let farewell = format!("Shutting down: {}", self.name());
        match shutdown.reason {
            None => self.log(level, farewell),
            Some(reason) => {
                let lines = [farewell, format!("Reason: {reason}")];
                self.actions.extend(lines.map(|line| Action::Log(Line::echo(level, line))));
            }
        }
        self.actions.push(Action::Exit(shutdown.code));
    }
}
