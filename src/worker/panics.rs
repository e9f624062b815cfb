//! A panic of ours costs the connection it happened on, and is told.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`. `None` if it panicked: the connection it was about has to close, and nothing else of it be looked at.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    if outcome.is_err() {
        log::error!("Internal error while serving a request; its connection is closed");
    }
    outcome.ok()
}
