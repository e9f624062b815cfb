//! The worker process: boots, serves, leaves.
//!
//! `boot` is what happens between fork and the first accept; `life` is when to stop and why; `reactor` moves bytes
//! between sockets, the protocol core and the application; `table` holds the connections, `buffers` how much memory they take; `hooked` calls the hooks and
//! `object` is the worker as they see it. Must never: touch the pid file, unlink a socket, or outlive its master.

mod boot;
mod buffers;
mod connection;
mod hooked;
mod life;
mod object;
mod reactor;
mod reloader;
mod signals;
mod table;
mod wear;

pub use boot::{Boot, run};
pub use hooked::Hooked;
pub use object::Worker;
pub use wear::Limits;
