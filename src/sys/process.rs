//! Child processes.
//!
//! A child is started as `posix_spawn` does it: it borrows our memory, which small machines may have no
//! room to copy, while we stand still until it has become another program. Between the two runs one
//! function, `become_program`, which only makes system calls: whatever it needs is prepared before. It
//! reports through a pipe why the program cannot be run. The C library's own `posix_spawn` would be
//! four kilobytes and a second heap.

use super::errno::{Errno, Result, check, repeat};
use super::fd::{self, Fd, FileKind, Poll, poll};
use super::{ffi, signal};
use crate::backoff::NEVER;
use crate::text::{Pieces, Put, holds};
use crate::text::{program, words};
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::mem::MaybeUninit;
use core::ptr::null;

/// A child that has not been waited for. It leads a process group of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Child(c_int);

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Exit {
    /// It returned this status; 0 is success.
    Status(u8),
    /// This signal ended it.
    Signal(u8),
}

impl Put for Exit {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Exit::Status(status) => put!(out, "exit status {}", u32::from(*status)),
            Exit::Signal(signal) => put!(out, "ended by signal {}", u32::from(*signal)),
        }
    }
}

/// Where a child's standard input, output and error go.
pub struct Streams<'a> {
    /// Its standard input.
    pub input: &'a Fd,
    /// Its standard output.
    pub output: &'a Fd,
    /// Its standard error.
    pub error: &'a Fd,
}

/// Our own process id.
pub fn own_id() -> u32 {
    // SAFETY: no memory is involved.
    unsafe { ffi::getpid() }.cast_unsigned()
}

/// Tells a process that runs the same program as we do, by `SIGUSR2`, that it is asked for something. Anybody else would
/// be ended by that: `ENOENT` if there is no process of that number or it runs another program, as it may where the
/// number is one of another container.
pub fn wake(process: u32) -> Result<()> {
    let name = |path: &[u8]| Fd::open(&fd::c_path(path)?)?.read_all(64);
    if name(&text!("/proc/{}/comm", process))? != name(b"/proc/self/comm")? {
        return Err(Errno::ENOENT);
    }
    let (process, number) = (process.cast_signed(), ffi::arch::SIGUSR2);
    // SAFETY: no memory is involved.
    super::errno::check(c_long::from(unsafe { ffi::kill(process, number) })).map(drop)
}

/// The user whose rights we run with; root is 0.
pub fn user_id() -> u32 {
    // SAFETY: no memory is involved.
    unsafe { ffi::geteuid() }
}

/// Descriptors that may have been left open to us. The usual limit is 1024; to try all that a raised
/// limit allows, a million sometimes, would take too long.
const INHERITED: core::ops::Range<usize> = 3..1024;

/// Makes good what whoever started us may have left undone, before commands inherit it: files that everybody
/// can write, descriptors that are none of their business. And a crash leaves no copy of our memory, which
/// knows the knocks, on the disk; whether theirs do is not changed.
pub fn settle_in() {
    // SAFETY: no memory is involved.
    unsafe {
        ffi::umask(ffi::umask(0o022) | 0o022);
        for fd in INHERITED {
            ffi::syscall(ffi::arch::SYS_FCNTL, fd, ffi::F_SETFD, ffi::FD_CLOEXEC);
        }
        let (option, [no, unused]) = (ffi::PR_SET_DUMPABLE, [0usize; 2]);
        ffi::syscall(ffi::arch::SYS_PRCTL, option, no, unused, unused, unused);
    }
}

/// Starts the first word of `command` (sought in `PATH` unless it has a slash) with all its words as
/// arguments, our environment and `variables` (`NAME=value`) on top, in a process group of its own, with no
/// descriptor of ours but `streams` and with signals as they are when a shell starts a program. A NUL byte
/// stands behind each word and each variable.
///
/// Fails with the reason why the program cannot be run. `EINVAL` stands for an empty first word or for no
/// words at all, `ENOEXEC` for a program that is there and whose interpreter is not, too.
pub fn spawn(command: &[u8], variables: &[u8], streams: &Streams) -> Result<Child> {
    let program = program(command);
    if program.is_empty() {
        return Err(Errno::EINVAL);
    }
    let candidates = candidates(program);
    let mut environment = inherited(variables);
    add_pointers(variables, &mut environment);
    let (reason, report) = Fd::pipe()?;
    let plan = Plan {
        candidates: &pointers(&candidates),
        arguments: &pointers(command),
        environment: &environment,
        streams: [streams.input, streams.output, streams.error],
        report: &report,
    };
    let mut stack = MaybeUninit::<ChildStack>::uninit();
    let end = (&raw mut stack).wrapping_add(1).cast::<c_void>();
    let flags = ffi::CLONE_VM | ffi::CLONE_VFORK | ffi::arch::SIGCHLD;
    let argument = (&raw const plan).cast_mut().cast::<c_void>();
    // SAFETY: the child runs on a stack of its own and reads the plan; both live until the call returns,
    // which is after the child has become another program or ended.
    let process = unsafe {
        let none = null::<c_void>();
        ffi::clone(become_program, end, flags, argument, none, none, none)
    };
    if process < 0 {
        let is_errno = cfg!(all(target_env = "musl", target_feature = "crt-static"));
        return Err(if is_errno {
            Errno(-process)
        } else {
            Errno::last()
        });
    }
    drop(report);
    let child = Child(process);
    match failure(&reason) {
        None => Ok(child),
        Some(errno) => {
            child.wait();
            // It is there: what is not is its interpreter, which its first line or, of a program, the file itself names.
            Err(match errno {
                Errno::ENOENT if find(program).is_ok() => Errno::ENOEXEC,
                errno => errno,
            })
        }
    }
}

/// What the child needs to become another program.
struct Plan<'a> {
    /// The program's possible paths, in the order of `PATH`. All lists end with a null pointer.
    candidates: &'a [*const c_char],
    arguments: &'a [*const c_char],
    environment: &'a [*const c_char],
    streams: [&'a Fd; 3],
    /// Where the errno goes if none of the candidates can be run.
    report: &'a Fd,
}

/// Room for what [`become_program`] calls: the C library's thinnest functions.
#[repr(C, align(16))]
struct ChildStack([u8; 8192]);

/// The child, which never returns: a process group of its own, nothing blocked, nothing ignored (what we
/// changed for ourselves is none of its business), its streams, and the program.
extern "C" fn become_program(plan: *mut c_void) -> c_int {
    // SAFETY: spawn passes its plan, which lives until this function has done its work.
    let plan = unsafe { &*plan.cast::<Plan>() };
    for number in signal::IGNORED {
        signal::dispose(number, ffi::SIG_DFL);
    }
    // SAFETY: no memory is involved.
    unsafe { ffi::setpgid(0, 0) };
    let mut reason = Errno::ENOENT;
    let mut candidates = plan.candidates;
    for (to, from) in (0..).zip(plan.streams) {
        // SAFETY: no memory is involved.
        if let Err(errno) = check(c_long::from(unsafe { ffi::dup2(from.number(), to) })) {
            // It would have our own standard input, or write where nobody reads: it does not run at all.
            (reason, candidates) = (errno, &[]);
        }
    }
    let _ = signal::block_only(&[]);
    let (arguments, environment) = (plan.arguments.as_ptr(), plan.environment.as_ptr());
    for path in candidates.iter().take_while(|path| !path.is_null()) {
        // SAFETY: all strings are NUL-terminated, and both lists end with a null pointer.
        unsafe { ffi::execve(*path, arguments, environment) };
        match Errno::last() {
            Errno::ENOENT | Errno::ENOTDIR => {}
            // As execvp(3): a later folder may have one that we may run.
            Errno::EACCES => reason = Errno::EACCES,
            errno => {
                reason = errno;
                break;
            }
        }
    }
    let _ = plan.report.write_all(&reason.0.to_ne_bytes());
    super::exit(127)
}

/// Why the program could not be run; none if it runs. Waits for the one or the other.
fn failure(reason: &Fd) -> Option<Errno> {
    let mut errno = [0; size_of::<c_int>()];
    let _ = poll(&mut [Poll::reading(reason)], NEVER);
    match reason.read(&mut errno) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(Errno(c_int::from_ne_bytes(errno))),
    }
}

/// The paths that `program` may have, a NUL byte behind each: itself if it has a slash, else one for every
/// folder of `PATH`.
fn candidates(program: &[u8]) -> Vec<u8> {
    if holds(program, b'/') {
        return text!("{}\0", program);
    }
    let mut paths = Vec::new();
    let folders = path_of(search_path()).unwrap_or_default();
    for folder in Pieces(folders, b':') {
        // An empty one would be the folder we happen to be in.
        if !folder.is_empty() {
            put!(&mut paths, "{}/{}\0", folder, program);
        }
    }
    paths
}

/// Whether [`spawn`] would find a program to run: `ENOENT` or `EACCES` if not.
pub fn find(program: &[u8]) -> Result<()> {
    let mut reason = Errno::ENOENT;
    for path in words(&candidates(program)) {
        match fd::status(&fd::c_path(path)?) {
            Ok(status) if status.kind == FileKind::Regular && status.permissions & 0o111 != 0 => {
                return Ok(());
            }
            Ok(_) => reason = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(reason)
}

impl Child {
    /// The process id, for messages.
    pub fn id(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Asks every process of the child's group to end (`SIGTERM`).
    pub fn terminate_group(self) {
        // A group that has no process left is no error.
        // SAFETY: no memory is involved; the child has not been waited for, so its number is its own.
        unsafe { ffi::kill(-self.0, ffi::SIGTERM) };
    }

    /// Ends every process of the child's group (`SIGKILL`), and the child even if it has left its group.
    pub fn kill_group(self) {
        // SAFETY: as above.
        unsafe {
            ffi::kill(-self.0, ffi::SIGKILL);
            ffi::kill(self.0, ffi::SIGKILL);
        }
    }

    /// Whether the child has ended and can be waited for without blocking.
    pub fn has_ended(self) -> bool {
        let mut info = ffi::ChildInfo {
            signal: 0,
            rest: [0; 31],
        };
        let options = ffi::WEXITED | ffi::WNOHANG | ffi::WNOWAIT;
        // SAFETY: waitid fills a structure of siginfo_t's size.
        let answer = unsafe { ffi::waitid(ffi::P_PID, self.id(), &mut info, options) };
        // If the kernel will not tell, the child is alive: whoever waits for it waits no longer than its time.
        match check(c_long::from(answer)) {
            Ok(_) => info.signal != 0,
            Err(errno) => errno == Errno(ffi::ECHILD),
        }
    }

    /// Waits for the child's end and frees its number.
    pub fn wait(self) -> Exit {
        let mut status = 0;
        // SAFETY: waitpid writes one integer.
        let answer = repeat(|| c_long::from(unsafe { ffi::waitpid(self.0, &mut status, 0) }));
        // The low seven bits are the signal, the next byte is the exit status (wait(2)).
        match (answer, status & 0x7f, (status >> 8) & 0xff) {
            (Ok(_), 0, exit) => Exit::Status(exit as u8),
            (Ok(_), signal, _) => Exit::Signal(signal as u8),
            // Somebody else waited for it. That cannot happen; nobody would know how it ended.
            (Err(_), ..) => Exit::Status(u8::MAX),
        }
    }
}

/// A child that has ended and that nobody has waited for. As process 1, those are ours, too, whose parents
/// have ended.
pub fn ended_child() -> Option<Child> {
    // In siginfo_t the process stands behind three integers, and is aligned as a pointer is.
    const PROCESS: usize = 2 + size_of::<usize>() / 8;
    let mut info = ffi::ChildInfo {
        signal: 0,
        rest: [0; 31],
    };
    let options = ffi::WEXITED | ffi::WNOHANG | ffi::WNOWAIT;
    // SAFETY: waitid fills a structure of siginfo_t's size.
    unsafe { ffi::waitid(ffi::P_ALL, 0, &mut info, options) };
    let [.., process] = info.rest.get(..=PROCESS)? else {
        return None;
    };
    (info.signal != 0).then_some(Child(*process))
}

/// Pointers to strings that have a NUL byte behind each, and the null that ends the list.
fn pointers(strings: &[u8]) -> Vec<*const c_char> {
    let mut list = Vec::new();
    add_pointers(strings, &mut list);
    list
}

fn add_pointers(strings: &[u8], list: &mut Vec<*const c_char>) {
    for string in strings.split_inclusive(|&byte| byte == 0) {
        // What has no NUL behind it is no string to C.
        if string.ends_with(&[0]) {
            list.push(string.as_ptr().cast());
        }
    }
    list.push(null());
}

/// Our environment, without the names that `variables` set.
fn inherited(variables: &[u8]) -> Vec<*const c_char> {
    let mut list = Vec::new();
    let mut add = |entry: &CStr| {
        let name = variable_name(entry.to_bytes());
        if words(variables).all(|own| variable_name(own) != name) {
            list.push(entry.as_ptr());
        }
    };
    for entry in own_environment() {
        if path_of(entry).is_none() {
            add(entry);
        }
    }
    add(search_path());
    list
}

/// Our environment's `PATH=…`, or one that serves when there is none.
fn search_path() -> &'static CStr {
    let given = |entry: &&CStr| path_of(entry).is_some_and(|folders| !folders.is_empty());
    let usual = c"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    own_environment().find(given).unwrap_or(usual)
}

/// The folders if the entry is `PATH`.
fn path_of(entry: &CStr) -> Option<&[u8]> {
    entry.to_bytes().strip_prefix(b"PATH=")
}

/// Our environment.
fn own_environment() -> impl Iterator<Item = &'static CStr> {
    // SAFETY: environ is a list of strings that ends with a null pointer, or null itself. Nothing in the
    // program changes the environment.
    let mut next = unsafe { ffi::environ };
    core::iter::from_fn(move || {
        // SAFETY: as above; behind an entry that is not null there is another one.
        unsafe {
            let entry = if next.is_null() { null() } else { *next };
            (!entry.is_null()).then(|| {
                next = next.add(1);
                CStr::from_ptr(entry)
            })
        }
    })
}

fn variable_name(entry: &[u8]) -> Option<&[u8]> {
    entry.split(|&byte| byte == b'=').next()
}
