//! Compares every group of every match with Python's `re`, on random patterns and texts.
//!
//! `LOGKNOCKD_REGEX_SEED` and `LOGKNOCKD_REGEX_PAIRS` choose other cases and more of them; they are read
//! as they are made, so any number will do. Without `python3` the test fails.

#[path = "common/regex.rs"]
mod notation;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use logknockd::regex::seek::Places;
use logknockd::regex::{Regex, Scratch, Sieve, Text};
use notation::{Spans, find, spans, unescape};

struct Case {
    pattern: String,
    text: Vec<u8>,
    expected: Spans,
}

#[derive(Default)]
struct Tally {
    pairs: u64,
    compiled: u64,
    matched: u64,
}

#[test]
fn every_group_is_where_python_puts_it() {
    let seed = number("LOGKNOCKD_REGEX_SEED", 1);
    let pairs = number("LOGKNOCKD_REGEX_PAIRS", 24_000);
    let tally = compare_all(seed, pairs);
    println!(
        "seed {seed}: {} pairs, {} compiled, {} matched",
        tally.pairs, tally.compiled, tally.matched
    );
    assert_eq!(tally.pairs, pairs, "Python gave up before the end");
    // A test that compares nothing, or only failures to match, would always pass.
    assert!(tally.compiled * 100 >= pairs * 95, "too much is refused");
    assert!(tally.matched * 100 >= pairs * 30, "too little matches");
}

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(value) => value.parse().expect(variable),
        Err(_) => default,
    }
}

fn compare_all(seed: u64, pairs: u64) -> Tally {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential.py");
    let mut python = Command::new("python3")
        .args([script, &seed.to_string(), &pairs.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3, which this test compares with");
    let mut tally = Tally::default();
    let mut scratch = Scratch::new();
    let mut latest: Option<(String, Option<Ways>)> = None;
    for line in BufReader::new(python.stdout.take().expect("its output")).lines() {
        let case = Case::read(&line.expect("a line of Python's"));
        if latest
            .as_ref()
            .is_none_or(|(pattern, _)| *pattern != case.pattern)
        {
            latest = Some((case.pattern.clone(), all_ways(&case.pattern)));
        }
        tally.pairs += 1;
        let Some((_, Some(ways))) = &mut latest else {
            continue;
        };
        tally.compiled += 1;
        tally.matched += u64::from(case.expected.is_some());
        for regex in &ways.regexes {
            compare(regex, &case, &mut scratch, seed);
        }
        let pattern = &case.pattern;
        for sieve in ways.sieves.iter_mut().filter(|_| case.expected.is_some()) {
            assert!(
                sieve.next(&case.text).is_some()
                    && sieve.sift(Text::from(&case.text)).contains(&0)
                    && ways.regexes[0].may_match(&case.text, &mut Places::default()),
                "seed {seed}: {pattern:?} is sieved out"
            );
        }
    }
    python.wait().expect("Python to end");
    tally
}

/// A pattern with everything that makes it fast, and without.
struct Ways {
    regexes: [Regex; 2],
    /// For it alone, for it and another, and for three by the automaton, whatever literals they have.
    sieves: [Sieve; 3],
}

fn all_ways(pattern: &str) -> Option<Ways> {
    let fast = Regex::new(pattern).ok()?;
    let plain = Regex::new(pattern).ok()?.without_shortcuts();
    let others = [r"Z marks the spot", r"^(\d+) [a-c]*$"].map(Regex::new);
    let [Ok(other), Ok(third)] = others else {
        return None;
    };
    let few = &[(1, &other), (0, &fast)][..];
    let sieves = [
        Sieve::new(&[(0, &fast)]),
        Sieve::new(few),
        Sieve::with_few(&[few, &[(2, &third)]].concat(), 0),
    ];
    Some(Ways {
        sieves,
        regexes: [fast, plain],
    })
}

fn compare(regex: &Regex, case: &Case, scratch: &mut Scratch, seed: u64) {
    let found = find(regex, &case.text, scratch);
    let text = case.text.escape_ascii();
    let pattern = &case.pattern;
    assert_eq!(
        found, case.expected,
        "(ours, Python's) seed {seed}, pattern {pattern:?}, text \"{text}\""
    );
    assert_eq!(
        regex.is_match(&case.text, scratch),
        case.expected.is_some(),
        "is_match differs from captures: seed {seed}, pattern {pattern:?}, text \"{text}\""
    );
}

impl Case {
    fn read(line: &str) -> Case {
        let mut fields = line.split('\t');
        let mut field = || fields.next().expect("three fields");
        Case {
            pattern: String::from_utf8(unescape(field())).expect("a pattern in UTF-8"),
            text: unescape(field()),
            expected: spans(field()),
        }
    }
}
