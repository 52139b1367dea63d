//! The only door to the operating system: every `unsafe` block and every foreign call is in here.
//!
//! What leaves this module is safe to use in any order: descriptors close themselves, system calls
//! return `Result<_, Errno>` and go on when a signal interrupts them, strings from the outside are bytes. Nothing here decides anything; policy belongs to the callers.

#![allow(unsafe_code)]

pub mod alarm;
#[cfg(target_arch = "x86_64")]
pub mod block;
pub mod clock;
mod errno;
pub mod fd;
mod ffi;
pub mod heap;
pub mod inotify;
pub mod message;
pub mod process;
pub mod signal;
#[cfg(any(test, not(target_arch = "x86_64")))]
pub mod word;

pub use errno::{Errno, Result};

use core::ffi::{CStr, c_int};

/// A number nobody outside can guess, to seed hash functions with.
pub fn random_seed() -> u64 {
    let mut seed = [0u8; 8];
    // SAFETY: getrandom writes at most eight bytes into an array of eight.
    let filled =
        unsafe { ffi::getrandom(seed.as_mut_ptr().cast(), seed.len(), ffi::GRND_NONBLOCK) };
    if filled < 0
        && let Ok(file) = fd::Fd::open(c"/dev/urandom")
    {
        // A kernel that has it not, or one that has gathered nothing yet, early at boot: there it would wait, for
        // good on some routers. If this fails too, only the protection against chosen collisions is lost.
        let _ = file.read(&mut seed);
    }
    u64::from_ne_bytes(seed)
}

/// Ends the program at once, without running destructors.
pub fn exit(status: u8) -> ! {
    // SAFETY: _exit takes any number and does not return.
    unsafe { ffi::_exit(c_int::from(status)) }
}

/// Ends the program with a message: it cannot keep its promises. What is open stands in the record, and the next
/// start closes it. Never waits for whoever should read the message.
pub fn end(reason: &[u8]) -> ! {
    if fd::STDERR.is_writable() {
        for part in [b"[ERROR] logknockd: ", reason, b"\n"] {
            let _ = fd::STDERR.write_all(part);
        }
    }
    exit(1)
}

/// The program's arguments, as C's `main` receives them.
pub struct Arguments {
    rest: core::slice::Iter<'static, *const core::ffi::c_char>,
}

impl Arguments {
    /// Wraps the arguments of `main`.
    ///
    /// # Safety
    /// `values` must be the `argv` that `main` was called with, `count` its `argc`.
    pub unsafe fn new(count: c_int, values: *const *const core::ffi::c_char) -> Arguments {
        let count = usize::try_from(count).unwrap_or(0);
        let values: &'static [_] = match count {
            0 => &[],
            // SAFETY: the caller vouches for count pointers that live as long as the program.
            count => unsafe { core::slice::from_raw_parts(values, count) },
        };
        Arguments {
            rest: values.iter(),
        }
    }
}

impl Iterator for Arguments {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: each of main's arguments is a NUL-terminated string that lives as long as the program.
        self.rest
            .next()
            .map(|&value| unsafe { CStr::from_ptr(value) })
    }
}

/// What follows the first `start` bytes of `text`. `CStr` itself would look for the end again.
pub fn tail(text: &CStr, start: usize) -> Option<&CStr> {
    let rest = text.to_bytes_with_nul().get(start..)?;
    // SAFETY: what is left of a NUL-terminated string ends with the NUL that ended it, if that is in it.
    (!rest.is_empty()).then(|| unsafe { CStr::from_ptr(rest.as_ptr().cast()) })
}
