//! `log`: the error log's methods for hooks, as gunicorn's logger has them.
//!
//! Owns formatting as `logging` does it. The Python loggers behind `error_log` and `access_log` are made when somebody
//! asks for them. Must never raise for a message that does not fit its arguments. Read next: `log/error_log.rs`,
//! `py/loggers.rs`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};

use crate::log::{EXCEPTION, Logs, Metric, Severity, count};
use crate::py::{bridge, loggers};

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
        emit_as(log::Level::Error, EXCEPTION, msg, args, Some(&keywords));
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
        loggers::logger(py, "gunicorn.error")
    }

    /// The Python logger whose records go to the access log, as they are.
    #[getter]
    fn access_log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loggers::logger(py, "gunicorn.access")
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
    let (level, target) = Severity::numbered(number).record();
    emit_as(level, target, msg, args, kwargs);
}

fn emit_as(
    level: log::Level,
    target: &str,
    msg: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<Keywords<'_, '_>>,
) {
    if !log::log_enabled!(target: target, level) {
        return count(level, target);
    }
    let py = msg.py();
    let text = formatted(msg, args).unwrap_or_else(|_| format!("{msg} {args}"));
    let given = kwargs.and_then(|kwargs| kwargs.get_item("exc_info").ok().flatten());
    match given.and_then(|given| loggers::exception(py, &given)) {
        Some(error) => bridge::tell_as(py, (level, target), &text, &error),
        None => log::log!(target: target, level, "{text}"),
    }
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
