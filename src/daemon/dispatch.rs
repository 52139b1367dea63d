//! What the meaning of a line leads to: leases, jobs and messages.
//!
//! * A knock is refused, with a warning, when a captured value is nothing a command should see; with an
//!   error when the queue is full or when what it opens cannot be recorded. Messages that strangers can
//!   provoke at will are throttled.
//! * What cannot be recorded is not opened (see `ledger`). Closing asks nobody: the revert runs all the
//!   same.

use crate::backoff::NEVER;
use crate::commands::job::{Job, LeaseId};
use crate::commands::runner::{Event, Finished, Order, QUEUE_LIMIT, Runner};
use crate::engine::rule::Rule;
use crate::engine::{Engine, KEY_LIMIT, Knock, Meaning, Outcome};
use crate::leases::lease::{Closed, Phase};
use crate::leases::ledger::Ledger;
use crate::leases::request::{Request, count_unspent, first_unspent};
use crate::log::{Log, Throttle};
use crate::sys::fd::Poll;
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
            if finished.order.event == Event::Close
                && let Some(id) = finished.order.lease
            {
                self.closed(id, &finished, now_ms);
            }
        }
    }

    /// When to call [`Dispatch::advance`] even though nothing has happened.
    pub fn deadline_ms(&self) -> u64 {
        let command_ms = self.runner.deadline_ms();
        match self.life {
            Life::Running => command_ms
                .min(self.ledger.leases.deadline_ms())
                .min(self.ledger.deadline_ms()),
            Life::Stopping => command_ms,
        }
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
        let dropped = self.runner.drop_opening();
        for id in dropped.iter().flatten() {
            self.ledger.leases.cancel(*id);
        }
        if !dropped.is_empty() {
            say!(self.log, Warn: "stopping: {} knocks whose commands have not begun are dropped",
                dropped.len());
        }
        if !self.ledger.leases.all().is_empty() {
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
        if self.ledger.deadline_ms() != NEVER {
            self.ledger.store(now_ms, &mut self.log);
        }
        let left = self.ledger.leases.all().len();
        if left > 0 {
            say!(self.log, Error: "{} leases could not be closed, the next start will try again",
                left);
        }
        left == 0
    }

    /// Reports the leases.
    pub fn report(&mut self, now_ms: u64) {
        for lease in self.ledger.leases.all() {
            let left_s = lease.deadline_ms.saturating_sub(now_ms) / 1000;
            let state = match lease.phase {
                Phase::Open => &text!("closes in {} s", left_s),
                Phase::Closing => &b"being closed"[..],
                Phase::Failed => b"could not be closed, trying again",
                Phase::GivenUp => b"could not be closed, given up",
            };
            let Job { rule, key, .. } = &*lease.job;
            say!(self.log, Info: "state: lease of rule {:?}, {}: {}", rule, key, state);
        }
        let running = usize::from(self.runner.current().is_some());
        let waiting = self.runner.waiting();
        say!(self.log, Info: "state: queue: {} running, {} waiting", running, waiting);
    }

    /// Deals with what a line of `source` meant to `rule`.
    pub fn outcome(&mut self, rule: &Rule, source: &[u8], outcome: Outcome, now_ms: u64) {
        let name = &rule.name;
        match outcome.meaning {
            Meaning::Knock(knock) => self.knock(rule, *knock, now_ms),
            Meaning::Progress(change) => {
                let key = &outcome.key;
                say!(self.log, Debug: "rule {:?}: {} {}, from {:?}", name, key, change, source);
            }
            Meaning::Ignored | Meaning::IgnoredHost => {}
            Meaning::Nobodys => {
                say!(self.log, Debug: "rule {:?}: no key, passed over, from {:?}", name, source);
            }
            Meaning::KeyTooLong => {
                if self.key_too_long.pass(now_ms) {
                    say!(self.log, Warn: "rule {:?}: a key of more than {} bytes is passed over{}",
                        name, KEY_LIMIT, self.key_too_long);
                }
            }
        }
    }

    fn knock(&mut self, rule: &Rule, knock: Knock, now_ms: u64) {
        let name = &rule.name;
        let request = match Request::new(rule, &knock) {
            Ok(request) => request,
            Err(reason) => {
                if self.unfit.pass(now_ms) {
                    say!(self.log, Warn: "rule {:?}: knock refused: {}{}", name, reason, self.unfit);
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
            Ok(Some(order)) => self.runner.submit(order),
            Err(reason) => {
                if self.refused.pass(now_ms) {
                    say!(self.log, Error: "rule {:?}: knock by {} refused: {}{}",
                        name, knock.key, reason, self.refused);
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
    ) -> Result<Option<Order>, Vec<u8>> {
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
                next.spend(&rule.name, &mut rule.steps(knock.sequence));
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
        // What an exclusive lease displaces is closed before the newcomer's actions run, and so is what the same
        // commands close as will close this one.
        self.close_due(now_ms);
        if let Some(terms) = &rule.lease {
            let (name, revert) = (name.as_bytes(), &request.revert.commands);
            self.runner.before_next_opening(|order| {
                order.job.commands == *revert || terms.exclusive && order.job.rule == name
            });
        }
        Ok(Some(Order {
            event: Event::Open,
            lease,
            job: request.actions,
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
        while let Some((id, job)) = self.ledger.leases.next_due(now_ms) {
            say!(self.log, Info: "rule {:?}: closing for {}", job.rule, job.key);
            self.runner.submit(Order {
                event: Event::Close,
                lease: Some(id),
                job,
            });
        }
    }

    fn closed(&mut self, id: LeaseId, finished: &Finished, now_ms: u64) {
        let Job { rule, key, .. } = &*finished.order.job;
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
