//! Regular expressions: what Python's `re.search` finds, in time proportional to the line.
//!
//! Guarantees: where a pattern compiles, it finds in ASCII text exactly what Python 3.11 finds, all groups
//! included; on any text its cost is at most (states of the program) × (length of text), and the size has a limit that
//! keeps the worst pattern on a line of 8 KiB below 500 ms, one of 300 states below 50 (measured: a fifth of that). Memory
//! for a line is bounded, too: 256 KiB for choices, where those do not suffice states × text bits (300 KiB for 300 states
//! on such a line, 3 MiB at the most), and what a [`Sieve`] keeps.
//!
//! One stage per file: `parse` (pattern to `tree`), `compile` (tree to program), `exec` (program and
//! text to match); `set` is the classes. The rest saves work, or bounds it:
//!
//! 1. `sieve`: which of many patterns might match a line. If all have a literal in common, where in a buffer the next line
//!    is that has it, by the literal's rarest bytes ([`crate::regex::seek`]). Then a few are told apart by their literals,
//!    and more by one automaton for all, made deterministic as lines need it.
//! 2. `exec` walks quickly: a run of bytes is one step, and ends only where the literal behind it stands.
//! 3. When that takes too many steps or choices, `sure` looks at every state at every place once, and then `exec` walks again
//!    and never has to go back.
//!
//! Why an automaton of parts, and not of whole patterns: whole ones remember which of them have begun, so their states
//! are as many as there are combinations, and a cache for them is filled again by every line; the part that tells most
//! of each pattern ends where it stands. Why not literals alone: letters of either case, alternatives and classes are
//! what such patterns are made of, and a pattern without a literal made every line cost a search from each byte.
//!
//! Figures, in instructions per line of `tests/bench` (189 bytes), by `make bench`: two rules 1,000; one filter more that
//! has a short literal or none 1,700 and 2,700, where searching from each byte took 48,100; a hundred of them, or 200
//! with long literals alike, 2,700. Of fail2ban's failregexes on its own sample lines, hardly two of which are alike, all
//! are asked at once for 65,000, and with one address group each, which may begin anywhere, for 300,000.
//!
//! Text is bytes: a non-ASCII character of a pattern is its UTF-8 bytes, and `.`, `\W` or a negated class match
//! one byte, so a character of a UTF-8 text may take several of them. One thing is ours: `<HOST>` is a group that takes
//! an IP address ([`crate::address`]). Everything else is refused with the offset of the fault: see [`Error`].

mod compile;
mod exec;
mod literal;
mod parse;
pub mod seek;
mod set;
mod sieve;
pub mod steps;
mod sure;
#[cfg(test)]
mod tests;
mod tree;

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use compile::Program;
pub use exec::Scratch;
use exec::UNSET;
use parse::{Groups, parse};
use seek::{Literal, Places};
pub use sieve::Sieve;
pub use tree::Error;

/// What a pattern is matched with.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Text<'t> {
    /// Its bytes.
    pub bytes: &'t [u8],
    /// There was more, which is not known: `$`, `\Z`, `\b` and `\B` do not hold at the end.
    pub is_cut: bool,
    /// No newline is in it: nobody has to look for one.
    pub is_line: bool,
}

/// Bytes are all there is.
impl<'t, B: AsRef<[u8]> + ?Sized> From<&'t B> for Text<'t> {
    fn from(bytes: &'t B) -> Text<'t> {
        Text {
            bytes: bytes.as_ref(),
            is_cut: false,
            is_line: false,
        }
    }
}

/// A pattern ready to match. One that exists has bounded cost.
#[repr(C)]
pub struct Regex {
    /// Whether to try the quick way first.
    quick: bool,
    begins_firmly: bool,
    pattern: String,
    program: Program,
    /// What stands in every match, in the order of the pattern.
    literals: Vec<Vec<u8>>,
    /// What a text must hold to match, if there is such a thing and it is worth seeking first.
    telling: Option<Literal>,
    groups: Groups,
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// What Python rejects, what linear time rules out, and what is too large or too deep.
    pub fn new(pattern: &str) -> Result<Regex, Error> {
        let (node, groups) = parse(pattern.as_bytes())?;
        let literals = literal::required(&node);
        Ok(Regex {
            pattern: String::from(pattern),
            program: compile::compile(&node)?,
            quick: true,
            telling: literal::telling(&literals),
            literals,
            begins_firmly: node.begins_firmly() == Some(true),
            groups,
        })
    }

    /// The same without all that makes it fast, so that tests can compare the two.
    #[doc(hidden)]
    pub fn without_shortcuts(mut self) -> Regex {
        self.quick = false;
        self.telling = None;
        self
    }

    /// Number of states of its program.
    #[cfg(feature = "count-steps")]
    pub fn size(&self) -> usize {
        usize::from(self.program.states)
    }

    /// The text this was compiled from.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether every match begins at the start of a line or with a known character.
    pub fn begins_firmly(&self) -> bool {
        self.begins_firmly
    }

    /// Number of capture groups; the whole match, group 0, does not count.
    pub fn group_count(&self) -> usize {
        self.groups.count
    }

    /// Number of the group `(?P<name>...)`, counted from 1.
    pub fn group_named(&self, name: &[u8]) -> Option<usize> {
        let mut names = self.groups.names.iter();
        names
            .find(|(known, _)| known == name)
            .map(|(_, group)| *group)
    }

    /// The named groups, with their numbers counted from 1.
    pub fn group_names(&self) -> &[(Vec<u8>, usize)] {
        &self.groups.names
    }

    /// The groups that `<HOST>` stands for, by their numbers counted from 1.
    pub fn hosts(&self) -> &[usize] {
        &self.groups.hosts
    }

    /// Literals that stand in every match, in this order: a text without one of them is turned away at once.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.literals.iter().map(Vec::as_slice)
    }

    /// Whether in every match one of these groups took part. To find out, the pattern is read again.
    pub fn surely_captures(&self, is_one: &dyn Fn(usize) -> bool) -> bool {
        let parsed = parse(self.pattern.as_bytes());
        parsed.is_ok_and(|(node, _)| node.surely_captures(is_one))
    }

    /// Whether it matches in any line at all, as far as the pattern says. A record of the kernel's may hold newlines, a
    /// line none. To find out, the pattern is read again.
    pub fn fits_lines(&self, is_record: bool) -> bool {
        let known = if is_record { tree::RECORD } else { 0 };
        let parsed = parse(self.pattern.as_bytes());
        parsed.is_ok_and(|(node, _)| node.lead(known).is_some())
    }

    /// The one of them that tells most, which is sought first: empty if there is none.
    pub fn telling(&self) -> &[u8] {
        let telling = self.telling.as_ref();
        telling.map_or(&[], |literal| &literal.bytes)
    }

    /// False if a line has no match because it does not hold what every match does. `places` are those of this line.
    pub fn may_match(&self, line: &[u8], places: &mut Places) -> bool {
        let telling = self.telling.as_ref();
        telling.is_none_or(|literal| literal.is_in(line, places))
    }

    /// Whether there is a match anywhere in `text`: cheaper than [`Regex::captures`].
    pub fn is_match<'t>(&self, text: impl Into<Text<'t>>, scratch: &mut Scratch) -> bool {
        self.search(text.into(), scratch, 0)
    }

    /// The first match in `text`, with what its groups matched last.
    pub fn captures<'s, 't>(
        &self,
        text: impl Into<Text<'t>>,
        scratch: &'s mut Scratch,
    ) -> Option<Captures<'s>> {
        // OK because the parser limits the number of groups.
        let slot_count = (self.groups.count + 1) * 2;
        let found = self.search(text.into(), scratch, slot_count);
        found.then_some(Captures {
            slots: &scratch.slots,
        })
    }

    fn search(&self, text: Text, scratch: &mut Scratch, slot_count: usize) -> bool {
        scratch.search(&self.program, text, slot_count, self.quick)
    }
}

/// The places of a match and its groups, as byte offsets in the text.
pub struct Captures<'s> {
    slots: &'s [usize],
}

impl Captures<'_> {
    /// Where group `group` matched, 0 being the whole match. `None` if it took no part or does not exist.
    pub fn get(&self, group: usize) -> Option<Range<usize>> {
        let first = group.checked_mul(2)?;
        let start = *self.slots.get(first)?;
        let end = *self.slots.get(first.checked_add(1)?)?;
        (start != UNSET && end != UNSET).then_some(start..end)
    }

    /// Number of groups, group 0 included.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.slots.len() / 2
    }
}
