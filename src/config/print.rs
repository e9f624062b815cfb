//! `--print-config`: every setting, its value as a Python literal, and where it came from.
//!
//! One line each, sorted by name, so that two runs can be compared with `diff`. Read next: `origin.rs`.

use super::table::{self, Settings};

impl Settings {
    pub fn print(&self) -> String {
        let mut rows: Vec<_> = table::rows()
            .map(|row| (row.name, (row.show)(self).to_string(), self.origin(row.name)))
            .collect();
        rows.sort_by_key(|(name, ..)| *name);
        let name_width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        // A long value, such as the access log's format, must not push every origin off the screen.
        let value_width =
            rows.iter().map(|(_, value, _)| value.len()).filter(|len| *len <= 32).max().unwrap_or(0);
        rows.iter()
            .map(|(name, value, origin)| format!("{name:name_width$} = {value:value_width$}  # {origin}\n"))
            .collect()
    }
}
