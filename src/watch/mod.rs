//! Files that are watched for changes.
//!
//! Owns what a file looked like when it was first watched, and the kernel's word that it is time to look again. Whether a
//! file has changed is always decided by looking: events only say when, so that one that is lost (a full queue, a network
//! mount, a directory made anew) costs a second and no change. Must never read a file. Read next: `notifier.rs`.

mod notifier;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::kind::ReloadEngine;
use notifier::Notifier;

pub struct Watcher {
    files: BTreeMap<PathBuf, Option<Stamp>>,
    /// A file that changed while somebody was reading it.
    unsettled: Option<PathBuf>,
    notifier: Option<Notifier>,
}

/// What differs when a file was written or put in another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Watcher {
    /// Fails if the kernel has no watch to give and the engine is not left to choose; `auto` then looks once a second.
    pub fn new(engine: ReloadEngine) -> io::Result<Self> {
        let notifier = match engine {
            ReloadEngine::Poll => None,
            ReloadEngine::Inotify => Some(Notifier::new()?),
            ReloadEngine::Auto => Notifier::new()
                .inspect_err(|error| log::warn!("No inotify ({error}); looking for changes once a second"))
                .ok(),
        };
        Ok(Self { files: BTreeMap::new(), unsettled: None, notifier })
    }

    /// Readable when it is time to look.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.notifier.as_ref().map(Notifier::descriptor)
    }

    /// Takes what the descriptor has. True if it is about a watched file.
    pub fn has_news(&self) -> bool {
        self.notifier.as_ref().is_some_and(Notifier::has_news)
    }

    /// Watches a file, whether or not there is one. One that was written between `since` (wall clock) and now has been
    /// read by somebody who may have seen half of it, so it counts as changed.
    pub fn watch(&mut self, path: &Path, since: Duration) {
        if self.files.contains_key(path) {
            return;
        }
        let metadata = path.metadata().ok();
        let written = metadata.as_ref().map_or(Duration::ZERO, |metadata| {
            Duration::new(metadata.ctime().unsigned_abs(), metadata.ctime_nsec().unsigned_abs() as u32)
        });
        // A clock that is ahead of this machine's says nothing.
        if written > since && written <= crate::sys::clock::wall() {
            self.unsettled = Some(path.to_owned());
        }
        self.files.insert(path.to_owned(), metadata.as_ref().map(Stamp::of));
        if let Some(notifier) = &mut self.notifier {
            notifier.listen(path);
        }
    }

    /// Takes the file as it is now for what it was. The number differs from that of any other state of it.
    pub fn renew(&mut self, path: &Path) -> u32 {
        let stamp = path.metadata().ok().as_ref().map(Stamp::of);
        self.files.insert(path.to_owned(), stamp);
        let mut hasher = DefaultHasher::new();
        (path, stamp).hash(&mut hasher);
        hasher.finish() as u32
    }

    /// One file that is not what it was, if there is any.
    pub fn changed(&mut self) -> Option<PathBuf> {
        let changed = |(path, stamp): (&PathBuf, &Option<Stamp>)| {
            (path.metadata().ok().as_ref().map(Stamp::of) != *stamp).then(|| path.clone())
        };
        self.unsettled.take().or_else(|| self.files.iter().find_map(changed))
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rwsgi-watch-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn later() -> Duration {
        clock::wall() + Duration::from_secs(60)
    }

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        type Change = fn(&Folder, &Path);
        let changes: [(&str, Change); 4] = [
            ("written", |folder, _| drop(folder.write("a.py", "longer"))),
            ("replaced", |folder, path| std::fs::rename(folder.write("b", "one"), path).unwrap()),
            ("removed", |_, path| std::fs::remove_file(path).unwrap()),
            ("made", |folder, _| drop(folder.write("new.py", ""))),
        ];
        for engine in [ReloadEngine::Poll, ReloadEngine::Inotify] {
            for (name, change) in changes {
                let folder = Folder::new(&format!("{name}-{}", engine.as_str()));
                let path = folder.write("a.py", "one");
                let mut watcher = Watcher::new(engine).unwrap();
                watcher.watch(&path, later());
                watcher.watch(&folder.0.join("new.py"), later());
                assert_eq!(watcher.changed(), None, "{name}");
                folder.write("another", "");
                assert!(!watcher.has_news(), "{name}");
                change(&folder, &path);
                assert_eq!(watcher.has_news(), engine == ReloadEngine::Inotify, "{name}");
                assert!(watcher.changed().is_some_and(|changed| changed.starts_with(&folder.0)), "{name}");
            }
        }
    }

    #[test]
    fn what_was_written_while_it_was_read_has_changed() {
        let folder = Folder::new("unsettled");
        let before = clock::wall() - Duration::from_secs(1);
        let path = folder.write("a.py", "one");
        let mut watcher = Watcher::new(ReloadEngine::Poll).unwrap();
        watcher.watch(&path, before);
        assert_eq!(watcher.changed(), Some(path));
        assert_eq!(watcher.changed(), None);
    }
}
