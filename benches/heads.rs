//! Reads one head over and over, for callgrind to count what a request's head costs:
//!
//! ```text
//! cargo build --release --no-default-features --example heads
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/heads browser 20000
//! ```
//!
//! Two runs with different counts, and the difference of the two totals over that of the counts, are the instructions of
//! one head. Must never leave out what a worker does with the reader. Read next: src/http/head_parser.rs.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use rwsgi::http::{Connection, Event, ForwardedRules, Policy};

/// What wrk sends.
const HELLO: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

/// What a browser sends that follows a link.
const BROWSER: &str = "GET /accounts/42/orders?page=3&sort=date HTTP/1.1\r\n\
Host: www.example.com\r\n\
Connection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\", \"Not.A/Brand\";v=\"8\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Referer: https://www.example.com/accounts/42\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Cookie: sessionid=k3h9f1x0s7d2a8z6c5v4b3n2m1q0w9e8; csrftoken=Zx8Qm2Lr5Tn7Vb4Kc1Wd9Fj6Hg3Sp0Ya\r\n\r\n";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let head = match arguments.next().as_deref() {
        Some("hello") => HELLO,
        Some("browser") => BROWSER,
        _ => panic!("usage: heads hello|browser COUNT"),
    };
    let count: usize = arguments.next().unwrap().parse().unwrap();
    let policy = Arc::new(Policy::default());
    let rules = ForwardedRules::new(&policy, false);
    let mut connection = Connection::new(Arc::clone(&policy), None);
    for _ in 0..count {
        connection.reader.receive(head.as_bytes());
        assert_eq!(connection.reader.next_event(), Ok(Event::Head));
        rules.apply(&connection.reader.head().unwrap()).unwrap();
        assert_eq!(connection.reader.next_event(), Ok(Event::End));
        assert!(connection.reader.next_request());
    }
}
