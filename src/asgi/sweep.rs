//! What time does to a connection: clients that are too slow, idle for too long, or in the way of a stop.
//!
//! Owns the limits of a stop. One timer of the loop looks at all connections; none has a timer of its own. Reads the
//! settings as the reactor of the WSGI classes does (`worker/reactor`).

use std::time::Duration;

use pyo3::prelude::*;

use super::connection::{Connection, Stage};
use super::todo::{End, Todo};
use crate::http::PeerError;
use crate::sys::clock;
use crate::wsgi::{INCOMPLETE_LIMIT, SILENT_LIMIT, overdue};

impl Connection {
    /// `stop`: since when the worker has been stopping.
    pub(super) fn look(&mut self, py: Python<'_>, now: Duration, stop: Option<Duration>, todo: &mut Todo) {
        if self.stage == Stage::Closed {
            return;
        }
        if self.stage == Stage::Receiving && self.output.transport().is_none() {
            // Its transport is not there yet.
            return;
        }
        if self.is_too_slow_a_reader(py, now) {
            log::info!("Client at {} is too slow: it does not read the response", self.sender.address());
            return self.close(End::Abort, todo);
        }
        if self.is_overdue(now) {
            return self.overdue(py, now, todo);
        }
        if stop.is_some() && self.stage == Stage::Upgraded {
            self.leave_socket(py, todo);
        }
        let limit = stop.map_or(Duration::MAX, |began| self.stop_limit(began)).min(self.deadline);
        if now >= limit {
            self.expire(py, now, todo);
        }
    }

    /// The application has had its time with the request (`request_timeout`).
    fn is_overdue(&self, now: Duration) -> bool {
        let limit = self.service.parts.request_timeout;
        !limit.is_zero()
            && self.stage == Stage::Serving
            && !self.is_socket()
            && now.saturating_sub(self.exchange.began) >= limit
    }

    fn overdue(&mut self, py: Python<'_>, now: Duration, todo: &mut Todo) {
        let age = now.saturating_sub(self.exchange.began);
        log::error!("{}", overdue(age, self.line().trim_start()));
        if let Some(task) = self.exchange.task {
            self.service.condemn(task, now);
        }
        if self.writer.head_sent() {
            self.abandon(py, End::Abort, now, todo);
        } else {
            self.answer(py, 504, "", todo);
        }
    }

    /// Until when a stop waits for it.
    fn stop_limit(&self, began: Duration) -> Duration {
        match self.stage {
            Stage::Receiving if self.reader.is_idle() => self.since + SILENT_LIMIT,
            Stage::Serving => Duration::MAX,
            _ => self.since.max(began) + INCOMPLETE_LIMIT,
        }
    }

    fn expire(&mut self, py: Python<'_>, now: Duration, todo: &mut Todo) {
        match self.stage {
            Stage::Receiving if self.reader.is_idle() => self.close(End::Close, todo),
            Stage::Receiving => {
                self.reader.fail(PeerError::HeadTimeout);
                self.refuse(py, &PeerError::HeadTimeout, now, todo);
            }
            Stage::Serving => {
                self.reader.fail(PeerError::BodyTimeout);
                self.cut(py, &PeerError::BodyTimeout, now, todo);
            }
            Stage::Upgraded => self.expire_socket(py, todo),
            Stage::Discarding { .. } | Stage::Lingering { .. } => self.close(End::Close, todo),
            Stage::Closed => {}
        }
    }

    /// As long as something waits for the client, it has to take some of it.
    fn is_too_slow_a_reader(&mut self, py: Python<'_>, now: Duration) -> bool {
        let waiting = self.output.waiting(py);
        if waiting == 0 {
            self.taking = None;
            return false;
        }
        let (pace, taken) = (self.service.parts.patience.send, self.output.taken(waiting));
        let deadline = match self.taking {
            None => now.saturating_add(pace.limit),
            Some((deadline, before)) => pace.extend(deadline, now, taken.saturating_sub(before)),
        };
        self.taking = Some((deadline, taken));
        now >= deadline
    }

    /// Its place is needed for somebody else.
    pub(super) fn evict(&mut self, py: Python<'_>, todo: &mut Todo) {
        if self.stage != Stage::Receiving {
            return;
        }
        if !self.reader.is_idle() {
            self.refuse(py, &PeerError::Crowded, clock::monotonic(), todo);
        }
        self.close(End::Close, todo);
    }

    /// The transport is gone.
    pub(super) fn lose(&mut self, todo: &mut Todo) {
        self.output.close();
        self.bound_reading(todo);
        let now = clock::monotonic();
        if matches!(self.stage, Stage::Serving | Stage::Upgraded) {
            self.condemn(now);
        }
        self.socket_lost();
        self.stage = Stage::Closed;
        self.pieces.clear();
        self.service.hold(self.accounted, 0);
        self.accounted = 0;
        self.wake(todo);
    }
}
