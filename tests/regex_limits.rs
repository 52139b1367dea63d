//! What the limits promise: no pattern is slow to refuse, and none that is accepted is slow to match.

use std::ffi::{c_int, c_long};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use logknockd::regex::{Error, Regex, Scratch};

const LINE_BYTES: usize = 8 * 1024;
/// What a pattern of 300 states may take. Of ten times as many, it is ten times as long.
const LONGEST: Duration = Duration::from_millis(50);

/// One at a time: tests that take times must not disturb each other.
static TIMING: Mutex<()> = Mutex::new(());

/// Families of patterns that keep as many paths alive as their size allows.
const FAMILIES: [fn(usize) -> String; 21] = [
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
    |n| format!("(?:[^c]*?){{{n}}}$Z"),
    |n| format!("{}$Z", ".*?".repeat(n)),
    // Long in going back, and with literals that are almost everywhere.
    |n| format!("{}Z", ".*a".repeat(n)),
    |n| format!("{}Z", "(a+).*?".repeat(n)),
    |n| format!("{}[^ab]", "aaaaaaaaa.*".repeat(n)),
    |n| format!(".*{0}b.*{0}b", "a".repeat(n)),
    // A literal that is almost there everywhere, its rarest byte included, and far shorter than an eighth of the line.
    |n| format!(".*{} a", "a".repeat(n.min(100))),
];

/// A literal that is as long as it may be: in a part of the longest line there may be no room for it.
const LONG_LITERAL: fn(usize) -> String = |n| format!(".*{} a", "a".repeat(n));

/// The largest pattern of a family that compiles, and one a tenth as large.
fn largest(family: impl Fn(usize) -> String) -> [Regex; 2] {
    let (mut fits, mut too_large) = (1usize, 20_000);
    while too_large - fits > 1 {
        let middle = fits.midpoint(too_large);
        match Regex::new(&family(middle)) {
            Ok(_) => fits = middle,
            Err(_) => too_large = middle,
        }
    }
    [fits, fits.div_ceil(10)].map(|size| match Regex::new(&family(size)) {
        Ok(regex) => regex,
        Err(error) => panic!("{}: {}", family(size), error.message.escape_ascii()),
    })
}

fn best_time(mut run: impl FnMut() -> bool) -> Duration {
    let times = (0..5).map(|_| {
        let begin = processor_time();
        assert!(!run(), "these families match no line");
        processor_time() - begin
    });
    times.min().expect("five times")
}

/// What this thread has had of the processor: what others have had is no fault of a pattern's.
fn processor_time() -> Duration {
    unsafe extern "C" {
        fn clock_gettime(clock: c_int, time: *mut [c_long; 2]) -> c_int;
    }
    const CLOCK_THREAD_CPUTIME_ID: c_int = 3;
    let mut time = [0; 2];
    // SAFETY: `struct timespec` is two longs on the 64-bit machines that run this test.
    let answer = unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(answer, 0);
    let [seconds, nanoseconds] = time.map(|part| u64::try_from(part).expect("a time"));
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

fn lines(length: usize) -> [Vec<u8>; 2] {
    let mixed = |index: u32| b"ab"[(index.wrapping_mul(2_654_435_761) >> 16 & 1) as usize];
    [vec![b'a'; length], (0..length as u32).map(mixed).collect()]
}

/// The largest pattern of a family and one a tenth as large, as they are and without all that makes them fast, and what
/// each may take.
fn all_ways(family: fn(usize) -> String) -> [(Regex, Duration); 4] {
    let [large, small] = largest(family);
    let [sure, small_sure] = largest(family).map(Regex::without_shortcuts);
    let in_proportion = LONGEST * 10;
    [
        (large, in_proportion),
        (sure, in_proportion),
        (small, LONGEST),
        (small_sure, LONGEST),
    ]
}

/// The longer of the times to match and to capture.
fn time(regex: &Regex, line: &[u8], scratch: &mut Scratch) -> Duration {
    let matching = best_time(|| regex.is_match(line, scratch));
    let capturing = best_time(|| regex.captures(line, scratch).is_some());
    matching.max(capturing)
}

#[test]
#[cfg_attr(debug_assertions, ignore = "only an optimised build keeps the promise")]
fn the_worst_pattern_takes_no_longer_than_promised_on_the_longest_line() {
    let _alone = TIMING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut scratch = Scratch::new();
    let families = FAMILIES.into_iter().chain([LONG_LITERAL]);
    for (regex, longest) in families.flat_map(all_ways) {
        for line in lines(LINE_BYTES) {
            let time = time(&regex, &line, &mut scratch);
            println!("{time:9.2?} {:.60}", regex.pattern());
            assert!(time <= longest, "{}", regex.pattern());
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes too long unless optimised")]
fn time_grows_linearly_with_the_line() {
    let _alone = TIMING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut scratch = Scratch::new();
    println!("1/8, 1/4, 1/2 and all of the longest line:");
    for (regex, _) in FAMILIES.into_iter().flat_map(all_ways) {
        let times = [8, 4, 2, 1].map(|part| {
            let [steady, mixed] = lines(LINE_BYTES / part);
            time(&regex, &steady, &mut scratch).max(time(&regex, &mixed, &mut scratch))
        });
        println!("{times:9.2?} {:.60}", regex.pattern());
        // Were it quadratic, it would be 64 times as long; what takes no time at all proves nothing.
        let allowed = times[0] * 20 + Duration::from_millis(5);
        assert!(times[3] <= allowed, "{}: {times:?}", regex.pattern());
    }
}

/// What the search below puts together.
const PIECES: [&str; 16] = [
    "a?",
    "a??",
    ".*",
    ".*?",
    "[^c]*?",
    "(a|b)?",
    "(?:a*)*",
    r"(?:\b)?",
    "(?:a|ab|)",
    "()",
    "[ab]{0,3}?",
    "(?:.?a)*",
    "aa",
    "b*a*",
    "(.)??",
    "(?:^|a)*?",
];

/// By hand: `cargo test --release --test regex_limits -- --ignored --nocapture`. What is worst belongs into `FAMILIES`.
#[test]
#[ignore = "a search that takes minutes"]
fn no_family_of_a_thousand_random_ones_is_slower_than_promised() {
    let mut state = 1u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % below
    };
    let mut scratch = Scratch::new();
    let mut worst = (Duration::ZERO, String::new());
    for number in 0..1000 {
        let body: String = (0..1 + random(4)).map(|_| PIECES[random(16)]).collect();
        let end = ["Z", "$Z", "[^ab]", r"\BZ"][random(4)];
        let is_loop = random(4) == 0;
        let [large, small] = largest(|n| match is_loop {
            true => format!("(?:{})*{end}", body.repeat(n)),
            false => format!("{}{end}", body.repeat(n)),
        });
        // The largest of every twentieth family: of ten times as many states, it is ten times as long.
        let large = Some((large, LONGEST * 10)).filter(|_| number % 20 == 0);
        for (regex, longest) in large.into_iter().chain([(small, LONGEST)]) {
            for line in lines(LINE_BYTES) {
                let begin = processor_time();
                regex.captures(&line, &mut scratch);
                let time = processor_time() - begin;
                assert!(time <= longest, "{time:?} {}", regex.pattern());
                if longest == LONGEST && time > worst.0 {
                    worst = (time, regex.pattern().into());
                }
            }
        }
    }
    println!("worst of 300 states: {:?} {:.90}", worst.0, worst.1);
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
        // One state more than 16 bits can count.
        (&"a".repeat(65_535), 0),
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
