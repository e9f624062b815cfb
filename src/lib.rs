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
mod console;

#[cfg(feature = "python")]
pub mod cli;

/// What Python sees of the server.
#[cfg(feature = "python")]
#[pyo3::pymodule]
mod _rwsgi {
    use std::ffi::OsString;

    use pyo3::prelude::*;
    use pyo3::types::PyList;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pyfunction]
    fn main(py: Python<'_>, argv: Vec<OsString>) -> PyResult<i32> {
        let command = crate::py::surroundings::command_line(py)?;
        Ok(crate::cli::main(py, argv, command))
    }

    #[pyfunction]
    fn settings(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        crate::py::settings::settings(py)
    }
}
