//! What the targets share: how an input is laid out, and the checks that hold for every stream.
//!
//! An input is one byte of flags (tests/transcript/flags.rs), one that draws the cuts, and the stream; seeds.py writes such
//! inputs from tests/corpus. Must never know what a stream should come to: that is the corpus's business.
//! Read next: head.rs, chunked.rs, connection.rs, proxy_protocol.rs, one a target; tests/http_damage.rs runs them without a fuzzer.

#![allow(unreachable_pub)]

pub mod chunked;
pub mod connection;
pub mod head;
pub mod proxy_protocol;

#[path = "../../tests/transcript/mod.rs"]
pub mod transcript;

use rwsgi::http::Policy;
use transcript::{Appetite, Peer, escape, naive, run};

/// Flags, cuts and stream of an input.
pub fn parts(input: &[u8]) -> Option<(u8, u8, &[u8])> {
    let [flags, cuts, stream @ ..] = input else { return None };
    Some((*flags, *cuts, stream))
}

/// The transcript of a stream that comes whole, once it is sure that it is the same however the stream comes. `cuts` also says
/// whether the peer closes behind it.
pub fn however_split(policy: &Policy, trusted: bool, cuts: u8, stream: &[u8]) -> Vec<String> {
    let peer = Peer { policy, trusted, eof: cuts & 0x20 == 0 };
    let whole = run(&peer, &[stream], Appetite::AtOnce);
    let compare = |pieces: &[&[u8]], appetite| {
        assert_eq!(
            whole,
            run(&peer, pieces, appetite),
            "{appetite:?}, {} pieces of {}",
            pieces.len(),
            escape(stream)
        );
    };
    compare(&[stream], Appetite::Sips);
    compare(&stream.chunks(1).collect::<Vec<_>>(), Appetite::Late);
    compare(&pieces(stream, cuts), Appetite::AtOnce);
    whole
}

/// Pieces of `stream`, of lengths that `cuts` decides.
fn pieces(mut stream: &[u8], cuts: u8) -> Vec<&[u8]> {
    let mut state = u32::from(cuts) | 1;
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        // Mostly small ones, and now and then most of the rest.
        let length =
            1 + usize::try_from(state >> 24).unwrap_or(0) % if state & 0x7000 == 0 { 4096 } else { 24 };
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// With nothing permitted, each request ends where the naive reader ends it.
pub fn agrees_with_the_naive_reader(flags: u8, lines: &[String], stream: &[u8]) {
    const LENIENT: u8 = 0x1f;
    if flags & LENIENT == 0 {
        let naive = naive::requests(stream);
        for (number, request) in naive::told(lines).iter().enumerate() {
            assert_eq!(Some(request), naive.get(number), "request {number} of {}", escape(stream));
        }
    }
}

/// No line of a transcript lets a control through: a CR, LF or NUL in a name, a target or a value would be escaped.
pub fn has_no_controls(lines: &[String]) {
    for line in lines.iter().filter(|line| !line.starts_with("body ")) {
        let escapes = line.replace("\\\\", "").replace("\\t", "");
        let clean = !["\\r", "\\n", "\\x0", "\\x1", "\\x7f"].iter().any(|control| escapes.contains(control));
        assert!(clean, "{line}");
    }
}
