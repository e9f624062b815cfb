//! rwsgi: the module map, in dependency order, and the Python module `rwsgi._rwsgi`.
//!
//! A module may import only from modules above it. Read next: `cli.rs`, where a start begins.

pub mod sys;

pub mod http;

pub mod config;

pub mod net;

pub mod scoreboard;

pub mod log;

pub mod watch;

#[cfg(feature = "python")]
pub mod py;

#[cfg(feature = "python")]
pub mod wsgi;

#[cfg(feature = "python")]
pub mod asgi;

#[cfg(feature = "python")]
pub mod worker;

pub mod arbiter;

#[cfg(feature = "python")]
mod console;

#[cfg(feature = "python")]
pub mod cli;

#[cfg(feature = "python")]
mod embed;

/// What Python sees of the server.
#[cfg(feature = "python")]
#[pyo3::pymodule]
mod _rwsgi {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use pyo3::prelude::*;
    use pyo3::types::PyList;

    use crate::config::ServerSection;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pyfunction]
    fn main(py: Python<'_>, argv: Vec<OsString>) -> PyResult<i32> {
        let command = crate::py::surroundings::command_line(py)?;
        Ok(crate::cli::main(py, argv, command))
    }

    #[pymodule_export]
    use crate::py::draft::Draft;

    #[pymodule_export]
    use crate::asgi::Server;

    #[pymodule_export]
    use crate::worker::{AsgiProcess, Engine, NativeProcess, NativeRequest, Process};

    /// Runs the server of a program's own.
    #[pyfunction]
    fn serve(application: &Bound<'_, PyAny>) -> PyResult<i32> {
        crate::embed::serve(application)
    }

    /// Runs the server that a section of a PasteDeploy file names, and ends the process.
    #[pyfunction]
    fn serve_section(app: &Bound<'_, PyAny>, file: PathBuf, section: Vec<(String, String)>) {
        crate::embed::serve_section(app, ServerSection { file, pairs: section })
    }

    #[pyfunction]
    fn complain(error: &Bound<'_, PyAny>) -> i32 {
        crate::embed::complain(error)
    }

    #[pyfunction]
    fn import_app(py: Python<'_>, spec: &str) -> PyResult<Py<PyAny>> {
        crate::py::served::import(py, spec)
    }

    #[pyfunction]
    fn is_setting(name: &str) -> bool {
        crate::config::is_setting(name)
    }

    #[pyfunction]
    fn settings(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        crate::py::settings::settings(py)
    }
}
