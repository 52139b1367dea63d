//! Signals as something to read: a `signalfd` in the poll set instead of handlers that interrupt.

use super::errno::{Errno, Result, check};
use super::fd::{Fd, own};
use super::ffi;
use core::ffi::{c_int, c_ulong};

/// The signals the daemon acts on.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Signal {
    /// `SIGHUP`: read the configuration again.
    Reload,
    /// `SIGUSR1`: report the state.
    Report,
    /// `SIGUSR2`: somebody asks for something.
    Ask,
    /// `SIGCHLD`: a child may have ended.
    Child,
    /// `SIGTERM` or `SIGINT`: finish and exit.
    Stop,
}

/// The signals [`Signals`] catches.
const CAUGHT: [(c_int, Signal); 6] = [
    (ffi::SIGHUP, Signal::Reload),
    (ffi::arch::SIGUSR1, Signal::Report),
    (ffi::arch::SIGUSR2, Signal::Ask),
    (ffi::arch::SIGCHLD, Signal::Child),
    (ffi::SIGTERM, Signal::Stop),
    (ffi::SIGINT, Signal::Stop),
];

/// The signals that we ignore, because the system call that brought them reports an error as well: a
/// pipe nobody reads, a file beyond the size limit.
pub(super) const IGNORED: [c_int; 2] = [ffi::SIGPIPE, ffi::arch::SIGXFSZ];

/// A descriptor that is readable when one of our signals has come.
pub struct Signals(Fd);

/// Holds back, from the first moment on, the signals that would end us though they are not meant to: somebody may
/// send one while the configuration is being read. Those that are meant to end us still do.
pub fn hold_early() {
    let _ = block_only(&[ffi::SIGHUP, ffi::arch::SIGUSR1]);
}

impl Signals {
    /// Blocks the caught signals, ignores those that errors report as well and opens the descriptor.
    /// Children get the usual dispositions back (see `process::spawn`).
    pub fn catch() -> Result<Signals> {
        let caught = CAUGHT.map(|(number, _)| number);
        for number in IGNORED {
            dispose(number, ffi::SIG_IGN);
        }
        // Whoever started us may have ignored it: then the kernel would not tell of a child's end.
        dispose(ffi::arch::SIGCHLD, ffi::SIG_DFL);
        block_only(&caught)?;
        let set = signal_set(&caught);
        let flags = (ffi::O_CLOEXEC | ffi::arch::O_NONBLOCK) as usize;
        let (number, new) = (ffi::arch::SYS_SIGNALFD4, usize::MAX);
        // SAFETY: the set has the size that is named.
        let fd =
            own(unsafe { ffi::syscall(number, new, &raw const set, size_of_val(&set), flags) });
        fd.map(Signals)
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

/// Makes the kernel ignore a signal, or do what it usually does (`SIG_IGN`, `SIG_DFL`).
pub(super) fn dispose(number: c_int, handler: usize) {
    // The kernel's `struct sigaction`, all of whose members but one are zero: eight words have room for it
    // everywhere.
    let mut action = [0usize; 8];
    if let Some(place) = action.get_mut(ffi::arch::HANDLER) {
        *place = handler;
    }
    let (number, action, old) = (number as usize, &raw const action, 0usize);
    // SAFETY: the structure is complete, and no code is installed.
    unsafe {
        let size = ffi::arch::SIGNAL_SET_SIZE;
        ffi::syscall(ffi::arch::SYS_RT_SIGACTION, number, action, old, size);
    }
}

/// Holds these signals back, and no others.
pub(super) fn block_only(numbers: &[c_int]) -> Result<()> {
    let set = signal_set(numbers);
    let (how, place, old) = (ffi::arch::SIG_SETMASK, &raw const set, 0usize);
    // SAFETY: the set has the size that is named.
    check(unsafe {
        ffi::syscall(
            ffi::arch::SYS_RT_SIGPROCMASK,
            how,
            place,
            old,
            size_of_val(&set),
        )
    })
    .map(drop)
}

/// The kernel's `sigset_t`: signal 1 is the lowest bit of the first word.
type SignalSet = [c_ulong; ffi::arch::SIGNAL_SET_SIZE / size_of::<c_ulong>()];

fn signal_set(numbers: &[c_int]) -> SignalSet {
    let mut set: SignalSet = [0; _];
    let [first, ..] = &mut set;
    for number in numbers {
        *first |= 1 << (number - 1);
    }
    set
}
