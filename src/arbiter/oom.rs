//! Whether the kernel's OOM killer took a worker: the kill counter of the memory cgroup this process is in.
//!
//! Owns where the counter and the limit are, in both versions of cgroups (cgroups(7); v1 `memory.oom_control`, v2
//! `memory.events`). The counter knows no pids: that it grew while a worker died of SIGKILL is the evidence there is.
//! Must never fail: what cannot be read counts as unknown.

use std::fs;
use std::path::{Path, PathBuf};

/// From this on a v1 limit means none; the kernel shows the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Whether a worker was killed for want of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oom {
    /// The counter cannot be read.
    Unknown,
    No,
    /// `by the kernel's OOM killer (limit 512 MiB)`.
    Killed(String),
}

/// Watches the counter from the moment it is made.
#[derive(Debug)]
pub struct OomWatch {
    group: Option<Group>,
    seen: u64,
    /// Kills that were counted and not yet asked about: several workers may die between two looks.
    unclaimed: u64,
}

impl OomWatch {
    pub fn new() -> Self {
        Self::under(Path::new("/"))
    }

    /// `root` stands before every path.
    fn under(root: &Path) -> Self {
        let group = Group::of_this_process(root).filter(|group| group.kills().is_some());
        let seen = group.as_ref().and_then(Group::kills).unwrap_or(0);
        Self { group, seen, unclaimed: 0 }
    }

    /// For a worker that just died of SIGKILL: was it the OOM killer? Each kill that was counted answers for one worker.
    pub fn ask(&mut self) -> Oom {
        match &self.group {
            Some(_) => self.killed().map_or(Oom::No, Oom::Killed),
            None => Oom::Unknown,
        }
    }

    fn killed(&mut self) -> Option<String> {
        let group = self.group.as_ref()?;
        let kills = group.kills()?;
        self.unclaimed += kills.saturating_sub(self.seen);
        self.seen = kills;
        self.unclaimed = self.unclaimed.checked_sub(1)?;
        Some(match group.limit() {
            Some(limit) => format!("by the kernel's OOM killer (limit {})", size(limit)),
            None => "by the kernel's OOM killer (the machine ran out of memory)".to_owned(),
        })
    }
}

impl Default for OomWatch {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

#[derive(Debug)]
struct Group {
    version: Version,
    directory: PathBuf,
    /// Where the hierarchy is mounted: nothing above it is ours to see.
    top: PathBuf,
}

impl Group {
    fn of_this_process(root: &Path) -> Option<Self> {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
        let (version, path) = memory_group(&groups)?;
        let mount = mount(&mounts, version)?;
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        let top = inside(mount.point);
        // In a container the hierarchy's root may be the group itself.
        let below = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or(path);
        let directory = top.join(below.trim_start_matches('/'));
        let directory = if directory.is_dir() { directory } else { top.clone() };
        Some(Self { version, directory, top })
    }

    fn kills(&self) -> Option<u64> {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        kills(&fs::read_to_string(self.directory.join(file)).ok()?)
    }

    /// The lowest limit of the group and those it is in.
    fn limit(&self) -> Option<u64> {
        let file = match self.version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        };
        let groups = self.directory.ancestors().take_while(|group| group.starts_with(&self.top));
        groups.filter_map(|group| limit(&fs::read_to_string(group.join(file)).ok()?)).min()
    }
}

/// From proc_pid_cgroup(5), the group whose memory is counted. On a machine with both versions the memory controller
/// is in one of them, v1 if it is named there.
fn memory_group(text: &str) -> Option<(Version, &str)> {
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    });
    let one = lines.clone().find(|(names, _)| names.split(',').any(|name| name == "memory"));
    let two = || lines.clone().find(|(names, _)| names.is_empty());
    one.map(|(_, path)| (Version::One, path)).or_else(|| two().map(|(_, path)| (Version::Two, path)))
}

struct Mount<'a> {
    /// The group that is seen at the mount point.
    root: &'a str,
    point: &'a str,
}

/// From proc_pid_mountinfo(5).
fn mount(text: &str, version: Version) -> Option<Mount<'_>> {
    text.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1).unwrap_or_default());
        let wanted = match version {
            Version::One => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            Version::Two => kind == "cgroup2",
        };
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        wanted.then_some(Mount { root, point })
    })
}

fn kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= GIB && bytes.is_multiple_of(GIB) => format!("{} GiB", bytes / GIB),
        _ => format!("{} MiB", bytes / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: (&str, &str) = (
        "12:memory:/app\n11:cpu,cpuacct:/\n0::/elsewhere\n",
        "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
         33 24 0:29 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n",
    );
    const TWO: (&str, &str) =
        ("0::/system.slice/app.service\n", "30 24 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");

    /// A root with the files of a process in a memory cgroup.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, (groups, mounts): (&str, &str)) -> Self {
            let root = Self(std::env::temp_dir().join(format!("rwsgi-oom-{name}-{}", std::process::id())));
            root.write("proc/self/cgroup", groups);
            root.write("proc/self/mountinfo", mounts);
            root
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_kill_is_told_once_with_the_limit_of_version_two() {
        let root = Root::new("two", TWO);
        let events = |kills| format!("low 0\nhigh 0\nmax 9\noom 2\noom_kill {kills}\noom_group_kill 0\n");
        let group = "sys/fs/cgroup/system.slice/app.service";
        root.write(&format!("{group}/memory.events"), &events(4));
        root.write(&format!("{group}/memory.max"), "max\n");
        root.write("sys/fs/cgroup/system.slice/memory.max", "536870912\n");
        let mut watch = OomWatch::under(&root.0);
        assert_eq!(watch.ask(), Oom::No);
        root.write(&format!("{group}/memory.events"), &events(6));
        let told = Some("by the kernel's OOM killer (limit 512 MiB)".to_owned());
        // Two died before the first was asked about.
        assert_eq!([watch.killed(), watch.killed(), watch.killed()], [told.clone(), told, None]);
    }

    #[test]
    fn a_kill_is_told_under_version_one_without_a_limit() {
        let root = Root::new("one", ONE);
        let control = |kills| format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n");
        let group = "sys/fs/cgroup/memory/app";
        root.write(&format!("{group}/memory.oom_control"), &control(0));
        root.write(&format!("{group}/memory.limit_in_bytes"), "9223372036854771712\n");
        let mut watch = OomWatch::under(&root.0);
        assert_eq!(watch.killed(), None);
        root.write(&format!("{group}/memory.oom_control"), &control(1));
        let told = "by the kernel's OOM killer (the machine ran out of memory)";
        assert_eq!(watch.killed().as_deref(), Some(told));
        assert_eq!(watch.killed(), None);
    }

    #[test]
    fn a_containers_own_group_is_at_the_mount_point() {
        let groups = "0::/docker/abc\n";
        let mounts = "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        let root = Root::new("container", (groups, mounts));
        root.write("sys/fs/cgroup/memory.events", "oom_kill 0\n");
        root.write("sys/fs/cgroup/memory.max", "2147483648\n");
        let mut watch = OomWatch::under(&root.0);
        root.write("sys/fs/cgroup/memory.events", "oom_kill 1\n");
        assert_eq!(watch.killed().as_deref(), Some("by the kernel's OOM killer (limit 2 GiB)"));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        assert_eq!(OomWatch::under(Path::new("/not/there")).ask(), Oom::Unknown);
        for (groups, mounts) in [("", ""), ("x\n", TWO.1), TWO, (TWO.0, "short\n - \n"), ONE] {
            let root = Root::new("unreadable", (groups, mounts));
            assert_eq!(OomWatch::under(&root.0).ask(), Oom::Unknown);
        }
    }

    #[test]
    fn sizes_are_written_as_people_give_them() {
        assert_eq!([size(3 * GIB), size(GIB + GIB / 2), size(MIB)], ["3 GiB", "1536 MiB", "1 MiB"]);
    }
}
