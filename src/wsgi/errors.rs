//! `wsgi.errors`: what the application writes goes to the error log as it is.
//!
//! Invariant: writing never raises for the log's sake. A full disk or a reader that is gone costs the text only.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::log::Sink;

#[pyclass(frozen, module = "rwsgi")]
pub struct ErrorStream {
    sink: Arc<Sink>,
}

impl ErrorStream {
    pub const fn new(sink: Arc<Sink>) -> Self {
        Self { sink }
    }
}

#[pymethods]
impl ErrorStream {
    /// Writes `text` and returns its length in characters, as text streams do.
    fn write(&self, text: &Bound<'_, PyString>) -> PyResult<usize> {
        // Half of a surrogate pair, as in a path that is not UTF-8, is no error either.
        self.sink.write_line(text.to_string_lossy().as_bytes());
        text.len()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(line?.cast()?)?;
        }
        Ok(())
    }

    /// Nothing is buffered.
    const fn flush(&self) {}

    #[getter]
    const fn encoding(&self) -> &'static str {
        "utf-8"
    }

    const fn isatty(&self) -> bool {
        false
    }
}
