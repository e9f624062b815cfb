//! What answers while the application cannot be loaded, under `reload`.
//!
//! Owns one response: 500, the reason and the traceback, as plain text. Must never be served where `reload` is off: a
//! traceback is the developer's business. Read next: `worker/reloader.rs`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

#[pyclass(frozen, module = "rwsgi")]
struct Broken {
    body: Py<PyBytes>,
}

#[pymethods]
impl Broken {
    /// For drivers of applications that are no WSGI ones.
    #[getter]
    fn rwsgi_report(&self, py: Python<'_>) -> Py<PyBytes> {
        self.body.clone_ref(py)
    }

    fn __call__<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        start_response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let fields = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")];
        start_response.call1(("500 Internal Server Error", PyList::new(environ.py(), fields)?))?;
        PyList::new(environ.py(), [self.body.bind(environ.py())])
    }
}

/// A WSGI application whose every answer is `text`.
pub fn application(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, Broken { body: PyBytes::new(py, text.as_bytes()).unbind() })?.into_any())
}
