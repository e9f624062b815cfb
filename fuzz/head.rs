//! A head: whatever is accepted has nothing in it that another party could take for the end of something.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use rwsgi::http::{Connection, Event, Policy};

fuzz_target!(|data: &[u8]| {
    let mut reader = Connection::new(Arc::new(Policy::default()), None).reader;
    reader.receive(data);
    if let Ok(Event::Head) = reader.next_event() {
        let head = reader.head().unwrap();
        let clean = |bytes: &[u8]| !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        assert!(!head.method().is_empty() && head.method().bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!head.target().is_empty() && head.target().iter().all(|byte| *byte > b' ' && *byte != 0x7f));
        for (name, value) in head.fields() {
            assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'));
            assert!(clean(value) && value.trim_ascii() == value);
        }
        assert!(!(head.is_chunked() && head.content_length().is_some()));
    }
});
