//! What a source file seems to define, for whoever has not named the application right.
//!
//! Owns the guess which of a module's names is the application. The file is parsed, never run. Must never be more than a
//! hint. Read next: `hint.rs`.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Calls by which frameworks make an application.
const MAKERS: [&str; 7] =
    ["Flask", "Bottle", "get_wsgi_application", "make_wsgi_app", "WSGIApplication", "create_app", "make_app"];
const ASGI_MAKERS: [&str; 6] = ["FastAPI", "Starlette", "Quart", "Litestar", "Sanic", "get_asgi_application"];
const FACTORIES: [&str; 4] = ["create_app", "make_app", "build_app", "get_app"];
/// Where applications live, by custom.
const MODULES: [&str; 7] = ["app", "main", "wsgi", "application", "server", "run", "asgi"];

/// Of a module whose name says nothing, an application must have a name or a maker that does.
const LIKELY: u8 = 6;
const SHOWN: usize = 3;
/// Files looked at before a guess is not worth the time.
const MANY: usize = 100;

/// An expression that gives an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) expression: String,
    rank: u8,
}

impl Candidate {
    fn new(expression: &str, rank: u8) -> Self {
        Self { expression: expression.to_owned(), rank }
    }
}

/// What in this file is most likely the application.
pub(super) fn application_in(py: Python<'_>, file: &Path) -> Option<Candidate> {
    let source = std::fs::read(file).ok()?;
    let only_ast = py.import("ast").ok()?.getattr("PyCF_ONLY_AST").ok()?;
    let builtins = py.import("builtins").ok()?;
    let arguments = (PyBytes::new(py, &source), "module", "exec", only_ast);
    let tree = builtins.call_method1("compile", arguments).ok()?;
    let mut found = Vec::new();
    // What has no such attribute has been looked at as far as it goes.
    let _ = collect(&tree, &mut found);
    // Of equals the last one wins, as it does when the module runs.
    found.into_iter().max_by_key(|candidate| candidate.rank)
}

/// The modules of `directory` that seem to hold an application, with that: those of a customary name, else any.
pub(super) fn applications_in(py: Python<'_>, directory: &Path) -> Vec<(String, Candidate)> {
    let candidate = |name: &str| {
        let file = module_in(directory, name)?;
        Some((name.to_owned(), application_in(py, &file)?))
    };
    let customary: Vec<_> = MODULES.iter().filter_map(|name| candidate(name)).collect();
    if !customary.is_empty() {
        return customary;
    }
    let mut names = modules_in(directory);
    names.sort();
    let likely = |(_, found): &(String, Candidate)| found.rank >= LIKELY;
    names.iter().filter_map(|name| candidate(name)).filter(likely).take(SHOWN).collect()
}

/// The modules and packages of a directory.
pub(super) fn modules_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let name = name.strip_suffix(".py").unwrap_or(&name).to_owned();
        module_in(directory, &name).map(|_| name)
    });
    names.take(MANY).collect()
}

/// The file of the module `name` of a directory, if there is one.
pub(super) fn module_in(directory: &Path, name: &str) -> Option<PathBuf> {
    let files = [directory.join(format!("{name}.py")), directory.join(name).join("__init__.py")];
    files.into_iter().find(|file| file.is_file())
}

fn collect(block: &Bound<'_, PyAny>, found: &mut Vec<Candidate>) -> PyResult<()> {
    for node in block.getattr("body")?.try_iter()? {
        let node = node?;
        match kind(&node)?.as_str() {
            "FunctionDef" => found.extend(function(&node)?),
            "AsyncFunctionDef" => found.extend(coroutine(&node)?),
            "Assign" => assignment(&node, found)?,
            "ImportFrom" => imports(&node, found)?,
            "If" | "Try" | "With" => collect(&node, found)?,
            _ => {}
        }
    }
    Ok(())
}

fn kind(node: &Bound<'_, PyAny>) -> PyResult<String> {
    node.get_type().name()?.extract()
}

/// The customary names come first.
fn rank(name: &str) -> Option<u8> {
    match name {
        "application" => Some(9),
        "app" => Some(8),
        _ => None,
    }
}

fn parameters(function: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    let arguments = function.getattr("args")?;
    let all = arguments.getattr("args")?.len()? + arguments.getattr("posonlyargs")?.len()?;
    Ok((all, all.saturating_sub(arguments.getattr("defaults")?.len()?)))
}

fn function(node: &Bound<'_, PyAny>) -> PyResult<Option<Candidate>> {
    let name: String = node.getattr("name")?.extract()?;
    let (all, required) = parameters(node)?;
    Ok(if FACTORIES.contains(&name.as_str()) && required == 0 {
        Some(Candidate::new(&format!("{name}()"), 4))
    } else if all == 2 {
        Some(Candidate::new(&name, rank(&name).unwrap_or(2)))
    } else {
        None
    })
}

fn coroutine(node: &Bound<'_, PyAny>) -> PyResult<Option<Candidate>> {
    let name: String = node.getattr("name")?.extract()?;
    Ok((parameters(node)?.0 == 3).then(|| Candidate::new(&name, rank(&name).unwrap_or(1))))
}

fn assignment(node: &Bound<'_, PyAny>, found: &mut Vec<Candidate>) -> PyResult<()> {
    let maker = maker(&node.getattr("value")?)?;
    let known = [&MAKERS[..], &ASGI_MAKERS].iter().any(|makers| makers.contains(&maker.as_str()));
    for target in node.getattr("targets")?.try_iter()? {
        let Some(name) = target?.getattr_opt("id")? else { continue };
        let name: String = name.extract()?;
        if let Some(rank) = rank(&name).or(known.then_some(6)) {
            found.push(Candidate::new(&name, rank));
        }
    }
    Ok(())
}

/// The last name of what is called, of `flask.Flask(__name__)` for example; empty for anything but a call.
fn maker(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if kind(value)? != "Call" {
        return Ok(String::new());
    }
    let called = value.getattr("func")?;
    let name = called.getattr_opt("attr")?.or(called.getattr_opt("id")?);
    name.map_or_else(|| Ok(String::new()), |name| name.extract())
}

fn imports(node: &Bound<'_, PyAny>, found: &mut Vec<Candidate>) -> PyResult<()> {
    for alias in node.getattr("names")?.try_iter()? {
        let alias = alias?;
        let renamed: Option<String> = alias.getattr("asname")?.extract()?;
        let name = renamed.map_or_else(|| alias.getattr("name")?.extract(), Ok::<_, PyErr>)?;
        found.extend(rank(&name).map(|rank| Candidate::new(&name, rank)));
    }
    Ok(())
}
