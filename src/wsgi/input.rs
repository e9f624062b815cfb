//! `wsgi.input`: the request's body, as far as it has come, and then as it comes.
//!
//! Invariant: a body that was cut off or that broke the framing raises OSError; it never reads as a shorter whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use memchr::memchr;
use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::exchange::{Await, Exchange, wait};
use super::spool::Spool;
use crate::http::{Event, PeerError, RequestReader};
use crate::sys::clock;

/// Room offered to each read of a body that is streamed.
const READ_SIZE: usize = 64 * 1024;

#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub struct Input {
    exchange: Arc<Exchange>,
    /// How much longer the client may keep the application waiting, in nanoseconds. Changed under the reader's lock.
    left: AtomicU64,
}

impl Input {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        let input = Self { left: AtomicU64::new(0), exchange };
        input.renew();
        input
    }

    /// For another request of the exchange.
    pub(super) fn renew(&self) {
        self.set_left(self.exchange.patience.body.limit);
    }

    fn set_left(&self, left: Duration) {
        self.left.store(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Waits for more of the body. False when it is complete.
    fn fill(&self, py: Python<'_>, reader: &mut RequestReader) -> PyResult<bool> {
        loop {
            match reader.next_event() {
                Ok(Event::Body) => return Ok(true),
                Ok(Event::NeedData) => self.receive(py, reader)?,
                Ok(_) => return Ok(false),
                Err(fault) => {
                    let message = fault.to_string();
                    self.exchange.set_fault(fault);
                    return Err(PyOSError::new_err(message));
                }
            }
        }
    }

    fn receive(&self, py: Python<'_>, reader: &mut RequestReader) -> PyResult<()> {
        loop {
            match self.exchange.stream.read(reader.spare(READ_SIZE))? {
                Some(0) => {
                    reader.receive_eof();
                    return Ok(());
                }
                Some(count) => {
                    let left = Duration::from_nanos(self.left.load(Relaxed));
                    self.set_left(self.exchange.patience.body.after(left, count));
                    reader.filled(count);
                    return Ok(());
                }
                None if self.wait(py)? => {}
                None => {
                    reader.fail(PeerError::BodyTimeout);
                    return Ok(());
                }
            }
        }
    }

    /// Waits until there is something to read. False if the client is too slow.
    fn wait(&self, py: Python<'_>) -> PyResult<bool> {
        let (left, began) = (Duration::from_nanos(self.left.load(Relaxed)), clock::monotonic());
        let allowance = self.exchange.allowance(left, began);
        let ready = wait(py, &self.exchange, Await::Readable, allowance)?;
        self.set_left(left.saturating_sub(clock::monotonic().saturating_sub(began)));
        Ok(ready)
    }

    /// Bytes up to `limit` and, if `line`, up to the end of a line.
    fn take<'py>(&self, py: Python<'py>, limit: usize, line: bool) -> PyResult<Bound<'py, PyBytes>> {
        let mut reader = self.exchange.reading()?;
        let mut spool = self.exchange.spooled();
        match spool.as_deref_mut().and_then(Option::as_mut).filter(|spool| spool.left() > 0) {
            None => self.take_received(py, &mut reader, Vec::new(), (limit, line)),
            Some(spool) if line => {
                let (begun, done) = spooled_line(spool, limit)?;
                if done {
                    return Ok(PyBytes::new(py, &begun));
                }
                self.take_received(py, &mut reader, begun, (limit, line))
            }
            Some(spool) => {
                let here = usize::try_from(spool.left()).unwrap_or(usize::MAX);
                if limit <= here || reader.body().is_empty() && reader.body_ended() {
                    return spooled(py, spool, limit.min(here));
                }
                let begun = spooled(py, spool, here)?;
                self.take_received(py, &mut reader, begun.as_bytes().to_vec(), (limit, line))
            }
        }
    }

    /// What was not spooled, behind what is collected already.
    fn take_received<'py>(
        &self,
        py: Python<'py>,
        reader: &mut RequestReader,
        mut collected: Vec<u8>,
        (limit, line): (usize, bool),
    ) -> PyResult<Bound<'py, PyBytes>> {
        loop {
            let room = limit - collected.len();
            let body = reader.body();
            let available = body.get(..room).unwrap_or(body);
            let line_end = if line { memchr(b'\n', available) } else { None };
            let part = line_end.map_or(available, |at| available.get(..=at).unwrap_or(available));
            // The whole rest, where it is here: as good as asked for.
            let ended = !line && part.len() == body.len() && reader.body_ended();
            let (taken, done) = (part.len(), ended || line_end.is_some() || part.len() == room);
            if done && collected.is_empty() {
                let bytes = PyBytes::new(py, part);
                reader.consume(taken);
                return Ok(bytes);
            }
            collected.extend_from_slice(part);
            reader.consume(taken);
            if done || !self.fill(py, reader)? {
                return Ok(PyBytes::new(py, &collected));
            }
        }
    }
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, limit(size)?, false)
    }

    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(
        &self,
        py: Python<'py>,
        size: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, limit(size)?, true)
    }

    /// All lines; with a hint, those that come until their sizes add up to it.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(
        &self,
        py: Python<'py>,
        hint: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let wanted = match limit(hint)? {
            0 => usize::MAX,
            wanted => wanted,
        };
        let lines = PyList::empty(py);
        let mut size = 0usize;
        while size < wanted {
            let line = self.take(py, usize::MAX, true)?;
            if line.as_bytes().is_empty() {
                break;
            }
            size = size.saturating_add(line.as_bytes().len());
            lines.append(line)?;
        }
        Ok(lines)
    }

    const fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.take(py, usize::MAX, true)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}

/// The next `count` bytes of what is in the file. Others have the interpreter while the disk is waited for.
fn spooled<'py>(py: Python<'py>, spool: &mut Spool, count: usize) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, count, |bytes| Ok(py.detach(|| spool.read(bytes))?))
}

/// What is in the file of a line of at most `limit` bytes, and whether that is the whole of it.
fn spooled_line(spool: &mut Spool, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut line = Vec::new();
    while line.len() < limit {
        let ahead = spool.ahead()?;
        let available = ahead.get(..limit - line.len()).unwrap_or(ahead);
        let end = memchr(b'\n', available);
        let part = end.map_or(available, |at| available.get(..=at).unwrap_or(available));
        let taken = part.len();
        line.extend_from_slice(part);
        spool.take(taken);
        if end.is_some() || taken == 0 {
            return Ok((line, end.is_some()));
        }
    }
    Ok((line, true))
}

/// None and negative sizes mean everything.
fn limit(size: Option<Bound<'_, PyAny>>) -> PyResult<usize> {
    let Some(size) = size.filter(|size| !size.is_none()) else { return Ok(usize::MAX) };
    let number: i64 = size.extract().map_err(|_| PyTypeError::new_err("the size must be an int or None"))?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}
