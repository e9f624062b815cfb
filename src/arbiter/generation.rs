//! A generation: one configuration with the sockets and logs that go with it.
//!
//! Owns which addresses are listened on, and the sockets of those. A socket that two generations share is one socket.
//! Must never unlink a unix socket that another generation still listens on. Read next: `reload.rs`.

use std::os::fd::RawFd;
use std::sync::Arc;

use crate::config::{Address, Settings};
use crate::log::Logs;
use crate::net::{BindError, BindOptions, Listener};
use crate::py::hooks::Context;

use super::plan::Plan;

/// The first descriptor that systemd hands over (sd_listen_fds(3)).
const FIRST_INHERITED: RawFd = 3;

pub(super) struct Generation {
    pub(super) settings: Arc<Settings>,
    pub(super) logs: Logs,
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
    pub(super) fn new(settings: Arc<Settings>, logs: Logs, context: Context) -> Self {
        let context = Arc::new(context);
        Self { settings, logs, context, listeners: Vec::new(), own: Vec::new(), urls: Vec::new() }
    }

    /// Listens on what the settings name; what `running` listens on already is taken from there.
    pub(super) fn bind(&mut self, running: Option<&Self>, inherited: &[RawFd]) -> Result<(), BindError> {
        let options = BindOptions::of(&self.settings);
        (self.own, self.urls) = (Vec::new(), Vec::new());
        for address in addresses(&self.settings, inherited) {
            let known = running.and_then(|running| {
                running.listeners.iter().find(|listener| *listener.address() == address).cloned()
            });
            let listener = match known {
                Some(listener) => listener,
                None => Arc::new(Listener::bind(&address, &options)?),
            };
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
            listeners.push(Listener::bind(address, &options)?);
        }
        Ok(listeners)
    }

    /// Closes the sockets, and removes the files of those that nobody else holds.
    pub(super) fn close(&mut self) {
        for listener in self.listeners.drain(..) {
            if let Some(listener) = Arc::into_inner(listener) {
                listener.unlink();
            }
        }
    }

    pub(super) fn plan(&self) -> Plan {
        let workers = &self.settings.workers;
        Plan {
            workers: workers.workers.min(crate::scoreboard::SLOTS / 2),
            timeout: workers.timeout,
            graceful_timeout: workers.graceful_timeout,
        }
    }

    /// The name in process titles.
    pub(super) fn name(&self) -> &str {
        let settings = &self.settings;
        settings.naming.proc_name.as_deref().or(settings.app_spec()).unwrap_or("rwsgi")
    }
}

/// Sockets the process was started with take the place of all others.
fn addresses(settings: &Settings, inherited: &[RawFd]) -> Vec<Address> {
    if !inherited.is_empty() {
        return inherited.iter().copied().map(Address::Fd).collect();
    }
    // The texts were parsed once to be accepted.
    let all: Vec<Address> =
        settings.socket.bind.iter().filter_map(|text| Address::parse(text).ok()).collect();
    let given: Vec<Address> =
        all.iter().filter(|address| matches!(address, Address::Fd(_))).cloned().collect();
    if given.is_empty() { all } else { given }
}

/// The descriptors systemd passed to this process, if `LISTEN_PID` says that they are for it.
pub fn inherited_sockets(env: &[(String, String)]) -> Vec<RawFd> {
    let number =
        |name: &str| -> Option<i32> { env.iter().rev().find(|(key, _)| key == name)?.1.parse().ok() };
    let ours = number("LISTEN_PID").is_some_and(|pid| pid.cast_unsigned() == std::process::id());
    let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0).clamp(0, 1024);
    (FIRST_INHERITED..FIRST_INHERITED + count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(binds: &[&str], inherited: &[RawFd]) -> Vec<Address> {
        let mut settings = Settings::default();
        settings.socket.bind = binds.iter().map(|bind| (*bind).to_owned()).collect();
        addresses(&settings, inherited)
    }

    #[test]
    fn given_sockets_take_the_place_of_others() {
        assert_eq!(named(&[":1", "unix:/x"], &[]).len(), 2);
        assert_eq!(named(&[":1", "fd://7"], &[]), [Address::Fd(7)]);
        assert_eq!(named(&[":1"], &[3, 4]), [Address::Fd(3), Address::Fd(4)]);
    }

    #[test]
    fn systemds_variables_count_for_the_process_they_name() {
        let env = |pid: u32, count: &str| {
            vec![("LISTEN_PID".to_owned(), pid.to_string()), ("LISTEN_FDS".to_owned(), count.to_owned())]
        };
        assert_eq!(inherited_sockets(&env(std::process::id(), "2")), [3, 4]);
        assert_eq!(inherited_sockets(&env(1, "2")), [0; 0]);
        assert_eq!(inherited_sockets(&env(std::process::id(), "-2")), [0; 0]);
        assert_eq!(inherited_sockets(&[]), [0; 0]);
    }
}
