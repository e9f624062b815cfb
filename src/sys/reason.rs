//! Why a system call failed, in words for a person: without the number that Rust adds to them.

use std::io;

use nix::errno::Errno;

pub fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_are_told() {
        assert_eq!(reason(&io::Error::from_raw_os_error(Errno::ENOENT as i32)), "No such file or directory");
        assert_eq!(reason(&io::Error::other("no")), "no");
    }
}
