//! How long clients are waited for, by whom, and how much is kept for them: the settings of the section "Clients" as one value.
//!
//! Owns the arithmetic of a pace. Reads no clock. Read next: `worker/connection.rs`, `input.rs` and `response.rs`, where
//! it is obeyed.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use pyo3::prelude::*;

use crate::config::Settings;

/// A client that goes on sending after its answer is listened to so many times as long as one that does not.
pub(crate) const LINGER_FACTOR: u32 = 5;
/// A graceful stop waits this long for requests that are still on their way in.
pub(crate) const INCOMPLETE_LIMIT: Duration = Duration::from_secs(2);
/// A client that has said nothing for so long is not waited for at a stop.
pub(crate) const SILENT_LIMIT: Duration = Duration::from_secs(1);
/// Every body may have so much in memory, however much the others have.
pub(crate) const EACH: usize = 32 * 1024;
/// Longer than anything lasts. Added to a point of time it must saturate.
const FOR_EVER: Duration = Duration::MAX;

#[derive(Debug)]
pub struct Patience {
    /// For a whole head.
    pub head: Duration,
    pub body: Pace,
    pub send: Pace,
    /// For a client that has its answer and has not sent everything. Zero: it is not waited for.
    pub linger: Duration,
    /// From its call on, an application waits for its client until then: longer, and the master would take a worker with
    /// one thread for stuck.
    pub application: Duration,
    /// Bytes of a body before the application is called.
    pub request_buffer: usize,
    /// Bytes of a body that is received whole all the same, into a file in that directory.
    pub request_spool: u64,
    pub spool_directory: PathBuf,
    /// Bytes of a response from which the application has to wait.
    pub response_buffer: usize,
    /// Bytes of all bodies, and of all responses, of a worker.
    pub worker_buffers: usize,
    /// How a call waits where the worker's loop is Python's; it blocks its thread otherwise.
    hub: OnceLock<Py<PyAny>>,
}

/// How slow a client may be: a reserve of time that is used up by waiting and filled up by bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The whole reserve.
    pub limit: Duration,
    /// Bytes a second; zero is any.
    min_rate: usize,
}

impl Pace {
    fn new(limit: Duration, min_rate: usize) -> Self {
        Self { limit: unless_zero(limit), min_rate }
    }

    /// What is in the reserve after `bytes` have come, where `left` was in it.
    pub fn after(self, left: Duration, bytes: usize) -> Duration {
        left.saturating_add(self.earned(bytes)).min(self.limit)
    }

    /// The same where the reserve lasts until `deadline`, and it is `now`. A deadline that has passed is not forgiven for a
    /// byte, but for as many as a client sends while the worker is busy with others.
    pub fn extend(self, deadline: Duration, now: Duration, bytes: usize) -> Duration {
        deadline.saturating_add(self.earned(bytes)).min(now.saturating_add(self.limit))
    }

    fn earned(self, bytes: usize) -> Duration {
        match (bytes, self.min_rate) {
            (0, _) => Duration::ZERO,
            (_, 0) => FOR_EVER,
            _ => Duration::from_secs_f64(bytes as f64 / self.min_rate as f64),
        }
    }
}

impl Patience {
    pub fn of(settings: &Settings) -> Self {
        let clients = &settings.clients;
        Self {
            head: unless_zero(clients.request_head_timeout),
            body: Pace::new(clients.request_body_timeout, clients.request_body_min_rate),
            send: Pace::new(clients.send_timeout, clients.send_min_rate),
            linger: clients.linger_timeout,
            application: if settings.workers.concurrency() > 1 {
                FOR_EVER
            } else {
                // What the application itself does takes time as well.
                unless_zero(settings.workers.timeout.mul_f64(0.8))
            },
            request_buffer: size(clients.request_buffer),
            request_spool: clients.request_spool,
            spool_directory: settings.mechanics.tmp_upload_dir.clone().unwrap_or_else(std::env::temp_dir),
            response_buffer: size(clients.response_buffer),
            worker_buffers: match size(clients.worker_buffers) {
                0 => usize::MAX,
                limit => limit,
            },
            hub: OnceLock::new(),
        }
    }

    /// Calls of the application wait by `wait(fd, for_writing, seconds)` from now on.
    pub fn wait_by(&self, wait: Py<PyAny>) {
        // A worker has one loop.
        let _ = self.hub.set(wait);
    }

    pub(super) const fn hub(&self) -> &OnceLock<Py<PyAny>> {
        &self.hub
    }
}

fn unless_zero(limit: Duration) -> Duration {
    if limit.is_zero() { FOR_EVER } else { limit }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Until when a client lasts that sends `bytes` each second.
    fn lasts(pace: Pace, bytes: usize) -> Option<u32> {
        let mut left = pace.limit;
        (1..10_000).find(|_| {
            left = left.saturating_sub(SECOND);
            let is_over = left.is_zero();
            left = pace.after(left, bytes);
            is_over
        })
    }

    #[test]
    fn a_client_that_drips_uses_up_its_reserve() {
        let pace = Pace::new(Duration::from_secs(30), 500);
        assert_eq!(lasts(pace, 0), Some(30));
        assert!((30..35).contains(&lasts(pace, 1).unwrap()));
        assert!((50..70).contains(&lasts(pace, 250).unwrap()));
        assert_eq!(lasts(pace, 501), None);
    }

    #[test]
    fn what_came_fast_earns_no_more_than_the_reserve() {
        let pace = Pace::new(Duration::from_secs(30), 500);
        assert_eq!(pace.after(SECOND, 1 << 30), Duration::from_secs(30));
        assert_eq!(pace.after(SECOND, 1000), 3 * SECOND);
    }

    #[test]
    fn what_is_late_stays_late_unless_much_has_come() {
        let pace = Pace::new(30 * SECOND, 500);
        assert!(pace.extend(10 * SECOND, 11 * SECOND, 1) < 11 * SECOND);
        assert_eq!(pace.extend(10 * SECOND, 50 * SECOND, 1 << 20), 80 * SECOND);
        assert_eq!(pace.extend(10 * SECOND, 11 * SECOND, 1000), 12 * SECOND);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Pace::new(Duration::ZERO, 500).after(FOR_EVER, 1), FOR_EVER);
        let any = Pace::new(30 * SECOND, 0);
        assert_eq!((any.after(SECOND, 1), any.after(SECOND, 0)), (30 * SECOND, SECOND));
        let mut settings = Settings::default();
        settings.workers.timeout = Duration::ZERO;
        settings.clients.worker_buffers = 0;
        let patience = Patience::of(&settings);
        assert_eq!((patience.application, patience.worker_buffers), (FOR_EVER, usize::MAX));
    }
}
