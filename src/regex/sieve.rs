//! Which of many patterns a text may match, in one pass over the text.
//!
//! Guarantees only a necessary condition, like `literal`: what is sieved out has no match. Of every pattern the literal
//! is taken that tells most among those it cannot match without.
//!
//! The one idea: in a literal of at least nine bytes stand eight pairs of neighbours, so one of them begins at a place
//! that eight divides. It is enough to look up the pair at every eighth place in a table; the literals are compared
//! where the table knows the pair. So most of the text is never looked at, and the number of patterns hardly matters.
//! With shorter literals it is every fourth place.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::Regex;

const LONG_STRIDE: usize = 8;
const SHORT_STRIDE: usize = 4;
/// Shorter literals are not sought.
const MIN_LITERAL: usize = SHORT_STRIDE + 1;
/// More are not sought: comparing with each of them would take too long where they resemble the text.
const MAX_LITERALS: usize = 64;
/// Entries of the table; pairs share them.
const PAIRS: usize = 4096;

/// Which literals have been seen, one bit for each. Two may share a bit, which makes the sieve coarser, not wrong.
pub type Marks = u64;

/// The telling literals of many patterns.
pub struct Sieve {
    literals: Vec<Literal>,
    /// At which of its first places a literal has the pair, one bit for each place; zero for most pairs.
    places: Box<[u8]>,
    /// Whether all literals are long enough for the long stride.
    long: bool,
    /// Marks of the literals that are not sought.
    unsought: Marks,
    /// Any line might match: a pattern has no literal, or one that is not sought.
    blind: bool,
}

struct Literal {
    /// The first bytes once more, to compare them at once.
    head: [u8; SHORT_STRIDE],
    bytes: Box<[u8]>,
    mark: Marks,
}

/// The mark of a literal; none if it is not worth seeking.
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
            places: vec![0; PAIRS].into(),
            long: true,
            unsought: 0,
            blind: false,
        };
        for pattern in patterns {
            sieve.add(pattern.shortcuts.telling(), pattern.mark);
        }
        let stride = if sieve.long {
            LONG_STRIDE
        } else {
            SHORT_STRIDE
        };
        for literal in &sieve.literals {
            for (index, pair) in literal.bytes.windows(2).take(stride).enumerate() {
                if let [first, second] = *pair
                    && let Some(places) = sieve.places.get_mut(slot([first, second]))
                {
                    *places |= 1 << index;
                }
            }
        }
        sieve
    }

    fn add(&mut self, bytes: &[u8], mark: Marks) {
        if self.literals.iter().any(|known| *known.bytes == *bytes) {
            return;
        }
        match bytes.first_chunk() {
            Some(head) if mark != 0 && self.literals.len() < MAX_LITERALS => {
                self.long &= bytes.len() > LONG_STRIDE;
                self.literals.push(Literal {
                    head: *head,
                    bytes: bytes.into(),
                    mark,
                });
            }
            _ => {
                self.unsought |= mark;
                self.blind = true;
            }
        }
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

    /// The first place not before `at` where literals stand, and their marks.
    fn find(&self, text: &[u8], at: usize) -> Option<(usize, Marks)> {
        match self.long {
            true => self.find_by::<LONG_STRIDE, { 3 * LONG_STRIDE + 2 }>(text, at),
            false => self.find_by::<SHORT_STRIDE, { 3 * SHORT_STRIDE + 2 }>(text, at),
        }
    }

    /// `BLOCK` is four pairs and what is between them.
    fn find_by<const STRIDE: usize, const BLOCK: usize>(
        &self,
        text: &[u8],
        at: usize,
    ) -> Option<(usize, Marks)> {
        let table = self.places.first_chunk::<PAIRS>()?;
        let mut pair_at = at + STRIDE - 1;
        loop {
            // Lines that concern nobody spend their time here. The places are constants for the sake of speed.
            while let Some(block) = text.get(pair_at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
                let known = table[slot([block[0], block[1]])]
                    | table[slot([block[STRIDE], block[STRIDE + 1]])]
                    | table[slot([block[2 * STRIDE], block[2 * STRIDE + 1]])]
                    | table[slot([block[3 * STRIDE], block[3 * STRIDE + 1]])];
                if known != 0 {
                    break;
                }
                pair_at += 4 * STRIDE;
            }
            for _ in 0..4 {
                let pair = text.get(pair_at..)?.first_chunk()?;
                let mut places = table[slot(*pair)];
                while places != 0 {
                    // The highest first: that literal begins first.
                    let place = places.ilog2();
                    let begin = pair_at - place as usize;
                    let marks = self.marks_at(text.get(begin..)?);
                    if marks != 0 && begin >= at {
                        return Some((begin, marks));
                    }
                    places ^= 1 << place;
                }
                pair_at += STRIDE;
            }
        }
    }

    /// The marks of the literals that `text` begins with.
    fn marks_at(&self, text: &[u8]) -> Marks {
        let Some(head) = text.first_chunk() else {
            return 0;
        };
        let here = self.literals.iter();
        here.filter(|literal| literal.head == *head && text.starts_with(&literal.bytes))
            .fold(0, |marks, literal| marks | literal.mark)
    }
}

#[inline(always)]
fn slot(pair: [u8; 2]) -> usize {
    let pair = usize::from(u16::from_le_bytes(pair));
    (pair ^ pair >> 4) % PAIRS
}
