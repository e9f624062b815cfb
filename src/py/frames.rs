//! Memory for the frames of greenlets, kept for the next one.
//!
//! CPython maps a chunk of 16 KiB for the Python frames of each greenlet or thread, and gives it back to the kernel when
//! that ends: with a greenlet for each request that is a third of all that a request costs. Owns a small stock of such
//! chunks, in front of the interpreter's own allocator of arenas. Must never touch what is of another size. Read next:
//! `worker/driven/mod.rs`, which asks for it.

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, OnceLock};

use pyo3::ffi::{PyObject_GetArenaAllocator, PyObject_SetArenaAllocator, PyObjectArenaAllocator};
use pyo3::prelude::*;

/// `DATA_STACK_CHUNK_SIZE` of CPython. Where it is another one nothing is kept.
const CHUNK: usize = 16 * 1024;
/// 4 MiB of them.
const MOST: usize = 256;

struct Chunk(*mut c_void);

// SAFETY: a chunk in the stock is memory that nobody else knows.
unsafe impl Send for Chunk {}

static STOCK: Mutex<Vec<Chunk>> = Mutex::new(Vec::new());
/// What was there before.
static BELOW: OnceLock<Below> = OnceLock::new();

struct Below(PyObjectArenaAllocator);

// SAFETY: it is a table of functions and a context, which the interpreter itself calls from any thread.
unsafe impl Send for Below {}
// SAFETY: as above; it is never changed.
unsafe impl Sync for Below {}

/// From now on chunks are kept. Once is enough.
pub fn keep(_py: Python<'_>) {
    let mut below = PyObjectArenaAllocator { ctx: std::ptr::null_mut(), alloc: None, free: None };
    // SAFETY: the interpreter is attached, so nobody else changes its allocators, and `below` is room for the answer.
    unsafe { PyObject_GetArenaAllocator(&raw mut below) };
    if BELOW.set(Below(below)).is_ok() {
        let mut own =
            PyObjectArenaAllocator { ctx: std::ptr::null_mut(), alloc: Some(alloc), free: Some(free) };
        // SAFETY: as above; the table is copied. What the allocator before has given out is freed by it in the end: `free`
        // hands down all that it does not keep, and what it keeps is given out again under the same size.
        unsafe { PyObject_SetArenaAllocator(&raw mut own) };
    }
}

extern "C" fn alloc(_context: *mut c_void, size: usize) -> *mut c_void {
    if size == CHUNK
        && let Some(Chunk(chunk)) = stock().and_then(|mut stock| stock.pop())
    {
        return chunk;
    }
    let Some(Below(PyObjectArenaAllocator { ctx, alloc: Some(alloc), .. })) = BELOW.get() else {
        return std::ptr::null_mut();
    };
    alloc(*ctx, size)
}

extern "C" fn free(_context: *mut c_void, memory: *mut c_void, size: usize) {
    if size == CHUNK
        && let Some(mut stock) = stock().filter(|stock| stock.len() < MOST)
    {
        return stock.push(Chunk(memory));
    }
    if let Some(Below(PyObjectArenaAllocator { ctx, free: Some(free), .. })) = BELOW.get() {
        free(*ctx, memory, size);
    }
}

/// Not waited for: a process that is forked while another thread has it would wait for ever.
fn stock() -> Option<MutexGuard<'static, Vec<Chunk>>> {
    STOCK.try_lock().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_given_out_again() {
        Python::initialize();
        // Other tests' threads give back and take only while they have the interpreter.
        Python::attach(|py| {
            keep(py);
            let first = alloc(std::ptr::null_mut(), CHUNK);
            free(std::ptr::null_mut(), first, CHUNK);
            assert_eq!(alloc(std::ptr::null_mut(), CHUNK), first);
            free(std::ptr::null_mut(), first, CHUNK);
            let other = alloc(std::ptr::null_mut(), 4 * CHUNK);
            assert!(!other.is_null() && other != first);
            free(std::ptr::null_mut(), other, 4 * CHUNK);
        });
    }
}
