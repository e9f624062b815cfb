//! A whole connection, pipelined and kept as its requests ask: no split and no appetite sways it, no body passes its length,
//! nothing comes behind a fault, and each request ends where the naive reader ends it. The responses, which share the
//! connection, are whole for every request that was served.

use std::sync::Arc;

use super::transcript::flags;
use super::{agrees_with_the_naive_reader, has_no_controls, however_split, parts};
use rwsgi::http::{Connection, Event, HeaderMap, Policy, ResponseHead};

pub fn check(input: &[u8]) {
    let Some((flags, cuts, stream)) = parts(input) else { return };
    let mut policy = flags::policy(flags);
    policy.limit_request_body = if cuts & 0x80 == 0 { 0 } else { 16 };
    policy.trust_forwarded_header = cuts & 0x40 != 0;
    if cuts & 0x10 != 0 {
        policy.header_map = HeaderMap::Dangerous;
    }
    let lines = however_split(&policy, flags::trusted(flags), cuts, stream);
    has_no_controls(&lines);
    agrees_with_the_naive_reader(flags, &lines, stream);
    let ended = lines.iter().filter(|line| *line == "end").count();
    let answered = answered(policy, stream);
    // ForwardedRules may refuse a request that the reader reads to its end.
    assert!(answered >= ended, "{answered} responses to {ended} requests");
}

/// How many requests the connection takes, with a response to each.
fn answered(policy: Policy, stream: &[u8]) -> usize {
    let mut connection = Connection::new(Arc::new(policy), None);
    connection.reader.receive(stream);
    connection.reader.receive_eof();
    let mut answered = 0;
    loop {
        match connection.reader.next_event() {
            Ok(Event::End) => answered += 1,
            Ok(Event::Closed | Event::NeedData) | Err(_) => return answered,
            Ok(_) => continue,
        }
        respond(&mut connection);
        if !connection.next_request() {
            return answered;
        }
    }
}

fn respond(connection: &mut Connection) {
    assert!(connection.begin_response(true));
    let mut head = ResponseHead::new();
    head.set_status(b"200 OK").expect("a status");
    connection.writer.send_head(&head, Some(2), b"Sun, 06 Nov 1994 08:49:37 GMT");
    connection.writer.send_body(b"ok");
    let finish = connection.writer.finish();
    let output = connection.writer.output();
    assert!(output.starts_with(b"HTTP/1.") && output.windows(4).any(|end| end == b"\r\n\r\n"));
    assert_eq!((finish.missing, finish.excess), (0, 0));
    let length = output.len();
    connection.writer.consume(length);
}
