//! The kind of a server hook: a callable of the config file, or the dotted name of one.
//!
//! Owns what may be written, nothing of what is called: the callable itself stays with whoever runs the config file,
//! because this layer knows no Python. Read next: `../table/hooks.rs`, then `py/hooks/mod.rs`, which finds the callable.

use super::{Kind, Reject, Takes};
use crate::config::raw::Raw;

/// Where a hook's callable is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookRef {
    /// The config file defines it under the setting's name; the text describes it.
    Callable(String),
    /// `package.module.function`.
    Path(String),
}

pub struct Hook;

impl Kind for Hook {
    type Value = Option<HookRef>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Self::Value, Reject> {
        match raw {
            Raw::None => Ok(None),
            Raw::Callable(described) => Ok(Some(HookRef::Callable(described.clone()))),
            Raw::Str(text) if is_path(text.trim()) => Ok(Some(HookRef::Path(text.trim().to_owned()))),
            _ => Err(Reject::Kind),
        }
    }

    fn to_raw(value: &Self::Value) -> Raw {
        match value {
            None => Raw::None,
            Some(HookRef::Callable(described)) => Raw::Callable(described.clone()),
            Some(HookRef::Path(path)) => Raw::Str(path.clone()),
        }
    }

    fn allowed() -> String {
        "a callable, its dotted name (`package.module.function`) or None".to_owned()
    }
}

fn is_path(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callable_or_its_dotted_name() {
        assert_eq!(Hook::parse(&Raw::None), Ok(None));
        assert_eq!(Hook::parse(&Raw::from(" a.b ")), Ok(Some(HookRef::Path("a.b".into()))));
        let callable = Raw::Callable("<function f>".into());
        assert_eq!(Hook::parse(&callable).map(|value| Hook::to_raw(&value)), Ok(callable));
        for bad in [Raw::Int(3), Raw::from("f"), Raw::from(""), Raw::from("a."), Raw::Object("<x>".into())] {
            assert_eq!(Hook::parse(&bad), Err(Reject::Kind), "{bad}");
        }
    }
}
