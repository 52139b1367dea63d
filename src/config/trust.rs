//! Whether anybody but root and ourselves could put something else in a path's place.
//!
//! To look at a file tells nothing about who may replace it: whoever can write one of the folders on the way to it,
//! or a folder that a symbolic link on the way stands in, decides which file it is. So the way is walked as the
//! kernel walks it, from the root and through every link, and each folder must be root's or ours and nobody else's
//! to write. In a folder like `/tmp`, where everybody may write and nobody may touch what is another's (the sticky
//! bit), what the way goes through must be root's or ours itself. Where it ends, a file that is there may stand in such
//! a folder, but not one that we make, with others beside it: somebody else may have put something there first.

use crate::sys::fd::{FileKind, Status, c_path, read_link, status_no_link};
use crate::sys::{Errno, Result, process};
use crate::text::{folder, in_folder};
use alloc::vec::Vec;

/// What is to be found where the way ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A file whose owner is known.
    File,
    /// Files that are made when they are needed.
    Files,
}

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// The folder or link on the way to `path` that somebody else can change; none if there is none. Where the path ends,
/// nothing need be.
pub fn weak_place(path: &[u8], goal: Goal) -> Result<Option<Vec<u8>>> {
    let mut path = path.to_vec();
    if path.first() != Some(&b'/') {
        path = text!("{}/{}", read_link(b"/proc/self/cwd")?, path);
    }
    let weak = walk(&mut path, goal)?;
    Ok(weak.map(|end| {
        path.truncate(end);
        path
    }))
}

/// Where that place ends in the path, which becomes another one with every link.
fn walk(path: &mut Vec<u8>, goal: Goal) -> Result<Option<usize>> {
    // How far it has been walked: no link is in that, so the kernel finds the way back (`..`) where we have been.
    let (mut walked, mut shared, mut links) = (0, false, 0);
    loop {
        // OK because it is a place in the path.
        let end = walked.max(1);
        let place = &path[..end];
        let is_last = walked == path.len();
        let status = match status_no_link(&c_path(place)?) {
            Err(Errno::ENOENT) if is_last => return Ok(None),
            status => status?,
        };
        if status.kind == FileKind::Link {
            if shared && !is_ours(&status) {
                return Ok(Some(end));
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::ELOOP);
            }
            // From here the way is another, and is walked from its beginning.
            let mut way = in_folder(folder(place), read_link(place)?);
            way.extend_from_slice(&path[walked..]);
            (*path, walked) = (way, 0);
            continue;
        }
        if is_last {
            return Ok(None);
        }
        if status.kind != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        match others_add(&status) {
            Some(they_do) => shared = they_do,
            None => return Ok(Some(end)),
        }
        let next = path.iter().skip(walked + 1).position(|&byte| byte == b'/');
        if next.is_none() && shared && goal == Goal::Files {
            return Ok(Some(end));
        }
        walked = next.map_or(path.len(), |next| walked + 1 + next);
    }
}

/// Whether others may put something of their own into a folder; none if they may do so with what is not theirs.
fn others_add(folder: &Status) -> Option<bool> {
    const STICKY: u16 = 0o1000;
    let shared = folder.permissions & 0o022 != 0;
    (is_ours(folder) && (!shared || folder.permissions & STICKY != 0)).then_some(shared)
}

fn is_ours(status: &Status) -> bool {
    status.owner == 0 || status.owner == process::user_id()
}
