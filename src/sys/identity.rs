//! Users and groups: finding them by name, and becoming one for good.
//!
//! Owns the order in which rights are given up: groups, group, user, and the proof that none comes back. Must never leave
//! a process half changed and running: any failure is an error that the caller ends on. See credentials(7), setresuid(2).

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};

use nix::errno::Errno;
use nix::unistd::{
    Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setresgid, setresuid, setuid,
};

/// CAP_SETGID and CAP_SETUID of capabilities(7).
const NEEDED: u64 = 1 << 6 | 1 << 7;

/// A user and group other than this process's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    uid: Uid,
    gid: Gid,
    /// The user's name, by which its further groups are found.
    name: Option<CString>,
}

impl Identity {
    /// Whom `user` and `group`, by name or number, mean; `None` if that is what this process is. Without a group it is
    /// the user's own. Fails, with a sentence for the person who wrote them, if this process may not become that.
    pub fn of(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, String> {
        let uid = user.map(uid).transpose()?.unwrap_or_else(geteuid);
        let entry = User::from_uid(uid).ok().flatten();
        let own_group = entry.as_ref().filter(|_| user.is_some()).map(|entry| entry.gid);
        let gid = group.map(gid).transpose()?.or(own_group).unwrap_or_else(getegid);
        if (uid, gid) == (geteuid(), getegid()) {
            return Ok(None);
        }
        let identity = Self { uid, gid, name: entry.and_then(|entry| CString::new(entry.name).ok()) };
        if may_change() { Ok(Some(identity)) } else { Err(identity.refusal()) }
    }

    fn refusal(&self) -> String {
        format!(
            "Cannot run workers as uid {} and gid {}: that takes root, and this process has uid {}. Start rwsgi as root, \
             or remove the settings 'user' and 'group'",
            self.uid,
            self.gid,
            geteuid()
        )
    }

    /// User and group, as numbers.
    pub const fn ids(&self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }

    /// Becomes it for good.
    pub fn assume(&self) -> Result<(), String> {
        let failed = |what: &str| {
            let what = format!("cannot change to {what}");
            move |error: Errno| format!("{what}: {}", error.desc())
        };
        // Groups first: they cannot be changed any more as another user.
        match &self.name {
            Some(name) => initgroups(name, self.gid),
            None => setgroups(&[self.gid]),
        }
        .map_err(failed(&format!("the groups of uid {}", self.uid)))?;
        setresgid(self.gid, self.gid, self.gid).map_err(failed(&format!("gid {}", self.gid)))?;
        setresuid(self.uid, self.uid, self.uid).map_err(failed(&format!("uid {}", self.uid)))?;
        let root = Uid::from_raw(0);
        // Capabilities outlive a change of user under some securebits.
        if self.uid != root
            && (setuid(root).is_ok() || (self.gid.as_raw() != 0 && setgid(Gid::from_raw(0)).is_ok()))
        {
            return Err(format!("uid {} could become root again", self.uid));
        }
        Ok(())
    }

    /// Gives it a file at `path`.
    pub fn own_path(&self, path: &std::path::Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    /// Gives it an open file, unless that is a device or a pipe, which others use as well.
    pub fn own_file(&self, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        let wanted = self.ids();
        if !found.is_file() || (found.uid(), found.gid()) == wanted {
            return Ok(());
        }
        fchown(file, Some(wanted.0), Some(wanted.1))
    }
}

/// A user by name or number.
pub fn uid(text: &str) -> Result<Uid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Uid::from_raw(number));
    }
    let found = User::from_name(text).ok().flatten();
    found.map(|user| user.uid).ok_or_else(|| format!("No such user: '{text}'"))
}

/// A group by name or number.
pub fn gid(text: &str) -> Result<Gid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(text).ok().flatten();
    found.map(|group| group.gid).ok_or_else(|| format!("No such group: '{text}'"))
}

/// Root in a container may lack the right, and another user may have it.
fn may_change() -> bool {
    let effective = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:").map(str::to_owned))?;
        u64::from_str_radix(line.trim(), 16).ok()
    });
    effective.map_or_else(|| geteuid().is_root(), |effective| effective & NEEDED == NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!((uid("root"), uid("0")), (Ok(Uid::from_raw(0)), Ok(Uid::from_raw(0))));
        assert_eq!((gid("root"), gid("7")), (Ok(Gid::from_raw(0)), Ok(Gid::from_raw(7))));
        assert_eq!(uid("not there").unwrap_err(), "No such user: 'not there'");
        assert_eq!(gid("not there").unwrap_err(), "No such group: 'not there'");
        assert!(uid("4294967296").is_err() && uid("-1").is_err() && uid("nul\0").is_err());
    }

    #[test]
    fn what_this_process_is_already_is_nothing_to_become() {
        let (user, group) = (geteuid().to_string(), getegid().to_string());
        assert_eq!(Identity::of(None, None), Ok(None));
        assert_eq!(Identity::of(Some(&user), Some(&group)), Ok(None));
        assert_eq!(Identity::of(None, Some(&group)), Ok(None));
    }

    #[test]
    fn a_user_brings_its_group() {
        if !may_change() {
            let error = Identity::of(Some("4711"), None).unwrap_err();
            assert!(error.contains("that takes root"), "{error}");
            return;
        }
        let entry = User::from_name("nobody").unwrap().unwrap();
        let identity = Identity::of(Some("nobody"), None).unwrap().unwrap();
        assert_eq!((identity.uid, identity.gid), (entry.uid, entry.gid));
        let identity = Identity::of(Some("nobody"), Some("4711")).unwrap().unwrap();
        assert_eq!((identity.uid, identity.gid.as_raw()), (entry.uid, 4711));
        assert_eq!(Identity::of(Some("4711"), None).unwrap().unwrap().name, None);
    }

    #[test]
    fn devices_are_nobodys_to_give() {
        let identity = Identity { uid: Uid::from_raw(4711), gid: Gid::from_raw(4711), name: None };
        let device = fs::OpenOptions::new().append(true).open("/dev/null").unwrap();
        let before = device.metadata().unwrap().uid();
        identity.own_file(&device).unwrap();
        assert_eq!(device.metadata().unwrap().uid(), before);
    }
}
