//! What knocks have opened and what will close it again; and which one-time sequences are spent.
//!
//! * A *lease* belongs to a rule and a key. It holds the filled-in commands that close again, so it can
//!   be closed whatever has become of the rule.
//! * All of this is plain state that is moved by calls with the time in them. It is written to disk as a
//!   whole (see `record`) before anything that depends on it happens, and it is read back from there; so
//!   every state it can be in must be one that a restart can go on from. After a crash nobody knows how
//!   far commands have come, so a lease read back is simply open until its deadline.
//! * A lease leaves the state when its revert has succeeded, and for no other reason but one: a newer
//!   lease of the same rule promises to run exactly the same commands later. To run them now would close
//!   what the newer one has opened.

use crate::backoff::Backoff;
use crate::json::{self, Kind, Value, put_json_string};
use crate::text::Put;
use alloc::string::String;
use alloc::vec::Vec;

/// How often a revert that failed is tried again before it is given up.
pub const RETRIES: u32 = 10;

/// Names a lease while the program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct LeaseId(u64);

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
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Lease {
    pub rule: String,
    pub key: String,
    /// When it was opened, on the clock of this boot. Zero if that was before this boot.
    pub opened_ms: u64,
    /// When it is to be closed, on the same clock.
    pub deadline_ms: u64,
    /// The commands that close it.
    pub revert: Vec<Vec<String>>,
    /// How long each of them may take, in milliseconds.
    pub action_timeout_ms: u64,
}

/// A lease in the list.
#[derive(Clone)]
struct Entry {
    id: LeaseId,
    phase: Phase,
    backoff: Backoff,
    lease: Lease,
}

/// A one-time sequence that has been used.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
struct Spent {
    rule: String,
    steps: Vec<String>,
}

/// How a closing came out.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Closed {
    /// The lease is gone.
    Done,
    /// It was left to a newer lease with the same commands.
    Superseded,
    /// It will be tried again after this many milliseconds.
    Retry(u64),
    /// It has failed too often.
    GivenUp,
}

/// All leases and all spent sequences.
#[derive(Clone, Default)]
pub struct Leases {
    entries: Vec<Entry>,
    spent: Vec<Spent>,
    last_id: u64,
}

impl Leases {
    /// Every lease, the oldest first, and where it stands.
    pub fn iter(&self) -> impl Iterator<Item = (&Lease, Phase)> {
        self.entries.iter().map(|entry| (&entry.lease, entry.phase))
    }

    /// Whether nothing is left to close.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is nothing to remember.
    pub fn is_blank(&self) -> bool {
        self.entries.is_empty() && self.spent.is_empty()
    }

    /// How many leases of a rule there are.
    pub fn count(&self, rule: &str) -> usize {
        let is_of_rule = |entry: &&Entry| entry.lease.rule == rule;
        self.entries.iter().filter(is_of_rule).count()
    }

    /// Moves the deadline of the open lease of `rule` and `key`; false if there is none.
    pub fn renew(&mut self, rule: &str, key: &str, deadline_ms: u64) -> bool {
        for Entry { phase, lease, .. } in &mut self.entries {
            if *phase == Phase::Open && lease.rule == rule && lease.key == key {
                lease.deadline_ms = deadline_ms;
                return true;
            }
        }
        false
    }

    /// Adds a lease.
    pub fn open(&mut self, lease: Lease) -> LeaseId {
        self.last_id = self.last_id.wrapping_add(1);
        let id = LeaseId(self.last_id);
        self.entries.push(Entry {
            id,
            phase: Phase::Open,
            backoff: Backoff::default(),
            lease,
        });
        id
    }

    /// Takes a lease out whose actions will never begin.
    pub fn cancel(&mut self, id: LeaseId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Makes every lease of a rule due.
    pub fn expire_rule(&mut self, rule: &str, now_ms: u64) {
        for Entry { lease, .. } in &mut self.entries {
            if lease.rule == rule {
                lease.deadline_ms = lease.deadline_ms.min(now_ms);
            }
        }
    }

    /// Makes every lease due, whatever has been tried before.
    pub fn expire_all(&mut self, now_ms: u64) {
        for entry in &mut self.entries {
            entry.lease.deadline_ms = entry.lease.deadline_ms.min(now_ms);
            if entry.phase != Phase::Closing {
                entry.phase = Phase::Open;
            }
        }
    }

    /// The next lease whose revert is to run now, marked as being closed.
    pub fn next_due(&mut self, now_ms: u64) -> Option<(LeaseId, &Lease)> {
        let is_due = |entry: &&mut Entry| entry.due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        let entry = self.entries.iter_mut().find(is_due)?;
        entry.phase = Phase::Closing;
        Some((entry.id, &entry.lease))
    }

    /// When [`Leases::next_due`] has something to say.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.entries.iter().filter_map(Entry::due_ms).min()
    }

    /// Notes how the revert of a lease came out.
    pub fn closed(&mut self, id: LeaseId, succeeded: bool, now_ms: u64) -> Closed {
        let Some(index) = self.entries.iter().position(|entry| entry.id == id) else {
            return Closed::Done;
        };
        if succeeded || self.is_superseded(index) {
            self.entries.remove(index);
            return match succeeded {
                true => Closed::Done,
                false => Closed::Superseded,
            };
        }
        // OK because position found it.
        let entry = &mut self.entries[index];
        entry.backoff.fail(now_ms);
        match entry.backoff.at_ms() {
            Some(at_ms) if entry.backoff.failures() <= RETRIES => {
                entry.phase = Phase::Failed;
                Closed::Retry(at_ms.saturating_sub(now_ms))
            }
            _ => {
                entry.phase = Phase::GivenUp;
                Closed::GivenUp
            }
        }
    }

    /// Whether another lease of the same rule, open now, will run the same commands later.
    fn is_superseded(&self, index: usize) -> bool {
        let Some(old) = self.entries.get(index) else {
            return false;
        };
        self.entries.iter().any(|new| {
            new.id != old.id
                && new.phase == Phase::Open
                && new.lease.rule == old.lease.rule
                && new.lease.revert == old.lease.revert
        })
    }

    /// Whether a one-time sequence has been used.
    pub fn is_spent<'s>(&self, rule: &str, steps: impl Iterator<Item = &'s str> + Clone) -> bool {
        self.spent.iter().any(|spent| {
            spent.rule == rule && spent.steps.iter().map(String::as_str).eq(steps.clone())
        })
    }

    /// Notes that a one-time sequence has been used.
    pub fn spend<'s>(&mut self, rule: &str, steps: impl Iterator<Item = &'s str>) {
        self.spent.push(Spent {
            rule: rule.into(),
            steps: steps.map(String::from).collect(),
        });
    }

    /// Appends the record: compact JSON, the format of which is
    ///
    /// ```text
    /// {"version":1,"boot":"…","leases":[{"rule":"…","key":"…","opened_ms":…,"deadline_ms":…,
    ///  "action_timeout_ms":…,"revert":[["…",…],…]},…],"spent":[{"rule":"…","steps":["…",…]},…]}
    /// ```
    ///
    /// `boot` names the boot whose clock the times are of.
    pub fn put_json(&self, boot: &str, out: &mut Vec<u8>) {
        put!(out, "{\"version\":1,\"boot\":", Json(boot), ",\"leases\":[");
        put_list(&self.entries, out, |entry, out| {
            let lease = &entry.lease;
            put!(
                out,
                "{\"rule\":",
                Json(&lease.rule),
                ",\"key\":",
                Json(&lease.key)
            );
            put!(out, ",\"opened_ms\":", lease.opened_ms);
            put!(out, ",\"deadline_ms\":", lease.deadline_ms);
            put!(
                out,
                ",\"action_timeout_ms\":",
                lease.action_timeout_ms,
                ",\"revert\":["
            );
            put_list(&lease.revert, out, |words, out| put_strings(words, out));
            put!(out, "]}");
        });
        put!(out, "],\"spent\":[");
        put_list(&self.spent, out, |spent, out| {
            put!(out, "{\"rule\":", Json(&spent.rule), ",\"steps\":");
            put_strings(&spent.steps, out);
            put!(out, "}");
        });
        put!(out, "]}\n");
    }

    /// Reads a record back. With another `boot` than the record's, every lease is due at once. The error
    /// says what is wrong with it.
    pub fn from_json(document: &[u8], boot: &str) -> Result<Leases, Vec<u8>> {
        let value =
            json::parse(document).map_err(|error| text!(error.message, " at byte ", error.at))?;
        Leases::from_value(&value, boot).ok_or_else(|| text!("not a record of leases"))
    }

    fn from_value(value: &Value, boot: &str) -> Option<Leases> {
        if number(value, "version")? != 1 {
            return None;
        }
        let same_boot = string(value, "boot")? == boot && !boot.is_empty();
        let mut leases = Leases::default();
        for item in list(value, "leases")? {
            let mut lease = Lease {
                rule: string(item, "rule")?.into(),
                key: string(item, "key")?.into(),
                opened_ms: number(item, "opened_ms")?,
                deadline_ms: number(item, "deadline_ms")?,
                action_timeout_ms: number(item, "action_timeout_ms")?,
                revert: list(item, "revert")?
                    .iter()
                    .map(strings)
                    .collect::<Option<_>>()?,
            };
            if !same_boot {
                lease.opened_ms = 0;
                lease.deadline_ms = 0;
            }
            leases.open(lease);
        }
        for item in list(value, "spent")? {
            leases.spent.push(Spent {
                rule: string(item, "rule")?.into(),
                steps: strings(&item.member("steps")?.value)?,
            });
        }
        Some(leases)
    }
}

impl Entry {
    fn due_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Open => Some(self.lease.deadline_ms),
            Phase::Failed => self.backoff.at_ms(),
            Phase::Closing | Phase::GivenUp => None,
        }
    }
}

/// A string as JSON has it.
struct Json<'a>(&'a str);

impl Put for Json<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put_json_string(self.0.as_bytes(), out);
    }
}

fn put_list<T>(items: &[T], out: &mut Vec<u8>, put_item: impl Fn(&T, &mut Vec<u8>)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_item(item, out);
    }
}

fn put_strings(strings: &[String], out: &mut Vec<u8>) {
    out.push(b'[');
    put_list(strings, out, |string, out| Json(string).put(out));
    out.push(b']');
}

fn string<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    as_string(&value.member(key)?.value)
}

fn as_string(value: &Value) -> Option<&str> {
    match &value.kind {
        Kind::String(text) => Some(text),
        _ => None,
    }
}

fn number(value: &Value, key: &str) -> Option<u64> {
    match &value.member(key)?.value.kind {
        Kind::Number(digits) => json::scaled(digits, 0),
        _ => None,
    }
}

fn list<'v>(value: &'v Value, key: &str) -> Option<&'v [Value]> {
    as_list(&value.member(key)?.value)
}

fn as_list(value: &Value) -> Option<&[Value]> {
    match &value.kind {
        Kind::Array(items) => Some(items),
        _ => None,
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    let string = |item| as_string(item).map(String::from);
    as_list(value)?.iter().map(string).collect()
}

#[cfg(test)]
mod tests;
