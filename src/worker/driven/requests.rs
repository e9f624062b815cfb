//! The requests of a driver that speaks to its clients itself: counted, and shown to the master while they last.
//!
//! Read next: `process.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use super::engine::Lanes;
use super::process::Process;
use crate::scoreboard::SlotWriter;

pub(in crate::worker) struct Requests {
    process: Py<Process>,
    slot: Arc<SlotWriter>,
    lanes: Mutex<Lanes>,
}

impl Requests {
    pub(super) fn new(process: Py<Process>, slot: Arc<SlotWriter>) -> Self {
        Self { process, slot, lanes: Mutex::default() }
    }

    /// A request is about to be served. The number comes back with its end.
    pub(super) fn begin(&self, method: &str, target: &[u8], now: Duration) -> usize {
        self.process.get().count();
        let lane = self.lanes().take();
        self.slot.serve(lane, method.as_bytes(), target, now);
        lane
    }

    pub(super) fn end(&self, lane: usize, now: Duration) {
        self.slot.idle(lane, now);
        self.lanes().give(lane);
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
