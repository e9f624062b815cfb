//! Where lines go: a file opened for appending, or a stream the process was given.
//!
//! Invariant: the descriptor's number never changes. Reopening replaces the file behind it, so that whoever holds the
//! number (the crash handler, an application's `wsgi.errors`) follows a rotation without knowing of it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

use crate::sys::identity::Identity;
use crate::sys::reason::reason;

/// How long a line waits for a reader that does not read, in milliseconds. Those after it do not wait at all, until the
/// reader has made room.
const PATIENCE: u16 = 1000;

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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("the standard output"),
            Self::Stderr => f.write_str("the standard error"),
            Self::File(path) => write!(f, "'{}'", path.display()),
        }
    }
}

/// An open destination for whole lines.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    file: Option<OwnedFd>,
    /// Whose the file is to be: a rotation makes a new one.
    owner: Option<Arc<Identity>>,
    /// Lines that were lost and not told of yet, and why the last one was.
    dropped: AtomicU64,
    reason: AtomicI32,
    /// The last thing written was half a line.
    torn: AtomicBool,
    /// Whether a write can wait for a reader: into a pipe, a socket or a terminal.
    has_reader: bool,
    /// The reader was waited for in vain.
    stuck: AtomicBool,
}

impl Sink {
    /// Opens the destination. Fails, with the path in the message, if the file cannot be appended to.
    pub fn open(target: Target, owner: Option<Arc<Identity>>) -> io::Result<Self> {
        let file = match &target {
            Target::File(path) => Some(OwnedFd::from(append(path, owner.as_deref())?)),
            Target::Stdout | Target::Stderr => None,
        };
        let mut sink = Self {
            target,
            file,
            owner,
            dropped: AtomicU64::new(0),
            reason: AtomicI32::new(0),
            torn: AtomicBool::new(false),
            has_reader: false,
            stuck: AtomicBool::new(false),
        };
        sink.has_reader = can_wait(sink.borrow());
        Ok(sink)
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
    /// closed stream) is dropped and counted; the next one that can be written tells how many there were.
    pub fn write_line(&self, line: &[u8]) {
        match self.write(line) {
            Ok(()) => self.tell_losses(),
            Err(error) => {
                self.reason.store(error as i32, Relaxed);
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn write(&self, line: &[u8]) -> Result<(), Errno> {
        self.wait_for_reader()?;
        if self.torn.load(Relaxed) {
            self.write_all(b"\n")?;
            self.torn.store(false, Relaxed);
        }
        self.write_all(line)
    }

    /// pipe(7): there is room for a line of PIPE_BUF bytes, or nobody reads any more, which the write will tell.
    fn wait_for_reader(&self) -> Result<(), Errno> {
        if !self.has_reader {
            return Ok(());
        }
        let patience = if self.stuck.load(Relaxed) { PollTimeout::ZERO } else { PollTimeout::from(PATIENCE) };
        let mut descriptors = [PollFd::new(self.borrow(), PollFlags::POLLOUT)];
        let is_stuck = matches!(poll(&mut descriptors, patience), Ok(0));
        self.stuck.store(is_stuck, Relaxed);
        if is_stuck { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    fn write_all(&self, bytes: &[u8]) -> Result<(), Errno> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match nix::unistd::write(self.borrow(), rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(error) => {
                    // A disk that is nearly full takes half a line; the next one must not continue it.
                    self.torn.fetch_or(rest.len() < bytes.len(), Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn tell_losses(&self) {
        // One load is all that a line costs as long as nothing is lost.
        if self.dropped.load(Relaxed) == 0 {
            return;
        }
        let lost = self.dropped.swap(0, Relaxed);
        let reason = match Errno::from_raw(self.reason.load(Relaxed)) {
            Errno::EAGAIN => "its reader does not read",
            error => error.desc(),
        };
        log::warn!("Log lines lost for {}: {lost} ({reason})", self.target);
    }

    /// In a forked worker: what the master lost is the master's to tell.
    pub fn forget_losses(&self) {
        self.dropped.store(0, Relaxed);
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

fn can_wait(file: BorrowedFd<'_>) -> bool {
    fstat(file).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG)
}

/// What to do about a file that cannot be opened.
fn advice(path: &Path, error: &io::Error) -> String {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    match (error.kind(), directory) {
        (io::ErrorKind::NotFound, Some(directory)) => {
            format!("\n  Make the directory first: mkdir -p {}", directory.display())
        }
        (io::ErrorKind::IsADirectory, _) => {
            format!("\n  Name a file in it, such as {}", path.join("error.log").display())
        }
        (io::ErrorKind::PermissionDenied, _) => {
            let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
            let name = user.map_or_else(|| "this user".to_owned(), |user| format!("user {}", user.name));
            format!(
                "\n  Choose a place where {name} may write, or let rwsgi start as one who may (see --user)."
            )
        }
        _ => String::new(),
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
            let why = reason(&error);
            let text =
                format!("cannot open '{}' for appending: {why}{}", path.display(), advice(path, &error));
            io::Error::new(error.kind(), text)
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

    /// A file of which a pipe is the other end: lines can be lost, and then be read again.
    fn into_a_pipe() -> (Sink, File) {
        let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let mut sink = Sink::open(Target::File("/dev/null".into()), None).unwrap();
        sink.file = Some(write);
        sink.has_reader = true;
        (sink, File::from(read))
    }

    #[test]
    fn lost_lines_are_counted_until_one_gets_through() {
        let sink = Sink::open(Target::File("/dev/full".into()), None).unwrap();
        sink.write_line(b"lost\n");
        sink.write_line(b"lost\n");
        assert_eq!(sink.dropped.load(Relaxed), 2);
        assert_eq!(Errno::from_raw(sink.reason.load(Relaxed)), Errno::ENOSPC);
        let (mut working, _reader) = into_a_pipe();
        (working.dropped, working.reason) = (sink.dropped, sink.reason);
        working.write_line(b"through\n");
        assert_eq!(working.dropped.load(Relaxed), 0);
    }

    #[test]
    fn a_reader_that_does_not_read_is_waited_for_once() {
        let (sink, mut reader) = into_a_pipe();
        while poll(&mut [PollFd::new(sink.borrow(), PollFlags::POLLOUT)], PollTimeout::ZERO) == Ok(1) {
            sink.write_line(&[b'x'; 4096]);
        }
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            sink.write_line(b"lost\n");
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        assert_eq!(sink.dropped.load(Relaxed), 100);
        let mut room = vec![0u8; 1 << 20];
        assert!(io::Read::read(&mut reader, &mut room).unwrap() > 0);
        sink.write_line(b"through\n");
        assert_eq!(sink.dropped.load(Relaxed), 0);
    }

    #[test]
    fn half_a_line_is_ended_before_the_next() {
        let (sink, mut reader) = into_a_pipe();
        sink.write_line(&[b'x'; 1 << 20]);
        assert!(sink.torn.load(Relaxed));
        let mut text = vec![0u8; 1 << 20];
        let half = io::Read::read(&mut reader, &mut text).unwrap();
        assert!(text[..half].iter().all(|byte| *byte == b'x'));
        sink.write_line(b"whole\n");
        let rest = io::Read::read(&mut reader, &mut text).unwrap();
        assert_eq!(&text[..rest], b"\nwhole\n");
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_named() {
        let error = Sink::open(Target::File("/nonexistent/x.log".into()), None).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x.log"), "{error}");
    }
}
