//! Everything that speaks Python.

pub mod config_file;
