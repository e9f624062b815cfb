//! `reload`: a worker that leaves when its code has changed, and one that waits for a mend when it could not be loaded.
//!
//! Owns what is watched and what a change leads to. The master knows nothing of it: to it a worker has left by itself with
//! nothing wrong, and a broken one serves. Must never end a worker for a file that the application does not consist of.
//! Read next: `watch/mod.rs`.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;
use pyo3::prelude::*;

use super::hooked::Hooked;
use super::life::{self, Stop};
use crate::config::Settings;
use crate::py::failure::LoadError;
use crate::py::hooks::Hook;
use crate::py::modules;
use crate::scoreboard::Scoreboard;
use crate::sys::clock;
use crate::watch::Watcher;
use crate::wsgi::broken;

/// How often the modules are listed and every file is looked at, whether or not the kernel has told of a change.
const ROUND: Duration = Duration::from_secs(1);

pub(super) struct Reloader {
    watcher: Watcher,
    patterns: Vec<String>,
    config_file: Option<PathBuf>,
    /// The application was loaded by the master, so that only the master can load it again.
    preloaded: bool,
    scoreboard: Scoreboard,
    hooked: Arc<Hooked>,
    /// When the last round was, by both clocks.
    last: Duration,
    since: Duration,
}

impl Reloader {
    /// Before the application is loaded: what is written from now on may have been read too early.
    pub(super) fn new(
        settings: &Settings,
        config_file: Option<&Path>,
        scoreboard: &Scoreboard,
        hooked: &Arc<Hooked>,
    ) -> io::Result<Self> {
        let debugging = &settings.debugging;
        let (patterns, files): (Vec<_>, Vec<_>) = debugging
            .reload_extra_files
            .iter()
            .cloned()
            .partition(|path| path.contains(['*', '?', '[']) && !Path::new(path).exists());
        let since = clock::wall();
        let mut watcher = Watcher::new(debugging.reload_engine)?;
        let named = config_file.into_iter().chain(settings.paste_file());
        files.iter().map(Path::new).chain(named).for_each(|file| watcher.watch(file, since));
        Ok(Self {
            watcher,
            patterns,
            config_file: config_file.map(Path::to_owned),
            preloaded: settings.mechanics.preload_app,
            scoreboard: scoreboard.clone(),
            hooked: Arc::clone(hooked),
            last: Duration::ZERO,
            since,
        })
    }

    /// What answers in place of an application that could not be loaded.
    pub(super) fn stand_in(&mut self, py: Python<'_>, error: &LoadError) -> PyResult<Py<PyAny>> {
        if self.scoreboard.claim_notice(error.fingerprint()) {
            error.log();
        }
        let files = error.cause(py).map(|cause| modules::files_of(py, &cause)).transpose()?;
        files.iter().flatten().for_each(|file| self.watcher.watch(file, self.since));
        broken::application(py, &error.details())
    }

    /// The application is there: the next failure is to be told, even if it is the last one again.
    pub(super) fn mended(&self) {
        self.scoreboard.claim_notice(0);
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.descriptor()
    }

    /// Takes the kernel's word. True if it is time to look.
    pub(super) fn has_news(&self) -> bool {
        self.watcher.has_news()
    }

    /// A round, if it is time for one.
    pub(super) fn look_around(&mut self, py: Python<'_>, now: Duration) {
        if now.saturating_sub(self.last) >= ROUND {
            self.last = now;
            if let Err(error) = self.list(py) {
                log::error!("Cannot list the application's files: {error}");
            }
            self.look(py);
        }
    }

    fn list(&mut self, py: Python<'_>) -> PyResult<()> {
        let wall = clock::wall();
        let mut files = modules::own_files(py)?;
        for pattern in &self.patterns {
            files.extend(modules::matching(py, pattern)?);
        }
        files.iter().for_each(|file| self.watcher.watch(file, self.since));
        self.since = wall;
        Ok(())
    }

    pub(super) fn look(&mut self, py: Python<'_>) {
        if life::asked() != Stop::No {
            return;
        }
        let Some(changed) = self.watcher.changed() else { return };
        if self.preloaded || self.config_file.as_ref() == Some(&changed) {
            self.reload_master(&changed);
        } else {
            log::info!("Worker reloading: {} modified", changed.display());
            self.hooked.on_signal(py, Hook::WorkerInt);
            life::ask(Stop::Graceful);
        }
    }

    /// One worker is enough to tell the master.
    fn reload_master(&mut self, changed: &Path) {
        let stamp = self.watcher.renew(changed);
        if !self.scoreboard.claim_notice(stamp) {
            return;
        }
        log::info!("Reloading: {} modified", changed.display());
        if let Err(error) = kill(getppid(), Signal::SIGHUP) {
            log::error!("Cannot send HUP to the master: {}", error.desc());
        }
    }
}
