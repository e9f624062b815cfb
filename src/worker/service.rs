//! A job, from the request's arrival at the application to what its connection does next.
//!
//! Owns what serving needs and no connection needs: the application and what it is told of its surroundings. Runs in any
//! thread that holds the interpreter, outside the reactor. Read next: `wsgi/serve.rs`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::connection::Step;
use super::panics::contain;
use super::reactor::Job;
use crate::scoreboard::SlotWriter;
use crate::sys::clock;
use crate::wsgi::{Application, Server};

pub(super) struct Service {
    pub application: Application,
    /// One per listener, in the same order.
    pub servers: Vec<Server>,
    pub slot: Arc<SlotWriter>,
}

impl Service {
    /// Serves a request in thread number `lane`. What its connection wants next, and when that is.
    pub(super) fn serve(&self, py: Python<'_>, lane: usize, job: &mut Job) -> (Step, Duration) {
        let began = clock::monotonic();
        let step = contain(|| self.try_serve(py, lane, began, job)).unwrap_or(Step::Close);
        let now = clock::monotonic();
        self.slot.idle(lane, now);
        (step, now)
    }

    fn try_serve(&self, py: Python<'_>, lane: usize, began: Duration, job: &mut Job) -> Step {
        let connection = &mut job.connection;
        let Some(server) = self.servers.get(connection.listener) else { return Step::Close };
        if let Some(head) = connection.exchange.request().as_ref().and_then(|reader| reader.head()) {
            self.slot.serve(lane, head.method(), head.target(), began);
        }
        self.application.serve(py, server, &connection.exchange);
        connection.drain(clock::monotonic())
    }
}
