//! Whether the peer of a socket has closed, without reading: while nothing is read, nobody else says so.

use std::os::fd::{AsFd, AsRawFd};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Here,
    /// It sends nothing more. What it has sent may still be unread, and it may still be reading.
    Finished,
    /// Nothing can be sent to it either.
    Gone,
}

/// The peer has closed its half. Where it cannot be asked for, only the end of the whole connection shows.
#[cfg(target_os = "linux")]
const FINISHED: libc::c_short = libc::POLLRDHUP;
#[cfg(not(target_os = "linux"))]
const FINISHED: libc::c_short = 0;

/// nix does not know POLLRDHUP.
pub fn presence(socket: &impl AsFd) -> Presence {
    let mut watched = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events: FINISHED, revents: 0 };
    // SAFETY: poll gets one element, as it is told, which outlives the call; with no time to wait it returns at once.
    let found = unsafe { libc::poll(&raw mut watched, 1, 0) };
    if found != 1 {
        return Presence::Here;
    }
    if watched.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0 {
        return Presence::Gone;
    }
    if watched.revents & FINISHED == 0 { Presence::Here } else { Presence::Finished }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_peer_that_has_closed_shows_before_what_it_sent_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"unread").unwrap();
        assert_eq!(presence(&server), Presence::Here);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(presence(&server), Presence::Finished);
        server.read_exact(&mut [0; 6]).unwrap();
        assert_eq!(presence(&server), Presence::Finished);
    }

    #[test]
    fn a_connection_that_was_reset_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"unread by the client").unwrap();
        // It has come, so that closing resets the connection.
        client.read_exact(&mut [0]).unwrap();
        drop(client);
        assert_eq!(presence(&server), Presence::Gone);
        let (client, server) = UnixStream::pair().unwrap();
        assert_eq!(presence(&server), Presence::Here);
        drop(client);
        assert_eq!(presence(&server), Presence::Gone);
    }
}
