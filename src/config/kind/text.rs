//! Kinds that are one text or one truth: names, paths, switches.
//!
//! Text loses the spaces around it and nothing else. Paths are kept as written; whoever opens one decides
//! what it is relative to. Read next: `list.rs`.

use std::path::PathBuf;

use super::{Kind, Reject, Takes, text_of};
use crate::config::raw::Raw;

pub struct Text;

impl Kind for Text {
    type Value = String;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<String, Reject> {
        text_of(raw).map(str::to_owned)
    }

    fn to_raw(value: &String) -> Raw {
        Raw::from(value.as_str())
    }

    fn allowed() -> String {
        "a string".to_owned()
    }
}

/// Text or nothing; the empty text is nothing.
pub struct OptionalText;

impl Kind for OptionalText {
    type Value = Option<String>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Option<String>, Reject> {
        match raw {
            Raw::None => Ok(None),
            _ => text_of(raw).map(|text| (!text.is_empty()).then(|| text.to_owned())),
        }
    }

    fn to_raw(value: &Option<String>) -> Raw {
        value.as_deref().map_or(Raw::None, Raw::from)
    }

    fn allowed() -> String {
        "a string or None".to_owned()
    }
}

/// A PasteDeploy file and the section in it. `merge` makes it absolute and checks that it exists: a kind may not look.
pub struct PasteUri;

impl Kind for PasteUri {
    type Value = Option<String>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Option<String>, Reject> {
        OptionalText::parse(raw)
    }

    fn to_raw(value: &Option<String>) -> Raw {
        OptionalText::to_raw(value)
    }

    fn allowed() -> String {
        "FILE.ini, FILE.ini#NAME or None".to_owned()
    }
}

pub struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Option<PathBuf>, Reject> {
        OptionalText::parse(raw).map(|text| text.map(PathBuf::from))
    }

    fn to_raw(value: &Option<PathBuf>) -> Raw {
        value.as_ref().map_or(Raw::None, |path| Raw::Str(path.display().to_string()))
    }

    fn allowed() -> String {
        "a path or None".to_owned()
    }
}

/// A user or group, by name or number. `merge` checks that there is one: a kind may not look.
pub struct Account;

impl Kind for Account {
    type Value = Option<String>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Option<String>, Reject> {
        match raw {
            Raw::Int(number) => match u32::try_from(*number) {
                Ok(number) => Ok(Some(number.to_string())),
                Err(_) => Err(Reject::Kind),
            },
            _ => OptionalText::parse(raw),
        }
    }

    fn to_raw(value: &Option<String>) -> Raw {
        OptionalText::to_raw(value)
    }

    fn allowed() -> String {
        "a name, a number or None".to_owned()
    }
}

/// A directory. `merge` makes it absolute and checks that it exists: a kind may not look.
pub struct Directory;

impl Kind for Directory {
    type Value = PathBuf;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<PathBuf, Reject> {
        match text_of(raw)? {
            "" => Err(Reject::Kind),
            text => Ok(PathBuf::from(text)),
        }
    }

    fn to_raw(value: &PathBuf) -> Raw {
        Raw::Str(value.display().to_string())
    }

    fn allowed() -> String {
        "an existing directory".to_owned()
    }
}

pub struct Flag;

impl Kind for Flag {
    type Value = bool;
    const TAKES: Takes = Takes::Nothing;

    fn parse(raw: &Raw) -> Result<bool, Reject> {
        if let Raw::Bool(on) = raw {
            return Ok(*on);
        }
        match text_of(raw)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" => Ok(true),
            "false" | "no" | "n" | "off" | "0" => Ok(false),
            _ => Err(Reject::Kind),
        }
    }

    fn to_raw(value: &bool) -> Raw {
        Raw::Bool(*value)
    }

    fn allowed() -> String {
        "True or False".to_owned()
    }
}

/// A switch that also has a middle position, "as the server thinks best".
pub struct OptionalFlag;

impl Kind for OptionalFlag {
    type Value = Option<bool>;
    const TAKES: Takes = Takes::Nothing;

    fn parse(raw: &Raw) -> Result<Option<bool>, Reject> {
        match raw {
            Raw::None => Ok(None),
            _ => Flag::parse(raw).map(Some),
        }
    }

    fn to_raw(value: &Option<bool>) -> Raw {
        value.map_or(Raw::None, Raw::Bool)
    }

    fn allowed() -> String {
        "True, False or None".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_loses_only_its_margins() {
        assert_eq!(Text::parse(&Raw::from(" a  b ")), Ok("a  b".to_owned()));
        assert_eq!(Text::parse(&Raw::Int(3)), Err(Reject::Kind));
        assert_eq!(OptionalText::parse(&Raw::from(" ")), Ok(None));
        assert_eq!(OptionalPath::parse(&Raw::None), Ok(None));
        assert_eq!(Directory::parse(&Raw::from("")), Err(Reject::Kind));
        assert_eq!(Account::parse(&Raw::Int(33)), Ok(Some("33".to_owned())));
        assert_eq!(Account::parse(&Raw::Int(-1)), Err(Reject::Kind));
    }

    #[test]
    fn a_flag_is_a_truth_and_never_a_number() {
        assert_eq!(Flag::parse(&Raw::from("True")), Ok(true));
        assert_eq!(Flag::parse(&Raw::from("off")), Ok(false));
        assert_eq!(Flag::parse(&Raw::Int(1)), Err(Reject::Kind));
        assert_eq!(Flag::parse(&Raw::from("maybe")), Err(Reject::Kind));
        assert_eq!(OptionalFlag::parse(&Raw::None), Ok(None));
    }
}
