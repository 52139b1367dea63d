//! Pattern text to tree.
//!
//! Guarantees that what it accepts means here what it means to Python's `re` (3.11), down to a `{` that is no
//! quantifier and a `]` that closes no class, and that a refusal names the byte at fault. Flags are
//! resolved on the way: the tree knows only bytes, sets of bytes and assertions, so that `(?i)` costs later
//! stages nothing. Of the odd escapes: `\b` is a backspace in a class, `\012` is octal and so is `\112`, but `\12` refers to
//! a group.
//!
//! Recursion is by nesting of groups alone and ends at [`MAX_DEPTH`]. Refused: what linear time rules out
//! (backreferences, look-around, conditionals, atomic and possessive forms), verbose mode, and characters
//! that bytes cannot stand for (non-ASCII members of a class, or letters of unknown case).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::set::{DIGIT, SPACE_ASCII, SPACE_UNICODE, Set, WORD};
use super::tree::{Error, Fault, Look, Node, Repeat};
use crate::address::Reading;
use crate::text::{leading, until, whole};

/// Groups may be nested this deep, so that walking the tree needs little stack.
const MAX_DEPTH: usize = 50;
/// As many capture groups as there may be.
const MAX_GROUPS: usize = 99;

/// A set of the flags below: the bits are in the order of [`FLAG_LETTERS`].
type Flags = u8;
const IGNORE_CASE: Flags = 1;
const MULTI_LINE: Flags = 2;
const DOT_ALL: Flags = 4;
const ASCII: Flags = 8;
const UNICODE: Flags = 16;
/// The flags of which one at most may be given, for the whole pattern.
const CHARACTER_SET: Flags = ASCII | UNICODE;
const FLAG_LETTERS: [u8; 5] = [b'i', b'm', b's', b'a', b'u'];

/// Stands for an address of either family.
const HOST: &[u8] = b"<HOST>";

/// The capture groups of a pattern.
#[derive(Default)]
pub(super) struct Groups {
    pub count: usize,
    /// Names and the numbers of their groups.
    pub names: Vec<(Vec<u8>, usize)>,
    /// The numbers of the groups that `<HOST>` stands for.
    pub hosts: Vec<usize>,
}

/// Reads a whole pattern.
pub(super) fn parse(pattern: &[u8]) -> Result<(Node, Groups), Error> {
    let mut parser = Parser::default();
    match parser.whole(pattern) {
        Some(node) => Ok((node, parser.groups)),
        None => Err(Error {
            at: parser.at,
            message: parser.fault.message(),
        }),
    }
}

/// A character as the bytes that it is in UTF-8, the last of them lowest.
type Char = u32;
/// The last character that is one byte.
const MAX_ASCII: Char = 0x7f;

/// None if something is wrong: the parser knows what, and stands there.
type Parse<T> = Option<T>;

/// What an escape stands for.
enum Escape {
    Char(Char),
    /// The class that this letter names.
    Class(u8),
    Look(Look),
}

/// Letters that stand for characters behind a backslash, and those characters.
const LETTERS: &[u8; 6] = b"afnrtv";
const CONTROLS: &[u8; 6] = b"\x07\x0c\n\r\t\x0b";

/// A pattern and how far it is read.
#[derive(Default)]
#[repr(C)]
struct Parser<'p> {
    flags: Flags,
    /// What is wrong there.
    fault: Fault,
    pattern: &'p [u8],
    /// Where reading goes on, or what is at fault.
    at: usize,
    /// Up to here there were only flags for the whole pattern and comments, so more flags may follow.
    prelude_end: usize,
    depth: usize,
    groups: Groups,
    /// What has been read and is not yet part of something larger.
    nodes: Vec<Node>,
}

/// What is read is appended to `nodes`: to return it would be to copy it.
impl<'p> Parser<'p> {
    fn whole(&mut self, pattern: &'p [u8]) -> Parse<Node> {
        self.pattern = pattern;
        self.alternation()?;
        match self.peek() {
            // Only a `)` ends an alternation before the pattern does.
            Some(_) => self.fail(Fault::Unbalanced),
            None => self.nodes.pop(),
        }
    }

    fn alternation(&mut self) -> Parse<()> {
        let first = self.nodes.len();
        self.sequence()?;
        while self.eat(b'|') {
            self.sequence()?;
        }
        self.join(first, Node::Alternate);
        Some(())
    }

    fn sequence(&mut self) -> Parse<()> {
        let first = self.nodes.len();
        // What is wrong with a quantifier here, if anything.
        let mut fault = Fault::NothingToRepeat;
        while let Some(byte) = self.peek() {
            let (at, before) = (self.at, self.nodes.len());
            match byte {
                b'|' | b')' => break,
                b'(' => {
                    self.group()?;
                    // Flags and comments are nothing.
                    if self.nodes.len() > before {
                        fault = Fault::Nothing;
                    }
                    continue;
                }
                b'*' | b'+' | b'?' | b'{' => {
                    if let Some((min, max)) = self.quantifier()? {
                        if fault != Fault::Nothing {
                            return self.fail_at(at, fault);
                        }
                        self.repeat(min, max, at)?;
                        fault = Fault::MultipleRepeat;
                        continue;
                    }
                }
                _ => {}
            }
            self.atom()?;
            fault = match self.nodes.last() {
                Some(Node::Look(_)) => Fault::NothingToRepeat,
                _ => Fault::Nothing,
            };
        }
        self.join(first, Node::Concat);
        Some(())
    }

    /// Reads a quantifier up to its suffix; a `{` that starts none stays unread.
    fn quantifier(&mut self) -> Parse<Option<(u32, Option<u32>)>> {
        let start = self.at;
        match self.next() {
            Some(b'*') => return Some(Some((0, None))),
            Some(b'+') => return Some(Some((1, None))),
            Some(b'?') => return Some(Some((0, Some(1)))),
            _ => {}
        }
        let first = self.at;
        let min = self.number()?;
        let max = if self.eat(b',') { self.number()? } else { min };
        if self.at == first || !self.eat(b'}') {
            self.at = start;
            return Some(None);
        }
        let min = min.unwrap_or(0);
        if max.is_some_and(|max| max < min) {
            return self.fail_at(first, Fault::RepeatOrder);
        }
        Some(Some((min, max)))
    }

    #[inline(never)]
    fn number(&mut self) -> Parse<Option<u32>> {
        let digits = leading(self.rest(self.at), u8::is_ascii_digit);
        if digits.is_empty() {
            return Some(None);
        }
        let number = whole(digits);
        if number.is_none() {
            return self.fail(Fault::RepeatCount);
        }
        self.at += digits.len();
        Some(number)
    }

    /// Repeats the last of `nodes`.
    fn repeat(&mut self, min: u32, max: Option<u32>, at: usize) -> Parse<()> {
        if self.peek() == Some(b'+') {
            return self.fail(Fault::Possessive);
        }
        let greedy = !self.eat(b'?');
        let node = self.nodes.pop().unwrap_or(Node::Empty);
        self.nodes.push(Node::Repeat(Box::new(Repeat {
            nullable: node.nullable(),
            node,
            min,
            max,
            greedy,
            at,
        })));
        Some(())
    }

    fn group(&mut self) -> Parse<()> {
        let start = self.at;
        self.next();
        let outer = self.flags;
        let mut number = None;
        if self.eat(b'?') {
            let mark = self.at;
            match self.next() {
                Some(b':') => {}
                Some(b'P') => number = Some(self.named_group(start)?),
                Some(b'#') => return self.comment(start),
                Some(b'-' | b'a'..=b'z' | b'A'..=b'Z') => {
                    self.at = mark;
                    if self.flags(start)? {
                        return Some(());
                    }
                }
                Some(b'=' | b'!') => return self.fail_at(start, Fault::Lookahead),
                Some(b'<') if matches!(self.peek(), Some(b'=' | b'!')) => {
                    return self.fail_at(start, Fault::Lookbehind);
                }
                Some(b'(') => return self.fail_at(start, Fault::Conditional),
                Some(b'>') => return self.fail_at(start, Fault::Atomic),
                Some(_) => return self.fail_at(start + 1, Fault::ExtensionUnknown),
                None => return self.fail_at(start, Fault::ExtensionMissing),
            }
        } else {
            number = Some(self.open_group(start)?);
        }
        self.group_body(start)?;
        self.flags = outer;
        if let Some(number) = number
            && let Some(node) = self.nodes.pop()
        {
            self.nodes.push(Node::Group(number, Box::new(node)));
        }
        Some(())
    }

    fn group_body(&mut self, start: usize) -> Parse<()> {
        if self.depth == MAX_DEPTH {
            return self.fail_at(start, Fault::TooDeep);
        }
        self.depth += 1;
        self.alternation()?;
        self.depth -= 1;
        if !self.eat(b')') {
            return self.fail_at(start, Fault::UnclosedGroup);
        }
        Some(())
    }

    fn open_group(&mut self, at: usize) -> Parse<u16> {
        if self.groups.count == MAX_GROUPS {
            return self.fail_at(at, Fault::TooManyGroups);
        }
        self.groups.count += 1;
        // OK because MAX_GROUPS fits.
        Some(self.groups.count as u16)
    }

    fn comment(&mut self, start: usize) -> Parse<()> {
        loop {
            match self.next() {
                Some(b')') => break,
                // An escaped `)` ends no comment in Python either.
                Some(b'\\') => _ = self.next(),
                Some(_) => {}
                None => return self.fail_at(start, Fault::UnclosedComment),
            }
        }
        self.extend_prelude(start);
        Some(())
    }

    fn extend_prelude(&mut self, start: usize) {
        if start == self.prelude_end {
            self.prelude_end = self.at;
        }
    }

    fn named_group(&mut self, start: usize) -> Parse<u16> {
        match self.next() {
            Some(b'<') => {}
            Some(b'=') => return self.fail_at(start, Fault::NamedBackreference),
            _ => return self.fail_at(start + 1, Fault::ExtensionPUnknown),
        }
        let first = self.at;
        let rest = self.rest(first);
        let name = until(rest, b'>');
        if name.len() == rest.len() {
            return self.fail_at(first, Fault::UnclosedName);
        }
        if name.is_empty() {
            return self.fail_at(first, Fault::NameMissing);
        }
        let digit_first = name.first().is_some_and(u8::is_ascii_digit);
        if digit_first || !name.iter().all(|byte| WORD.contains(*byte)) {
            return self.fail_at(first, Fault::NameInvalid);
        }
        if self.groups.names.iter().any(|(taken, _)| taken == name) {
            return self.fail_at(first, Fault::NameTwice);
        }
        let number = self.open_group(start)?;
        self.groups.names.push((name.to_vec(), self.groups.count));
        self.at = first + name.len() + 1;
        Some(number)
    }

    /// Reads flags after `(?`. True if they were for the whole pattern, so that the group is over.
    fn flags(&mut self, start: usize) -> Parse<bool> {
        let first = self.at;
        let on = self.flag_letters()?;
        let mut off = 0;
        if self.eat(b'-') {
            let at = self.at;
            off = self.flag_letters()?;
            if on & off != 0 {
                return self.fail_at(at, Fault::FlagBoth);
            }
            if off == 0 || self.peek() != Some(b':') {
                return self.fail(Fault::FlagOffUnfinished);
            }
        }
        let end = self.at;
        match self.next() {
            // For a part, Python gets them wrong: `(?a:\S)` does not find a \x1c.
            Some(b':') if (on | off) & CHARACTER_SET != 0 => self.fail_at(first, Fault::FlagScoped),
            Some(b':') => {
                self.flags = self.flags & !off | on;
                Some(false)
            }
            Some(b')') if start != self.prelude_end => self.fail_at(start, Fault::FlagsLate),
            Some(b')') => {
                self.flags |= on;
                if self.flags & CHARACTER_SET == CHARACTER_SET {
                    return self.fail_at(first, Fault::FlagConflict);
                }
                self.extend_prelude(start);
                Some(true)
            }
            _ => self.fail_at(end, Fault::FlagUnfinished),
        }
    }

    fn flag_letters(&mut self) -> Parse<Flags> {
        let mut flags = 0;
        while let Some(byte) = self.peek() {
            match FLAG_LETTERS.iter().position(|&letter| letter == byte) {
                Some(bit) => flags |= 1 << bit,
                None if byte == b'x' => return self.fail(Fault::FlagVerbose),
                None if byte == b'L' => return self.fail(Fault::FlagLocale),
                None if byte.is_ascii_alphabetic() => return self.fail(Fault::FlagUnknown),
                None => break,
            }
            self.at += 1;
        }
        Some(flags)
    }

    /// Reads one item that is neither group nor quantifier.
    fn atom(&mut self) -> Parse<()> {
        let at = self.at;
        let multi_line = self.flags & MULTI_LINE != 0;
        let escape = match self.next() {
            Some(b'^') if multi_line => Escape::Look(Look::LineStart),
            Some(b'^') => Escape::Look(Look::TextStart),
            Some(b'$') if multi_line => Escape::Look(Look::LineEnd),
            Some(b'$') => Escape::Look(Look::TextEndOrNewline),
            Some(b'.') => Escape::Class(b'.'),
            Some(b'[') => {
                let mut set = Set::EMPTY;
                self.class(at, &mut set)?;
                self.push_set(&set);
                return Some(());
            }
            Some(b'\\') => self.escape(at)?,
            Some(b'<') if self.rest(at).starts_with(HOST) => {
                self.at = at + HOST.len();
                return self.host(at);
            }
            Some(first) => Escape::Char(self.character(first)),
            None => return Some(()),
        };
        match escape {
            Escape::Char(char) => self.literal(char, at),
            Escape::Class(letter) => {
                let mut set = Set::EMPTY;
                self.add_class(letter, &mut set);
                self.push_set(&set);
                Some(())
            }
            Escape::Look(look) => {
                self.nodes.push(Node::Look(look));
                Some(())
            }
        }
    }

    /// A group that takes an address; IPv6's may stand in brackets.
    fn host(&mut self, at: usize) -> Parse<()> {
        let number = self.open_group(at)?;
        self.groups.hosts.push(usize::from(number));
        let group = |host| Node::Group(number, Box::new(host));
        let whole = || Node::Host(Reading::Whole);
        let in_brackets = [Node::Byte(b'['), group(whole()), Node::Byte(b']')];
        let either = [whole(), Node::Host(Reading::BeforePort)];
        let ways = [
            Node::Concat(Vec::from(in_brackets)),
            group(Node::Alternate(Vec::from(either))),
        ];
        self.nodes.push(Node::Alternate(Vec::from(ways)));
        Some(())
    }

    fn literal(&mut self, char: Char, at: usize) -> Parse<()> {
        let bytes = char.to_be_bytes();
        if self.flags & IGNORE_CASE != 0 {
            if let [0, 0, 0, letter] = bytes
                && letter.is_ascii_alphabetic()
            {
                let mut set = Set::from(letter);
                set.ignore_case();
                self.push_set(&set);
                return Some(());
            }
            // Python knows letters outside ASCII that equal ASCII ones in all but case (the Kelvin sign and k).
            if char > MAX_ASCII && self.flags & ASCII == 0 {
                return self.fail_at(at, Fault::CaseNonAscii);
            }
        }
        let first = self.nodes.len();
        for (index, byte) in bytes.into_iter().enumerate() {
            if index == 3 || byte != 0 {
                self.nodes.push(Node::Byte(byte));
            }
        }
        self.join(first, Node::Concat);
        Some(())
    }

    #[inline(never)]
    fn push_set(&mut self, set: &Set) {
        self.nodes.push(Node::Set(Box::new(*set)));
    }

    /// Makes one of all nodes from the `first` one on.
    #[inline(never)]
    fn join(&mut self, first: usize, join: fn(Vec<Node>) -> Node) {
        let node = match self.nodes.len() - first {
            0 => Node::Empty,
            1 => return,
            _ => join(self.nodes.split_off(first)),
        };
        self.nodes.push(node);
    }

    fn fail<T>(&mut self, fault: Fault) -> Parse<T> {
        self.fail_at(self.at, fault)
    }

    fn fail_at<T>(&mut self, at: usize, fault: Fault) -> Parse<T> {
        self.at = at;
        self.fault = fault;
        None
    }

    /// The pattern from `at` on.
    #[inline(never)]
    fn rest(&self, at: usize) -> &'p [u8] {
        self.pattern.get(at..).unwrap_or_default()
    }

    #[inline(never)]
    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The whole character whose first byte was read last.
    #[inline(never)]
    fn character(&mut self, first: u8) -> Char {
        let mut char = Char::from(first);
        while let Some(more @ 0x80..0xc0) = self.peek() {
            char = char << 8 | Char::from(more);
            self.at += 1;
        }
        char
    }

    #[inline(never)]
    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Reads a class whose `[` is at `start` into `set`, which is empty.
    fn class(&mut self, start: usize, set: &mut Set) -> Parse<()> {
        let negated = self.eat(b'^');
        let mut first = true;
        loop {
            let at = self.at;
            match self.rest(at) {
                [] => return self.fail_at(start, Fault::UnclosedClass),
                [b']', ..] if !first => break,
                // Python takes it for a [ and a :, which nobody means.
                [b'[', b':', ..] => return self.fail_at(at, Fault::ClassPosix),
                _ => {}
            }
            first = false;
            let low = self.class_member()?;
            if !self.is_range() {
                match low {
                    Escape::Char(char) => set.insert(self.member_byte(char, at)?),
                    Escape::Class(letter) => self.add_class(letter, set),
                    Escape::Look(_) => return self.fail_at(at, Fault::ClassAssertion),
                }
                continue;
            }
            self.next();
            let high_at = self.at;
            if self.peek().is_none() {
                continue;
            }
            let (Escape::Char(low), Escape::Char(high)) = (low, self.class_member()?) else {
                return self.fail_at(at, Fault::RangeEnds);
            };
            let (low, high) = (self.member_byte(low, at)?, self.member_byte(high, high_at)?);
            if low > high {
                return self.fail_at(at, Fault::RangeOrder);
            }
            set.insert_range(low, high);
        }
        self.next();
        if self.flags & IGNORE_CASE != 0 {
            set.ignore_case();
        }
        if negated {
            set.0.iter_mut().for_each(|word| *word = !*word);
        }
        Some(())
    }

    /// Adds what a dot stands for, or the escape with this letter: the other class, if it is a capital.
    #[inline(never)]
    fn add_class(&self, letter: u8, set: &mut Set) {
        let class = match letter {
            b'.' if self.flags & DOT_ALL != 0 => return set.add(&Set::EMPTY, true),
            b'.' => &Set::LINE,
            b'd' | b'D' => &DIGIT,
            b'w' | b'W' => &WORD,
            _ if self.flags & ASCII != 0 => &SPACE_ASCII,
            _ => &SPACE_UNICODE,
        };
        set.add(class, letter.is_ascii_uppercase());
    }

    /// Whether a `-` follows that is not the last of its class.
    fn is_range(&self) -> bool {
        self.peek() == Some(b'-') && self.pattern.get(self.at + 1) != Some(&b']')
    }

    fn class_member(&mut self) -> Parse<Escape> {
        let at = self.at;
        // OK because the caller has seen one.
        let first = self.next()?;
        if first != b'\\' {
            return Some(Escape::Char(self.character(first)));
        }
        match self.peek() {
            Some(b'b') => {
                self.next();
                Some(Escape::Char(0x08))
            }
            Some(b'0'..=b'7') => self.coded(at, 8, 3),
            _ => self.escape(at),
        }
    }

    /// Reads what follows the backslash at `at`.
    fn escape(&mut self, at: usize) -> Parse<Escape> {
        let Some(first) = self.next() else {
            return self.fail_at(at, Fault::EscapeEnd);
        };
        let mut controls = LETTERS.iter().zip(CONTROLS);
        if let Some((_, control)) = controls.find(|(letter, _)| **letter == first) {
            return Some(Escape::Char(Char::from(*control)));
        }
        Some(match first {
            b'A' => Escape::Look(Look::TextStart),
            b'Z' => Escape::Look(Look::TextEnd),
            b'b' => Escape::Look(Look::WordBoundary),
            b'B' => Escape::Look(Look::NotWordBoundary),
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' => Escape::Class(first),
            b'x' => return self.coded(at, 16, 2),
            b'u' => return self.coded(at, 16, 4),
            b'U' => return self.coded(at, 16, 8),
            b'0' => return self.coded(at, 8, 3),
            // Fewer than three digits refer to a group.
            b'1'..=b'9'
                if matches!(
                    self.rest(at),
                    [_, b'0'..=b'7', b'0'..=b'7', b'0'..=b'7', ..]
                ) =>
            {
                return self.coded(at, 8, 3);
            }
            b'1'..=b'9' => return self.fail_at(at, Fault::Backreference),
            b'N' => return self.fail_at(at, Fault::EscapeNamed),
            b'p' | b'P' => return self.fail_at(at, Fault::EscapeProperty),
            b'A'..=b'Z' | b'a'..=b'z' => return self.fail_at(at, Fault::EscapeUnknown),
            _ => Escape::Char(self.character(first)),
        })
    }

    /// Reads the digits of the escape at `at`: `most` octal ones or fewer, or just that many hexadecimal ones.
    #[inline(never)]
    fn coded(&mut self, at: usize, radix: u32, most: usize) -> Parse<Escape> {
        // Behind the backslash and, of hexadecimal ones, a letter.
        self.at = at + 1 + usize::from(radix == 16);
        let (mut value, end) = (0, self.at + most);
        while self.at < end
            && let Some(byte) = self.peek()
            && let Some(digit) = char::from(byte).to_digit(radix)
        {
            // OK because there are at most eight digits of four bits.
            value = value * radix + digit;
            self.at += 1;
        }
        if radix == 16 && self.at < end {
            return self.fail_at(at, Fault::EscapeDigits);
        }
        if radix == 8 && value > 0o377 {
            return self.fail_at(at, Fault::EscapeOctal);
        }
        let Some(char) = char::from_u32(value) else {
            return self.fail_at(at, Fault::EscapeCodePoint);
        };
        let mut bytes = [0; 4];
        let bytes = char.encode_utf8(&mut bytes).bytes();
        let char = bytes.fold(0, |char, byte| char << 8 | Char::from(byte));
        Some(Escape::Char(char))
    }

    fn member_byte(&mut self, char: Char, at: usize) -> Parse<u8> {
        if char > MAX_ASCII {
            return self.fail_at(at, Fault::ClassNonAscii);
        }
        // OK because ASCII fits a byte.
        Some(char as u8)
    }
}
