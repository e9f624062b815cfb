//! What is served: an application by its specification, that of an ini file, or that of a Python program which embeds the
//! server.
//!
//! Owns every call into the program's own object (`rwsgi.app.base.BaseApplication`): for its settings, and for the
//! application. Whatever it raises comes back as a value. Must never call it outside the master but to load the
//! application. Read next: `app.rs`, `python/rwsgi/app/base.py`.

use pyo3::prelude::*;

use super::app;
use super::asgi;
use super::config_file::Objects;
use super::draft::Draft;
use super::failure::{Fault, LoadError};
use super::paste;
use crate::config::{Application, ConfigError, Settings, Sources, Warning};

/// The object of a Python program by which it embeds the server.
pub struct Embedder(Py<PyAny>);

/// What the master serves, beside what its settings say.
#[derive(Default)]
pub struct Served {
    pub embedder: Option<Embedder>,
    /// The application, if the master has loaded it.
    pub preloaded: Option<Py<PyAny>>,
}

impl Served {
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        let embedder = self.embedder.as_ref().map(|embedder| Embedder(embedder.0.clone_ref(py)));
        Self { embedder, preloaded: self.preloaded.as_ref().map(|app| app.clone_ref(py)) }
    }

    /// Whether there is anything to serve.
    pub fn is_named(&self, settings: &Settings) -> bool {
        self.embedder.is_some() || settings.app_spec().is_some()
    }

    /// What messages call it.
    pub fn name(&self, py: Python<'_>, settings: &Settings) -> String {
        match &self.embedder {
            Some(embedder) => embedder.name(py),
            None => settings.app_spec().unwrap_or_default().to_owned(),
        }
    }

    pub fn load(&self, py: Python<'_>, settings: &Settings) -> Result<Py<PyAny>, LoadError> {
        let application = match (&self.preloaded, &self.embedder) {
            (Some(application), _) => return Ok(application.clone_ref(py)),
            (None, Some(embedder)) => embedder.load(py)?,
            (None, None) => load(py, settings)?,
        };
        let checked = asgi::check(application.bind(py), settings);
        checked.map_err(|fault| LoadError::new(py, &self.name(py, settings), fault))?;
        Ok(application)
    }
}

impl Embedder {
    pub fn new(application: &Bound<'_, PyAny>) -> Self {
        Self(application.clone().unbind())
    }

    /// What hooks see as the application.
    pub const fn object(&self) -> &Py<PyAny> {
        &self.0
    }

    /// The settings that the program has made, and what from.
    pub fn read(&self, py: Python<'_>) -> Result<(Settings, Vec<Warning>, Objects, Sources), ConfigError> {
        let draft = self.0.bind(py).getattr("cfg").and_then(|cfg| cfg.getattr("draft"));
        let draft = draft.and_then(|draft| draft.cast_into::<Draft>().map_err(PyErr::from));
        let strange = |error| ConfigError::config(format!("cfg is no rwsgi.config.Config: {error}"));
        let draft = draft.map_err(strange)?;
        let draft = draft.try_borrow().map_err(|error| ConfigError::config(error.to_string()))?;
        let (settings, warnings, objects) = draft.finish(py)?;
        Ok((settings, warnings, objects, draft.launch().clone()))
    }

    /// Has the program make them anew. If it cannot, it keeps those that it had.
    pub fn read_again(&self, py: Python<'_>) -> Result<(Settings, Vec<Warning>, Objects), ConfigError> {
        let application = self.0.bind(py);
        let before = application.getattr("cfg").ok();
        let made = application.call_method0("reload").map_err(|error| refusal(py, &error));
        let read = made.and_then(|_| self.read(py));
        if let (Err(_), Some(before)) = (&read, before) {
            // It was there under that name.
            let _ = application.setattr("cfg", before);
        }
        read.map(|(settings, warnings, objects, _)| (settings, warnings, objects))
    }

    fn load(&self, py: Python<'_>) -> Result<Py<PyAny>, LoadError> {
        let application = self.0.bind(py);
        let fault = match application.call_method0("wsgi") {
            Ok(callable) if callable.is_callable() => return Ok(callable.unbind()),
            Ok(other) => {
                let kind = other.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
                Fault::refused(format!("load() must return a callable, not {kind}."))
            }
            Err(error) if is(py, &error, "AppImportError") => Fault::refused(text(py, &error)),
            Err(error) => Fault::Raised(error),
        };
        Err(LoadError::new(py, &self.name(py), fault))
    }

    /// For messages: what it serves, or else its own class.
    fn name(&self, py: Python<'_>) -> String {
        let application = self.0.bind(py);
        let uri = application.getattr("app_uri").and_then(|uri| uri.extract::<String>());
        uri.or_else(|_| Ok::<_, PyErr>(application.get_type().name()?.to_string())).unwrap_or_default()
    }
}

/// The application that the settings name.
pub(super) fn load(py: Python<'_>, settings: &Settings) -> Result<Py<PyAny>, LoadError> {
    let spec = settings.app_spec().unwrap_or_default();
    match settings.application() {
        Some(Application::Paste(app)) => paste::load(py, &app, spec),
        _ => app::load(py, spec),
    }
}

/// The application of a specification, for a program that loads it itself.
pub fn import(py: Python<'_>, spec: &str) -> PyResult<Py<PyAny>> {
    app::load(py, spec).map_err(|error| exception(py, &error))
}

/// What the application's code has raised, else one of `rwsgi.errors`.
pub(super) fn exception(py: Python<'_>, error: &LoadError) -> PyErr {
    error.cause(py).unwrap_or_else(|| {
        let report = error.report();
        let reason = report.strip_prefix("Cannot load ").and_then(|rest| rest.split_once(": "));
        let reason = reason.map_or(report, |(_, reason)| reason).to_owned();
        let class = py.import("rwsgi.errors").and_then(|errors| errors.getattr("AppImportError"));
        class.and_then(|class| class.call1((reason,))).map_or_else(|error| error, PyErr::from_value)
    })
}

/// What an exception of the program's means while it makes its settings.
pub fn refusal(py: Python<'_>, error: &PyErr) -> ConfigError {
    if is(py, error, "ConfigError") {
        let status = error.value(py).getattr("exit_code").and_then(|status| status.extract());
        return ConfigError { exit_code: status.unwrap_or(1), message: text(py, error) };
    }
    let error = LoadError::new(py, "the configuration", Fault::Raised(error.clone_ref(py)));
    ConfigError::config(error.report())
}

/// Whether it is one of `rwsgi.errors`.
fn is(py: Python<'_>, error: &PyErr, name: &str) -> bool {
    let class = py.import("rwsgi.errors").and_then(|errors| errors.getattr(name));
    class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
}

fn text(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map(|text| text.to_string()).unwrap_or_default()
}
