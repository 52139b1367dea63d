//! Cutting a stream of bytes into lines.
//!
//! * A line is a line when its newline has come. What follows the last newline waits for the rest, or
//!   for [`LineBuffer::finish`] when there will be no rest.
//! * ASCII white space at both ends is not part of a line, nor are NUL bytes at its beginning: a log that was
//!   truncated under a writer that does not append begins with as many of them as it had bytes. Every other
//!   byte is.
//! * A line longer than [`MAX_LINE`] is cut there and what remains of it is skipped, so a log without
//!   newlines takes no more memory than any other.
//!
//! Bytes are read straight into the buffer and lines are handed out as parts of it: nothing is copied
//! but the unfinished tail, and the last [`MEMORY`] bytes before it, by which a file is known again that
//! was rewritten (see `resume`).

use crate::regex::Text;
use crate::regex::seek::{find_byte, find_last_byte};
use alloc::vec::Vec;
use core::ops::Range;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 8192;

/// How much of what was handed out is remembered, in bytes. With an unfinished tail there is room left to read
/// into, and to read this much again.
pub const MEMORY: usize = 2048;

/// What is read begins at a multiple of this in the buffer, and so in its file, if it fills the room: then the kernel
/// copies it a little faster.
const BLOCK: usize = 64;

/// One line.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Line<'b> {
    /// Its bytes, trimmed.
    pub bytes: &'b [u8],
    /// The same with the white space that it begins with.
    pub indented: &'b [u8],
    /// It was longer than [`MAX_LINE`]: this is its beginning, the rest is skipped.
    pub cut: bool,
    /// It may hold newlines.
    pub is_record: bool,
}

impl<'b> From<Line<'b>> for Text<'b> {
    fn from(line: Line<'b>) -> Text<'b> {
        Text {
            bytes: line.bytes,
            is_cut: line.cut,
            is_line: !line.is_record,
        }
    }
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
    /// Lines are added whole, whatever is in them.
    holds_records: bool,
}

impl LineBuffer {
    /// A buffer of `capacity` bytes, at least twice [`MAX_LINE`]. It takes no memory until it is used.
    pub fn new(capacity: usize) -> LineBuffer {
        LineBuffer {
            bytes: Vec::with_capacity(capacity.max(2 * MAX_LINE)),
            filled: 0..0,
            searched: 0,
            skipping: false,
            finished: false,
            holds_records: false,
        }
    }

    /// Room to read into, never empty once [`LineBuffer::next_line`] has said that it has no more.
    pub fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = alloc::vec![0; self.bytes.capacity()];
        }
        let forgettable = self.filled.start.saturating_sub(MEMORY);
        let uneven = forgettable.wrapping_sub(self.filled.end) % BLOCK;
        let forgotten = forgettable.saturating_sub(uneven);
        if forgotten > 0 {
            self.bytes.copy_within(forgotten..self.filled.end, 0);
            self.searched -= forgotten;
            self.filled = self.filled.start - forgotten..self.filled.end - forgotten;
        }
        self.bytes.get_mut(self.filled.end..).unwrap_or_default()
    }

    /// Tells that the first `count` bytes of [`LineBuffer::room`] have been filled.
    pub fn add(&mut self, count: usize) {
        self.filled.end = self.filled.end.saturating_add(count).min(self.bytes.len());
    }

    /// Tells that the first `count` bytes of [`LineBuffer::room`], which a newline follows, are one line, whatever is in
    /// them. All lines before have been handed out.
    pub fn add_line(&mut self, count: usize) {
        self.add(count + 1);
        self.searched = self.filled.end.saturating_sub(1);
        self.holds_records = true;
    }

    /// The same as [`LineBuffer::add`] if the first `again` of these bytes were read before and should be the last that were added. False
    /// if they are not: then nothing is added.
    pub fn add_again(&mut self, again: usize, count: usize) -> bool {
        let end = self.filled.end;
        let old = self.bytes.get(end.saturating_sub(again)..end);
        let is_same = again <= count && old == self.bytes.get(end..end.saturating_add(again));
        if is_same && again > 0 {
            let new = end + again..(end + count).min(self.bytes.len());
            self.bytes.copy_within(new, end);
        }
        if is_same {
            self.add(count - again);
        }
        is_same
    }

    /// How many of the bytes that were added last are remembered, up to `limit`.
    pub fn remembered(&self, limit: u64) -> usize {
        let most = self.filled.end.min(MEMORY);
        usize::try_from(limit).map_or(most, |limit| limit.min(most))
    }

    /// How many bytes have come of a line that is not finished.
    pub fn unfinished(&self) -> usize {
        self.filled.len()
    }

    /// The last [`MEMORY`] bytes that were handed out as lines, or fewer.
    pub fn memory(&self) -> &[u8] {
        let start = self.filled.start;
        let memory = self.bytes.get(start.saturating_sub(MEMORY)..start);
        memory.unwrap_or_default()
    }

    /// Begins anew behind what counts as handed out: `before`, at most [`MEMORY`] bytes. If that ends in the middle of a
    /// line, the rest of it is no line.
    pub fn begin_behind(&mut self, before: &[u8]) {
        self.filled = 0..0;
        let pairs = self.room().iter_mut().zip(before);
        pairs.for_each(|(to, from)| *to = *from);
        let count = before.len().min(self.bytes.len());
        self.filled = count..count;
        self.searched = count;
        // Behind NUL bytes, which a crash leaves, a line begins.
        self.skipping = !matches!(before.last(), None | Some(b'\n' | 0));
        self.finished = false;
    }

    /// Where the next line begins. Like all places in the buffer this holds until there is [`LineBuffer::room`] again.
    pub fn place(&self) -> usize {
        self.filled.start
    }

    /// What stands between two places.
    pub fn between(&self, places: Range<usize>) -> &[u8] {
        self.bytes.get(places).unwrap_or_default()
    }

    /// Whether the rest of a line that was cut is still to come.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Drops the complete lines that end before the place `find` gives, or all if it gives none. Returns where they were.
    pub fn skip_lines(&mut self, find: impl FnOnce(&[u8]) -> Option<usize>) -> Range<usize> {
        let start = self.filled.start;
        if self.skipping {
            return start..start;
        }
        let rest = self.between(self.filled.clone());
        let rest = find(rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
        let length = find_last_byte(rest, b'\n').map_or(0, |last| last + 1);
        // What comes before the place and behind its last newline has none.
        self.searched = self.searched.max(start + rest.len());
        self.filled.start += length;
        start..self.filled.start
    }

    /// The next complete or cut line.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let places = self.next_places()?;
        Some(self.line(places))
    }

    /// Where the next complete or cut line is, for [`LineBuffer::line`].
    pub fn next_places(&mut self) -> Option<Range<usize>> {
        loop {
            let unsearched = self.bytes.get(self.searched..self.filled.end)?;
            let start = self.filled.start;
            let Some(offset) = find_byte(unsearched, b'\n') else {
                return self.cut_line();
            };
            let end = self.searched + offset;
            self.filled.start = end + 1;
            self.searched = end + 1;
            if !core::mem::take(&mut self.skipping) {
                return Some(start..end);
            }
        }
    }

    /// Without a newline in sight: the beginning of a line that is too long, the last line, or nothing.
    fn cut_line(&mut self) -> Option<Range<usize>> {
        let mut rest = self.filled.clone();
        let unfinished = self.between(rest.clone());
        rest.start += unfinished.len() - without_nuls(unfinished).len();
        self.filled.start = rest.start;
        self.searched = rest.end;
        let last = core::mem::take(&mut self.finished);
        if !last && !self.skipping && rest.len() <= MAX_LINE {
            return None;
        }
        self.filled.start = rest.end;
        let skipped = self.skipping;
        self.skipping = !last;
        (!skipped && !rest.is_empty()).then_some(rest)
    }

    /// The line at these places.
    pub fn line(&self, places: Range<usize>) -> Line<'_> {
        Line {
            is_record: self.holds_records,
            ..one_line(self.between(places))
        }
    }

    /// Makes the next lines handed out include what has come of one whose end will never come, such as
    /// the last line of a file that was rotated away. What is added after those is a new line. Returns whether
    /// something has come.
    pub fn finish(&mut self) -> bool {
        self.finished = true;
        !self.filled.is_empty()
    }
}

/// The line that `bytes` are when nothing else separates lines.
pub fn one_line(bytes: &[u8]) -> Line<'_> {
    let bytes = without_nuls(bytes);
    let cut = bytes.len() > MAX_LINE;
    // White space is what Python's `strip` takes, vertical tabs included.
    let mut indented = bytes.get(..MAX_LINE).unwrap_or(bytes);
    while let [rest @ .., b' ' | b'\t'..=b'\r'] = indented {
        indented = rest;
    }
    let mut bytes = indented;
    while let [b' ' | b'\t'..=b'\r', rest @ ..] = bytes {
        bytes = rest;
    }
    Line {
        bytes,
        indented,
        cut,
        is_record: true,
    }
}

/// `line` without the NUL bytes it begins with.
fn without_nuls(line: &[u8]) -> &[u8] {
    let nuls = line.iter().take_while(|&&byte| byte == 0).count();
    line.get(nuls..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::{Regex, Scratch};
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
        let limit = [b'a'; MAX_LINE];
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
    fn reads_that_fill_the_room_begin_at_even_places() {
        let mut buffer = LineBuffer::new(0);
        for length in 1..200 {
            let room = buffer.room();
            assert_eq!(room.len() % BLOCK, 0);
            room.fill(b'x');
            room.iter_mut()
                .step_by(length)
                .for_each(|byte| *byte = b'\n');
            let count = room.len();
            buffer.add(count);
            while buffer.next_line().is_some() {}
        }
    }

    #[test]
    fn lines_are_skipped_up_to_the_place_found() {
        let mut buffer = LineBuffer::new(0);
        let text = b"one\ntwo\nthree\nfour";
        buffer.room()[..text.len()].copy_from_slice(text);
        buffer.add(text.len());
        let mut skip = |find: fn(&[u8]) -> Option<usize>| {
            let skipped = buffer.skip_lines(find);
            let skipped = String::from_utf8_lossy(buffer.between(skipped)).into_owned();
            let next = buffer.next_line().map(|line| line.bytes.to_vec());
            (
                skipped,
                next.map_or(String::new(), |line| {
                    String::from_utf8(line).expect("ASCII")
                }),
            )
        };
        let told = |skipped, next| (String::from(skipped), String::from(next));
        assert_eq!(skip(|_| Some(5)), told("one\n", "two"));
        assert_eq!(skip(|_| Some(0)), told("", "three"));
        assert_eq!(skip(|_| None), told("", ""));
        buffer.finish();
        assert_eq!(buffer.skip_lines(|_| None).len(), 0);
        assert_eq!(
            buffer.next_line().map(|line| line.bytes),
            Some(&b"four"[..])
        );
    }

    #[test]
    fn a_dot_does_not_match_the_newline_that_a_record_holds() {
        let mut scratch = Scratch::new();
        let regex = Regex::new("(a).* e").expect("a pattern");
        let mut buffer = LineBuffer::new(0);
        let mut matches = |line: Option<Line>| regex.is_match(line.expect("a line"), &mut scratch);
        buffer.room()[..8].copy_from_slice(b"ab cd e\n");
        buffer.add(8);
        assert!(matches(buffer.next_line()));
        buffer.room()[..8].copy_from_slice(b"ab\ncd e\n");
        buffer.add_line(7);
        assert!(!matches(buffer.next_line()));
    }

    #[test]
    fn nul_bytes_before_a_line_are_no_part_of_it_however_many_there_are() {
        let nuls = std::vec![0; 1 << 20];
        assert_eq!(lines(&[b"a\n", &nuls, b"b\0c\n"]), ["a", "b\0c"]);
        assert_eq!(lines(&[b"\0\0b\n\0 c"]), ["b", "c"]);
        let limit = [b'x'; MAX_LINE];
        assert_eq!(lines(&[&nuls[..5000], &limit, b"\n"]), ["x*8192"]);
        assert_eq!(lines(&[&nuls]), [""; 0]);
    }

    #[test]
    fn bytes_that_are_read_again_are_not_added_again() {
        let mut buffer = LineBuffer::new(0);
        let mut read = |again, text: &[u8]| {
            buffer.room()[..text.len()].copy_from_slice(text);
            let is_same = buffer.add_again(again, text.len());
            let mut lines = Vec::new();
            while let Some(line) = buffer.next_line() {
                lines.push(String::from_utf8_lossy(line.bytes).into_owned());
            }
            (is_same, lines, buffer.remembered(u64::MAX))
        };
        let told = |is_same, lines: &[&str], remembered| {
            let lines = lines.iter().map(|line| String::from(*line)).collect();
            (is_same, lines, remembered)
        };
        assert_eq!(read(0, b"one\ntw"), told(true, &["one"], 6));
        assert_eq!(read(6, b"one\ntwo\n"), told(true, &["two"], 8));
        assert_eq!(read(8, b"one\ntwo\n"), told(true, &[], 8));
        assert_eq!(read(8, b"one\ntwo"), told(false, &[], 8));
        assert_eq!(read(8, b"two\none\nnew\n"), told(false, &[], 8));
        assert_eq!(buffer.memory(), b"one\ntwo\n");
        buffer.begin_behind(b"old\n");
        assert_eq!(buffer.next_line(), None);
        assert_eq!(buffer.memory(), b"old\n");
        let line = [&[b'x'; 99][..], b"\n"].concat();
        for _ in 0..300 {
            buffer.room()[..100].copy_from_slice(&line);
            buffer.add(100);
            assert!(buffer.next_line().is_some());
            assert!(buffer.room().len() >= MAX_LINE - MEMORY);
        }
        assert_eq!(buffer.memory().len(), MEMORY);
    }

    #[test]
    fn the_rest_of_a_line_that_was_there_before_is_none() {
        for (before, expected) in [
            (&b"old\nhalf a"[..], &["new"][..]),
            (b"old\n", &["line", "new"]),
            (b"old\nhalf a\0\0", &["line", "new"]),
            (b"", &["line", "new"]),
        ] {
            let mut buffer = LineBuffer::new(0);
            buffer.begin_behind(before);
            let mut lines = Vec::new();
            for piece in [b"li", b"ne", b"\nn", b"ew", b"\n\n"] {
                buffer.room()[..2].copy_from_slice(piece);
                buffer.add(2);
                while let Some(line) = buffer.next_line() {
                    lines.push(String::from_utf8_lossy(line.bytes).into_owned());
                }
            }
            assert_eq!(lines, [expected, &[""]].concat());
        }
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
        assert_eq!(buffer.skip_lines(|_| None).len(), 0);
        assert_eq!(buffer.next_line().map(|line| line.bytes), Some(&b"end"[..]));
    }
}
