//! The section "Logging": where the two logs go and what they say.
//!
//! Read next: `src/log`, which writes them.

use crate::config::kind::{Dictionary, Flag, Level, LoggerClass, OptionalText, Text};
use crate::config::row::{Live, section};

section! {
    "Logging" logging: Logging {
        /// File of the access log; - is stdout.
        ///
        /// Without it nothing is logged per request. USR1 reopens the file.
        accesslog: OptionalText = None => {
            flags: &["--access-logfile"], metavar: "FILE", live: Live::Reload,
        }

        /// Format of a line of the access log.
        ///
        /// | Atom | Is |
        /// |---|---|
        /// | `h` | the client's address, as the application's environ has it in the end |
        /// | `l` | `-` |
        /// | `u` | the user of Basic authentication |
        /// | `t` | date and time |
        /// | `r` | the request line |
        /// | `m` `U` `q` `H` | method, path, query, protocol |
        /// | `s` | status |
        /// | `B` `b` | bytes of the body |
        /// | `f` `a` | Referer, User-Agent |
        /// | `T` `M` `D` `L` | time taken: seconds, milliseconds, microseconds, seconds with a fraction |
        /// | `p` | process id, as `<PID>` |
        /// | `{NAME}i` `{NAME}o` `{NAME}e` | request header, response header, environ key |
        ///
        /// An atom is written `%(NAME)s`; one that is unknown or has no value is `-`. What the client or the
        /// application chose is escaped, so that it can end neither quotes nor the line.
        ///
        /// The one word `json` makes each line a JSON object instead. Names are OpenTelemetry's; a value that is absent
        /// is left out.
        ///
        /// | Name | Is |
        /// |---|---|
        /// | `timestamp` | RFC 3339, local time with its offset |
        /// | `client.address` | the client's address, as the application's environ has it in the end |
        /// | `user.name` | the user of Basic authentication |
        /// | `http.request.method` `url.path` `url.query` `network.protocol.version` | the request line, not decoded |
        /// | `http.response.status_code` `http.response.body.size` | numbers |
        /// | `http.server.request.duration` | seconds, a number |
        /// | `user_agent.original` `http.request.header.referer` | the two header fields |
        /// | `http.request.id` | with `request_id` |
        /// | `process.pid` | the worker, a number |
        access_log_format: Text = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#.to_owned() => {
            flags: &["--access-logformat"], metavar: "FORMAT", live: Live::Reload,
        }

        /// File of the error log; - is stderr.
        ///
        /// USR1 reopens the file.
        errorlog: Text = "-".to_owned() => {
            flags: &["--error-logfile", "--log-file"], metavar: "FILE", live: Live::Reload,
        }

        /// Least severe level the error log shows.
        loglevel: Level = Level::Info => { flags: &["--log-level"], metavar: "LEVEL", live: Live::Reload }

        /// Lead standard output and error into the error log's file.
        ///
        /// Those of the master, of the workers, and of what they start. USR1 and HUP move them with the file. Changes
        /// nothing if the error log is `-`. What Python writes comes line by line.
        capture_output: Flag = false => { flags: &["--capture-output"], live: Live::Reload }

        /// Give each request an id, and tell it everywhere.
        ///
        /// It is that of the field `X-Request-ID` if a peer of `forwarded_allow_ips` sent one of 1 to 200 letters,
        /// digits, `.`, `_` and `-`; otherwise a new one of 32 hexadecimal digits. The application finds it in the
        /// environ as `HTTP_X_REQUEST_ID` and `rwsgi.request_id`, the client in the response's `X-Request-ID` unless the
        /// application has set one, and the operator in the error log's line of a request that failed and in the access
        /// log: in JSON by itself, else as `%({rwsgi.request_id}e)s`.
        request_id: Flag = false => { flags: &["--request-id"], live: Live::Workers }

        /// Class that logs in Python, in place of the native logs.
        ///
        /// A subclass of `rwsgi.glogging.Logger`, whose methods are those of gunicorn's: `critical` to `debug`,
        /// `exception`, `access(resp, req, environ, request_time)`, `atoms`, `reopen_files`, `setup(cfg)`. It costs each
        /// request some microseconds more. gunicorn's own loggers stand for the native logs. An exception that it raises
        /// costs nothing but is told, once.
        logger_class: LoggerClass = None => {
            flags: &["--logger-class"], metavar: "CLASS", live: Live::Reload,
        }

        /// Configuration of Python's `logging`, as an ini file.
        ///
        /// The error log's records go to the logger `gunicorn.error`, those of the access log to `gunicorn.access`; they
        /// are also called `rwsgi.error` and `rwsgi.access`. HUP reads the file again; a bad one leaves what was. Of the
        /// three configurations `logconfig_dict` comes first, then `logconfig_json`.
        logconfig: OptionalText = None => {
            flags: &["--log-config"], metavar: "FILE", live: Live::Reload,
        }

        /// Configuration of Python's `logging`, as a dictionary.
        ///
        /// What it does not say at its top level is taken from `rwsgi.glogging.CONFIG_DEFAULTS`.
        logconfig_dict: Dictionary = Vec::new() => { live: Live::Reload }

        /// Configuration of Python's `logging`, as a JSON file.
        ///
        /// It holds the dictionary of `logconfig_dict`.
        logconfig_json: OptionalText = None => {
            flags: &["--log-config-json"], metavar: "FILE", live: Live::Reload,
        }

        /// Keep standard output and error in a daemon.
        ///
        /// Unless they are a terminal. Otherwise they lead to `/dev/null`, as its standard input always does.
        enable_stdio_inheritance: Flag = false => { flags: &["-R", "--enable-stdio-inheritance"] }
    }
}
