//! `cfg`: every setting as an attribute, for hooks.
//!
//! Owns the way back from a typed setting to the Python value a config file would hold. It is a view: nothing can be set.
//! Read next: `config/table`.

use std::sync::Arc;

use nix::unistd::{getegid, geteuid};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction, PyList};

use super::{Hooks, callable};
use crate::config::{Address, Raw, Settings};
use crate::py::config_file::Objects;
use crate::py::failure::summary;
use crate::sys::identity::Identity;

#[pyclass(frozen, module = "rwsgi", name = "Config")]
pub struct Config {
    settings: Arc<Settings>,
    hooks: Arc<Hooks>,
    objects: Objects,
}

impl Config {
    pub const fn new(settings: Arc<Settings>, hooks: Arc<Hooks>, objects: Objects) -> Self {
        Self { settings, hooks, objects }
    }

    /// The class of `logger_class`, found or imported.
    pub fn logger_class<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, String> {
        let value = self.settings.value("logger_class").unwrap_or(Raw::None);
        let path = match &value {
            Raw::Str(path) if self.settings.logging.logger_class.is_none() => path.as_str(),
            _ => {
                let found = callable::find(py, &value, self.objects.get("logger_class"))?;
                let found = found.ok_or_else(|| "it is not there".to_owned())?;
                // A function stands for the class that it returns.
                let function = found.is_instance_of::<PyFunction>();
                return if function { found.call0().map_err(|error| summary(py, &error)) } else { Ok(found) };
            }
        };
        callable::import(py, path)
    }

    /// The addresses to bind: `(host, port)`, a path, or the number of a descriptor.
    pub fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for text in &self.settings.socket.bind {
            match Address::parse(text) {
                Ok(Address::Tcp { host, port } | Address::Tcp6 { host, port }) => {
                    list.append((host, port))?
                }
                Ok(Address::Unix(path)) => list.append(path.display().to_string())?,
                Ok(Address::Abstract(name)) => {
                    list.append(format!("\0{}", String::from_utf8_lossy(&name)))?
                }
                Ok(Address::Fd(number)) => list.append(number)?,
                Ok(Address::Named(name)) => list.append(format!("fd://{name}"))?,
                // It was parsed once to be accepted.
                Err(_) => {}
            }
        }
        Ok(list)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whom the workers are or will be. One that has become it may change no more, and is what it was to be.
    fn ids(&self) -> (u32, u32) {
        let identity = &self.settings.identity;
        let wanted = Identity::of(identity.user.as_deref(), identity.group.as_deref()).ok().flatten();
        wanted.map_or_else(|| (geteuid().as_raw(), getegid().as_raw()), |wanted| wanted.ids())
    }

    /// What gunicorn makes of several settings, or of the process.
    fn derived<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let settings = &*self.settings;
        Ok(Some(match name {
            "address" => self.address(py)?.into_any(),
            "proc_name" => settings.name().into_pyobject(py)?.into_any(),
            "default_proc_name" => settings
                .naming
                .default_proc_name
                .as_deref()
                .or(settings.app_name())
                .into_pyobject(py)?
                .into_any(),
            "worker_class_str" => settings.workers.class().as_str().into_pyobject(py)?.into_any(),
            "logger_class" => self.logger_class(py).map_err(PyAttributeError::new_err)?,
            "is_ssl" => false.into_pyobject(py)?.to_owned().into_any(),
            "uid" | "user" => self.ids().0.into_pyobject(py)?.into_any(),
            "gid" | "group" => self.ids().1.into_pyobject(py)?.into_any(),
            "env" => dictionary(py, &settings.mechanics.raw_env)?,
            "paste_global_conf" => dictionary(py, &settings.mechanics.raw_paste_global_conf)?,
            _ => return Ok(None),
        }))
    }
}

impl Config {
    pub fn attribute<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some(value) = self.derived(py, name)? {
            return Ok(value);
        }
        if let Some(callable) = self.hooks.named(name) {
            return Ok(callable.function().bind(py).clone());
        }
        if let Some(raw) = self.settings.value(name) {
            // What the file holds may hold what no text can.
            return match (&raw, self.objects.get(name)) {
                (Raw::Callable(_), Some(given)) => Ok(given.bind(py).clone()),
                (_, Some(given)) if name == "logconfig_dict" => Ok(given.bind(py).clone()),
                _ => python(py, &raw),
            };
        }
        Err(PyAttributeError::new_err(format!("there is no setting '{name}'")))
    }
}

#[pymethods]
impl Config {
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.attribute(py, name)
    }

    fn __dir__(&self) -> Vec<&'static str> {
        crate::config::table::rows().map(|row| row.name).collect()
    }
}

fn dictionary<'py>(py: Python<'py>, pairs: &[(String, String)]) -> PyResult<Bound<'py, PyAny>> {
    let dictionary = PyDict::new(py);
    pairs.iter().try_for_each(|(name, value)| dictionary.set_item(name, value))?;
    Ok(dictionary.into_any())
}

/// The value as a config file would hold it.
pub fn python<'py>(py: Python<'py>, raw: &Raw) -> PyResult<Bound<'py, PyAny>> {
    Ok(match raw {
        Raw::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
        Raw::Int(number) => number.into_pyobject(py)?.into_any(),
        Raw::Float(number) => number.into_pyobject(py)?.into_any(),
        Raw::Str(text) => text.into_pyobject(py)?.into_any(),
        Raw::List(items) => {
            let list = PyList::empty(py);
            items.iter().try_for_each(|item| list.append(python(py, item)?))?;
            list.into_any()
        }
        Raw::Map(pairs) => {
            let map = PyDict::new(py);
            pairs.iter().try_for_each(|(name, value)| map.set_item(name, python(py, value)?))?;
            map.into_any()
        }
        // A callable is found by name, and no setting holds another object.
        Raw::None | Raw::Callable(_) | Raw::Object(_) => py.None().into_bound(py),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_python_values() {
        Python::initialize();
        Python::attach(|py| {
            let mut settings = Settings::default();
            settings.socket.bind = vec![":80".into(), "[::1]:81".into(), "unix:/run/x".into()];
            settings.mechanics.raw_env = vec![("A".into(), "1".into())];
            let cfg = Py::new(py, Config::new(Arc::new(settings), Arc::default(), Objects::new())).unwrap();
            for (name, repr) in [
                ("workers", "1"),
                ("timeout", "30"),
                ("accesslog", "None"),
                ("preload_app", "False"),
                ("bind", "[':80', '[::1]:81', 'unix:/run/x']"),
                ("address", "[('0.0.0.0', 80), ('::1', 81), '/run/x']"),
                ("env", "{'A': '1'}"),
                ("certfile", "None"),
                ("is_ssl", "False"),
                ("worker_class_str", "'sync'"),
                ("post_fork", "None"),
            ] {
                let value = cfg.bind(py).getattr(name).unwrap();
                assert_eq!(value.repr().unwrap().to_string(), repr, "{name}");
            }
            let error = cfg.bind(py).getattr("wrokers").unwrap_err();
            assert!(error.is_instance_of::<PyAttributeError>(py));
            assert!(cfg.bind(py).setattr("workers", 3).is_err());
        });
    }
}
