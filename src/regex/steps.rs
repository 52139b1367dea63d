//! Counts what matching does, so that a test can hold it against its bound.
//!
//! A step is an instruction that is followed, a byte or word that is searched, a place tried for a literal. Without the
//! feature `count-steps`, which only `tests/fuzz` switches on, counting is nothing and costs nothing.

#[cfg(feature = "count-steps")]
use core::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "count-steps")]
static STEPS: AtomicUsize = AtomicUsize::new(0);

/// Notes that so many steps were made.
#[inline(always)]
pub(super) fn count(_steps: usize) {
    #[cfg(feature = "count-steps")]
    STEPS.store(
        STEPS.load(Ordering::Relaxed).wrapping_add(_steps),
        Ordering::Relaxed,
    );
}

/// How many steps were made since this was last asked. One thread's matching can be counted at a time.
#[cfg(feature = "count-steps")]
pub fn take() -> usize {
    STEPS.swap(0, Ordering::Relaxed)
}
