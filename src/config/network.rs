//! Checks an IP address or a CIDR network as text.
//!
//! A network with host bits set is refused, as in Python's `ipaddress`: whoever trusts `10.0.0.1/8` either
//! meant one host or a whole network, and guessing would be a hole. Read next: `kind/list.rs`, `Networks`.

use std::net::IpAddr;

pub(super) fn check(text: &str) -> Result<(), String> {
    let not_one = || format!("'{text}' is not an IP address or network");
    let Some((host, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().map(drop).map_err(|_| not_one());
    };
    let address: IpAddr = host.parse().map_err(|_| not_one())?;
    let length: u32 = match length.parse() {
        Ok(number) if length.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => return Err(not_one()),
    };
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    if length > width {
        return Err(not_one());
    }
    let host_bits = 1u128.checked_shl(width - length).map_or(u128::MAX, |above| above - 1);
    if bits & host_bits == 0 { Ok(()) } else { Err(format!("'{text}' has host bits set")) }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn networks_are_strict() {
        for good in
            ["127.0.0.1", "::1", "10.0.0.0/8", "0.0.0.0/0", "::/0", "10.1.2.3/32", "fe80::/10", "::1/128"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::1/0",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
