//! The two logs of one generation of workers, opened together.
//!
//! Owns which sink serves which log. Must never print, nor make a log that failed to open look open. Clones share
//! the descriptors, as forked workers do. Read next: `sink.rs`.

use std::sync::Arc;

use super::access_log::{AccessLog, Format};
use super::sink::{Sink, Target};
use crate::config::table::Logging;
use crate::sys::identity::Identity;

#[derive(Clone)]
pub struct Logs {
    pub error: Arc<Sink>,
    pub access: Option<Arc<AccessLog>>,
}

impl Logs {
    /// Opens what `settings` name; files are given to `owner`. Fails with a sentence for the person who wrote them.
    pub fn open(settings: &Logging, owner: Option<&Arc<Identity>>) -> Result<Self, String> {
        let open =
            |target| Sink::open(target, owner.cloned()).map(Arc::new).map_err(|error| error.to_string());
        // Compiled even when nothing uses it: a fault should not wait for the day the log is turned on.
        let format = Format::parse(&settings.access_log_format)
            .map_err(|fault| format!("access_log_format: {fault}"))?;
        let access = match &settings.accesslog {
            Some(path) => {
                let sink = open(Target::parse(path, Target::Stdout))?;
                Some(Arc::new(AccessLog::new(format, sink)))
            }
            None => None,
        };
        Ok(Self { error: open(Target::parse(&settings.errorlog, Target::Stderr))?, access })
    }

    fn sinks(&self) -> impl Iterator<Item = &Arc<Sink>> {
        std::iter::once(&self.error).chain(self.access.iter().map(|access| access.sink()))
    }

    /// In a forked worker: what the master lost is the master's to tell.
    pub fn forget_losses(&self) {
        self.sinks().for_each(|sink| sink.forget_losses());
    }

    /// Opens the files again, after a rotation. A file that cannot be opened is told in the error log.
    pub fn reopen(&self) {
        for sink in self.sinks() {
            if let Err(error) = sink.reopen() {
                log::error!("Cannot reopen a log: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let good = Logging::default();
        assert!(Logs::open(&good, None).unwrap().access.is_none());
        let faulty = Logging { access_log_format: "%(h".to_owned(), ..good.clone() };
        assert!(Logs::open(&faulty, None).err().unwrap().contains("access_log_format"));
        let absent = Logging { accesslog: Some("/not/there/log".to_owned()), ..good };
        assert!(Logs::open(&absent, None).err().unwrap().contains("/not/there/log"));
    }
}
