//! Signals as bytes in a pipe, and what a forked child must undo.
//!
//! Invariant: a handler writes one byte to a non-blocking pipe and does nothing else; the loop that reads the pipe has
//! all the policy. When the pipe is full the signal is dropped: by then tens of thousands wait to be read.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::unistd::pipe2;

/// The read end of a pipe that receives the number of every registered signal.
pub struct SignalPipe {
    read: OwnedFd,
    write: OwnedFd,
    registered: Vec<signal_hook::SigId>,
}

impl SignalPipe {
    /// Starts to receive `signals`. Whatever handlers they had keep being called first.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let mut pipe = Self { read, write, registered: Vec::with_capacity(signals.len()) };
        let fd = pipe.write.as_raw_fd();
        for signal in signals {
            let number = *signal as i32;
            // SAFETY: the action only calls write(2), which is async-signal-safe, on a descriptor that stays open
            // until `drop` has unregistered the action.
            let id = unsafe { signal_hook::low_level::register(number, move || write_byte(fd, number)) }?;
            pipe.registered.push(id);
        }
        Ok(pipe)
    }

    /// The descriptor to wait on: readable when a signal has come.
    pub fn fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// All signals received since the last call, in order of arrival.
    pub fn drain(&self) -> Vec<Signal> {
        let mut buffer = [0u8; 512];
        let mut received = Vec::new();
        while let Ok(count @ 1..) = nix::unistd::read(&self.read, &mut buffer) {
            let numbers = buffer.iter().take(count).map(|byte| i32::from(*byte));
            received.extend(numbers.filter_map(|number| Signal::try_from(number).ok()));
            if count < buffer.len() {
                break;
            }
        }
        received
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

fn write_byte(fd: RawFd, number: i32) {
    let byte = number as u8;
    // The interrupted code may be about to look at errno; a handler must leave it as it was.
    let before = nix::errno::Errno::last_raw();
    // SAFETY: `byte` is alive for the call and one byte long; `fd` is open, or write fails with EBADF.
    unsafe { libc::write(fd, (&raw const byte).cast(), 1) };
    nix::errno::Errno::set_raw(before);
}

/// Sets `signals` back to their default action: the state in which a forked worker starts.
pub fn restore_default(signals: &[Signal]) -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in signals {
        // SAFETY: SIG_DFL runs no code of ours.
        unsafe { sigaction(*signal, &action) }?;
    }
    Ok(())
}

/// Holds back `signals` until the guard is dropped: around fork, so that none reaches a child which still has the
/// master's handlers.
pub fn block(signals: &[Signal]) -> io::Result<BlockGuard> {
    let set: SigSet = signals.iter().copied().collect();
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
    Ok(BlockGuard { before })
}

/// Lets `signals` through: whoever started this process may have left them blocked.
pub fn unblock(signals: &[Signal]) -> io::Result<()> {
    let set: SigSet = signals.iter().copied().collect();
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)?)
}

/// Restores the signal mask it was made under.
pub struct BlockGuard {
    before: SigSet,
}

impl BlockGuard {
    /// Lets the signals through now.
    pub fn release(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

impl Drop for BlockGuard {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whenever `signal` comes, raises signal number `other` in the same thread first, then calls the handler that was there.
pub fn raise_on(signal: Signal, other: i32) -> io::Result<()> {
    // SAFETY: raise(3) is async-signal-safe, and the action does nothing else.
    let action = move || unsafe {
        libc::raise(other);
    };
    // SAFETY: as said above.
    unsafe { signal_hook::low_level::register(signal as i32, action) }.map(drop)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn signals_arrive_in_order() {
        let pipe = SignalPipe::new(&[Signal::SIGUSR1, Signal::SIGWINCH]).unwrap();
        for signal in [Signal::SIGUSR1, Signal::SIGWINCH, Signal::SIGUSR1] {
            raise(signal).unwrap();
        }
        assert_eq!(pipe.drain(), [Signal::SIGUSR1, Signal::SIGWINCH, Signal::SIGUSR1]);
        assert!(pipe.drain().is_empty());
    }
}
