//! One worker's row: stage, beat, counters, and the request being served.
//!
//! Stores are relaxed: a reader may see a beat before the request that goes with it, which costs a log line some
//! truth and nothing else. Stages are ordered, for workers look at each other's when they leave. Times are of the
//! monotonic clock, which all processes of a machine share.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use super::Scoreboard;
use super::latency::{Histogram, Latencies, increase};

/// How much of `METHOD target` is kept for the log.
pub(super) const REQUEST_BYTES: usize = 192;
const REQUEST_WORDS: usize = REQUEST_BYTES / 8;
/// Threads of a worker that have a lane of their own; those beyond share the last, whose numbers are then hints of hints.
pub(super) const LANES: usize = 64;

#[repr(C, align(64))]
pub(super) struct Slot {
    stage: AtomicU32,
    pid: AtomicI32,
    generation: AtomicU32,
    /// Lanes that were ever used: the memory of the others is never touched.
    lanes_used: AtomicU32,
    beat: AtomicU64,
    lanes: [Lane; LANES],
}

/// What one thread of the worker does, written by that thread alone.
#[repr(C, align(64))]
struct Lane {
    requests: AtomicU64,
    /// When the request in `request` began, plus one; zero when none is being served.
    serving_since: AtomicU64,
    request_length: AtomicU32,
    request: [AtomicU64; REQUEST_WORDS],
    latencies: Histogram,
}

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has written here since the slot was cleared.
    #[default]
    Empty,
    /// Forked; the application is being imported.
    Booting,
    /// Accepting connections.
    Ready,
    /// Finishing what it has.
    Stopping,
    /// As ready, and to be replaced.
    Worn,
    /// Done with accepting, for good.
    Leaving,
}

impl Stage {
    const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Booting,
            2 => Self::Ready,
            3 => Self::Stopping,
            4 => Self::Worn,
            5 => Self::Leaving,
            _ => Self::Empty,
        }
    }
}

/// A copy of a slot, taken at one moment.
#[derive(Clone, Debug, Default)]
pub struct SlotView {
    pub stage: Stage,
    pub pid: i32,
    pub generation: u32,
    /// When the worker last proved that its interpreter runs (monotonic).
    pub beat: Duration,
    /// Requests handed to the application since the worker started.
    pub requests: u64,
    /// Of those that are done.
    pub latencies: Latencies,
    /// The one that has taken longest first.
    pub serving: Vec<Serving>,
}

/// A request that was in the application's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// `METHOD target`, cut to 192 bytes, printable ASCII only.
    pub request: String,
    /// When it was handed over (monotonic).
    pub since: Duration,
}

impl Slot {
    pub(super) fn clear(&self) {
        self.stage.store(0, SeqCst);
        self.pid.store(0, Relaxed);
        self.generation.store(0, Relaxed);
        self.beat.store(0, Relaxed);
        self.lanes().for_each(Lane::clear);
        self.lanes_used.store(0, Relaxed);
    }

    pub(super) fn view(&self) -> SlotView {
        let mut view = SlotView {
            stage: Stage::from_number(self.stage.load(Relaxed)),
            pid: self.pid.load(Relaxed),
            generation: self.generation.load(Relaxed),
            beat: Duration::from_millis(self.beat.load(Relaxed)),
            ..SlotView::default()
        };
        for lane in self.lanes() {
            view.requests = view.requests.wrapping_add(lane.requests.load(Relaxed));
            view.latencies.add(&lane.latencies.view());
            view.serving.extend(lane.serving());
        }
        view.serving.sort_by_key(|serving| serving.since);
        view
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().take(self.lanes_used.load(Relaxed) as usize)
    }

    /// For the thread of this number.
    fn lane(&self, number: usize) -> Option<&Lane> {
        let number = number.min(LANES - 1);
        if self.lanes_used.load(Relaxed) as usize <= number {
            self.lanes_used.fetch_max(number as u32 + 1, Relaxed);
        }
        self.lanes.get(number)
    }

    pub(super) fn accepts(&self) -> bool {
        let stage = Stage::from_number(self.stage.load(SeqCst));
        matches!(stage, Stage::Ready | Stage::Worn | Stage::Stopping)
    }

    /// Accepts, and fewer threads than so many have been in the application since `before`.
    fn is_free(&self, threads: usize, before: Duration) -> bool {
        let ready = matches!(Stage::from_number(self.stage.load(SeqCst)), Stage::Ready | Stage::Worn);
        let busy = self.lanes().filter(|lane| {
            let since = lane.serving_since.load(Relaxed);
            since != 0 && since <= microseconds(before).saturating_add(1)
        });
        ready && busy.count() < threads.min(LANES)
    }

    /// What a worker gone mad might leave here.
    #[cfg(test)]
    pub(super) fn fill(&self, byte: u8) {
        let word = u64::from_ne_bytes([byte; 8]);
        self.stage.store(word as u32, Relaxed);
        self.lanes_used.store(word as u32, Relaxed);
        self.beat.store(word, Relaxed);
        for lane in &self.lanes {
            lane.request_length.store(word as u32, Relaxed);
            let counters = [&lane.requests, &lane.serving_since];
            let all = counters.into_iter().chain(&lane.request).chain(lane.latencies.counters());
            all.for_each(|counter| counter.store(word, Relaxed));
        }
    }
}

impl Lane {
    fn clear(&self) {
        self.requests.store(0, Relaxed);
        self.serving_since.store(0, Relaxed);
        self.request_length.store(0, Relaxed);
        self.latencies.clear();
    }

    fn serving(&self) -> Option<Serving> {
        let since = self.serving_since.load(Relaxed).checked_sub(1)?;
        let length = (self.request_length.load(Relaxed) as usize).min(REQUEST_BYTES);
        let bytes = self.request.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes());
        let printable = |byte: u8| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '?' };
        Some(Serving {
            request: bytes.take(length).map(printable).collect(),
            since: Duration::from_micros(since),
        })
    }

    fn store_request(&self, method: &[u8], target: &[u8]) {
        let mut text = [0u8; REQUEST_BYTES];
        let mut length = 0;
        for part in [method, b" ", target] {
            let taken = part.len().min(REQUEST_BYTES - length);
            // Both are as long as what is taken.
            if let (Some(to), Some(from)) = (text.get_mut(length..length + taken), part.get(..taken)) {
                to.copy_from_slice(from);
            }
            length += taken;
        }
        let (words, _) = text.as_chunks::<8>();
        for (to, from) in self.request.iter().zip(words).take(length.div_ceil(8)) {
            to.store(u64::from_ne_bytes(*from), Relaxed);
        }
        self.request_length.store(length as u32, Relaxed);
    }
}

/// The right to write one slot. A worker holds one; nobody else does.
pub struct SlotWriter {
    board: Scoreboard,
    index: usize,
}

impl SlotWriter {
    pub(super) const fn new(board: Scoreboard, index: usize) -> Self {
        Self { board, index }
    }

    /// Whose slot it is now.
    pub fn introduce(&self, pid: i32, generation: u32) {
        self.with(|slot| {
            slot.pid.store(pid, Relaxed);
            slot.generation.store(generation, Relaxed);
        });
    }

    pub fn set_stage(&self, stage: Stage) {
        self.with(|slot| slot.stage.store(stage as u32, SeqCst));
    }

    /// Whether another worker has a thread to spare, of `threads` that each has, or one that has not been in the
    /// application since `before`.
    pub fn sibling_is_free(&self, threads: usize, before: Duration) -> bool {
        let others = self.board.board.slots.iter().enumerate().filter(|(index, _)| *index != self.index);
        others.into_iter().any(|(_, slot)| slot.is_free(threads, before))
    }

    /// How many connections this worker has, if it accepts more.
    pub fn show_load(&self, connections: Option<usize>) {
        self.board.board.loads.show(self.index, connections);
    }

    /// The same of each sibling that accepts, with the number of its slot.
    pub fn loads_of_siblings(&self) -> impl Iterator<Item = (usize, u32)> {
        self.board.loads_of_others(self.index)
    }

    /// Whether the sibling in that slot has a thread to spare, as [`Self::sibling_is_free`] says it.
    pub fn is_free(&self, sibling: usize, threads: usize, before: Duration) -> bool {
        self.board.slot(sibling).is_some_and(|slot| slot.is_free(threads, before))
    }

    /// This worker will accept nothing more. True if no other worker is known to accept either: then it is the one to
    /// look after the queue. Of several that leave at the same time each is told so.
    pub fn leave(&self) -> bool {
        self.set_stage(Stage::Leaving);
        !self.board.others_accept(self.index)
    }

    /// Proves that this worker's interpreter runs. `now` is monotonic.
    pub fn beat(&self, now: Duration) {
        self.with(|slot| slot.beat.store(milliseconds(now), Relaxed));
    }

    /// The application is about to get this request, in thread number `lane`.
    pub fn serve(&self, lane: usize, method: &[u8], target: &[u8], now: Duration) {
        self.with_lane(lane, |lane| {
            lane.store_request(method, target);
            lane.serving_since.store(microseconds(now) + 1, Relaxed);
            increase(&lane.requests, 1);
        });
    }

    /// The application is done with it.
    pub fn idle(&self, lane: usize, now: Duration) {
        self.with_lane(lane, |lane| {
            let since = lane.serving_since.load(Relaxed);
            lane.serving_since.store(0, Relaxed);
            if let Some(since) = since.checked_sub(1) {
                lane.latencies.count(now.saturating_sub(Duration::from_micros(since)));
            }
        });
    }

    /// Since when each of the first `lanes` threads has been serving, if it does.
    pub fn serving(&self, lanes: usize) -> Vec<(usize, Serving)> {
        let slot = self.board.slot(self.index);
        let serving = |(number, lane): (usize, &Lane)| Some((number, lane.serving()?));
        slot.map(|slot| slot.lanes().take(lanes).enumerate().filter_map(serving).collect())
            .unwrap_or_default()
    }

    fn with_lane(&self, lane: usize, write: impl FnOnce(&Lane)) {
        if let Some(lane) = self.board.slot(self.index).and_then(|slot| slot.lane(lane)) {
            write(lane);
        }
    }

    fn with(&self, write: impl FnOnce(&Slot)) {
        if let Some(slot) = self.board.slot(self.index) {
            write(slot);
        }
    }
}

fn microseconds(time: Duration) -> u64 {
    // Half a million years fit.
    time.as_micros() as u64
}

fn milliseconds(time: Duration) -> u64 {
    // Half a billion years fit.
    time.as_millis() as u64
}
