//! The section "Server mechanics": the process, its surroundings, and which proxies it believes.
//!
//! Read next: `src/cli.rs` for the process, `src/http` for the header rules.

use std::path::PathBuf;

use crate::config::kind::{
    Directory, Flag, HeaderMap, HeaderNames, Mode, Networks, OptionalFlag, OptionalPath, PasteUri,
    PasteVariables, SchemeHeaders, SearchPath, Variables,
};
use crate::config::row::{Live, section};

section! {
    "Server mechanics" mechanics: Mechanics {
        /// Load the application before the workers are forked.
        ///
        /// Workers then share its memory and start at once. HUP loads new code all the same: another process tries
        /// it first, then the master executes its program again in place, so that the application is imported
        /// twice.
        preload_app: Flag = false => { flags: &["--preload"] }

        /// Whether files go out by sendfile; the flag says no.
        ///
        /// It applies to the `wsgi.file_wrapper` of a real file. `False` turns it off; `None` is on.
        sendfile: OptionalFlag = None => {
            flags: &["--no-sendfile"], env: &[("SENDFILE", "{}")], live: Live::Workers,
        }

        /// Give each worker a listening socket of its own.
        ///
        /// Sets `SO_REUSEPORT`, so that the kernel spreads connections among the workers. When a worker leaves, a
        /// client that connects to it in that moment may have to wait for a second.
        reuse_port: Flag = false => { flags: &["--reuse-port"] }

        /// Directory in which the application is loaded.
        ///
        /// It is also put on `sys.path`.
        chdir: Directory = PathBuf::from(".") => {
            flags: &["--chdir"], metavar: "DIR", default_is: Some("the directory the server is started in"),
        }

        /// Run in the background.
        ///
        /// The command ends when every worker serves, with status 0, or when the start failed, with the status and
        /// the message of that. Name a file for the error log: the terminal is let go.
        daemon: Flag = false => { flags: &["-D", "--daemon"] }

        /// Variable for the environment; may be repeated.
        ///
        /// `NAME=VALUE`, split at the first `=`.
        raw_env: Variables = Vec::new() => {
            flags: &["-e", "--env"], metavar: "NAME=VALUE", live: Live::Workers,
        }

        /// File that holds the master's process id.
        pidfile: OptionalPath = None => { flags: &["-p", "--pid"], metavar: "FILE", live: Live::Reload }

        /// Directory of the workers' heartbeat files.
        worker_tmp_dir: OptionalPath = None => {
            flags: &["--worker-tmp-dir"], metavar: "DIR",
            moot: Some("workers show that they live through shared memory, not a file"),
        }

        /// Directory of the files that large bodies wait in.
        ///
        /// See `request_spool`. The files have no names. The workers' user must be able to write there; a `/tmp` that is
        /// kept in memory is no good place for it.
        tmp_upload_dir: OptionalPath = None => {
            live: Live::Workers, default_is: Some("`TMPDIR`, or `/tmp`"),
        }

        /// Permission bits that new UNIX sockets lack.
        ///
        /// On the command line and in the environment a leading 0 means octal. The workers' own umask is not
        /// changed.
        umask: Mode = 0 => { flags: &["-m", "--umask"], metavar: "MODE" }

        /// Directories to put on sys.path.
        ///
        /// Separated by commas; the last one comes first on the path.
        pythonpath: SearchPath = Vec::new() => { flags: &["--pythonpath"], metavar: "DIRS" }

        /// PasteDeploy file with the application.
        ///
        /// `FILE.ini`, or `FILE.ini#NAME` for another section than `[app:main]`; a relative path starts where the
        /// server was started. PasteDeploy must be installed. It comes before an `APP_MODULE` or `wsgi_app` of the same
        /// source. If the file has a section `[loggers]`, it is the `logconfig` where nothing else is. Its sections
        /// `[server:NAME]` are not read: they are for `pserve`, where `use = egg:rwsgi#main` names this server.
        paste: PasteUri = None => {
            flags: &["--paste", "--paster"], metavar: "FILE", live: Live::Workers,
        }

        /// Variable for the PasteDeploy file; may be repeated.
        ///
        /// `NAME=VALUE`, split at the first `=` that has no backslash. The application's factory finds it in the global
        /// configuration, the file's own text as `%(NAME)s`.
        raw_paste_global_conf: PasteVariables = Vec::new() => {
            flags: &["--paste-global"], metavar: "NAME=VALUE", live: Live::Workers,
        }

        /// Header fields by which a trusted proxy says that its client used TLS.
        ///
        /// A dict of field names and the value that means TLS; `wsgi.url_scheme` is then `https`. In the
        /// environment it is `NAME=VALUE`, several separated by spaces. Requests in which they contradict
        /// each other are refused.
        secure_scheme_headers: SchemeHeaders = [
            ("X-FORWARDED-PROTOCOL", "ssl"),
            ("X-FORWARDED-PROTO", "https"),
            ("X-FORWARDED-SSL", "on"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec() => { live: Live::Workers }

        /// Proxies whose forwarding headers are believed.
        ///
        /// Addresses and networks separated by commas, or `*` for all. A peer on a UNIX socket is always
        /// trusted; an empty text trusts nobody else.
        forwarded_allow_ips: Networks = vec!["127.0.0.1".to_owned(), "::1".to_owned()] => {
            flags: &["--forwarded-allow-ips"], metavar: "PEERS", env: &[("FORWARDED_ALLOW_IPS", "{}")],
            live: Live::Workers,
        }

        /// Believe the `Forwarded` header of a trusted proxy.
        ///
        /// RFC 7239. `for` becomes `REMOTE_ADDR`, and `REMOTE_PORT` if it has a port; `proto` becomes
        /// `wsgi.url_scheme`, and `host` becomes `HTTP_HOST`. The last element counts; while its `for` is a proxy named
        /// in `forwarded_allow_ips`, the one before it. `unknown` and hidden names leave the proxy's address. A header that
        /// breaks RFC 7239, or contradicts `secure_scheme_headers`, is answered 400. The proxy has to add its element
        /// to each request, or clients write it themselves. `X-Forwarded-For` never changes the address.
        trust_forwarded_header: Flag = false => { flags: &["--trust-forwarded-header"], live: Live::Workers }

        /// Underscore headers a trusted proxy may send.
        ///
        /// Separated by commas, `*` for all. They reach the application whatever `header_map` says.
        forwarder_headers: HeaderNames = vec!["SCRIPT_NAME".to_owned(), "PATH_INFO".to_owned()] => {
            flags: &["--forwarder-headers"], metavar: "NAMES", live: Live::Workers,
        }

        /// What happens to names with an underscore.
        ///
        /// In the environ `A_B` and `A-B` look the same, so a client could pass one for the other. `drop`
        /// leaves such a field out, `refuse` answers 400, `dangerous` passes it on.
        header_map: HeaderMap = HeaderMap::Drop => {
            flags: &["--header-map"], metavar: "MODE", live: Live::Workers,
        }
    }
}
