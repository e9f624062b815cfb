//! `log`: the error log's methods for hooks, as gunicorn's logger has them.
//!
//! Owns formatting as `logging` does it and the two Python loggers behind `error_log` and `access_log`, which are made
//! when somebody asks for them. Must never raise for a message that does not fit its arguments. Read next:
//! `log/error_log.rs`.

use log::Level;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};

use crate::log::{CRITICAL, EXCEPTION, Logs, Metric, count};
use crate::py::failure::traceback;

/// The numbers of `logging`, from which on a record has which level. The first is CRITICAL.
const LEVELS: [(u32, Level); 5] =
    [(50, Level::Error), (40, Level::Error), (30, Level::Warn), (20, Level::Info), (0, Level::Debug)];

/// The names that `log` takes.
const NAMES: [(&str, u32); 5] =
    [("critical", 50), ("error", 40), ("warning", 30), ("info", 20), ("debug", 10)];

#[pyclass(frozen, dict, module = "rwsgi", name = "Logger")]
pub struct Logger {
    logs: Logs,
}

impl Logger {
    pub(super) const fn new(logs: Logs) -> Self {
        Self { logs }
    }

    /// Sends the metric that `extra` holds, if there is one. False if the message has nothing to say beside it.
    fn says_more(&self, msg: &Bound<'_, PyAny>, kwargs: Option<Keywords<'_, '_>>) -> bool {
        let Some(statsd) = &self.logs.statsd else { return true };
        let Some((name, value, metric)) = kwargs.and_then(metric) else { return true };
        statsd.send(&name, value, metric);
        msg.is_truthy().unwrap_or(true)
    }
}

type Keywords<'a, 'py> = &'a Bound<'py, PyDict>;

#[pymethods]
impl Logger {
    #[pyo3(signature = (msg, *args, **kwargs))]
    fn critical(&self, msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<Keywords<'_, '_>>) {
        emit(50, msg, args, kwargs);
    }

    #[pyo3(signature = (msg, *args, **kwargs))]
    fn error(&self, msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<Keywords<'_, '_>>) {
        emit(40, msg, args, kwargs);
    }

    #[pyo3(signature = (msg, *args, **kwargs))]
    fn warning(&self, msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<Keywords<'_, '_>>) {
        emit(30, msg, args, kwargs);
    }

    #[pyo3(signature = (msg, *args, **kwargs))]
    fn info(&self, msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<Keywords<'_, '_>>) {
        if self.says_more(msg, kwargs) {
            emit(20, msg, args, kwargs);
        }
    }

    #[pyo3(signature = (msg, *args, **kwargs))]
    fn debug(&self, msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<Keywords<'_, '_>>) {
        if self.says_more(msg, kwargs) {
            emit(10, msg, args, kwargs);
        }
    }

    /// ERROR with the exception that is being handled.
    #[pyo3(signature = (msg, *args, **kwargs))]
    fn exception(
        &self,
        msg: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        let keywords = kwargs.map_or_else(|| Ok(PyDict::new(msg.py())), |given| given.copy())?;
        if !keywords.contains("exc_info")? {
            keywords.set_item("exc_info", true)?;
        }
        emit_as(Level::Error, EXCEPTION, msg, args, Some(&keywords));
        Ok(())
    }

    /// `lvl`: a level's name or `logging`'s number.
    #[pyo3(signature = (lvl, msg, *args, **kwargs))]
    fn log(
        &self,
        lvl: &Bound<'_, PyAny>,
        msg: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<Keywords<'_, '_>>,
    ) -> PyResult<()> {
        let number = match lvl.extract::<String>() {
            Ok(name) => {
                NAMES.iter().find(|known| name.eq_ignore_ascii_case(known.0)).map_or(20, |known| known.1)
            }
            Err(_) => lvl.extract()?,
        };
        if self.says_more(msg, kwargs) {
            emit(number, msg, args, kwargs);
        }
        Ok(())
    }

    fn reopen_files(&self) {
        self.logs.reopen();
    }

    /// The Python logger whose records go to the error log.
    #[getter]
    fn error_log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        routed(py, "gunicorn.error", Route { logs: self.logs.clone(), access: false })
    }

    /// The Python logger whose records go to the access log, as they are.
    #[getter]
    fn access_log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        routed(py, "gunicorn.access", Route { logs: self.logs.clone(), access: true })
    }
}

/// `{"metric": NAME, "value": VALUE, "mtype": TYPE}`, of which nothing may be missing.
fn metric(kwargs: &Bound<'_, PyDict>) -> Option<(String, String, Metric)> {
    let extra = kwargs.get_item("extra").ok()??;
    let of = |key| {
        extra.get_item(key).ok().and_then(|value| Some(value.str().ok()?.to_string_lossy().into_owned()))
    };
    Some((of("metric")?, of("value")?, Metric::named(&of("mtype")?)?))
}

fn emit(number: u32, msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<Keywords<'_, '_>>) {
    let (_, level) = LEVELS.iter().copied().find(|(from, _)| number >= *from).unwrap_or((0, Level::Debug));
    let target = if number >= 50 { CRITICAL } else { module_path!() };
    emit_as(level, target, msg, args, kwargs);
}

fn emit_as(
    level: Level,
    target: &str,
    msg: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<Keywords<'_, '_>>,
) {
    if !log::log_enabled!(target: target, level) {
        return count(level, target);
    }
    let py = msg.py();
    let mut text = formatted(msg, args).unwrap_or_else(|_| format!("{msg} {args}"));
    if let Some(error) = kwargs.and_then(|kwargs| exception(py, kwargs)) {
        text.push('\n');
        text.push_str(traceback(py, &error).trim_end());
    }
    log::log!(target: target, level, "{text}");
}

/// As `logging`: without arguments the text is not a format; a lone mapping is for `%(name)s`.
fn formatted(msg: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<String> {
    let text = msg.str()?.into_any();
    if args.is_empty() {
        return text.extract();
    }
    let first = args.get_item(0)?;
    let named = args.len() == 1 && first.cast::<PyMapping>().is_ok() && first.is_truthy()?;
    if named { text.rem(first)?.extract() } else { text.rem(args)?.extract() }
}

/// What `exc_info` stands for: an exception, a triple of `sys.exc_info`, or a truth for the current one.
fn exception(py: Python<'_>, kwargs: &Bound<'_, PyDict>) -> Option<PyErr> {
    let given =
        kwargs.get_item("exc_info").ok().flatten().filter(|given| given.is_truthy().unwrap_or(false))?;
    let value = if given.is_instance_of::<pyo3::exceptions::PyBaseException>() {
        given
    } else if let Ok(triple) = given.cast::<PyTuple>() {
        triple.get_item(1).ok()?
    } else {
        py.import("sys").ok()?.call_method0("exc_info").ok()?.get_item(1).ok()?
    };
    (!value.is_none()).then(|| PyErr::from_value(value))
}

/// A Python logger with a handler of ours, unless somebody has given it one.
fn routed<'py>(py: Python<'py>, name: &str, route: Route) -> PyResult<Bound<'py, PyAny>> {
    let logging = py.import("logging")?;
    let logger = logging.call_method1("getLogger", (name,))?;
    if logger.getattr("handlers")?.is_truthy()? {
        return Ok(logger);
    }
    let handler = logging.call_method0("Handler")?;
    handler.setattr("emit", Py::new(py, route)?)?;
    logger.call_method1("addHandler", (handler,))?;
    logger.setattr("propagate", false)?;
    let level = match log::max_level() {
        log::LevelFilter::Off | log::LevelFilter::Error => 40,
        log::LevelFilter::Warn => 30,
        log::LevelFilter::Info => 20,
        log::LevelFilter::Debug | log::LevelFilter::Trace => 10,
    };
    logger.call_method1("setLevel", (level,))?;
    Ok(logger)
}

/// Takes the records of a Python logger.
#[pyclass(frozen, module = "rwsgi")]
struct Route {
    logs: Logs,
    access: bool,
}

#[pymethods]
impl Route {
    fn __call__(&self, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = record.py();
        let text = record.call_method0("getMessage")?;
        if self.access {
            if let Some(access) = &self.logs.access {
                access.write_text(&text.str()?.to_string_lossy());
            }
            return Ok(());
        }
        let keywords = PyDict::new(py);
        keywords.set_item("exc_info", record.getattr("exc_info")?)?;
        emit(record.getattr("levelno")?.extract()?, &text, &PyTuple::empty(py), Some(&keywords));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(code: &str) -> PyResult<String> {
        Python::initialize();
        Python::attach(|py| {
            let values = py.import("builtins")?.call_method1("eval", (code, PyDict::new(py)))?;
            let values = values.cast_into::<PyTuple>().map_err(PyErr::from)?;
            formatted(&values.get_item(0)?, &values.get_slice(1, values.len()))
        })
    }

    #[test]
    fn messages_are_formatted_as_logging_does() {
        for (code, text) in [
            ("('100%',)", "100%"),
            ("('%s of %d', 'a', 3)", "a of 3"),
            ("('%(a)s', {'a': 1})", "1"),
            ("('%s', {})", "{}"),
            ("('%s', [1])", "[1]"),
            ("(ValueError('x'),)", "x"),
        ] {
            assert_eq!(format(code).unwrap(), text, "{code}");
        }
        assert!(format("('%d', 'a')").is_err());
    }
}
