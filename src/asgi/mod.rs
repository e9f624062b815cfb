//! ASGI 3: from bytes of an asyncio transport to scope, receive and send, and back.
//!
//! Owns everything an ASGI application can touch, and the protocol objects that asyncio's transports drive. The loop, the
//! sockets and the order of a worker's life are Python's (`python/rwsgi/workers/asgi.py`). All of it runs in the loop's
//! thread. Must never run Python code of others while a connection's lock is held: what is to be done outside is noted
//! in a [`todo::Todo`]. Read first: `protocol.rs`, what asyncio calls; then `connection.rs`, one connection's state.

mod beginning;
mod calls;
mod connection;
mod frames;
mod message;
mod output;
mod pings;
mod protocol;
mod record;
mod run;
mod scope;
mod server;
mod service;
mod serving;
mod sweep;
mod todo;
mod websocket;

pub use pings::PingRules;
pub use server::Server;
pub use service::{Keeper, Parts};
