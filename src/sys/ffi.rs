//! Declarations of the C library's functions, structures and constants that we use, and nothing else.
//!
//! Everything here must agree with the C headers of every target. Numbers that differ between
//! architectures stand in [`arch`]; the rest is the same on all Linux targets we build for (x86-64,
//! aarch64, armv7, mips, mipsel). Two choices keep the list short and the layouts certain: files are
//! looked at with `statx`, whose structure is the same everywhere, and on 32-bit musl the functions
//! that handle a `time_t` are linked under their 64-bit names.

use core::ffi::{c_char, c_int, c_short, c_ulong, c_void};

#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
pub mod arch {
    use core::ffi::c_int;
    pub const O_NONBLOCK: c_int = 0x80;
    pub const O_CREAT: c_int = 0x100;
    pub const O_EXCL: c_int = 0x400;
    pub const O_NOFOLLOW: c_int = 0x20000;
    pub const O_NOCTTY: c_int = 0x800;
    pub const SOCK_DGRAM: c_int = 1;
    pub const SIGUSR1: c_int = 16;
    pub const SIGCHLD: c_int = 18;
    pub const SIGXFSZ: c_int = 31;
    pub const SIG_BLOCK: c_int = 1;
    pub const ELOOP: c_int = 90;
    pub const ENAMETOOLONG: c_int = 78;
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
    pub const SIGCHLD: c_int = 17;
    pub const SIGXFSZ: c_int = 25;
    pub const SIG_BLOCK: c_int = 0;
    pub const ELOOP: c_int = 40;
    pub const ENAMETOOLONG: c_int = 36;
}

pub const O_RDONLY: c_int = 0;
pub const O_WRONLY: c_int = 1;
pub const O_RDWR: c_int = 2;
pub const O_CLOEXEC: c_int = 0o2000000;
pub const F_SETFL: c_int = 4;
pub const LOCK_EX: c_int = 2;
pub const LOCK_NB: c_int = 4;
pub const SEEK_SET: c_int = 0;
pub const SEEK_END: c_int = 2;

pub const AT_FDCWD: c_int = -100;
pub const AT_EMPTY_PATH: c_int = 0x1000;
pub const STATX_BASIC_STATS: u32 = 0x7ff;
pub const S_IFMT: u16 = 0o170000;
pub const S_IFIFO: u16 = 0o010000;
pub const S_IFCHR: u16 = 0o020000;
pub const S_IFDIR: u16 = 0o040000;
pub const S_IFREG: u16 = 0o100000;

pub const POLLIN: c_short = 0x1;
pub const POLLPRI: c_short = 0x2;
pub const POLLOUT: c_short = 0x4;
pub const POLLNVAL: c_short = 0x20;

pub const SIGHUP: c_int = 1;
pub const SIGINT: c_int = 2;
pub const SIGKILL: c_int = 9;
pub const SIGPIPE: c_int = 13;
pub const SIGTERM: c_int = 15;
/// `SIG_DFL` and `SIG_IGN`, handlers' addresses in C.
pub const SIG_DFL: usize = 0;
pub const SIG_IGN: usize = 1;

pub const P_PID: c_int = 1;
pub const WNOHANG: c_int = 1;
pub const WEXITED: c_int = 4;
pub const WNOWAIT: c_int = 0x0100_0000;

pub const POSIX_SPAWN_SETPGROUP: c_short = 0x02;
pub const POSIX_SPAWN_SETSIGDEF: c_short = 0x04;
pub const POSIX_SPAWN_SETSIGMASK: c_short = 0x08;

pub const IN_MODIFY: u32 = 0x2;
pub const IN_MOVED_TO: u32 = 0x80;
pub const IN_CREATE: u32 = 0x100;
pub const IN_Q_OVERFLOW: u32 = 0x4000;
pub const IN_ONLYDIR: u32 = 0x0100_0000;

pub const AF_UNIX: u16 = 1;
pub const MSG_NOSIGNAL: c_int = 0x4000;

pub const CLOCK_REALTIME: c_int = 0;
pub const CLOCK_BOOTTIME: c_int = 7;

pub const ENOENT: c_int = 2;
pub const EINTR: c_int = 4;
pub const EAGAIN: c_int = 11;
pub const EFBIG: c_int = 27;
pub const EPIPE: c_int = 32;
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

/// `struct timespec` with a 64-bit `time_t`; the padding of 32-bit targets lies around a `long`, so
/// nanoseconds are read as the low half there.
#[repr(C)]
#[derive(Default)]
pub struct Timespec {
    pub seconds: i64,
    #[cfg(all(target_pointer_width = "32", target_endian = "big"))]
    pub padding: u32,
    pub nanoseconds: core::ffi::c_long,
    #[cfg(all(target_pointer_width = "32", target_endian = "little"))]
    pub padding: u32,
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
    pub times: [u64; 8],
    pub device_of_node: [u32; 2],
    pub device: [u32; 2],
    pub spare: [u64; 14],
}

/// `sigset_t`: 128 bytes in glibc and in musl, on every architecture.
#[repr(C)]
pub struct SignalSet(pub [c_ulong; 128 / size_of::<c_ulong>()]);

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

/// `posix_spawnattr_t` or `posix_spawn_file_actions_t`: opaque; 336 and 80 bytes at the most in glibc
/// and musl, so this has room to spare.
#[repr(C, align(16))]
pub struct SpawnObject(pub [u8; 512]);

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

/// `memchr` and `memrchr`.
pub type Search = unsafe extern "C" fn(*const c_void, c_int, usize) -> *const c_void;

#[link(name = "c")]
unsafe extern "C" {
    pub static environ: *const *const c_char;

    pub fn __errno_location() -> *mut c_int;
    pub fn strerror(errno: c_int) -> *const c_char;
    pub fn malloc(size: usize) -> *mut c_void;
    pub fn calloc(count: usize, size: usize) -> *mut c_void;
    pub fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
    pub fn free(block: *mut c_void);
    pub fn memchr(text: *const c_void, byte: c_int, length: usize) -> *const c_void;
    pub fn memrchr(text: *const c_void, byte: c_int, length: usize) -> *const c_void;
    pub fn _exit(status: c_int) -> !;

    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    pub fn close(fd: c_int) -> c_int;
    pub fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize;
    pub fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize;
    // off_t has 64 bits in musl everywhere; glibc is only supported on 64-bit targets.
    pub fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64;
    pub fn readlink(path: *const c_char, buffer: *mut c_char, length: usize) -> isize;
    pub fn statx(
        directory: c_int,
        path: *const c_char,
        flags: c_int,
        mask: u32,
        status: *mut Statx,
    ) -> c_int;
    pub fn flock(fd: c_int, operation: c_int) -> c_int;
    pub fn fsync(fd: c_int) -> c_int;
    pub fn rename(from: *const c_char, to: *const c_char) -> c_int;
    pub fn unlink(path: *const c_char) -> c_int;
    pub fn isatty(fd: c_int) -> c_int;
    pub fn pipe2(fds: *mut c_int, flags: c_int) -> c_int;
    // nfds_t is unsigned long in both C libraries.
    pub fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
    pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub fn connect(fd: c_int, address: *const UnixAddress, length: u32) -> c_int;
    pub fn send(fd: c_int, buffer: *const c_void, length: usize, flags: c_int) -> isize;
    pub fn inotify_init1(flags: c_int) -> c_int;
    pub fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int;
    pub fn inotify_rm_watch(fd: c_int, watch: c_int) -> c_int;

    pub fn sigemptyset(set: *mut SignalSet) -> c_int;
    pub fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    pub fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    pub fn signal(signal: c_int, handler: usize) -> usize;
    pub fn signalfd(fd: c_int, set: *const SignalSet, flags: c_int) -> c_int;

    pub fn getpid() -> c_int;
    pub fn geteuid() -> u32;
    pub fn getrandom(buffer: *mut c_void, length: usize, flags: u32) -> isize;
    pub fn kill(process: c_int, signal: c_int) -> c_int;
    pub fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    pub fn waitid(kind: c_int, id: u32, info: *mut ChildInfo, options: c_int) -> c_int;
    pub fn posix_spawnp(
        process: *mut c_int,
        program: *const c_char,
        actions: *const SpawnObject,
        attributes: *const SpawnObject,
        arguments: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int;
    pub fn posix_spawnattr_init(attributes: *mut SpawnObject) -> c_int;
    pub fn posix_spawnattr_destroy(attributes: *mut SpawnObject) -> c_int;
    pub fn posix_spawnattr_setflags(attributes: *mut SpawnObject, flags: c_short) -> c_int;
    pub fn posix_spawnattr_setpgroup(attributes: *mut SpawnObject, group: c_int) -> c_int;
    pub fn posix_spawnattr_setsigdefault(
        attributes: *mut SpawnObject,
        set: *const SignalSet,
    ) -> c_int;
    pub fn posix_spawnattr_setsigmask(attributes: *mut SpawnObject, set: *const SignalSet)
    -> c_int;
    pub fn posix_spawn_file_actions_init(actions: *mut SpawnObject) -> c_int;
    pub fn posix_spawn_file_actions_destroy(actions: *mut SpawnObject) -> c_int;
    pub fn posix_spawn_file_actions_adddup2(
        actions: *mut SpawnObject,
        from: c_int,
        to: c_int,
    ) -> c_int;

    #[cfg_attr(
        all(target_env = "musl", target_pointer_width = "32"),
        link_name = "__clock_gettime64"
    )]
    pub fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
}
