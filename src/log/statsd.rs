//! Metrics for statsd, under gunicorn's names.
//!
//! Owns the wire form: one metric a line, `NAME:VALUE|TYPE`, with DogStatsD's tags behind it. What cannot be sent is lost,
//! which is told once. Read next: `remote.rs`.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::remote::Remote;
use crate::config::kind::Endpoint;
use crate::config::table::Telemetry;
use crate::sys::shared::SharedMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Gauge,
    Counter,
    Histogram,
    Timer,
}

impl Metric {
    /// By the name that `extra={"mtype": NAME}` has for it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gauge" => Self::Gauge,
            "counter" => Self::Counter,
            "histogram" => Self::Histogram,
            "timer" => Self::Timer,
            _ => return None,
        })
    }

    const fn wire(self) -> &'static [u8] {
        match self {
            Self::Gauge => b"|g",
            Self::Counter => b"|c|@1.0",
            Self::Histogram => b"|h",
            Self::Timer => b"|ms",
        }
    }
}

pub struct Statsd {
    remote: Remote,
    /// With its dot.
    prefix: String,
    /// `|#tags`
    tags: String,
    datagram: Mutex<Vec<u8>>,
    /// Not zero if a failure was told, by any process.
    told: SharedMap<[AtomicU64; 1]>,
}

impl Statsd {
    /// And what is wrong with the server's name: no reason not to serve.
    pub(super) fn new(server: &Endpoint, settings: &Telemetry) -> io::Result<(Self, Option<String>)> {
        let (remote, resolved) = Remote::new(server);
        let fault =
            resolved.err().map(|error| format!("No metrics are sent: cannot resolve {server}: {error}"));
        let prefix = settings.statsd_prefix.trim_end_matches('.');
        let statsd = Self {
            remote,
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}.") },
            tags: match settings.dogstatsd_tags.as_str() {
                "" => String::new(),
                tags => format!("|#{tags}"),
            },
            datagram: Mutex::default(),
            told: SharedMap::new()?,
        };
        Ok((statsd, fault))
    }

    /// One metric.
    pub fn send(&self, name: &str, value: impl fmt::Display, metric: Metric) {
        self.datagram(|lines| {
            lines.add(name.as_bytes(), |bytes| {
                // Writing to a Vec cannot fail.
                let _ = write!(bytes, "{value}");
                metric
            });
        });
    }

    /// What there is to say of one request.
    pub fn request(&self, status: u16, elapsed: Duration) {
        let mut digits = itoa::Buffer::new();
        let status = digits.format(status);
        self.datagram(|lines| {
            lines.add(b"gunicorn.request.duration", |bytes| {
                milliseconds(elapsed, bytes);
                Metric::Timer
            });
            lines.add(b"gunicorn.requests", one);
            lines.name(b"gunicorn.request.status.");
            lines.rest(status.as_bytes(), one);
        });
    }

    /// A record of the error log.
    pub(super) fn record(&self, level: &str) {
        self.datagram(|lines| {
            lines.name(b"gunicorn.log.");
            lines.rest(level.as_bytes(), one);
        });
    }

    fn datagram(&self, fill: impl FnOnce(&mut Lines<'_>)) {
        let sent = {
            let mut datagram = self.datagram.lock().unwrap_or_else(PoisonError::into_inner);
            datagram.clear();
            fill(&mut Lines { bytes: &mut datagram, prefix: &self.prefix, tags: &self.tags });
            self.remote.send(&datagram)
        };
        if let Err(lost) = sent {
            self.complain(&lost.reason.desc());
        }
    }

    fn complain(&self, reason: &dyn fmt::Display) {
        let [told] = &*self.told;
        if told.swap(1, Relaxed) == 0 {
            let server = self.remote.endpoint();
            log::warn!("Metrics do not reach statsd at {server}: {reason}. This is not told again");
        }
    }

    pub(super) fn after_fork(&self) {
        self.remote.after_fork();
    }
}

fn one(bytes: &mut Vec<u8>) -> Metric {
    bytes.push(b'1');
    Metric::Counter
}

/// The lines of one datagram.
struct Lines<'a> {
    bytes: &'a mut Vec<u8>,
    prefix: &'a str,
    tags: &'a str,
}

impl Lines<'_> {
    fn add(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>) -> Metric) {
        self.name(name);
        self.rest(b"", value);
    }

    /// Begins a line.
    fn name(&mut self, name: &[u8]) {
        if !self.bytes.is_empty() {
            self.bytes.push(b'\n');
        }
        self.bytes.extend_from_slice(self.prefix.as_bytes());
        self.bytes.extend_from_slice(name);
    }

    /// The end of the name, and the rest of the line.
    fn rest(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>) -> Metric) {
        self.bytes.extend_from_slice(name);
        self.bytes.push(b':');
        let metric = value(self.bytes);
        self.bytes.extend_from_slice(metric.wire());
        self.bytes.extend_from_slice(self.tags.as_bytes());
    }
}

/// As Python prints a float of microseconds: `12.0`, `0.353`.
fn milliseconds(elapsed: Duration, bytes: &mut Vec<u8>) {
    let micros = elapsed.as_micros();
    let _ = write!(bytes, "{}.{:03}", micros / 1000, micros % 1000);
    while bytes.ends_with(b"0") && !bytes.ends_with(b".0") {
        bytes.pop();
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn sent(prefix: &str, tags: &str, send: impl Fn(&Statsd)) -> String {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Udp("127.0.0.1".to_owned(), server.local_addr().unwrap().port());
        let settings = Telemetry {
            statsd_prefix: prefix.to_owned(),
            dogstatsd_tags: tags.to_owned(),
            ..Telemetry::default()
        };
        send(&Statsd::new(&endpoint, &settings).unwrap().0);
        let mut buffer = [0; 4096];
        let length = server.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn metrics_have_gunicorns_names_and_types() {
        let request = sent("", "", |statsd| statsd.request(404, Duration::from_micros(12_340)));
        assert_eq!(
            request,
            "gunicorn.request.duration:12.34|ms\ngunicorn.requests:1|c|@1.0\ngunicorn.request.status.404:1|c|@1.0"
        );
        assert_eq!(sent("", "", |statsd| statsd.record("error")), "gunicorn.log.error:1|c|@1.0");
    }

    #[test]
    fn one_dot_after_the_prefix_and_tags_at_the_end() {
        for prefix in ["shop", "shop.", "shop.."] {
            let gauge = sent(prefix, "a:b,c", |statsd| statsd.send("x", 2.5, Metric::Gauge));
            assert_eq!(gauge, "shop.x:2.5|g|#a:b,c");
        }
    }

    #[test]
    fn times_are_printed_as_python_prints_them() {
        for (micros, text) in
            [(0, "0.0"), (353, "0.353"), (480, "0.48"), (12_000, "12.0"), (100_000, "100.0")]
        {
            let mut bytes = Vec::new();
            milliseconds(Duration::from_micros(micros), &mut bytes);
            assert_eq!(bytes, text.as_bytes());
        }
    }
}
