//! The part of a request's body that waits in a file for the application: one without a name, which is gone with its
//! descriptor, however the process ends.
//!
//! Owns the file and how far it was read. Must never hold more of it in memory than a window for lines. Read next:
//! `exchange.rs`, who has one; `input.rs`, who reads it; `worker/spooling.rs`, who fills it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is read ahead where lines are looked for.
const WINDOW: usize = 64 * 1024;

#[derive(Debug)]
pub struct Spool {
    file: File,
    length: u64,
    /// How much of it the application has had.
    taken: u64,
    /// A copy of what is in the file from `window_at` on.
    window: Vec<u8>,
    window_at: u64,
}

impl Spool {
    pub fn new(directory: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(Self { file, length: 0, taken: 0, window: Vec::new(), window_at: 0 })
    }

    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Bytes that the application has not had.
    pub(super) const fn left(&self) -> u64 {
        self.length - self.taken
    }

    /// The next bytes, `into.len()` of them, which must be there.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, self.taken)?;
        self.taken += into.len() as u64;
        Ok(())
    }

    /// What comes next, as far as it is in memory; nothing at the end.
    pub(super) fn ahead(&mut self) -> io::Result<&[u8]> {
        let within = usize::try_from(self.taken.wrapping_sub(self.window_at)).unwrap_or(usize::MAX);
        if within < self.window.len() {
            return Ok(self.window.get(within..).unwrap_or_default());
        }
        let size = usize::try_from(self.left()).unwrap_or(WINDOW).min(WINDOW);
        self.window.resize(size, 0);
        self.window_at = self.taken;
        self.file.read_exact_at(&mut self.window, self.taken)?;
        Ok(&self.window)
    }

    /// The application has had so many more bytes of [`Self::ahead`].
    pub(super) fn take(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(count as u64).min(self.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_in_pieces_and_by_windows() {
        let mut spool = Spool::new(&std::env::temp_dir()).unwrap();
        let body: Vec<u8> = (0..3 * WINDOW).map(|number| number as u8).collect();
        body.chunks(1000).for_each(|piece| spool.append(piece).unwrap());
        assert_eq!(spool.ahead().unwrap(), &body[..WINDOW]);
        spool.take(5);
        assert_eq!(spool.ahead().unwrap(), &body[5..WINDOW]);
        let mut piece = vec![0; WINDOW];
        spool.read(&mut piece).unwrap();
        assert_eq!(piece, body[5..WINDOW + 5]);
        assert_eq!(spool.ahead().unwrap(), &body[WINDOW + 5..2 * WINDOW + 5]);
        spool.take(WINDOW);
        assert_eq!(spool.left(), WINDOW as u64 - 5);
        assert_eq!(spool.ahead().unwrap(), &body[2 * WINDOW + 5..]);
        spool.take(WINDOW);
        assert_eq!((spool.left(), spool.ahead().unwrap()), (0, &b""[..]));
    }
}
