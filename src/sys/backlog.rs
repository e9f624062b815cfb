//! How many connections wait on a listening TCP socket to be accepted.
//!
//! Owns one getsockopt(2). Read next: `arbiter/gauges.rs`.

use std::os::fd::BorrowedFd;

/// `None` for sockets that are not TCP, and off Linux.
#[cfg(target_os = "linux")]
pub fn waiting(socket: BorrowedFd<'_>) -> Option<u32> {
    use std::mem;
    use std::os::fd::AsRawFd;

    /// `tcpi_unacked` of `struct tcp_info`, in words of 32 bits: behind eight single bytes and four words.
    const UNACKED: usize = 6;
    let mut info = [0u32; UNACKED + 1];
    let mut length = mem::size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `info`, which is that long and outlives the call; any bytes are
    // valid integers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0 && length as usize == mem::size_of_val(&info)).then(|| info.last().copied())?
}

#[cfg(not(target_os = "linux"))]
pub fn waiting(_socket: BorrowedFd<'_>) -> Option<u32> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn what_waits_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(waiting(listener.as_fd()), Some(0));
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        assert_eq!(waiting(listener.as_fd()), Some(2));
        drop((listener.accept().unwrap(), listener.accept().unwrap(), clients));
        assert_eq!(waiting(listener.as_fd()), Some(0));
        assert_eq!(waiting(UnixDatagram::unbound().unwrap().as_fd()), None);
    }
}
