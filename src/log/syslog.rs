//! Lines for syslog, in gunicorn's words, so that operators' filters go on matching.
//!
//! Owns the wire form (`<PRI>gunicorn.PREFIX.error: [PID] message`, ended by a NUL) and the telling of what was lost. A
//! line that cannot be sent costs the line. Read next: `remote.rs`.

use std::fmt;
use std::io;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::remote::{Lost, Remote};
use super::severity::Severity;
use crate::config::Settings;
use crate::config::kind::Facility;
use crate::sys::clock;
use crate::sys::shared::SharedMap;

/// A UDP datagram holds 65507 bytes; what is longer would not be sent at all.
const LONGEST: usize = 65_000;
/// Losses are not told again before.
const TELL_AFTER: Duration = Duration::from_secs(60);

pub struct Syslog {
    remote: Remote,
    facility: u8,
    /// `gunicorn.PREFIX`
    name: String,
    frame: Mutex<Vec<u8>>,
    losses: SharedMap<[AtomicU64; 2]>,
}

impl Syslog {
    /// What `settings` name, and what is wrong with the name: no reason not to serve.
    pub(super) fn new(settings: &Settings) -> io::Result<(Self, Option<String>)> {
        let telemetry = &settings.telemetry;
        let (remote, resolved) = Remote::new(&telemetry.syslog_addr);
        let fault = resolved.err().map(|error| {
            format!("Nothing goes to syslog: cannot resolve {}: {error}", telemetry.syslog_addr)
        });
        let prefix = telemetry.syslog_prefix.clone().unwrap_or_else(|| settings.name().replace(':', "."));
        let syslog = Self {
            remote,
            facility: number(telemetry.syslog_facility),
            name: format!("gunicorn.{prefix}"),
            frame: Mutex::default(),
            losses: SharedMap::new()?,
        };
        Ok((syslog, fault))
    }

    /// A record of the error log.
    pub(super) fn error(&self, severity: Severity, message: fmt::Arguments<'_>) {
        let sent = self.frame(severity, "error", |frame| {
            let _ = frame.write_fmt(message);
        });
        self.conclude(sent);
    }

    /// A line of the access log, without its line end.
    pub(super) fn access(&self, line: &[u8]) {
        let sent = self.frame(Severity::Info, "access", |frame| frame.extend_from_slice(line));
        self.conclude(sent);
    }

    pub(super) fn catch_up(&self) {
        self.conclude(self.remote.catch_up());
    }

    pub(super) fn after_fork(&self) {
        self.remote.after_fork();
    }

    fn frame(&self, severity: Severity, log: &str, message: impl FnOnce(&mut Vec<u8>)) -> Result<(), Lost> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        frame.clear();
        let priority = self.facility * 8 + severity.syslog();
        // Writing to a Vec cannot fail.
        let _ = write!(frame, "<{priority}>{}.{log}: [{}] ", self.name, std::process::id());
        let start = frame.len();
        message(&mut frame);
        frame.truncate(LONGEST);
        // A NUL would end the line for whoever reads a stream.
        frame.iter_mut().skip(start).filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        frame.push(0);
        self.remote.send(&frame)
    }

    /// Not under a lock: what is told is a line for syslog, too.
    fn conclude(&self, sent: Result<(), Lost>) {
        let Err(Lost { messages, reason }) = sent else { return };
        // All processes count together. `told`: seconds of the monotonic clock; zero if nothing was told.
        let [lost, told] = &*self.losses;
        lost.fetch_add(messages, Relaxed);
        let (now, before) = (clock::monotonic_coarse().as_secs().max(1), told.load(Relaxed));
        let due = before == 0 || now >= before.saturating_add(TELL_AFTER.as_secs());
        if due && told.compare_exchange(before, now, Relaxed, Relaxed).is_ok() {
            let lost = lost.swap(0, Relaxed);
            log::warn!("Log lines lost for syslog at {}: {lost} ({})", self.remote.endpoint(), reason.desc());
        }
    }
}

/// As syslog(3) counts them.
const fn number(facility: Facility) -> u8 {
    match facility {
        Facility::Kern => 0,
        Facility::User => 1,
        Facility::Mail => 2,
        Facility::Daemon => 3,
        Facility::Auth | Facility::Security => 4,
        Facility::Syslog => 5,
        Facility::Lpr => 6,
        Facility::News => 7,
        Facility::Uucp => 8,
        Facility::Cron => 9,
        Facility::Authpriv => 10,
        Facility::Ftp => 11,
        Facility::Local0 => 16,
        Facility::Local1 => 17,
        Facility::Local2 => 18,
        Facility::Local3 => 19,
        Facility::Local4 => 20,
        Facility::Local5 => 21,
        Facility::Local6 => 22,
        Facility::Local7 => 23,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::config::kind::Endpoint;

    fn sent(prefix: Option<&str>, send: impl Fn(&Syslog)) -> Vec<u8> {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::default();
        settings.config_file.wsgi_app = Some("shop.wsgi:app".to_owned());
        settings.telemetry.syslog_addr =
            Endpoint::Udp("127.0.0.1".to_owned(), server.local_addr().unwrap().port());
        settings.telemetry.syslog_prefix = prefix.map(str::to_owned);
        settings.telemetry.syslog_facility = Facility::Local3;
        send(&Syslog::new(&settings).unwrap().0);
        let mut buffer = vec![0; 1 << 17];
        let length = server.recv(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }

    #[test]
    fn lines_have_gunicorns_form() {
        let pid = std::process::id();
        let error = sent(None, |syslog| syslog.error(Severity::Error, format_args!("two\nlines")));
        assert_eq!(error, format!("<155>gunicorn.shop.wsgi.app.error: [{pid}] two\nlines\0").into_bytes());
        let access = sent(Some("a:b"), |syslog| syslog.access(b"GET /"));
        assert_eq!(access, format!("<158>gunicorn.a:b.access: [{pid}] GET /\0").into_bytes());
    }

    #[test]
    fn a_message_is_one_frame_whatever_is_in_it() {
        let long = "\0".repeat(100_000);
        let frame = sent(None, |syslog| syslog.error(Severity::Info, format_args!("{long}")));
        assert_eq!(frame.len(), LONGEST + 1);
        assert_eq!(memchr::memchr(0, &frame), Some(LONGEST));
    }
}
