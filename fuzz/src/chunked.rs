//! The body of a chunked request: no split sways it, and what was accepted is what the naive reader reads.

use super::transcript::flags;
use super::{agrees_with_the_naive_reader, however_split, parts};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

pub fn check(input: &[u8]) {
    let Some((flags, cuts, body)) = parts(input) else { return };
    let mut policy = flags::policy(flags);
    // The head is to be accepted, whatever the flags say.
    policy.limit_request_line = 4094;
    policy.limit_request_body = u64::from(cuts & 0x0f) * 8;
    let stream = [HEAD, body].concat();
    let lines = however_split(&policy, flags::trusted(flags), cuts, &stream);
    assert!(lines[0].starts_with("head "));
    agrees_with_the_naive_reader(flags, &lines, &stream);
}
