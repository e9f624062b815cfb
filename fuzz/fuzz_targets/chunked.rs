//! See src/chunked.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rwsgi_fuzz::chunked::check(input));
