//! `rwsgi [OPTIONS] [APP_MODULE]`: from arguments to a running master, or to a message and an exit status.
//!
//! Owns the order in which the process is prepared (directory, path, variables, logs, application) and what is said
//! where that fails. Must never leave a half-made start behind: what can fail comes before what others can see. Read
//! next: `config/merge.rs`, then `arbiter/start.rs`.

use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::rc::Rc;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::arbiter::daemon::{self, Side};
use crate::arbiter::handover::{self, Handover};
use crate::arbiter::program::Program;
use crate::arbiter::{self, Kept, Setup, identity_of};
use crate::config::{self, ConfigError, Parsed, Settings, Sources, VERSION_LINE, Warning};
use crate::console::{self, print};
use crate::log::{Logs, greeting};
use crate::net::passed_sockets;
use crate::py::app;
use crate::py::config_file::{Objects, PythonLoader};
use crate::py::failure::LoadError;
use crate::py::hint;
use crate::py::hooks::Context;
use crate::py::served::Served;
use crate::py::surroundings::{self, Variables};
use crate::sys::clock;
use crate::sys::descriptors::open_standard_streams;
use crate::worker::{self, introduce};
use crate::wsgi::SERVER_SOFTWARE;

/// What a start or a reload without an application says.
pub const NO_APPLICATION: &str = "No application module specified.";

const USAGE: &str = "\nUsage: rwsgi [OPTIONS] [APP_MODULE] (rwsgi --help tells all options)";

/// The exit status of a command line that cannot be read, as Python's argparse has it.
const USAGE_ERROR: i32 = 2;

/// Variables by which one program of a master speaks to the next.
const OWN_VARIABLES: [&str; 3] = [handover::VARIABLE, arbiter::OLD_MASTER, arbiter::OLD_SOCKETS];
/// A service manager's variables: meant for this process, and neither for the application nor what it starts.
const FOR_THE_MASTER: [&str; 6] =
    ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Why there is nothing to run, and the exit status that says so.
pub(crate) struct Refusal {
    status: i32,
    message: String,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into() }
    }

    pub(crate) fn tell(self) -> i32 {
        let usage = if self.status == USAGE_ERROR { USAGE } else { "" };
        console::error(&format!("{}{usage}", self.message));
        self.status
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self { status: error.exit_code, message: error.message }
    }
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::new(error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Runs the server with these arguments (the program's name left out). `command` is the whole command line by which this
/// process can be started again. The result is the exit status of this process: the master's, or in a forked child the
/// worker's.
pub fn main(py: Python<'_>, argv: Vec<OsString>, command: Vec<OsString>) -> i32 {
    guarded(|| Ok(serve(py, Sources::of_process(argv)?, command, Served::default())?.status))
}

/// Does `work`; whatever it ends with becomes an exit status.
pub(crate) fn guarded(work: impl FnOnce() -> Result<i32, Refusal>) -> i32 {
    open_standard_streams();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(status)) => status,
        Ok(Err(refusal)) => refusal.tell(),
        Err(_) => {
            console::error("rwsgi failed in a way it should not have; the lines above say where.");
            1
        }
    }
}

/// The server that `sources` make, with `served`.
pub(crate) fn serve(
    py: Python<'_>,
    sources: Sources,
    command: Vec<OsString>,
    served: Served,
) -> Result<End, Refusal> {
    let origin = Origin::take(py, &sources, command)?;
    let mut loader = PythonLoader::new(&sources.cwd);
    let (settings, warnings) = match config::load(&sources, &mut loader)? {
        Parsed::Help(text) => return Ok(show(&text)),
        Parsed::Version => return Ok(show(&format!("{VERSION_LINE}\n"))),
        Parsed::Run(settings, warnings) => (*settings, warnings),
    };
    let objects = loader.into_objects();
    let launch = Launch { settings, warnings, objects, sources, served };
    run(py, origin, launch)
}

/// How this process came to be.
pub(crate) struct Origin {
    program: Program,
    handover: Option<Handover>,
}

impl Origin {
    /// Takes what is the program's own affair out of the environment. For before any code of the user's runs.
    pub(crate) fn take(py: Python<'_>, sources: &Sources, command: Vec<OsString>) -> Result<Self, Refusal> {
        let program = Program::of_process(command, &sources.cwd, &OWN_VARIABLES);
        let handover = sources.variable(handover::VARIABLE).and_then(Handover::decode);
        surroundings::remove_variable(py, handover::VARIABLE)?;
        surroundings::remove_variable(py, arbiter::OLD_SOCKETS)?;
        Ok(Self { program, handover })
    }
}

/// A configuration that is whole, and what it was made from.
pub(crate) struct Launch {
    pub(crate) settings: Settings,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) objects: Objects,
    pub(crate) sources: Sources,
    pub(crate) served: Served,
}

/// Which process this is when a run is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    /// A worker.
    Child,
    /// The one that was started, and waited for its daemon.
    Terminal,
}

/// How a run ends, in each of its processes.
pub(crate) struct End {
    pub(crate) status: i32,
    pub(crate) role: Role,
}

/// From a configuration to the end of the server.
pub(crate) fn run(py: Python<'_>, origin: Origin, launch: Launch) -> Result<End, Refusal> {
    let ended = |status| End { status, role: Role::Master };
    let Launch { settings, warnings, objects, sources, served } = launch;
    let Origin { program, handover } = origin;
    warnings.iter().map(Warning::to_string).for_each(|warning| console::warn(&warning));
    if settings.debugging.print_config {
        print(&settings.print());
    }
    let variables = surround(py, &settings, &sources)?;
    if !served.is_named(&settings) {
        return Err(Refusal::new(format!("{NO_APPLICATION}\n  {}", hint::of_nothing(py))));
    }
    let trial = handover == Some(Handover::Trial);
    if trial || settings.debugging.print_config || settings.debugging.check_config {
        return check(py, settings, objects, &served).map(|()| ended(0));
    }
    // Asked before the process changes its id, by which the sockets are addressed to it.
    let passed = passed_sockets(&sources.env);
    let launcher = match daemonize(py, &sources, &settings, handover.is_some())? {
        Side::Server(launcher) => launcher,
        Side::Terminal(status) => return Ok(End { status, role: Role::Terminal }),
    };
    let master = process::id();
    let kept = Kept { sources, program, variables, passed, launcher: Rc::clone(&launcher), served };
    let status = start_aside(py, settings, objects, kept, handover).unwrap_or_else(Refusal::tell);
    // In a worker the line is closed, and this says nothing.
    launcher.conclude(status);
    Ok(if process::id() == master { ended(status) } else { End { status, role: Role::Child } })
}

/// All that can be told of a start without one.
fn check(py: Python<'_>, settings: Settings, objects: Objects, served: &Served) -> Result<(), Refusal> {
    let logs = Logs::open(&settings, None).map_err(Refusal::new)?;
    let settings = Arc::new(settings);
    Context::new(py, &settings, &logs, objects, served)?;
    worker::patch(py, &settings).map_err(Refusal::new)?;
    let app = served.load(py, &settings).map_err(|error| Refusal::new(error.report()))?;
    let spec = served.name(py, &settings);
    let kind = app::describe(py, &spec, &app);
    console::reassure(&format!("The configuration is good, and {spec} is an application ({kind})."));
    Ok(())
}

/// The directory, `sys.path` and the variables, as the application is to find them.
fn surround(py: Python<'_>, settings: &Settings, sources: &Sources) -> Result<Variables, Refusal> {
    let mechanics = &settings.mechanics;
    std::env::set_current_dir(&mechanics.chdir)
        .map_err(|error| Refusal::new(format!("can't chdir to '{}': {error}", mechanics.chdir.display())))?;
    surroundings::put_on_path(py, &mechanics.chdir)?;
    surroundings::extend_path(py, &mechanics.pythonpath, &sources.cwd)?;
    surroundings::set_variable(py, "SERVER_SOFTWARE", SERVER_SOFTWARE)?;
    for name in FOR_THE_MASTER {
        surroundings::remove_variable(py, name)?;
    }
    let mut variables = Variables::default();
    variables.apply(py, &mechanics.raw_env)?;
    Ok(variables)
}

/// Into the background, if the settings say so; a master that was started by another one is there already.
fn daemonize(py: Python<'_>, sources: &Sources, settings: &Settings, started: bool) -> Result<Side, Refusal> {
    if !settings.mechanics.daemon || started {
        return Ok(Side::Server(Rc::default()));
    }
    for warning in daemon::warnings(settings, sources.variable("NOTIFY_SOCKET").is_some()) {
        console::warn(&warning);
    }
    Ok(daemon::detach(py, settings)?)
}

/// As `start`; who looks at the terminal while the log goes to a file is told where to look.
fn start_aside(
    py: Python<'_>,
    settings: Settings,
    objects: Objects,
    kept: Kept,
    handover: Option<Handover>,
) -> Result<i32, Refusal> {
    let (master, log) = (std::process::id(), settings.logging.errorlog.clone());
    // A daemon's terminal is told by the process that waits there.
    let aside = log != "-" && !settings.mechanics.daemon;
    let status = start(py, settings, objects, kept, handover)?;
    if status != 0 && aside && std::process::id() == master {
        console::error(&format!("rwsgi has ended with status {status}; {log} says why"));
    }
    Ok(status)
}

fn start(
    py: Python<'_>,
    settings: Settings,
    objects: Objects,
    mut kept: Kept,
    handover: Option<Handover>,
) -> Result<i32, Refusal> {
    let identity = identity_of(&settings).map_err(Refusal::new)?;
    let logs = Logs::open(&settings, identity.as_ref()).map_err(Refusal::new)?;
    let settings = Arc::new(settings);
    let context = Context::new(py, &settings, &logs, objects, &kept.served)?;
    crate::log::install(&logs, settings.logging.loglevel);
    if settings.logging.capture_output {
        surroundings::print_by_line(py)?;
    }
    if log::log_enabled!(log::Level::Debug) {
        log::debug!("Current configuration:");
        settings.print().lines().for_each(|line| log::debug!("  {line}"));
    }
    if handover.is_none() {
        let version = py.version_info();
        let python = format!("Python {}.{}.{}", version.major, version.minor, version.patch);
        let class = settings.workers.class().as_str();
        greeting::begin(&settings, &logs, &format!("{python}, {class}"));
    }
    let mut lame = false;
    match preload(py, &settings, &context, &kept.served) {
        Ok(app) => kept.served.preloaded = app,
        // The workers of before serve on, which is better than nobody.
        Err(_) if matches!(handover, Some(Handover::Resume(_))) => lame = true,
        Err(error) => return Ok(error.exit_code),
    }
    context.follow_changes(py, &logs);
    let to_file = settings.logging.errorlog != "-";
    let started = arbiter::run(py, Setup { settings, identity, logs, context, kept, handover, lame });
    started.map_err(|error| error.report()).or_else(|report| {
        log::error!("{report}");
        if to_file { Err(Refusal::new(report)) } else { Ok(1) }
    })
}

/// The application for all workers, with `preload_app`. A failure is told in the error log.
fn preload(
    py: Python<'_>,
    settings: &Settings,
    context: &Context,
    served: &Served,
) -> Result<Option<Py<PyAny>>, LoadError> {
    if !settings.mechanics.preload_app {
        return Ok(None);
    }
    // What keeps the class from working is the first worker's to tell.
    let _ = worker::patch(py, settings);
    let begun = clock::monotonic();
    let app = served.load(py, settings).inspect_err(LoadError::log)?;
    introduce(py, &served.name(py, settings), &app, begun);
    context.app.get().set(py, &app);
    Ok(Some(app))
}

fn show(text: &str) -> End {
    print(text);
    End { status: 0, role: Role::Master }
}
