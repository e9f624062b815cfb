//! Another reader of requests, as simple as one can be written that believes nothing: it looks only at whole streams, and knows
//! no limit, no host and no permitted method. What src/http accepts, it must read the same. Never shares code with src/http.

#![allow(unreachable_pub, dead_code)]

use super::escape;

/// Method, target and body.
pub type Request = (String, String, String);

pub fn requests(mut input: &[u8]) -> Vec<Request> {
    let mut found = Vec::new();
    while let Some((request, rest)) = request(input) {
        found.push(request);
        input = rest;
    }
    found
}

/// The requests that a transcript saw whole, in the same words.
pub fn told(lines: &[String]) -> Vec<Request> {
    let mut found = Vec::new();
    let (mut head, mut body) = (None, String::new());
    for line in lines {
        let mut words = line.split(' ');
        match words.next() {
            Some("head") => head = words.next().map(str::to_owned).zip(words.next().map(str::to_owned)),
            Some("body") => body = line["body ".len()..].to_owned(),
            Some("end") => {
                let (method, target) = head.take().unwrap();
                found.push((method, target, std::mem::take(&mut body)));
            }
            _ => {}
        }
    }
    found
}

fn split<'a>(input: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = input.windows(at.len()).position(|window| window == at)?;
    Some((&input[..place], &input[place + at.len()..]))
}

fn request(input: &[u8]) -> Option<(Request, &[u8])> {
    let input = input.strip_prefix(b"\r\n").unwrap_or(input);
    let (head, rest) = split(input, b"\r\n\r\n")?;
    let head = head.iter().map(|byte| char::from(*byte)).collect::<String>();
    let mut lines = head.split("\r\n");
    let [method, target, version] = lines.next()?.split(' ').collect::<Vec<_>>()[..] else { return None };
    let (mut length, mut codings) = (None, Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if line.contains(['\r', '\n', '\0']) || name.contains([' ', '\t']) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "content-length" if length.is_none() => length = Some(value.to_owned()),
            "content-length" => return None,
            "transfer-encoding" => codings.extend(value.split(',').map(|coding| coding.trim().to_owned())),
            _ => {}
        }
    }
    let (body, rest) = match (length, codings.last()) {
        (None, None) => (vec![], rest),
        (Some(length), None) => {
            let digits = !length.is_empty() && length.chars().all(|digit| digit.is_ascii_digit());
            let (body, rest) = rest.split_at_checked(length.parse().ok().filter(|_| digits)?)?;
            (body.to_vec(), rest)
        }
        (None, Some(last)) if last.eq_ignore_ascii_case("chunked") && version != "HTTP/1.0" => chunked(rest)?,
        _ => return None,
    };
    Some(((method.to_owned(), escape(target.as_bytes()), escape(&body)), rest))
}

fn chunked(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let (line, after) = split(rest, b"\r\n")?;
        let digits = line.split(|byte| *byte == b';').next()?.to_vec();
        let digits = String::from_utf8(digits).ok()?;
        let size = usize::from_str_radix(digits.trim_end_matches([' ', '\t']), 16).ok()?;
        if size == 0 {
            break rest = after;
        }
        let (data, after) = after.split_at_checked(size)?;
        body.extend_from_slice(data);
        rest = after.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, after) = split(rest, b"\r\n")?;
        rest = after;
        if line.is_empty() {
            return Some((body, rest));
        }
    }
}
