//! The way out of a connection: the socket while it takes everything, the transport's buffer for what it does not.
//!
//! Owns the transport. A small response is one system call and no Python object. Must never write to the socket while
//! the transport has bytes of its own to write, nor after the transport was closed: its descriptor's number may be another
//! connection's then. Read next: `todo.rs`.

use std::os::fd::RawFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::todo::Todo;
use crate::net::{Sent, offer};
use crate::sys::presence::{Presence, presence};
use crate::sys::{descriptors, send_queue};

#[derive(Default)]
pub(super) struct Output {
    transport: Option<Py<PyAny>>,
    fd: RawFd,
    /// The transport may have bytes in its buffer.
    queued: bool,
    /// Bytes that the kernel or the transport has got.
    handed: usize,
    /// The transport asked for a pause.
    pub paused: bool,
    /// The transport knows how much it may keep.
    limited: bool,
}

impl Output {
    pub(super) fn open(&mut self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let socket = transport.call_method1("get_extra_info", ("socket",))?;
        self.fd = socket.call_method0("fileno")?.extract()?;
        self.transport = Some(transport.clone().unbind());
        Ok(())
    }

    /// Nothing is written any more.
    pub(super) fn close(&mut self) -> Option<Py<PyAny>> {
        self.paused = false;
        self.transport.take()
    }

    pub(super) const fn transport(&self) -> Option<&Py<PyAny>> {
        self.transport.as_ref()
    }

    /// Hands on all of `pieces`. False if the peer is gone.
    pub(super) fn send(&mut self, py: Python<'_>, pieces: &[&[u8]], todo: &mut Todo) -> bool {
        if self.transport.is_none() {
            return false;
        }
        self.queued = self.queued && self.buffered(py) > 0;
        let mut taken = 0;
        if !self.queued {
            match offer(descriptors::borrow(self, self.fd), pieces) {
                Ok(Sent::Bytes(count)) => taken = count,
                Ok(Sent::Full) => {}
                Err(_) => return false,
            }
        }
        self.handed += pieces.iter().map(|piece| piece.len()).sum::<usize>();
        for piece in pieces {
            let rest = piece.get(taken..).unwrap_or_default();
            taken = taken.saturating_sub(piece.len());
            if !rest.is_empty() {
                self.queued = true;
                todo.write.push(PyBytes::new(py, rest).unbind());
            }
        }
        true
    }

    /// How much the transport may keep is told when it first has to keep something. True then.
    pub(super) const fn needs_limit(&mut self) -> bool {
        !std::mem::replace(&mut self.limited, true)
    }

    /// Bytes in the transport's buffer.
    pub(super) fn buffered(&self, py: Python<'_>) -> usize {
        let size = self.transport.as_ref().map(|transport| {
            transport.call_method0(py, intern!(py, "get_write_buffer_size")).and_then(|size| size.extract(py))
        });
        // One that does not tell has to be asked for every byte.
        size.map_or(0, |size| size.unwrap_or(usize::MAX))
    }

    /// Bytes that wait for the client to take them, in this process.
    pub(super) fn waiting(&mut self, py: Python<'_>) -> usize {
        if !self.queued {
            return 0;
        }
        let buffered = self.buffered(py);
        self.queued = buffered > 0;
        buffered
    }

    /// Bytes that were handed on so far.
    pub(super) const fn handed(&self) -> usize {
        self.handed
    }

    /// Whether the client is still there, as far as the kernel knows.
    pub(super) fn presence(&self) -> Presence {
        presence(&descriptors::borrow(self, self.fd))
    }

    /// Something has come that the transport has not read yet.
    pub(super) fn has_unread(&self) -> bool {
        let mut watched = [PollFd::new(descriptors::borrow(self, self.fd), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::ZERO) == Ok(1)
    }

    /// Bytes that the client has taken, of which `waiting` were not even given to the kernel.
    pub(super) fn taken(&self, waiting: usize) -> usize {
        let unsent = send_queue::unsent(&descriptors::borrow(self, self.fd));
        self.handed.saturating_sub(waiting).saturating_sub(unsent)
    }
}
