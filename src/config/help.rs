//! The words of `-h` and `--help`, from the rows.
//!
//! Owns how a row's documentation looks on a terminal: a line each in the short help, paragraphs in the long one, and
//! never Markdown. Read next: `cli.rs`, which gives them to clap.

use super::kind::Takes;
use super::raw::Raw;
use super::row::Row;
use super::table::Settings;

pub(super) const EXAMPLES: &str = "\
Examples:
  rwsgi -w 4 shop:app                     # four workers on http://127.0.0.1:8000
  rwsgi -b 0.0.0.0:80 'shop:create_app()'
  rwsgi --check-config -c conf.py shop.wsgi

-h tells each option in one line, --help all there is to know. Settings may stand in a
config file (-c) or in variables (RWSGI_WORKERS=4), too.";

/// A line longer than this would be broken in two on a narrow terminal, which short defaults are not worth.
const SHORT_DEFAULT: usize = 16;

/// A column of names.
const WIDEST: usize = 30;

/// One line; a default is shown where there is one that says something.
pub(super) fn short(row: &Row) -> String {
    let summary = plain(row.summary());
    match (row.show)(&Settings::default()) {
        Raw::Str(text)
            if row.facts.default_is.is_none() && !text.is_empty() && text.len() < SHORT_DEFAULT =>
        {
            format!("{summary} [{text}]")
        }
        Raw::Int(number) => format!("{summary} [{number}]"),
        _ => summary,
    }
}

pub(super) fn long(row: &Row) -> String {
    let mut blocks = vec![plain(row.summary())];
    blocks.extend(
        row.blocks().iter().map(|block| if block.starts_with('|') { table(block) } else { plain(block) }),
    );
    blocks.push(facts(row));
    blocks.join("\n\n")
}

fn facts(row: &Row) -> String {
    let mut facts = vec![format!("Default: {}", plain(&row.default_text()))];
    if row.takes != Takes::Nothing {
        facts.push(format!("Value: {}", plain(&(row.allowed)())));
    }
    let longs: Vec<&str> = row.facts.flags.iter().filter(|flag| flag.starts_with("--")).copied().collect();
    if let [_, aliases @ ..] = longs.as_slice()
        && !aliases.is_empty()
    {
        facts.push(format!("Also: {}", aliases.join(", ")));
    }
    let variables: Vec<String> = row.variables().collect();
    facts.push(format!("Environment: {}", variables.join(", ")));
    facts.join("\n")
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// A table of Markdown as columns; the last one is for sentences, and takes what room there is. Names too long for a
/// column have the rest behind them.
fn table(block: &str) -> String {
    let rows: Vec<Vec<String>> = block
        .lines()
        .filter(|line| !line.contains("---"))
        .map(|line| line.trim_matches(['|', ' ']).split('|').map(|cell| plain(cell.trim())).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| column + 1 < row.len()).filter_map(|row| row.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    if width(0) > WIDEST {
        return rows.iter().skip(1).map(|row| row.join(": ")).collect::<Vec<_>>().join("\n");
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_columns() {
        let block = "| Atom | Is |\n|---|---|\n| `h` | the client |\n| `{NAME}i` `x` | a header |";
        assert_eq!(table(block), "Atom       Is\nh          the client\n{NAME}i x  a header");
        let wide = "| Name | Is |\n|---|---|\n| `http.request.method` `url.path` `url.query` | a line |";
        assert_eq!(table(wide), "http.request.method url.path url.query: a line");
    }
}
