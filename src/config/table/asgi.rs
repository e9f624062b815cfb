//! The section "ASGI applications", and the setting of the parser.
//!
//! Read next: `workers.rs`; `src/asgi`, which obeys them.

use std::time::Duration;

use crate::config::kind::{AsgiLifespan, AsgiLoop, Count, HttpParser, Seconds};
use crate::config::row::{Live, section};

section! {
    "ASGI applications" asgi: Asgi {
        /// Event loop of ASGI applications.
        ///
        /// `auto` is uvloop where it is installed (`pip install 'rwsgi[asgi]'`), else Python's own.
        asgi_loop: AsgiLoop = AsgiLoop::Auto => {
            flags: &["--asgi-loop"], metavar: "LOOP", live: Live::Workers,
        }

        /// Whether ASGI applications have a lifespan.
        ///
        /// Each worker tells the application of its beginning and of its end. An application that says that its startup
        /// failed is not served: the server stops with status 3. Under `auto` one that raises, or that knows no lifespan,
        /// is served without one; under `on` that is a failure as well.
        asgi_lifespan: AsgiLifespan = AsgiLifespan::Auto => {
            flags: &["--asgi-lifespan"], metavar: "MODE", live: Live::Workers,
        }

        /// Seconds an application may outlive its client.
        ///
        /// When the client has closed its connection, `receive` gives `http.disconnect` and `send` raises an `OSError`.
        /// A call that has not ended so many seconds later is cancelled. 0 cancels it at once. What it does after its
        /// response was complete is not cancelled.
        asgi_disconnect_grace_period: Seconds = Duration::from_secs(3) => {
            flags: &["--asgi-disconnect-grace-period"], metavar: "S", live: Live::Workers,
        }

        /// Longest WebSocket message, in bytes.
        ///
        /// A longer one closes the connection with code 1009. 0 is any length, in frames of 256 MiB at most.
        websocket_max_message_size: Count = 16 << 20 => {
            flags: &["--websocket-max-message-size"], metavar: "BYTES", live: Live::Workers,
        }

        /// Seconds between the pings of a WebSocket.
        ///
        /// They keep proxies from closing a connection on which nothing is said, and find clients that left without a
        /// word. 0 sends none.
        websocket_ping_interval: Seconds = Duration::from_secs(20) => {
            flags: &["--ws-ping-interval"], metavar: "S", live: Live::Workers,
        }

        /// Seconds a WebSocket waits for an answer to a ping.
        ///
        /// Whatever the client sends is an answer. Without one the connection is closed, and the application is told of
        /// code 1006. 0 waits for no answer.
        websocket_ping_timeout: Seconds = Duration::from_secs(20) => {
            flags: &["--ws-ping-timeout"], metavar: "S", live: Live::Workers,
        }

        /// Which HTTP parser reads requests.
        http_parser: HttpParser = HttpParser::Auto => {
            flags: &["--http-parser"], metavar: "PARSER", moot: Some("there is one parser, and it is fast"),
        }
    }
}
