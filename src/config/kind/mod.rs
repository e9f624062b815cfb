//! The kinds of value a setting can have: one type, one parser and one description each.
//!
//! A kind checks a value by itself: it never looks at another setting, the file system or the clock, so that
//! the same text means the same everywhere. Text from a flag or a variable arrives as `Raw::Str` and takes
//! the same path as a config file's value. Read next: `number.rs`, then `row.rs` for how a setting names its
//! kind.

mod choice;
mod endpoint;
mod hook;
mod list;
mod logging;
mod number;
mod text;
mod worker_class;

pub use choice::{
    AsgiLifespan, AsgiLoop, Cleartext, Facility, HeaderMap, HttpParser, Level, Protocol, ProxyProtocol,
    ReloadEngine,
};
pub use endpoint::{Endpoint, StatsdServer, SyslogServer, UnixKind};
pub use hook::{Hook, HookRef};
pub use list::{Binds, HeaderNames, Networks, PasteVariables, SchemeHeaders, SearchPath, Strings, Variables};
pub use logging::{Dictionary, LoggerClass};
pub use number::{Bytes, Constant, Count, Mode, Seconds, Size, Threads};
pub use text::{Account, Directory, Flag, OptionalFlag, OptionalPath, OptionalText, PasteUri, Text};
pub use worker_class::WorkerClass;

use super::raw::Raw;

/// The grammar of a value.
pub trait Kind {
    type Value;
    const TAKES: Takes;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject>;

    /// The value as a config file would hold it; `parse` accepts it.
    fn to_raw(value: &Self::Value) -> Raw;

    /// What is accepted, to follow "must be".
    fn allowed() -> String;

    /// The values, if they can be listed.
    fn choices() -> Vec<&'static str> {
        Vec::new()
    }
}

/// What a flag of this kind takes on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: its presence means `True`, or `False` for `--no-…`.
    Nothing,
    Value,
    /// A value, or nothing, which means this one.
    Optional(&'static str),
    Number,
    /// One item each time it is given.
    Items,
}

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// It is not of this kind at all; `allowed` says everything.
    Kind,
    Because(String),
    /// gunicorn knows the value; rwsgi does not do it yet.
    Unsupported(String),
}

impl Reject {
    fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}

/// A class, or what else can be called, as its dotted name.
fn class_of(raw: &Raw) -> Option<&str> {
    let Raw::Callable(described) = raw else { return None };
    let class = described.strip_prefix("<class '").and_then(|rest| rest.strip_suffix("'>"));
    Some(class.unwrap_or(described))
}

/// The text of a value, without the spaces around it.
fn text_of(raw: &Raw) -> Result<&str, Reject> {
    match raw {
        Raw::Str(text) => Ok(text.trim()),
        _ => Err(Reject::Kind),
    }
}
