//! Getting at a path: what stands in the way, when to try again, and what to say about it.
//!
//! There is one message when something changes and none for every try. A path that is only missing is
//! left to inotify, which tells when it appears; everything else is tried again after 1 s, doubling to
//! 60 s.

use crate::backoff::Backoff;
use crate::log::{Level, Log};
use crate::sys::Errno;
use crate::sys::fd::{Fd, FileKind, Path, Status, c_path, status, status_no_link};
use alloc::vec::Vec;
use core::ffi::CStr;

/// Why there is nothing to read at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// There is nothing of that name.
    Missing,
    /// There is something, but nothing that has lines.
    Unreadable,
    /// There is a device that nobody has named, or one where a file was.
    Device,
    /// There is the kernel's queue of lines, which each reader takes from the others.
    Queue,
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

impl Obstacle {
    /// What is said of it where no number tells more.
    fn told(self) -> (Level, &'static str) {
        match self {
            Obstacle::Missing => (Level::Warn, "not there yet, waiting for it"),
            Obstacle::Device => (
                Level::Error,
                "leads to a device, which only its own path may name",
            ),
            Obstacle::Queue => (
                Level::Error,
                "takes its lines from whoever else reads them, old ones first: name /dev/kmsg",
            ),
            Obstacle::Ended => (Level::Warn, "has come to its end, trying again"),
            _ => (Level::Error, "not a file with lines to read"),
        }
    }
}

/// A path, or what else a source is called, and the history of getting at it.
pub struct Access {
    path: Path,
    obstacle: Option<Obstacle>,
    /// When to try again.
    pub backoff: Backoff,
}

impl Access {
    /// Nothing has happened to `path` yet.
    pub fn new(path: Path) -> Access {
        Access {
            path,
            obstacle: None,
            backoff: Backoff::default(),
        }
    }

    /// The path.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// The path as messages show it.
    pub fn name(&self) -> &[u8] {
        self.path.to_bytes()
    }

    /// Opens what is there, but no device that the path does not name itself: whoever may write its folder could
    /// have root read from any, and to open some is to set them going.
    pub fn open(&self) -> Result<(Fd, Status), Obstacle> {
        let held = Fd::hold(&self.path)?;
        check(&self.path, &held.status()?)?;
        let opened = held.open_held();
        let fd = match opened {
            // Without /proc there is only the path.
            Err(Errno::ENOENT) => Fd::open(&self.path),
            _ => opened,
        }?;
        // What counts is what was opened.
        let status = fd.status()?;
        Ok((fd, status))
    }

    /// Notes that there is no obstacle.
    pub fn succeed(&mut self) {
        self.obstacle = None;
        self.backoff.succeed();
    }

    /// Notes that it can be read, and says so if there was an obstacle.
    #[inline(never)]
    pub fn tell_success(&mut self, log: &mut Log) {
        if self.obstacle.is_some() {
            say!(log, Info: "{:?}: opened", self.name());
        }
        self.succeed();
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
        let (level, what) = match obstacle {
            Obstacle::Missing if is_open => (Level::Debug, "gone"),
            Obstacle::System(errno) => {
                return say!(log, Error: "{:?}: {}; trying again", name, errno);
            }
            _ => obstacle.told(),
        };
        say!(log, (level): "{:?}: {}", name, what);
    }
}

/// Whether what stands at a path, and has this status, can be read.
fn check(path: &CStr, found: &Status) -> Result<(), Obstacle> {
    match found.kind {
        FileKind::Device(_) if !is_device(path) => Err(Obstacle::Device),
        FileKind::Regular if status(c"/proc/kmsg").is_ok_and(|queue| queue.id == found.id) => {
            Err(Obstacle::Queue)
        }
        FileKind::Regular | FileKind::Device(_) | FileKind::Fifo => Ok(()),
        _ => Err(Obstacle::Unreadable),
    }
}

/// Why what stands at a path will not be read; none if it will, or if nothing stands there yet.
pub fn unreadable(path: &[u8]) -> Option<Vec<u8>> {
    let checked = c_path(path).and_then(|path| Ok(check(&path, &status(&path)?)));
    match checked {
        Err(Errno::ENOENT) | Ok(Ok(())) => None,
        Err(errno) => Some(text!("{}", errno)),
        Ok(Err(obstacle)) => Some(text!("{}", obstacle.told().1)),
    }
}

/// Whether a path is itself a device, not a link to one.
pub fn is_device(path: &CStr) -> bool {
    let status = status_no_link(path);
    status.is_ok_and(|status| matches!(status.kind, FileKind::Device(_)))
}
