//! The response writer, judged by what a strict client makes of its bytes: one response, framed one way, no more and no
//! less. The client below refuses everything RFC 9112 does not require it to accept. Never looks inside the writer.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use rwsgi::http::{AppError, Connection, Event, Policy, ResponseHead, ResponseWriter};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// A connection with this request in hand, and its response begun.
fn begun(request: &str) -> Connection {
    let mut connection = Connection::new(Arc::new(Policy::default()), None);
    connection.reader.receive(request.as_bytes());
    connection.reader.next_event().unwrap();
    assert!(connection.begin_response(true));
    connection
}

fn head(status: &str, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new();
    head.set_status(&latin1(status)).unwrap();
    for (name, value) in fields {
        head.push(name.as_bytes(), &latin1(value)).unwrap();
    }
    head
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap()).collect()
}

fn output(writer: &ResponseWriter) -> String {
    writer.output().iter().map(|&byte| char::from(byte)).collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Response {
    version: String,
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    /// The client may send another request.
    reusable: bool,
}

impl Response {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.as_str())
    }
}

/// Reads exactly one response out of `bytes`, which end where the connection would close or wait.
fn client(method: &str, bytes: &[u8]) -> Result<Response, String> {
    let (status_line, mut rest) = line(bytes)?;
    let (version, status) = match status_line.split_at_checked(9) {
        Some(("HTTP/1.1 ", rest)) => ("HTTP/1.1", rest),
        Some(("HTTP/1.0 ", rest)) => ("HTTP/1.0", rest),
        _ => return Err(format!("version: {status_line:?}")),
    };
    let (digits, phrase) = status.split_once(' ').ok_or("no space after the status")?;
    let status: u16 = digits.parse().map_err(|_| "status")?;
    let clean =
        |text: &str| !text.chars().any(|c| (c.is_ascii_control() && c != '\t') || c == '\r' || c == '\n');
    if digits.len() != 3 || !clean(phrase) {
        return Err(format!("status line: {status_line:?}"));
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    loop {
        let (field, after) = line(rest)?;
        rest = after;
        if field.is_empty() {
            break;
        }
        let (name, value) = field.split_once(": ").ok_or_else(|| format!("field: {field:?}"))?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty()
            || !name.chars().all(token)
            || !clean(value)
            || value.trim_matches([' ', '\t']) != value
        {
            return Err(format!("field: {field:?}"));
        }
        fields.push((name.to_owned(), value.to_owned()));
    }
    let (body, delimited) = body(method, version, status, &fields, rest)?;
    let only = |name: &str| fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name)).count() == 1;
    if !["Server", "Date", "Connection"].into_iter().all(only) {
        return Err("Server, Date and Connection are sent once each".into());
    }
    let keep_alive = fields.iter().any(|(name, value)| name == "Connection" && value == "keep-alive");
    Ok(Response { version: version.into(), status, fields, body, reusable: keep_alive && delimited })
}

/// The body, and whether it says itself where it ends.
fn body(
    method: &str,
    version: &str,
    status: u16,
    fields: &[(String, String)],
    rest: &[u8],
) -> Result<(Vec<u8>, bool), String> {
    let all = |name: &str| -> Vec<&str> {
        fields
            .iter()
            .filter(|field| field.0.eq_ignore_ascii_case(name))
            .map(|field| field.1.as_str())
            .collect()
    };
    let (lengths, codings) = (all("Content-Length"), all("Transfer-Encoding"));
    if lengths.len() + codings.len() > 1 {
        return Err(format!("framed twice: {fields:?}"));
    }
    if (status < 200 || status == 204) && lengths.len() + codings.len() > 0 {
        return Err("a length in a response without content".into());
    }
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return if rest.is_empty() && codings.is_empty() { Ok((vec![], true)) } else { Err("a body".into()) };
    }
    if let [length] = lengths[..] {
        let length: usize = length.parse().map_err(|_| "Content-Length")?;
        return match rest.len() == length {
            true => Ok((rest.to_vec(), true)),
            false => Err(format!("{} bytes of {length}", rest.len())),
        };
    }
    match codings[..] {
        [] => Ok((rest.to_vec(), false)),
        ["chunked"] if version == "HTTP/1.1" => chunked(rest).map(|body| (body, true)),
        _ => Err(format!("codings: {codings:?}")),
    }
}

fn chunked(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let (size, after) = line(rest)?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| format!("chunk size: {size:?}"))?;
        let (data, after) = after.split_at_checked(size).ok_or("a short chunk")?;
        let after = after.strip_prefix(b"\r\n").ok_or("no CRLF after a chunk")?;
        body.extend_from_slice(data);
        if size == 0 {
            return if after.is_empty() { Ok(body) } else { Err(format!("{} bytes behind", after.len())) };
        }
        rest = after;
    }
}

/// A line without its CRLF, as latin-1, and what follows.
fn line(bytes: &[u8]) -> Result<(String, &[u8]), String> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").ok_or("no line end")?;
    Ok((bytes[..end].iter().map(|&byte| char::from(byte)).collect(), &bytes[end + 2..]))
}

/// Every combination that decides framing, and what must come of it for the client.
#[test]
fn whatever_is_sent_is_one_response() {
    let bodies: [&[&[u8]]; 4] = [&[], &[b""], &[b"hello"], &[b"hel", b"", b"lo", &[b'x'; 300]]];
    let mut seen = 0;
    for method in ["GET", "HEAD", "POST"] {
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            for connection in ["", "close", "keep-alive"] {
                for status in [
                    "200 OK",
                    "204 No Content",
                    "304 Not Modified",
                    "404",
                    "101 Switching Protocols",
                    "999 \u{f6}",
                ] {
                    for body in bodies {
                        for length in [None, Some(true), Some(false)] {
                            one_response(
                                &format!("{method} / {version}\r\nConnection: {connection}\r\n\r\n"),
                                status,
                                body,
                                length,
                            );
                            seen += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen, 1296);
}

/// `length`: the application's own Content-Length, or the length known to the server, or neither.
fn one_response(request: &str, status: &str, body: &[&[u8]], length: Option<bool>) {
    let context = format!("{request:?} {status:?} {body:?} {length:?}");
    let mut connection = begun(request);
    let total: usize = body.iter().map(|item| item.len()).sum();
    let own = total.to_string();
    let mut fields = vec![("X-Before", "1"), ("X-After", "\u{e9}")];
    if length == Some(true) {
        fields.insert(1, ("Content-Length", &own));
    }
    let writer = &mut connection.writer;
    writer.send_head(&head(status, &fields), (length == Some(false)).then_some(total as u64), DATE);
    let accepted: usize = body.iter().map(|item| writer.send_body(item)).sum();
    let finish = writer.finish();

    let method = request.split(' ').next().unwrap();
    let response =
        client(method, writer.output()).unwrap_or_else(|why| panic!("{why}: {context}: {}", output(writer)));
    assert_eq!((response.field("x-before"), response.field("x-after")), (Some("1"), Some("\u{e9}")));
    let no_body = method == "HEAD" || matches!(response.status, 101 | 204 | 304);
    assert_eq!(response.body, if no_body { vec![] } else { body.concat() }, "{context}");
    assert_eq!(
        (accepted, writer.body_sent()),
        (response.body.len(), response.body.len() as u64),
        "{context}"
    );
    assert_eq!(writer.dropped_body(), no_body && method != "HEAD" && total > 0, "{context}");
    assert_eq!(finish.missing, 0);
    assert_eq!(finish.persistent, response.reusable, "both sides agree: {context}");
    let wanted =
        match (request.contains("HTTP/1.1"), request.contains("close"), request.contains("keep-alive")) {
            (true, close, _) => !close,
            (false, _, keep_alive) => keep_alive && (no_body || length.is_some()),
        };
    assert_eq!(finish.persistent, wanted && response.status != 101, "{context}");
    assert_eq!(connection.next_request(), finish.persistent);
}

#[test]
fn the_head_in_full() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    let fields = [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")];
    connection.writer.send_head(&head("200 OK", &fields), Some(5), DATE);
    assert_eq!(
        output(&connection.writer),
        "HTTP/1.1 200 OK\r\nServer: rwsgi\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\n\
         Content-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\n\r\n"
    );
    let mut connection = begun("GET / HTTP/1.0\r\n\r\n");
    connection.writer.send_head(&head("404", &[("a", "b")]), None, DATE);
    assert_eq!(
        output(&connection.writer),
        "HTTP/1.0 404 \r\nServer: rwsgi\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\na: b\r\n\r\n"
    );
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    connection.writer.send_head(&head("200 OK", &[("a", "b")]), None, DATE);
    let sent = output(&connection.writer);
    assert!(
        sent.contains("\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\na: b\r\n\r\n"),
        "{sent}"
    );
}

#[test]
fn a_second_head_is_not_sent() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    connection.writer.send_head(&head("200 OK", &[]), Some(0), DATE);
    let before = output(&connection.writer);
    connection.writer.send_head(&head("500 No", &[]), Some(0), DATE);
    assert_eq!(output(&connection.writer), before);
}

#[test]
fn a_body_is_cut_at_its_length() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    let writer = &mut connection.writer;
    writer.send_head(&head("200 OK", &[("Content-Length", "5")]), None, DATE);
    assert_eq!((writer.send_body(b"hel"), writer.remaining()), (3, Some(2)));
    assert_eq!((writer.send_body(b"lo world"), writer.remaining()), (2, Some(0)));
    assert_eq!(writer.send_body(b"!"), 0);
    let finish = writer.finish();
    assert_eq!((finish.persistent, finish.excess), (true, 7), "what was cut is told");
    assert_eq!(client("GET", writer.output()).unwrap().body, b"hello");
    assert_eq!(writer.send_body(b"late"), 0, "nothing follows the end");
    assert!(writer.finish().persistent, "ending twice is ending once");
    client("GET", writer.output()).unwrap();
}

#[test]
fn a_short_body_closes() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    connection.writer.send_head(&head("200 OK", &[("Content-Length", "5")]), None, DATE);
    connection.writer.send_body(b"hel");
    let finish = connection.writer.finish();
    assert_eq!((finish.persistent, finish.missing), (false, 2));
    assert_eq!(client("GET", connection.writer.output()), Err("3 bytes of 5".to_owned()));
    assert!(!connection.next_request());
}

#[test]
fn a_failed_response_has_no_last_chunk() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    connection.writer.send_head(&head("200 OK", &[]), None, DATE);
    connection.writer.send_body(b"hel");
    connection.writer.error_response(500, "never seen");
    assert!(!connection.writer.finish().persistent);
    assert!(output(&connection.writer).ends_with("\r\n\r\n3\r\nhel\r\n"));
    assert!(client("GET", connection.writer.output()).is_err(), "the client knows that it is cut short");
}

#[test]
fn blocks_are_framed_around_the_drivers_bytes() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    let writer = &mut connection.writer;
    writer.send_head(&head("200 OK", &[]), None, DATE);
    let mut wire = Vec::new();
    for block in [&b"hello"[..], b"", &[b'x'; 70_000]] {
        assert_eq!(writer.begin_block(block.len() as u64), block.len() as u64);
        wire.extend_from_slice(writer.output());
        writer.consume(writer.output().len());
        wire.extend_from_slice(block);
        if !block.is_empty() {
            writer.end_block();
        }
    }
    assert_eq!(writer.body_sent(), 70_005);
    assert!(writer.finish().persistent);
    wire.extend_from_slice(writer.output());
    assert_eq!(client("GET", &wire).unwrap().body.len(), 70_005);

    let mut connection = begun("HEAD / HTTP/1.1\r\n\r\n");
    connection.writer.send_head(&head("200 OK", &[("Content-Length", "7")]), None, DATE);
    assert_eq!(connection.writer.begin_block(7), 0);
    connection.writer.end_block();
    connection.writer.finish();
    assert_eq!(client("HEAD", connection.writer.output()).unwrap().field("content-length"), Some("7"));
}

#[test]
fn lengths_are_only_added_where_they_are_true() {
    for (request, status, known, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "200 OK", 0, Some("0")),
        ("HEAD / HTTP/1.1\r\n\r\n", "200 OK", 0, None),
        ("HEAD / HTTP/1.1\r\n\r\n", "200 OK", 9, Some("9")),
        ("GET / HTTP/1.1\r\n\r\n", "304 Not Modified", 9, None),
        ("GET / HTTP/1.1\r\n\r\n", "204 No Content", 9, None),
    ] {
        let mut connection = begun(request);
        connection.writer.send_head(&head(status, &[]), Some(known), DATE);
        connection.writer.finish();
        let response = client(request.split(' ').next().unwrap(), connection.writer.output()).unwrap();
        assert_eq!(response.field("content-length"), expected, "{request} {status}");
    }
}

#[test]
fn nothing_an_application_says_ends_a_line_early() {
    let mut head = head("200 OK", &[("a", "b")]);
    for bad in ["x\r\ny: z", "x\ny", "x\ry", "x\0", "\x0bx", "x\x7f", "\n"] {
        assert!(matches!(head.push(b"X", bad.as_bytes()), Err(AppError::FieldValue(_))), "{bad:?}");
        assert!(matches!(head.push(bad.as_bytes(), b"v"), Err(AppError::FieldName(_))), "{bad:?}");
        assert!(
            matches!(head.set_status(format!("200 {bad}").as_bytes()), Err(AppError::Status(_))),
            "{bad:?}"
        );
    }
    for bad in ["", "a b", "a:", "a\u{e9}", " a", "a "] {
        assert!(matches!(head.push(bad.as_bytes(), b"v"), Err(AppError::FieldName(_))), "{bad:?}");
    }
    assert_eq!(head.fields().collect::<Vec<_>>(), [(&b"a"[..], &b"b"[..])], "what was refused left no trace");
}

#[test]
fn interim_responses() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    let writer = &mut connection.writer;
    writer.informational(100, &[]).unwrap();
    writer
        .informational(
            103,
            &[(b"Link", b" </a.css>; rel=preload "), (b"Content-Length", b"5"), (b"Date", b"x")],
        )
        .unwrap();
    assert_eq!(
        output(writer),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    );
    writer.consume(writer.output().len());
    assert!(matches!(
        writer.informational(103, &[(b"a", b"b"), (b"Link", b"a\r\nb: c")]),
        Err(AppError::FieldValue(_))
    ));
    assert!(matches!(writer.informational(103, &[(b"a b", b"c")]), Err(AppError::FieldName(_))));
    assert_eq!(writer.informational(200, &[]), Err(AppError::InformationalStatus(200)));
    assert_eq!(output(writer), "", "a refused interim response leaves nothing");
    writer.send_head(&head("200 OK", &[]), Some(0), DATE);
    let sent = output(writer);
    writer.informational(103, &[]).unwrap();
    assert_eq!(output(writer), sent, "too late");

    let mut old = begun("GET / HTTP/1.0\r\n\r\n");
    old.writer.informational(100, &[]).unwrap();
    assert_eq!(output(&old.writer), "");
}

#[test]
fn an_upgrade_is_passed_on() {
    let mut connection = begun("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
    connection.writer.send_head(&head("101 Switching Protocols", &fields), None, DATE);
    let sent = output(&connection.writer);
    assert!(sent.contains("\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "{sent}");
    assert!(!connection.writer.finish().persistent, "no HTTP request follows");
}

#[test]
fn error_pages() {
    let mut connection = begun("GET / HTTP/1.1\r\n\r\n");
    connection.writer.error_response(500, "");
    let sent = output(&connection.writer);
    assert!(sent.starts_with(
        "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 141\r\n\r\n<html>\n"
    ));
    assert!(sent.ends_with("<h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n"));
    assert!(!connection.next_request());

    let mut connection = begun("HEAD / HTTP/1.1\r\n\r\n");
    connection.writer.error_response(500, "");
    assert!(output(&connection.writer).ends_with("Content-Length: 141\r\n\r\n"));

    // The peer's fault came before any head: nothing was begun.
    let mut connection = Connection::new(Arc::new(Policy::default()), None);
    connection.reader.receive(b"<get> / HTTP/1.1\r\n");
    let fault = connection.reader.next_event().unwrap_err();
    connection.writer.error_response(fault.status(), &fault.page_message());
    let sent = output(&connection.writer);
    assert!(sent.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{sent}");
    assert!(
        sent.contains("\n    Invalid Method &#x27;Invalid HTTP method: &#x27;&lt;get&gt;&#x27;&#x27;\n"),
        "{sent}"
    );
}

#[test]
fn continue_is_wanted_once_and_only_by_those_who_wait() {
    let request = "POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut connection = begun(request);
    assert!(connection.reader.wants_continue());
    assert!(!connection.reader.wants_continue());
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    assert!(begun(chunked).reader.wants_continue());
    let mut connection = begun(&format!("{chunked}1"));
    connection.reader.next_event().unwrap();
    assert!(!connection.reader.wants_continue(), "the body has begun");
    for refused in [
        &format!("{request}x"),
        "POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n",
    ] {
        assert!(!begun(refused).reader.wants_continue(), "{refused}");
    }
}

#[test]
fn what_is_new_is_announced_when_the_rest_is_half_read() {
    let mut reader = begun("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhello").reader;
    assert_eq!(reader.next_event(), Ok(Event::Body));
    reader.consume(3);
    assert_eq!(reader.next_event(), Ok(Event::NeedData), "nothing is new");
    reader.receive(b" w");
    assert_eq!((reader.next_event(), reader.body()), (Ok(Event::Body), &b"lo w"[..]));
    reader.consume(99);
    assert_eq!((reader.next_event(), reader.body()), (Ok(Event::NeedData), &b""[..]));
    reader.receive(b"orGET");
    assert_eq!((reader.next_event(), reader.body()), (Ok(Event::Body), &b"or"[..]));
    assert_eq!((reader.next_event(), reader.next_event()), (Ok(Event::End), Ok(Event::End)));
}

#[test]
fn an_unread_body_is_skipped_or_ends_the_connection() {
    let mut connection = begun("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nxyGET /2 HTTP/1.1\r\n\r\n");
    assert_eq!(connection.reader.pipelined(), b"GET /2 HTTP/1.1\r\n\r\n");
    assert!(connection.next_request());
    connection.reader.next_event().unwrap();
    assert_eq!(connection.reader.head().unwrap().target(), b"/2");

    let mut connection = begun("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nG");
    assert!(connection.next_request(), "a chunked body that is all here is skipped too");
    assert!(!connection.reader.is_idle());

    for unfinished in [
        "Content-Length: 2\r\n\r\nx",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        "Transfer-Encoding: chunked\r\n\r\nz\r\n",
    ] {
        let mut connection = begun(&format!("POST / HTTP/1.1\r\n{unfinished}"));
        assert!(!connection.next_request(), "{unfinished}");
    }
}
