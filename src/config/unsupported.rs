//! gunicorn's settings that rwsgi does not have, so that each is refused by name and never silently ignored.
//!
//! Owns the one list of them. A setting at its default is accepted: configuration files often spell defaults
//! out. A setting moves from this list to `table/` when it is built. Read next: `file.rs`.

use super::error::{ConfigError, Warning};
use super::kind::Takes;
use super::origin::Origin;
use super::raw::Raw;

#[derive(Debug)]
pub struct Unsupported {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    pub takes: Takes,
    /// Python literals that ask for nothing; the first is gunicorn's default.
    defaults: &'static [&'static str],
}

const fn value(
    name: &'static str,
    flags: &'static [&'static str],
    defaults: &'static [&'static str],
) -> Unsupported {
    Unsupported { name, flags, takes: Takes::Value, defaults }
}

const fn items(name: &'static str, flags: &'static [&'static str]) -> Unsupported {
    Unsupported { name, flags, takes: Takes::Items, defaults: &["[]"] }
}

pub static UNSUPPORTED: &[Unsupported] = &[
    // Paste
    value("paste", &["--paste", "--paster"], &["None"]),
    items("raw_paste_global_conf", &["--paste-global"]),
];

pub fn find(name: &str) -> Option<&'static Unsupported> {
    UNSUPPORTED.iter().find(|setting| setting.name == name)
}

impl Unsupported {
    /// gunicorn's default, as a Python literal.
    pub fn default(&self) -> &'static str {
        self.defaults.first().copied().unwrap_or("None")
    }

    fn is_default(&self, raw: &Raw) -> bool {
        let literal = raw.to_string();
        self.defaults.iter().any(|default| match raw {
            // A number or a truth may come as text.
            Raw::Str(text) => literal == *default || text == default,
            _ => literal == *default,
        })
    }

    /// `shown` is the setting as the user wrote it: its name, or a flag.
    pub(super) fn judge(
        &self,
        shown: &str,
        raw: &Raw,
        origin: &Origin,
    ) -> Result<Option<Warning>, ConfigError> {
        if self.is_default(raw) {
            return Ok(None);
        }
        let default = match self.defaults {
            ["None" | "False" | "[]" | "{}", ..] | [] => String::new(),
            [default, ..] => format!(" or leave it at {default}"),
        };
        let message = format!(
            "'{shown}' is a gunicorn setting that rwsgi does not support yet ({origin}); remove it{default}"
        );
        match origin {
            Origin::Cli | Origin::CmdArgs(_) => Err(ConfigError::usage(message)),
            _ => Err(ConfigError::config(message)),
        }
    }
}
