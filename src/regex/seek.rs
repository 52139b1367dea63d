//! Where a byte or a literal stands in a text, from either end, and how often a byte does.
//!
//! Logs are made of few different bytes, small letters and blanks most of all; one capital or digit tells more than the
//! beginning of a word does. So a word is sought by its [`Telltale`]. On x86-64 those are its two rarest bytes: at
//! their distance they hardly ever stand anywhere else. A block of places is compared at once; what remains in the end
//! is less than a block, and is searched with a block that reaches into places that have been searched already or were
//! not to be. A single byte is sought the same way: for lines that is as quick as glibc is, and quicker than musl.
//!
//! Everywhere else the rarest byte is sought alone, four words at a time: to compare words with two takes MIPS more
//! instructions than a few strangers do.
//!
//! This is where the pure half of the program borrows speed from the other ([`crate::sys`]).

#[cfg(not(target_arch = "x86_64"))]
pub use crate::sys::word::{find_byte, find_last_byte};
#[cfg(target_arch = "x86_64")]
pub use blocks::{Telltale, count_byte, find_byte, find_last_byte};
#[cfg(not(target_arch = "x86_64"))]
pub use bytes::{Telltale, count_byte};

use super::steps::count;
use crate::text::same;
use alloc::vec::Vec;

/// Bytes of which logs of firewalls and servers are full, the worst first.
const COMMON: &[u8] = b" 0123456789.:=-eatnoirsdlc/[]TPSDORmhuCEpNILbAfgwyvkMFx";

/// How rare a byte is, the rarest ranking highest.
fn rarity(byte: u8) -> usize {
    let rank = COMMON.iter().position(|&common| common == byte);
    rank.unwrap_or(COMMON.len())
}

#[cfg(target_arch = "x86_64")]
mod blocks {
    use super::rarity;
    use crate::sys::block::{self, SIZE};

    /// The two rarest bytes of a word, and where in it they are.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Telltale {
        bytes: [u8; 2],
        /// Where the first of them is.
        at: usize,
        /// How far behind it the other is; a word of one byte has that twice, at distance 0.
        distance: usize,
    }

    impl Telltale {
        /// What a word that is not empty is sought by.
        pub fn of(word: &[u8]) -> Telltale {
            let rarest = |but: Option<usize>| {
                let others = (0..word.len()).filter(|at| Some(*at) != but);
                others.max_by_key(|&at| rarity(word[at]))
            };
            let rare = rarest(None).unwrap_or(0);
            let second = rarest(Some(rare)).unwrap_or(rare);
            let (one, other) = (rare.min(second), rare.max(second));
            let byte = |at| word.get(at).copied().unwrap_or(0);
            Telltale {
                bytes: [byte(one), byte(other)],
                at: one,
                distance: other - one,
            }
        }

        /// The first place not before `from` where the word might begin: its telltale stands as it would there.
        pub fn first(&self, text: &[u8], from: usize) -> Option<usize> {
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
        pub fn last(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
            let [one, other] = self.bytes;
            let end = to.saturating_add(self.at + self.distance + 1);
            let (ones, others) = self.places(text.get(..end).unwrap_or(text))?;
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

        /// For each place where the word might begin: its one byte, and its other.
        fn places<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], &'t [u8])> {
            let ones = text.get(self.at..)?;
            let others = ones.get(self.distance..)?;
            Some((ones.get(..others.len())?, others))
        }
    }

    /// The first place where a byte stands.
    pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
        single(byte).first(text, 0)
    }

    /// The last place where a byte stands.
    pub fn find_last_byte(text: &[u8], byte: u8) -> Option<usize> {
        single(byte).last(text, 0, usize::MAX)
    }

    fn single(byte: u8) -> Telltale {
        Telltale {
            bytes: [byte; 2],
            at: 0,
            distance: 0,
        }
    }

    /// How often a byte stands in a text.
    pub fn count_byte(text: &[u8], byte: u8) -> usize {
        let count = |part: &[u8]| {
            part.iter()
                .map(|other| u8::from(*other == byte))
                .sum::<u8>()
        };
        // Few enough at once for counters of a byte, which the compiler makes blocks of.
        let (parts, rest) = text.as_chunks::<192>();
        let counts = parts.iter().map(|part| count(part));
        counts.chain([count(rest)]).map(usize::from).sum()
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod bytes {
    use super::rarity;
    use crate::sys::word::{find_byte, find_last_byte};

    /// The rarest byte of a word, and where in it that is.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Telltale {
        byte: u8,
        at: usize,
    }

    impl Telltale {
        /// What a word that is not empty is sought by.
        pub fn of(word: &[u8]) -> Telltale {
            let (mut telltale, mut most) = (Telltale { byte: 0, at: 0 }, 0);
            for (at, &byte) in word.iter().enumerate() {
                let rarity = rarity(byte);
                if rarity >= most {
                    (telltale, most) = (Telltale { byte, at }, rarity);
                }
            }
            telltale
        }

        /// The first place not before `from` where the word might begin: its telltale stands as it would there.
        #[inline(always)]
        pub fn first(&self, text: &[u8], from: usize) -> Option<usize> {
            let places = text.get(from + self.at..)?;
            Some(from + find_byte(places, self.byte)?)
        }

        /// The last such place in `from..=to`.
        pub fn last(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
            let end = to.saturating_add(self.at + 1).min(text.len());
            let places = text.get(from + self.at..end)?;
            Some(from + find_last_byte(places, self.byte)?)
        }
    }

    /// How often a byte stands in a text.
    pub fn count_byte(text: &[u8], byte: u8) -> usize {
        let (mut count, mut rest) = (0, text);
        while let Some(at) = find_byte(rest, byte) {
            rest = rest.get(at + 1..).unwrap_or_default();
            count += 1;
        }
        count
    }
}

/// A literal to look for; not empty.
pub struct Literal {
    pub bytes: Vec<u8>,
    telltale: Telltale,
}

/// Where in a line the telltale of the literal stands that was sought last: the next may have the same, as the steps of a
/// knock do (` DPT=1234`).
#[derive(Default)]
pub struct Places {
    telltale: Option<Telltale>,
    /// As many as there is room for, from the first on.
    hits: [usize; 8],
    count: usize,
}

impl Places {
    /// Another line begins.
    pub fn forget(&mut self) {
        self.telltale = None;
    }

    fn find(&mut self, telltale: Telltale, line: &[u8]) {
        self.telltale = Some(telltale);
        self.count = 0;
        let mut from = 0;
        for hit in &mut self.hits {
            let Some(at) = telltale.first(line, from) else {
                break;
            };
            *hit = at;
            self.count += 1;
            from = at + 1;
        }
    }
}

impl Literal {
    pub fn new(bytes: Vec<u8>) -> Literal {
        Literal {
            telltale: Telltale::of(&bytes),
            bytes,
        }
    }

    pub fn is_at(&self, text: &[u8], at: usize) -> bool {
        count(1 + self.bytes.len() / size_of::<usize>());
        let there = text.get(at..).and_then(|rest| rest.get(..self.bytes.len()));
        there.is_some_and(|there| same(there, &self.bytes))
    }

    /// Whether it stands anywhere in the line of these places.
    pub fn is_in(&self, line: &[u8], places: &mut Places) -> bool {
        if places.telltale != Some(self.telltale) {
            places.find(self.telltale, line);
        }
        let hits = places.hits.get(..places.count).unwrap_or_default();
        let is_rest_open = hits.len() == places.hits.len();
        let last = hits.last().filter(|_| is_rest_open);
        hits.iter().any(|at| self.is_at(line, *at))
            || last.is_some_and(|last| self.first(line, last + 1).is_some())
    }

    /// The first place not before `from` where it stands.
    pub fn first(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut from = from;
        loop {
            let at = self.telltale.first(text, from)?;
            if self.is_at(text, at) {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// The last place in `from..=to` where it stands.
    pub fn last(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let mut to = to;
        loop {
            let at = self.telltale.last(text, from, to)?;
            if self.is_at(text, at) {
                return Some(at);
            }
            to = at.checked_sub(1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::word;

    /// Texts of few different bytes and any length, with what is sought in all places.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        (0..160usize).map(move |number| {
            let letters = 1 + random() % 6;
            let length = number % 80;
            (0..length)
                .map(|_| b"a\x80b\xffc\0"[(random() % letters) as usize])
                .collect()
        })
    }

    #[test]
    fn a_telltale_is_found_from_either_end_and_nowhere_else() {
        let mut found = 0;
        for text in texts() {
            for (word, rare) in [
                (&b"a"[..], &[(0, b'a')][..]),
                (b"\x80", &[(0, 0x80)]),
                (b"ba", &[(0, b'b'), (1, b'a')]),
                (b"ab  ", &[(0, b'a'), (1, b'b')]),
                (b"  a a", &[(2, b'a'), (4, b'a')]),
                (b"     b          a    ", &[(5, b'b'), (16, b'a')]),
                (
                    b"\xff                              b",
                    &[(0, 0xff), (31, b'b')],
                ),
            ] {
                let stands = |rare: &[(usize, u8)], place: usize| {
                    let byte = |&(at, byte): &(usize, u8)| text.get(place + at) == Some(&byte);
                    rare.iter().all(byte)
                };
                let rarest = rare.iter().max_by_key(|(_, byte)| rarity(*byte));
                let rarest = &[*rarest.expect("one of them")];
                for from in 0..=text.len() + 1 {
                    let first = |rare: &[_]| (from..text.len()).find(|at| stands(rare, *at));
                    found += usize::from(first(rare).is_some());
                    let case = (word, &text, from);
                    let telltale = bytes::Telltale::of(word);
                    assert_eq!(telltale.first(&text, from), first(rarest), "{case:?}");
                    #[cfg(target_arch = "x86_64")]
                    let two = blocks::Telltale::of(word);
                    #[cfg(target_arch = "x86_64")]
                    assert_eq!(two.first(&text, from), first(rare), "{case:?}");
                    let before = from.saturating_sub(1);
                    for to in [
                        before,
                        from,
                        from + 1,
                        from + 14,
                        from + 16,
                        from + 33,
                        usize::MAX,
                    ] {
                        let last = |rare: &[_]| (from..=to.min(100)).rfind(|at| stands(rare, *at));
                        assert_eq!(
                            telltale.last(&text, from, to),
                            last(rarest),
                            "{case:?} {to}"
                        );
                        #[cfg(target_arch = "x86_64")]
                        assert_eq!(two.last(&text, from, to), last(rare), "{case:?} {to}");
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
                assert_eq!(word::find_byte(&text, byte), first);
                let last = text.iter().rposition(|there| *there == byte);
                assert_eq!(word::find_last_byte(&text, byte), last);
            }
        }
        // The neighbours of what is sought are what arithmetic on words gets wrong first.
        let values = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        for byte in values {
            for other in values.into_iter().filter(|other| *other != byte) {
                let text = [[other; 17], [byte; 17], [other; 17]].concat();
                assert_eq!(word::find_byte(&text, byte), Some(17));
                assert_eq!(word::find_last_byte(&text, byte), Some(33));
            }
        }
    }

    #[test]
    fn a_byte_is_counted_however_often_it_stands() {
        for length in [
            0usize, 1, 7, 8, 15, 16, 17, 31, 32, 255, 4079, 4080, 4081, 40_000,
        ] {
            for every in [1, 2, 3, 16, 50_000] {
                for other in [b'\x8a', b'\x0b', b'\0'] {
                    let byte = |at: usize| match (at + 1).is_multiple_of(every) {
                        true => b'\n',
                        false => other,
                    };
                    let text: Vec<u8> = (0..length).map(byte).collect();
                    let count = length / every;
                    assert_eq!(count_byte(&text, b'\n'), count, "{length} {every}");
                    assert_eq!(bytes::count_byte(&text, b'\n'), count);
                }
            }
        }
    }
}
