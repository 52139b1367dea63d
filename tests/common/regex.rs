//! What the tests of regular expressions share: the notation of their tables.

use std::ops::Range;

use logknockd::regex::{Regex, Scratch};

/// Where each group matched, group 0 first; or no match.
pub type Spans = Option<Vec<Option<Range<usize>>>>;

/// What a pattern finds.
pub fn find(regex: &Regex, text: &[u8], scratch: &mut Scratch) -> Spans {
    let captures = regex.captures(text, scratch)?;
    Some(
        (0..captures.len())
            .map(|group| captures.get(group))
            .collect(),
    )
}

/// Reads `0-3 - 1-2`, or `none`.
pub fn spans(field: &str) -> Spans {
    if field == "none" {
        return None;
    }
    Some(field.split(' ').map(span).collect())
}

fn span(span: &str) -> Option<Range<usize>> {
    let (start, end) = span.split_once('-').expect("a span");
    Some(start.parse().ok()?..end.parse().ok()?)
}

/// Undoes `\\` and `\xHH`.
pub fn unescape(field: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    loop {
        rest = match rest {
            [] => return bytes,
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', b'x', high, low, rest @ ..] => {
                let digits = String::from_utf8(vec![*high, *low]).expect("hexadecimal digits");
                bytes.push(u8::from_str_radix(&digits, 16).expect("hexadecimal digits"));
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        }
    }
}
