//! From fork to the first accept, and out again.
//!
//! Runs in the child with the interpreter attached. Whatever happens ends in an exit status, which the caller returns up
//! to the interpreter's own end, so that `atexit` callbacks run. A failure to load the application is told by one
//! worker of a generation only.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use pyo3::prelude::*;

use super::control::Control;
use super::driven::Driver;
use super::hooked::Hooked;
use super::life::{self, Stop};
use super::overdue::Overdue;
use super::parts::Parts;
use super::pool::{Parting, Pool};
use super::reactor::Reactor;
use super::reloader::Reloader;
use super::service::Service;
use super::signals::{self, Surroundings};
use super::single;
use super::wear::{Limits, Wear};
use crate::config::Settings;
use crate::config::kind;
use crate::http::{HeaderMap, Leniency, Policy, ProxyProtocol, TrustedPeers};
use crate::log::Logs;
use crate::log::greeting::{self, START};
use crate::net::{BindOptions, Listener};
use crate::py::failure::LoadError;
use crate::py::hooks::HookError;
use crate::py::served::Served;
use crate::py::surroundings;
use crate::py::{app, asgi};
use crate::scoreboard::{Scoreboard, SlotWriter, Stage};
use crate::sys::reason::reason;
use crate::sys::{self, clock, identity::Identity, signals::BlockGuard};
use crate::wsgi::{Application, Concurrency, ErrorStream, Observers, Patience, RequestIds, Server, Spool};

/// Exit status when the worker itself, not the application, could not start.
const BOOT_FAILED: i32 = 3;
/// Bodies that the application gets in one piece are allocated and freed in turn.
const USUAL_BODY: usize = 256 * 1024;

/// What the master gives to a worker.
pub struct Boot {
    pub settings: Arc<Settings>,
    pub listeners: Arc<Vec<Listener>>,
    pub slot: Arc<SlotWriter>,
    pub scoreboard: Scoreboard,
    pub generation: u32,
    /// The read end of a pipe whose write end only the master has.
    pub lifeline: OwnedFd,
    /// One byte written here makes the master look at the scoreboard.
    pub notice: Arc<OwnedFd>,
    pub logs: Logs,
    /// Whom to become before any code of the application runs.
    pub identity: Option<Arc<Identity>>,
    /// With the application, if the master loaded it before the fork.
    pub served: Served,
    pub hooked: Arc<Hooked>,
    /// The config file, if there is one.
    pub config_file: Option<PathBuf>,
    /// What `ps` shows.
    pub title: String,
    pub limits: Limits,
    /// Holds the signals back until the worker has handlers for them.
    pub blocked: BlockGuard,
}

/// The worker's whole life. Returns its exit status.
pub fn run(py: Python<'_>, boot: Boot) -> i32 {
    log::info!(target: START, "Booting worker with pid: {}", std::process::id());
    sys::title::set(&boot.title);
    boot.slot.introduce(std::process::id().cast_signed(), boot.generation);
    boot.slot.set_stage(Stage::Booting);
    let (scoreboard, generation) = (boot.scoreboard.clone(), boot.generation);
    let hooked = Arc::clone(&boot.hooked);
    hooked.worker.get().begin();
    let (status, parting) = match serve(py, boot) {
        Ok(parting) => (0, parting),
        // Asked to go while it booted: what that broke is of no interest.
        Err(_) if life::asked() != Stop::No => (0, Parting::Complete),
        Err(failure) => {
            if scoreboard.claim_report(generation) {
                failure.tell();
            }
            (failure.status(), Parting::Complete)
        }
    };
    if let Err(error) = signals::ignore_at_exit(py) {
        log::warn!("Signals may cut the exit short: {error}");
    }
    log::info!(target: START, "Worker exiting (pid: {})", std::process::id());
    hooked.worker_exit(py);
    crate::log::catch_up();
    if parting == Parting::Abandoned {
        surroundings::exit(py, status);
    }
    status
}

/// Why a worker did not get to serve.
enum Failure {
    Load(LoadError),
    Hook(HookError),
    /// The environment's fault, not the application's.
    Boot(String),
}

impl Failure {
    fn tell(&self) {
        match self {
            Self::Load(error) => error.log(),
            Self::Hook(error) => error.log(),
            Self::Boot(reason) => log::error!("Worker cannot start: {reason}"),
        }
    }

    const fn status(&self) -> i32 {
        match self {
            Self::Load(error) => error.exit_code,
            Self::Hook(_) | Self::Boot(_) => BOOT_FAILED,
        }
    }
}

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Boot(error.to_string())
    }
}

fn serve(py: Python<'_>, mut boot: Boot) -> Result<Parting, Failure> {
    let hooked = Arc::clone(&boot.hooked);
    let handlers = Surroundings { logs: boot.logs.clone(), hooked: Arc::clone(&hooked) };
    signals::install_for_boot(py, &handlers)?;
    // Before the hook: what it starts would inherit the blocked signals.
    boot.blocked.release();
    hooked.post_fork(py).map_err(Failure::Hook)?;
    reseed(py);
    if let Some(identity) = &boot.identity {
        identity.assume()?;
    }
    if boot.settings.debugging.spew {
        py.import("rwsgi.spew")?.call_method0("start")?;
    }
    let driver = Driver::prepare(py, &boot.settings)?;
    let mut reloader = reloader(&boot)?;
    let callable = load_or_wait(py, &boot, reloader.as_mut())?;
    let driver = match choice(py, &mut boot, &callable) {
        true => Driver::prepare(py, &boot.settings)?,
        false => driver,
    };
    let (wakeup, wakeup_writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    signals::install_for_serving(py, &handlers, wakeup_writer.as_fd())?;
    hooked.post_worker_init(py, &callable).map_err(Failure::Hook)?;
    hooked.context.follow_changes(py, &boot.logs);
    listen(&boot)?;
    let callable = match &driver {
        Some(driver) => driver.wrap(py, callable)?,
        None => callable,
    };
    let policy = Arc::new(policy(&boot.settings)?);
    let service = service(py, &boot, callable, &policy)?;
    if boot.hooked.worker.get().is_first() {
        check_spool(&Patience::of(&boot.settings));
    }
    let settings = Arc::clone(&boot.settings);
    let (parts, lifeline) = parts(boot, policy);
    sys::memory::expect_allocations_of(USUAL_BODY);
    let control = Control { lifeline, wakeup, reloader };
    hooked.worker.get().set_booted();
    // One that was asked to go while it booted has served nobody, and leaves without a word.
    if life::asked() == Stop::No {
        greeting::leave();
    }
    let result = match driver {
        Some(driver) => driver.serve(py, &settings, (parts, service, control), &hooked)?,
        None => react(py, &settings, (parts, service, control), wakeup_writer.try_clone()?)?,
    };
    signals::stop_waking(py)?;
    drop(wakeup_writer);
    Ok(result)
}

/// Serves in the threads of the class, until it is time to leave.
fn react(
    py: Python<'_>,
    settings: &Settings,
    (parts, service, mut control): (Parts, Service, Control),
    wakeup: OwnedFd,
) -> Result<Parting, Failure> {
    let mut reactor = Reactor::new(parts)?;
    let (threads, limit) = (settings.workers.threads, settings.workers.request_timeout);
    if settings.workers.is_supervised() {
        let overdue = Overdue::new(limit, threads);
        return Ok(Pool::new(reactor, service, (threads, overdue), wakeup)?.run(py, &mut control)?);
    }
    single::run(py, &mut reactor, &service, &mut control)?;
    Ok(Parting::Complete)
}

/// Where no class was chosen, the application has the one that can serve it. True if that is another one.
fn choice(py: Python<'_>, boot: &mut Boot, callable: &Py<PyAny>) -> bool {
    if !asgi::chooses(callable.bind(py), &boot.settings) {
        return false;
    }
    let mut settings = Settings::clone(&boot.settings);
    settings.workers.worker_class = kind::WorkerClass::Asgi;
    boot.settings = Arc::new(settings);
    if boot.hooked.worker.get().is_first() {
        let name = boot.served.name(py, &boot.settings);
        log::info!("{name} is an ASGI application: it is served by the worker class asgi");
    }
    true
}

/// What `request_spool` asks for may be impossible, which is better told before the first large body.
fn check_spool(patience: &Patience) {
    let directory = patience.spool_directory.display();
    match patience.request_spool {
        0 => {}
        most if most <= patience.request_buffer as u64 => {
            log::warn!("request_spool has no effect: it is not larger than request_buffer.");
        }
        _ => {
            if let Err(error) = Spool::new(&patience.spool_directory) {
                let why = reason(&error);
                log::warn!(
                    "Large bodies will be answered 503: no file can be made in {directory} (tmp_upload_dir): {why}"
                );
            }
        }
    }
}

/// Workers forked from one master must not draw the same random numbers.
fn reseed(py: Python<'_>) {
    // Only if something has imported it: importing it here would cost every worker its memory.
    let modules = py.import("sys").and_then(|sys| sys.getattr("modules"));
    if let Ok(random) = modules.and_then(|modules| modules.get_item("random")) {
        let _ = random.call_method0("seed");
    }
}

fn load(py: Python<'_>, boot: &Boot) -> Result<Py<PyAny>, Failure> {
    let begun = clock::monotonic();
    let callable = boot.served.load(py, &boot.settings).map_err(Failure::Load)?;
    let is_new = boot.served.preloaded.is_none();
    if is_new && boot.hooked.worker.get().is_first() && life::asked() == Stop::No {
        introduce(py, &boot.served.name(py, &boot.settings), &callable, begun);
    }
    Ok(callable)
}

/// Tells what was loaded, in one process of all that load it.
pub fn introduce(py: Python<'_>, spec: &str, callable: &Py<PyAny>, begun: Duration) {
    let taken = clock::monotonic().saturating_sub(begun).as_secs_f64();
    if greeting::is_on() {
        let kind = app::describe(py, spec, callable);
        greeting::say("app", &format!("{spec}, {kind}, imported in {taken:.2} s"));
    }
    if app::is_factory(py, callable) {
        log::warn!("{spec} takes no arguments and cannot answer requests; did you mean '{spec}()'?");
    }
}

fn reloader(boot: &Boot) -> io::Result<Option<Reloader>> {
    let start = || Reloader::new(&boot.settings, boot.config_file.as_deref(), &boot.scoreboard, &boot.hooked);
    boot.settings.debugging.reload.then(start).transpose()
}

/// Under `reload` a worker whose application is broken lives on, to see it mended.
fn load_or_wait(py: Python<'_>, boot: &Boot, reloader: Option<&mut Reloader>) -> Result<Py<PyAny>, Failure> {
    match (load(py, boot), reloader) {
        (Err(Failure::Load(error)), Some(reloader)) if life::asked() == Stop::No => {
            Ok(reloader.stand_in(py, &error)?)
        }
        (Ok(callable), Some(reloader)) => {
            reloader.mended();
            Ok(callable)
        }
        (loaded, _) => loaded,
    }
}

/// Sockets of this worker's own take connections from now on: earlier ones would have waited for the import.
fn listen(boot: &Boot) -> io::Result<()> {
    let own = boot.settings.mechanics.reuse_port;
    let options = BindOptions::of(&boot.settings);
    boot.listeners.iter().filter(|listener| own && listener.is_tcp()).try_for_each(|own| own.listen(&options))
}

fn service(
    py: Python<'_>,
    boot: &Boot,
    callable: Py<PyAny>,
    policy: &Arc<Policy>,
) -> Result<Service, Failure> {
    let settings = &boot.settings;
    let errors = Py::new(py, ErrorStream::new(Arc::clone(&boot.logs.error)))?;
    let (workers, multithread) = (settings.workers.workers, settings.workers.concurrency() > 1);
    let concurrency = Concurrency { multithread, multiprocess: workers > 1 };
    let server = |listener| Server::new(py, listener, policy, &errors, concurrency);
    Ok(Service {
        servers: boot.listeners.iter().map(server).collect::<PyResult<Vec<_>>>()?,
        application: Application {
            callable,
            observers: Observers::of(&boot.logs, boot.hooked.context.bridge()),
            request_ids: settings.logging.request_id.then(RequestIds::new).transpose()?,
            sendfile: settings.mechanics.sendfile.unwrap_or(true),
            hooks: boot.hooked.for_requests(py),
        },
        slot: Arc::clone(&boot.slot),
    })
}

/// What the reactor runs with, and the descriptor by which the worker learns that its master is gone.
fn parts(boot: Boot, policy: Arc<Policy>) -> (Parts, OwnedFd) {
    let settings = &boot.settings;
    let shared = !settings.mechanics.reuse_port;
    let parts = Parts {
        policy,
        patience: Arc::new(Patience::of(settings)),
        wear: Wear::new(boot.limits, clock::monotonic()),
        worker_connections: settings.workers.worker_connections.max(1),
        keepalive: settings.workers.keeps(),
        siblings: settings.workers.workers > 1 && shared,
        shared,
        graceful_timeout: settings.workers.graceful_timeout,
        threads: settings.workers.concurrency(),
        max_waiting_requests: settings.workers.max_waiting_requests,
        turn: turn(settings.workers.timeout),
        slot: boot.slot,
        scoreboard: boot.scoreboard,
        notice: boot.notice,
        listeners: boot.listeners,
    };
    (parts, boot.lifeline)
}

/// The master must see several beats in the time after which it takes a silent worker for stuck.
fn turn(timeout: Duration) -> Duration {
    let second = Duration::from_secs(1);
    if timeout.is_zero() { second } else { second.min(timeout / 4) }
}

fn policy(settings: &Settings) -> Result<Policy, String> {
    Ok(Policy {
        limit_request_line: settings.security.limit_request_line,
        limit_request_fields: settings.security.limit_request_fields,
        limit_request_field_size: settings.security.limit_request_field_size,
        limit_request_body: settings.security.limit_request_body,
        leniency: leniency(settings),
        trust_forwarded_header: settings.mechanics.trust_forwarded_header,
        header_map: match settings.mechanics.header_map {
            kind::HeaderMap::Drop => HeaderMap::Drop,
            kind::HeaderMap::Refuse => HeaderMap::Refuse,
            kind::HeaderMap::Dangerous => HeaderMap::Dangerous,
        },
        forwarder_headers: settings.mechanics.forwarder_headers.clone(),
        secure_scheme_headers: settings.mechanics.secure_scheme_headers.clone(),
        forwarded_allow_ips: peers("forwarded_allow_ips", &settings.mechanics.forwarded_allow_ips)?,
        proxy_protocol: match settings.protocols.proxy_protocol {
            kind::ProxyProtocol::Off => ProxyProtocol::Off,
            kind::ProxyProtocol::V1 => ProxyProtocol::V1,
            kind::ProxyProtocol::V2 => ProxyProtocol::V2,
            kind::ProxyProtocol::Auto => ProxyProtocol::Auto,
        },
        proxy_allow_ips: peers("proxy_allow_ips", &settings.protocols.proxy_allow_ips)?,
    })
}

fn peers(setting: &str, entries: &[String]) -> Result<TrustedPeers, String> {
    let peers = TrustedPeers::from_entries(entries.iter().map(String::as_str));
    peers.map_err(|error| format!("{setting}: {error}"))
}

fn leniency(settings: &Settings) -> Leniency {
    let switches = &settings.leniency;
    Leniency {
        obsolete_folding: switches.permit_obsolete_folding,
        header_spaces: switches.strip_header_spaces,
        unconventional_method: switches.permit_unconventional_http_method,
        unconventional_version: switches.permit_unconventional_http_version,
        casefold_method: switches.casefold_http_method,
    }
}
