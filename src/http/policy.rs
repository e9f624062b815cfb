//! What is accepted from peers: limits, header rules, trust. Built once from settings and shared by all connections.
//! The defaults are gunicorn's strict ones. Raw setting values go in as they are; the effective limits, with gunicorn's
//! meanings of 0 and its clamps, are computed here and nowhere else.

use super::proxy_protocol::ProxyProtocol;
use super::trusted::TrustedPeers;

/// Whatever the limits are.
const HEAD_MAX: usize = 1 << 20;
const REQUEST_LINE_MAX: usize = 8190;
const REQUEST_LINE_UNLIMITED: usize = 1 << 20;
const FIELDS_MAX: usize = 32_768;
const FIELD_SIZE_DEFAULT: usize = 8190;

/// What becomes of field names with an underscore, which WSGI cannot tell from their dashed twins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderMap {
    #[default]
    Drop,
    Refuse,
    Dangerous,
}

/// What HTTP forbids, or gunicorn does, and is accepted all the same: each by its own switch, all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// A field's value may go on in the next line.
    pub obsolete_folding: bool,
    /// White space may stand before a field's colon.
    pub header_spaces: bool,
    /// Methods may be of any length, in lower case, and have a `#`.
    pub unconventional_method: bool,
    /// Versions before 1.0 and from 2.0 on are taken for the nearest that is spoken here.
    pub unconventional_version: bool,
    /// Methods are turned to upper case.
    pub casefold_method: bool,
}

impl Leniency {
    /// Whether `method` is the one called `name`.
    pub(crate) fn is_method(self, method: &[u8], name: &[u8]) -> bool {
        if self.casefold_method { method.eq_ignore_ascii_case(name) } else { method == name }
    }
}

/// The rules one listener's connections are held to.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Bytes of a request line, without its CRLF. 0 is unlimited, which means 1 MiB.
    pub limit_request_line: usize,
    /// Field lines in a head, and in a trailer section. 0 is the maximum.
    pub limit_request_fields: usize,
    /// Bytes of a field line with its CRLF; also of a chunk-size line. 0 is the default.
    pub limit_request_field_size: usize,
    /// Bytes of a body, without the chunked coding. 0 is unlimited.
    pub limit_request_body: u64,
    pub leniency: Leniency,
    pub header_map: HeaderMap,
    /// Upper-case names with an underscore that a trusted peer may set; `*` is all of them.
    pub forwarder_headers: Vec<String>,
    /// Upper-case, dashed name of a field, and its value that means https.
    pub secure_scheme_headers: Vec<(String, String)>,
    pub forwarded_allow_ips: TrustedPeers,
    /// Whether connections begin with a PROXY header, and who may send one.
    pub proxy_protocol: ProxyProtocol,
    pub proxy_allow_ips: TrustedPeers,
    /// Whether a trusted peer's `Forwarded` (RFC 7239) is believed.
    pub trust_forwarded_header: bool,
}

impl Default for Policy {
    fn default() -> Self {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            limit_request_line: 4094,
            limit_request_fields: 100,
            limit_request_field_size: FIELD_SIZE_DEFAULT,
            limit_request_body: 0,
            leniency: Leniency::default(),
            header_map: HeaderMap::Drop,
            forwarder_headers: vec!["SCRIPT_NAME".to_owned(), "PATH_INFO".to_owned()],
            secure_scheme_headers: vec![
                pair("X-FORWARDED-PROTOCOL", "ssl"),
                pair("X-FORWARDED-PROTO", "https"),
                pair("X-FORWARDED-SSL", "on"),
            ],
            forwarded_allow_ips: TrustedPeers::loopback(),
            proxy_protocol: ProxyProtocol::Off,
            proxy_allow_ips: TrustedPeers::loopback(),
            trust_forwarded_header: false,
        }
    }
}

impl Policy {
    pub(crate) fn request_line_limit(&self) -> usize {
        match self.limit_request_line {
            0 => REQUEST_LINE_UNLIMITED,
            limit => limit.min(REQUEST_LINE_MAX),
        }
    }

    pub(crate) fn fields_limit(&self) -> usize {
        match self.limit_request_fields {
            0 => FIELDS_MAX,
            limit => limit.min(FIELDS_MAX),
        }
    }

    /// Bytes of the longest head, as far as one is received whole by others.
    pub fn longest_head(&self) -> usize {
        let fields = self.fields_limit().saturating_mul(self.field_size_limit());
        self.request_line_limit().saturating_add(fields).min(HEAD_MAX)
    }

    pub(crate) fn field_size_limit(&self) -> usize {
        match self.limit_request_field_size {
            0 => FIELD_SIZE_DEFAULT,
            limit => limit,
        }
    }

    pub(crate) fn body_limit(&self) -> u64 {
        match self.limit_request_body {
            0 => u64::MAX,
            limit => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn zero_and_excess_have_gunicorns_meanings() {
        let mut policy = Policy::default();
        assert_eq!(
            (policy.request_line_limit(), policy.fields_limit(), policy.field_size_limit()),
            (4094, 100, 8190)
        );
        policy.limit_request_line = 0;
        policy.limit_request_fields = 0;
        policy.limit_request_field_size = 0;
        assert_eq!(
            (policy.request_line_limit(), policy.fields_limit(), policy.field_size_limit()),
            (1 << 20, 32768, 8190)
        );
        policy.limit_request_line = 9000;
        policy.limit_request_fields = 40_000;
        policy.limit_request_field_size = 20_000;
        assert_eq!(
            (policy.request_line_limit(), policy.fields_limit(), policy.field_size_limit()),
            (8190, 32768, 20_000)
        );
    }
}
