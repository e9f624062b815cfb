//! The kinds of the settings that hand the logs to Python's logging.
//!
//! Owns what may be written; the class and the dictionary themselves stay with whoever runs the config file. Read next:
//! `hook.rs`, `py/bridge.rs`.

use super::{Hook, HookRef, Kind, Reject, Takes, class_of};
use crate::config::raw::Raw;

/// What means the native logs.
const NATIVE: [&str; 5] = [
    "rwsgi.glogging.Logger",
    "gunicorn.glogging.Logger",
    "gunicorn.instrument.statsd.Statsd",
    "simple",
    "egg:gunicorn#simple",
];

/// A class, or its dotted name; `None` for the native logs.
pub struct LoggerClass;

impl Kind for LoggerClass {
    type Value = Option<HookRef>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject> {
        let named = match raw {
            Raw::Str(text) => text.trim(),
            _ => class_of(raw).unwrap_or_default(),
        };
        if NATIVE.contains(&named) { Ok(None) } else { Hook::parse(raw) }
    }

    fn to_raw(value: &Self::Value) -> Raw {
        match value {
            None => Raw::from(NATIVE[0]),
            value => Hook::to_raw(value),
        }
    }

    fn allowed() -> String {
        "a class or its dotted name (`package.module.Class`)".to_owned()
    }
}

/// A dictionary of anything.
pub struct Dictionary;

impl Kind for Dictionary {
    type Value = Vec<(String, Raw)>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject> {
        match raw {
            Raw::None => Ok(Vec::new()),
            Raw::Map(pairs) => Ok(pairs.clone()),
            _ => Err(Reject::Kind),
        }
    }

    fn to_raw(value: &Self::Value) -> Raw {
        Raw::Map(value.clone())
    }

    fn allowed() -> String {
        "a dictionary".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loggers_of_gunicorn_are_the_native_logs() {
        for native in [
            Raw::None,
            Raw::from("gunicorn.glogging.Logger"),
            Raw::Callable("<class 'gunicorn.instrument.statsd.Statsd'>".into()),
        ] {
            assert_eq!(LoggerClass::parse(&native), Ok(None), "{native}");
        }
        assert_eq!(LoggerClass::to_raw(&None), Raw::from("rwsgi.glogging.Logger"));
        let other = Raw::Callable("<class '__config__.Logger'>".into());
        assert_eq!(LoggerClass::parse(&other).map(|value| LoggerClass::to_raw(&value)), Ok(other));
        assert_eq!(LoggerClass::parse(&Raw::from("mine")), Err(Reject::Kind));
    }
}
