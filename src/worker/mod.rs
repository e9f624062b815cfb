//! The worker process: boots, serves, leaves.
//!
//! `boot` is what happens between fork and the first accept; `life` is when to stop and why; `reactor` moves bytes
//! between sockets, the protocol core and the application; `table` holds the connections. Must never: touch the pid
//! file, unlink a socket, or outlive its master.

mod boot;
mod connection;
mod life;
mod reactor;
mod signals;
mod table;
mod wear;

pub use boot::{Boot, run};
pub use wear::Limits;
