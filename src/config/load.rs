//! From a configuration file's name to a valid [`Config`], or to a message that says what is wrong.
//!
//! Whoever can write the configuration can run commands with our rights. So before acting as root, a
//! file that anyone but root can write is refused, as sshd refuses its own.

use crate::config::Config;
use crate::sys::fd::{Fd, FileKind};
use crate::sys::{self, Errno, process};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

/// The largest configuration file, in bytes.
const FILE_LIMIT: usize = 1 << 20;

const NOT_PRIVATE: &str =
    "refused: only root may own and write it, because its commands run as root";
const TOO_LONG: &str = "longer than 1048576 bytes";

/// What the configuration is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run its commands, or to tell whether they would be run.
    Act,
    /// To look at it only.
    Look,
}

/// Reads and checks the configuration file `path`. The error is a message of one or more lines.
pub fn load(path: &CStr, purpose: Purpose) -> Result<Box<Config>, Vec<u8>> {
    let name = path.to_bytes();
    let document = match read(path, purpose) {
        Ok(Ok(document)) => document,
        Ok(Err(reason)) => return Err(text!("{}: {}\n", name, reason)),
        Err(errno) => return Err(text!("{}: {}\n", name, errno)),
    };
    Config::parse(&document).map_err(|diagnostics| {
        let mut message = Vec::new();
        for diagnostic in diagnostics {
            diagnostic.render(name, &document, &mut message);
        }
        message
    })
}

/// The file's bytes, or why it is not taken.
fn read(path: &CStr, purpose: Purpose) -> sys::Result<Result<Vec<u8>, &'static str>> {
    let fd = Fd::open(path)?;
    let status = fd.status()?;
    if status.kind == FileKind::Directory {
        return Err(Errno::EISDIR);
    }
    if purpose == Purpose::Act && process::user_id() == 0 && !status.is_private_to(0) {
        return Ok(Err(NOT_PRIVATE));
    }
    Ok(fd.read_all(FILE_LIMIT)?.ok_or(TOO_LONG))
}
