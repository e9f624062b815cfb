//! What the access log may ask about a request that was served.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::response::Response;
use crate::http::{Head, percent_decode};
use crate::log::access_log;

pub(super) struct Record<'a, 'py> {
    pub head: Head<'a>,
    pub response: &'a Response,
    pub environ: Option<&'a Bound<'py, PyDict>>,
    pub remote_addr: String,
    pub status: u16,
    pub elapsed: Duration,
}

impl access_log::Record for Record<'_, '_> {
    fn remote_addr(&self) -> &str {
        &self.remote_addr
    }

    fn method(&self) -> &str {
        self.head.method()
    }

    fn target(&self) -> &[u8] {
        self.head.target()
    }

    fn path(&self) -> Vec<u8> {
        let mut decoded = Vec::new();
        percent_decode(self.head.path(), &mut decoded);
        decoded
    }

    fn query(&self) -> &[u8] {
        self.head.query()
    }

    fn protocol(&self) -> &str {
        self.head.version().as_str()
    }

    fn status(&self) -> u16 {
        self.status
    }

    fn sent(&self) -> u64 {
        self.response.writer.body_sent()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn request_field(&self, name: &str) -> Option<Vec<u8>> {
        self.head.field(name).map(<[u8]>::to_vec)
    }

    fn response_field(&self, name: &str) -> Option<Vec<u8>> {
        self.response.head.field(name).map(<[u8]>::to_vec)
    }

    fn environ(&self, key: &str) -> Option<Vec<u8>> {
        let value = self.environ?.get_item(key).ok()??;
        value.str().ok().map(|text| text.to_string_lossy().into_owned().into_bytes())
    }
}
