//! Where lines go: a file opened for appending, or a stream the process was given.
//!
//! Invariant: the descriptor's number never changes. Reopening replaces the file behind it, so that whoever holds the
//! number (the crash handler, an application's `wsgi.errors`) follows a rotation without knowing of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::OFlag;

use crate::sys::identity::Identity;

/// A log's destination as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    Stderr,
    File(PathBuf),
}

impl Target {
    /// `-` means `stream`; anything else is a path.
    pub fn parse(text: &str, stream: Self) -> Self {
        if text == "-" { stream } else { Self::File(PathBuf::from(text)) }
    }
}

/// An open destination for whole lines.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    file: Option<OwnedFd>,
    /// Whose the file is to be: a rotation makes a new one.
    owner: Option<Arc<Identity>>,
    dropped: AtomicU64,
}

impl Sink {
    /// Opens the destination. Fails, with the path in the message, if the file cannot be appended to.
    pub fn open(target: Target, owner: Option<Arc<Identity>>) -> io::Result<Self> {
        let file = match &target {
            Target::File(path) => Some(OwnedFd::from(append(path, owner.as_deref())?)),
            Target::Stdout | Target::Stderr => None,
        };
        Ok(Self { target, file, owner, dropped: AtomicU64::new(0) })
    }

    pub const fn target(&self) -> &Target {
        &self.target
    }

    pub fn fd(&self) -> RawFd {
        match (&self.file, &self.target) {
            (Some(file), _) => file.as_raw_fd(),
            (None, Target::Stdout) => nix::libc::STDOUT_FILENO,
            (None, _) => nix::libc::STDERR_FILENO,
        }
    }

    /// Writes one line, its line end included, in one piece. A line that cannot be written (full disk, reader gone,
    /// closed stream) is dropped and counted.
    pub fn write_line(&self, line: &[u8]) {
        let mut rest = line;
        while !rest.is_empty() {
            match nix::unistd::write(self.borrow(), rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// Lines lost so far in this process.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Opens the file's path again, after a rotation renamed it. On failure the old file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let (Target::File(path), Some(file)) = (&self.target, &self.file) else { return Ok(()) };
        let fresh = append(path, self.owner.as_deref())?;
        crate::sys::descriptors::replace(file, &fresh)
    }

    fn borrow(&self) -> BorrowedFd<'_> {
        crate::sys::descriptors::borrow(self, self.fd())
    }
}

fn append(path: &Path, owner: Option<&Identity>) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o666)
        .custom_flags(OFlag::O_CLOEXEC.bits())
        .open(path)
        .map_err(|error| {
            io::Error::new(error.kind(), format!("cannot open '{}' for appending: {error}", path.display()))
        })?;
    if let Some(owner) = owner {
        owner.own_file(&file).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot change the owner of '{}': {error}", path.display()))
        })?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reopening_follows_a_rename_and_keeps_the_descriptor() {
        let folder = std::env::temp_dir().join(format!("rwsgi-sink-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, rotated) = (folder.join("log"), folder.join("log.1"));
        let sink = Sink::open(Target::File(path.clone()), None).unwrap();
        let fd = sink.fd();
        sink.write_line(b"one\n");
        std::fs::rename(&path, &rotated).unwrap();
        sink.write_line(b"two\n");
        sink.reopen().unwrap();
        sink.write_line(b"three\n");
        assert_eq!(sink.fd(), fd);
        assert_eq!(std::fs::read_to_string(rotated).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let sink = Sink::open(Target::File("/dev/full".into()), None).unwrap();
        sink.write_line(b"lost\n");
        assert_eq!(sink.dropped(), 1);
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_named() {
        let error = Sink::open(Target::File("/nonexistent/x.log".into()), None).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x.log"), "{error}");
    }
}
