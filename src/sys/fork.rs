//! fork(2) as CPython wants it: `os.register_at_fork` callbacks run, and the child's interpreter is made usable.

use std::io;

use nix::unistd::Pid;
use pyo3::{Python, ffi};

/// Which side of the fork this is.
pub enum Forked {
    Parent(Pid),
    Child,
}

/// Ends a forked child at once: no destructor, no exit handler, no buffer is flushed.
pub fn leave(status: i32) -> ! {
    // SAFETY: _exit(2) takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// Forks with the interpreter attached. In the child only the calling thread exists.
///
/// Fails as fork(2) does: EAGAIN at a process limit, ENOMEM.
pub fn fork(_py: Python<'_>) -> io::Result<Forked> {
    // SAFETY: the three CPython calls are the documented protocol around fork(2), in order, from an attached thread.
    // The master runs no thread of its own. One that a server hook started is stopped where it waits for the
    // interpreter, which the caller holds, and our locks are taken only by those who hold it.
    unsafe {
        ffi::PyOS_BeforeFork();
        match libc::fork() {
            0 => {
                ffi::PyOS_AfterFork_Child();
                Ok(Forked::Child)
            }
            -1 => {
                let error = io::Error::last_os_error();
                ffi::PyOS_AfterFork_Parent();
                Err(error)
            }
            pid => {
                ffi::PyOS_AfterFork_Parent();
                Ok(Forked::Parent(Pid::from_raw(pid)))
            }
        }
    }
}
