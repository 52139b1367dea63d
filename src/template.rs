//! Commands: `"uci set x={0}"` to argument vectors, with values from a log line filled in.
//!
//! The values are hostile: whoever sends a packet writes the line they are taken from. So a command is
//! split into words *before* anything is filled in, and a value can never add a word; no placeholder
//! can stand where a program or the text of a shell program is chosen; and a value that is not
//! printable UTF-8 of at most [`MAX_VALUE`] bytes is refused, not cleaned.
//!
//! Two steps, each a type that can only be had from the one before: a [`Command`] is split and has a
//! program; a [`Template`] has its placeholders resolved against one step's groups and lacks only
//! values. Words are split as a POSIX shell splits them, but nothing is expanded; placeholders follow
//! Python's `str.format` without its format specifications, conversions and attribute access, which are
//! errors.

use crate::regex::Regex;
use crate::text::{is_unprintable, put_hex_escape, split_at_byte};
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::ops::Range;
use core::str::CharIndices;

/// Longest value that is filled in, in bytes.
pub const MAX_VALUE: usize = 255;

const ACCESS: &str = "a placeholder is a group's number or name: no attributes, no indices";
const AMBIGUOUS: &str = " is ambiguous: a group of the last step has that name, too";
const CONVERSION: &str = "a placeholder is a group's number or name: no !conversion";
const DANGLING_BACKSLASH: &str = "nothing follows the backslash";
const FORMAT: &str = "a placeholder is a group's number or name: no :format";
const MIXED: &str = "{} cannot be mixed with numbered placeholders";
const NESTED: &str = "a brace inside a placeholder (literal braces are written {{ and }})";
const NO_COMMAND: &str = "empty command";
const NO_SHELL: &str = "no shell runs this: for | & < > and $ see sh -c, or put the word in quotes";
const NO_PROGRAM: &str = "the first word, the program, is empty";
const NUL: &str = "a command cannot hold a NUL byte";
const PROGRAM: &str = "what a log line says cannot choose the program to run";
const SHELL: &str = "a shell would run the value as code: pass it as \"$1\", with sh and the placeholder \
                     as words after the script";
const STRAY_BRACE: &str = "single } (a literal brace is written }})";
const UNCLOSED: &str = "unclosed placeholder (a literal brace is written {{)";
const UNKNOWN: &str =
    ": the last step has no group of that name (literal braces are written {{ and }})";
const UNTERMINATED: &str = "unterminated quote";

/// What is wrong with a command.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Error {
    /// For a command given as words, the one at fault, counted from 0; otherwise of no meaning.
    pub word: usize,
    /// Byte offset in that word or, for a command given as one string, in the string.
    pub at: usize,
    pub message: Vec<u8>,
}

/// A command split into words: at least one, the first not empty, none with a NUL byte.
pub struct Command {
    words: Vec<Word>,
}

#[derive(Default)]
struct Word {
    text: String,
    /// For each byte of `text` where it stood before quotes were removed.
    places: Vec<usize>,
}

impl Word {
    fn push(&mut self, place: usize, character: char) {
        self.text.push(character);
        self.places.resize(self.text.len(), place);
    }

    /// Takes what is before the closing `quote`, and the quote; `None` if there is none.
    fn push_quoted(&mut self, quote: char, from: &mut Peekable<CharIndices>) -> Option<()> {
        loop {
            let (at, character) = from.next()?;
            if character == quote {
                return Some(());
            }
            let escaped = match (quote, character) {
                ('"', '\\') => {
                    from.next_if(|(_, next)| matches!(next, '$' | '`' | '"' | '\\' | '\n'))
                }
                _ => None,
            };
            match escaped {
                None => self.push(at, character),
                Some((_, '\n')) => {}
                Some((at, escaped)) => self.push(at, escaped),
            }
        }
    }

    fn place(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or_default()
    }
}

impl Command {
    /// Splits `line` as a shell would: at white space, with `'…'`, `"…"` and `\`. Nothing else is
    /// special, and inside double quotes a backslash is one only before `$`, a back quote, `"`, `\` and
    /// a line break.
    ///
    /// # Errors
    ///
    /// An unterminated quote, a trailing backslash, and what a [`Command`] promises not to be.
    pub fn split(line: &str) -> Result<Command, Error> {
        let mut words = Vec::new();
        let mut word: Option<Word> = None;
        let mut characters = line.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                _ if character.is_ascii_whitespace() => words.extend(word.take()),
                '\\' => match characters.next() {
                    None => return Err(error(0, at, DANGLING_BACKSLASH)),
                    // Backslash and line break are removed: the line goes on.
                    Some((_, '\n')) => {}
                    Some((at, escaped)) => word.get_or_insert_default().push(at, escaped),
                },
                // A quote begins a word even if nothing is in it.
                '\'' | '"' => word
                    .get_or_insert_default()
                    .push_quoted(character, &mut characters)
                    .ok_or_else(|| error(0, at, UNTERMINATED))?,
                '|' | '&' | '<' | '>' | '$' if word.is_none() => {
                    return Err(error(0, at, NO_SHELL));
                }
                _ => word.get_or_insert_default().push(at, character),
            }
        }
        words.extend(word);
        Command::checked(words)
    }

    /// Takes words as they are.
    ///
    /// # Errors
    ///
    /// What a [`Command`] promises not to be.
    pub fn from_words(words: &[&str]) -> Result<Command, Error> {
        let word = |text: &&str| Word {
            text: (*text).into(),
            places: (0..text.len()).collect(),
        };
        Command::checked(words.iter().map(word).collect())
    }

    fn checked(words: Vec<Word>) -> Result<Command, Error> {
        match words.first() {
            None => return Err(error(0, 0, NO_COMMAND)),
            Some(program) if program.text.is_empty() => return Err(error(0, 0, NO_PROGRAM)),
            Some(_) => {}
        }
        for (index, word) in words.iter().enumerate() {
            if let Some(nul) = word.text.bytes().position(|byte| byte == 0) {
                return Err(error(index, word.place(nul), NUL));
            }
        }
        Ok(Command { words })
    }

    /// The words as they are, braces and all.
    pub fn into_words(self) -> Vec<String> {
        self.words.into_iter().map(|word| word.text).collect()
    }
}

fn error(word: usize, at: usize, message: &str) -> Error {
    Error {
        word,
        at,
        message: text!("{}", message),
    }
}

/// A command that only lacks its values.
pub struct Template {
    words: Vec<Vec<Part>>,
}

/// A piece of a word.
enum Part {
    Text(String),
    Placeholder {
        /// Without its braces.
        written: String,
        source: Source,
    },
}

enum Source {
    /// Counted from 0.
    Group(usize),
    Key,
    Rule,
}

/// How a placeholder names what it stands for.
enum Address<'w> {
    /// Counted from 0.
    Number(usize),
    Name(&'w str),
}

/// How the placeholders of a command have been numbered so far.
enum Numbering {
    Undecided,
    Automatic(usize),
    Manual,
}

/// Gives an address its meaning, or the reason why it has none.
type Resolve<'r> = &'r dyn Fn(Address) -> Result<Source, Vec<u8>>;

impl Command {
    /// Looks for errors that do not depend on the step.
    ///
    /// # Errors
    ///
    /// Those of [`Template::new`] except numbers and names that a step may lack.
    pub fn check_placeholders(&self) -> Result<(), Error> {
        self.parse(&|_| Ok(Source::Rule)).map(drop)
    }

    fn parse(&self, resolve: Resolve) -> Result<Vec<Vec<Part>>, Error> {
        let mut numbering = Numbering::Undecided;
        let shell_program = shell_program(&self.words);
        let mut words = Vec::new();
        for (index, word) in self.words.iter().enumerate() {
            let refused = match index {
                _ if shell_program.contains(&index) => Some(SHELL),
                0 => Some(PROGRAM),
                _ => None,
            };
            let mut parser = WordParser {
                index,
                word,
                refused,
                numbering,
                resolve,
                parts: Vec::new(),
            };
            parser.parse()?;
            numbering = parser.numbering;
            words.push(parser.parts);
        }
        Ok(words)
    }
}

/// Takes one word apart at its placeholders.
struct WordParser<'w> {
    index: usize,
    word: &'w Word,
    /// Why no placeholder may be here.
    refused: Option<&'static str>,
    numbering: Numbering,
    resolve: Resolve<'w>,
    parts: Vec<Part>,
}

impl WordParser<'_> {
    fn parse(&mut self) -> Result<(), Error> {
        let mut text = String::new();
        let mut rest = self.word.text.as_str();
        while let Some(brace) = rest.bytes().position(|byte| matches!(byte, b'{' | b'}')) {
            let (before, from_brace) = rest.split_at_checked(brace).unwrap_or_default();
            text.push_str(before);
            let doubled = from_brace
                .strip_prefix("{{")
                .or(from_brace.strip_prefix("}}"));
            if let Some(after) = doubled {
                text.extend(from_brace.chars().next());
                rest = after;
                continue;
            }
            self.push_text(&mut text);
            rest = self.placeholder(from_brace)?;
        }
        text.push_str(rest);
        self.push_text(&mut text);
        Ok(())
    }

    fn push_text(&mut self, text: &mut String) {
        if !text.is_empty() {
            self.parts.push(Part::Text(core::mem::take(text)));
        }
    }

    /// Parses the placeholder at the beginning of `rest`, the end of the word; gives what follows it.
    fn placeholder<'t>(&mut self, rest: &'t str) -> Result<&'t str, Error> {
        let start = self.word.text.len() - rest.len();
        let Some(inside) = rest.strip_prefix('{') else {
            return Err(self.fail(start, text!("{}", STRAY_BRACE)));
        };
        let Some((written, after)) = split_at_byte(inside, b'}') else {
            return Err(self.fail(start, text!("{}", UNCLOSED)));
        };
        if let Some((offset, message)) = find_unsupported(written) {
            return Err(self.fail(start + 1 + offset, text!("{}", message)));
        }
        if let Some(message) = self.refused {
            return Err(self.fail(start, text!("{}", message)));
        }
        let Some(address) = address(written, &mut self.numbering) else {
            return Err(self.fail(start, text!("{}", MIXED)));
        };
        match (self.resolve)(address) {
            Ok(source) => self.parts.push(Part::Placeholder {
                written: written.into(),
                source,
            }),
            Err(reason) => return Err(self.fail(start, text!("{{}}{}", written, reason))),
        }
        Ok(after)
    }

    fn fail(&self, offset: usize, message: Vec<u8>) -> Error {
        Error {
            word: self.index,
            at: self.word.place(offset),
            message,
        }
    }
}

/// Looks inside a placeholder for what Python's `str.format` would understand and this does not.
fn find_unsupported(written: &str) -> Option<(usize, &'static str)> {
    written.bytes().enumerate().find_map(|(offset, byte)| {
        let message = match byte {
            b'!' => CONVERSION,
            b'.' | b'[' => ACCESS,
            b':' => FORMAT,
            b'{' => NESTED,
            _ => return None,
        };
        Some((offset, message))
    })
}

/// Reads a placeholder's inside; `None` for a number that cannot be mixed with the ones before.
fn address<'w>(written: &'w str, numbering: &mut Numbering) -> Option<Address<'w>> {
    if !written.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Address::Name(written));
    }
    let (number, next) = match (written, &numbering) {
        ("", Numbering::Undecided) => (0, Numbering::Automatic(1)),
        // OK because there are fewer placeholders than bytes in memory.
        ("", Numbering::Automatic(next)) => (*next, Numbering::Automatic(next + 1)),
        ("", Numbering::Manual) | (_, Numbering::Automatic(_)) => return None,
        // A number too large to read is no group's number either.
        (digits, _) => (digits.parse().unwrap_or(usize::MAX), Numbering::Manual),
    };
    *numbering = next;
    Some(Address::Number(number))
}

/// The words a shell would take for its options and its program, if a shell is run: it by any path as
/// the first word, or `sh -c` after a `busybox`, `env`, `timeout`.
fn shell_program(words: &[Word]) -> Range<usize> {
    const SHELLS: [&[u8]; 8] = [
        b"sh", b"ash", b"bash", b"dash", b"hush", b"ksh", b"mksh", b"zsh",
    ];
    let is_shell = |word: &Word| {
        let mut parts = word.text.as_bytes().rsplit(|&byte| byte == b'/');
        SHELLS.contains(&parts.next().unwrap_or_default())
    };
    let Some(shell) = words.iter().position(is_shell) else {
        return 0..0;
    };
    let mut takes_text = false;
    let mut end = shell;
    let mut options = words.iter().map(|word| word.text.as_str()).skip(shell + 1);
    // Options, some of which take the next word for themselves, then the program.
    while let Some(word) = options.next() {
        end += 1;
        match word.as_bytes() {
            [b'-'] | b"--" => {
                end += 1;
                break;
            }
            b"--rcfile" | b"--init-file" => {
                end += options.next().iter().count();
            }
            [b'-', b'-', ..] => {}
            [b'-' | b'+', letters @ ..] => {
                takes_text |= letters.contains(&b'c');
                if letters.iter().any(|letter| b"oO".contains(letter)) {
                    end += options.next().iter().count();
                }
            }
            _ => break,
        }
    }
    if shell > 0 && !takes_text {
        return 0..0;
    }
    shell..words.len().min(end + 1)
}

/// Looks an address up among the groups of `step`.
fn resolve(address: Address, step: &Regex) -> Result<Source, Vec<u8>> {
    let name = match address {
        Address::Number(number) if number < step.group_count() => return Ok(Source::Group(number)),
        Address::Number(_) => return Err(out_of_range(step.group_count())),
        Address::Name(name) => name,
    };
    // Groups are counted from 1 there.
    let group = step
        .group_named(name)
        .and_then(|group| group.checked_sub(1));
    match (name, group) {
        ("key" | "rule", Some(_)) => Err(text!("{}", AMBIGUOUS)),
        ("key", None) => Ok(Source::Key),
        ("rule", None) => Ok(Source::Rule),
        (_, Some(group)) => Ok(Source::Group(group)),
        (_, None) => Err(text!("{}", UNKNOWN)),
    }
}

fn out_of_range(count: usize) -> Vec<u8> {
    match count {
        0 => text!(": the last step has no groups"),
        1 => text!(": the last step has 1 group, {0}"),
        _ => text!(
            ": the last step has {} groups, {0} to {{}}",
            count,
            count - 1
        ),
    }
}

/// What a template is filled with.
pub struct Values<'v> {
    pub rule: &'v str,
    pub key: &'v [u8],
    /// The groups of the last step's match without group 0: `groups[0]` is `{0}`. One that took no part
    /// is empty.
    pub groups: &'v [Vec<u8>],
}

/// Why a value is not put into a command: a sentence that begins with the placeholder.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Refusal {
    pub message: Vec<u8>,
}

impl Template {
    /// Resolves the placeholders of `command` against the groups of `step`, the last one of a sequence.
    ///
    /// # Errors
    ///
    /// Bad placeholders, those that would choose what is run, and numbers and names that `step` does not
    /// have.
    pub fn new(command: &Command, step: &Regex) -> Result<Template, Error> {
        let words = command.parse(&|address| resolve(address, step))?;
        Ok(Template { words })
    }

    /// The words of the command, never fewer or more than it was written with.
    ///
    /// # Errors
    ///
    /// The first value that is longer than [`MAX_VALUE`] or not [`printable`].
    pub fn fill(&self, values: &Values) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut words = Vec::new();
        for parts in &self.words {
            let mut word = Vec::new();
            for part in parts {
                match part {
                    Part::Text(text) => word.extend_from_slice(text.as_ref()),
                    Part::Placeholder { written, source } => {
                        word.extend_from_slice(checked(written, values.value(source))?)
                    }
                }
            }
            words.push(word);
        }
        Ok(words)
    }
}

impl Values<'_> {
    /// Every command gets the key, if not by a placeholder then in its environment.
    ///
    /// # Errors
    ///
    /// A key that a placeholder could not be filled with.
    pub fn check_key(&self) -> Result<(), Refusal> {
        checked("key", self.key).map(|_| ())
    }

    fn value(&self, source: &Source) -> &[u8] {
        match source {
            Source::Group(number) => self.groups.get(*number).map_or(&[], Vec::as_slice),
            Source::Key => self.key,
            Source::Rule => self.rule.as_bytes(),
        }
    }
}

fn checked<'v>(written: &str, value: &'v [u8]) -> Result<&'v [u8], Refusal> {
    let reason = if value.len() > MAX_VALUE {
        "longer than 255 bytes"
    } else if !printable(value) {
        "not printable UTF-8"
    } else {
        return Ok(value);
    };
    Err(Refusal {
        message: text!("{{}} is {}", written, reason),
    })
}

/// Whether `text` is UTF-8 without unprintable characters: what is shown is what is there, on one line.
pub fn printable(text: &[u8]) -> bool {
    core::str::from_utf8(text).is_ok_and(|text| !text.chars().any(is_unprintable))
}

/// Appends `words` so that a shell which is given the line runs exactly them: plain words bare, others
/// in single quotes, those with unprintable bytes in `$'…'`.
pub fn put_shell_words<W: AsRef<[u8]>>(words: &[W], out: &mut Vec<u8>) {
    for (index, word) in words.iter().enumerate() {
        let word = word.as_ref();
        // A first word with = would be an assignment.
        let bare: &[u8] = if index == 0 {
            b"_-./:,@%+"
        } else {
            b"_-./:,@%+="
        };
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || bare.contains(byte);
        if index > 0 {
            out.push(b' ');
        }
        if !word.is_empty() && word.iter().all(plain) {
            out.extend_from_slice(word);
        } else if printable(word) {
            put_single_quoted(word, out);
        } else {
            put_escaped(word, out);
        }
    }
}

fn put_single_quoted(word: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => put!(out, "'\\''"),
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}

fn put_escaped(word: &[u8], out: &mut Vec<u8>) {
    put!(out, "$'");
    for &byte in word {
        match byte {
            b'\'' | b'\\' => out.extend([b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => put_hex_escape(byte, out),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests;
