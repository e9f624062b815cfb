//! A job, from the request's arrival at the application to what its connection does next.
//!
//! Owns what serving needs and no connection needs: the application and what it is told of its surroundings. Runs in any
//! thread that holds the interpreter, outside the reactor. Read next: `wsgi/serve.rs`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::connection::{Connection, Step};
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
    /// Serves a request in thread number `lane`, from `began` on. What its connection wants next, and when that is.
    pub(super) fn serve(
        &self,
        py: Python<'_>,
        lane: usize,
        job: &mut Job,
        began: Duration,
    ) -> (Step, Duration) {
        let connection = &mut job.connection;
        let called = contain(|| self.call(py, lane, connection, began)).flatten();
        let now = clock::monotonic();
        let drained = called.and_then(|()| contain(|| connection.drain(now)));
        self.slot.idle(lane, now);
        (drained.unwrap_or(Step::Close), now)
    }

    fn call(&self, py: Python<'_>, lane: usize, connection: &mut Connection, began: Duration) -> Option<()> {
        let server = self.servers.get(connection.listener)?;
        let exchange = &connection.exchange;
        if let Some(head) = exchange.request().as_ref().and_then(|reader| reader.head()) {
            self.slot.serve(lane, head.method_bytes(), head.target(), began);
        }
        exchange.begin(began);
        self.application.serve(py, server, exchange, &mut connection.objects);
        Some(())
    }
}
