//! What a proxy may say for the client: the scheme, and names with an underscore (SCRIPT_NAME, PATH_INFO).
//!
//! Invariant: an untrusted peer changes nothing here; its fields are data for the application and no more. Trust is a
//! matter of the transport's peer address and is decided by the caller (`Policy::forwarded_allow_ips`).

use super::error::{Detail, PeerError};
use super::head::Head;
use super::policy::{HeaderMap, Policy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What becomes of a field when names are mapped to environ keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Keep,
    Drop,
    Refuse,
}

/// What the proxy said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `None` if it said nothing about it: the transport's scheme holds.
    pub scheme: Option<Scheme>,
}

/// The rules for one connection's peer.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedRules<'a> {
    policy: &'a Policy,
    trusted: bool,
}

impl<'a> ForwardedRules<'a> {
    pub fn new(policy: &'a Policy, trusted: bool) -> Self {
        Self { policy, trusted }
    }

    /// Applies the rules to a head: refuses it, or says what the proxy said. Fields to drop are found with `decide`.
    pub fn apply(&self, head: &Head<'_>) -> Result<Forwarded, PeerError> {
        let mut forwarded = Forwarded::default();
        if !self.trusted && !head.has_underscores() {
            return Ok(forwarded);
        }
        for (name, value) in head.fields() {
            if let Some(scheme) = self.scheme(name, value) {
                if forwarded.scheme.is_some_and(|said| said != scheme) {
                    return Err(PeerError::SchemeConflict);
                }
                forwarded.scheme = Some(scheme);
            }
            if head.has_underscores() && self.decide(name) == Decision::Refuse {
                return Err(PeerError::FieldName(Detail::upper(name)));
            }
        }
        Ok(forwarded)
    }

    /// What a field says about the scheme: https for exactly the configured value, http for any other.
    fn scheme(&self, name: &[u8], value: &[u8]) -> Option<Scheme> {
        if !self.trusted {
            return None;
        }
        let is_named = |row: &&(String, String)| name.eq_ignore_ascii_case(row.0.as_bytes());
        let (_, secure) = self.policy.secure_scheme_headers.iter().find(is_named)?;
        Some(if value == secure.as_bytes() { Scheme::Https } else { Scheme::Http })
    }

    /// Whether a field of this name reaches the application. Only names with an underscore are ever in question: in the
    /// environ `X_Forwarded_For` would pass for `X-Forwarded-For`.
    pub fn decide(&self, name: &[u8]) -> Decision {
        if memchr::memchr(b'_', name).is_none() || (self.trusted && self.may_set(name)) {
            return Decision::Keep;
        }
        match self.policy.header_map {
            HeaderMap::Drop => Decision::Drop,
            HeaderMap::Refuse => Decision::Refuse,
            HeaderMap::Dangerous => Decision::Keep,
        }
    }

    fn may_set(&self, name: &[u8]) -> bool {
        self.policy
            .forwarder_headers
            .iter()
            .any(|allowed| allowed == "*" || name.eq_ignore_ascii_case(allowed.as_bytes()))
    }
}
