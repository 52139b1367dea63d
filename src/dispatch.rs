//! What the meaning of a line leads to: leases, jobs and messages.
//!
//! * A knock is refused, with a warning, when a captured value is nothing a command should see; with an
//!   error when the queue is full or when what it opens cannot be recorded. Messages that strangers can
//!   provoke at will are throttled.
//! * What cannot be recorded is not opened (see `ledger`). Closing asks nobody: the revert runs all the
//!   same.

use crate::engine::{Engine, KEY_LIMIT, Knock, Meaning, Outcome};
use crate::lease::{Closed, LeaseId, Phase};
use crate::ledger::Ledger;
use crate::log::{Log, Throttle};
use crate::request::{Request, Words, count_unspent, first_unspent};
use crate::rule::Rule;
use crate::runner::{Event, Finished, Job, QUEUE_LIMIT, Runner};
use crate::sys::fd::Poll;
use alloc::string::String;
use alloc::vec::Vec;

/// How far the program is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Watching and acting.
    Running,
    /// Only finishing what has begun and closing what is open.
    Stopping,
}

/// Turns outcomes into leases and jobs.
pub struct Dispatch {
    /// Where messages go.
    pub log: Log,
    life: Life,
    runner: Runner,
    ledger: Ledger,
    max_leases: usize,
    /// Rules whose current one-time sequence has just been spent.
    spent: Vec<usize>,
    key_too_long: Throttle,
    unfit: Throttle,
    refused: Throttle,
}

impl Dispatch {
    /// Acts on `ledger`. A rule may have `max_leases`.
    pub fn new(runner: Runner, ledger: Ledger, max_leases: usize, log: Log) -> Dispatch {
        Dispatch {
            log,
            life: Life::Running,
            runner,
            ledger,
            max_leases,
            spent: Vec::new(),
            key_too_long: Throttle::new(1),
            unfit: Throttle::new(1),
            refused: Throttle::new(1),
        }
    }

    /// Follows a reloaded configuration. The record stays where it is: what it holds is in use.
    pub fn reload(&mut self, state: &str, max_leases: usize) {
        self.max_leases = max_leases;
        if let Some(path) = self.ledger.path().filter(|path| *path != state.as_bytes()) {
            say!(self.log, Warn: "\"state\" has changed: {:?} is used until the next start", path);
        }
    }

    /// Makes the first sequence that has not been spent the current one of every one-time rule.
    pub fn select_sequences(&mut self, engine: &mut Engine) {
        let one_time = engine.rules().enumerate().filter(|(_, rule)| rule.one_time);
        self.spent = one_time.map(|(index, _)| index).collect();
        self.advance_sequences(engine);
    }

    /// Moves the rules on whose sequence the last line has spent.
    pub fn advance_sequences(&mut self, engine: &mut Engine) {
        for index in core::mem::take(&mut self.spent) {
            let Some(rule) = engine.rule(index) else {
                continue;
            };
            let name = &rule.name;
            match count_unspent(rule, &self.ledger.leases) {
                _ if self.ledger.leases.is_spent_unknown() => {
                    say!(self.log, Error: "rule {:?}: which one-time sequences are spent is \
                        unknown, the rule stays shut: put the record back, or remove it to begin anew", name);
                }
                0 => {
                    say!(self.log, Warn: "rule {:?}: every one-time sequence is spent, \
                        the rule stays shut", name);
                }
                left => say!(self.log, Info: "rule {:?}: {} one-time sequences left", name, left),
            }
            let next = first_unspent(rule, &self.ledger.leases);
            engine.select(index, next);
        }
    }

    /// Does what is due: closes leases, pushes and starts commands, notes how others have ended. When
    /// stopping, every lease has had its turn already and none gets another.
    pub fn advance(&mut self, now_ms: u64) {
        if self.life == Life::Running {
            self.close_due(now_ms);
            self.ledger.settle(now_ms, &mut self.log);
        }
        self.runner.check_deadline(now_ms, &mut self.log);
        while let Some(finished) = self.runner.advance(now_ms, &mut self.log) {
            if finished.job.event == Event::Close
                && let Some(id) = finished.job.lease
            {
                self.closed(id, &finished, now_ms);
            }
        }
    }

    /// When to call [`Dispatch::advance`] even though nothing has happened.
    pub fn deadline_ms(&self) -> Option<u64> {
        let command = self.runner.deadline_ms();
        let deadlines = match self.life {
            Life::Running => [
                command,
                self.ledger.leases.deadline_ms(),
                self.ledger.deadline_ms(),
            ],
            Life::Stopping => [command, None, None],
        };
        deadlines.into_iter().flatten().min()
    }

    /// The descriptor to wait for.
    pub fn poll(&self) -> Option<Poll> {
        self.runner.poll()
    }

    /// Logs what the running command has printed.
    pub fn read_output(&mut self) {
        self.runner.read_output(&mut self.log);
    }

    /// Notes that a child may have ended.
    pub fn reap(&mut self) {
        self.runner.reap(&mut self.log);
    }

    /// Whether the program is about to end.
    pub fn life(&self) -> Life {
        self.life
    }

    /// Whether no command is running or waiting.
    pub fn is_idle(&self) -> bool {
        self.runner.is_idle()
    }

    /// Forgets the knocks whose commands have not begun and begins to close every lease.
    pub fn begin_stop(&mut self, now_ms: u64) {
        self.life = Life::Stopping;
        let mut dropped: usize = 0;
        for job in self.runner.drop_opening() {
            dropped += 1;
            if let Some(id) = job.lease {
                self.ledger.leases.cancel(id);
            }
        }
        if dropped > 0 {
            say!(self.log, Warn: "stopping: {} knocks whose commands have not begun are dropped",
                dropped);
        }
        if !self.ledger.leases.is_empty() {
            self.ledger.leases.expire_all(now_ms);
            self.ledger.store(now_ms, &mut self.log);
            self.close_due(now_ms);
        }
        if let Some(job) = self.runner.current() {
            say!(self.log, Info: "stopping: waiting for the commands of rule {:?}", job.rule);
        }
    }

    /// The last thing to do: says what could not be closed. True if that is nothing.
    pub fn end_stop(&mut self, now_ms: u64) -> bool {
        if self.ledger.deadline_ms().is_some() {
            self.ledger.store(now_ms, &mut self.log);
        }
        let left = self.ledger.leases.iter().count();
        if left > 0 {
            say!(self.log, Error: "{} leases could not be closed, the next start will try again",
                left);
        }
        left == 0
    }

    /// Reports the leases.
    pub fn report(&mut self, now_ms: u64) {
        for (lease, phase) in self.ledger.leases.iter() {
            let left_s = lease.deadline_ms.saturating_sub(now_ms) / 1000;
            let state = match phase {
                Phase::Open => &text!("closes in {} s", left_s),
                Phase::Closing => &b"being closed"[..],
                Phase::Failed => b"could not be closed, trying again",
                Phase::GivenUp => b"could not be closed, given up",
            };
            say!(self.log, Info: "state: lease of rule {:?}, {}: {}", lease.rule, lease.key, state);
        }
        let running = usize::from(self.runner.current().is_some());
        let waiting = self.runner.waiting();
        say!(self.log, Info: "state: queue: {} running, {} waiting", running, waiting);
    }

    /// Deals with what `line` of `source` meant to `rule`.
    pub fn outcome(
        &mut self,
        rule: &Rule,
        source: &str,
        line: &[u8],
        outcome: Outcome,
        now_ms: u64,
    ) {
        let name = &rule.name;
        match outcome.meaning {
            Meaning::Knock(knock) => self.knock(rule, *knock, now_ms),
            Meaning::Progress(change) => {
                let key = line.get(outcome.key).unwrap_or_default();
                say!(self.log, Debug: "rule {:?}: {} {}, from {:?}", name, key, change, source);
            }
            Meaning::Ignored => {}
            Meaning::KeyTooLong => {
                if let Some(left_out) = self.key_too_long.pass(now_ms) {
                    say!(self.log, Warn: "rule {:?}: a key of more than {} bytes is passed over{}",
                        name, KEY_LIMIT, left_out);
                }
            }
        }
    }

    fn knock(&mut self, rule: &Rule, knock: Knock, now_ms: u64) {
        let name = &rule.name;
        let request = match Request::new(rule, &knock) {
            Ok(request) => request,
            Err(reason) => {
                if let Some(left_out) = self.unfit.pass(now_ms) {
                    say!(self.log, Warn: "rule {:?}: knock refused: {}{}", name, reason, left_out);
                }
                return;
            }
        };
        if !rule.one_time && request.renew(rule, &mut self.ledger.leases, now_ms) {
            say!(self.log, Debug: "rule {:?}: knock by {}", name, knock.key);
            return;
        }
        match self.admit(rule, &knock, request, now_ms) {
            Ok(None) => {}
            Ok(Some(job)) => self.runner.submit(job),
            Err(reason) => {
                if let Some(left_out) = self.refused.pass(now_ms) {
                    say!(self.log, Error: "rule {:?}: knock by {} refused: {}{}",
                        name, knock.key, reason, left_out);
                }
            }
        }
    }

    /// Decides about a knock and records the decision; returns what is to be run. The error says why it is
    /// refused.
    fn admit(
        &mut self,
        rule: &Rule,
        knock: &Knock,
        request: Request,
        now_ms: u64,
    ) -> core::result::Result<Option<Job>, Vec<u8>> {
        let name = &rule.name;
        if !self.runner.has_room() {
            return Err(text!("{} knocks are waiting already", QUEUE_LIMIT));
        }
        let mut lease = None;
        let mut is_renewal = false;
        if rule.one_time || rule.lease.is_some() {
            // A copy, so that what cannot be recorded has not happened.
            let mut next = self.ledger.leases.clone();
            is_renewal = request.renew(rule, &mut next, now_ms);
            if !is_renewal {
                lease = request.open(rule, &mut next, self.max_leases, now_ms)?;
            }
            if rule.one_time {
                next.spend(&rule.name, rule.steps(knock.sequence));
            }
            self.ledger.commit(next)?;
        }
        if rule.one_time {
            self.spent.push(knock.rule);
        }
        say!(self.log, Info: "rule {:?}: knock by {}", name, knock.key);
        if is_renewal {
            return Ok(None);
        }
        if let Some(terms) = rule.lease.as_ref().filter(|_| lease.is_some()) {
            let timeout_s = terms.timeout_ms.div_ceil(1000);
            say!(self.log, Info: "rule {:?}: opened for {}, closes in {} s",
                name, knock.key, timeout_s);
        }
        // What an exclusive lease displaces is closed before the newcomer's actions run.
        self.close_due(now_ms);
        Ok(Some(Job {
            event: Event::Open,
            lease,
            rule: rule.name.clone(),
            key: knock.key.clone(),
            commands: request.actions,
            timeout_ms: rule.action_timeout_ms,
        }))
    }

    /// Queues the reverts of the leases that are due.
    fn close_due(&mut self, now_ms: u64) {
        let superseded = self.ledger.leases.drop_superseded();
        if superseded > 0 {
            say!(self.log, Warn: "{} leases that could not be closed are left to newer ones",
                superseded);
            self.ledger.store(now_ms, &mut self.log);
        }
        while let Some((id, lease)) = self.ledger.leases.next_due(now_ms) {
            say!(self.log, Info: "rule {:?}: closing for {}", lease.rule, lease.key);
            let words = |words: &Vec<String>| -> Words {
                words.iter().map(|word| word.clone().into_bytes()).collect()
            };
            self.runner.submit(Job {
                event: Event::Close,
                lease: Some(id),
                rule: lease.rule.clone(),
                key: lease.key.clone().into_bytes(),
                commands: lease.revert.iter().map(words).collect(),
                timeout_ms: lease.action_timeout_ms,
            });
        }
    }

    fn closed(&mut self, id: LeaseId, finished: &Finished, now_ms: u64) {
        let Job { rule, key, .. } = &finished.job;
        match self.ledger.leases.closed(id, finished.succeeded, now_ms) {
            Closed::Done => say!(self.log, Info: "rule {:?}: closed for {}", rule, key),
            Closed::Retry(_) if self.life == Life::Stopping => {
                say!(self.log, Warn: "rule {:?}: not closed for {}", rule, key);
                return;
            }
            Closed::Retry(delay_ms) => {
                let seconds = delay_ms / 1000;
                say!(self.log, Warn: "rule {:?}: not closed for {}, trying again in {} s",
                    rule, key, seconds);
                return;
            }
            Closed::GivenUp => {
                say!(self.log, Error: "rule {:?}: not closed for {}, giving up; \
                    the record keeps it for the next start", rule, key);
                return;
            }
        }
        self.ledger.store(now_ms, &mut self.log);
    }
}
