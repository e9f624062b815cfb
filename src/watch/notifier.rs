//! The kernel's word that something happened in a directory: inotify(7).
//!
//! Watches directories, not files, because editors save by putting a new file in the old one's place. Must never fail
//! once it exists: a directory that cannot be watched is looked at once a second, like all of them. Read next: `mod.rs`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

pub(super) struct Notifier {
    inotify: Inotify,
    directories: HashMap<PathBuf, WatchDescriptor>,
    names: HashSet<(WatchDescriptor, OsString)>,
    /// A directory could not be watched, which is told once.
    told: bool,
}

impl Notifier {
    pub(super) fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Self { inotify, directories: HashMap::new(), names: HashSet::new(), told: false })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    pub(super) fn listen(&mut self, path: &Path) {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return };
        if let Some(watch) = self.watch(directory) {
            self.names.insert((watch, name.to_owned()));
        }
    }

    fn watch(&mut self, directory: &Path) -> Option<WatchDescriptor> {
        if let Some(watch) = self.directories.get(directory) {
            return Some(*watch);
        }
        let events = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.add_watch(directory, events) {
            Ok(watch) => {
                self.directories.insert(directory.to_owned(), watch);
                Some(watch)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) && directory.exists() {
                    let (directory, error) = (directory.display(), error.desc());
                    log::warn!("Cannot watch {directory} ({error}); looking for changes once a second");
                }
                None
            }
        }
    }

    /// Takes all events there are. True if one is about a name that is listened for, or if some were lost.
    pub(super) fn has_news(&self) -> bool {
        let mut news = false;
        while let Ok(events) = self.inotify.read_events() {
            news |= events.into_iter().any(|event| match event.name {
                Some(name) => self.names.contains(&(event.wd, name)),
                None => event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW),
            });
        }
        news
    }
}
