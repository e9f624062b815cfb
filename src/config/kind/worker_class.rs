//! Worker classes: ours by name, gunicorn's by its names, and a program's own by its path.
//!
//! One row declares a class. Owns which classes there are, not what they do. Read next: `../table/workers.rs`, and
//! `src/worker/driven` for those that are driven from Python.

use super::{Kind, Reject, Takes, class_of, text_of};
use crate::config::raw::Raw;

/// What a worker does with its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerClass {
    Sync,
    Gthread,
    Gevent,
    Eventlet,
    Tornado,
    Asgi,
    /// `package.module.Class`.
    Own(String),
}

struct Class {
    class: WorkerClass,
    name: &'static str,
    /// gunicorn's names for it; what stands after the last dot of a path is its name in Python.
    others: &'static [&'static str],
    /// Its class in Python, and the package that it needs, where it is driven from there.
    driver: Option<(&'static str, &'static str)>,
}

const CLASSES: &[Class] = &[
    Class {
        class: WorkerClass::Sync,
        name: "sync",
        others: &["gunicorn.workers.sync.SyncWorker"],
        driver: None,
    },
    Class {
        class: WorkerClass::Gthread,
        name: "gthread",
        others: &["gunicorn.workers.gthread.ThreadWorker"],
        driver: None,
    },
    Class {
        class: WorkerClass::Gevent,
        name: "gevent",
        others: &[
            "gevent_wsgi",
            "gevent_pywsgi",
            "gunicorn.workers.ggevent.GeventWorker",
            "gunicorn.workers.ggevent.GeventPyWSGIWorker",
        ],
        driver: Some(("rwsgi.workers.gevent.GeventWorker", "gevent")),
    },
    Class {
        class: WorkerClass::Eventlet,
        name: "eventlet",
        others: &["gunicorn.workers.geventlet.EventletWorker"],
        driver: Some(("rwsgi.workers.eventlet.EventletWorker", "eventlet")),
    },
    Class {
        class: WorkerClass::Tornado,
        name: "tornado",
        others: &["gunicorn.workers.gtornado.TornadoWorker"],
        driver: Some(("rwsgi.workers.tornado.TornadoWorker", "tornado")),
    },
    Class {
        class: WorkerClass::Asgi,
        name: "asgi",
        others: &[
            "asyncio",
            "gunicorn.workers.gasgi.ASGIWorker",
            "uvicorn.workers.UvicornWorker",
            "uvicorn_worker.UvicornWorker",
        ],
        driver: Some(("rwsgi.workers.asgi.AsgiWorker", "")),
    },
];

impl WorkerClass {
    /// The short name of a class of gunicorn's, given as `package.module.Class`.
    pub fn short_name(path: &str) -> Option<&'static str> {
        let is_path = |other: &&&str| other.contains('.') && path.eq_ignore_ascii_case(other);
        CLASSES.iter().find(|class| class.others.iter().any(|other| is_path(&other))).map(|class| class.name)
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(path) => path,
            _ => self.row().map_or("", |row| row.name),
        }
    }

    /// Its class in Python, where it is driven from there.
    pub fn driver(&self) -> Option<&str> {
        match self {
            Self::Own(path) => Some(path),
            _ => self.row()?.driver.map(|(path, _)| path),
        }
    }

    /// The package that its driver needs.
    pub fn package(&self) -> Option<&'static str> {
        self.row()?.driver.map(|(_, package)| package).filter(|package| !package.is_empty())
    }

    fn row(&self) -> Option<&'static Class> {
        CLASSES.iter().find(|row| row.class == *self)
    }
}

impl Class {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.others.iter().any(|other| name.eq_ignore_ascii_case(other))
    }
}

impl Kind for WorkerClass {
    type Value = Self;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Self, Reject> {
        let text = class_of(raw).map_or_else(|| text_of(raw), Ok)?;
        let name = text.strip_prefix("egg:gunicorn#").unwrap_or(text);
        let known = CLASSES.iter().find(|class| class.is_called(&name.to_ascii_lowercase()));
        match known {
            Some(class) => Ok(class.class.clone()),
            None if is_path(text) => Ok(Self::Own(text.to_owned())),
            None if text.contains(['.', ':', '<']) => {
                Err(Reject::because("a worker class of your own is named package.module.Class"))
            }
            None => Err(Reject::Kind),
        }
    }

    fn to_raw(value: &Self) -> Raw {
        Raw::from(value.as_str())
    }

    fn allowed() -> String {
        super::choice::one_of(Self::choices().into_iter())
    }

    fn choices() -> Vec<&'static str> {
        CLASSES.iter().map(|class| class.name).collect()
    }
}

/// `package.module.Class`: names with dots between them.
fn is_path(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    text.contains('.') && text.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_typed_wrong_is_refused() {
        assert_eq!(WorkerClass::parse(&Raw::from("gtread")), Err(Reject::Kind));
    }

    #[test]
    fn a_worker_class_may_be_named_as_gunicorn_names_it() {
        for (name, meant) in [
            ("gunicorn.workers.sync.SyncWorker", WorkerClass::Sync),
            ("egg:gunicorn#sync", WorkerClass::Sync),
            ("GEVENT", WorkerClass::Gevent),
            ("gevent_pywsgi", WorkerClass::Gevent),
            ("egg:gunicorn#gevent", WorkerClass::Gevent),
            ("gunicorn.workers.ggevent.GeventPyWSGIWorker", WorkerClass::Gevent),
            ("gunicorn.workers.gthread.ThreadWorker", WorkerClass::Gthread),
            ("shop.workers.Own", WorkerClass::Own("shop.workers.Own".to_owned())),
        ] {
            assert_eq!(WorkerClass::parse(&Raw::from(name)), Ok(meant.clone()), "{name}");
            let class = Raw::Callable(format!("<class '{name}'>"));
            assert_eq!(WorkerClass::parse(&class), Ok(meant), "{class}");
        }
    }

    #[test]
    fn a_class_that_has_no_path_is_refused() {
        for text in ["egg:shop#own", "shop:Own", "shop..Own", "<function choose>"] {
            assert!(matches!(WorkerClass::parse(&Raw::from(text)), Err(Reject::Because(_))), "{text}");
        }
        let function = Raw::Callable("<function choose>".into());
        assert!(matches!(WorkerClass::parse(&function), Err(Reject::Because(_))));
    }

    #[test]
    fn every_class_is_known_by_its_names() {
        for row in CLASSES {
            assert_eq!(row.class.as_str(), row.name);
            let paths = row.others.iter().filter(|other| other.contains('.'));
            assert!(paths.into_iter().all(|path| WorkerClass::short_name(path) == Some(row.name)));
        }
        assert_eq!(WorkerClass::Gevent.package(), Some("gevent"));
    }
}
