//! Sockets: listening ones, accepted ones, and waiting for either. No protocol, no policy, no Python.

mod holder;
mod listener;
pub mod poller;
mod stream;

pub use listener::{BindError, BindOptions, Listener, Local};
pub use stream::{Peer, Sent, Stream};
