//! What the master sleeps on: signals, notices from workers, and the lifeline whose end tells workers that it is gone.
//!
//! Owns the descriptors of both sides. In a child, `worker_side` gives the worker its ends and closes the master's.
//! Must never block on a read. Read next: `run.rs`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;

use super::handover::PipeNumbers;
use super::signals;
use crate::sys::descriptors;
use crate::sys::signals::{SignalPipe, unblock};

pub(super) struct Pipes {
    signals: SignalPipe,
    notices: OwnedFd,
    notice: OwnedFd,
    lifeline: OwnedFd,
    /// Held open and never written: closing it is the message.
    alive: OwnedFd,
}

/// The ends a worker holds.
pub(super) struct WorkerSide {
    pub(super) lifeline: OwnedFd,
    pub(super) notice: Arc<OwnedFd>,
}

impl Pipes {
    /// Makes the pipes and starts to listen for every signal of the table.
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let (notices, notice) = pipe2(flags)?;
        let (lifeline, alive) = pipe2(flags)?;
        Self::of([notices, notice, lifeline, alive])
    }

    /// The pipes of the program before this one, which its workers hold the other ends of.
    pub(super) fn resume(numbers: PipeNumbers) -> io::Result<Self> {
        let PipeNumbers { notices, notice, lifeline, alive } = numbers;
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let take = |number| {
            let fd = descriptors::adopt(number).ok_or_else(gone)?;
            descriptors::keep_on_exec(&fd, false)?;
            Ok::<OwnedFd, io::Error>(fd)
        };
        Self::of([take(notices)?, take(notice)?, take(lifeline)?, take(alive)?])
    }

    fn of([notices, notice, lifeline, alive]: [OwnedFd; 4]) -> io::Result<Self> {
        let signals = SignalPipe::new(&signals::all())?;
        unblock(&signals::all())?;
        Ok(Self { signals, notices, notice, lifeline, alive })
    }

    pub(super) fn numbers(&self) -> PipeNumbers {
        PipeNumbers {
            notices: self.notices.as_raw_fd(),
            notice: self.notice.as_raw_fd(),
            lifeline: self.lifeline.as_raw_fd(),
            alive: self.alive.as_raw_fd(),
        }
    }

    /// What a program in this one's place must have, too.
    pub(super) const fn descriptors(&self) -> [&OwnedFd; 4] {
        [&self.notices, &self.notice, &self.lifeline, &self.alive]
    }

    /// Sleeps until there is something to look at, or `limit` has passed. An interrupted sleep is over.
    pub(super) fn wait(&self, limit: Duration) {
        // Rounded up: waking early would mean a turn for nothing.
        let milliseconds = limit.as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::from(1000u16));
        let signals = descriptors::borrow(&self.signals, self.signals.fd());
        let mut watched = [signals, self.notices.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let _ = poll(&mut watched, timeout);
    }

    /// The signals that came. Notices are taken away: the turn looks at the scoreboard anyway.
    pub(super) fn take(&self) -> Vec<Signal> {
        let mut buffer = [0u8; 512];
        while nix::unistd::read(&self.notices, &mut buffer).is_ok_and(|count| count == buffer.len()) {}
        self.signals.drain()
    }

    /// In the child: the worker's ends. The master's are closed.
    pub(super) fn worker_side(self) -> WorkerSide {
        WorkerSide { lifeline: self.lifeline, notice: Arc::new(self.notice) }
    }
}
