//! Child processes.
//!
//! `posix_spawn` does what would otherwise be code between `fork` and `exec`, the one place where safe
//! Rust is hard to write: it reports why a program could not be started, and it does not copy our
//! address space, which small machines may have no room for.

use super::fd::Fd;
use super::{Errno, Result, check, ffi, signal};
use crate::text::Put;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int};
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

/// The user whose rights we run with; root is 0.
pub fn user_id() -> u32 {
    // SAFETY: no memory is involved.
    unsafe { ffi::geteuid() }
}

/// Starts `words[0]` (sought in `PATH` unless it has a slash) with the arguments `words`, our
/// environment and `variables` (`NAME=value`) on top, in a process group of its own, with no descriptor
/// of ours but `streams` and with signals as they are when a shell starts a program.
///
/// Fails with the reason why the program cannot be run. `EINVAL` stands for a word with a NUL in it or
/// for no words at all.
pub fn spawn(words: &[Vec<u8>], variables: &[Vec<u8>], streams: &Streams) -> Result<Child> {
    let words = c_strings(words)?;
    let variables = c_strings(variables)?;
    let program = words.first().ok_or(Errno::EINVAL)?;
    let arguments = pointers(&words, Vec::new());
    let environment = pointers(&variables, inherited(&variables));
    let actions = FileActions::new(streams)?;
    let attributes = Attributes::new()?;
    let mut process = 0;
    // SAFETY: the objects are initialised, all strings are NUL-terminated, both lists end with a null
    // pointer, and everything lives until the call returns.
    let errno = unsafe {
        ffi::posix_spawnp(
            &mut process,
            program.as_ptr(),
            &actions.0,
            &attributes.0,
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    done(errno).map(|()| Child(process))
}

impl Child {
    /// The process id, for messages.
    pub fn id(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Asks every process of the child's group to end (`SIGTERM`).
    pub fn terminate_group(self) {
        self.signal_group(ffi::SIGTERM);
    }

    /// Ends every process of the child's group (`SIGKILL`).
    pub fn kill_group(self) {
        self.signal_group(ffi::SIGKILL);
    }

    fn signal_group(self, number: c_int) {
        // A group that has no process left is no error.
        // SAFETY: no memory is involved; the child has not been waited for, so its number is its own.
        unsafe { ffi::kill(-self.0, number) };
    }

    /// Whether the child has ended and can be waited for without blocking.
    pub fn has_ended(self) -> bool {
        let mut info = ffi::ChildInfo {
            signal: 0,
            rest: [0; 31],
        };
        let options = ffi::WEXITED | ffi::WNOHANG | ffi::WNOWAIT;
        // SAFETY: waitid fills a structure of siginfo_t's size.
        let answer = check(|| unsafe { ffi::waitid(ffi::P_PID, self.id(), &mut info, options) });
        answer.is_err() || info.signal != 0
    }

    /// Waits for the child's end and frees its number.
    pub fn wait(self) -> Exit {
        let mut status = 0;
        // SAFETY: waitpid writes one integer.
        let answer = check(|| unsafe { ffi::waitpid(self.0, &mut status, 0) });
        // The low seven bits are the signal, the next byte is the exit status (wait(2)).
        match (answer, status & 0x7f, (status >> 8) & 0xff) {
            (Ok(_), 0, exit) => Exit::Status(exit as u8),
            (Ok(_), signal, _) => Exit::Signal(signal as u8),
            // Somebody else waited for it. That cannot happen; nobody would know how it ended.
            (Err(_), ..) => Exit::Status(u8::MAX),
        }
    }
}

/// `posix_spawn_file_actions_t`, destroyed when dropped.
struct FileActions(ffi::SpawnObject);

impl FileActions {
    fn new(streams: &Streams) -> Result<FileActions> {
        let mut actions = FileActions(ffi::SpawnObject([0; 512]));
        // SAFETY: init fills an object that is larger than it needs.
        done(unsafe { ffi::posix_spawn_file_actions_init(&mut actions.0) })?;
        let targets = [streams.input, streams.output, streams.error];
        for (to, from) in (0..).zip(targets) {
            // SAFETY: the object is initialised; the descriptors are open as long as the borrow lasts.
            done(unsafe {
                ffi::posix_spawn_file_actions_adddup2(&mut actions.0, from.number(), to)
            })?;
        }
        Ok(actions)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in new, or all zero, which destroys to nothing.
        unsafe { ffi::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

/// `posix_spawnattr_t`, destroyed when dropped.
struct Attributes(ffi::SpawnObject);

impl Attributes {
    /// A process group of its own, nothing blocked, nothing ignored: what we changed for ourselves is
    /// none of a child's business.
    fn new() -> Result<Attributes> {
        let mut attributes = Attributes(ffi::SpawnObject([0; 512]));
        let object = &mut attributes.0;
        let none = signal::signal_set([]);
        let usual = signal::signal_set(signal::IGNORED);
        let flags =
            ffi::POSIX_SPAWN_SETPGROUP | ffi::POSIX_SPAWN_SETSIGDEF | ffi::POSIX_SPAWN_SETSIGMASK;
        // SAFETY: init fills an object that is larger than it needs, the others work on what it made;
        // the sets are initialised.
        unsafe {
            done(ffi::posix_spawnattr_init(object))?;
            done(ffi::posix_spawnattr_setflags(object, flags))?;
            done(ffi::posix_spawnattr_setpgroup(object, 0))?;
            done(ffi::posix_spawnattr_setsigdefault(object, &usual))?;
            done(ffi::posix_spawnattr_setsigmask(object, &none))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in new, or all zero, which destroys to nothing.
        unsafe { ffi::posix_spawnattr_destroy(&mut self.0) };
    }
}

/// The spawn functions return an errno instead of setting it.
fn done(errno: c_int) -> Result<()> {
    match errno {
        0 => Ok(()),
        errno => Err(Errno(errno)),
    }
}

fn c_strings(words: &[Vec<u8>]) -> Result<Vec<CString>> {
    let convert = |word: &Vec<u8>| super::fd::c_path(word);
    words.iter().map(convert).collect()
}

/// `list` with the pointers of `strings` and the null that ends it.
fn pointers(strings: &[CString], mut list: Vec<*const c_char>) -> Vec<*const c_char> {
    list.extend(strings.iter().map(|string| string.as_ptr()));
    list.push(null());
    list
}

/// Our environment, without the names that `variables` set.
fn inherited(variables: &[CString]) -> Vec<*const c_char> {
    let mut list = Vec::new();
    // SAFETY: environ is a list of strings that ends with a null pointer, or null itself. Nothing in
    // the program changes the environment.
    unsafe {
        let mut entry = ffi::environ;
        while !entry.is_null() && !(*entry).is_null() {
            let name = variable_name(CStr::from_ptr(*entry));
            if !variables.iter().any(|own| variable_name(own) == name) {
                list.push(*entry);
            }
            entry = entry.add(1);
        }
    }
    list
}

fn variable_name(entry: &CStr) -> Option<&[u8]> {
    entry.to_bytes().split(|&byte| byte == b'=').next()
}
