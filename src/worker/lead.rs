//! Which thread of a worker leads: takes connections, looks at what is ready, and serves it itself.
//!
//! Owns one word, which is changed by compare-and-swap alone, and the list of threads that sleep. A leader that has entered
//! the application can be deposed, one that has not cannot: so there is never more than one, and none waits for events
//! that somebody else is to handle. Knows nothing of connections. Read next: `pool.rs`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Nobody who could serve: the main thread looks after the connections.
const SUPERVISOR: u64 = u64::MAX - 1;
const IN_APPLICATION: u64 = 1;

pub(super) struct Lead {
    /// Twice the number of the thread, plus one while it is in the application.
    word: AtomicU64,
    /// When the leader entered it (monotonic, microseconds). Written before the word, which orders it.
    entered: AtomicU64,
    asleep: Mutex<Vec<usize>>,
    threads: Vec<OnceLock<Thread>>,
}

impl Lead {
    /// At first the supervisor leads, whom the first thread relieves.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            word: AtomicU64::new(SUPERVISOR),
            entered: AtomicU64::new(0),
            asleep: Mutex::default(),
            threads: (0..threads).map(|_| OnceLock::new()).collect(),
        }
    }

    pub(super) fn is(&self, thread: usize) -> bool {
        self.word.load(SeqCst) == waiting(thread)
    }

    pub(super) fn is_supervisor(&self) -> bool {
        self.word.load(SeqCst) == SUPERVISOR
    }

    /// The leader is about to call the application.
    pub(super) fn enter(&self, thread: usize, now: Duration) {
        self.entered.store(microseconds(now), Relaxed);
        self.word.store(waiting(thread) | IN_APPLICATION, SeqCst);
    }

    /// It has come back. True if it still leads.
    pub(super) fn leave(&self, thread: usize) -> bool {
        self.swap(waiting(thread) | IN_APPLICATION, waiting(thread))
    }

    /// This thread leads from now on, if the leader only supervises or, to the `impatient`, if it is in the application.
    ///
    /// Where requests are short a leader that is in the application most often waits for the interpreter: to be patient
    /// with it is to give that up to it. Two that take the lead from each other would go on contending for ever, each with a
    /// request that waits, and every tick the supervisor would send another thread into it.
    pub(super) fn take(&self, thread: usize, impatient: bool) -> bool {
        let word = self.word.load(SeqCst);
        let free = word == SUPERVISOR || (impatient && word & IN_APPLICATION != 0);
        free && self.swap(word, waiting(thread))
    }

    /// The same for a thread that sleeps, from the supervisor.
    fn relieve(&self, thread: usize) -> bool {
        let mut asleep = self.sleepers();
        let relieved = self.swap(SUPERVISOR, waiting(thread));
        if relieved {
            asleep.retain(|&sleeper| sleeper != thread);
        }
        relieved
    }

    /// The leader makes way for one that sleeps. False if none does.
    pub(super) fn hand_over(&self, thread: usize) -> bool {
        self.appoint(waiting(thread))
    }

    /// How long the leader has been in the application by now.
    pub(super) fn absent(&self, now: Duration) -> Option<Duration> {
        let inside = self.word.load(SeqCst) & IN_APPLICATION != 0;
        let entered = Duration::from_micros(self.entered.load(Relaxed));
        inside.then(|| now.saturating_sub(entered))
    }

    /// How long ago a leader last entered the application.
    pub(super) fn quiet(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_micros(self.entered.load(Relaxed)))
    }

    /// Deposes a leader that is in the application, for a thread that sleeps or else for the supervisor.
    pub(super) fn depose(&self) {
        let word = self.word.load(SeqCst);
        if word & IN_APPLICATION != 0 && !self.appoint(word) && self.swap(word, SUPERVISOR) {
            // One may have gone to sleep since.
            self.appoint(SUPERVISOR);
        }
    }

    fn appoint(&self, from: u64) -> bool {
        let mut asleep = self.sleepers();
        let Some(&next) = asleep.last() else { return false };
        let appointed = self.swap(from, waiting(next));
        if appointed {
            asleep.pop();
            self.wake(next);
        }
        appointed
    }

    /// Sleeps until this thread leads. False if `done` says so.
    pub(super) fn wait(&self, thread: usize, impatient: bool, done: impl Fn() -> bool) -> bool {
        if let Some(handle) = self.threads.get(thread) {
            handle.get_or_init(thread::current);
        }
        if self.take(thread, impatient) {
            return true;
        }
        self.sleepers().push(thread);
        loop {
            if done() {
                return false;
            }
            if self.is(thread) || self.relieve(thread) {
                return true;
            }
            thread::park();
        }
    }

    /// They are to ask again whether it is done.
    pub(super) fn wake_all(&self) {
        (0..self.threads.len()).for_each(|thread| self.wake(thread));
    }

    fn wake(&self, thread: usize) {
        if let Some(handle) = self.threads.get(thread).and_then(OnceLock::get) {
            handle.unpark();
        }
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn swap(&self, from: u64, to: u64) -> bool {
        self.word.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }
}

const fn waiting(thread: usize) -> u64 {
    (thread as u64) << 1
}

fn microseconds(time: Duration) -> u64 {
    // Half a million years fit.
    time.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_leader_in_the_application_can_be_deposed_and_knows_it() {
        let lead = Lead::new(2);
        assert!(lead.is_supervisor());
        assert!(lead.take(0, true));
        assert!(!lead.take(1, true), "it waits for events");
        assert!(lead.absent(MILLISECOND).is_none());
        lead.enter(0, MILLISECOND);
        assert_eq!(lead.absent(3 * MILLISECOND), Some(2 * MILLISECOND));
        assert!(!lead.take(1, false), "it is patient");
        assert!(lead.take(1, true));
        assert!(!lead.leave(0));
        assert!(lead.is(1));
        lead.enter(1, MILLISECOND);
        assert!(lead.leave(1));
    }

    #[test]
    fn without_a_sleeper_the_supervisor_leads() {
        let lead = Lead::new(1);
        assert!(lead.take(0, true));
        lead.depose();
        assert!(lead.is(0), "it is not in the application");
        lead.enter(0, MILLISECOND);
        lead.depose();
        assert!(lead.is_supervisor());
        assert!(!lead.leave(0));
        assert!(lead.take(0, false));
        assert!(!lead.hand_over(0));
    }

    #[test]
    fn sleepers_are_appointed() {
        let lead = Lead::new(2);
        assert!(lead.take(0, true));
        thread::scope(|scope| {
            let follower = scope.spawn(|| lead.wait(1, true, || false));
            while !lead.hand_over(0) {
                thread::yield_now();
            }
            assert!(follower.join().unwrap());
        });
        assert!(lead.is(1));
    }

    #[test]
    fn who_sleeps_relieves_the_supervisor() {
        let lead = Lead::new(2);
        assert!(lead.take(0, false));
        lead.enter(0, MILLISECOND);
        thread::scope(|scope| {
            let follower = scope.spawn(|| lead.wait(1, false, || false));
            lead.depose();
            assert!(follower.join().unwrap());
        });
        assert!(lead.is(1));
        assert!(!lead.hand_over(1), "nobody is left who sleeps");
    }
}
