//! The text of the record: leases and spent sequences to lines and back.
//!
//! A record is a journal, one JSON object a line:
//!
//! ```text
//! {"version":2,"boot":"…"}
//! {"open":3,"rule":"…","key":"…","opened_ms":…,"deadline_ms":…,"action_timeout_ms":…,"templates":…,
//!  "actions":[["…",…],…],"check":[…],"revert":[…],"sum":…}
//! {"until":3,"deadline_ms":…,"sum":…}
//! {"stands":3,"is":0,"sum":…}
//! {"given_up":3,"sum":…}
//! {"close":3,"sum":…}
//! {"spent":{"rule":"…","steps":["…",…]},"sum":…}
//! {"spent_unknown":true,"sum":…}
//! ```
//!
//! * The number is the slot of the lease. A lease that outlives a reboot has `"end_s"`, when it ends by the wall clock,
//!   and `"left_ms"`, how long it had left when that was written, beside each deadline. What belongs together stands in one
//!   line: `open` may have `"spent"`, `"ends":[…]`, the slots of leases that end when this one begins, and `"stands"`: it
//!   does not before its actions have succeeded.
//! * Each line has the [`checksum`] of what stands in it before: a line of which any byte is not as it was written is
//!   damage, for the byte might be one of a deadline or a command. Only a last line without its newline is none: whoever
//!   wrote it was stopped, and has not acted on it.
//! * The first line names the boot whose clock the times are of. It has no sum: another boot's it is whatever has become
//!   of the name, and then everything is closed.
//!
//! The first version was one object, `{"version":1,"boot":"…","leases":[…],"spent":[…],"sum":…}`; it is read, too.

use crate::commands::job::{Job, LeaseId, NAMES};
use crate::config::json::{self, Items, Value, put_json_string};
use crate::leases::lease::{Leases, Note, Terms};
use crate::text::{Put, checksum, words};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// What every record begins with.
const BEGIN: &[u8] = b"{\"version\":";

/// More leases than any record has.
const SLOTS: u64 = 1 << 24;

/// The time by both clocks.
#[derive(Clone, Copy)]
pub struct Now {
    /// Of this boot, in milliseconds.
    pub ms: u64,
    /// By the wall clock, in seconds since 1970; zero before.
    pub wall_s: u64,
}

/// Whether a file that is no record may be one that was damaged: it begins like one for the most part, or with zeros
/// that were never written, or has ended before. An empty one may be: nothing in it is lost.
pub fn may_be_ours(document: &[u8]) -> bool {
    let begin = document.get(..BEGIN.len()).unwrap_or(document);
    let alike = begin.iter().zip(BEGIN).filter(|(a, b)| a == b).count();
    alike > BEGIN.len() / 2 || alike == begin.len() || begin.iter().all(|byte| *byte == 0)
}

/// The whole record of what is.
pub fn whole(leases: &Leases, boot: &[u8], now_ms: u64) -> Vec<u8> {
    let mut out = text!("{\"version\":2,\"boot\":{}}\n", Json(boot));
    if leases.is_spent_unknown() {
        let start = out.len();
        put!(&mut out, "{\"spent_unknown\":true");
        end_line(start, &mut out);
    }
    for lease in leases.all() {
        let start = out.len();
        let slot = lease.id().slot;
        put_lease(slot, &lease.terms, lease.stands, now_ms, &mut out);
        end_line(start, &mut out);
        if lease.is_given_up() {
            put_note(lease.id(), Note::GivenUp, now_ms, &mut out);
        }
    }
    for spent in leases.spent() {
        put_spent(spent, &mut out);
    }
    out
}

/// Appends the line of a lease that is opened in a slot and does not stand yet, with the leases that end when it begins, and
/// the sequence that is spent with it, if that is not empty.
pub fn put_open(slot: u32, terms: &Terms, ends: &[LeaseId], spent: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    put_lease(slot, terms, false, terms.opened_ms, out);
    if !ends.is_empty() {
        put!(out, ",\"ends\":[");
        for id in ends {
            put!(out, "{},", id.slot);
        }
        end_list(out, "]");
    }
    if !spent.is_empty() {
        put!(out, ",\"spent\":{}", spent);
    }
    end_line(start, out);
}

/// Appends the line of a spent sequence.
pub fn put_spent(spent: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    put!(out, "{\"spent\":{}", spent);
    end_line(start, out);
}

/// Appends the line of what has happened to a lease.
pub fn put_note(id: LeaseId, note: Note, now_ms: u64, out: &mut Vec<u8>) {
    let start = out.len();
    match note {
        Note::Until(deadline_ms, end_s) => {
            put!(out, "{\"until\":{},", id.slot);
            put_deadline(deadline_ms, end_s, now_ms, out);
        }
        Note::Stands(stands) => {
            let is = u32::from(stands);
            put!(out, "{\"stands\":{},\"is\":{}", id.slot, is);
        }
        Note::GivenUp => put!(out, "{\"given_up\":{}", id.slot),
        Note::Close => put!(out, "{\"close\":{}", id.slot),
    }
    end_line(start, out);
}

fn put_deadline(deadline_ms: u64, end_s: u64, now_ms: u64, out: &mut Vec<u8>) {
    put!(out, "\"deadline_ms\":{}", deadline_ms);
    if end_s != 0 {
        let left_ms = deadline_ms.saturating_sub(now_ms);
        put!(out, ",\"end_s\":{},\"left_ms\":{}", end_s, left_ms);
    }
}

fn put_lease(slot: u32, terms: &Terms, stands: bool, now_ms: u64, out: &mut Vec<u8>) {
    let job = &*terms.job;
    let (rule, key) = (Json(&job.rule), Json(&job.key));
    put!(out, "{\"open\":{},\"rule\":{},\"key\":{}", slot, rule, key);
    put!(out, ",\"opened_ms\":{},", terms.opened_ms);
    put_deadline(terms.deadline_ms, terms.end_s, now_ms, out);
    put!(
        out,
        ",\"action_timeout_ms\":{},\"templates\":{}",
        job.timeout_ms,
        job.templates
    );
    for (name, commands) in NAMES.iter().zip(&job.commands) {
        put!(out, ",{:?}:[", name);
        for command in commands {
            out.push(b'[');
            for word in words(command) {
                put!(out, "{},", Json(word));
            }
            end_list(out, "],");
        }
        end_list(out, "]");
    }
    if !stands {
        put!(out, ",\"stands\":{},\"is\":0", slot);
    }
}

/// Ends a line that began at `start`.
fn end_line(start: usize, out: &mut Vec<u8>) {
    out.push(b',');
    let line = out.get(start..).unwrap_or_default();
    let end = end_of(line);
    out.extend_from_slice(&end);
}

/// How an object ends: with the sum of what stands before.
fn end_of(object: &[u8]) -> Vec<u8> {
    text!("\"sum\":{}}\n", checksum(object))
}

/// Appends `end` to a list of which each item was written with a comma behind it.
fn end_list(out: &mut Vec<u8>, end: &str) {
    out.pop_if(|last| *last == b',');
    put!(out, "{}", end);
}

/// A one-time sequence as the record has it.
pub fn spent(rule: &str, steps: &mut dyn Iterator<Item = &str>) -> Vec<u8> {
    let mut out = text!("{\"rule\":{},\"steps\":[", Json(rule.as_bytes()));
    for step in steps {
        put!(&mut out, "{},", Json(step.as_bytes()));
    }
    end_list(&mut out, "]}");
    out
}

/// Reads a record back. With another `boot` than the record's, leases that outlive it are to be opened again, and the
/// others are due at once; without one it is taken for this boot's. The error says what is wrong with it.
pub fn read(
    document: &[u8],
    boot: Option<&[u8]>,
    now: Now,
    seed: u64,
) -> Result<Box<Leases>, Vec<u8>> {
    let mut reader = Reader {
        leases: Leases::new(seed),
        now,
        same_boot: boot.is_none(),
    };
    let mut number = 0u32;
    for line in document.split_inclusive(|&byte| byte == b'\n') {
        let is_first = number == 0;
        let is_whole = line.last() == Some(&b'\n');
        if !is_whole && !is_first {
            break;
        }
        number += 1;
        let begins = is_first.then_some(boot.unwrap_or_default());
        if !is_whole || reader.line(line, begins).is_none() {
            return Err(text!("line {} is not as it was written", number));
        }
    }
    if number == 0 {
        return Err(text!("it is empty"));
    }
    let Reader { mut leases, .. } = reader;
    leases.resume(now.ms, reader.same_boot);
    Ok(leases)
}

struct Reader {
    leases: Box<Leases>,
    now: Now,
    same_boot: bool,
}

impl Reader {
    /// Reads a line; the first one with the name of this boot.
    fn line(&mut self, line: &[u8], begins: Option<&[u8]>) -> Option<()> {
        let value = json::parse(line).ok()?;
        if let Some(boot) = begins {
            let written = bytes(value, "boot")?;
            self.same_boot |= written == boot && !boot.is_empty();
            match number(value, "version")? {
                // It is the whole record.
                1 => {}
                2 => return Some(()),
                _ => return None,
            }
        }
        let (before, end) = line.split_at_checked(value.key("sum")?.at(line))?;
        if end != end_of(before) {
            return None;
        }
        for (slot, item) in (0..).zip(list(value, "leases")) {
            self.lease(slot, item)?;
        }
        if let Some(slot) = number(value, "open") {
            self.lease(slot, value)?;
            let opened_ms = match self.same_boot {
                true => number(value, "opened_ms")?,
                false => 0,
            };
            for ends in list(value, "ends") {
                self.note(ends.scaled(0)?, Note::Until(opened_ms, 0))?;
            }
        }
        if let Some(slot) = number(value, "until") {
            let (deadline_ms, end_s) = self.deadline(value)?;
            self.note(slot, Note::Until(deadline_ms, end_s))?;
        }
        if let Some(slot) = number(value, "stands") {
            self.note(slot, Note::Stands(number(value, "is")? != 0))?;
        }
        if let Some(slot) = number(value, "given_up") {
            self.note(slot, Note::GivenUp)?;
        }
        if let Some(slot) = number(value, "close") {
            self.note(slot, Note::Close)?;
        }
        if let Some(spent) = value.member("spent") {
            match as_list(spent) {
                Some(each) => {
                    for spent in each {
                        self.spent(spent)?;
                    }
                }
                None => self.spent(spent)?,
            }
        }
        if value.member("spent_unknown").is_some() {
            self.leases.forget_spent();
        }
        Some(())
    }

    fn note(&mut self, slot: u64, note: Note) -> Option<()> {
        let id = self.leases.id_at(slot)?;
        self.leases.apply(id, note);
        Some(())
    }

    fn spent(&mut self, value: Value) -> Option<()> {
        let (rule, steps) = (value.member("rule")?.string()?, list(value, "steps"));
        let mut texts = Vec::new();
        for step in steps {
            texts.push(step.string()?);
        }
        let mut texts = texts.iter().map(|text| text.as_str());
        self.leases.spend(spent(&rule, &mut texts));
        Some(())
    }

    /// The deadline by both clocks.
    fn deadline(&self, value: Value) -> Option<(u64, u64)> {
        let deadline_ms = number(value, "deadline_ms")?;
        let end_s = number(value, "end_s").unwrap_or(0);
        if self.same_boot {
            return Some((deadline_ms, end_s));
        }
        if end_s == 0 {
            return Some((0, 0));
        }
        let left_s = u32::try_from(end_s.saturating_sub(self.now.wall_s));
        // Never longer than it was: the clock may not have been set yet.
        let left_ms = (u64::from(left_s.unwrap_or(u32::MAX)) * 1000).min(number(value, "left_ms")?);
        Some((self.now.ms.saturating_add(left_ms), end_s))
    }

    fn lease(&mut self, slot: u64, item: Value) -> Option<()> {
        if slot >= SLOTS || self.leases.id_at(slot).is_some() {
            return None;
        }
        let mut job = Job {
            rule: bytes(item, "rule")?,
            ..Job::default()
        };
        job.key = bytes(item, "key")?;
        job.timeout_ms = number(item, "action_timeout_ms")?;
        // OK because it is as we have written it. Once it was not written, as actions and checks in the first version.
        job.templates = number(item, "templates").unwrap_or(0) as u32;
        for (name, commands) in NAMES.iter().zip(&mut job.commands) {
            for written in list(item, name) {
                let mut command = Vec::new();
                for word in as_list(written)? {
                    // OK because the record is as we have written it, and no word of ours has a NUL.
                    put!(&mut command, "{}\0", word.string()?);
                }
                commands.push(command);
            }
        }
        let (deadline_ms, end_s) = self.deadline(item)?;
        let opened_ms = number(item, "opened_ms")?;
        let terms = Terms {
            job: Rc::new(job),
            opened_ms: if self.same_boot { opened_ms } else { 0 },
            deadline_ms,
            end_s,
        };
        // OK because it is below the limit.
        self.leases.place(slot as u32, terms);
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

fn bytes(value: Value, key: &str) -> Option<Vec<u8>> {
    Some(value.member(key)?.string()?.into_bytes())
}

fn number(value: Value, key: &str) -> Option<u64> {
    value.member(key)?.scaled(0)
}

/// The items of a list; none of what is no list.
fn list<'v>(value: Value<'v>, key: &str) -> Items<'v> {
    let list = value.member(key).and_then(as_list);
    list.unwrap_or_default()
}

fn as_list(value: Value) -> Option<Items> {
    (value.first() == b'[').then(|| value.items())
}

#[cfg(test)]
mod tests;
