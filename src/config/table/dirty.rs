//! The section "Dirty arbiters": gunicorn's processes for long jobs, and their hooks.
//!
//! Owns only names, forms and defaults: there are none here. Read next: `hooks.rs`.

use std::time::Duration;

use crate::config::kind::{Count, Seconds, Strings};
use crate::config::row::section;

pub(super) const NO_DIRTY: Option<&str> = Some("there are no dirty workers; a task queue does such jobs");

section! {
    "Dirty arbiters" dirty: Dirty {
        /// Application of the dirty workers; may be repeated.
        dirty_apps: Strings = Vec::new() => { flags: &["--dirty-app"], metavar: "APP", not_yet: NO_DIRTY }

        /// Number of dirty workers.
        dirty_workers: Count = 0 => { flags: &["--dirty-workers"], metavar: "COUNT", not_yet: NO_DIRTY }

        /// Seconds a dirty job may take.
        dirty_timeout: Seconds = Duration::from_secs(300) => {
            flags: &["--dirty-timeout"], metavar: "SECONDS", not_yet: NO_DIRTY,
        }

        /// Threads of a dirty worker.
        dirty_threads: Count = 1 => { flags: &["--dirty-threads"], metavar: "COUNT", not_yet: NO_DIRTY }

        /// Seconds a stopping dirty worker may take.
        dirty_graceful_timeout: Seconds = Duration::from_secs(30) => {
            flags: &["--dirty-graceful-timeout"], metavar: "SECONDS", not_yet: NO_DIRTY,
        }
    }
}
