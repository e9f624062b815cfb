//! Server hooks: the table of them, the callables of one configuration, and how one is called.
//!
//! Owns which hooks there are and how many arguments each takes. When a hook is called, and what its failure means, is
//! with whoever calls: `arbiter/hooks.rs`, `worker/hooked.rs`, `wsgi/hooks.rs`. A hook's exception never gets past
//! [`HookError`], `SystemExit` included. Read next: `callable.rs`.

mod app;
mod callable;
mod cfg;
mod logger;
mod socket;

use std::sync::{Arc, OnceLock};
use std::{fmt, process};

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

pub use app::App;
pub use callable::Callable;
pub use cfg::{Config, python};
pub use logger::Logger;
pub use socket::Socket;

use super::bridge::{self, Bridge};
use super::config_file::Objects;
use super::served::Served;
use super::{failure, loggers};
use crate::config::{ConfigError, Settings};
use crate::log::Logs;

/// A moment at which a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    OnStarting,
    OnReload,
    WhenReady,
    PreFork,
    PostFork,
    PostWorkerInit,
    WorkerInt,
    WorkerAbort,
    PreExec,
    PreRequest,
    PostRequest,
    ChildExit,
    WorkerExit,
    NworkersChanged,
    OnExit,
}

struct Row {
    hook: Hook,
    /// The setting.
    name: &'static str,
    /// Arguments it gets, and how many of them it must at least take.
    most: usize,
    least: usize,
}

const fn row(hook: Hook, name: &'static str, arguments: usize) -> Row {
    Row { hook, name, most: arguments, least: arguments }
}

const TABLE: &[Row] = &[
    row(Hook::OnStarting, "on_starting", 1),
    row(Hook::OnReload, "on_reload", 1),
    row(Hook::WhenReady, "when_ready", 1),
    row(Hook::PreFork, "pre_fork", 2),
    row(Hook::PostFork, "post_fork", 2),
    row(Hook::PostWorkerInit, "post_worker_init", 1),
    row(Hook::WorkerInt, "worker_int", 1),
    row(Hook::WorkerAbort, "worker_abort", 1),
    row(Hook::PreExec, "pre_exec", 1),
    row(Hook::PreRequest, "pre_request", 2),
    Row { least: 2, ..row(Hook::PostRequest, "post_request", 4) },
    row(Hook::ChildExit, "child_exit", 2),
    row(Hook::WorkerExit, "worker_exit", 2),
    row(Hook::NworkersChanged, "nworkers_changed", 3),
    row(Hook::OnExit, "on_exit", 1),
];

impl Hook {
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.hook == self).map_or("", |row| row.name)
    }
}

/// The hooks that one configuration sets.
#[derive(Default)]
pub struct Hooks {
    set: Vec<(&'static Row, Callable)>,
}

impl Hooks {
    /// Finds what the settings name: callables of the config file, and others by import.
    pub fn load(py: Python<'_>, settings: &Settings, objects: &Objects) -> Result<Self, ConfigError> {
        let mut set = Vec::new();
        for row in TABLE {
            let Some(value) = settings.value(row.name) else { continue };
            let found = callable::find(py, &value, objects.get(row.name))
                .and_then(|found| found.map(|found| Callable::new(found, row.least..=row.most)).transpose())
                .map_err(|reason| settings.refuse(row.name, &reason))?;
            set.extend(found.map(|callable| (row, callable)));
        }
        Ok(Self { set })
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub fn find(&self, hook: Hook) -> Option<&Callable> {
        self.set.iter().find(|(row, _)| row.hook == hook).map(|(_, callable)| callable)
    }

    fn named(&self, name: &str) -> Option<&Callable> {
        self.set.iter().find(|(row, _)| row.name == name).map(|(_, callable)| callable)
    }

    /// Calls the hook if it is set.
    pub fn call<'py>(
        &self,
        py: Python<'py>,
        hook: Hook,
        arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    ) -> Result<(), HookError> {
        let Some(callable) = self.find(hook) else { return Ok(()) };
        let caller = process::id();
        let called =
            arguments.into_pyobject(py).map_err(Into::into).and_then(|arguments| callable.call(&arguments));
        if process::id() != caller {
            // A process the hook forked is its own affair: it must not come back as a second server.
            process::exit(status_of(py, called.as_ref().err()));
        }
        called.map_err(|error| HookError::new(py, hook, &error))
    }
}

/// The exit status that Python would end with.
fn status_of(py: Python<'_>, error: Option<&PyErr>) -> i32 {
    let Some(error) = error else { return 0 };
    let code = error.value(py).getattr("code").ok().filter(|_| error.is_instance_of::<PySystemExit>(py));
    match code {
        Some(code) if code.is_none() => 0,
        Some(code) => code.extract().unwrap_or(1),
        None => 1,
    }
}

/// A hook that raised.
#[derive(Debug)]
pub struct HookError {
    hook: Hook,
    /// On one line.
    summary: String,
    traceback: String,
    error: PyErr,
}

impl HookError {
    fn new(py: Python<'_>, hook: Hook, error: &PyErr) -> Self {
        let traceback = failure::traceback(py, error).trim_end().to_owned();
        Self { hook, summary: failure::summary(py, error), traceback, error: error.clone_ref(py) }
    }

    /// `post_fork raised ValueError: …`.
    pub fn summary(&self) -> String {
        format!("{} raised {}", self.hook.name(), self.summary)
    }

    pub fn error(&self) -> &PyErr {
        &self.error
    }

    pub fn log(&self) {
        let message = format!("Exception in {} hook", self.hook.name());
        Python::attach(|py| bridge::tell(py, &message, &self.error));
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exception in {} hook\n{}", self.hook.name(), self.traceback)
    }
}

/// The hooks of one configuration and what they all see of it.
pub struct Context {
    pub hooks: Arc<Hooks>,
    pub cfg: Py<Config>,
    pub log: Py<PyAny>,
    pub app: Py<App>,
    /// Python's logging in the place of the native logs, if the configuration asks for it or somebody has made it so.
    bridge: OnceLock<Arc<Bridge>>,
}

impl Context {
    /// Sets up the Python loggers of this configuration, to which `logs` are then handed over.
    pub fn new(
        py: Python<'_>,
        settings: &Arc<Settings>,
        logs: &Logs,
        objects: Objects,
        served: &Served,
    ) -> Result<Self, ConfigError> {
        let hooks = Arc::new(Hooks::load(py, settings, &objects)?);
        let refuse = |error: PyErr| ConfigError::config(format!("cannot set up the hooks: {error}"));
        let cfg =
            Py::new(py, Config::new(Arc::clone(settings), Arc::clone(&hooks), objects)).map_err(refuse)?;
        let level = settings.logging.loglevel;
        let bridge = OnceLock::new();
        let log = match Bridge::open(py, &cfg)? {
            Some(opened) => {
                logs.hand_over(Arc::clone(&opened) as Arc<dyn crate::log::Bridge>);
                bridge.get_or_init(|| opened).logger().clone_ref(py)
            }
            None => {
                loggers::route(py, logs, level).map_err(refuse)?;
                Py::new(py, Logger::new(logs.clone())).map_err(refuse)?.into_any()
            }
        };
        let app = Py::new(py, App::new(py, &cfg, served)).map_err(refuse)?;
        Ok(Self { hooks, cfg, log, app, bridge })
    }

    pub fn bridge(&self) -> Option<&Arc<Bridge>> {
        self.bridge.get()
    }

    /// Hands `logs` over to the loggers that stand for them if somebody has changed those: to be asked after code of the
    /// user's has run.
    pub fn follow_changes(&self, py: Python<'_>, logs: &Logs) {
        if self.bridge.get().is_some() {
            return;
        }
        match Bridge::to_changed(py, &self.cfg) {
            Ok(None) => {}
            Ok(Some(bridge)) => {
                logs.hand_over(Arc::clone(&bridge) as Arc<dyn crate::log::Bridge>);
                // It was empty.
                let _ = self.bridge.set(bridge);
                crate::log::install(logs, self.cfg.get().settings().logging.loglevel);
            }
            Err(error) => {
                log::warn!(
                    "The loggers' filters and handlers are not used: {}",
                    failure::summary(py, &error)
                );
            }
        }
    }

    /// Makes the loggers what they are for this configuration, after another was tried.
    pub fn restore_loggers(&self, py: Python<'_>, logs: &Logs) {
        let level = self.cfg.get().settings().logging.loglevel;
        let restored = match self.bridge.get() {
            Some(bridge) => bridge.restore(py),
            None => loggers::route(py, logs, level),
        };
        if let Err(error) = restored {
            log::error!("Cannot set up the loggers: {}", failure::summary(py, &error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_is_a_setting_and_has_one_row() {
        let settings = Settings::default();
        for (index, row) in TABLE.iter().enumerate() {
            assert!(settings.value(row.name).is_some(), "{}", row.name);
            assert_eq!(row.hook.name(), row.name);
            assert!(TABLE.iter().skip(index + 1).all(|other| other.hook != row.hook));
        }
        let section = crate::config::table::rows().filter(|row| row.section == "Server hooks" && row.works());
        assert_eq!(section.count(), TABLE.len());
    }
}
