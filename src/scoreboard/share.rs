//! Who of several workers is to take the next connection, from what each of them has. Pure.
//!
//! The kernel wakes whoever is first in the queue of those who wait at a listener; a worker chooses its place in it after
//! each connection that it takes. Must never leave a connection to others without an end. Read next: `loads.rs`, the
//! numbers; `worker/reactor/balance.rs`, what is done.

use std::time::Duration;

/// Siblings get so long to take what waits, and twice as long when they have not.
const PAUSE: Duration = Duration::from_millis(1);
/// What nobody has taken after a pause of this length they do not take soon.
const LAST_PAUSE: Duration = Duration::from_millis(4);
/// What is taken in their place then, and twice as much each time.
const FIRST_HELP: u32 = 1;
const MOST_HELP: u32 = 1024;

/// Where a worker waits after it has taken a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// First: the next connection is rather its own as well.
    Head,
    End,
    /// Not in the queue for a moment: the next one is rather a sibling's.
    Aside,
}

/// How long a worker that has clearly more than others leaves the next connections to them.
#[derive(Debug, Default)]
pub struct Balance {
    /// What the worker had when it last took a connection.
    pub before: u32,
    /// The pause under way.
    pause: Option<Duration>,
    /// Connections to take though others have fewer, and how many it was last time.
    help: u32,
    helped: u32,
}

impl Balance {
    /// The next connections are left to siblings. For how long, if they do not take them.
    pub const fn pause(&mut self) -> Duration {
        // Who had to help has waited long enough to know them.
        let time = if self.helped == 0 { PAUSE } else { LAST_PAUSE };
        self.pause = Some(time);
        time
    }

    pub const fn pauses(&self) -> bool {
        self.pause.is_some()
    }

    /// A connection was taken that is rather a sibling's. True if the next one is left to them.
    pub const fn steps_aside(&mut self) -> bool {
        let aside = self.help == 0;
        self.help = self.help.saturating_sub(1);
        aside
    }

    /// They do not take what waits. For how long it is left to them all the same, if it is.
    pub fn insist(&mut self) -> Option<Duration> {
        let pause = self.pause? * 2;
        if pause <= LAST_PAUSE {
            self.pause = Some(pause);
            return self.pause;
        }
        self.helped = (self.helped * 2).clamp(FIRST_HELP, MOST_HELP);
        self.help = self.helped;
        None
    }

    /// They do.
    pub const fn trust(&mut self) {
        self.help = 0;
        self.helped = 0;
    }

    /// No pause is under way any more.
    pub const fn stays(&mut self) {
        self.pause = None;
    }
}

/// Few connections say nothing, and with many an eighth is no matter.
pub const fn is_clearly_more(one: u32, other: u32) -> bool {
    one > other.saturating_add(other / 8).saturating_add(2)
}

/// Where to go with `own` connections, the one that was just taken among them, of which there were `before` at that moment
/// last time. As many as then mean that none is kept: nobody has to catch up.
pub fn place(own: u32, before: u32, siblings: impl Iterator<Item = u32>) -> Place {
    let (least, most) = siblings.fold((own, own), |(least, most), load| (least.min(load), most.max(load)));
    if is_clearly_more(own, least) {
        Place::Aside
    } else if (own > before || is_clearly_more(before, own)) && is_clearly_more(most, own) {
        Place::Head
    } else {
        Place::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(own: u32, siblings: &[u32]) -> Place {
        place(own, own - 1, siblings.iter().copied())
    }

    #[test]
    fn equals_take_turns() {
        assert_eq!(among(1, &[]), Place::End);
        assert_eq!(among(1, &[0, 0, 0]), Place::End);
        assert_eq!(among(25, &[25, 24, 26]), Place::End);
        assert_eq!(among(2, &[0, 0, 0]), Place::End);
    }

    #[test]
    fn who_has_clearly_more_than_the_least_steps_aside() {
        assert_eq!(among(3, &[0, 5, 5]), Place::Aside);
        assert_eq!(among(26, &[25, 30, 20]), Place::Aside);
        assert_eq!(among(24, &[25, 29, 22]), Place::End);
        assert_eq!(among(u32::MAX, &[3]), Place::Aside);
        assert_eq!(among(3, &[u32::MAX]), Place::Head);
    }

    #[test]
    fn who_has_clearly_fewer_than_the_most_stays_until_it_has_caught_up() {
        let caught_up = (1..).find(|own| among(*own, &[25, 25, 25]) != Place::Head);
        assert_eq!(caught_up, Some(21));
        assert_eq!(place(1, 25, [25].into_iter()), Place::Head, "it has lost them");
        assert_eq!(place(1, 1, [25].into_iter()), Place::End, "its connections are not kept");
    }

    #[test]
    fn a_hundred_that_arrive_at_once_are_shared() {
        // The worst order: each takes what it may before the next is heard of.
        let mut loads = [0u32; 4];
        while loads.iter().sum::<u32>() < 100 {
            let before = loads;
            for own in 0..4 {
                let others = |loads: [u32; 4]| {
                    (0..4).filter(move |other| *other != own).map(move |other| loads[other])
                };
                while loads.iter().sum::<u32>() < 100 && place(loads[own], 0, others(loads)) != Place::Aside {
                    loads[own] += 1;
                }
            }
            assert_ne!(before, loads, "somebody always takes the next one");
        }
        let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
        assert!(most * 10 <= least * 14, "{loads:?}");
    }

    #[test]
    fn what_siblings_leave_is_taken_more_and_more_readily() {
        let mut balance = Balance::default();
        assert!(balance.steps_aside());
        assert_eq!(balance.pause(), PAUSE);
        assert_eq!(balance.insist(), Some(2 * PAUSE));
        assert_eq!(balance.insist(), Some(LAST_PAUSE));
        assert_eq!(balance.insist(), None);
        assert_eq!((0..9).find(|_| balance.steps_aside()), Some(FIRST_HELP));
        assert_eq!(balance.pause(), LAST_PAUSE);
        assert_eq!(balance.insist(), None);
        assert_eq!((0..99).find(|_| balance.steps_aside()), Some(2 * FIRST_HELP));
        balance.trust();
        assert!(balance.steps_aside());
        assert_eq!(balance.pause(), PAUSE);
    }
}
