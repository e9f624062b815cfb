//! Listening sockets: TCP, unix (by path or abstract) and descriptors the process was started with.
//!
//! Owns the socket and, for a unix path, the file. Must never remove a file that is not a socket, nor unlink on drop:
//! every forked worker drops its copy, and only the master knows when the last one serves no more.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind, getsockname,
    getsockopt, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};

use super::bind_error::BindError;
use super::stream::{Peer, Stream};
use crate::config::{Address, Settings};
use crate::sys::identity::Identity;
use crate::sys::{backlog, descriptors, handshakes};

/// What a listening socket needs to know besides its address.
#[derive(Clone, Copy, Debug)]
pub struct BindOptions {
    /// Connections the kernel holds for us before it refuses more.
    pub backlog: usize,
    /// SO_REUSEPORT: other sockets, of other processes too, may listen on the same address.
    pub reuse_port: bool,
    /// Permissions taken from the file of a unix socket.
    pub umask: u32,
}

impl BindOptions {
    /// How `settings` want sockets opened.
    pub const fn of(settings: &Settings) -> Self {
        Self {
            backlog: settings.socket.backlog,
            reuse_port: settings.mechanics.reuse_port,
            umask: settings.mechanics.umask,
        }
    }
}

/// Where a listener listens, as the environ tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    Tcp(SocketAddr),
    /// The path, or `@name` in the abstract namespace.
    Unix(String),
}

/// A listening socket, non-blocking and closed on exec.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    address: Address,
    local: Local,
    /// The host as it was configured: SERVER_NAME.
    host: Option<String>,
    file: Option<PathBuf>,
}

impl Listener {
    /// Opens a socket on `address` and listens.
    pub fn bind(address: &Address, options: &BindOptions) -> Result<Self, BindError> {
        Self::open(address, options).map_err(|reason| BindError::new(address, reason))
    }

    /// Opens a socket on a TCP address, which takes no connection until `listen`.
    pub fn reserve(address: &Address, options: &BindOptions) -> Result<Self, BindError> {
        Self::open_tcp(address, options).map_err(|reason| BindError::new(address, reason))
    }

    fn open_tcp(address: &Address, options: &BindOptions) -> io::Result<Self> {
        let (Address::Tcp { host, port } | Address::Tcp6 { host, port }) = address else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let socket = tcp(host, *port, options)?;
        let local = local(&socket)?;
        Ok(Self { socket, address: address.clone(), local, host: Some(host.clone()), file: None })
    }

    pub fn listen(&self, options: &BindOptions) -> io::Result<()> {
        start(&self.socket, options)
    }

    /// A listening socket that another program opened for `address`. Fails if `fd` is none.
    pub fn adopt(fd: RawFd, address: &Address) -> io::Result<Self> {
        let socket = inherited(fd)?;
        let local = local(&socket)?;
        let (host, file) = match address {
            Address::Tcp { host, .. } | Address::Tcp6 { host, .. } => (Some(host.clone()), None),
            Address::Unix(path) => (None, Some(std::path::absolute(path)?)),
            Address::Abstract(_) | Address::Fd(_) | Address::Named(_) => (None, None),
        };
        Ok(Self { socket, address: address.clone(), local, host, file })
    }

    fn open(address: &Address, options: &BindOptions) -> io::Result<Self> {
        let (socket, file) = match address {
            Address::Tcp { .. } | Address::Tcp6 { .. } => {
                let listener = Self::open_tcp(address, options)?;
                listener.listen(options)?;
                return Ok(listener);
            }
            Address::Unix(path) => (unix_path(path, options)?, Some(std::path::absolute(path)?)),
            Address::Abstract(name) => (unix(&UnixAddr::new_abstract(name)?, options)?, None),
            Address::Fd(number) => (inherited(*number)?, None),
            Address::Named(_) => return Err(io::Error::other("no socket of that name was passed")),
        };
        let local = local(&socket)?;
        Ok(Self { socket, address: address.clone(), local, host: None, file })
    }

    /// The address with the port the kernel chose: what a second socket under SO_REUSEPORT binds to.
    pub fn bound_address(&self) -> Address {
        match (&self.address, &self.local) {
            (Address::Tcp { host, .. }, Local::Tcp(local)) => {
                Address::Tcp { host: host.clone(), port: local.port() }
            }
            (Address::Tcp6 { host, .. }, Local::Tcp(local)) => {
                Address::Tcp6 { host: host.clone(), port: local.port() }
            }
            _ => self.address.clone(),
        }
    }

    /// True for a socket that the server was started with.
    pub const fn is_passed(&self) -> bool {
        matches!(self.address, Address::Fd(_) | Address::Named(_))
    }

    /// True for TCP addresses that this server opened: those that SO_REUSEPORT can share.
    pub const fn is_tcp(&self) -> bool {
        matches!(self.address, Address::Tcp { .. } | Address::Tcp6 { .. })
    }

    /// Accepts one connection. `WouldBlock` when none waits.
    pub fn accept(&self) -> io::Result<(Stream, Peer)> {
        let (socket, peer) = descriptors::accept(self.socket.as_fd())?;
        Ok((Stream::new(socket), peer.map_or(Peer::Unix, Peer::Ip)))
    }

    /// Whether a connection waits to be accepted.
    pub fn has_waiting(&self) -> bool {
        let mut watched = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// How many connections wait to be accepted, where the kernel tells.
    pub fn backlog(&self) -> Option<u32> {
        backlog::waiting(self.as_fd())
    }

    pub const fn local(&self) -> &Local {
        &self.local
    }

    /// The host part as it was configured, or as bound for an inherited socket; `None` for unix sockets.
    pub fn server_name(&self) -> Option<String> {
        match &self.local {
            Local::Tcp(local) => Some(self.host.clone().unwrap_or_else(|| local.ip().to_string())),
            Local::Unix(_) => None,
        }
    }

    /// The address for the log, with the port the kernel chose.
    pub fn url(&self) -> String {
        match (&self.local, &self.host) {
            (Local::Tcp(local), Some(host)) if host.contains(':') => {
                format!("http://[{host}]:{}", local.port())
            }
            (Local::Tcp(local), Some(host)) => format!("http://{host}:{}", local.port()),
            (Local::Tcp(local), None) => format!("http://{local}"),
            (Local::Unix(name), _) => format!("unix:{name}"),
        }
    }

    /// The address as configured: how a reload tells whether it changed.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Lets no new connection into the queue, so that it can be emptied for good. A unix socket needs no such thing: its
    /// file is removed first. One that was passed to this program lives on with whoever passed it, and so must its
    /// handshakes.
    pub fn refuse_connections(&self) -> io::Result<()> {
        if self.is_tcp() { handshakes::refuse(self.as_fd()) } else { Ok(()) }
    }

    /// Gives the file of a unix socket to `owner`.
    pub fn give_to(&self, owner: &Identity) -> Result<(), BindError> {
        let given = self.file.as_deref().map_or(Ok(()), |path| owner.own_path(path));
        given.map_err(|reason| BindError::new(&self.address, reason))
    }

    /// Removes the file of a unix socket. For the master, when the last listener of this path is going.
    pub fn unlink(&self) {
        if let Some(path) = &self.file {
            let _ = fs::remove_file(path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn tcp(host: &str, port: u16, options: &BindOptions) -> io::Result<OwnedFd> {
    let address = resolve(host, port)?;
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = stream_socket(family)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if options.reuse_port {
        setsockopt(&socket, sockopt::ReusePort, &true)?;
    }
    // Accepted sockets inherit it, which saves a system call a connection.
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    // Where that cannot be had, accepted sockets are waited for.
    let _ = handshakes::defer(socket.as_fd());
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket)
}

/// A host name means its first IPv4 address, if it has one.
pub(super) fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let first_v4 = addresses.iter().find(|address| address.is_ipv4());
    first_v4.or(addresses.first()).copied().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn unix_path(path: &Path, options: &BindOptions) -> io::Result<OwnedFd> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is not a socket"));
        }
        Err(_) => {}
    }
    let before = umask(Mode::from_bits_truncate(options.umask));
    let socket = unix(&UnixAddr::new(path)?, options);
    umask(before);
    socket
}

fn unix(address: &UnixAddr, options: &BindOptions) -> io::Result<OwnedFd> {
    let socket = stream_socket(AddressFamily::Unix)?;
    bind(socket.as_raw_fd(), address)?;
    start(&socket, options)?;
    Ok(socket)
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?)
}

fn start(socket: &OwnedFd, options: &BindOptions) -> io::Result<()> {
    // The kernel cuts it to net.core.somaxconn.
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    Ok(listen(socket, Backlog::new(backlog).unwrap_or(Backlog::MAXCONN))?)
}

fn inherited(number: i32) -> io::Result<OwnedFd> {
    let refused = |reason: &str| io::Error::other(format!("descriptor {number} is {reason}"));
    let not_open = || refused("not open: it must be passed by the process that starts the server");
    // Looked at before it is taken over: what is refused may be the terminal.
    let socket = descriptors::borrow(&number, number);
    match (getsockopt(&socket, sockopt::AcceptConn), getsockopt(&socket, sockopt::SockType)) {
        (Ok(true), Ok(SockType::Stream)) => {}
        (Err(Errno::EBADF), _) => return Err(not_open()),
        (Err(_), _) => return Err(refused("not a socket")),
        _ => return Err(refused("not a listening stream socket")),
    }
    let socket = descriptors::adopt(number).ok_or_else(not_open)?;
    // Both flags were the parent's choice; ours are what the loop and exec need.
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    descriptors::keep_on_exec(&socket, false)?;
    Ok(socket)
}

fn local(socket: &OwnedFd) -> io::Result<Local> {
    let name: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    if let Some(v4) = name.as_sockaddr_in() {
        return Ok(Local::Tcp(SocketAddr::V4((*v4).into())));
    }
    if let Some(v6) = name.as_sockaddr_in6() {
        return Ok(Local::Tcp(SocketAddr::V6((*v6).into())));
    }
    if let Some(unix) = name.as_unix_addr() {
        let path = unix.path().map(|path| path.display().to_string());
        let name = || unix.as_abstract().map(|name| format!("@{}", String::from_utf8_lossy(name)));
        return Ok(Local::Unix(path.or_else(name).unwrap_or_default()));
    }
    Err(io::Error::other(format!("not a TCP or unix socket (family {:?})", name.family())))
}
