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

use crate::backoff::Backoff;
use crate::json::{self, Kind, Value, put_json_string};
use crate::text::{Put, checksum};
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
    /// Its deadline was moved since the record was written.
    renewed: bool,
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
    /// The record was lost, and with it what is spent: then everything is.
    spent_unknown: bool,
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
        let is_of_rule = |entry: &&Entry| entry.lease.rule == rule;
        self.entries.iter().filter(is_of_rule).count()
    }

    /// Moves the deadline of the open lease of `rule` and `key`; false if there is none.
    pub fn renew(&mut self, rule: &str, key: &str, deadline_ms: u64) -> bool {
        for entry in &mut self.entries {
            let lease = &mut entry.lease;
            if entry.phase == Phase::Open && lease.rule == rule && lease.key == key {
                lease.deadline_ms = deadline_ms;
                entry.renewed = true;
                return true;
            }
        }
        false
    }

    /// Whether a deadline was moved since [`Leases::take_renewed`].
    pub fn has_renewed(&self) -> bool {
        self.entries.iter().any(|entry| entry.renewed)
    }

    /// The leases whose deadline was moved since this was last asked.
    pub fn take_renewed(&mut self) -> impl Iterator<Item = &Lease> {
        let renewed = |entry: &mut &mut Entry| core::mem::take(&mut entry.renewed);
        let entries = self.entries.iter_mut();
        entries.filter_map(move |mut entry| renewed(&mut entry).then_some(&entry.lease))
    }

    /// Adds a lease.
    pub fn open(&mut self, lease: Lease) -> LeaseId {
        self.last_id = self.last_id.wrapping_add(1);
        let id = LeaseId(self.last_id);
        self.entries.push(Entry {
            id,
            phase: Phase::Open,
            backoff: Backoff::default(),
            renewed: false,
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
                entry.phase = Phase::Failed;
                entry.backoff.begin();
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
        if succeeded {
            let Entry { lease, .. } = self.entries.remove(index);
            // Others that the same commands were to close are closed by them, too.
            self.entries.retain(|other| {
                let has_failed = matches!(other.phase, Phase::Failed | Phase::GivenUp);
                !(has_failed && other.lease.is_closed_like(&lease))
            });
            return Closed::Done;
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

    /// Takes out what could not be closed and what a newer lease of the same rule, open now, will close
    /// with the same commands; returns how many.
    pub fn drop_superseded(&mut self) -> usize {
        let before = self.entries.len();
        let open = |entry: &&Entry| entry.phase == Phase::Open;
        let open: Vec<Lease> = self
            .entries
            .iter()
            .filter(open)
            .map(|e| e.lease.clone())
            .collect();
        self.entries.retain(|old| {
            let has_failed = matches!(old.phase, Phase::Failed | Phase::GivenUp);
            !(has_failed && open.iter().any(|new| new.is_closed_like(&old.lease)))
        });
        before - self.entries.len()
    }

    /// Whether a one-time sequence has been used.
    pub fn is_spent<'s>(&self, rule: &str, steps: impl Iterator<Item = &'s str> + Clone) -> bool {
        self.spent_unknown
            || self.spent.iter().any(|spent| {
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
    ///  "action_timeout_ms":…,"revert":[["…",…],…]},…],"spent":[{"rule":"…","steps":["…",…]},…],"sum":…}
    /// ```
    ///
    /// with `"spent_unknown":true` before the sum where that is so. `boot` names the boot whose clock the times are
    /// of; the sum is the [`checksum`] of everything before its key.
    pub fn put_json(&self, boot: &str, out: &mut Vec<u8>) {
        put!(out, "{\"version\":1,\"boot\":{},\"leases\":[", Json(boot));
        put_list(&self.entries, out, |entry, out| {
            let lease = &entry.lease;
            put!(
                out,
                "{\"rule\":{},\"key\":{}",
                Json(&lease.rule),
                Json(&lease.key)
            );
            put!(out, ",\"opened_ms\":{}", lease.opened_ms);
            put!(out, ",\"deadline_ms\":{}", lease.deadline_ms);
            put!(
                out,
                ",\"action_timeout_ms\":{},\"revert\":[",
                lease.action_timeout_ms
            );
            put_list(&lease.revert, out, |words, out| put_strings(words, out));
            put!(out, "]}");
        });
        put!(out, "],\"spent\":[");
        put_list(&self.spent, out, |spent, out| {
            put!(out, "{\"rule\":{},\"steps\":", Json(&spent.rule));
            put_strings(&spent.steps, out);
            put!(out, "}");
        });
        put!(out, "]");
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
        let leases = Leases::from_value(&value, document, boot, now_ms);
        leases.ok_or_else(|| text!("not a record of leases as it was written"))
    }

    fn from_value(value: &Value, document: &[u8], boot: &str, now_ms: u64) -> Option<Leases> {
        let (before, end) = document.split_at_checked(value.member("sum")?.key_at)?;
        if number(value, "version")? != 1 || end != end_of(before) {
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
            let is_overdue = lease.deadline_ms <= now_ms;
            leases.open(lease);
            if is_overdue && let Some(entry) = leases.entries.last_mut() {
                // Its revert may have been tried already.
                entry.phase = Phase::Failed;
            }
        }
        leases.spent_unknown = value.member("spent_unknown").is_some();
        for item in list(value, "spent")? {
            leases.spent.push(Spent {
                rule: string(item, "rule")?.into(),
                steps: strings(&item.member("steps")?.value)?,
            });
        }
        Some(leases)
    }
}

impl Lease {
    /// Whether the commands that close it are those of `other`.
    fn is_closed_like(&self, other: &Lease) -> bool {
        self.rule == other.rule && self.revert == other.revert
    }
}

impl Entry {
    fn due_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Open => Some(self.lease.deadline_ms),
            Phase::Failed => Some(self.backoff.at_ms().unwrap_or(0)),
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

/// How a record ends: with the sum of what stands before.
fn end_of(record: &[u8]) -> Vec<u8> {
    text!("\"sum\":{}}\n", checksum(record))
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
