//! Which of many patterns a text may match, in one pass over the text.
//!
//! Guarantees only a necessary condition, like [`super::literal`]: what is sieved out has no match. Every pattern gives
//! the literal that tells most of those it cannot match without. The pass goes through the text in strides of almost
//! the shortest literal's length (the method of Wu and Manber): two bytes that stand in no literal rule out all places
//! up to them. So most bytes are never looked at, and the number of patterns hardly matters.
//!
//! A [`Sieve`] says where the next such literal stands, or which stand in a line, as [`Marks`].

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Regex;
use super::find::MAX_NEEDLE;

/// Shorter literals are not worth the small strides they would ask for.
const MIN_LITERAL: usize = 4;
/// More are not sought: comparing with each of them would take too long where they resemble the text.
const MAX_LITERALS: usize = 64;
const PAIRS: usize = 4096;

/// Literals of patterns, one bit for each. Two may share a bit, which makes the sieve coarser, not wrong.
pub type Marks = u64;

/// The telling literals of many patterns.
pub struct Sieve {
    literals: Vec<(Box<[u8]>, Marks)>,
    /// How far the next literal's first bytes may at least be, by the last two bytes of their window.
    skips: Box<[u8; PAIRS]>,
    /// Length of the window, that is, of the shortest literal.
    window: usize,
    /// Marks of the literals that are not sought.
    unsought: Marks,
    /// Any place might be where a match stands: a pattern has no literal, or one that is not sought.
    blind: bool,
}

/// The mark of a pattern's telling literal; none if it has none.
pub(super) fn mark(literal: &[u8]) -> Marks {
    if literal.len() < MIN_LITERAL {
        return 0;
    }
    let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    1 << (literal.iter().fold(0x811c_9dc5, mix) >> 26)
}

impl Sieve {
    /// A sieve for these patterns.
    pub fn new<'r>(patterns: impl Iterator<Item = &'r Regex>) -> Sieve {
        let mut sieve = Sieve {
            literals: Vec::new(),
            skips: Box::new([0; PAIRS]),
            window: MAX_NEEDLE,
            unsought: 0,
            blind: false,
        };
        for pattern in patterns {
            let literal = pattern.shortcuts.telling();
            if sieve.literals.iter().any(|(known, _)| **known == *literal) {
                continue;
            }
            if pattern.mark == 0 || sieve.literals.len() >= MAX_LITERALS {
                sieve.unsought |= pattern.mark;
                sieve.blind = true;
            } else {
                sieve.window = sieve.window.min(literal.len());
                sieve.literals.push((literal.into(), pattern.mark));
            }
        }
        // OK because a window has at least two bytes, and at most as many as fit a byte.
        sieve.skips.fill((sieve.window - 1) as u8);
        for (literal, _) in &sieve.literals {
            for (index, pair) in literal.windows(2).take(sieve.window - 1).enumerate() {
                let skip = &mut sieve.skips[slot([pair[0], pair[1]])];
                *skip = (*skip).min((sieve.window - 2 - index) as u8);
            }
        }
        sieve
    }

    /// The first place where a literal stands; a line that ends before it matches none of the patterns.
    pub fn next(&self, text: &[u8]) -> Option<usize> {
        if self.blind {
            return Some(0);
        }
        self.find(text, 0).map(|(place, _)| place)
    }

    /// The marks of all literals in a line. A pattern whose mark is not among them has no match in it.
    pub fn marks(&self, line: &[u8]) -> Marks {
        let mut marks = self.unsought;
        let mut at = 0;
        while let Some((place, mark)) = self.find(line, at) {
            marks |= mark;
            at = place + 1;
        }
        marks
    }

    /// The next place from `at` on where a literal stands, and the marks of those that do.
    fn find(&self, text: &[u8], at: usize) -> Option<(usize, Marks)> {
        let longest = self.window - 1;
        let mut last = at + longest;
        loop {
            let mut skip;
            // Most of the time is spent in this loop: one table look-up for each stride.
            loop {
                let pair = text.get(last - 1..)?.first_chunk::<2>()?;
                skip = usize::from(self.skips[slot(*pair)]);
                if skip < longest {
                    break;
                }
                last += longest;
            }
            if skip == 0 {
                let place = last - longest;
                let marks = self.marks_at(text.get(place..)?);
                if marks != 0 {
                    return Some((place, marks));
                }
                skip = 1;
            }
            last += skip;
        }
    }

    fn marks_at(&self, text: &[u8]) -> Marks {
        let here = self.literals.iter();
        let here = here.filter(|(literal, _)| text.starts_with(literal));
        here.fold(0, |marks, (_, mark)| marks | mark)
    }
}

#[inline(always)]
fn slot(pair: [u8; 2]) -> usize {
    let pair = usize::from(u16::from_le_bytes(pair));
    (pair ^ pair >> 4) % PAIRS
}
