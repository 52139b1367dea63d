//! Which branches an input takes.
//!
//! The compiler (LLVM's sancov pass, see `.cargo/config.toml`) puts a counter of one byte on every edge of the
//! program and hands the array of them over before `main`. An input is new if some edge was taken by a number of
//! times, in powers of two, that no input before it has reached. Built without the pass there are no counters, and
//! every input looks old: the search is blind, and still tests what it tries.

use std::slice;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static FIRST: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Called by the program's start-up code, once: everything is linked into one module.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(first: *mut u8, end: *mut u8) {
    FIRST.store(first, Ordering::Relaxed);
    COUNT.store(end as usize - first as usize, Ordering::Relaxed);
}

/// What has been seen of each edge: a bit for each power of two.
pub struct Coverage {
    seen: Vec<u8>,
    pub edges: usize,
}

impl Coverage {
    pub fn new() -> Coverage {
        Coverage {
            seen: vec![0; COUNT.load(Ordering::Relaxed)],
            edges: 0,
        }
    }

    fn counters(&mut self) -> &mut [u8] {
        let first = FIRST.load(Ordering::Relaxed);
        if first.is_null() {
            return &mut [];
        }
        // SAFETY: the array is the program's own for as long as it runs, and nothing else looks at it. That the
        // program goes on counting in it, this function included, spoils a count at worst.
        unsafe { slice::from_raw_parts_mut(first, self.seen.len()) }
    }

    pub fn clear(&mut self) {
        self.counters().fill(0);
    }

    /// Whether what was counted since [`Coverage::clear`] has anything new; it is old from now on.
    pub fn is_new(&mut self) -> bool {
        let counted = self.counters().to_vec();
        let mut new = false;
        for (seen, count) in self.seen.iter_mut().zip(counted) {
            let bit = match count {
                0 => continue,
                count => 1 << count.ilog2(),
            };
            if *seen & bit == 0 {
                self.edges += usize::from(*seen == 0);
                *seen |= bit;
                new = true;
            }
        }
        new
    }
}
