//! Sockets that a service manager passes to the process it starts: sd_listen_fds(3).
//!
//! Owns what `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` mean, and which of the sockets the settings choose. Must
//! never touch a descriptor; `listener.rs` takes them over.

use std::os::fd::RawFd;

use crate::config::Address;

/// The number of the first one.
const FIRST: RawFd = 3;
/// More than anybody passes; less than would fill memory.
const MOST: i32 = 1024;

/// A socket by its number, and the name the service manager gave to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    pub fd: RawFd,
    pub name: String,
}

/// What was passed, if `LISTEN_PID` says that it was for this process.
pub fn passed_sockets(env: &[(String, String)]) -> Vec<Passed> {
    let value = |name: &str| env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let number = |name: &str| value(name)?.parse::<i32>().ok();
    let ours = number("LISTEN_PID").is_some_and(|pid| pid.cast_unsigned() == std::process::id());
    let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0).clamp(0, MOST);
    let names: Vec<&str> =
        value("LISTEN_FDNAMES").map(|names| names.split(':').collect()).unwrap_or_default();
    let names = names.into_iter().chain(std::iter::repeat(""));
    (FIRST..FIRST + count).zip(names).map(|(fd, name)| Passed { fd, name: name.to_owned() }).collect()
}

/// Where to listen: sockets by number or name take the place of all other addresses; without such an address all that
/// were passed do.
pub fn choose(binds: Vec<Address>, passed: &[Passed]) -> Vec<Address> {
    let given = |address: &Address| matches!(address, Address::Fd(_) | Address::Named(_));
    if !binds.iter().any(given) {
        let all: Vec<Address> = passed.iter().map(|socket| Address::Fd(socket.fd)).collect();
        return if all.is_empty() { binds } else { all };
    }
    let mut chosen: Vec<Address> = Vec::new();
    for address in binds.into_iter().filter(given).flat_map(|address| numbered(address, passed)) {
        if !chosen.contains(&address) {
            chosen.push(address);
        }
    }
    chosen
}

/// Every socket of that name. A name that nothing has stays one, to be refused where it is opened.
fn numbered(address: Address, passed: &[Passed]) -> Vec<Address> {
    let Address::Named(name) = &address else { return vec![address] };
    let found: Vec<Address> =
        passed.iter().filter(|socket| socket.name == *name).map(|socket| Address::Fd(socket.fd)).collect();
    if found.is_empty() { vec![address] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pid: u32, count: &str, names: &str) -> Vec<(String, String)> {
        [("LISTEN_PID", pid.to_string().as_str()), ("LISTEN_FDS", count), ("LISTEN_FDNAMES", names)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    fn chosen(binds: &[&str], names: &[&str]) -> Vec<String> {
        let passed: Vec<Passed> =
            (FIRST..).zip(names).map(|(fd, name)| Passed { fd, name: (*name).to_owned() }).collect();
        let binds = binds.iter().map(|bind| Address::parse(bind).unwrap()).collect();
        choose(binds, &passed).iter().map(Address::to_string).collect()
    }

    #[test]
    fn variables_count_for_the_process_they_name() {
        let own = std::process::id();
        let passed = |fd, name: &str| Passed { fd, name: name.to_owned() };
        assert_eq!(passed_sockets(&variables(own, "2", "web:admin")), [passed(3, "web"), passed(4, "admin")]);
        assert_eq!(passed_sockets(&variables(own, "2", "web")), [passed(3, "web"), passed(4, "")]);
        assert_eq!(passed_sockets(&variables(own, "1", "a:b:c")), [passed(3, "a")]);
        for (pid, count) in [(1, "2"), (own, "-2"), (own, "0"), (own, "many")] {
            assert_eq!(passed_sockets(&variables(pid, count, "")), []);
        }
        assert_eq!(passed_sockets(&[]), []);
        assert_eq!(passed_sockets(&variables(own, "99999999", "")).len(), 1024);
    }

    #[test]
    fn passed_sockets_take_the_place_of_addresses() {
        assert_eq!(chosen(&[":1", "unix:/x"], &[]), ["http://0.0.0.0:1", "unix:/x"]);
        assert_eq!(chosen(&[":1", "fd://7"], &[]), ["fd://7"]);
        assert_eq!(chosen(&[":1"], &["web", "admin"]), ["fd://3", "fd://4"]);
    }

    #[test]
    fn one_is_chosen_by_number_or_name() {
        let names = ["web", "admin", "web"];
        assert_eq!(chosen(&["fd://4", ":1"], &names), ["fd://4"]);
        assert_eq!(chosen(&["fd://admin"], &names), ["fd://4"]);
        assert_eq!(chosen(&["fd://web"], &names), ["fd://3", "fd://5"]);
        assert_eq!(chosen(&["fd://3", "fd://web"], &names), ["fd://3", "fd://5"]);
        assert_eq!(chosen(&["fd://other"], &names), ["fd://other"]);
    }
}
