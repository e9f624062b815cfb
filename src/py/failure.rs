//! Why an application could not be loaded, for the person at the terminal: the reason, where, and what to try.
//!
//! Owns the exit statuses of a failed load and the choice of frames. Must never raise: whatever Python answers while
//! the report is made only makes it shorter. Read next: `hint.rs`, which knows what to try.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use pyo3::exceptions::{PyBaseException, PySyntaxError};
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyString};

use super::{bridge, hint};
use crate::log::EXCEPTION;

/// The application's code raised.
const RAISED: i32 = 3;
/// There is no such application.
const REFUSED: i32 = 4;

const LINE: usize = 300;

/// What went wrong, before it is put into words.
#[derive(Debug)]
pub(super) enum Fault {
    Raised(PyErr),
    Refused {
        reason: String,
        hint: Option<String>,
    },
    MissingAttribute {
        reason: String,
        name: String,
        module: Option<Py<PyModule>>,
    },
    /// An ASGI application, for a class that serves WSGI.
    Asgi(String),
    /// The other way round.
    Wsgi,
    /// An application of tornado's own kind, for this class.
    Tornado(String),
}

impl Fault {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::hinted(reason, None)
    }

    pub(super) fn hinted(reason: impl Into<String>, hint: Option<String>) -> Self {
        Self::Refused { reason: reason.into(), hint }
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// An application that cannot be loaded.
#[derive(Debug)]
pub struct LoadError {
    /// The worker's exit status, which becomes the master's.
    pub exit_code: i32,
    report: String,
    traceback: Option<String>,
    cause: Option<Py<PyBaseException>>,
}

impl LoadError {
    pub(super) fn new(py: Python<'_>, spec: &str, fault: Fault) -> Self {
        let cause = match &fault {
            Fault::Raised(error) => Some(error.clone_ref(py).into_value(py)),
            _ => None,
        };
        let cannot = |reason| format!("Cannot load {spec}: {reason}");
        let (exit_code, first, rest, traceback) = match fault {
            Fault::Refused { reason, hint } => (REFUSED, cannot(reason), Vec::from_iter(hint), None),
            Fault::MissingAttribute { reason, name, module } => {
                let hint = module.and_then(|module| hint::of_missing_name(module.bind(py), &name));
                (REFUSED, cannot(reason), Vec::from_iter(hint), None)
            }
            Fault::Asgi(class) => {
                let first = format!("{spec} is an ASGI application; the worker class {class} serves WSGI.");
                (REFUSED, first, vec![hint::of_asgi(spec)], None)
            }
            Fault::Wsgi => {
                let first = format!("{spec} is a WSGI application; the worker class asgi serves ASGI.");
                (REFUSED, first, vec![hint::OF_WSGI.to_owned()], None)
            }
            Fault::Tornado(class) => {
                let first =
                    format!("{spec} is a tornado application; the worker class {class} cannot serve it.");
                (REFUSED, first, vec![hint::OF_TORNADO.to_owned()], None)
            }
            Fault::Raised(error) => {
                let mut rest: Vec<String> = places(py, &error).iter().map(Place::to_string).collect();
                rest.extend(hint::of_exception(py, spec, &error));
                let traceback = traceback(py, &error).trim_end().to_owned();
                (RAISED, cannot(summary(py, &error)), rest, Some(traceback))
            }
        };
        let mut report = first;
        for line in rest {
            report.push_str("\n  ");
            report.extend(line.chars().take(LINE));
        }
        Self { exit_code, report, traceback, cause }
    }

    /// The exception, if there was one.
    pub fn cause(&self, py: Python<'_>) -> Option<PyErr> {
        self.cause.as_ref().map(|error| PyErr::from_value(error.bind(py).clone().into_any()))
    }

    /// The report and the whole traceback.
    pub fn details(&self) -> String {
        format!("{}\n\n{}\n", self.report, self.traceback.as_deref().unwrap_or_default())
    }

    /// Tells one failure from another, and each from none, which is zero.
    pub fn fingerprint(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.details().hash(&mut hasher);
        hasher.finish() as u32 | 1
    }

    /// At most four lines.
    pub fn report(&self) -> &str {
        &self.report
    }

    /// The report as one record of the error log; the whole traceback too, for whoever asked for details.
    pub fn log(&self) {
        let log = || log::error!(target: EXCEPTION, "{}", self.report);
        Python::attach(|py| match self.cause(py) {
            Some(cause) => bridge::carrying(py, &self.report, &cause, log),
            None => log(),
        });
        if let Some(traceback) = &self.traceback {
            log::debug!("{traceback}");
        }
    }
}

/// `Type: message`, on one line.
pub(super) fn summary(py: Python<'_>, error: &PyErr) -> String {
    let name = error.get_type(py).name().map_or_else(|_| "exception".to_owned(), |name| name.to_string());
    let message = error.value(py).str().map(|text| text.to_string()).unwrap_or_default();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = if message.is_empty() { name } else { format!("{name}: {message}") };
    text.chars().take(LINE).collect()
}

/// A line of source.
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
    code: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}  {}", self.file, self.line, self.code.trim())
    }
}

/// The first and the last place of the application's own code that the exception came through.
pub(super) fn places(py: Python<'_>, error: &PyErr) -> Vec<Place> {
    let mut places = own_frames(py, error).unwrap_or_default();
    places.extend(bad_line(py, error));
    if places.len() > 2 {
        places.drain(1..places.len() - 1);
    }
    places
}

/// The line that is no Python, which no frame has entered.
fn bad_line(py: Python<'_>, error: &PyErr) -> Option<Place> {
    let value = error.is_instance_of::<PySyntaxError>(py).then(|| error.value(py))?;
    let file: String = value.getattr("filename").ok()?.extract().ok()?;
    let code: Option<String> = value.getattr("text").ok()?.extract().ok()?;
    let line: Option<u32> = value.getattr("lineno").ok()?.extract().ok()?;
    Some(Place { file, line: line.unwrap_or(0), code: code.unwrap_or_default() })
}

fn own_frames(py: Python<'_>, error: &PyErr) -> PyResult<Vec<Place>> {
    let Some(trace) = error.traceback(py) else { return Ok(Vec::new()) };
    let mut frames = Vec::new();
    for frame in py.import("traceback")?.call_method1("extract_tb", (trace,))?.try_iter()? {
        let frame = frame?;
        let file: String = frame.getattr("filename")?.extract()?;
        if is_own(py, &file) {
            let number: Option<u32> = frame.getattr("lineno")?.extract()?;
            let code: Option<String> = frame.getattr("line")?.extract()?;
            frames.push(Place { file, line: number.unwrap_or(0), code: code.unwrap_or_default() });
        }
    }
    Ok(frames)
}

/// The files of the application's own code that the exception came through.
pub(super) fn own_files_of(py: Python<'_>, error: &PyErr) -> PyResult<Vec<String>> {
    let Some(trace) = error.traceback(py) else { return Ok(Vec::new()) };
    let mut files: Vec<String> = Vec::new();
    for frame in py.import("traceback")?.call_method1("extract_tb", (trace,))?.try_iter()? {
        files.push(frame?.getattr("filename")?.extract()?);
    }
    files.retain(|file| is_own(py, file));
    Ok(files)
}

/// Not Python's, not an installed package's.
pub(super) fn is_own(py: Python<'_>, file: &str) -> bool {
    if file.starts_with('<') || file.contains("/site-packages/") || file.contains("/dist-packages/") {
        return false;
    }
    let standard = py.import("os").and_then(|os| os.getattr("__file__")?.extract::<String>());
    let standard = standard.ok().and_then(|file| Path::new(&file).parent().map(Path::to_owned));
    !standard.is_some_and(|directory| Path::new(file).starts_with(directory))
}

/// As Python prints it. No frame of ours is in it, for the code is called from Rust.
pub fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = || -> PyResult<String> {
        let arguments = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = py.import("traceback")?.call_method1("format_exception", arguments)?;
        PyString::new(py, "").call_method1("join", (lines,))?.extract()
    };
    lines().unwrap_or_else(|_| error.to_string())
}
