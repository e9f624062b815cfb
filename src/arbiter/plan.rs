//! What the arbiter's policy needs to know of the settings: a few numbers, replaced as a whole by a reload.

use std::time::Duration;

/// The numbers that one generation of workers runs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Workers to keep alive.
    pub workers: usize,
    /// Silence of a ready worker after which it counts as stuck; zero means never.
    pub timeout: Duration,
    /// Time a worker has to finish after it was asked to stop.
    pub graceful_timeout: Duration,
    /// Time between TERM and the stop it asks for.
    pub drain_delay: Duration,
    /// The process was put into the background.
    pub daemon: bool,
    /// The process has a controlling terminal, which sends WINCH when its size changes.
    pub terminal: bool,
}
