//! Declarations of the C library's functions, structures and constants that we use, and nothing else.
//!
//! Everything here must agree with the C headers of every target. Numbers that differ between
//! architectures stand in [`arch`]; the rest is the same on all Linux targets we build for (x86-64,
//! aarch64, armv7, mips, mipsel).
//!
//! Some system calls are made by number, through [`syscall`]: those for which musl, for the sake of
//! kernels from before 2017, brings a substitute in kilobytes of code (`statx`, `pipe2`, `signalfd`), and
//! those whose kernel interface is simpler than C's: it has one `timespec`, with 64 bits everywhere, and
//! signal sets of a few words.

use core::ffi::{c_char, c_int, c_long, c_short, c_ulong, c_void};

#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
pub mod arch {
    use core::ffi::{c_int, c_long};
    pub const O_NONBLOCK: c_int = 0x80;
    pub const O_CREAT: c_int = 0x100;
    pub const O_EXCL: c_int = 0x400;
    pub const O_NOFOLLOW: c_int = 0x20000;
    pub const O_NOCTTY: c_int = 0x800;
    pub const SOCK_DGRAM: c_int = 1;
    pub const SIGUSR1: c_int = 16;
    pub const SIGUSR2: c_int = 17;
    pub const SIGCHLD: c_int = 18;
    pub const SIGXFSZ: c_int = 31;
    pub const ELOOP: c_int = 90;
    pub const ENOSYS: c_int = 89;
    pub const ECONNREFUSED: c_int = 146;
    pub const ESTALE: c_int = 151;
    pub const EDQUOT: c_int = 1133;
    pub const ENAMETOOLONG: c_int = 78;
    pub const SIG_SETMASK: usize = 3;
    pub const MAP_ANONYMOUS: usize = 0x800;

    #[cfg(target_env = "musl")]
    pub const SYS_CLOCK_GETTIME: c_long = 4403;
    pub const SYS_CLOCK_GETTIME32: c_long = 4263;
    pub const SYS_FCNTL: c_long = 4055;
    pub const SYS_INOTIFY_INIT1: c_long = 4329;
    pub const SYS_MMAP: c_long = 4210;
    pub const SYS_MREMAP: c_long = 4167;
    pub const SYS_MUNMAP: c_long = 4091;
    pub const SYS_PIPE2: c_long = 4328;
    pub const SYS_PRCTL: c_long = 4192;
    pub const SYS_RT_SIGACTION: c_long = 4194;
    pub const SYS_RT_SIGPROCMASK: c_long = 4195;
    pub const SYS_SIGNALFD4: c_long = 4324;
    pub const SYS_SOCKET: c_long = 4183;
    pub const SYS_READLINKAT: c_long = 4298;
    pub const SYS_STATX: c_long = 4366;
    pub const SYS_TIMERFD_CREATE: c_long = 4321;
    pub const SYS_TIMERFD_SETTIME: c_long = 4411;

    /// The kernel's `struct sigaction` begins with its flags here, and signal sets have 128 bits.
    pub const HANDLER: usize = 1;
    pub const SIGNAL_SET_SIZE: usize = 16;
}

#[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
pub mod arch {
    use core::ffi::c_int;
    pub const O_NONBLOCK: c_int = 0o4000;
    pub const O_CREAT: c_int = 0o100;
    pub const O_EXCL: c_int = 0o200;
    #[cfg(any(target_arch = "arm", target_arch = "aarch64"))]
    pub const O_NOFOLLOW: c_int = 0o100000;
    #[cfg(not(any(target_arch = "arm", target_arch = "aarch64")))]
    pub const O_NOFOLLOW: c_int = 0o400000;
    pub const O_NOCTTY: c_int = 0o400;
    pub const SOCK_DGRAM: c_int = 2;
    pub const SIGUSR1: c_int = 10;
    pub const SIGUSR2: c_int = 12;
    pub const SIGCHLD: c_int = 17;
    pub const SIGXFSZ: c_int = 25;
    pub const ELOOP: c_int = 40;
    pub const ENOSYS: c_int = 38;
    pub const ECONNREFUSED: c_int = 111;
    pub const ESTALE: c_int = 116;
    pub const EDQUOT: c_int = 122;
    pub const ENAMETOOLONG: c_int = 36;
    pub const SIG_SETMASK: usize = 2;
    pub const MAP_ANONYMOUS: usize = 0x20;

    #[cfg(target_arch = "aarch64")]
    pub use crate::sys::ffi::aarch64::*;
    #[cfg(target_arch = "arm")]
    pub use crate::sys::ffi::arm::*;
    #[cfg(target_arch = "x86_64")]
    pub use crate::sys::ffi::x86_64::*;

    /// The kernel's `struct sigaction` begins with the handler, and signal sets have 64 bits.
    pub const HANDLER: usize = 0;
    pub const SIGNAL_SET_SIZE: usize = 8;
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::ffi::c_long;
    #[cfg(target_env = "musl")]
    pub const SYS_CLOCK_GETTIME: c_long = 228;
    pub const SYS_FCNTL: c_long = 72;
    pub const SYS_INOTIFY_INIT1: c_long = 294;
    pub const SYS_MMAP: c_long = 9;
    pub const SYS_MREMAP: c_long = 25;
    pub const SYS_MUNMAP: c_long = 11;
    pub const SYS_PIPE2: c_long = 293;
    pub const SYS_PRCTL: c_long = 157;
    pub const SYS_RT_SIGACTION: c_long = 13;
    pub const SYS_RT_SIGPROCMASK: c_long = 14;
    pub const SYS_SIGNALFD4: c_long = 289;
    pub const SYS_SOCKET: c_long = 41;
    pub const SYS_READLINKAT: c_long = 267;
    pub const SYS_STATX: c_long = 332;
    pub const SYS_TIMERFD_CREATE: c_long = 283;
    pub const SYS_TIMERFD_SETTIME: c_long = 286;
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use core::ffi::c_long;
    #[cfg(target_env = "musl")]
    pub const SYS_CLOCK_GETTIME: c_long = 113;
    pub const SYS_FCNTL: c_long = 25;
    pub const SYS_INOTIFY_INIT1: c_long = 26;
    pub const SYS_MMAP: c_long = 222;
    pub const SYS_MREMAP: c_long = 216;
    pub const SYS_MUNMAP: c_long = 215;
    pub const SYS_PIPE2: c_long = 59;
    pub const SYS_PRCTL: c_long = 167;
    pub const SYS_RT_SIGACTION: c_long = 134;
    pub const SYS_RT_SIGPROCMASK: c_long = 135;
    pub const SYS_SIGNALFD4: c_long = 74;
    pub const SYS_SOCKET: c_long = 198;
    pub const SYS_READLINKAT: c_long = 78;
    pub const SYS_STATX: c_long = 291;
    pub const SYS_TIMERFD_CREATE: c_long = 85;
    pub const SYS_TIMERFD_SETTIME: c_long = 86;
}

#[cfg(target_arch = "arm")]
mod arm {
    use core::ffi::c_long;
    #[cfg(target_env = "musl")]
    pub const SYS_CLOCK_GETTIME: c_long = 403;
    pub const SYS_CLOCK_GETTIME32: c_long = 263;
    pub const SYS_FCNTL: c_long = 55;
    pub const SYS_INOTIFY_INIT1: c_long = 360;
    pub const SYS_MMAP: c_long = 192;
    pub const SYS_MREMAP: c_long = 163;
    pub const SYS_MUNMAP: c_long = 91;
    pub const SYS_PIPE2: c_long = 359;
    pub const SYS_PRCTL: c_long = 172;
    pub const SYS_RT_SIGACTION: c_long = 174;
    pub const SYS_RT_SIGPROCMASK: c_long = 175;
    pub const SYS_SIGNALFD4: c_long = 355;
    pub const SYS_SOCKET: c_long = 281;
    pub const SYS_READLINKAT: c_long = 332;
    pub const SYS_STATX: c_long = 397;
    pub const SYS_TIMERFD_CREATE: c_long = 350;
    pub const SYS_TIMERFD_SETTIME: c_long = 411;
}

pub const O_RDONLY: c_int = 0;
pub const O_WRONLY: c_int = 1;
pub const O_RDWR: c_int = 2;
pub const O_CLOEXEC: c_int = 0o2000000;
pub const F_GETFD: usize = 1;
pub const O_PATH: c_int = 0o10000000;
pub const F_SETFD: usize = 2;
pub const F_SETFL: usize = 4;
pub const FD_CLOEXEC: usize = 1;
pub const LOCK_EX: c_int = 2;
pub const LOCK_NB: c_int = 4;
pub const SEEK_SET: c_int = 0;
pub const SEEK_END: c_int = 2;
pub const SEEK_DATA: c_int = 3;

pub const AT_FDCWD: c_int = -100;
pub const AT_EMPTY_PATH: c_int = 0x1000;
pub const AT_SYMLINK_NOFOLLOW: c_int = 0x100;
pub const STATX_BASIC_STATS: usize = 0x7ff;
pub const S_IFMT: u16 = 0o170000;
pub const S_IFIFO: u16 = 0o010000;
pub const S_IFCHR: u16 = 0o020000;
pub const S_IFDIR: u16 = 0o040000;
pub const S_IFREG: u16 = 0o100000;
pub const S_IFLNK: u16 = 0o120000;
pub const S_IFSOCK: u16 = 0o140000;

pub const POLLIN: c_short = 0x1;
pub const POLLPRI: c_short = 0x2;
pub const POLLOUT: c_short = 0x4;
pub const POLLHUP: c_short = 0x10;

pub const SIGHUP: c_int = 1;
pub const SIGINT: c_int = 2;
pub const SIGKILL: c_int = 9;
pub const SIGPIPE: c_int = 13;
pub const SIGTERM: c_int = 15;
/// `SIG_DFL` and `SIG_IGN`, handlers' addresses in C.
pub const SIG_DFL: usize = 0;
pub const SIG_IGN: usize = 1;

pub const P_ALL: c_int = 0;
pub const P_PID: c_int = 1;
pub const WNOHANG: c_int = 1;
pub const WEXITED: c_int = 4;
pub const WNOWAIT: c_int = 0x0100_0000;

pub const PR_SET_DUMPABLE: usize = 4;

pub const CLONE_VM: c_int = 0x100;
pub const CLONE_VFORK: c_int = 0x4000;

pub const PROT_READ: usize = 1;
pub const PROT_WRITE: usize = 2;
pub const MAP_PRIVATE: usize = 2;
pub const MREMAP_MAYMOVE: usize = 1;

pub const IN_MODIFY: u32 = 0x2;
pub const IN_MOVED_TO: u32 = 0x80;
pub const IN_CREATE: u32 = 0x100;
pub const IN_Q_OVERFLOW: u32 = 0x4000;
pub const IN_ONLYDIR: u32 = 0x0100_0000;

pub const AF_UNIX: u16 = 1;
pub const MSG_DONTWAIT: c_int = 0x40;
pub const MSG_NOSIGNAL: c_int = 0x4000;
pub const GRND_NONBLOCK: u32 = 1;

/// `TFD_TIMER_ABSTIME`.
pub const TFD_TIMER_ABSTIME: usize = 1;

pub const CLOCK_REALTIME: c_int = 0;
pub const CLOCK_REALTIME_COARSE: c_int = 5;
pub const CLOCK_BOOTTIME: c_int = 7;

pub const ENOENT: c_int = 2;
pub const ENOEXEC: c_int = 8;
pub const EINTR: c_int = 4;
pub const EIO: c_int = 5;
pub const ECHILD: c_int = 10;
pub const EAGAIN: c_int = 11;
pub const ENOMEM: c_int = 12;
pub const ENFILE: c_int = 23;
pub const EMFILE: c_int = 24;
pub const EFBIG: c_int = 27;
pub const ENOSPC: c_int = 28;
pub const EMLINK: c_int = 31;
pub const EPIPE: c_int = 32;
pub const EEXIST: c_int = 17;
pub const ENOTDIR: c_int = 20;
pub const EISDIR: c_int = 21;
pub const EINVAL: c_int = 22;
pub const EACCES: c_int = 13;

/// `struct pollfd`.
#[repr(C)]
pub struct PollFd {
    pub fd: c_int,
    pub events: c_short,
    pub revents: c_short,
}

/// The kernel's `struct timespec`: one layout on every architecture.
#[repr(C)]
#[derive(Default)]
pub struct Timespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// `struct statx_timestamp`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StatxTime {
    pub seconds: i64,
    pub nanoseconds: u32,
    pub padding: i32,
}

/// `struct statx`: one layout on every architecture.
#[repr(C)]
pub struct Statx {
    pub mask: u32,
    pub block_size: u32,
    pub attributes: u64,
    pub links: u32,
    pub user: u32,
    pub group: u32,
    pub mode: u16,
    pub padding: u16,
    pub inode: u64,
    pub size: u64,
    pub blocks: u64,
    pub attributes_mask: u64,
    /// Of access, birth, change of the status, change of the content.
    pub times: [StatxTime; 4],
    pub device_of_node: [u32; 2],
    pub device: [u32; 2],
    pub spare: [u64; 14],
}

/// `struct signalfd_siginfo`: 128 bytes, the signal's number first.
#[repr(C, align(8))]
pub struct SignalInfo {
    pub signal: u32,
    pub rest: [u32; 31],
}

/// `siginfo_t`: 128 bytes, the signal's number first.
#[repr(C, align(8))]
pub struct ChildInfo {
    pub signal: c_int,
    pub rest: [c_int; 31],
}

/// `struct sockaddr_un`.
#[repr(C)]
pub struct UnixAddress {
    pub family: u16,
    pub path: [u8; 108],
}

/// `struct inotify_event`, without the name that follows it.
#[repr(C)]
pub struct InotifyEvent {
    pub watch: c_int,
    pub mask: u32,
    pub cookie: u32,
    pub name_length: u32,
}

#[link(name = "c")]
unsafe extern "C" {
    pub static environ: *const *const c_char;

    pub fn __errno_location() -> *mut c_int;
    /// The arguments are as wide as a register: `usize` or pointers.
    pub fn syscall(number: c_long, ...) -> c_long;
    pub fn _exit(status: c_int) -> !;

    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn close(fd: c_int) -> c_int;
    pub fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize;
    pub fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize;
    // off_t has 64 bits in musl everywhere; glibc is only supported on 64-bit targets.
    pub fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64;
    pub fn flock(fd: c_int, operation: c_int) -> c_int;
    pub fn fsync(fd: c_int) -> c_int;
    pub fn rename(from: *const c_char, to: *const c_char) -> c_int;
    pub fn link(from: *const c_char, to: *const c_char) -> c_int;
    pub fn unlink(path: *const c_char) -> c_int;
    pub fn isatty(fd: c_int) -> c_int;
    // nfds_t is unsigned long in both C libraries.
    pub fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    pub fn connect(fd: c_int, address: *const UnixAddress, length: u32) -> c_int;
    pub fn send(fd: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize;
    pub fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int;
    pub fn inotify_rm_watch(fd: c_int, watch: c_int) -> c_int;

    pub fn umask(mask: u32) -> u32;
    pub fn getpid() -> c_int;
    pub fn geteuid() -> u32;
    pub fn getrandom(buffer: *mut c_void, length: usize, flags: u32) -> isize;
    pub fn kill(process: c_int, signal: c_int) -> c_int;
    pub fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    pub fn waitid(kind: c_int, id: u32, info: *mut ChildInfo, options: c_int) -> c_int;
    // musl's own takes fork's locks and more along, none of which a borrowed memory has a use for. What it is
    // built on can be linked only with what is in the same file, and answers with the negative errno itself.
    #[cfg_attr(
        all(target_env = "musl", target_feature = "crt-static"),
        link_name = "__clone"
    )]
    pub fn clone(
        run: extern "C" fn(*mut c_void) -> c_int,
        stack_end: *mut c_void,
        flags: c_int,
        argument: *mut c_void,
        ...
    ) -> c_int;
    pub fn setpgid(process: c_int, group: c_int) -> c_int;
    pub fn dup2(from: c_int, to: c_int) -> c_int;
    pub fn execve(
        program: *const c_char,
        arguments: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int;

    #[cfg(not(target_env = "musl"))]
    pub fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
}
