//! Signals as something to read: a `signalfd` in the poll set instead of handlers that interrupt.

use super::fd::Fd;
use super::{Errno, Result, check, ffi};
use core::ffi::c_int;

/// The signals the daemon acts on.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Signal {
    /// `SIGHUP`: read the configuration again.
    Reload,
    /// `SIGUSR1`: report the state.
    Report,
    /// `SIGCHLD`: a child may have ended.
    Child,
    /// `SIGTERM` or `SIGINT`: finish and exit.
    Stop,
}

/// The signals [`Signals`] catches.
const CAUGHT: [(c_int, Signal); 5] = [
    (ffi::SIGHUP, Signal::Reload),
    (ffi::arch::SIGUSR1, Signal::Report),
    (ffi::arch::SIGCHLD, Signal::Child),
    (ffi::SIGTERM, Signal::Stop),
    (ffi::SIGINT, Signal::Stop),
];

/// The signals that we ignore, because the system call that brought them reports an error as well: a
/// pipe nobody reads, a file beyond the size limit.
pub(super) const IGNORED: [c_int; 2] = [ffi::SIGPIPE, ffi::arch::SIGXFSZ];

/// A descriptor that is readable when one of our signals has come.
pub struct Signals(Fd);

impl Signals {
    /// Blocks the caught signals, ignores those that errors report as well and opens the descriptor.
    /// Children get the usual dispositions back (see `process::spawn`).
    pub fn catch() -> Result<Signals> {
        let set = signal_set(CAUGHT.map(|(number, _)| number));
        for number in IGNORED {
            // SAFETY: ignoring a signal installs no code.
            unsafe { ffi::signal(number, ffi::SIG_IGN) };
        }
        // SAFETY: the set is initialised; the disposition installs no code.
        unsafe {
            // Whoever started us may have ignored it: then the kernel would not tell of a child's end.
            ffi::signal(ffi::arch::SIGCHLD, ffi::SIG_DFL);
            ffi::sigprocmask(ffi::arch::SIG_BLOCK, &set, core::ptr::null_mut());
        }
        let flags = ffi::O_CLOEXEC | ffi::arch::O_NONBLOCK;
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = check(|| unsafe { ffi::signalfd(-1, &set, flags) })?;
        Ok(Signals(Fd::own(fd)))
    }

    /// The descriptor to poll for reading.
    pub fn fd(&self) -> &Fd {
        &self.0
    }

    /// The next signal that has come, if any.
    pub fn next(&self) -> Option<Signal> {
        loop {
            let mut info = [0u8; size_of::<ffi::SignalInfo>()];
            let got: Result<usize> = self.0.read(&mut info);
            let number = match got {
                Ok(length) if length == info.len() => info.first_chunk().copied(),
                Ok(_) | Err(Errno(_)) => None,
            }?;
            let number = u32::from_ne_bytes(number);
            let known = CAUGHT.iter().find(|(caught, _)| *caught as u32 == number);
            if let Some(&(_, signal)) = known {
                return Some(signal);
            }
        }
    }
}

/// The set of these signals.
pub(super) fn signal_set<const N: usize>(numbers: [c_int; N]) -> ffi::SignalSet {
    let mut set = ffi::SignalSet([0; _]);
    // SAFETY: sigemptyset fills the structure it is given.
    unsafe { ffi::sigemptyset(&mut set) };
    for number in numbers {
        // SAFETY: the set is initialised and the number is a signal's.
        unsafe { ffi::sigaddset(&mut set, number) };
    }
    set
}
