//! Everything that speaks Python: reading the config file, loading the application, calling it.
//!
//! Lower modules know nothing of Python and build without it. Read next: `config_file.rs`, `app.rs`.

pub mod app;
pub mod asgi;
pub mod bridge;
mod config_failure;
pub mod config_file;
mod definitions;
pub mod draft;
pub mod failure;
pub mod frames;
pub mod hint;
pub mod hooks;
pub mod loggers;
mod missing;
pub mod modules;
mod paste;
pub mod served;
pub mod settings;
pub mod strand;
pub mod surroundings;
