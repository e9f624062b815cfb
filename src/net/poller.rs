//! Waiting for many descriptors at once: epoll on Linux.
//!
//! The rest of the program sees tokens and readiness only, so another system's mechanism fits behind the same five
//! functions. Level-triggered: a descriptor is reported until what it has was taken. For the connections of a reactor
//! that reads until short and parks only what is incomplete this costs nothing measurable and cannot lose an edge.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Readable,
    Writable,
    /// Readable, waking one process of those that share the descriptor.
    Exclusive,
    /// Only its end.
    Nothing,
}

/// The set of descriptors being waited for, each under a number of the caller's choice.
pub struct Poller {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); 64] })
    }

    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(interest.flags(), token))?)
    }

    pub fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(interest.flags(), token))?)
    }

    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits at most `limit` and appends the tokens that are ready. A signal ends the wait early.
    pub fn wait(&mut self, limit: Duration, ready: &mut Vec<u64>) -> io::Result<()> {
        // Rounded up: a deadline half a millisecond away must not turn into a busy loop.
        let milliseconds = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let timeout = EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::ZERO);
        match self.epoll.wait(&mut self.events, timeout) {
            Ok(count) => ready.extend(self.events.iter().take(count).map(EpollEvent::data)),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Interest {
    const fn flags(self) -> EpollFlags {
        match self {
            Self::Readable => EpollFlags::EPOLLIN.union(EpollFlags::EPOLLRDHUP),
            Self::Writable => EpollFlags::EPOLLOUT,
            Self::Nothing => EpollFlags::empty(),
            Self::Exclusive => EpollFlags::EPOLLIN.union(EpollFlags::EPOLLEXCLUSIVE),
        }
    }
}
