//! waitpid(2) for any child, without waiting.
//!
//! Raw, because a status must never be lost: a child that died of a signal without a name is reaped all the same.

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

/// Takes one ended child from the kernel. `None` if there is none now.
pub fn reap() -> Option<(i32, Ended)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is alive for the call and written only by it.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid > 0 {
            let ended = if libc::WIFSIGNALED(status) {
                Ended::Signal(libc::WTERMSIG(status))
            } else {
                Ended::Code(libc::WEXITSTATUS(status))
            };
            return Some((pid, ended));
        }
        if pid == 0 || nix::errno::Errno::last() != nix::errno::Errno::EINTR {
            return None;
        }
    }
}
