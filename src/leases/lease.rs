//! What knocks have opened and what will close it again; and which one-time sequences are spent.
//!
//! * A *lease* belongs to a rule and a key. It holds the filled-in commands that open, check and close, so it can
//!   be closed whatever has become of the rule.
//! * It is *standing* while what it opened is known to be there: its actions have all succeeded, and no check has
//!   said otherwise since.
//! * All of this is plain state that is moved by calls with the time in them. Every state it can be in must be one
//!   that a restart can go on from: after a crash nobody knows how far commands have come, so a lease read back is
//!   simply open until its deadline.
//! * Several leases may have opened the same thing, which is to say that their reverts are the very same commands.
//!   The last one closes: a revert does not run while another lease, whose actions have begun, is open. A lease whose
//!   actions have not begun takes over nothing.
//! * What a call costs grows with the logarithm of the number of leases at most, or with what it hands out.

use crate::backoff::{NEVER, after, after_s, delay_s};
use crate::commands::job::{Event, Job, LeaseId, Order};
use crate::engine::tracker::hash;
use crate::leases::due::Due;
use crate::leases::sets::{NONE, Sets};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// How often a revert that failed is tried again before it is given up.
pub const RETRIES: u32 = 10;

/// How long actions that were run again because of a check are not run for that reason once more, in milliseconds.
const REOPEN_MS: u64 = 10_000;

/// How often they are, in the long run, and how much of that time a lease can have saved up, in milliseconds: leases that
/// each undo the other would else be opened for ever.
const REOPEN_EACH_MS: u64 = 60_000;
const REOPEN_SAVED_MS: u64 = 10 * REOPEN_EACH_MS;

/// Between two checks of one lease that knocks ask for, in milliseconds.
const CHECK_MS: u64 = 5000;

/// How far a lease has come.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Phase {
    /// It is open, or its actions are on their way.
    Open,
    /// Its revert is on its way.
    Closing,
    /// Its revert has failed, and its check is on its way: perhaps there was nothing to close.
    Checking,
    /// Its revert has failed and will be tried again.
    Failed,
    /// Its revert has failed too often: it is not tried again before somebody asks for it, or the next start.
    GivenUp,
}

/// What a lease is opened with.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Terms {
    /// What opens, checks and closes it.
    pub job: Rc<Job>,
    /// When it was opened, on the clock of this boot. Zero if that was before this boot.
    pub opened_ms: u64,
    /// When it is to be closed, on the same clock; perhaps [`NEVER`].
    pub deadline_ms: u64,
    /// The same by the wall clock, in seconds, for a lease that outlives a stop and a reboot; zero for others.
    pub end_s: u64,
}

impl Terms {
    /// Whether the lease outlives a stop and a reboot.
    pub fn keeps(&self) -> bool {
        self.end_s != 0
    }
}

/// Something that was opened and is to be closed.
#[cfg_attr(test, derive(Debug))]
#[repr(C)] // What is asked for most stands first: see HACKING.
pub struct Lease {
    id: LeaseId,
    pub phase: Phase,
    /// Whether what it opened is known to be there.
    pub stands: bool,
    /// Its actions have begun, now or in an earlier life.
    begun: bool,
    /// Its actions or its check are waiting or running.
    busy: bool,
    /// Its deadline was moved since that was told.
    renewed: bool,
    /// Its actions are wanted since another boot.
    reopens: bool,
    /// How often its revert has failed.
    failures: u32,
    pub terms: Terms,
    /// Until when no knock has it checked, because one just has.
    checked_until_ms: u64,
    /// Until when its actions are not run again because its check says no, because they just have been; 0 if a yes or
    /// a knock has come since.
    reopened_until_ms: u64,
    /// Until when the time for that is used up, if no knock has come since.
    used_ms: u64,
}

/// What happens to a lease after it was opened.
#[derive(Clone, Copy)]
pub enum Note {
    /// Its deadline is moved, on both clocks.
    Until(u64, u64),
    /// What it opened is found to be there, or not to be there.
    Stands(bool),
    /// Its revert has failed too often.
    GivenUp,
    /// It is closed.
    Close,
}

/// What to do when the turn of a lease's commands has come.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Verdict {
    /// Run them.
    Go,
    /// Nothing: the lease is gone, or has come too far.
    Gone,
    /// Another lease holds the same open, so this one ends without its revert.
    Left,
}

/// What comes of a failed revert.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Again {
    /// It will be tried again after this many seconds.
    After(u32),
    /// It has failed too often.
    GivenUp,
}

/// All leases and all spent sequences.
#[repr(C)] // What is asked for most stands first: see HACKING.
pub struct Leases {
    slots: Vec<Option<Lease>>,
    free: Vec<u32>,
    /// By [`RULE`], [`KEY`] and [`REVERT`]. In front are those that are not open any more, and those are held by which
    /// the same thing is open.
    sets: [Sets; 3],
    /// Those whose check or revert waits for its turn: two sets.
    waiting: Sets,
    due: Due,
    renewed: Vec<LeaseId>,
    seed: u64,
    last_serial: u32,
    /// What is to be run for leases without anybody waiting for it.
    wanted: Vec<(LeaseId, Event)>,
    /// The slot of the one for which something was last.
    looked_at: usize,
    /// Each as the record has it: what is spent is remembered by its text.
    spent: Vec<Vec<u8>>,
    /// The record was lost, and with it what is spent: then everything is.
    spent_unknown: bool,
}

impl Leases {
    /// Nothing is open. The seed is a secret for the hash tables.
    pub fn new(seed: u64) -> Box<Leases> {
        Box::new(Leases {
            slots: Vec::new(),
            free: Vec::new(),
            seed,
            last_serial: 0,
            sets: Default::default(),
            waiting: Sets::default(),
            due: Due::default(),
            renewed: Vec::new(),
            wanted: Vec::new(),
            looked_at: 0,
            spent: Vec::new(),
            spent_unknown: false,
        })
    }

    /// What to go on with when the record is lost: nothing is known to be open, and no one-time sequence
    /// is known not to be spent.
    pub fn after_loss(seed: u64) -> Box<Leases> {
        let mut leases = Leases::new(seed);
        leases.forget_spent();
        leases
    }

    /// Whether it is unknown which sequences are spent.
    pub fn is_spent_unknown(&self) -> bool {
        self.spent_unknown
    }

    /// Forgets which sequences are spent.
    pub(super) fn forget_spent(&mut self) {
        self.spent_unknown = true;
    }

    /// Every lease, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Lease> {
        self.slots.iter().flatten()
    }

    /// What is spent, each as the record has it.
    pub(super) fn spent(&self) -> &[Vec<u8>] {
        &self.spent
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A lease that has not gone.
    pub fn get(&self, id: LeaseId) -> Option<&Lease> {
        let lease = self.at(id.slot)?;
        (lease.id == id).then_some(lease)
    }

    fn at(&self, slot: u32) -> Option<&Lease> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: LeaseId) -> Option<&mut Lease> {
        let lease = self.slots.get_mut(id.slot as usize)?.as_mut()?;
        (lease.id == id).then_some(lease)
    }

    /// The lease that is kept in a slot.
    pub(super) fn id_at(&self, slot: u64) -> Option<LeaseId> {
        Some(self.at(u32::try_from(slot).ok()?)?.id)
    }

    /// How many leases of a rule there are.
    pub fn count_of(&self, rule: &[u8]) -> usize {
        self.sets[RULE].count(self.set_of(RULE, rule)) as usize
    }

    /// Those that have something in common, called so by [`common`].
    #[inline(never)]
    fn set_of(&self, what: usize, name: &[u8]) -> u32 {
        self.sets[what].find(hash(name, self.seed), &|slot| {
            self.at(slot)
                .is_some_and(|lease| common(what, &lease.terms.job) == name)
        })
    }

    /// The open lease of a rule and a key.
    pub fn find(&self, rule: &[u8], key: &[u8]) -> Option<LeaseId> {
        let set = self.set_of(KEY, &rule_and_key(rule, key));
        // One that is not open would be in front.
        let lease = self.at(self.sets[KEY].last(set))?;
        (lease.phase == Phase::Open).then_some(lease.id)
    }

    /// Adds the leases that have something in common, called so by [`common`]: the open ones last, of the others the one
    /// first that has ended last.
    pub fn alike(&self, what: usize, name: &[u8], alike: &mut Vec<LeaseId>) {
        let sets = &self.sets[what];
        let mut at = sets.first(self.set_of(what, name));
        while let Some(lease) = self.at(at) {
            alike.push(lease.id);
            at = sets.after(lease.id.slot);
        }
    }

    /// Where the next lease will be kept.
    pub fn next_slot(&self) -> u32 {
        // OK because memory is full long before.
        let fresh = self.slots.len() as u32;
        self.free.last().copied().unwrap_or(fresh)
    }

    /// Adds a lease whose actions have not begun.
    pub fn open(&mut self, terms: Terms) -> LeaseId {
        let slot = self.next_slot();
        self.free.pop();
        let id = self.place(slot, terms);
        self.apply(id, Note::Stands(false));
        id
    }

    /// Adds a lease in a slot where none is. [`Leases::resume`] is to be called afterwards.
    pub(super) fn place(&mut self, slot: u32, terms: Terms) -> LeaseId {
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, || None);
        }
        self.last_serial = self.last_serial.wrapping_add(1);
        let id = LeaseId {
            slot,
            serial: self.last_serial,
        };
        let (job, deadline_ms) = (terms.job.clone(), terms.deadline_ms);
        let lease = Lease {
            id,
            terms,
            phase: Phase::Open,
            stands: true,
            begun: false,
            busy: true,
            failures: 0,
            checked_until_ms: 0,
            reopened_until_ms: 0,
            used_ms: 0,
            renewed: false,
            reopens: false,
        };
        let slots = &self.slots;
        for (what, sets) in self.sets.iter_mut().enumerate() {
            let name = common(what, &job);
            sets.add(slot, hash(&name, self.seed), &|other| {
                let other = slots.get(other as usize).and_then(Option::as_ref);
                other.is_some_and(|other| common(what, &other.terms.job) == name)
            });
        }
        self.due.set(slot, deadline_ms);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(lease);
        }
        id
    }

    /// Goes on with the leases of an earlier life: their actions have begun, as far as anybody knows. What was due then
    /// may have been tried already; what was opened before another boot has gone with it.
    pub(super) fn resume(&mut self, now_ms: u64, same_boot: bool) {
        self.free.clear();
        // OK because memory is full long before.
        for slot in 0..self.slots.len() as u32 {
            let Some(Some(lease)) = self.slots.get_mut(slot as usize) else {
                self.free.push(slot);
                continue;
            };
            let id = lease.id;
            lease.begun = true;
            lease.busy = false;
            let is_due = lease.terms.deadline_ms <= now_ms;
            if !same_boot {
                lease.stands = false;
            }
            // What has not been opened since that is still to be.
            if !lease.stands && lease.terms.opened_ms == 0 {
                lease.reopens = true;
                self.wanted.push((id, Event::Open));
            }
            if lease.phase == Phase::Open {
                self.sets[REVERT].hold(slot, true);
                if is_due {
                    self.leave_open(id, Phase::Failed);
                }
            }
        }
    }

    /// An open lease becomes something else.
    fn leave_open(&mut self, id: LeaseId, phase: Phase) {
        let Some(lease) = self.get_mut(id) else {
            return;
        };
        if core::mem::replace(&mut lease.phase, phase) != Phase::Open {
            return;
        }
        let begun = lease.begun;
        if begun {
            self.sets[REVERT].hold(id.slot, false);
        }
        for sets in &mut self.sets {
            sets.to_front(id.slot);
        }
    }

    /// Makes what happens to a lease come true.
    pub fn apply(&mut self, id: LeaseId, note: Note) {
        let Some(lease) = self.get_mut(id) else {
            return;
        };
        match note {
            Note::Until(deadline_ms, end_s) => {
                lease.terms.deadline_ms = deadline_ms;
                if lease.terms.keeps() {
                    lease.terms.end_s = end_s;
                }
                match lease.phase {
                    Phase::Open => self.due.set(id.slot, deadline_ms),
                    // It is about to be tried once more.
                    Phase::GivenUp => lease.phase = Phase::Failed,
                    _ => {}
                }
            }
            Note::Stands(stands) => lease.stands = stands,
            Note::GivenUp => self.leave_open(id, Phase::GivenUp),
            Note::Close => {
                self.leave_open(id, Phase::Closing);
                self.waiting.remove(id.slot);
                for sets in &mut self.sets {
                    sets.remove(id.slot);
                }
                self.due.remove(id.slot);
                if let Some(place) = self.slots.get_mut(id.slot as usize) {
                    *place = None;
                }
                self.free.push(id.slot);
            }
        }
    }

    /// Moves the deadline of an open lease, which is to be told.
    pub fn renew(&mut self, id: LeaseId, deadline_ms: u64, end_s: u64) {
        self.apply(id, Note::Until(deadline_ms, end_s));
        if let Some(lease) = self.get_mut(id)
            && !core::mem::replace(&mut lease.renewed, true)
        {
            self.renewed.push(id);
        }
    }

    /// The next lease whose deadline was moved and not told of yet.
    pub fn next_renewed(&mut self) -> Option<LeaseId> {
        while let Some(id) = self.renewed.pop() {
            if let Some(lease) = self.get_mut(id) {
                lease.renewed = false;
                return Some(id);
            }
        }
        None
    }

    /// Makes the revert of a lease due, whatever has been tried before, be it that its check is on its way because of that.
    pub fn hurry(&mut self, id: LeaseId) {
        if let Some(lease) = self.get(id)
            && lease.phase != Phase::Closing
        {
            self.due.set(id.slot, 0);
        }
    }

    /// The next lease whose revert is to run now, marked as being closed.
    pub fn next_due(&mut self, now_ms: u64) -> Option<(LeaseId, Rc<Job>)> {
        let (slot, due_ms) = self.due.first()?;
        if due_ms > now_ms {
            return None;
        }
        let Lease { id, terms, .. } = self.at(slot)?;
        let (id, job) = (*id, terms.job.clone());
        self.begin_closing(id);
        Some((id, job))
    }

    pub(super) fn begin_closing(&mut self, id: LeaseId) {
        self.leave_open(id, Phase::Closing);
        self.due.set(id.slot, NEVER);
    }

    /// Has the check or the revert of a lease wait for its turn, in place of what waited before.
    pub(super) fn wait(&mut self, id: LeaseId, event: Event) {
        if self.get(id).is_some() {
            self.waiting.remove(id.slot);
            self.waiting.add(id.slot, event as u32, &|_| true);
        }
    }

    fn lane(&self, event: Event) -> u32 {
        self.waiting.find(event as u32, &|_| true)
    }

    /// How many checks or reverts wait for their turn.
    pub(super) fn waiting(&self, event: Event) -> usize {
        self.waiting.count(self.lane(event)) as usize
    }

    /// The check or the revert that waits longest, which waits no more.
    pub(super) fn next_waiting(&mut self, event: Event) -> Option<Order> {
        let id = self.at(self.waiting.first(self.lane(event)))?.id;
        self.waiting.remove(id.slot);
        self.order(id, event)
    }

    /// The revert of a lease, which waits no more; none if it did not.
    pub(super) fn unwait(&mut self, id: LeaseId) -> Option<Order> {
        let waits = self.waiting.set_of(id.slot) != NONE;
        if !waits || self.get(id)?.phase != Phase::Closing {
            return None;
        }
        self.waiting.remove(id.slot);
        self.order(id, Event::Close)
    }

    /// Commands of a lease, as they are to be run.
    pub(super) fn order(&self, id: LeaseId, event: Event) -> Option<Order> {
        Some(Order {
            event,
            lease: Some(id),
            job: self.get(id)?.terms.job.clone(),
        })
    }

    /// When [`Leases::next_due`] has something to say.
    pub fn deadline_ms(&self) -> u64 {
        self.due.first().map_or(NEVER, |(_, due_ms)| due_ms)
    }

    /// Says that it is the turn of a lease's commands.
    pub fn begin(&mut self, id: LeaseId, event: Event) -> Verdict {
        let Some(lease) = self.get_mut(id) else {
            return Verdict::Gone;
        };
        let goes = match event {
            Event::Open => {
                let first = !core::mem::replace(&mut lease.begun, true);
                let is_open = lease.phase == Phase::Open;
                if first && is_open {
                    self.sets[REVERT].hold(id.slot, true);
                }
                first || is_open
            }
            Event::Check => matches!(lease.phase, Phase::Open | Phase::Checking),
            Event::Close if self.sets[REVERT].held(self.sets[REVERT].set_of(id.slot)) > 0 => {
                return Verdict::Left;
            }
            Event::Close => true,
        };
        if goes { Verdict::Go } else { Verdict::Gone }
    }

    /// A lease that is not open any more, of which the revert of another is the same; the actions of both have begun.
    pub fn companion(&self, id: LeaseId) -> Option<LeaseId> {
        let reverts = &self.sets[REVERT];
        let mut at = reverts.first(reverts.set_of(id.slot));
        while let Some(lease) = self.at(at)
            && lease.phase != Phase::Open
        {
            if lease.begun && lease.id != id {
                return Some(lease.id);
            }
            at = reverts.after(lease.id.slot);
        }
        None
    }

    /// Whether the actions of a lease have begun.
    pub fn has_begun(&self, id: LeaseId) -> bool {
        self.get(id).is_some_and(|lease| lease.begun)
    }

    /// Whether a new knock is to open a lease anew: its rule has other commands now, or what it is to open is not there and
    /// the knock would open something else.
    pub fn is_out_of_date(&self, id: LeaseId, job: &Job) -> bool {
        self.get(id).is_some_and(|lease| {
            let old = &lease.terms.job;
            let is_same = |event| old.commands(event) == job.commands(event);
            let same = is_same(Event::Open) && is_same(Event::Close);
            old.templates != 0 && old.templates != job.templates
                || !lease.stands && !lease.busy && !same
        })
    }

    /// What a knock by the key of an open lease asks for, at most one thing at a time: its actions once more if they
    /// have failed, a check if there is one and the last is some time ago.
    pub fn knocked(&mut self, id: LeaseId, now_ms: u64) -> Option<Event> {
        let lease = self.get_mut(id)?;
        lease.reopened_until_ms = 0;
        lease.used_ms = 0;
        if lease.busy {
            return None;
        }
        if !lease.stands {
            return Some(Event::Open);
        }
        if lease.terms.job.commands(Event::Check).is_empty() || now_ms < lease.checked_until_ms {
            return None;
        }
        lease.checked_until_ms = after(now_ms, CHECK_MS);
        Some(Event::Check)
    }

    /// Notes whether actions or a check of an open lease are waiting or running.
    pub fn set_busy(&mut self, id: LeaseId, busy: bool) {
        if let Some(lease) = self.get_mut(id) {
            lease.busy = busy;
        }
    }

    /// Whether actions or a check of an open lease are waiting or running.
    pub fn is_busy(&self, id: LeaseId) -> bool {
        self.get(id)
            .is_some_and(|lease| lease.busy && lease.phase == Phase::Open)
    }

    /// Notes that a check has said no and the actions are run again because of that; false if they were a moment ago and
    /// the check says no all the same, or have been too often: to run them for ever is of no use.
    pub fn reopen(&mut self, id: LeaseId, now_ms: u64) -> bool {
        let Some(lease) = self.get_mut(id) else {
            return false;
        };
        let used_ms = after(lease.used_ms.max(now_ms), REOPEN_EACH_MS);
        if now_ms < lease.reopened_until_ms || used_ms > after(now_ms, REOPEN_SAVED_MS) {
            return false;
        }
        lease.used_ms = used_ms;
        lease.reopened_until_ms = after(now_ms, REOPEN_MS);
        true
    }

    /// Notes that a check has said yes.
    pub fn found(&mut self, id: LeaseId) {
        if let Some(lease) = self.get_mut(id) {
            lease.reopened_until_ms = 0;
        }
    }

    /// Whether the check has still to say that what it missed is there again.
    /// The moment counts from now on, when its actions have ended.
    pub fn is_reopened(&mut self, id: LeaseId, now_ms: u64) -> bool {
        match self.get_mut(id) {
            Some(lease) if lease.reopened_until_ms != 0 && lease.phase == Phase::Open => {
                lease.reopened_until_ms = after(now_ms, REOPEN_MS);
                true
            }
            _ => false,
        }
    }

    /// Wants every open lease to be checked that can be.
    pub fn want_checks(&mut self) {
        self.wanted.clear();
        // The last one comes first. Where they are wanted again and again, each has its turn, be it to be opened again.
        let (before, after) = self.slots.split_at(self.looked_at.min(self.slots.len()));
        for lease in after.iter().chain(before).flatten() {
            if lease.reopens {
                self.wanted.push((lease.id, Event::Open));
            }
            if lease.phase == Phase::Open && !lease.terms.job.commands(Event::Check).is_empty() {
                self.wanted.push((lease.id, Event::Check));
            }
        }
    }

    /// Whether a lease has still to have its revert tried, or is having it tried.
    pub fn is_closing(&self, id: LeaseId) -> bool {
        self.get(id)
            .is_some_and(|lease| !matches!(lease.phase, Phase::Failed | Phase::GivenUp))
    }

    /// What is wanted next, marked as being on its way.
    pub fn next_wanted(&mut self) -> Option<(LeaseId, Event)> {
        while let Some((id, event)) = self.wanted.pop() {
            let Some(lease) = self.get_mut(id) else {
                continue;
            };
            lease.reopens &= event == Event::Check;
            if lease.phase == Phase::Open
                && !lease.busy
                // A check or a knock may have come first.
                && (event == Event::Check || !lease.stands && lease.reopened_until_ms == 0)
            {
                lease.busy = true;
                self.looked_at = id.slot as usize;
                return Some((id, event));
            }
        }
        None
    }

    /// Notes that the revert of a lease has failed; false if there is no check that could tell whether that matters.
    pub fn check(&mut self, id: LeaseId) -> bool {
        let Some(lease) = self.get_mut(id) else {
            return false;
        };
        let checks =
            lease.phase == Phase::Closing && !lease.terms.job.commands(Event::Check).is_empty();
        if checks {
            lease.phase = Phase::Checking;
        }
        checks
    }

    /// Notes that the revert of a lease has failed for good or is to be tried again.
    pub fn failed(&mut self, id: LeaseId, now_ms: u64) -> Again {
        let Some(lease) = self.get_mut(id) else {
            return Again::GivenUp;
        };
        let delay_s = delay_s(lease.failures);
        lease.failures += 1;
        if lease.failures > RETRIES {
            lease.phase = Phase::GivenUp;
            return Again::GivenUp;
        }
        lease.phase = Phase::Failed;
        self.due.set(id.slot, after_s(now_ms, delay_s));
        Again::After(delay_s)
    }

    /// Lets the next try, which somebody else has asked for, take none of those that a lease has.
    pub fn forgive(&mut self, ids: &[LeaseId]) {
        for id in ids {
            if let Some(lease) = self.get_mut(*id)
                && lease.failures <= RETRIES
            {
                lease.failures = lease.failures.saturating_sub(1);
            }
        }
    }

    /// Whether anything is known to be spent, or not known at all.
    pub fn has_spent(&self) -> bool {
        self.spent_unknown || !self.spent.is_empty()
    }

    /// Whether a one-time sequence, as the record has it, has been used.
    pub fn is_spent(&self, sequence: &[u8]) -> bool {
        self.spent_unknown || self.spent.iter().any(|spent| spent == sequence)
    }

    /// Notes that a one-time sequence has been used.
    pub fn spend(&mut self, sequence: Vec<u8>) {
        self.spent.push(sequence);
    }
}

impl Lease {
    /// Names it.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// Whether its revert has failed too often in this life: another one begins with trying it.
    pub(super) fn is_given_up(&self) -> bool {
        self.phase == Phase::GivenUp && self.failures > 0
    }

    /// Whether it is still there because its revert has failed.
    pub fn has_failed(&self) -> bool {
        self.failures > 0 || matches!(self.phase, Phase::Failed | Phase::GivenUp)
    }
}

/// What leases have in common: their rule, their rule and key, their revert.
pub const RULE: usize = 0;
pub const KEY: usize = 1;
pub const REVERT: usize = 2;

/// What a job has in common with others, as a name that only those have.
#[inline(never)]
pub fn common(what: usize, job: &Job) -> Vec<u8> {
    match what {
        RULE => job.rule.clone(),
        KEY => rule_and_key(&job.rule, &job.key),
        _ => {
            let mut name = Vec::new();
            for command in job.commands(Event::Close) {
                put!(&mut name, "{}:{}", command.len(), command);
            }
            name
        }
    }
}

#[inline(never)]
pub fn rule_and_key(rule: &[u8], key: &[u8]) -> Vec<u8> {
    // No key has a NUL byte.
    text!("{}\0{}", rule, key)
}

#[cfg(test)]
mod tests;
