//! Where a literal stands in a text, from either end.
//!
//! Two bytes of the literal are compared at as many places at once as a machine word has bytes; only where both
//! are right is the rest looked at. The two are the ones that logs are likely to have least of, so that on most lines
//! nothing but those comparisons is done. No instruction set is named and no table is kept: this is as good on a MIPS
//! router as anything its C library has.
//!
//! Guarantees time O(literal × text) with a literal of at most [`MAX_NEEDLE`] bytes.

use alloc::vec::Vec;

use super::steps::count;

/// Longer literals are cut to this where it is enough to find their beginning.
pub(super) const MAX_NEEDLE: usize = 32;

const WORD: usize = size_of::<usize>();
const LOW: usize = usize::MAX / 255;
const HIGH: usize = LOW << 7;

/// A literal to look for; never empty.
pub(super) struct Needle {
    bytes: Vec<u8>,
    probes: [Probe; 2],
}

/// One byte of a needle.
#[derive(Clone, Copy)]
struct Probe {
    index: usize,
    /// The byte, in every place of a word.
    word: usize,
}

impl Needle {
    /// None for an empty literal.
    pub fn new(bytes: &[u8]) -> Option<Needle> {
        // Of equals the last and the first, for they tell most about each other.
        let rare = rarest(bytes, usize::MAX)?;
        let second = rarest(bytes, rare).unwrap_or(rare);
        let probe = |index: usize| Probe {
            index,
            word: LOW * usize::from(bytes.get(index).copied().unwrap_or(0)),
        };
        Some(Needle {
            probes: [probe(rare), probe(second)],
            bytes: bytes.to_vec(),
        })
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it stands at `at`.
    #[inline(never)]
    pub fn is_at(&self, text: &[u8], at: usize) -> bool {
        count(1 + self.len() / WORD);
        let [probe, _] = self.probes;
        // The byte that is likely to be wrong first: a call costs more.
        text.get(at + probe.index).copied() == self.bytes.get(probe.index).copied()
            && text
                .get(at..)
                .is_some_and(|rest| rest.starts_with(&self.bytes))
    }

    /// The first place in `from..=to` where it stands.
    pub fn first(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let end = to.min(text.len().checked_sub(self.len())?) + 1;
        let mut at = from;
        while let Some((word, mut places)) = self.next_places(text, at, end) {
            while places != 0 {
                let place = word + places.trailing_zeros() as usize / 8;
                if self.is_at(text, place) {
                    return Some(place);
                }
                places &= places - 1;
            }
            at = word + WORD;
        }
        at = end - end.saturating_sub(at) % WORD;
        (at..end).find(|&place| self.is_at(text, place))
    }

    /// The last place in `from..=to` where it stands.
    pub fn last(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let mut end = to.min(text.len().checked_sub(self.len())?) + 1;
        while let Some((word, mut places)) = self.previous_places(text, from, end) {
            while places != 0 {
                let bit = usize::BITS - 1 - places.leading_zeros();
                let place = word + bit as usize / 8;
                if self.is_at(text, place) {
                    return Some(place);
                }
                places ^= 1 << bit;
            }
            end = word;
        }
        end = from + end.saturating_sub(from) % WORD;
        (from..end).rev().find(|&place| self.is_at(text, place))
    }

    /// The first of the whole words of places in `from..end` that has a likely one. Apart from what is done with it,
    /// because everything the loop needs fits the registers then.
    #[inline(never)]
    fn next_places(&self, text: &[u8], from: usize, end: usize) -> Option<(usize, usize)> {
        let (first, second) = self.probed(text, from, end)?;
        let words = first.as_chunks().0.iter().zip(second.as_chunks().0);
        for (index, (first, second)) in words.enumerate() {
            count(1);
            let places = self.places(*first, *second);
            if places != 0 {
                return Some((from + index * WORD, places));
            }
        }
        None
    }

    /// The same from the end.
    #[inline(never)]
    fn previous_places(&self, text: &[u8], from: usize, end: usize) -> Option<(usize, usize)> {
        let (first, second) = self.probed(text, from, end)?;
        let words = first.as_rchunks().1.iter().zip(second.as_rchunks().1);
        for (index, (first, second)) in words.rev().enumerate() {
            count(1);
            let places = self.places(*first, *second);
            if places != 0 {
                return Some((end - (index + 1) * WORD, places));
            }
        }
        None
    }

    /// What stands where the probed bytes would, were the literal in one of the places `from..end`.
    #[inline(always)]
    fn probed<'t>(&self, text: &'t [u8], from: usize, end: usize) -> Option<(&'t [u8], &'t [u8])> {
        let [Probe { index: first, .. }, Probe { index: second, .. }] = self.probes;
        Some((
            text.get(from + first..end + first)?,
            text.get(from + second..end + second)?,
        ))
    }

    /// The top bit of each byte whose place has both probed bytes right, and perhaps of some behind such a place.
    #[inline(always)]
    fn places(&self, first: [u8; WORD], second: [u8; WORD]) -> usize {
        let [probe, other] = self.probes;
        let first = usize::from_le_bytes(first) ^ probe.word;
        let second = usize::from_le_bytes(second) ^ other.word;
        zeros(first | second)
    }
}

/// The first place of a byte.
pub(super) fn find_byte(byte: u8, text: &[u8]) -> Option<usize> {
    let wanted = LOW * usize::from(byte);
    let (words, rest) = text.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        let places = zeros(usize::from_le_bytes(*word) ^ wanted);
        if places != 0 {
            // The lowest is right, only those above it may be wrong.
            return Some(index * WORD + places.trailing_zeros() as usize / 8);
        }
    }
    let index = rest.iter().position(|&found| found == byte)?;
    Some(text.len() - rest.len() + index)
}

/// The top bit of each byte that is zero, and perhaps of some above the lowest of those.
#[inline(always)]
fn zeros(word: usize) -> usize {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// The index of the byte that logs have least of, but not `except`.
fn rarest(bytes: &[u8], except: usize) -> Option<usize> {
    let indices = bytes.iter().enumerate().rev();
    let (index, _) = indices
        .filter(|(index, _)| *index != except)
        .max_by_key(|(_, byte)| rarity(**byte))?;
    Some(index)
}

/// How much a byte tells, by rough classes: words and blanks fill every line, capitals and numbers single a line out.
pub(super) fn rarity(byte: u8) -> u32 {
    match byte {
        b' ' => 0,
        b'a'..=b'z' | b'=' | b'.' | b':' => 1,
        _ => 2,
    }
}
