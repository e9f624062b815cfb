//! What is to be done in Python once a connection's lock is released: a transport's methods call back into the protocol,
//! and a hook or a task's first step is anybody's code.
//!
//! Owns the order: bytes first, then those who wait, then who is told, then reading, the end, and a new request last.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::protocol::Protocol;
use super::record::Told;
use super::run::{self, Start};

/// What becomes of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing more is written, but read.
    WriteEof,
    /// When everything is written.
    Close,
    /// At once.
    Abort,
}

#[derive(Default)]
pub(super) struct Todo {
    pub write: Vec<Py<PyBytes>>,
    pub limit: Option<usize>,
    pub wake: Vec<Py<PyAny>>,
    pub told: Option<Box<Told>>,
    pub reading: Option<bool>,
    pub end: Option<End>,
    pub flush_soon: bool,
    pub start: Option<Start>,
    pub transport: Option<Py<PyAny>>,
}

impl Todo {
    pub(super) const fn needs_transport(&self) -> bool {
        !self.write.is_empty() || self.reading.is_some() || self.end.is_some()
    }

    /// Does it. `alone`: nothing of the application's is on the stack, so that it may be called.
    pub(super) fn perform(self, protocol: &Bound<'_, Protocol>, alone: bool) {
        let (py, service) = (protocol.py(), &protocol.get().service);
        if let Some(transport) = &self.transport {
            self.write(transport.bind(py));
        }
        for future in &self.wake {
            // One that was cancelled is not waited for.
            let _ = future.call_method1(py, intern!(py, "set_result"), (py.None(),));
        }
        if self.flush_soon {
            heed(service.soon(protocol, intern!(py, "flush")));
        }
        if let Some(told) = self.told {
            told.tell(py, service);
        }
        if let Some(transport) = &self.transport {
            let transport = transport.bind(py);
            if let Some(reading) = self.reading {
                heed(if reading {
                    service.resume(transport)
                } else {
                    transport.call_method0("pause_reading")
                });
            }
            if let Some(end) = self.end {
                heed(transport.call_method0(match end {
                    End::WriteEof => intern!(py, "write_eof"),
                    End::Close => intern!(py, "close"),
                    End::Abort => intern!(py, "abort"),
                }));
            }
        }
        match self.start {
            Some(start) if alone => run::start(protocol, start),
            Some(start) => {
                protocol.get().postpone(start);
                heed(service.soon(protocol, intern!(py, "begin")));
            }
            None => {}
        }
    }

    fn write(&self, transport: &Bound<'_, PyAny>) {
        let py = transport.py();
        if let Some(limit) = self.limit {
            let arguments = PyDict::new(py);
            let set = arguments.set_item("high", limit);
            let method = "set_write_buffer_limits";
            heed(set.and_then(|()| transport.call_method(method, (), Some(&arguments))));
        }
        for bytes in &self.write {
            heed(transport.call_method1(intern!(py, "write"), (bytes,)));
        }
    }
}

/// What a transport refuses shows again when it tells that the connection is lost.
fn heed<T>(outcome: PyResult<T>) {
    if let Err(error) = outcome {
        log::debug!("A connection's transport raised: {error}");
    }
}
