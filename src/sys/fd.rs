//! File descriptors that close themselves, and the calls that work on them.
//!
//! Every descriptor is opened close-on-exec: a child gets only what [`super::process::spawn`] hands it.

use super::clock::milliseconds;
use super::errno::{Errno, Result, check, repeat};
use super::ffi;
use crate::backoff::NEVER;
use crate::text::holds;
use alloc::vec::Vec;
use core::ffi::{CStr, c_int, c_long};
use core::num::NonZero;

/// An open file descriptor. Closed when dropped, unless it is one of the standard three. Kept as its
/// complement, which is never zero: so an `Option` of it takes no more room.
pub struct Fd(NonZero<c_int>);

/// Standard input.
pub const STDIN: Fd = Fd::of(0);
/// Standard output.
pub const STDOUT: Fd = Fd::of(1);
/// Standard error.
pub const STDERR: Fd = Fd::of(2);

impl Drop for Fd {
    fn drop(&mut self) {
        if self.number() > 2 {
            // SAFETY: we own the descriptor, and nobody can name it after this.
            unsafe { ffi::close(self.number()) };
        }
    }
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A FIFO.
    Fifo,
    /// A character device.
    Device(Device),
    /// A socket.
    Socket,
    /// A symbolic link, where links are not followed.
    Link,
    /// A block device.
    Other,
}

/// Which device a device file stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Device {
    /// Its driver.
    pub major: u32,
    /// Its number with that driver.
    pub minor: u32,
}

/// Which file a name or descriptor stands for: unique while the file exists.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct FileId {
    device: [u32; 2],
    inode: u64,
}

/// What `statx` tells about a file.
pub struct Status {
    /// Which file it is.
    pub id: FileId,
    /// What it is.
    pub kind: FileKind,
    /// How many names it has.
    pub links: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Its owner's user id.
    pub owner: u32,
    /// Its permission bits.
    pub permissions: u16,
    /// When its content was changed last, in milliseconds since 1970 by the wall clock.
    pub modified_ms: i64,
    /// The file system keeps that time by the second, or by two.
    pub by_the_second: bool,
}

impl Status {
    /// Whether nobody but `user` can have written the file.
    pub fn is_private_to(&self, user: u32) -> bool {
        const WRITE_BY_OTHERS: u16 = 0o022;
        self.owner == user && self.permissions & WRITE_BY_OTHERS == 0
    }
}

impl Fd {
    const fn of(number: c_int) -> Fd {
        // OK because no descriptor is negative, so the complement of each is.
        Fd(match NonZero::new(!number) {
            Some(complement) => complement,
            None => NonZero::<c_int>::MIN,
        })
    }

    /// The number, for calls within `sys` that borrow it.
    pub(super) fn number(&self) -> c_int {
        !self.0.get()
    }

    /// The descriptor's name under `/proc`, which stands for the open file whatever its path is now.
    pub fn proc_path(&self) -> Vec<u8> {
        text!("/proc/self/fd/{}", self.number())
    }

    /// Opens for reading. Never blocks, not even on a FIFO without a writer.
    pub fn open(path: &CStr) -> Result<Fd> {
        open(path, ffi::O_RDONLY)
    }

    /// Takes hold of what is at `path` without opening it: it can be asked for its status, and be opened for
    /// reading with [`Fd::open_held`]. To open a device can be to set it going.
    pub fn hold(path: &CStr) -> Result<Fd> {
        open(path, ffi::O_PATH)
    }

    /// Opens for reading what was taken hold of, whatever its path is now.
    pub fn open_held(&self) -> Result<Fd> {
        Fd::open(&c_path(&self.proc_path())?)
    }

    /// Opens for writing. Never blocks.
    pub fn open_to_write(path: &CStr) -> Result<Fd> {
        open(path, ffi::O_WRONLY)
    }

    /// Opens for reading, but not through a symbolic link: that is `ELOOP`.
    pub fn open_no_link(path: &CStr) -> Result<Fd> {
        open(path, ffi::O_RDONLY | ffi::arch::O_NOFOLLOW)
    }

    /// Makes a new file for writing that only its owner may read or write. `EEXIST` if there is anything
    /// of that name, be it a symbolic link that leads nowhere.
    pub fn create_private(path: &CStr) -> Result<Fd> {
        open(path, ffi::O_WRONLY | ffi::arch::O_CREAT | ffi::arch::O_EXCL)
    }

    /// Opens an existing file for writing, but not through a symbolic link: that is `ELOOP`.
    pub fn open_to_append(path: &CStr) -> Result<Fd> {
        open(path, ffi::O_WRONLY | ffi::arch::O_NOFOLLOW)
    }

    /// Opens or makes a file that only its owner may use, to be locked.
    pub fn open_lock(path: &CStr) -> Result<Fd> {
        open(
            path,
            ffi::O_RDWR | ffi::arch::O_CREAT | ffi::arch::O_NOFOLLOW,
        )
    }

    /// Locks the file until it is closed; `EAGAIN` if somebody else has it locked.
    pub fn lock(&self) -> Result<()> {
        // SAFETY: no memory is involved.
        done(unsafe { ffi::flock(self.number(), ffi::LOCK_EX | ffi::LOCK_NB) })
    }

    /// A pipe: the end to read from, which never blocks, and the end to write to.
    pub fn pipe() -> Result<(Fd, Fd)> {
        let mut ends: [c_int; 2] = [0; 2];
        let (place, close) = (&raw mut ends, ffi::O_CLOEXEC as usize);
        // SAFETY: pipe2 fills an array of two.
        check(unsafe { ffi::syscall(ffi::arch::SYS_PIPE2, place, close) })?;
        let [read, write] = ends.map(Fd::of);
        // Only our end: the other one becomes a child's output, which programs expect to block.
        let (fd, flag) = (read.number() as usize, ffi::arch::O_NONBLOCK as usize);
        // SAFETY: no memory is involved.
        check(unsafe { ffi::syscall(ffi::arch::SYS_FCNTL, fd, ffi::F_SETFL, flag) })?;
        Ok((read, write))
    }

    /// A datagram socket connected to the one bound at `path`, such as `/dev/log`. Never blocks.
    pub fn connect_datagram(path: &[u8]) -> Result<Fd> {
        let mut address = ffi::UnixAddress {
            family: ffi::AF_UNIX,
            path: [0; 108],
        };
        // The last byte stays zero: it ends the path.
        let room = address.path.get_mut(..path.len().min(107));
        room.unwrap_or_default()
            .iter_mut()
            .zip(path)
            .for_each(|(to, from)| *to = *from);
        let kind = ffi::arch::SOCK_DGRAM | ffi::O_CLOEXEC | ffi::arch::O_NONBLOCK;
        let (family, kind) = (usize::from(ffi::AF_UNIX), kind as usize);
        // SAFETY: no memory is involved.
        let fd = own(unsafe { ffi::syscall(ffi::arch::SYS_SOCKET, family, kind, 0usize) })?;
        let length = size_of::<ffi::UnixAddress>() as u32;
        // SAFETY: connect reads `length` bytes of a structure of that size.
        done(unsafe { ffi::connect(fd.number(), &address, length) })?;
        Ok(fd)
    }

    /// Reads at most `buffer.len()` bytes; 0 is the end of the file.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let (start, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: read writes at most `length` bytes into a buffer of that length.
        repeat(|| unsafe { ffi::read(self.number(), start.cast(), length) as c_long })
    }

    /// Reads at most `buffer.len()` bytes from `offset` on, counted from the beginning of the file; 0 is its end.
    /// The descriptor's own place goes along, so that everybody can see how far we are.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        // OK because no file is longer than an i64 can say.
        self.seek(offset.cast_signed(), ffi::SEEK_SET)?;
        self.read(buffer)
    }

    /// Reads to the end; none if that is more than `limit` bytes.
    pub fn read_all(&self, limit: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        while bytes.len() <= limit {
            match self.read(&mut chunk) {
                Ok(0) => return Ok(Some(bytes)),
                Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                // A FIFO, whose writer takes its time.
                Err(Errno::EAGAIN) => poll(&mut [Poll::reading(self)], NEVER)?,
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }

    /// Writes all of `bytes`, waiting where the descriptor makes us wait.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (start, length) = (bytes.as_ptr(), bytes.len());
            // SAFETY: write reads at most `length` bytes of a slice of that length.
            let written =
                repeat(|| unsafe { ffi::write(self.number(), start.cast(), length) as c_long })?;
            if written == 0 {
                // No file system should do that; to try again would be to try for ever.
                return Err(Errno::EIO);
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends `bytes` through a socket, as one datagram if it has such. Never blocks, whatever others who share the
    /// socket have made of it.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        let (start, length) = (bytes.as_ptr(), bytes.len());
        let flags = ffi::MSG_NOSIGNAL | ffi::MSG_DONTWAIT;
        // SAFETY: send reads `length` bytes of a slice of that length.
        let sent = unsafe { ffi::send(self.number(), start.cast(), length, flags) };
        check(sent as c_long).map(drop)
    }

    /// Waits until the file's content, or a directory's entries, are on the disk.
    pub fn sync(&self) -> Result<()> {
        // SAFETY: no memory is involved.
        repeat(|| c_long::from(unsafe { ffi::fsync(self.number()) })).map(drop)
    }

    /// Where the first bytes stand that were ever written to the file: before them is a hole, which reads as NUL
    /// bytes.
    pub fn end_of_hole(&self) -> Result<u64> {
        self.seek(0, ffi::SEEK_DATA)
    }

    /// Reads on from the end of the file; returns its length.
    pub fn seek_to_end(&self) -> Result<u64> {
        self.seek(0, ffi::SEEK_END)
    }

    fn seek(&self, offset: i64, whence: c_int) -> Result<u64> {
        // SAFETY: no memory is involved.
        let place = unsafe { ffi::lseek(self.number(), offset, whence) };
        u64::try_from(place).map_err(|_| Errno::last())
    }

    /// What the open file is.
    pub fn status(&self) -> Result<Status> {
        statx(self.number(), c"", ffi::AT_EMPTY_PATH)
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        // SAFETY: no memory is involved.
        unsafe { ffi::isatty(self.number()) == 1 }
    }

    /// Whether a write of up to 4 KiB would go through at once. If even that cannot be asked, it is to be tried.
    pub fn is_writable(&self) -> bool {
        let mut wait = [Poll::writing(self)];
        poll(&mut wait, 0).is_err() || wait.iter().all(Poll::is_ready)
    }

    /// Whether nothing is left to read and nobody to write: the end that `poll` goes on to tell of.
    pub fn is_abandoned(&self) -> bool {
        let mut wait = [Poll::reading(self)];
        poll(&mut wait, 0).is_ok() && wait.iter().all(|poll| poll.0.revents == ffi::POLLHUP)
    }
}

/// What the file that `path` leads to is, symbolic links followed.
pub fn status(path: &CStr) -> Result<Status> {
    statx(ffi::AT_FDCWD, path, 0)
}

/// What the name `path` stands for: a symbolic link at its end is not followed.
pub fn status_no_link(path: &CStr) -> Result<Status> {
    statx(ffi::AT_FDCWD, path, ffi::AT_SYMLINK_NOFOLLOW)
}

/// Gives a file another name, in place of whatever had that name before.
pub fn rename(from: &CStr, to: &CStr) -> Result<()> {
    // SAFETY: both paths are NUL-terminated and borrowed for the call.
    done(unsafe { ffi::rename(from.as_ptr(), to.as_ptr()) })
}

/// Gives a file a second name; `EEXIST` if there is anything of that name.
pub fn link(from: &CStr, to: &CStr) -> Result<()> {
    // SAFETY: both paths are NUL-terminated and borrowed for the call.
    done(unsafe { ffi::link(from.as_ptr(), to.as_ptr()) })
}

/// Takes a name away from a file.
pub fn unlink(path: &CStr) -> Result<()> {
    // SAFETY: the path is NUL-terminated and borrowed for the call.
    done(unsafe { ffi::unlink(path.as_ptr()) })
}

/// Where the symbolic link `path` points to; `EINVAL` if it is none.
pub fn read_link(path: &[u8]) -> Result<Vec<u8>> {
    let path = c_path(path)?;
    // PATH_MAX: the kernel makes no longer link.
    let mut target = alloc::vec![0; 4096];
    let (directory, name) = (ffi::AT_FDCWD as usize, path.as_ptr());
    let (start, room) = (target.as_mut_ptr(), target.len());
    let number = ffi::arch::SYS_READLINKAT;
    // SAFETY: the path is NUL-terminated, and readlinkat writes at most `room` bytes into a buffer of that length.
    let length = check(unsafe { ffi::syscall(number, directory, name, start, room) })?;
    target.truncate(length);
    Ok(target)
}

/// Makes sure that descriptors 0, 1 and 2 are open, so that no file of ours ever gets one of these
/// numbers and with it what is meant for a terminal or a log.
pub fn fill_standard_descriptors() {
    for fd in 0..3usize {
        // SAFETY: no memory is involved, and the path is NUL-terminated.
        unsafe {
            if ffi::syscall(ffi::arch::SYS_FCNTL, fd, ffi::F_GETFD) < 0 {
                // The kernel hands out the lowest free number, which is the one that is missing.
                ffi::open(c"/dev/null".as_ptr(), ffi::O_RDWR);
            }
        }
    }
}

fn open(path: &CStr, access: c_int) -> Result<Fd> {
    let flags = access | ffi::O_CLOEXEC | ffi::arch::O_NONBLOCK | ffi::arch::O_NOCTTY;
    let private: c_int = 0o600;
    // SAFETY: the path is NUL-terminated and borrowed for the call.
    own(c_long::from(unsafe {
        ffi::open(path.as_ptr(), flags, private)
    }))
}

/// Takes charge of the descriptor that a call returned.
pub(super) fn own(answer: c_long) -> Result<Fd> {
    // OK because descriptors are C integers.
    check(answer).map(|fd| Fd::of(fd as c_int))
}

/// What a call answered that has nothing to tell but whether it worked.
fn done(answer: c_int) -> Result<()> {
    check(c_long::from(answer)).map(drop)
}

fn statx(directory: c_int, path: &CStr, flags: c_int) -> Result<Status> {
    let mut answer = core::mem::MaybeUninit::<ffi::Statx>::zeroed();
    let (directory, flags, name) = (directory as usize, flags as usize, path.as_ptr());
    let (wanted, place) = (ffi::STATX_BASIC_STATS, answer.as_mut_ptr());
    let number = ffi::arch::SYS_STATX;
    // SAFETY: the path is NUL-terminated, and statx fills a structure of its own layout.
    check(unsafe { ffi::syscall(number, directory, name, flags, wanted, place) })?;
    // SAFETY: all bytes were zero before the call, and any bytes make a valid structure of integers.
    let answer = unsafe { answer.assume_init() };
    let kind = match answer.mode & ffi::S_IFMT {
        ffi::S_IFREG => FileKind::Regular,
        ffi::S_IFDIR => FileKind::Directory,
        ffi::S_IFIFO => FileKind::Fifo,
        ffi::S_IFSOCK => FileKind::Socket,
        ffi::S_IFLNK => FileKind::Link,
        ffi::S_IFCHR => {
            let [major, minor] = answer.device_of_node;
            FileKind::Device(Device { major, minor })
        }
        _ => FileKind::Other,
    };
    let [.., modified] = answer.times;
    Ok(Status {
        modified_ms: milliseconds(modified.seconds, modified.nanoseconds),
        by_the_second: modified.nanoseconds == 0,
        id: FileId {
            device: answer.device,
            inode: answer.inode,
        },
        kind,
        links: answer.links,
        size: answer.size,
        owner: answer.user,
        permissions: answer.mode & !ffi::S_IFMT,
    })
}

/// `path` with the NUL that C wants; `EINVAL` if it has one inside.
pub fn c_path(path: &[u8]) -> Result<Path> {
    match holds(path, 0) {
        true => Err(Errno::EINVAL),
        false => Ok(Path(text!("{}\0", path))),
    }
}

/// A path with the NUL that C wants, and no other.
pub struct Path(Vec<u8>);

impl core::ops::Deref for Path {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        // SAFETY: c_path has put a NUL at the end, and there is none before.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.0) }
    }
}

/// One descriptor to wait for.
#[repr(transparent)]
pub struct Poll(ffi::PollFd);

impl Poll {
    /// Waits until there is something to read, or nobody is left to write.
    pub fn reading(fd: &Fd) -> Poll {
        Poll::new(fd, ffi::POLLIN)
    }

    /// Waits for that, too, if there is a descriptor.
    #[inline(never)]
    pub fn add(fd: Option<&Fd>, polls: &mut Vec<Poll>) {
        if let Some(fd) = fd {
            polls.push(Poll::reading(fd));
        }
    }

    /// Waits for what the descriptor calls exceptional: for `/proc/self/mountinfo`, that file systems were
    /// mounted or unmounted since the last [`poll`].
    pub fn exceptional(fd: &Fd) -> Poll {
        Poll::new(fd, ffi::POLLPRI)
    }

    fn writing(fd: &Fd) -> Poll {
        Poll::new(fd, ffi::POLLOUT)
    }

    fn new(fd: &Fd, events: core::ffi::c_short) -> Poll {
        Poll(ffi::PollFd {
            fd: fd.number(),
            events,
            revents: 0,
        })
    }

    /// Whether the last [`poll`] found something to do, an error included.
    pub fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one of `entries` is ready or `timeout_ms` is over; if that is [`NEVER`], for as long as it takes. A
/// timeout of more than 24 days ends early.
pub fn poll(entries: &mut [Poll], timeout_ms: u64) -> Result<()> {
    let timeout = match timeout_ms {
        NEVER => -1,
        ms => c_int::try_from(ms).unwrap_or(c_int::MAX),
    };
    let count = entries.len() as core::ffi::c_ulong;
    // SAFETY: Poll is a transparent pollfd, and the slice has `count` of them.
    repeat(|| c_long::from(unsafe { ffi::poll(entries.as_mut_ptr().cast(), count, timeout) }))
        .map(drop)
}
