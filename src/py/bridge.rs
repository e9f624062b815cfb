//! Python's logging in the place of the native logs: `logger_class`, the logging configurations, and loggers that
//! somebody has changed.
//!
//! Owns the Python logger of one configuration and every call of it. An exception that it raises costs nothing: the
//! record is printed natively, and the first time what was raised too. Must never be entered twice by one strand: what
//! the logger itself makes the server say is printed natively. Read next: `python/rwsgi/glogging.py`, `loggers.rs`.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::failure::{summary, traceback};
use super::hooks::Config;
use super::loggers::{self, Kept};
use super::strand;
use crate::config::ConfigError;
use crate::log::{self as logs, EXCEPTION, Severity};

/// What the server calls.
const METHODS: [&str; 8] =
    ["critical", "error", "warning", "info", "debug", "exception", "access", "reopen_files"];

thread_local! {
    /// The strands of this thread that are in the logger: a greenlet may wait there while others run.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// What the record that is on its way tells of.
    static IN_HAND: RefCell<Option<(String, PyErr)>> = const { RefCell::new(None) };
}

pub struct Bridge {
    logger: Py<PyAny>,
    kept: Kept,
    least: Severity,
    access: bool,
    /// What it raises has been told.
    told: AtomicBool,
}

impl Bridge {
    /// The logger that the settings ask for, made and set up; `None` if the native logs are asked for.
    pub fn open(py: Python<'_>, cfg: &Py<Config>) -> Result<Option<Arc<Self>>, ConfigError> {
        let settings = cfg.get().settings();
        let logging = &settings.logging;
        let configured = [
            ("logconfig_dict", !logging.logconfig_dict.is_empty()),
            ("logconfig_json", logging.logconfig_json.is_some()),
            ("logconfig", logging.logconfig.is_some()),
        ];
        let configured = configured.into_iter().find(|(_, set)| *set).map(|(name, _)| name);
        if logging.logger_class.is_none() && configured.is_none() {
            return Ok(None);
        }
        let refuse = |name, error: PyErr| settings.refuse(name, &summary(py, &error));
        let class = cfg.get().logger_class(py).map_err(|reason| settings.refuse("logger_class", &reason))?;
        loggers::mark_configured(py).map_err(|error| refuse("logger_class", error))?;
        let made = class.call1((cfg,)).and_then(|logger| checked(&logger).map(|()| logger));
        let logger = made.map_err(|error| {
            // A class that sets the configuration up itself says so in its own way.
            let by_config =
                configured.filter(|_| error.is_instance_of::<pyo3::exceptions::PyRuntimeError>(py));
            match by_config {
                Some(name) => settings.refuse(name, &error.value(py).to_string()),
                None => refuse("logger_class", error),
            }
        })?;
        Self::new(&logger, cfg).map(Some).map_err(|error| refuse("logger_class", error))
    }

    /// The loggers as somebody has changed them; `None` if nobody has.
    pub fn to_changed(py: Python<'_>, cfg: &Py<Config>) -> PyResult<Option<Arc<Self>>> {
        if !loggers::are_changed(py)? {
            return Ok(None);
        }
        let logger = py.import("rwsgi.glogging")?.getattr("Routed")?.call1((cfg,))?;
        Self::new(&logger, cfg).map(Some)
    }

    fn new(logger: &Bound<'_, PyAny>, cfg: &Py<Config>) -> PyResult<Arc<Self>> {
        let py = logger.py();
        loggers::share_names(py)?;
        // Not every logger has one of these.
        let level = logger.getattr("error_log").and_then(|log| log.call_method0("getEffectiveLevel"));
        let level = level.and_then(|level| level.extract::<u32>()).map(Severity::numbered);
        let least = level.unwrap_or_else(|_| Severity::from(cfg.get().settings().logging.loglevel));
        // A class of the user's may have its own idea of when.
        let access = cfg.get().settings().logging.logger_class.is_some()
            || logger.getattr("access_log_enabled")?.is_truthy()?;
        let (logger, kept) = (logger.clone().unbind(), Kept::take(py)?);
        Ok(Arc::new(Self { logger, kept, least, access, told: AtomicBool::new(false) }))
    }

    /// Whether it is to be told of requests.
    pub const fn wants_access(&self) -> bool {
        self.access
    }

    pub fn logger(&self) -> &Py<PyAny> {
        &self.logger
    }

    /// Makes the loggers what they were for this one: another configuration was tried in between.
    pub fn restore(&self, py: Python<'_>) -> PyResult<()> {
        self.kept.restore(py)
    }

    /// Tells of a request. Arguments as gunicorn's loggers take them.
    pub fn access(
        &self,
        py: Python<'_>,
        response: &Bound<'_, PyAny>,
        request: &Bound<'_, PyAny>,
        environ: &Bound<'_, PyDict>,
        elapsed: Duration,
    ) {
        self.call(py, "access", (response, request, environ, elapsed));
    }

    fn exception(&self, py: Python<'_>, severity: Severity, message: &str, error: &PyErr) -> bool {
        let keywords = PyDict::new(py);
        // Unlike `value`, this one has its traceback.
        keywords.set_item("exc_info", error.clone_ref(py).into_value(py)).is_ok()
            && self.call_with(py, severity.method(), (message,), Some(&keywords))
    }

    /// False if it raised.
    fn call<'py>(&self, py: Python<'py>, method: &str, arguments: impl PyCallArgs<'py>) -> bool {
        self.call_with(py, method, arguments, None)
    }

    fn call_with<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        arguments: impl PyCallArgs<'py>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> bool {
        let logger = self.logger.bind(py);
        match inside(py, || logger.call_method(method, arguments, keywords)) {
            None => false,
            Some(Ok(_)) => true,
            Some(Err(error)) => {
                if !self.told.swap(true, Relaxed) {
                    let traceback = traceback(py, &error);
                    let text = format!("The logger raised in {method}()\n{}", traceback.trim_end());
                    logs::print(Severity::Error, "", &text);
                }
                false
            }
        }
    }
}

impl logs::Bridge for Bridge {
    fn least(&self) -> Severity {
        self.least
    }

    fn record(&self, severity: Severity, text: fmt::Arguments<'_>) -> bool {
        // Nobody is there to ask when the interpreter is ending.
        let told = Python::try_attach(|py| match IN_HAND.take() {
            Some((message, error)) => self.exception(py, severity, &message, &error),
            None => {
                let text = text.to_string();
                self.call(py, severity.method(), (text,))
            }
        });
        told.unwrap_or(false)
    }

    fn reopen(&self) {
        Python::try_attach(|py| self.call(py, "reopen_files", ()));
    }
}

/// Logs `message` and the exception: as text, or as itself where Python's logging is asked for.
pub fn tell(py: Python<'_>, message: &str, error: &PyErr) {
    tell_as(py, (log::Level::Error, EXCEPTION), message, error);
}

/// The same, with the level and target of the record.
pub fn tell_as(py: Python<'_>, (level, target): (log::Level, &str), message: &str, error: &PyErr) {
    carrying(py, message, error, || {
        log::log!(target: target, level, "{message}\n{}", Traceback(py, error));
    });
}

/// Runs `log`, whose one record tells of `error`: Python's logging gets `message` and the exception in its place.
pub fn carrying(py: Python<'_>, message: &str, error: &PyErr, log: impl FnOnce()) {
    IN_HAND.set(Some((message.to_owned(), error.clone_ref(py))));
    log();
    IN_HAND.set(None);
}

/// Written out only where it is printed.
struct Traceback<'a, 'py>(Python<'py>, &'a PyErr);

impl fmt::Display for Traceback<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(traceback(self.0, self.1).trim_end())
    }
}

/// `None` if this strand is inside already.
fn inside<T>(py: Python<'_>, work: impl FnOnce() -> T) -> Option<T> {
    let strand = strand::number(py);
    if INSIDE.with_borrow(|inside| inside.contains(&strand)) {
        return None;
    }
    INSIDE.with_borrow_mut(|inside| inside.push(strand));
    let outcome = work();
    INSIDE.with_borrow_mut(|inside| inside.retain(|other| *other != strand));
    Some(outcome)
}

fn checked(logger: &Bound<'_, PyAny>) -> PyResult<()> {
    METHODS.iter().try_for_each(|method| logger.getattr(*method).map(drop))
}
