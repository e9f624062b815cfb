//! The section "Server socket": where to listen.
//!
//! Read next: `../address.rs` for the forms of an address, `src/net` for the sockets.

use crate::config::kind::{Binds, Count};
use crate::config::row::{Live, section};

section! {
    "Server socket" socket: Socket {
        /// Address to listen on; may be repeated.
        ///
        /// `HOST:PORT`, `HOST` (port 8000), `:PORT` (every IPv4 address), `[IPV6]:PORT`, `unix:PATH`, or
        /// `fd://N` for a listening socket the server is started with; `fd://NAME` means the one that systemd
        /// passes under that name. `tcp://` may stand before a host. A relative path starts in `chdir`.
        ///
        /// A list at a higher level replaces the list below it. If there is any `fd://`, only those are used;
        /// otherwise, if systemd passes sockets, all of these are. `PORT=N` in the environment is `0.0.0.0:N`.
        bind: Binds = vec!["127.0.0.1:8000".to_owned()] => {
            flags: &["-b", "--bind"], metavar: "ADDRESS", env: &[("PORT", "0.0.0.0:{}")], live: Live::Reload,
        }

        /// Connections that may wait to be accepted.
        ///
        /// The kernel's own limit (`net.core.somaxconn`) applies as well. Sockets the server was started with
        /// keep theirs.
        backlog: Count = 2048 => { flags: &["--backlog"], metavar: "COUNT" }

        /// Times to try again, a second apart, when an address is in use.
        ///
        /// For a start that overlaps with the end of a server that is being replaced.
        bind_retries: Count = 0 => { flags: &["--retry-bind"], metavar: "COUNT" }
    }
}
