//! Request ids: one that a trusted peer sent, or a new one.
//!
//! Owns which ids are taken over: what goes into logs and into the response must be plain. Read next: `serve.rs`.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::http::Head;

const LONGEST: usize = 200;
const FIELD: &str = "x-request-id";

/// Makes ids. One a worker, made in it: workers must not draw the same ones.
#[derive(Debug)]
pub struct RequestIds {
    worker: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new() -> io::Result<Self> {
        let mut seed = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        let seed = u128::from_ne_bytes(seed);
        Ok(Self { worker: (seed >> 64) as u64, next: AtomicU64::new(seed as u64) })
    }

    /// The id of the request with this head.
    pub(crate) fn of(&self, head: &Head<'_>, trusted: bool) -> Arc<str> {
        let given = head.field(FIELD).filter(|_| trusted).and_then(plain);
        given.map_or_else(|| self.fresh(), Arc::from)
    }

    fn fresh(&self) -> Arc<str> {
        format!("{:016x}{:016x}", self.worker, self.next.fetch_add(1, Relaxed)).into()
    }
}

fn plain(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&text.len()).then_some(text).filter(|text| text.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_over() {
        for good in ["a", "0b7e-1.x_Y", &"x".repeat(200)] {
            assert_eq!(plain(good.as_bytes()), Some(good));
        }
        for bad in ["", "a b", "a\"b", "é", "a,b", &"x".repeat(201)] {
            assert_eq!(plain(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn no_two_are_alike() {
        let workers = [RequestIds::new().unwrap(), RequestIds::new().unwrap()];
        let ids: std::collections::HashSet<Arc<str>> =
            (0..1000).flat_map(|_| workers.iter().map(RequestIds::fresh)).collect();
        assert_eq!(ids.len(), 2000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
