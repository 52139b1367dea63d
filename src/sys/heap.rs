//! The heap: blocks of one size wait in one list.
//!
//! Rust names the size of a block when it gives it back, so a block needs no header and the heap needs
//! no tables. Sizes are powers of two: what grows by doubling, as a `Vec` does, wastes nothing. Blocks of
//! more than `LARGEST` bytes are mappings of their own, which grow without being copied and go back to
//! the kernel when they are freed; smaller ones stay for the next user of their size, and how many there
//! are is bounded by the limits on what the daemon keeps.
//!
//! The C library's `malloc` would be ten kilobytes of code on a router, most of it for threads and for
//! callers that do not say how large their block was.

use super::ffi;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;

/// Rust's global allocator, for a program without threads.
pub struct Heap {
    /// The first free block of each size; each holds the address of the next.
    free: [Cell<*mut u8>; CLASSES],
    /// Memory that was never handed out, and how much of it there is.
    fresh: Cell<*mut u8>,
    fresh_length: Cell<usize>,
}

/// The sizes of small blocks are `SMALLEST << class`. Every block is aligned to `SMALLEST`.
const SMALLEST: usize = 16;
const CLASSES: usize = 10;
const LARGEST: usize = SMALLEST << (CLASSES - 1);

/// Small blocks are cut from pieces of this size, in bytes; pages nobody has touched cost nothing.
const PIECE: usize = 8 * LARGEST;

// SAFETY: the program has no threads. The child that `process::spawn` starts shares our memory and
// allocates nothing.
unsafe impl Sync for Heap {}

impl Heap {
    /// A heap that has not asked the kernel for anything yet.
    pub const fn new() -> Heap {
        Heap {
            free: [const { Cell::new(null_mut()) }; CLASSES],
            fresh: Cell::new(null_mut()),
            fresh_length: Cell::new(0),
        }
    }

    /// A small block from memory that was never used.
    fn cut(&self, size: usize) -> *mut u8 {
        if self.fresh_length.get() < size {
            let piece = map(PIECE);
            self.fresh.set(piece);
            self.fresh_length.set(PIECE);
        }
        let block = self.fresh.get();
        self.fresh.set(block.wrapping_add(size));
        self.fresh_length.set(self.fresh_length.get() - size);
        block
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

/// Which list a block of `size` bytes belongs to; `CLASSES` and above: a mapping of its own.
fn class(size: usize) -> usize {
    let units = size.saturating_sub(1) / SMALLEST;
    // OK because a usize has few bits.
    (usize::BITS - units.leading_zeros()) as usize
}

// SAFETY: a block comes from a list of blocks that are large enough and free, from memory that was never
// handed out, or from the kernel. All are aligned to SMALLEST; more is answered with null, which means
// "out of memory" and is allowed. No type of ours asks for more.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > SMALLEST {
            return null_mut();
        }
        let class = class(layout.size());
        let Some(list) = self.free.get(class) else {
            return map(layout.size());
        };
        let block = list.get();
        if block.is_null() {
            return self.cut(SMALLEST << class);
        }
        // SAFETY: a free block holds the address of the next one, or null.
        list.set(unsafe { block.cast::<*mut u8>().read() });
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller vouches for the layout.
        let block = unsafe { self.alloc(layout) };
        // What comes from the kernel is zero, and stays unused memory as long as nobody writes to it.
        if !block.is_null() && layout.size() <= LARGEST {
            // SAFETY: the block has this size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.free.get(class(layout.size())) {
            Some(list) => {
                // SAFETY: the caller vouches that the block came from here and is not used again; the
                // smallest has room for an address.
                unsafe { block.cast::<*mut u8>().write(list.get()) };
                list.set(block);
            }
            None => unmap(block, layout.size()),
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (before, after) = (class(layout.size()), class(size));
        if before.min(after) >= CLASSES {
            return remap(block, layout.size(), size);
        }
        if before == after {
            return block;
        }
        // SAFETY: the caller vouches for the block, its layout and the new size; the alignment stays.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Zeroed memory from the kernel. If it has none, that is the end of the program.
fn map(size: usize) -> *mut u8 {
    const USE: usize = ffi::PROT_READ | ffi::PROT_WRITE;
    const KIND: usize = ffi::MAP_PRIVATE | ffi::arch::MAP_ANONYMOUS;
    // SAFETY: a new mapping touches nothing that exists.
    address(unsafe {
        ffi::syscall(
            ffi::arch::SYS_MMAP,
            0usize,
            size,
            USE,
            KIND,
            usize::MAX,
            0usize,
        )
    })
}

/// The mapping `block`, moved if it must be, with another size.
fn remap(block: *mut u8, size: usize, wanted: usize) -> *mut u8 {
    let may_move = ffi::MREMAP_MAYMOVE;
    // SAFETY: the callers of realloc vouch for the block.
    address(unsafe { ffi::syscall(ffi::arch::SYS_MREMAP, block, size, wanted, may_move) })
}

fn unmap(block: *mut u8, size: usize) {
    // SAFETY: the callers of dealloc vouch that the block is not used again.
    unsafe { ffi::syscall(ffi::arch::SYS_MUNMAP, block, size) };
}

/// What a system call answered as an address: -1 is no address, but "out of memory". To say so here spares every
/// caller from telling it from a fault of ours.
fn address(answer: core::ffi::c_long) -> *mut u8 {
    match answer {
        -1 => super::end(b"out of memory"),
        address => core::ptr::with_exposed_provenance_mut(address.cast_unsigned() as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn blocks_keep_their_content_while_others_come_and_go_and_grow() {
        let heap = Heap::new();
        let mut random = 1u32;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        let filled = |block: *mut u8, size: usize, mark: u8| {
            // SAFETY: the block has `size` bytes, all written.
            unsafe { core::slice::from_raw_parts(block, size) }
                .iter()
                .all(|&byte| byte == mark)
        };
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        for turn in 0..20_000usize {
            let mark = turn as u8;
            let size = 1 + next([40, 700, 20_000][turn % 3]);
            let layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: every block is used within its size and given back once, with its layout.
            unsafe {
                let (block, layout) = match next(3) {
                    0 => {
                        let block = heap.alloc_zeroed(layout);
                        assert!(filled(block, size, 0));
                        (block, layout)
                    }
                    1 if !blocks.is_empty() => {
                        let (old, before, mark) = blocks.swap_remove(next(blocks.len()));
                        assert!(filled(old, before.size(), mark));
                        let block = heap.realloc(old, before, size);
                        assert!(filled(block, size.min(before.size()), mark));
                        (block, layout)
                    }
                    _ => (heap.alloc(layout), layout),
                };
                assert!(block.addr() % SMALLEST == 0 && !block.is_null());
                block.write_bytes(mark, size);
                blocks.push((block, layout, mark));
                while blocks.len() > 200 {
                    let (old, layout, mark) = blocks.swap_remove(next(blocks.len()));
                    assert!(filled(old, layout.size(), mark));
                    heap.dealloc(old, layout);
                }
            }
        }
    }

    #[test]
    fn a_block_that_was_freed_serves_the_next_of_its_size() {
        let heap = Heap::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: both blocks are given back with a layout of their size.
        unsafe {
            let first = heap.alloc(layout(100));
            heap.dealloc(first, layout(100));
            let second = heap.alloc(layout(128));
            assert_eq!(first, second);
            heap.dealloc(second, layout(128));
        }
    }
}
