//! What stops the configuration from being used, and what merely deserves a word.
//!
//! Owns the wording shared by all layers and the exit code that goes with it: 2 for a command line that
//! cannot be read, 1 for a value that cannot be used. Never prints. Read next: `merge.rs`.

use std::fmt;
use std::path::Path;

use super::kind::{Reject, Takes};
use super::origin::Origin;
use super::raw::Raw;
use super::row::Row;
use super::table::Settings;

/// The text is complete and needs no context; it may span lines (a traceback, the usage).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub exit_code: i32,
    pub message: String,
}

impl ConfigError {
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: 2, message: message.into() }
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self { exit_code: 1, message: message.into() }
    }

    /// A config file that could not be read or raised; `detail` is the reason or the traceback.
    pub fn unreadable(path: &Path, detail: &str) -> Self {
        Self::config(format!("Failed to read config file: {}\n{}", path.display(), detail.trim_end()))
    }

    /// gunicorn leaves numbers to its argument parser, so that a flag without a number in it is a usage
    /// error; every other bad value is a configuration error.
    pub(super) fn invalid(row: &Row, raw: &Raw, origin: &Origin, reject: &Reject) -> Self {
        let on_command_line = matches!(origin, Origin::Cli | Origin::CmdArgs(_));
        let exit_code = if on_command_line && row.takes == Takes::Number { 2 } else { 1 };
        let allowed = (row.allowed)();
        let reason = match reject {
            Reject::Kind => format!("must be {allowed}"),
            Reject::Because(reason) => format!("{reason} (allowed: {allowed})"),
            Reject::Unsupported(reason) => reason.clone(),
        };
        let name = row.shown(on_command_line);
        Self { exit_code, message: format!("{origin}: invalid value for {name}: {raw}: {reason}") }
    }
}

impl Row {
    /// What another value than the default comes to.
    pub(super) fn judge(&self, origin: &Origin) -> Result<Option<Warning>, ConfigError> {
        let on_command_line = matches!(origin, Origin::Cli | Origin::CmdArgs(_));
        let name = self.shown(on_command_line);
        if let Some(why) = self.facts.not_yet {
            let message = format!("{origin}: {name} is not supported yet: {why}");
            return Err(ConfigError { exit_code: if on_command_line { 2 } else { 1 }, message });
        }
        Ok(self.facts.moot.map(|why| Warning(format!("{origin}: {name} has no effect: {why}"))))
    }

    /// As the user wrote it: its name, or the flag.
    fn shown(&self, on_command_line: bool) -> &'static str {
        let flag = self.facts.flags.iter().find(|flag| flag.starts_with("--"));
        flag.filter(|_| on_command_line).unwrap_or(&self.name)
    }
}

impl Settings {
    /// A value that only its use could show to be wrong.
    pub fn refuse(&self, name: &str, reason: &str) -> ConfigError {
        let (origin, value) = (self.origin(name), self.value(name).unwrap_or(Raw::None));
        ConfigError::config(format!("{origin}: invalid value for {name}: {value}: {reason}"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// Something legal that is probably a mistake: one line for the terminal or the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
