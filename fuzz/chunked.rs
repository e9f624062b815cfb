//! A chunked body: the same however it is cut, and the same as a decoder reads it that is as simple as one can be.

#![no_main]

#[path = "../tests/transcript/mod.rs"]
mod transcript;

use libfuzzer_sys::fuzz_target;
use rwsgi::http::Policy;
use transcript::{Appetite, Peer, escape, run};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let Some((cut, body)) = data.split_first() else { return };
    let input = [HEAD, body].concat();
    let peer = Peer { policy: &Policy::default(), trusted: false, eof: true };
    let whole = run(&peer, &[&input], Appetite::AtOnce);
    let (one, other) = input.split_at(HEAD.len() + body.len() * usize::from(*cut) / 256);
    assert_eq!(whole, run(&peer, &[one, other], Appetite::Sips));
    if whole.iter().any(|line| line == "end") {
        let read = whole.iter().find_map(|line| line.strip_prefix("body ")).unwrap_or_default();
        assert_eq!(Some(read.to_owned()), naive(body).map(|body| escape(&body)), "{}", escape(body));
    }
});

/// Knows sizes and CRLF alone: what it cannot read the server must not accept.
fn naive(mut input: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = input.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(input[..end].split(|byte| *byte == b';').next()?).ok()?;
        let size = usize::from_str_radix(line.trim_end_matches([' ', '\t']), 16).ok()?;
        input = &input[end + 2..];
        if size == 0 {
            return Some(body);
        }
        let (block, rest) = input.split_at_checked(size)?;
        body.extend_from_slice(block);
        input = rest.strip_prefix(b"\r\n")?;
    }
}
