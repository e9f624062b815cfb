//! The file that holds the master's process id.
//!
//! Owns when a file that is there already may be replaced. Must never remove a file that names another process, and
//! never remove one on drop: a forked worker drops its copy. Read next: `run.rs`.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::sys::stat::Stat;

#[derive(Debug)]
pub enum PidFileError {
    Running { pid: i32, path: PathBuf },
    NoDirectory(PathBuf),
    Io(PathBuf, io::Error),
}

impl fmt::Display for PidFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { pid, path } => {
                write!(f, "Already running on PID {pid} (or pid file '{}' is stale)", path.display())
            }
            Self::NoDirectory(path) => write!(f, "{} doesn't exist. Can't create pidfile.", path.display()),
            Self::Io(path, error) => write!(f, "Can't create pidfile '{}': {error}", path.display()),
        }
    }
}

impl std::error::Error for PidFileError {}

/// A pid file this process wrote.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes this process's id, in place of a file whose process is gone.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let failed = |error| PidFileError::Io(path.to_owned(), error);
        let path = std::path::absolute(path).map_err(failed)?;
        if let Some(pid) = other_process(&path) {
            return Err(PidFileError::Running { pid, path });
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        if !directory.is_dir() {
            return Err(PidFileError::NoDirectory(directory.to_owned()));
        }
        write(&path).map_err(failed)?;
        Ok(Self { path })
    }

    /// The file that the program before this one in the same process wrote.
    pub const fn of_this_process(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file if it still names this process.
    pub fn remove(&self) {
        if read(&self.path) == Some(std::process::id().cast_signed()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// The live process the file names, if that is not this one.
fn other_process(path: &Path) -> Option<i32> {
    let pid = read(path).filter(|pid| pid.cast_unsigned() != std::process::id())?;
    match kill(Pid::from_raw(pid), None) {
        // EPERM: it lives, as somebody else.
        Ok(()) | Err(Errno::EPERM) if !has_ended(pid) => Some(pid),
        _ => None,
    }
}

/// A process that nobody has reaped yet can still be signalled. Where nothing is told of it, it counts as running.
fn has_ended(pid: i32) -> bool {
    Stat::of(pid).is_some_and(|stat| matches!(stat.field(3), Some("Z" | "X")))
}

/// By way of a second file, so that nobody ever reads half a number.
fn write(path: &Path) -> io::Result<()> {
    let pid = std::process::id();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{pid}"));
    let fresh = PathBuf::from(name);
    let written = fs::File::create(&fresh).and_then(|mut file| {
        writeln!(file, "{pid}")?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        fs::rename(&fresh, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_a_directory(name: &str, test: impl FnOnce(&Path)) {
        let directory = std::env::temp_dir().join(format!("rwsgi-pid-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        test(&directory.join("pid"));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn stale_files_are_replaced_and_only_ours_is_removed() {
        in_a_directory("stale", |path| {
            for content in ["999999999\n", "not a pid\n", "", "-1\n", "0\n"] {
                fs::write(path, content).unwrap();
                PidFile::create(path).unwrap();
                assert_eq!(fs::read_to_string(path).unwrap(), format!("{}\n", std::process::id()));
            }
            let file = PidFile::create(path).unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o644);
            fs::write(path, "1\n").unwrap();
            file.remove();
            assert!(path.exists());
            fs::write(path, format!("{}\n", std::process::id())).unwrap();
            file.remove();
            assert!(!path.exists());
        });
    }

    #[test]
    fn a_live_process_keeps_its_file() {
        in_a_directory("live", |path| {
            fs::write(path, "1\n").unwrap();
            let error = PidFile::create(path).unwrap_err();
            assert!(error.to_string().starts_with("Already running on PID 1 "), "{error}");
            assert_eq!(fs::read_to_string(path).unwrap(), "1\n");
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_has_ended_but_was_not_reaped_is_gone() {
        in_a_directory("zombie", |path| {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let pid = child.id().cast_signed();
            while !has_ended(pid) {
                std::thread::yield_now();
            }
            fs::write(path, format!("{pid}\n")).unwrap();
            assert!(PidFile::create(path).is_ok());
            child.wait().unwrap();
        });
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = PidFile::create(Path::new("/not/there/pid")).unwrap_err();
        assert_eq!(error.to_string(), "/not/there doesn't exist. Can't create pidfile.");
    }
}
