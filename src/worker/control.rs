//! What reaches a worker beside its clients: signals, the master's end, edited files.
//!
//! Owns the descriptors that tell of them. Belongs to the interpreter's main thread, in which alone Python runs signal
//! handlers. Read next: `signals.rs`, `life.rs`.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use pyo3::prelude::*;

use super::life::{self, Stop};
use super::reactor::CONTROL;
use super::reloader::Reloader;
use crate::net::poller::{Events, Interest, Poller};

const LIFELINE: u64 = CONTROL;
const WAKEUP: u64 = CONTROL + 1;
const CHANGES: u64 = CONTROL + 2;

pub(super) struct Control {
    /// Readable when the master is gone.
    pub lifeline: OwnedFd,
    /// Readable when a signal came.
    pub wakeup: OwnedFd,
    /// Under `reload`.
    pub reloader: Option<Reloader>,
}

impl Control {
    /// Puts the descriptors into `poller`.
    pub(super) fn watch(&self, poller: &Poller) -> io::Result<()> {
        poller.add(&self.lifeline, LIFELINE, Interest::Readable)?;
        poller.add(&self.wakeup, WAKEUP, Interest::Readable)?;
        match self.reloader.as_ref().and_then(Reloader::descriptor) {
            Some(changes) => poller.add(changes, CHANGES, Interest::Readable),
            None => Ok(()),
        }
    }

    /// After each wait: runs the handlers of signals that came, and heeds what is ready.
    pub(super) fn look(&mut self, py: Python<'_>, poller: &Poller, events: &Events, now: Duration) {
        // SystemExit from our own handlers says "leave now", which `life` knows too; anything else is the application's.
        if let Err(error) = py.check_signals()
            && life::asked() != Stop::Quick
        {
            log::error!("A signal handler raised: {error}");
        }
        for token in events.tokens().filter(|token| *token >= CONTROL) {
            match token {
                LIFELINE => self.orphaned(poller),
                WAKEUP => self.drain_wakeup(),
                CHANGES => self.hear_of_changes(py),
                _ => {}
            }
        }
        if let Some(reloader) = &mut self.reloader {
            reloader.look_around(py, now);
        }
    }

    fn orphaned(&self, poller: &Poller) {
        if life::asked() == Stop::No {
            log::info!("Parent changed, shutting down: <Worker {}>", std::process::id());
        }
        // The lifeline stays readable for ever.
        let _ = poller.remove(&self.lifeline);
        life::ask(Stop::Graceful);
    }

    fn hear_of_changes(&mut self, py: Python<'_>) {
        if let Some(reloader) = self.reloader.as_mut().filter(|reloader| reloader.has_news()) {
            reloader.look(py);
        }
    }

    fn drain_wakeup(&self) {
        let mut bytes = [0; 256];
        while let Ok(count) = nix::unistd::read(&self.wakeup, &mut bytes) {
            if count < bytes.len() {
                break;
            }
        }
    }
}
