//! Where a literal stands in a text, from either end.
//!
//! Its rarest byte is sought, and where that is found the rest is compared: logs are full of small letters and blanks,
//! and one capital or digit tells more than the beginning does.
//!
//! Forwards this is the C library's `memchr`, behind the safe function that borrows it: the one thing the pure half of
//! the program takes from the other, because no code of ours is as fast and as small. Backwards a machine word is
//! looked at at a time: musl's `memrchr` looks at bytes.

use alloc::vec::Vec;

use super::steps::count;
pub(super) use crate::sys::find_byte;

const WORD: usize = size_of::<usize>();
const LOW: usize = usize::MAX / 255;
const HIGH: usize = LOW << 7;

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
        count(1 + self.bytes.len() / WORD);
        text.get(at..)
            .is_some_and(|rest| rest.starts_with(&self.bytes))
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
            let at = find_last(places, self.rare)?;
            if self.is_at(text, from + at) {
                return Some(from + at);
            }
            places = places.get(..at)?;
        }
    }
}

/// The last place of a byte.
fn find_last(text: &[u8], byte: u8) -> Option<usize> {
    let mut end = text.len();
    for word in text.as_rchunks::<WORD>().1.iter().rev() {
        let word = usize::from_ne_bytes(*word) ^ (LOW * usize::from(byte));
        // A byte is zero where the one sought stands; only then is one's top bit left.
        if word.wrapping_sub(LOW) & !word & HIGH != 0 {
            break;
        }
        end -= WORD;
        count(1);
    }
    text.get(..end)?.iter().rposition(|&found| found == byte)
}

/// How much a byte tells, by rough classes: words and blanks fill every line, capitals and numbers single a line out.
pub(super) fn rarity(byte: u8) -> u32 {
    match byte {
        b' ' => 0,
        b'a'..=b'z' | b'=' | b'.' | b':' => 1,
        _ => 2,
    }
}
