//! Becoming a daemon, and the process on the terminal that waits until the daemon serves.
//!
//! Owns the two forks, the standard streams after them, and the pipe by which the daemon tells how its start went. The
//! terminal stays connected until the sockets are open, so what fails before that is seen there. Must never let a
//! worker hold or write the pipe. Read next: `start.rs`.
//!
//! ```text
//!   terminal ──fork──▶ session leader ──fork──▶ daemon ──▶ pid file, sockets ──▶ "detached" ──▶ "exit 0" when ready
//!      └── reads the pipe, ends with the daemon's status          (or "exit STATUS" if it ends before that)
//! ```

use std::cell::RefCell;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{isatty, pipe2, setsid};
use pyo3::prelude::*;

use crate::config::Settings;
use crate::log::with_own_streams;
use crate::py::surroundings;
use crate::sys::fork::{self, Forked, fork};
use crate::sys::{clock, descriptors};

/// How long the terminal is kept waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The daemon's line to the process on the terminal. Without a daemon it leads nowhere.
#[derive(Default)]
pub struct Launcher {
    pipe: RefCell<Option<File>>,
}

/// Which process this is after `detach`.
pub enum Side {
    /// The one that goes on to serve.
    Server(Rc<Launcher>),
    /// The one that was started: its exit status.
    Terminal(i32),
}

/// What will be lost, for the terminal.
pub fn warnings(settings: &Settings, notified: bool) -> Vec<String> {
    let kept = |fd: &dyn AsFd| settings.logging.enable_stdio_inheritance && !isatty(fd).unwrap_or(false);
    let lost = [
        ("--error-logfile", settings.logging.errorlog == "-" && !kept(&io::stderr())),
        ("--access-logfile", settings.logging.accesslog.as_deref() == Some("-") && !kept(&io::stdout())),
    ];
    let lost: Vec<&str> = lost.iter().filter(|(_, lost)| *lost).map(|(flag, _)| *flag).collect();
    let mut warnings = Vec::new();
    if !lost.is_empty() {
        warnings.push(format!("a daemon has no terminal to log to; name a file with {}", lost.join(" and ")));
    }
    if notified {
        warnings
            .push("systemd waits for the process it starts; with Type=notify leave 'daemon' off".to_owned());
    }
    warnings
}

/// Forks the daemon off, with the terminal still its own.
pub fn detach(py: Python<'_>, settings: &Settings) -> io::Result<Side> {
    // What Python has buffered must not be written by each process that inherits it.
    surroundings::flush(py);
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    if let Forked::Parent(child) = fork(py)? {
        drop(write);
        let _ = waitpid(child, None);
        surroundings::forget_interrupts(py).map_err(io::Error::other)?;
        return Ok(Side::Terminal(py.detach(|| wait(File::from(read), settings))));
    }
    drop(read);
    // A session of its own, and then a process that does not lead it: that one can never get a terminal again.
    setsid()?;
    match fork(py) {
        Ok(Forked::Child) => {}
        Ok(Forked::Parent(_)) => fork::leave(0),
        Err(error) => {
            let _ = writeln!(io::stderr(), "Error: cannot fork: {error}");
            fork::leave(1)
        }
    }
    umask(Mode::from_bits_truncate(0o022));
    let launcher = Launcher { pipe: RefCell::new(Some(File::from(write))) };
    launcher.say("pid", std::process::id());
    Ok(Side::Server(Rc::new(launcher)))
}

impl Launcher {
    fn say(&self, what: &str, number: impl Display) {
        if let Some(pipe) = &mut *self.pipe.borrow_mut() {
            // One write a line, so that the reader sees whole ones. The terminal may have been closed meanwhile.
            let _ = pipe.write_all(format!("{what} {number}\n").as_bytes());
        }
    }

    /// Lets go of the standard streams. For when the sockets are open and nothing more is to be said there.
    pub(super) fn leave_terminal(&self, settings: &Settings) -> io::Result<()> {
        if self.pipe.borrow().is_none() {
            return Ok(());
        }
        self.say("detached", 1);
        let inherit = settings.logging.enable_stdio_inheritance;
        descriptors::silence(&io::stdin())?;
        with_own_streams(|| {
            for stream in [&io::stdout() as &dyn AsFd, &io::stderr()] {
                if !inherit || isatty(stream).unwrap_or(false) {
                    descriptors::silence(stream)?;
                }
            }
            Ok(())
        })
    }

    /// The start is over: every worker serves (0), or the daemon ends with this status. Later calls say nothing.
    pub fn conclude(&self, status: i32) {
        self.say("exit", status);
        self.close();
    }

    /// In a worker: it has nothing to say here, and must not keep the terminal waiting.
    pub(super) fn close(&self) {
        self.pipe.borrow_mut().take();
    }
}

/// How far the daemon got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Progress {
    pid: String,
    detached: bool,
    status: Option<i32>,
}

impl Progress {
    fn of(told: &[u8]) -> Self {
        let mut progress = Self::default();
        for line in String::from_utf8_lossy(told).lines() {
            match line.split_once(' ') {
                Some(("pid", pid)) => pid.clone_into(&mut progress.pid),
                Some(("exit", status)) => progress.status = status.parse().ok(),
                _ => progress.detached = true,
            }
        }
        progress
    }
}

/// The terminal's side: the exit status, once it is known.
fn wait(mut pipe: File, settings: &Settings) -> i32 {
    let mut told = Vec::new();
    let ended = listen(&mut pipe, &mut told, clock::monotonic() + PATIENCE);
    let progress = Progress::of(&told);
    let log = match settings.logging.errorlog.as_str() {
        "-" => "set --error-logfile to see why".to_owned(),
        path => format!("see {path}"),
    };
    let (status, line) = match progress {
        // What failed with the terminal at hand was told there.
        Progress { status: Some(status), detached, .. } if status == 0 || !detached => return status,
        Progress { status: Some(status), .. } => (status, format!("Error: the workers did not boot; {log}")),
        Progress { .. } if ended => (1, format!("Error: the daemon died while it started; {log}")),
        Progress { pid, .. } => (0, format!("Warning: the daemon (pid {pid}) is still starting; {log}")),
    };
    let _ = writeln!(io::stderr(), "{line}");
    status
}

/// Reads until the daemon has said all, is gone (true), or the time is up.
fn listen(pipe: &mut File, told: &mut Vec<u8>, deadline: Duration) -> bool {
    // Not to the end of the file: a process of the application's may hold the pipe open.
    while Progress::of(told).status.is_none() {
        let left = deadline.saturating_sub(clock::monotonic()).as_millis();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return false,
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return true,
            Ok(_) => {}
        }
        let mut buffer = [0u8; 256];
        match pipe.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => told.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
    true
}
