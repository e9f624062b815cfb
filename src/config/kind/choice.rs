//! Kinds with a fixed list of values, as enums.
//!
//! `choice!` writes each spelling once, for the parser, the error text and the documentation. A spelling that
//! is not listed is an error that shows the list, never a silent default. Read next: `../row.rs`.

use super::{Kind, Reject, Takes, class_of, text_of};
use crate::config::raw::Raw;

/// Declares an enum that is its own kind. A function after `else` may say more about a text that is not
/// listed.
macro_rules! choice {
    (@takes) => { Takes::Value };
    (@takes $takes:expr) => { $takes };
    (
        $(#[$attribute:meta])*
        $type:ident { $($(#[$variant_attribute:meta])* $variant:ident = $text:literal),+ $(,)? } else $explain:expr $(, takes $takes:expr)?
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$variant_attribute])* $variant),+ }

        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl Kind for $type {
            type Value = Self;
            const TAKES: Takes = choice!(@takes $($takes)?);

            fn parse(raw: &Raw) -> Result<Self, Reject> {
                // Where a choice is between on and off, Python has words of its own for them.
                let text = match raw {
                    Raw::Bool(truth) => if *truth { "true" } else { "false" },
                    _ => class_of(raw).map_or_else(|| text_of(raw), Ok)?,
                };
                match text.to_ascii_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)+
                    other => ($explain)(other),
                }
            }

            fn to_raw(value: &Self) -> Raw {
                Raw::from(value.as_str())
            }

            fn allowed() -> String {
                one_of(Self::ALL.iter().map(|choice| choice.as_str()))
            }

            fn choices() -> Vec<&'static str> {
                Self::ALL.iter().map(|choice| choice.as_str()).collect()
            }
        }
    };
}

choice! {
    /// How much the error log says.
    Level {
        Debug = "debug",
        Info = "info",
        Warning = "warning",
        Error = "error",
        Critical = "critical",
    } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// What syslog(3) sorts lines by.
    Facility {
        Auth = "auth",
        Authpriv = "authpriv",
        Cron = "cron",
        Daemon = "daemon",
        Ftp = "ftp",
        Kern = "kern",
        Lpr = "lpr",
        Mail = "mail",
        News = "news",
        Security = "security",
        Syslog = "syslog",
        User = "user",
        Uucp = "uucp",
        Local0 = "local0",
        Local1 = "local1",
        Local2 = "local2",
        Local3 = "local3",
        Local4 = "local4",
        Local5 = "local5",
        Local6 = "local6",
        Local7 = "local7",
    } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// What happens to a header field whose name has an underscore.
    HeaderMap {
        Drop = "drop",
        Refuse = "refuse",
        Dangerous = "dangerous",
    } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// Which event loop runs an ASGI application.
    AsgiLoop { Auto = "auto", Asyncio = "asyncio", Uvloop = "uvloop" } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// Whether an ASGI application is told of the beginning and the end.
    AsgiLifespan { Auto = "auto", On = "on", Off = "off" } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// gunicorn's parsers.
    HttpParser { Auto = "auto", Fast = "fast", Python = "python" } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// What clients speak.
    Protocol { Http = "http", Uwsgi = "uwsgi" } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// How HTTP/2 may begin without TLS.
    Cleartext {
        Off = "off",
        PriorKnowledge = "prior-knowledge",
        Upgrade = "upgrade",
        Both = "both",
    } else |other: &str| match other {
        "false" => Ok(Cleartext::Off),
        "true" => Ok(Cleartext::PriorKnowledge),
        _ => Err(Reject::Kind),
    }
}

choice! {
    /// Which version of the PROXY protocol begins a connection. On the command line the word may be left out.
    ProxyProtocol { Off = "off", V1 = "v1", V2 = "v2", Auto = "auto" } else |other: &str| match other {
        "false" | "none" | "0" => Ok(ProxyProtocol::Off),
        "true" | "1" => Ok(ProxyProtocol::Auto),
        _ => Err(Reject::Kind),
    }, takes Takes::Optional("auto")
}

choice! {
    /// How changes of files are noticed.
    ReloadEngine { Auto = "auto", Poll = "poll", Inotify = "inotify" } else |_: &str| Err(Reject::Kind)
}

choice! {
    /// What a worker does with its connections.
    WorkerClass {
        Sync = "sync",
        Gthread = "gthread",
    } else other_worker_class
}

/// Worker classes that are to come, by gunicorn's names.
const TO_COME: [&str; 6] = ["gevent", "gevent_wsgi", "gevent_pywsgi", "eventlet", "tornado", "asgi"];

/// gunicorn's classes, as they are named in Python.
const CLASSES: [(&str, &str); 8] = [
    ("gunicorn.workers.sync.SyncWorker", "sync"),
    ("gunicorn.workers.gthread.ThreadWorker", "gthread"),
    ("gunicorn.workers.ggevent.GeventWorker", "gevent"),
    ("gunicorn.workers.ggevent.GeventPyWSGIWorker", "gevent_pywsgi"),
    ("gunicorn.workers.geventlet.EventletWorker", "eventlet"),
    ("gunicorn.workers.gtornado.TornadoWorker", "tornado"),
    ("gunicorn.workers.gasgi.ASGIWorker", "asgi"),
    ("uvicorn.workers.UvicornWorker", "asgi"),
];

impl WorkerClass {
    /// The short name of a class of gunicorn's, given as `package.module.Class`.
    pub fn short_name(path: &str) -> Option<&'static str> {
        CLASSES.iter().find(|(class, _)| path.eq_ignore_ascii_case(class)).map(|(_, name)| *name)
    }
}

/// gunicorn's other names for its own classes.
fn other_worker_class(text: &str) -> Result<WorkerClass, Reject> {
    let name = text.strip_prefix("egg:gunicorn#").unwrap_or(text);
    let name = WorkerClass::short_name(name).unwrap_or(name);
    if let Some(class) = WorkerClass::ALL.iter().find(|class| class.as_str() == name) {
        return Ok(*class);
    }
    let unsupported = |what: &str| Err(Reject::Unsupported(format!("{what}; use 'sync' or 'gthread'")));
    if TO_COME.contains(&name) {
        return unsupported("this worker class is not supported yet");
    }
    if text.contains(['.', ':', '<']) {
        return unsupported("worker classes of your own are not supported");
    }
    Err(Reject::Kind)
}

fn one_of(mut choices: impl DoubleEndedIterator<Item = &'static str>) -> String {
    let last = choices.next_back().unwrap_or_default();
    let rest: Vec<&str> = choices.collect();
    if rest.is_empty() { last.to_owned() } else { format!("{} or {last}", rest.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_of_its_list() {
        assert_eq!(Level::parse(&Raw::from("WARNING")), Ok(Level::Warning));
        assert_eq!(Level::parse(&Raw::from("loud")), Err(Reject::Kind));
        assert_eq!(Level::allowed(), "debug, info, warning, error or critical");
    }

    #[test]
    fn worker_classes_to_come_are_told_from_typing_errors() {
        for name in ["gevent", "gevent_wsgi", "eventlet", "tornado", "asgi"] {
            assert!(matches!(WorkerClass::parse(&Raw::from(name)), Err(Reject::Unsupported(_))), "{name}");
        }
        assert_eq!(WorkerClass::parse(&Raw::from("gtread")), Err(Reject::Kind));
        assert_eq!(Level::parse(&Raw::Callable("<class 'a.Debug'>".into())), Err(Reject::Kind));
    }

    #[test]
    fn a_worker_class_may_be_named_as_gunicorn_names_it() {
        let parse = |name: &str| match WorkerClass::parse(&Raw::from(name)) {
            Ok(class) => class.as_str().to_owned(),
            Err(Reject::Unsupported(reason)) => reason,
            Err(other) => format!("{other:?}"),
        };
        let later = "not supported yet";
        let own = "worker classes of your own are not supported; use 'sync' or 'gthread'";
        for (name, meant) in [
            ("gunicorn.workers.sync.SyncWorker", "sync"),
            ("egg:gunicorn#sync", "sync"),
            ("gunicorn.workers.ggevent.GeventWorker", later),
            ("gunicorn.workers.ggevent.GeventPyWSGIWorker", later),
            ("gunicorn.workers.gthread.ThreadWorker", "gthread"),
            ("egg:gunicorn#tornado", later),
            ("uvicorn.workers.UvicornWorker", later),
            ("shop.workers.Own", own),
            ("egg:shop#own", own),
        ] {
            assert!(parse(name).contains(meant), "{name}: {}", parse(name));
            let class = Raw::Callable(format!("<class '{name}'>"));
            assert_eq!(WorkerClass::parse(&class), WorkerClass::parse(&Raw::from(name)), "{class}");
        }
        let function = Raw::Callable("<function choose>".into());
        assert_eq!(WorkerClass::parse(&function), Err(Reject::Unsupported(own.to_owned())));
    }
}
