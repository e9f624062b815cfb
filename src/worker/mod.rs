//! The worker process: boots, serves, leaves.
//!
//! `boot` is what happens between fork and the first accept; `life` is when to stop and why; `reactor` moves bytes
//! between sockets and the protocol core, `service` between that and the application; `single` and `pool` run them with one
//! thread and with several, where `overdue` knows who takes too long; `table` holds the connections, `buffers` how much
//! memory they take, `spooling` which bodies go to a file; `panics` says what one of ours costs; `hooked` calls the hooks
//! and `object` is the worker as they see it. Must never: touch the pid file, unlink a socket, or outlive its master.

mod boot;
mod buffers;
mod connection;
mod control;
mod driven;
mod hooked;
mod lead;
mod life;
mod object;
mod overdue;
mod panics;
mod parts;
mod pool;
mod reactor;
mod reloader;
mod service;
mod signals;
mod single;
mod spooling;
mod table;
mod wear;

pub use boot::{Boot, introduce, run};
pub use driven::{AsgiProcess, Engine, NativeProcess, NativeRequest, Process, patch};
pub use hooked::Hooked;
pub use object::Worker;
pub use wear::Limits;
