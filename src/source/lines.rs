//! Cutting a stream of bytes into lines.
//!
//! * A line is a line when its newline has come. What follows the last newline waits for the rest, or
//!   for [`LineBuffer::finish`] when there will be no rest.
//! * ASCII white space at both ends is not part of a line. Every other byte is, NUL included.
//! * A line longer than [`LINE_LIMIT`] is cut there and what remains of it is skipped, so a log without
//!   newlines takes no more memory than any other.
//!
//! Bytes are read straight into the buffer and lines are handed out as parts of it: nothing is copied
//! but the unfinished tail.

use crate::regex::seek::{count_lines, find_byte};
use alloc::vec::Vec;
use core::ops::Range;

/// The longest line, in bytes.
pub const LINE_LIMIT: usize = 8192;

/// One line.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Line<'b> {
    /// Its bytes, trimmed.
    pub bytes: &'b [u8],
    /// It was longer than [`LINE_LIMIT`]: this is its beginning, the rest is skipped.
    pub cut: bool,
}

/// Bytes that have been read and not yet handed out as lines.
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// What has been read and not handed out.
    filled: Range<usize>,
    /// Where in `filled` the search for a newline goes on.
    searched: usize,
    /// In the rest of a line that was cut.
    skipping: bool,
    /// No more will come: what is left is a line.
    finished: bool,
}

impl LineBuffer {
    /// A buffer of `capacity` bytes, at least twice [`LINE_LIMIT`]. It takes no memory until it is used.
    pub fn new(capacity: usize) -> LineBuffer {
        LineBuffer {
            bytes: Vec::with_capacity(capacity.max(2 * LINE_LIMIT)),
            filled: 0..0,
            searched: 0,
            skipping: false,
            finished: false,
        }
    }

    /// Room to read into, never empty once [`LineBuffer::next_line`] has said that it has no more.
    pub fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = alloc::vec![0; self.bytes.capacity()];
        }
        if self.filled.start > 0 {
            self.bytes.copy_within(self.filled.clone(), 0);
            self.searched -= self.filled.start;
            self.filled = 0..self.filled.len();
        }
        self.bytes.get_mut(self.filled.end..).unwrap_or_default()
    }

    /// Tells that the first `count` bytes of [`LineBuffer::room`] have been filled.
    pub fn add(&mut self, count: usize) {
        self.filled.end = self.filled.end.saturating_add(count).min(self.bytes.len());
    }

    /// Drops the complete lines that end before the place `find` gives, or all if it gives none, and returns how
    /// many they were.
    pub fn skip_lines(&mut self, find: impl FnOnce(&[u8]) -> Option<usize>) -> u64 {
        let rest = self.bytes.get(self.filled.clone()).unwrap_or_default();
        if self.skipping {
            return 0;
        }
        let end = find(rest).unwrap_or(rest.len());
        let (count, length) = count_lines(rest.get(..end).unwrap_or_default());
        // What comes before the place and behind its last newline has none.
        self.searched = self.searched.max(self.filled.start + end);
        self.filled.start += length;
        count as u64
    }

    /// The next complete or cut line.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        loop {
            let unsearched = self.bytes.get(self.searched..self.filled.end)?;
            let start = self.filled.start;
            let Some(offset) = find_byte(unsearched, b'\n') else {
                return self.cut_line();
            };
            let end = self.searched + offset;
            self.filled.start = end + 1;
            self.searched = end + 1;
            if core::mem::take(&mut self.skipping) {
                continue;
            }
            return self.line(start..end);
        }
    }

    /// Without a newline in sight: the beginning of a line that is too long, the last line, or nothing.
    fn cut_line(&mut self) -> Option<Line<'_>> {
        let rest = self.filled.clone();
        self.searched = rest.end;
        let last = core::mem::take(&mut self.finished);
        if !last && !self.skipping && rest.len() <= LINE_LIMIT {
            return None;
        }
        self.filled.start = rest.end;
        let skipped = self.skipping;
        self.skipping = !last;
        if skipped || rest.is_empty() {
            return None;
        }
        self.line(rest)
    }

    /// Makes the next lines handed out include what has come of one whose end will never come, such as
    /// the last line of a file that was rotated away. What is added after those is a new line.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    fn line(&self, range: Range<usize>) -> Option<Line<'_>> {
        self.bytes.get(range).map(one_line)
    }
}

/// The line that `bytes` are when nothing else separates lines.
pub fn one_line(bytes: &[u8]) -> Line<'_> {
    let cut = bytes.len() > LINE_LIMIT;
    let bytes = bytes.get(..LINE_LIMIT).unwrap_or(bytes);
    Line {
        bytes: trim(bytes),
        cut,
    }
}

/// `line` without the white space at its ends, vertical tabs included as in Python's `strip`.
fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t'..=b'\r', rest @ ..] | [rest @ .., b' ' | b'\t'..=b'\r'] = line {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// Everything that comes out of `pieces`, cut lines marked with a `>`.
    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut buffer = LineBuffer::new(0);
        let mut lines = Vec::new();
        let mut show = |line: Line| {
            let mark = if line.cut { ">" } else { "" };
            let text = String::from_utf8_lossy(line.bytes);
            lines.push(match text.len() {
                0..40 => std::format!("{text}{mark}"),
                long => std::format!("{}*{long}{mark}", &text[..1]),
            });
        };
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let room = buffer.room();
                let count = room.len().min(piece.len());
                assert!(count > 0, "no room to go on");
                room[..count].copy_from_slice(&piece[..count]);
                piece = &piece[count..];
                buffer.add(count);
                while let Some(line) = buffer.next_line() {
                    show(line);
                }
            }
        }
        buffer.finish();
        while let Some(line) = buffer.next_line() {
            show(line);
        }
        lines
    }

    #[test]
    fn a_line_is_whole_however_it_arrives() {
        let text = b"one\ntwo \r\n\n\tthree\0\xff three\n four";
        let expected = ["one", "two", "", "three\0\u{fffd} three", "four"];
        assert_eq!(lines(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes), expected);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole_and_one_more_byte_is_cut() {
        let limit = [b'a'; LINE_LIMIT];
        assert_eq!(lines(&[&limit, b"\nb\n"]), ["a*8192", "b"]);
        assert_eq!(lines(&[&limit, b"a\nb\n"]), ["a*8192>", "b"]);
        assert_eq!(lines(&[&limit, b"a", &limit, b"z\nb\n"]), ["a*8192>", "b"]);
    }

    #[test]
    fn megabytes_without_a_newline_are_one_cut_line() {
        let flood = std::vec![b'x'; 8 << 20];
        assert_eq!(lines(&[b"a\n", &flood, b"\nb\n"]), ["a", "x*8192>", "b"]);
        assert_eq!(lines(&[&flood]), ["x*8192>"]);
    }

    #[test]
    fn a_buffer_full_of_lines_loses_none() {
        let text: Vec<u8> = (0..9000u32).flat_map(|n| text!("{}\n", n)).collect();
        let expected: Vec<String> = (0..9000).map(|n: u32| n.to_string()).collect();
        assert_eq!(lines(&[&text]), expected);
    }

    #[test]
    fn lines_are_skipped_up_to_the_place_found_and_counted() {
        let mut buffer = LineBuffer::new(0);
        let text = b"one\ntwo\nthree\nfour";
        buffer.room()[..text.len()].copy_from_slice(text);
        buffer.add(text.len());
        assert_eq!(buffer.skip_lines(|_| Some(5)), 1);
        assert_eq!(buffer.skip_lines(|_| Some(0)), 0);
        assert_eq!(buffer.next_line().map(|line| line.bytes), Some(&b"two"[..]));
        assert_eq!(buffer.skip_lines(|_| None), 1);
        assert_eq!(buffer.next_line(), None);
        buffer.finish();
        assert_eq!(
            buffer.next_line().map(|line| line.bytes),
            Some(&b"four"[..])
        );
        assert_eq!(buffer.skip_lines(|_| None), 0);
    }

    #[test]
    fn the_rest_of_a_cut_line_is_not_skipped_as_a_line() {
        let mut buffer = LineBuffer::new(0);
        let room = buffer.room();
        room.fill(b'x');
        let count = room.len();
        buffer.add(count);
        assert!(buffer.next_line().is_some_and(|line| line.cut));
        buffer.room()[..6].copy_from_slice(b"x\nend\n");
        buffer.add(6);
        assert_eq!(buffer.skip_lines(|_| None), 0);
        assert_eq!(buffer.next_line().map(|line| line.bytes), Some(&b"end"[..]));
    }
}
