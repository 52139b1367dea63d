//! A log file that is followed through everything that happens to log files.
//!
//! * *Old lines never count as new.* At start a file is opened at its end; a line that it ends in the middle of is an
//!   old one. One that is there at the start and can be
//!   opened only later is read from where its end was at the start. One that appears later is read from its
//!   beginning, unless it was last written to before the start (a disk that is mounted late): then from its end.
//! * *Rotation by rename, deletion or a replaced directory*: when the path leads to another file, that
//!   one is opened and queued behind the old one. The old one is read until the new one has something
//!   in it, because a writer goes on with the file it has open until it is told to open the new one. Then both are
//!   read for [`LEAVING_MS`] more, because not every writer is told at once; at the end of that the old
//!   file's unfinished tail is a line. No line is lost, none read twice: a file that the path leads to again, because a
//!   link was switched back, is read on where it was left.
//! * *Rewriting in place* (copytruncate, a log that is trimmed, a ring that is rewritten for every line): with what is
//!   new the last bytes that were read before are read again. If they are not what they were, the file is searched
//!   for the last lines that were read (see `resume`), until it has not grown for [`SETTLING_MS`], and
//!   reading goes on behind them; if they are not in it, it is new and read from its beginning. A file that takes the
//!   place of another is searched in the same way: once, or for as long if it begins with lines of the other one, of
//!   which it will be a copy. Lines written before the rewriting and not yet read are gone, as they are for everyone
//!   but a copy; we read at every write, so that takes a writer faster than us, or one that rewrites the file again
//!   while it is waited for.
//! * A file that cannot be opened, or opened and not read, is waited for (see `access`). What is there then is searched
//!   as well; if it holds none of the lines that were read and was last written to before, it is read from its end.

use super::access::{Access, Obstacle};
use super::lines::{Line, LineBuffer, MEMORY};
use super::resume::{self, Resume};
use super::watch::Watcher;
use crate::backoff::NEVER;
use crate::log::Log;
use crate::sys::fd::{Fd, FileId, FileKind, Status, status};
use crate::sys::inotify::Watch;
use crate::sys::{Result, clock};
use alloc::vec::Vec;

/// Rotated files that are still being read, at most. More come only from a rotation that does not wait
/// for anybody.
const MAX_FILES: usize = 16;

/// Files that were left and may come back, at most, and bytes by which each is known again.
const MAX_LEFT: usize = 16;
const TAIL: usize = 64;

/// How long a file is read on when its successor is written to, in milliseconds.
const LEAVING_MS: u64 = 5000;

/// A file that was rewritten is complete when it has not grown for so long, in milliseconds.
const SETTLING_MS: u64 = 1000;

/// A file that grows for longer than this, in milliseconds, is not being rewritten but written to.
const REWRITING_MS: u64 = 5000;

/// How far from its end a file is searched for the last lines that were read. Behind these is only what was written
/// since we looked last.
const MAX_SEARCHED: u64 = 256 << 10;

/// How far from its end a file is searched for the beginning of its successor.
const MAX_COPIED: u64 = 4 << 20;

/// How much later than the wall clock says a file may have been changed, in milliseconds, by the clock of whoever
/// keeps it.
const CLOCK_SKEW_MS: i64 = 60_000;

/// A change of the wall clock by more than this, in milliseconds, is no drift: somebody has set it.
const SET_MS: i64 = 1000;

/// A time by both clocks: the one that nobody can set, and the one that file systems go by.
#[derive(Clone, Copy)]
pub struct Since {
    boot_ms: u64,
    wall_ms: i64,
}

impl Since {
    /// The present by both: a turn may have begun long before.
    pub fn now() -> Since {
        Since {
            boot_ms: clock::boot_time_ms(),
            wall_ms: clock::file_time_ms(),
        }
    }

    /// The time by the wall clock as it goes `now`, which may have been set in between.
    fn by_clock_of(self, now: Since) -> i64 {
        // OK because no clock goes on for 2^63 milliseconds.
        let age_ms = now.boot_ms.wrapping_sub(self.boot_ms).cast_signed();
        let then_ms = now.wall_ms.wrapping_sub(age_ms);
        let set_ms = then_ms.wrapping_sub(self.wall_ms);
        match (-SET_MS..=SET_MS).contains(&set_ms) {
            true => self.wall_ms,
            false => then_ms,
        }
    }
}

/// Where to begin with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It is new: with its first line.
    AtStart,
    /// It was there before us: with what comes next.
    AtEnd,
}

/// Waiting for a file to be complete.
struct Settling {
    /// Its size when it was looked at last.
    size: u64,
    over_at_ms: u64,
    /// When it is over even though the file grows.
    at_latest_ms: u64,
}

impl Settling {
    fn begin(now_ms: u64) -> Settling {
        Settling {
            size: 0,
            over_at_ms: now_ms.saturating_add(SETTLING_MS),
            at_latest_ms: now_ms.saturating_add(REWRITING_MS),
        }
    }

    /// Whether it is over with a file of this size.
    fn is_over(&mut self, size: u64, now_ms: u64) -> bool {
        if size != core::mem::replace(&mut self.size, size) {
            self.over_at_ms = now_ms.saturating_add(SETTLING_MS).min(self.at_latest_ms);
        }
        self.over_at_ms <= now_ms
    }
}

/// What is known of where to read on in a file.
enum Outlook {
    /// It has just been opened: nothing.
    Opened,
    /// It has been rewritten, or is a copy of what was read before.
    Rewritten(Settling),
    /// At its offset. There may be more than what was read last.
    Behind,
    /// At its offset, which was its end when it was read last.
    AtEnd,
}

/// What has come of reading once.
#[derive(PartialEq, Eq)]
enum Read {
    /// There may be lines, and more of them.
    Some,
    /// There is nothing more just now; the next write will tell.
    Nothing,
}

/// What to make of the first time that a file is read.
enum FirstRead {
    /// It is past.
    Done,
    /// The path can be got at.
    Expected,
    /// And that was not to be expected, so it is said.
    News,
}

/// An open file and how far it has been read.
#[repr(C)] // What is asked for most stands first: see HACKING.
struct Opened {
    fd: Fd,
    watch: Option<Watch>,
    first_read: FirstRead,
    lines: LineBuffer,
    offset: u64,
    /// When to let go of it; [`NEVER`] before its successor has been written to.
    leave_at_ms: u64,
    outlook: Outlook,
    /// Where it was left, before it is read again.
    left: Option<Left>,
    id: FileId,
}

/// A file that is not open, and how far it has been read.
struct Left {
    id: FileId,
    offset: u64,
    /// What stood before that, as far as it is remembered.
    tail: Vec<u8>,
}

/// The files of one followed path.
#[derive(Default)]
pub struct FileSource {
    /// Those that are about to be left, then the one that is read, then those that have taken its place since.
    files: Vec<Opened>,
    /// Those that were left or could not be opened, the latest last: also the one that was there at the start, which
    /// counts as read to its end.
    left: Vec<Left>,
}

impl FileSource {
    /// Whether a file is open.
    pub fn is_open(&self) -> bool {
        !self.files.is_empty()
    }

    /// When to read even though nothing has happened.
    pub fn wake_at_ms(&self) -> u64 {
        let mut wake_at_ms = NEVER;
        for file in &self.files {
            wake_at_ms = wake_at_ms.min(file.leave_at_ms);
            if let Outlook::Rewritten(settling) = &file.outlook {
                wake_at_ms = wake_at_ms.min(settling.over_at_ms);
            }
        }
        wake_at_ms
    }

    /// Sets the inotify watches anew, with another watcher.
    pub fn watch_again(&mut self, watcher: &mut Watcher, log: &mut Log) {
        for file in &mut self.files {
            file.watch = watcher.watch_file(&file.fd, log);
        }
    }

    /// Makes what has come of unfinished lines lines. Returns whether something has come.
    pub fn finish(&mut self) -> bool {
        let files = self.files.iter_mut();
        files.fold(false, |any, file| file.lines.finish() | any)
    }

    /// Ends the inotify watches.
    pub fn close(&mut self, watcher: &mut Watcher) {
        while self.is_open() {
            self.remove(0, watcher);
        }
    }

    /// Looks whether the path leads to another file than before, and if so queues that one.
    pub fn look(
        &mut self,
        access: &mut Access,
        begin: Begin,
        watcher: &mut Watcher,
        now_ms: u64,
        log: &mut Log,
    ) {
        if let Err(obstacle) = self.open_if_new(access, begin, watcher, log) {
            access.fail(obstacle, self.is_open(), now_ms, log);
        }
    }

    fn open_if_new(
        &mut self,
        access: &mut Access,
        begin: Begin,
        watcher: &mut Watcher,
        log: &mut Log,
    ) -> core::result::Result<(), Obstacle> {
        let there = status(access.path())?;
        if self.is_known(there.id, watcher) {
            access.succeed();
            return Ok(());
        }
        if begin == Begin::AtEnd {
            self.leave(there.id, there.size, &[]);
        }
        // A path that was a file does not become a device.
        if let FileKind::Device(_) = there.kind {
            return Err(Obstacle::Device);
        }
        // The path may have changed since: what counts is what was opened.
        let (fd, opened) = access.open()?;
        if opened.kind != FileKind::Regular {
            return Err(Obstacle::Unreadable);
        }
        if self.is_known(opened.id, watcher) {
            return Ok(());
        }
        // Success is what can be read, not what can be opened.
        access.backoff.begin();
        self.queue(access.name(), fd, opened.id, begin, watcher, log);
        Ok(())
    }

    /// Whether the file is one that is open. If it is not the last, a rotation was taken back: what has taken its
    /// place and has not been read is none, and it is the last again.
    fn is_known(&mut self, id: FileId, watcher: &mut Watcher) -> bool {
        let Some(index) = self.files.iter().position(|file| file.id == id) else {
            return false;
        };
        let current = self.current();
        while self.files.len() > index.max(current) + 1 {
            self.remove(self.files.len() - 1, watcher);
        }
        if index < current {
            let mut file = self.files.remove(index);
            file.leave_at_ms = NEVER;
            self.files.push(file);
        }
        true
    }

    /// The index of the file that is read, behind those that are about to be left.
    fn current(&self) -> usize {
        let is_current = |file: &Opened| file.leave_at_ms == NEVER;
        let current = self.files.iter().position(is_current);
        current.unwrap_or(self.files.len())
    }

    /// Puts a file that was just opened behind those that are being read.
    fn queue(
        &mut self,
        name: &[u8],
        fd: Fd,
        id: FileId,
        begin: Begin,
        watcher: &mut Watcher,
        log: &mut Log,
    ) {
        let is_first = self.files.is_empty();
        if !is_first {
            say!(log, Debug: "{:?}: rotated", name);
        }
        if self.files.len() >= MAX_FILES {
            match self.files.first_mut() {
                Some(oldest) if ![0, NEVER].contains(&oldest.leave_at_ms) => oldest.leave_at_ms = 0,
                _ => {
                    say!(log, Warn: "{:?}: rotated too fast, lines may be lost", name);
                    self.remove(0, watcher);
                }
            }
        }
        let left = self.forget(&|left| left.id == id);
        // Only the next file can be known by nothing but its number.
        self.forget(&|left| left.tail.is_empty());
        let mut file = Opened {
            id,
            watch: watcher.watch_file(&fd, log),
            fd,
            offset: 0,
            outlook: Outlook::Opened,
            left,
            lines: LineBuffer::new(0),
            first_read: match is_first && begin == Begin::AtStart {
                true => FirstRead::News,
                false => FirstRead::Expected,
            },
            leave_at_ms: NEVER,
        };
        // What is there is remembered before somebody writes it anew. Otherwise it may be a copy of the one before.
        if is_first
            && !file.goes_on()
            && let Some(left) = self.left.last()
        {
            file.lines.begin_behind(&left.tail);
        }
        self.files.push(file);
    }

    /// Remembers how far a file has been read.
    fn leave(&mut self, id: FileId, offset: u64, tail: &[u8]) {
        self.forget(&|left| left.id == id);
        if self.left.len() >= MAX_LEFT {
            self.left.remove(0);
        }
        let tail = tail.to_vec();
        self.left.push(Left { id, offset, tail });
    }

    #[inline(never)]
    fn forget(&mut self, is_meant: &dyn Fn(&Left) -> bool) -> Option<Left> {
        let place = self.left.iter().position(is_meant)?;
        Some(self.left.remove(place))
    }

    /// Reads what fits into the buffer of a file, for [`FileSource::next_line`]. Returns whether there may be more;
    /// when there is not, the next write or rotation will tell, or [`FileSource::wake_at_ms`].
    pub fn read(
        &mut self,
        access: &mut Access,
        since: &mut Since,
        watcher: &mut Watcher,
        now_ms: u64,
        log: &mut Log,
    ) -> bool {
        let mut index = 0;
        while index < self.files.len() {
            // Before it is read: whoever has written to the next one has finished with this one.
            let is_replaced = self.is_replaced(index);
            let Some(file) = self.files.get_mut(index) else {
                break;
            };
            let name = access.name();
            let read = match file.read(*since, now_ms, name, log) {
                Ok(read) => read,
                Err(errno) => {
                    self.hand_over(index, now_ms);
                    self.remove(index, watcher);
                    // It may come back by another number and without its last lines: on a disk that was pulled out.
                    if !self.is_open() {
                        *since = Since::now();
                    }
                    let obstacle = Obstacle::System(errno);
                    access.fail(obstacle, self.is_open(), now_ms, log);
                    continue;
                }
            };
            match core::mem::replace(&mut file.first_read, FirstRead::Done) {
                FirstRead::Done => {}
                FirstRead::Expected => access.succeed(),
                FirstRead::News => access.tell_success(log),
            }
            if read == Read::Some {
                return true;
            }
            match file.leave_at_ms {
                NEVER if is_replaced => {
                    file.leave_at_ms = now_ms.saturating_add(LEAVING_MS);
                    self.hand_over(index, now_ms);
                    index += 1;
                }
                NEVER => break,
                // What it ends with is a line, and then it goes.
                leave_at_ms if leave_at_ms <= now_ms => match file.lines.finish() {
                    true => return true,
                    false => self.remove(index, watcher),
                },
                _ => index += 1,
            }
        }
        false
    }

    /// Whether the file being read has a successor that somebody has begun to write to.
    fn is_replaced(&self, index: usize) -> bool {
        let size = |file: &Opened| file.fd.status().map_or(0, |status| status.size);
        match self.files.get(index..) {
            Some([file, next]) => file.leave_at_ms == NEVER && size(next) > 0,
            Some([_, _, _, ..]) => true,
            _ => false,
        }
    }

    /// Makes the successor of a file remember what was read of that.
    fn hand_over(&mut self, index: usize, now_ms: u64) {
        if let Some([file, next, ..]) = self.files.get_mut(index..)
            && matches!(next.outlook, Outlook::Opened)
        {
            next.lines.begin_behind(file.lines.memory());
            if next.begins_in(file) == Ok(true) {
                next.outlook = Outlook::Rewritten(Settling::begin(now_ms));
            }
        }
    }

    /// The next line of what was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let mut files = self.files.iter_mut();
        files.find_map(|file| file.lines.next_line())
    }

    fn remove(&mut self, index: usize, watcher: &mut Watcher) {
        if index < self.files.len() {
            let file = self.files.remove(index);
            watcher.forget_file(file.watch);
            if let Some(left) = file.left {
                self.leave(left.id, left.offset, &left.tail);
            } else if matches!(file.outlook, Outlook::Behind | Outlook::AtEnd) {
                // With the line that it is in the middle of.
                let offset = file.offset.saturating_sub(file.lines.unfinished() as u64);
                let memory = file.lines.memory();
                // One that was not rotated could not be read any more, and may come back with less in it.
                let most = match file.leave_at_ms {
                    NEVER => MEMORY,
                    _ => TAIL,
                };
                // What stands before its beginning was another file's.
                let length = usize::try_from(offset).map_or(most, |offset| offset.min(most));
                let tail = memory.get(memory.len().saturating_sub(length)..);
                self.leave(file.id, offset, tail.unwrap_or_default());
            }
        }
    }
}

impl Opened {
    /// Reads once, from a file whose lines have all been taken.
    fn read(&mut self, since: Since, now_ms: u64, name: &[u8], log: &mut Log) -> Result<Read> {
        if matches!(self.outlook, Outlook::Opened | Outlook::Rewritten(_))
            && let Some(read) = self.resume(since, now_ms, name, log)?
        {
            return Ok(read);
        }
        let again = match self.outlook {
            Outlook::AtEnd => self.lines.remembered(self.offset),
            _ => 0,
        };
        let room = self.lines.room();
        let length = room.len();
        let count = self.fd.read_at(room, self.offset - again as u64)?;
        let is_same = self.lines.add_again(again, count);
        if !is_same || count == 0 && self.fd.status()?.size < self.offset {
            if self.leave_at_ms != NEVER {
                // It was rotated away and is something else now, a copy of its successor perhaps: no log any more.
                self.leave_at_ms = 0;
                return Ok(Read::Nothing);
            }
            self.outlook = Outlook::Rewritten(Settling::begin(now_ms));
            return Ok(Read::Some);
        }
        // OK because what was read again is among what was read.
        let new = count - again;
        self.offset = self.offset.saturating_add(new as u64);
        self.outlook = match count < length {
            true => Outlook::AtEnd,
            false => Outlook::Behind,
        };
        Ok(if new > 0 { Read::Some } else { Read::Nothing })
    }

    /// Finds out where to read on in a file that is not known to be what was read before. None if that can be read at once.
    fn resume(
        &mut self,
        since: Since,
        now_ms: u64,
        name: &[u8],
        log: &mut Log,
    ) -> Result<Option<Read>> {
        let status = self.fd.status()?;
        let (is_complete, is_opened) = match &mut self.outlook {
            Outlook::Rewritten(settling) => (settling.is_over(status.size, now_ms), false),
            _ => (true, true),
        };
        match self.find(self.lines.memory(), status.size, MAX_SEARCHED)? {
            // Later it might be further from the end than is searched.
            Some(resume)
                if resume.is_last
                    || is_complete
                    || status.size - resume.offset > MAX_SEARCHED / 2 =>
            {
                say!(log, Debug: "{:?}: holds lines that were read before, going on behind them", name);
                self.lines.begin_behind(&resume.before);
                self.offset = resume.offset;
                self.outlook = Outlook::AtEnd;
                self.left = None;
            }
            _ if !is_complete => return Ok(Some(Read::Nothing)),
            _ if self.goes_on() => {}
            _ if is_opened && self.is_old(&status, since) => {
                say!(log, Info: "{:?}: has nothing new, going on at its end", name);
                self.read_on_at(status.size);
            }
            _ => {
                if !is_opened {
                    say!(log, Debug: "{:?}: truncated", name);
                }
                self.lines.finish();
                // A writer that does not append has left one before what it has written since.
                self.offset = self.fd.end_of_hole().unwrap_or(0);
                self.outlook = Outlook::Behind;
                return Ok(Some(Read::Some));
            }
        }
        Ok(None)
    }

    /// Where in it lines end that were read before, see [`resume::find`].
    fn find(&self, memory: &[u8], size: u64, most: u64) -> Result<Option<Resume>> {
        let read_at = |room: &mut [u8], offset| self.fd.read_at(room, offset);
        resume::find(memory, size, most, read_at)
    }

    /// Whether the first lines that are in it are in another one: then it is a copy, or will be one.
    fn begins_in(&self, other: &Opened) -> Result<bool> {
        let mut first = alloc::vec![0; MEMORY];
        let count = self.fd.read_at(&mut first, 0)?;
        first.truncate(count);
        let size = other.fd.status()?.size;
        let found = other.find(&first, size, MAX_COPIED)?;
        Ok(found.is_some())
    }

    /// Whether what is in a file that was just opened was written before `since`.
    fn is_old(&self, status: &Status, since: Since) -> bool {
        let now = Since::now();
        let vague_ms = if status.by_the_second { 2000 } else { 0 };
        let is_before = status.modified_ms < since.by_clock_of(now).wrapping_sub(vague_ms);
        // A router without a clock of its own, which has not been told the time yet.
        let is_ahead = status.modified_ms > now.wall_ms.wrapping_add(CLOCK_SKEW_MS);
        is_before || is_ahead && self.lines.memory().is_empty()
    }

    /// Goes on where it was left, if what was read last there is what it was.
    fn goes_on(&mut self) -> bool {
        let Some(Left { offset, tail, .. }) = self.left.take() else {
            return false;
        };
        let mut there = alloc::vec![0; tail.len()];
        let start = offset.wrapping_sub(tail.len() as u64);
        let is_same = self.fd.read_at(&mut there, start) == Ok(tail.len()) && there == tail;
        if is_same {
            self.read_on_at(offset);
        }
        is_same
    }

    /// Goes on at `offset`, and remembers what stands before it.
    fn read_on_at(&mut self, offset: u64) {
        let length = usize::try_from(offset).map_or(MEMORY, |offset| offset.min(MEMORY));
        let mut before = alloc::vec![0; length];
        if self.fd.read_at(&mut before, offset - length as u64) != Ok(length) {
            before.clear();
        }
        self.lines.begin_behind(&before);
        self.offset = offset;
        self.outlook = Outlook::AtEnd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Target};
    use crate::sys::fd::c_path;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::string::String;

    /// A file that is followed since an hour ago.
    struct Followed {
        source: FileSource,
        access: Access,
        since: Since,
        watcher: Watcher,
        log: Log,
    }

    impl Followed {
        fn new(path: &Path) -> Followed {
            let mut log = Log::new(Target::Stderr, Level::Error);
            let path = c_path(path.as_os_str().as_bytes()).ok();
            let now = Since::now();
            Followed {
                source: FileSource::default(),
                access: Access::new(path.expect("a path")),
                since: Since {
                    boot_ms: now.boot_ms.wrapping_sub(3_600_000),
                    wall_ms: now.wall_ms - 3_600_000,
                },
                watcher: Watcher::new(1000, &mut log),
                log,
            }
        }

        /// Reads all that there is, and shows the lines.
        fn read(&mut self) -> String {
            let Followed {
                source,
                access,
                since,
                watcher,
                log,
            } = self;
            let mut lines = String::new();
            source.look(access, Begin::AtStart, watcher, 0, log);
            while source.read(access, since, watcher, 0, log) {
                while let Some(line) = source.next_line() {
                    lines += &String::from_utf8_lossy(line.bytes);
                    lines.push('\n');
                }
            }
            lines
        }
    }

    #[test]
    fn old_lines_do_not_count_again_when_their_file_comes_back_after_an_error_by_another_number() {
        let numbered = |lines: core::ops::Range<u32>| -> String {
            lines.map(|line| std::format!("number {line}\n")).collect()
        };
        let name = std::format!("logknockd-file-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let copy = path.with_extension("copy");
        // What the disk has when it is back, the last lines perhaps not, and what of it is new.
        for (back, new) in [(0..1010, 1000..1010), (0..990, 0..0), (0..100, 0..0)] {
            std::fs::write(&path, numbered(0..1000)).expect("a log");
            let mut followed = Followed::new(&path);
            assert_eq!(followed.read(), numbered(0..1000));
            std::fs::write(&copy, numbered(back)).expect("its copy");
            let file = std::fs::File::options().write(true).open(&copy).ok();
            let a_minute_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
            let set = file.map(|file| file.set_modified(a_minute_ago));
            assert!(matches!(set, Some(Ok(()))));
            // From there nothing can be read any more.
            followed.source.files[0].fd = Fd::open_to_write(followed.access.path()).ok().unwrap();
            assert_eq!(followed.read(), "");
            assert!(!followed.source.is_open());
            std::fs::rename(&copy, &path).expect("it is back");
            assert_eq!(followed.read(), numbered(new));
        }
        std::fs::remove_file(path).expect("it can be removed");
    }

    #[test]
    fn a_file_is_complete_a_second_after_it_grew_last_but_is_not_waited_for_for_ever() {
        let mut settling = Settling::begin(0);
        assert!(!settling.is_over(100, 900));
        assert!(!settling.is_over(100, 1899));
        assert!(settling.is_over(100, 1900));
        let mut settling = Settling::begin(0);
        for second in 0..5 {
            assert!(!settling.is_over(second, 1000 * second));
        }
        assert!(settling.is_over(5, 5000));
    }
}
