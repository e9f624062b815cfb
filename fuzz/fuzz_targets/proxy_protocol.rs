//! See src/proxy_protocol.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rwsgi_fuzz::proxy_protocol::check(input));
