//! The section "Worker processes", continued: settings of asynchronous applications, and of the parser.
//!
//! Owns only names, forms and defaults as long as there is no `asgi` worker class. Read next: `workers.rs`.

use std::time::Duration;

use crate::config::kind::{AsgiLifespan, AsgiLoop, Count, HttpParser, Seconds};
use crate::config::row::section;

const NO_ASGI: Option<&str> = Some("there is no asgi worker class");

section! {
    "Worker processes" asgi: Asgi {
        /// Event loop of ASGI applications.
        asgi_loop: AsgiLoop = AsgiLoop::Auto => { flags: &["--asgi-loop"], metavar: "LOOP", not_yet: NO_ASGI }

        /// Whether ASGI applications have a lifespan.
        asgi_lifespan: AsgiLifespan = AsgiLifespan::Auto => {
            flags: &["--asgi-lifespan"], metavar: "MODE", not_yet: NO_ASGI,
        }

        /// Seconds an application may go on without its client.
        asgi_disconnect_grace_period: Seconds = Duration::from_secs(3) => {
            flags: &["--asgi-disconnect-grace-period"], metavar: "SECONDS", not_yet: NO_ASGI,
        }

        /// Longest WebSocket message, in bytes.
        websocket_max_message_size: Count = 16 << 20 => {
            flags: &["--websocket-max-message-size"], metavar: "BYTES", not_yet: NO_ASGI,
        }

        /// Which HTTP parser reads requests.
        http_parser: HttpParser = HttpParser::Auto => {
            flags: &["--http-parser"], metavar: "PARSER", moot: Some("there is one parser, and it is fast"),
        }
    }
}
