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
    };
    let node = parser.alternation()?;
    if parser.peek().is_some() {
        // Only a `)` ends an alternation before the pattern does.
        return parser.fail(ERR_UNBALANCED);
    }
    Ok(Parsed {
        node,
        group_count: parser.group_count,
        names: parser.names,
    })
}

/// A set of the flags below.
pub(super) type Flags = u8;
pub(super) const IGNORE_CASE: Flags = 1;
const MULTI_LINE: Flags = 2;
const DOT_ALL: Flags = 4;
pub(super) const ASCII: Flags = 8;
const UNICODE: Flags = 16;
/// The flags of which one at most may be given, for the whole pattern.
const CHARACTER_SET: Flags = ASCII | UNICODE;

/// The latest item of a sequence, as far as a quantifier cares.
enum Latest {
    NotRepeatable,
    Repeatable,
    Repeat,
}

/// What a group turned out to be.
enum Opened {
    /// A comment or flags for the whole pattern: nothing to match.
    Nothing,
    Item(Node),
}

/// A pattern and how far it is read.
pub(super) struct Parser<'p> {
    pub pattern: &'p str,
    pub at: usize,
    pub flags: Flags,
    /// Up to here there were only flags for the whole pattern and comments, so more flags may follow.
    prelude_end: usize,
    depth: usize,
    group_count: usize,
    names: Vec<(String, usize)>,
}

pub(super) type Parse<T> = Result<T, Error>;

impl Parser<'_> {
    fn fail<T>(&self, message: &'static str) -> Parse<T> {
        fail_at(self.at, message)
    }

    pub fn peek(&self) -> Option<char> {
        self.pattern.get(self.at..)?.chars().next()
    }

    pub fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    pub fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn alternation(&mut self) -> Parse<Node> {
        let first = self.sequence()?;
        if self.peek() != Some('|') {
            return Ok(first);
        }
        let mut branches = Vec::from([first]);
        while self.eat('|') {
            branches.push(self.sequence()?);
        }
        Ok(Node::Alternate(branches))
    }

    fn sequence(&mut self) -> Parse<Node> {
        let mut items = Vec::new();
        let mut latest = Latest::NotRepeatable;
        while let Some(char) = self.peek() {
            let at = self.at;
            match char {
                '|' | ')' => break,
                '(' => {
                    if let Opened::Item(node) = self.group()? {
                        items.push(node);
                        latest = Latest::Repeatable;
                    }
                    continue;
                }
                '*' | '+' | '?' | '{' => {
                    if let Some((min, max)) = self.quantifier()? {
                        let item = match latest {
                            Latest::Repeatable => items.pop(),
                            Latest::NotRepeatable => None,
                            Latest::Repeat => return fail_at(at, ERR_MULTIPLE_REPEAT),
                        };
                        let Some(node) = item else {
                            return fail_at(at, ERR_NOTHING_TO_REPEAT);
                        };
                        items.push(self.repeat(node, min, max, at)?);
                        latest = Latest::Repeat;
                        continue;
                    }
                }
                _ => {}
            }
            let node = self.atom()?;
            latest = match node {
                Node::Look(_) => Latest::NotRepeatable,
                _ => Latest::Repeatable,
            };
            items.push(node);
        }
        if items.len() > 1 {
            return Ok(Node::Concat(items));
        }
        Ok(items.pop().unwrap_or(Node::Empty))
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
            return fail_at(first, ERR_REPEAT_ORDER);
        }
        Ok(Some((min, max)))
    }

    fn number(&mut self) -> Parse<Option<u32>> {
        let start = self.at;
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            let more = number.unwrap_or(0u32).checked_mul(10);
            number = more.and_then(|tens| tens.checked_add(digit));
            if number.is_none() {
                return fail_at(start, ERR_REPEAT_COUNT);
            }
            self.next();
        }
        Ok(number)
    }

    fn repeat(&mut self, node: Node, min: u32, max: Option<u32>, at: usize) -> Parse<Node> {
        if self.peek() == Some('+') {
            return self.fail(ERR_POSSESSIVE);
        }
        let greedy = !self.eat('?');
        let nullable = node.nullable();
        Ok(Node::Repeat(Box::new(Repeat {
            node,
            min,
            max,
            greedy,
            nullable,
            at,
        })))
    }

    fn group(&mut self) -> Parse<Opened> {
        let start = self.at;
        self.next();
        let outer = self.flags;
        let mut number = None;
        if self.eat('?') {
            let mark = self.at;
            match self.next() {
                Some(':') => {}
                Some('P') => number = Some(self.named_group(start)?),
                Some('#') => {
                    self.comment(start)?;
                    return Ok(Opened::Nothing);
                }
                Some('-' | 'a'..='z' | 'A'..='Z') => {
                    self.at = mark;
                    if self.flags(start)? {
                        return Ok(Opened::Nothing);
                    }
                }
                Some('=' | '!') => return fail_at(start, ERR_LOOKAHEAD),
                Some('<') if matches!(self.peek(), Some('=' | '!')) => {
                    return fail_at(start, ERR_LOOKBEHIND);
                }
                Some('(') => return fail_at(start, ERR_CONDITIONAL),
                Some('>') => return fail_at(start, ERR_ATOMIC),
                Some(_) => return fail_at(start + 1, ERR_EXTENSION_UNKNOWN),
                None => return fail_at(start, ERR_EXTENSION_MISSING),
            }
        } else {
            number = Some(self.open_group(start)?);
        }
        let node = self.group_body(start)?;
        self.flags = outer;
        Ok(Opened::Item(match number {
            Some(number) => Node::Group(number, Box::new(node)),
            None => node,
        }))
    }

    fn group_body(&mut self, start: usize) -> Parse<Node> {
        if self.depth == MAX_DEPTH {
            return fail_at(start, ERR_TOO_DEEP);
        }
        self.depth += 1;
        let node = self.alternation()?;
        self.depth -= 1;
        if !self.eat(')') {
            return fail_at(start, ERR_UNCLOSED_GROUP);
        }
        Ok(node)
    }

    fn open_group(&mut self, at: usize) -> Parse<u16> {
        if self.group_count == MAX_GROUPS {
            return fail_at(at, ERR_TOO_MANY_GROUPS);
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
                None => return fail_at(start, ERR_UNCLOSED_COMMENT),
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
            Some('=') => return fail_at(start, ERR_NAMED_BACKREFERENCE),
            _ => return fail_at(start + 1, ERR_EXTENSION_P_UNKNOWN),
        }
        let first = self.at;
        let rest = self.pattern.get(first..).unwrap_or("");
        let Some((name, _)) = split_at_byte(rest, b'>') else {
            return fail_at(first, ERR_UNCLOSED_NAME);
        };
        if name.is_empty() {
            return fail_at(first, ERR_NAME_MISSING);
        }
        let digit_first = name.starts_with(|char: char| char.is_ascii_digit());
        if digit_first || !name.bytes().all(|byte| WORD.contains(byte)) {
            return fail_at(first, ERR_NAME_INVALID);
        }
        if self.names.iter().any(|(taken, _)| taken == name) {
            return fail_at(first, ERR_NAME_TWICE);
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
                return fail_at(at, ERR_FLAG_BOTH);
            }
            if off == 0 || self.peek() != Some(':') {
                return self.fail(ERR_FLAG_OFF_UNFINISHED);
            }
        }
        let end = self.at;
        match self.next() {
            // For a part, Python gets them wrong: `(?a:\S)` does not find a \x1c.
            Some(':') if (on | off) & CHARACTER_SET != 0 => fail_at(first, ERR_FLAG_SCOPED),
            Some(':') => {
                self.flags = self.flags & !off | on;
                Ok(false)
            }
            Some(')') if start != self.prelude_end => fail_at(start, ERR_FLAGS_LATE),
            Some(')') => {
                self.flags |= on;
                if self.flags & CHARACTER_SET == CHARACTER_SET {
                    return fail_at(first, ERR_FLAG_CONFLICT);
                }
                self.extend_prelude(start);
                Ok(true)
            }
            _ => fail_at(end, ERR_FLAG_UNFINISHED),
        }
    }

    fn flag_letters(&mut self) -> Parse<Flags> {
        let mut flags = 0;
        loop {
            flags |= match self.peek() {
                Some('i') => IGNORE_CASE,
                Some('m') => MULTI_LINE,
                Some('s') => DOT_ALL,
                Some('a') => ASCII,
                Some('u') => UNICODE,
                Some('x') => return self.fail(ERR_FLAG_VERBOSE),
                Some('L') => return self.fail(ERR_FLAG_LOCALE),
                Some(char) if char.is_ascii_alphabetic() => return self.fail(ERR_FLAG_UNKNOWN),
                _ => return Ok(flags),
            };
            self.next();
        }
    }

    /// Reads one item that is neither group nor quantifier.
    fn atom(&mut self) -> Parse<Node> {
        let at = self.at;
        let multi_line = self.flags & MULTI_LINE != 0;
        match self.next() {
            Some('^') if multi_line => Ok(Node::Look(Look::LineStart)),
            Some('^') => Ok(Node::Look(Look::TextStart)),
            Some('$') if multi_line => Ok(Node::Look(Look::LineEnd)),
            Some('$') => Ok(Node::Look(Look::TextEndOrNewline)),
            Some('.') => {
                let mut none = Set::EMPTY;
                if self.flags & DOT_ALL == 0 {
                    none.insert(b'\n');
                }
                Ok(Node::Set(none.negated()))
            }
            Some('[') => self.class(at),
            Some('\\') => match self.escape(at)? {
                Escape::Char(char) => self.literal(char, at),
                Escape::Set(set) => Ok(Node::Set(set)),
                Escape::Look(look) => Ok(Node::Look(look)),
            },
            Some(char) => self.literal(char, at),
            None => Ok(Node::Empty),
        }
    }

    fn literal(&self, char: char, at: usize) -> Parse<Node> {
        let ignore_case = self.flags & IGNORE_CASE != 0;
        if char.is_ascii() {
            // OK because ASCII fits a byte.
            let byte = char as u8;
            if ignore_case && byte.is_ascii_alphabetic() {
                let mut set = Set::EMPTY;
                set.insert(byte);
                return Ok(Node::Set(set.ignoring_case()));
            }
            return Ok(Node::Byte(byte));
        }
        // Python knows letters outside ASCII that equal ASCII ones in all but case (the Kelvin sign and k).
        if ignore_case && self.flags & ASCII == 0 {
            return fail_at(at, ERR_CASE_NON_ASCII);
        }
        let mut buffer = [0; 4];
        let bytes = char.encode_utf8(&mut buffer).bytes();
        Ok(Node::Concat(bytes.map(Node::Byte).collect()))
    }
}

pub(super) fn fail_at<T>(at: usize, message: &'static str) -> Parse<T> {
    Err(Error { at, message })
}
