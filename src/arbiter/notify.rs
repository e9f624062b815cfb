//! sd_notify(3): tells a service manager when the server is ready, reloading, stopping, replaced, and alive.
//!
//! Owns the datagram socket and what was said last, so that each change is said once. `Speaker` decides and sends
//! nothing; `Notifier` sends and decides nothing. Invariants: no message blocks or fails the caller; a change that could
//! not be sent is sent again at the next turn. Read next: `plan.rs`, `Summary`.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use super::plan::Summary;

/// Changes that wait for a manager that takes none; then the oldest is of no interest any more.
const MOST_UNSENT: usize = 8;
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// What the watchdog allows a program that is executed again.
const EXECUTION: Duration = Duration::from_secs(600);
/// A status line changes at most this often.
const STATUS_PAUSE: Duration = Duration::from_secs(5);

/// The line to the service manager. Without one, every call does nothing.
#[derive(Debug)]
pub struct Notifier {
    manager: Option<Manager>,
    speaker: Speaker,
    unsent: VecDeque<String>,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of the environment the server was launched with.
    pub fn new(env: &[(String, String)]) -> Self {
        let value =
            |name: &str| env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let manager = value("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
            Manager::open(path)
                .map_err(|error| log::warn!("Cannot notify the service manager at '{path}': {error}"))
                .ok()
        });
        // A watchdog meant for another process, such as a launcher above us, is not ours to feed.
        let own = process::id().to_string();
        let ours = value(WATCHDOG_PID).is_none_or(|pid| pid == own);
        let interval = value("WATCHDOG_USEC").filter(|_| ours).and_then(|text| text.parse().ok());
        let watchdog = interval.filter(|interval| *interval > 0).map(Duration::from_micros);
        Self { manager, speaker: Speaker::new(watchdog), unsent: VecDeque::new() }
    }

    /// Once a turn. `requests` counts all that were ever served, as far as known; `now` is monotonic.
    pub fn update(&mut self, summary: &Summary, requests: u64, now: Duration) {
        let Some(manager) = &self.manager else { return };
        self.unsent.extend(self.speaker.changes(summary, now));
        while self.unsent.len() > MOST_UNSENT {
            self.unsent.pop_front();
        }
        while self.unsent.front().is_some_and(|message| manager.send(message).is_ok()) {
            self.unsent.pop_front();
        }
        // What is out of date by the next turn is not kept.
        for message in self.speaker.news(summary, requests, now) {
            let _ = manager.send(&message);
        }
    }

    /// Before the program is executed again: its loop does not turn while it imports the application.
    pub fn calm_watchdog(&self) {
        self.set_watchdog(EXECUTION);
    }

    /// The loop turns again.
    pub fn wake_watchdog(&self) {
        self.set_watchdog(self.speaker.watchdog.unwrap_or_default() * 2);
    }

    fn set_watchdog(&self, interval: Duration) {
        if let Some(manager) = self.manager.as_ref().filter(|_| self.speaker.watchdog.is_some()) {
            let _ = manager.send(&format!("WATCHDOG_USEC={}", interval.as_micros()));
        }
    }

    /// For the environment of a program that this process executes to take its place: it feeds the watchdog then.
    pub fn variable(&self) -> Option<(&'static str, String)> {
        self.turn_limit().map(|_| (WATCHDOG_PID, process::id().to_string()))
    }

    /// The longest the loop may sleep, so that the watchdog is fed in time.
    pub fn turn_limit(&self) -> Option<Duration> {
        self.manager.as_ref().and(self.speaker.watchdog)
    }
}

impl Manager {
    fn open(path: &str) -> io::Result<Self> {
        let address = match path.strip_prefix('@') {
            Some(name) => abstract_address(name)?,
            None if path.starts_with('/') => SocketAddr::from_pathname(path)?,
            None => return Err(io::Error::other("neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What was said, and from that what is to be said.
#[derive(Debug, Default)]
struct Speaker {
    /// How often the watchdog is fed: half the time after which it bites.
    watchdog: Option<Duration>,
    fed: Option<Duration>,
    ready: bool,
    reloading: bool,
    stopping: bool,
    status: String,
    status_at: Option<Duration>,
    requests: u64,
}

impl Speaker {
    fn new(bites_after: Option<Duration>) -> Self {
        Self { watchdog: bites_after.map(|time| time / 2), ..Self::default() }
    }

    fn changes(&mut self, summary: &Summary, now: Duration) -> Vec<String> {
        let mut messages = Vec::new();
        if self.stopping {
            return messages;
        }
        if summary.stopping {
            self.stopping = true;
            messages.push(match summary.successor {
                Some(pid) => format!("MAINPID={pid}"),
                None => "STOPPING=1".to_owned(),
            });
            return messages;
        }
        if summary.settled && !self.ready {
            self.ready = true;
            messages.push("READY=1".to_owned());
        }
        // A reload before the first READY is part of the start.
        let reloading = summary.reloading && self.ready;
        if reloading != self.reloading {
            self.reloading = reloading;
            messages.push(match reloading {
                true => format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()),
                false => "READY=1".to_owned(),
            });
        }
        messages
    }

    fn news(&mut self, summary: &Summary, requests: u64, now: Duration) -> Vec<String> {
        let mut messages = Vec::new();
        let due = |last: Option<Duration>, pause| last.is_none_or(|last| now.saturating_sub(last) >= pause);
        if due(self.status_at, STATUS_PAUSE) {
            messages.extend(self.status(summary, requests, now));
        }
        // Half of the pause already counts: the loop may sleep for all of it.
        if self.watchdog.is_some_and(|pause| due(self.fed, pause / 2)) {
            self.fed = Some(now);
            messages.push("WATCHDOG=1".to_owned());
        }
        messages
    }

    fn status(&mut self, summary: &Summary, requests: u64, now: Duration) -> Option<String> {
        let served = requests.saturating_sub(self.requests);
        let seconds = self.status_at.map_or(0, |last| now.saturating_sub(last).as_secs()).max(1);
        let rate = served.checked_div(seconds).filter(|_| self.status_at.is_some()).unwrap_or(0);
        let status = describe(summary, rate);
        self.requests = requests;
        self.status_at = Some(now);
        if status == self.status {
            return None;
        }
        self.status.clone_from(&status);
        Some(format!("STATUS={status}"))
    }
}

fn describe(summary: &Summary, rate: u64) -> String {
    let Summary { target, ready, .. } = summary;
    let plural = if *target == 1 { "" } else { "s" };
    match summary {
        Summary { stopping: true, successor: None, .. } => "stopping".to_owned(),
        Summary { stopping: true, .. } => "replaced by a new master".to_owned(),
        Summary { reloading: true, .. } => format!("reloading, {ready} of {target} workers ready"),
        _ if ready < target => format!("{ready} of {target} worker{plural} ready, {rate} requests/s"),
        _ => format!("{target} worker{plural}, {rate} requests/s"),
    }
}

#[cfg(test)]
#[path = "notify/tests.rs"]
mod tests;
