//! The section "Debugging": runs that look at the configuration and serve nothing.
//!
//! Read next: `../merge.rs`.

use crate::config::kind::Flag;
use crate::config::row::section;

section! {
    "Debugging" debugging: Debugging {
        /// Check the configuration and the application, then exit.
        ///
        /// The exit status is 0 if the application loads.
        check_config: Flag = false => { flags: &["--check-config"] }

        /// Print every setting with its origin, then check.
        ///
        /// Each line is `name = value`, in Python's notation, and where the value came from.
        print_config: Flag = false => { flags: &["--print-config"] }
    }
}
