//! The settings: a table with one row each, and the machinery that reads values for them.
//!
//! ```text
//! table/<section>.rs    one declaration per setting ──► Settings (typed), rows
//! kind/                 what a value may be
//! env  file  cli  ini   one layer each: rows ──► assignments with their origin
//! merge                 the layers over each other ──► Settings
//! draft                 the same, in the steps of a Python program that embeds the server
//! print  docs  help  shell   rows ──► text
//! ```
//!
//! Invariants: a setting is declared in one place; everything here is a function of [`Sources`] and of the
//! config file's globals; nothing here prints, runs Python or changes the process. Read next: `row.rs`,
//! `merge.rs`.

pub mod address;
mod application;
mod cli;
pub mod docs;
mod draft;
mod env;
mod error;
mod file;
mod help;
mod ini;
pub mod kind;
mod live;
mod merge;
mod names;
mod origin;
mod print;
mod raw;
pub mod row;
mod shell;
mod sources;
mod split;
pub mod table;
#[cfg(test)]
mod tests;
mod toml;
mod usage;

pub use address::Address;
pub use application::{Application, PasteApp};
pub use draft::{Asked, Draft};
pub use env::HANDOVER;
pub use error::{ConfigError, Warning};
pub use file::{ConfigSource, FileLoader, Global, Loaded};
pub use ini::ServerSection;
pub use merge::{Parsed, load};
pub use names::nearest;
pub use origin::Origin;
pub use raw::Raw;
pub use sources::Sources;
pub use table::Settings;

/// What `--version` prints.
pub const VERSION_LINE: &str = concat!("rwsgi (version ", env!("CARGO_PKG_VERSION"), ")");

/// Whether `name` means something in a config file.
pub fn is_setting(name: &str) -> bool {
    table::row(name).is_some()
}
