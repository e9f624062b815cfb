//! WebSocket frames and messages (RFC 6455) without I/O: bytes in, messages out; messages in, bytes out.
//!
//! Owns the close handshake's codes. The protocol itself is tungstenite's, which reads from and writes to a stream: here
//! that is a pair of buffers. Pings are answered by it. Read next: `websocket.rs`.

use std::io::{self, Read, Write};

use tungstenite::error::Error;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};

pub(super) use tungstenite::protocol::Message;

const READ_BUFFER: usize = 4096;
/// RFC 6455 section 7.4.1: codes that are never sent.
pub(super) const NO_STATUS: u16 = 1005;
pub(super) const ABNORMAL: u16 = 1006;
/// Where messages may have any length, a frame may not: tungstenite asks for the memory of a frame when it has read how long
/// it will be, and an allocation that fails ends the process.
const LONGEST_FRAME: usize = 256 << 20;
/// The longest reason that fits a control frame.
const LONGEST_REASON: usize = 123;

/// What came.
pub(super) enum Heard {
    Message(Message),
    /// The peer has closed, or has broken the protocol, with this code and reason. Nothing more will come.
    Closed(u16, String),
    Nothing,
}

pub(super) struct Frames {
    context: WebSocketContext,
    pipe: Pipe,
}

#[derive(Default)]
struct Pipe {
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.input.get(self.read..).unwrap_or_default();
        let count = rest.read(into)?;
        self.read += count;
        if count > 0 {
            return Ok(count);
        }
        self.input.clear();
        self.read = 0;
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Frames {
    /// `limit`: bytes of a message; zero: any number.
    pub(super) fn new(limit: usize) -> Self {
        let limit = (limit > 0).then_some(limit);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(limit)
            .max_frame_size(Some(limit.unwrap_or(LONGEST_FRAME)));
        Self { context: WebSocketContext::new(Role::Server, Some(config)), pipe: Pipe::default() }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.pipe.input.extend_from_slice(bytes);
    }

    /// What the bytes received amount to. Call it until there is nothing.
    pub(super) fn hear(&mut self) -> Heard {
        loop {
            return match self.context.read(&mut self.pipe) {
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Ok(Message::Close(frame)) => {
                    // The answer is queued.
                    let _ = self.context.flush(&mut self.pipe);
                    match frame {
                        Some(frame) => Heard::Closed(frame.code.into(), frame.reason.as_str().to_owned()),
                        None => Heard::Closed(NO_STATUS, String::new()),
                    }
                }
                Ok(message) => Heard::Message(message),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    Heard::Closed(NO_STATUS, String::new())
                }
                Err(error) => self.fail(&error),
            };
        }
    }

    /// The peer broke the protocol, or sent too much: it is told so.
    fn fail(&mut self, error: &Error) -> Heard {
        let code = match error {
            Error::Capacity(_) => 1009,
            Error::Utf8(_) => 1007,
            _ => 1002,
        };
        self.close(code, "");
        Heard::Closed(code, error.to_string())
    }

    /// False if it cannot be sent any more.
    pub(super) fn send(&mut self, message: Message) -> bool {
        self.context.write(&mut self.pipe, message).is_ok()
    }

    pub(super) fn ping(&mut self) {
        // One that cannot be sent any more need not be.
        let _ = self.context.write(&mut self.pipe, Message::Ping(Vec::new().into()));
    }

    /// Begins the close handshake, if it has not begun.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        let frame = (code != NO_STATUS)
            .then(|| CloseFrame { code: CloseCode::from(code), reason: cut(reason).into() });
        // What it says of the state of the handshake is told again by the next read.
        let _ = self.context.close(&mut self.pipe, frame);
    }

    /// What is to be sent.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pipe.output)
    }
}

/// Codes that an application may give (RFC 6455 section 7.4).
pub(super) const fn may_send(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// What a stream of bytes comes to, one byte at a time, and what is answered.
    fn told(limit: usize, stream: &[u8]) -> (Vec<String>, Vec<u8>) {
        let (mut frames, mut said, mut output) = (Frames::new(limit), Vec::new(), Vec::new());
        'bytes: for byte in stream {
            frames.receive(&[*byte]);
            loop {
                match frames.hear() {
                    Heard::Nothing => break,
                    Heard::Message(message) => said.push(message.to_string()),
                    Heard::Closed(code, _) => {
                        said.push(code.to_string());
                        break 'bytes;
                    }
                }
            }
        }
        output.append(&mut frames.take_output());
        (said, output)
    }

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let stream =
            [frame(0x01, b"he"), frame(0x89, b"ping"), frame(0x80, b"llo"), frame(0x81, b"!")].concat();
        assert_eq!(told(0, &stream), (vec!["hello".into(), "!".into()], b"\x8a\x04ping".to_vec()));
    }

    #[test]
    fn what_the_peer_may_not_send_closes_with_its_code() {
        for (code, limit, stream) in [
            (1009, 10, frame(0x82, &[0; 11])),
            (1009, 10, [frame(0x02, &[0; 8]), frame(0x80, &[0; 8])].concat()),
            (1007, 0, frame(0x81, b"\xff")),
            (1009, 0, b"\x82\xff\x40\0\0\0\0\0\0\0mask".to_vec()),
            (1002, 0, frame(0x83, b"")),
            (1002, 0, frame(0xc1, b"")),
            (1002, 0, frame(0x80, b"")),
            (1002, 0, frame(0x09, b"")),
            (1002, 0, frame(0x89, &[0; 126])),
            (1002, 0, b"\x81\x01a".to_vec()),
            (1002, 0, frame(0x88, b"\x03")),
            (1002, 0, frame(0x88, b"\x03\xed")),
        ] {
            let (said, output) = told(limit, &stream);
            assert_eq!(said, [code.to_string()], "{stream:?}");
            let sent = u16::from_be_bytes([output[2], output[3]]);
            assert_eq!((output[0], sent), (0x88, code), "{stream:?}");
        }
    }

    #[test]
    fn a_close_is_answered_with_its_code() {
        let (said, output) = told(0, &frame(0x88, b"\x0f\xa0bye"));
        assert_eq!((said, &output[..4]), (vec!["4000".to_owned()], &b"\x88\x05\x0f\xa0"[..]));
        assert_eq!(told(0, &frame(0x88, b"")).0, ["1005"]);
    }

    #[test]
    fn reasons_fit_a_control_frame() {
        let mut frames = Frames::new(0);
        frames.close(1000, &"\u{e9}".repeat(100));
        assert_eq!(frames.take_output().len(), 2 + 2 + 122);
        assert!(!frames.send(Message::text("late")));
        assert!(may_send(4000) && !may_send(1005) && !may_send(1006) && !may_send(999));
    }
}
