//! Which of many patterns a text may match, in one pass over the text.
//!
//! Guarantees only a necessary condition, like `literal`: what is sieved out has no match. Of every pattern the literal
//! is taken that tells most among those it cannot match without.
//!
//! Where all literals begin alike, as the steps of a knock do (` DPT=1234`), what they have in common is sought, and
//! where it stands the literals are compared.
//!
//! Otherwise: in the last nine bytes of a literal stand six runs of four, so one of them begins at a place that
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
    /// What all of them begin with, if it is worth seeking: then there is no table.
    common: Option<Literal>,
    /// For each gram, how far behind the place where a tail begins it stands, one bit for each distance; zero for most.
    distances: Vec<u8>,
    /// Every how many bytes a gram is looked up.
    stride: usize,
    /// How far behind the beginning of a tail its `end` stands.
    end: usize,
    /// Marks of the literals that are not sought.
    unsought: Marks,
    /// Any line might match: a pattern has no literal, or one that is not sought.
    blind: bool,
}

struct Sought {
    literal: Literal,
    /// Where the part begins that is known by its place: by what is common, or by grams that are in the table.
    tail: usize,
    /// A gram that tells literals apart that begin alike.
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
            common: None,
            distances: Vec::new(),
            stride: *STRIDES.end(),
            end: 0,
            unsought: 0,
            blind: false,
        };
        for pattern in patterns {
            sieve.add(literal::telling(&pattern.literals), pattern.mark);
        }
        sieve.prepare();
        sieve
    }

    fn prepare(&mut self) {
        let Some((first, others)) = self.literals.split_first() else {
            return;
        };
        let (mut common, mut shortest) = (&first.literal.bytes[..], first.literal.bytes.len());
        for other in others {
            let bytes = &other.literal.bytes;
            let alike = common
                .iter()
                .zip(bytes)
                .take_while(|(one, other)| one == other);
            common = &common[..alike.count()];
            shortest = shortest.min(bytes.len());
        }
        // Unless something of each is left to tell it from the others, places would be compared with all of them.
        if others.is_empty() || common.len() >= GRAM && shortest > common.len() + 1 {
            self.end = common.len().min(shortest - GRAM);
            self.common = Some(Literal::new(common.to_vec()));
        } else {
            self.end = self.stride - 1;
            self.distances = vec![0; SLOTS];
        }
        for sought in &mut self.literals {
            let bytes = &sought.literal.bytes;
            if self.common.is_none() {
                // OK because no literal is so short that a stride would leave one out.
                sought.tail = bytes.len() - (self.stride + GRAM - 1);
            }
            let grams = bytes.windows(GRAM).skip(sought.tail).take(self.end + 1);
            for (distance, gram) in grams.enumerate() {
                let Some(gram) = gram.first_chunk() else {
                    break;
                };
                sought.end = *gram;
                if let Some(distances) = self.distances.get_mut(slot(*gram)) {
                    *distances |= 1 << distance;
                }
            }
        }
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
            _ => self.scan(text, 0).map(|(tail, _, _)| tail),
        }
    }

    /// The mark of all patterns, if they have the same literal. Where [`Sieve::next`] finds a place, it is the mark of
    /// that line.
    pub fn only(&self) -> Option<Marks> {
        match &self.literals[..] {
            [only] if !self.blind => Some(only.mark),
            _ => None,
        }
    }

    /// The marks of all literals in a line. A pattern whose mark is not among them has no match in it.
    pub fn marks(&self, line: &[u8]) -> Marks {
        let (mut marks, mut from) = (self.unsought, 0);
        while let Some((_, more, next)) = self.scan(line, from) {
            marks |= more;
            from = next;
        }
        marks
    }

    /// The first place not before `from` where literals are known: where the tail of one begins, the marks of all, and
    /// from where to go on.
    fn scan(&self, text: &[u8], from: usize) -> Option<(usize, Marks, usize)> {
        if let Some(common) = &self.common {
            let mut from = from;
            loop {
                let at = common.first(text, from)?;
                let marks = self.marks_at(text, at);
                if marks != 0 {
                    return Some((at, marks, at + 1));
                }
                from = at + 1;
            }
        }
        let table = self.distances.first_chunk::<SLOTS>()?;
        let mut at = from.max(self.stride - 1);
        // Lines that concern nobody spend their time here.
        while let Some(gram) = text.get(at..).and_then(<[u8]>::first_chunk) {
            let distances = table[slot(*gram)];
            if distances != 0
                && let Some((tail, marks)) = self.known(text, at, distances)
            {
                return Some((tail, marks, at + self.stride));
            }
            at += self.stride;
        }
        None
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
        let end = text.get(tail + self.end..);
        let Some(end) = end.and_then(<[u8]>::first_chunk) else {
            return 0;
        };
        // Mostly it was a beginning that many have: comparing with all of them can be saved.
        let known = self.distances.get(slot(*end));
        if known.is_some_and(|distances| distances >> self.end & 1 == 0) {
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
