//! What the master measures, for statsd.
//!
//! Owns when each number is sent. Must cost nothing without statsd. Read next: `log/statsd.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::generation::Generation;
use crate::log::{Metric, Statsd};

/// Between two looks at the listen queues.
const BACKLOG_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Gauges {
    /// The number of workers that was sent last, and to whom: a reload may name another server.
    told: Option<(usize, Arc<Statsd>)>,
    backlog_at: Duration,
}

impl Gauges {
    /// Sends what has changed or is due. The result is how long nothing more will be due, if anything ever is.
    pub(super) fn tell(
        &mut self,
        generation: &Generation,
        workers: usize,
        now: Duration,
    ) -> Option<Duration> {
        let statsd = generation.logs.statsd.as_ref()?;
        let known = self
            .told
            .as_ref()
            .is_some_and(|(count, server)| *count == workers && Arc::ptr_eq(server, statsd));
        if !known {
            statsd.send("gunicorn.workers", workers, Metric::Gauge);
            self.told = Some((workers, Arc::clone(statsd)));
        }
        if !generation.settings.telemetry.enable_backlog_metric {
            return None;
        }
        if now >= self.backlog_at {
            self.backlog_at = now + BACKLOG_EVERY;
            if let Some(waiting) = generation.backlog() {
                statsd.send("gunicorn.backlog", waiting, Metric::Histogram);
            }
        }
        Some(self.backlog_at.saturating_sub(now))
    }
}
