//! What one program of a master leaves to the next, as the text of one environment variable.
//!
//! Owns the format. There are three occasions: a new master beside the old one (USR2), the same process going on with a
//! new program (HUP with a preloaded application), and a trial of that program. Must never be believed to the point of
//! harm: what does not parse, or names a descriptor that is no listening socket, is left out. Read next: `reexec.rs`.

use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::config::Address;
use crate::net::Passed;
use crate::scoreboard::LAYOUT;

/// The variable. It is taken out of the environment before any Python code can see it.
pub use crate::config::HANDOVER as VARIABLE;

/// Why this program was started by another of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// Only to find out whether the configuration and the application load.
    Trial,
    /// To serve beside the master that started it.
    Beside(Sockets),
    /// To go on with the work of this process.
    Resume(Box<Resume>),
}

/// Listening sockets by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// With the address each was configured as.
    pub listeners: Vec<(RawFd, Address)>,
    /// Those of a service manager, with its names for them.
    pub passed: Vec<Passed>,
}

/// What the program before this one was doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    pub sockets: Sockets,
    pub pipes: PipeNumbers,
    /// The scoreboard; -1 when it is of another layout.
    pub board: RawFd,
    pub generation: u32,
    pub next_generation: u32,
    pub next_age: u64,
    /// Requests that workers which are gone have served.
    pub requests: u64,
    pub successor: Option<i32>,
    pub predecessor: Option<i32>,
    pub pidfile: Option<PathBuf>,
    pub workers: Vec<Survivor>,
}

/// A worker of the program before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    pub pid: i32,
    pub age: u64,
    pub generation: u32,
    pub slot: usize,
    /// It has been asked to go.
    pub stopping: bool,
}

/// The descriptors that tie workers to their master, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeNumbers {
    pub notices: RawFd,
    pub notice: RawFd,
    pub lifeline: RawFd,
    pub alive: RawFd,
}

impl Handover {
    /// One line per item: a word, then its values.
    pub fn encode(&self) -> String {
        match self {
            Self::Trial => "trial".to_owned(),
            Self::Beside(sockets) => format!("beside\n{}", sockets.encode()),
            Self::Resume(resume) => format!("resume\n{}", resume.encode()),
        }
    }

    /// `None` for a text that no program of this kind wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('\n').unwrap_or((text, ""));
        match kind {
            "trial" => Some(Self::Trial),
            "beside" => Some(Self::Beside(Sockets::decode(rest))),
            "resume" => Some(Self::Resume(Box::new(Resume::decode(rest)))),
            _ => None,
        }
    }
}

impl Sockets {
    fn encode(&self) -> String {
        let line = |(fd, address): &(RawFd, Address)| format!("listen {fd} {}\n", escape(&address.text()));
        let passed = |Passed { fd, name }: &Passed| format!("passed {fd} {}\n", escape(name));
        self.listeners.iter().map(line).chain(self.passed.iter().map(passed)).collect()
    }

    fn decode(text: &str) -> Self {
        let listener = |line: &str| {
            let (fd, address) = line.strip_prefix("listen ")?.split_once(' ')?;
            Some((fd.parse().ok()?, Address::parse(&unescape(address)?).ok()?))
        };
        let passed = |line: &str| {
            let (fd, name) = line.strip_prefix("passed ")?.split_once(' ')?;
            Some(Passed { fd: fd.parse().ok()?, name: unescape(name)? })
        };
        Self {
            listeners: text.lines().filter_map(listener).collect(),
            passed: text.lines().filter_map(passed).collect(),
        }
    }
}

impl Resume {
    fn encode(&self) -> String {
        let PipeNumbers { notices, notice, lifeline, alive } = self.pipes;
        let pid = |pid: Option<i32>| pid.unwrap_or_default();
        let mut text = self.sockets.encode();
        text += &format!("pipes {notices} {notice} {lifeline} {alive}\n");
        text += &format!("board {} {LAYOUT}\n", self.board);
        text += &format!("generations {} {}\n", self.generation, self.next_generation);
        text += &format!("counters {} {}\n", self.next_age, self.requests);
        text += &format!("masters {} {}\n", pid(self.predecessor), pid(self.successor));
        if let Some(path) = &self.pidfile {
            text += &format!("pidfile {}\n", escape(&path.to_string_lossy()));
        }
        for Survivor { pid, age, generation, slot, stopping } in &self.workers {
            text += &format!("worker {pid} {age} {generation} {slot} {}\n", u8::from(*stopping));
        }
        text
    }

    fn decode(text: &str) -> Self {
        let mut resume = Self { sockets: Sockets::decode(text), board: -1, ..Self::default() };
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let numbers: Vec<u64> = rest.split(' ').filter_map(|number| number.parse().ok()).collect();
            resume.take(word, &numbers);
            if word == "pidfile" {
                resume.pidfile = unescape(rest).map(PathBuf::from);
            }
        }
        resume
    }

    fn take(&mut self, word: &str, numbers: &[u64]) {
        let small = |number: u64| i32::try_from(number).unwrap_or(-1);
        let pid = |number: u64| i32::try_from(number).ok().filter(|pid| *pid > 0);
        match (word, numbers) {
            ("pipes", &[notices, notice, lifeline, alive]) => {
                let [notices, notice, lifeline, alive] = [notices, notice, lifeline, alive].map(small);
                self.pipes = PipeNumbers { notices, notice, lifeline, alive };
            }
            ("board", &[fd, layout]) if layout == u64::from(LAYOUT) => self.board = small(fd),
            ("generations", &[current, next]) => {
                (self.generation, self.next_generation) = (current as u32, next as u32);
            }
            ("counters", &[age, requests]) => (self.next_age, self.requests) = (age, requests),
            ("masters", &[predecessor, successor]) => {
                (self.predecessor, self.successor) = (pid(predecessor), pid(successor));
            }
            ("worker", &[number, age, generation, slot, stopping]) => {
                self.workers.extend(pid(number).map(|pid| Survivor {
                    pid,
                    age,
                    generation: generation as u32,
                    slot: slot as usize,
                    stopping: stopping == 1,
                }));
            }
            // A later version's line.
            _ => {}
        }
    }
}

/// Addresses may hold anything, a NUL byte included; a variable may not, and a line has no line end.
fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'!'..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets() -> Sockets {
        let texts = ["127.0.0.1:0", "[::1]:80", "unix:/a b%\n/é", "unix:\0name", "fd://3"];
        let listeners = (3..).zip(texts.map(|text| Address::parse(text).unwrap())).collect();
        let passed = [(3, "web page"), (4, "")].map(|(fd, name)| Passed { fd, name: name.into() });
        Sockets { listeners, passed: passed.to_vec() }
    }

    #[test]
    fn everything_comes_back() {
        let worker = |pid: i32| Survivor { pid, age: 7, generation: 2, slot: 1023, stopping: pid == 9 };
        let resume = Resume {
            sockets: sockets(),
            pipes: PipeNumbers { notices: 10, notice: 11, lifeline: 12, alive: 13 },
            board: 14,
            generation: 2,
            next_generation: 5,
            next_age: 1 << 40,
            requests: u64::MAX,
            successor: Some(70),
            predecessor: None,
            pidfile: Some("/run/a b.pid".into()),
            workers: vec![worker(8), worker(9)],
        };
        for handover in [
            Handover::Trial,
            Handover::Beside(Sockets::default()),
            Handover::Beside(sockets()),
            Handover::Resume(Box::new(resume)),
            Handover::Resume(Box::default()),
        ] {
            let text = handover.encode();
            assert!(!text.contains('\0'), "{text:?}");
            assert_eq!(Handover::decode(&text), Some(handover));
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(Handover::decode(""), None);
        assert_eq!(Handover::decode("upside down"), None);
        let text = "beside\nlisten x y\nlisten 4\nlisten 5 unix:%zz\nlisten 6 :80\nmood good\n";
        let Some(Handover::Beside(sockets)) = Handover::decode(text) else { panic!("not read") };
        assert_eq!(sockets.listeners, [(6, Address::parse(":80").unwrap())]);
        let text = "resume\nworker 0 1 1 1 0\nworker 5 1\nboard 7 999\nworker 6 1 1 99999999999 1\n";
        let Some(Handover::Resume(resume)) = Handover::decode(text) else { panic!("not read") };
        assert_eq!((resume.board, resume.workers.len()), (-1, 1));
    }
}
