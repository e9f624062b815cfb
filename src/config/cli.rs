//! The command line: the clap command made from the rows, and what a parse of it says.
//!
//! Used for the arguments and for `RWSGI_CMD_ARGS`. Owns help and usage errors; knows no setting by name but
//! the positional argument's. Invariant: clap sees no defaults, so that a match means the user said it. Read
//! next: `merge.rs`.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::error::ConfigError;
use super::kind::Takes;
use super::merge::{Assignment, Layer};
use super::origin::Origin;
use super::raw::Raw;
use super::row::Row;
use super::shell;
use super::table;
use super::{help, usage};

const WIDTH: usize = 100;
const APP_MODULE: &str = "APP_MODULE";

pub(super) enum Given {
    Layer(Layer),
    Help(String),
    Version,
}

pub(super) fn parse(args: Vec<OsString>, origin: &Origin) -> Result<Given, ConfigError> {
    let command = if *origin == Origin::Cli { program() } else { command(origin) };
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refusal(&error, origin),
    };
    if let Some(text) = asked(&matches)? {
        return Ok(Given::Help(text));
    }
    let mut layer = layer(&matches, origin)?;
    if let (Origin::Cli, Some(row)) = (origin, table::row("wsgi_app"))
        && let Some(app) = matches.get_one::<String>(APP_MODULE)
    {
        layer.assignments.push(Assignment { row, raw: Raw::from(app.as_str()), origin: Origin::Cli });
    }
    Ok(Given::Layer(layer))
}

/// What is printed for the flags that are no settings.
fn asked(matches: &ArgMatches) -> Result<Option<String>, ConfigError> {
    if let Ok(Some(shell)) = matches.try_get_one::<String>(shell::COMPLETION) {
        return Ok(Some(shell::completion(program(), shell)));
    }
    let man = matches.try_get_one(shell::MAN).ok().flatten().copied().unwrap_or(false);
    let page = man.then(|| shell::man_page(program())).transpose();
    page.map_err(|error| ConfigError::config(error.to_string()))
}

/// The command itself.
fn program() -> Command {
    command(&Origin::Cli).args(shell::flags())
}

/// The command line of a program that embeds the server: what the words beside the flags mean is the program's affair.
pub(super) fn parse_words(args: Vec<OsString>, usage: &str) -> Result<(Given, Vec<String>), ConfigError> {
    let words = Arg::new(APP_MODULE).num_args(0..).hide(true);
    let command = command(&Origin::Cli).override_usage(usage.to_owned()).mut_arg(APP_MODULE, |_| words);
    match command.try_get_matches_from(args) {
        Ok(matches) => {
            let words = matches.get_many::<String>(APP_MODULE).into_iter().flatten().cloned().collect();
            Ok((Given::Layer(layer(&matches, &Origin::Cli)?), words))
        }
        Err(error) => Ok((refusal(&error, &Origin::Cli)?, Vec::new())),
    }
}

fn layer(matches: &ArgMatches, origin: &Origin) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for row in table::rows() {
        if let Some(raw) = given(matches, row.name, row.facts.flags, row.takes) {
            layer.assignments.push(Assignment { row, raw, origin: origin.clone() });
        }
    }
    Ok(layer)
}

/// The command that reads `origin`'s arguments. Only the command line itself names the application; in a
/// variable such words are ignored, as gunicorn does.
fn command(origin: &Origin) -> Command {
    let positional = match origin {
        Origin::Cli => {
            Arg::new(APP_MODULE).help("The application: MODULE:CALLABLE, or MODULE for MODULE:application")
        }
        _ => Arg::new(APP_MODULE).num_args(0..),
    };
    Command::new("rwsgi")
        .about("A server for Python web applications.")
        .no_binary_name(true)
        .override_usage("rwsgi [OPTIONS] [APP_MODULE]")
        .infer_long_args(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .max_term_width(WIDTH)
        .after_help(help::EXAMPLES)
        .arg(positional)
        .args(table::rows().filter(|row| !row.facts.flags.is_empty()).map(argument))
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help("This help (-h: one line each)")
                .help_heading("Help"),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("The version")
                .help_heading("Help"),
        )
        .version(env!("CARGO_PKG_VERSION"))
}

fn argument(row: &'static Row) -> Arg {
    let argument = flagged(Arg::new(row.name), row.facts.flags, row.takes)
        .help(help::short(row))
        .long_help(help::long(row))
        .help_heading(row.section)
        // Known to the parser all the same, so that it is refused for what it is.
        .hide(!row.works());
    match row.takes {
        Takes::Nothing => argument,
        Takes::Optional(missing) => {
            argument.value_name(row.facts.metavar).num_args(0..=1).default_missing_value(missing)
        }
        _ => argument.value_name(row.facts.metavar),
    }
}

fn flagged(mut argument: Arg, flags: &[&'static str], takes: Takes) -> Arg {
    let mut named = false;
    for flag in flags {
        match (flag.strip_prefix("--"), flag.chars().nth(1)) {
            (Some(long), _) if named => argument = argument.alias(long),
            (Some(long), _) => {
                argument = argument.long(long);
                named = true;
            }
            (None, Some(short)) => argument = argument.short(short),
            (None, None) => {}
        }
    }
    argument
        .action(match takes {
            Takes::Nothing => ArgAction::SetTrue,
            Takes::Items => ArgAction::Append,
            Takes::Value | Takes::Number | Takes::Optional(_) => ArgAction::Set,
        })
        // `-w -1` is a bad number, not an unknown flag.
        .allow_negative_numbers(takes != Takes::Nothing)
}

fn given(matches: &ArgMatches, id: &str, flags: &[&str], takes: Takes) -> Option<Raw> {
    if flags.is_empty() {
        return None;
    }
    match takes {
        Takes::Nothing => matches.get_flag(id).then(|| Raw::Bool(!primary(flags).starts_with("--no-"))),
        Takes::Items => matches.get_many::<String>(id).map(Raw::strings),
        Takes::Value | Takes::Number | Takes::Optional(_) => {
            matches.get_one::<String>(id).map(|text| Raw::from(text.as_str()))
        }
    }
}

/// The first long flag.
fn primary<'a>(flags: &[&'a str]) -> &'a str {
    flags.iter().find(|flag| flag.starts_with("--")).copied().unwrap_or_default()
}

fn refusal(error: &clap::Error, origin: &Origin) -> Result<Given, ConfigError> {
    match error.kind() {
        ErrorKind::DisplayHelp => Ok(Given::Help(error.render().to_string())),
        ErrorKind::DisplayVersion => Ok(Given::Version),
        _ => {
            let text = usage::message(error);
            Err(ConfigError::usage(match origin {
                Origin::Cli => text,
                _ => format!("{origin}: {text}"),
            }))
        }
    }
}

#[cfg(test)]
pub(super) fn completion(shell: &str) -> String {
    shell::completion(program(), shell)
}

#[cfg(test)]
pub(super) fn help(long: bool) -> String {
    let mut command = program().term_width(WIDTH);
    if long { command.render_long_help() } else { command.render_help() }.to_string()
}
