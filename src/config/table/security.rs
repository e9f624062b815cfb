//! The section "Security": how much of a request is read before it is refused.
//!
//! Read next: `src/http`, which enforces the limits.

use crate::config::kind::{Bytes, Count};
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

        /// Largest body of a request, in bytes.
        ///
        /// 0 is no limit. A number of bytes, or a text such as `'10M'`. What is larger is answered 413: by its
        /// `Content-Length` before the application is called, a chunked one when it passes the limit. The application
        /// may have been called by then; reading raises an `OSError`.
        limit_request_body: Bytes = 0 => { flags: &["--limit-request-body"], metavar: "BYTES", live: Live::Workers }
    }
}
