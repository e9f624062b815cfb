//! `app`: what is served, for hooks.

use std::sync::OnceLock;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use super::Config;
use crate::py::app;

#[pyclass(frozen, dict, module = "rwsgi", name = "Application")]
pub struct App {
    /// `module:callable`, or `file.ini#name`.
    #[pyo3(get)]
    app_uri: Option<String>,
    #[pyo3(get)]
    cfg: Py<Config>,
    callable: OnceLock<Py<PyAny>>,
}

impl App {
    pub(super) fn new(
        py: Python<'_>,
        spec: Option<&str>,
        cfg: &Py<Config>,
        callable: Option<&Py<PyAny>>,
    ) -> Self {
        let known = OnceLock::new();
        if let Some(callable) = callable {
            // It was empty.
            let _ = known.set(callable.clone_ref(py));
        }
        Self { app_uri: spec.map(str::to_owned), cfg: cfg.clone_ref(py), callable: known }
    }

    /// The worker has loaded it.
    pub fn set(&self, py: Python<'_>, callable: &Py<PyAny>) {
        // A hook may have loaded the same one first.
        let _ = self.callable.set(callable.clone_ref(py));
    }

    pub fn loaded(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callable.get().map(|callable| callable.clone_ref(py))
    }
}

#[pymethods]
impl App {
    /// The application, `None` before it is loaded.
    #[getter]
    fn callable(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.loaded(py)
    }

    /// The application, loaded now if it was not before.
    fn wsgi(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(callable) = self.loaded(py) {
            return Ok(callable);
        }
        let settings = self.cfg.get().settings();
        let callable =
            app::load(py, settings).map_err(|error| PyImportError::new_err(error.report().to_owned()))?;
        self.set(py, &callable);
        Ok(callable)
    }
}
