//! Memory shared between the master and the workers it forks.
//!
//! Owns: one shared mapping per value, of memory without a name in any file system. Must never hold pointers or locks:
//! what lives here is read by other processes, which may die in the middle of anything.

use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::{io, marker::PhantomData, mem};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

/// Types that may live in shared memory.
///
/// # Safety
/// Every sequence of bytes must be a valid value, and every field an atomic integer (or an array of them): no pointers,
/// no locks, nothing that needs dropping.
pub unsafe trait Shareable: Sync {}

// SAFETY: nothing but atomics.
unsafe impl<const COUNT: usize> Shareable for [AtomicU64; COUNT] {}

/// A `T` in memory that forked children share, and a program that is executed in this one's place can map again.
pub struct SharedMap<T: Shareable> {
    memory: NonNull<libc::c_void>,
    file: OwnedFd,
    value: PhantomData<T>,
}

impl<T: Shareable> SharedMap<T> {
    /// Maps zeroed memory for a `T`. Fails as memfd_create(2) and mmap(2) do.
    pub fn new() -> io::Result<Self> {
        let file = nameless()?;
        ftruncate(&file, Self::length().get().cast_signed() as i64)?;
        Self::map(file)
    }

    /// Maps the memory behind `file`, which `new` made in a program before this one. `InvalidData` when it is no `T`.
    pub fn of(file: OwnedFd) -> io::Result<Self> {
        if fstat(&file)?.st_size != Self::length().get().cast_signed() as i64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Self::map(file)
    }

    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    fn length() -> NonZeroUsize {
        NonZeroUsize::new(mem::size_of::<T>()).unwrap_or(NonZeroUsize::MIN)
    }

    fn map(file: OwnedFd) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a mapping at an address of the kernel's choice overlaps nothing we own. Nobody shrinks the file: it
        // has no name, and its other holders are this program's own processes.
        let memory =
            unsafe { mmap(None, Self::length(), protection, MapFlags::MAP_SHARED, file.as_fd(), 0) }?;
        Ok(Self { memory, file, value: PhantomData })
    }
}

/// A file in memory, without a name in any file system.
#[cfg(target_os = "linux")]
pub fn nameless() -> io::Result<OwnedFd> {
    Ok(nix::sys::memfd::memfd_create(c"rwsgi", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?)
}

/// A file in memory, without a name in any file system.
#[cfg(not(target_os = "linux"))]
pub fn nameless() -> io::Result<OwnedFd> {
    use nix::fcntl::OFlag;
    use nix::sys::mman::{shm_open, shm_unlink};
    let name = format!("/rwsgi-{}", std::process::id());
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = shm_open(name.as_str(), flags, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)?;
    shm_unlink(name.as_str())?;
    Ok(file)
}

impl<T: Shareable> Deref for SharedMap<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is page-aligned, `size_of::<T>()` long, zeroed at birth (any bytes are a valid `T` by
        // the trait's contract), lives as long as `self`, and is written through atomics only.
        unsafe { self.memory.cast::<T>().as_ref() }
    }
}

impl<T: Shareable> Drop for SharedMap<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and no reference outlives `self`. A failure would
        // leave the memory mapped, which is harmless.
        let _ = unsafe { munmap(self.memory, Self::length().get()) };
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
        let again = SharedMap::<Numbers>::of(map.file().try_clone().unwrap()).unwrap();
        assert_eq!(again.0[999].load(Ordering::Relaxed), 7);
        again.0[0].store(8, Ordering::Relaxed);
        assert_eq!(map.0[0].load(Ordering::Relaxed), 8);
    }

    struct Few([AtomicU64; 10]);
    // SAFETY: an array of atomics.
    unsafe impl Shareable for Few {}

    #[test]
    fn memory_of_another_size_is_refused() {
        let map = SharedMap::<Numbers>::new().unwrap();
        assert!(map.0[0].load(Ordering::Relaxed) == 0);
        let few = SharedMap::<Few>::of(map.file().try_clone().unwrap());
        assert!(few.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData));
        assert!(SharedMap::<Few>::new().is_ok_and(|few| few.0[9].load(Ordering::Relaxed) == 0));
    }
}
