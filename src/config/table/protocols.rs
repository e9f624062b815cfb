//! The section "Server mechanics", continued: what proxies in front may speak beside HTTP.
//!
//! Owns only names, forms and defaults of what does not exist yet. Read next: `mechanics.rs`.

use crate::config::kind::{Networks, Protocol, ProxyProtocol, Text};
use crate::config::row::section;

const NO_PROXY: Option<&str> = Some("the PROXY protocol is not understood; let the proxy send X-Forwarded-For");
const NO_UWSGI: Option<&str> = Some("only HTTP is understood; in nginx write proxy_pass in place of uwsgi_pass");

fn local() -> Vec<String> {
    vec!["127.0.0.1".to_owned(), "::1".to_owned()]
}

section! {
    "Server mechanics" protocols: Protocols {
        /// Whether connections begin with a PROXY header.
        proxy_protocol: ProxyProtocol = ProxyProtocol::Off => {
            flags: &["--proxy-protocol"], metavar: "MODE", not_yet: NO_PROXY,
        }

        /// Peers that may send a PROXY header.
        proxy_allow_ips: Networks = local() => {
            flags: &["--proxy-allow-from"], metavar: "PEERS", not_yet: NO_PROXY,
        }

        /// What clients speak: http or uwsgi.
        protocol: Protocol = Protocol::Http => { flags: &["--protocol"], metavar: "NAME", not_yet: NO_UWSGI }

        /// Peers that may speak uwsgi.
        uwsgi_allow_ips: Networks = local() => {
            flags: &["--uwsgi-allow-from"], metavar: "PEERS", not_yet: NO_UWSGI,
        }

        /// Path under which an ASGI application is mounted.
        root_path: Text = String::new() => {
            flags: &["--root-path"], metavar: "PATH", not_yet: Some("there is no asgi worker class"),
        }
    }
}
