//! Closing a lease by hand: `logknockd -x`.
//!
//! There is no socket. The one who asks leaves a request beside the record and wakes the daemon, which the lock on the
//! record tells of; the daemon takes the request away when every lease it is about has had its revert tried. What was
//! closed is what does not stand in the record any more, if no other lease holds the same open.
//!
//! A request says what root is to do, so it is checked as the record is.

use crate::commands::job::Job;
use crate::config::Config;
use crate::leases::lease::{KEY, Lease, Phase, REVERT, common};
use crate::leases::record::{Record, Request};
use crate::sys::fd::poll;
use crate::sys::process::wake;
use crate::sys::{Errno, random_seed};
use alloc::vec::Vec;

/// Between two looks whether the daemon has dealt with it, in milliseconds.
const LOOK_MS: u64 = 50;

/// Has the running daemon close what is meant; what was closed, and what was not. The error says why nothing was.
pub fn close(config: &Config, request: &Request) -> Result<(Vec<u8>, Vec<u8>), Vec<u8>> {
    let fail = |errno: Errno| text!("record {:?}: {}", config.state, errno);
    let record = Record::new(&config.state, random_seed()).map_err(fail)?;
    let mut before = Vec::new();
    for lease in record.leases()?.all() {
        if request.means(&lease.terms.job) {
            before.push(lease.terms.job.clone());
        }
    }
    if before.is_empty() {
        return Err(text!("no such lease is open"));
    }
    let holder = || {
        let nobody = || text!("no logknockd is running that uses {:?}", config.state);
        let holder = record.holder();
        holder
            .map_err(|errno| record.unlocked(errno))?
            .ok_or_else(nobody)
    };
    let (asked, process) = loop {
        let process = holder()?;
        match record.ask(request) {
            Ok(asked) => break (asked, process),
            // Somebody else waits for what he has asked for.
            Err(Errno::EAGAIN) => poll(&mut [], LOOK_MS).map_err(fail)?,
            Err(errno) => return Err(fail(errno)),
        }
    };
    if let Err(errno) = wake(process) {
        record.forget_request();
        return Err(match errno {
            Errno::ENOENT => text!(
                "process {} that uses {:?} is no logknockd here: it may run in another container",
                process,
                config.state
            ),
            _ => fail(errno),
        });
    }
    while record.is_asked(&asked) {
        poll(&mut [], LOOK_MS).map_err(fail)?;
        if holder().is_err() {
            record.forget_request();
            return Err(text!(
                "logknockd has ended, or keeps its record elsewhere since a reload"
            ));
        }
    }
    let after = record.leases()?;
    let (mut closed, mut left) = (Vec::new(), Vec::new());
    for job in &before {
        let (Job { rule, key, .. }, mut alike) = (&**job, Vec::new());
        after.alike(KEY, &common(KEY, job), &mut alike);
        if !alike.is_empty() {
            put!(
                &mut left,
                "still in the record, see the log: {:?} {}\n",
                rule,
                key
            );
            continue;
        }
        // An open one would be the last.
        after.alike(REVERT, &common(REVERT, job), &mut alike);
        let last = alike.pop().and_then(|id| after.get(id));
        match last.filter(|lease| lease.phase == Phase::Open) {
            Some(Lease { terms, .. }) => {
                let other = &terms.job;
                put!(
                    &mut closed,
                    "ended: {:?} {}, but {:?} {} holds the same open\n",
                    rule,
                    key,
                    other.rule,
                    other.key
                );
            }
            None => put!(&mut closed, "closed: {:?} {}\n", rule, key),
        }
    }
    Ok((closed, left))
}
