//! From a configuration file's name to a valid [`Config`], or to a message that says what is wrong.
//!
//! Whoever can write the configuration can run commands with our rights. So before acting as root, a
//! file that anyone but root can write is refused, as sshd refuses its own, and so is one that somebody else can put
//! another in the place of ([`trust`]).

use crate::config::Config;
use crate::config::trust::{self, Goal};
use crate::sys::fd::{Fd, FileKind};
use crate::sys::{Errno, process};
use crate::text::until;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

/// The largest configuration file, in bytes.
const MAX_DOCUMENT: usize = 1 << 20;

const NOT_PRIVATE: &str =
    "refused: only root may own and write it, because its commands run as root";
const TOO_LONG: &str = "longer than 1048576 bytes";

/// What the configuration is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run its commands. Messages show nothing of it, for it may hold secrets.
    Act,
    /// To tell whether its commands would be run.
    Check,
    /// To look at it only.
    Look,
}

/// Reads and checks the configuration file `path`. The error is a message of one or more lines.
pub fn load(path: &CStr, purpose: Purpose) -> Result<Box<Config>, Vec<u8>> {
    let name = path.to_bytes();
    let document = read(path, purpose).map_err(|reason| text!("{}: {}\n", name, reason))?;
    Config::parse(&document).map_err(|diagnostics| {
        let mut message = Vec::new();
        for diagnostic in diagnostics {
            let start = message.len();
            diagnostic.render(name, &document, &mut message);
            if purpose == Purpose::Act {
                let rest = message.get(start..).unwrap_or_default();
                message.truncate(start + until(rest, b'\n').len() + 1);
            }
        }
        message
    })
}

/// The file's bytes, or why it is not taken.
fn read(path: &CStr, purpose: Purpose) -> Result<Vec<u8>, Vec<u8>> {
    let say = |errno: Errno| text!("{}", errno);
    let fd = Fd::open(path).map_err(say)?;
    let status = fd.status().map_err(say)?;
    if status.kind == FileKind::Directory {
        return Err(say(Errno::EISDIR));
    }
    if purpose != Purpose::Look && process::user_id() == 0 {
        if !status.is_private_to(0) {
            return Err(text!("{}", NOT_PRIVATE));
        }
        // What a shell hands over (`<(…)`) has no path.
        let weak = match status.kind {
            FileKind::Fifo => None,
            _ => trust::weak_place(path.to_bytes(), Goal::File).map_err(say)?,
        };
        if let Some(place) = weak {
            return Err(text!(
                "refused: others can change {:?} on the way to it, and its commands run as root",
                place
            ));
        }
    }
    let document = fd.read_all(MAX_DOCUMENT).map_err(say)?;
    document.ok_or_else(|| text!("{}", TOO_LONG))
}
