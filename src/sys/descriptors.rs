//! File descriptors by number: borrowing, taking over, replacing what is behind one, and accepting.

use std::fs::OpenOptions;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Borrows descriptor `fd` for as long as `owner` is borrowed: for numbers that `owner` keeps open, and for the standard
/// streams, which are never closed. A number that is not open after all fails each call with EBADF.
pub fn borrow<T: ?Sized>(_owner: &T, fd: RawFd) -> BorrowedFd<'_> {
    // SAFETY: only -1 is an invalid value for the type; the rest is the caller's word, and a wrong word costs an error
    // from the kernel, not memory safety.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Takes over a descriptor this process was given by number. `None` if it is not open.
pub fn adopt(fd: RawFd) -> Option<OwnedFd> {
    if fd < 0 {
        return None;
    }
    // SAFETY: fcntl with F_GETFD only looks. The number came from the user, who hands it to us for good.
    unsafe { (libc::fcntl(fd, libc::F_GETFD) != -1).then(|| OwnedFd::from_raw_fd(fd)) }
}

/// Whether a program that is executed in this one's place has the descriptor too.
pub fn keep_on_exec(fd: &impl AsFd, keep: bool) -> io::Result<()> {
    let flags = if keep { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    Ok(fcntl(fd, FcntlArg::F_SETFD(flags)).map(drop)?)
}

/// Puts the open file behind `file` behind `number`, open also on exec: a standard stream.
pub fn put_at(file: &impl AsFd, number: RawFd) -> io::Result<()> {
    // SAFETY: dup2 closes what was behind `number` and opens it again in one step, so whoever owns that number owns an
    // open descriptor before and after.
    match unsafe { libc::dup2(file.as_fd().as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Puts the open file behind `fresh` behind `target`'s number, closed on exec.
pub fn replace(target: &OwnedFd, fresh: &impl AsFd) -> io::Result<()> {
    put_at(fresh, target.as_raw_fd())?;
    // A failure would leave it open in programs the application starts.
    let _ = keep_on_exec(target, false);
    Ok(())
}

/// Puts /dev/null where a standard stream is closed: a socket or a log that got its number would receive what others
/// print.
pub fn open_standard_streams() {
    loop {
        // SAFETY: the path is a C string. open(2) takes the lowest number that is free, so holes are filled in order;
        // not closed on exec, as programs expect of these numbers.
        let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        if fd > libc::STDERR_FILENO {
            // SAFETY: opened just now, and known to nobody else.
            unsafe { libc::close(fd) };
            return;
        }
        if fd == -1 {
            return;
        }
    }
}

/// Puts /dev/null behind `stream`, for programs it starts as well.
pub fn silence(stream: &(impl AsFd + ?Sized)) -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    put_at(&null, stream.as_fd().as_raw_fd())
}

/// Accepts one connection, non-blocking and closed on exec, with the peer's address (`None` for unix sockets). A
/// failing accept fails as accept4(2) does.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    // SAFETY: `storage` is plain data, large enough for every address family, and `length` says how large; both outlive
    // the call. A non-negative result is a new descriptor that nobody else owns.
    unsafe {
        let mut storage: libc::sockaddr_storage = mem::zeroed();
        let mut length = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let fd = libc::accept4(listener.as_raw_fd(), (&raw mut storage).cast(), &raw mut length, flags);
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(fd), peer(&storage)))
    }
}

fn peer(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is large and aligned enough, holds this type.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(address.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(address.sin6_port)))
        }
        _ => None,
    }
}
