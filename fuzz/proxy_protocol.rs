//! A connection behind a proxy that speaks the PROXY protocol: the same however it is cut.

#![no_main]

#[path = "../tests/transcript/mod.rs"]
mod transcript;

use libfuzzer_sys::fuzz_target;
use rwsgi::http::{Policy, ProxyProtocol};
use transcript::{Appetite, Peer, run};

fuzz_target!(|data: &[u8]| {
    let Some(([mode, cut], input)) = data.split_first_chunk() else { return };
    let proxy_protocol = match mode % 3 {
        0 => ProxyProtocol::V1,
        1 => ProxyProtocol::V2,
        _ => ProxyProtocol::Auto,
    };
    let policy = Policy { proxy_protocol, ..Policy::default() };
    let peer = Peer { policy: &policy, trusted: true, eof: true };
    let whole = run(&peer, &[input], Appetite::AtOnce);
    let (one, other) = input.split_at(input.len() * usize::from(*cut) / 256);
    assert_eq!(whole, run(&peer, &[one, other], Appetite::AtOnce));
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole, run(&peer, &bytes, Appetite::AtOnce));
});
