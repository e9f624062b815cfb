//! Runs tests/corpus/*.http (format: README.md there) against the request reader. Every case is run whole, cut in two at
//! every byte, byte by byte, and with an application that reads late or in sips: the transcripts must be equal, for how
//! bytes were split must never decide what they mean. Never holds expectations itself: those are the corpus files.
//! Read next: transcript/mod.rs; what gunicorn makes of the same cases: test_corpus.py.

#![allow(clippy::unwrap_used)]

mod transcript;

use std::fmt::Write as _;

use rwsgi::http::{HeaderMap, Policy, ProxyProtocol, TrustedPeers};
use transcript::{Appetite, Peer, escape};

/// The peer of every case, as in test_corpus.py.
const PEER: &str = "127.0.0.1";

struct Case {
    title: String,
    about: String,
    policy: Policy,
    input: Vec<u8>,
    eof: bool,
    expected: Vec<String>,
}

fn run(case: &Case, pieces: &[&[u8]], appetite: Appetite) -> Vec<String> {
    let trusted = case.policy.forwarded_allow_ips.contains(Some(PEER.parse().unwrap()));
    transcript::run(&Peer { policy: &case.policy, trusted, eof: case.eof }, pieces, appetite)
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
    assert!(cases >= 300, "only {cases} cases were found");
}

#[test]
fn every_case_names_its_clause_or_its_attack() {
    let mut titles = Vec::new();
    for (file, all) in corpus() {
        for case in all {
            assert!(!case.about.is_empty(), "{file}: {}: no `about:`", case.title);
            titles.push(case.title);
        }
    }
    titles.sort();
    let twice = titles.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "titles name cases in docs/differences.md");
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

// ---- the format

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
