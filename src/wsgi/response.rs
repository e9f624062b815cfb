//! The response on its way out: framed by `http`, handed to the kernel, buffered where the kernel does not take it.
//!
//! Order on the wire: `rest`, the writer's output, the file. A block the application yields is offered to the kernel
//! before the next one is asked for (PEP 3333, "Buffering and Streaming"); what is not taken waits here and is drained by
//! the worker, so that a slow reader holds no worker, up to `response_buffer`, from where the application has to wait.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use pyo3::prelude::*;

use super::exchange::{Await, Exchange, wait};
use crate::http::{Finish, ResponseHead, ResponseWriter, http_date};
use crate::net::{Held, Sent, Stream};
use crate::sys::clock;

/// Blocks from this size on are given to the kernel from where they are; smaller ones are copied behind the head.
pub(crate) const COPY_BELOW: usize = 16 * 1024;
/// How often it is looked at how much the client has taken, while the kernel has no room for more.
const LOOK: Duration = Duration::from_secs(1);
/// Blocks that come so fast after each other share segments.
const QUICK: Duration = Duration::from_millis(1);

/// How far draining came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The kernel has everything.
    All,
    /// It takes no more now.
    Partly,
}

/// A part of a file that is to follow the bytes.
struct FileTail {
    file: OwnedFd,
    offset: u64,
    left: u64,
}

pub struct Response {
    pub writer: ResponseWriter,
    pub head: ResponseHead,
    rest: Vec<u8>,
    rest_at: usize,
    file: Option<FileTail>,
    error_status: Option<u16>,
    /// Bytes the kernel has got.
    handed: usize,
    /// When the last block was sent (monotonic), and that the next one probably follows at once.
    last_block: Duration,
    held: Option<Held>,
    more: bool,
    /// How much longer the client may keep the application waiting, once it has.
    left: Option<Duration>,
}

thread_local! {
    /// The second, and its Date.
    static DATE: Cell<(u64, [u8; 29])> = const { Cell::new((0, [0; 29])) };
}

/// The value of the Date field, worked out once a second.
pub(crate) fn date() -> [u8; 29] {
    let now = clock::wall_coarse().as_secs();
    let (second, mut date) = DATE.get();
    if second != now {
        http_date(now, &mut date);
        DATE.set((now, date));
    }
    date
}

impl Response {
    pub(super) fn new(writer: ResponseWriter) -> Self {
        Self {
            writer,
            head: ResponseHead::new(),
            rest: Vec::new(),
            rest_at: 0,
            file: None,
            error_status: None,
            handed: 0,
            last_block: Duration::ZERO,
            held: None,
            more: false,
            left: None,
        }
    }

    /// For the next response. What is unsent of the last one stays.
    pub(super) fn clear(&mut self) {
        self.head.clear();
        self.error_status = None;
        self.writer.await_request();
    }

    /// Encodes the head, unless that is done. `known_length`: the whole body's, if it is known.
    pub(super) fn send_head(&mut self, known_length: Option<u64>) {
        if !self.writer.head_sent() {
            self.writer.send_head(&self.head, known_length, &date());
        }
    }

    /// Frames one block and offers it to the kernel.
    pub(super) fn send_block(&mut self, py: Python<'_>, exchange: &Exchange, block: &[u8]) -> io::Result<()> {
        let stream = &exchange.stream;
        self.more = self.is_followed(stream, block);
        if block.len() < COPY_BELOW {
            self.writer.send_body(block);
        } else {
            self.send_large(stream, block)?;
        }
        let drained = self.drain(stream);
        self.more = false;
        drained?;
        self.wait_for_room(py, exchange)
    }

    /// Whether a block that comes as fast as this one will follow. PEP 3333 forbids to keep a block back for it: the kernel
    /// gets each at once, and what it holds of it is pushed out if nothing follows.
    fn is_followed(&mut self, stream: &Arc<Stream>, block: &[u8]) -> bool {
        let is_last = self.writer.remaining() == Some(block.len() as u64);
        if is_last {
            return false;
        }
        let now = clock::monotonic();
        let before = mem::replace(&mut self.last_block, now);
        if now.saturating_sub(before) > QUICK {
            return false;
        }
        if self.held.is_none() {
            self.held = Held::new(stream);
        }
        self.held.is_some()
    }

    /// The response is complete.
    pub(super) fn finish(&mut self) -> Finish {
        self.held = None;
        self.writer.finish()
    }

    /// Frames a block that is known to be the last: it goes out with the end of the response.
    pub(super) fn send_last(&mut self, stream: &Stream, block: &[u8]) -> io::Result<()> {
        if block.len() < COPY_BELOW {
            self.writer.send_body(block);
            return Ok(());
        }
        self.send_large(stream, block)
    }

    fn send_large(&mut self, stream: &Stream, block: &[u8]) -> io::Result<()> {
        let allowed = self.writer.begin_block(block.len() as u64);
        let block = block.get(..usize::try_from(allowed).unwrap_or(usize::MAX)).unwrap_or(block);
        let mut taken = 0;
        if self.rest.is_empty() && !block.is_empty() {
            let before = self.writer.output().len();
            if let Sent::Bytes(count) = stream.write_vectored(&[self.writer.output(), block], false)? {
                self.handed += count;
                self.writer.consume(count.min(before));
                taken = count.saturating_sub(before);
            }
        }
        let left = block.get(taken..).unwrap_or_default();
        if !left.is_empty() {
            // The frame's beginning is in the writer's output: it goes before the block, the frame's end after it.
            self.rest.extend_from_slice(self.writer.output());
            self.writer.consume(self.writer.output().len());
            self.rest.extend_from_slice(left);
        }
        if allowed > 0 {
            self.writer.end_block();
        }
        Ok(())
    }

    /// Lets `length` bytes of a file, from `offset`, follow the head.
    pub(super) fn send_file(&mut self, file: OwnedFd, offset: u64, length: u64) {
        let left = self.writer.begin_block(length);
        if left > 0 {
            self.file = Some(FileTail { file, offset, left });
        }
    }

    /// The status that the client gets, for the access log; 500 where the application gave none.
    pub(super) fn status(&self) -> u16 {
        if self.head.is_set() { self.head.status() } else { self.error_status.unwrap_or(500) }
    }

    /// Answers with an error page instead of the application's response.
    pub fn refuse(&mut self, status: u16, message: &str) {
        if !self.writer.head_sent() {
            self.head.clear();
            self.error_status = Some(status);
        }
        self.writer.error_response(status, message);
    }

    /// The application has spoken to its client itself: nothing is added. Nobody knows what it said, but there is one use.
    pub(super) fn hand_over(&mut self) {
        self.writer.abort();
        self.error_status = Some(101);
    }

    /// Answers 503 instead of calling the application.
    pub fn turn_away(&mut self, retry_after: u64) {
        self.error_status = Some(503);
        self.writer.unavailable(retry_after);
    }

    /// Gives the kernel what it takes.
    pub fn drain(&mut self, stream: &Stream) -> io::Result<Drained> {
        let more = self.file.is_some() || self.more;
        while let Some(rest) = self.rest.get(self.rest_at..).filter(|rest| !rest.is_empty()) {
            let Sent::Bytes(count) = stream.write(rest, more)? else { return Ok(Drained::Partly) };
            self.rest_at += count;
            self.handed += count;
        }
        self.rest.clear();
        self.rest_at = 0;
        while !self.writer.output().is_empty() {
            let Sent::Bytes(count) = stream.write(self.writer.output(), more)? else {
                return Ok(Drained::Partly);
            };
            self.writer.consume(count);
            self.handed += count;
        }
        self.drain_file(stream)
    }

    fn drain_file(&mut self, stream: &Stream) -> io::Result<Drained> {
        while let Some(tail) = &mut self.file {
            match stream.send_file(tail.file.as_fd(), tail.offset, tail.left)? {
                Sent::Full => return Ok(Drained::Partly),
                Sent::Bytes(0) => {
                    // The file became shorter than it was: the client must not take what it got for the whole.
                    self.file = None;
                    self.writer.abort();
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Sent::Bytes(count) => {
                    self.handed += count;
                    tail.offset += count as u64;
                    tail.left = tail.left.saturating_sub(count as u64);
                    if tail.left == 0 {
                        self.file = None;
                    }
                }
            }
        }
        Ok(Drained::All)
    }

    /// Blocks, without the interpreter, until the client has taken enough of what waits for it.
    fn wait_for_room(&mut self, py: Python<'_>, exchange: &Exchange) -> io::Result<()> {
        let most = exchange.patience.response_buffer;
        if self.unsent() <= most {
            return Ok(());
        }
        while self.unsent() > most / 2 {
            self.wait_a_while(py, exchange)?;
            self.drain(&exchange.stream)?;
        }
        Ok(())
    }

    fn wait_a_while(&mut self, py: Python<'_>, exchange: &Exchange) -> io::Result<()> {
        let (stream, pace) = (&exchange.stream, exchange.patience.send);
        let (left, began, before) = (self.left.unwrap_or(pace.limit), clock::monotonic(), self.taken(stream));
        let allowance = exchange.allowance(left, began);
        if allowance.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read the response"));
        }
        wait(py, exchange, Await::Writable, allowance.min(LOOK)).map_err(io::Error::other)?;
        let left = left.saturating_sub(clock::monotonic().saturating_sub(began));
        self.left = Some(pace.after(left, self.taken(stream).saturating_sub(before)));
        Ok(())
    }

    /// Bytes that the client has taken: those the kernel has got, without those it could not get rid of.
    pub fn taken(&self, stream: &Stream) -> usize {
        self.handed.saturating_sub(stream.unsent())
    }

    /// Bytes of memory that it takes up.
    pub fn allocated(&self) -> usize {
        self.rest.capacity() + self.writer.allocated()
    }

    fn unsent(&self) -> usize {
        self.rest.len() - self.rest_at + self.writer.output().len()
    }
}
