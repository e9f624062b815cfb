//! Streams in, what the core makes of each out: one half of the comparison with gunicorn (compare.py holds the other).
//!
//! A stream is its flags (transcript/flags.rs, one byte), its length (four bytes, little-endian) and its bytes, after which
//! the peer closes. The answer is a length and the lines of the transcript. Must never judge: it prints what happened.

#![allow(clippy::unwrap_used)]

#[path = "../transcript/mod.rs"]
mod transcript;

use std::io::{self, BufWriter, Read, Write};

use transcript::{Appetite, Peer, flags, run};

fn main() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = BufWriter::new(io::stdout().lock());
    while let Some((flags, stream)) = next(&mut input)? {
        let policy = flags::policy(flags);
        let peer = Peer { policy: &policy, trusted: flags::trusted(flags), eof: true };
        let lines = run(&peer, &[&stream], Appetite::AtOnce).join("\n");
        output.write_all(&u32::try_from(lines.len()).unwrap().to_le_bytes())?;
        output.write_all(lines.as_bytes())?;
    }
    output.flush()
}

fn next(input: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 5];
    match input.read_exact(&mut head) {
        Ok(()) => {}
        Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [flags, length @ ..] = head;
    let mut stream = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
    input.read_exact(&mut stream)?;
    Ok(Some((flags, stream)))
}
