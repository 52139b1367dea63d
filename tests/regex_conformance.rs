//! Checks every case of `data/regex.tsv`, which `data/regex.py` writes with the results of Python's `re`.

#[path = "common/regex.rs"]
mod notation;

use logknockd::regex::seek::Places;
use logknockd::regex::{Regex, Scratch, Sieve, Text};
use notation::{Spans, find, spans, unescape};

struct Row<'t> {
    line: usize,
    pattern: String,
    text: Vec<u8>,
    python: &'t str,
    refused_at: Option<usize>,
}

fn rows() -> Vec<Row<'static>> {
    let lines = include_str!("data/regex.tsv").lines().enumerate();
    let row = |(index, line): (usize, &'static str)| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [pattern, text, python, refused] = fields[..] else {
            panic!("line {}: not four columns", index + 1);
        };
        Row {
            line: index + 1,
            pattern: String::from_utf8(unescape(pattern)).expect("a pattern in UTF-8"),
            text: unescape(text),
            python,
            refused_at: refused.parse().ok(),
        }
    };
    lines.map(row).collect()
}

/// What is wrong with a row, if anything.
fn fault(row: &Row, scratch: &mut Scratch) -> Option<String> {
    let pattern = &row.pattern;
    let regex = match (Regex::new(pattern), row.refused_at) {
        (Err(error), Some(at)) if error.at == at => return None,
        (Err(error), _) => {
            return Some(format!(
                "{pattern:?}: {} at {}",
                error.message.escape_ascii(),
                error.at
            ));
        }
        (Ok(_), Some(at)) => return Some(format!("{pattern:?} is not refused at {at}")),
        (Ok(regex), None) => regex,
    };
    let expected: Spans = spans(row.python);
    let plain = Regex::new(pattern).ok()?.without_shortcuts();
    let other = Regex::new("(x|y)z").ok()?;
    let mut sieve = Sieve::new(&[(0, &regex), (1, &other)]);
    let is_sieved_out = !sieve.sift(Text::from(&row.text)).contains(&0)
        || !regex.may_match(&row.text, &mut Places::default());
    if expected.is_some() && is_sieved_out {
        return Some(format!("{pattern:?}: sieved out"));
    }
    for regex in [regex, plain] {
        let found = find(&regex, &row.text, scratch);
        if found != expected || regex.is_match(&row.text, scratch) != expected.is_some() {
            let text = row.text.escape_ascii();
            return Some(format!(
                "{pattern:?} on \"{text}\": {found:?}, Python {expected:?}"
            ));
        }
    }
    None
}

#[test]
fn every_pattern_does_what_python_does_or_is_refused_where_it_should_be() {
    let rows = rows();
    let mut scratch = Scratch::new();
    let faults: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("line {}: {}", row.line, fault(row, &mut scratch)?)))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_is_whole() {
    let rows = rows();
    let matches = rows.iter().filter(|row| row.refused_at.is_none()).count();
    let rejected = rows.iter().filter(|row| row.python == "error").count();
    assert!(rows.len() >= 800, "{} rows", rows.len());
    assert!(matches >= 600, "{matches} rows that compile");
    assert!(rejected >= 150, "{rejected} rows that Python rejects");
}

#[test]
fn no_cut_off_or_mangled_pattern_panics() {
    let mut scratch = Scratch::new();
    for row in rows() {
        let chars: Vec<char> = row.pattern.chars().take(200).collect();
        for cut in 0..=chars.len() {
            let head: String = chars[..cut].iter().collect();
            let tail: String = chars[cut..].iter().collect();
            for pattern in [&head, &tail, &format!("{tail}{head}")] {
                match Regex::new(pattern) {
                    Ok(regex) => _ = find(&regex, &row.text, &mut scratch),
                    Err(error) => assert!(error.at <= pattern.len(), "{pattern:?}"),
                }
            }
        }
    }
}
