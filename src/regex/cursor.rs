//! Where reading a pattern has come to, what the flags are there, and what is wrong if something is.

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

/// A pattern and how far it is read.
pub(super) struct Cursor<'p> {
    pub pattern: &'p [u8],
    /// Where reading goes on, or what is at fault.
    pub at: usize,
    pub flags: Flags,
    /// What is wrong there.
    pub message: &'static str,
}

/// A character as the bytes that it is in UTF-8, the last of them lowest.
pub(super) type Char = u32;
/// The last character that is one byte.
pub(super) const MAX_ASCII: Char = 0x7f;

/// None if something is wrong: the cursor knows what, and stands there.
pub(super) type Parse<T> = Option<T>;

impl Cursor<'_> {
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
