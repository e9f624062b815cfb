//! The access log: a layout compiled once, and one line a request.
//!
//! Owns what a line can tell, and where it goes. Cost when it is off: none, for the caller asks `Option<AccessLog>`
//! before it collects anything. Read next: `format.rs`, `json.rs`.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use super::escape::Escape;
use super::format::Format;
use super::json;
use super::sink::Sink;
use super::stamp::Stamp;
use super::syslog::Syslog;
use crate::sys::clock;

/// What a line can tell of a request. Names are looked up only if the layout asks for them.
pub trait Record {
    /// Appends it, escaped. False if there is none.
    fn variable(&self, variable: Variable, escape: Escape, line: &mut Vec<u8>) -> bool;
    /// The request-target as sent, and its parts.
    fn target(&self) -> &[u8];
    fn path(&self) -> &[u8];
    fn query(&self) -> &[u8];
    /// `HTTP/1.1`.
    fn protocol(&self) -> &str;
    fn status(&self) -> u16;
    /// Bytes of the response's body.
    fn sent(&self) -> u64;
    fn elapsed(&self) -> Duration;
    fn request_field(&self, name: &str) -> Option<&[u8]>;
    fn response_field(&self, name: &str) -> Option<&[u8]>;
    /// Appends any value of the environ, escaped. False if there is none.
    fn environ(&self, key: &str, escape: Escape, line: &mut Vec<u8>) -> bool;
    fn request_id(&self) -> Option<&str>;
}

/// Values that the application may have replaced in its environ: middleware puts there what a proxy said of the client,
/// or a path without its prefix, and the line follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    RemoteAddr,
    Method,
    /// Percent-decoded.
    PathInfo,
    QueryString,
}

/// A compiled `access_log_format`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Json,
    Atoms(Format),
}

impl Layout {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "json" { Ok(Self::Json) } else { Format::parse(text).map(Self::Atoms) }
    }
}

/// What lines have in common.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) stamp: Stamp,
    pub(super) pid: u32,
}

#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    surroundings: Surroundings,
}

/// An open access log.
pub struct AccessLog {
    layout: Layout,
    sink: Option<Arc<Sink>>,
    syslog: Option<Arc<Syslog>>,
    line: Mutex<Line>,
    pid: AtomicU32,
}

impl AccessLog {
    pub(super) fn new(layout: Layout, sink: Option<Arc<Sink>>, syslog: Option<Arc<Syslog>>) -> Self {
        let log = Self { layout, sink, syslog, line: Mutex::default(), pid: AtomicU32::new(0) };
        log.after_fork();
        log
    }

    pub(super) const fn sink(&self) -> Option<&Arc<Sink>> {
        self.sink.as_ref()
    }

    /// Asking for the process's id is a system call: it is asked when it changes.
    pub(super) fn after_fork(&self) {
        self.pid.store(std::process::id(), Relaxed);
    }

    /// Writes the line of one request.
    pub fn write(&self, record: &impl Record) {
        // What the record has may be Python's to say: no lock is held while it is asked (I8).
        let mut line = std::mem::take(&mut *self.line());
        let Line { bytes, surroundings } = &mut line;
        surroundings.stamp.refresh(clock::wall_coarse());
        surroundings.pid = self.pid.load(Relaxed);
        bytes.clear();
        match &self.layout {
            Layout::Json => json::append(record, surroundings, bytes),
            Layout::Atoms(format) => format.append(record, surroundings, bytes),
        }
        self.send(bytes);
        *self.line() = line;
    }

    /// Writes a line that somebody else has made.
    pub fn write_text(&self, text: &str) {
        self.send(&mut text.as_bytes().to_vec());
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, line: &mut Vec<u8>) {
        if let Some(syslog) = &self.syslog {
            syslog.access(line);
        }
        if let Some(sink) = &self.sink {
            line.push(b'\n');
            sink.write_line(line);
        }
    }
}
