//! How much of what a socket was given its peer has not taken yet.
//!
//! A socket's buffer takes megabytes at once and then nothing for as long as they are on their way: only this tells a
//! slow client from one that does not read.

use std::os::fd::{AsFd, AsRawFd};

/// Bytes in the queue, as the kernel counts them. Zero where it does not tell.
pub fn unsent(socket: &impl AsFd) -> usize {
    let mut bytes: nix::libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and TIOCOUTQ writes one int to where it is told.
    let outcome =
        unsafe { nix::libc::ioctl(socket.as_fd().as_raw_fd(), nix::libc::TIOCOUTQ, &raw mut bytes) };
    if outcome == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn it_shrinks_as_the_peer_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        assert_eq!(unsent(&sender), 0);
        sender.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(count) = sender.write(&[0; 65536]) {
            sent += count;
        }
        assert!(unsent(&sender) > 0 && unsent(&sender) <= sent);
        receiver.read_exact(&mut vec![0; sent]).unwrap();
        assert_eq!(unsent(&sender), 0);
        assert_eq!(unsent(&std::fs::File::open("/dev/null").unwrap()), 0);
    }
}
