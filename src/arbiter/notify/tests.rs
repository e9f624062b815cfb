//! What a service manager hears, with a real datagram socket in its place.

use std::path::PathBuf;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn summary(ready: usize) -> Summary {
    Summary { target: 3, ready, settled: ready == 3, reloading: false, stopping: false, successor: None }
}

/// A service manager's end of the line.
struct Manager {
    socket: UnixDatagram,
    env: Vec<(String, String)>,
    path: Option<PathBuf>,
}

impl Manager {
    fn at_a_path(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rwsgi-notify-{name}-{}", process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        Self::new(socket, path.display().to_string(), Some(path))
    }

    fn new(socket: UnixDatagram, address: String, path: Option<PathBuf>) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, env: vec![("NOTIFY_SOCKET".to_owned(), address)], path }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// What has come, but for status lines.
    fn heard(&self) -> Vec<String> {
        self.all().into_iter().filter(|message| !message.starts_with("STATUS=")).collect()
    }

    fn all(&self) -> Vec<String> {
        let mut buffer = [0u8; 512];
        std::iter::from_fn(|| self.socket.recv(&mut buffer).ok().map(|size| buffer[..size].to_vec()))
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.path.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
}

#[test]
fn without_a_manager_nothing_is_said() {
    let watchdog = ("WATCHDOG_USEC".to_owned(), "1000".to_owned());
    let mut notifier = Notifier::new(&[watchdog]);
    notifier.update(&summary(3), 0, SECOND);
    assert_eq!(notifier.turn_limit(), None);
}

#[test]
fn ready_is_said_once_and_only_when_all_workers_are() {
    let manager = Manager::at_a_path("ready");
    let mut notifier = Notifier::new(&manager.env);
    notifier.update(&summary(0), 0, SECOND);
    notifier.update(&summary(2), 0, 2 * SECOND);
    assert_eq!(manager.heard(), [""; 0]);
    notifier.update(&summary(3), 0, 3 * SECOND);
    // Later deaths are the status line's business.
    notifier.update(&summary(2), 0, 4 * SECOND);
    notifier.update(&summary(3), 0, 5 * SECOND);
    assert_eq!(manager.heard(), ["READY=1"]);
}

#[test]
fn a_reload_is_bracketed_and_a_stop_is_final() {
    let manager = Manager::at_a_path("reload");
    let mut notifier = Notifier::new(&manager.env);
    notifier.update(&summary(3), 0, SECOND);
    let reloading = Summary { reloading: true, settled: false, ..summary(3) };
    notifier.update(&reloading, 0, 7 * SECOND);
    notifier.update(&reloading, 0, 8 * SECOND);
    notifier.update(&summary(3), 0, 9 * SECOND);
    let stopping = Summary { stopping: true, ..summary(1) };
    notifier.update(&stopping, 0, 10 * SECOND);
    notifier.update(&stopping, 0, 11 * SECOND);
    let expected = ["READY=1", "RELOADING=1\nMONOTONIC_USEC=7000000", "READY=1", "STOPPING=1"];
    assert_eq!(manager.heard(), expected);
}

#[test]
fn a_successor_becomes_the_main_process() {
    let manager = Manager::at_a_path("successor");
    let mut notifier = Notifier::new(&manager.env);
    notifier.update(&summary(3), 0, SECOND);
    let leaving = Summary { stopping: true, successor: Some(4711), ..summary(3) };
    notifier.update(&leaving, 0, 2 * SECOND);
    assert_eq!(manager.heard(), ["READY=1", "MAINPID=4711"]);
}

#[test]
fn the_watchdog_is_fed_at_half_its_interval() {
    let manager =
        Manager::at_a_path("watchdog").with("WATCHDOG_USEC", 8_000_000).with("WATCHDOG_PID", process::id());
    let mut notifier = Notifier::new(&manager.env);
    assert_eq!(notifier.turn_limit(), Some(4 * SECOND));
    let fed: Vec<usize> = (0..=12)
        .map(|second| {
            notifier.update(&summary(0), 0, second * SECOND);
            manager.heard().len()
        })
        .collect();
    assert_eq!(fed, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn the_watchdog_sleeps_while_the_program_is_executed_again() {
    let manager = Manager::at_a_path("exec").with("WATCHDOG_USEC", 8_000_000);
    let notifier = Notifier::new(&manager.env);
    notifier.calm_watchdog();
    notifier.wake_watchdog();
    assert_eq!(manager.heard(), ["WATCHDOG_USEC=600000000", "WATCHDOG_USEC=8000000"]);
    assert_eq!(notifier.variable(), Some(("WATCHDOG_PID", process::id().to_string())));
    let manager = Manager::at_a_path("noexec");
    Notifier::new(&manager.env).calm_watchdog();
    assert_eq!(manager.heard(), [""; 0]);
}

#[test]
fn a_watchdog_for_another_process_is_left_alone() {
    let manager = Manager::at_a_path("other").with("WATCHDOG_USEC", 8_000_000).with("WATCHDOG_PID", 1);
    assert_eq!(Notifier::new(&manager.env).turn_limit(), None);
    for bad in ["0", "-1", "soon", ""] {
        let manager = Manager::at_a_path("bad").with("WATCHDOG_USEC", bad);
        assert_eq!(Notifier::new(&manager.env).turn_limit(), None);
    }
}

#[test]
fn the_status_counts_requests_and_changes_seldom() {
    let manager = Manager::at_a_path("status");
    let mut notifier = Notifier::new(&manager.env);
    let told = |message: &str| format!("STATUS={message}");
    notifier.update(&summary(1), 0, SECOND);
    assert_eq!(manager.all(), [told("1 of 3 workers ready, 0 requests/s")]);
    notifier.update(&summary(3), 60, 3 * SECOND);
    assert_eq!(manager.all(), ["READY=1"]);
    notifier.update(&summary(3), 60, 6 * SECOND);
    assert_eq!(manager.all(), [told("3 workers, 12 requests/s")]);
    notifier.update(&summary(3), 120, 11 * SECOND);
    assert_eq!(manager.all(), [""; 0]);
    // A worker that went took its count along.
    notifier.update(&summary(3), 20, 16 * SECOND);
    assert_eq!(manager.all(), [told("3 workers, 0 requests/s")]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_address_is_understood() {
    let name = format!("rwsgi-notify-{}", process::id());
    let socket = UnixDatagram::bind_addr(&abstract_address(&name).unwrap()).unwrap();
    let manager = Manager::new(socket, format!("@{name}"), None);
    Notifier::new(&manager.env).update(&summary(3), 0, SECOND);
    assert_eq!(manager.heard(), ["READY=1"]);
}

#[test]
fn a_change_waits_for_a_manager_that_is_away_or_full() {
    let mut manager = Manager::at_a_path("away");
    let mut notifier = Notifier::new(&manager.env);
    let path = manager.path.take().unwrap();
    std::fs::remove_file(&path).unwrap();
    notifier.update(&summary(3), 0, SECOND);
    for turn in 2..50 {
        let reloading = Summary { reloading: turn % 2 == 0, ..summary(3) };
        notifier.update(&reloading, 0, turn * SECOND);
    }
    assert_eq!(notifier.unsent.len(), MOST_UNSENT);
    let manager = Manager::at_a_path("away");
    notifier.update(&summary(3), 0, 60 * SECOND);
    let heard = manager.heard();
    assert_eq!((heard.len(), heard.last().map(String::as_str)), (MOST_UNSENT, Some("READY=1")));
}

#[test]
fn a_manager_that_reads_nothing_does_not_block() {
    let manager = Manager::at_a_path("full").with("WATCHDOG_USEC", 2);
    let mut notifier = Notifier::new(&manager.env);
    for turn in 0..5000 {
        notifier.update(&summary(3), u64::from(turn), turn * SECOND);
    }
    assert_eq!(manager.heard().first().map(String::as_str), Some("READY=1"));
}

#[test]
fn an_address_of_another_kind_is_no_manager() {
    let mut notifier = Notifier::new(&[("NOTIFY_SOCKET".to_owned(), "vsock:2:1234".to_owned())]);
    notifier.update(&summary(3), 0, SECOND);
    assert!(notifier.manager.is_none());
}
