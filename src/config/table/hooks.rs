//! The section "Server hooks": functions of the config file that are called at moments of the server's life.
//!
//! Owns names and documentation. How many arguments each takes and how it is called is `py/hooks`. Read next:
//! `../kind/hook.rs`.

use crate::config::kind::Hook;
use crate::config::row::{Live, section};

section! {
    "Server hooks" hooks: Hooks {
        /// Called before the server sets itself up.
        ///
        /// `def on_starting(server)`, in the master, once: the pid file is written, no socket is bound. If it raises,
        /// the server does not start.
        on_starting: Hook = None => {}

        /// Called when a reload is about to take effect.
        ///
        /// `def on_reload(server)`, in the master: the configuration is read, its sockets are bound, no new worker is
        /// forked. If it raises, the reload is given up and the running configuration stays.
        on_reload: Hook = None => { live: Live::Reload }

        /// Called when the server listens, before the first worker.
        ///
        /// `def when_ready(server)`, in the master, once. If it raises, the server does not start.
        when_ready: Hook = None => {}

        /// Called before each worker is forked.
        ///
        /// `def pre_fork(server, worker)`, in the master: the worker knows its age, and `[booting]` stands for its
        /// pid. If it raises, that worker has failed to boot.
        pre_fork: Hook = None => { live: Live::Reload }

        /// Called in each worker first.
        ///
        /// `def post_fork(server, worker)`, in the worker, before the application is loaded. If it raises, the worker
        /// has failed to boot.
        post_fork: Hook = None => { live: Live::Workers }

        /// Called when a worker has loaded the application.
        ///
        /// `def post_worker_init(worker)`, in the worker, before it accepts anything. Signal handlers that are set here
        /// stay. If it raises, the worker has failed to boot.
        post_worker_init: Hook = None => { live: Live::Workers }

        /// Called when a worker gets INT or QUIT.
        ///
        /// `def worker_int(worker)`, in the worker, from the signal's handler; the worker leaves after it.
        worker_int: Hook = None => { live: Live::Workers }

        /// Called when a worker gets ABRT.
        ///
        /// `def worker_abort(worker)`, in the worker, from the signal's handler. The master sends ABRT to a worker that
        /// was silent for longer than `timeout`, and kills it soon after: one that hangs in a call that does not return to
        /// Python never gets here.
        worker_abort: Hook = None => { live: Live::Workers }

        /// Called before a new master's program is started.
        ///
        /// `def pre_exec(server)`, in the process that becomes the new master.
        pre_exec: Hook = None => { live: Live::Reload }

        /// Called before each request is given to the application.
        ///
        /// `def pre_request(worker, req)`, in the worker, when the head is read. If it raises, the client gets 500.
        /// Without it the request is logged at level debug.
        pre_request: Hook = None => { live: Live::Workers }

        /// Called after each request.
        ///
        /// `def post_request(worker, req, environ, resp)`, in the worker, when the response is given to the kernel and
        /// logged; also when the application raised, where `resp.status` may be `None`. The last one or two parameters
        /// may be left out. If `pre_request` raised, `environ` is empty and `resp` is `None`.
        post_request: Hook = None => { live: Live::Workers }

        /// Called after a worker ended.
        ///
        /// `def child_exit(server, worker)`, in the master; not for a worker that failed to boot.
        child_exit: Hook = None => { live: Live::Reload }

        /// Called in each worker last.
        ///
        /// `def worker_exit(server, worker)`, in the worker; a killed worker does not get here.
        worker_exit: Hook = None => { live: Live::Workers }

        /// Called when the number of workers changes.
        ///
        /// `def nworkers_changed(server, new_value, old_value)`, in the master: at the start with `None` for the old
        /// number, at each reload, and on TTIN and TTOU.
        nworkers_changed: Hook = None => { live: Live::Reload }

        /// Called before the master ends.
        ///
        /// `def on_exit(server)`, in the master: the workers are gone and the pid file is removed. If it raises, the exit
        /// status is 1.
        on_exit: Hook = None => { live: Live::Reload }

        /// Called to make the context of TLS connections.
        ssl_context: Hook = None => { not_yet: super::ssl::NO_TLS }
    }
}
