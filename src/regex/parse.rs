//! Pattern text to tree.
//!
//! Guarantees that what it accepts means here what it means to Python's `re` (3.11), down to a `{` that is no
//! quantifier and a `]` that closes no class, and that a refusal names the byte at fault. Flags are
//! resolved on the way: the tree knows only bytes, sets of bytes and assertions, so that `(?i)` costs later
//! stages nothing.
//!
//! Recursion is by nesting of groups alone and ends at [`MAX_DEPTH`]. Refused: what linear time rules out
//! (backreferences, look-around, conditionals, atomic and possessive forms), verbose mode, and characters
//! that bytes cannot stand for (non-ASCII members of a class, or letters of unknown case).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::escape::Escape;
use super::set::{Set, WORD};
use super::tree::{Error, Look, Node, Repeat};
use crate::address::Reading;

/// Groups may be nested this deep, so that walking the tree needs little stack.
const MAX_DEPTH: usize = 50;
/// As many capture groups as there may be.
const MAX_GROUPS: usize = 99;

const ERR_TOO_DEEP: &str = "groups are nested too deeply";
const ERR_TOO_MANY_GROUPS: &str = "too many capture groups";
const ERR_UNBALANCED: &str = "unbalanced parenthesis";
const ERR_UNCLOSED_GROUP: &str = "unclosed group";
const ERR_UNCLOSED_COMMENT: &str = "unclosed comment";
const ERR_UNCLOSED_NAME: &str = "unclosed group name";
const ERR_NAME_MISSING: &str = "missing group name";
const ERR_NAME_INVALID: &str = "bad character in group name";
const ERR_NAME_TWICE: &str = "group name is used twice";
const ERR_EXTENSION_MISSING: &str = "pattern ends after (?";
const ERR_EXTENSION_UNKNOWN: &str = "unknown extension after (? (a named group is (?P<name>...))";
const ERR_EXTENSION_P_UNKNOWN: &str = "unknown extension after (?P";
const ERR_NAMED_BACKREFERENCE: &str = "named backreferences are not supported";
const ERR_LOOKAHEAD: &str = "look-ahead is not supported (\"ignore\" leaves lines out)";
const ERR_LOOKBEHIND: &str = "look-behind is not supported";
const ERR_CONDITIONAL: &str = "conditional groups are not supported";
const ERR_ATOMIC: &str = "atomic groups are not supported";
const ERR_POSSESSIVE: &str = "possessive quantifiers are not supported";
const ERR_FLAG_UNFINISHED: &str = "flags must end in : or )";
const ERR_FLAG_OFF_UNFINISHED: &str = "flags to turn off must end in :";
const ERR_FLAG_UNKNOWN: &str = "unknown flag";
const ERR_FLAG_VERBOSE: &str = "verbose mode (?x) is not supported";
const ERR_FLAG_LOCALE: &str = "locale mode (?L) is not supported";
const ERR_FLAG_CONFLICT: &str = "flags a and u exclude each other";
const ERR_FLAG_SCOPED: &str = "flags a and u can only be set for the whole pattern";
const ERR_FLAG_BOTH: &str = "flag is turned on and off";
const ERR_FLAGS_LATE: &str = "flags for the whole pattern must stand at its start";
const ERR_NOTHING_TO_REPEAT: &str = "nothing to repeat (any text is .*)";
const ERR_MULTIPLE_REPEAT: &str = "multiple repeat: one quantifier follows another";
const ERR_REPEAT_ORDER: &str = "repetition has its minimum above its maximum";
const ERR_REPEAT_COUNT: &str = "repetition count is too large";
const ERR_CASE_NON_ASCII: &str =
    "only ASCII can ignore case: write (?-i:...) around this character";

/// A set of the flags below: the bits are in the order of [`FLAG_LETTERS`].
pub(super) type Flags = u8;
pub(super) const IGNORE_CASE: Flags = 1;
pub(super) const MULTI_LINE: Flags = 2;
pub(super) const DOT_ALL: Flags = 4;
pub(super) const ASCII: Flags = 8;
pub(super) const UNICODE: Flags = 16;
/// The flags of which one at most may be given, for the whole pattern.
pub(super) const CHARACTER_SET: Flags = ASCII | UNICODE;
pub(super) const FLAG_LETTERS: [u8; 5] = [b'i', b'm', b's', b'a', b'u'];

/// Stands for an address of either family.
const HOST: &[u8] = b"<HOST>";

fn is_host(rest: &[u8]) -> bool {
    rest.starts_with(HOST)
}

/// What a pattern says.
pub(super) struct Parsed {
    pub node: Node,
    pub group_count: usize,
    /// Names and the numbers of their groups.
    pub names: Vec<(Vec<u8>, usize)>,
    /// The numbers of the groups that `<HOST>` stands for.
    pub hosts: Vec<usize>,
}

/// Reads a whole pattern.
pub(super) fn parse(pattern: &[u8]) -> Result<Parsed, Error> {
    let mut parser = Parser {
        pattern,
        ..Parser::default()
    };
    if parser.whole().is_none() {
        return Err(Error {
            at: parser.at,
            message: parser.message,
        });
    }
    Ok(Parsed {
        node: parser.nodes.pop().unwrap_or(Node::Empty),
        group_count: parser.group_count,
        names: parser.names,
        hosts: parser.hosts,
    })
}

/// A character as the bytes that it is in UTF-8, the last of them lowest.
pub(super) type Char = u32;
/// The last character that is one byte.
pub(super) const MAX_ASCII: Char = 0x7f;

/// None if something is wrong: the parser knows what, and stands there.
pub(super) type Parse<T> = Option<T>;

/// A pattern and how far it is read.
#[derive(Default)]
pub(super) struct Parser<'p> {
    pub pattern: &'p [u8],
    /// Where reading goes on, or what is at fault.
    pub at: usize,
    pub flags: Flags,
    /// What is wrong there.
    message: &'static str,
    /// Up to here there were only flags for the whole pattern and comments, so more flags may follow.
    prelude_end: usize,
    depth: usize,
    group_count: usize,
    names: Vec<(Vec<u8>, usize)>,
    hosts: Vec<usize>,
    /// What has been read and is not yet part of something larger.
    nodes: Vec<Node>,
}

/// What is read is appended to `nodes`: to return it would be to copy it.
impl Parser<'_> {
    fn whole(&mut self) -> Parse<()> {
        self.alternation()?;
        match self.peek() {
            // Only a `)` ends an alternation before the pattern does.
            Some(_) => self.fail(ERR_UNBALANCED),
            None => Some(()),
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
        let mut fault = ERR_NOTHING_TO_REPEAT;
        while let Some(byte) = self.peek() {
            let (at, before) = (self.at, self.nodes.len());
            match byte {
                b'|' | b')' => break,
                b'(' => {
                    self.group()?;
                    // Flags and comments are nothing.
                    if self.nodes.len() > before {
                        fault = "";
                    }
                    continue;
                }
                b'*' | b'+' | b'?' | b'{' => {
                    if let Some((min, max)) = self.quantifier()? {
                        if !fault.is_empty() {
                            return self.fail_at(at, fault);
                        }
                        self.repeat(min, max, at)?;
                        fault = ERR_MULTIPLE_REPEAT;
                        continue;
                    }
                }
                _ => {}
            }
            self.atom()?;
            fault = match self.nodes.last() {
                Some(Node::Look(_)) => ERR_NOTHING_TO_REPEAT,
                _ => "",
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
            return self.fail_at(first, ERR_REPEAT_ORDER);
        }
        Some(Some((min, max)))
    }

    #[inline(never)]
    fn number(&mut self) -> Parse<Option<u32>> {
        let start = self.at;
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let more = number.unwrap_or(0u32).checked_mul(10);
            number = more.and_then(|tens| tens.checked_add(u32::from(digit - b'0')));
            if number.is_none() {
                return self.fail_at(start, ERR_REPEAT_COUNT);
            }
            self.at += 1;
        }
        Some(number)
    }

    /// Repeats the last of `nodes`.
    fn repeat(&mut self, min: u32, max: Option<u32>, at: usize) -> Parse<()> {
        if self.peek() == Some(b'+') {
            return self.fail(ERR_POSSESSIVE);
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
            let message = match self.next() {
                Some(b':') => "",
                Some(b'P') => {
                    number = Some(self.named_group(start)?);
                    ""
                }
                Some(b'#') => return self.comment(start),
                Some(b'-' | b'a'..=b'z' | b'A'..=b'Z') => {
                    self.at = mark;
                    if self.flags(start)? {
                        return Some(());
                    }
                    ""
                }
                Some(b'=' | b'!') => ERR_LOOKAHEAD,
                Some(b'<') if matches!(self.peek(), Some(b'=' | b'!')) => ERR_LOOKBEHIND,
                Some(b'(') => ERR_CONDITIONAL,
                Some(b'>') => ERR_ATOMIC,
                Some(_) => return self.fail_at(start + 1, ERR_EXTENSION_UNKNOWN),
                None => ERR_EXTENSION_MISSING,
            };
            if !message.is_empty() {
                return self.fail_at(start, message);
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
            return self.fail_at(start, ERR_TOO_DEEP);
        }
        self.depth += 1;
        self.alternation()?;
        self.depth -= 1;
        if !self.eat(b')') {
            return self.fail_at(start, ERR_UNCLOSED_GROUP);
        }
        Some(())
    }

    fn open_group(&mut self, at: usize) -> Parse<u16> {
        if self.group_count == MAX_GROUPS {
            return self.fail_at(at, ERR_TOO_MANY_GROUPS);
        }
        self.group_count += 1;
        // OK because MAX_GROUPS fits.
        Some(self.group_count as u16)
    }

    fn comment(&mut self, start: usize) -> Parse<()> {
        loop {
            match self.next() {
                Some(b')') => break,
                // An escaped `)` ends no comment in Python either.
                Some(b'\\') => _ = self.next(),
                Some(_) => {}
                None => return self.fail_at(start, ERR_UNCLOSED_COMMENT),
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
            Some(b'=') => return self.fail_at(start, ERR_NAMED_BACKREFERENCE),
            _ => return self.fail_at(start + 1, ERR_EXTENSION_P_UNKNOWN),
        }
        let first = self.at;
        let rest = self.pattern.get(first..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == b'>') else {
            return self.fail_at(first, ERR_UNCLOSED_NAME);
        };
        let name = rest.get(..length).unwrap_or_default();
        if name.is_empty() {
            return self.fail_at(first, ERR_NAME_MISSING);
        }
        let digit_first = name.first().is_some_and(u8::is_ascii_digit);
        if digit_first || !name.iter().all(|byte| WORD.contains(*byte)) {
            return self.fail_at(first, ERR_NAME_INVALID);
        }
        if self.names.iter().any(|(taken, _)| taken == name) {
            return self.fail_at(first, ERR_NAME_TWICE);
        }
        let number = self.open_group(start)?;
        self.names.push((name.to_vec(), self.group_count));
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
                return self.fail_at(at, ERR_FLAG_BOTH);
            }
            if off == 0 || self.peek() != Some(b':') {
                return self.fail(ERR_FLAG_OFF_UNFINISHED);
            }
        }
        let end = self.at;
        match self.next() {
            // For a part, Python gets them wrong: `(?a:\S)` does not find a \x1c.
            Some(b':') if (on | off) & CHARACTER_SET != 0 => self.fail_at(first, ERR_FLAG_SCOPED),
            Some(b':') => {
                self.flags = self.flags & !off | on;
                Some(false)
            }
            Some(b')') if start != self.prelude_end => self.fail_at(start, ERR_FLAGS_LATE),
            Some(b')') => {
                self.flags |= on;
                if self.flags & CHARACTER_SET == CHARACTER_SET {
                    return self.fail_at(first, ERR_FLAG_CONFLICT);
                }
                self.extend_prelude(start);
                Some(true)
            }
            _ => self.fail_at(end, ERR_FLAG_UNFINISHED),
        }
    }

    fn flag_letters(&mut self) -> Parse<Flags> {
        let mut flags = 0;
        while let Some(byte) = self.peek() {
            match FLAG_LETTERS.iter().position(|&letter| letter == byte) {
                Some(bit) => flags |= 1 << bit,
                None if byte == b'x' => return self.fail(ERR_FLAG_VERBOSE),
                None if byte == b'L' => return self.fail(ERR_FLAG_LOCALE),
                None if byte.is_ascii_alphabetic() => return self.fail(ERR_FLAG_UNKNOWN),
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
            Some(b'.') => {
                let mut set = Set::LINE;
                if self.flags & DOT_ALL != 0 {
                    set.insert(b'\n');
                }
                self.push_set(&set);
                return Some(());
            }
            Some(b'[') => {
                let mut set = Set::EMPTY;
                self.class(at, &mut set)?;
                self.push_set(&set);
                return Some(());
            }
            Some(b'\\') => self.escape(at)?,
            Some(b'<') if self.pattern.get(at..).is_some_and(is_host) => {
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
        self.hosts.push(usize::from(number));
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
                let mut set = Set::EMPTY;
                set.insert(letter);
                set.ignore_case();
                self.push_set(&set);
                return Some(());
            }
            // Python knows letters outside ASCII that equal ASCII ones in all but case (the Kelvin sign and k).
            if char > MAX_ASCII && self.flags & ASCII == 0 {
                return self.fail_at(at, ERR_CASE_NON_ASCII);
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
    pub fn push_set(&mut self, set: &Set) {
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

    pub fn fail<T>(&mut self, message: &'static str) -> Parse<T> {
        self.fail_at(self.at, message)
    }

    pub fn fail_at<T>(&mut self, at: usize, message: &'static str) -> Parse<T> {
        self.at = at;
        self.message = message;
        None
    }

    #[inline(never)]
    pub fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    #[inline(never)]
    pub fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The whole character whose first byte was read last.
    #[inline(never)]
    pub fn character(&mut self, first: u8) -> Char {
        let mut char = Char::from(first);
        while let Some(more @ 0x80..0xc0) = self.peek() {
            char = char << 8 | Char::from(more);
            self.at += 1;
        }
        char
    }

    #[inline(never)]
    pub fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }
}
