//! What the policy is told and what it answers.
//!
//! Owns the words between `state` and the loop in `run`; what follows from an event is not here. Read next: `../state.rs`.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::arbiter::oom::Oom;
use crate::arbiter::plan::Plan;
use crate::arbiter::signals::Command;
use crate::arbiter::wording::Line;
pub use crate::sys::reap::Ended as Status;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The master is set up.
    Start,
    /// A signal to the master, with its name for the log.
    Signal(Command, &'static str),
    /// A child was reaped.
    Exited(Death),
    /// What the live slots of the scoreboard say.
    Beats(Vec<Beat>),
    /// Answers to `Action::Spawn`.
    Spawned {
        age: u64,
        pid: i32,
    },
    SpawnFailed {
        age: u64,
        reason: String,
    },
    /// Answers to `Action::Reload`: done, refused, or first to be tried out by this process.
    Reloaded(Plan),
    ReloadFailed(String),
    Trying {
        pid: i32,
    },
    /// The process that tried the new code has ended; what it complained of.
    Tried(Result<(), String>),
    /// Answers to `Action::Upgrade`.
    Upgraded {
        pid: i32,
    },
    UpgradeFailed(String),
    /// The master that started this one is gone.
    PredecessorLeft,
    /// Time passed.
    Tick,
}

/// How a child ended.
#[derive(Clone, Debug)]
pub struct Death {
    pub pid: i32,
    pub status: Status,
    /// It had been ready, if only between two looks at its slot.
    pub ready: bool,
    /// The request it had in hand, and for how long.
    pub serving: Option<String>,
    /// Asked only of one that died of SIGKILL.
    pub oom: Oom,
}

/// One worker's slot as it was read.
#[derive(Clone, Debug)]
pub struct Beat {
    pub age: u64,
    pub ready: bool,
    /// It has served its time and waits for a replacement.
    pub worn: bool,
    /// When it last proved to be alive.
    pub at: Duration,
    pub serving: Option<String>,
}

/// What the loop must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork a worker. Answered by `Spawned` or `SpawnFailed`.
    Spawn {
        age: u64,
        generation: u32,
    },
    Kill {
        pid: i32,
        signal: Signal,
    },
    Log(Line),
    /// Read the configuration again. Answered by `Reloaded`, `ReloadFailed` or `Trying`.
    Reload,
    /// Replace this process's program by itself, keeping its id and children: the new code has been tried.
    Reexec,
    /// Make this generation's settings the process's own again.
    Restore {
        generation: u32,
    },
    /// Start a second master on the same sockets. Answered by `Upgraded` or `UpgradeFailed`.
    Upgrade,
    /// This is the only master now: take the plain names.
    Promote,
    ReopenLogs,
    /// `last`: no other master serves these addresses; workers are to answer what is queued.
    CloseListeners {
        last: bool,
    },
    /// End the master with this exit status.
    Exit(i32),
}
