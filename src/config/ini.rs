//! A PasteDeploy ini file as a source of settings: the section of the server that was started from it, and its loggers.
//!
//! PasteDeploy reads the file; its lines are looked at here only to tell where a value stands, and whether there are
//! loggers in it. A name that is no setting's is an error: nothing else can be meant. Read next: `sources.rs`,
//! `python/rwsgi/paste.py`.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, Warning};
use super::kind::{Flag, Kind, Takes};
use super::merge::{Assignment, Layer};
use super::names;
use super::origin::Origin;
use super::raw::Raw;
use super::row::Row;
use super::table;

/// The section `[server:…]` that started this process, which has loaded the application already.
#[derive(Clone, Debug, Default)]
pub struct ServerSection {
    pub file: PathBuf,
    /// Its settings, as PasteDeploy has read them.
    pub pairs: Vec<(String, String)>,
}

/// The section as a layer. The application is in this process, so it is a preloaded one.
pub(super) fn layer(section: &ServerSection, cwd: &Path) -> Result<Layer, ConfigError> {
    let text = text_of(&section.file);
    let shown = section.file.strip_prefix(cwd).unwrap_or(&section.file);
    let origin = |name| Origin::File { path: shown.to_owned(), line: line_of(&text, name) };
    let value = |name| section.pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
    let mut layer = Layer::default();
    let mut assign = |name: &str, raw: Raw, origin: Origin| {
        let row = table::row(name).ok_or_else(|| unknown(name, &origin))?;
        layer.assignments.push(Assignment { row, raw, origin });
        Ok(())
    };
    assign("paste", Raw::Str(section.file.display().to_string()), origin("use"))?;
    if let Some(bind) = bind(value("host"), value("port")) {
        let key = if value("host").is_some() { "host" } else { "port" };
        assign("bind", bind, origin(key))?;
    }
    for (key, text) in &section.pairs {
        let name = key.to_ascii_lowercase();
        if name != "host" && name != "port" {
            let raw = table::row(&name).map_or(Raw::None, |row| raw(row, text));
            assign(&name, raw, origin(key))?;
        }
    }
    // Last, so that nothing undoes it.
    assign("preload_app", Raw::Bool(true), origin("use"))?;
    if value("preload_app").is_some_and(|text| Flag::parse(&Raw::from(text.as_str())) == Ok(false)) {
        let why = "the application is loaded before its server is called";
        layer.warnings.push(Warning(format!("{}: preload_app has no effect: {why}", origin("preload_app"))));
    }
    Ok(layer)
}

fn bind(host: Option<&String>, port: Option<&String>) -> Option<Raw> {
    let said =
        |text: Option<&String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match (said(host), said(port)) {
        (host, Some(port)) => {
            Some(Raw::Str(format!("{}:{port}", host.unwrap_or_else(|| "127.0.0.1".to_owned()))))
        }
        (Some(host), None) => Some(Raw::strings(host.split(','))),
        (None, None) => None,
    }
}

/// A list has an item on each line.
fn raw(row: &Row, text: &str) -> Raw {
    match row.takes {
        Takes::Items => Raw::strings(text.lines().map(str::trim).filter(|line| !line.is_empty())),
        _ => Raw::from(text),
    }
}

fn unknown(name: &str, origin: &Origin) -> ConfigError {
    ConfigError::config(names::unknown(name, origin))
}

/// Where the section `[loggers]` of Python's logging begins.
pub(super) fn loggers(file: &Path) -> Option<u32> {
    let text = text_of(file);
    let lines = text.lines().zip(1..);
    lines.filter(|(line, _)| header(line) == Some("loggers")).map(|(_, number)| number).next()
}

/// Empty if it cannot be read: whoever loads the application says so.
fn text_of(file: &Path) -> String {
    std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split(']').next()
}

/// The line of `key` in the server's section that names this program.
fn line_of(text: &str, key: &str) -> Option<u32> {
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        match header(line) {
            Some(_) if is_ours(&lines) => break,
            Some(section) => {
                lines = if section.starts_with("server:") { vec![("", "", 0)] } else { Vec::new() }
            }
            None if !lines.is_empty() && !line.starts_with([' ', '\t', '#', ';']) => {
                lines.extend(
                    line.split_once(['=', ':']).map(|(key, value)| (key.trim(), value.trim(), number)),
                );
            }
            None => {}
        }
    }
    let found = lines.iter().find(|(name, ..)| name.eq_ignore_ascii_case(key)).filter(|_| is_ours(&lines));
    found.map(|(.., number)| *number)
}

fn is_ours(lines: &[(&str, &str, u32)]) -> bool {
    lines.iter().any(|(key, value, _)| *key == "use" && value.contains("rwsgi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_the_servers_own_section() {
        let text = "[app:main]\nworkers = 1\n[server:other]\nuse = egg:waitress#main\nworkers = 2\n\
                    [server:main]\n# workers = 3\nuse = egg:rwsgi#main\n workers = 4\nbind=:80\nworkers : 5\n\
                    [loggers]\nworkers = 6\n";
        assert_eq!(line_of(text, "workers"), Some(11));
        assert_eq!(line_of(text, "bind"), Some(10));
        assert_eq!(line_of(text, "timeout"), None);
        assert_eq!(line_of("[server:main]\nworkers = 1\n", "workers"), None);
    }

    fn section(pairs: &[(&str, &str)]) -> Result<Vec<(&'static str, String)>, String> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let section = ServerSection { file: "/srv/app.ini".into(), pairs };
        let layer = layer(&section, Path::new("/srv")).map_err(|error| error.message)?;
        let assignments = layer.assignments.into_iter();
        Ok(assignments.map(|assignment| (assignment.row.name, assignment.raw.to_string())).collect())
    }

    #[test]
    fn its_settings_are_text_and_lists_have_lines() {
        let found = section(&[("Workers", "3"), ("raw_env", "\nA=1\nB=2")]).unwrap();
        assert_eq!(found[0], ("paste", "'/srv/app.ini'".into()));
        assert_eq!(found[1..3], [("workers", "'3'".into()), ("raw_env", "['A=1', 'B=2']".into())]);
        assert_eq!(found[3], ("preload_app", "True".into()));
        assert_eq!(
            section(&[("wrokers", "3")]),
            Err("app.ini: unknown setting 'wrokers' (did you mean 'workers'?)".into())
        );
    }

    #[test]
    fn a_host_is_an_address() {
        for (pairs, bind) in [
            (&[("host", "::"), ("port", "80")][..], Some("':::80'")),
            (&[("host", "unix:a,:80")], Some("['unix:a', ':80']")),
            (&[("port", "80")], Some("'127.0.0.1:80'")),
            (&[("host", " "), ("port", "80")], Some("'127.0.0.1:80'")),
            (&[("host", ""), ("port", "")], None),
        ] {
            let found = section(pairs).unwrap();
            let found = found.iter().find(|(name, _)| *name == "bind").map(|(_, raw)| raw.as_str());
            assert_eq!(found, bind);
        }
    }
}
