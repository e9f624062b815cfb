//! Policies as one byte, for inputs that are made by machines: fuzz/ and differential/ agree on it, and so do the Python
//! programs that write such inputs (differential/streams.py). Only what gunicorn can be told as well.

#![allow(unreachable_pub, dead_code)]

use rwsgi::http::{HeaderMap, Leniency, Policy, TrustedPeers};

const TRUSTED: u8 = 0x80;

/// One bit a switch, in the order of `FLAGS` in streams.py.
pub fn policy(flags: u8) -> Policy {
    let is_on = |bit: u8| flags & (1 << bit) != 0;
    let peers = TrustedPeers::parse(if flags & TRUSTED != 0 { "127.0.0.1" } else { "192.0.2.1" });
    let mut policy = Policy {
        leniency: Leniency {
            obsolete_folding: is_on(0),
            header_spaces: is_on(1),
            unconventional_method: is_on(2),
            unconventional_version: is_on(3),
            casefold_method: is_on(4),
        },
        header_map: if is_on(6) { HeaderMap::Refuse } else { HeaderMap::Drop },
        forwarded_allow_ips: peers.unwrap(),
        ..Policy::default()
    };
    if is_on(5) {
        policy.limit_request_line = 40;
        policy.limit_request_fields = 4;
        policy.limit_request_field_size = 40;
    }
    policy
}

/// Whether the peer is a trusted proxy.
pub fn trusted(flags: u8) -> bool {
    flags & TRUSTED != 0
}
