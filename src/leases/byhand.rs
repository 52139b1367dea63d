//! Closing a lease by hand: `logknockd -x`.
//!
//! There is no socket. The one who asks leaves a request beside the record and wakes the daemon, which the lock on the
//! record tells of; the daemon takes the request away when every lease it is about has had its revert tried. What was
//! closed is what does not stand in the record any more.
//!
//! A request says what root is to do, so it is checked as the record is.

use crate::config::Config;
use crate::leases::record::{Found, Record};
use crate::sys::fd::poll;
use crate::sys::process::wake;
use crate::sys::{Errno, random_seed};
use alloc::vec::Vec;

/// Between two looks whether the daemon has dealt with it, in milliseconds.
const LOOK_MS: u64 = 50;

/// Stands for every key.
pub const ALL: &[u8] = b"*";

/// What is to be closed.
pub struct Request {
    /// The key, or [`ALL`].
    pub key: Vec<u8>,
    /// The rule; empty for all of them.
    pub rule: Vec<u8>,
}

impl Request {
    /// Whether a lease of this rule and key is meant.
    pub fn means(&self, rule: &[u8], key: &[u8]) -> bool {
        (self.key == ALL || self.key == key) && (self.rule.is_empty() || self.rule == rule)
    }
}

/// A rule and a key.
type Name = (Vec<u8>, Vec<u8>);

/// Has the running daemon close what is meant; what was closed, and what was not. The error says why nothing was.
pub fn close(config: &Config, request: &Request) -> Result<(Vec<u8>, Vec<u8>), Vec<u8>> {
    let fail = |errno: Errno| text!("record {:?}: {}", config.state, errno);
    let record = Record::new(&config.state, random_seed()).map_err(fail)?;
    let before = meant(&record, request)?;
    if before.is_empty() {
        return Err(text!("no such lease is open"));
    }
    let nobody = || text!("no logknockd is running that uses {:?}", config.state);
    record.holder().map_err(fail)?.ok_or_else(nobody)?;
    loop {
        match record.ask(&request.key, &request.rule) {
            Ok(()) => break,
            // Somebody else has asked for something.
            Err(Errno::EEXIST) => poll(&mut [], Some(LOOK_MS)).map_err(fail)?,
            Err(errno) => return Err(fail(errno)),
        }
        record.holder().map_err(fail)?.ok_or_else(nobody)?;
    }
    let holder = record.holder().map_err(fail)?.ok_or_else(nobody)?;
    wake(holder).map_err(fail)?;
    while record.is_asked() {
        poll(&mut [], Some(LOOK_MS)).map_err(fail)?;
        if record.holder().map_err(fail)?.is_none() {
            record.forget_request();
            return Err(text!("logknockd has ended"));
        }
    }
    let after = meant(&record, request)?;
    let (mut closed, mut left) = (Vec::new(), Vec::new());
    for name in before {
        let (rule, key) = &name;
        match after.contains(&name) {
            false => put!(&mut closed, "closed: {:?} {}\n", rule, key),
            true => put!(&mut left, "not closed, see the log: {:?} {}\n", rule, key),
        }
    }
    Ok((closed, left))
}

/// The leases that stand in the record and are meant.
fn meant(record: &Record, request: &Request) -> Result<Vec<Name>, Vec<u8>> {
    let reason = match record.load() {
        Ok(Found::Nothing) => return Ok(Vec::new()),
        Ok(Found::Journal(journal, _)) => {
            let mut names = Vec::new();
            for lease in journal.leases.all() {
                let job = &lease.terms.job;
                if request.means(&job.rule, &job.key) {
                    names.push((job.rule.clone(), job.key.clone()));
                }
            }
            return Ok(names);
        }
        Ok(Found::Unusable(reason) | Found::Foreign(reason)) => reason,
        Err(errno) => text!("{}", errno),
    };
    Err(text!("record {:?}: {}", record.path(), reason))
}
