//! One HTTP/1.x connection: the reader and the writer of the same client, which share nothing but the policy's rules.
//! Made once per accepted client and kept until it closes.
//! Drivers use the two halves directly; only what concerns both is here. Owns no socket.

use std::net::IpAddr;
use std::sync::Arc;

use super::policy::Policy;
use super::reader::RequestReader;
use super::writer::ResponseWriter;

#[derive(Debug)]
pub struct Connection {
    pub reader: RequestReader,
    pub writer: ResponseWriter,
}

impl Connection {
    /// `peer`: the address at the other end of the socket, if it has one.
    pub fn new(policy: Arc<Policy>, peer: Option<IpAddr>) -> Self {
        let mut reader = RequestReader::new(&policy);
        reader.expect_proxy(&policy, peer);
        Self { reader, writer: ResponseWriter::new() }
    }

    /// Starts the response to the request in hand. `false` if there is none.
    pub fn begin_response(&mut self, allow_keep_alive: bool) -> bool {
        let Some(head) = self.reader.head() else { return false };
        self.writer.begin(&head, allow_keep_alive);
        true
    }

    /// Goes on to the next request on this connection, if both sides left it in order.
    pub fn next_request(&mut self) -> bool {
        self.writer.is_persistent() && self.reader.next_request()
    }
}
