//! Runs tests/corpus/*.http (format: README.md there) against the request reader. Every case is run whole, cut in two at
//! every byte, byte by byte, and with an application that reads late or in sips: the transcripts must be equal, for how
//! bytes were split must never decide what they mean. Never holds expectations itself: those are the corpus files.
//! Read next: transcript/corpus.rs, transcript/mod.rs; http_damage.rs; what gunicorn makes of the same cases: test_corpus.py.

#![allow(clippy::unwrap_used)]

mod transcript;

use std::fmt::Write as _;

use transcript::Appetite;
use transcript::corpus::{Case, corpus, run};

#[test]
fn every_case_gives_its_transcript_for_every_split() {
    let mut cases = 0;
    let mut wrong = String::new();
    for (file, all) in corpus() {
        for case in all {
            cases += 1;
            if let Some(difference) = check(&case) {
                writeln!(wrong, "{file}: {}: {difference}", case.title).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cases >= 300, "only {cases} cases were found");
}

#[test]
fn every_case_names_its_clause_or_its_attack() {
    let mut titles = Vec::new();
    for (file, all) in corpus() {
        for case in all {
            assert!(!case.about.is_empty(), "{file}: {}: no `about:`", case.title);
            titles.push(case.title);
        }
    }
    titles.sort();
    let twice = titles.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "titles name cases in docs/differences.md");
}

fn check(case: &Case) -> Option<String> {
    let input = case.input.as_slice();
    let differs = |how: &str, pieces: &[&[u8]], appetite: Appetite| {
        let transcript = only_mentioned(run(case, pieces, appetite), &case.expected);
        (transcript != case.expected)
            .then(|| format!("{how}\n  expected {:#?}\n  happened {transcript:#?}", case.expected))
    };
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    differs("whole", &[input], Appetite::AtOnce)
        .or_else(|| differs("read in sips", &[input], Appetite::Sips))
        .or_else(|| differs("read late", &[input], Appetite::Late))
        .or_else(|| differs("byte by byte", &bytes, Appetite::AtOnce))
        .or_else(|| differs("byte by byte, read late", &bytes, Appetite::Late))
        .or_else(|| {
            // Long inputs are long by repetition: their interesting places are the ends and some of the rest.
            let step = if input.len() > 2000 { 131 } else { 1 };
            let cuts = (0..input.len()).filter(|cut| cut % step == 0 || *cut < 64 || cut + 64 > input.len());
            cuts.into_iter().find_map(|cut| {
                differs(&format!("cut at {cut}"), &[&input[..cut], &input[cut..]], Appetite::AtOnce)
            })
        })
}

/// Drops the optional lines of a transcript that the case does not speak about.
fn only_mentioned(transcript: Vec<String>, expected: &[String]) -> Vec<String> {
    const ALWAYS: [&str; 8] = ["proxied", "head", "body", "end", "close", "error", "closed", "need"];
    let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let mentioned: Vec<String> = expected.iter().map(|line| word(line)).collect();
    transcript
        .into_iter()
        .filter(|line| ALWAYS.contains(&&*word(line)) || mentioned.contains(&word(line)))
        .collect()
}
