//! A generation: one configuration with the sockets and logs that go with it.
//!
//! Owns which addresses are listened on, and the sockets of those. A socket that two generations share is one socket.
//! Must never unlink a unix socket that another generation still listens on. Read next: `reload.rs`.

use std::sync::Arc;

use crate::config::{Address, Settings};
use crate::log::Logs;
use crate::net::{BindError, BindOptions, Listener, Passed, choose};
use crate::py::hooks::Context;

use super::plan::Plan;
use crate::sys::identity::Identity;

pub(super) struct Generation {
    pub(super) settings: Arc<Settings>,
    pub(super) logs: Logs,
    /// Whom the workers are to become, if not what the master is.
    pub(super) identity: Option<Arc<Identity>>,
    /// What hooks see of it.
    pub(super) context: Arc<Context>,
    /// Sockets that all workers share.
    pub(super) listeners: Vec<Arc<Listener>>,
    /// Addresses each worker binds for itself (`reuse_port`), with the ports the kernel chose.
    pub(super) own: Vec<Address>,
    /// For the log.
    pub(super) urls: Vec<String>,
}

impl Generation {
    pub(super) fn new(
        settings: Arc<Settings>,
        logs: Logs,
        identity: Option<Arc<Identity>>,
        context: Context,
    ) -> Self {
        let context = Arc::new(context);
        Self { settings, logs, identity, context, listeners: Vec::new(), own: Vec::new(), urls: Vec::new() }
    }

    /// Listens on what the settings name; what `open` listens on already is taken from there.
    pub(super) fn bind(&mut self, open: &[Arc<Listener>], passed: &[Passed]) -> Result<(), BindError> {
        let options = BindOptions::of(&self.settings);
        (self.own, self.urls) = (Vec::new(), Vec::new());
        for address in addresses(&self.settings, passed) {
            let known = open.iter().find(|listener| *listener.address() == address).cloned();
            let listener = match known {
                Some(listener) => listener,
                None => Arc::new(Listener::bind(&address, &options)?),
            };
            if let Some(identity) = &self.identity {
                listener.give_to(identity)?;
            }
            self.urls.push(listener.url());
            if options.reuse_port && listener.is_tcp() {
                // Bound once to know that it can be; a socket that nobody accepts on must not stay.
                self.own.push(listener.bound_address());
            } else {
                self.listeners.push(listener);
            }
        }
        Ok(())
    }

    /// The worker's sockets, in the forked child, where no other generation holds them any more.
    pub(super) fn into_listeners(self) -> Result<Vec<Listener>, BindError> {
        let options = BindOptions::of(&self.settings);
        let mut listeners: Vec<Listener> = self.listeners.into_iter().filter_map(Arc::into_inner).collect();
        for address in &self.own {
            // Bound with the master's rights; it listens when the worker can serve (`worker/boot.rs`).
            listeners.push(Listener::reserve(address, &options)?);
        }
        Ok(listeners)
    }

    /// Listens on what is open and nothing else.
    pub(super) fn keep(&mut self, open: Vec<Arc<Listener>>) {
        self.urls = open.iter().map(|listener| listener.url()).collect();
        (self.own, self.listeners) = (Vec::new(), open);
    }

    /// A generation whose workers live, but whose settings went with the program before this one.
    pub(super) fn stand_in(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            logs: self.logs.clone(),
            identity: self.identity.clone(),
            context: Arc::clone(&self.context),
            listeners: self.listeners.clone(),
            own: self.own.clone(),
            urls: self.urls.clone(),
        }
    }

    /// Closes the sockets, and removes the files of those that nobody else holds.
    pub(super) fn close(&mut self) {
        for listener in self.listeners.drain(..) {
            if let Some(listener) = Arc::into_inner(listener) {
                listener.unlink();
            }
        }
    }

    /// Closes the sockets, which another master listens on.
    pub(super) fn leave(&mut self) {
        self.listeners.clear();
    }

    /// Connections that wait to be accepted, as far as the kernel tells: not those on unix sockets.
    pub(super) fn backlog(&self) -> Option<u32> {
        self.listeners.iter().filter_map(|listener| listener.backlog()).reduce(u32::saturating_add)
    }

    /// Workers to keep alive.
    pub(super) fn size(&self) -> usize {
        self.settings.workers.workers.min(crate::scoreboard::SLOTS / 2)
    }

    pub(super) fn plan(&self) -> Plan {
        let workers = &self.settings.workers;
        Plan {
            workers: self.size(),
            timeout: workers.timeout,
            graceful_timeout: workers.graceful_timeout,
            drain_delay: workers.drain_delay,
            daemon: self.settings.mechanics.daemon,
            terminal: terminal(),
        }
    }
}

/// A terminal can send this process signals of its own accord.
fn terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whom `settings` want the workers to be.
pub fn identity_of(settings: &Settings) -> Result<Option<Arc<Identity>>, String> {
    let (user, group) = (settings.identity.user.as_deref(), settings.identity.group.as_deref());
    Ok(Identity::of(user, group)?.map(Arc::new))
}

fn addresses(settings: &Settings, passed: &[Passed]) -> Vec<Address> {
    // The texts were parsed once to be accepted.
    let binds = settings.socket.bind.iter().filter_map(|text| Address::parse(text).ok()).collect();
    choose(binds, passed)
}
