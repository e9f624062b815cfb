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

/// By which one program of a master speaks to the next.
pub const HANDOVER: &str = "RWSGI_HANDOVER";

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
    sources.env.iter().filter_map(|(variable, value)| warning(variable, value)).collect()
}

fn warning(variable: &str, value: &str) -> Option<Warning> {
    let name = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let is_own = CMD_ARGS.contains(&variable) || variable == HANDOVER;
    if is_own || is_service(variable, value) || table::rows().any(|row| row.variable() == variable) {
        return None;
    }
    let advice = match names::nearest(&name) {
        Some(meant) => format!("did you mean '{PREFIX}{}'?", meant.to_ascii_uppercase()),
        None => "no setting has this name".to_owned(),
    };
    Some(Warning(format!("unknown variable '{variable}' ({advice})")))
}

/// What an orchestrator sets for a service that is called rwsgi: `RWSGI_SERVICE_HOST`, `RWSGI_PORT=tcp://…`,
/// `RWSGI_PORT_80_TCP_ADDR`, and the same for `rwsgi-web`.
fn is_service(variable: &str, value: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| variable.contains(part))
        || (variable.ends_with("_PORT") && value.contains("://"))
}
