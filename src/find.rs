//! Where a byte stands in a text, where two bytes stand at a distance, and how often one does.
//!
//! A single byte is sought by the C library's `memchr`, behind the safe function that borrows it: no code of ours is as
//! fast and as small. Backwards musl's goes byte by byte, and ours by words.
//!
//! But logs are made of few different bytes, and any one of them is everywhere. Two bytes of a word at their distance
//! hardly ever stand anywhere else, so a search for both stops where the word is. On x86-64 it compares a block of
//! places at once; what remains in the end is less than a block, and is searched with a block that reaches into places
//! that have been searched already or were not to be. Elsewhere the rarer of the two is sought, for a comparison of
//! words takes MIPS more instructions than `memchr` does, a few strangers included.
//!
//! This is the one thing that the pure half of the program takes from the other.

#[cfg(target_arch = "x86_64")]
pub use crate::sys::find_byte;
#[cfg(not(target_arch = "x86_64"))]
pub use bytes::find_byte;

/// Two bytes at a distance, which may be 0 if they are the same.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub struct Pair {
    pub bytes: [u8; 2],
    pub distance: usize,
    /// The second of them is the rarer one.
    pub second_is_rarer: bool,
}

impl Pair {
    /// The first place not before `from` where the one byte stands and, at the distance behind it, the other.
    #[inline]
    pub fn first(self, text: &[u8], from: usize) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        return blocks::first(self, text, from);
        #[cfg(not(target_arch = "x86_64"))]
        bytes::first(self, text, from)
    }

    /// The last such place in `from..=to`.
    #[inline]
    pub fn last(self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        return blocks::last(self, text, from, to);
        #[cfg(not(target_arch = "x86_64"))]
        bytes::last(self, text, from, to)
    }
}

/// How many complete lines a text begins with, and how long they are together.
pub fn count_lines(text: &[u8]) -> (usize, usize) {
    #[cfg(target_arch = "x86_64")]
    return blocks::count_lines(text);
    #[cfg(not(target_arch = "x86_64"))]
    bytes::count_lines(text)
}

#[cfg(target_arch = "x86_64")]
mod blocks {
    use super::Pair;
    use crate::sys::block::{self, SIZE};
    use crate::sys::find_last_byte;

    #[inline]
    pub fn first(pair: Pair, text: &[u8], from: usize) -> Option<usize> {
        let [one, other] = pair.bytes;
        let (ones, others) = places(pair, text)?;
        let blocks = ones.get(from..)?.as_chunks::<SIZE>().0.iter();
        let other_blocks = others.get(from..)?.as_chunks::<SIZE>().0;
        let mut at = from;
        for (block, other_block) in blocks.zip(other_blocks) {
            let hits = block::both((block, one), (other_block, other));
            if let Some(place) = hits.first() {
                return Some(at + place);
            }
            at += SIZE;
        }
        if at == ones.len() {
            return None;
        }
        let (Some(end), Some(other_end)) = (ones.last_chunk(), others.last_chunk()) else {
            return (at..ones.len()).find(|&at| ones[at] == one && others[at] == other);
        };
        let start = ones.len() - SIZE;
        let hits = block::both((end, one), (other_end, other));
        Some(start + hits.from(at - start).first()?)
    }

    #[inline]
    pub fn last(pair: Pair, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let [one, other] = pair.bytes;
        let end = text.len().min(to.saturating_add(pair.distance + 1));
        let (ones, others) = places(pair, text.get(..end)?)?;
        let blocks = ones.get(from..)?.as_rchunks::<SIZE>().1.iter();
        let other_blocks = others.get(from..)?.as_rchunks::<SIZE>().1;
        let mut at = ones.len();
        for (block, other_block) in blocks.zip(other_blocks).rev() {
            at -= SIZE;
            let hits = block::both((block, one), (other_block, other));
            if let Some(place) = hits.last() {
                return Some(at + place);
            }
        }
        if at == from {
            return None;
        }
        let start = from.min(ones.len().saturating_sub(SIZE));
        let block = ones.get(start..)?.first_chunk();
        let other_block = others.get(start..)?.first_chunk();
        let (Some(block), Some(other_block)) = (block, other_block) else {
            return (from..at).rfind(|&at| ones[at] == one && others[at] == other);
        };
        let hits = block::both((block, one), (other_block, other));
        Some(start + hits.from(from - start).last()?)
    }

    /// Where the one byte may stand, and where the other does then, place by place.
    #[inline]
    fn places(pair: Pair, text: &[u8]) -> Option<(&[u8], &[u8])> {
        let others = text.get(pair.distance..)?;
        Some((text.get(..others.len())?, others))
    }

    pub fn count_lines(text: &[u8]) -> (usize, usize) {
        let length = find_last_byte(text, b'\n').map_or(0, |last| last + 1);
        let lines = text.get(..length).unwrap_or(text);
        let (blocks, rest) = lines.as_chunks();
        let parts = blocks.chunks(block::COUNTED_TOGETHER);
        let count = parts
            .map(|blocks| block::count(blocks, b'\n'))
            .sum::<usize>();
        let more = match lines.last_chunk() {
            Some(end) => block::both((end, b'\n'), (end, b'\n'))
                .from(SIZE - rest.len())
                .count(),
            None => rest.iter().filter(|byte| **byte == b'\n').count(),
        };
        (count + more, length)
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod bytes {
    use super::Pair;
    use core::hint::black_box;

    const WORD: usize = size_of::<usize>();

    pub fn first(pair: Pair, text: &[u8], from: usize) -> Option<usize> {
        let (ahead, rarer) = rarer(pair);
        let mut at = from;
        loop {
            at += find_byte(text.get(at + ahead..)?, rarer)?;
            if stands(pair, text, at) {
                return Some(at);
            }
            at += 1;
        }
    }

    pub fn last(pair: Pair, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let (ahead, rarer) = rarer(pair);
        let end = text.len().min(to.saturating_add(ahead + 1));
        let mut places = text.get(from + ahead..end)?;
        loop {
            let place = find_last_byte(places, rarer)?;
            if stands(pair, text, from + place) {
                return Some(from + place);
            }
            places = places.get(..place)?;
        }
    }

    /// How far ahead the rarer byte is, and which.
    fn rarer(pair: Pair) -> (usize, u8) {
        let [one, other] = pair.bytes;
        match pair.second_is_rarer {
            true => (pair.distance, other),
            false => (0, one),
        }
    }

    fn stands(pair: Pair, text: &[u8], at: usize) -> bool {
        let [one, other] = pair.bytes;
        text.get(at) == Some(&one) && text.get(at + pair.distance) == Some(&other)
    }

    /// The first place where a byte stands.
    pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
        let sought = Sought::new(byte);
        let mut at = 0;
        for words in text.as_chunks().0.as_chunks().0 {
            if sought.is_in(words) {
                break;
            }
            at += size_of_val(words);
        }
        while *text.get(at)? != byte {
            at += 1;
        }
        Some(at)
    }

    /// The last place where a byte stands.
    pub fn find_last_byte(text: &[u8], byte: u8) -> Option<usize> {
        let sought = Sought::new(byte);
        let mut end = text.len();
        for words in text.as_rchunks().1.as_rchunks().1.iter().rev() {
            if sought.is_in(words) {
                break;
            }
            end -= size_of_val(words);
        }
        loop {
            end = end.checked_sub(1)?;
            if text.get(end) == Some(&byte) {
                return Some(end);
            }
        }
    }

    /// A byte in each place of a word, and what arithmetic wants. Those two are hidden from the compiler, which would
    /// make them anew wherever they are used.
    struct Sought {
        bytes: usize,
        lowest: usize,
        highest: usize,
    }

    impl Sought {
        #[inline(always)]
        fn new(byte: u8) -> Sought {
            Sought {
                bytes: usize::from_ne_bytes([byte; WORD]),
                lowest: black_box(usize::from_ne_bytes([1; WORD]) - 1),
                highest: black_box(usize::from_ne_bytes([0x80; WORD])),
            }
        }

        #[inline(always)]
        fn is_in(&self, [one, other]: &[[u8; WORD]; 2]) -> bool {
            (self.others(one) & self.others(other) & self.highest) != self.highest
        }

        /// The highest bit of each byte is set but in the first that is sought, and perhaps in some behind it.
        #[inline(always)]
        fn others(&self, word: &[u8; WORD]) -> usize {
            let differences = usize::from_ne_bytes(*word) ^ self.bytes;
            // That is !(differences - 1 in each byte): the first to borrow is the first without a difference.
            differences | self.lowest.wrapping_sub(differences)
        }
    }

    pub fn count_lines(text: &[u8]) -> (usize, usize) {
        let (mut count, mut rest) = (0, text);
        while let Some(at) = find_byte(rest, b'\n') {
            rest = rest.get(at + 1..).unwrap_or_default();
            count += 1;
        }
        (count, text.len() - rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of few different bytes and any length, with what is sought in all places.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        (0..600usize).map(move |number| {
            let letters = 1 + random() % 6;
            let length = number % 100;
            (0..length)
                .map(|_| b"a\x80b\xffc\0"[(random() % letters) as usize])
                .collect()
        })
    }

    #[test]
    fn a_pair_is_found_from_either_end_and_nowhere_else() {
        let mut found = 0;
        for text in texts() {
            for distance in [0, 1, 2, 5, 15, 16, 17, 40] {
                let pair = Pair {
                    bytes: if distance == 0 { *b"aa" } else { *b"ab" },
                    distance,
                    second_is_rarer: text.len() % 2 == 0,
                };
                let stands = |&at: &usize| {
                    let two = (text.get(at), text.get(at + distance));
                    two == (Some(&pair.bytes[0]), Some(&pair.bytes[1]))
                };
                let last_in = |from: usize, to: usize| (from..=to.min(100)).rfind(stands);
                for from in 0..=text.len() + 1 {
                    let first = (from..text.len()).find(stands);
                    found += usize::from(first.is_some());
                    assert_eq!(pair.first(&text, from), first, "{pair:?} {text:?} {from}");
                    assert_eq!(bytes::first(pair, &text, from), first);
                    for to in [from, from + 1, from + 14, from + 16, from + 33, usize::MAX] {
                        let last = last_in(from, to);
                        assert_eq!(
                            pair.last(&text, from, to),
                            last,
                            "{pair:?} {text:?} {from}..={to}"
                        );
                        assert_eq!(bytes::last(pair, &text, from, to), last);
                    }
                }
            }
        }
        assert!(found > 10_000, "the texts are too poor: {found}");
    }

    #[test]
    fn a_byte_is_found_from_either_end() {
        for text in texts() {
            for byte in *b"a\x80c\0" {
                let first = text.iter().position(|there| *there == byte);
                assert_eq!(find_byte(&text, byte), first);
                assert_eq!(bytes::find_byte(&text, byte), first);
                let last = text.iter().rposition(|there| *there == byte);
                assert_eq!(bytes::find_last_byte(&text, byte), last);
            }
        }
        // The neighbours of what is sought are what arithmetic on words gets wrong first.
        let values = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        for byte in values {
            for other in values.into_iter().filter(|other| *other != byte) {
                let text = [[other; 17], [byte; 17], [other; 17]].concat();
                assert_eq!(bytes::find_byte(&text, byte), Some(17));
                assert_eq!(bytes::find_last_byte(&text, byte), Some(33));
            }
        }
    }

    #[test]
    fn every_line_is_counted_however_many_there_are() {
        for length in [
            0usize, 1, 7, 8, 15, 16, 17, 31, 32, 255, 4079, 4080, 4081, 40_000,
        ] {
            for every in [1, 2, 3, 16, 50_000] {
                let byte = |at: usize| match (at + 1).is_multiple_of(every) {
                    true => b'\n',
                    false => b'\x8a',
                };
                let text: Vec<u8> = (0..length).map(byte).collect();
                let count = length / every;
                let expected = (count, count * every);
                assert_eq!(count_lines(&text), expected, "{length} {every}");
                assert_eq!(bytes::count_lines(&text), expected);
            }
        }
    }
}
