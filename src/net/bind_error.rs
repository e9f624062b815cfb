//! Why an address cannot be listened on, for the person who chose it.
//!
//! Owns the words, gunicorn's at their beginning, and what there is to add: who has the address, or what to do. Read
//! next: `listener.rs`.

use std::fmt;
use std::io;
use std::net::TcpListener;

use super::holder::{Holder, holder};
use super::listener::resolve;
use crate::config::Address;
use crate::sys::reason::reason;

/// Ports looked at to find a free one.
const TRIED: usize = 20;

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: Address,
    reason: io::Error,
    /// Who has the address, where it is in use and that can be told.
    holder: Option<Holder>,
}

impl BindError {
    pub(super) fn new(address: &Address, reason: io::Error) -> Self {
        let holder = match address {
            Address::Tcp { host, port } | Address::Tcp6 { host, port } => resolve(host, *port)
                .ok()
                .filter(|_| reason.kind() == io::ErrorKind::AddrInUse)
                .and_then(holder),
            _ => None,
        };
        Self { address: address.clone(), reason, holder }
    }

    /// The address as gunicorn's messages show it.
    fn place(&self) -> String {
        match &self.address {
            Address::Tcp { host, port } | Address::Tcp6 { host, port } => format!("('{host}', {port})"),
            other => other.to_string(),
        }
    }

    /// What to try next, where that can be told.
    pub fn advice(&self) -> Option<String> {
        let (Address::Tcp { host, port } | Address::Tcp6 { host, port }) = &self.address else {
            return self.advice_on_file();
        };
        let with = |port: u16| match &self.address {
            Address::Tcp6 { .. } => format!("-b [{host}]:{port}"),
            _ => format!("-b {host}:{port}"),
        };
        match self.reason.kind() {
            io::ErrorKind::AddrInUse => {
                Some(format!("Stop what is there, or try another port: {}", with(free_port(host, *port)?)))
            }
            io::ErrorKind::PermissionDenied => {
                Some(format!("Try another port: {}", with(unprivileged(*port))))
            }
            io::ErrorKind::AddrNotAvailable => Some(
                "No interface here has it; 127.0.0.1 is this machine alone, 0.0.0.0 every interface.".into(),
            ),
            // A resolver's answer has no number.
            _ if self.reason.raw_os_error().is_none() => {
                Some("Check the spelling of the name, or give an address such as 127.0.0.1.".into())
            }
            _ => None,
        }
    }

    fn advice_on_file(&self) -> Option<String> {
        let Address::Unix(path) = &self.address else { return None };
        match self.reason.kind() {
            io::ErrorKind::NotFound => {
                Some(format!("Make the directory first: mkdir -p {}", path.parent()?.display()))
            }
            io::ErrorKind::AlreadyExists => {
                Some("Remove it if nobody needs it, or choose another path.".into())
            }
            _ => None,
        }
    }

    const fn is_tcp(&self) -> bool {
        matches!(self.address, Address::Tcp { .. } | Address::Tcp6 { .. })
    }

    pub fn in_use(&self) -> bool {
        self.reason.kind() == io::ErrorKind::AddrInUse
    }
}

/// The next port that is not in use.
fn free_port(host: &str, port: u16) -> Option<u16> {
    (port..u16::MAX).skip(1).take(TRIED).find(|port| TcpListener::bind((host, *port)).is_ok())
}

/// As customary for the service of a privileged one.
const fn unprivileged(port: u16) -> u16 {
    match port {
        80 => 8080,
        443 => 8443,
        _ => 8000,
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "Connection in use: {}", self.place())?;
                self.holder.as_ref().map_or(Ok(()), |holder| write!(f, ", held by {holder}"))
            }
            _ if matches!(self.address, Address::Fd(_) | Address::Named(_)) => {
                write!(f, "Cannot listen on {}: {}", self.place(), reason(&self.reason))
            }
            io::ErrorKind::PermissionDenied if self.is_tcp() => {
                write!(f, "Cannot listen on {}: low ports need root or CAP_NET_BIND_SERVICE", self.place())
            }
            io::ErrorKind::AddrNotAvailable => write!(f, "Invalid address: {}", self.place()),
            _ => write!(f, "connection to {} failed: {}", self.place(), reason(&self.reason)),
        }
    }
}
