//! The request side of a connection: bytes in, events out. Owns the receive buffer and the state between requests.
//!
//! Invariants: after a fault the connection gives that fault for ever and takes no further byte; a body that ends early
//! is a fault and never an `End`; a `Content-Length` body is read where it was received, uncopied; a chunked one is decoded
//! into one reused buffer. All costs are linear in the bytes received. Read next: `head_parser.rs`, `chunked.rs`.

use std::net::IpAddr;
use std::sync::Arc;

use super::buffer::ReceiveBuffer;
use super::chunked::ChunkDecoder;
use super::error::PeerError;
use super::fold::Unfolder;
use super::head::Head;
use super::head_parser::HeadParser;
use super::policy::Policy;
use super::proxy_protocol::{self, Preface, Proxied, ProxyProtocol};

/// A decoded-body buffer larger than this is given back between requests.
const DECODED_KEEP: usize = 64 * 1024;

/// What the bytes received so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing more without another read.
    NeedData,
    /// The connection's PROXY header is whole: see `proxied()`.
    Proxied,
    /// A request's head is whole: see `head()`.
    Head,
    /// `body()` has more than it had at the last event.
    Body,
    /// The body is complete. Repeated until `next_request()`.
    End,
    /// EOF between requests.
    Closed,
}

#[derive(Debug)]
enum State {
    /// The connection may begin with a PROXY header, which is refused if this peer may send none.
    Proxy {
        versions: ProxyProtocol,
        refused: Option<IpAddr>,
    },
    Head,
    /// Bytes of a fixed body the application has not consumed, and how many of them were announced.
    Fixed {
        left: u64,
        announced: usize,
    },
    Chunked,
}

/// Reads the requests of one connection.
#[derive(Debug)]
pub struct RequestReader {
    state: State,
    input: ReceiveBuffer,
    parser: HeadParser,
    /// If folded fields are permitted.
    unfolder: Option<Unfolder>,
    /// If methods are turned to upper case.
    casefold: bool,
    chunks: ChunkDecoder,
    decoded: Vec<u8>,
    decoded_at: usize,
    proxied: Option<Proxied>,
    fault: Option<PeerError>,
    eof: bool,
    skipped_blank: bool,
    continue_pending: bool,
}

impl RequestReader {
    pub fn new(policy: &Arc<Policy>) -> Self {
        Self {
            state: State::Head,
            input: ReceiveBuffer::default(),
            parser: HeadParser::new(policy),
            unfolder: policy.leniency.obsolete_folding.then(Unfolder::default),
            casefold: policy.leniency.casefold_method,
            chunks: ChunkDecoder::new(policy),
            decoded: Vec::new(),
            decoded_at: 0,
            proxied: None,
            fault: None,
            eof: false,
            skipped_blank: false,
            continue_pending: false,
        }
    }

    /// Before the first byte: what the policy says of PROXY headers from `peer`.
    pub(super) fn expect_proxy(&mut self, policy: &Policy, peer: Option<IpAddr>) {
        let versions = policy.proxy_protocol;
        if versions != ProxyProtocol::Off {
            let refused = peer.filter(|_| !policy.proxy_allow_ips.contains(peer));
            self.state = State::Proxy { versions, refused };
        }
    }

    /// What the connection's PROXY header says, if it began with one.
    pub fn proxied(&self) -> Option<&Proxied> {
        self.proxied.as_ref()
    }

    /// The driver has a fault to tell, such as a peer that is too slow: it is as good as one of the bytes.
    pub fn fail(&mut self, fault: PeerError) {
        self.continue_pending = false;
        self.fault.get_or_insert(fault);
    }

    /// Initialised room for at least `min` bytes, to read(2) into. Say how many came with [`Self::filled`].
    pub fn spare(&mut self, min: usize) -> &mut [u8] {
        self.input.spare(min)
    }

    /// Behind a fault, bytes are not taken: a body that was cut off does not go on.
    pub fn filled(&mut self, n: usize) {
        if self.fault.is_none() {
            self.input.filled(n);
        }
    }

    /// Whether it has no buffer to receive into, so that [`Self::lend`] spares it to make one.
    pub fn lacks_buffer(&self) -> bool {
        self.input.is_absent()
    }

    /// Receives into `bytes`, which are initialised, unless it has a buffer: then they are handed back.
    pub fn lend(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.input.lend(bytes)
    }

    /// What was lent, unless it became too small. The request stays as it is.
    pub fn give_back(&mut self) -> Option<Vec<u8>> {
        self.input.give_back()
    }

    /// What was lent, where nobody will want the request again.
    pub fn forget(&mut self) -> Option<Vec<u8>> {
        self.input.forget()
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some(room) = self.input.spare(bytes.len()).get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.filled(bytes.len());
    }

    /// The peer will send no more.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// What has happened. Call it after each read, until it wants data.
    pub fn next_event(&mut self) -> Result<Event, PeerError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let event = match self.state {
            State::Proxy { versions, refused } => self.advance_proxy(versions, refused),
            State::Head => self.advance_head(),
            State::Fixed { .. } => self.advance_fixed(),
            State::Chunked => self.advance_chunked(),
        };
        if let Err(fault) = &event {
            self.continue_pending = false;
            self.fault = Some(fault.clone());
        }
        event
    }

    fn advance_proxy(
        &mut self,
        versions: ProxyProtocol,
        refused: Option<IpAddr>,
    ) -> Result<Event, PeerError> {
        let bytes = self.input.unread();
        let decoded = match (versions.recognise(bytes), refused) {
            (Preface::Unclear, _) if !self.eof => return Ok(Event::NeedData),
            // None is due: the proxy's own health check, or whoever else can reach the port.
            (Preface::Unclear | Preface::Absent, _) => {
                self.state = State::Head;
                return self.advance_head();
            }
            (_, Some(peer)) => return Err(PeerError::ProxyForbidden(peer)),
            (Preface::V1, None) => proxy_protocol::decode_v1(bytes)?,
            (Preface::V2, None) => proxy_protocol::decode_v2(bytes)?,
        };
        match decoded {
            Some((proxied, length)) => {
                self.input.take(length);
                self.proxied = Some(proxied);
                self.state = State::Head;
                Ok(Event::Proxied)
            }
            None if self.eof => Err(PeerError::HeadTruncated),
            None => Ok(Event::NeedData),
        }
    }

    fn advance_head(&mut self) -> Result<Event, PeerError> {
        self.skip_blank_line();
        if self.parse_head()? {
            self.begin_body();
            return Ok(Event::Head);
        }
        match (self.eof, self.input.unread()) {
            (false, _) => Ok(Event::NeedData),
            (true, [] | [b'\r']) => Ok(Event::Closed),
            (true, _) => Err(PeerError::HeadTruncated),
        }
    }

    fn parse_head(&mut self) -> Result<bool, PeerError> {
        let Some(unfolder) = &mut self.unfolder else { return self.parser.advance(self.input.unread()) };
        let shown = unfolder.advance(self.input.unread_mut());
        let visible = self.input.unread().get(..shown.visible).unwrap_or_default();
        Ok(self.parser.advance(visible)? || self.parser.check_pending(shown.pending).map(|()| false)?)
    }

    /// RFC 9112 section 2.2: one empty line before a request line is not part of it. One only, and CRLF only.
    fn skip_blank_line(&mut self) {
        if !self.skipped_blank && self.input.unread().starts_with(b"\r\n") {
            self.input.take(2);
            self.skipped_blank = true;
            self.forget_head();
        }
    }

    fn forget_head(&mut self) {
        self.parser.reset();
        self.unfolder = self.unfolder.take().map(|_| Unfolder::default());
    }

    fn begin_body(&mut self) {
        let framing = &self.parser.ranges.framing;
        self.state = if framing.chunked {
            State::Chunked
        } else {
            State::Fixed { left: framing.content_length.unwrap_or(0), announced: 0 }
        };
        let len = self.parser.ranges.len;
        self.input.keep(len);
        if self.casefold {
            self.parser.ranges.method.of_mut(self.input.head_mut()).make_ascii_uppercase();
        }
        let head = Head::new(self.input.head(), &self.parser.ranges);
        self.continue_pending = head.expects_continue() && head.has_body();
    }

    fn advance_fixed(&mut self) -> Result<Event, PeerError> {
        let available = self.body().len();
        let State::Fixed { left, announced } = &mut self.state else { return Ok(Event::NeedData) };
        if available > *announced {
            *announced = available;
            self.continue_pending = false;
            Ok(Event::Body)
        } else if available as u64 == *left {
            Ok(Event::End)
        } else if self.eof {
            Err(PeerError::BodyTruncated)
        } else {
            Ok(Event::NeedData)
        }
    }

    /// Bytes decoded before a fault are announced first; the fault is the next event.
    fn advance_chunked(&mut self) -> Result<Event, PeerError> {
        if self.decode() {
            return Ok(Event::Body);
        }
        match self.fault.take() {
            Some(fault) => Err(fault),
            None if self.chunks.is_done() => Ok(Event::End),
            None if self.eof => Err(self.chunks.truncated()),
            None => Ok(Event::NeedData),
        }
    }

    /// Decodes what was received of a chunked body. `true` if there is more of it than before.
    fn decode(&mut self) -> bool {
        let before = self.decoded.len();
        let (used, outcome) = self.chunks.decode(self.input.unread(), &mut self.decoded);
        self.input.take(used);
        self.continue_pending &= used == 0;
        self.fault = outcome.err();
        self.decoded.len() > before
    }

    /// The head of the request in hand, from `Event::Head` to `next_request()`.
    pub fn head(&self) -> Option<Head<'_>> {
        match self.input.head() {
            [] => None,
            bytes => Some(Head::new(bytes, &self.parser.ranges)),
        }
    }

    /// Decoded body bytes that are here and not consumed; also those before a fault.
    pub fn body(&self) -> &[u8] {
        match self.state {
            State::Fixed { left, .. } => {
                let unread = self.input.unread();
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(unread.len());
                unread.get(..here).unwrap_or_default()
            }
            _ => self.decoded.get(self.decoded_at..).unwrap_or_default(),
        }
    }

    /// The application has read `n` bytes of `body()`.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.body().len());
        match &mut self.state {
            State::Fixed { left, announced } => {
                *left = left.saturating_sub(n as u64);
                *announced = announced.saturating_sub(n);
                self.input.take(n);
            }
            _ => self.decoded_at = self.decoded_at.saturating_add(n),
        }
        if self.decoded_at == self.decoded.len() {
            self.decoded.clear();
            self.decoded_at = 0;
        }
    }

    /// Takes note of `len` bytes of a body that the driver passes on itself, uncopied. False, and nothing is changed, if
    /// they have to go through [`Self::receive`]: bytes received before them are still here, or not all are of the body.
    pub fn pass(&mut self, len: usize) -> bool {
        let State::Fixed { left, .. } = &mut self.state else { return false };
        if !self.input.unread().is_empty() || self.fault.is_some() {
            return false;
        }
        let Some(rest) = left.checked_sub(len as u64) else { return false };
        *left = rest;
        self.continue_pending = false;
        true
    }

    /// The same where what is here of the body is passed on before them, and is consumed.
    pub fn pass_with_body(&mut self, len: usize) -> bool {
        let here = self.body().len();
        let State::Fixed { left, .. } = self.state else { return false };
        let fits = left.checked_sub(here as u64).is_some_and(|rest| rest >= len as u64);
        if !fits || here != self.input.unread().len() || self.fault.is_some() {
            return false;
        }
        self.consume(here);
        self.pass(len)
    }

    /// Whether the whole body is here, though `body()` may not be consumed. A chunked one ends with `Event::End`.
    pub fn body_ended(&self) -> bool {
        match self.state {
            State::Fixed { left, .. } => self.body().len() as u64 == left,
            State::Chunked => self.chunks.is_done(),
            State::Proxy { .. } | State::Head => false,
        }
    }

    /// `true` once if the peer waits for `100 Continue`: it asked, and no byte of the body has come (RFC 9110 10.1.1).
    pub fn wants_continue(&mut self) -> bool {
        std::mem::take(&mut self.continue_pending)
            && !self.eof
            && self.body().is_empty()
            && self.fault.is_none()
    }

    /// Turns to the next request: forgets head and body, keeps pipelined bytes. `false`, and nothing is changed, if the rest
    /// of the body would be taken for a request.
    pub fn next_request(&mut self) -> bool {
        if matches!(self.state, State::Chunked) && self.fault.is_none() {
            self.decode();
        }
        if !self.body_ended() {
            return false;
        }
        if let State::Fixed { .. } = self.state {
            self.input.take(self.body().len());
        }
        self.input.release();
        self.forget_head();
        self.chunks.reset();
        self.decoded.clear();
        self.decoded.shrink_to(DECODED_KEEP);
        self.decoded_at = 0;
        self.continue_pending = false;
        self.skipped_blank = false;
        self.state = State::Head;
        true
    }

    /// Bytes of memory that the request takes up.
    pub fn allocated(&self) -> usize {
        self.input.allocated().saturating_add(self.decoded.capacity())
    }

    /// The request is answered: nobody will read what is here of its body.
    pub fn shed_body(&mut self) {
        self.consume(self.body().len());
        self.decoded.shrink_to(DECODED_KEEP);
        self.input.shrink();
    }

    /// Whether no byte of a request has been received: the connection may be closed without harm.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Proxy { .. } | State::Head)
            && self.fault.is_none()
            && self.input.unread().is_empty()
    }

    /// Bytes received behind the request in hand: pipelined requests, or the first of another protocol after an upgrade.
    pub fn pipelined(&self) -> &[u8] {
        let unread = self.input.unread();
        match self.state {
            State::Fixed { .. } => unread.get(self.body().len()..).unwrap_or_default(),
            _ => unread,
        }
    }
}
