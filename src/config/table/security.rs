//! The section "Security": how much of a request is read before it is refused.
//!
//! Read next: `src/http`, which enforces the limits.

use crate::config::kind::Count;
use crate::config::row::{Live, section};

section! {
    "Security" security: Security {
        /// Longest request line, in bytes.
        ///
        /// More than 8190 counts as 8190; 0 is no limit but 1 MiB.
        limit_request_line: Count = 4094 => {
            flags: &["--limit-request-line"], metavar: "BYTES", live: Live::Workers,
        }

        /// Most header fields in a request.
        ///
        /// 0, or more than 32768, counts as 32768.
        limit_request_fields: Count = 100 => {
            flags: &["--limit-request-fields"], metavar: "COUNT", live: Live::Workers,
        }

        /// Longest header field of a request, in bytes.
        ///
        /// Name, value and line end count. 0 is the default.
        limit_request_field_size: Count = 8190 => {
            flags: &["--limit-request-field_size", "--limit-request-field-size"], metavar: "BYTES",
            live: Live::Workers,
        }
    }
}
