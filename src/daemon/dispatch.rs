//! What the meaning of a line leads to: leases, jobs and messages.
//!
//! * A knock is refused, with a warning, when its key is nothing a command should see; with an
//!   error when the queue is full, or when what it opens cannot be recorded or run. Messages that strangers can
//!   provoke at will are throttled.
//! * What cannot be recorded is not opened (see `ledger`). Closing asks nobody: the revert runs all the
//!   same, unless another lease holds the same open when its turn comes.
//! * That something is open or closed is said when it is so.

use crate::backoff::NEVER;
use crate::commands::job::{Event, Job, LeaseId, Order};
use crate::commands::runner::{Answer, Finished, Runner};
use crate::engine::rule::Rule;
use crate::engine::{Engine, Knock, MAX_KEY, Meaning, Outcome};
use crate::leases::lease::{Again, Note, Phase, Verdict};
use crate::leases::ledger::{ClosesIn, Ledger, Need};
use crate::leases::opening::{count_unspent, deadlines, ends, first_unspent, job, sequence, terms};
use crate::leases::queue::{MAX_WAITING, Queue};
use crate::leases::record::{Request, now};
use crate::log::{Level, Log, Throttle};
use crate::sys::Errno;
use crate::sys::fd::Fd;
use crate::text::{List, Template};
use alloc::rc::Rc;
use alloc::vec::Vec;

const KNOCK: Template = template!("rule {:?}: knock by {}");
const ANEW: Template = template!(
    "rule {:?}: what was opened for {} has other commands than the rule: it is closed first"
);

/// How far the program is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Watching and acting.
    Running,
    /// Only finishing what has begun and closing what is open.
    Stopping,
}

/// Turns outcomes into leases and jobs.
#[repr(C)] // What is asked for most stands first: see HACKING.
pub struct Dispatch {
    life: Life,
    max_leases: usize,
    /// The leases that somebody by hand waits for.
    asked: Vec<LeaseId>,
    /// Where messages go.
    pub log: Log,
    runner: Runner,
    queue: Queue,
    ledger: Ledger,
    key_too_long: Throttle,
    unfit: Throttle,
    refused: Throttle,
    /// What somebody asked for last by hand.
    request: Option<Request>,
}

impl Dispatch {
    /// Acts on `ledger`. A rule may have `max_leases`.
    pub fn new(runner: Runner, ledger: Ledger, max_leases: usize, log: Log) -> Dispatch {
        Dispatch {
            log,
            life: Life::Running,
            runner,
            queue: Queue::default(),
            ledger,
            max_leases,
            asked: Vec::new(),
            request: None,
            key_too_long: Throttle::new(1),
            unfit: Throttle::new(1),
            refused: Throttle::new(1),
        }
    }

    /// Follows a reloaded configuration, with the record in another place if it says so. The error says why that cannot be.
    pub fn reload(
        &mut self,
        state: &str,
        need: Need,
        max_leases: usize,
        now_ms: u64,
    ) -> Result<(), Vec<u8>> {
        self.ledger.relocate(state, need, now_ms, &mut self.log)?;
        self.max_leases = max_leases;
        if need == Need::Required
            && let Err(reason) = self.ledger.attach(now_ms, &mut self.log)
        {
            say!(self.log, Error: "{}: no lease can be opened", reason.reason);
        }
        self.ledger.leases_mut().want_checks();
        Ok(())
    }

    /// Makes the first sequence that has not been spent the current one of every one-time rule, if which are spent has
    /// changed; says so of those rules whose current one is another, or of all.
    pub fn select_sequences(&mut self, engine: &mut Engine, all: bool) {
        if !self.ledger.take_spent_changed() && !all {
            return;
        }
        for index in 0..engine.rules().count() {
            let Some(rule) = engine.rule(index).filter(|rule| rule.one_time) else {
                continue;
            };
            let leases = self.ledger.leases();
            let next = first_unspent(rule, leases);
            if next == engine.current(index) && !all {
                continue;
            }
            let name = &rule.name;
            match count_unspent(rule, leases) {
                _ if leases.is_spent_unknown() => {
                    say!(self.log, Error: "rule {:?}: which one-time sequences are spent is \
                        unknown, the rule stays shut: put the record back, or remove it to begin anew", name);
                }
                0 => {
                    say!(self.log, Warn: "rule {:?}: every one-time sequence is spent, \
                        the rule stays shut", name);
                }
                left => say!(self.log, Info: "rule {:?}: {} one-time sequence{s} left", name, left),
            }
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
        loop {
            if let Some(finished) = self.runner.advance(&mut self.log) {
                self.finished(&finished, now_ms);
            }
            if self.runner.current().is_some() {
                break;
            }
            if self.life == Life::Running {
                self.queue.take_up(self.ledger.leases_mut());
            }
            let Some(order) = self.queue.next(self.ledger.leases_mut()) else {
                break;
            };
            if self.begin(&order, now_ms) {
                self.runner.begin(order);
            }
        }
        if !self.asked.is_empty() {
            // One is enough that is still closing.
            let leases = self.ledger.leases();
            while self.asked.pop_if(|id| !leases.is_closing(*id)).is_some() {}
            if self.asked.is_empty() {
                // Whoever asks reads there what is closed.
                self.ledger.sync(now_ms, &mut self.log);
                // Another one has been left there meanwhile if somebody waits no more; its signal is about to come. One
                // that cannot be read, for want of a descriptor say, is the one that somebody waits for.
                let left = self.ledger.request();
                if left.is_none() || left == self.request {
                    self.ledger.forget_request();
                }
            }
        }
    }

    /// Closes what somebody asks for by hand.
    #[inline(never)]
    pub fn by_hand(&mut self, now_ms: u64) {
        let Some(request) = self.ledger.request() else {
            return self.ledger.forget_request();
        };
        let mut ids = Vec::new();
        for lease in self.ledger.leases().all() {
            if request.means(&lease.terms.job) {
                ids.push(lease.id());
            }
        }
        say!(self.log, Info: "closing {} lease{s} by hand", ids.len());
        self.end(&ids, now_ms);
        if ids.is_empty() {
            self.ledger.forget_request();
        }
        self.asked.append(&mut ids);
        self.request = Some(request);
    }

    /// When to call [`Dispatch::advance`] even though nothing has happened.
    pub fn deadline_ms(&self) -> u64 {
        let command_ms = self.runner.deadline_ms();
        match self.life {
            Life::Running => command_ms
                .min(self.ledger.leases().deadline_ms())
                .min(self.ledger.deadline_ms()),
            Life::Stopping => command_ms,
        }
    }

    /// The descriptor to wait for.
    pub fn fd(&self) -> Option<&Fd> {
        self.runner.fd()
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
        self.runner.current().is_none() && self.queue.len(self.ledger.leases()) == 0
    }

    /// Forgets the knocks whose commands have not begun and begins to close every lease that does not outlive us.
    pub fn begin_stop(&mut self, now_ms: u64) {
        self.life = Life::Stopping;
        let dropped = self.queue.drop_knocks();
        if dropped > 0 {
            say!(self.log, Warn: "stopping: dropping {} knock{s} whose commands have not begun",
                dropped);
        }
        let leases = self.ledger.leases();
        let mut ids = Vec::new();
        for lease in leases.all() {
            let outlives = lease.terms.keeps() && lease.phase == Phase::Open;
            if !outlives || !leases.has_begun(lease.id()) {
                ids.push(lease.id());
            }
        }
        self.end(&ids, now_ms);
        if let Some(job) = self.runner.current() {
            say!(self.log, Info: "stopping: waiting for the commands of rule {:?}", job.rule);
        }
    }

    /// The last thing to do: says what could not be closed. True if that is nothing.
    pub fn end_stop(&mut self, now_ms: u64) -> bool {
        self.ledger.sync(now_ms, &mut self.log);
        self.ledger.forget_request();
        let (mut left, mut kept) = (0, 0);
        for lease in self.ledger.leases().all() {
            match lease.phase == Phase::Open && lease.terms.keeps() {
                true => kept += 1,
                false => left += 1,
            }
        }
        if kept > 0 {
            say!(self.log, Info: "{} lease{s} kept for the next start", kept as usize);
        }
        if left > 0 {
            say!(self.log, Error: "{} lease{s} could not be closed, the next start will try again",
                left as usize);
        }
        left == 0
    }

    /// Reports the leases.
    pub fn report(&mut self, now_ms: u64) {
        for lease in self.ledger.leases().all() {
            let mut closes = ClosesIn(NEVER, now_ms);
            let state = match lease.phase {
                Phase::Open => {
                    closes.0 = lease.terms.deadline_ms;
                    "open"
                }
                Phase::Closing | Phase::Checking => "being closed",
                Phase::Failed => "could not be closed, trying again",
                Phase::GivenUp => "could not be closed, given up",
            };
            let stands = match lease.stands || lease.phase != Phase::Open {
                true => "",
                false => "not standing, ",
            };
            let Job { rule, key, .. } = &*lease.terms.job;
            say!(self.log, Info: "state: lease of rule {:?}, {}: {}{}{}", rule, key, stands, state, closes);
        }
        let running = usize::from(self.runner.current().is_some());
        let waiting = self.queue.len(self.ledger.leases());
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
                        name, MAX_KEY, self.key_too_long);
                }
            }
        }
    }

    /// Not a part of the daemon's turn to the compiler: there it has hardly a register left.
    #[inline(never)]
    fn knock(&mut self, rule: &Rule, knock: Knock, now_ms: u64) {
        let name = &rule.name;
        let job = match job(rule, &knock) {
            Ok(job) => job,
            Err(reason) => {
                if self.unfit.pass(now_ms) {
                    say!(self.log, Warn: "rule {:?}: knock refused: {}{}", name, reason, self.unfit);
                }
                return;
            }
        };
        if rule.one_time || rule.lease.is_some() || !rule.closes.is_empty() {
            // What stands in a record that is read only now is open.
            let _ = self.ledger.attach(now_ms, &mut self.log);
        }
        let leases = self.ledger.leases();
        let found = match rule.lease {
            Some(_) => leases.find(name.as_bytes(), &knock.key),
            None => None,
        };
        let found = found.filter(|id| !leases.is_out_of_date(*id, &job));
        let done = match (found, rule.one_time) {
            (Some(id), false) => self.knock_again(rule, id, job, Vec::new(), now_ms),
            (found, _) => self.admit(rule, &knock, found, job, now_ms),
        };
        if let Err(reason) = done
            && self.refused.pass(now_ms)
        {
            say!(self.log, Error: "rule {:?}: knock by {} refused: {}{}",
                name, knock.key, reason, self.refused);
        }
    }

    /// Decides about a knock and records the decision. The error says why it is refused.
    fn admit(
        &mut self,
        rule: &Rule,
        knock: &Knock,
        found: Option<LeaseId>,
        job: Rc<Job>,
        now_ms: u64,
    ) -> Result<(), Vec<u8>> {
        self.expect_room()?;
        let mut spent = Vec::new();
        if rule.one_time || rule.lease.is_some() {
            // Before it is written down: a sequence is not to be spent for commands that cannot be run.
            let shortage = |errno: Errno| text!("its commands cannot be run: {}", errno);
            self.runner.can_start().map_err(shortage)?;
            let attached = self.ledger.attach(now_ms, &mut self.log);
            attached.map_err(|refusal| refusal.reason)?;
        }
        if rule.one_time {
            spent = sequence(rule, knock.sequence);
            if self.ledger.leases().is_spent(&spent) {
                return Err(text!("its sequence is spent"));
            }
        }
        if let Some(id) = found {
            self.tell(Level::Info, KNOCK, &job);
            return self.knock_again(rule, id, job, spent, now_ms);
        }
        let leases = self.ledger.leases();
        let terms = terms(rule, &job, leases, self.max_leases, now())?;
        let old = leases.find(&job.rule, &job.key);
        let ends = ends(rule, &job, leases, true);
        let log = &mut self.log;
        let lease = self.ledger.open(terms, &ends, spent, now_ms, log)?;
        self.tell(Level::Info, KNOCK, &job);
        if old.is_some() && lease.is_some() {
            self.tell(Level::Info, ANEW, &job);
        }
        self.end(&ends, now_ms);
        if lease.is_some() || !job.commands(Event::Open).is_empty() {
            self.close_first(rule, &job, true);
            self.queue.open(lease, job, self.ledger.leases_mut());
        }
        Ok(())
    }

    fn expect_room(&self) -> Result<(), Vec<u8>> {
        match self.queue.has_room() {
            true => Ok(()),
            false => Err(text!("{} knocks are waiting already", MAX_WAITING)),
        }
    }

    /// Has leases closed.
    fn end(&mut self, ids: &[LeaseId], now_ms: u64) {
        self.ledger.expire(ids, now_ms, &mut self.log);
        self.close_due(now_ms);
    }

    /// Has what a knock ends, and what has ended before it, closed before the knock's own commands run.
    fn close_first(&mut self, rule: &Rule, job: &Job, opens: bool) {
        let leases = self.ledger.leases_mut();
        let ids = ends(rule, job, leases, opens);
        leases.forgive(&ids);
        self.queue.bring_forward(&ids, leases);
    }

    /// A knock by a key that has an open lease. The error says why it is refused.
    fn knock_again(
        &mut self,
        rule: &Rule,
        id: LeaseId,
        job: Rc<Job>,
        spent: Vec<u8>,
        now_ms: u64,
    ) -> Result<(), Vec<u8>> {
        self.ledger.open(None, &[], spent, now_ms, &mut self.log)?;
        self.tell(Level::Debug, KNOCK, &job);
        // Before all that is due is closed: this lease may be.
        if let Some((deadline_ms, end_s)) = deadlines(rule, now()) {
            let leases = self.ledger.leases_mut();
            leases.renew(id, deadline_ms, end_s);
        }
        let ends = ends(rule, &job, self.ledger.leases(), false);
        self.end(&ends, now_ms);
        let Some(event) = self.ledger.leases_mut().knocked(id, now_ms) else {
            return Ok(());
        };
        if event == Event::Open {
            self.expect_room()?;
        }
        self.close_first(rule, &job, false);
        self.ledger.leases_mut().set_busy(id, true);
        self.order(id, event);
        Ok(())
    }

    /// Has commands of a lease run.
    fn order(&mut self, id: LeaseId, event: Event) {
        self.queue.submit(id, event, self.ledger.leases_mut());
    }

    /// Says something of whom a job is for: the template has a place for the rule and one for the key.
    #[inline(never)]
    fn tell(&mut self, level: Level, template: Template, job: &Job) {
        list!(List::NONE, job.rule, job.key).give(|parts| self.log.say(level, template, parts));
    }

    /// Queues the reverts of the leases that are due.
    fn close_due(&mut self, now_ms: u64) {
        while let Some((id, job)) = self.ledger.leases_mut().next_due(now_ms) {
            self.tell(Level::Info, template!("rule {:?}: closing for {}"), &job);
            self.order(id, Event::Close);
        }
    }

    /// Whether the commands of an order are to be run, now that it is their turn.
    fn begin(&mut self, order: &Order, now_ms: u64) -> bool {
        let Some(id) = order.lease else {
            return true;
        };
        let leases = self.ledger.leases_mut();
        // What outlives us needs no check for that.
        if self.life == Life::Stopping && order.event == Event::Check && leases.is_busy(id) {
            return false;
        }
        match leases.begin(id, order.event) {
            Verdict::Gone => return false,
            Verdict::Left => self.leave(id, now_ms),
            Verdict::Go => {
                if order.event == Event::Open {
                    // What could not be closed before is what it will close.
                    while let Some(other) = self.ledger.leases().companion(id) {
                        self.leave(other, now_ms);
                    }
                }
                return true;
            }
        }
        false
    }

    /// Ends a lease without its revert, because another one with the same revert is open.
    fn leave(&mut self, id: LeaseId, now_ms: u64) {
        if let Some(lease) = self.ledger.leases().get(id) {
            let (level, template) = match lease.has_failed() {
                true => (
                    Level::Warn,
                    template!(
                        "rule {:?}: 1 lease that could not be closed is left to a newer one, for {}"
                    ),
                ),
                false => (
                    Level::Info,
                    template!("rule {:?}: ended for {}, another lease holds the same open"),
                ),
            };
            let job = lease.terms.job.clone();
            self.tell(level, template, &job);
        }
        self.ledger.note(&[id], Note::Close, now_ms, &mut self.log);
    }

    fn finished(&mut self, finished: &Finished, now_ms: u64) {
        let (order, answer) = (&finished.order, finished.answer);
        let leases = self.ledger.leases();
        let of_lease = order.lease.and_then(|id| Some((id, leases.get(id)?.phase)));
        let Some((id, phase)) = of_lease else {
            return;
        };
        match (order.event, phase) {
            (Event::Open, _) => self.opened(id, answer == Answer::Yes, now_ms),
            (Event::Check, Phase::Checking) => self.closed(id, answer == Answer::No, now_ms),
            (Event::Check, _) => self.checked(id, answer, now_ms),
            (Event::Close, _) => {
                let succeeded = answer == Answer::Yes;
                if !succeeded && !leases.has_begun(id) {
                    // What has never been opened may well fail to be closed. What the same commands were to close that
                    // has been opened is not closed by that.
                    self.strike_out(id, now_ms);
                } else if !succeeded && self.ledger.leases_mut().check(id) {
                    self.order(id, Event::Check);
                } else {
                    self.closed(id, succeeded, now_ms);
                }
            }
        }
    }

    /// Notes how the actions of a lease ended.
    fn opened(&mut self, id: LeaseId, stands: bool, now_ms: u64) {
        self.ledger.leases_mut().set_busy(id, false);
        self.stands(id, stands, now_ms);
        let Some(lease) = self.ledger.leases().get(id) else {
            return;
        };
        let job = lease.terms.job.clone();
        if !stands {
            let template = template!(
                "rule {:?}: not opened for {}: an action has failed, the next knock runs them again"
            );
            return self.tell(Level::Warn, template, &job);
        }
        let closes = ClosesIn(lease.terms.deadline_ms, now_ms);
        say!(self.log, Info: "rule {:?}: opened for {}{}", job.rule, job.key, closes);
        let leases = self.ledger.leases_mut();
        if leases.is_reopened(id, now_ms) {
            leases.set_busy(id, true);
            self.order(id, Event::Check);
        }
    }

    /// Notes whether what a lease opened is there.
    fn stands(&mut self, id: LeaseId, stands: bool, now_ms: u64) {
        let lease = self.ledger.leases().get(id);
        if lease.is_some_and(|lease| lease.stands != stands) {
            let note = Note::Stands(stands);
            self.ledger.note(&[id], note, now_ms, &mut self.log);
        }
    }

    /// Deals with what the check of an open lease says.
    fn checked(&mut self, id: LeaseId, answer: Answer, now_ms: u64) {
        let leases = self.ledger.leases_mut();
        leases.set_busy(id, false);
        let Some(lease) = leases.get(id).filter(|lease| lease.phase == Phase::Open) else {
            return;
        };
        let job = lease.terms.job.clone();
        let template = match answer {
            Answer::Yes => {
                leases.found(id);
                return self.stands(id, true, now_ms);
            }
            Answer::No => {
                let again = leases.reopen(id, now_ms);
                self.stands(id, false, now_ms);
                if again {
                    self.ledger.leases_mut().set_busy(id, true);
                    self.order(id, Event::Open);
                    template!("rule {:?}: what should be open for {} is not there, opening it")
                } else {
                    template!(
                        "rule {:?}: the check does not find what was opened again for {}, the next knock runs the actions"
                    )
                }
            }
            Answer::Unclear => {
                template!("rule {:?}: whether what was opened for {} is there cannot be told")
            }
        };
        self.tell(Level::Warn, template, &job);
    }

    /// Notes how the closing of a lease ended.
    fn closed(&mut self, id: LeaseId, succeeded: bool, now_ms: u64) {
        if !succeeded {
            return self.not_closed(id, now_ms);
        }
        let mut next = Some(id);
        while let Some(id) = next {
            // Others that the same commands were to close are closed by them, too.
            next = self.ledger.leases().companion(id);
            self.strike_out(id, now_ms);
        }
    }

    /// A lease is closed.
    fn strike_out(&mut self, id: LeaseId, now_ms: u64) {
        if let Some(lease) = self.ledger.leases().get(id) {
            let job = lease.terms.job.clone();
            self.ledger.note(&[id], Note::Close, now_ms, &mut self.log);
            self.tell(Level::Info, template!("rule {:?}: closed for {}"), &job);
            self.doubt(&job, now_ms);
        }
    }

    /// What has been closed late, after its rule has got other commands and opened anew, may have been the same.
    fn doubt(&mut self, old: &Job, now_ms: u64) {
        let leases = self.ledger.leases();
        if let Some(id) = leases.find(&old.rule, &old.key)
            && let Some(lease) = leases.get(id)
            && lease.stands
            && lease.terms.job.templates != old.templates
        {
            self.stands(id, false, now_ms);
            self.tell(
                Level::Warn,
                template!("rule {:?}: that may have shut what was opened for {} since, the next knock runs the actions"),
                old,
            );
        }
    }

    fn not_closed(&mut self, id: LeaseId, now_ms: u64) {
        let Some(lease) = self.ledger.leases().get(id) else {
            return;
        };
        let job = &*lease.terms.job.clone();
        match self.ledger.leases_mut().failed(id, now_ms) {
            Again::After(seconds) if self.life == Life::Running => {
                say!(self.log, Warn: "rule {:?}: not closed for {}, trying again in {} s",
                    job.rule, job.key, seconds);
            }
            Again::After(_) => {
                self.tell(Level::Warn, template!("rule {:?}: not closed for {}"), job)
            }
            Again::GivenUp => {
                self.ledger
                    .note(&[id], Note::GivenUp, now_ms, &mut self.log);
                self.tell(
                    Level::Error,
                    template!("rule {:?}: not closed for {}, giving up; the record keeps it for the next start"),
                    job,
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::leases::lease::Lease;
    use crate::leases::record::Record;
    use crate::log::Target;
    use crate::sys::clock::boot_time_ms;
    use alloc::boxed::Box;

    struct Scene {
        folder: std::path::PathBuf,
        config: Box<Config>,
        dispatch: Dispatch,
    }

    impl Scene {
        /// What comes of rules, which are named by their first words; each has a step and a key.
        fn of(name: &str, rules: &[&str]) -> Scene {
            let name = std::format!("dispatch-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir(&folder).expect("a folder");
            let mut ruleset = Vec::new();
            for rule in rules {
                ruleset.push(std::format!(
                    r#"{{"filter": "(a)", "sequence": ["a"], "name": {rule}}}"#
                ));
            }
            let config = std::format!(r#"{{"file": "log", "ruleset": [{}]}}"#, ruleset.join(","));
            let config = Config::parse(config.as_bytes()).expect("a configuration");
            let path = folder.join("state");
            let mut log = Log::new(Target::Stderr, Level::Error);
            let state = path.to_str().expect("its name");
            let ledger = Ledger::load(state, Need::Required, boot_time_ms(), 1, &mut log);
            let ledger = ledger.ok().expect("a ledger");
            Scene {
                dispatch: Dispatch::new(Runner::new().expect("a runner"), ledger, 9, log),
                folder,
                config,
            }
        }

        fn knock(&mut self, rule: usize, key: &str, now_ms: u64) {
            let knock = Knock {
                rule,
                sequence: 0,
                key: key.into(),
                groups: Vec::new(),
            };
            self.dispatch.knock(&self.config.rules[rule], knock, now_ms);
        }

        /// The open lease of a rule and a key.
        fn lease(&self, rule: usize, key: &str) -> Option<&Lease> {
            let leases = self.dispatch.ledger.leases();
            leases.get(leases.find(self.config.rules[rule].name.as_bytes(), key.as_bytes())?)
        }

        /// Leaves a request by hand: where it waits, and itself.
        fn ask(&self, key: &str) -> (Record, Fd) {
            let state = self.folder.join("state");
            let record = Record::new(state.to_str().expect("its name"), 1).expect("a record");
            let (key, rule) = (key.into(), Vec::new());
            let asked = record.ask(&Request { key, rule }).expect("a request");
            (record, asked)
        }

        fn run_until_idle(&mut self) {
            loop {
                self.dispatch.advance(boot_time_ms());
                if self.dispatch.is_idle() {
                    break;
                }
                std::thread::sleep(core::time::Duration::from_millis(1));
                self.dispatch.reap();
            }
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.folder).expect("it can be removed");
        }
    }

    #[test]
    fn a_knock_at_the_moment_its_lease_runs_out_keeps_it_open() {
        let mut scene = Scene::of(
            "due",
            &[r#""door", "actions": ["open"], "timeout": 10, "revert": ["close"]"#],
        );
        let mut knock = |now_ms| {
            scene.knock(0, "a", now_ms);
            let lease = scene.lease(0, "a").expect("a lease");
            lease.terms.deadline_ms
        };
        let due_ms = knock(0);
        // So that the new deadline is a later one.
        std::thread::sleep(core::time::Duration::from_millis(2));
        assert!(knock(due_ms) > due_ms);
    }

    #[test]
    fn what_is_open_is_checked_however_many_knocks_wait() {
        let mut scene = Scene::of(
            "full",
            &[
                r#""door", "actions": ["true"], "timeout": 60, "revert": ["true"], "check": ["true"]"#,
                r#""other", "actions": ["true"]"#,
            ],
        );
        scene.knock(0, "a", boot_time_ms());
        scene.run_until_idle();
        for _ in 0..=MAX_WAITING {
            scene.knock(1, "b", boot_time_ms());
        }
        scene.knock(0, "a", boot_time_ms());
        let leases = scene.dispatch.ledger.leases();
        assert_eq!(scene.dispatch.queue.len(leases), MAX_WAITING + 1);
    }

    #[test]
    fn a_request_is_not_taken_away_for_another_one_that_was_dealt_with() {
        let mut scene = Scene::of(
            "asked",
            &[r#""door", "actions": ["true"], "timeout": 60, "revert": ["true {key}"]"#],
        );
        for key in ["a", "b"] {
            scene.knock(0, key, boot_time_ms());
        }
        scene.run_until_idle();
        drop(scene.ask("a"));
        scene.dispatch.by_hand(boot_time_ms());
        // Whoever asked has been killed, and somebody else asks, whose signal comes later.
        let (record, asked) = scene.ask("b");
        scene.run_until_idle();
        assert!(scene.lease(0, "a").is_none() && record.is_asked(&asked));
        scene.dispatch.by_hand(boot_time_ms());
        scene.run_until_idle();
        assert!(scene.lease(0, "b").is_none() && !record.is_asked(&asked));
    }

    #[test]
    fn a_request_that_cannot_be_read_any_more_is_taken_away_when_it_is_dealt_with() {
        let mut scene = Scene::of(
            "unreadable",
            &[r#""door", "actions": ["true"], "timeout": 60, "revert": ["true"]"#],
        );
        scene.knock(0, "a", boot_time_ms());
        scene.run_until_idle();
        let (record, asked) = scene.ask("a");
        scene.dispatch.by_hand(boot_time_ms());
        // In the place of a shortage that would be one for the other tests, too.
        std::fs::write(scene.folder.join("state.request"), "").expect("it is emptied");
        scene.run_until_idle();
        assert!(scene.lease(0, "a").is_none() && !record.is_asked(&asked));
    }

    #[test]
    fn what_was_never_opened_closes_nothing_that_was() {
        let mut scene = Scene::of(
            "unopened",
            &[r#""door", "actions": ["true"], "timeout": 60, "revert": ["false"]"#],
        );
        scene.knock(0, "a", boot_time_ms());
        scene.run_until_idle();
        let id = scene.lease(0, "a").expect("a lease").id();
        scene.dispatch.end(&[id], boot_time_ms());
        scene.run_until_idle();
        // A stop drops this knock.
        scene.knock(0, "a", boot_time_ms());
        scene.dispatch.begin_stop(boot_time_ms());
        scene.run_until_idle();
        assert!(scene.dispatch.ledger.leases().get(id).is_some());
    }

    #[test]
    fn the_exclusive_lease_that_ends_makes_room_for_the_new_one() {
        let mut scene = Scene::of(
            "exclusive",
            &[
                r#""door", "exclusive": true, "actions": ["true"], "timeout": 60, "revert": ["true"]"#,
            ],
        );
        scene.dispatch.max_leases = 1;
        for key in ["a", "b", "a"] {
            scene.knock(0, key, boot_time_ms());
            scene.run_until_idle();
            assert!(scene.lease(0, key).is_some_and(|lease| lease.stands));
        }
        assert_eq!(scene.dispatch.ledger.leases().count(), 1);
    }

    #[test]
    fn what_could_not_be_closed_is_tried_again_before_the_actions_of_what_closes_it() {
        let mut scene = Scene::of(
            "again",
            &[
                r#""door", "actions": ["true"], "timeout": 60, "revert": ["false"], "check": ["true"]"#,
                r#""closer", "closes": "door", "actions": ["true"]"#,
            ],
        );
        scene.knock(0, "a", boot_time_ms());
        scene.run_until_idle();
        let id = scene.lease(0, "a").expect("a lease").id();
        scene.dispatch.end(&[id], boot_time_ms());
        let is_checked = |scene: &Scene| {
            let lease = scene.dispatch.ledger.leases().get(id);
            lease.is_some_and(|lease| lease.phase == Phase::Checking)
        };
        while !is_checked(&scene) {
            scene.dispatch.advance(boot_time_ms());
            scene.dispatch.reap();
        }
        scene.knock(1, "a", boot_time_ms());
        let next = scene
            .dispatch
            .queue
            .next(scene.dispatch.ledger.leases_mut());
        assert!(next.is_some_and(|order| order.event == Event::Close));
    }

    #[test]
    fn a_knock_finds_what_stands_in_a_record_that_is_read_only_for_it() {
        for (rule, stays) in [(0, true), (1, false)] {
            let mut scene = Scene::of(
                "late",
                &[
                    r#""door", "actions": ["true"], "timeout": 60, "revert": ["true"]"#,
                    r#""closer", "closes": "door", "actions": ["true"]"#,
                ],
            );
            scene.knock(0, "a", boot_time_ms());
            scene.run_until_idle();
            let late = scene.folder.join("late");
            let state = late.join("state");
            let name = state.to_str().expect("its name");
            let log = &mut scene.dispatch.log;
            let ledger = Ledger::load(name, Need::Required, boot_time_ms(), 1, log);
            scene.dispatch.ledger = ledger.ok().expect("a ledger");
            std::fs::create_dir(late).expect("a folder");
            std::fs::copy(scene.folder.join("state"), state).expect("a record");
            scene.knock(rule, "a", boot_time_ms());
            assert_eq!(scene.lease(0, "a").is_some_and(|door| door.stands), stays);
            assert_eq!(scene.dispatch.ledger.leases().count(), 1);
        }
    }
}
