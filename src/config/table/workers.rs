//! The section "Worker processes": how many there are, of which class, and how long one may live or be
//! silent.
//!
//! Read next: `src/arbiter`, which keeps them.

use std::time::Duration;

use crate::config::kind::{Count, Threads, Seconds, Size, WorkerClass};
use crate::config::row::{Live, section};

section! {
    "Worker processes" workers: Workers {
        /// Number of worker processes.
        ///
        /// One or two per CPU core is a good start. With 0 the server listens and answers nothing. TTIN and
        /// TTOU change the number while the server runs.
        workers: Count = 1 => {
            flags: &["-w", "--workers"], metavar: "COUNT", env: &[("WEB_CONCURRENCY", "{}")], live: Live::Reload,
        }

        /// Kind of worker.
        ///
        /// `sync` serves one request at a time and closes the connection after it. `gthread` keeps connections
        /// (`keepalive`) and serves as many requests at a time as it has `threads`; `sync` with more than one thread
        /// is `gthread`. `gevent` and `eventlet` serve each request in a greenlet, as many at a time as there may be
        /// connections (`worker_connections`). `asgi` serves ASGI applications; an ASGI application for which no class was
        /// chosen gets it. `package.module.Class` is a class of your own.
        /// [workers.md](workers.md) tells which to choose.
        worker_class: WorkerClass = WorkerClass::Sync => {
            flags: &["-k", "--worker-class"], metavar: "CLASS", live: Live::Workers,
        }

        /// Threads per worker that run the application.
        ///
        /// While all of them are busy new connections stay in the queue of the socket, for other workers. Only `sync`
        /// and `gthread` have threads.
        threads: Threads = 1 => { flags: &["--threads"], metavar: "COUNT", live: Live::Workers }

        /// Requests that may wait in a worker for a free thread.
        ///
        /// While every thread of a worker is in the application, complete requests beyond so many are answered 503
        /// with `Retry-After: 1`. New connections are accepted then so that they can be told, unless another worker has
        /// a thread to spare. A warning counts the answers, at most every 10 seconds. 0 is no bound: requests on
        /// connections that are open wait, and new connections stay in the queue of the socket. Above 0 a `sync` worker
        /// runs the application outside of the main thread.
        max_waiting_requests: Count = 0 => {
            flags: &["--max-waiting-requests"], metavar: "COUNT", live: Live::Workers,
        }

        /// Connections a worker may hold at once.
        ///
        /// When there are more, the one that has been idle or incomplete for longest is closed. With `gevent` and
        /// `eventlet` it is also the number of requests that may run at once. Where none of them is, `asgi` takes no more.
        worker_connections: Count = 1000 => {
            flags: &["--worker-connections"], metavar: "COUNT", live: Live::Workers,
        }

        /// Requests after which a worker is replaced.
        ///
        /// It bounds what a leak in the application can cost. The worker serves on until its replacement is ready,
        /// and no more than a quarter of the workers are replaced at a time. 0 is never.
        max_requests: Count = 0 => { flags: &["--max-requests"], metavar: "COUNT", live: Live::Workers }

        /// Most that is added to max_requests, at random.
        ///
        /// Each worker draws its own number, so that they are not all replaced at the same time.
        max_requests_jitter: Count = 0 => {
            flags: &["--max-requests-jitter"], metavar: "COUNT", live: Live::Workers,
        }

        /// Memory after which a worker is replaced.
        ///
        /// What it holds of physical memory (RSS) is looked at between requests, about once a second. A size with
        /// its unit, such as `512M`; 0 is never. Replaced as under max_requests.
        max_worker_memory: Size = 0 => {
            flags: &["--max-worker-memory"], metavar: "SIZE", live: Live::Workers,
        }

        /// Seconds after which a worker is replaced.
        ///
        /// 0 is never. Replaced as under max_requests.
        max_worker_lifetime: Seconds = Duration::ZERO => {
            flags: &["--max-worker-lifetime"], metavar: "SECONDS", live: Live::Workers,
        }

        /// Most that is added to max_worker_lifetime.
        ///
        /// Each worker draws its own number of seconds.
        worker_lifetime_jitter: Seconds = Duration::ZERO => {
            flags: &["--worker-lifetime-jitter"], metavar: "SECONDS", live: Live::Workers,
        }

        /// Seconds a worker may be silent before it is killed.
        ///
        /// A worker of one thread is silent while the application runs, so this is also the longest a request may
        /// take; one with several is only if the interpreter is stuck, and one with greenlets if its loop is. 0 is for
        /// ever.
        timeout: Seconds = Duration::from_secs(30) => {
            flags: &["-t", "--timeout"], metavar: "SECONDS", live: Live::Reload,
        }

        /// Seconds a request may be in the application.
        ///
        /// Then its Python stack is logged and the client is answered 504; if a part of the response was sent already,
        /// the connection is cut. What the application still does with that request raises RuntimeError. A thread that
        /// is stuck for as long again gets its worker replaced, as under max_requests. The time that the application
        /// waits for its client counts in. A call that never lets go of the interpreter is a case for `timeout`. 0 is for ever. Above 0 a `sync` worker runs the application outside of the
        /// main thread, where Python takes no signal handlers. `timeout` is about the whole worker and still ends one
        /// of a single thread: let it be more than twice as long. Under `asgi` the request's task is cancelled; it is not
        /// for WebSockets.
        request_timeout: Seconds = Duration::ZERO => {
            flags: &["--request-timeout"], metavar: "SECONDS", live: Live::Workers,
        }

        /// Seconds a stopping worker may take to finish.
        ///
        /// Counted from the signal; then it is killed.
        graceful_timeout: Seconds = Duration::from_secs(30) => {
            flags: &["--graceful-timeout"], metavar: "SECONDS", live: Live::Reload,
        }

        /// Seconds to go on accepting connections after TERM.
        ///
        /// A load balancer needs a while to learn that this server is leaving. Only then the graceful stop begins;
        /// a second TERM begins it at once. With systemd it needs `KillMode=mixed`.
        drain_delay: Seconds = Duration::ZERO => {
            flags: &["--drain-delay"], metavar: "SECONDS", live: Live::Reload,
        }

        /// Seconds a connection may idle between requests.
        ///
        /// `sync` workers close every connection after its response and ignore it.
        keepalive: Seconds = Duration::from_secs(2) => {
            flags: &["--keep-alive"], metavar: "SECONDS", live: Live::Workers,
        }
    }
}

impl Workers {
    /// The class that serves: `sync` has one thread.
    pub fn class(&self) -> &WorkerClass {
        match &self.worker_class {
            WorkerClass::Sync if self.threads > 1 => &WorkerClass::Gthread,
            class => class,
        }
    }

    /// Whether somebody looks after a worker while all its threads are in the application.
    pub fn is_supervised(&self) -> bool {
        let watched = !self.request_timeout.is_zero() || self.max_waiting_requests > 0;
        !self.is_driven() && (self.threads > 1 || watched)
    }

    /// Whether a class in Python runs its loop, which serves as many requests at a time as there are connections.
    pub fn is_driven(&self) -> bool {
        self.class().driver().is_some()
    }

    /// How many requests may be in the application at a time.
    pub fn concurrency(&self) -> usize {
        if self.is_driven() { self.worker_connections.max(1) } else { self.threads }
    }

    /// How long a client may keep its connection between requests; zero: not at all.
    pub fn keeps(&self) -> Duration {
        match self.class() {
            WorkerClass::Sync => Duration::ZERO,
            _ => self.keepalive,
        }
    }
}
