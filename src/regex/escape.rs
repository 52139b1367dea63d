//! Reads classes and escapes.
//!
//! Guarantees Python's reading of the odd ones: a `]` that comes first in a class is a member of it, `\b` is a
//! backspace there, `\012` is octal and so is `\112`, but `\12` refers to a group. Members of a class are bytes,
//! so they must be ASCII.

use super::fault::Fault;
use super::parse::{ASCII, Char, IGNORE_CASE, MAX_ASCII, Parse, Parser};
use super::set::{DIGIT, SPACE_ASCII, SPACE_UNICODE, Set, WORD};
use super::tree::Look;

/// What an escape stands for.
#[derive(Clone, Copy)]
pub(super) enum Escape {
    Char(Char),
    /// The class that this letter names.
    Class(u8),
    Look(Look),
}

/// What a letter behind a backslash stands for.
static LETTERS: [(u8, Escape); 10] = [
    (b'A', Escape::Look(Look::TextStart)),
    (b'Z', Escape::Look(Look::TextEnd)),
    (b'b', Escape::Look(Look::WordBoundary)),
    (b'B', Escape::Look(Look::NotWordBoundary)),
    (b'a', Escape::Char(0x07)),
    (b'f', Escape::Char(0x0c)),
    (b'n', Escape::Char(0x0a)),
    (b'r', Escape::Char(0x0d)),
    (b't', Escape::Char(0x09)),
    (b'v', Escape::Char(0x0b)),
];

impl Parser<'_> {
    /// Reads a class whose `[` is at `start` into `set`, which is empty.
    pub fn class(&mut self, start: usize, set: &mut Set) -> Parse<()> {
        let negated = self.eat(b'^');
        let mut first = true;
        loop {
            let at = self.at;
            let rest = self.pattern.get(at..).unwrap_or(&[]);
            match rest {
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
            set.negate();
        }
        Some(())
    }

    /// Adds what the escape with this letter stands for: of the other class, if it is a capital.
    #[inline(never)]
    pub fn add_class(&self, letter: u8, set: &mut Set) {
        let class = match letter {
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
        let Some(first) = self.next() else {
            return Some(Escape::Look(Look::TextEnd));
        };
        if first != b'\\' {
            return Some(Escape::Char(self.character(first)));
        }
        match self.peek() {
            Some(b'b') => {
                self.next();
                Some(Escape::Char(0x08))
            }
            Some(b'0'..=b'7') => self.octal(at),
            _ => self.escape(at),
        }
    }

    /// Reads what follows the backslash at `at`.
    pub fn escape(&mut self, at: usize) -> Parse<Escape> {
        let Some(first) = self.next() else {
            return self.fail_at(at, Fault::EscapeEnd);
        };
        if let Some((_, meaning)) = LETTERS.iter().find(|(letter, _)| *letter == first) {
            return Some(*meaning);
        }
        Some(match first {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' => Escape::Class(first),
            b'x' => return self.hexadecimal(at, 2),
            b'u' => return self.hexadecimal(at, 4),
            b'U' => return self.hexadecimal(at, 8),
            b'0' => return self.octal(at),
            b'1'..=b'9' if self.is_octal(at) => return self.octal(at),
            b'1'..=b'9' => return self.fail_at(at, Fault::Backreference),
            b'N' => return self.fail_at(at, Fault::EscapeNamed),
            b'p' | b'P' => return self.fail_at(at, Fault::EscapeProperty),
            b'A'..=b'Z' | b'a'..=b'z' => return self.fail_at(at, Fault::EscapeUnknown),
            _ => Escape::Char(self.character(first)),
        })
    }

    /// Whether three octal digits follow the backslash at `at`; fewer are a backreference.
    fn is_octal(&self, at: usize) -> bool {
        let rest = self.pattern.get(at..).unwrap_or(&[]);
        rest.get(1..4)
            .is_some_and(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')))
    }

    fn octal(&mut self, at: usize) -> Parse<Escape> {
        self.at = at + 1;
        let mut value = 0;
        while let Some(digit) = self.peek_digit(8) {
            if self.at > at + 3 {
                break;
            }
            value = value << 3 | digit;
            self.next();
        }
        if value > 0o377 {
            return self.fail_at(at, Fault::EscapeOctal);
        }
        self.code_point(value, at)
    }

    fn hexadecimal(&mut self, at: usize, digits: u32) -> Parse<Escape> {
        let mut value = 0;
        for _ in 0..digits {
            let Some(digit) = self.peek_digit(16) else {
                return self.fail_at(at, Fault::EscapeDigits);
            };
            // OK because there are at most eight digits of four bits.
            value = value << 4 | digit;
            self.next();
        }
        self.code_point(value, at)
    }

    fn peek_digit(&self, radix: u32) -> Option<u32> {
        char::from(self.peek()?).to_digit(radix)
    }

    fn code_point(&mut self, value: u32, at: usize) -> Parse<Escape> {
        let Some(char) = char::from_u32(value) else {
            return self.fail_at(at, Fault::EscapeCodePoint);
        };
        let mut bytes = [0; 4];
        let bytes = char.encode_utf8(&mut bytes).bytes();
        Some(Escape::Char(
            bytes.fold(0, |char, byte| char << 8 | Char::from(byte)),
        ))
    }

    fn member_byte(&mut self, char: Char, at: usize) -> Parse<u8> {
        if char > MAX_ASCII {
            return self.fail_at(at, Fault::ClassNonAscii);
        }
        // OK because ASCII fits a byte.
        Some(char as u8)
    }
}
