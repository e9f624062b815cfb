//! The cases of tests/corpus/*.http: owns the format, which README.md there tells. Must never judge what comes of a case.
//! Read next: ../http_corpus.rs; corpus_cases.py, which reads the same files for Python.

use rwsgi::http::{HeaderMap, Policy, ProxyProtocol, TrustedPeers};

use super::{Appetite, Peer, escape};

/// The peer of every case, as in test_corpus.py.
pub const PEER: &str = "127.0.0.1";

pub struct Case {
    pub title: String,
    pub about: String,
    pub policy: Policy,
    pub input: Vec<u8>,
    pub eof: bool,
    pub expected: Vec<String>,
}

pub fn run(case: &Case, pieces: &[&[u8]], appetite: Appetite) -> Vec<String> {
    let trusted = case.policy.forwarded_allow_ips.contains(Some(PEER.parse().unwrap()));
    super::run(&Peer { policy: &case.policy, trusted, eof: case.eof }, pieces, appetite)
}

pub fn corpus() -> Vec<(String, Vec<Case>)> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "http")).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| parse(&std::fs::read_to_string(path).unwrap());
    paths.iter().map(|path| (path.display().to_string(), read(path))).collect()
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            cases.push(Case::new(title));
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if line.starts_with('#')
            || line.is_empty()
            || line.starts_with("gunicorn: ")
            || line.starts_with("why: ")
        {
        } else if let Some(about) = line.strip_prefix("about: ") {
            case.about = about.to_owned();
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

impl Case {
    fn new(title: &str) -> Self {
        let nobody = TrustedPeers::parse("192.0.2.1").unwrap();
        let policy = Policy { forwarded_allow_ips: nobody, ..Policy::default() };
        let (input, expected) = (Vec::new(), Vec::new());
        Self { title: title.to_owned(), about: String::new(), policy, input, eof: false, expected }
    }
}

fn apply(setting: &str, case: &mut Case) {
    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
    let number = || value.parse().unwrap();
    let leniency = &mut case.policy.leniency;
    match name {
        "trusted" => case.policy.forwarded_allow_ips = TrustedPeers::parse(PEER).unwrap(),
        "forwarded_allow_ips" => case.policy.forwarded_allow_ips = TrustedPeers::parse(value).unwrap(),
        "trust_forwarded_header" => case.policy.trust_forwarded_header = true,
        "permit_obsolete_folding" => leniency.obsolete_folding = true,
        "strip_header_spaces" => leniency.header_spaces = true,
        "permit_unconventional_http_method" => leniency.unconventional_method = true,
        "permit_unconventional_http_version" => leniency.unconventional_version = true,
        "casefold_http_method" => leniency.casefold_method = true,
        "limit_request_body" => case.policy.limit_request_body = value.parse().unwrap(),
        "proxy_allow_ips" => case.policy.proxy_allow_ips = TrustedPeers::parse(value).unwrap(),
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
