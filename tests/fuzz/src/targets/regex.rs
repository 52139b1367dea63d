//! Regular expressions: all ways to the answer agree, groups lie in the match, and the steps taken are bounded by
//! the pattern's size times the text's length.
//!
//! An input is a pattern, a byte that no UTF-8 has, and texts divided by the same byte.

#[path = "../../../common/regex.rs"]
#[allow(dead_code, reason = "other tests read results in this notation, too")]
mod notation;

use crate::hunt::Target;
use logknockd::regex::seek::Places;
use logknockd::regex::{Regex, Scratch, Sieve, Text, steps};
use logknockd::source::lines::one_line;
use notation::Spans;
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

pub const TARGET: Target = Target {
    name: "regex",
    seeds,
    words: &[
        "(",
        ")",
        "(?:",
        "(?P<n>",
        "(?i)",
        "(?s:",
        "(?m)",
        "(?-i:",
        "|",
        "*",
        "+",
        "?",
        "*?",
        "{2}",
        "{1,3}",
        "{,2}?",
        "[a-z]",
        "[^",
        "]",
        "\\d",
        "\\w",
        "\\s",
        "\\b",
        "\\B",
        "^",
        "$",
        "\\A",
        "\\Z",
        "\\n",
        ".*",
        ".*?",
        ".+",
        "[0-9.]+",
        " SRC=",
        " DPT=",
        "drop wan in: ",
        "PROTO=UDP",
        "\\x41",
        "\\101",
        "\\u00e9",
        "aaaaaaaaaaaaaaaa",
        "abababab",
        "\n",
        "\u{fc}",
    ],
    check,
    verdict: Some(verdict),
    remark,
};

/// No pattern and text may take more steps than this for each state and byte the sure way: a state is entered once
/// at each place, and left with what it leaves behind.
const SURE_STEPS: usize = 4;
/// The quick way first may take as many again to compare literals, and its allowance, which is for each byte.
const QUICK_STEPS: usize = 8;
const ALLOWANCE: usize = 80;
/// Added to the length of each text: going back is allowed a few steps however short it is.
const BYTES_MORE: usize = 32;
const LONGEST_TEXT: usize = 1024;

/// The most steps taken, in hundredths for each state and byte: the sure way, and the quick way first.
static WORST: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

fn remark() -> String {
    let [sure, quick] = [0, 1].map(|index| WORST[index].load(Ordering::Relaxed) as f64 / 100.0);
    format!("; at most {sure} steps per state and byte the sure way, {quick} the quick way first")
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for row in include_str!("../../../data/regex.tsv").lines() {
        let fields: Vec<Vec<u8>> = row.split('\t').map(notation::unescape).collect();
        seeds.push([&fields[0], &b"\xff"[..], &fields[1]].concat());
    }
    for seed in [
        &b"drop wan in: .* SRC=([0-9.]+) .* DPT=1234\xffdrop wan in: IN=eth1 SRC=198.51.100.7 DPT=1234 "[..],
        b"(a*)*|b\xffaaaaab",
        b"(?:a?){20}[^a]c\xffaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b".*a.*a.*a.*aZ\xffaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"(a+).*?(a+).*?[^ab]\xffaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbb",
    ] {
        seeds.push(seed.to_vec());
    }
    seeds
}

/// What each kind of engine makes of a pattern.
struct Ways {
    /// With all that saves time, and without.
    regexes: [Regex; 2],
    /// For it alone, together with a literal that begins otherwise, and with one that begins like one of its own.
    sieves: [Sieve; 3],
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

fn compile(pattern: &str) -> Option<Ways> {
    let fast = match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => {
            assert!(
                pattern.is_char_boundary(error.at),
                "{} at {}",
                error.message.escape_ascii(),
                error.at
            );
            return None;
        }
    };
    assert_eq!(fast.pattern(), pattern);
    let plain = Regex::new(pattern).ok()?.without_shortcuts();
    let other = Regex::new("Z marks the spot").ok()?;
    let alike = Regex::new(&alike(&fast)).ok()?;
    let sieves = [
        &[(0, &fast)][..],
        &[(1, &other), (0, &fast)],
        &[(0, &fast), (1, &alike)],
    ];
    Some(Ways {
        sieves: sieves.map(|patterns| Sieve::with_few(patterns, patterns.len() % 2)),
        regexes: [fast, plain],
    })
}

/// A literal that goes on where the longest of a pattern's ends.
fn alike(regex: &Regex) -> String {
    let longest = regex.literals().max_by_key(|literal| literal.len());
    let bytes = longest.unwrap_or_default().iter();
    let ascii = bytes.take_while(|byte| byte.is_ascii());
    let escaped = ascii.map(|byte| format!("\\x{byte:02x}"));
    escaped.chain(["and so on".into()]).collect()
}

fn check(input: &[u8]) {
    let mut parts = input.split(|&byte| byte == 0xff);
    let Some(Ok(pattern)) = parts.next().map(str::from_utf8) else {
        return;
    };
    let Some(mut ways) = compile(pattern) else {
        return;
    };
    for text in parts.take(8) {
        let text = &text[..text.len().min(LONGEST_TEXT)];
        check_text(&mut ways, text);
        // Lines are stripped, but nobody says so here; and repeating makes places that resemble each other.
        if !text.is_empty() && text.len() < 64 {
            check_text(&mut ways, &text.repeat(LONGEST_TEXT / 2 / text.len()));
        }
    }
}

fn check_text(ways: &mut Ways, text: &[u8]) {
    SCRATCH.with_borrow_mut(|scratch| {
        let Ways {
            regexes: [fast, plain],
            sieves,
        } = ways;
        let expected = find(plain, text, scratch, 0);
        assert_eq!(
            find(fast, text, scratch, 1),
            expected,
            "the quick way and the sure one"
        );
        if expected.is_some() {
            assert!(fast.may_match(text, &mut Places::default()), "its literal");
            if one_line(text).bytes == text {
                assert!(
                    fast.fits_lines(text.contains(&b'\n')),
                    "said to match no line"
                );
            }
            for sieve in sieves {
                assert!(sieve.next(text).is_some(), "sieved out of a buffer");
                let concerned = sieve.sift(Text::from(text));
                assert!(concerned.contains(&0), "sieved out as a line");
            }
        }
    });
}

fn find(regex: &Regex, text: &[u8], scratch: &mut Scratch, way: usize) -> Spans {
    steps::take();
    let found = notation::find(regex, text, scratch);
    check_steps(regex, text, way);
    assert_eq!(
        regex.is_match(text, scratch),
        found.is_some(),
        "is_match and captures"
    );
    check_steps(regex, text, way);
    if let Some(groups) = &found {
        assert_eq!(groups.len(), regex.group_count() + 1);
        let whole = groups[0].clone().expect("a match is somewhere");
        assert!(whole.start <= whole.end && whole.end <= text.len());
        for group in groups.iter().flatten() {
            assert!(
                whole.start <= group.start && group.start <= group.end && group.end <= whole.end,
                "a group outside the match"
            );
        }
    }
    found
}

fn check_steps(regex: &Regex, text: &[u8], way: usize) {
    let taken = steps::take();
    let bytes = text.len() + BYTES_MORE;
    let unit = regex.size() * bytes;
    let most = [SURE_STEPS * unit, QUICK_STEPS * unit + ALLOWANCE * bytes];
    WORST[way].fetch_max(taken * 100 / unit, Ordering::Relaxed);
    assert!(
        taken <= most[way],
        "{taken} steps, {} states, {} bytes",
        regex.size(),
        text.len()
    );
}

fn verdict(input: &[u8]) -> String {
    let mut parts = input.split(|&byte| byte == 0xff);
    let Some(Ok(pattern)) = parts.next().map(str::from_utf8) else {
        return "?".into();
    };
    let regex = match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => return format!("!{}", error.message.escape_ascii()),
    };
    let shown = parts.take(8).map(|text| {
        let text = &text[..text.len().min(LONGEST_TEXT)];
        match SCRATCH.with_borrow_mut(|scratch| find(&regex, text, scratch, 1)) {
            None => "none".into(),
            Some(groups) => {
                let shown = groups.into_iter().map(|span| match span {
                    None => "-".into(),
                    Some(span) => format!("{}-{}", span.start, span.end),
                });
                shown.collect::<Vec<String>>().join(" ")
            }
        }
    });
    shown.collect::<Vec<String>>().join(";")
}
