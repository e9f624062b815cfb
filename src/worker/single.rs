//! A worker with one thread: it waits, serves and looks after the process in turns.
//!
//! Order of a turn: wait (without the interpreter), Python's signal handlers, beat, what is ready, deadlines. Read next:
//! `reactor.rs`, `control.rs`.

use std::io;

use pyo3::prelude::*;

use super::control::Control;
use super::reactor::Reactor;
use super::service::Service;
use crate::net::poller::Events;
use crate::scoreboard::Stage;
use crate::sys::clock;

/// Serves until it is time to leave.
pub(super) fn run(
    py: Python<'_>,
    reactor: &mut Reactor,
    service: &Service,
    control: &mut Control,
) -> io::Result<()> {
    let poller = reactor.poller().clone();
    control.watch(&poller)?;
    let mut events = Events::new();
    service.slot.beat(clock::monotonic());
    reactor.tell(Stage::Ready);
    while !reactor.is_done() {
        let limit = reactor.wait_limit();
        py.detach(|| poller.wait(limit, &mut events))?;
        let mut now = clock::monotonic();
        service.slot.beat(now);
        control.look(py, &poller, &events, now);
        reactor.note(&events, now);
        while let Some(mut job) = reactor.next() {
            let (step, end) = service.serve(py, 0, &mut job, now);
            now = end;
            service.slot.beat(now);
            reactor.finish(job, step, now);
        }
        reactor.look_after_time();
        crate::log::catch_up();
    }
    Ok(())
}
