//! Finds the setting a mistyped name probably means.
//!
//! Config files and environments hold names of their own, so a guess must be close to count. Read next:
//! `file.rs`.

use super::origin::Origin;
use super::table;

/// What is said of a name that no setting has.
pub(super) fn unknown(name: &str, origin: &Origin) -> String {
    let meant = nearest(name).map(|meant| format!(" (did you mean '{meant}'?)")).unwrap_or_default();
    format!("{origin}: unknown setting '{name}'{meant}")
}

/// The setting whose name `name` nearly is, by case or by a slip or two of the keyboard.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    // The shorter a name, the sooner a slip makes it another word.
    let slips = match name.len() {
        ..4 => return None,
        4..6 => 1,
        _ => 2,
    };
    table::rows()
        .map(|row| (strsim::osa_distance(&name, row.name), row.name))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_a_near_miss_is_guessed() {
        let cases = [
            ("wrokers", Some("workers")),
            ("WORKERS", Some("workers")),
            ("worker", Some("workers")),
            ("tiemout", Some("timeout")),
            ("binds", Some("bind")),
            ("log_level", Some("loglevel")),
            ("keep_alive", Some("keepalive")),
            ("cores", None),
            ("name", None),
            ("bin", None),
            ("port", None),
            ("host", None),
            ("base_dir", None),
            ("max_workers", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name), expected, "{name}");
        }
    }
}
