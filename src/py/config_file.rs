//! Runs a Python config file and reads its globals.
//!
//! The file is executed as the module `__config__`, afresh each time, so that a reload sees what it says now. Owns the translation of Python
//! values into [`Raw`] and of exceptions into [`ConfigError`]; what a name means is `config::file`'s business. Never lets an exception, not
//! even `SystemExit`, pass. Read next: `config/file.rs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyModule, PyString, PyType};

use crate::config::{ConfigError, ConfigSource, FileLoader, Global, Loaded, Raw, is_setting};

const MODULE: &str = "__config__";

/// A list that holds itself must end somewhere; no setting nests deeper than a dict of strings.
const DEPTH: u8 = 4;

pub struct PythonLoader {
    cwd: PathBuf,
}

impl PythonLoader {
    /// `cwd` is where the server was started; config files may import from there.
    pub fn new(cwd: impl Into<PathBuf>) -> Self {
        Self { cwd: cwd.into() }
    }
}

impl FileLoader for PythonLoader {
    fn load(&mut self, source: &ConfigSource) -> Result<Loaded, ConfigError> {
        Python::attach(|py| {
            let read = put_on_path(py, &self.cwd).and_then(|()| match source {
                ConfigSource::File { path, shown } => execute(py, path, shown),
                ConfigSource::Module(name) => import(py, name),
            });
            read.map_err(|error| {
                let shown = match source {
                    ConfigSource::File { shown, .. } => shown.clone(),
                    ConfigSource::Module(name) => PathBuf::from(format!("python:{name}")),
                };
                ConfigError::unreadable(&shown, &traceback(py, &error))
            })
        })
    }
}

fn put_on_path(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    if path.contains(directory)? {
        return Ok(());
    }
    path.call_method1("insert", (0, directory.to_string_lossy())).map(drop)
}

fn execute(py: Python<'_>, path: &Path, shown: &Path) -> PyResult<Loaded> {
    // As bytes: Python knows the file's encoding, from its coding line.
    let source = PyBytes::new(py, &std::fs::read(path)?);
    let name = path.to_string_lossy();
    let tree = parse(py, &source, &name)?;
    let code = py.import("builtins")?.call_method1("compile", (&tree, &*name, "exec"))?;

    let module = PyModule::new(py, MODULE)?;
    module.setattr("__file__", &*name)?;
    py.import("sys")?.getattr("modules")?.set_item(MODULE, &module)?;
    let globals = module.dict();
    py.import("builtins")?.call_method1("exec", (code, &globals))?;
    Ok(Loaded { path: shown.to_owned(), globals: read_globals(&globals, &assignments(&tree)?)? })
}

/// A module that was imported before is imported again, for its file may have changed.
fn import(py: Python<'_>, name: &str) -> PyResult<Loaded> {
    let modules = py.import("sys")?.getattr("modules")?;
    let before = modules.call_method1("pop", (name, py.None()))?;
    py.import("importlib")?.call_method0("invalidate_caches")?;
    let module = match py.import(name) {
        Ok(module) => module,
        Err(error) => {
            if !before.is_none() {
                modules.set_item(name, before)?;
            }
            return Err(error);
        }
    };
    let file: Option<PathBuf> = module.getattr("__file__").and_then(|file| file.extract()).ok();
    let lines = file.as_deref().and_then(|file| lines_of(py, file)).unwrap_or_default();
    let path = file.unwrap_or_else(|| PathBuf::from(format!("python:{name}")));
    Ok(Loaded { path, globals: read_globals(&module.dict(), &lines)? })
}

/// Where a module's source assigns its globals; a module without source has no lines.
fn lines_of(py: Python<'_>, file: &Path) -> Option<HashMap<String, u32>> {
    let source = std::fs::read(file).ok()?;
    let tree = parse(py, &PyBytes::new(py, &source), &file.to_string_lossy()).ok()?;
    assignments(&tree).ok()
}

fn parse<'py>(py: Python<'py>, source: &Bound<'py, PyBytes>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("ast")?.call_method1("parse", (source, name))
}

/// The line that last binds each global, outside functions and classes, whose names are their own.
fn assignments(tree: &Bound<'_, PyAny>) -> PyResult<HashMap<String, u32>> {
    let ast = tree.py().import("ast")?;
    let definitions = ["FunctionDef", "AsyncFunctionDef", "ClassDef"].map(|name| ast.getattr(name));
    let [function, coroutine, class] = definitions;
    let definitions = (function?, coroutine?, class?);
    let scopes = (ast.getattr("Lambda")?, ast.getattr("comprehension")?);
    let mut lines = HashMap::new();
    let mut pending = vec![tree.clone()];
    while let Some(node) = pending.pop() {
        if node.is_instance(definitions.clone().into_pyobject(tree.py())?.as_any())? {
            note(&mut lines, &node, "name")?;
            continue;
        }
        if node.is_instance(scopes.clone().into_pyobject(tree.py())?.as_any())? {
            continue;
        }
        if node.is_instance(&ast.getattr("Name")?)?
            && node.getattr("ctx")?.is_instance(&ast.getattr("Store")?)?
        {
            note(&mut lines, &node, "id")?;
        }
        for child in ast.call_method1("iter_child_nodes", (node,))?.try_iter()? {
            pending.push(child?);
        }
    }
    Ok(lines)
}

fn note(lines: &mut HashMap<String, u32>, node: &Bound<'_, PyAny>, attribute: &str) -> PyResult<()> {
    let line: u32 = node.getattr("lineno")?.extract()?;
    let last = lines.entry(node.getattr(attribute)?.extract()?).or_insert(line);
    *last = line.max(*last);
    Ok(())
}

/// Names with two underscores in front and modules are Python's own.
fn read_globals(globals: &Bound<'_, PyDict>, lines: &HashMap<String, u32>) -> PyResult<Vec<Global>> {
    let mut found = Vec::new();
    for (name, value) in globals.iter() {
        let Ok(name) = name.extract::<String>() else { continue };
        if name.starts_with("__") || value.is_instance_of::<PyModule>() {
            continue;
        }
        // What is no setting may be anything, and large: only its nature matters.
        let value = if is_setting(&name) { raw(&value, DEPTH) } else { nature(&value) };
        let line = lines.get(&name).copied();
        found.push(Global { name, value, line });
    }
    Ok(found)
}

fn raw(value: &Bound<'_, PyAny>, depth: u8) -> Raw {
    convert(value, depth).unwrap_or_else(|_| nature(value))
}

/// An error means that the value is like none of these: `raw` describes it.
fn convert(value: &Bound<'_, PyAny>, depth: u8) -> PyResult<Raw> {
    if value.is_none() {
        return Ok(Raw::None);
    }
    // Before int: a bool is one.
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Raw::Bool(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        return value.extract().map(Raw::Int);
    }
    if value.is_instance_of::<PyFloat>() {
        return value.extract().map(Raw::Float);
    }
    if value.is_instance_of::<PyString>() {
        return value.extract().map(Raw::Str);
    }
    if let Ok(map) = value.cast::<PyDict>() {
        return pairs(map, depth);
    }
    if is_sequence(value)? && depth > 0 {
        let items = value.try_iter()?.map(|item| Ok(raw(&item?, depth - 1)));
        return items.collect::<PyResult<_>>().map(Raw::List);
    }
    if !value.is_instance_of::<PyType>() && value.hasattr(intern!(value.py(), "__fspath__"))? {
        return value.call_method0("__fspath__")?.extract().map(Raw::Str);
    }
    Ok(nature(value))
}

fn pairs(map: &Bound<'_, PyDict>, depth: u8) -> PyResult<Raw> {
    if depth == 0 {
        return Ok(nature(map));
    }
    let pairs = map.iter().map(|(key, value)| Ok((key.extract()?, raw(&value, depth - 1))));
    pairs.collect::<PyResult<_>>().map(Raw::Map)
}

fn is_sequence(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    use pyo3::types::{PyFrozenSet, PySet, PyTuple};
    Ok(value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PySet>()
        || value.is_instance_of::<PyFrozenSet>())
}

fn nature(value: &Bound<'_, PyAny>) -> Raw {
    let described = value.repr().map(|repr| repr.to_string()).unwrap_or_else(|_| "<object>".to_owned());
    if value.is_callable() { Raw::Callable(described) } else { Raw::Object(described) }
}

/// As Python prints it. No frame of ours is in it, for the file is called from here.
fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = || -> PyResult<String> {
        let arguments = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = py.import("traceback")?.call_method1("format_exception", arguments)?;
        PyString::new(py, "").call_method1("join", (lines,))?.extract()
    };
    lines().unwrap_or_else(|_| error.to_string())
}
