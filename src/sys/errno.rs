//! How a system call fails: errors as values.

use super::ffi;
use crate::text::{Part, Put};
use alloc::vec::Vec;
use core::ffi::{CStr, c_int, c_long};

/// What a system call answered when it failed: its `errno`. Shown as `No such file or directory
/// (errno 2)`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Errno(pub(super) c_int);

/// What every system call in here returns.
pub type Result<T> = core::result::Result<T, Errno>;

impl Errno {
    /// Input or output failed.
    pub const EIO: Errno = Errno(ffi::EIO);
    /// No such file or directory.
    pub const ENOENT: Errno = Errno(ffi::ENOENT);
    /// There is something of that name already.
    pub const EEXIST: Errno = Errno(ffi::EEXIST);
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
        matches!(
            self.0,
            ffi::ENOMEM | ffi::EAGAIN | ffi::ENFILE | ffi::EMFILE
        )
    }

    pub(super) fn last() -> Errno {
        // SAFETY: the C library keeps errno at this address for as long as the thread lives.
        Errno(unsafe { *ffi::__errno_location() })
    }
}

impl Put for Errno {
    fn put(&self, out: &mut Vec<u8>) {
        describe(self.0, out);
    }

    #[inline(always)]
    fn part(&self) -> Part<'_> {
        Part::Code(self.0, describe)
    }
}

/// Appends the C library's words for an `errno` and its number.
fn describe(errno: c_int, out: &mut Vec<u8>) {
    // SAFETY: strerror returns a NUL-terminated string that stays as it is until its next call.
    let text = unsafe { CStr::from_ptr(ffi::strerror(errno)) };
    put!(out, "{} (errno {})", text.to_bytes(), errno);
}

/// Turns the C convention (negative: look at errno) into a `Result`.
pub(super) fn check(answer: c_long) -> Result<usize> {
    match usize::try_from(answer) {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Errno::last()),
    }
}

/// A call that may sleep, repeated as long as a signal interrupts it.
pub(super) fn repeat(mut call: impl FnMut() -> c_long) -> Result<usize> {
    loop {
        match check(call()) {
            Err(Errno(ffi::EINTR)) => {}
            answer => return answer,
        }
    }
}
