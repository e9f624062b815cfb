//! What the kernel tells of a process in one line: proc_pid_stat(5).

use std::fmt::Display;
use std::fs;

/// The fields of a process's line. `None` where there is no such process, or no /proc.
pub struct Stat(String);

impl Stat {
    /// `process`: an id, or `self`.
    pub fn of(process: impl Display) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Field 2, the name in brackets, may hold anything, brackets and spaces included.
        Some(Self(line.rsplit_once(')')?.1.to_owned()))
    }

    /// The field of this number in the manual page, from 3 on.
    pub fn field(&self, number: usize) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(number.checked_sub(3)?)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbered_as_in_the_manual() {
        let stat = Stat::of("self").unwrap();
        let (parent, group) = (nix::unistd::getppid(), nix::unistd::getpgrp());
        assert_eq!(stat.field(4), Some(parent.to_string().as_str()));
        assert_eq!(stat.field(5), Some(group.to_string().as_str()));
        assert_eq!((stat.field(2), stat.field(999)), (None, None));
        assert!(Stat::of(-1).is_none());
    }
}
