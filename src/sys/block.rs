//! Compares all bytes of a block at once.
//!
//! Every x86-64 processor has instructions for 16 bytes. Elsewhere a block is a machine word, and plain arithmetic
//! leaves one bit in each byte that is equal.

/// The places of a block where something was found.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct Hits<const BITS: u32>(usize);

impl<const BITS: u32> Hits<BITS> {
    /// Without the first so many places; less than all.
    #[inline(always)]
    pub fn from(self, place: usize) -> Self {
        Hits(self.0 & usize::MAX << (place * BITS as usize))
    }

    /// The first of them.
    #[inline(always)]
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| (self.0.trailing_zeros() / BITS) as usize)
    }

    /// The last of them.
    #[inline(always)]
    pub fn last(self) -> Option<usize> {
        let highest = usize::BITS - 1;
        (self.0 != 0).then(|| ((highest - self.0.leading_zeros()) / BITS) as usize)
    }
}

/// As many blocks as a counter of one byte for each place can count.
pub const COUNTED_TOGETHER: usize = u8::MAX as usize;

#[cfg(target_arch = "x86_64")]
pub use vector::{SIZE, both, count};
#[cfg(not(target_arch = "x86_64"))]
pub use word::{SIZE, both, count};

#[cfg(target_arch = "x86_64")]
mod vector {
    use super::Hits;
    use core::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si32, _mm_extract_epi16,
        _mm_loadu_si128, _mm_movemask_epi8, _mm_sad_epu8, _mm_set1_epi8, _mm_setzero_si128,
        _mm_sub_epi8,
    };

    /// Bytes in a block.
    pub const SIZE: usize = size_of::<__m128i>();

    /// The places where the one block has the one byte and the other the other.
    #[inline(always)]
    pub fn both(one: (&[u8; SIZE], u8), other: (&[u8; SIZE], u8)) -> Hits<1> {
        let (ones, others) = (equal(one.0, one.1), equal(other.0, other.1));
        // SAFETY: every x86-64 processor has SSE2.
        let mask = unsafe { _mm_movemask_epi8(_mm_and_si128(ones, others)) };
        // OK because only the lower 16 bits are ever set.
        Hits(mask as usize)
    }

    /// How often a byte stands in at most [`COUNTED_TOGETHER`](super::COUNTED_TOGETHER) blocks.
    pub fn count(blocks: &[[u8; SIZE]], byte: u8) -> usize {
        // SAFETY: as above.
        let mut counters = unsafe { _mm_setzero_si128() };
        for block in blocks {
            // What is equal is all ones, which is -1.
            // SAFETY: as above.
            counters = unsafe { _mm_sub_epi8(counters, equal(block, byte)) };
        }
        // SAFETY: as above. This sums up the counters of either half.
        let (low, high) = unsafe {
            let sums = _mm_sad_epu8(counters, _mm_setzero_si128());
            (_mm_cvtsi128_si32(sums), _mm_extract_epi16(sums, 4))
        };
        // OK because neither is more than eight times 255.
        low as usize + high as usize
    }

    /// All ones where a block has the byte.
    #[inline(always)]
    fn equal(block: &[u8; SIZE], byte: u8) -> __m128i {
        // SAFETY: as above, and as many bytes are loaded as the array has.
        unsafe {
            let bytes = _mm_loadu_si128(block.as_ptr().cast());
            _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()))
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod word {
    use super::Hits;

    /// Bytes in a block.
    pub const SIZE: usize = size_of::<usize>();

    /// The places where the one block has the one byte and the other the other.
    #[inline(always)]
    pub fn both(one: (&[u8; SIZE], u8), other: (&[u8; SIZE], u8)) -> Hits<8> {
        Hits(zeros(
            differences(one.0, one.1) | differences(other.0, other.1),
        ))
    }

    /// How often a byte stands in at most [`COUNTED_TOGETHER`](super::COUNTED_TOGETHER) blocks.
    pub fn count(blocks: &[[u8; SIZE]], byte: u8) -> usize {
        let hits = blocks.iter().map(|block| zeros(differences(block, byte)));
        let counters: usize = hits.map(|hits| hits >> 7).sum();
        counters.to_ne_bytes().into_iter().map(usize::from).sum()
    }

    /// Zero where a block has the byte.
    #[inline(always)]
    fn differences(block: &[u8; SIZE], byte: u8) -> usize {
        usize::from_le_bytes(*block) ^ usize::from_ne_bytes([byte; SIZE])
    }

    /// The highest bit of each byte that is zero.
    #[inline(always)]
    fn zeros(word: usize) -> usize {
        const LOWER: usize = usize::from_ne_bytes([0x7f; SIZE]);
        !(((word & LOWER) + LOWER) | word | LOWER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_place_are_found_wherever_they_are() {
        for first in 0..SIZE {
            for last in first..SIZE {
                let mut block = [0x80; SIZE];
                (block[first], block[last]) = (0, 0);
                let hits = both((&block, 0), (&block, 0));
                assert_eq!((hits.first(), hits.last()), (Some(first), Some(last)));
            }
        }
        let block = [1; SIZE];
        let hits = both((&block, 0), (&block, 0));
        assert_eq!((hits.first(), hits.last()), (None, None));
    }

    #[test]
    fn hits_from_a_place_on_leave_out_those_before() {
        let block = [0; SIZE];
        for place in 0..SIZE {
            let hits = both((&block, 0), (&block, 0)).from(place);
            assert_eq!((hits.first(), hits.last()), (Some(place), Some(SIZE - 1)));
        }
    }

    /// The neighbours of what is sought are what arithmetic on words gets wrong first.
    #[test]
    fn words_find_what_is_there_and_nothing_else() {
        let bytes = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        for sought in bytes {
            for before in bytes {
                for after in bytes {
                    let mut block = [after; word::SIZE];
                    (block[0], block[1]) = (before, sought);
                    let other = [0x55; word::SIZE];
                    let hits = word::both((&block, sought), (&other, 0x55));
                    let first = block.iter().position(|byte| *byte == sought);
                    let last = block.iter().rposition(|byte| *byte == sought);
                    assert_eq!((hits.first(), hits.last()), (first, last));
                    assert_eq!(word::both((&block, sought), (&other, 0)).first(), None);
                    let count = block.iter().filter(|byte| **byte == sought).count();
                    let blocks = [block; COUNTED_TOGETHER];
                    let counted = word::count(&blocks, sought);
                    assert_eq!(counted, count * COUNTED_TOGETHER);
                }
            }
        }
    }
}
