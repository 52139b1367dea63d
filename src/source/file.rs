//! A log file that is followed through everything that happens to log files.
//!
//! * At start it is opened at its end; a file that appears later is read from its beginning. One that is
//!   there at the start and can be opened only later is read from where its end was at the start: an old
//!   knock must not count again.
//! * *Rotation by rename, deletion or a replaced directory*: when the path leads to another file, that
//!   one is opened and queued behind the old one. The old one is read until the new one has something
//!   in it, because a writer goes on with the file it has open until it is told to open the new one;
//!   its unfinished tail is then its last line. No line is lost, none read twice, and the order stays.
//! * *Rotation by truncation* (copytruncate): a file shorter than what was read of it is read from its
//!   beginning. Lines written before the truncation and not yet read are gone, as they are for everyone
//!   but the copy; we read at every write, so that takes a writer faster than us.
//! * A file that cannot be opened is waited for (see `access`).

use super::access::{Access, Obstacle};
use super::lines::{Line, LineBuffer};
use super::watch::Watcher;
use crate::log::Log;
use crate::sys::Result;
use crate::sys::fd::{Fd, FileId, FileKind, status};
use crate::sys::inotify::Watch;
use alloc::vec::Vec;

/// Rotated files that are still being read, at most. More come only from a rotation that does not wait
/// for anybody.
const QUEUE_LIMIT: usize = 16;

/// Bytes of a file's buffer: two lines of the greatest length.
const BUFFER_SIZE: usize = 16 << 10;

/// Where to begin with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It is new: with its first line.
    AtStart,
    /// It was there before us: with what comes next.
    AtEnd,
}

/// An open file and how far it has been read.
struct Opened {
    fd: Fd,
    id: FileId,
    offset: u64,
    watch: Option<Watch>,
}

/// One followed path.
pub struct FileSource {
    access: Access,
    /// The file being read, then those that have taken its place since.
    files: Vec<Opened>,
    lines: LineBuffer,
    /// The file that was there at the start, until one has been opened, and its length then.
    passed_over: Option<(FileId, u64)>,
}

impl FileSource {
    /// Follows `path`. `EINVAL` if the path has a NUL in it.
    pub fn new(
        path: &[u8],
        begin: Begin,
        watcher: &mut Watcher,
        now_ms: u64,
        log: &mut Log,
    ) -> Result<FileSource> {
        let mut source = FileSource {
            access: Access::new(path)?,
            files: Vec::new(),
            lines: LineBuffer::new(BUFFER_SIZE),
            passed_over: None,
        };
        source.look(begin, watcher, now_ms, log);
        Ok(source)
    }

    /// How to get at it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Whether a file is open.
    pub fn is_open(&self) -> bool {
        !self.files.is_empty()
    }

    /// Sets the inotify watches anew, with another watcher.
    pub fn watch_again(&mut self, watcher: &mut Watcher, log: &mut Log) {
        for file in &mut self.files {
            file.watch = watcher.watch_file(&file.fd, log);
        }
    }

    /// Ends the inotify watches.
    pub fn close(mut self, watcher: &mut Watcher) {
        while !self.files.is_empty() {
            self.pop_front(watcher);
        }
    }

    /// Looks whether the path leads to another file than before, and if so queues that one.
    pub fn check_path(&mut self, watcher: &mut Watcher, now_ms: u64, log: &mut Log) {
        self.look(Begin::AtStart, watcher, now_ms, log);
    }

    fn look(&mut self, begin: Begin, watcher: &mut Watcher, now_ms: u64, log: &mut Log) {
        match self.open_if_new(begin, watcher, log) {
            Ok(()) => self.access.succeed(),
            Err(obstacle) => {
                let is_open = self.is_open();
                self.access.fail(obstacle, is_open, now_ms, log);
            }
        }
    }

    fn open_if_new(
        &mut self,
        begin: Begin,
        watcher: &mut Watcher,
        log: &mut Log,
    ) -> core::result::Result<(), Obstacle> {
        let newest = self.files.last().map(|file| file.id);
        let there = status(self.access.path())?;
        // A rotation that is taken back, before anything was written to the new file, is none.
        let known = self.files.iter().position(|file| file.id == there.id);
        if let Some(index) = known {
            while self.files.len() > index + 1
                && let Some(unread) = self.files.pop()
            {
                watcher.forget_file(unread.watch);
            }
            return Ok(());
        }
        if begin == Begin::AtEnd {
            self.passed_over = Some((there.id, there.size));
        }
        let fd = Fd::open(self.access.path())?;
        // The path may have changed since: what counts is what was opened.
        let opened = fd.status()?;
        if opened.kind != FileKind::Regular {
            return Err(Obstacle::Unreadable);
        }
        if newest == Some(opened.id) {
            return Ok(());
        }
        if newest.is_some() {
            say!(log, Debug: "{:?}: rotated", self.access.name());
        } else if begin == Begin::AtStart {
            say!(log, Info: "{:?}: opened", self.access.name());
        }
        self.queue(fd, opened.id, watcher, log)?;
        Ok(())
    }

    /// Puts a file that was just opened behind those that are being read.
    fn queue(&mut self, fd: Fd, id: FileId, watcher: &mut Watcher, log: &mut Log) -> Result<()> {
        let offset = match self.passed_over.take() {
            Some((passed_over, length)) if passed_over == id => fd.seek_to(length)?,
            _ => 0,
        };
        if self.files.len() >= QUEUE_LIMIT {
            say!(log, Warn: "{:?}: rotated too fast, lines may be lost", self.access.name());
            self.pop_front(watcher);
        }
        let watch = watcher.watch_file(&fd, log);
        self.files.push(Opened {
            fd,
            id,
            offset,
            watch,
        });
        Ok(())
    }

    /// Reads what fits into the buffer, for [`FileSource::next_line`]. Returns whether there may be more;
    /// when there is not, the next write or rotation will tell.
    pub fn read(&mut self, watcher: &mut Watcher, now_ms: u64, log: &mut Log) -> bool {
        // Before the old file is read: whoever has written to the new one has finished with the old.
        let replaced = self.is_replaced();
        let Some(file) = self.files.first_mut() else {
            return false;
        };
        match file.fd.read(self.lines.room()) {
            Ok(0) => self.end_of_file(replaced, watcher, log),
            Ok(count) => {
                file.offset = file.offset.saturating_add(count as u64);
                self.lines.add(count);
                true
            }
            Err(errno) => {
                // Opened anew, it goes on where it was.
                self.passed_over = Some((file.id, file.offset));
                self.pop_front(watcher);
                let is_open = self.is_open();
                self.access
                    .fail(Obstacle::System(errno), is_open, now_ms, log);
                false
            }
        }
    }

    /// Whether the file being read has a successor that somebody has begun to write to.
    fn is_replaced(&self) -> bool {
        match self.files.len() {
            0 | 1 => false,
            2 => {
                let size = |file: &Opened| file.fd.status().map_or(0, |status| status.size);
                self.files.get(1).is_some_and(|next| size(next) > 0)
            }
            _ => true,
        }
    }

    /// Nothing more to read just now: is there a reason to read something else?
    fn end_of_file(&mut self, replaced: bool, watcher: &mut Watcher, log: &mut Log) -> bool {
        if replaced {
            self.lines.finish();
            self.pop_front(watcher);
            return true;
        }
        let Some(file) = self.files.first_mut() else {
            return false;
        };
        let is_shorter = |size: u64| size < file.offset;
        if !file.fd.status().is_ok_and(|status| is_shorter(status.size)) {
            return false;
        }
        file.offset = 0;
        if let Err(errno) = file.fd.seek_to(0) {
            say!(log, Error: "{:?}: {}", self.access.name(), errno);
            return false;
        }
        say!(log, Debug: "{:?}: truncated", self.access.name());
        self.lines.finish();
        true
    }

    /// The next line of what was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        self.lines.next_line()
    }

    fn pop_front(&mut self, watcher: &mut Watcher) {
        if !self.files.is_empty() {
            watcher.forget_file(self.files.remove(0).watch);
        }
    }
}
