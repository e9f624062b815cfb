//! `start_response`, the `write` it returns, and `wsgi.early_hints`.

use std::io;
use std::sync::Arc;

use pyo3::exceptions::{
    PyAssertionError, PyConnectionError, PyOSError, PyTimeoutError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::exchange::Exchange;
use super::response::Response;
use super::text;
use crate::http::AppError;

#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub struct StartResponse {
    exchange: Arc<Exchange>,
    write: Py<Write>,
}

impl StartResponse {
    pub(super) fn new(py: Python<'_>, exchange: &Arc<Exchange>) -> PyResult<Self> {
        let write = Py::new(py, Write { exchange: Arc::clone(exchange) })?;
        Ok(Self { exchange: Arc::clone(exchange), write })
    }

    pub(super) const fn write(&self) -> &Py<Write> {
        &self.write
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<Write>> {
        let mut response = self.exchange.writing()?;
        match exc_info.filter(|info| info.is_truthy().unwrap_or(true)) {
            Some(info) if response.writer.head_sent() => return Err(raised(py, info)?),
            Some(_) => response.head.clear(),
            None if response.head.is_set() => {
                return Err(PyAssertionError::new_err("start_response was called twice without exc_info"));
            }
            None => {}
        }
        if let Err(error) = set_head(&mut response, status, headers) {
            response.head.clear();
            return Err(error);
        }
        Ok(self.write.clone_ref(py))
    }
}

/// The exception of an `exc_info` triple, to be raised again.
fn raised(py: Python<'_>, info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let value = info.get_item(1)?;
    let traceback = info.get_item(2)?;
    let value = value.call_method1("with_traceback", (traceback,)).unwrap_or(value);
    let _ = py;
    Ok(PyErr::from_value(value))
}

fn set_head(response: &mut Response, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
    response.head.set_status(text::latin1(status, "the status")?).map_err(refused)?;
    if let Ok(list) = headers.cast_exact::<PyList>() {
        return list.iter().try_for_each(|field| push(response, &field));
    }
    for field in headers.try_iter()? {
        push(response, &field?)?;
    }
    Ok(())
}

fn push(response: &mut Response, field: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some([name, value]) = field.cast::<PyTuple>().ok().map(PyTupleMethods::as_slice) else {
        return Err(PyTypeError::new_err("each header must be a tuple of a name and a value"));
    };
    let name = text::latin1(name, "a header's name")?;
    let value = text::latin1(value, "a header's value")?;
    response.head.push(name, value).map_err(refused)
}

fn refused(error: AppError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The client is gone, or does not read: OSError, with its own class where Python has one.
pub(super) fn unsent(error: io::Error) -> PyErr {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            PyConnectionError::new_err(error.to_string())
        }
        io::ErrorKind::TimedOut => PyTimeoutError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    }
}

/// The imperative way to send a body.
#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub struct Write {
    exchange: Arc<Exchange>,
}

#[pymethods]
impl Write {
    #[pyo3(signature = (data, /))]
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let block = text::block(data)?;
        let mut response = self.exchange.writing()?;
        if !response.head.is_set() {
            return Err(PyAssertionError::new_err("write was called before start_response"));
        }
        response.send_head(None);
        response.send_block(py, &self.exchange, block.as_bytes()).map_err(unsent)
    }
}

/// Sends `103 Early Hints` (RFC 8297), as often as it is called before the response begins.
#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub struct EarlyHints {
    exchange: Arc<Exchange>,
}

impl EarlyHints {
    pub(super) const fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }
}

#[pymethods]
impl EarlyHints {
    #[pyo3(signature = (headers, /))]
    fn __call__(&self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut owned = Vec::new();
        for field in headers.try_iter()? {
            let field = field?;
            let (name, value) = (field.get_item(0)?, field.get_item(1)?);
            let name = bytes_or_text(&name, "a header's name")?;
            owned.push((name, bytes_or_text(&value, "a header's value")?));
        }
        let fields: Vec<(&[u8], &[u8])> = owned.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let mut response = self.exchange.writing()?;
        response.writer.informational(103, &fields).map_err(refused)?;
        response.drain(&self.exchange.stream).map_err(unsent)?;
        Ok(())
    }
}

fn bytes_or_text(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<u8>> {
    match value.extract::<&[u8]>() {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(_) => Ok(text::latin1(value, what)?.to_vec()),
    }
}
