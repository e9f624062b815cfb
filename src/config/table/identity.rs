//! The section "Server mechanics", continued: who the workers are, when the master is root.
//!
//! Read next: `src/sys/identity.rs`, which makes them so.

use crate::config::kind::{Account, Flag};
use crate::config::row::{Live, section};

section! {
    "Server mechanics" identity: Identity {
        /// User that workers run as, by name or number.
        ///
        /// The master stays what it is, so that it can bind low ports and open logs; it must be root. Workers get
        /// all groups of the user. UNIX sockets and log files are given to the user and group.
        user: Account = None => {
            flags: &["-u", "--user"], metavar: "USER", default_is: Some("the user that starts the server"),
            live: Live::Workers,
        }

        /// Group that workers run as, by name or number.
        group: Account = None => {
            flags: &["-g", "--group"], metavar: "GROUP",
            default_is: Some("the group of `user`, else of who starts the server"), live: Live::Workers,
        }

        /// Give workers all groups of their user.
        initgroups: Flag = false => {
            flags: &["--initgroups"], moot: Some("workers always have all groups of their user"),
        }
    }
}
