//! The master process: keeps the right number of workers alive and carries out what signals ask for.
//!
//! `state` is the whole policy, a pure function of events and time; `signals` is the table of signals it knows;
//! `run` is the loop that waits, feeds `state` and performs its actions. Invariants: one thread, for ever; no client
//! connection is touched here; nothing from shared memory is taken but numbers and printable text; no error of one turn
//! ends the loop.

#[cfg(feature = "python")]
pub mod daemon;
#[cfg(feature = "python")]
mod gauges;
#[cfg(feature = "python")]
mod generation;
pub mod handover;
#[cfg(feature = "python")]
mod hooks;
#[cfg(feature = "python")]
mod inherit;
pub mod notify;
pub mod oom;
pub mod pidfile;
#[cfg(feature = "python")]
mod pipes;
pub mod plan;
pub mod program;
#[cfg(feature = "python")]
mod reexec;
#[cfg(feature = "python")]
mod reload;
#[cfg(feature = "python")]
pub mod run;
#[cfg(feature = "python")]
mod seats;
#[cfg(feature = "python")]
mod server;
pub mod signals;
#[cfg(feature = "python")]
mod spawn;
#[cfg(feature = "python")]
mod start;
pub mod state;
mod wording;

#[cfg(feature = "python")]
pub use generation::identity_of;
#[cfg(feature = "python")]
pub use reexec::{OLD_MASTER, OLD_SOCKETS};
#[cfg(feature = "python")]
pub use start::{Kept, Setup, StartError, run};
