//! The Python loggers `gunicorn.error` and `gunicorn.access`, for applications and hooks that log through them.
//!
//! Owns the handlers that lead from there to the native logs, and the second names, `rwsgi.error` and `rwsgi.access`,
//! which share handlers and filters with the first. Must never import `logging` for its own sake: it costs each process
//! two megabytes. Read next: `bridge.rs`, for loggers that somebody has changed.

use std::sync::OnceLock;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::failure::traceback;
use crate::config::kind::Level;
use crate::log::{EXCEPTION, Logs, Severity, print};

/// Two names a logger, and whether it is the access log's.
const NAMES: [(&str, &str, bool); 2] =
    [("gunicorn.error", "rwsgi.error", false), ("gunicorn.access", "rwsgi.access", true)];
/// On handlers that the server has put there.
const OURS: &str = "_rwsgi";
/// On loggers whose other handlers a setting has put there.
const CONFIGURED: &str = "_rwsgi_configured";

/// Leads the loggers to `logs` as soon as there is somebody to find them. What a setting of an earlier configuration did to
/// them is undone.
pub fn route(py: Python<'_>, logs: &Logs, level: Level) -> PyResult<()> {
    let finders = py.import("sys")?.getattr("meta_path")?.cast_into::<PyList>().map_err(PyErr::from)?;
    for old in finders.iter().filter(|finder| finder.is_instance_of::<OnImport>()) {
        finders.call_method1("remove", (old,))?;
    }
    if is_imported(py)? {
        return lead(py, logs, level);
    }
    finders.insert(0, Py::new(py, OnImport { logs: logs.clone(), level, loader: OnceLock::new() })?)
}

fn lead(py: Python<'_>, logs: &Logs, level: Level) -> PyResult<()> {
    for (name, _, access) in NAMES {
        let logger = logger(py, name)?;
        let all = logger.getattr_opt(CONFIGURED)?.is_some();
        for handler in handlers(&logger)?.iter().filter(|handler| all || is_ours(handler)) {
            logger.call_method1("removeHandler", (handler,))?;
        }
        if all {
            logger.delattr(CONFIGURED)?;
            logger.getattr("filters")?.call_method0("clear")?;
        }
        let least = if access { Severity::Info } else { Severity::from(level) };
        logger.call_method1("setLevel", (least.number(),))?;
        logger.setattr("propagate", false)?;
        if !access || logs.access.is_some() {
            logger.call_method1("addHandler", (handler(py, logs, access)?,))?;
        }
    }
    share_names(py)
}

/// On `sys.meta_path` until something imports `logging`: then the loggers are there before anybody can ask for them.
#[pyclass(frozen, module = "rwsgi")]
struct OnImport {
    logs: Logs,
    level: Level,
    /// The one that really loads it.
    loader: OnceLock<Py<PyAny>>,
}

#[pymethods]
impl OnImport {
    #[pyo3(signature = (name, path=None, target=None))]
    fn find_spec<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
        path: Option<Bound<'py, PyAny>>,
        target: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if name != "logging" {
            return Ok(None);
        }
        let finders = slf.py().import("sys")?.getattr("meta_path")?;
        finders.call_method1("remove", (slf,))?;
        for finder in finders.try_iter()? {
            let spec = finder?.call_method1("find_spec", (name, &path, &target))?;
            if !spec.is_none() {
                // It was empty: this finder is asked once.
                let _ = slf.get().loader.set(spec.getattr("loader")?.unbind());
                spec.setattr("loader", slf)?;
                return Ok(Some(spec));
            }
        }
        Ok(None)
    }

    fn create_module<'py>(&self, spec: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.loader(spec.py())?.call_method1("create_module", (spec,))
    }

    fn exec_module(&self, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = module.py();
        let loader = self.loader(py)?;
        module.getattr("__spec__")?.setattr("loader", &loader)?;
        module.setattr("__loader__", &loader)?;
        loader.call_method1("exec_module", (module,))?;
        if let Err(error) = lead(py, &self.logs, self.level) {
            log::warn!("Cannot set up the loggers: {error}");
        }
        Ok(())
    }
}

impl OnImport {
    fn loader<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let loader = self.loader.get().ok_or_else(|| PyImportError::new_err("logging was not found"))?;
        Ok(loader.bind(py).clone())
    }
}

pub fn logger<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("logging")?.call_method1("getLogger", (name,))
}

/// The other names stand for the same handlers, filters and level.
pub fn share_names(py: Python<'_>) -> PyResult<()> {
    for (name, other, _) in NAMES {
        let (logger, other) = (logger(py, name)?, logger(py, other)?);
        for shared in ["handlers", "filters", "propagate"] {
            other.setattr(shared, logger.getattr(shared)?)?;
        }
        other.call_method1("setLevel", (logger.getattr("level")?,))?;
    }
    Ok(())
}

/// What is on them now is a setting's.
pub fn mark_configured(py: Python<'_>) -> PyResult<()> {
    NAMES.iter().try_for_each(|(name, ..)| logger(py, name)?.setattr(CONFIGURED, true))
}

/// How the loggers are now, to be brought back.
pub struct Kept(Vec<KeptLogger>);

struct KeptLogger {
    logger: Py<PyAny>,
    /// By attribute.
    values: Vec<(&'static str, Py<PyAny>)>,
}

impl Kept {
    pub fn take(py: Python<'_>) -> PyResult<Self> {
        let mut kept = Vec::new();
        for name in ["root", "gunicorn.error", "gunicorn.access"] {
            let logger = logger(py, name)?;
            let mut values = Vec::new();
            for attribute in ["propagate", "disabled", "level"] {
                values.push((attribute, logger.getattr(attribute)?.unbind()));
            }
            for attribute in ["handlers", "filters"] {
                // Copies: a configuration empties the lists in place.
                let list = logger.getattr(attribute)?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
                values.push((attribute, PyList::new(py, list)?.into_any().unbind()));
            }
            kept.push(KeptLogger { logger: logger.unbind(), values });
        }
        Ok(Self(kept))
    }

    pub fn restore(&self, py: Python<'_>) -> PyResult<()> {
        for KeptLogger { logger, values } in &self.0 {
            let logger = logger.bind(py);
            for (attribute, value) in values {
                let value = value.bind(py);
                match value.cast::<PyList>() {
                    Ok(list) => logger.setattr(*attribute, list.get_slice(0, list.len()))?,
                    // Not as an attribute: loggers remember what they would show.
                    Err(_) if *attribute == "level" => logger.call_method1("setLevel", (value,)).map(drop)?,
                    Err(_) => logger.setattr(*attribute, value)?,
                }
            }
        }
        share_names(py)
    }
}

/// Whether somebody has given them filters or handlers, or has given ours a filter.
pub fn are_changed(py: Python<'_>) -> PyResult<bool> {
    if !is_imported(py)? {
        return Ok(false);
    }
    for (name, ..) in NAMES {
        let logger = logger(py, name)?;
        let filtered = |who: &Bound<'_, PyAny>| who.getattr("filters")?.is_truthy();
        let propagates = logger.getattr("propagate")?.is_truthy()? && is_routed(&logger)?;
        if filtered(&logger)? || propagates {
            return Ok(true);
        }
        for handler in handlers(&logger)? {
            if !is_ours(&handler) || filtered(&handler)? || !handler.getattr("formatter")?.is_none() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_imported(py: Python<'_>) -> PyResult<bool> {
    py.import("sys")?.getattr("modules")?.contains("logging")
}

fn handlers<'py>(logger: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    // A copy: handlers are removed while it is walked.
    let handlers = logger.getattr("handlers")?;
    PyList::new(logger.py(), handlers.try_iter()?.collect::<PyResult<Vec<_>>>()?)
}

fn is_ours(handler: &Bound<'_, PyAny>) -> bool {
    handler.hasattr(OURS).unwrap_or(false)
}

fn is_routed(logger: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(handlers(logger)?.iter().any(|handler| is_ours(&handler)))
}

fn handler<'py>(py: Python<'py>, logs: &Logs, access: bool) -> PyResult<Bound<'py, PyAny>> {
    let handler = py.import("logging")?.call_method0("Handler")?;
    let route = Route { logs: logs.clone(), access, handler: handler.clone().unbind() };
    handler.setattr("emit", Py::new(py, route)?)?;
    handler.setattr(OURS, true)?;
    Ok(handler)
}

/// Takes the records of a Python logger.
#[pyclass(frozen, module = "rwsgi")]
struct Route {
    logs: Logs,
    access: bool,
    handler: Py<PyAny>,
}

#[pymethods]
impl Route {
    fn __call__(&self, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = record.py();
        let handler = self.handler.bind(py);
        let formatted = !handler.getattr("formatter")?.is_none();
        let text = match formatted {
            true => handler.call_method1("format", (record,))?,
            false => record.call_method0("getMessage")?,
        };
        let mut text = text.str()?.to_string_lossy().into_owned();
        if self.access {
            if let Some(access) = &self.logs.access {
                access.write_text(&text);
            }
        } else if formatted {
            text.push('\n');
            self.logs.error.write_line(text.as_bytes());
        } else {
            let error = exception(py, &record.getattr("exc_info")?);
            let target = error.as_ref().map_or(module_path!(), |_| EXCEPTION);
            if let Some(error) = error {
                text.push('\n');
                text.push_str(traceback(py, &error).trim_end());
            }
            print(Severity::numbered(record.getattr("levelno")?.extract()?), target, &text);
        }
        Ok(())
    }
}

/// What `exc_info` stands for: an exception, a triple of `sys.exc_info`, or a truth for the current one.
pub fn exception(py: Python<'_>, given: &Bound<'_, PyAny>) -> Option<PyErr> {
    if !given.is_truthy().unwrap_or(false) {
        return None;
    }
    let value = if given.is_instance_of::<pyo3::exceptions::PyBaseException>() {
        given.clone()
    } else if let Ok(triple) = given.cast::<pyo3::types::PyTuple>() {
        triple.get_item(1).ok()?
    } else {
        py.import("sys").ok()?.call_method0("exc_info").ok()?.get_item(1).ok()?
    };
    (!value.is_none()).then(|| PyErr::from_value(value))
}
