//! Why an address cannot be listened on, for the person who chose it.
//!
//! Owns the words, gunicorn's at their beginning, and what there is to add: who has the address, or what to do. Read
//! next: `listener.rs`.

use std::fmt;
use std::io;

use super::holder::{Holder, holder};
use super::listener::resolve;
use crate::config::Address;

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

    const fn is_tcp(&self) -> bool {
        matches!(self.address, Address::Tcp { .. } | Address::Tcp6 { .. })
    }

    pub fn in_use(&self) -> bool {
        self.reason.kind() == io::ErrorKind::AddrInUse
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
                write!(f, "Cannot listen on {}: {}", self.place(), self.reason)
            }
            io::ErrorKind::PermissionDenied if self.is_tcp() => {
                write!(f, "Cannot listen on {}: low ports need root or CAP_NET_BIND_SERVICE", self.place())
            }
            io::ErrorKind::AddrNotAvailable => write!(f, "Invalid address: {}", self.place()),
            _ => write!(f, "connection to {} failed: {}", self.place(), self.reason),
        }
    }
}
