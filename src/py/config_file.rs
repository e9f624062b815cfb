//! Runs a Python config file and reads its globals.
//!
//! The file is executed as the module `__config__`, afresh each time, so that a reload sees what it says now.
//! Owns the translation of Python values into [`Raw`] and of exceptions into [`ConfigError`]; what a name
//! means is `config::file`'s business. Never lets an exception, not even `SystemExit`, pass. Read next:
//! `config/file.rs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyModule, PySet, PyString, PyTuple, PyType,
};

use super::config_failure::report;
use super::surroundings::put_on_path;
use crate::config::{ConfigError, ConfigSource, FileLoader, Global, Loaded, Raw, is_setting};
use crate::sys::reason::reason;

const MODULE: &str = "__config__";

/// A list that holds itself must end somewhere; no setting nests as deep.
const DEPTH: u8 = 8;

const DESCRIPTION: usize = 100;

/// What a config file gives to settings and no text can hold, by setting: callables and dictionaries.
pub type Objects = HashMap<String, Py<PyAny>>;

pub struct PythonLoader {
    cwd: PathBuf,
    objects: Objects,
}

impl PythonLoader {
    /// `cwd` is where the server was started; config files may import from there.
    pub fn new(cwd: impl Into<PathBuf>) -> Self {
        Self { cwd: cwd.into(), objects: Objects::new() }
    }

    /// Those of the file that was loaded last.
    pub fn into_objects(self) -> Objects {
        self.objects
    }
}

impl FileLoader for PythonLoader {
    fn load(&mut self, source: &ConfigSource) -> Result<Loaded, ConfigError> {
        let shown = match source {
            ConfigSource::File { shown, .. } => shown.clone(),
            ConfigSource::Module(name) => PathBuf::from(format!("python:{name}")),
        };
        let bytes = match source {
            ConfigSource::File { path, .. } => std::fs::read(path),
            ConfigSource::Module(_) => Ok(Vec::new()),
        };
        let bytes = bytes.map_err(|error| ConfigError::unreadable(&shown, &reason(&error)))?;
        Python::attach(|py| {
            let ran = put_on_path(py, &self.cwd).and_then(|()| match source {
                ConfigSource::File { path, .. } => execute(py, path, &bytes),
                ConfigSource::Module(name) => import(py, name),
            });
            let loaded = ran.and_then(|ran| {
                self.objects = objects(&ran.globals);
                let path = ran.path.unwrap_or_else(|| shown.clone());
                Ok(Loaded { globals: read_globals(&ran.globals, &ran.lines)?, path })
            });
            loaded.map_err(|error| report(py, &shown, &error))
        })
    }
}

/// A config file that was run.
struct Ran<'py> {
    /// If it is not the one that was named.
    path: Option<PathBuf>,
    globals: Bound<'py, PyDict>,
    lines: HashMap<String, u32>,
}

fn execute<'py>(py: Python<'py>, path: &Path, bytes: &[u8]) -> PyResult<Ran<'py>> {
    let name = path.to_string_lossy();
    let (code, lines) = match path.extension().is_some_and(|kind| kind == "pyc") {
        true => (compiled(py, &name)?, HashMap::new()),
        false => {
            // As bytes: Python knows the file's encoding, from its coding line.
            let tree = parse(py, &PyBytes::new(py, bytes), &name)?;
            let code = py.import("builtins")?.call_method1("compile", (&tree, &*name, "exec"))?;
            (code, assignments(&tree)?)
        }
    };
    let module = PyModule::new(py, MODULE)?;
    module.setattr("__file__", &*name)?;
    py.import("sys")?.getattr("modules")?.set_item(MODULE, &module)?;
    let globals = module.dict();
    py.import("builtins")?.call_method1("exec", (code, &globals))?;
    Ok(Ran { path: None, lines, globals })
}

/// What Python has compiled before; the lines are not known.
fn compiled<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let loader = py.import("importlib.machinery")?.getattr("SourcelessFileLoader")?;
    loader.call1((MODULE, name))?.call_method1("get_code", (MODULE,))
}

/// A module that was imported before is imported again, for its file may have changed.
fn import<'py>(py: Python<'py>, name: &str) -> PyResult<Ran<'py>> {
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
    Ok(Ran { path: file, globals: module.dict(), lines })
}

/// Where a module's source assigns its globals; a module without source has no lines.
fn lines_of(py: Python<'_>, file: &Path) -> Option<HashMap<String, u32>> {
    let source = std::fs::read(file).ok()?;
    let tree = parse(py, &PyBytes::new(py, &source), &file.to_string_lossy()).ok()?;
    assignments(&tree).ok()
}

/// `ast.parse` by its C half, which leaves no frame in a SyntaxError's traceback.
pub(super) fn parse<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyBytes>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let only_ast = py.import("ast")?.getattr("PyCF_ONLY_AST")?;
    py.import("builtins")?.call_method1("compile", (source, name, "exec", only_ast))
}

/// The line that last binds each global, outside functions and classes, whose names are their own.
fn assignments(tree: &Bound<'_, PyAny>) -> PyResult<HashMap<String, u32>> {
    let children = tree.py().import("ast")?.getattr("iter_child_nodes")?;
    let mut lines = HashMap::new();
    let mut pending = vec![tree.clone()];
    while let Some(node) = pending.pop() {
        match node.get_type().name()?.to_str()? {
            "FunctionDef" | "AsyncFunctionDef" | "ClassDef" => note(&mut lines, &node, "name")?,
            // The variable of a comprehension is no global.
            "comprehension" => {}
            "Name" if node.getattr("ctx")?.get_type().name()? == "Store" => note(&mut lines, &node, "id")?,
            _ => {
                for child in children.call1((node,))?.try_iter()? {
                    pending.push(child?);
                }
            }
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

fn objects(globals: &Bound<'_, PyDict>) -> Objects {
    let named = globals.iter().filter_map(|(name, value)| Some((name.extract::<String>().ok()?, value)));
    named
        .filter(|(name, value)| is_setting(name) && is_object(value))
        .map(|(name, value)| (name, value.unbind()))
        .collect()
}

/// Names with two underscores in front and modules are Python's own.
fn read_globals(globals: &Bound<'_, PyDict>, lines: &HashMap<String, u32>) -> PyResult<Vec<Global>> {
    let mut found = Vec::new();
    for (name, value) in globals.iter() {
        let Ok(name) = name.extract::<String>() else { continue };
        if name.starts_with("__") || value.is_instance_of::<PyModule>() {
            continue;
        }
        let value = if is_setting(&name) { raw(&value, DEPTH) } else { foreign(&value) };
        let line = lines.get(&name).copied();
        found.push(Global { name, value, line });
    }
    Ok(found)
}

/// Whether no text can hold it.
pub(super) fn is_object(value: &Bound<'_, PyAny>) -> bool {
    value.is_callable() || value.is_instance_of::<PyDict>()
}

/// A setting's value.
pub(super) fn value(value: &Bound<'_, PyAny>) -> Raw {
    raw(value, DEPTH)
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
    if is_sequence(value) && depth > 0 {
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

fn is_sequence(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PySet>()
        || value.is_instance_of::<PyFrozenSet>()
}

/// A value that no setting has, in the words of its author and no more of them than fit a line.
fn nature(value: &Bound<'_, PyAny>) -> Raw {
    let described = value.repr().map(|repr| repr.to_string()).unwrap_or_else(|_| type_name(value));
    let described = without_address(&described).chars().take(DESCRIPTION).collect();
    if value.is_callable() { Raw::Callable(described) } else { Raw::Object(described) }
}

/// `<function f at 0x7f…>` as `<function f>`: where an object lies differs from run to run, and two runs are compared.
fn without_address(described: &str) -> String {
    let is_address = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match described.rsplit_once(" at 0x") {
        Some((before, rest)) if rest.strip_suffix('>').is_some_and(is_address) => format!("{before}>"),
        _ => described.to_owned(),
    }
}

/// A global of the file's own: anything, perhaps large, and not ours to look into.
fn foreign(value: &Bound<'_, PyAny>) -> Raw {
    let described = type_name(value);
    if value.is_callable() { Raw::Callable(described) } else { Raw::Object(described) }
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".to_owned(), |name| format!("<{name}>"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// There is one `__config__` in a process, as there is one reader of it in a server.
    static READER: Mutex<()> = Mutex::new(());

    /// What a file with this text gives; its path ends in `name`.
    fn read(name: &str, text: &str) -> Result<Loaded, ConfigError> {
        let _reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
        Python::initialize();
        let path = std::env::temp_dir().join(format!("rwsgi-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let source = ConfigSource::File { path: path.clone(), shown: name.into() };
        let loaded = PythonLoader::new("/").load(&source);
        std::fs::remove_file(&path).unwrap();
        loaded
    }

    fn globals(name: &str, text: &str) -> Vec<(String, Raw, Option<u32>)> {
        let loaded = read(name, text).unwrap();
        assert_eq!(loaded.path, Path::new(name));
        loaded.globals.into_iter().map(|global| (global.name, global.value, global.line)).collect()
    }

    #[test]
    fn globals_come_with_their_last_line() {
        let text = "\
import os, sys
from pathlib import Path
workers = 1
mine = [n for n in range(3)]
def timeout(): workers = 9
class Mine: bind = 1
if __name__ == '__config__' and sys.modules[__name__].__dict__ is globals():
    workers = 2 + 1
bind, chdir = (':1', ':2'), Path('/tmp')
secure_scheme_headers = {'X': 'y'}
pythonpath = []; pythonpath.append(pythonpath)
backlog = 1 << 80
";
        let found = globals("globals.py", text);
        let of = |name: &str| {
            found.iter().find(|global| global.0 == name).map(|(_, raw, line)| (raw.clone(), *line))
        };
        assert_eq!(of("os"), None);
        assert_eq!(of("__file__"), None);
        assert_eq!(of("workers"), Some((Raw::Int(3), Some(8))));
        assert_eq!(of("mine"), Some((Raw::Object("<list>".into()), Some(4))));
        assert_eq!(of("timeout"), Some((Raw::Callable("<function timeout>".into()), Some(5))));
        assert!(matches!(of("Mine"), Some((Raw::Callable(_), Some(6)))));
        assert!(matches!(of("Path"), Some((Raw::Callable(_), None))));
        assert_eq!(of("bind"), Some((Raw::strings([":1", ":2"]), Some(9))));
        assert_eq!(of("chdir"), Some((Raw::from("/tmp"), Some(9))));
        assert_eq!(
            of("secure_scheme_headers"),
            Some((Raw::Map(vec![("X".into(), Raw::from("y"))]), Some(10)))
        );
        assert!(matches!(of("pythonpath"), Some((Raw::List(_), Some(11)))));
        assert_eq!(of("backlog"), Some((Raw::Object((1u128 << 80).to_string()), Some(12))));
    }

    #[test]
    fn an_exception_is_shown_with_the_files_own_frames() {
        let cases = [
            ("raises.py", "def f():\n    1 / 0\nf()\n", 3, "ZeroDivisionError: division by zero\n"),
            ("syntax.py", "workers = 1\nbind = (\n", 2, "SyntaxError: '(' was never closed"),
            ("exits.py", "import sys\nsys.exit(3)\n", 2, "SystemExit: 3\n"),
            ("json.py", "import json\njson.loads('{')\n", 2, "JSONDecodeError: "),
            ("deep.py", "def f(n):\n    return 1 / n and f(n - 1)\nf(9)\n", 3, "ZeroDivisionError: "),
        ];
        for (name, text, line, reason) in cases {
            let error = read(name, text).unwrap_err();
            assert_eq!(error.exit_code, 1);
            let said = format!("Failed to read config file: {name}\n{reason}");
            assert!(error.message.starts_with(&said), "{error}");
            assert!(error.message.contains(&format!("{name}:{line}  ")), "{error}");
            let frames = error.message.lines().skip(2);
            assert!(frames.clone().all(|frame| frame.contains(name)) && frames.count() <= 2, "{error}");
        }
    }

    #[test]
    fn a_module_is_imported_afresh() {
        Python::initialize();
        let directory = std::env::temp_dir().join(format!("rwsgi-module-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("rwsgi_settings.py");
        let mut loader = PythonLoader::new(&directory);
        let source = ConfigSource::Module("rwsgi_settings".into());
        for (text, workers) in [("workers = 2\n", 2), ("import sys\nworkers = 10\n", 10)] {
            std::fs::write(&file, text).unwrap();
            let loaded = loader.load(&source).unwrap();
            assert_eq!(loaded.path, file);
            assert_eq!(loaded.globals.last().map(|global| global.value.clone()), Some(Raw::Int(workers)));
            assert!(loaded.globals.last().is_some_and(|global| global.line.is_some()));
        }
        std::fs::remove_dir_all(&directory).unwrap();
        let error = loader.load(&ConfigSource::Module("rwsgi_absent".into())).unwrap_err();
        assert!(error.message.contains("No module named 'rwsgi_absent'"), "{error}");
    }
}
