//! rwsgi: the module map, in dependency order. A module may import only from modules above it.

pub mod sys;

pub mod http;

pub mod config;

pub mod net;

pub mod scoreboard;

pub mod log;

#[cfg(feature = "python")]
pub mod py;

#[cfg(feature = "python")]
pub mod wsgi;

#[cfg(feature = "python")]
pub mod worker;

pub mod arbiter;
