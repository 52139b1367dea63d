//! The only door to the operating system: every `unsafe` block and every foreign call is in here.
//!
//! What leaves this module is safe to use in any order: descriptors close themselves, system calls
//! return `Result<_, Errno>` and go on when a signal interrupts them, strings from the outside are bytes. Nothing here decides anything; policy belongs to the callers.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub mod block;
pub mod clock;
pub mod fd;
mod ffi;
pub mod heap;
pub mod inotify;
pub mod process;
pub mod signal;

use alloc::vec::Vec;
use core::ffi::{CStr, c_int, c_long};

/// What a system call answered when it failed: its `errno`. Shown as `No such file or directory
/// (errno 2)`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Errno(c_int);

/// What every system call in here returns.
pub type Result<T> = core::result::Result<T, Errno>;

impl Errno {
    /// No such file or directory.
    pub const ENOENT: Errno = Errno(ffi::ENOENT);
    /// A part of the path is not a directory.
    pub const ENOTDIR: Errno = Errno(ffi::ENOTDIR);
    /// Is a directory.
    pub const EISDIR: Errno = Errno(ffi::EISDIR);
    /// Nothing to read or no room to write just now.
    pub const EAGAIN: Errno = Errno(ffi::EAGAIN);
    /// Permission denied.
    pub const EACCES: Errno = Errno(ffi::EACCES);
    /// The kernel does not take these arguments.
    pub const EINVAL: Errno = Errno(ffi::EINVAL);
    /// Nobody is left to read; for `/dev/kmsg`: records were overwritten before they were read.
    pub const EPIPE: Errno = Errno(ffi::EPIPE);
    /// The path, or a part of it, is longer than the system allows.
    pub const ENAMETOOLONG: Errno = Errno(ffi::arch::ENAMETOOLONG);
    /// The file would be larger than is allowed.
    pub const EFBIG: Errno = Errno(ffi::EFBIG);
    /// Too many symbolic links.
    pub const ELOOP: Errno = Errno(ffi::arch::ELOOP);

    /// Whether the system lacks memory or descriptors now: that says nothing about what was asked for.
    pub fn is_shortage(self) -> bool {
        matches!(self.0, ffi::ENOMEM | ffi::ENFILE | ffi::EMFILE)
    }

    /// Appends the C library's words for it and its number.
    pub fn describe(self, out: &mut Vec<u8>) {
        // SAFETY: strerror returns a NUL-terminated string that stays as it is until its next call.
        let text = unsafe { CStr::from_ptr(ffi::strerror(self.0)) };
        put!(out, "{} (errno {})", text.to_bytes(), self.0);
    }

    fn last() -> Errno {
        // SAFETY: the C library keeps errno at this address for as long as the thread lives.
        Errno(unsafe { *ffi::__errno_location() })
    }
}

/// Turns the C convention (negative: look at errno) into a `Result`.
fn check(answer: c_long) -> Result<usize> {
    match usize::try_from(answer) {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Errno::last()),
    }
}

/// A call that may sleep, repeated as long as a signal interrupts it.
fn repeat(mut call: impl FnMut() -> c_long) -> Result<usize> {
    loop {
        match check(call()) {
            Err(Errno(ffi::EINTR)) => {}
            answer => return answer,
        }
    }
}

/// Index of the first `byte` in `text`, by the C library's fast search.
pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    find_by(ffi::memchr, text, byte)
}

/// Index of the last `byte` in `text`. glibc's search is fast; musl's goes byte by byte.
#[cfg(target_arch = "x86_64")]
pub fn find_last_byte(text: &[u8], byte: u8) -> Option<usize> {
    find_by(ffi::memrchr, text, byte)
}

#[inline(always)]
fn find_by(search: ffi::Search, text: &[u8], byte: u8) -> Option<usize> {
    let start = text.as_ptr();
    // SAFETY: memchr and memrchr read at most `text.len()` bytes of a slice that is borrowed for the call.
    let found = unsafe { search(start.cast(), c_int::from(byte), text.len()) };
    // OK because a match lies inside the slice, behind its start.
    (!found.is_null()).then(|| found as usize - start as usize)
}

/// A number nobody outside can guess, to seed hash functions with.
pub fn random_seed() -> u64 {
    let mut seed = [0u8; 8];
    // SAFETY: getrandom writes at most eight bytes into an array of eight. If it fails (a kernel that
    // has it not), the seed is zero and only the protection against chosen collisions is lost.
    unsafe { ffi::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    u64::from_ne_bytes(seed)
}

/// Ends the program at once, without running destructors.
pub fn exit(status: u8) -> ! {
    // SAFETY: _exit takes any number and does not return.
    unsafe { ffi::_exit(c_int::from(status)) }
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

/// Ends the program after a panic: says so, and leaves the rest to whoever supervises us.
pub fn panic_exit() -> ! {
    let _ = fd::STDERR.write_all(b"[ERROR] logknockd: internal error, please report it\n");
    exit(101)
}
