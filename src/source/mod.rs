//! Where lines come from.
//!
//! [`Sources`] holds everything the configuration says to watch. The daemon polls its descriptors, tells
//! it what became ready, and then takes lines from each source in turn, a buffer full at a time, so that
//! a noisy source cannot starve the others or the timers.

mod file;
pub mod lines;
mod watch;

use crate::log::Log;
use crate::sys::fd::Poll;
use crate::text::Quoted;
use alloc::string::String;
use alloc::vec::Vec;
use file::FileSource;
use lines::LINE_LIMIT;
use watch::{News, Watcher};

/// A source and what is known of it.
struct Entry {
    name: String,
    file: FileSource,
    /// There may be something to read.
    ready: bool,
    /// That a line was cut has been said.
    cut_told: bool,
}

/// All sources.
pub struct Sources {
    entries: Vec<Entry>,
    watcher: Watcher,
    /// When files are to be looked at next, where inotify does not tell.
    look_at_ms: u64,
}

impl Sources {
    /// Opens the files `names`. Those that cannot be opened are reported and waited for.
    pub fn open(names: &[String], poll_ms: Option<u64>, now_ms: u64, log: &mut Log) -> Sources {
        let mut sources = Sources {
            entries: Vec::new(),
            watcher: Watcher::new(poll_ms, log),
            look_at_ms: now_ms,
        };
        sources.replace(names, poll_ms, now_ms, log);
        sources
    }

    /// Watches `names` from now on. Those that were watched before go on where they are.
    pub fn replace(&mut self, names: &[String], poll_ms: Option<u64>, now_ms: u64, log: &mut Log) {
        let mut former = core::mem::take(&mut self.entries);
        if poll_ms != self.watcher.configured_ms() {
            self.watcher = Watcher::new(poll_ms, log);
            for entry in &mut former {
                entry.file.watch_again(&mut self.watcher, log);
            }
        }
        // Before any file is opened, so that none can be replaced unseen.
        let paths = names.iter().map(|name| name.as_bytes());
        self.watcher.watch_paths(paths, log);
        for name in names {
            let known = former.iter().position(|entry| entry.name == *name);
            let file = match known {
                Some(index) => former.swap_remove(index).file,
                None => match FileSource::new(name, &mut self.watcher, now_ms, log) {
                    Ok(file) => file,
                    Err(errno) => {
                        say!(log, Error, Quoted(name), ": ", errno);
                        continue;
                    }
                },
            };
            self.entries.push(Entry {
                name: name.clone(),
                file,
                // What was written before the watch was set is found by looking.
                ready: true,
                cut_told: false,
            });
        }
        for entry in former {
            entry.file.close(&mut self.watcher);
        }
        self.look_at_ms = now_ms;
    }

    /// Adds the descriptors to wait for.
    pub fn add_polls(&self, polls: &mut Vec<Poll>) {
        polls.extend(self.watcher.fd().map(Poll::reading));
    }

    /// When to call [`Sources::look`] even though no descriptor is ready.
    pub fn deadline_ms(&self) -> Option<u64> {
        if self.entries.iter().any(|entry| entry.ready) {
            return Some(0);
        }
        let retries = self.entries.iter().filter_map(|e| e.file.backoff().at_ms());
        let interval = self.watcher.interval_ms().map(|_| self.look_at_ms);
        retries.chain(interval).min()
    }

    /// Finds out which sources have something to read.
    pub fn look(&mut self, now_ms: u64, log: &mut Log) {
        let mut news = self.watcher.news();
        if let Some(interval_ms) = self.watcher.interval_ms()
            && self.look_at_ms <= now_ms
        {
            self.look_at_ms = now_ms.saturating_add(interval_ms);
            news = News {
                content: true,
                paths: true,
            };
        }
        if news.paths {
            self.rewatch(log);
        }
        for entry in &mut self.entries {
            let retry = entry.file.backoff().is_due(now_ms);
            if news.paths || retry {
                entry.file.check_path(&mut self.watcher, now_ms, log);
            }
            entry.ready |= news.content || news.paths || retry;
        }
    }

    fn rewatch(&mut self, log: &mut Log) {
        let paths = self.entries.iter().map(|entry| entry.name.as_bytes());
        self.watcher.watch_paths(paths, log);
    }

    /// How many sources there are, for [`Sources::read`].
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Reads a buffer full from the source `index`, if it has something, for [`Sources::next_line`].
    pub fn read(&mut self, index: usize, log: &mut Log) {
        if let Some(entry) = self.entries.get_mut(index)
            && entry.ready
        {
            entry.ready = entry.file.read(&mut self.watcher, log);
        }
    }

    /// The next line of what was read from the source `index`.
    pub fn next_line(&mut self, index: usize, log: &mut Log) -> Option<&[u8]> {
        let entry = self.entries.get_mut(index)?;
        let line = entry.file.next_line()?;
        if line.cut && !entry.cut_told {
            entry.cut_told = true;
            say!(
                log,
                Warn,
                Quoted(&entry.name),
                ": a line is longer than ",
                LINE_LIMIT,
                " bytes, its rest is ignored"
            );
        }
        Some(line.bytes)
    }

    /// Each source's name and whether it is open.
    pub fn report(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.file.is_open()))
    }
}
