//! The config file as a layer: which file, and what the globals of a Python one mean.
//!
//! A Python file is a program; running it is somebody else's ([`FileLoader`]), so that this stays testable
//! without Python. Names that are no setting's are the file's own business, unless they nearly are. Read
//! next: `py/config_file.rs`, which runs it; `toml.rs`, for the other kind of file.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, Warning};
use super::merge::{Assignment, Layer};
use super::names;
use super::origin::Origin;
use super::raw::Raw;
use super::table;
use super::toml;

/// Read from the launch directory when none is named: the first that exists.
const DEFAULTS: [&str; 3] = ["rwsgi.conf.py", "rwsgi.toml", "gunicorn.conf.py"];
/// The same, if it has a table for this program. It also speaks to others.
const SHARED: &str = "pyproject.toml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// An existing file, with its path as the user wrote it for messages.
    File { path: PathBuf, shown: PathBuf },
    /// A module to import, by dotted name.
    Module(String),
}

/// One global of a config file.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    pub name: String,
    pub value: Raw,
    /// Where the file last assigns it, if that can be told.
    pub line: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The file, for messages.
    pub path: PathBuf,
    pub globals: Vec<Global>,
}

pub trait FileLoader {
    fn load(&mut self, source: &ConfigSource) -> Result<Loaded, ConfigError>;
}

/// What `config` stands for; without it a default file.
pub(super) fn source(
    config: Option<&str>,
    cwd: &Path,
) -> Result<(Option<ConfigSource>, Vec<Warning>), ConfigError> {
    let Some(config) = config else { return Ok(default(cwd)) };
    if let Some(module) = config.strip_prefix("python:") {
        return Ok((Some(ConfigSource::Module(module.to_owned())), Vec::new()));
    }
    let name = config.strip_prefix("file:").unwrap_or(config);
    if !cwd.join(name).exists() {
        return Err(ConfigError::config(format!("'{name}' doesn't exist{}", searched(name, cwd))));
    }
    Ok((Some(at(name, cwd)), extension(name).into_iter().collect()))
}

fn default(cwd: &Path) -> (Option<ConfigSource>, Vec<Warning>) {
    let mut found: Vec<&str> = DEFAULTS.into_iter().filter(|name| cwd.join(name).exists()).collect();
    if toml::has_table(&cwd.join(SHARED)) {
        found.push(SHARED);
    }
    let Some((first, rest)) = found.split_first() else { return (None, Vec::new()) };
    let left = |name: &&str| Warning(format!("{name} is not read, because there is {first}"));
    (Some(at(first, cwd)), rest.iter().map(left).collect())
}

/// Where a relative path was looked for: not always where its author was.
fn searched(name: &str, cwd: &Path) -> String {
    if Path::new(name).is_absolute() { String::new() } else { format!(" in {}", cwd.display()) }
}

fn at(name: &str, cwd: &Path) -> ConfigSource {
    let shown = name.strip_prefix("./").unwrap_or(name);
    ConfigSource::File { path: cwd.join(shown), shown: PathBuf::from(shown) }
}

fn extension(name: &str) -> Option<Warning> {
    let extension = Path::new(name).extension().unwrap_or_default();
    let known = ["py", "pyc", "toml"].iter().any(|known| extension == *known);
    (!known).then(|| {
        Warning(format!(
            "{name}: configuration file should have a valid Python extension; it is read as Python"
        ))
    })
}

/// Reads the source: a TOML file here, a program by the loader.
pub(super) fn read(source: &ConfigSource, loader: &mut dyn FileLoader) -> Result<Layer, ConfigError> {
    match source {
        ConfigSource::File { path, shown } if path.extension().is_some_and(|kind| kind == "toml") => {
            toml::layer(path, shown)
        }
        source => layer(&loader.load(source)?),
    }
}

fn layer(loaded: &Loaded) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for global in &loaded.globals {
        let origin = Origin::File { path: loaded.path.clone(), line: global.line };
        if global.name == "config" {
            // gunicorn takes it and does nothing; it is as likely a variable of the file's own.
            continue;
        }
        if let Some(row) = table::row(&global.name) {
            layer.assignments.push(Assignment { row, raw: global.value.clone(), origin });
        } else {
            layer.warnings.extend(misspelling(global, loaded, &origin));
        }
    }
    Ok(layer)
}

fn misspelling(global: &Global, loaded: &Loaded, origin: &Origin) -> Option<Warning> {
    let name = &global.name;
    if name.starts_with('_') || matches!(global.value, Raw::Callable(_)) {
        return None;
    }
    let meant = names::nearest(name)?;
    // `WORKERS = 4` above `workers = WORKERS` is no mistake.
    if loaded.globals.iter().any(|other| other.name == meant) {
        return None;
    }
    Some(Warning(names::unknown(name, origin)))
}
