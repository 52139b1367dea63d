//! What a knock asks for, and what leases make of it: shared by the daemon and the dry run.
//!
//! A knock becomes a *request*: the rule's commands, filled in from the captures of the last step. It
//! cannot be made if a captured value is nothing a command should see. A request for a rule with a
//! timeout then either renews the lease its key has, or opens one.

use crate::engine::Knock;
use crate::lease::{Lease, LeaseId, Leases};
use crate::rule::{LeaseTerms, Rule};
use crate::template::{Template, Values};
use alloc::string::String;
use alloc::vec::Vec;

/// A command's words.
pub type Words = Vec<Vec<u8>>;

/// A knock's commands.
pub struct Request {
    /// What to run now.
    pub actions: Vec<Words>,
    /// Whose lease it is.
    key: String,
    /// What to run when the lease ends.
    revert: Vec<Vec<String>>,
}

impl Request {
    /// Fills in the commands of `rule`. The error says why they cannot be.
    pub fn new(rule: &Rule, knock: &Knock) -> Result<Request, Vec<u8>> {
        let values = Values {
            rule: &rule.name,
            key: &knock.key,
            groups: &knock.groups,
        };
        let Some(sequence) = rule.sequences.get(knock.sequence) else {
            return Err(text!("its sequence is gone"));
        };
        let fill = |templates: &[Template]| -> Result<Vec<Words>, Vec<u8>> {
            let fill_one = |template: &Template| template.fill(&values);
            let filled: Result<_, _> = templates.iter().map(fill_one).collect();
            filled.map_err(|refusal| refusal.message)
        };
        // The commands find it in their environment, whether they name it or not.
        values.check_key().map_err(|refusal| refusal.message)?;
        Ok(Request {
            actions: fill(&sequence.actions)?,
            key: into_string(knock.key.clone()),
            revert: fill(&sequence.revert)?
                .into_iter()
                .map(|words| words.into_iter().map(into_string).collect())
                .collect(),
        })
    }

    /// Moves the deadline of the lease that the key has; false if it has none.
    pub fn renew(&self, rule: &Rule, leases: &mut Leases, now_ms: u64) -> bool {
        let deadline_ms = |terms: &LeaseTerms| now_ms.saturating_add(terms.timeout_ms);
        let renew = |deadline_ms| leases.renew(&rule.name, &self.key, deadline_ms);
        rule.lease.as_ref().map(deadline_ms).is_some_and(renew)
    }

    /// Opens a lease in `leases`, of which a rule may have `max_leases`; none if the rule has no timeout.
    /// With an exclusive lease, the others of the rule become due. The error says why it is refused.
    pub fn open(
        &self,
        rule: &Rule,
        leases: &mut Leases,
        max_leases: usize,
        now_ms: u64,
    ) -> Result<Option<LeaseId>, Vec<u8>> {
        let Some(terms) = &rule.lease else {
            return Ok(None);
        };
        if leases.count(&rule.name) >= max_leases {
            return Err(text!("the rule has {} leases already", max_leases));
        }
        if terms.exclusive {
            leases.expire_rule(&rule.name, now_ms);
        }
        Ok(Some(leases.open(Lease {
            rule: rule.name.clone(),
            key: self.key.clone(),
            opened_ms: now_ms,
            deadline_ms: now_ms.saturating_add(terms.timeout_ms),
            revert: self.revert.clone(),
            action_timeout_ms: rule.action_timeout_ms,
        })))
    }
}

/// Everything that comes here is UTF-8: the configuration is, and values were checked when filled in.
fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// The first of a rule's sequences that has not been spent; for a rule that is not one-time, the only one.
pub fn first_unspent(rule: &Rule, leases: &Leases) -> Option<usize> {
    let is_spent = |index: &usize| rule.one_time && leases.is_spent(&rule.name, rule.steps(*index));
    (0..rule.sequences.len()).find(|index| !is_spent(index))
}

/// How many of a rule's one-time sequences are left.
pub fn count_unspent(rule: &Rule, leases: &Leases) -> usize {
    let is_left = |index: &usize| !leases.is_spent(&rule.name, rule.steps(*index));
    (0..rule.sequences.len()).filter(is_left).count()
}
