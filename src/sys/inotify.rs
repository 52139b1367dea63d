//! inotify: the kernel tells when files and directories change, so nobody has to look.

use super::errno::{Result, check};
use super::fd::{Fd, c_path, own};
use super::ffi;
use crate::text::until;
use core::ffi::{c_int, c_long};

/// The name of an inotify watch. The kernel gives the same one for the same file or directory.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Watch(c_int);

/// An inotify instance.
pub struct Inotify(Fd);

/// Something happened to a watched file or directory.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Event<'b> {
    /// The watched file was written to or truncated.
    Modified(Watch),
    /// A name appeared in a watched directory.
    Appeared(Watch, &'b [u8]),
    /// The kernel dropped events: anything may have happened.
    Overflow,
    /// A watch ended by itself, or something else that calls for no action.
    Other,
}

impl Inotify {
    /// A new instance. Fails with `EMFILE` when the user has too many.
    pub fn new() -> Result<Inotify> {
        let flags = ffi::O_CLOEXEC | ffi::arch::O_NONBLOCK;
        // SAFETY: no memory is involved.
        own(unsafe { ffi::syscall(ffi::arch::SYS_INOTIFY_INIT1, flags as usize) }).map(Inotify)
    }

    /// The descriptor to poll for reading.
    pub fn fd(&self) -> &Fd {
        &self.0
    }

    /// Watches a file for [`Event::Modified`]. Fails with `ENOSPC` when the user has too many watches.
    pub fn watch_file(&self, path: &[u8]) -> Result<Watch> {
        self.add(path, ffi::IN_MODIFY)
    }

    /// Watches a directory for [`Event::Appeared`].
    pub fn watch_directory(&self, path: &[u8]) -> Result<Watch> {
        self.add(path, ffi::IN_CREATE | ffi::IN_MOVED_TO | ffi::IN_ONLYDIR)
    }

    fn add(&self, path: &[u8], mask: u32) -> Result<Watch> {
        let path = c_path(path)?;
        // SAFETY: the path is NUL-terminated and borrowed for the call.
        let watch = unsafe { ffi::inotify_add_watch(self.0.number(), path.as_ptr(), mask) };
        check(c_long::from(watch)).map(|_| Watch(watch))
    }

    /// Ends a watch. One that the kernel has already ended is no error.
    pub fn remove(&self, watch: Watch) {
        // SAFETY: no memory is involved; an unknown watch is answered with EINVAL.
        unsafe { ffi::inotify_rm_watch(self.0.number(), watch.0) };
    }

    /// Reads what has happened into `buffer` (at least 4 KiB) and returns the part that was filled, for
    /// [`events`]; empty when there is nothing.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        match self.0.read(buffer) {
            Ok(length) => Ok(buffer.get(..length).unwrap_or_default()),
            Err(super::errno::Errno::EAGAIN) => Ok(&[]),
            Err(errno) => Err(errno),
        }
    }
}

/// Takes what [`Inotify::read`] returned apart.
pub fn events(mut bytes: &[u8]) -> impl Iterator<Item = Event<'_>> {
    core::iter::from_fn(move || {
        let head = size_of::<ffi::InotifyEvent>();
        let field = |at: usize| {
            let four = bytes.get(at..at + 4)?.first_chunk()?;
            Some(u32::from_ne_bytes(*four))
        };
        let (watch, mask, length) = (field(0)?, field(4)?, field(12)?);
        let end = head.checked_add(usize::try_from(length).ok()?)?;
        let name = bytes.get(head..end)?;
        bytes = bytes.get(end..)?;
        let name = until(name, 0);
        let watch = Watch(watch.cast_signed());
        Some(if mask & ffi::IN_Q_OVERFLOW != 0 {
            Event::Overflow
        } else if mask & ffi::IN_MODIFY != 0 {
            Event::Modified(watch)
        } else if mask & (ffi::IN_CREATE | ffi::IN_MOVED_TO) != 0 {
            Event::Appeared(watch, name)
        } else {
            Event::Other
        })
    })
}
