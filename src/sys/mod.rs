//! Small safe wrappers over what the operating system and libc offer and nix does not.
//!
//! Owns: every `unsafe` block outside the Python glue, each with its argument. Must never: hold policy, log, or
//! know what a worker is. Linux-only calls stand behind a `cfg` with a fallback.

pub mod backlog;
pub mod clock;
pub mod descriptors;
#[cfg(feature = "python")]
pub mod fork;
pub mod handshakes;
pub mod identity;
pub mod memory;
pub mod presence;
pub mod reap;
pub mod reason;
pub mod send_queue;
pub mod shared;
pub mod signals;
pub mod stack;
pub mod stat;
pub mod title;
