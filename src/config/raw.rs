//! A value before it has a type: what a config file, a flag or a variable holds, as Python would spell it.
//!
//! Owns the value model shared by every layer and its two forms, `Raw` and the Python literal. It knows no
//! setting and checks nothing; `kind` does that. Read next: `kind/mod.rs`.

use std::fmt;

/// One value of a config file. Flags and variables are text, a list of texts, or a bare `Bool`.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    /// A function, class or other callable; the text describes it.
    Callable(String),
    /// Anything else; the text describes it.
    Object(String),
}

impl Raw {
    pub fn strings(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::List(items.into_iter().map(|item| Self::Str(item.into())).collect())
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

/// The Python literal, so that `--print-config` can be pasted into a config file.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Str(text) => quote(f, text),
            Self::List(items) => {
                f.write_str("[")?;
                separated(f, items, |f, item| item.fmt(f))?;
                f.write_str("]")
            }
            Self::Map(items) => {
                f.write_str("{")?;
                separated(f, items, |f, (key, value)| {
                    quote(f, key)?;
                    write!(f, ": {value}")
                })?;
                f.write_str("}")
            }
            Self::Callable(what) | Self::Object(what) => f.write_str(what),
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        each(f, item)?;
    }
    Ok(())
}

/// Like Python's `repr`: single quotes, unless only they occur in the text.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    use fmt::Write as _;
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    f.write_char(mark)?;
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c == mark => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\x{:02x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_a_python_literal() {
        let cases = [
            (Raw::None, "None"),
            (Raw::Bool(true), "True"),
            (Raw::Float(1.0), "1.0"),
            (Raw::from("it's"), "\"it's\""),
            (Raw::from("'\"\\\n\0"), r#"'\'"\\\n\x00'"#),
            (Raw::strings(["a", "b"]), "['a', 'b']"),
            (Raw::Map(vec![("K".into(), Raw::Int(3))]), "{'K': 3}"),
        ];
        for (raw, literal) in cases {
            assert_eq!(raw.to_string(), literal);
        }
    }
}
