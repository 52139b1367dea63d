//! From a configuration file's name to a valid [`Config`], or to a message that says what is wrong.
//!
//! Whoever can write the configuration can run commands with our rights. So before acting as root, a
//! file that anyone but root can write is refused, as sshd refuses its own.

use crate::config::Config;
use crate::sys::fd::{Fd, FileKind};
use crate::sys::{Errno, process};
use crate::text::Put;
use alloc::vec::Vec;
use core::ffi::CStr;

/// The largest configuration file, in bytes.
const FILE_LIMIT: usize = 1 << 20;

/// What the configuration is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run its commands.
    Act,
    /// To look at it only.
    Look,
}

/// Reads and checks the configuration file `path`. The error is a message of one or more lines.
pub fn load(path: &CStr, purpose: Purpose) -> Result<Config, Vec<u8>> {
    let name = path.to_bytes();
    let complain = |what: &dyn Put| {
        let mut message = text!("{}: ", name);
        what.put(&mut message);
        message.push(b'\n');
        message
    };
    let fd = Fd::open(path).map_err(|errno| complain(&errno))?;
    let status = fd.status().map_err(|errno| complain(&errno))?;
    if status.kind == FileKind::Directory {
        return Err(complain(&Errno::EISDIR));
    }
    if purpose == Purpose::Act && process::user_id() == 0 && !status.is_private_to(0) {
        return Err(complain(
            &"refused: only root may own and write it, because its commands run as root",
        ));
    }
    let document = fd.read_all(FILE_LIMIT).map_err(|errno| complain(&errno))?;
    let Some(document) = document else {
        return Err(complain(&text!("longer than {} bytes", FILE_LIMIT)));
    };
    Config::parse(&document).map_err(|diagnostics| {
        let mut message = Vec::new();
        for diagnostic in diagnostics {
            diagnostic.render(name, &document, &mut message);
        }
        message
    })
}
