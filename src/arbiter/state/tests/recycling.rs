//! Workers that have served their time: replaced first, retired after, and not all at once.

use super::*;

#[test]
fn a_worn_worker_goes_when_its_replacement_is_ready() {
    let mut world = World::serving(1);
    world.worn(&[1]);
    assert_eq!(world.acts(), ["spawn 2 g1"]);
    world.pass(60.0);
    world.worn(&[1]);
    assert!(world.acts().is_empty(), "it serves until then");
    world.ready(2);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM"]);
    world.exits(1, Status::Code(0));
    world.pass(1.0);
    assert_eq!(world.alive(), [2]);
}

#[test]
fn a_quarter_of_the_workers_is_replaced_at_a_time() {
    let mut world = World::serving(8);
    world.worn(&[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(world.acts(), ["spawn 9 g1", "spawn 10 g1"]);
    world.ready(10);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM", "spawn 11 g1"]);
    let mut age = 9;
    while world.alive().iter().any(|age| *age <= 8) {
        let leaving: Vec<u64> =
            world.state.workers().iter().filter(|worker| worker.is_stopping()).map(|w| w.age).collect();
        leaving.into_iter().for_each(|age| world.exits(age, Status::Code(0)));
        world.ready(age);
        assert!(world.state.active().count() <= 10);
        assert!(world.state.active().filter(|worker| worker.ready).count() >= 8);
        age += 1;
        assert!(age < 40, "it never ends");
    }
    assert_eq!(world.state.active().count(), 8);
}

#[test]
fn a_replacement_that_does_not_boot_leaves_the_worn_worker_serving() {
    let mut world = World::serving(1);
    world.worn(&[1]);
    for age in 2..6 {
        world.exits(age, Status::Code(BOOT));
        assert_eq!(world.alive(), [1]);
        world.pass(31.0);
    }
    assert!(!world.acts().iter().any(|act| act.starts_with("kill") || act.starts_with("exit")));
}

#[test]
fn a_smaller_number_of_workers_takes_the_worn_ones_first() {
    let mut world = World::serving(2);
    world.worn(&[2]);
    world.did();
    world.signal(Command::RemoveWorker);
    assert_eq!(world.acts(), ["kill 1002 SIGTERM", "kill 1003 SIGTERM"], "1 is ready, 3 was not");
}

#[test]
fn a_worn_worker_that_dies_is_replaced_as_any_other() {
    let mut world = World::serving(1);
    world.worn(&[1]);
    world.exits(1, KILLED);
    assert_eq!(world.alive(), [2]);
}

#[test]
fn a_reload_takes_no_notice_of_wear() {
    let mut world = World::serving(2);
    world.event(Event::Reloaded(plan(2)));
    world.worn(&[1, 2]);
    assert_eq!(world.acts(), ["spawn 3 g2", "spawn 4 g2"]);
    world.ready(3);
    world.ready(4);
    assert_eq!(world.acts(), ["kill 1001 SIGTERM", "kill 1002 SIGTERM"]);
}
