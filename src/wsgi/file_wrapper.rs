//! `wsgi.file_wrapper`: an iterable over a file-like object, recognised when the application returns it, and then sent
//! by sendfile(2) if there is a real file behind it.

use std::os::fd::OwnedFd;

use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, lseek};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::sys::descriptors;

#[pyclass(frozen, module = "rwsgi")]
pub struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: usize,
}

/// What is left of a regular file from its current position.
pub(super) struct FilePart {
    pub file: OwnedFd,
    pub offset: u64,
    pub length: u64,
}

impl FileWrapper {
    /// The file behind the object, if it is a regular one: sockets, pipes and buffers in memory are iterated.
    pub(super) fn part(&self, py: Python<'_>) -> Option<FilePart> {
        let number: i32 = self.filelike.bind(py).call_method0("fileno").ok()?.extract().ok()?;
        let borrowed = descriptors::borrow(self, number);
        let stat = fstat(borrowed).ok()?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return None;
        }
        let offset = self.position(py, borrowed)?;
        let size = u64::try_from(stat.st_size).ok()?;
        // A descriptor of its own: the application may close the file as soon as it has returned.
        let file = borrowed.try_clone_to_owned().ok()?;
        Some(FilePart { file, offset, length: size.saturating_sub(offset) })
    }

    /// `tell()` knows what a buffered reader has taken already; the descriptor does not.
    fn position(&self, py: Python<'_>, file: std::os::fd::BorrowedFd<'_>) -> Option<u64> {
        let told = self.filelike.bind(py).call_method0("tell").ok().and_then(|told| told.extract().ok());
        told.or_else(|| lseek(file, 0, Whence::SeekCur).ok().and_then(|at| u64::try_from(at).ok()))
    }

    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.filelike.bind(py).call_method1("read", (self.blksize,))?;
        Ok(block.is_truthy()?.then_some(block))
    }
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=8192))]
    const fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self { filelike, blksize }
    }

    const fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.read(py)
    }

    /// The old iteration protocol, which some middleware still uses.
    fn __getitem__<'py>(&self, py: Python<'py>, _index: isize) -> PyResult<Bound<'py, PyAny>> {
        self.read(py)?.ok_or_else(|| PyIndexError::new_err("the file has ended"))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.filelike.bind(py);
        if file.hasattr("close")? {
            file.call_method0("close")?;
        }
        Ok(())
    }
}
