//! Sockets: listening ones, accepted ones, and waiting for either. No protocol, no policy, no Python.

mod bind_error;
mod holder;
mod listener;
mod passed;
pub mod poller;
mod pusher;
mod stream;

pub use bind_error::BindError;
pub use listener::{BindOptions, Listener, Local};
pub use passed::{Passed, choose, passed_sockets};
pub use pusher::Held;
pub use stream::{Peer, Sent, Stream, offer};
