//! Keeping new TCP connections off a listening socket while those it has already are accepted.
//!
//! Closing a listening socket resets the connections in its queue, and one may arrive between the last accept and the
//! close. A filter that drops SYN segments lets handshakes under way finish and no new one begin, so that the queue runs
//! dry for good. A client that tries meanwhile sends its SYN again a second later and meets a closed port, or a successor.

use std::io;
use std::os::fd::BorrowedFd;

/// setsockopt(2).
///
/// # Safety
/// `value` is what the kernel takes for this option, and what it points to is alive.
#[cfg(target_os = "linux")]
unsafe fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is alive for the call, which copies it; the length is its own. The rest is the caller's word.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *value).cast(), length) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets a connection wait in the kernel until the client has sent something, for about a second: when it is accepted its
/// request is there, and nothing has to be waited for.
///
/// Fails as setsockopt(2) does; unsupported off Linux.
#[cfg(target_os = "linux")]
pub fn defer(socket: BorrowedFd<'_>) -> io::Result<()> {
    // Seconds, which the kernel makes retransmissions of.
    let limit: libc::c_int = 1;
    // SAFETY: the option takes an int.
    unsafe { set(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &limit) }
}

#[cfg(not(target_os = "linux"))]
pub fn defer(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Refuses new handshakes on a listening TCP socket, for all processes that share it and for ever.
///
/// Fails as setsockopt(2) does; unsupported off Linux.
#[cfg(target_os = "linux")]
pub fn refuse(socket: BorrowedFd<'_>) -> io::Result<()> {
    /// The byte of the TCP header (RFC 9293 section 3.1) that holds the flags, and two of them.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;

    const fn step(code: u32, jump_false: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt: 0, jf: jump_false, k }
    }
    // For a TCP socket a classic filter sees the segment from its TCP header on.
    let mut program = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, FLAGS),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, SYN | ACK),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, SYN),
        step(libc::BPF_RET | libc::BPF_K, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the option takes a program by its address and length, and copies it; `program` outlives the call.
    unsafe { set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter) }
}

#[cfg(not(target_os = "linux"))]
pub fn refuse(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    #[test]
    fn queued_connections_live_and_new_ones_do_not_come() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = TcpStream::connect(address).unwrap();
        refuse(listener.as_fd()).unwrap();
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        queued.write_all(b"x").unwrap();
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }
}
