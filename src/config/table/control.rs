//! The section "Control": the socket by which gunicorn is asked and told things while it runs.
//!
//! Owns only names, forms and defaults: there is no such socket; signals do what its commands do. Read next:
//! docs/signals.md.

use crate::config::kind::{Flag, Mode, OptionalPath};
use crate::config::row::section;

const NO_SOCKET: Option<&str> = Some("there is no control socket; signals do what its commands do");

section! {
    "Control" control: Control {
        /// Path of the control socket.
        control_socket: OptionalPath = None => {
            flags: &["--control-socket"], metavar: "PATH", not_yet: NO_SOCKET,
        }

        /// Permission bits of the control socket.
        control_socket_mode: Mode = 0o600 => {
            flags: &["--control-socket-mode"], metavar: "MODE", not_yet: NO_SOCKET,
        }

        /// Have no control socket.
        control_socket_disable: Flag = false => {
            flags: &["--no-control-socket"], moot: Some("there is no control socket"),
        }
    }
}
