//! The corpus, damaged by the same dice in every run: nothing is known of what it comes to, but much must hold for whatever
//! comes (../fuzz/src/lib.rs). So each run of the tests goes a little way on the paths that the fuzzers walk for minutes.
//! Must never look for more than they do: what is to be found by search is theirs.
//! Read next: ../fuzz/src/lib.rs; transcript/corpus.rs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::transcript::corpus::{Case, corpus, run};
use fuzz::transcript::{Appetite, escape};

const ROUNDS: usize = 6000;

/// Long ones are long by repetition.
const LONGEST: usize = 500;

/// Under the settings of the case, of which the fuzzers know some only.
#[test]
fn damage_is_judged_the_same_for_every_split() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for case in short_cases().iter().cycle().take(ROUNDS) {
        let input = damaged(case, &mut random);
        let whole = run(case, &[&input], Appetite::AtOnce);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(whole, run(case, &bytes, Appetite::AtOnce), "{:?}", escape(&input));
        let pieces: Vec<&[u8]> = input.chunks(1 + random.below(7)).collect();
        assert_eq!(whole, run(case, &pieces, Appetite::Late), "{:?}", escape(&input));
        refused += usize::from(whole.iter().any(|line| line.starts_with("error")));
    }
    assert!((1000..5999).contains(&refused), "the damage is neither fatal nor harmless always: {refused}");
}

/// What the fuzzers do, without their search.
#[test]
fn what_is_fuzzed_holds_for_damaged_cases() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let cases = short_cases();
    for case in cases.iter().cycle().take(ROUNDS) {
        let mut stream = damaged(case, &mut random);
        if random.below(4) == 0 {
            stream.extend(damaged(&cases[random.below(cases.len())], &mut random));
        }
        // Half of the streams meet a server that permits nothing.
        let flags = if random.below(2) == 0 { 0 } else { random.byte() };
        let cuts = random.byte();
        let of = |stream: &[u8]| [&[flags, cuts], stream].concat();
        fuzz::head::check(&of(&stream));
        fuzz::connection::check(&of(&stream));
        fuzz::proxy_protocol::check(&of(&stream));
        let body = stream.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |head| head + 4);
        fuzz::chunked::check(&of(&stream[body..]));
    }
}

fn short_cases() -> Vec<Case> {
    let all = corpus().into_iter().flat_map(|(_, cases)| cases);
    all.filter(|case| case.input.len() < LONGEST).collect()
}

fn damaged(case: &Case, random: &mut Random) -> Vec<u8> {
    const BYTES: &[u8] = b"\r\n \t\0:;,=\"_%05aF/\x7f\x80";
    let mut input = case.input.clone();
    for _ in 0..=random.below(3) {
        let at = random.below(input.len() + 1);
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(3) {
            0 if at < input.len() => input[at] = byte,
            1 if at < input.len() => drop(input.remove(at)),
            _ => input.insert(at, byte),
        }
    }
    input
}

/// xorshift: the same damage in every run.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}
