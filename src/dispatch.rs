//! What the meaning of a line leads to: messages and jobs.
//!
//! A knock becomes a job of the rule's commands, filled in from the captures of its last step. It is
//! refused, with a warning, when a captured value is nothing a command should see, and with an error
//! when the queue is full. Warnings that strangers can provoke at will are throttled.

use crate::engine::{KEY_LIMIT, Knock, Meaning, Outcome};
use crate::log::{Log, Throttle};
use crate::rule::Rule;
use crate::runner::{Event, Job, QUEUE_LIMIT, Runner};
use crate::template::{Refusal, Values};
use crate::text::Quoted;
use alloc::vec::Vec;

/// Turns outcomes into jobs.
pub struct Dispatch {
    /// Runs the jobs.
    pub runner: Runner,
    /// Where messages go.
    pub log: Log,
    key_too_long: Throttle,
    refused: Throttle,
    queue_full: Throttle,
}

impl Dispatch {
    /// Without jobs; fails as [`Runner::new`] does.
    pub fn new(runner: Runner, log: Log) -> Dispatch {
        Dispatch {
            runner,
            log,
            key_too_long: Throttle::default(),
            refused: Throttle::default(),
            queue_full: Throttle::default(),
        }
    }

    /// Starts what can be started.
    pub fn advance(&mut self, now_ms: u64) {
        while self.runner.advance(now_ms, &mut self.log).is_some() {}
    }

    /// Deals with what `line` meant to `rule`.
    pub fn outcome(&mut self, rule: &Rule, line: &[u8], outcome: Outcome, now_ms: u64) {
        let log = &mut self.log;
        match outcome.meaning {
            Meaning::Knock(knock) => self.knock(rule, knock, now_ms),
            Meaning::Progress(change) => {
                let key = line.get(outcome.key).unwrap_or_default();
                let progress = change.describe(rule.length(0));
                say!(
                    log,
                    Debug,
                    "rule ",
                    Quoted(&rule.name),
                    ": ",
                    key,
                    " ",
                    progress
                );
            }
            Meaning::KeyTooLong => {
                if let Some(left_out) = self.key_too_long.pass(now_ms) {
                    say!(
                        log,
                        Warn,
                        "rule ",
                        Quoted(&rule.name),
                        ": a line's key is longer than ",
                        KEY_LIMIT,
                        " bytes, the line is passed over",
                        left_out
                    );
                }
            }
        }
    }

    fn knock(&mut self, rule: &Rule, knock: Knock, now_ms: u64) {
        let name = Quoted(&rule.name);
        let log = &mut self.log;
        say!(log, Info, "rule ", name, ": knock by ", knock.key);
        let commands = match fill_actions(rule, &knock) {
            Ok(commands) => commands,
            Err(refusal) => {
                if let Some(left_out) = self.refused.pass(now_ms) {
                    say!(
                        log,
                        Warn,
                        "rule ",
                        name,
                        ": knock refused: ",
                        refusal.message,
                        left_out
                    );
                }
                return;
            }
        };
        let job = Job {
            event: Event::Open,
            rule: rule.name.clone(),
            key: knock.key,
            commands,
            timeout_ms: rule.action_timeout_ms,
        };
        if self.runner.submit(job).is_err()
            && let Some(left_out) = self.queue_full.pass(now_ms)
        {
            say!(
                log,
                Error,
                "rule ",
                name,
                ": knock refused: ",
                QUEUE_LIMIT,
                " knocks are waiting already",
                left_out
            );
        }
    }
}

/// The rule's commands, filled in from the knock.
pub fn fill_actions(rule: &Rule, knock: &Knock) -> Result<Vec<Vec<Vec<u8>>>, Refusal> {
    let Some(sequence) = rule.sequences.get(knock.sequence) else {
        return Ok(Vec::new());
    };
    let values = Values {
        rule: &rule.name,
        key: &knock.key,
        groups: &knock.groups,
    };
    let fill = |template: &crate::template::Template| template.fill(&values);
    sequence.actions.iter().map(fill).collect()
}
