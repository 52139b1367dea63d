//! Where a literal stands in a text, from either end: its telltale is sought, and where that is found the rest is
//! compared.

use alloc::vec::Vec;

use super::steps::count;
use crate::find::Telltale;
pub(super) use crate::find::find_byte;

/// A literal to look for; not empty.
pub(super) struct Literal {
    pub bytes: Vec<u8>,
    telltale: Telltale,
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
