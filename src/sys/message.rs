//! How a message is handed over: a template and its parts, in as few words as can be.
//!
//! Hundreds of places make messages, and what each of them writes down for that is a large part of the program. So a
//! template is the address of its first byte, and of what kind the parts are says one number, which is known when the
//! program is compiled. It is safe to read them: a [`Template`] is seen to have an end, and what notes a part notes its
//! kind, too.
//!
//! No other file of the program is named here: `text` is on the ground and borrows this.

use alloc::vec::Vec;
use core::ptr::NonNull;

/// What a message is made from: bytes, up to one that is no part of any character.
#[derive(Clone)]
pub struct Template(NonNull<u8>);

impl Template {
    /// What a template ends with.
    pub const END: u8 = 0xff;

    /// The template that `text` is, which must have an end.
    pub const fn new(text: &'static [u8]) -> Template {
        assert!(matches!(text, [.., Template::END]));
        Template(NonNull::from_ref(text).cast())
    }
}

impl Iterator for Template {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        // SAFETY: `new` has seen an end, and nothing goes beyond the first one.
        let byte = unsafe { self.0.read() };
        if byte == Template::END {
            return None;
        }
        // SAFETY: as above.
        self.0 = unsafe { self.0.add(1) };
        Some(byte)
    }
}

/// Something that can be a part of a message.
pub trait Put {
    /// Appends `self` to `out`.
    fn put(&self, out: &mut Vec<u8>);

    /// `self` as a part of a message.
    #[inline(always)]
    fn part(&self) -> Part<'_>
    where
        Self: Sized,
    {
        Part::Other(self)
    }
}

/// A part of a message.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// Bytes as they are.
    Text(&'a [u8]),
    /// Bytes that are kept somewhere: their address takes fewer instructions to find than they themselves.
    Kept(&'a Vec<u8>),
    /// A decimal number.
    Number(usize),
    /// One that may be larger.
    Large(&'a u64),
    /// A code that its function describes.
    Code(i32, fn(i32, &mut Vec<u8>)),
    /// Whatever else can be put.
    Other(&'a dyn Put),
}

/// A part without its kind.
#[derive(Clone, Copy)]
union Content<'a> {
    text: &'a [u8],
    kept: &'a Vec<u8>,
    number: usize,
    large: &'a u64,
    code: (i32, fn(i32, &mut Vec<u8>)),
    other: &'a dyn Put,
}

/// The kinds of parts; 0 is none.
const TEXT: u32 = 1;
const KEPT: u32 = 2;
const NUMBER: u32 = 3;
const LARGE: u32 = 4;
const CODE: u32 = 5;
const OTHER: u32 = 6;

/// How many bits a kind takes, and how many kinds fit a number.
const KIND_BITS: u32 = 3;
const MAX_PARTS: u32 = u32::BITS / KIND_BITS;

/// The parts of a message while they are put together: `C` is their contents, one behind the other.
pub struct List<C> {
    kinds: u32,
    contents: C,
}

/// Contents with one more behind them.
#[repr(C)]
pub struct More<'a, C>(C, Content<'a>);

/// How many contents there are.
pub trait Count {
    /// That many.
    const COUNT: u32;
}

impl Count for () {
    const COUNT: u32 = 0;
}

impl<C: Count> Count for More<'_, C> {
    const COUNT: u32 = C::COUNT + 1;
}

impl List<()> {
    /// No parts.
    pub const NONE: List<()> = List {
        kinds: 0,
        contents: (),
    };
}

impl<C: Count> List<C> {
    /// These parts and one more.
    #[inline(always)]
    pub fn and(self, part: Part<'_>) -> List<More<'_, C>> {
        const { assert!(C::COUNT < MAX_PARTS) };
        let (kind, content) = match part {
            Part::Text(text) => (TEXT, Content { text }),
            Part::Kept(kept) => (KEPT, Content { kept }),
            Part::Number(number) => (NUMBER, Content { number }),
            Part::Large(large) => (LARGE, Content { large }),
            Part::Code(code, describe) => {
                let code = (code, describe);
                (CODE, Content { code })
            }
            Part::Other(other) => (OTHER, Content { other }),
        };
        List {
            kinds: self.kinds | kind << (KIND_BITS * C::COUNT),
            contents: More(self.contents, content),
        }
    }

    /// Hands the parts to somebody.
    #[inline(always)]
    pub fn give<T>(self, take: impl FnOnce(Parts) -> T) -> T {
        // Apart, or the kinds would be written beside what there is an address of.
        let List { kinds, contents } = self;
        let contents = NonNull::from_ref(&contents).cast();
        take(Parts { kinds, contents })
    }
}

/// The parts of a message, of a [`List`] that is given.
pub struct Parts<'a> {
    kinds: u32,
    contents: NonNull<Content<'a>>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let kind = self.kinds & ((1 << KIND_BITS) - 1);
        if kind == 0 {
            return None;
        }
        self.kinds >>= KIND_BITS;
        // SAFETY: there are as many contents, in C's order and so one behind the other, as kinds that are not 0; and
        // each is of its kind. `List::and` notes the two together, and nobody else can.
        unsafe {
            let content = self.contents.read();
            self.contents = self.contents.add(1);
            Some(match kind {
                TEXT => Part::Text(content.text),
                KEPT => Part::Text(content.kept),
                NUMBER => Part::Number(content.number),
                LARGE => Part::Large(content.large),
                CODE => Part::Code(content.code.0, content.code.1),
                _ => Part::Other(content.other),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sys::Errno;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn as_many_parts_as_fit_come_out_in_their_order_and_of_their_kinds() {
        let (kept, string) = (b"kept".to_vec(), String::from("string"));
        let other: &dyn super::Put = &-8;
        let mut out = Vec::new();
        put!(
            &mut out,
            "{:?} {} {:?} {} {} {} {} {} {:?} {}.",
            "text",
            7u32,
            kept,
            u64::MAX,
            Errno(2),
            other,
            string,
            usize::MAX,
            b"bytes",
            1u64
        );
        let expected = "\"text\" 7 \"kept\" 18446744073709551615 No such file or directory (errno 2) -8 string";
        let expected = std::format!("{expected} {} \"bytes\" 1.", usize::MAX);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_template_ends_where_its_text_does() {
        let bytes: Vec<u8> = template!("für\0{}").collect();
        assert_eq!(bytes, "für\0".bytes().chain([0xf8]).collect::<Vec<u8>>());
        assert_eq!(template!("").next(), None);
    }
}
