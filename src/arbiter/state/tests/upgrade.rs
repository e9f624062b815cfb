//! Two masters, trials of preloaded code, and storms of HUP.

use super::*;

const NEW: i32 = 5000;

fn upgraded() -> World {
    let mut world = World::serving(2);
    world.signal(Command::Upgrade);
    assert_eq!(world.acts(), ["upgrade"]);
    world.event(Event::Upgraded { pid: NEW });
    world.did();
    world
}

#[test]
fn the_old_master_leaves_the_sockets_to_the_new_one() {
    let mut world = upgraded();
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["close, shared", "kill 1001 SIGTERM", "kill 1002 SIGTERM"]);
}

#[test]
fn there_is_one_upgrade_at_a_time() {
    let mut world = upgraded();
    world.signal(Command::Upgrade);
    assert!(world.did().contains(&"log WARN USR2 signal ignored. Child exists.".to_owned()));
    world.dies(NEW, Status::Code(0));
    world.did();
    world.signal(Command::Upgrade);
    assert_eq!(world.acts(), ["upgrade"]);
    world.event(Event::UpgradeFailed("EAGAIN".into()));
    world.signal(Command::Upgrade);
    assert_eq!(world.acts(), ["upgrade"]);
}

#[test]
fn the_new_master_takes_the_names_when_the_old_one_is_gone() {
    let mut world = World::unstarted(1);
    world.state = State::new(plan(1)).beside(Some(77));
    world.event(Event::Start);
    world.ready(1);
    world.signal(Command::Upgrade);
    assert!(world.did().contains(&"log WARN USR2 signal ignored. Parent exists.".to_owned()));
    world.event(Event::PredecessorLeft);
    assert_eq!(world.did(), ["log INFO Master has been promoted.", "promote"]);
    world.event(Event::PredecessorLeft);
    assert!(world.did().is_empty());
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGTERM"]);
}

#[test]
fn a_new_master_that_gives_up_is_called_master_2() {
    let mut world = World::unstarted(0);
    world.state = State::new(plan(0)).beside(Some(77));
    world.signal(Command::StopGracefully);
    assert_eq!(world.did()[1..], ["close, shared", "log INFO Shutting down: Master.2", "exit 0"]);
}

#[test]
fn winch_counts_when_no_terminal_can_have_sent_it() {
    let stops = |daemon: bool, terminal: bool, mut world: World| {
        world.state.current.plan.daemon = daemon;
        world.state.current.plan.terminal = terminal;
        world.signal(Command::StopWorkers);
        !world.acts().is_empty()
    };
    assert!(!stops(false, true, World::serving(1)));
    assert!(!stops(false, false, World::serving(1)));
    assert!(stops(true, false, World::serving(1)));
    assert!(!stops(false, true, upgraded()));
    assert!(stops(false, false, upgraded()));
}

#[test]
fn workers_stopped_by_winch_come_back_with_hup_or_ttin() {
    let mut world = World::serving(2);
    world.state.current.plan.daemon = true;
    world.signal(Command::StopWorkers);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM", "kill 1002 SIGTERM"]);
    world.exits(1, Status::Code(0));
    world.exits(2, Status::Code(0));
    world.pass(5.0);
    assert!(world.alive().is_empty());
    world.signal(Command::AddWorker);
    assert_eq!(world.acts(), ["spawn 3 g1"]);
    world.event(Event::Reloaded(plan(2)));
    assert_eq!(world.acts(), ["spawn 4 g2", "spawn 5 g2"]);
}

#[test]
fn workers_come_back_by_themselves_when_the_new_master_fails() {
    let mut world = upgraded();
    world.state.current.plan.terminal = false;
    world.signal(Command::StopWorkers);
    world.exits(1, Status::Code(0));
    world.exits(2, Status::Code(0));
    world.did();
    world.dies(NEW, Status::Code(3));
    let did = world.did();
    assert_eq!(did[0], format!("log ERROR The new master (pid:{NEW}) exited with code 3"));
    assert!(did.contains(&"spawn 3 g1".to_owned()) && did.contains(&"spawn 4 g1".to_owned()));
}

#[test]
fn a_storm_of_hup_is_one_reload_a_second() {
    let mut world = World::serving(1);
    for _ in 0..1000 {
        world.signal(Command::Reload);
        world.pass(0.001);
    }
    let reloads = |world: &mut World| world.acts().iter().filter(|act| *act == "reload").count();
    assert_eq!(reloads(&mut world), 2);
    assert!(world.state.next_turn(world.now) <= Duration::from_secs(1));
    world.pass(1.0);
    world.pass(10.0);
    assert!(reloads(&mut world) <= 1, "the last one may be owed, no more");
    world.signal(Command::Reload);
    assert_eq!(reloads(&mut world), 1, "at once after a quiet second");
}

#[test]
fn preloaded_code_is_tried_before_the_program_is_replaced() {
    let mut world = World::serving(1);
    world.signal(Command::Reload);
    world.event(Event::Trying { pid: 9000 });
    world.did();
    world.pass(60.0);
    world.signal(Command::Reload);
    assert!(world.acts().is_empty(), "one trial at a time");
    world.event(Event::Tried(Err("ImportError: x".into())));
    let did = world.did();
    assert_eq!(did[0], "log ERROR Reload failed, generation 1 keeps serving: ImportError: x");
    assert!(did.contains(&"reload".to_owned()), "the second HUP is still owed");
    world.event(Event::Trying { pid: 9001 });
    world.event(Event::Tried(Ok(())));
    assert_eq!(world.acts(), ["reexec"]);
    world.event(Event::Tried(Ok(())));
    assert!(world.acts().is_empty());
}

#[test]
fn a_stop_ends_a_trial() {
    let mut world = World::serving(1);
    world.signal(Command::Reload);
    world.event(Event::Trying { pid: 9000 });
    world.did();
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["kill 9000 SIGKILL", "close", "kill 1001 SIGTERM"]);
    world.event(Event::Tried(Ok(())));
    assert!(world.acts().is_empty());
}
