//! What a proxy may say for the client: the scheme, names with an underscore (SCRIPT_NAME, PATH_INFO), and, where
//! `trust_forwarded_header` is on, the client's address and the host it asked for.
//!
//! Invariant: an untrusted peer changes nothing here; its fields are data for the application and no more. Trust is a
//! matter of the transport's peer address and is decided by the caller (`Policy::forwarded_allow_ips`).

use super::error::{Detail, PeerError};
use super::head::Head;
use super::hops::{Client, client_hop};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `None` if it said nothing about it: the transport's scheme holds.
    pub scheme: Option<Scheme>,
    /// In place of the peer's address.
    pub client: Option<Client>,
    /// In place of the Host field.
    pub host: Option<Box<[u8]>>,
}

impl Forwarded {
    /// Takes note of a word about the scheme. Two that differ cannot both be meant.
    fn say(&mut self, scheme: Scheme) -> Result<(), PeerError> {
        match self.scheme.replace(scheme) {
            Some(said) if said != scheme => Err(PeerError::SchemeConflict),
            _ => Ok(()),
        }
    }
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
        let lengths = self.scheme_lengths();
        for (name, value) in head.fields() {
            if lengths.wrapping_shr(name.len() as u32) & 1 != 0
                && let Some(scheme) = self.scheme(name, value)
            {
                forwarded.say(scheme)?;
            }
            if head.has_underscores() && self.decide(name) == Decision::Refuse {
                return Err(PeerError::FieldName(Detail::upper(name)));
            }
        }
        if self.trusted && self.policy.trust_forwarded_header {
            self.apply_hops(head, &mut forwarded)?;
        }
        Ok(forwarded)
    }

    /// Applies the `Forwarded` field.
    fn apply_hops(&self, head: &Head<'_>, forwarded: &mut Forwarded) -> Result<(), PeerError> {
        let named = head.fields().filter(|field| field.0.eq_ignore_ascii_case(b"forwarded"));
        let hop = client_hop(named.map(|field| field.1), &self.policy.forwarded_allow_ips)
            .map_err(|()| PeerError::Field(Detail::new(b"FORWARDED")))?;
        let Some(hop) = hop else { return Ok(()) };
        if let Some(proto) = hop.proto {
            let secure = proto.eq_ignore_ascii_case(b"https");
            forwarded.say(if secure { Scheme::Https } else { Scheme::Http })?;
        }
        forwarded.client = hop.client;
        forwarded.host = hop.host.map(|host| host.into_owned().into_boxed_slice());
        Ok(())
    }

    /// A bit for each length, modulo 64, of the names that `scheme` knows: by it nearly all fields are told apart.
    fn scheme_lengths(&self) -> u64 {
        let rows = self.policy.secure_scheme_headers.iter();
        rows.fold(0, |lengths, row| lengths | 1_u64.wrapping_shl(row.0.len() as u32))
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
