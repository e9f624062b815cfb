//! What the application finds around it: `sys.path`, `os.environ`, and Python's own SIGINT handler taken away.
//!
//! Owns what must be given back: the signal handlers of a program that embeds the server, and the variables that
//! `raw_env` changed. Must never set a variable past Python: `os.environ` would not know of it. Read next: `cli.rs`,
//! which calls this in gunicorn's order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyDict};

/// The command line of this interpreter, with the interpreter's own path in front.
pub fn command_line(py: Python<'_>) -> PyResult<Vec<OsString>> {
    let sys = py.import("sys")?;
    let mut command: Vec<OsString> = sys.getattr("orig_argv")?.extract()?;
    let executable: Option<OsString> = sys.getattr("executable")?.extract()?;
    if let (Some(first), Some(executable)) = (command.first_mut(), executable)
        && !executable.is_empty()
    {
        *first = executable;
    }
    Ok(command)
}

/// Puts `directory` first on `sys.path`, unless it is there already.
pub fn put_on_path(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    let directory = directory.to_string_lossy();
    if path.contains(&*directory)? {
        return Ok(());
    }
    path.call_method1("insert", (0, directory)).map(drop)
}

/// The setting `pythonpath`: each directory goes before the ones already there.
pub fn extend_path(py: Python<'_>, directories: &[String], cwd: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    for directory in directories {
        let absolute: PathBuf = cwd.join(directory).components().collect();
        path.call_method1("insert", (0, absolute.to_string_lossy()))?;
    }
    Ok(())
}

pub fn set_variable(py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
    py.import("os")?.getattr("environ")?.set_item(name, value)
}

pub fn remove_variable(py: Python<'_>, name: &str) -> PyResult<()> {
    py.import("os")?.getattr("environ")?.call_method1("pop", (name, py.None())).map(drop)
}

/// What Python prints comes out line by line, also where it leads to a file: a log that lags behind by a buffer tells
/// nothing of a process that was killed.
pub fn print_by_line(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    let arguments = PyDict::new(py);
    arguments.set_item("line_buffering", true)?;
    for name in ["stdout", "stderr"] {
        let stream = sys.getattr(name)?;
        // An application may have put something else there, or nothing.
        if let Some(reconfigure) = stream.getattr_opt("reconfigure")? {
            reconfigure.call((), Some(&arguments))?;
        }
    }
    Ok(())
}

/// Ends the process though threads are in Python code, which an orderly end of the interpreter would wait for or crash in.
/// What the application has registered with `atexit` runs, and what it has printed is written.
pub fn exit(py: Python<'_>, status: i32) -> ! {
    let _ = py.import("atexit").and_then(|atexit| atexit.call_method0("_run_exitfuncs"));
    flush(py);
    crate::sys::fork::leave(status)
}

pub fn flush(py: Python<'_>) {
    let flush = |name| py.import("sys")?.getattr(name)?.call_method0("flush");
    for name in ["stdout", "stderr"] {
        // None, or closed: then there is nothing to flush.
        let _ = flush(name);
    }
}

/// The Python signal handlers of a program that embeds the server.
#[derive(Default)]
pub struct Handlers(Vec<(i32, Py<PyAny>)>);

impl Handlers {
    /// Takes those of `signals` away: ours would call them first.
    pub fn take(py: Python<'_>, signals: &[Signal]) -> PyResult<Self> {
        let module = py.import("signal")?;
        let mut taken = Vec::new();
        for number in signals.iter().map(|signal| *signal as i32) {
            let handler = module.call_method1("getsignal", (number,))?;
            if handler.is_callable() {
                module.call_method1("signal", (number, module.getattr("SIG_DFL")?))?;
            }
            // Python knows no word for one that is written in C.
            if !handler.is_none() {
                taken.push((number, handler.unbind()));
            }
        }
        Ok(Self(taken))
    }

    pub fn restore(self, py: Python<'_>) -> PyResult<()> {
        let module = py.import("signal")?;
        self.0.into_iter().try_for_each(|pair| module.call_method1("signal", pair).map(drop))
    }
}

/// Python's handler turns SIGINT into KeyboardInterrupt; a handler registered later would still call it.
pub fn forget_interrupts(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    signal.call_method1("signal", (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?)).map(drop)
}

/// The variables of `raw_env` that are set now, with the values they had before.
#[derive(Debug, Default)]
pub struct Variables {
    before: Vec<(String, Option<String>)>,
}

impl Variables {
    /// Sets `pairs` in place of the ones set before.
    pub fn apply(&mut self, py: Python<'_>, pairs: &[(String, String)]) -> PyResult<()> {
        self.restore(py)?;
        let environ = py.import("os")?.getattr("environ")?;
        for (name, value) in pairs {
            let before = environ.call_method1("get", (name,))?.extract()?;
            environ.set_item(name, value)?;
            self.before.push((name.clone(), before));
        }
        Ok(())
    }

    /// Gives every variable the value it had when the server was started.
    pub fn restore(&mut self, py: Python<'_>) -> PyResult<()> {
        // The last one first: a name may have been set twice.
        for (name, value) in self.before.drain(..).rev() {
            match value {
                Some(value) => set_variable(py, &name, &value)?,
                None => remove_variable(py, &name)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_get_their_old_values_back() {
        Python::initialize();
        Python::attach(|py| {
            let value = |name: &str| -> Option<String> {
                let environ = py.import("os").unwrap().getattr("environ").unwrap();
                environ.call_method1("get", (name,)).unwrap().extract().unwrap()
            };
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            set_variable(py, "RWSGI_TEST_OLD", "old").unwrap();
            let mut variables = Variables::default();
            let pairs =
                [pair("RWSGI_TEST_OLD", "1"), pair("RWSGI_TEST_OLD", "2"), pair("RWSGI_TEST_NEW", "3")];
            variables.apply(py, &pairs).unwrap();
            assert_eq!(value("RWSGI_TEST_OLD").as_deref(), Some("2"));
            variables.apply(py, &[]).unwrap();
            assert_eq!(value("RWSGI_TEST_OLD").as_deref(), Some("old"));
            assert_eq!(value("RWSGI_TEST_NEW"), None);
        });
    }
}
