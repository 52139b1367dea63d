//! What a pattern means, once flags, escapes and classes are resolved: bytes, sets of bytes, assertions, and how they
//! are put together.
//!
//! A tree that exists is nested no deeper than the parser allows, so walking it by recursion is safe; its repetitions
//! are not written out yet, so nothing is known about the size of its program.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Text;
use super::set::{SPACE_UNICODE, Set, WORD};
use crate::address::Reading;

/// Why a pattern is refused.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Error {
    /// Offset in the pattern, in bytes, of what is at fault; at most its length.
    pub at: usize,
    pub message: &'static [u8],
}

faults! {
    TooLarge: "pattern is too large (repetitions count as often as they repeat)",
    TooDeep: "groups are nested too deeply",
    TooManyGroups: "too many capture groups",
    Unbalanced: "unbalanced parenthesis",
    UnclosedGroup: "unclosed group",
    UnclosedComment: "unclosed comment",
    UnclosedName: "unclosed group name",
    NameMissing: "missing group name",
    NameInvalid: "bad character in group name",
    NameTwice: "group name is used twice",
    ExtensionMissing: "pattern ends after (?",
    ExtensionUnknown: "unknown extension after (? (a named group is (?P<name>...))",
    ExtensionPUnknown: "unknown extension after (?P",
    NamedBackreference: "named backreferences are not supported",
    Lookahead: "look-ahead is not supported (\"ignore\" leaves lines out)",
    Lookbehind: "look-behind is not supported",
    Conditional: "conditional groups are not supported",
    Atomic: "atomic groups are not supported",
    Possessive: "possessive quantifiers are not supported",
    FlagUnfinished: "flags must end in : or )",
    FlagOffUnfinished: "flags to turn off must end in :",
    FlagUnknown: "unknown flag",
    FlagVerbose: "verbose mode (?x) is not supported",
    FlagLocale: "locale mode (?L) is not supported",
    FlagConflict: "flags a and u exclude each other",
    FlagScoped: "flags a and u can only be set for the whole pattern",
    FlagBoth: "flag is turned on and off",
    FlagsLate: "flags for the whole pattern must stand at its start",
    NothingToRepeat: "nothing to repeat (any text is .*)",
    MultipleRepeat: "multiple repeat: one quantifier follows another",
    RepeatOrder: "repetition has its minimum above its maximum",
    RepeatCount: "repetition count is too large",
    CaseNonAscii: "only ASCII can ignore case: write (?-i:...) around this character",
    UnclosedClass: "unclosed character class",
    RangeEnds: "a range must begin and end in single characters",
    RangeOrder: "range has its first character above its last",
    ClassAssertion: "an assertion cannot be a member of a class",
    ClassPosix: "POSIX classes are not supported: [:digit:] is written 0-9",
    ClassNonAscii: "a character class can only hold ASCII characters",
    EscapeEnd: "pattern ends in a backslash",
    EscapeUnknown: "unknown escape",
    EscapeDigits: "escape has too few hexadecimal digits",
    EscapeOctal: "octal escape is above \\377",
    EscapeCodePoint: "escape is not a character",
    EscapeNamed: "named characters \\N{...} are not supported",
    EscapeProperty: "Unicode properties \\p are not supported",
    Backreference: "backreferences are not supported",
}

/// A pattern, understood.
pub(super) enum Node {
    Empty,
    Byte(u8),
    Set(Box<Set>),
    Look(Look),
    /// An IP address, as far as this reading of it goes.
    Host(Reading),
    /// A capture group; its number counts from 1.
    Group(u16, Box<Node>),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat(Box<Repeat>),
}

pub(super) struct Repeat {
    pub node: Node,
    pub min: u32,
    /// `None` is no limit; otherwise not below `min`.
    pub max: Option<u32>,
    pub greedy: bool,
    /// Whether `node` might match the empty string.
    pub nullable: bool,
    /// Offset of the quantifier in the pattern.
    pub at: usize,
}

/// What is known of a place in a line, for [`Node::lead`]: that it is the start,
const START: u32 = 1;
/// that it is not,
const INSIDE: u32 = 2;
/// that it is the end,
const END: u32 = 4;
/// that a blank stands before it,
const BLANK: u32 = 8;
/// or, of all places, that the line may hold newlines.
pub(super) const RECORD: u32 = 16;

/// A condition on the place between two bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    TextStart,
    TextEnd,
    /// `$`: at the end or before a newline that ends the text.
    TextEndOrNewline,
    LineStart,
    LineEnd,
    WordBoundary,
    NotWordBoundary,
}

impl Look {
    /// Whether an assertion holds at a place.
    pub fn holds(self, text: Text, at: usize) -> bool {
        let Text {
            bytes: text,
            is_cut,
            ..
        } = text;
        let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
        let after = text.get(at).copied();
        let is_end = after.is_none() && !is_cut;
        let is_last = text.len() - at == 1 && !is_cut;
        // What is behind a cut is not known, so nothing is said about it.
        let is_known = after.is_some() || !is_cut;
        let is_word = |byte: Option<u8>| byte.is_some_and(|byte| WORD.contains(byte));
        match self {
            Look::TextStart => before.is_none(),
            Look::TextEnd => is_end,
            Look::TextEndOrNewline => is_end || (after == Some(b'\n') && is_last),
            Look::LineStart => before.is_none_or(|byte| byte == b'\n'),
            Look::LineEnd => is_end || after == Some(b'\n'),
            Look::WordBoundary => is_known && is_word(before) != is_word(after),
            // Python before 3.14 finds no such place in an empty text.
            Look::NotWordBoundary => {
                is_known && is_word(before) == is_word(after) && !text.is_empty()
            }
        }
    }
}

impl Node {
    /// Whether this might match the empty string.
    pub fn nullable(&self) -> bool {
        match self {
            Node::Empty | Node::Look(_) => true,
            Node::Byte(_) | Node::Set(_) | Node::Host(_) => false,
            Node::Group(_, node) => node.nullable(),
            Node::Concat(nodes) => nodes.iter().all(Node::nullable),
            Node::Alternate(nodes) => nodes.iter().any(Node::nullable),
            Node::Repeat(repeat) => repeat.min == 0 || repeat.nullable,
        }
    }

    /// The bytes it matches, if it matches one byte.
    pub fn as_set(&self) -> Option<Set> {
        match self {
            Node::Byte(byte) => Some(Set::from(*byte)),
            Node::Set(set) => Some(**set),
            _ => None,
        }
    }

    /// Whether every match takes it through one of these groups.
    pub fn surely_captures(&self, is_one: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Node::Group(number, node) => {
                is_one(usize::from(*number)) || node.surely_captures(is_one)
            }
            Node::Concat(nodes) => nodes.iter().any(|node| node.surely_captures(is_one)),
            Node::Alternate(nodes) => nodes.iter().all(|node| node.surely_captures(is_one)),
            Node::Repeat(repeat) => repeat.min > 0 && repeat.node.surely_captures(is_one),
            Node::Empty | Node::Byte(_) | Node::Set(_) | Node::Look(_) | Node::Host(_) => false,
        }
    }

    /// What is known of the place behind it, given what is known of the one before it. None if it matches in no line:
    /// these hold no newline, and neither begin nor end with a blank.
    pub fn lead(&self, known: u32) -> Option<u32> {
        let common = |one: u32, other: u32| one & other;
        match self {
            Node::Empty | Node::Look(Look::WordBoundary | Look::NotWordBoundary) => Some(known),
            Node::Look(Look::LineStart | Look::LineEnd) if known & RECORD != 0 => Some(known),
            Node::Look(Look::TextStart | Look::LineStart) => {
                (known & INSIDE == 0).then_some(known | START)
            }
            Node::Look(_) => (known & BLANK == 0).then_some(known | END),
            Node::Group(_, node) => node.lead(known),
            Node::Concat(nodes) => nodes.iter().try_fold(known, |known, node| node.lead(known)),
            Node::Alternate(nodes) => {
                let ends = nodes.iter().filter_map(|node| node.lead(known));
                ends.reduce(common)
            }
            Node::Repeat(repeat) => {
                let none = (repeat.min == 0).then_some(known);
                let once = repeat.node.lead(known);
                // Whatever was known at first holds no longer, but that there is something before.
                let more = once.and_then(|_| repeat.node.lead(known & (INSIDE | RECORD)));
                [none, once, more].into_iter().flatten().reduce(common)
            }
            Node::Byte(_) | Node::Set(_) | Node::Host(_) => {
                let mut is_blank = false;
                if let Some(mut set) = self.as_set() {
                    if known & RECORD == 0 {
                        set.remove_newline();
                    }
                    is_blank = set.is_within(&SPACE_UNICODE);
                    if set == Set::EMPTY || (is_blank && known & START != 0) {
                        return None;
                    }
                }
                let behind = INSIDE | if is_blank { BLANK } else { 0 };
                (known & END == 0).then_some(known & RECORD | behind)
            }
        }
    }

    /// Whether every match begins at the start of a line or with a known character, of either case. None if this says
    /// nothing about it, and what follows has to.
    pub fn begins_firmly(&self) -> Option<bool> {
        match self {
            Node::Look(Look::TextStart | Look::LineStart) | Node::Byte(_) => Some(true),
            Node::Set(set) => Some(set.len() <= 2),
            Node::Host(_) => Some(false),
            Node::Empty | Node::Look(_) => None,
            Node::Group(_, node) => node.begins_firmly(),
            Node::Concat(nodes) => nodes.iter().find_map(Node::begins_firmly),
            Node::Alternate(nodes) => {
                Some(nodes.iter().all(|node| node.begins_firmly() == Some(true)))
            }
            Node::Repeat(repeat) => {
                Some(repeat.min > 0 && repeat.node.begins_firmly() == Some(true))
            }
        }
    }
}
