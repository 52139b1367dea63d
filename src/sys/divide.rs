//! The division of 64-bit numbers on machines that have none: the compiler calls it by the name it has in
//! the compiler's own library, which is quicker there and takes a page of code. We divide to show a time or a
//! count.

/// The name that 32-bit MIPS knows it by.
#[cfg(target_arch = "mips")]
#[unsafe(no_mangle)]
extern "C" fn __udivdi3(number: u64, by: u64) -> u64 {
    divide(number, by)
}

/// Division as on paper, bit by bit; `by` is not 0. Numbers of 32 bits are left to the processor.
#[cfg(any(target_arch = "mips", test))]
fn divide(mut number: u64, by: u64) -> u64 {
    if (number | by) >> 32 == 0 {
        // OK because both fit, and checked before: nobody divides by 0.
        return u64::from((number as u32).checked_div(by as u32).unwrap_or(0));
    }
    let mut rest = 0u64;
    for _ in 0..u64::BITS {
        let overflows = rest >> 63 != 0;
        rest = rest << 1 | number >> 63;
        number <<= 1;
        if overflows || rest >= by {
            rest = rest.wrapping_sub(by);
            number |= 1;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::divide;

    #[test]
    fn quotients_are_those_of_the_processor() {
        let mut edges = std::vec::Vec::new();
        for bit in 0..u64::BITS {
            edges.extend([(1 << bit) - 1, 1 << bit, (1 << bit) + 1, u64::MAX >> bit]);
        }
        edges.extend([10, 1000, 1_000_000, 0x0123_4567_89ab_cdef]);
        for &number in &edges {
            for &by in edges.iter().filter(|by| **by > 0) {
                assert_eq!(divide(number, by), number / by, "{number} / {by}");
            }
        }
    }
}
