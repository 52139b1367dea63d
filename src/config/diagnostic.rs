//! An error in a file, shown where it is: `file:line:column`, the source line, a caret.
//!
//! ```text
//! /etc/logknockd.conf:9:38: error: rule "ssh": filter: unclosed group
//!     9 |       "filter": "drop wan in: .* SRC=([0-9.]+ .* PROTO=UDP",
//!       |                                      ^
//! ```
//!
//! Whoever finds an error knows one byte offset and one sentence; lines and columns are worked out
//! here, when somebody reads them. Any offset into any bytes can be shown: one beyond the end means
//! the end. The source line may hold anything, so nothing of it that a terminal would obey is printed:
//! unprintable characters and bytes that are not UTF-8 become `?`.

use crate::text::{self, Characters, put_escaped};
use alloc::vec::Vec;

/// Lines of more characters than this are shown as a window of this size around the caret.
const WINDOW: usize = 120;

/// Written for what a window leaves out.
const CUT: &str = "...";

/// The line number is right-aligned in this many columns.
const NUMBER_WIDTH: usize = 5;

/// One error of one document.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Diagnostic {
    /// Byte offset in the document.
    pub at: usize,
    /// What is wrong, in one line. It may quote the document: what a terminal would obey is escaped when shown.
    pub message: Vec<u8>,
}

impl Diagnostic {
    /// Appends the three lines shown above. `file` is the name to print for `document`.
    pub fn render(&self, file: &[u8], document: &[u8], out: &mut Vec<u8>) {
        // A byte order mark takes no column.
        let (document, at) = match document.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) => (rest, self.at.saturating_sub(document.len() - rest.len())),
            None => (document, self.at),
        };
        // OK because the offset is cut to the length.
        let (before, after) = document.split_at(at.min(document.len()));
        let mut start = 0;
        let mut number = 1;
        for (index, byte) in before.iter().enumerate() {
            if *byte == b'\n' {
                start = index + 1;
                number += 1;
            }
        }
        let end = before.len() + text::until(after, b'\n').len();
        let line = document.get(start..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let ahead = line.get(..before.len() - start).unwrap_or(line);
        let column = count_characters(&harmless(ahead));
        let line = harmless(line);

        put!(out, "{}:{}:{}: error: ", file, number, column + 1);
        put_escaped(&self.message, out);
        out.push(b'\n');
        let number = text!("{}", number);
        pad(NUMBER_WIDTH.saturating_sub(number.len()), out);
        put!(out, "{} | ", number);
        put_line(&line, column, out);
    }
}

/// Appends the line, or a window of it, and below it the caret.
fn put_line(line: &[u8], column: usize, out: &mut Vec<u8>) {
    let length = count_characters(line);
    let first = match length > WINDOW {
        true => column.saturating_sub(WINDOW / 2),
        false => 0,
    };
    let mut below = Vec::new();
    pad(NUMBER_WIDTH, &mut below);
    put!(&mut below, " | ");
    if first > 0 {
        put!(out, CUT);
        pad(CUT.len(), &mut below);
    }
    let mut begun = 0;
    for &byte in line {
        let begins = begins_character(&byte);
        begun += usize::from(begins);
        if begun <= first || begun > first + WINDOW {
            continue;
        }
        out.push(byte);
        if begins && begun <= column {
            // A tab is as wide in the caret's line as it is in the line above.
            below.push(if byte == b'\t' { b'\t' } else { b' ' });
        }
    }
    if length > first + WINDOW {
        put!(out, CUT);
    }
    put!(out, "\n{}^\n", below);
}

/// The text with a `?` for all that a terminal would obey, and for what is not UTF-8.
fn harmless(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (character, shows) in Characters(text) {
        let is_kept = shows || character == b"\t";
        out.extend_from_slice(if is_kept { character } else { b"?" });
    }
    out
}

/// The number of characters in UTF-8.
pub fn count_characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| begins_character(byte)).count()
}

fn begins_character(byte: &u8) -> bool {
    byte & 0xc0 != 0x80
}

fn pad(columns: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + columns, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn shown(document: &[u8], at: usize) -> String {
        let mut out = Vec::new();
        let message = text!("oops");
        Diagnostic { at, message }.render(b"f", document, &mut out);
        String::from_utf8(out).expect("what is shown is UTF-8")
    }

    /// Where the caret stands: the text below which it was put, from there to the end of the line.
    fn under_caret(shown: &str) -> String {
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[2].chars().count() - 1;
        lines[1].chars().skip(caret).collect()
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut document = b"\n".repeat(8);
        document.extend(br#"      "filter": "drop wan in: .* SRC=([0-9.]+ .* PROTO=UDP","#);
        document.extend(b"\nmore");
        let at = document.iter().position(|&byte| byte == b'(').unwrap();
        let message = text!("rule \"ssh\": filter: unclosed group");
        let mut out = Vec::new();
        Diagnostic { at, message }.render(b"/etc/logknockd.conf", &document, &mut out);
        let expected = r#"/etc/logknockd.conf:9:38: error: rule "ssh": filter: unclosed group
    9 |       "filter": "drop wan in: .* SRC=([0-9.]+ .* PROTO=UDP",
      |                                      ^
"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let shown = shown("für x".as_bytes(), 5);
        assert_eq!(shown, "f:1:5: error: oops\n    1 | für x\n      |     ^\n");
    }

    #[test]
    fn the_caret_line_repeats_tabs() {
        assert_eq!(
            shown(b"\tab\tc", 4),
            "f:1:5: error: oops\n    1 | \tab\tc\n      | \t  \t^\n"
        );
    }

    #[test]
    fn the_end_of_the_document_can_be_shown() {
        let on_last = "f:1:3: error: oops\n    1 | ab\n      |   ^\n";
        assert_eq!(shown(b"ab", 2), on_last);
        assert_eq!(shown(b"ab", 99), on_last);
        assert_eq!(
            shown(b"ab\n", 3),
            "f:2:1: error: oops\n    2 | \n      | ^\n"
        );
        assert_eq!(shown(b"", 0), "f:1:1: error: oops\n    1 | \n      | ^\n");
    }

    #[test]
    fn both_kinds_of_line_break_end_a_line() {
        let expected = "f:2:2: error: oops\n    2 | cd\n      |  ^\n";
        assert_eq!(shown(b"ab\ncd\nef", 4), expected);
        assert_eq!(shown(b"ab\r\ncd\r\nef", 5), expected);
        // The line break itself belongs to the line it ends.
        let end = "f:1:3: error: oops\n    1 | ab\n      |   ^\n";
        assert_eq!(shown(b"ab\r\ncd", 2), end);
        assert_eq!(shown(b"ab\r\ncd", 3), end);
    }

    #[test]
    fn nothing_a_terminal_would_obey_is_shown() {
        let document = b"a\x1b[2J\x7f\xc2\x9b\xff\x00\rz";
        let at = document.len() - 1;
        let shown = shown(document, at);
        assert!(shown.contains(" | a?[2J?????z\n"), "{shown}");
        assert_eq!(under_caret(&shown), "z");
    }

    #[test]
    fn nothing_that_a_message_quotes_is_obeyed() {
        let mut out = Vec::new();
        let message = b"{\x1b[2J\xc2\x9b\n}".to_vec();
        Diagnostic { at: 0, message }.render(b"f", b"x", &mut out);
        assert!(out.starts_with(b"f:1:1: error: {\\x1b[2J\\xc2\\x9b\\x0a}\n"));
    }

    #[test]
    fn a_long_line_is_a_window_around_the_caret() {
        let mut document = "ü".repeat(500).into_bytes();
        let at = document.len();
        document.extend(b"X");
        document.extend("ä".repeat(500).into_bytes());
        let shown = shown(&document, at);
        assert!(shown.starts_with("f:1:501:"), "{shown}");
        assert!(under_caret(&shown).starts_with("Xä"), "{shown}");
        assert!(shown.contains("...ü") && shown.contains("ä..."), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() < 140));
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        let expected = "f:1:2: error: oops\n    1 | ab\n      |  ^\n";
        assert_eq!(shown("\u{feff}ab".as_bytes(), 4), expected);
        // Nor does an offset inside it matter.
        for at in 0..3 {
            shown("\u{feff}ab".as_bytes(), at);
        }
    }

    #[test]
    fn any_offset_in_any_bytes_can_be_shown() {
        let document = b"\xef\xbb\xbf\xff\n\r\n\tq\xc3\xbc\xe2\x82\n\n\x00";
        for end in 0..=document.len() {
            for at in 0..=end + 1 {
                assert_eq!(shown(&document[..end], at).lines().count(), 3);
            }
        }
    }
}
