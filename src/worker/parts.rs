//! What a worker runs with, whoever runs its loop.
//!
//! Owns the settings that matter while it serves, and what it shares with its master and its siblings. Must never know
//! how requests are served. Read next: `reactor.rs`, `driven/process.rs`.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::wear::Wear;
use crate::http::Policy;
use crate::net::Listener;
use crate::scoreboard::{Scoreboard, SlotWriter, Stage};
use crate::wsgi::Patience;

pub(super) struct Parts {
    pub listeners: Arc<Vec<Listener>>,
    pub policy: Arc<Policy>,
    pub patience: Arc<Patience>,
    pub slot: Arc<SlotWriter>,
    pub scoreboard: Scoreboard,
    /// One byte written here makes the master look at the scoreboard.
    pub notice: Arc<OwnedFd>,
    pub wear: Wear,
    pub worker_connections: usize,
    /// How long a client may keep its connection between requests; zero: not at all.
    pub keepalive: Duration,
    /// Siblings share the listeners: wake one of them per connection, and take turns.
    pub siblings: bool,
    /// Other processes hold the listeners too: what this one leaves in the queue is not lost.
    pub shared: bool,
    pub graceful_timeout: Duration,
    /// How many requests may be in the application, in this worker and in each sibling.
    pub threads: usize,
    /// Complete requests that may wait for a thread; zero: any number.
    pub max_waiting_requests: usize,
    /// The longest wait: the beat has to go on.
    pub turn: Duration,
}

impl Parts {
    /// Tells the master at once where this worker is in its life.
    pub(super) fn tell(&self, stage: Stage) {
        self.slot.set_stage(stage);
        // A full pipe means that the master has enough notices to wake for.
        let _ = nix::unistd::write(&self.notice, b"!");
    }

    /// Logs why the worker is worn, if there is a reason, and asks for its replacement.
    pub(super) fn wear_out(&self, reason: Option<String>, serves_on: bool) {
        if let Some(reason) = reason {
            log::info!("{reason}");
            if serves_on {
                self.tell(Stage::Worn);
            }
        }
    }
}
