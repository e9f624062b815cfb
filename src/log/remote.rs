//! A socket to a server of somebody else's: syslog or statsd.
//!
//! Owns connecting, again after failures, and what a stream did not take at once. Must never block, and never log: whoever
//! sends tells what was lost. Datagrams go through one socket that all processes share, for each is whole by itself;
//! a stream is each process's own, for a process that is killed in the middle of a line would spoil everybody's.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect, recv,
    send, socket,
};

use crate::config::kind::{Endpoint, UnixKind};
use crate::sys::clock;

/// Between attempts to connect: twice as long after each that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);
/// What a stream that takes nothing makes wait, in bytes.
const MOST_WAITING: usize = 256 * 1024;

/// Something waits for a stream to take it.
static BEHIND: AtomicBool = AtomicBool::new(false);

/// Whether there is work for `Remote::catch_up`.
pub(super) fn is_behind() -> bool {
    BEHIND.load(Relaxed)
}

/// Before `Remote::catch_up`, which says so again if it does not get there.
pub(super) fn forget_behind() {
    BEHIND.store(false, Relaxed);
}

/// Messages that did not get through, and why the last one did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) messages: u64,
    pub(super) reason: Errno,
}

#[derive(Debug)]
pub(super) struct Remote {
    endpoint: Endpoint,
    /// What the host's name stood for when this was made.
    addresses: Vec<SocketAddr>,
    link: Mutex<Link>,
}

#[derive(Debug)]
struct Link {
    socket: Option<Socket>,
    /// Which of several addresses is tried first.
    turn: usize,
    /// Whole messages, the first of them perhaps begun.
    waiting: Vec<u8>,
    lost: u64,
    reason: Errno,
    retry_at: Duration,
    pause: Duration,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    stream: bool,
    /// It has taken something: a server was there.
    proven: bool,
}

impl Remote {
    /// Resolves the name, here and never again. Nothing gets through to one that does not resolve.
    pub(super) fn new(endpoint: &Endpoint) -> (Self, io::Result<()>) {
        let (addresses, resolved) = match endpoint {
            Endpoint::Udp(host, port) | Endpoint::Tcp(host, port) => {
                match (host.as_str(), *port).to_socket_addrs() {
                    Ok(addresses) => (addresses.collect(), Ok(())),
                    Err(error) => (Vec::new(), Err(error)),
                }
            }
            Endpoint::Unix(..) => (Vec::new(), Ok(())),
        };
        let link = Link {
            socket: None,
            turn: 0,
            waiting: Vec::new(),
            lost: 0,
            reason: Errno::EDESTADDRREQ,
            retry_at: Duration::ZERO,
            pause: Duration::ZERO,
        };
        (Self { endpoint: endpoint.clone(), addresses, link: Mutex::new(link) }, resolved)
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one message, or keeps it for a stream that will take it later.
    pub(super) fn send(&self, message: &[u8]) -> Result<(), Lost> {
        let mut link = self.link();
        if let Err(reason) = self.deliver(&mut link, message) {
            (link.lost, link.reason) = (link.lost + 1, reason);
        }
        link.outcome()
    }

    /// Gives a stream what waits for it.
    pub(super) fn catch_up(&self) -> Result<(), Lost> {
        let mut link = self.link();
        let stream = link.socket.as_ref().filter(|socket| socket.stream);
        let checked = stream.map_or(Ok(()), Socket::check);
        if let Err(reason) = checked.and_then(|()| link.flush()) {
            self.hang_up(&mut link, reason);
        }
        link.outcome()
    }

    /// In a forked worker: the parent's stream is the parent's, and so is what it lost.
    pub(super) fn after_fork(&self) {
        let mut link = self.link();
        link.lost = 0;
        if link.socket.take_if(|socket| socket.stream).is_some() {
            link.waiting.clear();
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, link: &mut Link, message: &[u8]) -> Result<(), Errno> {
        self.ensure_connected(link)?;
        match link.write(message) {
            Ok(()) => {
                link.pause = Duration::ZERO;
                Ok(())
            }
            Err(reason) if is_gone(reason) => {
                if matches!(self.endpoint, Endpoint::Udp(..)) {
                    // What was refused is a message of before, and perhaps by one of several addresses.
                    (link.lost, link.reason) = (link.lost + 1, reason);
                }
                let was_there = link.socket.as_ref().is_some_and(|socket| socket.proven);
                self.hang_up(link, reason);
                if !was_there {
                    return Err(reason);
                }
                // It may be back already: a restarted server has another socket at the same place.
                link.retry_at = Duration::ZERO;
                self.ensure_connected(link)?;
                link.write(message).inspect_err(|reason| self.hang_up(link, *reason))
            }
            Err(reason) => Err(reason),
        }
    }

    fn ensure_connected(&self, link: &mut Link) -> Result<(), Errno> {
        if link.socket.is_some() {
            return Ok(());
        }
        let now = clock::monotonic_coarse();
        if now < link.retry_at {
            return Err(link.reason);
        }
        match self.connect(link.turn) {
            Ok(socket) => {
                link.socket = Some(socket);
                Ok(())
            }
            Err(reason) => {
                link.back_off(reason);
                Err(reason)
            }
        }
    }

    fn connect(&self, turn: usize) -> Result<Socket, Errno> {
        let inet = |stream| {
            let count = self.addresses.len();
            let mut reason = Errno::EDESTADDRREQ;
            for address in self.addresses.iter().cycle().skip(turn % count.max(1)).take(count) {
                match open(&SockaddrStorage::from(*address), stream) {
                    Ok(socket) => return Ok(socket),
                    Err(error) => reason = error,
                }
            }
            Err(reason)
        };
        match &self.endpoint {
            Endpoint::Udp(..) => inet(false),
            Endpoint::Tcp(..) => inet(true),
            Endpoint::Unix(path, UnixKind::Datagram) => open_unix(path, false),
            Endpoint::Unix(path, UnixKind::Stream) => open_unix(path, true),
            Endpoint::Unix(path, UnixKind::Any) => match open_unix(path, false) {
                Err(Errno::EPROTOTYPE) => open_unix(path, true),
                other => other,
            },
        }
    }

    fn hang_up(&self, link: &mut Link, reason: Errno) {
        link.socket = None;
        link.turn = link.turn.wrapping_add(1);
        link.lost += memchr::memchr_iter(0, &link.waiting).count() as u64;
        link.waiting.clear();
        link.back_off(reason);
    }
}

impl Link {
    fn outcome(&mut self) -> Result<(), Lost> {
        if !self.waiting.is_empty() {
            BEHIND.store(true, Relaxed);
        }
        match std::mem::take(&mut self.lost) {
            0 => Ok(()),
            messages => Err(Lost { messages, reason: self.reason }),
        }
    }

    fn back_off(&mut self, reason: Errno) {
        self.reason = reason;
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.retry_at = clock::monotonic_coarse() + self.pause;
    }

    fn write(&mut self, message: &[u8]) -> Result<(), Errno> {
        let Some(socket) = &mut self.socket else { return Err(Errno::ENOTCONN) };
        if !socket.stream {
            return socket.send(message).map(drop);
        }
        socket.check()?;
        self.flush()?;
        if self.waiting.len() + message.len() > MOST_WAITING {
            return Err(Errno::EAGAIN);
        }
        let whole = self.waiting.is_empty();
        let sent = match &mut self.socket {
            Some(socket) if whole => socket.send_some(message)?,
            _ => 0,
        };
        self.waiting.extend_from_slice(message.get(sent..).unwrap_or_default());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Errno> {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.waiting.is_empty()) else { return Ok(()) };
        let sent = socket.send_some(&self.waiting)?;
        self.waiting.drain(..sent.min(self.waiting.len()));
        Ok(())
    }
}

impl Socket {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            match send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EINTR) => {}
                sent => {
                    self.proven |= sent.is_ok();
                    return sent;
                }
            }
        }
    }

    /// How many bytes a stream takes now; none while it is still connecting.
    fn send_some(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.send(bytes) {
            Err(Errno::EAGAIN) => Ok(0),
            other => other,
        }
    }

    /// A stream whose peer has closed takes one message more in silence; one that could not connect says why once.
    fn check(&self) -> Result<(), Errno> {
        match recv(self.fd.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK) {
            Ok(0) => Err(Errno::ECONNRESET),
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(reason) => Err(reason),
        }
    }
}

/// The connection, or the socket that it led to, is no more.
fn is_gone(reason: Errno) -> bool {
    use Errno::{
        ECONNABORTED, ECONNREFUSED, ECONNRESET, EDESTADDRREQ, EHOSTUNREACH, ENETUNREACH, ENOTCONN, EPIPE,
        ETIMEDOUT,
    };
    matches!(
        reason,
        ECONNABORTED
            | ECONNREFUSED
            | ECONNRESET
            | EDESTADDRREQ
            | EHOSTUNREACH
            | ENETUNREACH
            | ENOTCONN
            | EPIPE
            | ETIMEDOUT
    )
}

fn open_unix(path: &Path, stream: bool) -> Result<Socket, Errno> {
    open(&UnixAddr::new(path)?, stream)
}

fn open<A: SockaddrLike>(address: &A, stream: bool) -> Result<Socket, Errno> {
    let family = address.family().unwrap_or(AddressFamily::Inet);
    let kind = if stream { SockType::Stream } else { SockType::Datagram };
    let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    match connect(fd.as_raw_fd(), address) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(Socket { fd, stream, proven: false }),
        Err(reason) => Err(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rwsgi-remote-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn remote(endpoint: Endpoint) -> Remote {
        let (remote, resolved) = Remote::new(&endpoint);
        resolved.unwrap();
        remote
    }

    #[test]
    fn a_datagram_server_that_is_started_again_is_found_again() {
        let folder = Folder::new("dgram");
        let path = folder.0.join("log");
        let remote = remote(Endpoint::Unix(path.clone(), UnixKind::Any));
        assert_eq!(remote.send(b"lost"), Err(Lost { messages: 1, reason: Errno::ENOENT }));
        remote.link().retry_at = Duration::ZERO;
        for text in [b"one", b"two"] {
            let server = UnixDatagram::bind(&path).unwrap();
            remote.send(text).unwrap();
            let mut buffer = [0; 16];
            assert_eq!(server.recv(&mut buffer).unwrap(), 3);
            assert_eq!(&buffer[..3], text);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_refused_udp_message_is_counted_with_the_next() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let remote = remote(Endpoint::Udp("127.0.0.1".into(), server.local_addr().unwrap().port()));
        remote.send(b"taken").unwrap();
        drop(server);
        let lost = Lost { messages: 1, reason: Errno::ECONNREFUSED };
        remote.send(b"refused").unwrap();
        assert_eq!(remote.send(b"tells of it"), Err(lost));
    }

    #[test]
    fn a_stream_that_was_closed_is_connected_anew() {
        let folder = Folder::new("stream");
        let path = folder.0.join("log");
        let server = UnixListener::bind(&path).unwrap();
        let remote = remote(Endpoint::Unix(path, UnixKind::Any));
        for _ in 0..2 {
            remote.send(b"whole\0").unwrap();
            let mut buffer = [0; 16];
            assert_eq!(server.accept().unwrap().0.read(&mut buffer).unwrap(), 6);
        }
    }

    #[test]
    fn a_stream_that_takes_nothing_loses_whole_messages_only() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = remote(Endpoint::Tcp("127.0.0.1".into(), server.local_addr().unwrap().port()));
        let mut message = vec![b'x'; 60_000];
        message.push(0);
        let (mut sent, mut lost) = (0, 0);
        while lost < 3 {
            match remote.send(&message) {
                Ok(()) => sent += 1,
                Err(Lost { messages, reason }) => {
                    assert_eq!(reason, Errno::EAGAIN);
                    lost += messages;
                }
            }
        }
        assert!(is_behind());
        let (mut stream, _) = server.accept().unwrap();
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        while !remote.link().waiting.is_empty() {
            remote.catch_up().unwrap();
        }
        drop(remote);
        let all = reading.join().unwrap();
        assert_eq!(all.len(), sent * message.len());
        assert!(all.chunks(message.len()).all(|chunk| chunk == message));
    }

    #[test]
    fn a_stream_that_nobody_listens_for_is_left_alone_for_a_while() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let remote = remote(Endpoint::Tcp("127.0.0.1".into(), free.port()));
        let lost: u64 = (0..10).filter_map(|_| remote.send(b"x\0").err()).map(|lost| lost.messages).sum();
        assert_eq!(lost, 10);
        let link = remote.link();
        assert_eq!((link.reason, link.pause), (Errno::ECONNREFUSED, FIRST_PAUSE));
    }

    #[test]
    fn a_child_has_a_stream_of_its_own_and_shares_datagrams() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = remote(Endpoint::Tcp("127.0.0.1".into(), server.local_addr().unwrap().port()));
        stream.send(b"x\0").unwrap();
        stream.after_fork();
        assert!(stream.link().socket.is_none());
        let udp = remote(Endpoint::Udp("127.0.0.1".into(), 9));
        let _ = udp.send(b"x");
        udp.after_fork();
        assert!(udp.link().socket.is_some());
    }

    #[test]
    fn a_name_that_does_not_resolve_is_told() {
        let (remote, resolved) = Remote::new(&Endpoint::Udp("no.such.host.invalid".into(), 514));
        assert!(resolved.is_err());
        assert!(remote.send(b"x").is_err());
    }
}
