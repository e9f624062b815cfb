//! Address lists: which peers are believed (`forwarded_allow_ips` and its like).
//! Entries are addresses or strict networks, as Python's `ipaddress` reads them, or `*`. A peer without an address
//! (unix socket) is always trusted: reaching the socket took file permissions.

use std::fmt;
use std::net::IpAddr;

/// The peers a list of addresses trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    all: bool,
    networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

/// One entry of an address list is not an address, a strict network or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    Invalid(String),
    HostBits(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(entry) => {
                write!(f, "'{entry}' does not appear to be an IPv4 or IPv6 network")
            }
            Self::HostBits(entry) => write!(f, "{entry} has host bits set"),
        }
    }
}

impl std::error::Error for AddressError {}

impl TrustedPeers {
    /// Reads a comma-separated list. Empty entries are skipped.
    pub fn parse(list: &str) -> Result<Self, AddressError> {
        Self::from_entries(list.split(','))
    }

    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, AddressError> {
        let mut trusted = Self::default();
        for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                trusted.all = true;
            } else {
                trusted.networks.push(Network::parse(entry)?);
            }
        }
        Ok(trusted)
    }

    /// The loopback addresses: gunicorn's default.
    pub fn loopback() -> Self {
        let network = |address: IpAddr| Network { address, prefix: width(address) };
        let v4 = IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
        Self { all: false, networks: vec![network(v4), network(v6)] }
    }

    /// `None` is a peer without an address. A v4 address mapped into v6 (dual-stack listeners) counts as the v4 one.
    pub fn contains(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else { return true };
        self.all || self.lists(peer)
    }

    /// Whether the address is one of those listed; `*` lists none.
    pub(crate) fn lists(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.holds(peer.to_canonical()))
    }
}

impl Network {
    fn parse(entry: &str) -> Result<Self, AddressError> {
        let invalid = || AddressError::Invalid(entry.to_owned());
        let (address, mask) = match entry.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (entry, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let prefix = match mask {
            Some(mask) => prefix_length(mask, address).ok_or_else(invalid)?,
            None => width(address),
        };
        let network = Self { address, prefix };
        if bits(address) & !network.mask() == 0 {
            Ok(network)
        } else {
            Err(AddressError::HostBits(entry.to_owned()))
        }
    }

    /// Both families are kept in the upper bits of a u128, so one mask serves both.
    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(self.prefix))).unwrap_or(0)
    }

    fn holds(self, peer: IpAddr) -> bool {
        peer.is_ipv4() == self.address.is_ipv4() && bits(peer) & self.mask() == bits(self.address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// `/24`, or `/255.255.255.0` for v4.
fn prefix_length(mask: &str, address: IpAddr) -> Option<u8> {
    if mask.bytes().all(|byte| byte.is_ascii_digit()) {
        return mask.parse().ok().filter(|prefix| *prefix <= width(address));
    }
    let netmask = mask.parse::<std::net::Ipv4Addr>().ok().filter(|_| address.is_ipv4())?.to_bits();
    let ones = netmask.leading_ones();
    (netmask.count_ones() == ones).then_some(u8::try_from(ones).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{AddressError, TrustedPeers};

    fn trusts(list: &str, peer: &str) -> bool {
        TrustedPeers::parse(list).unwrap().contains(Some(peer.parse().unwrap()))
    }

    #[test]
    fn addresses_and_networks() {
        assert!(trusts("127.0.0.1,::1", "127.0.0.1"));
        assert!(trusts("127.0.0.1,::1", "::1"));
        assert!(trusts("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(!trusts("127.0.0.1,::1", "127.0.0.2"));
        assert!(trusts(" 10.0.0.0/8 ", "10.200.3.4"));
        assert!(!trusts("10.0.0.0/8", "11.0.0.0"));
        assert!(trusts("10.0.0.0/255.0.0.0", "10.1.1.1"));
        assert!(trusts("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(trusts("0.0.0.0/0", "8.8.8.8") && !trusts("0.0.0.0/0", "::1"));
        assert!(trusts("*", "8.8.8.8") && !trusts("", "8.8.8.8"));
        assert!(TrustedPeers::parse("").unwrap().contains(None));
    }

    #[test]
    fn host_bits_and_rubbish_are_refused() {
        assert_eq!(TrustedPeers::parse("10.0.0.1/8"), Err(AddressError::HostBits("10.0.0.1/8".into())));
        for bad in [
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "::/129",
            "1.2.3",
            "10.0.0.0/255.0.255.0",
            "10.0.0.0/+8",
        ] {
            assert_eq!(TrustedPeers::parse(bad), Err(AddressError::Invalid(bad.into())), "{bad}");
        }
    }
}
