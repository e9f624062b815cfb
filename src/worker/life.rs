//! When a worker stops: what signals asked for, as one number that their handlers set and the reactor reads.

use std::sync::atomic::{AtomicU8, Ordering};

/// How soon to leave. The order matters: a later one overrides an earlier one, never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stop {
    No,
    /// Accept nothing more, answer what has come, leave.
    Graceful,
    /// Leave now.
    Quick,
}

// A process has one life; handlers can reach nothing but statics.
static STOP: AtomicU8 = AtomicU8::new(Stop::No as u8);

pub(super) fn ask(stop: Stop) {
    STOP.fetch_max(stop as u8, Ordering::Relaxed);
}

pub(super) fn asked() -> Stop {
    match STOP.load(Ordering::Relaxed) {
        0 => Stop::No,
        1 => Stop::Graceful,
        _ => Stop::Quick,
    }
}
