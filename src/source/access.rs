//! Getting at a path: what stands in the way, when to try again, and what to say about it.
//!
//! There is one message when something changes and none for every try. A path that is only missing is
//! left to inotify, which tells when it appears; everything else is tried again after 1 s, doubling to
//! 60 s.

use crate::backoff::Backoff;
use crate::log::Log;
use crate::sys::fd::{Path, c_path};
use crate::sys::{Errno, Result};
use core::ffi::CStr;

/// Why there is nothing to read at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// There is nothing of that name.
    Missing,
    /// There is something, but nothing that has lines.
    Unreadable,
    /// It has come to its end for good.
    Ended,
    /// The system refuses.
    System(Errno),
}

impl From<Errno> for Obstacle {
    fn from(errno: Errno) -> Obstacle {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => Obstacle::Missing,
            errno => Obstacle::System(errno),
        }
    }
}

/// A path and the history of getting at it.
pub struct Access {
    path: Path,
    obstacle: Option<Obstacle>,
    backoff: Backoff,
}

impl Access {
    /// `EINVAL` if the path has a NUL in it.
    pub fn new(path: &[u8]) -> Result<Access> {
        Ok(Access {
            path: c_path(path)?,
            obstacle: None,
            backoff: Backoff::default(),
        })
    }

    /// The path.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// The path as messages show it.
    pub fn name(&self) -> &[u8] {
        self.path.to_bytes()
    }

    /// When to try again.
    pub fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// Notes that a try has begun of which more will be heard.
    pub fn begin(&mut self) {
        self.backoff.begin();
    }

    /// Notes that there is no obstacle.
    pub fn succeed(&mut self) {
        self.obstacle = None;
        self.backoff.succeed();
    }

    /// Notes an obstacle and says so if it is a new one. With something `open` already, a missing path is
    /// nothing to worry about: a rotated file that has no successor yet.
    pub fn fail(&mut self, obstacle: Obstacle, is_open: bool, now_ms: u64, log: &mut Log) {
        match obstacle {
            Obstacle::Missing => self.backoff.succeed(),
            _ => self.backoff.fail(now_ms),
        }
        if self.obstacle.replace(obstacle) == Some(obstacle) {
            return;
        }
        let name = self.name();
        match obstacle {
            Obstacle::Missing if is_open => say!(log, Debug: "{:?}: gone", name),
            Obstacle::Missing => say!(log, Warn: "{:?}: not there yet, waiting for it", name),
            Obstacle::Unreadable => say!(log, Error: "{:?}: not a file with lines to read", name),
            Obstacle::Ended => say!(log, Warn: "{:?}: has come to its end, trying again", name),
            Obstacle::System(errno) => say!(log, Error: "{:?}: {}; trying again", name, errno),
        }
    }
}
