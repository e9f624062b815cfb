//! docs/settings.md, from the rows.
//!
//! Never edit the file: a test compares it with this text and rewrites it under `RWSGI_REGENERATE=1`. Read
//! next: `table/workers.rs` for where the words are.

use super::kind::Takes;
use super::row::Row;
use super::table;

const HEAD: &str = "\
# Settings

<!-- From src/config/table: `RWSGI_REGENERATE=1 cargo test --no-default-features settings_md`. Do not edit. -->

A setting has one name everywhere. In a config file it is a Python variable or a TOML key, on the command line
a flag, in the environment `RWSGI_` and its name in capitals. Where several set it, the last of these wins:

1. the default;
2. the environment: `RWSGI_<NAME>`, else the other variables named below;
3. the config file: `-c PATH`, else the first of `./rwsgi.conf.py`, `./rwsgi.toml`, `./gunicorn.conf.py` and the table
   `[tool.rwsgi]` of `./pyproject.toml`;
4. the arguments in `RWSGI_CMD_ARGS`, else in `GUNICORN_CMD_ARGS`;
5. the command line.

Under `pserve` the section `[server:NAME]` of its ini file stands in the place of 4 and 5.

A list replaces the list below it; nothing is appended. In a variable the items of a list are separated by
spaces and may be quoted as in a shell; an empty variable counts as unset where an empty text is no value. Long
flags may be shortened as long as they are unambiguous; of a flag given twice the last one counts.

`rwsgi --print-config` prints every value and where it came from. *Changed by* says what it takes for a new
value to reach a running server. Another value than the default is an error where a setting is not supported
yet, and told with a warning where it has no effect. A variable that begins with `RWSGI_` and is no setting gets
a warning, too.
";

pub fn settings_markdown() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for row in table::rows() {
        if row.section != section {
            section = row.section;
            text.push_str(&format!("\n## {section}\n"));
        }
        text.push_str(&entry(row));
    }
    text
}

fn entry(row: &Row) -> String {
    let mut text = format!("\n### {}\n\n{}\n", row.name, row.summary());
    for paragraph in row.blocks() {
        text.push_str(&format!("\n{paragraph}\n"));
    }
    let variables: Vec<String> = row.variables().map(|name| format!("`{name}`")).collect();
    text.push_str("\n| | |\n|---|---|\n");
    if !row.facts.flags.is_empty() {
        text.push_str(&format!("| Flags | {} |\n", flags(row)));
    }
    text.push_str(&format!("| Value | {} |\n", (row.allowed)()));
    text.push_str(&format!("| Default | {} |\n", row.default_text()));
    text.push_str(&format!("| Environment | {} |\n", variables.join(", ")));
    if let Some(why) = row.facts.not_yet {
        text.push_str(&format!("| Supported | not yet: {why} |\n"));
    } else if let Some(why) = row.facts.moot {
        text.push_str(&format!("| Effect | none: {why} |\n"));
    } else {
        text.push_str(&format!("| Changed by | {} |\n", row.facts.live.describe()));
    }
    text
}

fn flags(row: &Row) -> String {
    let value = match row.takes {
        Takes::Nothing => String::new(),
        Takes::Optional(_) => format!(" [{}]", row.facts.metavar),
        _ => format!(" {}", row.facts.metavar),
    };
    row.facts.flags.iter().map(|flag| format!("`{flag}{value}`")).collect::<Vec<_>>().join(", ")
}
