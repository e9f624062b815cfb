//! Everything that speaks Python: reading the config file, loading the application, calling it.
//!
//! Lower modules know nothing of Python and build without it. Read next: `config_file.rs`, `app.rs`.

pub mod app;
pub mod bridge;
pub mod config_file;
pub mod draft;
pub mod failure;
pub mod hooks;
pub mod loggers;
pub mod modules;
pub mod served;
pub mod settings;
pub mod surroundings;
