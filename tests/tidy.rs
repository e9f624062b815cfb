//! House rules that the compiler does not check: head comments, file sizes, and who may import whom.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules in dependency order: each may import only from those before it.
const LAYERS: [&str; 12] =
    ["sys", "http", "config", "net", "scoreboard", "log", "watch", "py", "wsgi", "asgi", "worker", "arbiter"];
/// Lines a file may have; tables of data and tests a little more.
const CEILING: usize = 500;
const DATA_CEILING: usize = 600;

fn sources(folder: &str, extension: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} files under {folder}");
    found
}

#[test]
fn every_source_file_says_what_it_owns() {
    for path in sources("src", "rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no head comment", path.display());
    }
    for path in sources("python", "py") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("\"\"\""), "{} has no docstring", path.display());
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for path in sources("src", "rs") {
        let data = path.components().any(|part| part.as_os_str() == "table" || part.as_os_str() == "tests")
            || path.file_name().is_some_and(|name| name == "tests.rs");
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let ceiling = if data { DATA_CEILING } else { CEILING };
        assert!(lines <= ceiling, "{} has {lines} lines, more than {ceiling}", path.display());
    }
}

#[test]
fn lower_modules_do_not_import_upper_ones() {
    for path in sources("src", "rs") {
        let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let top = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let Some(own) = LAYERS.iter().position(|layer| *layer == top) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for (_, rest) in line.match_indices("crate::").map(|(at, found)| line.split_at(at + found.len()))
            {
                let name: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let imported = LAYERS.iter().position(|layer| *layer == name);
                assert!(
                    imported.is_none_or(|imported| imported <= own),
                    "{}:{}: `{top}` may not import `{name}`",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}
