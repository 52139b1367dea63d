//! Where a literal stands in a text, from either end.
//!
//! Its rarest byte is sought, and where that is found the rest is compared: logs are full of small letters and blanks,
//! and one capital or digit tells more than the beginning does.
//!
//! That is the C library's `memchr` and `memrchr`, behind the safe functions that borrow them: the one thing the pure
//! half of the program takes from the other, because no code of ours is as fast and as small.

use alloc::vec::Vec;

use super::steps::count;
pub(super) use crate::sys::{find_byte, find_last_byte};

/// A literal to look for; not empty.
pub(super) struct Literal {
    pub bytes: Vec<u8>,
    /// The byte to look for, and where in the literal it is.
    rare: u8,
    rare_at: usize,
}

impl Literal {
    pub fn new(bytes: Vec<u8>) -> Literal {
        let ranked = bytes
            .iter()
            .enumerate()
            .max_by_key(|(_, byte)| rarity(**byte));
        let (rare_at, rare) = ranked.map_or((0, 0), |(at, byte)| (at, *byte));
        Literal {
            bytes,
            rare,
            rare_at,
        }
    }

    pub fn is_at(&self, text: &[u8], at: usize) -> bool {
        count(1 + self.bytes.len() / size_of::<usize>());
        let there = text.get(at..).and_then(|rest| rest.get(..self.bytes.len()));
        // The first byte first: the rest is a call, and mostly the first is wrong.
        there.is_some_and(|there| there.first() == self.bytes.first() && there == self.bytes)
    }

    /// The first place not before `from` where it stands.
    pub fn first(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at += find_byte(text.get(at + self.rare_at..)?, self.rare)?;
            if self.is_at(text, at) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// The last place in `from..=to` where it stands.
    pub fn last(&self, text: &[u8], from: usize, to: usize) -> Option<usize> {
        let end = (to + self.rare_at + 1).min(text.len());
        let mut places = text.get(from + self.rare_at..end)?;
        loop {
            let at = find_last_byte(places, self.rare)?;
            if self.is_at(text, from + at) {
                return Some(from + at);
            }
            places = places.get(..at)?;
        }
    }
}

/// Bytes of which logs of firewalls and servers are full, the worst first.
const COMMON: &[u8] = b" 0123456789.:=-eatnoirsdlc/[]TPSDORmhuCEpNILbAfgwyvkMFx";

/// How rare a byte is, the rarest ranking highest.
fn rarity(byte: u8) -> usize {
    let rank = COMMON.iter().position(|&common| common == byte);
    rank.unwrap_or(COMMON.len())
}
