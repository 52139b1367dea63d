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
use alloc::string::String;
use alloc::vec::Vec;

use super::Error;
use super::escape::Escape;
use super::set::{Set, WORD};
use super::tree::{Look, Node, Repeat};
use crate::text::split_at_byte;

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

/// What a pattern says.
pub(super) struct Parsed {
    pub node: Node,
    pub group_count: usize,
    /// Names and the numbers of their groups.
    pub names: Vec<(String, usize)>,
}

/// Reads a whole pattern.
pub(super) fn parse(pattern: &str) -> Result<Parsed, Error> {
    let mut parser = Parser {
        pattern,
        at: 0,
        flags: 0,
        prelude_end: 0,
        depth: 0,
        group_count: 0,
        names: Vec::new(),
        nodes: Vec::new(),
    };
    match parser.whole() {
        Ok(()) => Ok(Parsed {
            node: parser.nodes.pop().unwrap_or(Node::Empty),
            group_count: parser.group_count,
            names: parser.names,
        }),
        Err(message) => Err(Error {
            at: parser.at,
            message,
        }),
    }
}

/// A set of the flags below: the bits are in the order of [`FLAG_LETTERS`].
pub(super) type Flags = u8;
pub(super) const IGNORE_CASE: Flags = 1;
const MULTI_LINE: Flags = 2;
const DOT_ALL: Flags = 4;
pub(super) const ASCII: Flags = 8;
const UNICODE: Flags = 16;
/// The flags of which one at most may be given, for the whole pattern.
const CHARACTER_SET: Flags = ASCII | UNICODE;
const FLAG_LETTERS: [char; 5] = ['i', 'm', 's', 'a', 'u'];

/// The latest item of a sequence, as far as a quantifier cares.
enum Latest {
    NotRepeatable,
    Repeatable,
    Repeat,
}

/// A pattern and how far it is read.
pub(super) struct Parser<'p> {
    pub pattern: &'p str,
    /// Where reading goes on, or what is at fault.
    pub at: usize,
    pub flags: Flags,
    /// Up to here there were only flags for the whole pattern and comments, so more flags may follow.
    prelude_end: usize,
    depth: usize,
    group_count: usize,
    names: Vec<(String, usize)>,
    /// What has been read and is not yet part of something larger.
    pub nodes: Vec<Node>,
}

/// The error is what is wrong with the byte that the parser is at then.
pub(super) type Parse<T> = Result<T, &'static str>;

/// What is read is appended to `nodes`: to return it would be to copy it.
impl Parser<'_> {
    pub fn fail_at<T>(&mut self, at: usize, message: &'static str) -> Parse<T> {
        self.at = at;
        Err(message)
    }

    #[inline(never)]
    pub fn peek(&self) -> Option<char> {
        self.pattern.get(self.at..)?.chars().next()
    }

    #[inline(never)]
    pub fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    #[inline(never)]
    pub fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn whole(&mut self) -> Parse<()> {
        self.alternation()?;
        match self.peek() {
            // Only a `)` ends an alternation before the pattern does.
            Some(_) => Err(ERR_UNBALANCED),
            None => Ok(()),
        }
    }

    fn alternation(&mut self) -> Parse<()> {
        let first = self.nodes.len();
        self.sequence()?;
        while self.eat('|') {
            self.sequence()?;
        }
        self.join(first, Node::Alternate);
        Ok(())
    }

    fn sequence(&mut self) -> Parse<()> {
        let first = self.nodes.len();
        let mut latest = Latest::NotRepeatable;
        while let Some(char) = self.peek() {
            let at = self.at;
            match char {
                '|' | ')' => break,
                '(' => {
                    let before = self.nodes.len();
                    self.group()?;
                    if self.nodes.len() > before {
                        latest = Latest::Repeatable;
                    }
                    continue;
                }
                '*' | '+' | '?' | '{' => {
                    if let Some((min, max)) = self.quantifier()? {
                        match latest {
                            Latest::Repeatable => {}
                            Latest::NotRepeatable => {
                                return self.fail_at(at, ERR_NOTHING_TO_REPEAT);
                            }
                            Latest::Repeat => return self.fail_at(at, ERR_MULTIPLE_REPEAT),
                        }
                        self.repeat(min, max, at)?;
                        latest = Latest::Repeat;
                        continue;
                    }
                }
                _ => {}
            }
            self.atom()?;
            latest = match self.nodes.last() {
                Some(Node::Look(_)) => Latest::NotRepeatable,
                _ => Latest::Repeatable,
            };
        }
        self.join(first, Node::Concat);
        Ok(())
    }

    /// Reads a quantifier up to its suffix; a `{` that starts none stays unread.
    fn quantifier(&mut self) -> Parse<Option<(u32, Option<u32>)>> {
        let start = self.at;
        match self.next() {
            Some('*') => return Ok(Some((0, None))),
            Some('+') => return Ok(Some((1, None))),
            Some('?') => return Ok(Some((0, Some(1)))),
            _ => {}
        }
        let first = self.at;
        let min = self.number()?;
        let max = if self.eat(',') { self.number()? } else { min };
        if self.at == first || !self.eat('}') {
            self.at = start;
            return Ok(None);
        }
        let min = min.unwrap_or(0);
        if max.is_some_and(|max| max < min) {
            return self.fail_at(first, ERR_REPEAT_ORDER);
        }
        Ok(Some((min, max)))
    }

    #[inline(never)]
    fn number(&mut self) -> Parse<Option<u32>> {
        let start = self.at;
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            let more = number.unwrap_or(0u32).checked_mul(10);
            number = more.and_then(|tens| tens.checked_add(digit));
            if number.is_none() {
                return self.fail_at(start, ERR_REPEAT_COUNT);
            }
            self.at += 1;
        }
        Ok(number)
    }

    /// Repeats the last of `nodes`.
    fn repeat(&mut self, min: u32, max: Option<u32>, at: usize) -> Parse<()> {
        if self.peek() == Some('+') {
            return Err(ERR_POSSESSIVE);
        }
        let greedy = !self.eat('?');
        let node = self.nodes.pop().unwrap_or(Node::Empty);
        self.nodes.push(Node::Repeat(Box::new(Repeat {
            nullable: node.nullable(),
            node,
            min,
            max,
            greedy,
            at,
        })));
        Ok(())
    }

    fn group(&mut self) -> Parse<()> {
        let start = self.at;
        self.next();
        let outer = self.flags;
        let mut number = None;
        if self.eat('?') {
            let mark = self.at;
            let message = match self.next() {
                Some(':') => "",
                Some('P') => {
                    number = Some(self.named_group(start)?);
                    ""
                }
                Some('#') => return self.comment(start),
                Some('-' | 'a'..='z' | 'A'..='Z') => {
                    self.at = mark;
                    if self.flags(start)? {
                        return Ok(());
                    }
                    ""
                }
                Some('=' | '!') => ERR_LOOKAHEAD,
                Some('<') if matches!(self.peek(), Some('=' | '!')) => ERR_LOOKBEHIND,
                Some('(') => ERR_CONDITIONAL,
                Some('>') => ERR_ATOMIC,
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
        Ok(())
    }

    fn group_body(&mut self, start: usize) -> Parse<()> {
        if self.depth == MAX_DEPTH {
            return self.fail_at(start, ERR_TOO_DEEP);
        }
        self.depth += 1;
        self.alternation()?;
        self.depth -= 1;
        if !self.eat(')') {
            return self.fail_at(start, ERR_UNCLOSED_GROUP);
        }
        Ok(())
    }

    fn open_group(&mut self, at: usize) -> Parse<u16> {
        if self.group_count == MAX_GROUPS {
            return self.fail_at(at, ERR_TOO_MANY_GROUPS);
        }
        self.group_count += 1;
        // OK because MAX_GROUPS fits.
        Ok(self.group_count as u16)
    }

    fn comment(&mut self, start: usize) -> Parse<()> {
        loop {
            match self.next() {
                Some(')') => break,
                // An escaped `)` ends no comment in Python either.
                Some('\\') => _ = self.next(),
                Some(_) => {}
                None => return self.fail_at(start, ERR_UNCLOSED_COMMENT),
            }
        }
        self.extend_prelude(start);
        Ok(())
    }

    fn extend_prelude(&mut self, start: usize) {
        if start == self.prelude_end {
            self.prelude_end = self.at;
        }
    }

    fn named_group(&mut self, start: usize) -> Parse<u16> {
        match self.next() {
            Some('<') => {}
            Some('=') => return self.fail_at(start, ERR_NAMED_BACKREFERENCE),
            _ => return self.fail_at(start + 1, ERR_EXTENSION_P_UNKNOWN),
        }
        let first = self.at;
        let rest = self.pattern.get(first..).unwrap_or("");
        let Some((name, _)) = split_at_byte(rest, b'>') else {
            return self.fail_at(first, ERR_UNCLOSED_NAME);
        };
        if name.is_empty() {
            return self.fail_at(first, ERR_NAME_MISSING);
        }
        let digit_first = name.starts_with(|char: char| char.is_ascii_digit());
        if digit_first || !name.bytes().all(|byte| WORD.contains(byte)) {
            return self.fail_at(first, ERR_NAME_INVALID);
        }
        if self.names.iter().any(|(taken, _)| taken == name) {
            return self.fail_at(first, ERR_NAME_TWICE);
        }
        let number = self.open_group(start)?;
        self.names.push((String::from(name), self.group_count));
        self.at = first + name.len() + 1;
        Ok(number)
    }

    /// Reads flags after `(?`. True if they were for the whole pattern, so that the group is over.
    fn flags(&mut self, start: usize) -> Parse<bool> {
        let first = self.at;
        let on = self.flag_letters()?;
        let mut off = 0;
        if self.eat('-') {
            let at = self.at;
            off = self.flag_letters()?;
            if on & off != 0 {
                return self.fail_at(at, ERR_FLAG_BOTH);
            }
            if off == 0 || self.peek() != Some(':') {
                return Err(ERR_FLAG_OFF_UNFINISHED);
            }
        }
        let end = self.at;
        match self.next() {
            // For a part, Python gets them wrong: `(?a:\S)` does not find a \x1c.
            Some(':') if (on | off) & CHARACTER_SET != 0 => self.fail_at(first, ERR_FLAG_SCOPED),
            Some(':') => {
                self.flags = self.flags & !off | on;
                Ok(false)
            }
            Some(')') if start != self.prelude_end => self.fail_at(start, ERR_FLAGS_LATE),
            Some(')') => {
                self.flags |= on;
                if self.flags & CHARACTER_SET == CHARACTER_SET {
                    return self.fail_at(first, ERR_FLAG_CONFLICT);
                }
                self.extend_prelude(start);
                Ok(true)
            }
            _ => self.fail_at(end, ERR_FLAG_UNFINISHED),
        }
    }

    fn flag_letters(&mut self) -> Parse<Flags> {
        let mut flags = 0;
        while let Some(char) = self.peek() {
            match FLAG_LETTERS.iter().position(|&letter| letter == char) {
                Some(bit) => flags |= 1 << bit,
                None if char == 'x' => return Err(ERR_FLAG_VERBOSE),
                None if char == 'L' => return Err(ERR_FLAG_LOCALE),
                None if char.is_ascii_alphabetic() => return Err(ERR_FLAG_UNKNOWN),
                None => break,
            }
            self.at += 1;
        }
        Ok(flags)
    }

    /// Reads one item that is neither group nor quantifier.
    fn atom(&mut self) -> Parse<()> {
        let at = self.at;
        let multi_line = self.flags & MULTI_LINE != 0;
        let escape = match self.next() {
            Some('^') if multi_line => Escape::Look(Look::LineStart),
            Some('^') => Escape::Look(Look::TextStart),
            Some('$') if multi_line => Escape::Look(Look::LineEnd),
            Some('$') => Escape::Look(Look::TextEndOrNewline),
            Some('.') => {
                let mut set = Set::LINE;
                if self.flags & DOT_ALL != 0 {
                    set.insert(b'\n');
                }
                self.nodes.push(Node::Set(Box::new(set)));
                return Ok(());
            }
            Some('[') => return self.class(at),
            Some('\\') => self.escape(at)?,
            Some(char) => Escape::Char(char),
            None => return Ok(()),
        };
        match escape {
            Escape::Char(char) => self.literal(char, at),
            Escape::Class(letter) => {
                let mut set = Set::EMPTY;
                self.add_class(letter, &mut set);
                self.nodes.push(Node::Set(Box::new(set)));
                Ok(())
            }
            Escape::Look(look) => {
                self.nodes.push(Node::Look(look));
                Ok(())
            }
        }
    }

    fn literal(&mut self, char: char, at: usize) -> Parse<()> {
        let ignore_case = self.flags & IGNORE_CASE != 0;
        if ignore_case && char.is_ascii_alphabetic() {
            let mut set = Set::EMPTY;
            // OK because ASCII fits a byte.
            set.insert(char as u8);
            set.ignore_case();
            self.nodes.push(Node::Set(Box::new(set)));
            return Ok(());
        }
        // Python knows letters outside ASCII that equal ASCII ones in all but case (the Kelvin sign and k).
        if ignore_case && !char.is_ascii() && self.flags & ASCII == 0 {
            return self.fail_at(at, ERR_CASE_NON_ASCII);
        }
        let first = self.nodes.len();
        for byte in char.encode_utf8(&mut [0; 4]).bytes() {
            self.nodes.push(Node::Byte(byte));
        }
        self.join(first, Node::Concat);
        Ok(())
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
}
