//! Sets of bytes: what classes, `.` and letters of either case come down to.

/// One bit per byte value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(pub [u32; 8]);

pub(super) static DIGIT: Set = Set::of(&[(b'0', b'9')]);
pub(super) static WORD: Set = Set::of(&[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')]);
/// What Python's `\s` matches of ASCII in a `str`, which is what patterns are by default.
pub(super) static SPACE_UNICODE: Set = Set::of(&[(b'\t', b'\r'), (0x1c, 0x1f), (b' ', b' ')]);
/// The same under `(?a)`.
pub(super) static SPACE_ASCII: Set = Set::of(&[(b'\t', b'\r'), (b' ', b' ')]);

/// Only this byte.
impl From<u8> for Set {
    fn from(byte: u8) -> Set {
        let mut set = Set::EMPTY;
        set.insert(byte);
        set
    }
}

impl Set {
    pub const EMPTY: Set = Set([0; 8]);
    /// What `.` matches.
    pub const LINE: Set = Set([!(1 << b'\n'), !0, !0, !0, !0, !0, !0, !0]);

    const fn of(ranges: &[(u8, u8)]) -> Set {
        let mut set = Set::EMPTY;
        let mut index = 0;
        while index < ranges.len() {
            // OK because of the loop's condition; `const` has no iterators.
            set.insert_range(ranges[index].0, ranges[index].1);
            index += 1;
        }
        set
    }

    pub const fn contains(&self, byte: u8) -> bool {
        // OK because eight words of 32 bits hold every byte.
        self.0[byte as usize / 32] >> (byte % 32) & 1 != 0
    }

    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub const fn insert(&mut self, byte: u8) {
        // OK because eight words of 32 bits hold every byte.
        self.0[byte as usize / 32] |= 1 << (byte % 32);
    }

    /// Adds `low` to `high`, both included.
    pub const fn insert_range(&mut self, low: u8, high: u8) {
        let mut byte = low;
        while byte < high {
            self.insert(byte);
            byte += 1;
        }
        self.insert(high);
    }

    pub fn remove_newline(&mut self) {
        self.0[0] &= !(1 << b'\n');
    }

    /// Whether all its members are the other's.
    pub fn is_within(&self, other: &Set) -> bool {
        let mut words = self.0.iter().zip(&other.0);
        words.all(|(word, other)| word & !other == 0)
    }

    /// Adds the members of another set or, if `negated`, what is no member of it.
    pub fn add(&mut self, other: &Set, negated: bool) {
        let flipped = if negated { !0 } else { 0 };
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more ^ flipped;
        }
    }

    /// Adds, for each ASCII letter, the same letter of the other case.
    pub fn ignore_case(&mut self) {
        for letter in b'a'..=b'z' {
            let upper = letter.to_ascii_uppercase();
            if self.contains(letter) || self.contains(upper) {
                self.insert(letter);
                self.insert(upper);
            }
        }
    }
}
