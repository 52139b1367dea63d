//! A reader for JSON as RFC 8259 defines it, and a writer for its strings.
//!
//! Every value and every key knows the byte offset where it begins, and [`string_offset`] finds the
//! place of any byte of a decoded string, so an error in what a document *means* can point at its
//! cause as exactly as one in how it is written. Numbers stay text: what reads them knows whether it
//! wants keys or seconds, and no float ever rounds anything.
//!
//! Stricter than some readers where leniency hides mistakes: duplicate keys, lone surrogates and bytes
//! that are not UTF-8 are errors, and so is nesting deeper than [`MAX_DEPTH`], which also bounds the
//! recursion. One leniency, which the RFC allows: a byte order mark at the start is skipped. Reading
//! stops at the first error. Time is linear in the document, except for the search for duplicates,
//! which is quadratic in the keys of one object.

use crate::diagnostic::Diagnostic;
use crate::text::split_at_byte;
use alloc::string::String;
use alloc::vec::Vec;

/// Arrays and objects may be nested this deep.
pub const MAX_DEPTH: usize = 64;

const BYTE_ORDER_MARK: &str = "\u{feff}";

const AFTER_THE_END: &str = "only white space may follow the value of the document";
const BAD_ESCAPE: &str = "unknown escape: after a backslash comes one of \" \\ / b f n r t u (a backslash itself is \\\\)";
const BAD_HEX: &str = "\\u needs four hexadecimal digits";
const COMMENT: &str = "JSON has no comments: use a key that begins with _";
const CONTROL: &str = "a control character in a string is written as an escape, such as \\t";
const DUPLICATE_KEY: &str = "duplicate key ";
const END: &str = "the document ends too early";
const EXPECTED_COLON: &str = "expected a colon after the key";
const EXPECTED_COMMA: &str = "expected a comma or the closing bracket";
const EXPECTED_DIGIT: &str = "expected a digit";
const EXPECTED_KEY: &str = "expected a key in double quotes";
const EXPECTED_VALUE: &str =
    "expected a value: a string in double quotes, a number, true, false, [ or {";
const LINE_BREAK: &str = "a string ends on the line it began: the closing quote is missing";
const LONE_SURROGATE: &str = "half of a surrogate pair without its other half";
const NOT_UTF8: &str = "not UTF-8";
const SINGLE_QUOTE: &str = "strings are written in double quotes";
const TOO_DEEP: &str = "more than 64 arrays and objects inside each other";
const TRAILING_COMMA: &str = "no comma after the last item";

/// A value and where it begins.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Value {
    /// Byte offset of its first byte in the document.
    pub at: usize,
    pub kind: Kind,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Kind {
    Null,
    Bool(bool),
    /// As it is written; the grammar is checked. See [`scaled`].
    Number(String),
    String(String),
    Array(Vec<Value>),
    /// In the order of the document; no key occurs twice.
    Object(Vec<Member>),
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Member {
    pub key: String,
    /// Byte offset of the key's opening quote.
    pub key_at: usize,
    pub value: Value,
}

impl Value {
    /// The member `key` of an object; `None` for any other kind of value.
    pub fn member(&self, key: &str) -> Option<&Member> {
        let Kind::Object(members) = &self.kind else {
            return None;
        };
        members.iter().find(|member| member.key == key)
    }
}

/// Reads a whole document.
///
/// # Errors
///
/// Bytes that are not UTF-8. Otherwise the first one, at the byte that cannot be part of any document; when a
/// document ends too early, at the end of what is there.
pub fn parse(document: &[u8]) -> Result<Value, Diagnostic> {
    let text = match core::str::from_utf8(document) {
        Ok(text) => text,
        Err(error) => return Err(fail(error.valid_up_to(), NOT_UTF8)),
    };
    let mut reader = Reader { text, at: 0 };
    if text.starts_with(BYTE_ORDER_MARK) {
        reader.at = BYTE_ORDER_MARK.len();
    }
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.unexpected(AFTER_THE_END));
    }
    Ok(value)
}

/// The offset in `document` of byte `index` of the decoded string whose opening quote is at
/// `string_at`. For an index inside a character it is where the character (or its escape) begins, for
/// one beyond the end that of the closing quote.
pub fn string_offset(document: &[u8], string_at: usize, index: usize) -> usize {
    let Ok(text) = core::str::from_utf8(document) else {
        return string_at;
    };
    let mut reader = Reader {
        text,
        at: string_at.saturating_add(1),
    };
    let mut decoded = 0;
    loop {
        let start = reader.at;
        match reader.character() {
            Ok(Some(character)) if decoded + character.len_utf8() <= index => {
                decoded += character.len_utf8();
            }
            _ => return start.min(document.len()),
        }
    }
}

/// `number` times ten to the power of `decimals`, if that is a whole number from 0 to [`u64::MAX`]:
/// `decimals` 0 reads integers exactly, 3 reads seconds as milliseconds. Exponents are understood;
/// anything negative, too large or with more decimals than that is `None`.
pub fn scaled(number: &str, decimals: i32) -> Option<u64> {
    let (mantissa, exponent) = match number.bytes().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(mark) => (number.get(..mark)?, number.get(mark + 1..)?.parse().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = split_at_byte(mantissa, b'.').unwrap_or((mantissa, ""));
    let mut value = 0u64;
    // Places that the digits up to here have and `value` has not: it never ends in 0.
    let mut places = 0u32;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        places = places.checked_add(1)?;
        if digit != b'0' {
            value = times_ten(value, places)?.checked_add(u64::from(digit - b'0'))?;
            places = 0;
        }
    }
    if value == 0 {
        return Some(0);
    }
    let shift = decimals
        .checked_add(exponent)?
        .checked_add_unsigned(places)?;
    let shift = shift.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    times_ten(value, u32::try_from(shift).ok()?)
}

/// `value` with so many zeros behind it. One that is not 0 is too large after 20 of them, however many there are.
fn times_ten(value: u64, places: u32) -> Option<u64> {
    (0..places).try_fold(value, |value, _| value.checked_mul(10))
}

/// Appends `text` as a JSON string that [`parse`] reads back. Bytes that are not UTF-8, which no JSON
/// string can hold, become U+FFFD: who needs them back must not write them here.
pub fn put_json_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend([b'\\', byte]),
                // OK because the lower half of a byte is below 16.
                0..0x20 => put!(
                    out,
                    "\\u00{}",
                    [
                        b'0' + (byte >> 4),
                        b"0123456789abcdef"[usize::from(byte & 15)]
                    ]
                ),
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            put!(out, "\u{fffd}");
        }
    }
    out.push(b'"');
}

fn fail(at: usize, message: &str) -> Diagnostic {
    Diagnostic {
        at,
        message: text!("{}", message),
    }
}

struct Reader<'d> {
    text: &'d str,
    /// Offset of the next byte to read.
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The error for a next byte that does not fit.
    fn wrong(&self, message: &str) -> Diagnostic {
        match self.peek() {
            None => fail(self.text.as_bytes().trim_ascii_end().len(), END),
            Some(_) => fail(self.at, message),
        }
    }

    /// The same outside strings and numbers, with a better message for habits from other languages.
    fn unexpected(&self, message: &str) -> Diagnostic {
        self.wrong(match self.peek() {
            Some(b'/' | b'#') => COMMENT,
            Some(b'\'') => SINGLE_QUOTE,
            _ => message,
        })
    }

    /// Reads a value that is inside `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Result<Value, Diagnostic> {
        self.skip_space();
        let at = self.at;
        let kind = match self.peek() {
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            Some(b'[' | b'{') if depth >= MAX_DEPTH => return Err(fail(at, TOO_DEEP)),
            Some(b'[') => Kind::Array(self.array(depth + 1)?),
            Some(b'{') => Kind::Object(self.object(depth + 1)?),
            _ => self.word()?,
        };
        Ok(Value { at, kind })
    }

    fn word(&mut self) -> Result<Kind, Diagnostic> {
        let words = [
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
        ];
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, kind) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.unexpected(EXPECTED_VALUE))
    }

    fn number(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
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
        Ok(self.text.get(start..self.at).unwrap_or_default().into())
    }

    /// Passes over one digit or more.
    fn digits(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong(EXPECTED_DIGIT));
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Diagnostic> {
        let mut items = Vec::new();
        let mut more = self.begins(b']');
        while more {
            items.push(self.value(depth)?);
            more = self.continues(b']')?;
        }
        Ok(items)
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member>, Diagnostic> {
        let mut members: Vec<Member> = Vec::new();
        let mut more = self.begins(b'}');
        while more {
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(EXPECTED_KEY));
            }
            let key = self.string()?;
            if members.iter().any(|member| member.key == key) {
                let message = text!("{}{:?}", DUPLICATE_KEY, key);
                return Err(Diagnostic {
                    at: key_at,
                    message,
                });
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.unexpected(EXPECTED_COLON));
            }
            let value = self.value(depth)?;
            members.push(Member { key, key_at, value });
            more = self.continues(b'}')?;
        }
        Ok(members)
    }

    /// Passes over an opening bracket; whether an item follows it.
    fn begins(&mut self, close: u8) -> bool {
        self.at += 1;
        self.skip_space();
        !self.eat(close)
    }

    /// Passes over what follows an item; whether that is a comma and another item.
    fn continues(&mut self, close: u8) -> Result<bool, Diagnostic> {
        self.skip_space();
        let comma = self.at;
        if self.eat(close) {
            return Ok(false);
        }
        if !self.eat(b',') {
            return Err(self.unexpected(EXPECTED_COMMA));
        }
        self.skip_space();
        if self.peek() == Some(close) {
            return Err(fail(comma, TRAILING_COMMA));
        }
        Ok(true)
    }

    /// Reads a string from its opening quote to its closing one.
    fn string(&mut self) -> Result<String, Diagnostic> {
        self.at += 1;
        let mut string = String::new();
        while let Some(character) = self.character()? {
            string.push(character);
        }
        Ok(string)
    }

    /// Reads one character of a string, escaped or not; `None` for the closing quote.
    fn character(&mut self) -> Result<Option<char>, Diagnostic> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(character) = rest.chars().next() else {
            return Err(self.wrong(END));
        };
        self.at += character.len_utf8();
        match character {
            '"' => Ok(None),
            '\\' => self.escape(start).map(Some),
            '\n' | '\r' => Err(fail(start, LINE_BREAK)),
            '\0'..' ' => Err(fail(start, CONTROL)),
            _ => Ok(Some(character)),
        }
    }

    /// Reads what follows the backslash at `start`.
    fn escape(&mut self, start: usize) -> Result<char, Diagnostic> {
        const SIMPLE: [(u8, char); 8] = [
            (b'"', '"'),
            (b'\\', '\\'),
            (b'/', '/'),
            (b'b', '\x08'),
            (b'f', '\x0c'),
            (b'n', '\n'),
            (b'r', '\r'),
            (b't', '\t'),
        ];
        if self.eat(b'u') {
            return self.unicode_escape(start);
        }
        for (byte, character) in SIMPLE {
            if self.eat(byte) {
                return Ok(character);
            }
        }
        Err(self.wrong(BAD_ESCAPE))
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Diagnostic> {
        let mut code = self.hex_digits()?;
        if matches!(code, 0xd800..0xdc00) && self.eat(b'\\') && self.eat(b'u') {
            let low = self.hex_digits()?;
            if matches!(low, 0xdc00..0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
        }
        // Only what is left of a pair is not a character.
        char::from_u32(code).ok_or_else(|| fail(start, LONE_SURROGATE))
    }

    fn hex_digits(&mut self) -> Result<u32, Diagnostic> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.wrong(BAD_HEX));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests;
