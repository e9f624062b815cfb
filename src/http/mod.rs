//! HTTP/1.x without I/O: bytes in, events out; a response in, bytes out.
//!
//! Invariant: nothing here owns a socket, reads a clock or knows Python. Workers of every class move bytes between
//! a connection and these types, so the protocol is decided in one place and can be tested byte by byte.
//!
//! One connection is a [`RequestReader`] and a [`ResponseWriter`], side by side in [`Connection`]:
//!
//! ```text
//!   reader:  (Proxied ──►) Head ──► Body ──► End ──next_request()──► Head ...      writer:  begin ──► send_head ──► send_body* ──► finish
//!             │        │                                                        └── informational*      └── abort
//!             └────────┴──► Failed (for good: after a fault no further byte of the peer is looked at)
//! ```
//!
//! The peer's faults are [`PeerError`] (4xx, and the connection closes); the application's are [`AppError`] (500).
//! Read next: `reader.rs`, then `head_parser.rs` for requests; `response_head.rs`, then `writer.rs` for responses.

// A panic that a peer's or an application's bytes can reach is a fault of ours. Tests may.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod buffer;
mod chunked;
mod connection;
// Its numbers come from the clock and are held below the year 10000: nobody outside can choose them.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod date;
mod error;
mod field;
mod fold;
mod forwarded;
mod framing;
mod head;
mod head_parser;
mod hops;
mod host;
mod policy;
mod proxy_protocol;
mod reader;
mod response_head;
mod status;
mod target;
mod trusted;
mod writer;

pub use connection::Connection;
pub use date::http_date;
pub use error::{AppError, Detail, PeerError};
pub use forwarded::{Decision, Forwarded, ForwardedRules, Scheme};
pub use head::{Head, Version};
pub use hops::Client;
pub use policy::{HeaderMap, Leniency, Policy};
pub use proxy_protocol::{Addresses, Proxied, ProxyProtocol};
pub use reader::{Event, RequestReader};
pub use response_head::ResponseHead;
pub use status::reason;
pub use target::percent_decode;
pub use trusted::{AddressError, TrustedPeers};
pub use writer::{Finish, ResponseWriter};
