//! Kinds that hold several values: addresses to bind, networks, header names, variables.
//!
//! A list is given whole: an item that is wrong refuses the list and is named. A config file may hold one
//! string where a list belongs. Read next: `../address.rs` and `http/trusted.rs`, which know the items.

use super::{Kind, Reject, Takes, text_of};
use crate::config::address::Address;
use crate::config::raw::Raw;
use crate::http::TrustedPeers;

/// Addresses to listen on, as written; each is known to be an [`Address`].
pub struct Binds;

impl Kind for Binds {
    type Value = Vec<String>;
    const TAKES: Takes = Takes::Items;

    fn parse(raw: &Raw) -> Result<Vec<String>, Reject> {
        let binds = items(raw)?;
        if binds.is_empty() {
            return Err(Reject::Kind);
        }
        for bind in &binds {
            Address::parse(bind).map_err(Reject::Because)?;
        }
        Ok(binds)
    }

    fn to_raw(value: &Vec<String>) -> Raw {
        Raw::strings(value)
    }

    fn allowed() -> String {
        "HOST:PORT, HOST, :PORT, [IPV6]:PORT, unix:PATH, fd://N or fd://NAME, or a list of them".to_owned()
    }
}

/// Any strings.
pub struct Strings;

impl Kind for Strings {
    type Value = Vec<String>;
    const TAKES: Takes = Takes::Items;

    fn parse(raw: &Raw) -> Result<Vec<String>, Reject> {
        items(raw)
    }

    fn to_raw(value: &Vec<String>) -> Raw {
        Raw::strings(value)
    }

    fn allowed() -> String {
        "a string, or a list of them".to_owned()
    }
}

/// Directories for `sys.path`, from one text with commas.
pub struct SearchPath;

impl Kind for SearchPath {
    type Value = Vec<String>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Vec<String>, Reject> {
        comma_separated(raw)
    }

    fn to_raw(value: &Vec<String>) -> Raw {
        Raw::strings(value)
    }

    fn allowed() -> String {
        "directories separated by commas, or a list".to_owned()
    }
}

/// Peers by address: `*`, addresses and networks.
pub struct Networks;

impl Kind for Networks {
    type Value = Vec<String>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Vec<String>, Reject> {
        let networks = comma_separated(raw)?;
        TrustedPeers::from_entries(networks.iter().map(String::as_str))
            .map_err(|error| Reject::Because(error.to_string()))?;
        Ok(networks)
    }

    fn to_raw(value: &Vec<String>) -> Raw {
        Raw::strings(value)
    }

    fn allowed() -> String {
        "IP addresses and CIDR networks separated by commas, or * for every peer".to_owned()
    }
}

/// Names of header fields or environ keys, in upper case; `*` stands for all.
pub struct HeaderNames;

impl Kind for HeaderNames {
    type Value = Vec<String>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Vec<String>, Reject> {
        let names = comma_separated(raw)?;
        match names.iter().find(|name| *name != "*" && !is_token(name)) {
            Some(name) => Err(Reject::because(format!("'{name}' is not a header name"))),
            None => Ok(names.iter().map(|name| name.to_ascii_uppercase()).collect()),
        }
    }

    fn to_raw(value: &Vec<String>) -> Raw {
        Raw::strings(value)
    }

    fn allowed() -> String {
        "header names separated by commas, or *".to_owned()
    }
}

/// `NAME=VALUE` pairs for the process environment.
pub struct Variables;

impl Kind for Variables {
    type Value = Vec<(String, String)>;
    const TAKES: Takes = Takes::Items;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject> {
        let pair = |item: &String| {
            split_pair(item).ok_or_else(|| Reject::because(format!("environment setting '{item}' invalid")))
        };
        items(raw)?.iter().map(pair).collect()
    }

    fn to_raw(value: &Self::Value) -> Raw {
        Raw::strings(value.iter().map(|(name, value)| format!("{name}={value}")))
    }

    fn allowed() -> String {
        "NAME=VALUE, or a list of them".to_owned()
    }
}

/// `NAME=VALUE` pairs for a PasteDeploy file, where `\=` is an equals sign that does not separate.
pub struct PasteVariables;

impl Kind for PasteVariables {
    type Value = Vec<(String, String)>;
    const TAKES: Takes = Takes::Items;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject> {
        let pair = |item: &String| {
            let mut signs = item.match_indices('=').map(|(at, _)| at);
            let at = signs.find(|at| !item.get(..*at).unwrap_or_default().ends_with('\\'));
            let (name, value) =
                at.and_then(|at| Some((item.get(..at)?, item.get(at + 1..)?))).ok_or(Reject::Kind)?;
            Ok((name.replace("\\=", "="), value.replace("\\=", "=")))
        };
        items(raw)?.iter().map(pair).collect()
    }

    fn to_raw(value: &Self::Value) -> Raw {
        let escaped = |value: &str| match value.contains("\\=") {
            true => value.replace('=', "\\="),
            false => value.to_owned(),
        };
        Raw::strings(
            value.iter().map(|(name, value)| format!("{}={}", name.replace('=', "\\="), escaped(value))),
        )
    }

    fn allowed() -> String {
        Variables::allowed()
    }
}

/// Header fields a trusted proxy sets when its client used TLS, with the value that says so.
pub struct SchemeHeaders;

impl Kind for SchemeHeaders {
    type Value = Vec<(String, String)>;
    const TAKES: Takes = Takes::Items;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject> {
        let pairs: Vec<(String, String)> = match raw {
            Raw::Map(pairs) => pairs
                .iter()
                .map(|(name, value)| text_of(value).map(|value| (name.clone(), value.to_owned())))
                .collect::<Result<_, _>>()?,
            _ => items(raw)?
                .iter()
                .map(|item| split_pair(item).ok_or(Reject::Kind))
                .collect::<Result<_, _>>()?,
        };
        match pairs.iter().find(|(name, _)| !is_token(name)) {
            Some((name, _)) => Err(Reject::because(format!("'{name}' is not a header name"))),
            None => Ok(pairs.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect()),
        }
    }

    fn to_raw(value: &Self::Value) -> Raw {
        Raw::Map(value.iter().map(|(name, value)| (name.clone(), Raw::from(value.as_str()))).collect())
    }

    fn allowed() -> String {
        "a dict of header names and values".to_owned()
    }
}

fn items(raw: &Raw) -> Result<Vec<String>, Reject> {
    match raw {
        Raw::List(items) => items.iter().map(|item| text_of(item).map(str::to_owned)).collect(),
        Raw::None => Ok(Vec::new()),
        _ => Ok(vec![text_of(raw)?.to_owned()]),
    }
}

fn comma_separated(raw: &Raw) -> Result<Vec<String>, Reject> {
    let texts = items(raw)?;
    let parts = texts.iter().flat_map(|text| text.split(','));
    Ok(parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

fn split_pair(item: &str) -> Option<(String, String)> {
    let (name, value) = item.split_once('=')?;
    (!name.is_empty() && !item.contains('\0')).then(|| (name.to_owned(), value.to_owned()))
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn one_string_is_a_list_of_one() {
        assert_eq!(Binds::parse(&Raw::from(" :80 ")), Ok(strings(&[":80"])));
        assert_eq!(Binds::parse(&Raw::List(vec![])), Err(Reject::Kind));
        assert_eq!(Binds::parse(&Raw::List(vec![Raw::Int(80)])), Err(Reject::Kind));
    }

    #[test]
    fn commas_separate_and_may_trail() {
        assert_eq!(SearchPath::parse(&Raw::from("a, b,")), Ok(strings(&["a", "b"])));
        assert_eq!(SearchPath::parse(&Raw::strings(["a,b", "c"])), Ok(strings(&["a", "b", "c"])));
        assert_eq!(SearchPath::parse(&Raw::None), Ok(vec![]));
    }

    #[test]
    fn an_empty_text_trusts_nobody() {
        assert_eq!(Networks::parse(&Raw::from("")), Ok(vec![]));
        assert_eq!(Networks::parse(&Raw::from("*")), Ok(strings(&["*"])));
        assert!(matches!(Networks::parse(&Raw::from("::1,10.0.0.1/8")), Err(Reject::Because(_))));
    }

    #[test]
    fn header_names_are_upper_case_tokens() {
        assert_eq!(HeaderNames::parse(&Raw::from("script_name,*")), Ok(strings(&["SCRIPT_NAME", "*"])));
        assert!(HeaderNames::parse(&Raw::from("a b")).is_err());
        let map = Raw::Map(vec![("x-proto".into(), Raw::from("https"))]);
        assert_eq!(SchemeHeaders::parse(&map), Ok(vec![("X-PROTO".into(), "https".into())]));
        assert_eq!(SchemeHeaders::parse(&Raw::from("X-Proto=https")), SchemeHeaders::parse(&map));
        assert!(SchemeHeaders::parse(&Raw::Map(vec![("X".into(), Raw::Int(1))])).is_err());
    }

    #[test]
    fn a_backslash_keeps_an_equals_sign_in_a_name() {
        for (item, name, value) in
            [("a=b=c", "a", "b=c"), (r"a\=b=c", "a=b", "c"), (r"a=b\=c", "a", "b=c"), (r"a=\\=", "a", r"\=")]
        {
            let parsed = PasteVariables::parse(&Raw::from(item)).unwrap();
            assert_eq!(parsed, [(name.to_owned(), value.to_owned())], "{item}");
            assert_eq!(PasteVariables::parse(&PasteVariables::to_raw(&parsed)), Ok(parsed), "{item}");
        }
        assert_eq!(PasteVariables::parse(&Raw::from(r"a\=b")), Err(Reject::Kind));
    }

    #[test]
    fn a_variable_is_split_at_its_first_equals_sign() {
        assert_eq!(Variables::parse(&Raw::from("A=b=c")), Ok(vec![("A".into(), "b=c".into())]));
        assert_eq!(Variables::parse(&Raw::from("A=")), Ok(vec![("A".into(), String::new())]));
        for item in ["A", "=b", "A=\0"] {
            assert!(Variables::parse(&Raw::from(item)).is_err(), "{item}");
        }
    }
}
