//! The program: C's entry point, the heap, and what happens in a panic. Everything else is in the library.

#![no_std]
#![no_main]

// Debug builds borrow std's panic messages; a release build carries none of it.
#[cfg(debug_assertions)]
extern crate std;

use core::ffi::{c_char, c_int};
use logknockd::sys::{Arguments, fd, heap::Heap};

#[global_allocator]
static HEAP: Heap = Heap::new();

#[cfg(not(debug_assertions))]
/// Says so, and leaves the rest to whoever supervises us.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    logknockd::sys::end(b"internal error, please report it")
}

/// # Safety
/// Called by the C library, once, with the program's arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: c_int, values: *const *const c_char) -> c_int {
    fd::fill_standard_descriptors();
    // SAFETY: these are main's own arguments.
    let mut arguments = unsafe { Arguments::new(count, values) };
    // The program's name.
    arguments.next();
    c_int::from(logknockd::cli::run(arguments))
}
