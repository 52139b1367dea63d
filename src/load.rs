//! From a configuration file's name to a valid [`Config`], or to a message that says what is wrong.
//!
//! Whoever can write the configuration can run commands with our rights. So before acting as root, a
//! file that anyone but root can write is refused, as sshd refuses its own.

use crate::config::Config;
use crate::sys::fd::{Fd, FileKind, Status};
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
        let mut message = text!(name, ": ");
        what.put(&mut message);
        message
    };
    let fd = Fd::open(path).map_err(|errno| complain(&errno))?;
    let status = fd.status().map_err(|errno| complain(&errno))?;
    if status.kind == FileKind::Directory {
        return Err(complain(&Errno::EISDIR));
    }
    if purpose == Purpose::Act && process::is_root() && is_writable_by_others(&status) {
        return Err(complain(
            &"refused: only root may own and write it, because its commands run as root",
        ));
    }
    let document = read_all(&fd).map_err(|errno| complain(&errno))?;
    let Some(document) = document else {
        return Err(complain(&text!("longer than ", FILE_LIMIT, " bytes")));
    };
    Config::parse(&document).map_err(|diagnostics| {
        let mut message = Vec::new();
        for diagnostic in diagnostics {
            diagnostic.render(name, &document, &mut message);
        }
        message
    })
}

fn is_writable_by_others(status: &Status) -> bool {
    const GROUP_OR_OTHERS: u16 = 0o022;
    status.owner != 0 || status.permissions & GROUP_OR_OTHERS != 0
}

/// The whole file, or nothing if it is larger than the limit.
fn read_all(fd: &Fd) -> Result<Option<Vec<u8>>, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match fd.read(&mut chunk)? {
            0 => return Ok(Some(bytes)),
            count => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
        if bytes.len() > FILE_LIMIT {
            return Ok(None);
        }
    }
}
