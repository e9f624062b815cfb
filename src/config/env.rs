//! The environment as a layer: `RWSGI_<SETTING>` for every setting, a few names other servers share, and
//! extra arguments.
//!
//! A variable that is empty counts as unset where an empty text is no value. Invariant: reads [`Sources`],
//! never the process. Read next: `merge.rs`.

use std::ffi::OsString;

use super::error::{ConfigError, Warning};
use super::kind::Takes;
use super::merge::{Assignment, Layer};
use super::names;
use super::origin::Origin;
use super::raw::Raw;
use super::row::Row;
use super::sources::Sources;
use super::table::{self, Settings};

const PREFIX: &str = "RWSGI_";

/// Extra arguments: the first of these that is set.
const CMD_ARGS: [&str; 2] = ["RWSGI_CMD_ARGS", "GUNICORN_CMD_ARGS"];

pub(super) fn layer(sources: &Sources) -> Result<Layer, ConfigError> {
    let mut layer = Layer { assignments: Vec::new(), warnings: warnings(sources) };
    for row in table::rows() {
        layer.assignments.extend(assignment(row, sources)?);
    }
    Ok(layer)
}

/// The arguments held by a variable, and its name.
pub(super) fn cmd_args(sources: &Sources) -> Result<Option<(Vec<OsString>, Origin)>, ConfigError> {
    let Some((variable, text)) = CMD_ARGS.iter().find_map(|name| Some((*name, sources.variable(name)?)))
    else {
        return Ok(None);
    };
    let words = words(variable, text)?;
    Ok(Some((words.into_iter().map(OsString::from).collect(), Origin::CmdArgs(variable.to_owned()))))
}

fn assignment(row: &'static Row, sources: &Sources) -> Result<Option<Assignment>, ConfigError> {
    let own = row.variable();
    let variables = std::iter::once((own.as_str(), None))
        .chain(row.facts.env.iter().map(|(name, template)| (*name, Some(*template))));
    for (variable, template) in variables {
        let Some(text) = sources.variable(variable) else { continue };
        let raw = match template {
            Some(template) => Raw::Str(template.replace("{}", text)),
            None if row.takes == Takes::Items => Raw::strings(words(variable, text)?),
            None => Raw::from(text),
        };
        let unset = text.trim().is_empty() && (row.set)(&mut Settings::default(), &raw).is_err();
        if !unset {
            return Ok(Some(Assignment { row, raw, origin: Origin::Env(variable.to_owned()) }));
        }
    }
    Ok(None)
}

fn words(variable: &str, text: &str) -> Result<Vec<String>, ConfigError> {
    super::split::words(text).map_err(|reason| ConfigError::config(format!("{variable}: {reason}: {text}")))
}

/// Variables that look like ours and are not.
fn warnings(sources: &Sources) -> Vec<Warning> {
    sources.env.iter().filter_map(|(variable, _)| warning(variable)).collect()
}

fn warning(variable: &str) -> Option<Warning> {
    let name = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    if CMD_ARGS.contains(&variable) || table::rows().any(|row| row.variable() == variable) {
        return None;
    }
    let meant = names::nearest(&name)?.to_ascii_uppercase();
    Some(Warning(format!("unknown variable '{variable}' (did you mean '{PREFIX}{meant}'?)")))
}
