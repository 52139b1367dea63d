//! The one small writer: everything the program prints or logs is put together here.
//!
//! Log lines, captured values and command output are bytes, which `core::fmt` cannot show, and its
//! machinery costs kilobytes that a router has better uses for. So a message is a `Vec<u8>`, built by
//! `text!` or extended by `put!` from a template and parts that implement [`Put`]:
//!
//! ```ignore
//! let message = text!("rule {:?}: {} keys", name, count);
//! ```
//!
//! The template is read when the message is made: a call hands over a few words (see `sys::message`) and nothing is
//! compiled for its type. `{}` stands for the next part, `{:?}` for the next part in quotes, `{s}` for an s unless the
//! number before it was 1; every other byte, lone braces too, stands for itself, and parts that no mark is left for
//! follow at the end.
//!
//! Nothing is escaped here except in quotes: whoever shows a message to a terminal or a log escapes all of
//! it at once (see `log`).

use alloc::string::String;
#[doc(hidden)]
pub use alloc::vec::Vec;

pub use crate::sys::message::{List, Part, Parts, Put, Template};

/// What is a [`Part`] of its own kind.
macro_rules! parts {
    ($(($($generic:tt)*) $type:ty, $value:ident => $part:expr;)+) => {
        $(impl<$($generic)*> Put for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_part(self.part(), out);
            }

            #[inline(always)]
            fn part(&self) -> Part<'_> {
                let $value = self;
                $part
            }
        })+
    };
}

parts! {
    () &str, text => Part::Text(text.as_bytes());
    () &[u8], text => Part::Text(text);
    () Vec<u8>, text => Part::Kept(text);
    () String, text => Part::Text(text.as_bytes());
    (const N: usize) [u8; N], text => Part::Text(text);
    () &dyn Put, part => Part::Other(*part);
    (T: Put) &T, part => (**part).part();
    () u64, number => Part::Large(number);
    // OK because every machine it runs on has words of 32 bits or more.
    () u32, number => Part::Number(*number as usize);
    () usize, number => Part::Number(*number);
}

fn put_part(part: Part, out: &mut Vec<u8>) {
    match part {
        Part::Text(text) => out.extend_from_slice(text),
        Part::Kept(text) => out.extend_from_slice(text),
        Part::Number(number) => put_number(number as u64, out),
        Part::Large(number) => put_number(*number, out),
        Part::Code(code, describe) => describe(code, out),
        Part::Other(part) => part.put(out),
    }
}

fn put_number(number: u64, out: &mut Vec<u8>) {
    // 20 digits hold every u64.
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut first = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        // OK because a remainder of ten fits a byte.
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        first = index;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

impl Put for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().put(out);
    }
}

/// Appends `text` in double quotes, its quotes, backslashes and control bytes escaped.
fn put_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => put_hex_escape(byte, out),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends `byte` as `\x1b`.
pub fn put_hex_escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    put_hex(byte, out);
}

/// Appends `byte` as two hexadecimal digits.
pub fn put_hex(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[hex(byte >> 4), hex(byte)]);
}

/// The lower half of a byte as a hexadecimal digit.
pub fn hex(byte: u8) -> u8 {
    // OK because that is below 16.
    b"0123456789abcdef"[usize::from(byte & 15)]
}

/// What can be wrong, and how that is said. A program hands over a number in fewer bytes than a text.
macro_rules! faults {
    ($($name:ident: $message:literal,)*) => {
        #[derive(Clone, Copy, Default, PartialEq, Eq)]
        pub(super) enum Fault {
            #[default]
            Nothing,
            $($name),*
        }

        impl Fault {
            pub fn message(self) -> &'static [u8] {
                const MESSAGES: &str = concat!($("\n", $message),*);
                $crate::text::line(MESSAGES.as_bytes(), self as usize)
            }
        }
    };
}

/// The line with this number, counted from 0.
#[inline(never)]
pub fn line(text: &[u8], number: usize) -> &[u8] {
    Pieces(text, b'\n').nth(number).unwrap_or_default()
}

/// The words of a command, each of which has a NUL byte behind it.
pub fn words(command: &[u8]) -> Pieces<'_> {
    Pieces(command, 0)
}

/// The pieces of a text that each have the same byte behind them; behind the last one it may be missing.
pub struct Pieces<'t>(pub &'t [u8], pub u8);

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'t [u8]> {
        let piece = (!self.0.is_empty()).then(|| until(self.0, self.1))?;
        self.0 = self.0.get(piece.len() + 1..).unwrap_or_default();
        Some(piece)
    }
}

/// The first word of a command; of one without words, nothing.
pub fn program(command: &[u8]) -> &[u8] {
    words(command).next().unwrap_or_default()
}

/// The first and the last of each run of characters that do something or show nothing: see `tests/unprintable.pl`,
/// which writes this. Some of the Egyptian ones (U+13439 to U+1343F) are there since Unicode 15.
const UNPRINTABLE: [(u32, u32); 27] = [
    (0x0, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x890, 0x891),
    (0x8e2, 0x8e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

/// The table as the program carries it: the first of a run above twelve bits that say how many follow it.
static RUNS: [u32; UNPRINTABLE.len()] = {
    let mut runs = [0; UNPRINTABLE.len()];
    let mut index = 0;
    while index < runs.len() {
        let (first, last) = UNPRINTABLE[index];
        assert!(first < 1 << 20 && last - first < 1 << 12);
        runs[index] = first << 12 | (last - first);
        index += 1;
    }
    runs
};

/// Whether a character does something instead of showing something, or shows nothing at all, so that two texts that
/// look alike are not: controls, separators of lines, marks of direction and format, fillers, tags. By Unicode's own
/// properties: categories Cc, Cf, Zl and Zp, and `Default_Ignorable_Code_Point`.
pub fn is_unprintable(character: char) -> bool {
    let code = u32::from(character);
    if (0x20..0x7f).contains(&code) {
        return false;
    }
    let is_in = |run: &u32| code.wrapping_sub(run >> 12) <= run & 0xfff;
    RUNS.iter().any(is_in)
}

/// The first character of a text, if it begins with one in UTF-8. The library reads only whole texts, with a kilobyte
/// of code.
#[inline(never)]
pub fn first_character(text: &[u8]) -> Option<char> {
    let first = *text.first()?;
    let (length, bits) = match first {
        0..0x80 => return Some(char::from(first)),
        0xc0..0xe0 => (2, first & 0x1f),
        0xe0..0xf0 => (3, first & 0x0f),
        0xf0..0xf8 => (4, first & 0x07),
        _ => return None,
    };
    let mut code = u32::from(bits);
    for &byte in text.get(1..length)? {
        if byte & 0xc0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(byte & 0x3f);
    }
    // A character is written in as few bytes as it fits in.
    char::from_u32(code).filter(|character| character.len_utf8() == length)
}

/// The characters of a text: the bytes of each, and whether it shows something, which what is
/// [unprintable](is_unprintable) does not, nor a byte that is not UTF-8.
pub struct Characters<'t>(pub &'t [u8]);

impl<'t> Iterator for Characters<'t> {
    type Item = (&'t [u8], bool);

    fn next(&mut self) -> Option<(&'t [u8], bool)> {
        let first = first_character(self.0);
        let length = first.map_or(1, char::len_utf8);
        let (character, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((character, first.is_some_and(|first| !is_unprintable(first))))
    }
}

/// Appends `text` so that a terminal or a log shows it and does nothing else: the bytes of characters that
/// show nothing become `\x1b`.
pub fn put_escaped(text: &[u8], out: &mut Vec<u8>) {
    for (bytes, shows) in Characters(text) {
        match shows {
            true => out.extend_from_slice(bytes),
            false => bytes.iter().for_each(|&byte| put_hex_escape(byte, out)),
        }
    }
}

/// Whether two texts of the same length are the same: by words, where the C library compares bytes.
#[inline(always)]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let (words, rest) = one.as_chunks();
    let (other_words, other_rest) = other.as_chunks();
    for (word, other_word) in words.iter().zip(other_words) {
        if u32::from_ne_bytes(*word) != u32::from_ne_bytes(*other_word) {
            return false;
        }
    }
    for (byte, other_byte) in rest.iter().zip(other_rest) {
        if byte != other_byte {
            return false;
        }
    }
    true
}

/// Whether `byte` is one of `bytes`. The library's search for a byte is made for long texts, and large.
#[inline(never)]
#[expect(clippy::manual_contains, reason = "that is the library's search")]
pub fn holds(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().any(|&other| other == byte)
}

/// Whether a byte is a letter or a digit, or one of `others`.
#[inline(never)]
pub fn is_letter(byte: &u8, others: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || holds(others, *byte)
}

/// The folder that what has this path is in.
pub fn folder(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        None => b".",
        Some(slash) => path.get(..slash.max(1)).unwrap_or_default(),
    }
}

/// The path that another one is to somebody in a folder.
#[inline(never)]
pub fn in_folder(folder: &[u8], path: Vec<u8>) -> Vec<u8> {
    if path.first() == Some(&b'/') {
        return path;
    }
    let mut joined = folder.to_vec();
    joined.push(b'/');
    joined.extend_from_slice(&path);
    joined
}

/// What a text begins with as long as its bytes are such.
#[inline(never)]
pub fn leading(text: &[u8], are_such: fn(&u8) -> bool) -> &[u8] {
    let mut length = 0;
    while text.get(length).is_some_and(are_such) {
        length += 1;
    }
    text.get(..length).unwrap_or_default()
}

/// A text up to the first `byte`, or all of it.
#[inline(never)]
pub fn until(text: &[u8], byte: u8) -> &[u8] {
    let end = text.iter().position(|&other| other == byte);
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The text with a blank in the place of each `byte`.
#[inline(never)]
pub fn with_blanks(text: &[u8], byte: u8) -> Vec<u8> {
    let mut shown = text.to_vec();
    for other in &mut shown {
        if *other == byte {
            *other = b' ';
        }
    }
    shown
}

/// What stands behind `name` and a colon in one of the entries of a list, each of which has an `end` behind it; nothing
/// in one that is a name only.
#[inline(never)]
pub fn entry(list: &'static str, end: u8, name: &[u8]) -> Option<&'static [u8]> {
    let mut entries = Pieces(list.as_bytes(), end);
    let entry = entries.find(|entry| until(entry, b':') == name)?;
    Some(entry.get(name.len() + 1..).unwrap_or_default())
}

/// Whether `name` is one of the words of a list, which has blanks between them.
pub fn is_listed(list: &'static str, name: &[u8]) -> bool {
    entry(list, b' ', name).is_some()
}

/// Whether a word sets a variable: `NAME=VALUE`.
pub fn is_assignment(word: &[u8]) -> bool {
    let name = leading(word, |byte| is_letter(byte, b"_"));
    !name.is_empty() && word.get(name.len()) == Some(&b'=')
}

/// What digits say, if there are any and nothing else, and it fits.
#[inline(never)]
pub fn whole(digits: &[u8]) -> Option<u32> {
    let mut number = (!digits.is_empty()).then_some(0u32)?;
    for digit in digits {
        let value = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(value)?;
    }
    Some(number)
}

/// A number that is another one for texts that differ in one byte, and hardly ever the same for others that differ
/// (FNV-1a).
#[inline(never)]
pub fn checksum(text: &[u8]) -> u32 {
    let mix = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    text.iter().fold(0x811c_9dc5, mix)
}

/// What stands for the marks of a template, bytes that are no part of any character.
const PART: u8 = 0xf8;
const QUOTED: u8 = 0xf9;
const PLURAL: u8 = 0xfa;

/// What a template has in place of what `text` begins with, and how many bytes of that it stands for.
const fn compiled(text: &[u8]) -> (u8, usize) {
    match text {
        [b'{', b'}', ..] => (PART, 2),
        [b'{', b':', b'?', b'}', ..] => (QUOTED, 4),
        [b'{', b's', b'}', ..] => (PLURAL, 3),
        [byte, ..] => (*byte, 1),
        [] => (Template::END, 0),
    }
}

/// The bytes of a template, and how many these are: see [`template!`].
#[doc(hidden)]
pub const fn template<const N: usize>(text: &str) -> ([u8; N], usize) {
    let mut bytes = [Template::END; N];
    let (mut rest, mut length) = (text.as_bytes(), 0);
    loop {
        let (byte, taken) = compiled(rest);
        if length < N {
            bytes[length] = byte;
        }
        length += 1;
        if taken == 0 {
            return (bytes, length);
        }
        rest = rest.split_at(taken).1;
    }
}

/// The template of a message, as the program carries it.
#[macro_export]
macro_rules! template {
    ($text:expr) => {
        const {
            const LENGTH: usize = $crate::text::template::<0>($text).1;
            const BYTES: [u8; LENGTH] = $crate::text::template($text).0;
            $crate::text::Template::new(&BYTES)
        }
    };
}

/// Appends `template` filled in with `parts`.
#[inline(never)]
pub fn put_parts(out: &mut Vec<u8>, template: Template, mut parts: Parts) {
    let mut is_one = false;
    for byte in template {
        match byte {
            PART | QUOTED => {
                let Some(part) = parts.next() else {
                    continue;
                };
                is_one = matches!(part, Part::Number(1) | Part::Large(1));
                match part {
                    Part::Text(text) if byte == QUOTED => put_quoted(text, out),
                    _ => put_part(part, out),
                }
            }
            PLURAL if is_one => {}
            PLURAL => out.push(b's'),
            _ => out.push(byte),
        }
    }
    parts.for_each(|part| put_part(part, out));
}

/// `template` filled in with `parts`.
#[inline(never)]
pub fn text(template: Template, parts: Parts) -> Vec<u8> {
    let mut out = Vec::new();
    put_parts(&mut out, template, parts);
    out
}

/// Calls a function with some arguments, a template and its parts.
#[doc(hidden)]
#[macro_export]
macro_rules! with_parts {
    ([$($function:tt)+], ($($first:expr),*), $template:literal $(, $part:expr)* $(,)?) => {{
        let template = $crate::template!($template);
        $crate::list!($crate::text::List::NONE, $($part),*).give(|parts| $($function)+($($first,)* template, parts))
    }};
    ($function:tt, $first:tt, $($part:expr),+ $(,)?) => {
        $crate::with_parts!($function, $first, "", $($part),+)
    };
}

/// A list of parts with more of them.
#[doc(hidden)]
#[macro_export]
macro_rules! list {
    ($list:expr,) => { $list };
    ($list:expr, $part:expr $(, $more:expr)*) => {
        $crate::list!($list.and($crate::text::Put::part(&$part)), $($more),*)
    };
}

/// Appends a message to a `Vec<u8>`: `put!(out, "line {}", number)`.
#[macro_export]
macro_rules! put {
    ($out:expr, $($message:tt)+) => {
        $crate::with_parts!([$crate::text::put_parts], ($out), $($message)+)
    };
}

/// A message as a `Vec<u8>`: `text!("line {}", number)`.
#[macro_export]
macro_rules! text {
    ($($message:tt)+) => {
        $crate::with_parts!([$crate::text::text], (), $($message)+)
    };
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Where a test changes a text: at every byte, or, where an emulator would take minutes for that, at the last of
    /// every `LOGKNOCKD_STRIDE`.
    pub(crate) fn places(text: &[u8]) -> impl Iterator<Item = usize> {
        let stride = std::env::var("LOGKNOCKD_STRIDE").map(|stride| stride.parse().unwrap());
        (0..text.len()).rev().step_by(stride.unwrap_or(1))
    }

    #[test]
    fn numbers_are_decimal_to_the_last_digit() {
        assert_eq!(
            text!("{} {} {}", 0u64, u64::MAX, 1200u32),
            b"0 18446744073709551615 1200"
        );
        assert_eq!(text!("{} {} {}", i32::MIN, -7, 7), b"-2147483648 -7 7");
    }

    #[test]
    fn one_of_a_kind_has_no_s() {
        let message =
            |rules: u32, leases: usize| text!("{} rule{s}, {:?}: {} lease{s}", rules, "c", leases);
        assert_eq!(message(1, 2), b"1 rule, \"c\": 2 leases");
        assert_eq!(message(0, 1), b"0 rules, \"c\": 1 lease");
        assert_eq!(message(11, 0), b"11 rules, \"c\": 0 leases");
    }

    #[test]
    fn characters_are_those_of_the_standard_library() {
        let all = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        for character in all {
            let text = [character, 'x'].iter().collect::<String>();
            assert_eq!(first_character(text.as_bytes()), Some(character));
        }
        for bytes in (0..=u32::MAX).step_by(4099).map(u32::to_be_bytes) {
            let known = (1..=4).find_map(|end| std::str::from_utf8(&bytes[..end]).ok());
            let known = known.and_then(|text| text.chars().next());
            assert_eq!(first_character(&bytes), known, "{bytes:x?}");
        }
    }

    #[test]
    fn quoting_leaves_no_control_byte_and_no_loose_quote() {
        assert_eq!(
            text!("{:?}", b"a\"b\\c\n\x1b\x7f"),
            br#""a\"b\\c\x0a\x1b\x7f""#
        );
        assert_eq!(text!("{:?}", "für"), "\"für\"".as_bytes());
    }

    #[test]
    fn a_template_keeps_every_byte_that_is_no_mark_and_every_part() {
        assert_eq!(text!("{{}:{:?}{:}{", "a", "b"), b"{a:\"b\"{:}{");
        assert_eq!(text!("{} {} ", "a", 1u32, 2u32, "{}"), b"a 1 2{}");
        assert_eq!(text!("", "a", "b"), b"ab");
        assert_eq!(text!("{}{:?}."), b".");
    }

    #[test]
    fn escaping_leaves_text_and_disarms_everything_else() {
        let mut out = Vec::new();
        put_escaped(b"f\\u \xc3\xbcr \x1b[31m \xff\xc2\x9b\n\0", &mut out);
        assert_eq!(out, b"f\\u \xc3\xbcr \\x1b[31m \\xff\\xc2\\x9b\\x0a\\x00");
    }
}
