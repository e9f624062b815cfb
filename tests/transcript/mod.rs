//! What comes of a connection's bytes, as lines of text: the reader driven as a worker drives it, by an application that reads
//! at once, in sips or late. Two runs over the same bytes must give the same lines. Never judges them.

#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

pub mod corpus;
pub mod flags;
pub mod naive;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rwsgi::http::{
    Connection, Decision, Event, ForwardedRules, Head, PeerError, Policy, RequestReader, Scheme,
};

/// How the application reads its bodies.
#[derive(Clone, Copy, Debug)]
pub enum Appetite {
    AtOnce,
    Sips,
    Late,
}

/// Whose connection it is.
pub struct Peer<'a> {
    pub policy: &'a Policy,
    pub trusted: bool,
    /// It closes behind its bytes.
    pub eof: bool,
}

struct Run<'a> {
    peer: &'a Peer<'a>,
    reader: RequestReader,
    body: Vec<u8>,
    lines: Vec<String>,
    over: bool,
}

pub fn run(peer: &Peer<'_>, pieces: &[&[u8]], appetite: Appetite) -> Vec<String> {
    let policy = Arc::new(peer.policy.clone());
    let reader = Connection::new(policy, Some(IpAddr::from(Ipv4Addr::LOCALHOST))).reader;
    let mut run = Run { peer, reader, body: Vec::new(), lines: Vec::new(), over: false };
    for piece in pieces {
        run.reader.receive(piece);
        run.drain(appetite);
    }
    if peer.eof {
        run.reader.receive_eof();
    }
    run.drain(appetite);
    run.finish();
    run.lines
}

impl Run<'_> {
    fn drain(&mut self, appetite: Appetite) {
        while !self.over {
            match self.reader.next_event() {
                Ok(Event::NeedData) => return,
                Ok(Event::Proxied) => self.proxied(),
                Ok(Event::Head) => self.head(),
                Ok(Event::Body) => self.read(appetite),
                Ok(Event::End) => self.end(),
                Ok(Event::Closed) => self.last("closed".to_owned()),
                Err(fault) => self.fault(&fault),
            }
        }
    }

    fn proxied(&mut self) {
        let proxied = self.reader.proxied().unwrap();
        let mut line = format!("proxied {}", proxied.protocol);
        if let Some(addresses) = proxied.addresses {
            write!(line, " {} {}", addresses.client, addresses.proxy).unwrap();
        }
        self.lines.push(line);
    }

    fn head(&mut self) {
        let head = self.reader.head().unwrap();
        describe(&head, &mut self.lines);
        let rules = ForwardedRules::new(self.peer.policy, self.peer.trusted);
        match rules.apply(&head) {
            Ok(forwarded) => {
                self.lines.push(format!("scheme {}", forwarded.scheme.map_or("-", Scheme::as_str)));
                if let Some(client) = forwarded.client {
                    let port = client.port.map(|port| format!(" {port}")).unwrap_or_default();
                    self.lines.push(format!("client {}{port}", client.ip));
                }
                if let Some(host) = forwarded.host.as_deref().or_else(|| head.host()) {
                    self.lines.push(format!("host {}", escape(host)));
                }
                let dropped = head.fields().filter(|field| rules.decide(field.0) == Decision::Drop);
                self.lines.extend(dropped.map(|field| format!("dropped {}", escape(field.0))));
            }
            Err(fault) => self.last(error_line(&fault)),
        }
    }

    fn read(&mut self, appetite: Appetite) {
        match appetite {
            Appetite::AtOnce => self.swallow(),
            Appetite::Sips => {
                if let Some(&byte) = self.reader.body().first() {
                    self.body.push(byte);
                    self.reader.consume(1);
                }
            }
            Appetite::Late => {}
        }
    }

    fn swallow(&mut self) {
        self.body.extend_from_slice(self.reader.body());
        self.reader.consume(self.reader.body().len());
        assert!(self.reader.body().is_empty());
    }

    fn report_body(&mut self, whole: bool) {
        self.swallow();
        let announced = self.reader.head().and_then(|head| head.content_length());
        let told = u64::try_from(self.body.len()).unwrap();
        assert!(announced.is_none_or(|length| told == length || told < length && !whole), "{told} bytes");
        if !self.body.is_empty() {
            self.lines.push(format!("body {}", escape(&self.body)));
            self.body.clear();
        }
    }

    fn end(&mut self) {
        assert!(self.reader.body_ended());
        let persistent = self.reader.head().unwrap().keep_alive();
        self.report_body(true);
        self.lines.push("end".to_owned());
        if persistent {
            assert!(self.reader.next_request(), "a request that ended leaves the connection usable");
            assert!(self.reader.head().is_none());
        } else {
            self.last("close".to_owned());
        }
    }

    fn fault(&mut self, fault: &PeerError) {
        assert_eq!(self.reader.next_event().as_ref(), Err(fault), "a fault is for good");
        self.report_body(false);
        self.reader.receive(b"GET /behind-a-fault HTTP/1.1\r\n\r\n");
        assert_eq!(self.reader.next_event().as_ref(), Err(fault), "no byte is looked at behind a fault");
        assert!(self.reader.body().is_empty(), "no body grows behind a fault");
        assert!(!self.reader.next_request(), "no request is read behind a fault");
        assert!(!self.reader.is_idle() && !self.reader.wants_continue());
        self.last(error_line(fault));
    }

    fn last(&mut self, line: String) {
        self.lines.push(line);
        self.over = true;
    }

    fn finish(&mut self) {
        if !self.over && !self.reader.is_idle() {
            self.report_body(false);
            self.lines.push("need".to_owned());
        }
    }
}

fn describe(head: &Head<'_>, lines: &mut Vec<String>) {
    assert!(head.content_length().is_none() || !head.is_chunked(), "two lengths");
    let mut line = format!("head {} {} {}", head.method(), escape(head.target()), head.version().as_str());
    line.push_str(if head.keep_alive() { " keep-alive" } else { " close" });
    if let Some(length) = head.content_length() {
        write!(line, " length={length}").unwrap();
    }
    line.push_str(if head.is_chunked() { " chunked" } else { "" });
    line.push_str(if head.expects_continue() { " continue" } else { "" });
    lines.push(line);
    lines.push(format!("path {}", escape(head.path())));
    lines.push(format!("query {}", escape(head.query())));
    lines.extend(head.fields().map(|field| format!("field {}: {}", escape(field.0), escape(field.1))));
}

fn error_line(fault: &PeerError) -> String {
    let debug = format!("{fault:?}");
    let name = debug.split(|letter: char| !letter.is_alphanumeric()).next().unwrap();
    format!("error {} {name}", fault.status())
}

pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").unwrap(),
        }
    }
    out
}
