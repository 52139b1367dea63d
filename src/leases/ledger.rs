//! The leases in memory and their record on disk, kept in agreement.
//!
//! * What is opened or spent is written before anything that depends on it happens ([`Ledger::commit`]);
//!   what cannot be written has not happened.
//! * What is closed, and a deadline that was moved, is written after it ([`Ledger::store`]), and again until
//!   it succeeds: until then, a restart would only close sooner, or once more. Moved deadlines are written
//!   once for all knocks of a turn, so that nobody can make us write to flash as fast as we read.
//! * A record that cannot be used is set aside. Nobody knows then which one-time sequences are spent, so
//!   all of them count as spent until somebody decides.

use crate::backoff::Backoff;
use crate::leases::lease::Leases;
use crate::leases::record::{Found, Record};
use crate::log::Log;
use crate::sys::fd::poll;
use crate::sys::{Errno, Result};
use alloc::vec::Vec;

/// Whether the configuration has rules that need a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Leases or one-time sequences.
    Required,
    /// None of them; what an earlier run has left is closed all the same.
    Leftovers,
}

/// Leases and their record.
pub struct Ledger {
    /// What is open and what is spent. Changes are to be followed by [`Ledger::store`].
    pub leases: Leases,
    /// None if what is on disk can neither be read nor set aside: it must not be overwritten.
    record: Option<Record>,
    /// When to write the record again, if it could not be written.
    unsaved: Backoff,
}

impl Ledger {
    /// Goes on with what is recorded at `state`. `EAGAIN` if another process does.
    pub fn open(state: &str, need: Need, now_ms: u64, log: &mut Log) -> Result<Ledger> {
        let mut ledger = Ledger {
            leases: Leases::default(),
            record: None,
            unsaved: Backoff::default(),
        };
        let mut record = Record::new(state)?;
        if need == Need::Required {
            lock(&mut record, log)?;
        }
        match record.load()? {
            Found::Leases(leases) => {
                let count = leases.all().len();
                if count > 0 {
                    lock(&mut record, log)?;
                    say!(log, Info: "going on with {} recorded leases", count);
                }
                ledger.leases = leases;
                ledger.record = Some(record);
            }
            Found::Unusable(reason) => ledger.set_aside(record, &reason, now_ms, log),
        }
        Ok(ledger)
    }

    fn set_aside(&mut self, record: Record, reason: &[u8], now_ms: u64, log: &mut Log) {
        self.leases = Leases::after_loss();
        let path = record.path();
        match record.set_aside() {
            Ok(name) => {
                say!(log, Error: "record {:?} is unusable, now {:?}: {}", path, name, reason);
                self.record = Some(record);
                self.store(now_ms, log);
            }
            Err(errno) => {
                say!(log, Error: "record {:?} is unusable: {}; it cannot be set aside: {}",
                    path, reason, errno);
            }
        }
    }

    /// The record's path; none if it must not be touched.
    pub fn path(&self) -> Option<&[u8]> {
        self.record.as_ref().map(Record::path)
    }

    /// When to call [`Ledger::settle`] even though nothing has happened.
    pub fn deadline_ms(&self) -> u64 {
        self.unsaved.at_ms()
    }

    /// Writes `next` and makes it what is. The error says why it cannot be.
    pub fn commit(&mut self, next: Leases) -> core::result::Result<(), Vec<u8>> {
        self.save(&next)?;
        self.leases = next;
        Ok(())
    }

    /// Writes what is; if that fails, says so once and sets the time for another try.
    pub fn store(&mut self, now_ms: u64, log: &mut Log) {
        let leases = core::mem::take(&mut self.leases);
        let saved = self.save(&leases);
        self.leases = leases;
        match saved {
            Ok(()) => self.unsaved.succeed(),
            Err(reason) => {
                if self.unsaved.failures() == 0 {
                    say!(log, Error: "record of leases: {}; trying again", reason);
                }
                self.unsaved.fail(now_ms);
            }
        }
    }

    /// At the end of a turn: writes the deadlines that were moved, and what could not be written before.
    pub fn settle(&mut self, now_ms: u64, log: &mut Log) {
        if self.leases.has_renewed() {
            self.store(now_ms, log);
            while let Some(lease) = self.leases.next_renewed() {
                let seconds = lease.deadline_ms.saturating_sub(now_ms).div_ceil(1000);
                say!(log, Info: "rule {:?}: renewed for {}, closes in {} s",
                    lease.job.rule, lease.job.key, seconds);
            }
        } else if self.unsaved.is_due(now_ms) {
            self.store(now_ms, log);
        }
    }

    fn save(&mut self, leases: &Leases) -> core::result::Result<(), Vec<u8>> {
        let Some(record) = &mut self.record else {
            return Err(text!("the record on disk is unusable"));
        };
        let saved = record.save(leases);
        saved.map_err(|errno| text!("cannot write {:?}: {}", record.path(), errno))
    }
}

/// Tries to lock the record, and the milliseconds between them: a child that a killed daemon was about to
/// start holds the lock until it has become another program.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE_MS: u64 = 50;

/// Makes the record ours alone. Where it cannot be locked because its folder is missing or closed to us,
/// it cannot be written either, and that is told when it matters.
fn lock(record: &mut Record, log: &mut Log) -> Result<()> {
    let mut locked = record.lock();
    for _ in 1..LOCK_TRIES {
        if locked != Err(Errno::EAGAIN) {
            return Ok(());
        }
        poll(&mut [], Some(LOCK_PAUSE_MS))?;
        locked = record.lock();
    }
    if locked == Err(Errno::EAGAIN) {
        let path = record.path();
        say!(log, Error: "record {:?}: another process uses it", path);
        return locked;
    }
    Ok(())
}
