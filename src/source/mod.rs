//! Where lines come from.
//!
//! [`Sources`] holds everything the configuration says to watch: files, streams, and a command. The
//! daemon polls their descriptors, tells which are ready, and then takes lines from each source in turn,
//! a bounded amount at a time, so that a noisy source cannot starve the others or the timers.
//!
//! What a path is, a file or a stream, is decided when something is found there, and decided again when
//! something else takes its place. What was there before is read to its end first, with the line that it ends in the
//! middle of.

mod access;
mod command;
mod file;
pub mod kmsg;
pub mod lines;
pub mod output;
mod resume;
mod stream;
mod watch;

use crate::backoff::{NEVER, after};
use crate::log::Log;
use crate::sys::fd::{FileKind, Poll, c_path, status};
use crate::text::with_blanks;
pub use access::unreadable;
use access::{Access, is_device};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use command::{CommandSource, Leaving};
use core::ffi::CStr;
use file::{Begin, FileSource, Since};
use lines::{Line, MAX_LINE};
use stream::{STDIN_NAME, StreamSource};
use watch::{News, Watcher};

/// Reads of one source in one turn. A read of the kernel's log is one record, any other is up to 16 KiB.
const READS: usize = 16;

/// What the configuration says to watch.
pub struct Wanted<'c> {
    /// Files, FIFOs, character devices; `-` for standard input.
    pub files: &'c [String],
    /// The words of a command, a NUL byte behind each.
    pub command: Option<&'c [u8]>,
    /// How often to look at files; [`NEVER`] if inotify is used.
    pub poll_ms: u64,
}

enum Source {
    File(FileSource),
    Stream(StreamSource),
    Command(CommandSource),
}

/// A source and what is known of it.
#[repr(C)] // What is asked for most stands first: see HACKING.
struct Entry {
    /// There may be something to read.
    ready: bool,
    /// There may be lines that were read and not yet taken.
    undrained: bool,
    /// Something else has taken its place.
    is_left: bool,
    /// That a line was cut has been said.
    cut_told: bool,
    /// Where to begin with what is found there next.
    begin: Begin,
    /// How many descriptors were waited for last.
    polled: usize,
    access: Access,
    source: Source,
    /// Since when it is watched.
    since: Since,
}

/// In boxes: a reload moves them, which takes less code so.
type Entries = Vec<Box<Entry>>;

/// All sources.
pub struct Sources {
    entries: Entries,
    watcher: Watcher,
    /// When files are to be looked at next, where inotify does not tell.
    look_at_ms: u64,
    /// Commands on their way out.
    leaving: Vec<Leaving>,
    /// The entry whose turn it is, how often it was read in its turn, and how many have had theirs.
    current: usize,
    reads: usize,
    passed: usize,
}

impl Sources {
    /// Opens what is wanted. What cannot be opened is reported and waited for.
    pub fn open(wanted: &Wanted, now_ms: u64, log: &mut Log) -> Sources {
        let mut sources = Sources {
            entries: Vec::new(),
            watcher: Watcher::new(wanted.poll_ms, log),
            look_at_ms: now_ms,
            leaving: Vec::new(),
            current: 0,
            reads: 0,
            passed: 0,
        };
        sources.replace(wanted, now_ms, log);
        sources
    }

    /// Watches what is wanted from now on. What was watched before goes on where it is.
    pub fn replace(&mut self, wanted: &Wanted, now_ms: u64, log: &mut Log) {
        let mut former = core::mem::take(&mut self.entries);
        if wanted.poll_ms != self.watcher.configured_ms() {
            self.watcher = Watcher::new(wanted.poll_ms, log);
            for entry in &mut former {
                if let Source::File(file) = &mut entry.source {
                    file.watch_again(&mut self.watcher, log);
                    // What the old watches had to tell is lost.
                    entry.ready = true;
                }
            }
        }
        for name in wanted.files {
            self.take_over(&mut former, name.as_bytes(), None, log);
        }
        if let Some(words) = wanted.command {
            self.take_over(&mut former, &spaced(words), Some(words), log);
        }
        // Before any file is opened, so that none can be replaced unseen.
        self.watch_paths(log);
        for entry in &mut self.entries {
            if entry.begin == Begin::AtEnd {
                entry.look(&mut self.watcher, now_ms, log);
                // What was written to a file before its watch was set is found by looking. For anything
                // else there is poll; to read standard input unasked could block.
                entry.ready = matches!(entry.source, Source::File(_));
            }
        }
        for mut entry in former {
            match &mut entry.source {
                Source::File(file) => file.close(&mut self.watcher),
                Source::Stream(_) => {}
                Source::Command(command) => {
                    if let Some(child) = command.close(now_ms) {
                        self.leaving.push(child);
                    }
                }
            }
        }
        self.look_at_ms = now_ms;
    }

    /// Goes on with a path, or with the command that has these words, or begins with it.
    fn take_over(
        &mut self,
        former: &mut Entries,
        name: &[u8],
        words: Option<&[u8]>,
        log: &mut Log,
    ) {
        let is_it = |entry: &Entry| match &entry.source {
            Source::Command(command) => words == Some(command.words()),
            _ => words.is_none() && entry.access.name() == name,
        };
        if let Some(index) = former.iter().position(|entry| is_it(entry)) {
            self.entries.push(former.swap_remove(index));
            return;
        }
        match c_path(name) {
            Ok(path) => self.entries.push(Box::new(Entry {
                access: Access::new(path),
                since: Since::now(),
                begin: Begin::AtEnd,
                polled: 0,
                ready: false,
                undrained: false,
                is_left: false,
                source: match words {
                    Some(words) => Source::Command(CommandSource::new(words)),
                    None => Source::File(FileSource::default()),
                },
                cut_told: false,
            })),
            Err(errno) => say!(log, Error: "{:?}: {}", name, errno),
        }
    }

    /// Has everything watched on the way to what is named by a path.
    fn watch_paths(&mut self, log: &mut Log) {
        let is_path = |entry: &Entry| match entry.source {
            Source::Command(_) => false,
            _ => entry.access.name() != STDIN_NAME,
        };
        let named = self.entries.iter().filter(|entry| is_path(entry));
        let mut paths = named.map(|entry| entry.access.name());
        self.watcher.watch_paths(&mut paths, log);
    }

    /// Adds the descriptors to wait for.
    pub fn add_polls(&mut self, polls: &mut Vec<Poll>) {
        self.watcher.add_polls(polls);
        for entry in &mut self.entries {
            let before = polls.len();
            match &entry.source {
                Source::File(_) => {}
                Source::Stream(stream) => Poll::add(stream.fd(), polls),
                Source::Command(command) => command.add_polls(polls),
            }
            entry.polled = polls.len() - before;
        }
    }

    /// Notes which of the descriptors that [`Sources::add_polls`] added are ready.
    pub fn note_ready(&mut self, polls: &[Poll]) {
        self.watcher.note_ready(polls);
        // They are the last that were added.
        let mut polls = polls.iter().rev();
        for entry in self.entries.iter_mut().rev() {
            for poll in polls.by_ref().take(entry.polled) {
                entry.ready |= poll.is_ready();
            }
        }
    }

    /// When to call [`Sources::look`] even though no descriptor is ready.
    pub fn deadline_ms(&self) -> u64 {
        let mut deadline_ms = match self.watcher.interval_ms() {
            NEVER => NEVER,
            _ => self.look_at_ms,
        };
        for entry in &self.entries {
            if entry.ready || entry.undrained {
                return 0;
            }
            deadline_ms = deadline_ms.min(entry.wake_at_ms());
        }
        deadline_ms
    }

    /// When to call [`Sources::push_leaving`].
    pub fn leaving_deadline_ms(&self) -> u64 {
        let deadlines_ms = self.leaving.iter().map(Leaving::deadline_ms);
        deadlines_ms.fold(NEVER, u64::min)
    }

    /// Pushes commands that are over their time on their way out.
    pub fn push_leaving(&mut self, now_ms: u64) {
        self.leaving.iter_mut().for_each(|child| child.push(now_ms));
    }

    /// Whether a command is still on its way out.
    pub fn has_leaving(&self) -> bool {
        self.leaving.iter().any(Leaving::is_awaited)
    }

    /// Begins a turn: finds out which files have something to read and which paths lead somewhere else than before.
    pub fn look(&mut self, now_ms: u64, log: &mut Log) {
        self.passed = 0;
        self.go_on();
        let mut news = self.watcher.news();
        let interval_ms = self.watcher.interval_ms();
        if interval_ms != NEVER && self.look_at_ms <= now_ms {
            self.look_at_ms = after(now_ms, interval_ms);
            news = News {
                content: true,
                paths: true,
            };
        }
        if news.paths {
            self.watch_paths(log);
        }
        for entry in &mut self.entries {
            let is_due = entry.wake_at_ms() <= now_ms;
            let is_command = matches!(entry.source, Source::Command(_));
            if is_due || news.paths && !is_command {
                entry.look(&mut self.watcher, now_ms, log);
            }
            let is_file = matches!(entry.source, Source::File(_));
            entry.ready |= is_due || is_file && (news.content || news.paths);
        }
    }

    /// Reads from the next source that may have something, for [`Sources::next_line`]; not before the lines that
    /// were read from it before have all been taken. False when each has had its share of the turn that
    /// [`Sources::look`] began: a bounded amount, and each turn begins with another source.
    pub fn read(&mut self, now_ms: u64, log: &mut Log) -> bool {
        while self.passed < self.entries.len() {
            let entry = self.entries.get_mut(self.current);
            if let Some(entry) = entry.filter(|entry| entry.ready || entry.undrained)
                && self.reads < READS
            {
                self.reads += 1;
                if !core::mem::replace(&mut entry.undrained, true) {
                    entry.read(&mut self.watcher, &mut self.leaving, now_ms, log);
                }
                return true;
            }
            self.passed += 1;
            self.go_on();
        }
        false
    }

    /// Turns to the next source.
    fn go_on(&mut self) {
        self.reads = 0;
        self.current += 1;
        if self.current >= self.entries.len() {
            self.current = 0;
        }
    }

    /// The next line of what was read, and its source's name.
    pub fn next_line(&mut self, log: &mut Log) -> Option<(&[u8], Line<'_>)> {
        let entry = self.entries.get_mut(self.current)?;
        let Some(line) = entry.source.next_line() else {
            entry.undrained = false;
            return None;
        };
        if line.cut && !entry.cut_told {
            entry.cut_told = true;
            say!(log, Warn: "{:?}: a line is longer than {} bytes, its rest is ignored",
                entry.access.name(), MAX_LINE);
        }
        Some((entry.access.name(), line))
    }

    /// Waits for the commands that have ended; to be called at every `SIGCHLD`.
    pub fn reap(&mut self) {
        for entry in &mut self.entries {
            if let Source::Command(command) = &mut entry.source {
                entry.ready |= command.reap();
            }
        }
        while let Some(place) = self.leaving.iter().position(Leaving::reap) {
            self.leaving.swap_remove(place);
        }
    }

    /// Whether standard input was a source and has come to its end.
    pub fn has_ended(&self) -> bool {
        let has_ended = |entry: &Entry| match &entry.source {
            Source::Stream(stream) => stream.has_ended() && !entry.undrained,
            _ => false,
        };
        self.entries.iter().any(|entry| has_ended(entry))
    }

    /// Reads no more, and ends the commands.
    pub fn close(&mut self, now_ms: u64, log: &mut Log) {
        let nothing = Wanted {
            files: &[],
            command: None,
            poll_ms: self.watcher.configured_ms(),
        };
        self.replace(&nothing, now_ms, log);
    }

    /// The last thing to do: gives no more time to commands that have not ended.
    pub fn kill_rest(&self) {
        self.leaving.iter().for_each(Leaving::kill);
    }

    /// Each source's name and whether it is open.
    pub fn report(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.access.name(), entry.source.is_open()))
    }
}

impl Entry {
    /// Reads once, for [`Source::next_line`].
    fn read(
        &mut self,
        watcher: &mut Watcher,
        leaving: &mut Vec<Leaving>,
        now_ms: u64,
        log: &mut Log,
    ) {
        let access = &mut self.access;
        self.ready = match &mut self.source {
            Source::File(file) => file.read(access, &mut self.since, watcher, now_ms, log),
            Source::Stream(stream) => stream.read(access, now_ms, log),
            Source::Command(command) => {
                let (more, ended) = command.read(&mut access.backoff, now_ms, log);
                if let Some(child) = ended {
                    leaving.push(child);
                }
                more
            }
        };
    }

    /// When to look at it even though nothing has happened.
    fn wake_at_ms(&self) -> u64 {
        let wake_at_ms = match &self.source {
            _ if self.is_left => 0,
            Source::File(file) => file.wake_at_ms(),
            Source::Stream(_) => NEVER,
            Source::Command(command) => command.wake_at_ms(),
        };
        wake_at_ms.min(self.access.backoff.at_ms())
    }

    /// Looks whether there is something else than before, or something at last.
    fn look(&mut self, watcher: &mut Watcher, now_ms: u64, log: &mut Log) {
        let path = self.access.path();
        let is_stream = is_stream(path);
        let is_other = match &self.source {
            // A path that was a file does not become a device.
            Source::File(file) => is_stream == Some(true) && !(file.is_open() && is_device(path)),
            Source::Stream(stream) => is_stream == Some(false) || stream.is_replaced(path),
            Source::Command(_) => false,
        };
        if is_other && !self.is_read_out() {
            return;
        }
        self.is_left = false;
        if is_other {
            if let Source::File(file) = &mut self.source {
                file.close(watcher);
            }
            self.source = match is_stream {
                Some(true) => Source::Stream(StreamSource::new()),
                _ => Source::File(FileSource::default()),
            };
        }
        let begin = core::mem::replace(&mut self.begin, Begin::AtStart);
        let access = &mut self.access;
        match &mut self.source {
            Source::File(file) => file.look(access, begin, watcher, now_ms, log),
            Source::Stream(stream) => stream.look(access, now_ms, log),
            Source::Command(command) => command.start(&mut access.backoff, now_ms, log),
        }
    }

    /// Whether all has been taken that is to be had of what something else has taken the place of; until then it is read.
    fn is_read_out(&mut self) -> bool {
        if !core::mem::replace(&mut self.is_left, true) {
            self.ready = self.source.is_open();
        } else if !self.ready && !self.undrained {
            self.undrained = match &mut self.source {
                Source::File(file) => file.finish(),
                Source::Stream(stream) => stream.finish(),
                Source::Command(_) => false,
            };
        }
        !self.ready && !self.undrained
    }
}

impl Source {
    /// Whether something is open.
    fn is_open(&self) -> bool {
        match self {
            Source::File(file) => file.is_open(),
            Source::Stream(stream) => stream.is_open(),
            Source::Command(command) => command.is_running(),
        }
    }

    fn next_line(&mut self) -> Option<Line<'_>> {
        match self {
            Source::File(file) => file.next_line(),
            Source::Stream(stream) => stream.next_line(),
            Source::Command(command) => command.next_line(),
        }
    }
}

/// A command's words as one text.
fn spaced(words: &[u8]) -> Vec<u8> {
    with_blanks(words.strip_suffix(&[0]).unwrap_or(words), 0)
}

/// Whether there is a stream at a path; none if there is nothing. A link to a device is none.
fn is_stream(path: &CStr) -> Option<bool> {
    if path.to_bytes() == STDIN_NAME {
        return Some(true);
    }
    let kind = status(path).ok()?.kind;
    Some(kind == FileKind::Fifo || is_device(path))
}
