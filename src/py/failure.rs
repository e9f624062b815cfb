//! Why an application could not be loaded, for the person at the terminal: the reason, where, and what to try.
//!
//! Owns the exit statuses of a failed load and the choice of frames. Must never raise: whatever Python answers while
//! the report is made only makes it shorter. Read next: `app.rs`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use pyo3::exceptions::{PyBaseException, PyModuleNotFoundError};
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyString, PyType};

use super::bridge;
use crate::log::EXCEPTION;

/// The application's code raised.
const RAISED: i32 = 3;
/// There is no such application.
const REFUSED: i32 = 4;

/// How close two names must be for one to be a slip of the other.
const NEAR: f64 = 0.8;
/// Names shown of a module that lacks the one asked for.
const SHOWN: usize = 4;
const LINE: usize = 300;

/// What went wrong, before it is put into words.
#[derive(Debug)]
pub(super) enum Fault {
    Raised(PyErr),
    Refused(String),
    MissingAttribute { reason: String, name: String, module: Option<Py<PyModule>> },
}

impl Fault {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
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
        let (exit_code, reason, rest, traceback) = match fault {
            Fault::Refused(reason) => (REFUSED, reason, Vec::new(), None),
            Fault::MissingAttribute { reason, name, module } => {
                let hint = module.and_then(|module| names_in(module.bind(py), &name));
                (REFUSED, reason, Vec::from_iter(hint), None)
            }
            Fault::Raised(error) => {
                let mut rest = own_frames(py, &error).unwrap_or_default();
                rest.extend(hint(py, spec, &error));
                (RAISED, summary(py, &error), rest, Some(traceback(py, &error).trim_end().to_owned()))
            }
        };
        let mut report = format!("Cannot load {spec}: {reason}");
        for line in rest {
            report.push('\n');
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

/// The first and the last frame of the application's own code.
fn own_frames(py: Python<'_>, error: &PyErr) -> PyResult<Vec<String>> {
    let Some(trace) = error.traceback(py) else { return Ok(Vec::new()) };
    let mut frames: Vec<String> = Vec::new();
    for frame in py.import("traceback")?.call_method1("extract_tb", (trace,))?.try_iter()? {
        let frame = frame?;
        let file: String = frame.getattr("filename")?.extract()?;
        if is_own(py, &file) {
            let number: Option<u32> = frame.getattr("lineno")?.extract()?;
            let code: Option<String> = frame.getattr("line")?.extract()?;
            frames.push(format!("  {file}:{}  {}", number.unwrap_or(0), code.unwrap_or_default()));
        }
    }
    if frames.len() > 2 {
        frames.drain(1..frames.len() - 1);
    }
    Ok(frames)
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

fn hint(py: Python<'_>, spec: &str, error: &PyErr) -> Option<String> {
    let module = spec.split(':').next().unwrap_or(spec);
    if !error.is_instance_of::<PyModuleNotFoundError>(py) {
        return None;
    }
    if let Some(path) = module.strip_suffix(".py") {
        let name = path.trim_start_matches("./").replace('/', ".");
        return Some(format!("Failed to find application, did you mean '{name}:application'?"));
    }
    let missing: String = error.value(py).getattr("name").ok()?.extract().ok()?;
    // Only for the module that was asked for; what the application lacks its own line shows.
    let asked = module == missing || module.starts_with(&format!("{missing}."));
    asked.then(|| {
        let cwd = std::env::current_dir().unwrap_or_default();
        format!(
            "There is no '{missing}' in {} nor elsewhere on sys.path; see --chdir, --pythonpath.",
            cwd.display()
        )
    })
}

/// What `module` has in place of `wanted`.
fn names_in(module: &Bound<'_, PyModule>, wanted: &str) -> Option<String> {
    let home = module.name().ok()?.to_string();
    let mut found: Vec<(f64, String, String)> = Vec::new();
    for (name, value) in module.dict().iter() {
        let Ok(name) = name.extract::<String>() else { continue };
        let near = strsim::jaro_winkler(&name, wanted);
        if name.starts_with('_') || !value.is_callable() || !(near >= NEAR || belongs(&value, &home)) {
            continue;
        }
        let kind = value.get_type().name().ok()?.to_string();
        let shown = if kind == "function" { format!("{name}()") } else { format!("{name} ({kind})") };
        found.push((near, name, shown));
    }
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (near, best, _) = found.first()?;
    let meant = if *near >= NEAR { format!("; did you mean '{home}:{best}'?") } else { String::new() };
    let shown: Vec<&str> = found.iter().take(SHOWN).map(|(_, _, shown)| shown.as_str()).collect();
    let more = if found.len() > SHOWN { ", …" } else { "" };
    Some(format!("It defines: {}{more}{meant}", shown.join(", ")))
}

/// A function or class of this module, or an object that is neither: those that are imported say nothing.
fn belongs(value: &Bound<'_, PyAny>, home: &str) -> bool {
    let kind = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    if !value.is_instance_of::<PyType>() && !kind.contains("function") {
        return true;
    }
    value.getattr("__module__").and_then(|module| module.extract::<String>()).is_ok_and(|of| of == home)
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
