//! Whether a person watches a stream, and whether what is written there may have colours.
//!
//! Owns the variables by which a person says so (NO_COLOR, FORCE_COLOR, TERM), in the order in which Python obeys them.
//! Must never colour a file: whoever asks knows what the stream is. Read next: `greeting.rs`.

use std::io::IsTerminal;

/// Ends a colour.
const PLAIN: &str = "\x1b[0m";

/// Whether `stream`, which is one of the process's own and no file of ours, is to have colours.
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    wants_colours(stream.is_terminal(), |name| {
        std::env::var_os(name).map(|value| value.to_string_lossy().into())
    })
}

fn wants_colours(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        false
    } else if is_set("FORCE_COLOR") {
        true
    } else {
        is_terminal && variable("TERM").is_none_or(|term| term != "dumb")
    }
}

/// `text` in a colour of ECMA-48's SGR, or as it is.
pub fn painted(text: &str, colour: &str, has_colours: bool) -> String {
    if has_colours { format!("\x1b[{colour}m{text}{PLAIN}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_colours_unless_somebody_minds() {
        let cases = [
            (true, "", true),
            (false, "", false),
            (true, "TERM=xterm", true),
            (true, "TERM=dumb", false),
            (true, "NO_COLOR=1", false),
            (true, "NO_COLOR=", true),
            (false, "FORCE_COLOR=1", true),
            (true, "FORCE_COLOR=1 TERM=dumb", true),
            (true, "FORCE_COLOR=1 NO_COLOR=1", false),
        ];
        for (is_terminal, variables, expected) in cases {
            let variable = |name: &str| {
                let mut pairs = variables.split(' ').filter_map(|pair| pair.split_once('='));
                pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
            };
            assert_eq!(wants_colours(is_terminal, variable), expected, "{is_terminal} {variables:?}");
        }
    }
}
