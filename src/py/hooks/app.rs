//! `app`: what is served, for hooks. Where a Python program embeds the server it is the program's own object.

use std::sync::OnceLock;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use super::Config;
use crate::py::served::Served;

#[pyclass(frozen, dict, module = "rwsgi", name = "Application")]
pub struct App {
    /// `module:callable`.
    #[pyo3(get)]
    app_uri: Option<String>,
    #[pyo3(get)]
    cfg: Py<Config>,
    callable: OnceLock<Py<PyAny>>,
    served: Served,
}

impl App {
    pub(super) fn new(py: Python<'_>, cfg: &Py<Config>, served: &Served) -> Self {
        let known = OnceLock::new();
        if let Some(callable) = &served.preloaded {
            // It was empty.
            let _ = known.set(callable.clone_ref(py));
        }
        let app_uri = cfg.get().settings().app_spec().map(str::to_owned);
        Self { app_uri, cfg: cfg.clone_ref(py), callable: known, served: served.clone_ref(py) }
    }

    /// What hooks are given for it.
    pub fn shown(app: &Py<Self>, py: Python<'_>) -> Py<PyAny> {
        match &app.get().served.embedder {
            Some(embedder) => embedder.object().clone_ref(py),
            None => app.clone_ref(py).into_any(),
        }
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
        let callable = self.served.load(py, self.cfg.get().settings());
        let callable = callable.map_err(|error| PyImportError::new_err(error.report().to_owned()))?;
        self.set(py, &callable);
        Ok(callable)
    }
}
