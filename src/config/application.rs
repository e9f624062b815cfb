//! Which application is served: one to import, or that of a PasteDeploy file.
//!
//! Owns the choice between the settings `wsgi_app` and `paste`, and what the text of `paste` means. Must never look into the
//! file: PasteDeploy does. Read next: `merge.rs`, which makes the file's path absolute; `py/app.rs`, which loads either.

use std::path::{Path, PathBuf};

use super::table::Settings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Application {
    /// `module:callable`.
    Import(String),
    Paste(PasteApp),
}

/// A section of an ini file that PasteDeploy makes an application of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasteApp {
    pub file: PathBuf,
    /// `main` if it is left out.
    pub name: Option<String>,
    /// Over the file's section `DEFAULT`.
    pub defaults: Vec<(String, String)>,
}

impl Settings {
    pub fn application(&self) -> Option<Application> {
        let Some(uri) = self.paste_uri() else {
            return self.app_spec().map(|spec| Application::Import(spec.to_owned()));
        };
        let (file, name) = split(uri);
        let defaults = self.mechanics.raw_paste_global_conf.clone();
        Some(Application::Paste(PasteApp { file: file.to_owned(), name: name.map(str::to_owned), defaults }))
    }

    /// `module:callable` or `/path/file.ini#name`.
    pub fn app_spec(&self) -> Option<&str> {
        self.paste_uri().or(self.config_file.wsgi_app.as_deref())
    }

    /// The ini file, if the application comes from one.
    pub fn paste_file(&self) -> Option<&Path> {
        self.paste_uri().map(|uri| split(uri).0)
    }

    /// What the application is called where nothing else names the server.
    pub fn app_name(&self) -> Option<&str> {
        self.paste_file().and_then(Path::to_str).or(self.app_spec())
    }

    /// `paste`, unless a source that counts for more names an application to import.
    fn paste_uri(&self) -> Option<&str> {
        let uri = self.mechanics.paste.as_deref()?;
        let outdone = self.config_file.wsgi_app.is_some()
            && self.origin("wsgi_app").layer() > self.origin("paste").layer();
        (!outdone).then_some(uri)
    }
}

/// The file and the name of the section. `config:` in front is PasteDeploy's word for a file.
pub(super) fn split(uri: &str) -> (&Path, Option<&str>) {
    let uri = uri.strip_prefix("config:").unwrap_or(uri);
    match uri.split_once('#') {
        Some((file, name)) => (Path::new(file), Some(name).filter(|name| !name.is_empty())),
        None => (Path::new(uri), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_may_be_named() {
        for (uri, file, name) in [
            ("app.ini", "app.ini", None),
            ("app.ini#admin", "app.ini", Some("admin")),
            ("app.ini#", "app.ini", None),
            ("config:/etc/app.ini#a#b", "/etc/app.ini", Some("a#b")),
        ] {
            assert_eq!(split(uri), (Path::new(file), name), "{uri}");
        }
    }
}
