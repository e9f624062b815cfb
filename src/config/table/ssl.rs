//! The section "SSL": certificates and what clients must show.
//!
//! Owns only names, forms and defaults as long as rwsgi does not speak TLS. Read next: `src/net/stream.rs`.

use crate::config::kind::{Constant, Count, Flag, OptionalPath, OptionalText};
use crate::config::raw::Raw;
use crate::config::row::section;

pub(super) const NO_TLS: Option<&str> = Some("rwsgi does not speak TLS; let a proxy in front of it do that");

section! {
    "SSL" ssl: Ssl {
        /// File with the private key.
        keyfile: OptionalPath = None => { flags: &["--keyfile"], metavar: "FILE", not_yet: NO_TLS }

        /// File with the certificate and its chain.
        certfile: OptionalPath = None => { flags: &["--certfile"], metavar: "FILE", not_yet: NO_TLS }

        /// Version of TLS.
        ssl_version: Constant = Raw::Int(2) => {
            flags: &["--ssl-version"], metavar: "VERSION",
            moot: Some("client and server agree on the newest version that both speak"),
        }

        /// Whether clients must show a certificate: 0, 1 or 2.
        cert_reqs: Count = 0 => { flags: &["--cert-reqs"], metavar: "NUMBER", not_yet: NO_TLS }

        /// File with the authorities of client certificates.
        ca_certs: OptionalPath = None => { flags: &["--ca-certs"], metavar: "FILE", not_yet: NO_TLS }

        /// Take an abrupt end of a connection for its end.
        suppress_ragged_eofs: Flag = true => { flags: &["--suppress-ragged-eofs"], not_yet: NO_TLS }

        /// Shake hands when a connection is accepted.
        do_handshake_on_connect: Flag = false => { flags: &["--do-handshake-on-connect"], not_yet: NO_TLS }

        /// Ciphers that may be used.
        ciphers: OptionalText = None => { flags: &["--ciphers"], metavar: "LIST", not_yet: NO_TLS }
    }
}
