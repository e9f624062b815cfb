//! gunicorn's settings that rwsgi does not have, so that each is refused by name and never silently ignored.
//!
//! Owns the one list of them. A setting at its default is accepted: configuration files often spell defaults
//! out. One whose purpose does not arise here gets a warning instead. A setting moves from this list to
//! `table/` when it is built. Read next: `file.rs`.

use super::error::{ConfigError, Warning};
use super::kind::Takes;
use super::origin::Origin;
use super::raw::Raw;

#[derive(Debug)]
pub struct Unsupported {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    pub takes: Takes,
    /// Python literals that ask for nothing; the first is gunicorn's default.
    defaults: &'static [&'static str],
    /// Why the setting has no effect here, if that is all there is to say.
    pub moot: Option<&'static str>,
}

const fn switch(name: &'static str, flags: &'static [&'static str]) -> Unsupported {
    Unsupported { name, flags, takes: Takes::Nothing, defaults: &["False"], moot: None }
}

const fn value(
    name: &'static str,
    flags: &'static [&'static str],
    defaults: &'static [&'static str],
) -> Unsupported {
    Unsupported { name, flags, takes: Takes::Value, defaults, moot: None }
}

const fn items(name: &'static str, flags: &'static [&'static str]) -> Unsupported {
    Unsupported { name, flags, takes: Takes::Items, defaults: &["[]"], moot: None }
}

const fn hook(name: &'static str) -> Unsupported {
    value(name, &[], &["None"])
}

const fn moot(setting: Unsupported, why: &'static str) -> Unsupported {
    Unsupported { moot: Some(why), ..setting }
}

const LOCAL_PEERS: &[&str] = &["'127.0.0.1,::1'"];

pub static UNSUPPORTED: &[Unsupported] = &[
    // Process
    moot(switch("initgroups", &["--initgroups"]), "workers always have all groups of their `user`"),
    value("default_proc_name", &[], &["'gunicorn'"]),
    moot(
        value("worker_tmp_dir", &["--worker-tmp-dir"], &["None"]),
        "workers show that they live through shared memory, not a file",
    ),
    moot(value("tmp_upload_dir", &[], &["None"]), "uploads go to no file"),
    // Development
    switch("reload", &["--reload"]),
    value("reload_engine", &["--reload-engine"], &["'auto'"]),
    items("reload_extra_files", &["--reload-extra-file"]),
    switch("spew", &["--spew"]),
    // Logging
    switch("capture_output", &["--capture-output"]),
    value("logger_class", &["--logger-class"], &["'gunicorn.glogging.Logger'"]),
    value("logconfig", &["--log-config"], &["None"]),
    value("logconfig_dict", &[], &["{}"]),
    value("logconfig_json", &["--log-config-json"], &["None"]),
    switch("syslog", &["--log-syslog"]),
    value("syslog_addr", &["--log-syslog-to"], &["'udp://localhost:514'"]),
    value("syslog_prefix", &["--log-syslog-prefix"], &["None"]),
    value("syslog_facility", &["--log-syslog-facility"], &["'user'"]),
    switch("disable_redirect_access_to_syslog", &["--disable-redirect-access-to-syslog"]),
    value("statsd_host", &["--statsd-host"], &["None"]),
    value("statsd_prefix", &["--statsd-prefix"], &["''"]),
    value("dogstatsd_tags", &["--dogstatsd-tags"], &["''"]),
    switch("enable_backlog_metric", &["--enable-backlog-metric"]),
    // Paste
    value("paste", &["--paste", "--paster"], &["None"]),
    items("raw_paste_global_conf", &["--paste-global"]),
    // Other protocols, and gunicorn's ways to relax HTTP
    value("protocol", &["--protocol"], &["'http'"]),
    value("uwsgi_allow_ips", &["--uwsgi-allow-from"], LOCAL_PEERS),
    value("proxy_protocol", &["--proxy-protocol"], &["'off'", "False", "'false'", "'none'", "'0'"]),
    value("proxy_allow_ips", &["--proxy-allow-from"], LOCAL_PEERS),
    moot(value("http_parser", &["--http-parser"], &["'auto'"]), "there is one HTTP parser"),
    value("http_protocols", &["--http-protocols"], &["'h1'"]),
    value("http2_cleartext", &["--http2-cleartext"], &["'off'", "False"]),
    value("http2_max_concurrent_streams", &["--http2-max-concurrent-streams"], &["100"]),
    value("http2_initial_window_size", &["--http2-initial-window-size"], &["65535"]),
    value("http2_max_frame_size", &["--http2-max-frame-size"], &["16384"]),
    value("http2_max_header_list_size", &["--http2-max-header-list-size"], &["65536"]),
    switch("permit_obsolete_folding", &["--permit-obsolete-folding"]),
    switch("permit_unconventional_http_method", &["--permit-unconventional-http-method"]),
    switch("permit_unconventional_http_version", &["--permit-unconventional-http-version"]),
    switch("casefold_http_method", &["--casefold-http-method"]),
    switch("strip_header_spaces", &["--strip-header-spaces"]),
    // TLS
    value("certfile", &["--certfile"], &["None"]),
    value("keyfile", &["--keyfile"], &["None"]),
    value("ca_certs", &["--ca-certs"], &["None"]),
    value("ciphers", &["--ciphers"], &["None"]),
    value("cert_reqs", &["--cert-reqs"], &["0"]),
    value("ssl_version", &["--ssl-version"], &["2", "'TLS'", "17", "'TLS_SERVER'"]),
    switch("do_handshake_on_connect", &["--do-handshake-on-connect"]),
    Unsupported { defaults: &["True"], ..switch("suppress_ragged_eofs", &["--suppress-ragged-eofs"]) },
    // ASGI
    value("asgi_loop", &["--asgi-loop"], &["'auto'"]),
    value("asgi_lifespan", &["--asgi-lifespan"], &["'auto'"]),
    value("asgi_disconnect_grace_period", &["--asgi-disconnect-grace-period"], &["3"]),
    value("websocket_max_message_size", &["--websocket-max-message-size"], &["16777216"]),
    value("root_path", &["--root-path"], &["''"]),
    // Control socket
    value("control_socket", &["--control-socket"], &["None"]),
    value("control_socket_mode", &["--control-socket-mode"], &["384", "'0600'", "'0o600'"]),
    moot(switch("control_socket_disable", &["--no-control-socket"]), "there is no control socket"),
    // Dirty workers
    items("dirty_apps", &["--dirty-app"]),
    value("dirty_workers", &["--dirty-workers"], &["0"]),
    value("dirty_timeout", &["--dirty-timeout"], &["300"]),
    value("dirty_threads", &["--dirty-threads"], &["1"]),
    value("dirty_graceful_timeout", &["--dirty-graceful-timeout"], &["30"]),
    // Hooks
    hook("ssl_context"),
    hook("on_dirty_starting"),
    hook("dirty_post_fork"),
    hook("dirty_worker_init"),
    hook("dirty_worker_exit"),
];

pub fn find(name: &str) -> Option<&'static Unsupported> {
    UNSUPPORTED.iter().find(|setting| setting.name == name)
}

impl Unsupported {
    /// gunicorn's default, as a Python literal.
    pub fn default(&self) -> &'static str {
        self.defaults.first().copied().unwrap_or("None")
    }

    fn is_default(&self, raw: &Raw) -> bool {
        let literal = raw.to_string();
        self.defaults.iter().any(|default| match raw {
            // A number or a truth may come as text.
            Raw::Str(text) => literal == *default || text == default,
            _ => literal == *default,
        })
    }

    /// `shown` is the setting as the user wrote it: its name, or a flag.
    pub(super) fn judge(
        &self,
        shown: &str,
        raw: &Raw,
        origin: &Origin,
    ) -> Result<Option<Warning>, ConfigError> {
        if self.is_default(raw) {
            return Ok(None);
        }
        if let Some(why) = self.moot {
            return Ok(Some(Warning(format!("{origin}: '{shown}' has no effect: {why}"))));
        }
        let default = match self.defaults {
            ["None" | "False" | "[]" | "{}", ..] | [] => String::new(),
            [default, ..] => format!(" or leave it at {default}"),
        };
        let message = format!(
            "'{shown}' is a gunicorn setting that rwsgi does not support yet ({origin}); remove it{default}"
        );
        match origin {
            Origin::Cli | Origin::CmdArgs(_) => Err(ConfigError::usage(message)),
            _ => Err(ConfigError::config(message)),
        }
    }
}
