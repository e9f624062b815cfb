//! The table against itself and against what is made from it.

use std::collections::HashSet;
use std::path::Path;

use crate::config::kind::{HeaderMap, Level, Takes};
use crate::config::table::{row, rows};
use crate::config::{Raw, Settings, cli, docs};

#[test]
fn names_flags_and_variables_are_unique() {
    let mut names = HashSet::new();
    let mut flags = HashSet::from(["-h", "--help", "-v", "--version"]);
    let mut variables = HashSet::new();
    for row in rows() {
        assert!(names.insert(row.name), "{}", row.name);
        assert!(row.facts.flags.iter().all(|flag| flags.insert(flag)), "{}", row.name);
        assert!(row.variables().all(|name| variables.insert(name)), "{}", row.name);
    }
}

#[test]
fn every_row_is_documented() {
    for row in rows() {
        let summary = row.summary();
        assert!(summary.ends_with('.') && summary.len() > 10, "{}: {summary}", row.name);
        assert_eq!(row.docs.get(1).map_or("", |line| line.trim()), "", "{}: summary of one line", row.name);
        assert!(!(row.allowed)().is_empty(), "{}", row.name);
        for flag in row.facts.flags {
            let form = flag.strip_prefix("--").map_or(flag.len() == 2, |long| long.len() > 2);
            assert!(flag.starts_with('-') && form, "{}: {flag}", row.name);
        }
        let shows_metavar = !row.facts.flags.is_empty() && row.takes != Takes::Nothing;
        assert!(!shows_metavar || !row.facts.metavar.is_empty(), "{}: metavar", row.name);
    }
}

#[test]
fn defaults_are_values() {
    for row in rows() {
        let default = (row.show)(&Settings::default());
        let mut settings = Settings::default();
        assert_eq!((row.set)(&mut settings, &default), Ok(()), "{}", row.name);
        assert_eq!(settings, Settings::default(), "{}", row.name);
    }
}

/// A number, a truth or a name means the same as text, which is what flags and variables hold.
#[test]
fn defaults_parse_back_from_their_own_text() {
    for row in rows() {
        let text = match (row.show)(&Settings::default()) {
            Raw::Str(text) => text,
            raw @ (Raw::Int(_) | Raw::Bool(_)) => raw.to_string(),
            Raw::List(_) | Raw::Map(_) | Raw::None => continue,
            other => panic!("{}: {other}", row.name),
        };
        let mut settings = Settings::default();
        assert_eq!((row.set)(&mut settings, &Raw::Str(text)), Ok(()), "{}", row.name);
        assert_eq!(settings, Settings::default(), "{}", row.name);
    }
}

#[test]
fn choices_are_listed_and_parse() {
    let choices = [
        ("loglevel", Level::ALL.iter().map(|choice| choice.as_str()).collect::<Vec<_>>()),
        ("header_map", HeaderMap::ALL.iter().map(|choice| choice.as_str()).collect()),
    ];
    for (name, choices) in choices {
        let row = row(name).expect(name);
        let allowed = (row.allowed)();
        for choice in choices {
            assert!(allowed.contains(choice), "{name}: {choice}");
            let mut settings = Settings::default();
            assert_eq!((row.set)(&mut settings, &Raw::from(choice)), Ok(()), "{name}");
            assert_eq!((row.show)(&settings), Raw::from(choice), "{name}");
        }
    }
}

#[test]
fn help_fits_a_terminal() {
    for long in [false, true] {
        for line in cli::help(long).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn help_is_no_markdown() {
    for long in [false, true] {
        let help = cli::help(long);
        assert!(!help.contains('`') && !help.contains("|--"), "{help}");
    }
}

#[test]
fn short_help_gives_each_flag_one_line() {
    let help = cli::help(false);
    assert!(help.contains("Usage: rwsgi [OPTIONS] [APP_MODULE]"), "{help}");
    for row in rows() {
        let long = row.facts.flags.iter().find(|flag| flag.starts_with("--"));
        let Some(long) = long else { continue };
        if !row.works() {
            assert!(!help.split_whitespace().any(|word| word == *long), "{long} is shown");
            continue;
        }
        let line = help.lines().find(|line| line.split_whitespace().any(|word| word == *long));
        let summary = row.summary().replace('`', "");
        assert!(line.is_some_and(|line| line.contains(&summary)), "{}: {line:?}", row.name);
        assert!(help.contains(&format!("\n{}:\n", row.section)), "{}", row.section);
    }
}

#[test]
fn shells_complete_what_works_and_nothing_else() {
    for shell in ["bash", "fish", "zsh"] {
        let script = cli::completion(shell);
        for row in rows().filter(|row| !row.facts.flags.is_empty()) {
            let long = row.facts.flags.iter().find_map(|flag| flag.strip_prefix("--")).unwrap_or_default();
            let is_there = script
                .split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
                .any(|word| word.trim_start_matches("--") == long);
            assert_eq!(is_there, row.works(), "{shell}: {long}");
        }
    }
}

#[test]
fn settings_md_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let text = docs::settings_markdown();
    if std::env::var_os("RWSGI_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == text,
        "docs/settings.md is stale; run this test with RWSGI_REGENERATE=1 and commit the file"
    );
}
