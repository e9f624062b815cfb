//! Why a config file could not be run, in at most six lines; and what to write in place of a name of gunicorn's when
//! gunicorn is not installed.
//!
//! Owns the wording and the choice of what is shown. Must never raise: whatever Python answers while the report is made
//! only makes it shorter. Read next: `config_file.rs`.

use std::path::Path;

use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::config_file::parse;
use super::failure::{Place, places, summary};
use super::hint;
use crate::config::ConfigError;
use crate::config::kind::WorkerClass;

const PACKAGE: &str = "gunicorn";
/// Names that are told of, each in a line.
const TOLD: usize = 2;

pub(super) fn report(py: Python<'_>, shown: &Path, error: &PyErr) -> ConfigError {
    let places = places(py, error);
    let missing = is_missing(py, error).then(|| places.last()).flatten();
    let mut lines = match missing {
        Some(_) => vec!["gunicorn is not installed, and this needs it:".to_owned()],
        None => vec![summary(py, error)],
    };
    lines.extend(places.iter().map(|place| format!("  {place}")));
    match missing {
        Some(place) => {
            let wanted = wanted(py, place).unwrap_or_default();
            lines.extend(wanted.iter().take(TOLD).map(|name| format!("  {}", advice(py, name))));
        }
        None => lines.extend(hint::of_exception(py, "", error).map(|hint| format!("  {hint}"))),
    }
    ConfigError::unreadable(shown, &lines.join("\n"))
}

fn is_missing(py: Python<'_>, error: &PyErr) -> bool {
    let name = || error.value(py).getattr("name").ok()?.extract::<String>().ok();
    error.is_instance_of::<PyModuleNotFoundError>(py) && name().is_some_and(|name| name == PACKAGE)
}

/// The names of gunicorn's that the import in this place is for.
fn wanted(py: Python<'_>, place: &Place) -> PyResult<Vec<String>> {
    let source = std::fs::read(&place.file)?;
    let tree = parse(py, &PyBytes::new(py, &source), &place.file)?;
    let ast = py.import("ast")?;
    let nodes: Vec<_> = ast.call_method1("walk", (tree,))?.try_iter()?.collect::<PyResult<_>>()?;
    let mut names = Vec::new();
    for node in &nodes {
        let kind = node.get_type().name()?.to_string();
        if !kind.starts_with("Import") || !spans(node, place.line)? {
            continue;
        }
        for alias in node.getattr("names")?.try_iter()? {
            let alias = alias?;
            let name: String = alias.getattr("name")?.extract()?;
            if kind == "ImportFrom" {
                let module: Option<String> = node.getattr("module")?.extract()?;
                names.push(format!("{}.{name}", module.unwrap_or_default()));
                continue;
            }
            let bound: Option<String> = alias.getattr("asname")?.extract()?;
            let uses = uses(&ast, &nodes, bound.as_deref().unwrap_or(PACKAGE))?;
            let whole = if bound.is_some() { name.as_str() } else { PACKAGE };
            names.extend(uses.iter().map(|rest| format!("{whole}.{rest}")));
            if uses.is_empty() {
                names.push(name);
            }
        }
    }
    names.retain(|name| name == PACKAGE || name.starts_with("gunicorn."));
    Ok(names)
}

fn spans(node: &Bound<'_, PyAny>, line: u32) -> PyResult<bool> {
    let (first, last): (u32, u32) =
        (node.getattr("lineno")?.extract()?, node.getattr("end_lineno")?.extract()?);
    Ok((first..=last).contains(&line))
}

/// What the file takes from the module that is bound to `name`.
fn uses(ast: &Bound<'_, PyModule>, nodes: &[Bound<'_, PyAny>], name: &str) -> PyResult<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for node in nodes.iter().filter(|node| node.get_type().name().is_ok_and(|kind| kind == "Attribute")) {
        let text: String = ast.call_method1("unparse", (node,))?.extract()?;
        let Some(rest) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { continue };
        // Of `a.b.c` the walk also meets `a.b`, later.
        if !found.iter().any(|known| known == rest || known.starts_with(&format!("{rest}."))) {
            found.push(rest.to_owned());
        }
    }
    Ok(found)
}

fn advice(py: Python<'_>, name: &str) -> String {
    if name.starts_with("gunicorn.workers") {
        let class = WorkerClass::short_name(name).unwrap_or("sync");
        return format!("A worker class is named by a string: worker_class = '{class}'.");
    }
    if name.starts_with("gunicorn.instrument") {
        return "The setting statsd_host needs no logger_class; one of your own derives from rwsgi.glogging.Logger."
            .to_owned();
    }
    let twin = name.replacen(PACKAGE, "rwsgi", 1);
    match name != PACKAGE && exists(py, &twin) {
        true => format!("{name} is {twin} here."),
        false => format!("rwsgi has nothing for {name}: remove it, or `pip install gunicorn`."),
    }
}

/// A module, or something in one.
fn exists(py: Python<'_>, path: &str) -> bool {
    let within = || py.import(path.rsplit_once('.')?.0).ok()?.getattr(path.rsplit_once('.')?.1).ok();
    py.import(path).is_ok() || within().is_some()
}
