//! The dry run: replays logs through the engine and prints what would run, without running anything.
//!
//! Time is the log's own: `within` and leases go by the lines' time stamps (see `timestamp`), and logs are taken in the
//! order of their first. A line without one counts as coming with the one before. The summary says how many those are,
//! where time goes backwards, and what a filter that matched nothing came nearest to (see [`nearing`]). What would run
//! goes to standard output, one event a line with the line number first; the summary, and on a terminal the progress, go
//! to standard error.

pub mod nearing;

use crate::backoff::NEVER;
use crate::commands::job::Event;
use crate::commands::template::put_shell_words;
use crate::config::Config;
use crate::dryrun::nearing::Nearing;
use crate::engine::rule::Rule;
use crate::engine::tracker::{Change, Steps, reached};
use crate::engine::{Engine, Knock, Meaning, Outcome, Setup};
use crate::leases::journal::Now;
use crate::leases::lease::{Leases, Note, Verdict};
use crate::leases::opening::{deadlines, ends, first_unspent, job, sequence, terms};
use crate::log::Level;
use crate::regex::seek::{Places, count_byte, find_byte};
use crate::regex::{Regex, Scratch, Text};
use crate::source::lines::{Line, LineBuffer, one_line};
use crate::sys::fd::{self, Fd, FileKind, Poll, STDERR, STDIN, STDOUT, poll};
use crate::sys::{Errno, clock, random_seed};
use crate::text::{Pieces, Put, put_escaped};
use crate::timestamp::LogClock;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ffi::CStr;

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// Output is written when this much has come together, or there is no more to read just now.
const FLUSH_AT: usize = 32 << 10;

/// Programs that write to one log at once may be this late, in milliseconds; what is later is called time that goes
/// backwards.
const LATE_MS: u64 = 1000;

/// How compressed files begin, and what reads them.
const COMPRESSED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "zcat"),
    (b"BZh", "bzcat"),
    (b"\xfd7zXZ\0", "xzcat"),
    (b"\x28\xb5\x2f\xfd", "zstdcat"),
    (b"\x04\x22\x4d\x18", "lz4cat"),
    (b"\x1f\x9d", "zcat"),
];

/// Between two looks at the progress, in milliseconds.
const PROGRESS_MS: u64 = 200;

/// Replays `logs`, or standard input if there are none. The error is a message.
#[allow(clippy::boxed_local)] // To take it out of its box would be to copy it.
pub fn run(config: Box<Config>, logs: &[&CStr], level: Level) -> Result<(), Vec<u8>> {
    let mut rules = config.rules.iter();
    let limits_time = rules.any(|rule| rule.within_ms != NEVER || rule.lease.is_some());
    let setup = Setup {
        max_keys: config.max_keys,
        seed: random_seed(),
        own_id: None,
        explain: level >= Level::Debug,
    };
    let logs = in_order(logs)?;
    let engine = Engine::new(config.rules, &setup);
    let nearing = Nearing::new(&engine);
    // The program ends with it, so nothing of it is ever taken apart.
    let replay = Box::leak(Box::new(Replay {
        engine,
        play: Play {
            leases: Leases::new(setup.seed),
            max_leases: config.max_keys,
            spent: Vec::new(),
            scratch: Scratch::new(),
            out: Vec::new(),
        },
        clock: limits_time.then(|| LogClock::new(clock::unix_time_s())),
        shows_lines: level >= Level::Trace,
        time_ms: None,
        timeless: 0,
        backwards: 0,
        first_backwards: Vec::new(),
        nearing,
        lines: 0,
        started_ms: clock::boot_time_ms(),
        progress: Progress::new(),
    }));
    let names: &[&CStr] = if logs.is_empty() { &[c"-"] } else { &logs };
    for name in names {
        let several = names.len() > 1;
        let read = replay.log(name, several);
        // Before any complaint: what was found so far has been found.
        replay.flush().map_err(output_error)?;
        read?;
    }
    replay.finish().map_err(output_error)
}

/// The logs in the order of their first time stamps, if each of them has one.
fn in_order<'n>(logs: &[&'n CStr]) -> Result<Vec<&'n CStr>, Vec<u8>> {
    let (mut times, mut order) = (Vec::new(), Vec::new());
    let mut is_known = true;
    for &name in logs {
        let first_ms = first_time_ms(name)?;
        is_known &= first_ms.is_some();
        let first_ms = first_ms.unwrap_or(0);
        let later = |other_ms: &u64| *other_ms > first_ms;
        let place = times.iter().position(later).unwrap_or(times.len());
        times.insert(place, first_ms);
        order.insert(place, name);
    }
    if !is_known || order == logs {
        return Ok(logs.to_vec());
    }
    let mut note = text!("in the order of their first time stamps:");
    for name in &order {
        note.push(b' ');
        put_escaped(name.to_bytes(), &mut note);
    }
    note.push(b'\n');
    // Nobody is left to be told when this fails.
    let _ = STDERR.write_all(&note);
    Ok(order)
}

/// The time of the first line of a log that carries one; of an empty log the earliest. The error says what to do with
/// one that is compressed. Others are told of when their turn comes.
#[inline(never)]
fn first_time_ms(name: &CStr) -> Result<Option<u64>, Vec<u8>> {
    if name.to_bytes() == b"-" {
        return Ok(None);
    }
    // A FIFO must not be opened before it is read: its writer would believe that somebody reads.
    let is_regular = fd::status(name).is_ok_and(|status| status.kind == FileKind::Regular);
    let Some(fd) = is_regular.then(|| Fd::open(name).ok()).flatten() else {
        return Ok(None);
    };
    let mut text = alloc::vec![0; CHUNK];
    let length = fd.read(&mut text).unwrap_or(0);
    text.truncate(length);
    if let Some((_, reader)) = COMPRESSED.iter().find(|(magic, _)| text.starts_with(magic)) {
        let name = name.to_bytes();
        return Err(text!(
            "{} is compressed: {} {} | logknockd -n",
            name,
            reader,
            name
        ));
    }
    let mut clock = LogClock::new(clock::unix_time_s());
    let mut lines = Pieces(&text, b'\n');
    let first = lines.find_map(|line| clock.time_ms(one_line(line).bytes));
    Ok(first.or((length == 0).then_some(0)))
}

fn output_error(errno: Errno) -> Vec<u8> {
    text!("standard output: {}", errno)
}

#[repr(C)] // What is asked for most stands first: see HACKING.
struct Replay {
    /// Whether every line is shown.
    shows_lines: bool,
    /// Lines read so far, of all logs. A router takes a day for more than fit.
    lines: usize,
    /// Lines, not empty, without a time.
    timeless: usize,
    /// Lines with a time that is earlier than that of the line before.
    backwards: usize,
    /// The time of the last line that carried one.
    time_ms: Option<u64>,
    play: Play,
    progress: Progress,
    engine: Engine,
    /// Reads the lines' times; none if no rule has a time limit.
    clock: Option<LogClock>,
    /// Where the first of them stands.
    first_backwards: Vec<u8>,
    nearing: Nearing,
    started_ms: u64,
}

impl Replay {
    /// Replays one log. The error is a message.
    #[inline(never)]
    fn log(&mut self, name: &CStr, several: bool) -> Result<(), Vec<u8>> {
        let fail = |errno: Errno| text!("{}: {}", name.to_bytes(), errno);
        let fd = match name.to_bytes() {
            b"-" => STDIN,
            _ => Fd::open(name).map_err(fail)?,
        };
        let prefix = match several {
            true => text!("{}:", name.to_bytes()),
            false => Vec::new(),
        };
        let first = self.lines;
        let mut buffer = LineBuffer::new(CHUNK);
        self.progress.begin(fd.status().map_err(fail)?.size);
        // A FIFO that nobody has opened to write yet looks as if it were at its end.
        poll(&mut [Poll::reading(&fd)], NEVER).map_err(fail)?;
        loop {
            let room = buffer.room();
            let length = room.len();
            let count = read_some(&fd, room).map_err(fail)?;
            // The last line has no newline by which it would be counted.
            let mut is_open = false;
            match count {
                0 => {
                    is_open = buffer.is_skipping();
                    buffer.finish();
                }
                count => buffer.add(count),
            }
            // Up to here lines are counted: the others when somebody asks for a number, or all at once.
            let mut counted = buffer.place();
            loop {
                let skipped = buffer.skip_lines(|text| self.engine.concern(text));
                if self.clock.is_some() || self.shows_lines {
                    self.lines += count_lines(buffer.between(counted..skipped.start));
                    counted = skipped.end;
                    self.pass(&prefix, first, buffer.between(skipped));
                }
                let Some(places) = buffer.next_places() else {
                    break;
                };
                is_open |= count == 0;
                let at = LineNumber {
                    prefix: &prefix,
                    number: Cell::new(self.lines - first + 1),
                    before: Cell::new(buffer.between(counted..places.start)),
                };
                counted = places.start;
                self.line(&at, buffer.line(places));
                self.lines = first + at.number.get() - 1;
                counted -= at.before.get().len();
            }
            self.lines += count_lines(buffer.between(counted..buffer.place()));
            self.lines += usize::from(is_open);
            self.nearing.forget_matched(&self.engine);
            self.progress.add(count, self.lines);
            // Perhaps nothing more comes for long: somebody may be looking on.
            if count < length || self.play.out.len() >= FLUSH_AT {
                self.flush().map_err(output_error)?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Goes through lines that concern no rule, for their time. `first` is how many lines the logs before had.
    fn pass(&mut self, prefix: &[u8], first: usize, mut text: &[u8]) {
        while let Some(end) = find_byte(text, b'\n') {
            let (line, rest) = text.split_at(end);
            text = rest.get(1..).unwrap_or_default();
            self.lines += 1;
            let at = LineNumber {
                prefix,
                number: Cell::new(self.lines - first),
                before: Cell::default(),
            };
            self.tell_time(&at, line);
        }
    }

    /// The time at which a line counts. What is due by then is closed.
    #[inline]
    fn tell_time(&mut self, at: &LineNumber, line: &[u8]) -> u64 {
        if let Some(clock) = &mut self.clock {
            let last_ms = self.time_ms.unwrap_or(0);
            match clock
                .time_ms(line)
                .or_else(|| clock.time_ms(trimmed(line)?))
            {
                Some(time_ms) => {
                    self.time_ms = Some(time_ms);
                    if time_ms.saturating_add(LATE_MS) < last_ms {
                        self.note_backwards(at);
                    }
                }
                None => self.note_timeless(line),
            }
        }
        if self.shows_lines {
            put!(&mut self.play.out, "{}: read ", at);
            put_escaped(one_line(line).bytes, &mut self.play.out);
            self.play.out.push(b'\n');
        }
        let now_ms = self.time_ms.unwrap_or(0);
        self.play.close_due(at, now_ms);
        now_ms
    }

    #[inline(never)]
    fn note_backwards(&mut self, at: &LineNumber) {
        self.backwards += 1;
        if self.backwards == 1 {
            self.first_backwards = text!("{}", at);
        }
    }

    #[inline(never)]
    fn note_timeless(&mut self, line: &[u8]) {
        self.timeless += usize::from(!line.trim_ascii().is_empty());
    }

    fn line(&mut self, at: &LineNumber, line: Line) {
        let now_ms = self.tell_time(at, line.bytes);
        let play = &mut self.play;
        let outcomes = self.engine.line(line, now_ms);
        outcomes.for_each(|(rule, outcome)| play.outcome(at, rule, &outcome, now_ms));
        self.nearing.look(at, line.bytes, &self.engine);
        for index in self.play.spent.drain(..) {
            if let Some(rule) = self.engine.rule(index) {
                let next = first_unspent(rule, &self.play.leases);
                self.engine.select(index, next);
            }
        }
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.progress.clear();
        STDOUT.write_all(&self.play.out)?;
        self.play.out.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Errno> {
        self.flush()?;
        let elapsed_ms = clock::boot_time_ms().saturating_sub(self.started_ms).max(1);
        let rate = self.lines as u64 * 1000 / elapsed_ms;
        let mut summary = text!(
            "{} line{s} in {} s, {} lines/s\n",
            self.lines,
            Seconds(elapsed_ms),
            rate
        );
        for (index, (rule, counters, _)) in self.engine.report().enumerate() {
            put!(
                &mut summary,
                "rule {:?}: {} line{s} passed the filter, {} knock{s}",
                rule.name,
                counters.passed,
                counters.knocks
            );
            if counters.nobodys > 0 {
                put!(&mut summary, ", {} line{s} without a key", counters.nobodys);
            }
            if counters.ignored > 0 {
                put!(&mut summary, ", {} line{s} to be ignored", counters.ignored);
            }
            summary.push(b'\n');
            if counters.passed + counters.ignored == 0 {
                self.nearing.put(index, &mut summary);
            }
        }
        let left = self.play.leases.count();
        if left > 0 {
            put!(
                &mut summary,
                "{} lease{s} open at the end of the log\n",
                left
            );
        }
        if self.clock.is_some() && self.time_ms.is_none() {
            put!(
                &mut summary,
                "time limits were not applied: no line has a time stamp that can be read\n"
            );
        } else if self.timeless > 0 {
            put!(
                &mut summary,
                "{} line{s} without a time stamp that can be read, taken for time limits to be as old as the line before\n",
                self.timeless
            );
        }
        if self.backwards > 0 {
            put!(
                &mut summary,
                "time goes backwards {} time{s}, first at line {}: time limits mean nothing there\n",
                self.backwards,
                &self.first_backwards
            );
        }
        // Nobody is left to be told when this fails.
        let _ = STDERR.write_all(&summary);
        Ok(())
    }
}

/// A line without what does not belong to it; none if there is nothing of that.
fn trimmed(line: &[u8]) -> Option<&[u8]> {
    let text = one_line(line).bytes;
    (text.len() < line.len()).then_some(text)
}

/// How many complete lines these are.
fn count_lines(text: &[u8]) -> usize {
    count_byte(text, b'\n')
}

/// Which line an event belongs to. Few lines have an event: they are counted when one has.
struct LineNumber<'l> {
    /// The log's name and a colon, if there are several.
    prefix: &'l [u8],
    /// The line's number, but for the lines below.
    number: Cell<usize>,
    /// Lines before it that have not been counted.
    before: Cell<&'l [u8]>,
}

impl Put for LineNumber<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let number = self.number.get() + count_lines(self.before.take());
        self.number.set(number);
        put!(out, "{}{}", self.prefix, number);
    }
}

/// Plays the daemon's part: keeps leases and writes down what it would do.
struct Play {
    leases: Box<Leases>,
    max_leases: usize,
    /// Rules whose current one-time sequence has just been spent.
    spent: Vec<usize>,
    /// To explain lines with.
    scratch: Scratch,
    /// What has not been written yet.
    out: Vec<u8>,
}

impl Play {
    fn outcome(&mut self, at: &LineNumber, rule: &Rule, outcome: &Outcome, now_ms: u64) {
        let mut key = &outcome.key[..];
        let detail = match &outcome.meaning {
            Meaning::Knock(knock) => return self.knock(at, rule, knock, now_ms),
            Meaning::Progress(change) => {
                let mut detail = text!(" {}", change);
                self.put_reason(rule, outcome.line, change, &mut detail);
                detail
            }
            Meaning::Nobodys => {
                key = b"no key";
                text!(": none of the filter's groups took part, passed over")
            }
            Meaning::KeyTooLong => text!(": longer than a key can be, passed over"),
            Meaning::Ignored => text!(": passed over, \"ignore\" matches"),
            Meaning::IgnoredHost => text!(": passed over, it is one of \"ignore_hosts\""),
        };
        self.event(at, "", rule.name.as_bytes(), key, &detail);
    }

    /// Says why a line brought its key no further: which step was due, and what the line is instead.
    fn put_reason(&mut self, rule: &Rule, line: Text, change: &Change, out: &mut Vec<u8>) {
        let before = reached(change.before);
        let current = first_unspent(rule, &self.leases).and_then(|index| rule.sequences.get(index));
        let Some(sequence) = current.filter(|_| reached(change.after) <= before) else {
            return;
        };
        if change.late != 0 {
            return put!(out, ": \"within\" has passed, the sequence starts over");
        }
        // The engine tries only those steps that count.
        let matched = sequence.matched(line, Steps::MAX, &mut Places::default(), &mut self.scratch);
        let is_latest = before > 0 && matched >> (before - 1) & 1 != 0;
        if is_latest && rule.repeats {
            return put!(out, ": repeated");
        }
        let due = sequence.steps.get(before as usize).map(Regex::pattern);
        let due = due.unwrap_or_default();
        put!(out, ": step {} is {:?}, this is ", before + 1, due);
        match matched {
            0 => put!(out, "no step"),
            _ if is_latest => put!(out, "step {} again (see \"repeats\")", before),
            _ => put!(out, "step {}", matched.trailing_zeros() + 1),
        }
        if before > 0 {
            put!(out, "; the sequence starts over");
        }
    }

    fn knock(&mut self, at: &LineNumber, rule: &Rule, knock: &Knock, now_ms: u64) {
        self.event(at, "knock ", rule.name.as_bytes(), &knock.key, &"");
        let job = match job(rule, knock) {
            Ok(job) => job,
            Err(reason) => return put!(&mut self.out, "{}:   refused: {}\n", at, reason),
        };
        let now = Now {
            ms: now_ms,
            wall_s: 0,
        };
        let found = self.leases.find(&job.rule, &job.key);
        let terms = match (found, terms(rule, &job, &self.leases, self.max_leases, now)) {
            (None, Ok(terms)) => terms,
            (None, Err(reason)) => return put!(&mut self.out, "{}:   refused: {}\n", at, reason),
            (Some(_), _) => None,
        };
        for id in ends(rule, &job, &self.leases, found.is_none()) {
            self.leases.apply(id, Note::Until(now_ms, 0));
        }
        self.close_due(at, now_ms);
        if let (Some(id), Some((deadline_ms, end_s))) = (found, deadlines(rule, now)) {
            self.event(at, "renew ", rule.name.as_bytes(), &knock.key, &"");
            self.leases.renew(id, deadline_ms, end_s);
            self.leases.next_renewed();
        } else {
            if let Some(terms) = terms {
                self.event(at, "open ", rule.name.as_bytes(), &knock.key, &"");
                let id = self.leases.open(terms);
                self.leases.begin(id, Event::Open);
            }
            put_commands(at, job.commands(Event::Open), &mut self.out);
        }
        if rule.one_time {
            self.leases.spend(sequence(rule, knock.sequence));
            self.spent.push(knock.rule);
        }
    }

    /// Closes the leases whose time has come.
    fn close_due(&mut self, at: &LineNumber, now_ms: u64) {
        while let Some((id, job)) = self.leases.next_due(now_ms) {
            if self.leases.begin(id, Event::Close) == Verdict::Go {
                self.event(at, "close ", &job.rule, &job.key, &"");
                put_commands(at, job.commands(Event::Close), &mut self.out);
            } else {
                let why = ": another lease holds the same open";
                self.event(at, "end ", &job.rule, &job.key, &why);
            }
            self.leases.apply(id, Note::Close);
        }
    }

    fn event(&mut self, at: &LineNumber, what: &str, rule: &[u8], key: &[u8], detail: &dyn Put) {
        put!(&mut self.out, "{}: {}{:?} ", at, what, rule);
        put_escaped(key, &mut self.out);
        detail.put(&mut self.out);
        self.out.push(b'\n');
    }
}

fn put_commands(at: &LineNumber, commands: &[Vec<u8>], out: &mut Vec<u8>) {
    for words in commands {
        put!(out, "{}:   run ", at);
        put_shell_words(words, out);
        out.push(b'\n');
    }
}

/// Reads what there is, waiting for it where the descriptor (a FIFO, say) does not.
fn read_some(fd: &Fd, room: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match fd.read(room) {
            Err(Errno::EAGAIN) => poll(&mut [Poll::reading(fd)], NEVER)?,
            answer => return answer,
        };
    }
}

/// Milliseconds as seconds with two decimals.
struct Seconds(u64);

impl Put for Seconds {
    fn put(&self, out: &mut Vec<u8>) {
        let (seconds, hundredths) = (self.0 / 1000, self.0 % 1000 / 10);
        put!(out, "{}.{}{}", seconds, hundredths / 10, hundredths % 10);
    }
}

/// How far a long replay has come, for those who wait for it at a terminal.
struct Progress {
    on_terminal: bool,
    shown: bool,
    show_at_ms: u64,
    size: u64,
    read: u64,
}

impl Progress {
    fn new() -> Progress {
        Progress {
            on_terminal: STDERR.is_terminal(),
            shown: false,
            show_at_ms: clock::boot_time_ms() + PROGRESS_MS,
            size: 0,
            read: 0,
        }
    }

    /// Begins with a log of `size` bytes; 0 if nobody knows.
    fn begin(&mut self, size: u64) {
        self.size = size;
        self.read = 0;
    }

    fn add(&mut self, bytes: usize, lines: usize) {
        self.read = self.read.saturating_add(bytes as u64);
        if !self.on_terminal {
            return;
        }
        let now_ms = clock::boot_time_ms();
        if now_ms < self.show_at_ms {
            return;
        }
        self.show_at_ms = now_ms + PROGRESS_MS;
        self.shown = true;
        let mut text = text!("\r\x1b[K{} lines", lines);
        if let Some(percent) = self.read.saturating_mul(100).checked_div(self.size) {
            put!(&mut text, ", {} %", percent.min(100));
        }
        let _ = STDERR.write_all(&text);
    }

    fn clear(&mut self) {
        if core::mem::take(&mut self.shown) {
            let _ = STDERR.write_all(b"\r\x1b[K");
        }
    }
}
