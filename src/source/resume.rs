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

use super::lines::MEMORY;
use crate::regex::seek::find_byte;
use crate::sys::Result;
use alloc::vec::Vec;

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
    let ends = line_ends(memory);
    let mut resume = Resume {
        offset: 0,
        before: Vec::new(),
        is_last: false,
    };
    // How good the place is: 2 if all before it was read, 1 if a part was; and where in what is remembered it is.
    let mut found = (0, 0);
    let mut chunk = alloc::vec![0; CHUNK];
    // How much of the chunk is filled, and where in the file that ends.
    let mut filled = 0;
    let mut read = size.saturating_sub(most);
    let is_whole = read == 0;
    while ends.len() > 1 && read < size {
        let room = chunk.get_mut(filled..).unwrap_or_default();
        let count = match read_at(room, read)? {
            0 => break,
            count => count.min(room.len()),
        };
        let mut searched = filled;
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
            let offset = read - (filled - searched) as u64;
            for pair in ends.windows(2) {
                // OK because there are two of them.
                let (begin, end) = (pair[0], pair[1]);
                let alike = alike(before, memory.get(..end).unwrap_or_default());
                let is_all = is_whole || searched >= end;
                let length = end - begin;
                let follows = found.1 <= begin && resume.offset + length as u64 == offset;
                let merit = match alike {
                    _ if end <= memory.len() / 2 => 0,
                    LEAST.. if is_all && alike == searched.min(end) => 2,
                    _ if follows && alike >= length => found.0,
                    _ if alike >= length + PART => 1,
                    _ => 0,
                };
                if merit > 0 && (merit, end) >= found {
                    found = (merit, end);
                    resume.offset = offset;
                    let first = searched.saturating_sub(MEMORY);
                    resume.before = before.get(first..).unwrap_or_default().to_vec();
                }
            }
        }
        let forgotten = filled.saturating_sub(MEMORY);
        chunk.copy_within(forgotten..filled, 0);
        filled -= forgotten;
    }
    resume.is_last = ends.last() == Some(&found.1);
    Ok((found.0 > 0).then_some(resume))
}

/// Where the last lines of `memory` end, in their order, behind where the first of them begins.
fn line_ends(memory: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    for at in (0..=memory.len()).rev() {
        let is_end = memory.get(..at).unwrap_or_default().ends_with(b"\n");
        if (is_end || at == 0) && ends.len() <= LINES {
            ends.insert(0, at);
        }
    }
    ends
}

/// How many bytes two texts have in common at their end.
fn alike(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs.take_while(|(one, other)| one == other).count()
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
            let count = rest.len().min(room.len()).min(5000);
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
    fn of_lines_that_come_again_the_last_are_meant() {
        let read = log(0..300);
        let twice = read.clone() + &read;
        assert_eq!(found(memory(&read), &twice), Some((twice.len(), true)));
    }
}
