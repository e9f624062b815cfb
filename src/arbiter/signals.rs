//! The signals the master understands, and what each asks for. Order does not matter. For users: docs/signals.md.

use nix::sys::signal::Signal;

/// What a signal to the master asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A child changed state: reap.
    Child,
    /// Stop when the requests in hand are answered.
    StopGracefully,
    /// Stop now.
    StopQuickly,
    /// Read the configuration again and replace the workers.
    Reload,
    /// One worker more.
    AddWorker,
    /// One worker less.
    RemoveWorker,
    /// Open the log files again.
    ReopenLogs,
    /// Replace the master's own program.
    Upgrade,
    /// Stop the workers, keep the master.
    StopWorkers,
}

/// Signal, what it asks for, and its name in `Handling signal: …`.
pub const TABLE: &[(Signal, Command, &str)] = &[
    (Signal::SIGCHLD, Command::Child, "chld"),
    (Signal::SIGTERM, Command::StopGracefully, "term"),
    (Signal::SIGINT, Command::StopQuickly, "int"),
    (Signal::SIGQUIT, Command::StopQuickly, "quit"),
    (Signal::SIGHUP, Command::Reload, "hup"),
    (Signal::SIGTTIN, Command::AddWorker, "ttin"),
    (Signal::SIGTTOU, Command::RemoveWorker, "ttou"),
    (Signal::SIGUSR1, Command::ReopenLogs, "usr1"),
    (Signal::SIGUSR2, Command::Upgrade, "usr2"),
    (Signal::SIGWINCH, Command::StopWorkers, "winch"),
];

/// Every signal of the table: what the master listens for and a worker must forget.
pub fn all() -> Vec<Signal> {
    TABLE.iter().map(|(signal, _, _)| *signal).collect()
}

/// What `signal` asks for, with its name. `None` for a signal the master does not listen for.
pub fn command(signal: Signal) -> Option<(Command, &'static str)> {
    TABLE.iter().find(|(known, _, _)| *known == signal).map(|(_, command, name)| (*command, *name))
}

/// Whether `signal` asks the master to end.
pub fn ends(signal: Signal) -> bool {
    let command = command(signal).map(|(command, _)| command);
    matches!(command, Some(Command::StopGracefully | Command::StopQuickly))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/signals.md");
        let text = std::fs::read_to_string(path).unwrap();
        let table = text.split("## ").find(|part| part.starts_with("To the master")).unwrap();
        for (signal, _, _) in TABLE {
            let name = signal.as_str().trim_start_matches("SIG");
            assert!(
                table.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{name}`"))),
                "{name}"
            );
        }
    }
}
