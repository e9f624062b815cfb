//! The section "HTTP/2": whether it is spoken, and its limits.
//!
//! Owns only names, forms and defaults as long as rwsgi speaks HTTP/1 alone. Read next: `src/http`.

use crate::config::kind::{Cleartext, Count, Text};
use crate::config::row::section;

const NO_HTTP2: Option<&str> = Some("rwsgi speaks HTTP/1.1; a proxy in front of it can speak HTTP/2 to clients");

section! {
    "HTTP/2" http2: Http2 {
        /// HTTP versions to offer, separated by commas.
        http_protocols: Text = "h1".to_owned() => {
            flags: &["--http-protocols"], metavar: "LIST", not_yet: NO_HTTP2,
        }

        /// How HTTP/2 may begin without TLS.
        http2_cleartext: Cleartext = Cleartext::Off => {
            flags: &["--http2-cleartext"], metavar: "MODE", not_yet: NO_HTTP2,
        }

        /// Most streams of a connection at a time.
        http2_max_concurrent_streams: Count = 100 => {
            flags: &["--http2-max-concurrent-streams"], metavar: "COUNT", not_yet: NO_HTTP2,
        }

        /// Bytes a stream may send at first.
        http2_initial_window_size: Count = 65_535 => {
            flags: &["--http2-initial-window-size"], metavar: "BYTES", not_yet: NO_HTTP2,
        }

        /// Longest frame, in bytes.
        http2_max_frame_size: Count = 16_384 => {
            flags: &["--http2-max-frame-size"], metavar: "BYTES", not_yet: NO_HTTP2,
        }

        /// Longest list of headers, in bytes.
        http2_max_header_list_size: Count = 65_536 => {
            flags: &["--http2-max-header-list-size"], metavar: "BYTES", not_yet: NO_HTTP2,
        }
    }
}
