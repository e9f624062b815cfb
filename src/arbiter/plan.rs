//! What goes into the arbiter's policy and what comes out of it as plain numbers: the settings that one generation runs
//! under, replaced as a whole by a reload, and how the server as a whole is doing.

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

/// How the server as a whole is doing: what a service manager is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Workers wanted.
    pub target: usize,
    /// Workers that serve.
    pub ready: usize,
    /// Every worker that is wanted serves, and nothing is being replaced.
    pub settled: bool,
    pub reloading: bool,
    pub stopping: bool,
    /// The master that takes over from this one.
    pub successor: Option<i32>,
}
