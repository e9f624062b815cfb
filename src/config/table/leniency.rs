//! The section "Server mechanics", continued: requests that HTTP forbids and old clients send.
//!
//! Owns only names, forms and defaults: nothing of it is allowed yet. Read next: `src/http/head_parser.rs`.

use crate::config::kind::Flag;
use crate::config::row::section;

const STRICT: Option<&str> = Some("such requests are refused");

section! {
    "Server mechanics" leniency: Leniency {
        /// Accept header lines that continue on the next line.
        permit_obsolete_folding: Flag = false => { flags: &["--permit-obsolete-folding"], not_yet: STRICT }

        /// Accept spaces before the colon of a header.
        strip_header_spaces: Flag = false => { flags: &["--strip-header-spaces"], not_yet: STRICT }

        /// Accept methods of unusual form.
        permit_unconventional_http_method: Flag = false => {
            flags: &["--permit-unconventional-http-method"], not_yet: STRICT,
        }

        /// Accept HTTP versions that do not exist.
        permit_unconventional_http_version: Flag = false => {
            flags: &["--permit-unconventional-http-version"], not_yet: STRICT,
        }

        /// Turn methods to upper case.
        casefold_http_method: Flag = false => { flags: &["--casefold-http-method"], not_yet: STRICT }
    }
}
