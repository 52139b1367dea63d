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
use super::set::{DIGIT, SPACE_ASCII, SPACE_UNICODE, Set, WORD};

/// Groups may be nested this deep, so that walking the tree needs little stack.
const MAX_DEPTH: usize = 50;
/// As many capture groups as there may be.
const MAX_GROUPS: usize = 99;

const ERR_TOO_DEEP: &str = "groups are nested too deeply";
const ERR_TOO_MANY_GROUPS: &str = "too many capture groups";
const ERR_UNBALANCED: &str = "unbalanced parenthesis";
const ERR_UNCLOSED_GROUP: &str = "unclosed group";
const ERR_UNCLOSED_COMMENT: &str = "unclosed comment";
const ERR_UNCLOSED_CLASS: &str = "unclosed character class";
const ERR_UNCLOSED_NAME: &str = "unclosed group name";
const ERR_NAME_MISSING: &str = "missing group name";
const ERR_NAME_INVALID: &str = "bad character in group name";
const ERR_NAME_TWICE: &str = "group name is used twice";
const ERR_UNKNOWN_EXTENSION: &str = "unknown extension after (?";
const ERR_NAMED_BACKREFERENCE: &str = "named backreferences are not supported";
const ERR_LOOKAHEAD: &str = "look-ahead is not supported";
const ERR_LOOKBEHIND: &str = "look-behind is not supported";
const ERR_CONDITIONAL: &str = "conditional groups are not supported";
const ERR_ATOMIC: &str = "atomic groups are not supported";
const ERR_POSSESSIVE: &str = "possessive quantifiers are not supported";
const ERR_FLAG_MISSING: &str = "flags must end in : or )";
const ERR_FLAG_UNKNOWN: &str = "unknown flag";
const ERR_FLAG_VERBOSE: &str = "verbose mode (?x) is not supported";
const ERR_FLAG_LOCALE: &str = "locale mode (?L) is not supported";
const ERR_FLAG_CONFLICT: &str = "flags a and u exclude each other";
const ERR_FLAG_NOT_OFF: &str = "this flag cannot be turned off";
const ERR_FLAG_BOTH: &str = "flag is turned on and off";
const ERR_FLAGS_LATE: &str = "flags for the whole pattern must stand at its start";
const ERR_NOTHING_TO_REPEAT: &str = "nothing to repeat";
const ERR_MULTIPLE_REPEAT: &str = "multiple repeat";
const ERR_REPEAT_ORDER: &str = "repetition has its minimum above its maximum";
const ERR_REPEAT_COUNT: &str = "repetition count is too large";
const ERR_RANGE: &str = "bad character range";
const ERR_CLASS_NON_ASCII: &str = "a character class can only hold ASCII characters";
const ERR_CASE_NON_ASCII: &str =
    "only ASCII can ignore case: write (?-i:...) around this character";
const ERR_ESCAPE_END: &str = "pattern ends in a backslash";
const ERR_ESCAPE_UNKNOWN: &str = "unknown escape";
const ERR_ESCAPE_DIGITS: &str = "escape has too few hexadecimal digits";
const ERR_ESCAPE_OCTAL: &str = "octal escape is above \\377";
const ERR_ESCAPE_CODE_POINT: &str = "escape is not a character";
const ERR_ESCAPE_NAMED: &str = "named characters \\N{...} are not supported";
const ERR_ESCAPE_PROPERTY: &str = "Unicode properties \\p are not supported";
const ERR_BACKREFERENCE: &str = "backreferences are not supported";

/// A pattern, understood.
pub(super) enum Node {
    Empty,
    Byte(u8),
    Set(Set),
    Look(Look),
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

impl Node {
    /// Whether this might match the empty string.
    fn nullable(&self) -> bool {
        match self {
            Node::Empty | Node::Look(_) => true,
            Node::Byte(_) | Node::Set(_) => false,
            Node::Group(_, node) => node.nullable(),
            Node::Concat(nodes) => nodes.iter().all(Node::nullable),
            Node::Alternate(nodes) => nodes.iter().any(Node::nullable),
            Node::Repeat(repeat) => repeat.min == 0 || repeat.nullable,
        }
    }
}

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
type Flags = u8;
const IGNORE_CASE: Flags = 1;
const MULTI_LINE: Flags = 2;
const DOT_ALL: Flags = 4;
const ASCII: Flags = 8;
const UNICODE: Flags = 16;
/// The flags of which one at most may be given, and none taken back.
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

enum Escape {
    Char(char),
    Set(Set),
    Look(Look),
}

struct Parser<'p> {
    pattern: &'p str,
    at: usize,
    flags: Flags,
    /// Up to here there were only flags for the whole pattern and comments, so more flags may follow.
    prelude_end: usize,
    depth: usize,
    group_count: usize,
    names: Vec<(String, usize)>,
}

type Parse<T> = Result<T, Error>;

impl Parser<'_> {
    fn fail<T>(&self, message: &'static str) -> Parse<T> {
        fail_at(self.at, message)
    }

    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn eat(&mut self, wanted: char) -> bool {
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
                Some(_) => return fail_at(start + 1, ERR_UNKNOWN_EXTENSION),
                None => return fail_at(start, ERR_UNCLOSED_GROUP),
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
        while let Some(char) = self.next() {
            if char == ')' {
                self.extend_prelude(start);
                return Ok(());
            }
        }
        fail_at(start, ERR_UNCLOSED_COMMENT)
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
            _ => return fail_at(start + 1, ERR_UNKNOWN_EXTENSION),
        }
        let first = self.at;
        let rest = self.pattern.get(first..).unwrap_or("");
        let Some((name, _)) = rest.split_once('>') else {
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
        let on = self.flag_letters()?;
        let mut off = 0;
        if self.eat('-') {
            let at = self.at;
            off = self.flag_letters()?;
            if off & CHARACTER_SET != 0 {
                return fail_at(at, ERR_FLAG_NOT_OFF);
            }
            if on & off != 0 {
                return fail_at(at, ERR_FLAG_BOTH);
            }
            if off == 0 || self.peek() != Some(':') {
                return self.fail(ERR_FLAG_MISSING);
            }
        }
        match self.next() {
            Some(':') => {
                if on & CHARACTER_SET != 0 {
                    off |= CHARACTER_SET;
                }
                self.flags = self.flags & !off | on;
                Ok(false)
            }
            Some(')') if start != self.prelude_end => fail_at(start, ERR_FLAGS_LATE),
            Some(')') => {
                self.flags |= on;
                if self.flags & CHARACTER_SET == CHARACTER_SET {
                    return fail_at(start, ERR_FLAG_CONFLICT);
                }
                self.extend_prelude(start);
                Ok(true)
            }
            _ => self.fail(ERR_FLAG_MISSING),
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
                Some(char) if char.is_alphabetic() => return self.fail(ERR_FLAG_UNKNOWN),
                _ => return Ok(flags),
            };
            if flags & CHARACTER_SET == CHARACTER_SET {
                return self.fail(ERR_FLAG_CONFLICT);
            }
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

    fn class(&mut self, start: usize) -> Parse<Node> {
        let negated = self.eat('^');
        let mut set = Set::EMPTY;
        let mut first = true;
        loop {
            let at = self.at;
            match self.peek() {
                None => return fail_at(start, ERR_UNCLOSED_CLASS),
                Some(']') if !first => break,
                Some(_) => {}
            }
            first = false;
            let low = self.class_member()?;
            if !self.is_range() {
                match low {
                    Escape::Char(char) => set.insert(member_byte(char, at)?),
                    Escape::Set(members) => set.add(&members),
                    Escape::Look(_) => return fail_at(at, ERR_ESCAPE_UNKNOWN),
                }
                continue;
            }
            self.next();
            let high_at = self.at;
            if self.peek().is_none() {
                return fail_at(start, ERR_UNCLOSED_CLASS);
            }
            let (Escape::Char(low), Escape::Char(high)) = (low, self.class_member()?) else {
                return fail_at(at, ERR_RANGE);
            };
            let (low, high) = (member_byte(low, at)?, member_byte(high, high_at)?);
            if low > high {
                return fail_at(at, ERR_RANGE);
            }
            set.insert_range(low, high);
        }
        self.next();
        if self.flags & IGNORE_CASE != 0 {
            set = set.ignoring_case();
        }
        Ok(Node::Set(if negated { set.negated() } else { set }))
    }

    /// Whether a `-` follows that is not the last of its class.
    fn is_range(&self) -> bool {
        let rest = self.pattern.get(self.at..).unwrap_or("");
        rest.starts_with('-') && !rest.starts_with("-]")
    }

    fn class_member(&mut self) -> Parse<Escape> {
        let at = self.at;
        let Some(char) = self.next() else {
            return Ok(Escape::Look(Look::TextEnd));
        };
        if char != '\\' {
            return Ok(Escape::Char(char));
        }
        match self.peek() {
            Some('b') => {
                self.next();
                Ok(Escape::Char('\x08'))
            }
            Some('0'..='7') => self.octal(at),
            _ => self.escape(at),
        }
    }

    /// Reads what follows the backslash at `at`.
    fn escape(&mut self, at: usize) -> Parse<Escape> {
        let Some(char) = self.next() else {
            return fail_at(at, ERR_ESCAPE_END);
        };
        let space = match self.flags & ASCII {
            0 => SPACE_UNICODE,
            _ => SPACE_ASCII,
        };
        Ok(match char {
            'd' => Escape::Set(DIGIT),
            'D' => Escape::Set(DIGIT.negated()),
            'w' => Escape::Set(WORD),
            'W' => Escape::Set(WORD.negated()),
            's' => Escape::Set(space),
            'S' => Escape::Set(space.negated()),
            'A' => Escape::Look(Look::TextStart),
            'Z' => Escape::Look(Look::TextEnd),
            'b' => Escape::Look(Look::WordBoundary),
            'B' => Escape::Look(Look::NotWordBoundary),
            'a' => Escape::Char('\x07'),
            'f' => Escape::Char('\x0c'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            'v' => Escape::Char('\x0b'),
            'x' => return self.hexadecimal(at, 2),
            'u' => return self.hexadecimal(at, 4),
            'U' => return self.hexadecimal(at, 8),
            '0' => return self.octal(at),
            '1'..='9' if self.is_octal(at) => return self.octal(at),
            '1'..='9' => return fail_at(at, ERR_BACKREFERENCE),
            'N' => return fail_at(at, ERR_ESCAPE_NAMED),
            'p' | 'P' => return fail_at(at, ERR_ESCAPE_PROPERTY),
            'A'..='Z' | 'a'..='z' => return fail_at(at, ERR_ESCAPE_UNKNOWN),
            char => Escape::Char(char),
        })
    }

    /// Whether three octal digits follow the backslash at `at`; fewer are a backreference.
    fn is_octal(&self, at: usize) -> bool {
        let rest = self.pattern.as_bytes().get(at..).unwrap_or(&[]);
        rest.get(1..4)
            .is_some_and(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')))
    }

    fn octal(&mut self, at: usize) -> Parse<Escape> {
        self.at = at + 1;
        let mut value = 0;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(8)) {
            if self.at > at + 3 {
                break;
            }
            value = value << 3 | digit;
            self.next();
        }
        if value > 0o377 {
            return fail_at(at, ERR_ESCAPE_OCTAL);
        }
        self.code_point(value, at)
    }

    fn hexadecimal(&mut self, at: usize, digits: u32) -> Parse<Escape> {
        let mut value = 0;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(16)) else {
                return fail_at(at, ERR_ESCAPE_DIGITS);
            };
            // OK because there are at most eight digits of four bits.
            value = value << 4 | digit;
            self.next();
        }
        self.code_point(value, at)
    }

    fn code_point(&self, value: u32, at: usize) -> Parse<Escape> {
        match char::from_u32(value) {
            Some(char) => Ok(Escape::Char(char)),
            None => fail_at(at, ERR_ESCAPE_CODE_POINT),
        }
    }
}

fn member_byte(char: char, at: usize) -> Parse<u8> {
    if !char.is_ascii() {
        return fail_at(at, ERR_CLASS_NON_ASCII);
    }
    // OK because ASCII fits a byte.
    Ok(char as u8)
}

fn fail_at<T>(at: usize, message: &'static str) -> Parse<T> {
    Err(Error { at, message })
}
