//! Memory shared between the master and the workers it forks.
//!
//! Owns: one anonymous shared mapping per value. Must never hold pointers or locks: what lives here is read by other
//! processes, which may die in the middle of anything.

use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;
use std::{io, marker::PhantomData, mem};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Types that may live in shared memory.
///
/// # Safety
/// All zeroes must be a valid value, and every field must be an atomic (or an array of atomics): no pointers, no
/// locks, nothing that needs dropping.
pub unsafe trait Shareable: Sync {}

/// A zeroed `T` in memory that forked children share.
pub struct SharedMap<T: Shareable> {
    memory: NonNull<libc::c_void>,
    value: PhantomData<T>,
}

impl<T: Shareable> SharedMap<T> {
    /// Maps zeroed memory for a `T`. Fails with the error of `mmap`.
    pub fn new() -> io::Result<Self> {
        let length = NonZeroUsize::new(mem::size_of::<T>()).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing we own.
        let memory = unsafe {
            mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED)
        }?;
        Ok(Self { memory, value: PhantomData })
    }
}

impl<T: Shareable> Deref for SharedMap<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is page-aligned, at least `size_of::<T>()` long, zeroed at birth (a valid `T` by the
        // trait's contract), lives as long as `self`, and is written through atomics only.
        unsafe { self.memory.cast::<T>().as_ref() }
    }
}

impl<T: Shareable> Drop for SharedMap<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and no reference outlives `self`. A failure would
        // leave the memory mapped, which is harmless.
        let _ = unsafe { munmap(self.memory, mem::size_of::<T>()) };
    }
}

// SAFETY: the map owns its memory, and `T: Sync` may be used from any thread through a shared reference.
unsafe impl<T: Shareable> Send for SharedMap<T> {}
// SAFETY: as above.
unsafe impl<T: Shareable> Sync for SharedMap<T> {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Numbers([AtomicU64; 1000]);
    // SAFETY: an array of atomics.
    unsafe impl Shareable for Numbers {}

    #[test]
    fn memory_starts_zeroed_and_keeps_what_is_stored() {
        let map = SharedMap::<Numbers>::new().unwrap();
        assert!(map.0.iter().all(|n| n.load(Ordering::Relaxed) == 0));
        map.0[999].store(7, Ordering::Relaxed);
        assert_eq!(map.0[999].load(Ordering::Relaxed), 7);
    }
}
