//! Runs tests/corpus/*.http (format: README.md there) against the request reader. Every case is run whole, cut in two at
//! every byte, byte by byte, and with an application that reads late or in sips: the transcripts must be equal, for how
//! bytes were split must never decide what they mean. Never holds expectations itself: those are the corpus files.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use rwsgi::http::{
    Connection, Decision, Event, ForwardedRules, Head, HeaderMap, PeerError, Policy, ProxyProtocol,
    RequestReader, Scheme,
};

#[derive(Default)]
struct Case {
    title: String,
    policy: Policy,
    trusted: bool,
    peer: Option<IpAddr>,
    input: Vec<u8>,
    eof: bool,
    expected: Vec<String>,
}

/// How the application reads its bodies.
#[derive(Clone, Copy)]
enum Appetite {
    AtOnce,
    Sips,
    Late,
}

/// Damaged requests: nothing is known of the outcome, but it may not depend on the split.
#[test]
fn damage_is_judged_the_same_for_every_split() {
    const BYTES: &[u8] = b"\r\n \t\0:;,=\"_%05aF/\x7f\x80";
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    let cases: Vec<Case> = corpus().into_iter().flat_map(|(_, cases)| cases).collect();
    for case in cases.iter().filter(|case| case.input.len() < 500).cycle().take(6000) {
        let mut input = case.input.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len() + 1);
            let byte = BYTES[random.below(BYTES.len())];
            match random.below(3) {
                0 if at < input.len() => input[at] = byte,
                1 if at < input.len() => drop(input.remove(at)),
                _ => input.insert(at, byte),
            }
        }
        let whole = run(case, &[&input], Appetite::AtOnce);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(whole, run(case, &bytes, Appetite::AtOnce), "{:?}", escape(&input));
        let pieces: Vec<&[u8]> = input.chunks(1 + random.below(7)).collect();
        assert_eq!(whole, run(case, &pieces, Appetite::Late), "{:?}", escape(&input));
        refused += usize::from(whole.iter().any(|line| line.starts_with("error")));
    }
    assert!((1000..5999).contains(&refused), "the damage is neither fatal nor harmless always: {refused}");
}

/// xorshift: the same damage in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn corpus() -> Vec<(String, Vec<Case>)> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "http")).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| parse(&std::fs::read_to_string(path).unwrap());
    paths.iter().map(|path| (path.display().to_string(), read(path))).collect()
}

#[test]
fn every_case_gives_its_transcript_for_every_split() {
    let mut cases = 0;
    let mut wrong = String::new();
    for (file, all) in corpus() {
        for case in all {
            cases += 1;
            if let Some(difference) = check(&case) {
                writeln!(wrong, "{file}: {}: {difference}", case.title).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cases >= 200, "only {cases} cases were found");
}

fn check(case: &Case) -> Option<String> {
    let input = case.input.as_slice();
    let differs = |how: &str, pieces: &[&[u8]], appetite: Appetite| {
        let transcript = only_mentioned(run(case, pieces, appetite), &case.expected);
        (transcript != case.expected)
            .then(|| format!("{how}\n  expected {:#?}\n  happened {transcript:#?}", case.expected))
    };
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    differs("whole", &[input], Appetite::AtOnce)
        .or_else(|| differs("read in sips", &[input], Appetite::Sips))
        .or_else(|| differs("read late", &[input], Appetite::Late))
        .or_else(|| differs("byte by byte", &bytes, Appetite::AtOnce))
        .or_else(|| differs("byte by byte, read late", &bytes, Appetite::Late))
        .or_else(|| {
            // Long inputs are long by repetition: their interesting places are the ends and some of the rest.
            let step = if input.len() > 2000 { 131 } else { 1 };
            let cuts = (0..input.len()).filter(|cut| cut % step == 0 || *cut < 64 || cut + 64 > input.len());
            cuts.into_iter().find_map(|cut| {
                differs(&format!("cut at {cut}"), &[&input[..cut], &input[cut..]], Appetite::AtOnce)
            })
        })
}

/// Drops the optional lines of a transcript that the case does not speak about.
fn only_mentioned(transcript: Vec<String>, expected: &[String]) -> Vec<String> {
    const ALWAYS: [&str; 8] = ["proxied", "head", "body", "end", "close", "error", "closed", "need"];
    let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let mentioned: Vec<String> = expected.iter().map(|line| word(line)).collect();
    transcript
        .into_iter()
        .filter(|line| ALWAYS.contains(&&*word(line)) || mentioned.contains(&word(line)))
        .collect()
}

struct Run<'a> {
    case: &'a Case,
    reader: RequestReader,
    body: Vec<u8>,
    lines: Vec<String>,
    over: bool,
}

fn run(case: &Case, pieces: &[&[u8]], appetite: Appetite) -> Vec<String> {
    let reader = Connection::new(Arc::new(case.policy.clone()), case.peer).reader;
    let mut run = Run { case, reader, body: Vec::new(), lines: Vec::new(), over: false };
    for piece in pieces {
        run.reader.receive(piece);
        run.drain(appetite);
    }
    if case.eof {
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
        let rules = ForwardedRules::new(&self.case.policy, self.case.trusted);
        match rules.apply(&head) {
            Ok(forwarded) => {
                self.lines.push(format!("scheme {}", forwarded.scheme.map_or("-", Scheme::as_str)));
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

    fn report_body(&mut self) {
        self.swallow();
        if !self.body.is_empty() {
            self.lines.push(format!("body {}", escape(&self.body)));
            self.body.clear();
        }
    }

    fn end(&mut self) {
        assert!(self.reader.body_ended());
        let persistent = self.reader.head().unwrap().keep_alive();
        self.report_body();
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
        self.report_body();
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
            self.report_body();
            self.lines.push("need".to_owned());
        }
    }
}

fn describe(head: &Head<'_>, lines: &mut Vec<String>) {
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

// ---- the format

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            cases.push(Case { title: title.to_owned(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if line.starts_with('#') || line.is_empty() {
        } else if let Some(settings) = line.strip_prefix("policy: ") {
            settings.split(' ').for_each(|setting| apply(setting, case));
        } else if line == "<eof" {
            case.eof = true;
        } else if let Some(raw) = line.strip_prefix("<< ") {
            case.input.extend(unescape(raw));
        } else if let Some(text) = line.strip_prefix('<') {
            case.input.extend(unescape(text.strip_prefix(' ').unwrap_or(text)));
            case.input.extend(b"\r\n");
        } else if let Some(event) = line.strip_prefix("> ") {
            case.expected.push(escape(&unescape(event)));
        } else {
            panic!("{}: {line:?} is not corpus format", case.title);
        }
    }
    cases
}

fn apply(setting: &str, case: &mut Case) {
    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
    let number = || value.parse().unwrap();
    match name {
        "trusted" => case.trusted = true,
        "peer" => case.peer = Some(value.parse().unwrap()),
        "proxy_protocol" => {
            case.policy.proxy_protocol = match value {
                "v1" => ProxyProtocol::V1,
                "v2" => ProxyProtocol::V2,
                "auto" => ProxyProtocol::Auto,
                _ => panic!("no such proxy_protocol: {value}"),
            };
        }
        "limit_request_line" => case.policy.limit_request_line = number(),
        "limit_request_fields" => case.policy.limit_request_fields = number(),
        "limit_request_field_size" => case.policy.limit_request_field_size = number(),
        "forwarder_headers" => case.policy.forwarder_headers = vec![value.to_owned()],
        "header_map" => {
            case.policy.header_map = match value {
                "drop" => HeaderMap::Drop,
                "refuse" => HeaderMap::Refuse,
                "dangerous" => HeaderMap::Dangerous,
                _ => panic!("no such header_map: {value}"),
            };
        }
        _ => panic!("no such setting: {setting}"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [kind, after @ ..] = rest else { panic!("a lone backslash in {text:?}") };
        rest = after;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' => {
                out.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            b'(' => {
                let end = rest.iter().position(|byte| *byte == b')').unwrap();
                let (count, what) = std::str::from_utf8(&rest[..end]).unwrap().split_once('*').unwrap();
                out.extend(unescape(what).repeat(count.parse().unwrap()));
                rest = &rest[end + 1..];
            }
            _ => panic!("no such escape in {text:?}"),
        }
    }
    out
}

fn escape(bytes: &[u8]) -> String {
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
