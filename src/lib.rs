//! rwsgi: the module map, in dependency order. A module may import only from modules above it.

pub mod config;
pub mod http;
#[cfg(feature = "python")]
pub mod py;
