//! The section "Config file": which file to read and which application to serve.
//!
//! Read next: `../file.rs`, which finds and reads the file.

use crate::config::kind::OptionalText;
use crate::config::row::{Live, section};

section! {
    "Config file" config_file: ConfigFile {
        /// Python file with settings.
        ///
        /// `PATH` or `file:PATH` is executed as a Python file; `python:MODULE` is imported. Every global with
        /// a setting's name is that setting's value. `./rwsgi.conf.py`, else `./gunicorn.conf.py`, is read
        /// when none is named.
        ///
        /// A relative path starts where the server was started, whatever `chdir` says. HUP reads the file
        /// again.
        config: OptionalText = None => {
            flags: &["-c", "--config"], metavar: "PATH", live: Live::Reload,
            default_is: Some("`./rwsgi.conf.py` or `./gunicorn.conf.py`, if it exists"),
        }

        /// The application, when the command line names none.
        ///
        /// `MODULE:CALLABLE`, as for the `APP_MODULE` argument.
        wsgi_app: OptionalText = None => { metavar: "APP", live: Live::Workers }
    }
}
