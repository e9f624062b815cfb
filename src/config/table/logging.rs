//! The section "Logging": where the two logs go and what they say.
//!
//! Read next: `src/log`, which writes them.

use crate::config::kind::{Flag, Level, OptionalText, Text};
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
        /// | `h` | the client's address |
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
        /// An atom is written `%(NAME)s`; one that is unknown or has no value is `-`.
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

        /// Keep standard output and error in a daemon.
        ///
        /// Unless they are a terminal. Otherwise they lead to `/dev/null`, as its standard input always does.
        enable_stdio_inheritance: Flag = false => { flags: &["-R", "--enable-stdio-inheritance"] }
    }
}
