//! The layers, lowest first, laid over each other into [`Settings`].
//!
//! defaults < environment < config file < `RWSGI_CMD_ARGS` < command line. Where `pserve` has started this process, its
//! server section stands in the place of the last two. Every layer is checked, also where
//! a higher one replaces it. Invariant: the result is a function of [`Sources`] and the loader, so a reload
//! can run it again; only the directories and files that settings name are looked up. Read next: `cli.rs`,
//! `env.rs`, `file.rs`, one per layer.

use std::path::{Path, PathBuf};

use super::cli::{self, Given};
use super::error::{ConfigError, Warning};
use super::file::{self, ConfigSource, FileLoader};
use super::ini;
use super::origin::Origin;
use super::raw::Raw;
use super::row::Row;
use super::sources::Sources;
use super::table::{self, Settings};
use super::{application, env, kind};
use crate::sys::identity;

/// One value that one layer gives one setting.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) row: &'static Row,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) assignments: Vec<Assignment>,
    pub(super) warnings: Vec<Warning>,
}

/// What the user asked for.
#[derive(Debug)]
pub enum Parsed {
    Run(Box<Settings>, Vec<Warning>),
    /// The text to print.
    Help(String),
    Version,
}

pub fn load(sources: &Sources, loader: &mut dyn FileLoader) -> Result<Parsed, ConfigError> {
    let upper = match flags(sources)? {
        Given::Layer(layer) => layer,
        Given::Help(text) => return Ok(Parsed::Help(text)),
        Given::Version => return Ok(Parsed::Version),
    };
    let lower = match cmd_args(sources)? {
        Given::Layer(layer) => layer,
        Given::Help(text) => return Ok(Parsed::Help(text)),
        Given::Version => return Ok(Parsed::Version),
    };
    let mut merge = Merge::default();
    merge.apply(env::layer(sources)?)?;
    let named = merge.config_named_by(&[&lower, &upper])?;
    merge.lay_file(named.as_deref(), &sources.cwd, loader)?;
    merge.apply(lower)?;
    merge.apply(upper)?;
    merge.resolve(&sources.cwd)?;
    Ok(Parsed::Run(Box::new(merge.settings), merge.warnings))
}

/// A process that a server section has started has another program's arguments.
fn flags(sources: &Sources) -> Result<Given, ConfigError> {
    match &sources.section {
        Some(section) => ini::layer(section, &sources.cwd).map(Given::Layer),
        None => cli::parse(sources.argv.clone(), &Origin::Cli),
    }
}

pub(super) fn cmd_args(sources: &Sources) -> Result<Given, ConfigError> {
    if sources.section.is_some() {
        return Ok(Given::Layer(Layer::default()));
    }
    match env::cmd_args(sources)? {
        Some((words, origin)) => cli::parse(words, &origin),
        None => Ok(Given::Layer(Layer::default())),
    }
}

#[derive(Clone, Default)]
pub(super) struct Merge {
    pub(super) settings: Settings,
    pub(super) warnings: Vec<Warning>,
}

impl Merge {
    pub(super) fn apply(&mut self, layer: Layer) -> Result<(), ConfigError> {
        for Assignment { row, raw, origin } in layer.assignments {
            (row.set)(&mut self.settings, &raw)
                .map_err(|reject| ConfigError::invalid(row, &raw, &origin, &reject))?;
            if !row.has_default(&self.settings) {
                self.warnings.extend(row.judge(&origin)?);
            }
            self.settings.origins.insert(row.name, origin);
        }
        self.warnings.extend(layer.warnings);
        Ok(())
    }

    /// The config file must be known before its layer is laid, so the layers above it are asked ahead of
    /// their turn.
    pub(super) fn config_named_by(&mut self, layers: &[&Layer]) -> Result<Option<String>, ConfigError> {
        let named = layers.iter().flat_map(|layer| &layer.assignments).filter(|a| a.row.name == "config");
        let assignments = named.cloned().collect();
        self.apply(Layer { assignments, warnings: Vec::new() })?;
        Ok(self.settings.config_file.config.clone())
    }

    /// A config file as `config` names it; without a name a default one. False if there is none.
    pub(super) fn lay_file(
        &mut self,
        named: Option<&str>,
        cwd: &Path,
        loader: &mut dyn FileLoader,
    ) -> Result<bool, ConfigError> {
        let (source, warnings) = file::source(named, cwd)?;
        self.warnings.extend(warnings);
        let Some(source) = source else { return Ok(false) };
        self.apply(file::read(&source, loader)?)?;
        self.note_default_file(&source);
        Ok(true)
    }

    fn note_default_file(&mut self, source: &ConfigSource) {
        if let (None, ConfigSource::File { shown, .. }) = (&self.settings.config_file.config, source) {
            self.settings.config_file.config = Some(shown.display().to_string());
        }
    }

    /// Looks up what the values name, when all layers are laid.
    pub(super) fn resolve(&mut self, cwd: &Path) -> Result<(), ConfigError> {
        self.resolve_chdir(cwd)?;
        self.resolve_paste(cwd)?;
        self.resolve_extra_files(cwd)?;
        self.find_accounts()
    }

    /// Absolute, so that a reload finds the same directory after the process has changed to it.
    fn resolve_chdir(&mut self, cwd: &Path) -> Result<(), ConfigError> {
        let named = self.settings.mechanics.chdir.clone();
        let chdir: PathBuf = cwd.join(&named).components().collect();
        if !chdir.is_dir() {
            let reason = format!("can't chdir to '{}'", named.display());
            return Err(self.unusable("chdir", &named.display().to_string(), reason));
        }
        self.settings.mechanics.chdir = chdir;
        Ok(())
    }

    /// Absolute, for the same reason. Loggers in the file are a default.
    fn resolve_paste(&mut self, cwd: &Path) -> Result<(), ConfigError> {
        let Some(uri) = self.settings.mechanics.paste.take() else { return Ok(()) };
        let (named, section) = application::split(&uri);
        let file = cwd.join(named);
        if !file.is_file() {
            return Err(self.unusable("paste", &uri, format!("there is no file '{}'", named.display())));
        }
        let section = section.map(|name| format!("#{name}")).unwrap_or_default();
        self.settings.mechanics.paste = Some(format!("{}{section}", file.display()));
        let open = *self.settings.origin("logconfig") == Origin::Default;
        if let (Some(file), true) = (self.settings.paste_file().map(Path::to_owned), open)
            && let Some(line) = ini::loggers(&file)
        {
            let path = named.strip_prefix(cwd).unwrap_or(named).to_owned();
            self.settings.logging.logconfig = Some(file.display().to_string());
            self.settings.origins.insert("logconfig", Origin::File { path, line: Some(line) });
        }
        Ok(())
    }

    /// Absolute, for the same reason.
    fn resolve_extra_files(&mut self, cwd: &Path) -> Result<(), ConfigError> {
        for named in std::mem::take(&mut self.settings.debugging.reload_extra_files) {
            let path = cwd.join(&named);
            if !named.contains(['*', '?', '[']) && !path.exists() {
                return Err(self.unusable("reload_extra_files", &named, format!("there is no '{named}'")));
            }
            self.settings.debugging.reload_extra_files.push(path.display().to_string());
        }
        Ok(())
    }

    fn find_accounts(&self) -> Result<(), ConfigError> {
        let settings = &self.settings.identity;
        if let Some(user) = &settings.user {
            identity::uid(user).map_err(|reason| self.unusable("user", user, reason))?;
        }
        if let Some(group) = &settings.group {
            identity::gid(group).map_err(|reason| self.unusable("group", group, reason))?;
        }
        Ok(())
    }

    /// The error for a value that is one of its kind but stands for nothing that is there.
    fn unusable(&self, name: &str, value: &str, reason: String) -> ConfigError {
        match table::row(name) {
            Some(row) => ConfigError::invalid(
                row,
                &Raw::from(value),
                self.settings.origin(row.name),
                &kind::Reject::Because(reason),
            ),
            None => ConfigError::config(reason),
        }
    }
}
