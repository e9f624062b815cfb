//! The settings table as Python sees it.
//!
//! Owns nothing but the translation: what a setting is, its row says. Read next: `config/table`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::hooks::python;
use crate::config::kind::Takes;
use crate::config::row::Row;
use crate::config::{Raw, Settings, table};

/// A dict for each setting, in documentation order.
pub fn settings(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let defaults = Settings::default();
    let list = PyList::empty(py);
    table::rows().try_for_each(|row| list.append(setting(py, row, &defaults)?))?;
    Ok(list)
}

fn setting<'py>(py: Python<'py>, row: &Row, defaults: &Settings) -> PyResult<Bound<'py, PyDict>> {
    let setting = PyDict::new(py);
    setting.set_item("name", row.name)?;
    setting.set_item("section", row.section)?;
    setting.set_item("flags", row.facts.flags.to_vec())?;
    setting.set_item("metavar", row.facts.metavar)?;
    let (takes, missing) = match row.takes {
        Takes::Nothing => ("nothing", None),
        Takes::Optional(missing) => ("optional", Some(missing)),
        Takes::Items => ("items", None),
        Takes::Value | Takes::Number => ("value", None),
    };
    setting.set_item("takes", takes)?;
    setting.set_item("missing", missing)?;
    let default = defaults.value(row.name).unwrap_or(Raw::None);
    setting.set_item("default", python(py, &default)?)?;
    setting.set_item("short", row.summary())?;
    setting.set_item("works", row.works())?;
    setting.set_item("moot", row.facts.moot.is_some())?;
    setting.set_item("reason", row.facts.not_yet.or(row.facts.moot))?;
    Ok(setting)
}
