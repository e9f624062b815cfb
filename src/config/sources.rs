//! Everything the configuration is made from, as values.
//!
//! The one place in `config` that looks at the process: the rest of it is a function of [`Sources`] and of
//! what the config file says, and can be run twice (HUP) or in a test with the same result. Read next:
//! `merge.rs`.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ini::ServerSection;
use super::table::Settings;

#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The arguments after the program's name.
    pub argv: Vec<OsString>,
    pub env: Vec<(String, String)>,
    /// Where the server was started: relative paths in flags start here, also after a `chdir`.
    pub cwd: PathBuf,
    /// In place of arguments, where a server section of an ini file started this process.
    pub section: Option<ServerSection>,
}

impl Sources {
    pub fn of_process(argv: Vec<OsString>) -> io::Result<Self> {
        // A variable that is not UTF-8 is none of ours.
        let env: Vec<_> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        let cwd = std::env::current_dir()?;
        let pwd = env.iter().find(|(name, _)| name == "PWD").map(|(_, path)| PathBuf::from(path));
        // The shell's idea of the path, which keeps the symbolic links a deployment switches.
        let cwd = pwd.filter(|pwd| pwd.is_absolute() && is_same(pwd, &cwd)).unwrap_or(cwd);
        Ok(Self { argv, env, cwd, section: None })
    }

    /// The file that `settings` come from, if they come from one.
    pub fn config_file(&self, settings: &Settings) -> Option<PathBuf> {
        let named = settings.config_file.config.as_deref()?;
        let named = named.strip_prefix("file:").unwrap_or(named);
        (!named.starts_with("python:")).then(|| self.cwd.join(named))
    }

    /// The last value wins, as in a C environment that holds a name twice.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
