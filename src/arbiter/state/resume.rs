//! Going on where the program before this one in the same process stopped.

use std::time::Duration;

use super::super::handover::{Resume, Survivor};
use super::super::plan::Plan;
use super::{Epoch, State, Worker};

impl State {
    /// With the workers of before: to be replaced by a new generation, or kept up as they are when there is none.
    pub fn resume(plan: Plan, past: &Resume, renewed: bool, now: Duration) -> Self {
        let mut state = Self::new(plan.clone());
        state.next_age = past.next_age;
        state.booted = true;
        state.relatives.successor = past.successor;
        state.relatives.predecessor = past.predecessor;
        state.workers = past.workers.iter().map(|survivor| enlist(survivor, &plan, now)).collect();
        let old = Epoch { generation: past.generation, plan };
        state.next_generation = past.next_generation;
        if renewed {
            state.current.generation = past.next_generation;
            state.next_generation += 1;
            state.fallback = Some(old);
        } else {
            state.current = old;
        }
        state
    }

    /// What `resume` needs in the next program, but for the slots.
    pub fn past(&self) -> Resume {
        let survivor = |worker: &Worker| {
            Some(Survivor {
                pid: worker.pid?,
                age: worker.age,
                generation: worker.generation,
                slot: usize::MAX,
                stopping: worker.is_stopping(),
            })
        };
        Resume {
            generation: self.current.generation,
            next_generation: self.next_generation,
            next_age: self.next_age,
            successor: self.relatives.successor,
            predecessor: self.relatives.predecessor,
            workers: self.workers.iter().filter_map(survivor).collect(),
            ..Resume::default()
        }
    }
}

fn enlist(survivor: &Survivor, plan: &Plan, now: Duration) -> Worker {
    Worker {
        pid: Some(survivor.pid),
        ready: true,
        stopping: survivor.stopping.then(|| plan.stop_at(now)),
        ..Worker::new(survivor.age, survivor.generation, now)
    }
}
