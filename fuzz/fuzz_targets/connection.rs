//! See src/connection.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rwsgi_fuzz::connection::check(input));
