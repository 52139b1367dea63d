//! Finds a byte four words at a time, where the C library does not do better: routers have musl.
//!
//! Written with pointers, because with slices MIPS takes half as many instructions again: most texts that are searched have
//! a few dozen bytes, and what is done once for each counts. In ASCII no word is looked at twice, in other texts some are.

use core::hint::black_box;

const WORD: usize = size_of::<usize>();
const FOUR: usize = 4 * WORD;

/// Index of the first `byte` in `text`.
pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    let range = text.as_ptr_range();
    let mut at = range.start;
    // SAFETY: `at` goes from the start of the text to its end. Of a text that is long enough for it, bytes are read up to
    // where a word can begin, and then four words where as many bytes follow. Any bytes are a word.
    unsafe {
        'near: {
            if text.len() < WORD + FOUR {
                break 'near;
            }
            while !at.cast::<usize>().is_aligned() {
                if *at == byte {
                    break 'near;
                }
                at = at.add(1);
            }
            let sought = Sought::new(byte);
            let fours = range.end.offset_from_unsigned(at) / FOUR;
            let end = at.add(fours * FOUR);
            while at < end {
                // A loop of its own, because it is most of what a router does with a log.
                while !sought.may_be_in(&*at.cast()) {
                    at = at.add(FOUR);
                    if at == end {
                        break 'near;
                    }
                }
                let mut words = 4;
                loop {
                    if sought.is_in(*at.cast()) {
                        break 'near;
                    }
                    at = at.add(WORD);
                    words -= 1;
                    if words == 0 {
                        break;
                    }
                }
            }
        }
        while at != range.end {
            if *at == byte {
                return Some(at.offset_from_unsigned(range.start));
            }
            at = at.add(1);
        }
    }
    None
}

/// Index of the last `byte` in `text`.
pub fn find_last_byte(text: &[u8], byte: u8) -> Option<usize> {
    let range = text.as_ptr_range();
    let mut at = range.end;
    // SAFETY: the same the other way: `at` goes from the end of the text to its start, and what is read is before it.
    unsafe {
        'near: {
            if text.len() < WORD + FOUR {
                break 'near;
            }
            while !at.cast::<usize>().is_aligned() {
                if *at.sub(1) == byte {
                    break 'near;
                }
                at = at.sub(1);
            }
            let sought = Sought::new(byte);
            let fours = at.offset_from_unsigned(range.start) / FOUR;
            let end = at.sub(fours * FOUR);
            while at > end {
                while !sought.may_be_in(&*at.sub(FOUR).cast()) {
                    at = at.sub(FOUR);
                    if at == end {
                        break 'near;
                    }
                }
                let mut words = 4;
                loop {
                    if sought.is_in(*at.sub(WORD).cast()) {
                        break 'near;
                    }
                    at = at.sub(WORD);
                    words -= 1;
                    if words == 0 {
                        break;
                    }
                }
            }
        }
        while at != range.start {
            at = at.sub(1);
            if *at == byte {
                return Some(at.offset_from_unsigned(range.start));
            }
        }
    }
    None
}

/// A byte in each place of a word, and what arithmetic wants.
struct Sought {
    bytes: usize,
    lowest: usize,
    highest: usize,
}

impl Sought {
    #[inline(always)]
    fn new(byte: u8) -> Sought {
        // Hidden from the compiler, which would make all three anew wherever they are used.
        let ones = black_box(usize::from_ne_bytes([1; WORD]));
        Sought {
            bytes: usize::from(byte).wrapping_mul(ones),
            lowest: ones - 1,
            highest: ones << 7,
        }
    }

    /// That is !(difference - 1 in each byte): of the bytes without a difference, the lowest is the first to borrow, and
    /// its highest bit is not set. Nor is it where a difference has it.
    #[inline(always)]
    fn borrow(&self, difference: usize) -> usize {
        self.lowest.wrapping_sub(difference)
    }

    /// False if the byte is in none of four words; true in ASCII only if it is in one.
    #[inline(always)]
    fn may_be_in(&self, [one, two, three, four]: &[usize; 4]) -> bool {
        let borrow = |word| self.borrow(word ^ self.bytes);
        let all = borrow(one) & borrow(two) & borrow(three) & borrow(four);
        all & self.highest != self.highest
    }

    #[inline(always)]
    fn is_in(&self, word: usize) -> bool {
        let difference = word ^ self.bytes;
        (difference | self.borrow(difference)) & self.highest != self.highest
    }
}
