//! TERM, INT and QUIT: in every order, with and without a delay.

use super::*;

#[test]
fn term_lets_workers_finish_and_exits_with_zero() {
    let mut world = World::serving(2);
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGTERM", "kill 1002 SIGTERM"]);
    world.exits(1, Status::Code(0));
    assert!(world.did().is_empty());
    world.exits(2, Status::Code(0));
    assert_eq!(world.did(), ["log INFO Shutting down: Master", "exit 0"]);
}

#[test]
fn workers_that_outlive_graceful_timeout_are_killed_once() {
    let mut world = World::serving(1);
    world.signal(Command::StopGracefully);
    world.pass(29.0);
    world.did();
    world.pass(1.5);
    assert_eq!(world.acts(), ["kill 1001 SIGKILL"]);
    world.pass(1.0);
    assert!(world.acts().is_empty());
    world.exits(1, KILLED);
    assert_eq!(world.acts(), ["exit 0"]);
}

#[test]
fn int_and_quit_are_quick_and_quicken_a_graceful_stop() {
    let mut world = World::serving(1);
    world.signal(Command::StopQuickly);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGQUIT"]);
    world.pass(5.5);
    assert_eq!(world.acts(), ["kill 1001 SIGKILL"]);

    let mut world = World::serving(1);
    world.signal(Command::StopGracefully);
    world.signal(Command::StopQuickly);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGTERM", "kill 1001 SIGQUIT"]);
}

#[test]
fn a_master_that_is_leaving_takes_no_orders() {
    let mut world = World::serving(1);
    world.signal(Command::StopGracefully);
    world.did();
    for command in [Command::Reload, Command::AddWorker, Command::ReopenLogs, Command::StopGracefully] {
        world.signal(command);
    }
    assert!(world.acts().is_empty());
}

#[test]
fn a_second_int_is_immediate() {
    let mut world = World::serving(2);
    world.signal(Command::StopQuickly);
    world.did();
    world.signal(Command::StopQuickly);
    assert_eq!(world.acts(), ["kill 1001 SIGKILL", "kill 1002 SIGKILL"]);
    world.signal(Command::StopQuickly);
    assert!(world.acts().is_empty(), "nobody is left to be told");
    world.exits(1, KILLED);
    world.exits(2, KILLED);
    assert_eq!(world.acts(), ["exit 0"]);
}

fn delayed(seconds: u64) -> World {
    let mut world = World::serving(1);
    world.state.current.plan.drain_delay = Duration::from_secs(seconds);
    world.signal(Command::StopGracefully);
    world
}

#[test]
fn term_waits_for_the_drain_delay_and_keeps_workers_up_meanwhile() {
    let mut world = delayed(10);
    assert!(world.acts().is_empty());
    assert!(world.state.next_turn(world.now + Duration::from_millis(9_900)) <= Duration::from_millis(100));
    world.exits(1, KILLED);
    assert_eq!(world.acts(), ["spawn 2 g1"]);
    world.ready(2);
    world.signal(Command::Reload);
    world.pass(5.0);
    assert!(world.acts().is_empty(), "a master that is leaving takes no orders");
    world.pass(5.0);
    assert_eq!(world.acts(), ["close", "kill 1002 SIGTERM"]);
    world.exits(2, Status::Code(0));
    assert_eq!(world.acts(), ["exit 0"]);
}

#[test]
fn a_drain_delay_is_cut_short_by_the_next_signal() {
    let mut world = delayed(10);
    world.signal(Command::StopGracefully);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGTERM"]);
    let mut world = delayed(10);
    world.signal(Command::StopQuickly);
    assert_eq!(world.acts(), ["close", "kill 1001 SIGQUIT"]);
}

#[test]
fn a_delayed_stop_without_workers_ends_when_the_delay_does() {
    let mut world = World::start(0);
    world.state.current.plan.drain_delay = Duration::from_secs(3);
    world.signal(Command::StopGracefully);
    assert!(world.acts().is_empty());
    world.pass(3.0);
    assert_eq!(world.acts(), ["close", "exit 0"]);
}
