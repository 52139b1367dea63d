//! Whether anybody but root and ourselves could put something else in a path's place.
//!
//! To look at a file tells nothing about who may replace it: whoever can write one of the folders on the way to it,
//! or a folder that a symbolic link on the way stands in, decides which file it is. So the way is walked as the
//! kernel walks it, from the root and through every link, and each folder must be root's or ours and nobody else's
//! to write. In a folder like `/tmp`, where everybody may write and nobody may touch what is another's (the sticky
//! bit), what the way goes through must be root's or ours itself.

use crate::sys::fd::{FileKind, Status, c_path, read_link, status_no_link};
use crate::sys::{Errno, Result, process};
use alloc::vec::Vec;

/// As many links as the kernel follows.
const LINKS: u32 = 40;

/// The folder or link on the way to `path` that somebody else can change; none if there is none. Where the path ends,
/// nothing need be.
pub fn weak_place(path: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut left = path.to_vec();
    if !path.starts_with(b"/") {
        left = text!("{}/{}", read_link(c"/proc/self/cwd")?, path);
    }
    // What has been walked: no link is in it.
    let mut walked = Vec::new();
    let mut shared = match enter(b"/")? {
        Some(shared) => shared,
        None => return Ok(Some(text!("/"))),
    };
    let mut links = 0;
    loop {
        let end = left.iter().position(|&byte| byte == b'/');
        let name: Vec<u8> = left.drain(..end.unwrap_or(left.len())).collect();
        let is_last = left.is_empty();
        left.drain(..usize::from(!is_last));
        match &name[..] {
            b"" | b"." if is_last => return Ok(None),
            b"" | b"." => continue,
            b".." => {
                let parent = walked.iter().rposition(|&byte| byte == b'/');
                walked.truncate(parent.unwrap_or(0));
                shared = enter(&text!("{}/", walked))?.unwrap_or(true);
                continue;
            }
            _ => put!(&mut walked, "/{}", name),
        }
        let status = match status_no_link(&c_path(&walked)?) {
            Err(Errno::ENOENT) if is_last => return Ok(None),
            status => status?,
        };
        if status.kind == FileKind::Link {
            if shared && !is_ours(&status) {
                return Ok(Some(walked));
            }
            links += 1;
            if links > LINKS {
                return Err(Errno::ELOOP);
            }
            let target = read_link(&c_path(&walked)?)?;
            let parent = match target.first() {
                Some(b'/') => Some(0),
                _ => walked.iter().rposition(|&byte| byte == b'/'),
            };
            walked.truncate(parent.unwrap_or(0));
            left = match is_last {
                true => target,
                false => text!("{}/{}", target, left),
            };
            // The folder that the link stands in, or the root: both have been found good.
            shared = enter(&text!("{}/", walked))?.unwrap_or(true);
        } else if is_last {
            return Ok(None);
        } else if status.kind != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        } else {
            match enter_as(&status) {
                Some(is_shared) => shared = is_shared,
                None => return Ok(Some(walked)),
            }
        }
    }
}

fn enter(path: &[u8]) -> Result<Option<bool>> {
    Ok(enter_as(&status_no_link(&c_path(path)?)?))
}

/// Whether others may put something of their own into a folder; none if they may do so with what is not theirs.
fn enter_as(folder: &Status) -> Option<bool> {
    const STICKY: u16 = 0o1000;
    let shared = folder.permissions & 0o022 != 0;
    (is_ours(folder) && (!shared || folder.permissions & STICKY != 0)).then_some(shared)
}

fn is_ours(status: &Status) -> bool {
    status.owner == 0 || status.owner == process::user_id()
}
