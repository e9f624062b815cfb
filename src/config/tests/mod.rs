//! Tests of the settings that need more than one module: the table against itself, and the layers over each
//! other.
//!
//! Nothing here starts Python or looks at the process; the config file is a list of globals. Read next:
//! `layers.rs`.

mod layers;
mod table;
