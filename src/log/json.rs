//! A line of the access log as one JSON object, under OpenTelemetry's names.
//!
//! Owns the names and their order. Always valid JSON and UTF-8; what is absent is left out. Read next: `escape.rs`.

use super::access_log::{Record, Surroundings, Variable};
use super::basic_user::basic_user;
use super::escape;

/// Appends the object.
pub(super) fn append(record: &impl Record, around: &Surroundings, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"timestamp\":\"");
    around.stamp.append_rfc3339(line);
    line.push(b'"');
    let variable = |of| move |line: &mut Vec<u8>| record.variable(of, escape::json, line);
    let field = |name| move |line: &mut Vec<u8>| maybe(record.request_field(name), line);
    text("client.address", variable(Variable::RemoteAddr), line);
    if let Some(user) = record.request_field("authorization").and_then(basic_user) {
        text("user.name", |line| maybe(Some(&user), line), line);
    }
    text("http.request.method", variable(Variable::Method), line);
    text("url.path", |line| maybe(Some(record.path()), line), line);
    text("url.query", |line| maybe(Some(record.query()), line), line);
    let version = record.protocol().strip_prefix("HTTP/");
    text("network.protocol.version", |line| maybe(version.map(str::as_bytes), line), line);
    number("http.response.status_code", record.status().into(), line);
    number("http.response.body.size", record.sent(), line);
    number("http.server.request.duration", record.elapsed().as_secs(), line);
    fraction(record.elapsed().subsec_micros(), line);
    text("user_agent.original", field("user-agent"), line);
    text("http.request.header.referer", field("referer"), line);
    text("http.request.id", |line| maybe(record.request_id().map(str::as_bytes), line), line);
    number("process.pid", around.pid.into(), line);
    line.push(b'}');
}

fn maybe(value: Option<&[u8]>, line: &mut Vec<u8>) -> bool {
    value.map(|value| escape::json(value, line)).is_some()
}

/// A member whose value is text, unless there is none.
fn text(name: &str, value: impl FnOnce(&mut Vec<u8>) -> bool, line: &mut Vec<u8>) {
    let before = line.len();
    begin(name, line);
    line.push(b'"');
    let start = line.len();
    if value(line) && line.len() > start {
        line.push(b'"');
    } else {
        line.truncate(before);
    }
}

fn number(name: &str, value: u64, line: &mut Vec<u8>) {
    begin(name, line);
    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn begin(name: &str, line: &mut Vec<u8>) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

/// Behind whole seconds.
pub(super) fn fraction(micros: u32, line: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let padded = digits.format(1_000_000 + micros);
    line.push(b'.');
    // Without the one that keeps the zeroes in place.
    line.extend_from_slice(padded.as_bytes().get(1..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::Sample;
    use super::*;

    fn rendered(sample: &Sample<'_>) -> String {
        let mut around = Surroundings { pid: 7, ..Surroundings::default() };
        around.stamp.refresh(std::time::Duration::from_millis(1_795_000_000_001));
        let mut line = Vec::new();
        append(sample, &around, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn everything_there_is() {
        let line = rendered(&Sample { id: Some("abc"), ..Sample::default() });
        let (stamp, rest) = line.split_once(',').unwrap();
        assert!(stamp.starts_with("{\"timestamp\":\"2026-11-") && stamp.ends_with('"'), "{stamp}");
        assert_eq!(
            rest,
            "\"client.address\":\"127.0.0.1\",\"http.request.method\":\"GET\",\"url.path\":\"/a%0Ab\",\
             \"url.query\":\"x=1\",\"network.protocol.version\":\"1.1\",\"http.response.status_code\":200,\
             \"http.response.body.size\":13,\"http.server.request.duration\":1.002003,\
             \"user_agent.original\":\"curl \\\"8\\\" \\\\\",\"http.request.id\":\"abc\",\"process.pid\":7}"
        );
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let line = rendered(&Sample { agent: None, ..Sample::default() });
        assert!(!line.contains("user_agent") && !line.contains("http.request.id"), "{line}");
    }

    #[test]
    fn whatever_comes_stays_in_its_string() {
        for byte in 0..=255u8 {
            let agent = [b'a', byte, b'"', byte];
            let line = rendered(&Sample { agent: Some(&agent), ..Sample::default() });
            let (_, value) = line.split_once("\"user_agent.original\":\"").unwrap();
            assert!(value.ends_with("\",\"process.pid\":7}"), "{line}");
            assert!(!line.bytes().any(|byte| byte < b' '), "{line:?}");
        }
    }
}
