//! What the meaning of a line leads to: leases, jobs and messages.
//!
//! * A knock is refused, with a warning, when a captured value is nothing a command should see; with an
//!   error when the queue is full or when what it opens cannot be recorded. Messages that strangers can
//!   provoke at will are throttled.
//! * The record on disk is written before anything that depends on it happens: before the actions of a
//!   lease or of a one-time sequence run. What cannot be remembered is not opened.
//! * Closing asks nobody: when the record cannot be written the revert runs all the same, and writing is
//!   tried again until the record agrees.

use crate::backoff::Backoff;
use crate::engine::{Engine, KEY_LIMIT, Knock, Meaning, Outcome};
use crate::lease::{Closed, LeaseId, Leases, Phase};
use crate::log::{Log, Throttle};
use crate::record::{Found, Record};
use crate::request::{Admission, Request, Words, count_unspent, first_unspent};
use crate::rule::Rule;
use crate::runner::{Event, Finished, Job, QUEUE_LIMIT, Runner};
use crate::sys::Result;
use crate::sys::fd::Poll;
use crate::text::Quoted;
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
    leases: Leases,
    /// None if what is on disk can neither be read nor set aside: it must not be overwritten.
    record: Option<Record>,
    /// When to write the record again, if it could not be written.
    unsaved: Backoff,
    max_leases: usize,
    /// Rules whose current one-time sequence has just been spent.
    spent: Vec<usize>,
    key_too_long: Throttle,
    unfit: Throttle,
    refused: Throttle,
}

impl Dispatch {
    /// Goes on with the leases recorded at `state`. A rule may have `max_leases`.
    pub fn new(runner: Runner, state: &str, max_leases: usize, mut log: Log) -> Result<Dispatch> {
        let record = Record::new(state)?;
        let (leases, record) = recover(record, &mut log);
        Ok(Dispatch {
            log,
            life: Life::Running,
            runner,
            leases,
            record,
            unsaved: Backoff::default(),
            max_leases,
            spent: Vec::new(),
            key_too_long: Throttle::default(),
            unfit: Throttle::default(),
            refused: Throttle::default(),
        })
    }

    /// Follows a reloaded configuration. The record stays where it is: what it holds is in use.
    pub fn reload(&mut self, state: &str, max_leases: usize) {
        self.max_leases = max_leases;
        if let Some(record) = &self.record
            && record.path() != state.as_bytes()
        {
            let path = Quoted(record.path());
            say!(
                self.log,
                Warn,
                "\"state\" has changed: ",
                path,
                " is used until the next start"
            );
        }
    }

    /// Makes the first sequence that has not been spent the current one of every one-time rule.
    pub fn select_sequences(&mut self, engine: &mut Engine) {
        let choose = |rule: &Rule| (rule.one_time, first_unspent(rule, &self.leases));
        let choices: Vec<_> = engine.rules().map(choose).collect();
        for (index, (one_time, sequence)) in choices.into_iter().enumerate() {
            if one_time {
                engine.select(index, sequence);
            }
        }
        for rule in engine.rules().filter(|rule| rule.one_time) {
            let name = Quoted(&rule.name);
            match count_unspent(rule, &self.leases) {
                0 => say!(
                    self.log,
                    Warn,
                    "rule ",
                    name,
                    ": every one-time sequence is spent"
                ),
                left => say!(
                    self.log,
                    Info,
                    "rule ",
                    name,
                    ": ",
                    left,
                    " one-time sequences left"
                ),
            }
        }
    }

    /// Moves the rules on whose sequence the last line has spent.
    pub fn advance_sequences(&mut self, engine: &mut Engine) {
        for index in core::mem::take(&mut self.spent) {
            let Some(rule) = engine.rule(index) else {
                continue;
            };
            let name = Quoted(&rule.name);
            let next = first_unspent(rule, &self.leases);
            match next {
                None => say!(
                    self.log,
                    Warn,
                    "rule ",
                    name,
                    ": that was the last one-time sequence, the rule stays shut until there are new ones"
                ),
                Some(_) => {
                    let left = count_unspent(rule, &self.leases);
                    say!(
                        self.log,
                        Info,
                        "rule ",
                        name,
                        ": ",
                        left,
                        " one-time sequences left"
                    );
                }
            }
            engine.select(index, next);
        }
    }

    /// Does what is due: closes leases, pushes and starts commands, notes how others have ended. When
    /// stopping, every lease has had its turn already and none gets another.
    pub fn advance(&mut self, now_ms: u64) {
        if self.life == Life::Running {
            self.close_due(now_ms);
            if self.unsaved.is_due(now_ms) {
                self.store(now_ms);
            }
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
            Life::Running => [command, self.leases.deadline_ms(), self.unsaved.at_ms()],
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
                self.leases.cancel(id);
            }
        }
        if dropped > 0 {
            let what = " knocks whose commands have not begun are dropped";
            say!(self.log, Warn, "stopping: ", dropped, what);
        }
        if !self.leases.is_empty() {
            self.leases.expire_all(now_ms);
            self.store(now_ms);
            self.close_due(now_ms);
        }
        if let Some(job) = self.runner.current() {
            say!(
                self.log,
                Info,
                "stopping: waiting for the commands of rule ",
                Quoted(&job.rule)
            );
        }
    }

    /// The last thing to do: says what could not be closed. True if that is nothing.
    pub fn end_stop(&mut self, now_ms: u64) -> bool {
        if self.unsaved.at_ms().is_some() {
            self.store(now_ms);
        }
        let left = self.leases.iter().count();
        if left > 0 {
            let what = " leases could not be closed, the next start will try again";
            say!(self.log, Error, left, what);
        }
        left == 0
    }

    /// Reports the leases.
    pub fn report(&mut self, now_ms: u64) {
        for (lease, phase) in self.leases.iter() {
            let name = Quoted(&lease.rule);
            let head = text!("state: lease of rule ", name, ", ", lease.key, ": ");
            let left_s = lease.deadline_ms.saturating_sub(now_ms) / 1000;
            match phase {
                Phase::Open => say!(self.log, Info, head, "closes in ", left_s, " s"),
                Phase::Closing => say!(self.log, Info, head, "being closed"),
                Phase::Failed => say!(self.log, Info, head, "could not be closed, trying again"),
                Phase::GivenUp => say!(self.log, Info, head, "could not be closed, given up"),
            }
        }
        let running = usize::from(self.runner.current().is_some());
        let waiting = self.runner.waiting();
        say!(
            self.log,
            Info,
            "state: queue: ",
            running,
            " running, ",
            waiting,
            " waiting"
        );
    }

    /// Deals with what `line` meant to `rule`.
    pub fn outcome(&mut self, rule: &Rule, line: &[u8], outcome: Outcome, now_ms: u64) {
        let name = Quoted(&rule.name);
        match outcome.meaning {
            Meaning::Knock(knock) => self.knock(rule, *knock, now_ms),
            Meaning::Progress(change) => {
                let key = line.get(outcome.key).unwrap_or_default();
                say!(self.log, Debug, "rule ", name, ": ", key, " ", change);
            }
            Meaning::KeyTooLong => {
                if let Some(left_out) = self.key_too_long.pass(now_ms) {
                    let what = text!(": a key of more than ", KEY_LIMIT, " bytes is passed over");
                    say!(self.log, Warn, "rule ", name, what, left_out);
                }
            }
        }
    }

    fn knock(&mut self, rule: &Rule, knock: Knock, now_ms: u64) {
        let name = Quoted(&rule.name);
        say!(self.log, Info, "rule ", name, ": knock by ", knock.key);
        let request = match Request::new(rule, &knock) {
            Ok(request) => request,
            Err(reason) => {
                if let Some(left_out) = self.unfit.pass(now_ms) {
                    say!(
                        self.log,
                        Warn,
                        "rule ",
                        name,
                        ": knock refused: ",
                        reason,
                        left_out
                    );
                }
                return;
            }
        };
        match self.admit(rule, &knock, &request, now_ms) {
            Ok(Admission::Renewed) => {}
            Ok(Admission::Opened(lease)) => self.runner.submit(Job {
                event: Event::Open,
                lease,
                rule: rule.name.clone(),
                key: knock.key,
                commands: request.actions,
                timeout_ms: rule.action_timeout_ms,
            }),
            Err(reason) => {
                if let Some(left_out) = self.refused.pass(now_ms) {
                    say!(
                        self.log,
                        Error,
                        "rule ",
                        name,
                        ": knock refused: ",
                        reason,
                        left_out
                    );
                }
            }
        }
    }

    /// Decides about a knock and records the decision. The error says why it is refused.
    fn admit(
        &mut self,
        rule: &Rule,
        knock: &Knock,
        request: &Request,
        now_ms: u64,
    ) -> core::result::Result<Admission, Vec<u8>> {
        if !rule.one_time && rule.lease.is_none() {
            self.check_room()?;
            return Ok(Admission::Opened(None));
        }
        // A copy, so that what cannot be recorded has not happened.
        let mut next = self.leases.clone();
        let admission = request.enter(rule, &mut next, self.max_leases, now_ms)?;
        if admission != Admission::Renewed {
            self.check_room()?;
        }
        if rule.one_time {
            next.spend(&rule.name, rule.steps(knock.sequence));
        }
        self.save(&next)?;
        self.leases = next;
        if rule.one_time {
            self.spent.push(knock.rule);
        }
        if let Some(terms) = &rule.lease {
            let what = match admission {
                Admission::Opened(_) => "opened for ",
                Admission::Renewed => "renewed for ",
            };
            let (name, seconds) = (Quoted(&rule.name), terms.timeout_ms / 1000);
            say!(
                self.log,
                Info,
                "rule ",
                name,
                ": ",
                what,
                knock.key,
                ", closes in ",
                seconds,
                " s"
            );
        }
        // What an exclusive lease displaces is closed before the newcomer's actions run.
        self.close_due(now_ms);
        Ok(admission)
    }

    fn check_room(&self) -> core::result::Result<(), Vec<u8>> {
        match self.runner.has_room() {
            true => Ok(()),
            false => Err(text!(QUEUE_LIMIT, " knocks are waiting already")),
        }
    }

    /// Queues the reverts of the leases that are due.
    fn close_due(&mut self, now_ms: u64) {
        while let Some((id, lease)) = self.leases.next_due(now_ms) {
            say!(
                self.log,
                Info,
                "rule ",
                Quoted(&lease.rule),
                ": closing for ",
                lease.key
            );
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
        let head = text!("rule ", Quoted(&finished.job.rule), ": ");
        let key = &finished.job.key;
        match self.leases.closed(id, finished.succeeded, now_ms) {
            Closed::Done => say!(self.log, Info, head, "closed for ", key),
            Closed::Superseded => {
                say!(
                    self.log,
                    Warn,
                    head,
                    "not closed for ",
                    key,
                    ": open again by now"
                );
            }
            Closed::Retry(delay_ms) => {
                let seconds = delay_ms / 1000;
                say!(
                    self.log,
                    Warn,
                    head,
                    "not closed for ",
                    key,
                    ", trying again in ",
                    seconds,
                    " s"
                );
                return;
            }
            Closed::GivenUp => {
                let what = ", giving up; the record keeps it for the next start";
                say!(self.log, Error, head, "not closed for ", key, what);
                return;
            }
        }
        self.store(now_ms);
    }

    /// Writes the record; if that fails, says so once and sets the time for another try.
    fn store(&mut self, now_ms: u64) {
        match self.save(&self.leases) {
            Ok(()) => self.unsaved.succeed(),
            Err(reason) => {
                if self.unsaved.failures() == 0 {
                    say!(
                        self.log,
                        Error,
                        "record of leases: ",
                        reason,
                        "; trying again"
                    );
                }
                self.unsaved.fail(now_ms);
            }
        }
    }

    fn save(&self, leases: &Leases) -> core::result::Result<(), Vec<u8>> {
        let Some(record) = &self.record else {
            return Err(text!("the record on disk is unusable"));
        };
        let saved = record.save(leases);
        saved.map_err(|errno| text!("cannot write ", Quoted(record.path()), ": ", errno))
    }
}

/// What the last run has left on disk.
fn recover(record: Record, log: &mut Log) -> (Leases, Option<Record>) {
    let reason = match record.load() {
        Found::Leases(leases) => {
            let count = leases.iter().count();
            if count > 0 {
                say!(log, Info, "going on with ", count, " recorded leases");
            }
            return (leases, Some(record));
        }
        Found::Unusable(reason) => reason,
    };
    let path = Quoted(record.path());
    match record.set_aside() {
        Ok(name) => {
            say!(
                log,
                Error,
                "record ",
                path,
                " is unusable, now ",
                Quoted(name),
                ": ",
                reason
            );
            (Leases::default(), Some(record))
        }
        Err(errno) => {
            say!(log, Error, "record ", path, " is unusable: ", reason);
            say!(log, Error, "record ", path, " cannot be set aside: ", errno);
            (Leases::default(), None)
        }
    }
}
