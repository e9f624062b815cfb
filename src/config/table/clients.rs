//! The section "Clients": how long they may take, and how much of what they have not sent or read is kept for them.
//!
//! Read next: `src/wsgi/patience.rs`, which makes one value of them; `src/worker/connection.rs`, which obeys it.

use std::time::Duration;

use crate::config::kind::{Count, Seconds, Size};
use crate::config::row::{Live, section};

section! {
    "Clients" clients: Clients {
        /// Seconds a client may take to send the head of a request.
        ///
        /// Counted from when its connection was accepted, a PROXY header included. Then it gets 408. 0 is for ever.
        request_head_timeout: Seconds = Duration::from_secs(30) => {
            flags: &["--request-head-timeout"], metavar: "SECONDS", live: Live::Workers,
        }

        /// Seconds a client may pause while it sends a body.
        ///
        /// Then it gets 408; an application that is reading the body gets an `OSError`. In a worker with one thread
        /// that waits for its client, all waits of a request end before the worker's timeout does. 0 is for ever.
        request_body_timeout: Seconds = Duration::from_secs(30) => {
            flags: &["--request-body-timeout"], metavar: "SECONDS", live: Live::Workers,
        }

        /// Bytes a second that a client has to send of a body.
        ///
        /// On average, with request_body_timeout as its reserve: the time that bytes took longer than this rate
        /// allows is taken from it, and faster ones fill it up again. 0 is any.
        request_body_min_rate: Count = 500 => {
            flags: &["--request-body-min-rate"], metavar: "BYTES", live: Live::Workers,
        }

        /// Seconds a client may leave a response unread.
        ///
        /// Then its connection is closed; an application that is waiting for it gets an `OSError`. 0 is for ever.
        send_timeout: Seconds = Duration::from_secs(30) => {
            flags: &["--send-timeout"], metavar: "SECONDS", live: Live::Workers,
        }

        /// Bytes a second that a client has to take of a response.
        ///
        /// Only while there is something for it, and measured as request_body_min_rate is. 0 is any.
        send_min_rate: Count = 500 => { flags: &["--send-min-rate"], metavar: "BYTES", live: Live::Workers }

        /// Seconds to listen to a client that has its answer.
        ///
        /// Closing the connection under what it still sends could destroy the answer. One that goes on is listened
        /// to for five times as long. 0 closes at once.
        linger_timeout: Seconds = Duration::from_secs(2) => {
            flags: &["--linger-timeout"], metavar: "SECONDS", live: Live::Workers,
        }

        /// How much of a body comes before the application is called.
        ///
        /// The application reads the rest of a larger one from the client, whose pace it then has to bear, unless
        /// `request_spool` says otherwise. `asgi` applications are called at once, and as much waits for them.
        request_buffer: Size = 1 << 20 => {
            flags: &["--request-buffer"], metavar: "SIZE", live: Live::Workers,
        }

        /// Longest body that waits in a file for the application.
        ///
        /// Bodies that are larger than `request_buffer`, and not larger than this, are received whole into a temporary
        /// file (`tmp_upload_dir`), so that a slow upload occupies no thread; the application reads them from there.
        /// Where that file cannot be written the request is answered 503, and the log says why. 0 is none. The class
        /// `asgi` hands on what comes and has no use for it.
        request_spool: Size = 0 => {
            flags: &["--request-spool"], metavar: "SIZE", live: Live::Workers,
        }

        /// How much of a response waits for a slow client.
        ///
        /// An application that sends more, block by block, has to wait for the client.
        response_buffer: Size = 1 << 20 => {
            flags: &["--response-buffer"], metavar: "SIZE", live: Live::Workers,
        }

        /// Most that a worker keeps of bodies, and of responses.
        ///
        /// For each of the two: all together. Of bodies beyond it no more is read until others are through, save the first 32K of each. Of responses
        /// beyond it the one that is read most slowly is cut off. 0 is no limit.
        worker_buffers: Size = 64 << 20 => {
            flags: &["--worker-buffers"], metavar: "SIZE", live: Live::Workers,
        }
    }
}
