//! When the client of a WebSocket is pinged, and when it is given up (RFC 6455 section 5.5.2).
//!
//! Pings keep proxies from taking a quiet connection for an abandoned one, and find the clients that left without a word.
//! Owns how long an answer may take: from when the client has the ping, because behind a large message that is a while.
//! Has no socket, no clock and no timer. Read next: `websocket.rs`, which sends them; `sweep.rs`, which asks.

use std::time::Duration;

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub struct PingRules {
    /// Between pings; zero: none are sent.
    pub interval: Duration,
    /// For an answer; zero: none is waited for.
    pub timeout: Duration,
}

impl PingRules {
    fn next(&self, now: Duration) -> Duration {
        if self.interval.is_zero() { Duration::MAX } else { now.saturating_add(self.interval) }
    }
}

#[derive(Debug)]
pub(super) struct Pings {
    rules: PingRules,
    next: Duration,
    /// The oldest one since which nothing has come.
    unanswered: Option<Unanswered>,
}

#[derive(Debug)]
struct Unanswered {
    /// Bytes of the connection up to the end of the ping, and how many of them the client has taken.
    end: usize,
    taken: usize,
    /// When it last took some.
    since: Duration,
}

impl Pings {
    pub(super) fn new(rules: PingRules, now: Duration) -> Self {
        Self { rules, next: rules.next(now), unanswered: None }
    }

    pub(super) fn are_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// One was sent, as the last of so many bytes of the connection.
    pub(super) fn sent(&mut self, now: Duration, end: usize) {
        self.next = self.rules.next(now);
        if self.unanswered.is_none() {
            self.unanswered = Some(Unanswered { end, taken: 0, since: now });
        }
    }

    /// Whatever a client sends shows that it is there.
    pub(super) fn heard(&mut self) {
        self.unanswered = None;
    }

    /// Nothing is read at the moment, so that an answer would not be heard.
    pub(super) const fn excuse(&mut self, now: Duration) {
        if let Some(ping) = &mut self.unanswered {
            ping.since = now;
        }
    }

    pub(super) const fn await_answer(&self) -> bool {
        self.unanswered.is_some() && !self.rules.timeout.is_zero()
    }

    /// Whether the client has had its time. It has taken so many bytes of the connection.
    pub(super) fn are_ignored(&mut self, now: Duration, taken: usize) -> bool {
        let Some(ping) = self.unanswered.as_mut().filter(|_| !self.rules.timeout.is_zero()) else {
            return false;
        };
        let taken = taken.min(ping.end);
        if taken > ping.taken {
            (ping.taken, ping.since) = (taken, now);
        }
        now.saturating_sub(ping.since) >= self.rules.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pings(interval: u64, timeout: u64) -> Pings {
        Pings::new(PingRules { interval: at(interval), timeout: at(timeout) }, at(100))
    }

    #[test]
    fn one_is_due_after_each_interval() {
        let mut pings = pings(20, 5);
        assert!(!pings.are_due(at(119)) && pings.are_due(at(120)));
        pings.sent(at(121), 2);
        assert!(!pings.are_due(at(140)) && pings.are_due(at(141)));
    }

    #[test]
    fn who_sends_nothing_has_the_timeout_from_when_it_has_the_ping() {
        let mut pings = pings(20, 5);
        assert!(!pings.are_ignored(at(500), 0) && !pings.await_answer());
        pings.sent(at(120), 1000);
        assert!(pings.await_answer());
        // It is still taking what was sent before the ping; what was sent after it is no answer.
        assert!(!pings.are_ignored(at(124), 500) && !pings.are_ignored(at(128), 1000));
        assert!(!pings.are_ignored(at(132), 2000) && pings.are_ignored(at(133), 3000));
        pings.heard();
        assert!(!pings.are_ignored(at(500), 3000));
    }

    #[test]
    fn the_oldest_one_counts_and_a_pause_in_reading_does_not() {
        let mut pings = pings(2, 5);
        pings.sent(at(102), 0);
        pings.sent(at(104), 2);
        pings.sent(at(106), 4);
        assert!(!pings.are_ignored(at(106), 4));
        pings.excuse(at(107));
        assert!(!pings.are_ignored(at(111), 4) && pings.are_ignored(at(112), 4));
    }

    #[test]
    fn zero_is_never() {
        assert!(!pings(0, 5).are_due(at(1_000_000)));
        let mut pings = pings(20, 0);
        pings.sent(at(120), 0);
        assert!(!pings.await_answer() && !pings.are_ignored(at(1_000_000), 0));
    }
}
