//! One rule of the configuration, ready to be used.
//!
//! A `Rule` that exists is valid: its patterns compile, its filters have groups to take the key from,
//! every placeholder of a command names a group of each step that may fill it, and what must come together
//! (a timeout and the commands that close again) is one value. Only `config` builds rules.

use crate::address::{Address, Network};
use crate::commands::template::Command;
use crate::engine::tracker::Steps;
use crate::regex::seek::Places;
use crate::regex::{Regex, Scratch, Text};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

#[derive(Default)]
#[repr(C)] // What is asked for most stands first: see HACKING.
pub struct Rule {
    /// Whether each sequence works once only.
    pub one_time: bool,
    /// Whether a line that repeats the step just matched keeps the progress.
    pub repeats: bool,
    /// How often a key must complete a sequence; 1 to 1000.
    pub count: u16,
    /// Unique, printable, 1 to 255 bytes.
    pub name: String,
    /// 1 to 16 alternatives, one of which a line must match to count. Each has a group to take the key from.
    pub filters: Vec<Regex>,
    /// One sequence, or with `one_time` those to be used up in this order; at least one.
    pub sequences: Vec<Sequence>,
    pub lease: Option<Holding>,
    /// What is run for each event (see `commands::job`), filled from the groups of a sequence's last step. What opens is at
    /// least one if `closes` is empty, what closes if the rule has a lease; a rule without one has none that closes. A check
    /// may be nothing.
    pub commands: [Vec<Command>; 3],
    /// The names of other rules, whose leases for the same key a knock ends.
    pub closes: Vec<String>,
    /// Keys that are one of these addresses are passed over.
    pub ignore_hosts: Vec<Network>,
    /// The time that a whole sequence may take, as often as it must be completed; more than 0, or [`NEVER`](crate::backoff::NEVER).
    pub within_ms: u64,
    /// A command that runs longer is ended; more than 0.
    pub action_timeout_ms: u64,
    /// Lines that match are passed over.
    pub ignore: Option<Regex>,
}

pub struct Sequence {
    /// 1 to 32.
    pub steps: Vec<Regex>,
}

/// How what a knock opens is held open.
pub struct Holding {
    /// More than 0; [`crate::backoff::NEVER`] if only another rule's knock, or somebody by hand, ends the lease.
    pub timeout_ms: u64,
    /// Whether the lease outlives a stop and a reboot.
    pub keep: bool,
    /// Whether a knock by another key closes the standing lease first.
    pub exclusive: bool,
}

/// What the filters of a rule find in a line that passes them.
pub enum Whose {
    /// The key stands here. It may be empty.
    Key(Range<usize>),
    /// No group took part that the key could be taken from.
    Nobodys,
}

impl Whose {
    /// The key as it is written in the line.
    pub fn key<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        match self {
            Whose::Key(range) => line.get(range.clone()).unwrap_or_default(),
            Whose::Nobodys => &[],
        }
    }
}

/// Where a filter takes the key from.
pub enum KeyGroup {
    /// The group that is named `key`, by its number.
    Named(usize),
    /// The first that took part of those that `<HOST>` stands for.
    Host,
    /// The first group that took part.
    First,
}

/// Where `filter` takes the key from.
pub fn key_group(filter: &Regex) -> KeyGroup {
    match filter.group_named(b"key") {
        Some(number) => KeyGroup::Named(number),
        None if filter.hosts().is_empty() => KeyGroup::First,
        None => KeyGroup::Host,
    }
}

/// Whether no line can match `filter` without a group that the key is taken from.
pub fn is_key_certain(filter: &Regex) -> bool {
    match key_group(filter) {
        KeyGroup::Named(number) => filter.surely_captures(&|group| group == number),
        KeyGroup::Host => filter.surely_captures(&|group| filter.hosts().contains(&group)),
        KeyGroup::First => filter.surely_captures(&|_| true),
    }
}

impl Rule {
    /// Whose `line` is by the first of the filters that it matches; none if it matches none.
    pub fn whose(&self, line: Text, places: &mut Places, scratch: &mut Scratch) -> Option<Whose> {
        let mut filters = self.filters.iter();
        let is_only = self.filters.len() == 1;
        filters.find_map(|filter| {
            // Of an only filter that is known already.
            if !is_only && !filter.may_match(line.bytes, places) {
                return None;
            }
            let captures = filter.captures(line, scratch)?;
            let key = match key_group(filter) {
                KeyGroup::Named(number) => captures.get(number),
                KeyGroup::Host => {
                    let mut hosts = filter.hosts().iter();
                    hosts.find_map(|number| captures.get(*number))
                }
                KeyGroup::First => (1..captures.len()).find_map(|number| captures.get(number)),
            };
            Some(key.map_or(Whose::Nobodys, Whose::Key))
        })
    }

    /// The texts of the filters: what makes them the same.
    pub fn filter_patterns(&self) -> impl Iterator<Item = &str> + Clone {
        self.filters.iter().map(Regex::pattern)
    }

    /// Whether a line that passes the filter is to be passed over.
    pub fn ignores(&self, line: Text, places: &mut Places, scratch: &mut Scratch) -> bool {
        let ignore = self.ignore.as_ref();
        ignore.is_some_and(|ignore| {
            ignore.may_match(line.bytes, places) && ignore.is_match(line, scratch)
        })
    }

    /// Whether what this key does is to be passed over.
    pub fn ignores_host(&self, key: &[u8]) -> bool {
        let mut networks = self.ignore_hosts.iter();
        !self.ignore_hosts.is_empty()
            && Address::parse(key)
                .is_some_and(|address| networks.any(|network| network.contains(address)))
    }

    /// The number of steps of a sequence, 1 to 32.
    pub fn length(&self, sequence: usize) -> u8 {
        let steps = self.sequences.get(sequence).map_or(1, |s| s.steps.len());
        // OK because a sequence has at most 32 steps.
        steps as u8
    }

    /// The texts of a sequence's steps: what makes it the same sequence.
    pub fn steps(&self, sequence: usize) -> impl Iterator<Item = &str> + Clone {
        let sequence = self.sequences.get(sequence);
        let steps = sequence.map_or(&[][..], |sequence| &sequence.steps);
        steps.iter().map(Regex::pattern)
    }

    /// Whether progress under `other` means the same under this rule: all that decides about it, and
    /// the name, are equal. The commands are not asked.
    pub fn matches_as(&self, other: &Rule) -> bool {
        self.matching() == other.matching()
    }

    /// All that decides what progress means, as a text that no other such thing has.
    fn matching(&self) -> Vec<u8> {
        let mut out = text!("{:?}", self.name);
        for filter in &self.filters {
            put!(&mut out, "{:?}", filter.pattern());
        }
        out.push(b';');
        if let Some(ignore) = &self.ignore {
            put!(&mut out, "{:?}", ignore.pattern());
        }
        for network in &self.ignore_hosts {
            put!(&mut out, " {}", network);
        }
        let (repeats, count) = (u32::from(self.repeats), u32::from(self.count));
        put!(&mut out, ";{} {} ", repeats, count);
        put!(&mut out, "{} {}", u32::from(self.one_time), self.within_ms);
        for sequence in &self.sequences {
            out.push(b',');
            for step in &sequence.steps {
                put!(&mut out, "{:?}", step.pattern());
            }
        }
        out
    }
}

impl Sequence {
    /// The texts of the steps: what makes it the same sequence.
    pub fn patterns(&self) -> impl Iterator<Item = &str> + Clone {
        self.steps.iter().map(Regex::pattern)
    }

    /// Which of the steps `awaited` the line matches. Those not awaited are not tried.
    pub fn matched(
        &self,
        line: Text,
        awaited: Steps,
        places: &mut Places,
        scratch: &mut Scratch,
    ) -> Steps {
        let (mut matched, mut bit) = (0, 1);
        if awaited == 0 {
            return 0;
        }
        for step in &self.steps {
            if awaited & bit != 0
                && step.may_match(line.bytes, places)
                && step.is_match(line, scratch)
            {
                matched |= bit;
            }
            bit <<= 1;
        }
        matched
    }

    /// The groups of the last step's match in `line`; one that took no part is empty.
    pub fn groups(&self, line: Text, scratch: &mut Scratch) -> Vec<Vec<u8>> {
        let Some(step) = self.steps.last() else {
            return Vec::new();
        };
        let Some(captures) = step.captures(line, scratch) else {
            return Vec::new();
        };
        let mut groups = Vec::new();
        for number in 1..=step.group_count() {
            let text = captures.get(number).and_then(|range| line.bytes.get(range));
            groups.push(text.unwrap_or_default().to_vec());
        }
        groups
    }
}
