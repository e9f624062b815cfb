//! A configuration that a Python program makes step by step: `rwsgi.config.Config`.
//!
//! Defaults and environment are there from the start; each step lays a layer over those before it and checks it at once.
//! Owns the order within a step; which steps there are is the program's choice. Must never run Python or print. Read
//! next: `merge.rs`, `py/draft.rs`.

use std::ffi::OsString;

use super::cli::{self, Given};
use super::env;
use super::error::{ConfigError, Warning};
use super::file::FileLoader;
use super::merge::{self, Assignment, Layer, Merge};
use super::origin::Origin;
use super::raw::Raw;
use super::sources::Sources;
use super::table::{self, Settings};

pub struct Draft {
    sources: Sources,
    merge: Merge,
    /// A config file is among the layers.
    has_file: bool,
    /// Those that `read_arguments` found.
    cmd_args: Layer,
    flags: Layer,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// The settings it gives, and the words that belong to no flag.
    Run(Vec<(&'static str, Raw)>, Vec<String>),
    /// To print this text.
    Print(String),
}

impl Draft {
    pub fn new(sources: Sources) -> Result<Self, ConfigError> {
        let mut merge = Merge::default();
        merge.apply(env::layer(&sources)?)?;
        Ok(Self { sources, merge, has_file: false, cmd_args: Layer::default(), flags: Layer::default() })
    }

    pub const fn settings(&self) -> &Settings {
        &self.merge.settings
    }

    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// A value of the program's own. False if there is no such setting.
    pub fn set(&mut self, name: &str, raw: Raw) -> Result<bool, ConfigError> {
        let Some(row) = table::row(name) else { return Ok(false) };
        let assignments = vec![Assignment { row, raw, origin: Origin::Application }];
        self.merge.apply(Layer { assignments, warnings: Vec::new() })?;
        Ok(true)
    }

    /// Reads `argv` and the variable of extra arguments. They count from `lay_arguments` on.
    pub fn read_arguments(&mut self, argv: Vec<OsString>, usage: &str) -> Result<Asked, ConfigError> {
        let (flags, words) = cli::parse_words(argv, usage)?;
        match (flags, merge::cmd_args(&self.sources)?) {
            (Given::Help(text), _) | (Given::Layer(_), Given::Help(text)) => Ok(Asked::Print(text)),
            (Given::Version, _) | (_, Given::Version) => {
                Ok(Asked::Print(format!("{}\n", super::VERSION_LINE)))
            }
            (Given::Layer(flags), Given::Layer(cmd_args)) => {
                (self.flags, self.cmd_args) = (flags, cmd_args);
                let given = self.flags.assignments.iter();
                Ok(Asked::Run(given.map(|given| (given.row.name, given.raw.clone())).collect(), words))
            }
        }
    }

    /// The config file that was named, else a default one; then the arguments over it.
    pub fn lay_arguments(&mut self, loader: &mut dyn FileLoader) -> Result<(), ConfigError> {
        let (cmd_args, flags) = (std::mem::take(&mut self.cmd_args), std::mem::take(&mut self.flags));
        let named = self.merge.config_named_by(&[&cmd_args, &flags])?;
        self.lay_file(named.as_deref(), loader)?;
        self.merge.apply(cmd_args)?;
        self.merge.apply(flags)
    }

    /// A config file as `config` names it; without a name a default one, if there is any.
    pub fn lay_file(&mut self, named: Option<&str>, loader: &mut dyn FileLoader) -> Result<(), ConfigError> {
        self.has_file |= self.merge.lay_file(named, &self.sources.cwd, loader)?;
        Ok(())
    }

    /// The configuration as it is now. The draft stays open.
    pub fn finish(&self) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let mut merge = self.merge.clone();
        if merge.settings.config_file.config.is_some() && !self.has_file {
            let origin = merge.settings.origin("config");
            let why = "only rwsgi.app.base.Application reads a config file by itself";
            merge.warnings.push(Warning(format!("{origin}: config has no effect: {why}")));
        }
        merge.resolve(&self.sources.cwd)?;
        Ok((merge.settings, merge.warnings))
    }
}
