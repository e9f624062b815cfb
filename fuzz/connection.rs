//! A whole connection under any policy: no panic, the same however it is cut and read, nothing behind a fault.

#![no_main]

#[path = "../tests/transcript/mod.rs"]
mod transcript;

use libfuzzer_sys::fuzz_target;
use rwsgi::http::{HeaderMap, Leniency, Policy};
use transcript::{Appetite, Peer, run};

fuzz_target!(|data: &[u8]| {
    let Some(([switches, limits, cut], input)) = data.split_first_chunk() else { return };
    let is = |bit: u8| switches & (1 << bit) != 0;
    let policy = Policy {
        leniency: Leniency {
            obsolete_folding: is(0),
            header_spaces: is(1),
            unconventional_method: is(2),
            unconventional_version: is(3),
            casefold_method: is(4),
        },
        header_map: [HeaderMap::Drop, HeaderMap::Refuse, HeaderMap::Dangerous][usize::from(limits % 3)],
        trust_forwarded_header: is(5),
        limit_request_body: if is(6) { 20 } else { 0 },
        limit_request_fields: if is(7) { 3 } else { 100 },
        ..Policy::default()
    };
    let peer = Peer { policy: &policy, trusted: limits & 0x80 != 0, eof: limits & 0x40 == 0 };
    let whole = run(&peer, &[input], Appetite::AtOnce);
    let (one, other) = input.split_at(input.len() * usize::from(*cut) / 256);
    assert_eq!(whole, run(&peer, &[one, other], Appetite::Late));
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole, run(&peer, &bytes, Appetite::Sips));
});
