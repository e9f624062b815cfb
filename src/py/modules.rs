//! Which files an application is made of, as far as its code goes.
//!
//! Owns what counts as the application's own: neither Python's library nor installed packages. Must never import anything
//! of the application's. Read next: `worker/reloader.rs`.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyImportError, PySyntaxError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::failure::is_own;

/// The source files of the modules that are loaded.
pub fn own_files(py: Python<'_>) -> PyResult<Vec<PathBuf>> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>().map_err(PyErr::from)?;
    // A copy: a lazy module may import another when it is asked for its file.
    let modules: Vec<Bound<'_, PyAny>> = modules.values().iter().collect();
    let files = modules.iter().filter_map(|module| module.getattr("__file__").ok()?.extract::<String>().ok());
    Ok(files.filter_map(|file| source(py, &file)).collect())
}

fn source(py: Python<'_>, file: &str) -> Option<PathBuf> {
    let file = file.strip_suffix('c').filter(|file| file.ends_with(".py")).unwrap_or(file);
    is_own(py, file).then(|| PathBuf::from(file))
}

/// The files that an exception speaks of: those it passed through, and those that it could not find.
pub fn files_of(py: Python<'_>, error: &PyErr) -> PyResult<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut next = Some(error.clone_ref(py));
    while let Some(error) = next {
        let frames = py.import("traceback")?.call_method1("extract_tb", (error.traceback(py),))?;
        for frame in frames.try_iter()? {
            files.push(frame?.getattr("filename")?.extract()?);
        }
        let value = error.value(py);
        if error.is_instance_of::<PySyntaxError>(py) {
            files.extend(value.getattr("filename")?.extract::<Option<String>>()?);
        }
        if error.is_instance_of::<PyImportError>(py)
            && let Some(name) = value.getattr("name")?.extract::<Option<String>>()?
        {
            files.extend(candidates(py, &name)?);
        }
        next = error.cause(py).or_else(|| error.context(py));
    }
    Ok(files.iter().filter_map(|file| source(py, file)).collect())
}

/// Where a module's source would be, in the directories that are not Python's.
fn candidates(py: Python<'_>, name: &str) -> PyResult<Vec<String>> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>().map_err(PyErr::from)?;
    let relative = name.replace('.', "/");
    let mut found = Vec::new();
    for directory in path.iter() {
        let Ok(directory) = directory.extract::<PathBuf>() else { continue };
        // An empty entry is the working directory, wherever that is at the time.
        let directory = std::path::absolute(directory).unwrap_or_default();
        for file in [format!("{relative}.py"), format!("{relative}/__init__.py")] {
            found.extend(directory.join(file).to_str().map(str::to_owned));
        }
    }
    Ok(found)
}

/// The files that match a pattern, `**` included.
pub fn matching(py: Python<'_>, pattern: &str) -> PyResult<Vec<PathBuf>> {
    let recursive = PyDict::new(py);
    recursive.set_item("recursive", true)?;
    let found: Vec<PathBuf> =
        py.import("glob")?.call_method("glob", (pattern,), Some(&recursive))?.extract()?;
    let base: PathBuf = Path::new(pattern)
        .iter()
        .take_while(|part| !part.to_string_lossy().contains(['*', '?', '[']))
        .collect();
    Ok(found.into_iter().filter(|path| path.is_file() && !is_foreign(&base, path)).collect())
}

/// Folders of tools, and of virtual environments, between `base` and the file.
fn is_foreign(base: &Path, file: &Path) -> bool {
    const FOREIGN: [&str; 7] =
        [".git", ".hg", ".svn", "node_modules", "__pycache__", "site-packages", "dist-packages"];
    let Ok(below) = file.strip_prefix(base) else { return false };
    let mut folder = base.to_owned();
    below.parent().unwrap_or(Path::new("")).iter().any(|part| {
        folder.push(part);
        FOREIGN.iter().any(|name| part == *name) || folder.join("pyvenv.cfg").exists()
    })
}
