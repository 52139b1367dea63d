//! Which of many patterns a text may match, in one pass over the text.
//!
//! Guarantees only a necessary condition, like `literal`: what is sieved out has no match. Of every pattern the literal
//! is taken that tells most among those it cannot match without.
//!
//! Where all literals begin alike, as the steps of a knock do (` DPT=1234`), the telltale of what they have in common is
//! sought ([`crate::regex::seek`]), and where that stands the literals are compared.
//!
//! Otherwise: in the last nine bytes of a literal stand six runs of four, so one of them begins at one of every six
//! places. It is enough to look up the four bytes at every sixth place in a table; the literals are compared
//! where the table knows them. So most of the text is never looked at, and the number of patterns hardly matters. How
//! many places are left out is up to the shortest literal.

use alloc::vec;
use alloc::vec::Vec;

use super::Regex;
use super::literal;
use super::seek::{Literal, Telltale};
use crate::text::checksum;

/// Bytes that are looked up together.
const GRAM: usize = size_of::<u32>();
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
pub type Marks = u32;

/// The telling literals of many patterns.
pub struct Sieve {
    literals: Vec<Sought>,
    /// The telltale of what all of them begin with, if that is worth seeking: then there is no table.
    common: Option<Telltale>,
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
    end: u32,
    mark: Marks,
}

/// Where literals were found by what is common or by one gram.
struct Found {
    /// Where the tail of the first of them begins.
    at: usize,
    /// The marks of all.
    marks: Marks,
    /// Where the search goes on.
    next: usize,
}

/// The mark of a literal; none if it is not worth seeking.
pub(super) fn mark(literal: &[u8]) -> Marks {
    if literal.len() < MIN_LITERAL {
        return 0;
    }
    1 << (checksum(literal) >> 27)
}

/// A sieve for no pattern yet.
impl Default for Sieve {
    fn default() -> Sieve {
        Sieve {
            literals: Vec::new(),
            common: None,
            distances: Vec::new(),
            stride: *STRIDES.end(),
            end: 0,
            unsought: 0,
            blind: false,
        }
    }
}

impl<'p> FromIterator<&'p Regex> for Sieve {
    fn from_iter<I: IntoIterator<Item = &'p Regex>>(patterns: I) -> Sieve {
        let mut sieve = Sieve::default();
        patterns.into_iter().for_each(|pattern| sieve.add(pattern));
        sieve.prepare();
        sieve
    }
}

impl Sieve {
    /// Adds a pattern. Before all have been added and [`Sieve::prepare`] was called, nothing may be asked.
    pub fn add(&mut self, pattern: &Regex) {
        let (bytes, mark) = (literal::telling(&pattern.literals), pattern.mark);
        let mut literals = self.literals.iter();
        if literals.any(|sought| sought.literal.bytes == bytes) {
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
            end: 0,
            mark,
        });
    }

    /// Makes ready what the search needs.
    pub fn prepare(&mut self) {
        let Some(first) = self.literals.first() else {
            return;
        };
        let (mut common, mut shortest) = (&first.literal.bytes[..], usize::MAX);
        for sought in &self.literals {
            let bytes = &sought.literal.bytes;
            while !bytes.starts_with(common) {
                // OK because everything begins with nothing.
                common = &common[..common.len() - 1];
            }
            shortest = shortest.min(bytes.len());
        }
        // Unless each has something more to tell it from the others, all would be compared wherever it stands.
        let tells = self.literals.len() == 1 || shortest > common.len() + 1;
        if common.len() >= GRAM && tells {
            self.end = common.len().min(shortest - GRAM);
            self.common = Some(Telltale::of(common));
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
            for distance in 0..=self.end {
                sought.end = gram(bytes, sought.tail + distance).unwrap_or(0);
                if let Some(distances) = self.distances.get_mut(slot(sought.end)) {
                    *distances |= 1 << distance;
                }
            }
        }
    }

    /// A place in the first literal there is; a line that ends before it matches none of the patterns.
    pub fn next(&self, text: &[u8]) -> Option<usize> {
        match &self.literals[..] {
            _ if self.blind => Some(0),
            [only] => only.literal.first(text, 0),
            _ => Some(self.scan(text, 0)?.at),
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
        while let Some(found) = self.scan(line, from) {
            marks |= found.marks;
            from = found.next;
        }
        marks
    }

    fn scan(&self, text: &[u8], from: usize) -> Option<Found> {
        if let Some(common) = &self.common {
            let mut next = from;
            loop {
                let at = common.first(text, next)?;
                let marks = self.marks_at(text, at);
                next = at + 1;
                if marks != 0 {
                    return Some(Found { at, marks, next });
                }
            }
        }
        let table = self.distances.first_chunk::<SLOTS>()?;
        let mut at = from.max(self.stride - 1);
        // Lines that concern nobody spend their time here.
        loop {
            let distances = table[slot(gram(text, at)?)];
            if distances != 0
                && let Some(found) = self.known(text, at, distances)
            {
                return Some(found);
            }
            at += self.stride;
        }
    }

    /// What begins at one of these distances before `at`.
    #[inline(never)]
    fn known(&self, text: &[u8], at: usize, distances: u8) -> Option<Found> {
        let (mut found, mut marks) = (None, 0);
        let (mut tail, mut distances) = (at, distances);
        while distances != 0 {
            if distances & 1 != 0 {
                let more = self.marks_at(text, tail);
                marks |= more;
                if more != 0 {
                    found = Some(tail);
                }
            }
            // OK because the first place that is looked up is a stride less one; behind the last distance it may wrap.
            tail = tail.wrapping_sub(1);
            distances >>= 1;
        }
        Some(Found {
            at: found?,
            marks,
            next: at + self.stride,
        })
    }

    /// The marks of the literals whose tails begin here.
    fn marks_at(&self, text: &[u8], tail: usize) -> Marks {
        let mut marks = 0;
        if let Some(end) = gram(text, tail + self.end) {
            for sought in &self.literals {
                if sought.end == end
                    && let Some(begin) = tail.checked_sub(sought.tail)
                    && sought.literal.is_at(text, begin)
                {
                    marks |= sought.mark;
                }
            }
        }
        marks
    }
}

/// The gram at a place.
#[inline(always)]
fn gram(text: &[u8], at: usize) -> Option<u32> {
    let bytes = text.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The entry of a gram in the table; grams share entries.
#[inline(always)]
fn slot(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOT_BITS)) as usize
}
