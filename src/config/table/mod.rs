//! The settings: one module per section, and the struct that holds them all.
//!
//! Adding a setting edits its section's module and nothing else; adding a section also adds one line here.
//! The order of sections and rows is the order of `--help` and of docs/settings.md. Read next: `workers.rs`,
//! then `../row.rs`.

use std::collections::BTreeMap;

use super::origin::Origin;
use super::raw::Raw;
use super::row::Row;

macro_rules! sections {
    ($($section:ident : $type:ident),* $(,)?) => {
        $(mod $section;)*
        $(pub use $section::$type;)*

        /// Every setting's value, by section, and where each came from. Fields carry gunicorn's names.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Settings {
            $(pub $section: $type,)*
            /// By setting; a setting that is not listed has its default.
            pub(in crate::config) origins: BTreeMap<&'static str, Origin>,
        }

        /// All rows, in documentation order.
        pub fn rows() -> impl Iterator<Item = &'static Row> {
            [$($section::ROWS),*].into_iter().flatten()
        }
    };
}

sections! {
    config_file: ConfigFile,
    socket: Socket,
    workers: Workers,
    asgi: Asgi,
    mechanics: Mechanics,
    identity: Identity,
    protocols: Protocols,
    leniency: Leniency,
    clients: Clients,
    logging: Logging,
    telemetry: Telemetry,
    security: Security,
    ssl: Ssl,
    http2: Http2,
    naming: Naming,
    hooks: Hooks,
    dirty: Dirty,
    dirty_hooks: DirtyHooks,
    control: Control,
    debugging: Debugging,
}

impl Settings {
    /// What the setting called `name` is set to, as a config file would hold it. `None` if there is no such setting.
    pub fn value(&self, name: &str) -> Option<Raw> {
        row(name).map(|row| (row.show)(self))
    }

    /// What the server is called in process titles and by hooks.
    pub fn name(&self) -> &str {
        let naming = &self.naming;
        let named = naming.proc_name.as_deref().or(naming.default_proc_name.as_deref());
        named.or(self.app_name()).unwrap_or("rwsgi")
    }

    /// Where the value of the setting called `name` came from.
    pub fn origin(&self, name: &str) -> &Origin {
        self.origins.get(name).unwrap_or(&Origin::Default)
    }
}

/// The row of the setting called `name`.
pub fn row(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}
