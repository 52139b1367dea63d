//! Lines in, knocks out.
//!
//! The engine owns the rules and the progress of their keys. [`Engine::line`] takes one line and the
//! time it came and returns what it meant to each rule it concerns; it does no I/O and never asks the
//! time, so the daemon, the dry run, the tests and the benchmark run the same code.
//!
//! A line of our own log that comes back through the log we watch concerns no rule: it would let
//! `--trace` feed itself. Only the syslog tag of this very process counts as ours, and only in the place
//! of a tag: text that a stranger put further back in a line cannot hide that line.
//!
//! A line that rsyslog has folded (`message repeated 5 times: [ … ]`) is, to every pattern, the line that it stands for, and
//! counts as often as that came (`fold`).

mod fold;
mod hits;
pub mod rule;
pub mod tracker;

use crate::address::canonical;
use crate::engine::rule::{Rule, Whose};
use crate::engine::tracker::{Change, Key, Measure, Steps, Tracker, hash};
use crate::regex::seek::Places;
use crate::regex::{Scratch, Sieve, Text};
use crate::text::{Pieces, whole};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::swap;

/// The longest key, in bytes. Addresses and names are far shorter.
pub const MAX_KEY: usize = 255;

/// A completed sequence.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Knock {
    /// Index of the rule.
    pub rule: usize,
    /// Index of the sequence among the rule's.
    pub sequence: usize,
    /// Whose it is.
    pub key: Vec<u8>,
    /// The capture groups of the last step, without the whole match; one that took no part is empty.
    pub groups: Vec<Vec<u8>>,
}

/// What a line that passed a rule's filter meant.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub enum Meaning {
    /// None of the groups that could have been its key took part in the match; it was passed over.
    Nobodys,
    /// Its key is longer than [`MAX_KEY`]; it was passed over.
    KeyTooLong,
    /// The rule's `ignore` matches it; it was passed over.
    Ignored,
    /// Its key is one of the rule's `ignore_hosts`; it was passed over.
    IgnoredHost,
    /// It moved its key's progress, forwards or back.
    Progress(Change),
    /// It completed the sequence.
    Knock(Box<Knock>),
}

/// One rule's view of one line.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Outcome<'l> {
    /// The line as its patterns saw it: of a folded line, the one that it stands for.
    pub line: Text<'l>,
    /// Index of the rule.
    pub rule: usize,
    /// Whose line it is; empty if it is nobody's.
    pub key: Vec<u8>,
    /// What the line meant.
    pub meaning: Meaning,
}

/// What a rule has seen since it was loaded.
#[derive(Clone, Copy, Default)]
pub struct Counters {
    /// Lines that passed the filter.
    pub passed: u64,
    /// Those of them that were passed over because the filter found no key in them.
    pub nobodys: u64,
    /// Lines that passed the filter, but that "ignore" or "ignore_hosts" is about; not among those above.
    pub ignored: u64,
    /// Completed sequences.
    pub knocks: u64,
    /// Keys that gave way to others.
    pub gave_way: u64,
}

struct Entry {
    rule: Box<Rule>,
    /// Which of the different lists of filters it has, counted in the order of the rules.
    filter: usize,
    course: Course,
}

/// What has come of a rule since it was loaded.
struct Course {
    tracker: Tracker,
    /// The sequence that counts; none when every one-time sequence is spent.
    current: Option<usize>,
    counters: Counters,
}

/// How an engine is set up, apart from its rules.
#[derive(Clone)]
pub struct Setup {
    /// Keys in progress per rule.
    pub max_keys: usize,
    /// A secret for the hash tables.
    pub seed: u64,
    /// Our own process id; none when there is no log of ours to pass over.
    pub own_id: Option<u32>,
    /// Whether to tell also of lines that only moved progress or were ignored: those want it who look into a rule.
    pub explain: bool,
}

/// All rules and the progress of their keys.
#[repr(C)] // What is asked for most stands first: see HACKING.
pub struct Engine {
    explain: bool,
    own_id: Option<u32>,
    entries: Vec<Entry>,
    seed: u64,
    /// The line that a folded line stands for.
    unfolded: Vec<u8>,
    /// What the different filters found in the line, as far as they were asked.
    found: Vec<(usize, Option<Found>)>,
    /// Where in the line literals might stand.
    places: Places,
    scratch: Scratch,
    /// Which rules a line may concern, by their filters.
    filters: Sieve,
}

/// Whose line it is by a filter, and the hash of the key.
struct Found {
    whose: Whose,
    /// The key's one spelling, where the line has another.
    spelling: Option<Vec<u8>>,
    hash: u32,
}

impl Engine {
    /// An engine in which no key has come anywhere.
    pub fn new(rules: Vec<Box<Rule>>, setup: &Setup) -> Engine {
        let mut filters = Vec::new();
        for (index, rule) in (0..).zip(&rules) {
            for filter in &rule.filters {
                filters.push((index, filter));
            }
        }
        let filters = Sieve::new(&filters);
        let mut entries: Vec<Entry> = Vec::new();
        let mut filter_count = 0;
        for rule in rules {
            let same = |entry: &&Entry| entry.rule.filter_patterns().eq(rule.filter_patterns());
            let known = entries.iter().find(same).map(|entry| entry.filter);
            filter_count += usize::from(known.is_none());
            entries.push(Entry {
                // OK because a filter that is not known has just been counted.
                filter: known.unwrap_or(filter_count - 1),
                course: Course {
                    tracker: Tracker::new(measure(&rule, 0), setup.max_keys),
                    current: Some(0),
                    counters: Counters::default(),
                },
                rule,
            });
        }
        Engine {
            entries,
            scratch: Scratch::new(),
            own_id: setup.own_id,
            seed: setup.seed,
            explain: setup.explain,
            filters,
            unfolded: Vec::new(),
            places: Places::default(),
            found: Vec::new(),
        }
    }

    /// Takes over from `old` the progress and the counters of every rule whose name and matching part
    /// are the same here.
    pub fn inherit(&mut self, mut old: Engine) {
        // The progress is filed under hashes made with it.
        self.seed = old.seed;
        for former in &mut old.entries {
            let heir = self
                .entries
                .iter_mut()
                .find(|entry| entry.rule.matches_as(&former.rule));
            if let Some(heir) = heir {
                let max_keys = heir.course.tracker.max_keys();
                swap(&mut heir.course, &mut former.course);
                heir.course.tracker.limit(max_keys);
            }
        }
    }

    /// The rules, in the order of the configuration.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.entries.iter().map(|entry| &*entry.rule)
    }

    /// A rule by its index.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.entries.get(index).map(|entry| &*entry.rule)
    }

    /// The sequence that counts for a rule; none if it is shut.
    pub fn current(&self, rule: usize) -> Option<usize> {
        self.entries.get(rule)?.course.current
    }

    /// Makes `sequence` the one that counts for a rule, with no progress yet; none shuts the rule.
    pub fn select(&mut self, rule: usize, sequence: Option<usize>) {
        let Some(entry) = self.entries.get_mut(rule) else {
            return;
        };
        if entry.course.current != sequence {
            entry.course.current = sequence;
            let measure = measure(&entry.rule, sequence.unwrap_or(0));
            entry.course.tracker.restart(measure);
        }
    }

    /// Each rule with what it has seen and how many keys are in progress.
    pub fn report(&self) -> impl Iterator<Item = (&Rule, Counters, usize)> {
        self.entries.iter().map(|entry| {
            (
                &*entry.rule,
                entry.course.counters,
                entry.course.tracker.len(),
            )
        })
    }

    /// Whether `line` is one that this process wrote to the log: the first word of it that ends in a
    /// colon is our syslog tag.
    pub fn is_own(&self, line: &[u8]) -> bool {
        is_tagged(line, self.own_id)
    }

    /// A place in `text`, which may be many lines: those that end before it concern no rule. None if that is
    /// all of them. It is far quicker than asking [`Engine::line`] about each.
    pub fn concern(&self, text: &[u8]) -> Option<usize> {
        self.filters.next(text)
    }

    /// Which rules a line may concern: what told the latest line apart.
    pub fn filters(&self) -> &Sieve {
        &self.filters
    }

    /// What `line`, which came at `now_ms`, means to each rule whose filter it passes, if that is to be told. It counts
    /// for a rule when the iterator comes to it: go through all. [`Engine::concern`] is quicker where it says no.
    pub fn line<'e>(
        &'e mut self,
        line: impl Into<Text<'e>>,
        now_ms: u64,
    ) -> impl Iterator<Item = (&'e Rule, Outcome<'e>)> {
        let (mut line, mut times) = (line.into(), 1);
        if !line.is_cut
            && let Some((unfolded, count)) = fold::unfold(line.bytes)
        {
            self.unfolded = unfolded;
            (line, times) = (Text::from(&self.unfolded), count);
        }
        let (seed, explain, own_id) = (self.seed, self.explain, self.own_id);
        let (found, scratch) = (&mut self.found, &mut self.scratch);
        let (mut entries, mut next) = (self.entries.iter_mut(), 0);
        let (mut is_own, places) = (None, &mut self.places);
        places.forget();
        found.clear();
        let concerned = self.filters.sift(line).iter();
        concerned.filter_map(move |index| {
            let index = usize::from(*index);
            // OK because the indices are in order, each once.
            let entry = entries.nth(index - next)?;
            next = index + 1;
            // Equal filters are asked once.
            let asked = found.iter().position(|(filter, _)| *filter == entry.filter);
            let asked = asked.unwrap_or_else(|| {
                found.push((entry.filter, entry.find(line, seed, places, scratch)));
                found.len() - 1
            });
            let Found {
                whose,
                spelling,
                hash,
            } = found.get(asked)?.1.as_ref()?;
            if *is_own.get_or_insert_with(|| is_tagged(line.bytes, own_id)) {
                return None;
            }
            let key = spelling.as_deref().unwrap_or(whose.key(line.bytes));
            let ignored = if entry.rule.ignores(line, places, scratch) {
                Some(Meaning::Ignored)
            } else {
                let is_host = entry.rule.ignores_host(key);
                is_host.then_some(Meaning::IgnoredHost)
            };
            let counters = &mut entry.course.counters;
            let counter = match ignored {
                Some(_) => &mut counters.ignored,
                None => &mut counters.passed,
            };
            *counter += u64::from(times);
            let meaning = if let Some(ignored) = ignored {
                ignored
            } else if let Whose::Nobodys = whose {
                counters.nobodys += u64::from(times);
                Meaning::Nobodys
            } else {
                let passed = Passed {
                    line,
                    key: Key {
                        bytes: key,
                        hash: *hash,
                    },
                    now_ms,
                    times,
                };
                entry.meaning(index, &passed, places, scratch)?
            };
            let is_told = explain || matches!(meaning, Meaning::Knock(_) | Meaning::KeyTooLong);
            is_told.then(|| {
                let key = key.to_vec();
                let outcome = Outcome {
                    line,
                    rule: index,
                    key,
                    meaning,
                };
                (&*entry.rule, outcome)
            })
        })
    }
}

/// A line that passed the filter of a rule.
struct Passed<'l> {
    line: Text<'l>,
    key: Key<'l>,
    now_ms: u64,
    /// How often the line came.
    times: u32,
}

impl Entry {
    /// What the filters find in a line.
    fn find(
        &self,
        line: Text,
        seed: u64,
        places: &mut Places,
        scratch: &mut Scratch,
    ) -> Option<Found> {
        let whose = self.rule.whose(line, places, scratch)?;
        let key = whose.key(line.bytes);
        let spelling = canonical(key);
        let hash = hash(spelling.as_deref().unwrap_or(key), seed);
        Some(Found {
            whose,
            spelling,
            hash,
        })
    }

    fn meaning(
        &mut self,
        index: usize,
        passed: &Passed,
        places: &mut Places,
        scratch: &mut Scratch,
    ) -> Option<Meaning> {
        if passed.key.bytes.len() > MAX_KEY {
            return Some(Meaning::KeyTooLong);
        }
        let current = self.course.current?;
        let sequence = self.rule.sequences.get(current)?;
        let tracker = &mut self.course.tracker;
        let (mut matched, mut complete, mut left) = (None, false, passed.times);
        let change = loop {
            let change = tracker.advance(passed.key, passed.now_ms, |awaited| {
                // What it matches is the same every time.
                let awaited = if passed.times > 1 {
                    Steps::MAX
                } else {
                    awaited
                };
                *matched
                    .get_or_insert_with(|| sequence.matched(passed.line, awaited, places, scratch))
            });
            self.course.counters.gave_way += u64::from(change.gave_way);
            complete |= change.complete;
            left -= 1;
            if left == 0 {
                break change;
            }
        };
        // However often it completes the sequence, that is one knock: all of it has happened already.
        if !complete {
            return Some(Meaning::Progress(change));
        }
        self.course.counters.knocks += 1;
        Some(Meaning::Knock(Box::new(Knock {
            rule: index,
            sequence: current,
            key: passed.key.bytes.to_vec(),
            groups: sequence.groups(passed.line, scratch),
        })))
    }
}

/// Whether the first word of a line that ends in a colon is the tag of the process with this number. Zeros may stand
/// before it: see [`crate::log`].
fn is_tagged(line: &[u8], id: Option<u32>) -> bool {
    let is_ours = |tag: &[u8]| {
        let digits = tag
            .strip_prefix(b"logknockd[")
            .and_then(|tag| tag.strip_suffix(b"]:"));
        digits.is_some_and(|digits| whole(digits) == id)
    };
    let mut words = Pieces(line, b' ');
    id.is_some() && words.find(|word| word.ends_with(b":")).is_some_and(is_ours)
}

fn measure(rule: &Rule, sequence: usize) -> Measure {
    Measure {
        length: rule.length(sequence),
        count: rule.count,
        within_ms: rule.within_ms,
        repeats: rule.repeats,
    }
}
