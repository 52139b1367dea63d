//! What a knock asks for, and what leases make of it: shared by the daemon and the dry run.
//!
//! A knock becomes a *request*: the rule's commands, filled in from the captures of the last step. It
//! cannot be made if a captured value is nothing a command should see. A request for a rule with a
//! timeout then either renews the lease its key has, or opens one.

use crate::address::family;
use crate::commands::job::{Job, LeaseId};
use crate::commands::template::{Command, Values};
use crate::engine::Knock;
use crate::engine::rule::Rule;
use crate::leases::lease::Leases;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// A knock's commands.
pub struct Request {
    /// What to run now.
    pub actions: Rc<Job>,
    /// What to run when the lease ends.
    pub revert: Rc<Job>,
}

impl Request {
    /// Fills in the commands of `rule`. The error says why they cannot be.
    pub fn new(rule: &Rule, knock: &Knock) -> Result<Request, Vec<u8>> {
        let values = Values {
            rule: &rule.name,
            key: &knock.key,
            family: family(&knock.key),
            groups: &knock.groups,
        };
        let sequence = rule.sequences.get(knock.sequence);
        let Some(step) = sequence.and_then(|sequence| sequence.steps.last()) else {
            return Err(text!("its sequence is gone"));
        };
        // The commands find it in their environment, whether they name it or not.
        values.check_key()?;
        let fill = |commands: &[Command]| -> Result<Rc<Job>, Vec<u8>> {
            let mut filled = Vec::new();
            for command in commands {
                filled.push(command.fill(step, &values)?);
            }
            Ok(Rc::new(Job {
                rule: rule.name.as_bytes().to_vec(),
                key: knock.key.clone(),
                commands: filled,
                timeout_ms: rule.action_timeout_ms,
            }))
        };
        Ok(Request {
            actions: fill(&rule.actions)?,
            revert: fill(&rule.revert)?,
        })
    }

    /// Moves the deadline of the lease that the key has; false if it has none.
    pub fn renew(&self, rule: &Rule, leases: &mut Leases, now_ms: u64) -> bool {
        let Some(terms) = &rule.lease else {
            return false;
        };
        let deadline_ms = now_ms.saturating_add(terms.timeout_ms);
        leases.renew(&rule.name, &self.revert.key, deadline_ms)
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
        let deadline_ms = now_ms.saturating_add(terms.timeout_ms);
        Ok(Some(leases.open(self.revert.clone(), now_ms, deadline_ms)))
    }
}

/// The first of a rule's sequences that has not been spent; for a rule that is not one-time, the only one.
pub fn first_unspent(rule: &Rule, leases: &Leases) -> Option<usize> {
    let is_spent =
        |index: &usize| rule.one_time && leases.is_spent(&rule.name, &mut rule.steps(*index));
    (0..rule.sequences.len()).find(|index| !is_spent(index))
}

/// How many of a rule's one-time sequences are left.
pub fn count_unspent(rule: &Rule, leases: &Leases) -> usize {
    let is_left = |index: &usize| !leases.is_spent(&rule.name, &mut rule.steps(*index));
    (0..rule.sequences.len()).filter(is_left).count()
}
