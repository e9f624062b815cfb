//! What to try next, for whoever named an application that cannot be loaded, or none.
//!
//! Owns one line a failure. Must never import anything of the application's, and never raise: a question that Python does
//! not answer only costs the hint. Read next: `missing.rs` for modules that are not there, `definitions.rs`.

use std::env;
use std::path::Path;

use pyo3::exceptions::{PyAttributeError, PyImportError, PyModuleNotFoundError};
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyType};

use super::definitions::{application_in, applications_in, module_in};
use super::failure::is_own;
use super::missing;

/// How close two names must be for one to be a slip of the other.
pub(super) const NEAR: f64 = 0.8;
/// Names shown of a module that lacks the one asked for.
const SHOWN: usize = 4;
/// Of a value that is no application.
const VALUE: usize = 60;

/// For an exception that came while `spec` was loaded.
pub(super) fn of_exception(py: Python<'_>, spec: &str, error: &PyErr) -> Option<String> {
    let module = spec.split(':').next().unwrap_or(spec);
    let is_missing = error.is_instance_of::<PyModuleNotFoundError>(py);
    if is_missing && let Some(hint) = of_file_name(py, spec) {
        return Some(hint);
    }
    if is_missing || error.is_instance_of::<PyImportError>(py) {
        let name: Option<String> = error.value(py).getattr("name").ok()?.extract().ok()?;
        let (name, path) = (name?, error.value(py).getattr("path").ok()?.extract().ok()?);
        let missing = || is_missing.then(|| missing::hint(py, module, &name, error)).flatten();
        return hidden(py, &name, path).or_else(missing);
    }
    if error.is_instance_of::<PyAttributeError>(py) {
        let module = error.value(py).getattr("obj").ok()?.cast_into::<PyModule>().ok()?;
        return hidden(py, &module.name().ok()?.to_string(), file_of(&module));
    }
    None
}

/// `shop.py:app`, or `shop.py` with what that file defines.
fn of_file_name(py: Python<'_>, spec: &str) -> Option<String> {
    let (file, expression) = spec.split_once(':').map_or((spec, None), |(file, name)| (file, Some(name)));
    let path = file.strip_suffix(".py")?.trim_start_matches("./");
    let guess =
        expression.map(str::to_owned).or_else(|| Some(application_in(py, Path::new(file))?.expression));
    let name = path.trim_matches('/').replace('/', ".");
    let expression = guess.unwrap_or_else(|| "application".to_owned());
    Some(format!("Failed to find application, did you mean '{name}:{expression}'?"))
}

/// A file of the application's that was imported in the place of an installed module with the same name. `file`, if it
/// is known: a module that was not imported to its end is forgotten.
fn hidden(py: Python<'_>, name: &str, file: Option<String>) -> Option<String> {
    let top = name.split('.').next()?;
    let loaded = || file_of(&py.import("sys").ok()?.getattr("modules").ok()?.get_item(top).ok()?);
    let file = file.or_else(loaded)?;
    if !is_own(py, &file) {
        return None;
    }
    let directory = Path::new(&file).parent()?;
    let elsewhere: Vec<String> = py.import("sys").ok()?.getattr("path").ok()?.extract().ok()?;
    let is_other = |entry: &String| !entry.is_empty() && Path::new(entry) != directory;
    let elsewhere: Vec<String> = elsewhere.into_iter().filter(is_other).collect();
    let finder = py.import("importlib.machinery").ok()?.getattr("PathFinder").ok()?;
    let other = finder.call_method1("find_spec", (top, elsewhere)).ok()?.getattr("origin").ok()?;
    let other: String = other.extract().ok()?;
    let kind = if is_installed(&other) { "the installed module" } else { "Python's own module" };
    (!is_own(py, &other)).then(|| format!("{file} hides {kind} '{top}': give it another name."))
}

pub(super) fn file_of(module: &Bound<'_, PyAny>) -> Option<String> {
    module.getattr("__file__").ok()?.extract().ok()
}

/// What `module` has in place of `wanted`.
pub(super) fn of_missing_name(module: &Bound<'_, PyModule>, wanted: &str) -> Option<String> {
    let name = module.name().ok()?.to_string();
    let found = file_of(module).filter(|file| !name.contains('.') && !is_own(module.py(), file));
    let here = env::current_dir().ok()?;
    match (found, module_in(&here, &name)) {
        (Some(file), Some(own)) => {
            Some(format!("'{name}' is {file}, imported first: give {} another name.", own.display()))
        }
        // Python's library has modules that nobody means, such as `test`.
        (Some(file), None) if !is_installed(&file) => {
            Some(format!("'{name}' is {file}; there is no {name}.py in {}.", here.display()))
        }
        _ => defined(module, wanted),
    }
}

fn is_installed(file: &str) -> bool {
    file.contains("/site-packages/") || file.contains("/dist-packages/")
}

fn defined(module: &Bound<'_, PyModule>, wanted: &str) -> Option<String> {
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

/// What `expression` is, if no application, and what there is beside it.
pub(super) fn of_wrong_value(
    module: &Bound<'_, PyModule>,
    expression: &str,
    value: &Bound<'_, PyAny>,
) -> Option<String> {
    if let Ok(module) = value.cast::<PyModule>() {
        return of_module(expression, module);
    }
    let kind = value.get_type().name().ok()?.to_string();
    let shown: String = value.repr().ok()?.to_string().chars().take(VALUE).collect();
    let nature = if value.is_none() { shown } else { format!("a value of type {kind}, {shown}") };
    if expression.ends_with(')') {
        return Some(format!("{expression} returned {nature}; is its 'return' right?"));
    }
    let others = defined(module, expression).map(|others| format!(". {others}"));
    Some(format!("{expression} is {nature}{}", others.unwrap_or_default()))
}

/// `shop:app`, where app.py is a module of the package shop.
fn of_module(expression: &str, module: &Bound<'_, PyModule>) -> Option<String> {
    let (name, file) = (module.name().ok()?.to_string(), file_of(module)?);
    let meant = application_in(module.py(), Path::new(&file))
        .map(|found| format!("; did you mean '{name}:{}'?", found.expression));
    Some(format!("{expression} is the module {file}{}", meant.unwrap_or_default()))
}

/// A WSGI application that was given to the class for ASGI.
pub(super) const OF_WSGI: &str =
    "Choose another worker class, such as gthread, or none (-k, worker_class): then the application decides.";

/// An application of tornado's own kind that was given to another class.
pub(super) const OF_TORNADO: &str = "Choose the worker class tornado: -k tornado (worker_class).";

/// An ASGI application that was given to a class for WSGI.
pub(super) fn of_asgi(spec: &str) -> String {
    let choose = "Choose the worker class asgi, or none (-k, worker_class): then the application decides.";
    let module = spec.split(':').next().unwrap_or(spec);
    if let Some(project) = module.strip_suffix(".asgi") {
        let wsgi = format!("{}/wsgi.py", project.replace('.', "/"));
        if Path::new(&wsgi).is_file() {
            return format!("{choose} The same project as a WSGI application: {project}.wsgi");
        }
    }
    choose.to_owned()
}

/// The command line that was probably meant by one without an application.
pub fn of_nothing(py: Python<'_>) -> String {
    let here = env::current_dir().unwrap_or_default();
    if let Some(project) = django_project(&here) {
        return format!("This is a Django project; try: rwsgi {project}.wsgi");
    }
    let found = applications_in(py, &here);
    let command = |(module, candidate): &(String, super::definitions::Candidate)| {
        let spec = format!("{module}:{}", candidate.expression);
        if spec.ends_with(')') { format!("rwsgi '{spec}'") } else { format!("rwsgi {spec}") }
    };
    if found.is_empty() {
        return "Name it as MODULE:CALLABLE, for example: rwsgi hello:app".to_owned();
    }
    format!("Perhaps: {}", found.iter().map(command).collect::<Vec<_>>().join(", or "))
}

/// The package with the settings, beside manage.py.
fn django_project(here: &Path) -> Option<String> {
    let manage = std::fs::read_to_string(here.join("manage.py")).ok()?;
    let packages = std::fs::read_dir(here).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.path().join("wsgi.py").is_file().then(|| entry.file_name().into_string().ok())?
    });
    packages.into_iter().max_by_key(|name| (manage.contains(&format!("{name}.settings")), name.clone()))
}
