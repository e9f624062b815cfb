//! What holds for every connection, whatever its bytes: the reader never panics, is never swayed by how bytes were split, says
//! again what was encoded, and ends each request where a strict and naive reader of its own (`transcript::naive`) ends it. Inputs
//! are drawn by proptest, from rubbish and from what is nearly a request. Must never share code with src/http.
//! Read next: transcript/mod.rs, then http_corpus.rs for known cases; fuzz/ draws inputs by coverage.

#![allow(clippy::unwrap_used)]

mod transcript;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rwsgi::http::{Connection, HeaderMap, Leniency, Policy, ResponseHead};
use transcript::{Appetite, Peer, escape, naive, run};

fn policies() -> impl Strategy<Value = Policy> {
    let leniency = any::<[bool; 5]>().prop_map(|[folding, spaces, method, version, casefold]| Leniency {
        obsolete_folding: folding,
        header_spaces: spaces,
        unconventional_method: method,
        unconventional_version: version,
        casefold_method: casefold,
    });
    let maps = select(vec![HeaderMap::Drop, HeaderMap::Refuse, HeaderMap::Dangerous]);
    let limits = (select(vec![0_u64, 3, 20]), select(vec![0_usize, 2, 100]), select(vec![0_usize, 30, 8190]));
    (leniency, maps, limits, any::<bool>()).prop_map(
        |(leniency, header_map, limits, trust_forwarded_header)| Policy {
            leniency,
            header_map,
            limit_request_body: limits.0,
            limit_request_fields: limits.1,
            limit_request_field_size: limits.2,
            trust_forwarded_header,
            ..Policy::default()
        },
    )
}

/// Pieces of requests, good and bad, of which a stream is put together.
const PIECES: [&str; 64] = [
    "GET / HTTP/1.1\r\n",
    "POST /a?b#c HTTP/1.1\r\n",
    "GET / HTTP/1.0\r\n",
    "options * HTTP/1.2\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "GET http://h:80/x HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n",
    "HEAD //x HTTP/0.9\r\n",
    "Host: a\r\n",
    "Host: a/b\r\n",
    "Host:\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +5\r\n",
    "content-length:\t3\t\r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content_Length: 9\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "transfer-encoding: gzip, chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: x\r\n",
    "X: y\r\n",
    "X_Y: z\r\n",
    "X : y\r\n",
    " folded\r\n",
    "\tfolded \r\n",
    "X: \0\r\n",
    "X: y\n",
    "X: y\r",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, TE\r\n",
    "Forwarded: for=1.2.3.4;proto=https\r\n",
    "Forwarded: for=\"\r\n",
    "X-Forwarded-Proto: https\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "hello",
    "5\r\nhello\r\n",
    "5;a=b\r\nhello\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "0;x\r\nX: y\r\n\r\n",
    "0\r\nHost: a\r\n\r\n",
    "00\r\n\r\n",
    "5 \r\nhello\r\n",
    "0x5\r\nhello\r\n",
    "\u{e9}",
    "ffffffffffffffff\r\n",
    "1;a=\"\r\n",
    "1;\nx\r\n",
    "A: b\r\n",
    ": c\r\n",
    "A\r\n",
    "hello world",
    "\0",
    "HTTP/1.1",
    "5\r\nhelloX",
];

/// Fields and bodies that could go together, in more ways than one.
const FRAMINGS: [&str; 10] = [
    "Content-Length: 5\r\n",
    "content-length:\t3 \r\n",
    "Content-Length: 005\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: gzip, Chunked\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Content_Length: 5\r\n",
    "X: y\r\n",
];
const BODIES: [&str; 12] = [
    "hello",
    "abc",
    "5\r\nhello\r\n",
    "3 ;a=b\r\nabc\r\n",
    "0005;\"\r\nhello\r\n",
    "3\r\n\r\n\n\r\n",
    "5\r\nhelloXX",
    "3\nabc\r\n",
    "0\r\n\r\n",
    "00;x\r\nX: y\r\n\r\n",
    "0\r\n\n",
    "\r\n",
];

fn framed() -> impl Strategy<Value = Vec<u8>> {
    let fields = vec(select(FRAMINGS.to_vec()), 0..3);
    let body = vec(select(BODIES.to_vec()), 0..4);
    let request = (select(PIECES[..3].to_vec()), fields, body)
        .prop_map(|(line, fields, body)| [line, &fields.concat(), "\r\n", &body.concat()].concat());
    vec(request, 1..4).prop_map(|requests| requests.concat().into_bytes())
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let nearly = vec(select(PIECES.to_vec()), 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![1 => vec(any::<u8>(), 0..200), 4 => nearly, 5 => framed()]
}

fn transcript(policy: &Policy, pieces: &[&[u8]], appetite: Appetite) -> Vec<String> {
    run(&Peer { policy, trusted: true, eof: true }, pieces, appetite)
}

/// Cuts `input` where `cuts` say, each a part of 256.
fn cut<'a>(input: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| input.len() * usize::from(*cut) / 256).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_and_no_split_sways(
        policy in policies(), input in streams(), cuts in vec(any::<u8>(), 0..6), late in any::<bool>(),
    ) {
        let whole = transcript(&policy, &[&input], Appetite::AtOnce);
        let appetite = if late { Appetite::Late } else { Appetite::Sips };
        prop_assert_eq!(&whole, &transcript(&policy, &cut(&input, &cuts), appetite), "{}", escape(&input));
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&whole, &transcript(&policy, &bytes, Appetite::AtOnce), "{}", escape(&input));
    }

    #[test]
    fn an_accepted_request_has_one_length(input in streams()) {
        for (number, reading) in readings(&input).iter().enumerate() {
            let naive = naive::requests(&input);
            prop_assert_eq!(Some(reading), naive.get(number), "{}", escape(&input));
        }
    }

    #[test]
    fn no_response_says_more_than_one(
        status in "[1-9][0-9]{2}( [a-z]{0,3}(\r\n|\n|\0)?[a-z]?)?",
        name in "[A-Za-z-]{1,6}[: \r\n]?",
        value in "[!-~ \t]{0,4}(\r|\n|\r\n|\0|\u{7f}|\u{e9}|a: b)?[!-~]{0,4}",
    ) {
        let mut connection = Connection::new(Arc::new(Policy::default()), None);
        connection.reader.receive(b"GET / HTTP/1.1\r\n\r\n");
        connection.reader.next_event().unwrap();
        connection.begin_response(true);
        let mut head = ResponseHead::new();
        let accepted = head.set_status(status.as_bytes()).is_ok()
            && head.push(name.as_bytes(), value.as_bytes()).is_ok();
        let clean = !format!("{status}{name}{value}").contains(|letter: char| letter.is_control() && letter != '\t');
        // What has no control in it is refused for nothing but its name.
        prop_assert!(accepted || !clean || name.ends_with([':', ' ']), "{status:?} {name:?} {value:?}");
        if !accepted {
            return Ok(());
        }
        let own = head.fields().count();
        connection.writer.send_head(&head, Some(0), b"Sun, 06 Nov 1994 08:49:37 GMT");
        let sent = String::from_utf8_lossy(connection.writer.output()).into_owned();
        let lines: Vec<&str> = sent.split("\r\n").collect();
        let bodiless = head.status() < 200 || matches!(head.status(), 204 | 304);
        // The status line, our fields, the application's, and what split makes of the end.
        prop_assert_eq!(lines.len(), 1 + 3 + usize::from(!bodiless) + own + 2, "{}", sent);
        prop_assert!(sent.starts_with("HTTP/1.1 ") && sent.ends_with("\r\n\r\n"), "{}", sent);
        prop_assert!(!lines.concat().contains(['\r', '\n', '\0']), "{}", sent);
    }

    #[test]
    fn what_was_encoded_is_read(requests in vec(request(), 1..4)) {
        let input: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
        let policy = Policy { limit_request_fields: 0, ..Policy::default() };
        let mut lines = transcript(&policy, &[&input], Appetite::AtOnce);
        // What a proxy may say is not of this test.
        lines.retain(|line| !["scheme", "host", "dropped", "path", "query"].contains(&line.split(' ').next().unwrap()));
        let expected: Vec<String> = requests.iter().flat_map(Request::lines).chain(["closed".to_owned()]).collect();
        prop_assert_eq!(lines, expected);
    }
}

#[test]
fn the_streams_that_are_drawn_are_neither_all_good_nor_all_bad() {
    let mut runner = TestRunner::deterministic();
    let mut draw = || streams().new_tree(&mut runner).unwrap().current();
    let all: Vec<_> = (0..3000).map(|_| readings(&draw())).collect();
    let bodies = all.iter().flatten().filter(|request| !request.2.is_empty()).count();
    let served = all.iter().filter(|requests| !requests.is_empty()).count();
    assert!((100..2500).contains(&served) && bodies > 20, "{served} are served, {bodies} have a body");
}

/// The method, target and body of each request that the reader served to its end.
fn readings(input: &[u8]) -> Vec<naive::Request> {
    naive::told(&transcript(&Policy::default(), &[input], Appetite::AtOnce))
}

/// A request that is legal beyond doubt, and how it is to be sent.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    /// Sent in chunks of so many bytes; at once with its length if there are none.
    chunks: Vec<usize>,
}

fn request() -> impl Strategy<Value = Request> {
    let field = ("x-[a-zA-Z0-9!#$%&'*+.^`|~-]{0,12}", "([!-~\u{80}-\u{ff}]([ \t!-~]{0,20}[!-~])?)?");
    (
        "[A-Z][A-Z-]{2,19}",
        "/[!-\"$->@-~]{0,20}(\\?[!-\"$-~]{0,20})?",
        vec(field, 0..6),
        proptest::option::of(vec(any::<u8>(), 0..60)),
        vec(1..20_usize, 0..4),
    )
        .prop_filter("the target of a CONNECT is another", |request| request.0 != "CONNECT")
        .prop_map(|(method, target, fields, body, chunks)| Request {
            method,
            target,
            fields,
            body,
            chunks,
        })
}

impl Request {
    fn encode(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in self.all_fields() {
            out.extend(format!("{name}: ").bytes());
            out.extend(value.chars().map(|letter| u8::try_from(letter).unwrap()));
            out.extend(b"\r\n");
        }
        out.extend(b"\r\n");
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_chunked() {
            self.encode_chunks(body, &mut out)
        } else {
            out.extend(body)
        }
        out
    }

    fn encode_chunks(&self, mut body: &[u8], out: &mut Vec<u8>) {
        for size in self.chunks.iter().cycle() {
            let Some((chunk, rest)) = body.split_at_checked((*size).min(body.len())) else { break };
            if chunk.is_empty() {
                break;
            }
            out.extend(format!("{:x}\r\n", chunk.len()).bytes());
            out.extend(chunk);
            out.extend(b"\r\n");
            body = rest;
        }
        out.extend(b"0\r\n\r\n");
    }

    fn is_chunked(&self) -> bool {
        self.body.is_some() && !self.chunks.is_empty()
    }

    fn all_fields(&self) -> Vec<(String, String)> {
        let framing = match &self.body {
            None => None,
            Some(_) if self.is_chunked() => Some(("Transfer-Encoding".to_owned(), "chunked".to_owned())),
            Some(body) => Some(("Content-Length".to_owned(), body.len().to_string())),
        };
        self.fields.iter().cloned().chain(framing).collect()
    }

    /// The lines of the transcript.
    fn lines(&self) -> Vec<String> {
        let latin1 =
            |text: &str| -> Vec<u8> { text.chars().map(|letter| u8::try_from(letter).unwrap()).collect() };
        let length = match &self.body {
            Some(body) if !self.is_chunked() => format!(" length={}", body.len()),
            _ => String::new(),
        };
        let chunked = if self.is_chunked() { " chunked" } else { "" };
        let target = escape(self.target.as_bytes());
        let mut lines = vec![format!("head {} {target} HTTP/1.1 keep-alive{length}{chunked}", self.method)];
        let fields = self.all_fields();
        lines.extend(fields.iter().map(|(name, value)| format!("field {name}: {}", escape(&latin1(value)))));
        if let Some(body) = self.body.as_ref().filter(|body| !body.is_empty()) {
            lines.push(format!("body {}", escape(body)));
        }
        lines.push("end".to_owned());
        lines
    }
}
