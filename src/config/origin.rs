//! Where a value came from, for `--print-config` and for error messages.
//!
//! Owns the list of layers, lowest first: the order in which `merge` applies them. Read next: `merge.rs`.

use std::fmt;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// An environment variable, by name.
    Env(String),
    /// The Python program that embeds the server. Where in the order it stands is the program's choice.
    Application,
    File {
        path: PathBuf,
        line: Option<u32>,
    },
    /// The variable that holds extra command-line text.
    CmdArgs(String),
    Cli,
}

impl Origin {
    /// A higher one counts for more.
    pub(super) const fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Env(_) => 1,
            Self::File { .. } => 2,
            Self::CmdArgs(_) => 3,
            Self::Cli => 4,
            Self::Application => 5,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Env(variable) | Self::CmdArgs(variable) => f.write_str(variable),
            Self::Application => f.write_str("application"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Cli => f.write_str("command line"),
        }
    }
}
