//! Where to read on in a file that is not what it was, or that has taken the place of another.
//!
//! A log that is trimmed in place, or rewritten as a ring for every line, holds lines that were read before; they
//! must not count again. So it is searched for the last lines that were read: what stands behind them is new. A
//! place in the file is taken for the end of those lines only if *everything* before it is what was read, as far
//! back as the file goes, or as half of what is remembered does. If that is a mistake, because a new log happens to
//! begin with the very words the old one ended with, only those words are passed over.
//!
//! The very last line that was read may not be in the file: it was written while somebody made the shorter one of
//! what was there before. Then the line before is sought.

use super::lines::MEMORY;
use crate::regex::seek::find_byte;
use crate::sys::Result;
use alloc::vec::Vec;

/// How far from its end a file is searched. Behind the place is only what was written since we looked last.
const MAX_SEARCHED: u64 = 256 << 10;

/// So many of the last lines are sought.
const LINES: usize = 16;

/// Fewer bytes than this are no evidence.
const LEAST: usize = 16;

/// Bytes of a file that are searched at a time.
const CHUNK: usize = 16 << 10;

/// The end of lines that were read before.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Resume {
    /// Where in the file that is.
    pub offset: u64,
    /// How much of what is remembered comes before it.
    pub known: usize,
    /// The line before it is the last that was read.
    pub is_last: bool,
}

/// Where in a file of `size` bytes, read with `read_at`, the lines end that were read before and of which `memory`
/// has the last.
pub fn find(
    memory: &[u8],
    size: u64,
    mut read_at: impl FnMut(&mut [u8], u64) -> Result<usize>,
) -> Result<Option<Resume>> {
    let ends = line_ends(memory);
    let mut best: Option<(usize, u64)> = None;
    let mut chunk = alloc::vec![0; CHUNK];
    // How much of the chunk is filled, and where in the file that ends.
    let mut filled = 0;
    let mut read = size.saturating_sub(MAX_SEARCHED);
    let is_whole = read == 0;
    while !ends.is_empty() && read < size {
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
            let latest = ends.iter().find(|&&end| {
                let lines = memory.get(..end).unwrap_or_default();
                // Of a file that is not searched from its beginning, what comes before is not known.
                (is_whole || before.len() >= lines.len()) && agree(before, lines)
            });
            if let Some(&end) = latest
                && best.is_none_or(|(best, _)| end >= best)
            {
                best = Some((end, read - (filled - searched) as u64));
            }
        }
        let forgotten = filled.saturating_sub(MEMORY);
        chunk.copy_within(forgotten..filled, 0);
        filled -= forgotten;
    }
    Ok(best.map(|(end, offset)| Resume {
        offset,
        known: end,
        is_last: ends.first() == Some(&end),
    }))
}

/// Where lines end in the later half of `memory`, the last first.
fn line_ends(memory: &[u8]) -> Vec<usize> {
    let ends = memory.len() / 2..memory.len();
    let is_end = |end: &usize| memory.get(*end) == Some(&b'\n');
    let ends = ends.rev().filter(is_end).map(|end| end + 1);
    ends.take(LINES).collect()
}

/// Whether two texts end alike, as far back as both of them go.
fn agree(one: &[u8], other: &[u8]) -> bool {
    let length = one.len().min(other.len());
    length >= LEAST && one.get(one.len() - length..) == other.get(other.len() - length..)
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

    fn found(memory: &str, file: &str) -> Option<(usize, bool)> {
        let read_at = |room: &mut [u8], offset: u64| {
            let rest = &file.as_bytes()[file.len().min(offset as usize)..];
            let count = rest.len().min(room.len()).min(5000);
            room[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        };
        let place = find(memory.as_bytes(), file.len() as u64, read_at).ok()??;
        let (known, before) = (&memory[..place.known], &file[..place.offset as usize]);
        assert!(known.ends_with(before) || before.ends_with(known));
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
