//! USR2: a second master on the same sockets, and which of the two stays.
//!
//! The old master serves on until somebody stops it (TERM, QUIT, or WINCH for its workers alone) or the new one fails.
//! Invariant: a service whose new master dies is not left without workers by a WINCH that was meant to make room for it.

use log::Level;

use super::{Action, Death, State, Status};

/// The other masters of this service.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Relatives {
    /// Started by this one.
    pub(super) successor: Option<i32>,
    /// It started this one and has not left.
    pub(super) predecessor: Option<i32>,
    /// WINCH left the serving to the successor.
    retired: bool,
}

impl State {
    /// This master was started by another one, which still serves.
    pub const fn beside(mut self, predecessor: Option<i32>) -> Self {
        self.relatives.predecessor = predecessor;
        self
    }

    pub const fn predecessor(&self) -> Option<i32> {
        self.relatives.predecessor
    }

    pub const fn successor(&self) -> Option<i32> {
        self.relatives.successor
    }

    /// What the log calls this master.
    pub const fn name(&self) -> &'static str {
        if self.relatives.predecessor.is_some() { "Master.2" } else { "Master" }
    }

    pub const fn is_only_master(&self) -> bool {
        self.relatives.successor.is_none() && self.relatives.predecessor.is_none()
    }

    pub(super) fn upgrade(&mut self) {
        match (self.relatives.successor, self.relatives.predecessor) {
            (Some(_), _) => self.log(Level::Warn, "USR2 signal ignored. Child exists."),
            (_, Some(_)) => self.log(Level::Warn, "USR2 signal ignored. Parent exists."),
            (None, None) => self.actions.push(Action::Upgrade),
        }
    }

    pub(super) fn on_upgraded(&mut self, pid: i32) {
        self.relatives.successor = Some(pid);
        self.log(Level::Info, format!("Started a new master (pid:{pid}) on the same sockets"));
    }

    pub(super) fn refuse_upgrade(&mut self, reason: &str) {
        self.log(Level::Error, format!("Cannot start a new master, this one goes on: {reason}"));
    }

    /// WINCH. A terminal sends it too when its size changes, so it counts only where that cannot be the reason.
    pub(super) fn stop_workers(&mut self) {
        let plan = &self.current.plan;
        let retires = self.relatives.successor.is_some() && !plan.terminal;
        if !plan.daemon && !retires {
            return self.log(Level::Debug, "SIGWINCH ignored. Not daemonized");
        }
        self.log(Level::Info, "graceful stop of workers");
        self.relatives.retired = self.relatives.successor.is_some();
        self.target = 0;
    }

    /// True if it was the successor that ended.
    pub(super) fn on_successor_exit(&mut self, death: &Death) -> bool {
        if self.relatives.successor != Some(death.pid) {
            return false;
        }
        self.relatives.successor = None;
        let pid = death.pid;
        match death.status {
            Status::Code(0) => self.log(Level::Info, format!("The new master (pid:{pid}) has left")),
            Status::Code(code) => {
                self.log(Level::Error, format!("The new master (pid:{pid}) exited with code {code}"));
            }
            Status::Signal(number) => {
                self.log(Level::Error, format!("The new master (pid:{pid}) was ended by signal {number}"));
            }
        }
        if std::mem::take(&mut self.relatives.retired) && self.target == 0 && self.shutdown.is_none() {
            self.target = self.current.plan.workers;
            self.log(Level::Info, "This master starts its workers again");
        }
        true
    }

    pub(super) fn on_promotion(&mut self) {
        if self.relatives.predecessor.take().is_some() {
            self.log(Level::Info, "Master has been promoted.");
            self.actions.push(Action::Promote);
        }
    }
}
