//! An accepted connection: non-blocking by nature, with waits that have an end.
//!
//! Every call is one system call, retried on EINTR. What blocks says so in its name: reads and writes do not, even while an
//! application that was lent the socket has made it a blocking one.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::TcpNoDelay;
use nix::sys::socket::{ControlMessage, MsgFlags, Shutdown, recv, send, sendmsg, setsockopt, shutdown};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Ip(SocketAddr),
    Unix,
}

impl Peer {
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }

    /// As the logs show it: the IP address, or nothing for a unix socket.
    pub fn address(&self) -> String {
        self.ip().map(|ip| ip.to_string()).unwrap_or_default()
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel took so many bytes, perhaps fewer than offered.
    Bytes(usize),
    /// It takes none now.
    Full,
}

/// A connected socket.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
}

impl Stream {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// For whoever reads and writes it in another way.
    pub fn into_fd(self) -> OwnedFd {
        self.socket
    }

    /// Reads what is there: `None` when nothing is, `Some(0)` at the end.
    pub fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(self.fd(), into, MsgFlags::MSG_DONTWAIT) {
                Ok(count) => return Ok(Some(count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `more`: further bytes follow at once, so a partial segment may wait for them (MSG_MORE).
    pub fn write(&self, bytes: &[u8], more: bool) -> io::Result<Sent> {
        taken(|| send(self.fd(), bytes, flags(more)))
    }

    /// Has the kernel send what it holds back. Turning off what is off already does that (tcp(7), TCP_NODELAY).
    pub(super) fn push(&self) {
        // A unix socket holds nothing back.
        let _ = setsockopt(&self.socket, TcpNoDelay, &true);
    }

    /// Writes several pieces in one call.
    pub fn write_vectored(&self, pieces: &[&[u8]], more: bool) -> io::Result<Sent> {
        write_pieces(self.socket.as_fd(), pieces, flags(more))
    }

    /// Sends up to `count` bytes of `file` from `offset`, without passing them through this process. `Bytes(0)` means that
    /// the file ended.
    #[cfg(target_os = "linux")]
    pub fn send_file(&self, file: BorrowedFd<'_>, offset: u64, count: u64) -> io::Result<Sent> {
        let mut offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        // The kernel's own limit of one call.
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(0x7fff_f000);
        taken(|| nix::sys::sendfile::sendfile64(&self.socket, file, Some(&mut offset), count))
    }

    /// Bytes that were written and that the peer has not taken.
    pub fn unsent(&self) -> usize {
        crate::sys::send_queue::unsent(&self.socket)
    }

    /// Sending files cannot be told not to block but by the socket's own mode.
    pub fn stop_blocking(&self) {
        // It fails for no socket that is open.
        let _ = fcntl(&self.socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    }

    /// Tells the peer that nothing more will come, while reading goes on.
    pub fn finish_writing(&self) {
        // A peer that is gone already needs no telling.
        let _ = shutdown(self.fd(), Shutdown::Write);
    }

    /// Ends the connection both ways, whoever else holds a descriptor of it.
    pub fn hang_up(&self) {
        let _ = shutdown(self.fd(), Shutdown::Both);
    }

    /// Waits until there is something to read. False when `limit` passed first; `Interrupted` when a signal came, whose
    /// handlers the caller must let run.
    pub fn block_until_readable(&self, limit: Option<Duration>) -> io::Result<bool> {
        self.block_until(PollFlags::POLLIN, limit)
    }

    /// Waits until there is room to write. False when `limit` passed first; `Interrupted` when a signal came, whose
    /// handlers the caller must let run.
    pub fn block_until_writable(&self, limit: Option<Duration>) -> io::Result<bool> {
        self.block_until(PollFlags::POLLOUT, limit)
    }

    fn block_until(&self, what: PollFlags, limit: Option<Duration>) -> io::Result<bool> {
        let timeout =
            limit.map_or(PollTimeout::NONE, |limit| PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(self.socket.as_fd(), what)], timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Writes to a socket that somebody else owns and that does not block.
pub fn offer(socket: BorrowedFd<'_>, pieces: &[&[u8]]) -> io::Result<Sent> {
    match pieces {
        [piece] => taken(|| send(socket.as_raw_fd(), piece, flags(false))),
        _ => write_pieces(socket, pieces, flags(false)),
    }
}

fn write_pieces(socket: BorrowedFd<'_>, pieces: &[&[u8]], flags: MsgFlags) -> io::Result<Sent> {
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let none: [ControlMessage<'_>; 0] = [];
    taken(|| sendmsg::<()>(socket.as_raw_fd(), &slices, &none, flags, None))
}

fn flags(more: bool) -> MsgFlags {
    let quiet = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    #[cfg(target_os = "linux")]
    if more {
        return quiet | MsgFlags::from_bits_retain(nix::libc::MSG_MORE);
    }
    let _ = more;
    quiet
}

fn taken(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<Sent> {
    loop {
        match call() {
            Ok(count) => return Ok(Sent::Bytes(count)),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(Sent::Full),
            Err(error) => return Err(error.into()),
        }
    }
}
