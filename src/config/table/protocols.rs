//! The section "Server mechanics", continued: what proxies in front may speak beside HTTP.
//!
//! Read next: `src/http/proxy_protocol.rs`.

use crate::config::kind::{Networks, Protocol, ProxyProtocol, Text};
use crate::config::row::{Live, section};

const NO_UWSGI: Option<&str> = Some("only HTTP is understood; in nginx write proxy_pass in place of uwsgi_pass");

fn local() -> Vec<String> {
    vec!["127.0.0.1".to_owned(), "::1".to_owned()]
}

section! {
    "Server mechanics" protocols: Protocols {
        /// Whether connections begin with a PROXY header.
        ///
        /// The client it tells of becomes `REMOTE_ADDR` and `REMOTE_PORT` of all requests of the connection, in the
        /// logs too; `PROXY_PROTOCOL`, `PROXY_ADDR` and `PROXY_PORT` tell the rest. `auto` is either version; a
        /// connection without a header is served as what it is.
        proxy_protocol: ProxyProtocol = ProxyProtocol::Off => {
            flags: &["--proxy-protocol"], metavar: "MODE", live: Live::Workers,
        }

        /// Peers that may send a PROXY header.
        ///
        /// Addresses and networks separated by commas, or `*` for all. Others that send one get 403. A peer on a
        /// UNIX socket may always. Which peers' forwarding headers are believed is another matter:
        /// forwarded_allow_ips, which knows the proxy and not its client.
        proxy_allow_ips: Networks = local() => {
            flags: &["--proxy-allow-from"], metavar: "PEERS", live: Live::Workers,
        }

        /// What clients speak: http or uwsgi.
        protocol: Protocol = Protocol::Http => { flags: &["--protocol"], metavar: "NAME", not_yet: NO_UWSGI }

        /// Peers that may speak uwsgi.
        uwsgi_allow_ips: Networks = local() => {
            flags: &["--uwsgi-allow-from"], metavar: "PEERS", not_yet: NO_UWSGI,
        }

        /// Path under which an ASGI application is mounted.
        ///
        /// It is the `root_path` of each scope; paths stay as the client sent them. For the `asgi` class.
        root_path: Text = String::new() => {
            flags: &["--root-path"], metavar: "PATH", live: Live::Workers,
        }
    }
}
