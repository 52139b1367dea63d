//! Where a byte stands in a text, where two bytes stand at a distance, and how often one does.
//!
//! A single byte is sought by the C library's `memchr` and `memrchr`, behind the safe functions that borrow them: no
//! code of ours is as fast and as small.
//!
//! But logs are made of few different bytes, and any one of them is everywhere. Two bytes of a word at their distance
//! hardly ever stand anywhere else, so a search for both stops where the word is. It compares a block of places at
//! once ([`block`]). What remains in the end is less than a block, and is searched with a block that reaches into
//! places that have been searched already or were not to be.
//!
//! This is the one thing that the pure half of the program takes from the other.

use crate::sys::block::{self, SIZE};
pub use crate::sys::{find_byte, find_last_byte};

/// Two bytes at a distance; the same byte at distance 0 is one byte.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub struct Pair {
    pub bytes: [u8; 2],
    pub distance: usize,
}

impl Pair {
    /// The first place not before `from` where the one byte stands and, at the distance behind it, the other.
    #[inline]
    pub fn first(self, text: &[u8], from: usize) -> Option<usize> {
        let [one, other] = self.bytes;
        let (ones, others) = self.places(text)?;
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

    /// The last such place in `from..=to`.
    #[inline]
    pub fn last(self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let [one, other] = self.bytes;
        let end = text.len().min(to.saturating_add(self.distance + 1));
        let (ones, others) = self.places(text.get(..end)?)?;
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
    fn places(self, text: &[u8]) -> Option<(&[u8], &[u8])> {
        let others = text.get(self.distance..)?;
        Some((text.get(..others.len())?, others))
    }
}

/// How often a byte stands in a text.
pub fn count_byte(text: &[u8], byte: u8) -> usize {
    let (blocks, rest) = text.as_chunks();
    let parts = blocks.chunks(block::COUNTED_TOGETHER);
    let counts = parts.map(|blocks| block::count(blocks, byte));
    counts.sum::<usize>() + rest.iter().filter(|there| **there == byte).count()
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
                };
                let stands = |&at: &usize| {
                    let two = (text.get(at), text.get(at + distance));
                    two == (Some(&pair.bytes[0]), Some(&pair.bytes[1]))
                };
                for from in 0..=text.len() {
                    let first = (from..text.len()).find(stands);
                    assert_eq!(pair.first(&text, from), first, "{pair:?} {text:?} {from}");
                    found += usize::from(first.is_some());
                    for to in [from, from + 1, from + 14, from + 16, from + 33, text.len()] {
                        let last = (from..=to).rfind(stands);
                        assert_eq!(
                            pair.last(&text, from, to),
                            last,
                            "{pair:?} {text:?} {from}..={to}"
                        );
                    }
                }
                assert_eq!(pair.first(&text, text.len() + 1), None);
                assert_eq!(pair.last(&text, text.len() + 1, text.len() + 2), None);
                assert_eq!(
                    pair.last(&text, 0, usize::MAX),
                    (0..text.len()).rfind(stands)
                );
            }
        }
        assert!(found > 10_000, "the texts are too poor: {found}");
    }

    #[test]
    fn every_byte_is_counted_however_many_there_are() {
        for length in [0usize, 1, 7, 8, 15, 16, 17, 255, 4079, 4080, 4081, 40_000] {
            for every in [1, 2, 3, 16] {
                let text: Vec<u8> = (0..length)
                    .map(|at| if at % every == 0 { b'\n' } else { b'\x8a' })
                    .collect();
                assert_eq!(
                    count_byte(&text, b'\n'),
                    length.div_ceil(every),
                    "{length} {every}"
                );
                assert_eq!(count_byte(&text, b'\0'), 0);
            }
        }
    }
}
