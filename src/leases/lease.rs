//! What knocks have opened and what will close it again; and which one-time sequences are spent.
//!
//! * A *lease* belongs to a rule and a key. It holds the filled-in commands that close again, so it can
//!   be closed whatever has become of the rule.
//! * All of this is plain state that is moved by calls with the time in them. It is written to disk as a
//!   whole (see `record`) before anything that depends on it happens, and it is read back from there; so
//!   every state it can be in must be one that a restart can go on from. After a crash nobody knows how
//!   far commands have come, so a lease read back is simply open until its deadline.
//! * A lease leaves the state when its revert has succeeded, and for no other reason but one: its revert
//!   has failed, and by now a newer lease of the same rule promises to run exactly the same commands
//!   later. To run them sooner would close what the newer one has opened.

use crate::backoff::{NEVER, delay_ms};
use crate::commands::job::{Job, LeaseId};
use crate::config::json::{self, Items, Value, put_json_string};
use crate::text::{Put, checksum, words};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// How often a revert that failed is tried again before it is given up.
pub const RETRIES: u32 = 10;

/// Where a lease stands.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Phase {
    /// It is open, or its actions are on their way.
    Open,
    /// Its revert is on its way.
    Closing,
    /// Its revert has failed and will be tried again.
    Failed,
    /// Its revert has failed too often. The record keeps it for the next start.
    GivenUp,
}

/// Something that was opened and is to be closed.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Lease {
    id: LeaseId,
    /// What closes it.
    pub job: Rc<Job>,
    /// When it was opened, on the clock of this boot. Zero if that was before this boot.
    pub opened_ms: u64,
    /// When it is to be closed, on the same clock.
    pub deadline_ms: u64,
    /// Where it stands.
    pub phase: Phase,
    /// When its revert is to run, for the first time or again.
    due_ms: u64,
    /// How often its revert has failed.
    failures: u32,
    /// Its deadline was moved since the record was written.
    renewed: bool,
}

impl Lease {
    fn has_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed | Phase::GivenUp)
    }
}

/// How a closing came out.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Closed {
    /// The lease is gone.
    Done,
    /// It will be tried again after this many milliseconds.
    Retry(u64),
    /// It has failed too often.
    GivenUp,
}

/// All leases and all spent sequences.
#[derive(Clone, Default)]
pub struct Leases {
    leases: Vec<Lease>,
    /// Each as the record has it: what is spent is remembered by its text.
    spent: Vec<Vec<u8>>,
    /// The record was lost, and with it what is spent: then everything is.
    spent_unknown: bool,
    /// A lease was opened or could not be closed since [`Leases::drop_superseded`] looked.
    unsettled: bool,
    last_id: u32,
}

impl Leases {
    /// Every lease, the oldest first.
    pub fn all(&self) -> &[Lease] {
        &self.leases
    }

    /// What to go on with when the record is lost: nothing is known to be open, and no one-time sequence
    /// is known not to be spent.
    pub fn after_loss() -> Leases {
        Leases {
            spent_unknown: true,
            ..Leases::default()
        }
    }

    /// Whether it is unknown which sequences are spent.
    pub fn is_spent_unknown(&self) -> bool {
        self.spent_unknown
    }

    /// How many leases of a rule there are.
    pub fn count(&self, rule: &str) -> usize {
        let is_of_rule = |lease: &&Lease| lease.job.rule == rule.as_bytes();
        self.leases.iter().filter(is_of_rule).count()
    }

    /// Moves the deadline of the open lease of `rule` and `key`; false if there is none.
    pub fn renew(&mut self, rule: &str, key: &[u8], deadline_ms: u64) -> bool {
        for lease in &mut self.leases {
            let job = &lease.job;
            if lease.phase == Phase::Open && job.rule == rule.as_bytes() && job.key == key {
                lease.deadline_ms = deadline_ms;
                lease.due_ms = deadline_ms;
                lease.renewed = true;
                return true;
            }
        }
        false
    }

    /// Whether a deadline was moved of which [`Leases::next_renewed`] has not told.
    pub fn has_renewed(&self) -> bool {
        self.leases.iter().any(|lease| lease.renewed)
    }

    /// The next lease whose deadline was moved and not told of yet.
    pub fn next_renewed(&mut self) -> Option<&Lease> {
        let lease = self.leases.iter_mut().find(|lease| lease.renewed)?;
        lease.renewed = false;
        Some(lease)
    }

    /// Adds a lease that `job` will close.
    pub fn open(&mut self, job: Rc<Job>, opened_ms: u64, deadline_ms: u64) -> LeaseId {
        self.unsettled = true;
        self.last_id = self.last_id.wrapping_add(1);
        let id = LeaseId(self.last_id);
        self.leases.push(Lease {
            id,
            job,
            opened_ms,
            deadline_ms,
            phase: Phase::Open,
            due_ms: deadline_ms,
            failures: 0,
            renewed: false,
        });
        id
    }

    /// Takes a lease out whose actions will never begin.
    pub fn cancel(&mut self, id: LeaseId) {
        self.leases.retain(|lease| lease.id != id);
    }

    /// Makes every lease of a rule due.
    pub fn expire_rule(&mut self, rule: &str, now_ms: u64) {
        for lease in &mut self.leases {
            if lease.job.rule == rule.as_bytes() {
                lease.deadline_ms = lease.deadline_ms.min(now_ms);
                if lease.phase == Phase::Open {
                    lease.due_ms = lease.deadline_ms;
                }
            }
        }
    }

    /// Makes every lease due, whatever has been tried before.
    pub fn expire_all(&mut self, now_ms: u64) {
        for lease in &mut self.leases {
            lease.deadline_ms = lease.deadline_ms.min(now_ms);
            if lease.phase != Phase::Closing {
                lease.phase = Phase::Failed;
                lease.due_ms = 0;
            }
        }
    }

    /// The next lease whose revert is to run now, marked as being closed, and that revert.
    pub fn next_due(&mut self, now_ms: u64) -> Option<(LeaseId, Rc<Job>)> {
        let is_due = |lease: &&mut Lease| lease.due_ms <= now_ms;
        let lease = self.leases.iter_mut().find(is_due)?;
        lease.phase = Phase::Closing;
        lease.due_ms = NEVER;
        Some((lease.id, lease.job.clone()))
    }

    /// When [`Leases::next_due`] has something to say.
    pub fn deadline_ms(&self) -> u64 {
        let due_ms = self.leases.iter().map(|lease| lease.due_ms);
        due_ms.fold(NEVER, u64::min)
    }

    /// Notes how the revert of a lease came out.
    pub fn closed(&mut self, id: LeaseId, succeeded: bool, now_ms: u64) -> Closed {
        let Some(index) = self.leases.iter().position(|lease| lease.id == id) else {
            return Closed::Done;
        };
        if succeeded {
            let Lease { job, .. } = self.leases.remove(index);
            // Others that the same commands were to close are closed by them, too.
            self.drop_failed(&job);
            return Closed::Done;
        }
        self.unsettled = true;
        // OK because position found it.
        let lease = &mut self.leases[index];
        let delay_ms = delay_ms(lease.failures);
        lease.failures += 1;
        if lease.failures > RETRIES {
            lease.phase = Phase::GivenUp;
            return Closed::GivenUp;
        }
        lease.phase = Phase::Failed;
        lease.due_ms = now_ms.saturating_add(delay_ms);
        Closed::Retry(delay_ms)
    }

    /// Takes out what could not be closed and what a newer lease of the same rule, open now, will close
    /// with the same commands; returns how many.
    pub fn drop_superseded(&mut self) -> usize {
        let before = self.leases.len();
        if core::mem::take(&mut self.unsettled) {
            // Many may be open, and few have failed.
            for failed in self.leases.clone() {
                let closes_it = |newer: &Lease| {
                    newer.phase == Phase::Open && newer.job.does_the_same_as(&failed.job)
                };
                if failed.has_failed() && self.leases.iter().any(closes_it) {
                    self.cancel(failed.id);
                }
            }
        }
        before - self.leases.len()
    }

    /// Takes out what `job` failed to close.
    fn drop_failed(&mut self, job: &Job) {
        self.leases
            .retain(|lease| !(lease.has_failed() && lease.job.does_the_same_as(job)));
    }

    /// Whether a one-time sequence has been used.
    pub fn is_spent(&self, rule: &str, steps: &mut dyn Iterator<Item = &str>) -> bool {
        self.spent_unknown || self.spent.contains(&spent(rule, steps))
    }

    /// Notes that a one-time sequence has been used.
    pub fn spend(&mut self, rule: &str, steps: &mut dyn Iterator<Item = &str>) {
        self.spent.push(spent(rule, steps));
    }

    /// Appends the record: compact JSON, the format of which is
    ///
    /// ```text
    /// {"version":1,"boot":"…","leases":[{"rule":"…","key":"…","opened_ms":…,"deadline_ms":…,
    ///  "action_timeout_ms":…,"revert":[["…",…],…]},…],"spent":[{"rule":"…","steps":["…",…]},…],"sum":…}
    /// ```
    ///
    /// with `"spent_unknown":true` before the sum where that is so. `boot` names the boot whose clock the times are
    /// of; the sum is the [`checksum`] of everything before its key.
    pub fn put_json(&self, boot: &str, out: &mut Vec<u8>) {
        let boot = Json(boot.as_bytes());
        put!(out, "{\"version\":1,\"boot\":{},\"leases\":[", boot);
        for lease in &self.leases {
            let Job { rule, key, .. } = &*lease.job;
            put!(out, "{\"rule\":{},\"key\":{},", Json(rule), Json(key));
            let (opened_ms, deadline_ms) = (lease.opened_ms, lease.deadline_ms);
            put!(
                out,
                "\"opened_ms\":{},\"deadline_ms\":{},",
                opened_ms,
                deadline_ms
            );
            put!(
                out,
                "\"action_timeout_ms\":{},\"revert\":[",
                lease.job.timeout_ms
            );
            for command in &lease.job.commands {
                out.push(b'[');
                for word in words(command) {
                    put!(out, "{},", Json(word));
                }
                end_list(out, "],");
            }
            end_list(out, "]},");
        }
        end_list(out, "],\"spent\":[");
        for spent in &self.spent {
            put!(out, "{},", spent);
        }
        end_list(out, "]");
        if self.spent_unknown {
            put!(out, ",\"spent_unknown\":true");
        }
        out.push(b',');
        out.extend(end_of(out));
    }

    /// Reads a record back at the time `now_ms`. With another `boot` than the record's, every lease is due
    /// at once. The error says what is wrong with it: a record of which any byte is not as it was written is none,
    /// for the byte might be one of a deadline or a command.
    pub fn from_json(document: &[u8], boot: &str, now_ms: u64) -> Result<Leases, Vec<u8>> {
        let value = json::parse(document)
            .map_err(|error| text!("{} at byte {}", error.message, error.at))?;
        let leases = Leases::from_value(value, document, boot, now_ms);
        leases.ok_or_else(|| text!("not a record of leases as it was written"))
    }

    fn from_value(value: Value, document: &[u8], boot: &str, now_ms: u64) -> Option<Leases> {
        let (before, end) = document.split_at_checked(value.key("sum")?.at(document))?;
        if number(value, "version")? != 1 || end != end_of(before) {
            return None;
        }
        let same_boot = bytes(value, "boot")? == boot.as_bytes() && !boot.is_empty();
        let mut leases = Leases::default();
        for item in list(value, "leases")? {
            leases.read_lease(item, same_boot, now_ms)?;
        }
        leases.spent_unknown = value.member("spent_unknown").is_some();
        for item in list(value, "spent")? {
            let mut spent = begin_spent(&bytes(item, "rule")?);
            for step in list(item, "steps")? {
                put!(&mut spent, "{},", Json(step.string()?.as_bytes()));
            }
            end_list(&mut spent, "]}");
            leases.spent.push(spent);
        }
        Some(leases)
    }

    fn read_lease(&mut self, item: Value, same_boot: bool, now_ms: u64) -> Option<()> {
        let mut job = Job {
            rule: bytes(item, "rule")?,
            key: Vec::new(),
            commands: Vec::new(),
            timeout_ms: number(item, "action_timeout_ms")?,
        };
        job.key = bytes(item, "key")?;
        for written in list(item, "revert")? {
            let mut command = Vec::new();
            for word in as_list(written)? {
                // OK because the record is as we have written it, and no word of ours has a NUL.
                put!(&mut command, "{}\0", word.string()?);
            }
            job.commands.push(command);
        }
        let mut times = (number(item, "opened_ms")?, number(item, "deadline_ms")?);
        if !same_boot {
            times = (0, 0);
        }
        self.open(Rc::new(job), times.0, times.1);
        if times.1 <= now_ms
            && let Some(lease) = self.leases.last_mut()
        {
            // Its revert may have been tried already.
            lease.phase = Phase::Failed;
        }
        Some(())
    }
}

/// A string as JSON has it.
struct Json<'a>(&'a [u8]);

impl Put for Json<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put_json_string(self.0, out);
    }
}

/// How a record ends: with the sum of what stands before.
fn end_of(record: &[u8]) -> Vec<u8> {
    text!("\"sum\":{}}\n", checksum(record))
}

/// Appends `end` to a list of which each item was written with a comma behind it.
fn end_list(out: &mut Vec<u8>, end: &str) {
    out.pop_if(|last| *last == b',');
    put!(out, "{}", end);
}

/// A one-time sequence as the record has it.
fn spent(rule: &str, steps: &mut dyn Iterator<Item = &str>) -> Vec<u8> {
    let mut out = begin_spent(rule.as_bytes());
    for step in steps {
        put!(&mut out, "{},", Json(step.as_bytes()));
    }
    end_list(&mut out, "]}");
    out
}

fn begin_spent(rule: &[u8]) -> Vec<u8> {
    text!("{\"rule\":{},\"steps\":[", Json(rule))
}

fn bytes(value: Value, key: &str) -> Option<Vec<u8>> {
    Some(value.member(key)?.string()?.into_bytes())
}

fn number(value: Value, key: &str) -> Option<u64> {
    value.member(key)?.scaled(0)
}

fn list<'v>(value: Value<'v>, key: &str) -> Option<Items<'v>> {
    as_list(value.member(key)?)
}

fn as_list(value: Value) -> Option<Items> {
    (value.first() == b'[').then(|| value.items())
}

#[cfg(test)]
mod tests;
