//! The heap: Rust's allocations are the C library's.
//!
//! There is no allocator of our own because every target already carries one, and because on a router
//! the C library's is the one that gives memory back to the kernel.

use super::ffi;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

/// `malloc` and friends as Rust's global allocator.
pub struct Malloc;

/// What `malloc` guarantees on every target: room for two pointers, aligned.
const ALIGNMENT: usize = 2 * size_of::<usize>();

// SAFETY: malloc, calloc, realloc and free meet GlobalAlloc's contract for alignments up to ALIGNMENT;
// a larger one is answered with null, which means "out of memory" and is allowed. No type of ours asks
// for one.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return null_mut();
        }
        // SAFETY: malloc takes any size.
        unsafe { ffi::malloc(layout.size()).cast() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return null_mut();
        }
        // SAFETY: calloc takes any size.
        unsafe { ffi::calloc(1, layout.size()).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller vouches that the block came from here and is not used again.
        unsafe { ffi::free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, _layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for dealloc; the alignment was checked when the block was first handed out.
        unsafe { ffi::realloc(block.cast(), size).cast() }
    }
}
