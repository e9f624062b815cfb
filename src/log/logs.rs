//! The logs of one generation of workers, and all that is sent beside them, opened together.
//!
//! Owns which sink serves which log. Must never print, nor make a log that failed to open look open. Clones share
//! the descriptors, as forked workers do. Read next: `sink.rs`, `remote.rs`.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::access_log::{AccessLog, Layout};
use super::bridge::Bridge;
use super::capture;
use super::sink::{Sink, Target};
use super::statsd::Statsd;
use super::syslog::Syslog;
use crate::config::Settings;
use crate::sys::identity::Identity;

#[derive(Clone)]
pub struct Logs {
    pub error: Arc<Sink>,
    pub access: Option<Arc<AccessLog>>,
    pub syslog: Option<Arc<Syslog>>,
    pub statsd: Option<Arc<Statsd>>,
    /// Of all clones: whom one hands over to, the others do too.
    bridge: Arc<OnceLock<Arc<dyn Bridge>>>,
    capture: bool,
    /// What is to be told as soon as there is a log to tell it in.
    faults: Arc<Mutex<Vec<String>>>,
}

impl Logs {
    /// Opens what `settings` name; files are given to `owner`. Fails with a sentence for the person who wrote them.
    pub fn open(settings: &Settings, owner: Option<&Arc<Identity>>) -> Result<Self, String> {
        let (logging, telemetry) = (&settings.logging, &settings.telemetry);
        let open =
            |target| Sink::open(target, owner.cloned()).map(Arc::new).map_err(|error| error.to_string());
        // Compiled even when nothing uses it: a fault should not wait for the day the log is turned on.
        let layout = Layout::parse(&logging.access_log_format)
            .map_err(|fault| format!("access_log_format: {fault}"))?;
        let access_path = logging.accesslog.as_deref();
        let access = access_path.map(|path| open(Target::parse(path, Target::Stdout))).transpose()?;
        let error = open(Target::parse(&logging.errorlog, Target::Stderr))?;
        let mut faults = Vec::new();
        let mut keep = |fault: Option<String>| faults.extend(fault);
        let shared = |error| format!("cannot share memory for the logs: {error}");
        let syslog = telemetry.syslog.then(|| Syslog::new(settings)).transpose().map_err(shared)?;
        let syslog = syslog.map(|(syslog, fault)| {
            keep(fault);
            Arc::new(syslog)
        });
        let to_syslog = syslog.clone().filter(|_| !telemetry.disable_redirect_access_to_syslog);
        let wanted = access.is_some() || to_syslog.is_some();
        let statsd = telemetry.statsd_host.as_ref().map(|server| Statsd::new(server, telemetry)).transpose();
        let statsd = statsd.map_err(shared)?.map(|(statsd, fault)| {
            keep(fault);
            Arc::new(statsd)
        });
        Ok(Self {
            error,
            access: wanted.then(|| Arc::new(AccessLog::new(layout, access, to_syslog))),
            syslog,
            statsd,
            bridge: Arc::default(),
            capture: logging.capture_output,
            faults: Arc::new(Mutex::new(faults)),
        })
    }

    /// From the next `install` on the error log's records go there. Nothing changes if there is a bridge already.
    pub fn hand_over(&self, bridge: Arc<dyn Bridge>) {
        let _ = self.bridge.set(bridge);
    }

    pub(super) fn bridge(&self) -> Option<&Arc<dyn Bridge>> {
        self.bridge.get()
    }

    fn sinks(&self) -> impl Iterator<Item = &Arc<Sink>> {
        std::iter::once(&self.error).chain(self.access.iter().filter_map(|access| access.sink()))
    }

    /// In a forked worker: what the master lost is the master's to tell, and its connections are its own.
    pub fn after_fork(&self) {
        self.sinks().for_each(|sink| sink.forget_losses());
        self.access.iter().for_each(|access| access.after_fork());
        self.syslog.iter().for_each(|syslog| syslog.after_fork());
        self.statsd.iter().for_each(|statsd| statsd.after_fork());
    }

    /// Opens the files again, after a rotation. A file that cannot be opened is told in the error log.
    pub fn reopen(&self) {
        for sink in self.sinks() {
            if let Err(error) = sink.reopen() {
                log::error!("Cannot reopen a log: {error}");
            }
        }
        if let Some(bridge) = self.bridge() {
            bridge.reopen();
        }
        if let Err(error) = capture::follow() {
            log::error!("Cannot capture the output: {error}");
        }
    }

    /// Leads the standard streams where these logs want them.
    pub(super) fn capture(&self) {
        if let Err(error) = capture::capture(self.capture.then_some(&self.error)) {
            log::error!("Cannot capture the output: {error}");
        }
    }

    pub(super) fn tell_faults(&self) {
        let faults = std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner));
        faults.iter().for_each(|fault| log::warn!("{fault}"));
    }

    pub(super) fn catch_up(&self) {
        self.syslog.iter().for_each(|syslog| syslog.catch_up());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let good = Settings::default();
        assert!(Logs::open(&good, None).unwrap().access.is_none());
        let mut faulty = good.clone();
        faulty.logging.access_log_format = "%(h".to_owned();
        assert!(Logs::open(&faulty, None).err().unwrap().contains("access_log_format"));
        let mut absent = good;
        absent.logging.accesslog = Some("/not/there/log".to_owned());
        assert!(Logs::open(&absent, None).err().unwrap().contains("/not/there/log"));
    }

    #[test]
    fn syslog_alone_turns_the_access_log_on() {
        let mut settings = Settings::default();
        settings.telemetry.syslog = true;
        assert!(Logs::open(&settings, None).unwrap().access.is_some());
        settings.telemetry.disable_redirect_access_to_syslog = true;
        let logs = Logs::open(&settings, None).unwrap();
        assert!(logs.access.is_none() && logs.syslog.is_some());
    }
}
