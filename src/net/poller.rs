//! Waiting for many descriptors at once: epoll on Linux.
//!
//! The rest of the program sees tokens and readiness only, so another system's mechanism fits behind the same five
//! functions. Level-triggered: a descriptor is reported until what it has was taken. For the connections of a reactor
//! that reads until short and parks only what is incomplete this costs nothing measurable and cannot lose an edge.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
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
}

/// Room for what one wait reports; each thread that waits has its own.
pub struct Events {
    room: Vec<EpollEvent>,
    count: usize,
}

impl Events {
    pub fn new() -> Self {
        Self { room: vec![EpollEvent::empty(); 64], count: 0 }
    }

    /// The tokens that the last wait found ready.
    pub fn tokens(&self) -> impl Iterator<Item = u64> {
        self.room.iter().take(self.count).map(EpollEvent::data)
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll })
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

    /// Waits at most `limit` for something to be ready. A signal ends the wait early.
    pub fn wait(&self, limit: Duration, events: &mut Events) -> io::Result<()> {
        events.count = 0;
        // Rounded up: a deadline half a millisecond away must not turn into a busy loop.
        let milliseconds = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let timeout = EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::ZERO);
        match self.epoll.wait(&mut events.room, timeout) {
            Ok(count) => events.count = count,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Readable while something in it is ready, so that another loop can wait for all of it.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
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
