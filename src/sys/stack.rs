//! The stack that signal handlers run on: sigaltstack(2).
//!
//! The kernel makes the frames of all signals that wait before the first handler runs, and a frame holds every register
//! of the processor, 3 to 12 KiB. CPython's crash handler installs a stack of 16 KiB, on which its other handlers then run
//! as well: half a dozen signals at one time overflow it. Ours holds a frame for each signal there is a handler for.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::{io, ptr};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// Pages that are never touched cost nothing.
const SIZE: NonZeroUsize = NonZeroUsize::new(256 * 1024).unwrap();

/// Where it begins. Never unmapped: a handler may run at any time.
static START: OnceLock<usize> = OnceLock::new();

/// Lets this thread's signal handlers run on a stack that is large enough, in place of the one they had.
pub fn make_room_for_signals() -> io::Result<()> {
    let start = match START.get() {
        Some(start) => *start,
        None => {
            let mapped = map()?;
            *START.get_or_init(|| mapped)
        }
    };
    let stack =
        libc::stack_t { ss_sp: ptr::with_exposed_provenance_mut(start), ss_flags: 0, ss_size: SIZE.get() };
    // SAFETY: the memory is mapped for ever, and nothing but handlers of this thread uses it: other threads have stacks of
    // their own, forked children have copies.
    match unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn map() -> io::Result<usize> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing we own.
    let memory = unsafe { mmap_anonymous(None, SIZE, access, MapFlags::MAP_PRIVATE) }?;
    Ok(memory.as_ptr().expose_provenance())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> usize {
        // SAFETY: `stack_t` is plain data for which all zeroes is valid; the call only writes to it.
        unsafe {
            let mut stack: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(ptr::null(), &raw mut stack);
            stack.ss_size
        }
    }

    #[test]
    fn the_stack_is_this_threads_until_another_is_set() {
        std::thread::spawn(|| {
            make_room_for_signals().unwrap();
            make_room_for_signals().unwrap();
            assert_eq!(size(), SIZE.get());
        })
        .join()
        .unwrap();
    }
}
