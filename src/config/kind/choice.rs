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

pub(super) fn one_of(mut choices: impl DoubleEndedIterator<Item = &'static str>) -> String {
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
        assert_eq!(Level::parse(&Raw::Callable("<class 'a.Debug'>".into())), Err(Reject::Kind));
    }
}
