//! Which of many patterns a text may match, in one pass over the text.
//!
//! Guarantees only a necessary condition, like `literal`: what is sieved out has no match. Of every pattern the literal
//! is taken that tells most among those it cannot match without.
//!
//! The one idea: in the last nine bytes of a literal stand six runs of four, so one of them begins at a place that
//! six divides. It is enough to look up the four bytes at every sixth place in a table; the literals are compared
//! where the table knows them. So most of the text is never looked at, and the number of patterns hardly matters. How
//! many places are left out is up to the shortest literal.

use alloc::vec;
use alloc::vec::Vec;

use super::Regex;
use super::find::Literal;
use super::literal;
use crate::text::checksum;

/// Bytes that are looked up together.
const GRAM: usize = 4;
/// Every how many bytes a gram is looked up, at the least and at the most.
const STRIDES: core::ops::RangeInclusive<usize> = GRAM..=8;
/// Shorter literals are not sought.
const MIN_LITERAL: usize = *STRIDES.start() + GRAM - 1;
/// More are not sought: comparing with each of them would take too long where they resemble the text.
const MAX_LITERALS: usize = 64;
/// Entries of the table, as a power of two.
const SLOT_BITS: u32 = 12;
const SLOTS: usize = 1 << SLOT_BITS;

/// Which literals have been seen, one bit for each. Two may share a bit, which makes the sieve coarser, not wrong.
pub type Marks = u64;

/// The telling literals of many patterns.
pub struct Sieve {
    literals: Vec<Sought>,
    /// For each gram, how far behind the place where a tail begins it stands, one bit for each distance; zero for most.
    distances: Vec<u8>,
    /// Every how many bytes a gram is looked up.
    stride: usize,
    /// Marks of the literals that are not sought.
    unsought: Marks,
    /// Any line might match: a pattern has no literal, or one that is not sought.
    blind: bool,
}

struct Sought {
    literal: Literal,
    /// Where the part begins whose grams are in the table.
    tail: usize,
    /// The last gram, which tells literals apart that begin alike.
    end: [u8; GRAM],
    mark: Marks,
}

/// The mark of a literal; none if it is not worth seeking.
pub(super) fn mark(literal: &[u8]) -> Marks {
    if literal.len() < MIN_LITERAL {
        return 0;
    }
    1 << (checksum(literal) >> 26)
}

impl Sieve {
    /// A sieve for these patterns.
    pub fn new(patterns: &mut dyn Iterator<Item = &Regex>) -> Sieve {
        let mut sieve = Sieve {
            literals: Vec::new(),
            distances: vec![0; SLOTS],
            stride: *STRIDES.end(),
            unsought: 0,
            blind: false,
        };
        for pattern in patterns {
            sieve.add(literal::telling(&pattern.literals), pattern.mark);
        }
        for sought in &mut sieve.literals {
            let bytes = &sought.literal.bytes;
            // OK because no literal is so short that a stride would leave one out.
            sought.tail = bytes.len() - (sieve.stride + GRAM - 1);
            let grams = bytes.windows(GRAM).skip(sought.tail);
            for (distance, gram) in grams.enumerate() {
                let Some(gram) = gram.first_chunk() else {
                    break;
                };
                sought.end = *gram;
                if let Some(distances) = sieve.distances.get_mut(slot(*gram)) {
                    *distances |= 1 << distance;
                }
            }
        }
        sieve
    }

    fn add(&mut self, bytes: &[u8], mark: Marks) {
        if self
            .literals
            .iter()
            .any(|known| known.literal.bytes == bytes)
        {
            return;
        }
        if mark == 0 || self.literals.len() >= MAX_LITERALS {
            self.unsought |= mark;
            self.blind = true;
            return;
        }
        self.stride = self.stride.min(bytes.len() + 1 - GRAM);
        self.literals.push(Sought {
            literal: Literal::new(bytes.to_vec()),
            tail: 0,
            end: [0; GRAM],
            mark,
        });
    }

    /// A place in the first literal there is; a line that ends before it matches none of the patterns.
    pub fn next(&self, text: &[u8]) -> Option<usize> {
        match &self.literals[..] {
            _ if self.blind => Some(0),
            [only] => only.literal.first(text, 0),
            _ => self.scan(text, false).map(|(place, _)| place),
        }
    }

    /// The marks of all literals in a line. A pattern whose mark is not among them has no match in it.
    pub fn marks(&self, line: &[u8]) -> Marks {
        let found = self.scan(line, true);
        self.unsought | found.map_or(0, |(_, marks)| marks)
    }

    /// A place where the tail of a literal begins, and the marks of those found: all, or those of the first place.
    fn scan(&self, text: &[u8], all: bool) -> Option<(usize, Marks)> {
        let table = self.distances.first_chunk::<SLOTS>()?;
        let mut at = self.stride - 1;
        let mut found = None;
        // Lines that concern nobody spend their time here.
        while let Some(gram) = text.get(at..at + GRAM).and_then(<[u8]>::first_chunk) {
            let distances = table[slot(*gram)];
            if distances != 0
                && let Some((place, marks)) = self.known(text, at, distances)
            {
                let before = found.map_or(0, |(_, before)| before);
                found = Some((place, before | marks));
                if !all {
                    break;
                }
            }
            at += self.stride;
        }
        found
    }

    /// The first of the places that lie at these distances before `at` where tails of literals begin, and the marks
    /// of all.
    #[inline(never)]
    fn known(&self, text: &[u8], at: usize, distances: u8) -> Option<(usize, Marks)> {
        let (mut found, mut distances) = (None, distances);
        while distances != 0 {
            // OK because the distance is less than the stride, and the first place is a stride less one.
            let tail = at - distances.trailing_zeros() as usize;
            let marks = self.marks_at(text, tail);
            if marks != 0 {
                found = Some((tail, marks | found.map_or(0, |(_, before)| before)));
            }
            distances &= distances - 1;
        }
        found
    }

    /// The marks of the literals whose tails begin here.
    fn marks_at(&self, text: &[u8], tail: usize) -> Marks {
        let end = text.get(tail + self.stride - 1..);
        let Some(end) = end.and_then(<[u8]>::first_chunk) else {
            return 0;
        };
        // Mostly it was a beginning that many have: comparing with all of them can be saved.
        let known = self.distances.get(slot(*end));
        if known.is_none_or(|distances| distances >> (self.stride - 1) & 1 == 0) {
            return 0;
        }
        let stands = |sought: &&Sought| {
            let begin = tail.checked_sub(sought.tail);
            sought.end == *end && begin.is_some_and(|begin| sought.literal.is_at(text, begin))
        };
        let here = self.literals.iter().filter(stands);
        here.fold(0, |marks, sought| marks | sought.mark)
    }
}

/// The entry of a gram in the table; grams share entries.
#[inline(always)]
fn slot(gram: [u8; GRAM]) -> usize {
    (u32::from_le_bytes(gram).wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOT_BITS)) as usize
}
