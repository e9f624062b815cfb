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
pub mod worker;

pub mod arbiter;

#[cfg(feature = "python")]
pub mod cli;

/// What Python sees of the server.
#[cfg(feature = "python")]
#[pyo3::pymodule]
mod _rwsgi {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use pyo3::prelude::*;
    use pyo3::types::PyList;

    use crate::cli::Launch;
    use crate::config::ServerSection;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pyfunction]
    fn main(py: Python<'_>, argv: Vec<OsString>) -> PyResult<i32> {
        let command = crate::py::surroundings::command_line(py)?;
        Ok(crate::cli::main(py, Launch { argv, command, loaded: None }))
    }

    #[pyfunction]
    fn serve(py: Python<'_>, app: Py<PyAny>, file: PathBuf, section: Vec<(String, String)>) -> PyResult<i32> {
        let command = crate::py::surroundings::command_line(py)?;
        let section = ServerSection { file, pairs: section };
        Ok(crate::cli::main(py, Launch { argv: Vec::new(), command, loaded: Some((app, section)) }))
    }

    #[pyfunction]
    fn settings(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        crate::py::settings::settings(py)
    }
}
