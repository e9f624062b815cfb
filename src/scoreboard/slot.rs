//! One worker's row: stage, beat, counters, and the request being served.
//!
//! Stores are relaxed: a reader may see a beat before the request that goes with it, which costs a log line some
//! truth and nothing else. Times are milliseconds of the monotonic clock, which all processes of a machine share.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Scoreboard;

/// How much of `METHOD target` is kept for the log.
pub(super) const REQUEST_BYTES: usize = 192;
const REQUEST_WORDS: usize = REQUEST_BYTES / 8;

#[repr(C, align(64))]
pub(super) struct Slot {
    stage: AtomicU32,
    request_length: AtomicU32,
    beat: AtomicU64,
    requests: AtomicU64,
    /// When the request in `request` began, plus one; zero when none is being served.
    serving_since: AtomicU64,
    request: [AtomicU64; REQUEST_WORDS],
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
    /// Finishing what it has; accepts no more.
    Stopping,
}

impl Stage {
    const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Booting,
            2 => Self::Ready,
            3 => Self::Stopping,
            _ => Self::Empty,
        }
    }
}

/// A copy of a slot, taken at one moment.
#[derive(Clone, Debug, Default)]
pub struct SlotView {
    pub stage: Stage,
    /// When the worker last proved that its interpreter runs (monotonic).
    pub beat: Duration,
    /// Requests handed to the application since the worker started.
    pub requests: u64,
    pub serving: Option<Serving>,
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
        self.stage.store(0, Relaxed);
        self.request_length.store(0, Relaxed);
        self.beat.store(0, Relaxed);
        self.requests.store(0, Relaxed);
        self.serving_since.store(0, Relaxed);
    }

    pub(super) fn view(&self) -> SlotView {
        SlotView {
            stage: Stage::from_number(self.stage.load(Relaxed)),
            beat: Duration::from_millis(self.beat.load(Relaxed)),
            requests: self.requests.load(Relaxed),
            serving: self.serving(),
        }
    }

    fn serving(&self) -> Option<Serving> {
        let since = self.serving_since.load(Relaxed).checked_sub(1)?;
        let length = (self.request_length.load(Relaxed) as usize).min(REQUEST_BYTES);
        let bytes = self.request.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes());
        let printable = |byte: u8| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '?' };
        Some(Serving {
            request: bytes.take(length).map(printable).collect(),
            since: Duration::from_millis(since),
        })
    }

    fn store_request(&self, method: &str, target: &[u8]) {
        let mut text = [0u8; REQUEST_BYTES];
        let bytes = method.as_bytes().iter().chain(b" ").chain(target);
        let mut length = 0usize;
        for (to, from) in text.iter_mut().zip(bytes) {
            *to = *from;
            length += 1;
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

    pub fn set_stage(&self, stage: Stage) {
        self.with(|slot| slot.stage.store(stage as u32, Relaxed));
    }

    /// Proves that this worker's interpreter runs. `now` is monotonic.
    pub fn beat(&self, now: Duration) {
        self.with(|slot| slot.beat.store(milliseconds(now), Relaxed));
    }

    /// The application is about to get this request.
    pub fn serve(&self, method: &str, target: &[u8], now: Duration) {
        self.with(|slot| {
            slot.store_request(method, target);
            slot.serving_since.store(milliseconds(now) + 1, Relaxed);
            // One writer: a load and a store count as well as an atomic addition, and cheaper.
            slot.requests.store(slot.requests.load(Relaxed) + 1, Relaxed);
        });
    }

    /// The application is done with it.
    pub fn idle(&self) {
        self.with(|slot| slot.serving_since.store(0, Relaxed));
    }

    fn with(&self, write: impl FnOnce(&Slot)) {
        if let Some(slot) = self.board.slot(self.index) {
            write(slot);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    // Half a billion years fit.
    time.as_millis() as u64
}
