//! HUP: the configuration is read again, checked as a whole, and only then put in the running one's place.
//!
//! Owns the way back: whatever fails leaves the process as it was, with the previous generation's settings, sockets,
//! logs and variables. Must never end the master. Read next: `state/reload.rs`, which replaces the workers.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;

use super::generation::{Generation, identity_of};
use super::pidfile::PidFile;
use super::run::{Flow, Master};
use super::start::announce;
use super::state::{Event, State};
use crate::config::{self, Parsed, Settings, Sources, Warning};
use crate::log::Logs;
use crate::py::config_file::{Objects, PythonLoader};
use crate::py::hooks::Context;
use crate::py::surroundings;

impl Master {
    pub(super) fn reload(&mut self, py: Python<'_>) -> Flow {
        let preloaded = self.settings().is_some_and(|settings| settings.mechanics.preload_app);
        if preloaded && self.kept.served.embedder.is_some() {
            log::warn!(
                "A program that embeds the server keeps the application it preloaded; USR2 loads new code"
            );
        } else if preloaded {
            // This process has the old code in it and cannot forget it.
            let event = match self.try_new_code(py) {
                Ok(pid) => Event::Trying { pid },
                Err(error) => Event::ReloadFailed(error.to_string()),
            };
            return self.feed(py, event);
        }
        let generation = match self.next_generation(py) {
            Ok(generation) => generation,
            Err(reason) => {
                self.enter(py, self.state.generation());
                return self.feed(py, Event::ReloadFailed(reason));
            }
        };
        let plan = generation.plan();
        let actions = self.state.on_event(Event::Reloaded(plan), crate::sys::clock::monotonic());
        let number = self.state.generation();
        let moved = self.current_urls_differ(&generation);
        self.generations.insert(number, generation);
        self.size_told = self.state.target();
        self.enter(py, number);
        if let Some(generation) = self.generations.get(&number).filter(|_| moved) {
            announce(generation);
        }
        for action in actions {
            self.perform(py, action)?;
        }
        ControlFlow::Continue(())
    }

    fn current_urls_differ(&self, fresh: &Generation) -> bool {
        self.generations.values().next_back().is_none_or(|running| running.urls != fresh.urls)
    }

    /// Everything that can fail, in the order in which it is cheapest to undo.
    fn next_generation(&mut self, py: Python<'_>) -> Result<Generation, String> {
        let running = self.settings().ok_or("there is no generation to replace")?;
        let (settings, objects) = self.read_again(py, &running)?;
        let settings = Arc::new(settings);
        let identity = identity_of(&settings)?;
        let logs = Logs::open(&settings, identity.as_ref())?;
        let context = Context::new(py, &settings, &logs, objects, &self.kept.served);
        let context = context.map_err(|error| error.to_string())?;
        let mut generation = Generation::new(settings, logs, identity, context);
        let bound = generation.bind(&self.open_listeners(), &self.kept.passed);
        let settled = bound
            .map_err(|error| error.to_string())
            .and_then(|()| self.move_pidfile(generation.settings.mechanics.pidfile.as_deref()))
            .and_then(|()| self.tell_reload(py, &generation));
        match settled {
            Ok(()) => Ok(generation),
            Err(reason) => {
                generation.close();
                Err(reason)
            }
        }
    }

    fn read_again(&mut self, py: Python<'_>, running: &Settings) -> Result<(Settings, Objects), String> {
        // The file may read variables: it must see what it saw at the start.
        self.kept.variables.restore(py).map_err(|error| error.to_string())?;
        let (mut settings, warnings, objects) = match &self.kept.served.embedder {
            Some(embedder) => embedder.read_again(py).map_err(|error| error.to_string())?,
            None => read_sources(&self.kept.sources)?,
        };
        if !self.kept.served.is_named(&settings) {
            return Err(crate::cli::NO_APPLICATION.to_owned());
        }
        for warning in warnings {
            log::warn!("{warning}");
        }
        for name in settings.keep_fixed(running) {
            log::warn!("{name} changed: a reload keeps the running value, a restart takes the new one");
        }
        self.kept.variables.apply(py, &settings.mechanics.raw_env).map_err(|error| error.to_string())?;
        Ok((settings, objects))
    }

    /// Makes the process what this generation's settings say: after a reload, and on the way back from one.
    pub(super) fn enter(&mut self, py: Python<'_>, number: u32) {
        let Some(generation) = self.generations.get(&number) else { return };
        let settings = Arc::clone(&generation.settings);
        generation.context.restore_loggers(py, &generation.logs);
        crate::log::install(&generation.logs, settings.logging.loglevel);
        if settings.logging.capture_output
            && let Err(error) = surroundings::print_by_line(py)
        {
            log::error!("Cannot print by line: {error}");
        }
        self.show_title();
        self.show(py);
        if let Err(error) = self.kept.variables.apply(py, &settings.mechanics.raw_env) {
            log::error!("Cannot set the variables of raw_env: {error}");
        }
        if let Err(reason) = self.move_pidfile(settings.mechanics.pidfile.as_deref()) {
            log::error!("{reason}");
        }
    }

    /// Writes the new pid file before the old one goes; nothing changes if that fails.
    fn move_pidfile(&mut self, path: Option<&Path>) -> Result<(), String> {
        let wanted = path.and_then(|path| std::path::absolute(pidfile_name(path, &self.state)).ok());
        if wanted.as_deref() == self.pidfile.as_ref().map(PidFile::path) {
            return Ok(());
        }
        let fresh = wanted.as_deref().map(PidFile::create).transpose().map_err(|error| error.to_string())?;
        if let Some(old) = std::mem::replace(&mut self.pidfile, fresh) {
            old.remove();
        }
        Ok(())
    }
}

fn read_sources(sources: &Sources) -> Result<(Settings, Vec<Warning>, Objects), String> {
    let mut loader = PythonLoader::new(&sources.cwd);
    match config::load(sources, &mut loader).map_err(|error| error.to_string())? {
        Parsed::Run(settings, warnings) => Ok((*settings, warnings, loader.into_objects())),
        _ => Err("the arguments no longer name a server to run".to_owned()),
    }
}

/// The older master has the plain name for as long as it lives.
pub(super) fn pidfile_name(path: &Path, state: &State) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if state.predecessor().is_some() {
        name.push(".2");
    }
    name.into()
}
