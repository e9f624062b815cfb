//! Beats: who is ready, who wants to be replaced, who is stuck.
//!
//! A beat is a hint from shared memory: it may be late or garbage, and then costs one worker, never the master.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::super::wording::Line;
use super::{Action, Beat, State};

impl State {
    pub(super) fn on_beats(&mut self, beats: &[Beat], now: Duration) {
        for beat in beats.iter().filter(|beat| beat.ready) {
            let Some(worker) = self.worker(beat.age) else { continue };
            worker.worn |= beat.worn;
            if !std::mem::replace(&mut worker.ready, true) {
                let generation = worker.generation;
                self.on_ready(generation);
            }
            self.check_beat(beat, now);
        }
    }

    pub(super) fn on_ready(&mut self, generation: u32) {
        self.booted = true;
        if generation == self.current.generation {
            self.fallback = None;
        }
    }

    fn check_beat(&mut self, beat: &Beat, now: Duration) {
        let timeout = self.current.plan.timeout;
        let Some(worker) = self.worker(beat.age) else { return };
        let Some(pid) = worker.pid else { return };
        if timeout.is_zero() || worker.aborted.is_some() || now.saturating_sub(beat.at) <= timeout {
            return;
        }
        worker.aborted = Some(now);
        let serving = beat.serving.as_ref().map(|request| format!(" serving {request}")).unwrap_or_default();
        self.actions.push(Action::Log(Line::critical(format!("WORKER TIMEOUT (pid:{pid}){serving}"))));
        self.actions.push(Action::Kill { pid, signal: Signal::SIGABRT });
    }
}
