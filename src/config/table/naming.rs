//! The section "Process naming": what `ps` shows.
//!
//! Read next: `src/sys`, which sets the titles.

use crate::config::kind::OptionalText;
use crate::config::row::{Live, section};

section! {
    "Process naming" naming: Naming {
        /// Name in the process titles.
        ///
        /// Without it the titles show the application.
        proc_name: OptionalText = None => { flags: &["-n", "--name"], metavar: "NAME", live: Live::Workers }

        /// Name in the process titles, if proc_name is not set.
        default_proc_name: OptionalText = None => {
            default_is: Some("the application"), live: Live::Workers,
        }
    }
}
