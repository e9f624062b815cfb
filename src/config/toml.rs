//! A TOML file as a source of settings: `rwsgi.toml`, or the table `[tool.rwsgi]` of pyproject.toml.
//!
//! Owns the translation of TOML values into [`Raw`] and the lines they stand on. Every name in it must be a setting's: such
//! a file has no variables of its own. Read next: `file.rs`, which decides whether it is read.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::merge::{Assignment, Layer};
use super::names;
use super::origin::Origin;
use super::raw::Raw;
use super::table;
use crate::sys::reason::reason;

/// The file that other programs share, and the table in it.
const SHARED: &str = "pyproject.toml";
const TABLE: [&str; 2] = ["tool", "rwsgi"];

/// The text of a file, and how it is called in messages.
struct File<'a> {
    text: &'a str,
    shown: &'a Path,
}

pub(super) fn layer(path: &Path, shown: &Path) -> Result<Layer, ConfigError> {
    let unreadable = |reason: String| ConfigError::unreadable(shown, &reason);
    let bytes = std::fs::read(path).map_err(|error| unreadable(reason(&error)))?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
    let file = File { text: &text, shown };
    let root = file.parse()?;
    let mut settings = &root;
    if path.file_name().is_some_and(|name| name == SHARED) {
        settings = own_table(&root)
            .ok_or_else(|| unreadable(format!("there is no table [{}] in it", TABLE.join("."))))?;
    }
    let mut entries: Vec<_> = settings.iter().collect();
    // The order of the file: the first mistake is told.
    entries.sort_by_key(|(name, _)| name.span().start);
    let assignments = entries.into_iter().map(|(name, value)| {
        let origin = file.origin(name.span());
        assignment(name.get_ref(), value.get_ref(), origin)
    });
    Ok(Layer { assignments: assignments.collect::<Result<_, _>>()?, warnings: Vec::new() })
}

/// Whether a file that other programs share has settings in it. One that cannot be parsed has, if it mentions the table.
pub(super) fn has_table(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    match DeTable::parse(&text) {
        Ok(root) => own_table(root.get_ref()).is_some(),
        Err(_) => text.contains(&TABLE.join(".")),
    }
}

fn own_table<'a, 'i>(root: &'a DeTable<'i>) -> Option<&'a DeTable<'i>> {
    let mut table = root;
    for name in TABLE {
        table = match table.get(name)?.get_ref() {
            DeValue::Table(inner) => inner,
            _ => return None,
        };
    }
    Some(table)
}

fn assignment(name: &str, value: &DeValue<'_>, origin: Origin) -> Result<Assignment, ConfigError> {
    if name == "config" {
        return Err(ConfigError::config(format!("{origin}: a config file cannot name another one")));
    }
    let row = table::row(name).ok_or_else(|| ConfigError::config(names::unknown(name, &origin)))?;
    Ok(Assignment { row, raw: raw(value), origin })
}

impl<'a> File<'a> {
    fn parse(&self) -> Result<DeTable<'a>, ConfigError> {
        DeTable::parse(self.text).map(Spanned::into_inner).map_err(|error| {
            let origin = self.origin(error.span().unwrap_or_default());
            ConfigError::config(format!("{origin}: not TOML: {}", error.message().replace('\n', ", ")))
        })
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { path: self.shown.to_owned(), line: u32::try_from(line).ok() }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::from(&**text),
        DeValue::Boolean(truth) => Raw::Bool(*truth),
        DeValue::Integer(number) => {
            let digits = number.as_str();
            let parsed = i64::from_str_radix(digits, number.radix());
            parsed.map_or_else(|_| Raw::Object(digits.to_owned()), Raw::Int)
        }
        DeValue::Float(number) => {
            let digits = number.as_str();
            digits.parse().map_or_else(|_| Raw::Object(digits.to_owned()), Raw::Float)
        }
        DeValue::Datetime(time) => Raw::Object(time.to_string()),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Table(pairs) => {
            let text = |name: &Cow<'_, str>| name.clone().into_owned();
            Raw::Map(pairs.iter().map(|(name, value)| (text(name.get_ref()), raw(value.get_ref()))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &[u8]) -> Result<Layer, ConfigError> {
        let folder = std::env::temp_dir().join(format!(
            "rwsgi-toml-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let layer = layer(&path, Path::new(name));
        std::fs::remove_dir_all(&folder).unwrap();
        layer
    }

    #[test]
    fn values_come_with_their_lines() {
        let text = "# settings\nbind = [\n  ':80',\n  ':81',\n]\nworkers = 0x3\npreload_app = true\n\
                    raw_env = 'é=1'\ntimeout = 1.5\nbacklog = 99999999999999999999\nkeepalive = 1979-05-27\n\
                    [secure_scheme_headers]\nX-SSL = \"on\"\n[logconfig_dict.handlers.a]\nlevel = 1\n";
        let layer = read("rwsgi.toml", text.as_bytes()).unwrap();
        let shown: Vec<String> = layer
            .assignments
            .iter()
            .map(|assignment| format!("{} {} {}", assignment.origin, assignment.row.name, assignment.raw))
            .collect();
        assert_eq!(
            shown,
            [
                "rwsgi.toml:2 bind [':80', ':81']",
                "rwsgi.toml:6 workers 3",
                "rwsgi.toml:7 preload_app True",
                "rwsgi.toml:8 raw_env 'é=1'",
                "rwsgi.toml:9 timeout 1.5",
                "rwsgi.toml:10 backlog 99999999999999999999",
                "rwsgi.toml:11 keepalive 1979-05-27",
                "rwsgi.toml:12 secure_scheme_headers {'X-SSL': 'on'}",
                "rwsgi.toml:14 logconfig_dict {'handlers': {'a': {'level': 1}}}",
            ]
        );
    }

    #[test]
    fn of_a_shared_file_one_table_counts() {
        let text = "[project]\nname = 'shop'\n[tool.other]\nwrokers = 1\n[tool.rwsgi]\nworkers = 4\n";
        let layer = read("pyproject.toml", text.as_bytes()).unwrap();
        assert_eq!(layer.assignments.len(), 1);
        assert_eq!(layer.assignments[0].origin.to_string(), "pyproject.toml:6");
        let error = read("pyproject.toml", b"[tool.other]\n").unwrap_err();
        assert!(error.message.ends_with("there is no table [tool.rwsgi] in it"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, said) in [
            (&b"\nwrokers = 3\n"[..], "rwsgi.toml:2: unknown setting 'wrokers' (did you mean 'workers'?)"),
            (b"[database]\nurl = ''\n", "rwsgi.toml:1: unknown setting 'database'"),
            (b"workers = 1\nworkers = 2\n", "rwsgi.toml:2: not TOML: duplicate key"),
            (b"workers = 1\nbind = [\n", "rwsgi.toml:2: not TOML: "),
            (b"config = 'x'\n", "rwsgi.toml:1: a config file cannot name another one"),
            (b"bind = '\xff'\n", "Failed to read config file: rwsgi.toml\ninvalid utf-8"),
        ] {
            let error = read("rwsgi.toml", text).unwrap_err();
            assert!(error.message.starts_with(said), "{error}");
            assert!(error.exit_code == 1 && error.message.lines().count() <= 2, "{error}");
        }
    }
}
