//! PEP 3333: from a parsed request to environ, from start_response and an iterable to a response.
//!
//! Owns: everything a WSGI application can touch. Must never: accept, wait for, or close a connection; that is the
//! worker's. Read `serve.rs` first: it is one request from beginning to end.

pub mod broken;
mod client_socket;
mod environ;
mod errors;
mod exchange;
mod file_wrapper;
mod hook_objects;
mod hooks;
mod input;
mod keys;
mod objects;
mod patience;
mod record;
mod request_id;
mod response;
mod serve;
mod spool;
mod start_response;
mod text;

pub(crate) use environ::EnvironError;
pub use environ::{Concurrency, SERVER_SOFTWARE, Server};
pub use errors::ErrorStream;
pub use exchange::{Exchange, Expiry};
pub(crate) use exchange::{overdue, tell_fault};
pub use file_wrapper::FileWrapper;
pub(crate) use hook_objects::{Request, Response as ShownResponse};
pub use hooks::RequestHooks;
pub(crate) use keys::{Keys, enter};
pub use objects::Objects;
pub use patience::Patience;
pub(crate) use patience::{EACH, INCOMPLETE_LIMIT, LINGER_FACTOR, SILENT_LIMIT};
pub(crate) use record::HeadRecord;
pub use record::Observers;
pub use request_id::RequestIds;
pub use response::Drained;
pub(crate) use response::{COPY_BELOW, date};
pub use serve::Application;
pub use spool::Spool;
