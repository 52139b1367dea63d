//! A reader for JSON as RFC 8259 defines it, and a writer for its strings.
//!
//! A document is checked as a whole, once; nothing is built from it. A [`Value`] is a place in a document
//! that has been found valid, so walking from one to the next cannot fail, and each knows where it begins:
//! an error in what a document *means* can point at its cause as exactly as one in how it is written
//! ([`string_offset`] finds the place of any byte of a decoded string). Numbers stay text: what reads them
//! knows whether it wants keys or seconds, and no float ever rounds anything.
//!
//! Stricter than some readers where leniency hides mistakes: duplicate keys, lone surrogates and bytes
//! that are not UTF-8 are errors, and so is nesting deeper than [`MAX_DEPTH`], which also bounds the
//! recursion, and so are objects of more than 1000 keys, which bounds the search for duplicates. One leniency,
//! which the RFC allows: a byte order mark at the start is skipped. Reading stops at the first error. Time is
//! linear in the document.

use crate::config::diagnostic::Diagnostic;
use crate::text::{first_character, holds, is_letter, leading, put_hex};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::take;

/// Arrays and objects may be nested this deep.
pub const MAX_DEPTH: usize = 64;

/// An object has at most this many keys.
const MAX_MEMBERS: usize = 1000;

const BYTE_ORDER_MARK: &str = "\u{feff}";

faults! {
    AfterTheEnd: "only white space may follow the value of the document",
    BadEscape: "unknown escape: after a backslash comes one of \" \\ / b f n r t u (a backslash itself is \\\\)",
    BadHex: "\\u needs four hexadecimal digits",
    Comment: "JSON has no comments: use a key that begins with _",
    Control: "a control character in a string is written as an escape, such as \\t",
    DuplicateKey: "duplicate key ",
    End: "the document ends too early",
    ExpectedColon: "expected a colon after the key",
    ExpectedComma: "expected a comma or the closing bracket",
    ExpectedDigit: "expected a digit",
    ExpectedKey: "expected a key in double quotes",
    ExpectedValue: "expected a value: a string in double quotes, a number, true, false, [ or {",
    LineBreak: "a string ends on the line it began: the closing quote is missing",
    LoneSurrogate: "half of a surrogate pair without its other half",
    NotUtf8: "not UTF-8",
    OtherQuotes: "strings are written in straight double quotes: \"",
    TooDeep: "more than 64 arrays and objects inside each other",
    TooManyKeys: "more than 1000 keys in one object",
    TrailingComma: "no comma after the last item",
}

/// A value of a valid document.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Value<'d> {
    /// The document from its first byte on.
    rest: &'d [u8],
}

impl<'d> Value<'d> {
    /// Byte offset of its first byte in `document`, which it must be of.
    pub fn at(self, document: &[u8]) -> usize {
        document.len().saturating_sub(self.rest.len())
    }

    /// Its first byte, which says of what kind it is: `"`, `[`, `{`, `t`, `f`, `n`, `-` or a digit.
    pub fn first(self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// A number, `true`, `false` or `null` as it is written.
    pub fn word(self) -> &'d [u8] {
        leading(self.rest, |byte| is_letter(byte, b"+-."))
    }

    /// The items of an array, the keys of an object (see [`Value::behind_key`]); none of other values.
    pub fn items(self) -> Items<'d> {
        Items {
            rest: self.rest,
            is_alone: false,
        }
    }

    /// The value itself, as if it were an item.
    pub fn alone(self) -> Items<'d> {
        Items {
            rest: self.rest,
            is_alone: true,
        }
    }

    /// The value of a key that [`Value::items`] gave.
    pub fn behind_key(self) -> Value<'d> {
        let colon = after(self.rest);
        Value {
            rest: without_space(colon.get(1..).unwrap_or_default()),
        }
    }

    /// The key `key` of an object; `None` for any other kind of value.
    pub fn key(self, key: &str) -> Option<Value<'d>> {
        self.items()
            .find(|item| self.first() == b'{' && item.text() == key)
    }

    /// The value of `key` in an object.
    pub fn member(self, key: &str) -> Option<Value<'d>> {
        self.key(key).map(Value::behind_key)
    }

    /// What a string stands for; `None` for any other kind of value.
    pub fn string(self) -> Option<String> {
        (self.first() == b'"').then(|| self.text())
    }

    /// What a string or key stands for.
    pub fn text(self) -> String {
        let mut reader = Reader::new(self.rest, 1);
        let mut text = String::new();
        while let Some(Some(character)) = reader.character() {
            text.push(character);
        }
        text
    }

    /// A number times ten to the power of `decimals`, if that is a whole number from 0 to [`u64::MAX`]:
    /// `decimals` 0 reads integers exactly, 3 reads seconds as milliseconds. Exponents are understood;
    /// anything negative, too large or with more decimals than that is `None`, as is what is no number.
    pub fn scaled(self, decimals: i32) -> Option<u64> {
        if !self.first().is_ascii_digit() {
            return None;
        }
        let word = self.word();
        // Of either case.
        let place = |letter: u8| word.iter().position(|byte| byte | 0x20 == letter);
        let (mantissa, exponent) = word.split_at(place(b'e').unwrap_or(word.len()));
        let whole = place(b'.').unwrap_or(mantissa.len());
        // So many digits are wanted.
        let mut wanted = exponent_of(exponent).saturating_add(decimals);
        wanted = wanted.saturating_add_unsigned(whole as u32);
        let mut value = 0;
        for &byte in mantissa {
            match byte {
                b'.' => continue,
                b'0'..=b'9' if wanted > 0 => value = with_digit(value, byte - b'0')?,
                b'0' => {}
                _ => return None,
            }
            wanted = wanted.saturating_sub(1);
        }
        // OK because a value that is not 0 has its 20 digits after as many rounds.
        while value != 0 && wanted > 0 {
            value = with_digit(value, 0)?;
            wanted = wanted.saturating_sub(1);
        }
        Some(value)
    }
}

/// What `e+5` says, or nothing; an exponent that is too large is as large as can be.
fn exponent_of(text: &[u8]) -> i32 {
    let mut value = 0i32;
    for byte in text {
        if byte.is_ascii_digit() {
            value = value
                .saturating_mul(10)
                .saturating_add(i32::from(byte - b'0'));
        }
    }
    if holds(text, b'-') { -value } else { value }
}

#[inline(never)]
fn with_digit(value: u64, digit: u8) -> Option<u64> {
    if value > u64::MAX / 10 {
        return None;
    }
    (value * 10).checked_add(u64::from(digit))
}

/// The items of an array, or the keys of an object.
#[derive(Clone, Default)]
pub struct Items<'d> {
    /// The document from the bracket or comma in front of the next one on.
    rest: &'d [u8],
    /// The next one begins there, and is all there is.
    is_alone: bool,
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    #[inline(never)]
    fn next(&mut self) -> Option<Value<'d>> {
        if take(&mut self.is_alone) {
            let rest = take(&mut self.rest);
            return Some(Value { rest });
        }
        let (b'[' | b'{' | b',', rest) = self.rest.split_first()? else {
            return None;
        };
        let rest = without_space(rest);
        self.rest = after(rest);
        if let [b':', value @ ..] = self.rest {
            self.rest = after(value);
        }
        // In front of a bracket that closes at once there is no item.
        (self.rest.len() < rest.len()).then_some(Value { rest })
    }
}

/// From the colon, comma or closing bracket on that follows the item `rest` begins with.
fn after(rest: &[u8]) -> &[u8] {
    let (mut depth, mut in_string, mut at) = (0usize, false, 0);
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' | b',' | b':' if depth == 0 => break,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    rest.get(at..).unwrap_or_default()
}

fn without_space(rest: &[u8]) -> &[u8] {
    let space = leading(rest, |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    rest.get(space.len()..).unwrap_or_default()
}

/// Checks a whole document and gives its value.
///
/// # Errors
///
/// The first one, at the byte that cannot be part of any document; when a document ends too early,
/// at the end of what is there.
pub fn parse(document: &[u8]) -> Result<Value<'_>, Diagnostic> {
    let mut reader = Reader::new(document, 0);
    if reader.document().is_none() {
        let at = reader.at;
        let mut message = text!("{}", reader.fault.message());
        if reader.fault == Fault::DuplicateKey {
            put!(&mut message, "{:?}", value_at(document, at).text());
        }
        let incomplete = matches!(
            reader.fault,
            Fault::End | Fault::ExpectedComma | Fault::ExpectedKey
        );
        if let (true, Some(open)) = (incomplete, reader.open) {
            let before = document.get(..open).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let bracket = value_at(document, open).rest.get(..1);
            let bracket = bracket.unwrap_or_default();
            put!(
                &mut message,
                "; the {} of line {} is still open",
                bracket,
                line
            );
        }
        return Err(Diagnostic { at, message });
    }
    let start = document.strip_prefix(BYTE_ORDER_MARK.as_bytes());
    Ok(Value {
        rest: without_space(start.unwrap_or(document)),
    })
}

/// The length of a curly quote.
const CURLY: usize = 3;

/// Whether a text begins with a quote as word processors make them.
fn is_curly(text: &[u8]) -> bool {
    matches!(text, [0xe2, 0x80, 0x98..=0x9f, ..])
}

fn value_at(document: &[u8], at: usize) -> Value<'_> {
    Value {
        rest: document.get(at..).unwrap_or_default(),
    }
}

/// The offset in `document` of byte `index` of the decoded string whose opening quote is at
/// `string_at`. For an index inside a character it is where the character (or its escape) begins, for
/// one beyond the end that of the closing quote.
pub fn string_offset(document: &[u8], string_at: usize, index: usize) -> usize {
    let mut reader = Reader::new(document, string_at.saturating_add(1));
    let mut decoded = 0;
    loop {
        let start = reader.at;
        match reader.character() {
            Some(Some(character)) if decoded + character.len_utf8() <= index => {
                decoded += character.len_utf8();
            }
            _ => return start.min(document.len()),
        }
    }
}

/// Appends `text` as a JSON string that [`parse`] reads back.
pub fn put_json_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                put_hex(byte, out);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// None if something is wrong: the reader knows what, and stands there.
type Check = Option<()>;

struct Reader<'d> {
    document: &'d [u8],
    /// Offset of the next byte to read, or of what is wrong.
    at: usize,
    /// What is wrong.
    fault: Fault,
    /// Where the innermost array or object begins that has not ended yet.
    open: Option<usize>,
}

impl<'d> Reader<'d> {
    fn new(document: &'d [u8], at: usize) -> Reader<'d> {
        Reader {
            document,
            at,
            fault: Fault::Nothing,
            open: None,
        }
    }
}

impl Reader<'_> {
    fn document(&mut self) -> Check {
        let mut rest = self.document;
        while !rest.is_empty() {
            let Some(character) = first_character(rest) else {
                return self.fail(self.document.len() - rest.len(), Fault::NotUtf8);
            };
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
        if self.document.starts_with(BYTE_ORDER_MARK.as_bytes()) {
            self.at = BYTE_ORDER_MARK.len();
        }
        self.value(0)?;
        self.skip_space();
        if self.at < self.document.len() {
            return self.unexpected(Fault::AfterTheEnd);
        }
        Some(())
    }

    /// The next byte; 0 at the end, where no byte is expected that is 0.
    fn peek(&self) -> u8 {
        self.document.get(self.at).copied().unwrap_or(0)
    }

    /// Passes over `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let b' ' | b'\t' | b'\n' | b'\r' = self.peek() {
            self.at += 1;
        }
    }

    fn fail(&mut self, at: usize, fault: Fault) -> Check {
        self.at = at;
        self.fault = fault;
        None
    }

    /// The error for a next byte that does not fit.
    #[inline(never)]
    fn wrong(&mut self, fault: Fault) -> Check {
        if self.at >= self.document.len() {
            return self.fail(self.document.trim_ascii_end().len(), Fault::End);
        }
        self.fail(self.at, fault)
    }

    /// The same outside strings and numbers, with a better message for habits from other languages.
    #[inline(never)]
    fn unexpected(&mut self, fault: Fault) -> Check {
        self.wrong(match self.peek() {
            b'/' | b'#' => Fault::Comment,
            b'\'' => Fault::OtherQuotes,
            _ if self.document.get(self.at..).is_some_and(is_curly) => Fault::OtherQuotes,
            _ => fault,
        })
    }

    /// Reads a value that is inside `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Check {
        self.skip_space();
        match self.peek() {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b'[' | b'{' if depth >= MAX_DEPTH => self.fail(self.at, Fault::TooDeep),
            b'[' | b'{' => {
                let outer = self.open.replace(self.at);
                self.items(depth + 1)?;
                self.open = outer;
                Some(())
            }
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Check {
        let rest = self.document.get(self.at..).unwrap_or_default();
        for word in ["null", "true", "false"] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Some(());
            }
        }
        self.unexpected(Fault::ExpectedValue)
    }

    fn number(&mut self) -> Check {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(())
    }

    /// Passes over one digit or more.
    fn digits(&mut self) -> Check {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start {
            return self.wrong(Fault::ExpectedDigit);
        }
        Some(())
    }

    /// Reads an array or an object.
    fn items(&mut self, depth: usize) -> Check {
        let object = value_at(self.document, self.at);
        let close = match object.first() {
            b'{' => b'}',
            _ => b']',
        };
        self.at += 1;
        self.skip_space();
        if self.eat(close) {
            return Some(());
        }
        let mut keys = 0;
        loop {
            if close == b'}' {
                if keys == MAX_MEMBERS {
                    return self.fail(self.at, Fault::TooManyKeys);
                }
                keys += 1;
                self.key(object)?;
            }
            self.value(depth)?;
            self.skip_space();
            let comma = self.at;
            if self.eat(close) {
                return Some(());
            }
            if !self.eat(b',') {
                return self.unexpected(Fault::ExpectedComma);
            }
            self.skip_space();
            if self.peek() == close {
                return self.fail(comma, Fault::TrailingComma);
            }
        }
    }

    /// Reads a key of `object` and the colon.
    fn key(&mut self, object: Value) -> Check {
        let start = self.at;
        if self.peek() != b'"' {
            return self.unexpected(Fault::ExpectedKey);
        }
        self.string()?;
        // The first key that is the same should be this one.
        let key = value_at(self.document, start);
        let first = object.key(&key.text());
        if first.is_some_and(|first| first.rest.len() != key.rest.len()) {
            return self.fail(start, Fault::DuplicateKey);
        }
        self.skip_space();
        if !self.eat(b':') {
            return self.unexpected(Fault::ExpectedColon);
        }
        Some(())
    }

    /// Passes over a string.
    fn string(&mut self) -> Check {
        self.at += 1;
        let start = self.at;
        while let Some(character) = self.character() {
            if character.is_none() {
                return Some(());
            }
        }
        // A curly quote may have been meant to end it.
        let text = self.document.get(start..self.at).unwrap_or_default();
        let curly = text.windows(CURLY).position(is_curly);
        match curly.filter(|_| self.fault == Fault::LineBreak) {
            Some(curly) => self.fail(start + curly, Fault::OtherQuotes),
            None => None,
        }
    }

    /// Reads one character of a string, escaped or not; none for the closing quote.
    fn character(&mut self) -> Option<Option<char>> {
        let start = self.at;
        let byte = self.peek();
        let fault = match byte {
            0..0x20 if start >= self.document.len() => Fault::End,
            b'\n' | b'\r' => Fault::LineBreak,
            0..0x20 => Fault::Control,
            b'\\' => return self.escape().map(Some),
            _ => {
                let rest = self.document.get(start..).unwrap_or_default();
                // OK because the document is UTF-8.
                let character = first_character(rest)?;
                self.at += character.len_utf8();
                return Some((byte != b'"').then_some(character));
            }
        };
        self.wrong(fault).map(|()| None)
    }

    /// Reads an escape.
    fn escape(&mut self) -> Option<char> {
        const LETTERS: &[u8; 8] = b"\"\\/bfnrt";
        const MEANINGS: &[u8; 8] = b"\"\\/\x08\x0c\n\r\t";
        let start = self.at;
        self.at += 1;
        if self.eat(b'u') {
            return self.unicode_escape(start);
        }
        for (&letter, &meaning) in LETTERS.iter().zip(MEANINGS) {
            if self.eat(letter) {
                return Some(char::from(meaning));
            }
        }
        self.wrong(Fault::BadEscape).map(|()| '\0')
    }

    fn unicode_escape(&mut self, start: usize) -> Option<char> {
        let mut code = self.hex_digits()?;
        if matches!(code, 0xd800..0xdc00) && self.eat(b'\\') && self.eat(b'u') {
            let low = self.hex_digits()?;
            if matches!(low, 0xdc00..0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        // Only what is left of a pair is not a character.
        let character = char::from_u32(code);
        if character.is_none() {
            self.fail(start, Fault::LoneSurrogate);
        }
        character
    }

    fn hex_digits(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return self.wrong(Fault::BadHex).map(|()| 0);
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Some(code)
    }
}

#[cfg(test)]
mod tests;
