//! What a knock opens and what it ends: shared by the daemon and the dry run.
//!
//! A knock becomes a *job*: the rule's commands, filled in from the captures of the last step. It
//! cannot be made if the key is nothing a command should see. Other values are cleaned first: whoever is to be shut out
//! must not escape that by what he puts into a user name.

use crate::address::family;
use crate::backoff::{NEVER, after};
use crate::commands::job::{Job, LeaseId};
use crate::commands::template::{MAX_VALUE, Values};
use crate::engine::Knock;
use crate::engine::rule::Rule;
use crate::leases::journal::{Now, spent};
use crate::leases::lease::{KEY, Lease, Leases, Phase, RULE, Terms, rule_and_key};
use crate::text::{Characters, checksum};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// A byte that no command has.
const NO_TEXT: u8 = 0xff;

/// Fills in the commands of a rule. The error says why they cannot be.
pub fn job(rule: &Rule, knock: &Knock) -> Result<Rc<Job>, Vec<u8>> {
    let mut groups = Vec::new();
    for group in &knock.groups {
        groups.push(cleaned(group));
    }
    let values = Values {
        rule: &rule.name,
        key: &knock.key,
        family: family(&knock.key),
        groups: &groups,
    };
    let sequence = rule.sequences.get(knock.sequence);
    let Some(step) = sequence.and_then(|sequence| sequence.steps.last()) else {
        return Err(text!("its sequence is gone"));
    };
    // The commands find it in their environment, whether they name it or not.
    values.check_key()?;
    let mut job = Job {
        rule: rule.name.as_bytes().to_vec(),
        key: knock.key.clone(),
        timeout_ms: rule.action_timeout_ms,
        ..Job::default()
    };
    let mut templates = Vec::new();
    for (commands, filled) in rule.commands.iter().zip(&mut job.commands) {
        for command in commands {
            filled.push(command.fill(step, &values)?);
            templates.extend_from_slice(command.words());
            templates.push(NO_TEXT);
        }
        templates.push(NO_TEXT);
    }
    job.templates = checksum(&templates);
    Ok(Rc::new(job))
}

/// A value as commands may see it: printable, and no longer than [`MAX_VALUE`].
fn cleaned(value: &[u8]) -> Vec<u8> {
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    let mut clean = Vec::new();
    for (character, shows) in Characters(value) {
        match shows {
            true => clean.extend_from_slice(character),
            false => clean.resize(clean.len() + character.len(), b'?'),
        }
    }
    clean
}

/// When a lease that a rule opens or renews now is to be closed, by both clocks; none if the rule opens none.
pub fn deadlines(rule: &Rule, now: Now) -> Option<(u64, u64)> {
    let lease = rule.lease.as_ref()?;
    let timeout_ms = lease.timeout_ms;
    let deadline_ms = after(now.ms, timeout_ms);
    let end_s = match lease.keep && timeout_ms != NEVER {
        true => now.wall_s.saturating_add(timeout_ms.div_ceil(1000)),
        false => 0,
    };
    Some((deadline_ms, end_s))
}

/// What a lease is opened with for a job, of which a rule may have `max_leases`; none if the rule opens none. The error
/// says why it is refused.
pub fn terms(
    rule: &Rule,
    job: &Rc<Job>,
    leases: &Leases,
    max_leases: usize,
    now: Now,
) -> Result<Option<Terms>, Vec<u8>> {
    let Some((deadline_ms, end_s)) = deadlines(rule, now) else {
        return Ok(None);
    };
    // Those that are open and end make room: the one that is out of date, or all if one is to be the only one.
    let makes_room = |lease: &Lease| lease.phase == Phase::Open && lease.terms.job.rule == job.rule;
    let ends = ends(rule, job, leases, true);
    let ends = ends.iter().filter_map(|id| leases.get(*id));
    let ends = ends.filter(|lease| makes_room(lease)).count();
    if leases.count_of(&job.rule) >= max_leases + ends {
        return Err(text!("the rule has {} leases already", max_leases));
    }
    Ok(Some(Terms {
        job: job.clone(),
        opened_ms: now.ms,
        deadline_ms,
        end_s,
    }))
}

/// The leases that are to be closed before a knock's actions run, whatever has been tried before: those that its rule closes,
/// its own if it does not open any more, or opens anew, and the others of its rule if an exclusive lease is opened.
pub fn ends(rule: &Rule, job: &Job, leases: &Leases, opens: bool) -> Vec<LeaseId> {
    let mut ends = Vec::new();
    let own = rule.lease.is_none().then_some(&rule.name);
    for other in rule.closes.iter().chain(own) {
        let name = rule_and_key(other.as_bytes(), &job.key);
        leases.alike(KEY, &name, &mut ends);
    }
    match &rule.lease {
        Some(lease) if opens && lease.exclusive => leases.alike(RULE, &job.rule, &mut ends),
        Some(_) if opens => {
            if let Some(own) = leases.find(&job.rule, &job.key) {
                ends.push(own);
            }
        }
        _ => {}
    }
    ends
}

/// A rule's one-time sequence as the record has it.
pub fn sequence(rule: &Rule, index: usize) -> Vec<u8> {
    spent(&rule.name, &mut rule.steps(index))
}

/// The first of a rule's sequences that has not been spent; for a rule that is not one-time, the only one.
pub fn first_unspent(rule: &Rule, leases: &Leases) -> Option<usize> {
    let is_spent = |index: &usize| rule.one_time && leases.is_spent(&sequence(rule, *index));
    (0..rule.sequences.len()).find(|index| !is_spent(index))
}

/// How many of a rule's one-time sequences are left.
pub fn count_unspent(rule: &Rule, leases: &Leases) -> usize {
    let is_left = |index: &usize| !leases.is_spent(&sequence(rule, *index));
    (0..rule.sequences.len()).filter(is_left).count()
}
