//! The policy as scripts: a fake clock, workers that do as they are told, and a record of what the arbiter did.

mod recycling;
mod stopping;
mod upgrade;

use super::super::signals::{Command, TABLE};
use super::*;
use crate::arbiter::oom::Oom;

/// Carries out actions as the loop would, with pids of 1000 + age.
struct World {
    state: State,
    now: Duration,
    /// `kill 1001 SIGTERM`, `log WARN …`, `reload`, `restore 1`, `reopen`, `close`, `exit 0`, in order.
    record: Vec<String>,
    forks_fail: bool,
}

impl World {
    fn start(workers: usize) -> Self {
        let mut world = Self::unstarted(workers);
        world.event(Event::Start);
        world
    }

    fn unstarted(workers: usize) -> Self {
        Self {
            state: State::new(plan(workers)),
            now: Duration::from_secs(1000),
            record: Vec::new(),
            forks_fail: false,
        }
    }

    /// A master whose first workers are all ready.
    fn serving(workers: usize) -> Self {
        let mut world = Self::start(workers);
        for age in 1..=workers as u64 {
            world.ready(age);
        }
        world.record.clear();
        world
    }

    fn event(&mut self, event: Event) {
        for action in self.state.on_event(event, self.now) {
            match action {
                Action::Spawn { age, .. } if self.forks_fail => {
                    self.event(Event::SpawnFailed { age, reason: "EAGAIN".into() });
                }
                Action::Spawn { age, generation } => {
                    self.record.push(format!("spawn {age} g{generation}"));
                    self.event(Event::Spawned { age, pid: pid(age) });
                }
                Action::Kill { pid, signal } => self.record.push(format!("kill {pid} {signal}")),
                Action::Log(line) => self.record.push(format!("log {} {}", line.level, line.text)),
                Action::Reload => self.record.push("reload".into()),
                Action::Restore { generation } => self.record.push(format!("restore {generation}")),
                Action::ReopenLogs => self.record.push("reopen".into()),
                Action::Reexec => self.record.push("reexec".into()),
                Action::Upgrade => self.record.push("upgrade".into()),
                Action::Promote => self.record.push("promote".into()),
                Action::CloseListeners { last: true } => self.record.push("close".into()),
                Action::CloseListeners { last: false } => self.record.push("close, shared".into()),
                Action::Exit(code) => self.record.push(format!("exit {code}")),
            }
        }
    }

    fn signal(&mut self, command: Command) {
        let name = TABLE.iter().find(|(_, known, _)| *known == command).unwrap().2;
        self.event(Event::Signal(command, name));
    }

    fn ready(&mut self, age: u64) {
        self.beat(age, self.now);
    }

    fn beat(&mut self, age: u64, at: Duration) {
        self.event(Event::Beats(vec![Beat {
            age,
            ready: true,
            worn: false,
            at,
            serving: Some("GET /slow for 31 s".into()),
        }]));
    }

    /// These workers have served their time.
    fn worn(&mut self, ages: &[u64]) {
        let at = self.now;
        let beat = |age: &u64| Beat { age: *age, ready: true, worn: true, at, serving: None };
        self.event(Event::Beats(ages.iter().map(beat).collect()));
    }

    fn exits(&mut self, age: u64, status: Status) {
        self.dies(pid(age), status);
    }

    fn dies(&mut self, pid: i32, status: Status) {
        self.event(Event::Exited(Death { pid, status, ready: false, serving: None, oom: Oom::Unknown }));
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
        self.event(Event::Tick);
    }

    fn alive(&self) -> Vec<u64> {
        self.state.workers().iter().map(|worker| worker.age).collect()
    }

    fn did(&mut self) -> Vec<String> {
        std::mem::take(&mut self.record)
    }

    /// What was done since the last look, without the log.
    fn acts(&mut self) -> Vec<String> {
        self.did().into_iter().filter(|line| !line.starts_with("log")).collect()
    }
}

fn plan(workers: usize) -> Plan {
    Plan {
        workers,
        timeout: Duration::from_secs(30),
        graceful_timeout: Duration::from_secs(30),
        drain_delay: Duration::ZERO,
        daemon: false,
        terminal: true,
    }
}

fn pid(age: u64) -> i32 {
    1000 + age as i32
}

const KILLED: Status = Status::Signal(9);

#[test]
fn starts_as_many_workers_as_asked() {
    let mut world = World::start(3);
    assert_eq!(world.did(), ["spawn 1 g1", "spawn 2 g1", "spawn 3 g1"]);
    world.pass(1.0);
    assert!(world.did().is_empty());
}

#[test]
fn no_workers_is_a_legal_number() {
    let mut world = World::start(0);
    assert!(world.did().is_empty());
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["close", "exit 0"]);
}

#[test]
fn a_killed_worker_is_named_and_replaced_at_once() {
    let mut world = World::serving(2);
    let serving = Some("GET /report for 12.4 s".to_owned());
    world.event(Event::Exited(Death { pid: 1002, status: KILLED, ready: true, serving, oom: Oom::Unknown }));
    let did = world.did();
    assert_eq!(
        did[0],
        "log ERROR Worker (pid:1002) was sent SIGKILL! Perhaps out of memory? It was serving GET /report for 12.4 s."
    );
    assert_eq!(did[1], "spawn 3 g1");
}

#[test]
fn the_oom_killer_is_named_or_cleared() {
    let killer = "by the kernel's OOM killer (limit 512 MiB)".to_owned();
    for (oom, said) in [
        (Oom::Killed(killer), "Killed by the kernel's OOM killer (limit 512 MiB)."),
        (Oom::No, "Not by the kernel's OOM killer."),
    ] {
        let mut world = World::serving(1);
        world.event(Event::Exited(Death { pid: 1001, status: KILLED, ready: true, serving: None, oom }));
        assert_eq!(world.did()[0], format!("log ERROR Worker (pid:1001) was sent SIGKILL! {said}"));
    }
}

#[test]
fn a_worker_that_leaves_by_itself_is_replaced_without_a_word() {
    let mut world = World::serving(1);
    world.exits(1, Status::Code(0));
    assert_eq!(world.did(), ["spawn 2 g1"]);
}

#[test]
fn exit_codes_of_a_worker_that_was_ready_do_not_stop_the_master() {
    for code in [BOOT, APP, 1, 255] {
        let mut world = World::serving(1);
        world.exits(1, Status::Code(code));
        assert_eq!(
            world.did(),
            [format!("log ERROR Worker (pid:1001) exited with code {code}."), "spawn 2 g1".into()]
        );
    }
}

const BOOT: i32 = death::BOOT_FAILED;
const APP: i32 = death::APP_FAILED;

#[test]
fn the_first_boot_failing_ends_the_master_with_its_code() {
    for (code, reason) in [(BOOT, "Worker failed to boot."), (APP, "App failed to load.")] {
        let mut world = World::start(3);
        world.did();
        world.exits(2, Status::Code(code));
        assert_eq!(world.acts(), ["close", "kill 1001 SIGTERM", "kill 1003 SIGTERM"]);
        world.exits(1, Status::Signal(15));
        world.exits(3, Status::Code(code));
        let end = [
            "log ERROR Shutting down: Master",
            &format!("log ERROR Reason: {reason}"),
            &format!("exit {code}"),
        ];
        assert_eq!(world.did(), end);
    }
}

#[test]
fn workers_ended_by_others_while_booting_are_tried_again_and_then_given_up() {
    for status in [KILLED, Status::Code(0)] {
        let mut world = World::start(1);
        let mut age = 1;
        loop {
            world.exits(age, status);
            if world.acts().iter().any(|act| act == "exit 3") {
                break;
            }
            world.pass(31.0);
            age += 1;
            assert!(age < 20, "never gave up");
        }
        assert!(age >= 3, "gave up after {age}");
    }
}

#[test]
fn a_boot_failure_later_is_retried_with_growing_pauses() {
    let mut world = World::serving(1);
    world.exits(1, KILLED);
    world.exits(2, Status::Code(BOOT));
    assert_eq!(world.alive(), [0u64; 0]);
    world.pass(1.1);
    assert_eq!(world.alive(), [3]);
    world.exits(3, Status::Code(BOOT));
    world.pass(1.1);
    assert_eq!(world.alive(), [0u64; 0], "the second pause is longer");
    world.pass(1.0);
    assert_eq!(world.alive(), [4]);
    assert!(!world.did().iter().any(|line| line.starts_with("exit")));
}

#[test]
fn a_crash_loop_is_slowed_down() {
    let mut world = World::serving(1);
    let mut deaths = 0;
    while let Some(age) = world.alive().first().copied() {
        world.ready(age);
        world.exits(age, Status::Signal(11));
        deaths += 1;
        assert!(deaths < 50, "never slowed down");
    }
    assert!(deaths > 5);
    world.pass(1.0);
    assert_eq!(world.alive().len(), 1);
}

#[test]
fn workers_that_die_together_are_one_failure() {
    let mut world = World::serving(8);
    for age in 1..=8 {
        world.exits(age, KILLED);
    }
    world.did();
    for age in 9..=16 {
        world.exits(age, Status::Code(BOOT));
    }
    let pauses = world.did().iter().filter(|line| line.contains("keep dying")).count();
    assert_eq!(pauses, 1);
    world.pass(31.0);
    assert_eq!(world.alive().len(), 8);
}

#[test]
fn one_that_was_ready_between_two_looks_did_boot() {
    let mut world = World::start(1);
    world.did();
    let death = |ready| Death { pid: 1001, status: Status::Code(0), ready, serving: None, oom: Oom::No };
    world.event(Event::Exited(death(true)));
    assert_eq!(world.did(), ["spawn 2 g1"]);
}

#[test]
fn failing_forks_are_retried_for_ever() {
    let mut world = World::serving(1);
    world.forks_fail = true;
    world.exits(1, KILLED);
    for _ in 0..100 {
        world.pass(31.0);
    }
    world.forks_fail = false;
    world.pass(31.0);
    assert_eq!(world.alive().len(), 1);
}

#[test]
fn ttin_and_ttou_move_the_number_of_workers() {
    let mut world = World::serving(1);
    world.signal(Command::AddWorker);
    assert_eq!(world.acts(), ["spawn 2 g1"]);
    world.ready(2);
    world.signal(Command::RemoveWorker);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM"], "the oldest goes");
    world.exits(1, Status::Code(0));
    world.signal(Command::RemoveWorker);
    assert!(world.acts().is_empty(), "never below one");
    for _ in 0..1000 {
        world.signal(Command::AddWorker);
    }
    for _ in 0..1000 {
        world.signal(Command::RemoveWorker);
    }
    assert_eq!(world.state.active().count(), 1);
}

#[test]
fn usr1_reaches_every_worker() {
    let mut world = World::serving(2);
    world.signal(Command::ReopenLogs);
    assert_eq!(world.acts(), ["reopen", "kill 1001 SIGUSR1", "kill 1002 SIGUSR1"]);
}

#[test]
fn a_silent_worker_is_aborted_then_killed_then_replaced() {
    let mut world = World::serving(1);
    let last = world.now;
    world.pass(30.0);
    world.beat(1, last);
    assert!(world.did().is_empty(), "30 s of silence are allowed");
    world.pass(1.0);
    world.beat(1, last);
    let did = world.did();
    assert_eq!(did, ["log ERROR WORKER TIMEOUT (pid:1001) serving GET /slow for 31 s", "kill 1001 SIGABRT"]);
    world.beat(1, last);
    assert!(world.did().is_empty(), "told once");
    world.pass(2.0);
    assert_eq!(world.did(), ["kill 1001 SIGKILL"]);
    world.exits(1, KILLED);
    assert_eq!(world.did()[0], "log ERROR Worker (pid:1001) was sent SIGKILL! It had not stopped in time.");
    assert_eq!(world.alive(), [2]);
}

#[test]
fn timeout_zero_and_booting_workers_are_left_alone() {
    let mut world = World::start(1);
    world.pass(500.0);
    world.event(Event::Beats(vec![Beat {
        age: 1,
        ready: false,
        worn: false,
        at: Duration::ZERO,
        serving: None,
    }]));
    assert!(world.acts().iter().all(|act| act.starts_with("spawn")));

    let mut world = World::unstarted(1);
    world.state.current.plan.timeout = Duration::ZERO;
    world.event(Event::Start);
    world.beat(1, Duration::ZERO);
    assert!(!world.acts().iter().any(|act| act.starts_with("kill")));
}

#[test]
fn a_reload_retires_an_old_worker_for_each_new_one_that_is_ready() {
    let mut world = World::serving(2);
    world.signal(Command::Reload);
    assert_eq!(world.acts(), ["reload"]);
    world.event(Event::Reloaded(plan(2)));
    assert_eq!(world.acts(), ["spawn 3 g2", "spawn 4 g2"]);
    world.pass(10.0);
    assert!(world.acts().is_empty(), "nobody goes before somebody is ready");
    world.ready(4);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM"]);
    world.ready(3);
    assert_eq!(world.acts(), ["kill 1002 SIGTERM"]);
    world.exits(1, Status::Code(0));
    world.exits(2, Status::Code(0));
    assert_eq!(world.alive(), [3, 4]);
}

#[test]
fn a_reload_to_fewer_workers_ends_with_fewer() {
    let mut world = World::serving(3);
    world.event(Event::Reloaded(plan(1)));
    assert_eq!(world.acts(), ["spawn 4 g2"]);
    world.ready(4);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM", "kill 1002 SIGTERM", "kill 1003 SIGTERM"]);
}

#[test]
fn a_generation_that_does_not_boot_leaves_the_old_one_serving() {
    let mut world = World::serving(2);
    world.event(Event::Reloaded(plan(5)));
    world.did();
    world.exits(4, Status::Code(BOOT));
    let did = world.did();
    assert!(did.contains(&"restore 1".to_owned()));
    assert!(did.iter().any(|line| line.contains("Generation 1 keeps serving")));
    for age in [3, 5, 6, 7] {
        assert!(did.contains(&format!("kill {} SIGTERM", pid(age))));
        world.exits(age, Status::Code(BOOT));
    }
    assert_eq!(world.alive(), [1, 2]);
    // The next attempt is a generation of its own.
    world.event(Event::Reloaded(plan(2)));
    assert!(world.acts().contains(&"spawn 8 g3".to_owned()));
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let mut world = World::serving(1);
    world.event(Event::ReloadFailed("conf.py:3: workers: 'x' is not a number".into()));
    assert_eq!(
        world.did(),
        ["log ERROR Reload failed, generation 1 keeps serving: conf.py:3: workers: 'x' is not a number"]
    );
    assert_eq!(world.alive(), [1]);
}

#[test]
fn reloads_in_a_row_end_in_one_generation() {
    let mut world = World::serving(2);
    for _ in 0..50 {
        world.event(Event::Reloaded(plan(2)));
    }
    let newest = world.state.current.generation;
    let ages: Vec<u64> = world
        .state
        .workers()
        .iter()
        .filter(|worker| worker.generation == newest)
        .map(|worker| worker.age)
        .collect();
    let old: Vec<u64> = world.alive().into_iter().filter(|age| !ages.contains(age)).collect();
    for age in &ages {
        world.ready(*age);
    }
    for age in old {
        world.exits(age, Status::Code(0));
    }
    assert_eq!(world.alive(), ages);
    assert_eq!(ages.len(), 2);
}

#[test]
fn a_stranger_that_is_reaped_stops_nothing() {
    let mut world = World::start(1);
    world.did();
    world.dies(77, Status::Code(BOOT));
    assert_eq!(world.did(), ["log DEBUG Reaped process 77, which is no worker"]);
}

#[test]
fn term_during_a_reload_stops_both_generations() {
    let mut world = World::serving(1);
    world.event(Event::Reloaded(plan(1)));
    world.did();
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGTERM", "kill 1002 SIGTERM"]);
    world.event(Event::Reloaded(plan(1)));
    assert!(world.acts().is_empty());
}
