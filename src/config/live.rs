//! What a running server can take over from a changed configuration, and what it cannot.
//!
//! Owns the rule that a setting whose row says "a restart" keeps its running value. Must never decide by name: the
//! row says it. Read next: `row.rs`, `Live`.

use super::row::Live;
use super::table::{self, Settings};

impl Settings {
    /// Gives settings that only a restart can change the value they have in `running`, and names them.
    pub fn keep_fixed(&mut self, running: &Self) -> Vec<&'static str> {
        let mut kept = Vec::new();
        for row in table::rows().filter(|row| row.facts.live == Live::Restart) {
            let value = (row.show)(running);
            // A value that was accepted once is accepted again.
            if (row.show)(self) != value && (row.set)(self, &value).is_ok() {
                kept.push(row.name);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_a_restart_is_kept() {
        let running = Settings::default();
        let mut changed = Settings::default();
        changed.workers.workers = 7;
        changed.socket.backlog = 5;
        changed.mechanics.umask = 0o77;
        assert_eq!(changed.keep_fixed(&running), ["backlog", "umask"]);
        assert_eq!((changed.workers.workers, changed.socket.backlog), (7, 2048));
    }
}
