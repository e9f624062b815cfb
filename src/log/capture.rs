//! `capture_output`: descriptors 1 and 2 lead to the error log's file, so that what libraries and children print is kept.
//!
//! Owns the two streams' originals. They come back when a reload turns this off, and for a program that is executed in
//! this one's place. Must never touch the streams of a process that captures nothing.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::libc::{STDERR_FILENO, STDOUT_FILENO};

use super::sink::{Sink, Target};
use crate::sys::descriptors;

static CAPTURED: Mutex<Option<Captured>> = Mutex::new(None);

struct Captured {
    stdout: OwnedFd,
    stderr: OwnedFd,
    into: Arc<Sink>,
}

impl Captured {
    fn put(&self) -> io::Result<()> {
        let file = descriptors::borrow(&self.into, self.into.fd());
        descriptors::put_at(&file, STDOUT_FILENO)?;
        descriptors::put_at(&file, STDERR_FILENO)
    }

    fn put_back(&self) -> io::Result<()> {
        descriptors::put_at(&self.stdout, STDOUT_FILENO)?;
        descriptors::put_at(&self.stderr, STDERR_FILENO)
    }
}

/// From now on both streams lead to `sink`'s file, or with `None` where they led at first. Without effect for a log
/// that is itself one of the streams.
pub(super) fn capture(sink: Option<&Arc<Sink>>) -> io::Result<()> {
    let sink = sink.filter(|sink| matches!(sink.target(), Target::File(_)));
    let mut captured = CAPTURED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = captured.take();
    let Some(sink) = sink else { return before.map_or(Ok(()), |before| before.put_back()) };
    let (stdout, stderr) = match before {
        Some(before) => (before.stdout, before.stderr),
        None => (io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?),
    };
    captured.insert(Captured { stdout, stderr, into: Arc::clone(sink) }).put()
}

/// After files were opened again.
pub(super) fn follow() -> io::Result<()> {
    let captured = CAPTURED.lock().unwrap_or_else(PoisonError::into_inner);
    captured.as_ref().map_or(Ok(()), Captured::put)
}

/// Runs `work` with the streams as they were at first: it executes a program, or is about those streams.
pub fn with_own_streams<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut captured = CAPTURED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(captured) = captured.as_mut() else { return work() };
    captured.put_back()?;
    let outcome = work();
    // It may have changed them: a daemon lets go of its terminal.
    captured.stdout = io::stdout().as_fd().try_clone_to_owned()?;
    captured.stderr = io::stderr().as_fd().try_clone_to_owned()?;
    captured.put()?;
    outcome
}
