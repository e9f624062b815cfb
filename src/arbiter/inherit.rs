//! What this program has from one before it: sockets, pipes, the scoreboard, workers.
//!
//! Owns the taking over of descriptors by number. Must never trust a number: what is no listening socket is left alone,
//! and workers whose scoreboard cannot be had serve on unwatched. Read next: `handover.rs`, for the format.

use std::io;
use std::sync::Arc;

use super::handover::{Handover, Resume, Sockets};
use super::pidfile::PidFile;
use super::pipes::Pipes;
use super::plan::Plan;
use super::reexec::OLD_MASTER;
use super::seats::Seats;
use super::start::{Kept, StartError};
use super::state::State;
use crate::config::Sources;
use crate::net::Listener;
use crate::scoreboard::Scoreboard;
use crate::sys::{clock, descriptors};

#[derive(Default)]
pub(super) struct Inheritance {
    /// Sockets that are open already.
    pub(super) open: Vec<Arc<Listener>>,
    /// This process goes on with the work of the program before.
    past: Option<Resume>,
    /// This process serves beside the one that started it.
    predecessor: Option<i32>,
}

impl Inheritance {
    /// Takes over the sockets. The names that a service manager gave to them go into `kept`.
    pub(super) fn take(handover: Option<Handover>, kept: &mut Kept) -> Self {
        let (sockets, past, predecessor) = match handover {
            Some(Handover::Beside(sockets)) => (sockets, None, predecessor(&kept.sources)),
            Some(Handover::Resume(past)) => (past.sockets.clone(), Some(*past), None),
            Some(Handover::Trial) | None => return Self::default(),
        };
        if predecessor.is_some() {
            notice_its_end();
        }
        let open = adopt(&sockets);
        kept.passed = sockets.passed;
        Self { open, past, predecessor }
    }

    /// How many workers the program before had, if this process goes on with its work.
    pub(super) fn workers(&self) -> Option<usize> {
        let past = self.past.as_ref()?;
        Some(past.workers.iter().filter(|worker| !worker.stopping).count())
    }

    /// The pid file of the program before: removed if this one has another.
    pub(super) fn drop_pidfile(&self, current: Option<&PidFile>) {
        let old = self.past.as_ref().and_then(|past| past.pidfile.clone()).map(PidFile::of_this_process);
        if let Some(old) = old.filter(|old| current.is_none_or(|current| current.path() != old.path())) {
            old.remove();
        }
    }

    /// `lame`: the application could not be loaded, so the workers of before are not to be replaced.
    pub(super) fn state(&self, plan: Plan, lame: bool) -> State {
        match &self.past {
            Some(past) => State::resume(plan, past, !lame, clock::monotonic()),
            None => State::new(plan).beside(self.predecessor),
        }
    }

    /// The pipes and the scoreboard: those of the program before, if they can be had.
    pub(super) fn foundation(&self) -> Result<(Pipes, Seats), StartError> {
        let Some(past) = &self.past else { return fresh() };
        let pipes = Pipes::resume(past.pipes).inspect_err(|error| {
            log::warn!("The workers of before cannot tell that the master lives: {error}");
        });
        let Ok(pipes) = pipes else { return fresh() };
        let seats = board(past).map(|board| Seats::resume(board, past));
        match seats {
            Ok(seats) => Ok((pipes, seats)),
            Err(error) => {
                log::warn!("The workers of before cannot be watched: {error}");
                Ok((pipes, Seats::new(new_board()?)))
            }
        }
    }
}

fn fresh() -> Result<(Pipes, Seats), StartError> {
    let pipes = Pipes::open().map_err(|error| StartError::System("the signal pipe", error))?;
    Ok((pipes, Seats::new(new_board()?)))
}

fn new_board() -> Result<Scoreboard, StartError> {
    Scoreboard::new().map_err(|error| StartError::System("the scoreboard", error))
}

fn board(past: &Resume) -> io::Result<Scoreboard> {
    let file = descriptors::adopt(past.board).ok_or(io::ErrorKind::NotFound)?;
    descriptors::keep_on_exec(&file, false)?;
    Scoreboard::of(file)
}

fn adopt(sockets: &Sockets) -> Vec<Arc<Listener>> {
    let adopted = sockets.listeners.iter().filter_map(|(fd, address)| match Listener::adopt(*fd, address) {
        Ok(listener) => Some(Arc::new(listener)),
        Err(error) => {
            log::warn!("Cannot take over the socket of {address}: {error}");
            None
        }
    });
    adopted.collect()
}

/// The end of the older master wakes the loop, which would otherwise see it up to a second later.
fn notice_its_end() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_pdeathsig(Some(nix::sys::signal::Signal::SIGCHLD)) {
        log::debug!("The end of the older master will be noticed late: {error}");
    }
}

fn predecessor(sources: &Sources) -> Option<i32> {
    sources.variable(OLD_MASTER)?.parse().ok()
}
