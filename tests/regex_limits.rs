//! What the limits promise: no pattern is slow to refuse, and none that is accepted is slow to match.

use std::time::{Duration, Instant};

use logknockd::regex::{Error, Regex, Scratch};

const LINE_BYTES: usize = 8 * 1024;
const LONGEST: Duration = Duration::from_millis(50);

/// Families of patterns that keep as many paths alive as their size allows.
const FAMILIES: [fn(usize) -> String; 14] = [
    |n| format!("(?:a?){{{n}}}[^a]c"),
    |n| format!("(?:.?){{{n}}}Z"),
    |n| format!("(?:.??){{{n}}}Z"),
    |n| format!("(.?){{{n}}}Z"),
    |n| format!("(?:(.?)){{{n}}}(.)?(.)?(.)?(.)?(.)?Z"),
    |n| format!(".{{0,{n}}}Z"),
    |n| format!("(?:(?:a|b)?(?:b|a|)){{{n}}}Z"),
    |n| format!("{}Z", ".*".repeat(n)),
    |n| format!("{}Z", "(.*)".repeat(n)),
    |n| format!("{}{}Z", "(.*)".repeat(9), ".*".repeat(n)),
    |n| format!("{}{}Z", "()".repeat(20), ".*".repeat(n)),
    |n| format!("(?:{}a*)*Z", "a*|".repeat(n)),
    |n| format!("{}a*{}Z", "(?:".repeat(n), ")*".repeat(n)),
    |n| format!(r"(?:(?:(?:(?:a*\b|\B)*|\Bb*)*|[ab]?){{{n}}})*Z"),
];

fn largest(family: fn(usize) -> String) -> Regex {
    let (mut fits, mut too_large) = (1usize, 20_000);
    while too_large - fits > 1 {
        let middle = fits.midpoint(too_large);
        match Regex::new(&family(middle)) {
            Ok(_) => fits = middle,
            Err(_) => too_large = middle,
        }
    }
    let Ok(regex) = Regex::new(&family(fits)) else {
        panic!("{} does not compile", family(fits));
    };
    regex
}

fn best_time(mut run: impl FnMut() -> bool) -> Duration {
    let times = (0..3).map(|_| {
        let begin = Instant::now();
        assert!(!run(), "these families match no line");
        begin.elapsed()
    });
    times.min().expect("three times")
}

#[test]
#[cfg_attr(debug_assertions, ignore = "only an optimised build keeps the promise")]
fn the_worst_pattern_takes_no_longer_than_promised_on_the_longest_line() {
    let mut scratch = Scratch::new();
    let steady = vec![b'a'; LINE_BYTES];
    let mixed: Vec<u8> = (0..LINE_BYTES as u32)
        .map(|index| b"ab"[(index.wrapping_mul(2_654_435_761) >> 16 & 1) as usize])
        .collect();
    for family in FAMILIES {
        let regex = largest(family).without_shortcuts();
        for line in [&steady, &mixed] {
            let matching = best_time(|| regex.is_match(line, &mut scratch));
            let capturing = best_time(|| regex.captures(line, &mut scratch).is_some());
            println!("{matching:9.2?} {capturing:9.2?} {:.60}", regex.pattern());
            assert!(matching.max(capturing) <= LONGEST, "{}", regex.pattern());
        }
    }
}

#[test]
fn a_pattern_that_would_grow_without_end_is_refused_at_once() {
    let begin = Instant::now();
    for (pattern, at) in [
        ("((a{1000}){1000}){1000}", 17),
        ("(?:(?:(?:){4000000000}){1000}){1000}", 30),
        ("(?:(?:(?:a{0}){4000000000}){1000}){1000}", 34),
        ("x{0,4000000000}", 1),
        ("(?:(?:(?:(?:a*)*)*){50}){50}", 24),
        (r"(?:\b{0}|(?:^|$)*){4000000000}", 0),
    ] {
        let Err(Error { at: found, .. }) = Regex::new(pattern) else {
            panic!("{pattern} is not refused");
        };
        assert!(found == at || at == 0, "{pattern}: at {found}");
    }
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    for pattern in [
        deep("(", ")"),
        deep("(?:", ")*"),
        deep("(?i:a|", ")"),
        "(".repeat(100_000),
        "a|".repeat(100_000),
        "[a-z]".repeat(100_000),
    ] {
        assert!(Regex::new(&pattern).is_err());
    }
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn what_logs_need_is_far_from_the_limit() {
    let address = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)";
    let pattern = format!(
        r"^\w{{3}} [ \d]\d \d\d:\d\d:\d\d \S+ kernel: .*SRC=({address}) DST=({address}) .*PROTO=(\w+) SPT=(\d{{1,5}}) DPT=(\d{{1,5}})"
    );
    assert!(Regex::new(&pattern).is_ok());
}
