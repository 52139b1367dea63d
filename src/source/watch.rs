//! Which directories and files to have inotify watch so that no change of a path goes unseen.
//!
//! What a path leads to can change at every component: the file is rotated, its directory is replaced,
//! a symbolic link on the way is set anew. All of these make a *name appear in a directory*. So for each
//! component, the directory it stands in is watched for that name to appear, links followed and watched
//! the same way; directories further down than the first missing one are watched as soon as that one
//! appears. Watches are set from the root down, each before the next component is looked at, so nothing
//! can slip in between.
//!
//! A file system that is mounted over a directory makes no name appear. The kernel tells of it through
//! `/proc/self/mountinfo`.
//!
//! When inotify is refused (the user's limit of instances or watches), [`Watcher::interval_ms`] says how
//! often to look instead. So it does as long as a directory may be entered but not read, which is enough to
//! open a log in it and not enough to be told of its rotation, or cannot be asked, for its file system is gone.

use crate::backoff::NEVER;
use crate::log::Log;
use crate::sys::fd::{Fd, Poll, read_link};
use crate::sys::inotify::{Event, Inotify, Watch, events};
use crate::sys::{Errno, Result};
use crate::text::{Pieces, in_folder};
use alloc::vec::Vec;

/// How often to look at files when inotify cannot be had.
const FALLBACK_MS: u64 = 1000;

/// As many symbolic links on the way to one file as the kernel itself follows; all of them count together.
const MAX_LINKS: u32 = 40;

/// What inotify had to tell since it was last asked.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    /// A file has more to read, or less than before.
    pub content: bool,
    /// A path may lead somewhere else than before.
    pub paths: bool,
}

/// A name that is expected to appear in a watched directory.
#[derive(PartialEq, Eq)]
struct Expected {
    directory: Watch,
    name: Vec<u8>,
}

/// The inotify watches of all followed files.
pub struct Watcher {
    inotify: Option<Inotify>,
    expected: Vec<Expected>,
    /// A directory on the way to a file cannot be watched.
    blind: bool,
    /// One for each followed file: a file that is followed by two names is in here twice.
    files: Vec<Watch>,
    /// Tells when file systems are mounted or unmounted.
    mounts: Option<Fd>,
    mounts_changed: bool,
    configured_ms: u64,
    interval_ms: u64,
}

impl Watcher {
    /// A watcher that says that files are to be looked at every `poll_ms`, or with [`NEVER`] uses inotify.
    pub fn new(poll_ms: u64, log: &mut Log) -> Watcher {
        let mut watcher = Watcher {
            inotify: None,
            expected: Vec::new(),
            blind: false,
            files: Vec::new(),
            mounts: Fd::open(c"/proc/self/mountinfo").ok(),
            mounts_changed: false,
            configured_ms: poll_ms,
            interval_ms: poll_ms,
        };
        if poll_ms == NEVER {
            match Inotify::new() {
                Ok(inotify) => watcher.inotify = Some(inotify),
                Err(errno) => watcher.fall_back(errno, log),
            }
        }
        watcher
    }

    /// How often files must be looked at; [`NEVER`] if inotify tells.
    pub fn interval_ms(&self) -> u64 {
        match self.interval_ms {
            NEVER if self.blind => FALLBACK_MS,
            interval_ms => interval_ms,
        }
    }

    /// What it was made with.
    pub fn configured_ms(&self) -> u64 {
        self.configured_ms
    }

    /// Adds the descriptors to wait for.
    pub fn add_polls(&self, polls: &mut Vec<Poll>) {
        if let Some(mounts) = &self.mounts {
            polls.push(Poll::exceptional(mounts));
        }
        Poll::add(self.inotify.as_ref().map(Inotify::fd), polls);
    }

    /// Notes which of the descriptors that [`Watcher::add_polls`] added are ready.
    pub fn note_ready(&mut self, polls: &[Poll]) {
        let first = polls.first().filter(|_| self.mounts.is_some());
        self.mounts_changed |= first.is_some_and(Poll::is_ready);
    }

    fn fall_back(&mut self, errno: Errno, log: &mut Log) {
        say!(log, Warn: "inotify: {}; looking at files every second instead", errno);
        self.inotify = None;
        self.expected.clear();
        self.files.clear();
        self.interval_ms = FALLBACK_MS;
    }

    /// Reads what has happened.
    pub fn news(&mut self) -> News {
        let changed = core::mem::take(&mut self.mounts_changed);
        let mut news = News {
            content: changed,
            paths: changed,
        };
        let Some(inotify) = &self.inotify else {
            return news;
        };
        let mut buffer = [0; 4096];
        // Once: what does not fit is there the next time.
        if let Ok(bytes) = inotify.read(&mut buffer) {
            for event in events(bytes) {
                match event {
                    Event::Modified(_) => news.content = true,
                    Event::Appeared(watch, name) => {
                        let awaits = |e: &Expected| e.directory == watch && e.name == name;
                        news.paths |= self.expected.iter().any(awaits);
                    }
                    Event::Overflow => {
                        news.content = true;
                        news.paths = true;
                    }
                    Event::Other => {}
                }
            }
        }
        news
    }

    /// Watches an open file for writes. The watch ends by itself with the file.
    pub fn watch_file(&mut self, file: &Fd, log: &mut Log) -> Option<Watch> {
        let inotify = self.inotify.as_ref()?;
        let watched = inotify.watch_file(&file.proc_path());
        let watch = watched.map_err(|errno| self.fall_back(errno, log)).ok()?;
        self.files.push(watch);
        Some(watch)
    }

    /// Ends the watch of a file that is not followed any more.
    pub fn forget_file(&mut self, watch: Option<Watch>) {
        let (Some(inotify), Some(watch)) = (&self.inotify, watch) else {
            return;
        };
        if let Some(index) = self.files.iter().position(|&file| file == watch) {
            self.files.swap_remove(index);
        }
        // By another name it may still be followed.
        if !self.files.contains(&watch) {
            inotify.remove(watch);
        }
    }

    /// Watches all directories that `paths` go through, and no others.
    pub fn watch_paths(&mut self, paths: &mut dyn Iterator<Item = &[u8]>, log: &mut Log) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        let mut expected = Vec::new();
        let mut blind = false;
        for path in paths {
            match expect(inotify, path, &mut { MAX_LINKS }, &mut expected) {
                Ok(whole) => blind |= !whole,
                Err(errno) => return self.fall_back(errno, log),
            }
        }
        if blind && !self.blind {
            say!(log, Warn: "inotify: a directory cannot be read; \
                looking at files every second as well");
        }
        self.blind = blind;
        for old in &self.expected {
            if !expected.iter().any(|new| new.directory == old.directory) {
                inotify.remove(old.directory);
            }
        }
        self.expected = expected;
    }
}

/// Watches the directories on the way to `path`; returns whether none had to be left out, for want of
/// rights or a file system that fails. An error is one of inotify; a directory that is missing just ends the way.
fn expect(
    inotify: &Inotify,
    path: &[u8],
    links: &mut u32,
    expected: &mut Vec<Expected>,
) -> Result<bool> {
    let mut whole = true;
    let mut directory: Vec<u8> = match path {
        [b'/', ..] => b"/".to_vec(),
        _ => b".".to_vec(),
    };
    for name in Pieces(path, b'/') {
        if name.is_empty() {
            continue;
        }
        match inotify.watch_directory(&directory) {
            Ok(watch) => expected.push(Expected {
                directory: watch,
                name: name.to_vec(),
            }),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => {
                return Ok(whole);
            }
            Err(errno @ Errno::ENOSPC) => return Err(errno),
            Err(_) => whole = false,
        }
        let here = text!("{}/{}", directory, name);
        if let Ok(target) = read_link(&here)
            && *links > 0
        {
            *links -= 1;
            let target = in_folder(&directory, target);
            whole &= expect(inotify, &target, links, expected)?;
        }
        directory = here;
    }
    Ok(whole)
}
