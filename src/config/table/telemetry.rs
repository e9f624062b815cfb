//! The section "Logging", continued: what is sent to syslog and statsd.
//!
//! Read next: `src/log/syslog.rs` and `src/log/statsd.rs`, which send it.

use crate::config::kind::{Endpoint, Facility, Flag, OptionalText, StatsdServer, SyslogServer, Text};
use crate::config::row::{Live, section};

#[cfg(target_os = "macos")]
fn syslog_server() -> Endpoint {
    Endpoint::Unix("/var/run/syslog".into(), crate::config::kind::UnixKind::Any)
}

#[cfg(not(target_os = "macos"))]
fn syslog_server() -> Endpoint {
    Endpoint::Udp("localhost".to_owned(), 514)
}

section! {
    "Logging" telemetry: Telemetry {
        /// Where syslog listens.
        ///
        /// A unix socket may be of either kind unless `#dgram` or `#stream` says which. A server that is not there,
        /// or does not take lines fast enough, costs the lines and nothing else; how many were lost is told in the
        /// error log, once a minute at most. Names are resolved at the start and at each HUP.
        syslog_addr: SyslogServer = syslog_server() => {
            flags: &["--log-syslog-to"], metavar: "ADDRESS", live: Live::Reload,
        }

        /// Send both logs to syslog too.
        ///
        /// Beside the files, not in their place. A line is `gunicorn.PREFIX.error: [PID] message` or
        /// `gunicorn.PREFIX.access: [PID] line`, as gunicorn sends it, so that filters go on matching.
        syslog: Flag = false => { flags: &["--log-syslog"], live: Live::Reload }

        /// PREFIX of the lines in syslog.
        ///
        /// Without it the name of the server, with `.` in place of `:`.
        syslog_prefix: OptionalText = None => {
            flags: &["--log-syslog-prefix"], metavar: "PREFIX", live: Live::Reload,
        }

        /// Facility of the lines in syslog.
        syslog_facility: Facility = Facility::User => {
            flags: &["--log-syslog-facility"], metavar: "FACILITY", live: Live::Reload,
        }

        /// Keep the access log out of syslog.
        disable_redirect_access_to_syslog: Flag = false => {
            flags: &["--disable-redirect-access-to-syslog"], live: Live::Reload,
        }

        /// Where statsd listens; turns metrics on.
        ///
        /// | Metric | Type | Is |
        /// |---|---|---|
        /// | `gunicorn.workers` | gauge | workers, whenever their number changes |
        /// | `gunicorn.requests` | counter | requests |
        /// | `gunicorn.request.status.CODE` | counter | responses by status |
        /// | `gunicorn.request.duration` | timer | milliseconds from the head to the end of the response |
        /// | `gunicorn.log.LEVEL` | counter | records of the error log: critical, error, warning, exception |
        /// | `gunicorn.backlog` | histogram | connections that wait to be accepted (`enable_backlog_metric`) |
        ///
        /// The three of a request go in one datagram, a line each. Hooks send their own with `log.info("",
        /// extra={"metric": NAME, "value": VALUE, "mtype": TYPE})`, where TYPE is gauge, counter, histogram or timer.
        statsd_host: StatsdServer = None => {
            flags: &["--statsd-host"], metavar: "ADDRESS", live: Live::Reload,
        }

        /// Tags for each metric, as DogStatsD has them.
        ///
        /// Separated by commas.
        dogstatsd_tags: Text = String::new() => {
            flags: &["--dogstatsd-tags"], metavar: "TAGS", live: Live::Reload,
        }

        /// Put before the names of metrics.
        ///
        /// A dot is put between, unless there is one.
        statsd_prefix: Text = String::new() => {
            flags: &["--statsd-prefix"], metavar: "PREFIX", live: Live::Reload,
        }

        /// Send the length of the listen queues to statsd.
        ///
        /// Once a second, of the sockets that the workers share. Linux only.
        enable_backlog_metric: Flag = false => { flags: &["--enable-backlog-metric"], live: Live::Reload }
    }
}
