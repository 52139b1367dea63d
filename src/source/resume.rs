//! Where to read on in a file that is not what it was, or that has taken the place of another.
//!
//! A log that is trimmed in place, or rewritten as a ring for every line, holds lines that were read before; they
//! must not count again. So it is searched for the last lines that were read: what stands behind them is new. A
//! place in the file is taken for the end of those lines if *everything* before it is what was read, as far
//! back as the file goes, or as half of what is remembered does. If that is a mistake, because a new log happens to
//! begin with the very words the old one ended with, only those words are passed over. Only if there is no such place,
//! for somebody has taken lines out, one will do before which the last line is what was read, and [`PART`] bytes before
//! that line.
//!
//! The very last line that was read may not be in the file: it was written while somebody made the shorter one of
//! what was there before. Then the line before is sought. Lines that were read and follow on the place, though not on
//! each other, are known too.
//!
//! That takes time in proportion to what is searched, however alike its lines are.

use super::lines::MEMORY;
use crate::regex::seek::find_byte;
use crate::sys::Result;
use alloc::vec::Vec;
use core::ops::Range;

/// So many of the last lines are sought.
const LINES: usize = 16;

/// Fewer bytes than this are no evidence.
const LEAST: usize = 16;

/// So many bytes before the last line are evidence, whatever stands before them.
const PART: usize = 128;

/// Bytes of a file that are searched at a time.
const CHUNK: usize = 16 << 10;

/// The end of lines that were read before.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Resume {
    /// Where in the file that is.
    pub offset: u64,
    /// What stands before it, as far as that is to be remembered.
    pub before: Vec<u8>,
    /// The line before it is the last that was read.
    pub is_last: bool,
}

/// Where in a file of `size` bytes, read with `read_at` and no further from its end than `most`, the lines end that
/// were read before and of which `memory` has the last.
pub fn find(
    memory: &[u8],
    size: u64,
    most: u64,
    mut read_at: impl FnMut(&mut [u8], u64) -> Result<usize>,
) -> Result<Option<Resume>> {
    let lines = Lines::of(memory);
    let mut resume = Resume {
        offset: 0,
        before: Vec::new(),
        is_last: false,
    };
    // How good the place is: 2 if all before it was read, 1 if a part was; and where in what is remembered it is.
    let mut found = (0, 0);
    // How many bytes of the file were searched behind it.
    let mut behind = 0;
    // An end before that is not good enough.
    let least = lines.end(lines.last().start + 1);
    let end = lines.end(lines.last().end);
    let least = least.max(end / 2 + 1).max(LEAST);
    // How many of the lines that are remembered, from the first on, stand before a place in the file.
    let mut matched = 0;
    let mut chunk = alloc::vec![0; CHUNK];
    // How much of the chunk is filled, and where in the file that ends.
    let mut filled = 0;
    let mut read = size.saturating_sub(most);
    let is_whole = read == 0;
    while end > 0 && read < size {
        // What has been written since is for the next time.
        let left = usize::try_from(size - read).unwrap_or(CHUNK);
        let room = chunk.get_mut(filled..).unwrap_or_default();
        let count = match read_at(room, read)? {
            0 => break,
            count => count.min(room.len()).min(left),
        };
        let (mut searched, mut place) = (filled, 0);
        filled += count;
        // OK because no file is longer.
        read = read.wrapping_add(count as u64);
        let known = chunk.get(..filled).unwrap_or_default();
        while let Some(length) = known
            .get(searched..)
            .and_then(|rest| find_byte(rest, b'\n'))
        {
            searched += length + 1;
            let before = known.get(..searched).unwrap_or_default();
            behind += length + 1;
            matched = lines.further(matched, before);
            for index in lines.last() {
                let (begin, end) = (lines.end(index), lines.end(index + 1));
                let own = memory.get(..end).unwrap_or_default();
                let line = own.get(begin..).unwrap_or_default();
                let part = own.get(begin.saturating_sub(PART)..).unwrap_or_default();
                let follows = found.1 <= begin && behind == line.len();
                let merit = match () {
                    () if end < least => 0,
                    () if index + 1 == matched => 2,
                    () if is_whole && searched >= LEAST && own.ends_with(before) => 2,
                    () if follows && before.ends_with(line) => found.0,
                    () if found.0 < 2 && begin >= PART && before.ends_with(part) => 1,
                    () => 0,
                };
                if merit > 0 && (merit, end) >= found {
                    found = (merit, end);
                    behind = 0;
                    place = searched;
                }
            }
        }
        behind += filled - searched;
        if place > 0 {
            resume.offset = read - (filled - place) as u64;
            let before = known.get(place.saturating_sub(MEMORY)..place);
            resume.before = before.unwrap_or_default().to_vec();
        }
        let forgotten = filled.saturating_sub(MEMORY);
        chunk.copy_within(forgotten..filled, 0);
        filled -= forgotten;
    }
    resume.is_last = found.1 == end;
    Ok((found.0 > 0).then_some(resume))
}

/// The lines that are remembered, the first perhaps without its beginning. Sought as Knuth, Morris and Pratt seek bytes:
/// however alike lines are, each line of a file is compared with two of them on the average.
struct Lines<'m> {
    memory: &'m [u8],
    /// Where they end, behind where the first begins.
    ends: Vec<usize>,
    /// For so many of the first ones, how many of the first ones those end with, all of them apart.
    borders: Vec<usize>,
}

impl Lines<'_> {
    fn of(memory: &[u8]) -> Lines<'_> {
        let mut lines = Lines {
            memory,
            ends: alloc::vec![0],
            borders: alloc::vec![0],
        };
        let mut matched = 0;
        for end in 1..=memory.len() {
            let before = memory.get(..end).unwrap_or_default();
            if before.ends_with(b"\n") {
                lines.ends.push(end);
                if lines.ends.len() > 2 {
                    matched = lines.further(matched, before);
                }
                lines.borders.push(matched);
            }
        }
        lines
    }

    /// Where the first so many of them end.
    fn end(&self, count: usize) -> usize {
        self.ends.get(count).copied().unwrap_or(0)
    }

    /// The last of them.
    fn last(&self) -> Range<usize> {
        let count = self.ends.len() - 1;
        count.saturating_sub(LINES)..count
    }

    /// With how many of the first of them a text ends; without its last line it did with `matched`.
    fn further(&self, mut matched: usize, text: &[u8]) -> usize {
        loop {
            let line = self.memory.get(self.end(matched)..self.end(matched + 1));
            if let Some(line) = line
                && let Some(before) = text.strip_suffix(line)
                && (matched == 0 || before.ends_with(b"\n"))
            {
                return matched + 1;
            }
            if matched == 0 {
                return 0;
            }
            matched = self.borders.get(matched).copied().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// Lines of a log, from one number to another.
    fn log(lines: core::ops::Range<u32>) -> String {
        lines
            .map(|line| std::format!("line number {line}\n"))
            .collect()
    }

    /// Where reading goes on, and whether the last line that was read stands before that.
    fn found(memory: &str, file: &str) -> Option<(usize, bool)> {
        let read_at = |room: &mut [u8], offset: u64| {
            let rest = &file.as_bytes()[file.len().min(offset as usize)..];
            let count = rest.len().min(room.len()).min(333);
            room[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        };
        let place = find(memory.as_bytes(), file.len() as u64, 256 << 10, read_at).ok()??;
        let before = &file.as_bytes()[..place.offset as usize];
        assert!(before.ends_with(&place.before) && place.before.len() >= before.len().min(PART));
        Some((place.offset as usize, place.is_last))
    }

    /// The last bytes that are remembered of a log.
    fn memory(log: &str) -> &str {
        &log[log.len().saturating_sub(MEMORY)..]
    }

    #[test]
    fn the_lines_behind_those_that_were_read_are_new() {
        let read = log(0..1000);
        for first in [0, 5, 500, 900, 998, 999] {
            let kept = log(first..1000);
            for new in [0, 1, 7, 3000] {
                let file = kept.clone() + &log(1000..1000 + new);
                assert_eq!(found(memory(&read), &file), Some((kept.len(), true)));
            }
        }
    }

    #[test]
    fn lines_that_were_lost_when_the_file_was_made_are_not_missed() {
        let read = log(0..1000);
        for last in [999, 990, 985] {
            let kept = log(100..last);
            let file = kept.clone() + &log(1000..1003);
            assert_eq!(found(memory(&read), &file), Some((kept.len(), false)));
        }
    }

    #[test]
    fn lines_that_were_taken_out_do_not_make_the_others_new() {
        let read = log(0..1000);
        let number = |line: &str| line.trim_end().rsplit(' ').next()?.parse().ok();
        for out in (880..1000).step_by(3).map(|line| [line, 985, 997, 998]) {
            let lines = read.split_inclusive('\n');
            let kept =
                lines.filter(|line| number(line).is_none_or(|line: u32| !out.contains(&line)));
            let kept: String = kept.collect();
            let file = kept.clone() + &log(1000..1003);
            assert_eq!(
                found(memory(&read), &file).map(|found| found.0),
                Some(kept.len()),
                "{out:?}"
            );
        }
    }

    #[test]
    fn lines_that_only_end_alike_are_others() {
        let line = |number: u32| std::format!("{number} {}\n", "x".repeat(990));
        let read: String = (100..200).map(line).collect();
        let file: String = (200..220).map(line).collect();
        assert_eq!(found(memory(&read), &file), None);
    }

    #[test]
    fn lines_that_are_all_the_same_are_told_apart_by_what_stands_before() {
        let read = log(0..10) + &"the same line again\n".repeat(20);
        let file = read.clone() + &"the same line again\n".repeat(3);
        assert_eq!(found(memory(&read), &file), Some((read.len(), true)));
    }

    #[test]
    fn another_log_has_none_of_them() {
        let read = log(0..1000);
        assert_eq!(found(memory(&read), &log(1000..2000)), None);
        assert_eq!(found(memory(&read), ""), None);
        assert_eq!(found("", &read), None);
        // A line alone, far from the beginning, is no evidence.
        let alone = log(2000..2300) + &log(999..1000) + "new\n";
        assert_eq!(found(memory(&read), &alone), None);
        assert_eq!(found("a\nb\n", "b\nc\n"), None);
        let long = "x".repeat(10 * MEMORY);
        assert_eq!(found(memory(&long), &long), None);
    }

    #[test]
    fn a_line_that_is_not_finished_is_none_of_them() {
        let read = log(0..5);
        let unfinished = read.clone() + &"x".repeat(500);
        assert_eq!(found(&unfinished, &log(0..9)), Some((read.len(), true)));
    }

    #[test]
    fn lines_that_are_all_the_same_take_hardly_longer_than_others() {
        // Of the same length, and as many.
        let others: String = (1000..9000).map(|line| std::format!("{line}\n")).collect();
        let same = "1000\n".repeat(8000);
        // The worst that comes to mind: it ends like something else, before which all is the same.
        let last = String::from(memory(&same)) + "else\n";
        let took = |memory: &str, file: &str| {
            let tries = (0..3).map(|_| {
                let start = std::time::Instant::now();
                found(memory, file);
                start.elapsed()
            });
            tries.min().expect("three of them")
        };
        let usual = took(memory(&others), &others);
        for memory in [memory(&same), memory(&last)] {
            let long = took(memory, &same);
            assert!(long < usual * 30, "{long:?} instead of {usual:?}");
        }
    }

    #[test]
    fn of_a_huge_file_only_the_end_is_searched() {
        let read = log(0..1000);
        let noise = "noise\n".repeat(1 << 19);
        let kept = noise.clone() + &read;
        assert_eq!(
            found(memory(&read), &(kept.clone() + "new\n")),
            Some((kept.len(), true))
        );
        assert_eq!(found(memory(&read), &(kept + &noise)), None);
    }

    #[test]
    fn what_is_written_while_it_is_searched_is_not_searched() {
        let read = log(0..100);
        let (file, more) = (log(50..90), log(90..100));
        let grown = file.clone() + &more;
        let read_at = |room: &mut [u8], offset: u64| {
            let rest = &grown.as_bytes()[offset as usize..];
            let count = rest.len().min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        };
        let size = file.len() as u64;
        let place = find(memory(&read).as_bytes(), size, 256 << 10, read_at);
        let place = place.ok().flatten().expect("it holds them");
        assert_eq!((place.offset, place.is_last), (size, false));
    }

    #[test]
    fn of_lines_that_come_again_the_last_are_meant() {
        let read = log(0..300);
        let twice = read.clone() + &read;
        assert_eq!(found(memory(&read), &twice), Some((twice.len(), true)));
    }
}
