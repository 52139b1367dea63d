//! Commands: `"uci set x={0}"` to argument vectors, with values from a log line filled in.
//!
//! The values are hostile: whoever sends a packet writes the line they are taken from. So a command is
//! split into words *before* anything is filled in, and a value can never add a word; no placeholder
//! can stand where a program or the text of a shell program is chosen (`guard`); and a value that is not
//! printable UTF-8 of at most [`MAX_VALUE`] bytes is refused. Only the key can be such: other values are cleaned before.
//!
//! A [`Command`] is split and has a program. It is checked against the steps it will be filled from when it
//! is loaded, and its placeholders are read again, by the same code, when it is filled: one reading, one
//! meaning, and nothing in between to keep. Words are split as a POSIX shell splits them, but nothing is
//! expanded; placeholders follow Python's `str.format` without its format specifications, conversions and
//! attribute access, which are errors.

use crate::commands::guard;
use crate::regex::Regex;
use crate::text::{Characters, holds, is_letter, leading, program, put_hex_escape, whole, words};
use alloc::string::String;
use alloc::vec::Vec;

/// Longest value that is filled in, in bytes.
pub const MAX_VALUE: usize = 255;

const AMBIGUOUS: &str = " is ambiguous: a group of the last step has that name, too";
const DANGLING_BACKSLASH: &str = "nothing follows the backslash";
const FAIL2BAN: &str = "<ip> is fail2ban's: here it is {key}";
const KNOCKD: &str = "%IP% is knockd's: here it is {key}";
const MIXED: &str = " cannot be mixed: number all placeholders or none";
const NESTED: &str = "a brace inside a placeholder (literal braces are written {{ and }})";
const NO_COMMAND: &str = "empty command";
const NO_SHELL: &str =
    "no shell runs this: for | & < > $ and ` see sh -c, or put the word in quotes";
const NO_FAMILY: &str = ": the key is no address";
const NO_GROUP: &str = ": the last step has no group of that number (its first is {0})";
const NO_GROUPS: &str = ": the last step has no groups (the filter's is {key})";
const NO_PROGRAM: &str = "the first word, the program, is empty";
const NOT_PLAIN: &str = "a placeholder is a group's number or name and nothing else";
const NUL: &str = "a command cannot hold a NUL byte";
const SEMICOLON: &str = "no shell runs this: each command is an item of its own, and a ; that is meant stands in quotes";
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

/// A command split into words: at least one, the first not empty.
#[derive(Default)]
pub struct Command {
    /// Its words with their braces, a NUL byte behind each.
    text: Vec<u8>,
    /// For each byte of `text` where it stood before quotes were removed.
    places: Vec<usize>,
}

impl Command {
    /// Splits `line` as a shell would: at white space, with `'…'`, `"…"` and `\`. Nothing else is
    /// special, and inside double quotes a backslash is one only before `$`, a back quote, `"`, `\` and
    /// a line break.
    ///
    /// # Errors
    ///
    /// An unterminated quote, a trailing backslash, what only a shell would understand, and what a [`Command`]
    /// promises not to be.
    pub fn split(line: &str) -> Result<Command, Error> {
        refuse_nul(0, line)?;
        let line = line.as_bytes();
        let mut command = Command::default();
        let mut in_word = false;
        // None is 0, which no byte is.
        let (mut quote, mut quote_at) = (0, 0);
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            let next = line.get(at + 1).copied();
            let mut taken = Some(byte);
            if byte == quote {
                (quote, taken) = (0, None);
            } else if byte == b'\\' && quote != b'\'' {
                // Backslash and line break are removed: the line goes on.
                if next == Some(b'\n') {
                    at += 2;
                    continue;
                }
                if quote == 0 || next.is_some_and(|next| holds(b"$`\"\\", next)) {
                    if next.is_none() {
                        return Err(error(0, at, DANGLING_BACKSLASH));
                    }
                    (taken, at) = (next, at + 1);
                }
            } else if quote != 0 {
                // Whatever it is.
            } else if byte.is_ascii_whitespace() {
                if in_word {
                    command.push(at, 0);
                }
                in_word = false;
                at += 1;
                continue;
            } else if matches!(byte, b'\'' | b'"') {
                // A quote begins a word even if nothing is in it.
                (quote, quote_at, taken) = (byte, at, None);
            } else if let Some(message) = command.habit(in_word, line.get(at..).unwrap_or_default())
            {
                return Err(error(0, at, message));
            }
            if let Some(byte) = taken {
                command.push(at, byte);
            }
            in_word = true;
            at += 1;
        }
        if quote != 0 {
            return Err(error(0, quote_at, UNTERMINATED));
        }
        if in_word {
            command.push(at, 0);
        }
        command.checked()
    }

    /// Takes words as they are.
    ///
    /// # Errors
    ///
    /// What a [`Command`] promises not to be.
    pub fn from_words(words: &[String]) -> Result<Command, Error> {
        let mut command = Command::default();
        for (index, word) in words.iter().enumerate() {
            refuse_nul(index, word)?;
            for (at, byte) in word.bytes().enumerate() {
                command.push(at, byte);
            }
            command.push(word.len(), 0);
        }
        command.checked()
    }

    /// What only a shell, or another program's configuration, would understand at this byte outside quotes.
    fn habit(&self, in_word: bool, rest: &[u8]) -> Option<&'static str> {
        if let Some(message) = foreign(rest) {
            return Some(message);
        }
        let next = rest.get(1);
        let shells = match rest.first()? {
            b'`' => true,
            b'|' | b'&' => !in_word,
            b'$' => !in_word || next.is_some_and(|next| is_letter(next, b"_({")),
            b'<' | b'>' => {
                let mut word = self.text.iter().rev().take_while(|byte| **byte != 0);
                !in_word || word.all(u8::is_ascii_digit)
            }
            b';' => {
                let depth = self.text.iter().fold(0, |depth, byte| match byte {
                    b'{' => depth + 1,
                    b'}' => depth - 1,
                    _ => depth,
                });
                let ends = next.is_none_or(u8::is_ascii_whitespace);
                // nft has semicolons in its braces, and find ends a command with one.
                let is_meant = depth > 0 || program(&self.text).ends_with(b"find");
                return ((ends || !in_word) && !is_meant).then_some(SEMICOLON);
            }
            _ => false,
        };
        shells.then_some(NO_SHELL)
    }

    fn push(&mut self, place: usize, byte: u8) {
        self.text.push(byte);
        self.places.push(place);
    }

    fn checked(self) -> Result<Command, Error> {
        match self.text.first() {
            None => Err(error(0, 0, NO_COMMAND)),
            Some(0) => Err(error(0, 0, NO_PROGRAM)),
            Some(_) => {
                let mut words = words(&self.text);
                match words.position(|word| guard::evaluates(word, false)) {
                    Some(word) => Err(error(word, 0, guard::EVAL)),
                    None => Ok(self),
                }
            }
        }
    }

    /// The words as they are, braces and all, a NUL byte behind each.
    pub fn words(&self) -> &[u8] {
        &self.text
    }

    /// The same to keep.
    pub fn into_words(self) -> Vec<u8> {
        self.text
    }
}

/// No word has a NUL byte.
#[inline(never)]
fn refuse_nul(word: usize, text: &str) -> Result<(), Error> {
    match text.bytes().position(|byte| byte == 0) {
        Some(at) => Err(error(word, at, NUL)),
        None => Ok(()),
    }
}

#[inline(never)]
fn error(word: usize, at: usize, message: &str) -> Error {
    Error {
        word,
        at,
        message: text!("{}", message),
    }
}

/// What a text begins with that knockd or fail2ban puts an address in the place of.
pub fn foreign(text: &[u8]) -> Option<&'static str> {
    match text.get(..4)? {
        b"%IP%" => Some(KNOCKD),
        b"<ip>" => Some(FAIL2BAN),
        _ => None,
    }
}

impl Command {
    /// Looks for bad placeholders, those that would choose what is run and, with `step`, the last one of a
    /// sequence, for numbers and names that it does not have.
    ///
    /// # Errors
    ///
    /// The first one.
    pub fn check(&self, step: Option<&Regex>) -> Result<(), Error> {
        self.filled(step, None).map(drop)
    }

    /// The words of the command, never fewer or more than it was written with, a NUL byte behind each. `step` is one that it has been
    /// [checked](Command::check) against.
    ///
    /// # Errors
    ///
    /// The first value that is longer than [`MAX_VALUE`] or not [`printable`], in a sentence that begins with the
    /// placeholder.
    pub fn fill(&self, step: &Regex, values: &Values) -> Result<Vec<u8>, Vec<u8>> {
        self.filled(Some(step), Some(values))
            .map_err(|error| error.message)
    }

    /// The words with their placeholders replaced; by nothing if there is no step. Without values they are checked.
    fn filled(&self, step: Option<&Regex>, values: Option<&Values>) -> Result<Vec<u8>, Error> {
        // How many placeholders have had no number; none once one has had one.
        let mut automatic = Some(0);
        let (mut filled, mut word) = (Vec::new(), 0);
        let mut at = 0;
        while let Some(&byte) = self.text.get(at) {
            let start = at;
            at += 1;
            if !matches!(byte, b'{' | b'}') {
                word += usize::from(byte == 0);
                filled.push(byte);
                continue;
            }
            if self.text.get(at) == Some(&byte) {
                filled.push(byte);
                at += 1;
                continue;
            }
            let guarded = values.is_none().then_some(word);
            let values = values.unwrap_or(&UNKNOWN_VALUES);
            let (at, message) = match self.placeholder(start, guarded) {
                Err((at, refusal)) => (at, text!("{}", refusal)),
                Ok(written) => match value(written, &mut automatic, step, values) {
                    Err(reason) => (start, text!("{{}}{}", written, reason)),
                    Ok(value) => {
                        filled.extend_from_slice(value);
                        at += written.len() + 1;
                        continue;
                    }
                },
            };
            let at = self.places.get(at).copied().unwrap_or_default();
            return Err(Error { word, at, message });
        }
        Ok(filled)
    }

    /// What is written in the placeholder at `start`, or what is wrong there and where, also with it in this word.
    fn placeholder(
        &self,
        start: usize,
        word: Option<usize>,
    ) -> Result<&[u8], (usize, &'static str)> {
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let written = leading(rest, |byte| !matches!(byte, b'}' | 0));
        let odd = written.iter().position(|byte| holds(b"!.[:{", *byte));
        let (at, message) = if self.text.get(start) == Some(&b'}') {
            (start, STRAY_BRACE)
        } else if rest.get(written.len()) != Some(&b'}') {
            (start, UNCLOSED)
        } else if let Some(odd) = odd {
            // What Python's str.format would understand.
            let is_brace = written.get(odd) == Some(&b'{');
            (start + 1 + odd, if is_brace { NESTED } else { NOT_PLAIN })
        } else if let Some(word) = word
            && let Some(refusal) = guard::refusal(&self.text, word)
        {
            (start, refusal)
        } else {
            return Ok(written);
        };
        Err((at, message))
    }
}

/// What stands for a placeholder, or why nothing does.
fn value<'v>(
    written: &[u8],
    automatic: &mut Option<usize>,
    step: Option<&Regex>,
    values: &Values<'v>,
) -> Result<&'v [u8], &'static str> {
    let is_name = !written.iter().all(u8::is_ascii_digit);
    // A number too large to read is no group's number either.
    let mut number = whole(written).map_or(usize::MAX, |number| number as usize);
    if !is_name {
        *automatic = match (written, *automatic) {
            (b"", Some(next)) => {
                number = next;
                Some(next + 1)
            }
            (b"", None) | (_, Some(1..)) => return Err(MIXED),
            _ => None,
        };
    }
    let Some(step) = step else {
        return Ok(&[]);
    };
    let group = step.group_named(written);
    let own = match written {
        b"key" => values.key,
        b"rule" => values.rule.as_bytes(),
        b"family" if values.family.is_empty() => return Err(NO_FAMILY),
        b"family" => values.family,
        _ => {
            // OK because groups are counted from 1 there.
            let number = group.map_or(number, |group| group - 1);
            return match (group, step.group_count()) {
                (None, _) if is_name => Err(UNKNOWN),
                (_, 0) => Err(NO_GROUPS),
                (_, count) if number >= count => Err(NO_GROUP),
                _ => checked(values.groups.get(number).map_or(&[], Vec::as_slice)),
            };
        }
    };
    match group {
        Some(_) => Err(AMBIGUOUS),
        None => checked(own),
    }
}

/// What a command is filled with.
pub struct Values<'v> {
    pub rule: &'v str,
    pub key: &'v [u8],
    /// The family of the address that the key is, `4` or `6`. If it is none, nothing: then a command that wants to know
    /// is refused.
    pub family: &'v [u8],
    /// The groups of the last step's match without group 0: `groups[0]` is `{0}`. One that took no part
    /// is empty.
    pub groups: &'v [Vec<u8>],
}

impl<'v> Values<'v> {
    /// Every command gets the key, if not by a placeholder then in its environment.
    ///
    /// # Errors
    ///
    /// Why a placeholder could not be filled with it.
    pub fn check_key(&self) -> Result<(), Vec<u8>> {
        checked(self.key)
            .map_err(|reason| text!("{key}{}", reason))
            .map(drop)
    }
}

/// Those of a knock that has not come.
const UNKNOWN_VALUES: Values = Values {
    rule: "",
    key: b"",
    family: b"4",
    groups: &[],
};

fn checked(value: &[u8]) -> Result<&[u8], &'static str> {
    if value.len() > MAX_VALUE {
        Err(" is longer than 255 bytes")
    } else if !printable(value) {
        Err(" is not printable UTF-8")
    } else {
        Ok(value)
    }
}

/// Whether `text` is UTF-8 without unprintable characters: what is shown is what is there, on one line.
pub fn printable(text: &[u8]) -> bool {
    Characters(text).all(|(_, shows)| shows)
}

/// Appends the words of `command`, which have a NUL byte behind each, so that a shell which is given the line
/// runs exactly them: plain words bare, others in single quotes, those with unprintable bytes in `$'…'`.
pub fn put_shell_words(command: &[u8], out: &mut Vec<u8>) {
    for (index, word) in words(command).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        // A first word with = would be an assignment.
        let plain = |byte: &u8| is_letter(byte, b"_-./:,@+") || (*byte == b'=' && index > 0);
        if !word.is_empty() && word.iter().all(plain) {
            out.extend_from_slice(word);
            continue;
        }
        let is_printable = printable(word);
        out.extend_from_slice(if is_printable { b"'" } else { b"$'" });
        for &byte in word {
            match byte {
                b'\'' if is_printable => out.extend_from_slice(b"'\\''"),
                _ if is_printable => out.push(byte),
                b'\'' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b' '..=b'~' => out.push(byte),
                _ => put_hex_escape(byte, out),
            }
        }
        out.push(b'\'');
    }
}

#[cfg(test)]
mod tests;
