//! The section "Debugging": runs for development, and runs that look at the configuration and serve nothing.
//!
//! Read next: `src/worker/reloader.rs`, `../merge.rs`.

use crate::config::kind::{Flag, ReloadEngine, Strings};
use crate::config::row::{Live, section};

section! {
    "Debugging" debugging: Debugging {
        /// Start workers anew when their code changes.
        ///
        /// For development. Every module of the application's own is watched, and the config file, whose change
        /// reloads the configuration. While the application cannot be loaded, requests are answered with the
        /// traceback, until it is mended. With `preload_app` a change reloads the master as HUP does.
        reload: Flag = false => { flags: &["--reload"], live: Live::Workers }

        /// How changes of files are noticed.
        ///
        /// `inotify` is told by the kernel, at once; `poll` looks once a second, which also works where the kernel
        /// does not tell: on network mounts and folders shared with a virtual machine. `auto` is `inotify` where
        /// there is one.
        reload_engine: ReloadEngine = ReloadEngine::Auto => {
            flags: &["--reload-engine"], metavar: "ENGINE", live: Live::Workers,
        }

        /// Another file to watch; may be repeated.
        ///
        /// Templates, for example. A path with `*`, `?` or `[` is a pattern, in which `**` stands for any number of
        /// directories; it is looked up again each second. Virtual environments and folders such as `.git` and
        /// `node_modules` are left out. A relative path starts where the server was started.
        reload_extra_files: Strings = Vec::new() => {
            flags: &["--reload-extra-file"], metavar: "FILE", live: Live::Workers,
        }

        /// Print every line of Python that workers run.
        ///
        /// On the standard output, before the line runs. It makes them very slow.
        spew: Flag = false => { flags: &["--spew"], live: Live::Workers }

        /// Check the configuration and the application, then exit.
        ///
        /// The exit status is 0 if the application loads.
        check_config: Flag = false => { flags: &["--check-config"] }

        /// Print every setting with its origin, then check.
        ///
        /// Each line is `name = value`, in Python's notation, and where the value came from.
        print_config: Flag = false => { flags: &["--print-config"] }
    }
}
