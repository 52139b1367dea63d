//! Where a literal stands in a text, from either end.
//!
//! Its rarest byte is sought, and where that is found the rest is compared: logs are full of small letters and blanks,
//! and one capital or digit tells more than the beginning does.
//!
//! That is the C library's `memchr` and `memrchr`, behind the safe functions that borrow them: the one thing the pure
//! half of the program takes from the other, because no code of ours is as fast and as small.

use alloc::vec::Vec;

use super::steps::count;
use crate::find::Pair;
pub(super) use crate::find::find_byte;

/// A literal to look for; not empty.
pub(super) struct Literal {
    pub bytes: Vec<u8>,
    /// The bytes to look for, and where in the literal they are.
    rare: Pair,
    rare_at: usize,
}

impl Literal {
    pub fn new(bytes: Vec<u8>) -> Literal {
        let (mut rarest, mut second) = (0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            let is_rarer = |than: usize| rarity(*byte) >= rarity(bytes[than]);
            if is_rarer(rarest) {
                (rarest, second) = (at, rarest);
            } else if second == rarest || is_rarer(second) {
                second = at;
            }
        }
        let (rare_at, other_at) = (rarest.min(second), rarest.max(second));
        // OK because both are places of the literal, which is not empty.
        let rare = Pair {
            bytes: [bytes[rare_at], bytes[other_at]],
            distance: other_at - rare_at,
            second_is_rarer: rarest == other_at,
        };
        Literal {
            bytes,
            rare,
            rare_at,
        }
    }

    pub fn is_at(&self, text: &[u8], at: usize) -> bool {
        count(1 + self.bytes.len() / size_of::<usize>());
        let there = text.get(at..).and_then(|rest| rest.get(..self.bytes.len()));
        there.is_some_and(|there| same(there, &self.bytes))
    }

    /// The first place not before `from` where it stands.
    pub fn first(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut from = from + self.rare_at;
        loop {
            // OK because what is found is not before where the search began.
            let at = self.rare.first(text, from)? - self.rare_at;
            if self.is_at(text, at) {
                return Some(at);
            }
            from = at + self.rare_at + 1;
        }
    }

    /// The last place in `from..=to` where it stands.
    pub fn last(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let from = from + self.rare_at;
        let mut to = to + self.rare_at;
        loop {
            let at = self.rare.last(text, from, to)?;
            if self.is_at(text, at - self.rare_at) {
                return Some(at - self.rare_at);
            }
            to = at.checked_sub(1).filter(|to| *to >= from)?;
        }
    }
}

/// Whether two texts of the same length are the same: by words, where the C library compares bytes.
fn same(one: &[u8], other: &[u8]) -> bool {
    let (words, rest) = one.as_chunks();
    let (other_words, other_rest) = other.as_chunks();
    for (word, other_word) in words.iter().zip(other_words) {
        if u32::from_ne_bytes(*word) != u32::from_ne_bytes(*other_word) {
            return false;
        }
    }
    for (byte, other_byte) in rest.iter().zip(other_rest) {
        if byte != other_byte {
            return false;
        }
    }
    true
}

/// Bytes of which logs of firewalls and servers are full, the worst first.
const COMMON: &[u8] = b" 0123456789.:=-eatnoirsdlc/[]TPSDORmhuCEpNILbAfgwyvkMFx";

/// How rare a byte is, the rarest ranking highest.
fn rarity(byte: u8) -> usize {
    let rank = COMMON.iter().position(|&common| common == byte);
    rank.unwrap_or(COMMON.len())
}
