//! The section "Dirty arbiter hooks".
//!
//! Owns only names: there are no dirty arbiters to call them. Read next: `dirty.rs`.

use super::dirty::NO_DIRTY;
use crate::config::kind::Hook;
use crate::config::row::section;

section! {
    "Dirty arbiter hooks" dirty_hooks: DirtyHooks {
        /// Called before the dirty arbiter starts.
        on_dirty_starting: Hook = None => { not_yet: NO_DIRTY }

        /// Called in a dirty worker after its fork.
        dirty_post_fork: Hook = None => { not_yet: NO_DIRTY }

        /// Called in a dirty worker that has its applications.
        dirty_worker_init: Hook = None => { not_yet: NO_DIRTY }

        /// Called when a dirty worker ends.
        dirty_worker_exit: Hook = None => { not_yet: NO_DIRTY }
    }
}
