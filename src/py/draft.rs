//! The settings of a Python program that embeds the server, while it makes them: what is behind `rwsgi.config.Config`.
//!
//! Owns the translation of values and errors, and the objects that no text can hold. What a value means is
//! `config/draft.rs`'s. Must never start anything. Read next: `python/rwsgi/config.py`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyAttributeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::config_file::{self, Objects, PythonLoader};
use super::hooks::{Config, python};
use super::served;
use crate::config::{self, Asked, ConfigError, Settings, Sources, Warning, nearest};

/// Where the server was started: later drafts of the process start from there too, wherever it has changed to.
static LAUNCHED_IN: OnceLock<PathBuf> = OnceLock::new();

#[pyclass(module = "rwsgi._rwsgi")]
pub struct Draft {
    draft: config::Draft,
    objects: Objects,
}

impl Draft {
    /// The configuration as it is now.
    pub fn finish(&self, py: Python<'_>) -> Result<(Settings, Vec<Warning>, Objects), ConfigError> {
        let (settings, warnings) = self.draft.finish()?;
        Ok((settings, warnings, self.objects(py)))
    }

    /// What it was made from. From now on the directory of the launch is that of these.
    pub fn launch(&self) -> &Sources {
        let sources = self.draft.sources();
        LAUNCHED_IN.get_or_init(|| sources.cwd.clone());
        sources
    }

    fn objects(&self, py: Python<'_>) -> Objects {
        self.objects.iter().map(|(name, object)| (name.clone(), object.clone_ref(py))).collect()
    }

    fn lay(
        &mut self,
        py: Python<'_>,
        layer: impl FnOnce(&mut config::Draft, &mut PythonLoader) -> Result<(), ConfigError>,
    ) -> PyResult<()> {
        let mut loader = PythonLoader::new(&self.draft.sources().cwd);
        let laid = layer(&mut self.draft, &mut loader);
        self.objects.extend(loader.into_objects());
        laid.map_err(|error| raised(py, error))
    }
}

#[pymethods]
impl Draft {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let mut sources = Sources::of_process(Vec::new())?;
        if let Some(directory) = LAUNCHED_IN.get() {
            sources.cwd.clone_from(directory);
        }
        let draft = config::Draft::new(sources).map_err(|error| raised(py, error))?;
        Ok(Self { draft, objects: Objects::new() })
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        if !self.draft.set(name, config_file::value(value)).map_err(|error| raised(py, error))? {
            let hint = nearest(name).map(|meant| format!(" (did you mean '{meant}'?)")).unwrap_or_default();
            return Err(PyAttributeError::new_err(format!("No configuration setting for: {name}{hint}")));
        }
        if config_file::is_object(value) {
            self.objects.insert(name.to_owned(), value.clone().unbind());
        }
        Ok(())
    }

    fn get<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let settings = Arc::new(self.draft.settings().clone());
        Config::new(settings, Arc::default(), self.objects(py)).attribute(py, name)
    }

    /// The settings that `argv` gives, by name, and its other words. Ends the program where `--help` and the like ask for it.
    fn read_arguments<'py>(
        &mut self,
        py: Python<'py>,
        argv: Vec<OsString>,
        usage: &str,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyList>)> {
        let asked = self.draft.read_arguments(argv, usage).map_err(|error| raised(py, error))?;
        let (given, words) = match asked {
            Asked::Run(given, words) => (given, words),
            Asked::Print(text) => {
                let stdout = py.import("sys")?.getattr("stdout")?;
                stdout.call_method1("write", (text,))?;
                return Err(PySystemExit::new_err(0));
            }
        };
        let settings = PyDict::new(py);
        given.iter().try_for_each(|(name, raw)| settings.set_item(name, python(py, raw)?))?;
        Ok((settings, PyList::new(py, words)?))
    }

    fn lay_arguments(&mut self, py: Python<'_>) -> PyResult<()> {
        self.lay(py, |draft, loader| draft.lay_arguments(loader))
    }

    fn lay_file(&mut self, py: Python<'_>, location: &str) -> PyResult<()> {
        self.lay(py, |draft, loader| draft.lay_file(Some(location), loader))
    }

    /// The application that the settings name.
    fn load_app(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (settings, _) = self.draft.finish().map_err(|error| raised(py, error))?;
        served::load(py, &settings).map_err(|error| served::exception(py, &error))
    }

    /// Looks up what the values name.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.draft.finish().map(drop).map_err(|error| raised(py, error))
    }

    fn __str__(&self) -> String {
        self.draft.settings().print()
    }
}

/// `rwsgi.errors.ConfigError`.
pub fn raised(py: Python<'_>, error: ConfigError) -> PyErr {
    let class = py.import("rwsgi.errors").and_then(|errors| errors.getattr("ConfigError"));
    match class.and_then(|class| class.call1((error.message, error.exit_code))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
