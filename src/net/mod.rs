//! Sockets: listening ones, accepted ones, and waiting for either. No protocol, no policy, no Python.

mod holder;
mod listener;
mod passed;
pub mod poller;
mod stream;

pub use listener::{BindError, BindOptions, Listener, Local};
pub use passed::{Passed, choose, passed_sockets};
pub use stream::{Peer, Sent, Stream};
