//! How a system call fails: errors as values.

use super::ffi;
use crate::text::{Part, Pieces, Put};
use alloc::vec::Vec;
use core::ffi::{c_int, c_long};

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
    /// Exec format error.
    pub const ENOEXEC: Errno = Errno(ffi::ENOEXEC);
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
    /// No room on the disk; for inotify: the user has too many watches.
    pub const ENOSPC: Errno = Errno(ffi::ENOSPC);
    /// A file has more names than it may have.
    pub const EMLINK: Errno = Errno(ffi::EMLINK);
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

/// What everybody calls the errors from 1 on, whose numbers are the same on every machine. The C library's own table
/// is three times as long, and of a locale.
const WORDS: &[u8] = b"\
    Operation not permitted\nNo such file or directory\nNo such process\nInterrupted system call\n\
    Input/output error\nNo such device or address\nArgument list too long\nExec format error\n\
    Bad file descriptor\nNo child processes\nResource temporarily unavailable\nCannot allocate memory\n\
    Permission denied\nBad address\nBlock device required\nDevice or resource busy\nFile exists\n\
    Invalid cross-device link\nNo such device\nNot a directory\nIs a directory\nInvalid argument\n\
    Too many open files in system\nToo many open files\nInappropriate ioctl for device\nText file busy\n\
    File too large\nNo space left on device\nIllegal seek\nRead-only file system\nToo many links\n\
    Broken pipe";

/// Appends an `errno` in words and its number.
fn describe(errno: c_int, out: &mut Vec<u8>) {
    let words: &[u8] = match errno {
        ffi::arch::ENAMETOOLONG => b"File name too long",
        ffi::arch::ENOSYS => b"Function not implemented",
        ffi::arch::ELOOP => b"Too many levels of symbolic links",
        ffi::arch::ECONNREFUSED => b"Connection refused",
        ffi::arch::EDQUOT => b"Disk quota exceeded",
        ffi::arch::ESTALE => b"Stale file handle",
        number => {
            let place = usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX);
            let mut words = Pieces(WORDS, b'\n');
            words.nth(place).unwrap_or(b"Unknown error")
        }
    };
    put!(out, "{} (errno {})", words, errno);
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

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_that_the_c_library_gives_them() {
        let named = (1..=200).filter(|number| {
            let shown = text!("{}", Errno(*number));
            let theirs = std::io::Error::from_raw_os_error(*number).to_string();
            let theirs = theirs.replace("(os error", "(errno");
            assert!(
                shown == theirs.as_bytes() || shown.starts_with(b"Unknown error"),
                "{theirs}"
            );
            !shown.starts_with(b"Unknown error")
        });
        assert_eq!(named.count(), 38);
        assert_eq!(text!("{}", Errno(-1)), b"Unknown error (errno -1)");
    }
}
