//! Streams on standard input, each behind its length in four bytes (big-endian); their transcripts on standard output, each
//! ended by a line with a dot. For tests/differential.py.

#[path = "../tests/transcript/mod.rs"]
mod transcript;

use std::io::{self, BufWriter, Read, Write};

use rwsgi::http::Policy;
use transcript::{Appetite, Peer, run};

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), BufWriter::new(io::stdout().lock()));
    let peer = Peer { policy: &Policy::default(), trusted: true, eof: true };
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut stream = vec![0; u32::from_be_bytes(length) as usize];
        input.read_exact(&mut stream)?;
        for line in run(&peer, &[&stream], Appetite::AtOnce) {
            writeln!(output, "{line}")?;
        }
        writeln!(output, ".")?;
        output.flush()?;
    }
    Ok(())
}
