//! What is wrong with a command line, in one line: clap's words, with the flag that was probably meant.
//!
//! Must never show the usage; whoever prints the error knows if it belongs there. Read next: `cli.rs`.

use clap::error::{ContextKind, ContextValue};

use super::row::Row;
use super::table;

/// Of the flags that an abbreviation may stand for.
const SHOWN: usize = 4;

pub(super) fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = first.strip_suffix(" found").unwrap_or(first);
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && !values.is_empty()
    {
        return format!("{first}; possible values: {}", values.join(", "));
    }
    match meant(error) {
        Some(flags) => format!("{first}; did you mean {flags}?"),
        None => first.to_owned(),
    }
}

fn meant(error: &clap::Error) -> Option<String> {
    let ContextValue::String(given) = error.get(ContextKind::InvalidArg)? else { return None };
    let name = given.split('=').next().unwrap_or(given);
    let longer: Vec<String> = flags().filter(|flag| begins(flag, name)).map(quoted).collect();
    if !longer.is_empty() {
        let shown = longer.get(..SHOWN).unwrap_or(&longer).join(", ");
        let more = if longer.len() > SHOWN { " or another" } else { "" };
        return Some(format!("{shown}{more}"));
    }
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(flag) => Some(quoted(flag)),
        ContextValue::Strings(flags) => flags.first().map(|flag| quoted(flag)),
        _ => None,
    }
}

/// `flag` is longer than `name`, which nobody can tell from another one then.
fn begins(flag: &str, name: &str) -> bool {
    name.len() > 2 && flag.len() > name.len() && flag.starts_with(name)
}

fn quoted(flag: &str) -> String {
    format!("'{flag}'")
}

/// Those that `--help` shows.
fn flags() -> impl Iterator<Item = &'static str> {
    let long = |row: &Row| row.facts.flags.iter().find(|flag| flag.starts_with("--")).copied();
    table::rows().filter(|row| row.works()).filter_map(long)
}
