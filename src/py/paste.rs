//! Loads the application of a PasteDeploy ini file.
//!
//! Owns the call of PasteDeploy and what is said when it is not there. Must never read the file itself. Read next:
//! `config/application.rs`; `python/rwsgi/paste.py`, for the other direction.

use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::failure::{Fault, LoadError};
use crate::config::PasteApp;

const MISSING: &str = "PasteDeploy is not installed here.";
const INSTALL: &str = "Try: pip install PasteDeploy";

/// `uri` is how messages call it.
pub(super) fn load(py: Python<'_>, app: &PasteApp, uri: &str) -> Result<Py<PyAny>, LoadError> {
    let made = make(py, app).and_then(|found| judge(&found, app).map(|()| found.unbind()));
    made.map_err(|fault| LoadError::new(py, uri, fault))
}

fn make<'py>(py: Python<'py>, app: &PasteApp) -> Result<Bound<'py, PyAny>, Fault> {
    let deploy = py.import("paste.deploy").map_err(|error| match is_missing(py, &error) {
        true => Fault::hinted(MISSING, Some(INSTALL.to_owned())),
        false => error.into(),
    })?;
    let defaults = PyDict::new(py);
    app.defaults.iter().try_for_each(|(name, value)| defaults.set_item(name, value))?;
    let arguments = PyDict::new(py);
    arguments.set_item("name", &app.name)?;
    arguments.set_item("global_conf", defaults)?;
    // It is a URI, in which `%` has a meaning.
    let uri = format!("config:{}", app.file.to_string_lossy().replace('%', "%25"));
    Ok(deploy.call_method("loadapp", (uri,), Some(&arguments))?)
}

/// Not something that it imports in its turn.
fn is_missing(py: Python<'_>, error: &PyErr) -> bool {
    let name = || error.value(py).getattr("name").ok()?.extract::<String>().ok();
    error.is_instance_of::<PyModuleNotFoundError>(py)
        && name().is_some_and(|name| name == "paste" || name == "paste.deploy")
}

/// Whether it is an application at all.
fn judge(made: &Bound<'_, PyAny>, app: &PasteApp) -> Result<(), Fault> {
    let section = app.name.as_deref().unwrap_or("main");
    if made.is_none() {
        return Err(Fault::refused(format!("Failed to find application object: '{section}'")));
    }
    if !made.is_callable() {
        return Err(Fault::refused("Application object must be callable."));
    }
    Ok(())
}
