//! Compares 16 bytes at once, by instructions that every x86-64 processor has.

use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
};

/// Bytes in a block.
pub const SIZE: usize = size_of::<__m128i>();

/// The places of a block where something was found.
#[derive(Clone, Copy)]
pub struct Marks(u32);

impl Marks {
    /// Without the first so many places.
    #[inline(always)]
    pub fn from(self, place: usize) -> Marks {
        Marks(self.0 & u32::MAX << place)
    }

    /// The first of them.
    #[inline(always)]
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// The last of them.
    #[inline(always)]
    pub fn last(self) -> Option<usize> {
        self.0.checked_ilog2().map(|place| place as usize)
    }
}

/// The places where the one block has the one byte and the other the other.
#[inline(always)]
pub fn both(one: (&[u8; SIZE], u8), other: (&[u8; SIZE], u8)) -> Marks {
    let (ones, others) = (equal(one.0, one.1), equal(other.0, other.1));
    // SAFETY: x86-64 has SSE2.
    let mask = unsafe { _mm_movemask_epi8(_mm_and_si128(ones, others)) };
    Marks(mask.cast_unsigned())
}

/// All ones where a block has the byte.
#[inline(always)]
fn equal(block: &[u8; SIZE], byte: u8) -> __m128i {
    // SAFETY: x86-64 has SSE2, and as many bytes are loaded as the array has.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()))
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
                let after = hits.from(first);
                assert_eq!((after.first(), after.last()), (Some(first), Some(last)));
            }
        }
        let block = [1; SIZE];
        let hits = both((&block, 0), (&block, 0));
        assert_eq!((hits.first(), hits.last()), (None, None));
    }
}
