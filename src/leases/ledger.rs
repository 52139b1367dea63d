//! The leases in memory and their record on disk, kept in agreement: what happens to a lease happens here, to both.
//!
//! * What is opened or spent is written and synced before anything that depends on it happens ([`Ledger::open`]);
//!   what cannot be written has not happened.
//! * What is closed, and a deadline that was moved, is written after it and synced up to a second later: another process
//!   finds it at once, and after a power failure nothing is as it was anyway. If it cannot be written, the record is
//!   written whole as soon as it can. Whether a lease stands is not synced at all: that means nothing in another boot.
//! * The record is rewritten when it is twice as long as when that was done last: what is written is in proportion to
//!   what happens. Where it cannot be, that is tried again later and later; a knock tries at once, so that it opens as soon
//!   as there is room, but many of them not all the time.
//! * What is new is refused where the record would become longer than half of what a start reads. The other half is for
//!   what happens to it.
//! * A record that cannot be used is set aside. Nobody knows then which one-time sequences are spent, so
//!   all of them count as spent until somebody decides.
//! * A folder that is not there tells nothing: what is in it is read when it appears, before anything is written.

use crate::backoff::{Backoff, NEVER, after};
use crate::commands::job::LeaseId;
use crate::leases::journal::{put_note, put_open, put_spent};
use crate::leases::lease::{Lease, Leases, Note, Phase, Terms};
use crate::leases::record::{Found, MAX_RECORD, Record, Request};
use crate::log::Log;
use crate::sys::fd::poll;
use crate::sys::{Errno, Result};
use crate::text::Put;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Whether the configuration has rules that need a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Leases or one-time sequences.
    Required,
    /// None of them; what an earlier run has left is closed all the same.
    Leftovers,
}

/// Why the record is not used.
pub struct Refusal {
    pub kind: Kind,
    /// A sentence.
    pub reason: Vec<u8>,
}

/// What stands in the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The system, for now.
    Failed,
    /// It cannot be locked.
    Unlocked,
    /// Another process has locked it.
    Busy,
    /// It is no record.
    Foreign,
}

impl Refusal {
    fn new(kind: Kind, reason: Vec<u8>) -> Refusal {
        Refusal { kind, reason }
    }
}

/// What is known of the record on disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It is ours and has been read; this is its length, if lines can be added to it.
    Held(Option<usize>),
    /// It has not been read.
    Unread,
    /// It can neither be used nor set aside: it must not be overwritten.
    Untouchable,
}

/// After how long, at the latest, what was written without being synced is, in milliseconds.
const SYNC_MS: u64 = 1000;

/// What is added to a record, in bytes, before it is rewritten, however short it was.
const SLACK: usize = 4096;

/// How much of a record that could not be written knocks try to write, however many they are.
const BYTES_A_MS: usize = 4096;

const UNUSABLE: &str = "the record on disk is unusable";

/// Leases and their record.
pub struct Ledger {
    leases: Box<Leases>,
    record: Record,
    hold: Hold,
    need: Need,
    seed: u64,
    /// The record is rewritten when it is longer than that.
    limit: usize,
    /// When to sync what was written.
    sync_ms: u64,
    /// When to write the record again, if it could not be written.
    unsaved: Backoff,
    /// Until when no knock tries to write it whole, and why.
    refused: (u64, Errno),
    /// Which sequences are spent may have changed.
    spent_changed: bool,
}

impl Ledger {
    /// A ledger in which nothing is known yet.
    fn unread(state: &str, need: Need, seed: u64) -> Result<Ledger> {
        Ok(Ledger {
            leases: Leases::new(seed),
            record: Record::new(state, seed)?,
            hold: Hold::Unread,
            need,
            seed,
            limit: 0,
            sync_ms: NEVER,
            unsaved: Backoff::default(),
            refused: (0, Errno::EIO),
            spent_changed: true,
        })
    }

    /// Goes on with what is recorded at `state`. The seed is a secret for hash tables.
    #[inline(never)]
    pub fn load(
        state: &str,
        need: Need,
        now_ms: u64,
        seed: u64,
        log: &mut Log,
    ) -> core::result::Result<Ledger, Refusal> {
        let failed = |errno: Errno| Refusal::new(Kind::Failed, text!("{:?}: {}", state, errno));
        let mut ledger = Ledger::unread(state, need, seed).map_err(failed)?;
        let mut attached = ledger.attach(now_ms, log);
        for _ in 1..LOCK_TRIES {
            match &attached {
                Err(refusal) if refusal.kind == Kind::Busy => {}
                _ => break,
            }
            poll(&mut [], LOCK_PAUSE_MS).map_err(failed)?;
            attached = ledger.attach(now_ms, log);
        }
        match attached {
            // What cannot be locked cannot be written either; perhaps later.
            Err(refusal) if refusal.kind == Kind::Unlocked => {
                if need == Need::Required {
                    say!(log, Error: "{}: no lease can be opened", refusal.reason);
                }
                ledger.unsaved.fail(now_ms);
            }
            Err(refusal) if refusal.kind == Kind::Busy && need == Need::Leftovers => {}
            attached => attached?,
        }
        Ok(ledger)
    }

    /// Takes the record up if that was not possible before; one that is not needed and tells of nothing that is open is left
    /// alone. The error says why it still is not.
    pub fn attach(&mut self, now_ms: u64, log: &mut Log) -> core::result::Result<(), Refusal> {
        match self.hold {
            Hold::Held(_) => return Ok(()),
            Hold::Untouchable => return Err(Refusal::new(Kind::Failed, text!("{}", UNUSABLE))),
            Hold::Unread => {}
        }
        // Before anything of ours, a lock say, is put beside it.
        let found = self.found();
        let is_clear = match &found {
            Ok(found) => matches!(found, Found::Nothing),
            Err(refusal) => refusal.kind == Kind::Foreign,
        };
        if is_clear && self.need == Need::Leftovers {
            // An earlier run of ours has left nothing.
            self.unsaved.succeed();
            return Ok(());
        }
        found?;
        if let Err(errno) = self.record.lock() {
            let path = self.record.path();
            return Err(match errno {
                Errno::EAGAIN => Refusal::new(
                    Kind::Busy,
                    text!("record {:?}: another process uses it", path),
                ),
                _ => Refusal::new(Kind::Unlocked, self.record.unlocked(errno)),
            });
        }
        let read = self.read(now_ms, log);
        if read.is_err() {
            self.record.unlock();
        }
        read
    }

    /// What is on disk, if that is nothing but a record.
    fn found(&self) -> core::result::Result<Found, Refusal> {
        match self.record.load() {
            Ok(Found::Foreign(reason)) => {
                let refused = self.record.refused(&reason);
                Err(Refusal::new(Kind::Foreign, refused))
            }
            Ok(found) => Ok(found),
            Err(errno) => {
                let reason = text!("record {:?}: {}", self.record.path(), errno);
                Err(Refusal::new(Kind::Failed, reason))
            }
        }
    }

    /// Reads the record, which is locked, and goes on with it. It is written anew: as short as it can be, in this
    /// version, and whether it can be written is better known before the first knock.
    fn read(&mut self, now_ms: u64, log: &mut Log) -> core::result::Result<(), Refusal> {
        let found = self.found()?;
        self.spent_changed = true;
        self.hold = Hold::Held(None);
        let read = match found {
            Found::Record(document) => self.record.read(&document),
            Found::Unusable(reason) => Err(reason),
            // What is foreign has been refused.
            Found::Nothing | Found::Foreign(_) => Ok(Leases::new(self.seed)),
        };
        match read {
            Ok(leases) => {
                self.leases = leases;
                // Much may have happened to what is open since that was written, however late it is read.
                self.leases.want_checks();
                let count = self.leases.count();
                if count > 0 {
                    say!(log, Info: "going on with {} recorded lease{s}", count);
                }
            }
            Err(reason) => {
                self.leases = Leases::after_loss(self.seed);
                let path = self.record.path();
                match self.record.set_aside() {
                    Ok(name) => {
                        say!(log, Error: "record {:?} is unusable, now {:?}: {}", path, name, reason);
                    }
                    Err(errno) => {
                        say!(log, Error: "record {:?} is unusable: {}; it cannot be set aside: {}",
                            path, reason, errno);
                        self.hold = Hold::Untouchable;
                    }
                }
            }
        }
        self.store(now_ms, log);
        if self.need == Need::Leftovers && self.leases.count() == 0 {
            // Somebody else may need it.
            self.record.unlock();
            self.hold = Hold::Unread;
            self.unsaved.succeed();
        }
        Ok(())
    }

    /// Goes on in another place, where everything is written before the record here is left, if it is not the same place
    /// by another name. Where nothing has been read yet, it is from now on, later if it cannot be at once. The error says
    /// why not.
    #[inline(never)]
    pub fn relocate(
        &mut self,
        state: &str,
        need: Need,
        now_ms: u64,
        log: &mut Log,
    ) -> core::result::Result<(), Vec<u8>> {
        if self.record.path() == state.as_bytes() {
            self.need = need;
            if need == Need::Required && self.hold == Hold::Unread {
                self.unsaved.fail(now_ms);
            }
            return Ok(());
        }
        let other = Ledger::unread(state, need, self.seed);
        let mut other = other.map_err(|errno| text!("{}", errno))?;
        if self.hold == Hold::Unread && self.leases.count() == 0 {
            // Nothing is to be taken along.
            *self = other;
            self.unsaved.fail(now_ms);
            return Ok(());
        }
        // For what is taken along.
        other.need = Need::Required;
        let refused = |refusal: Refusal| refusal.reason;
        other.found().map_err(refused)?;
        if self.record.take_name(&mut other.record) {
            return Ok(());
        }
        other.attach(now_ms, log).map_err(refused)?;
        if other.leases.count() > 0 || other.leases.has_spent() {
            return Err(text!("{:?} holds another record already", state));
        }
        core::mem::swap(&mut self.leases, &mut other.leases);
        match other.rewrite(&[], now_ms) {
            Ok(()) => {
                let path = self.record.path();
                say!(log, Info: "record: now {:?} instead of {:?}", state, path);
                // What is written there now is that nothing is open.
                if matches!(self.hold, Hold::Held(_)) {
                    let _ = self.rewrite(&[], now_ms);
                }
                *self = other;
                Ok(())
            }
            Err(reason) => {
                core::mem::swap(&mut self.leases, &mut other.leases);
                Err(reason)
            }
        }
    }

    /// What somebody asks for by hand.
    pub fn request(&self) -> Option<Request> {
        self.record.request()
    }

    /// Says that it has been dealt with.
    pub fn forget_request(&self) {
        if self.hold != Hold::Unread {
            self.record.forget_request();
        }
    }

    /// The leases; they are changed through the ledger.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The leases, for what the record does not tell of.
    pub fn leases_mut(&mut self) -> &mut Leases {
        &mut self.leases
    }

    /// The record's path.
    pub fn path(&self) -> &[u8] {
        self.record.path()
    }

    /// Whether since the last call another set of sequences may be spent.
    pub fn take_spent_changed(&mut self) -> bool {
        core::mem::take(&mut self.spent_changed)
    }

    /// When to call [`Ledger::settle`] even though nothing has happened.
    pub fn deadline_ms(&self) -> u64 {
        match self.is_long() {
            true => 0,
            false => self.unsaved.at_ms().min(self.sync_ms),
        }
    }

    /// Opens a lease, ends those that end with it, and spends a sequence, which may each be none. The error says why
    /// that cannot be recorded; then nothing has happened.
    pub fn open(
        &mut self,
        terms: Option<Terms>,
        ends: &[LeaseId],
        spent: Vec<u8>,
        now_ms: u64,
        log: &mut Log,
    ) -> core::result::Result<Option<LeaseId>, Vec<u8>> {
        let mut line = Vec::new();
        match &terms {
            Some(terms) => put_open(self.leases.next_slot(), terms, ends, &spent, &mut line),
            None if spent.is_empty() => return Ok(None),
            None => put_spent(&spent, &mut line),
        }
        self.append(&line, true, now_ms)?;
        if !spent.is_empty() {
            self.spent_changed = true;
            self.leases.spend(spent);
        }
        let id = terms.map(|terms| self.leases.open(terms));
        if id.is_some() {
            for end in ends {
                self.leases.apply(*end, Note::Until(now_ms, 0));
            }
        }
        // It stands there. If that does not reach the disk, all is written anew, and this with it.
        self.sync(now_ms, log);
        Ok(id)
    }

    /// Makes what happens to leases come true and writes it down.
    pub fn note(&mut self, ids: &[LeaseId], note: Note, now_ms: u64, log: &mut Log) {
        let mut lines = Vec::new();
        for id in ids {
            if self.leases.get(*id).is_some() {
                self.leases.apply(*id, note);
                put_note(*id, note, now_ms, &mut lines);
            }
        }
        let sync_ms = self.sync_ms;
        // What is written whole later needs no line.
        if !lines.is_empty()
            && self.unsaved.failures() == 0
            && let Err(reason) = self.append(&lines, false, now_ms)
        {
            self.fail(&reason, now_ms, log);
        }
        if let Note::Stands(_) = note {
            self.sync_ms = sync_ms;
        }
    }

    /// Has leases closed now.
    pub fn expire(&mut self, ids: &[LeaseId], now_ms: u64, log: &mut Log) {
        self.note(ids, Note::Until(now_ms, 0), now_ms, log);
        for id in ids {
            self.leases.hurry(*id);
        }
    }

    /// At the end of a turn: writes the deadlines that were moved, and what could not be written before.
    pub fn settle(&mut self, now_ms: u64, log: &mut Log) {
        while let Some(id) = self.leases.next_renewed() {
            // One that has been closed since was moved for nothing.
            if let Some(Lease { terms, phase, .. }) = self.leases.get(id)
                && *phase == Phase::Open
            {
                let (job, deadline_ms) = (terms.job.clone(), terms.deadline_ms);
                let note = Note::Until(deadline_ms, terms.end_s);
                self.note(&[id], note, now_ms, log);
                let closes = ClosesIn(deadline_ms, now_ms);
                say!(log, Info: "rule {:?}: renewed for {}{}", job.rule, job.key, closes);
            }
        }
        if self.unsaved.is_due(now_ms) {
            match self.attach(now_ms, log) {
                Ok(()) => self.store(now_ms, log),
                // What is left there is whose it is.
                Err(refusal) if refusal.kind == Kind::Busy && self.need == Need::Leftovers => {
                    self.unsaved.succeed();
                }
                Err(_) => self.unsaved.fail(now_ms),
            }
        }
        if self.is_long() {
            // If that cannot be, it can wait.
            self.limit *= 2;
            let _ = self.rewrite(&[], now_ms);
        }
        if self.sync_ms <= now_ms {
            self.sync(now_ms, log);
        }
    }

    fn is_long(&self) -> bool {
        matches!(self.hold, Hold::Held(Some(length)) if length > self.limit)
    }

    /// Has everything that was written reach the disk.
    pub fn sync(&mut self, now_ms: u64, log: &mut Log) {
        let was_written = core::mem::replace(&mut self.sync_ms, NEVER) != NEVER;
        if self.unsaved.failures() > 0 || was_written && self.record.sync().is_err() {
            self.store(now_ms, log);
        }
    }

    /// Writes lines, which are to be synced now or soon. Where everything is written instead, what `is_new` is put
    /// behind it; the rest has happened already.
    fn append(
        &mut self,
        lines: &[u8],
        is_new: bool,
        now_ms: u64,
    ) -> core::result::Result<(), Vec<u8>> {
        match self.hold {
            Hold::Held(_) => {}
            Hold::Unread => return Err(text!("the record on disk has not been read")),
            Hold::Untouchable => return Err(text!("{}", UNUSABLE)),
        }
        if let Hold::Held(Some(length)) = self.hold
            && length + lines.len() <= limit(is_new)
        {
            // Until it has gone well there may be a part of a line, or one may be missing.
            self.hold = Hold::Held(None);
            match self.record.append(length, lines) {
                Ok(true) => {
                    self.hold = Hold::Held(Some(length + lines.len()));
                    let soon_ms = after(now_ms, SYNC_MS);
                    self.sync_ms = self.sync_ms.min(soon_ms);
                    return Ok(());
                }
                Ok(false) => {}
                Err(errno) => return Err(self.unwritten(errno)),
            }
        }
        match self.refused {
            (until_ms, errno) if is_new && now_ms < until_ms => Err(self.unwritten(errno)),
            _ => self.rewrite(if is_new { lines } else { &[] }, now_ms),
        }
    }

    fn unwritten(&self, errno: Errno) -> Vec<u8> {
        text!("cannot write {:?}: {}", self.record.path(), errno)
    }

    /// Writes what is, with what is about to happen behind it.
    fn rewrite(&mut self, lines: &[u8], now_ms: u64) -> core::result::Result<(), Vec<u8>> {
        let mut document = self.record.whole(&self.leases);
        document.extend_from_slice(lines);
        let replaced = match document.len() <= limit(!lines.is_empty()) {
            true => self.record.replace(&document),
            false => Err(Errno::EFBIG),
        };
        if let Err(errno) = replaced {
            let pause_ms = document.len() / BYTES_A_MS;
            self.refused = (after(now_ms, pause_ms as u64), errno);
            return Err(self.unwritten(errno));
        }
        self.hold = Hold::Held(Some(document.len()));
        self.limit = document.len() * 2 + SLACK;
        self.sync_ms = NEVER;
        self.unsaved.succeed();
        Ok(())
    }

    /// Writes what is; if that fails, says so once and sets the time for another try.
    fn store(&mut self, now_ms: u64, log: &mut Log) {
        if matches!(self.hold, Hold::Held(_))
            && let Err(reason) = self.rewrite(&[], now_ms)
        {
            self.fail(&reason, now_ms, log);
        }
    }

    fn fail(&mut self, reason: &[u8], now_ms: u64, log: &mut Log) {
        if self.unsaved.failures() == 0 {
            say!(log, Error: "record of leases: {}; trying again", reason);
        }
        if let Hold::Held(_) = self.hold {
            self.hold = Hold::Held(None);
        }
        self.unsaved.fail(now_ms);
    }
}

/// How long a record may become by what is new, and by what happens to that.
fn limit(is_new: bool) -> usize {
    if is_new { MAX_RECORD / 2 } else { MAX_RECORD }
}

/// When a lease closes, behind what else is said of it.
pub struct ClosesIn(pub u64, pub u64);

impl Put for ClosesIn {
    fn put(&self, out: &mut Vec<u8>) {
        if self.0 != NEVER {
            let seconds = self.0.saturating_sub(self.1).div_ceil(1000);
            put!(out, ", closes in {} s", seconds);
        }
    }
}

/// Tries to lock the record, and the milliseconds between them: a child that a killed daemon was about to
/// start holds the lock until it has become another program.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE_MS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::job::{Event, Job};
    use crate::log::{Level, Target};
    use std::borrow::ToOwned;
    use std::path::PathBuf;
    use std::string::String;

    /// A folder of this test's that is not there yet, the path of a record in it, and a log.
    fn place(name: &str) -> (PathBuf, String, Log) {
        let folder = std::env::temp_dir().join(std::format!("{name}-{}", std::process::id()));
        let state = folder.join("state").to_str().expect("its name").to_owned();
        (folder, state, Log::new(Target::Stderr, Level::Error))
    }

    /// Opens something that can be checked.
    fn open(ledger: &mut Ledger, log: &mut Log) {
        let terms = Terms {
            job: alloc::rc::Rc::new(Job {
                commands: [Vec::new(), std::vec![text!("look\0")], Vec::new()],
                ..Job::default()
            }),
            opened_ms: 1,
            deadline_ms: NEVER,
            end_s: 0,
        };
        let opened = ledger.open(Some(terms), &[], Vec::new(), 1, log);
        assert!(opened.is_ok());
    }

    #[test]
    fn a_record_never_becomes_longer_than_what_a_start_reads() {
        let folder = std::env::temp_dir().join(std::format!("ledger-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join("state");
        let length = || std::fs::metadata(&path).expect("a record").len() as usize;
        let state = path.to_str().expect("its name");
        let mut log = Log::new(Target::Stderr, Level::Error);
        let load = |log: &mut Log| match Ledger::load(state, Need::Required, 0, 1, log) {
            Ok(ledger) => ledger,
            Err(refusal) => panic!("{}", std::string::String::from_utf8_lossy(&refusal.reason)),
        };
        let terms = |key: usize| Terms {
            job: alloc::rc::Rc::new(Job {
                rule: b"door".to_vec(),
                key: text!("{}", key),
                commands: [
                    Vec::new(),
                    Vec::new(),
                    std::vec![text!("close\0{}\0", key); 20],
                ],
                ..Job::default()
            }),
            opened_ms: 0,
            deadline_ms: NEVER,
            end_s: 0,
        };
        let mut ledger = load(&mut log);
        let mut now_ms = 0;
        let mut open = Vec::new();
        let refusal = loop {
            now_ms += 100;
            match ledger.open(Some(terms(open.len())), &[], Vec::new(), now_ms, &mut log) {
                Ok(id) => open.extend(id),
                Err(reason) => break reason,
            }
        };
        assert!(refusal.ends_with(b"File too large (errno 27)"));
        assert!(open.len() > 50 && length() <= MAX_RECORD / 2);
        // What happens to those that are open has room, for ever.
        for _ in 0..500 {
            ledger.note(&open, Note::Stands(true), now_ms, &mut log);
            ledger.settle(now_ms, &mut log);
            assert!(length() <= MAX_RECORD);
        }
        // What was closed makes room, however long the record is.
        ledger.note(&open[..9], Note::Close, now_ms, &mut log);
        while length() <= MAX_RECORD / 2 {
            ledger.note(&open, Note::Stands(true), now_ms, &mut log);
        }
        let opened = ledger.open(Some(terms(0)), &[], Vec::new(), now_ms + 100, &mut log);
        assert!(opened.is_ok() && length() <= MAX_RECORD / 2);
        drop(ledger);
        assert_eq!(load(&mut log).leases().count(), open.len() - 8);
        std::fs::remove_dir_all(folder).expect("it can be removed");
    }

    #[test]
    fn what_is_read_late_is_checked() {
        let (folder, state, mut log) = place("late");
        let mut load = |need| {
            Ledger::load(&state, need, 0, 1, &mut log)
                .ok()
                .expect("a ledger")
        };
        let mut late = load(Need::Leftovers);
        std::fs::create_dir(&folder).expect("a folder");
        open(&mut load(Need::Required), &mut log);
        // A child of another test may still hold the lock, until it has become another program.
        let attached = (0..5000).any(|_| {
            std::thread::sleep(core::time::Duration::from_millis(1));
            late.attach(1, &mut log).is_ok()
        });
        assert!(attached);
        let wanted = late.leases_mut().next_wanted();
        assert!(wanted.is_some_and(|(_, event)| event == Event::Check));
        std::fs::remove_dir_all(folder).expect("it can be removed");
    }

    #[test]
    fn a_record_that_is_not_needed_is_not_made_at_a_reload_either() {
        let (folder, _, mut log) = place("reload");
        std::fs::create_dir(&folder).expect("a folder");
        for (need, is_made) in [(Need::Leftovers, false), (Need::Required, true)] {
            let path = |name| folder.join(name).to_str().expect("its name").to_owned();
            let ledger = Ledger::load(&path("one"), Need::Leftovers, 0, 1, &mut log);
            let mut ledger = ledger.ok().expect("a ledger");
            assert!(ledger.relocate(&path("two"), need, 0, &mut log).is_ok());
            ledger.settle(9000, &mut log);
            assert_eq!(folder.join("two").exists(), is_made);
        }
        std::fs::remove_dir_all(folder).expect("it can be removed");
    }

    #[test]
    fn a_record_that_is_needed_since_a_reload_is_read_as_soon_as_it_is_there() {
        let (folder, state, mut log) = place("since");
        let ledger = Ledger::load(&state, Need::Leftovers, 0, 1, &mut log);
        let mut ledger = ledger.ok().expect("a ledger");
        assert!(ledger.relocate(&state, Need::Required, 0, &mut log).is_ok());
        assert!(ledger.attach(0, &mut log).is_err());
        std::fs::create_dir(&folder).expect("a folder");
        let due_ms = ledger.deadline_ms();
        ledger.settle(due_ms, &mut log);
        assert!(due_ms < 2000 && ledger.hold != Hold::Unread);
        assert_eq!(ledger.deadline_ms(), NEVER);
        std::fs::remove_dir_all(folder).expect("it can be removed");
    }

    #[test]
    fn a_record_that_is_not_needed_is_left_to_others_after_a_reload_too() {
        let (folder, two, mut log) = place("others");
        std::fs::create_dir(&folder).expect("a folder");
        let one = folder.join("one").to_str().expect("its name").to_owned();
        for is_used in [false, true] {
            let other = Ledger::load(&two, Need::Required, 0, 1, &mut log);
            let mut other = other.ok().filter(|_| is_used);
            if let Some(other) = &mut other {
                open(other, &mut log);
            }
            let ledger = Ledger::load(&one, Need::Leftovers, 0, 1, &mut log);
            let mut ledger = ledger.ok().expect("a ledger");
            let moved = ledger.relocate(&two, Need::Leftovers, 0, &mut log);
            ledger.settle(9000, &mut log);
            drop(other);
            // It may have been killed, and be about to go on.
            ledger.settle(99_000, &mut log);
            assert!(moved.is_ok() && ledger.deadline_ms() == NEVER);
            assert!(Ledger::load(&two, Need::Required, 0, 1, &mut log).is_ok());
        }
        std::fs::remove_dir_all(folder).expect("it can be removed");
    }
}
