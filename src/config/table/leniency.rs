//! The section "Server mechanics", continued: requests that HTTP forbids, or gunicorn does, and old clients send.
//!
//! Owns only names, forms and defaults. Read next: `src/http/policy.rs`, then `src/http/head_parser.rs`.

use crate::config::kind::Flag;
use crate::config::row::{Live, section};

section! {
    "Server mechanics" leniency: Leniency {
        /// Accept header lines that continue on the next line.
        ///
        /// The lines of a value are joined by a space. HTTP has given this up: another server in front may see two
        /// fields where this one sees one.
        permit_obsolete_folding: Flag = false => { flags: &["--permit-obsolete-folding"], live: Live::Workers }

        /// Accept spaces before the colon of a header.
        ///
        /// They are dropped. A proxy that takes them for a part of the name lets requests be smuggled past it.
        strip_header_spaces: Flag = false => { flags: &["--strip-header-spaces"], live: Live::Workers }

        /// Accept methods of unusual form.
        ///
        /// Those of less than 3 or more than 20 characters, in lower case, or with a `#`.
        permit_unconventional_http_method: Flag = false => {
            flags: &["--permit-unconventional-http-method"], live: Live::Workers,
        }

        /// Accept HTTP versions that do not exist.
        ///
        /// Any `HTTP/` with two digits. What is older than 1.0 is served as 1.0, all others as 1.1; HTTP/1.2 to 1.9
        /// are served as 1.1 without this, as HTTP asks for.
        permit_unconventional_http_version: Flag = false => {
            flags: &["--permit-unconventional-http-version"], live: Live::Workers,
        }

        /// Turn methods to upper case.
        ///
        /// As lower case is refused before, this needs `permit_unconventional_http_method` to make a difference.
        casefold_http_method: Flag = false => { flags: &["--casefold-http-method"], live: Live::Workers }
    }
}
