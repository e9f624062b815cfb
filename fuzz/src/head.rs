//! One head and nothing behind it: no split sways it, nothing in it could end a line, and what was accepted is accepted again,
//! as the same, when it is written out in the plainest form.

use super::transcript::{Appetite, Peer, escape, flags, run};
use super::{agrees_with_the_naive_reader, has_no_controls, however_split, parts};

pub fn check(input: &[u8]) {
    let Some((flags, cuts, stream)) = parts(input) else { return };
    let head = match stream.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(end) => &stream[..end + 4],
        None => stream,
    };
    let policy = flags::policy(flags);
    let lines = however_split(&policy, flags::trusted(flags), cuts, head);
    has_no_controls(&lines);
    agrees_with_the_naive_reader(flags, &lines, head);
    if lines.first().is_some_and(|line| line.starts_with("head ")) {
        let plain = rewritten(&lines);
        let peer = Peer { policy: &policy, trusted: flags::trusted(flags), eof: cuts & 0x20 == 0 };
        assert_eq!(lines, run(&peer, &[&plain], Appetite::AtOnce), "{} as {}", escape(head), escape(&plain));
    }
}

/// The head that a transcript tells of.
fn rewritten(lines: &[String]) -> Vec<u8> {
    let mut words = lines[0].split(' ').skip(1);
    let mut word = || words.next().unwrap_or_default();
    let mut head = format!("{} {} {}\r\n", word(), word(), word());
    let fields = lines.iter().filter_map(|line| line.strip_prefix("field "));
    // No space behind the colon, or it could be too long where the one that was sent was not.
    for (name, value) in fields.filter_map(|field| field.split_once(": ")) {
        head.push_str(&format!("{name}:{value}\r\n"));
    }
    head.push_str("\r\n");
    unescaped(&head)
}

/// Undoes `escape`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let (byte, after) = match (byte, after) {
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let hex = std::str::from_utf8(&digits).expect("hex digits");
                (u8::from_str_radix(hex, 16).expect("hex digits"), after)
            }
            (byte, after) => (*byte, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}
