//! Which bodies go to a file before the application is called, and when: what `request_spool` means to a connection.
//!
//! Owns the decision and the amounts; the file is the exchange's. Large bodies are written piece by piece, so that neither
//! memory nor the other clients feel their size. Read next: `connection.rs`, `wsgi/spool.rs`.

use crate::http::{Head, RequestReader};
use crate::wsgi::{Exchange, Patience};

/// What is written at a time; less than this of a body stays in memory.
const PIECE: usize = 64 * 1024;
/// What is written of one body before others get their turn.
const TURN: u64 = 1 << 20;
/// A buffer that grew larger than this before the file was begun is given up.
const KEEP: usize = 4 * PIECE;

/// What becomes of the body in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// It stays in memory; the application reads what is too long for that from its client.
    Memory,
    /// Its length is not known: to a file once it is too long for memory.
    Undecided,
    /// So much of it is in a file.
    File { written: u64 },
}

/// What to do with the bytes that have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for more.
    More,
    Write,
    /// The application reads the rest itself.
    Call,
}

#[derive(Debug)]
pub(super) struct Spooling {
    plan: Plan,
    /// Written since the turn of this connection began.
    turn: u64,
}

impl Spooling {
    pub(super) const fn new() -> Self {
        Self { plan: Plan::Memory, turn: 0 }
    }

    /// A body begins. False if the application is called before anything of it was read.
    pub(super) fn begin(&mut self, head: &Head<'_>, patience: &Patience) -> bool {
        let (buffer, most) = (patience.request_buffer as u64, patience.request_spool);
        self.plan = match head.content_length() {
            Some(length) if buffer < length && length <= most => Plan::File { written: 0 },
            None if head.is_chunked() && buffer < most => Plan::Undecided,
            _ => Plan::Memory,
        };
        buffer > 0 || self.plan != Plan::Memory
    }

    /// So many bytes of it are in memory.
    pub(super) fn next(&self, here: usize, patience: &Patience) -> Next {
        match self.plan {
            Plan::Memory if here >= patience.request_buffer => Next::Call,
            Plan::Undecided if here >= patience.request_buffer.max(PIECE) => Next::Write,
            Plan::File { written } if written.saturating_add(here as u64) > patience.request_spool => {
                Next::Call
            }
            Plan::File { .. } if here >= PIECE => Next::Write,
            _ => Next::More,
        }
    }

    /// Moves what is here to the file.
    pub(super) fn write(&mut self, exchange: &Exchange, reader: &mut RequestReader) -> std::io::Result<()> {
        let here = reader.body().len();
        exchange.spool(reader.body())?;
        reader.consume(here);
        if reader.allocated() > KEEP {
            reader.shed_body();
        }
        let before = if let Plan::File { written } = self.plan { written } else { 0 };
        self.plan = Plan::File { written: before.saturating_add(here as u64) };
        self.turn = self.turn.saturating_add(here as u64);
        Ok(())
    }

    pub(super) const fn begin_turn(&mut self) {
        self.turn = 0;
    }

    /// It is the others' turn.
    pub(super) const fn has_had_turn(&self) -> bool {
        self.turn >= TURN
    }
}
