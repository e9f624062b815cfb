//! Splits one text into words as a POSIX shell would, without expanding anything.
//!
//! Used for `RWSGI_CMD_ARGS` and for variables that hold a list. Owns quotes and backslashes (POSIX.1 Shell
//! Command Language, section 2.2), never `$`, globs or comments. Read next: `env.rs`.

use std::str::Chars;

pub(super) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = text.chars();
    // None between words, so that '' is a word and a run of spaces is not.
    let mut word: Option<String> = None;
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => {
                word.get_or_insert_default().push(chars.next().ok_or("nothing follows the last backslash")?)
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(chars: &mut Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    for c in chars {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err("a quotation is not closed")
}

fn double_quoted(chars: &mut Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err("a quotation is not closed")
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_hold_words_together() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  -w 3\t--bind=:80\n", &["-w", "3", "--bind=:80"]),
            ("-e 'A=b c' \"D=e f\" g\\ h", &["-e", "A=b c", "D=e f", "g h"]),
            ("a'b'\"c\"d ''", &["abcd", ""]),
            (r#""\" \$ \n" '\n'"#, &["\" $ \\n", "\\n"]),
            ("#not a comment $HOME *", &["#not", "a", "comment", "$HOME", "*"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).expect(text), *expected, "{text}");
        }
        for text in ["'a", "\"a", "\"a\\", "a\\"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
