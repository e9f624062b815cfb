//! Obsolete line folding (RFC 9112 section 5.2), for those who permit it: joins the lines of a folded field where they were
//! received, so that the parser sees one. The parts of the value are trimmed and joined by one space, and the room that
//! is won becomes white space at the end of the value, which is not part of it.
//!
//! A line end may be shown to the parser only when the byte behind it is known. So the same lines are seen however they
//! were split. Never looks beyond the head: its empty line ends the work. Trailers are dropped, so `chunked.rs` only
//! checks what is folded there.

/// The place reached in an unfinished head. All offsets count from the head's first byte.
#[derive(Debug, Default)]
pub(crate) struct Unfolder {
    /// Where the search for LF goes on.
    scanned: usize,
    /// Where the field in hand begins, and where the last of its lines does. 0: the request line is in hand.
    field_at: usize,
    line_at: usize,
    /// The first LF of the field in hand that may be, or is, followed by a continuation.
    hidden: Option<usize>,
    /// Nothing more is folded: the head has ended, or a line has no CRLF.
    done: bool,
}

/// What of a head may be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// So many bytes from the beginning.
    pub(crate) visible: usize,
    /// So many bytes have come of the field in hand, without its LF, if its end cannot be shown yet.
    pub(crate) pending: usize,
}

impl Unfolder {
    /// Goes on with `bytes`, which begin where the head begins.
    pub(crate) fn advance(&mut self, bytes: &mut [u8]) -> Shown {
        while !self.done {
            let unseen = bytes.get(self.scanned..).unwrap_or_default();
            let Some(lf) = memchr::memchr(b'\n', unseen).and_then(|at| at.checked_add(self.scanned)) else {
                self.scanned = bytes.len();
                break;
            };
            if !self.pass_line(bytes, lf) {
                self.scanned = lf;
                break;
            }
            self.scanned = lf.saturating_add(1);
        }
        self.shown(bytes)
    }

    fn shown(&self, bytes: &[u8]) -> Shown {
        match self.hidden {
            Some(hidden) if !self.done => {
                let field = bytes.get(self.field_at..).unwrap_or_default();
                Shown { visible: hidden, pending: field.strip_suffix(b"\n").unwrap_or(field).len() }
            }
            _ => Shown { visible: bytes.len(), pending: 0 },
        }
    }

    /// Judges the line that ends with the LF at `lf`. `false` if that takes the next byte, which is not there.
    fn pass_line(&mut self, bytes: &mut [u8], lf: usize) -> bool {
        let line = bytes.get(self.line_at..lf).unwrap_or_default();
        let is_empty = line == b"\r" && self.line_at == self.field_at;
        if self.line_at > 0 && (is_empty || !line.ends_with(b"\r")) {
            // A bare LF is refused, as the end of the whole field: so it is found behind the same limits for every split.
            if self.line_at > self.field_at {
                join(bytes.get_mut(self.field_at..lf).unwrap_or_default());
            }
            self.done = true;
            return true;
        }
        let next = lf.saturating_add(1);
        // White space behind the request line folds nothing.
        if self.line_at > 0 {
            let first = *self.hidden.get_or_insert(lf);
            match bytes.get(next) {
                None => return false,
                Some(b' ' | b'\t') => {
                    self.line_at = next;
                    return true;
                }
                Some(_) if first < lf => join(bytes.get_mut(self.field_at..lf).unwrap_or_default()),
                Some(_) => {}
            }
        }
        self.hidden = None;
        (self.field_at, self.line_at) = (next, next);
        true
    }
}

/// Joins the lines of `field`, which is given without its last LF.
fn join(field: &mut [u8]) {
    let end = field.len().saturating_sub(1);
    let (mut from, mut to) = (0, 0);
    while from <= end {
        let rest = field.get(from..end).unwrap_or_default();
        let len = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let (start, stop) = trimmed(field, from, from.saturating_add(len));
        if from > 0 {
            // In the place of the CR: `to` never overtakes `start`.
            field.get_mut(to).into_iter().for_each(|place| *place = b' ');
            to = to.saturating_add(1);
        }
        field.copy_within(start..stop, to);
        to = to.saturating_add(stop.saturating_sub(start));
        from = from.saturating_add(len).saturating_add(2);
    }
    field.get_mut(to..end).unwrap_or_default().fill(b' ');
}

/// Without the white space around it; the field's first line keeps what is before its name.
fn trimmed(field: &[u8], mut start: usize, mut stop: usize) -> (usize, usize) {
    let is_blank = |at: usize| matches!(field.get(at), Some(b' ' | b'\t'));
    while start > 0 && start < stop && is_blank(start) {
        start = start.saturating_add(1);
    }
    while stop > start && is_blank(stop.saturating_sub(1)) {
        stop = stop.saturating_sub(1);
    }
    (start, stop)
}

#[cfg(test)]
mod tests {
    use super::{Shown, Unfolder};

    fn unfolded(head: &str) -> String {
        let mut bytes = head.as_bytes().to_vec();
        let shown = Unfolder::default().advance(&mut bytes);
        String::from_utf8(bytes[..shown.visible].to_vec()).unwrap()
    }

    #[test]
    fn lines_are_joined_in_place() {
        for (folded, joined) in [
            ("G\r\nA: b\r\n c\r\n\r\n", "G\r\nA: b c  \r\n\r\n"),
            ("G\r\nA: b\t\r\n\t c \r\n  d\r\nE: f\r\n\r\n", "G\r\nA: b c d        \r\nE: f\r\n\r\n"),
            ("G\r\nA:\r\n b\r\n\r\n", "G\r\nA: b  \r\n\r\n"),
            ("G\r\nA: b\r\n \r\n c\r\n\r\n", "G\r\nA: b  c    \r\n\r\n"),
            ("G\r\n A: b\r\n c\r\n\r\n", "G\r\n A: b c  \r\n\r\n"),
            ("G\r\n\r\n body\r\n x", "G\r\n\r\n body\r\n x"),
            ("G\r\nA: b\n c\r\n", "G\r\nA: b\n c\r\n"),
            ("G\r\nA: b\r\n c\nd", "G\r\nA: b   c\nd"),
        ] {
            assert_eq!(unfolded(folded), joined, "{folded:?}");
        }
    }

    #[test]
    fn an_end_is_shown_when_the_next_byte_is_known() {
        let mut bytes = b"G\r\nA: b\r\n".to_vec();
        let mut unfolder = Unfolder::default();
        assert_eq!(unfolder.advance(&mut bytes), Shown { visible: 8, pending: 5 });
        bytes.extend_from_slice(b" c");
        assert_eq!(unfolder.advance(&mut bytes), Shown { visible: 8, pending: 8 });
        bytes.extend_from_slice(b"\r\n\r");
        assert_eq!(unfolder.advance(&mut bytes), Shown { visible: 14, pending: 0 });
        assert_eq!(bytes, b"G\r\nA: b c  \r\n\r");
    }
}
