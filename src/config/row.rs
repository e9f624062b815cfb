//! A row of the settings table, and the macro that declares a section of it.
//!
//! `section!` turns one declaration per setting into a typed struct, its defaults and its rows; the command
//! line, the environment, the config file, `--print-config` and docs/settings.md are all read off the rows.
//! Nothing about one setting may be written anywhere else. Read next: `table/workers.rs` for what a section
//! looks like, `kind/mod.rs` for its types.

use super::kind::{Reject, Takes};
use super::raw::Raw;
use super::table::Settings;

/// What it takes for a changed value to reach a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// HUP: the arbiter uses the new value at once.
    Reload,
    /// HUP: the workers it starts have the new value.
    Workers,
    /// A new master.
    Restart,
}

impl Live {
    pub fn describe(self) -> &'static str {
        match self {
            Self::Reload => "HUP",
            Self::Workers => "HUP, in the new workers",
            Self::Restart => "a restart",
        }
    }
}

/// What a declaration says about a setting beside its name, type, default and documentation.
#[derive(Debug)]
pub struct Facts {
    /// The flags, short ones first; the first long one is the setting's name on the command line. Empty: file
    /// and environment only.
    pub flags: &'static [&'static str],
    pub metavar: &'static str,
    /// Variables read beside `RWSGI_<NAME>`, each with the text its value stands in (`{}`).
    pub env: &'static [(&'static str, &'static str)],
    pub live: Live,
    /// Shown in the documentation instead of the default, when that depends on where the server is started.
    pub default_is: Option<&'static str>,
    /// Why it may only have its default: what it is about does not exist yet. A clause.
    pub not_yet: Option<&'static str>,
    /// Why another value than the default changes nothing, and is told so. A clause.
    pub moot: Option<&'static str>,
}

impl Facts {
    pub const NONE: Self = Self {
        flags: &[],
        metavar: "",
        env: &[],
        live: Live::Restart,
        default_is: None,
        not_yet: None,
        moot: None,
    };
}

#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub section: &'static str,
    /// The documentation: a one-line summary, a blank line, paragraphs of Markdown.
    pub docs: &'static [&'static str],
    pub facts: Facts,
    pub takes: Takes,
    pub allowed: fn() -> String,
    /// The values, if they can be listed.
    pub choices: fn() -> Vec<&'static str>,
    pub(super) set: fn(&mut Settings, &Raw) -> Result<(), Reject>,
    pub(super) show: fn(&Settings) -> Raw,
}

impl Row {
    pub fn summary(&self) -> &'static str {
        self.docs.first().map_or("", |line| line.trim())
    }

    /// The blocks after the summary, paragraphs and tables, with the lines of a paragraph joined.
    pub fn blocks(&self) -> Vec<String> {
        let rest = self.docs.get(1..).unwrap_or_default();
        rest.split(|line| line.trim().is_empty())
            .filter(|lines| !lines.is_empty())
            .map(|lines| {
                let is_table = lines.iter().all(|line| line.trim().starts_with('|'));
                let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
                lines.join(if is_table { "\n" } else { " " })
            })
            .collect()
    }

    pub fn variable(&self) -> String {
        format!("RWSGI_{}", self.name.to_ascii_uppercase())
    }

    /// Every variable that sets it, the one that wins first.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.variable()).chain(self.facts.env.iter().map(|(name, _)| (*name).to_owned()))
    }

    /// Whether setting it does what its documentation says.
    pub fn works(&self) -> bool {
        self.facts.not_yet.is_none() && self.facts.moot.is_none()
    }

    pub(super) fn has_default(&self, settings: &Settings) -> bool {
        (self.show)(settings) == (self.show)(&Settings::default())
    }

    pub fn default_text(&self) -> String {
        match self.facts.default_is {
            Some(text) => text.to_owned(),
            None => format!("`{}`", (self.show)(&Settings::default())),
        }
    }
}

/// Declares a section: `"Title" field: Struct { /// docs … name: Kind = default => { facts } … }`, where
/// `field` is the section's field in [`Settings`].
macro_rules! section {
    (
        $title:literal $section:ident : $type:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident : $kind:ty = $default:expr
                => { $($fact:ident : $value:expr),* $(,)? }
            )*
        }
    ) => {
        #[doc = concat!("The settings of the section \"", $title, "\".")]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $type {
            $(
                $(#[doc = $doc])+
                pub $name: <$kind as $crate::config::kind::Kind>::Value,
            )*
        }

        impl Default for $type {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        pub(in crate::config) static ROWS: &[$crate::config::row::Row] = &[
            $(
                $crate::config::row::Row {
                    name: stringify!($name),
                    section: $title,
                    docs: &[$($doc),+],
                    #[allow(clippy::needless_update)] // A setting may state every fact.
                    facts: $crate::config::row::Facts {
                        $($fact: $value,)*
                        ..$crate::config::row::Facts::NONE
                    },
                    takes: <$kind as $crate::config::kind::Kind>::TAKES,
                    allowed: <$kind as $crate::config::kind::Kind>::allowed,
                    choices: <$kind as $crate::config::kind::Kind>::choices,
                    set: |settings, raw| {
                        settings.$section.$name = <$kind as $crate::config::kind::Kind>::parse(raw)?;
                        Ok(())
                    },
                    show: |settings| {
                        <$kind as $crate::config::kind::Kind>::to_raw(&settings.$section.$name)
                    },
                },
            )*
        ];
    };
}
pub(in crate::config) use section;
