//! Lines in, knocks out.
//!
//! The engine owns the rules and the progress of their keys. [`Engine::line`] takes one line and the
//! time it came and returns what it meant to each rule it concerns; it does no I/O and never asks the
//! time, so the daemon, the dry run, the tests and the benchmark run the same code.
//!
//! A line of our own log that comes back through the log we watch concerns no rule: it would let
//! `--trace` feed itself. Only the syslog tag of this very process counts as ours, and only in the place
//! of a tag: text that a stranger put further back in a line cannot hide that line.

use crate::regex::{Marks, Scratch, Sieve};
use crate::rule::Rule;
use crate::tracker::{Change, Key, Terms, Tracker};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

/// The longest key, in bytes. Addresses and names are far shorter.
pub const KEY_LIMIT: usize = 255;

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
    /// Its key is longer than [`KEY_LIMIT`]; it was passed over.
    KeyTooLong,
    /// The rule's `ignore` matches it; it was passed over.
    Ignored,
    /// It moved its key's progress, forwards or back.
    Progress(Change),
    /// It completed the sequence.
    Knock(Box<Knock>),
}

/// One rule's view of one line.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Outcome {
    /// Index of the rule.
    pub rule: usize,
    /// Where the key stands in the line.
    pub key: Range<usize>,
    /// What the line meant.
    pub meaning: Meaning,
}

/// What a rule has seen since it was loaded.
#[derive(Clone, Copy, Default)]
pub struct Counters {
    /// Lines that passed the filter.
    pub filtered: u64,
    /// Completed sequences.
    pub knocks: u64,
    /// Keys that lost their progress to make room for others.
    pub evicted: u64,
}

struct Entry {
    rule: Rule,
    /// Index of the first rule that has the same filter.
    same_filter: usize,
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
}

/// All rules and the progress of their keys.
pub struct Engine {
    entries: Vec<Entry>,
    scratch: Scratch,
    outcomes: Vec<Outcome>,
    own_tag: Option<Vec<u8>>,
    seed: u64,
    /// Literals of the filters: a line without any of them concerns no rule.
    filters: Sieve,
    /// Literals of all patterns: one pass over a line tells which of them need not be tried.
    patterns: Sieve,
    /// What the filters found in the line, as far as they were asked.
    keys: Vec<Option<Range<usize>>>,
}

impl Engine {
    /// An engine in which no key has come anywhere.
    pub fn new(rules: Vec<Rule>, setup: &Setup) -> Engine {
        let filters = Sieve::new(&mut rules.iter().map(|rule| &rule.filter));
        let mut all = Vec::new();
        for rule in &rules {
            rule.add_patterns(&mut all);
        }
        let patterns = Sieve::new(&mut all.into_iter());
        let mut entries: Vec<Entry> = Vec::new();
        for rule in rules {
            let filter = rule.filter.pattern();
            let same = |entry: &Entry| entry.rule.filter.pattern() == filter;
            entries.push(Entry {
                tracker: Tracker::new(terms(&rule, 0), setup.max_keys),
                same_filter: entries.iter().position(same).unwrap_or(entries.len()),
                current: Some(0),
                counters: Counters::default(),
                rule,
            });
        }
        Engine {
            entries,
            scratch: Scratch::new(),
            outcomes: Vec::new(),
            own_tag: setup.own_id.map(|id| text!("logknockd[{}]:", id)),
            seed: setup.seed,
            filters,
            patterns,
            keys: Vec::new(),
        }
    }

    /// Takes over from `old` the progress and the counters of every rule whose name and matching part
    /// are the same here.
    pub fn inherit(&mut self, old: Engine) {
        // The progress is filed under hashes made with it.
        self.seed = old.seed;
        for former in old.entries {
            let heir = self
                .entries
                .iter_mut()
                .find(|entry| entry.rule.matches_as(&former.rule));
            if let Some(heir) = heir {
                let max_keys = heir.tracker.max_keys();
                heir.tracker = former.tracker;
                heir.tracker.limit(max_keys);
                heir.current = former.current;
                heir.counters = former.counters;
            }
        }
    }

    /// The rules, in the order of the configuration.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.entries.iter().map(|entry| &entry.rule)
    }

    /// A rule by its index.
    pub fn rule(&self, index: usize) -> Option<&Rule> {
        self.entries.get(index).map(|entry| &entry.rule)
    }

    /// Makes `sequence` the one that counts for a rule, with no progress yet; none shuts the rule.
    pub fn select(&mut self, rule: usize, sequence: Option<usize>) {
        let Some(entry) = self.entries.get_mut(rule) else {
            return;
        };
        if entry.current != sequence {
            entry.current = sequence;
            let terms = terms(&entry.rule, sequence.unwrap_or(0));
            entry.tracker.restart(terms);
        }
    }

    /// Each rule with what it has seen and how many keys are in progress.
    pub fn report(&self) -> impl Iterator<Item = (&Rule, Counters, usize)> {
        self.entries
            .iter()
            .map(|entry| (&entry.rule, entry.counters, entry.tracker.len()))
    }

    /// Whether `line` is one that this process wrote to the log: the first word of it that ends in a
    /// colon is our syslog tag.
    pub fn is_own(&self, line: &[u8]) -> bool {
        let Some(own_tag) = &self.own_tag else {
            return false;
        };
        let mut words = line.split(|&byte| byte == b' ');
        words.find(|word| word.ends_with(b":")) == Some(own_tag)
    }

    /// A place in `text`, which may be many lines: those that end before it concern no rule. None if that is
    /// all of them. It is far quicker than asking [`Engine::line`] about each.
    pub fn concern(&self, text: &[u8]) -> Option<usize> {
        self.filters.next(text)
    }

    /// What `line`, which came at `now_ms`, means to each rule whose filter it passes.
    pub fn line(
        &mut self,
        line: &[u8],
        now_ms: u64,
    ) -> impl Iterator<Item = (&Rule, Outcome)> + use<'_> {
        self.outcomes.clear();
        self.keys.clear();
        let seen = self.patterns.marks(line);
        let mut latest: Option<Key> = None;
        for index in 0..self.entries.len() {
            let key = self.key(index, line, seen);
            self.keys.push(key.clone());
            let Some(range) = key else {
                continue;
            };
            if self.is_own(line) {
                break;
            }
            // OK because index is below the length.
            let entry = &mut self.entries[index];
            if entry.rule.ignores(line, seen, &mut self.scratch) {
                self.outcomes.push(Outcome {
                    rule: index,
                    key: range,
                    meaning: Meaning::Ignored,
                });
                continue;
            }
            let bytes = line.get(range.clone()).unwrap_or_default();
            let known = latest.filter(|key| key.bytes() == bytes);
            let key = known.unwrap_or_else(|| Key::new(bytes, self.seed));
            latest = Some(key);
            let passed = Passed {
                line,
                seen,
                key,
                now_ms,
            };
            if let Some(meaning) = entry.meaning(index, &passed, &mut self.scratch) {
                self.outcomes.push(Outcome {
                    rule: index,
                    key: range,
                    meaning,
                });
            }
        }
        let entries = &self.entries;
        let with_rule = |outcome: Outcome| (&entries[outcome.rule].rule, outcome);
        self.outcomes.drain(..).map(with_rule)
    }

    /// What the filter of a rule finds in a line; those of the rules before it have been asked.
    fn key(&mut self, index: usize, line: &[u8], seen: Marks) -> Option<Range<usize>> {
        let entry = self.entries.get(index)?;
        if let Some(key) = self.keys.get(entry.same_filter) {
            return key.clone();
        }
        if !entry.rule.filter.may_match(seen) {
            return None;
        }
        entry.rule.key(line, &mut self.scratch)
    }
}

/// A line that passed the filter of a rule.
struct Passed<'l> {
    line: &'l [u8],
    seen: Marks,
    key: Key<'l>,
    now_ms: u64,
}

impl Entry {
    fn meaning(&mut self, index: usize, passed: &Passed, scratch: &mut Scratch) -> Option<Meaning> {
        self.counters.filtered += 1;
        if passed.key.bytes().len() > KEY_LIMIT {
            return Some(Meaning::KeyTooLong);
        }
        let current = self.current?;
        let sequence = self.rule.sequences.get(current)?;
        let matched = match sequence.possible(passed.seen) {
            0 => 0,
            possible => {
                let tried = possible & self.tracker.awaited(passed.key);
                sequence.matched(passed.line, tried, scratch)
            }
        };
        let change = self.tracker.advance(passed.key, matched, passed.now_ms);
        self.counters.evicted += u64::from(change.evicted);
        if !change.complete {
            return Some(Meaning::Progress(change));
        }
        self.counters.knocks += 1;
        Some(Meaning::Knock(Box::new(Knock {
            rule: index,
            sequence: current,
            key: passed.key.bytes().to_vec(),
            groups: sequence.groups(passed.line, scratch),
        })))
    }
}

fn terms(rule: &Rule, sequence: usize) -> Terms {
    Terms {
        length: rule.length(sequence),
        within_ms: rule.within_ms,
        repeats: rule.repeats,
    }
}
