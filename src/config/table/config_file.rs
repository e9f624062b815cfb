//! The section "Config file": which file to read and which application to serve.
//!
//! Read next: `../file.rs`, which finds and reads the file.

use crate::config::kind::OptionalText;
use crate::config::row::{Live, section};

section! {
    "Config file" config_file: ConfigFile {
        /// File with settings, in Python or TOML.
        ///
        /// `PATH` or `file:PATH` is executed as a Python file; `python:MODULE` is imported. Every global with
        /// a setting's name is that setting's value. A path that ends in `.toml` is read as TOML: its keys are settings,
        /// and no other key may be in it; of a `pyproject.toml` the table `[tool.rwsgi]` counts. When none is named,
        /// the first of these in the directory of the start is read, with a warning that names the others:
        /// `rwsgi.conf.py`, `rwsgi.toml`, `gunicorn.conf.py`, `pyproject.toml` (if it has the table).
        ///
        /// A relative path starts where the server was started, whatever `chdir` says. HUP reads the file
        /// again.
        config: OptionalText = None => {
            flags: &["-c", "--config"], metavar: "PATH", live: Live::Reload,
            default_is: Some("`./rwsgi.conf.py`, `./rwsgi.toml`, `./gunicorn.conf.py` or `./pyproject.toml`, if it exists"),
        }

        /// The application, when the command line names none.
        ///
        /// `MODULE:CALLABLE`, as for the `APP_MODULE` argument.
        wsgi_app: OptionalText = None => { metavar: "APP", live: Live::Workers }
    }
}
