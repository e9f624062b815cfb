//! Who listens on a TCP port that is taken, as far as /proc tells: for the line that says so, and nothing else.
//!
//! Owns the search: proc_net(5) for the socket's inode, proc_pid_fd(5) for the process that has it open. Every step may
//! fail (another user's process, another network namespace, no /proc); then there is less to say, never an error.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use nix::unistd::{Uid, User};

use crate::sys::stat::Stat;

/// TCP_LISTEN in the column `st`.
const LISTENING: &str = "0A";

/// What could be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Process {
        name: String,
        pid: i32,
    },
    /// Somebody else's process, whose descriptors we may not look at.
    User(u32),
}

/// `nginx (pid 812)`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { name, pid } => write!(f, "{name} (pid {pid})"),
            Self::User(uid) => match User::from_uid(Uid::from_raw(*uid)) {
                Ok(Some(user)) => write!(f, "a process of user {}", user.name),
                _ => write!(f, "a process of user {uid}"),
            },
        }
    }
}

/// Who keeps `address` from being bound.
pub(super) fn holder(address: SocketAddr) -> Option<Holder> {
    let socket = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening(&table, address))?;
    owner(socket.inode).or(Some(Holder::User(socket.uid)))
}

#[derive(Debug, PartialEq, Eq)]
struct Socket {
    uid: u32,
    inode: u64,
}

fn listening(table: &str, wanted: SocketAddr) -> Option<Socket> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let local = local_address(fields.get(1)?)?;
        let ours = *fields.get(3)? == LISTENING && conflicts(local, wanted);
        let (uid, inode) = (fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?);
        ours.then_some(Socket { uid, inode })
    })
}

fn conflicts(one: SocketAddr, other: SocketAddr) -> bool {
    let canonical = |address: SocketAddr| address.ip().to_canonical();
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (any || canonical(one) == canonical(other))
}

/// `0100007F:1F90`: 32-bit words in the machine's byte order, then the port as a number.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = (0..address.len() / 8)
        .map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

/// Of the processes that have the socket open, the one whose parent has not: a server, not its workers.
fn owner(inode: u64) -> Option<Holder> {
    let pids: Vec<i32> = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| has_open(*pid, inode))
        .collect();
    let pid = pids.iter().find(|pid| parent(**pid).is_none_or(|parent| !pids.contains(&parent)))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    // A process names itself: no control character of its choice reaches the terminal.
    let name = name.trim_end().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    Some(Holder::Process { name, pid: *pid })
}

fn has_open(pid: i32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target == Path::new(&wanted))
}

fn parent(pid: i32) -> Option<i32> {
    Stat::of(pid)?.field(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_process_that_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wildcard = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        for address in [address, wildcard] {
            let found = holder(address).unwrap();
            let pid = std::process::id().cast_signed();
            assert!(matches!(&found, Holder::Process { pid: held, .. } if *held == pid), "{found}");
        }
        drop(listener);
        assert_eq!(holder(address), None);
    }

    #[test]
    fn addresses_are_read_in_the_machines_byte_order() {
        let v4 = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(local_address(&format!("{v4:08X}:1F90")), "127.0.0.1:8080".parse().ok());
        let v6 = u32::from_ne_bytes([0, 0, 0, 1]);
        assert_eq!(local_address(&format!("{}{v6:08X}:0050", "0".repeat(24))), "[::1]:80".parse().ok());
        for bad in ["", ":", "xx:50", "00:50", "0100007F", "é100007F:50", "0100007F0100007F:50"] {
            assert_eq!(local_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_socket_of_another_address_or_state_is_none_of_ours() {
        let line = |address: &str, state: &str| {
            format!("head\n 0: {address}:1F90 00000000:0000 {state} 0:0 00:0 0 33 0 4711 1\n")
        };
        let wanted = "127.0.0.1:8080".parse().unwrap();
        let ours = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        assert_eq!(listening(&line(&ours, "0A"), wanted), Some(Socket { uid: 33, inode: 4711 }));
        assert_eq!(listening(&line("00000000", "0A"), wanted), Some(Socket { uid: 33, inode: 4711 }));
        assert_eq!(listening(&line(&ours, "01"), wanted), None);
        assert_eq!(listening(&line("01010101", "0A"), wanted), None);
        assert_eq!(listening("head\nshort line\n", wanted), None);
    }
}
