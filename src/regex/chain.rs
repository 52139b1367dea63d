//! Patterns that are a chain: literals, classes, assertions and repeated single bytes, one after the other.
//!
//! Most patterns for logs are chains, `drop wan in: .* SRC=([0-9.]+) .* DPT=1234` for one. A chain is matched the way
//! Python does it, by going back to the latest choice when something does not fit, and so finds what Python finds.
//! There is but one kind of choice, where a repetition ends, and mostly a literal follows it: then only places
//! where the literal stands are tried, and those are found a machine word at a time.
//!
//! Going back can take for ever. So a walk has an allowance of steps in proportion to the text, and when it is
//! spent the answer is [`Walk::GaveUp`]: the program, whose time is bounded, has to be run instead. Lines of a log
//! need a small part of the allowance.

use alloc::vec::Vec;

use super::exec::holds;
use super::find::{Needle, find_byte};
use super::literal::Shortcuts;
use super::set::Set;
use super::steps::count;
use super::tree::{Look, Node, Repeat};

/// Steps for every byte of the text, and for one that is short. A byte that is searched through is a step.
const STEPS_PER_BYTE: usize = 32;
const STEPS_AT_LEAST: usize = 512;

pub(super) struct Chain {
    links: Vec<Link>,
}

enum Link {
    Literal(Needle),
    Set(Set),
    Look(Look),
    Save(u16),
    Run(Run),
}

/// A repeated byte or class.
struct Run {
    extent: Extent,
    min: usize,
    max: usize,
    greedy: bool,
    /// Index of the literal that stands where the run ends.
    literal: Option<usize>,
    /// The literal cannot begin inside the run, so the run ends where it must or not at all.
    definite: bool,
}

enum Extent {
    /// Ends at the end of the text.
    Text,
    /// Ends before this byte.
    Until(u8),
    Set(Set),
}

/// How a walk along a chain came out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    Match,
    NoMatch,
    GaveUp,
}

/// A run of which shorter or longer forms are still to be tried.
pub(super) struct Choice {
    link: usize,
    low: usize,
    high: usize,
}

impl Chain {
    /// The pattern as a chain, if it is one. Its program must be known not to be too large.
    pub fn of(node: &Node) -> Option<Chain> {
        let mut builder = Builder {
            links: Vec::new(),
            literal: Vec::new(),
        };
        builder.visit(node)?;
        builder.end_literal();
        let mut links = builder.links;
        let mut literal = None;
        for index in (0..links.len()).rev() {
            match links.get(index) {
                Some(Link::Literal(_)) => literal = Some(index),
                Some(Link::Save(_)) => {}
                Some(Link::Run(_)) => {
                    let first = literal.and_then(|literal| match links.get(literal)? {
                        Link::Literal(needle) => needle.bytes().first().copied(),
                        _ => None,
                    });
                    if let Some(Link::Run(run)) = links.get_mut(index) {
                        run.literal = literal;
                        run.definite = first.is_some_and(|byte| !run.extent.contains(byte));
                    }
                    literal = None;
                }
                _ => literal = None,
            }
        }
        Some(Chain { links })
    }
}

struct Builder {
    links: Vec<Link>,
    literal: Vec<u8>,
}

impl Builder {
    fn visit(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Byte(byte) => self.literal.push(*byte),
            Node::Set(set) => self.push(Link::Set(*set)),
            Node::Look(look) => self.push(Link::Look(*look)),
            Node::Group(number, node) => {
                self.push(Link::Save(number * 2));
                self.visit(node)?;
                self.push(Link::Save(number * 2 + 1));
            }
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.visit(node))?,
            Node::Repeat(repeat) if repeat.max == Some(repeat.min) => {
                for _ in 0..repeat.min {
                    self.visit(&repeat.node)?;
                }
            }
            Node::Repeat(repeat) => {
                let run = Run::of(repeat)?;
                self.push(Link::Run(run));
            }
            Node::Alternate(_) => return None,
        }
        Some(())
    }

    fn push(&mut self, link: Link) {
        self.end_literal();
        self.links.push(link);
    }

    fn end_literal(&mut self) {
        self.links
            .extend(Needle::new(&self.literal).map(Link::Literal));
        self.literal.clear();
    }
}

impl Run {
    fn of(repeat: &Repeat) -> Option<Run> {
        let set = match &repeat.node {
            Node::Byte(byte) => {
                let mut set = Set::EMPTY;
                set.insert(*byte);
                set
            }
            Node::Set(set) => *set,
            _ => return None,
        };
        let mut missing = (0..=u8::MAX).filter(|byte| !set.contains(*byte));
        let extent = match (missing.next(), missing.next()) {
            (None, _) => Extent::Text,
            (Some(byte), None) => Extent::Until(byte),
            _ => Extent::Set(set),
        };
        Some(Run {
            extent,
            min: repeat.min as usize,
            max: repeat.max.map_or(usize::MAX, |max| max as usize),
            greedy: repeat.greedy,
            literal: None,
            definite: false,
        })
    }
}

impl Extent {
    fn contains(&self, byte: u8) -> bool {
        match self {
            Extent::Text => true,
            Extent::Until(other) => byte != *other,
            Extent::Set(set) => set.contains(byte),
        }
    }
}

/// A walk along a chain, from every place a match can start at until one is found.
pub(super) struct Walker<'t> {
    chain: &'t Chain,
    text: &'t [u8],
    slots: &'t mut [usize],
    choices: &'t mut Vec<Choice>,
    steps: usize,
    /// The latest place an `Extent::Until` ended at, where it began, and before which byte: it is mostly the end of
    /// the line.
    until: (usize, usize, u8),
}

impl<'t> Walker<'t> {
    pub fn new(
        chain: &'t Chain,
        text: &'t [u8],
        slots: &'t mut [usize],
        choices: &'t mut Vec<Choice>,
    ) -> Walker<'t> {
        Walker {
            chain,
            text,
            slots,
            choices,
            // OK because a text's length is at most isize::MAX, and more steps than that are never made.
            steps: text.len().saturating_mul(STEPS_PER_BYTE) + STEPS_AT_LEAST,
            until: (1, 0, 0),
        }
    }

    /// Looks for the first match; then the slots are set.
    pub fn search(&mut self, shortcuts: &Shortcuts) -> Walk {
        let mut next = shortcuts.next_start(self.text, 0);
        while let Some(start) = next {
            let walk = match self.walk(start) {
                _ if self.steps == 0 => Walk::GaveUp,
                Some(end) => {
                    if let [first, second, ..] = self.slots {
                        (*first, *second) = (start, end);
                    }
                    Walk::Match
                }
                None => Walk::NoMatch,
            };
            if walk != Walk::NoMatch {
                return walk;
            }
            next = shortcuts.next_start(self.text, start + 1);
        }
        Walk::NoMatch
    }

    /// Where the match that starts here ends.
    fn walk(&mut self, start: usize) -> Option<usize> {
        self.choices.clear();
        let (mut link, mut at) = (0, start);
        while let Some(current) = self.chain.links.get(link) {
            let onward = match current {
                Link::Literal(needle) => needle.is_at(self.text, at).then(|| at + needle.len()),
                Link::Set(set) => {
                    let byte = self.text.get(at);
                    byte.is_some_and(|byte| set.contains(*byte))
                        .then_some(at + 1)
                }
                Link::Look(look) => holds(*look, self.text, at).then_some(at),
                Link::Save(_) => {
                    self.save(link, at);
                    Some(at)
                }
                Link::Run(run) => {
                    self.enter(link, run, at);
                    None
                }
            };
            self.spend(1)?;
            (link, at) = match onward {
                Some(at) => (link + 1, at),
                None => self.choose()?,
            };
        }
        Some(at)
    }

    /// Finds out where a run that begins here may end.
    fn enter(&mut self, link: usize, run: &Run, at: usize) {
        let longest = at.saturating_add(run.max);
        let high = self.extent(&run.extent, at, longest).min(longest);
        let low = at.saturating_add(run.min);
        if low <= high {
            let low = if run.definite { high } else { low };
            self.choices.push(Choice { link, low, high });
        }
    }

    fn extent(&mut self, extent: &Extent, at: usize, longest: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        match extent {
            Extent::Text => self.text.len(),
            Extent::Until(byte) => {
                let (from, end, before) = self.until;
                if before != *byte || at < from || at > end {
                    let length = find_byte(*byte, rest).unwrap_or(rest.len());
                    self.until = (at, at + length, *byte);
                    _ = self.spend(length);
                }
                self.until.1
            }
            Extent::Set(set) => {
                let mut end = at;
                while end < longest
                    && let Some(byte) = self.text.get(end)
                    && set.contains(*byte)
                {
                    end += 1;
                }
                _ = self.spend(end - at);
                end
            }
        }
    }

    /// The next link and place to try, by the latest run that still has a choice.
    fn choose(&mut self) -> Option<(usize, usize)> {
        loop {
            let choice = self.choices.last_mut()?;
            let (link, low, high) = (choice.link, choice.low, choice.high);
            let Some(Link::Run(run)) = self.chain.links.get(link) else {
                return None;
            };
            let literal = run
                .literal
                .and_then(|literal| match self.chain.links.get(literal)? {
                    Link::Literal(needle) => Some((literal, needle)),
                    _ => None,
                });
            let end = match (literal, run.greedy) {
                (Some((_, needle)), _) if low == high => {
                    needle.is_at(self.text, low).then_some(low)
                }
                (None, true) => Some(high),
                (None, false) => Some(low),
                (Some((_, needle)), true) => needle.last(self.text, low, high),
                (Some((_, needle)), false) => needle.first(self.text, low, high),
            };
            let passed = match (end, run.greedy) {
                (None, _) => high - low,
                (Some(end), true) => high - end,
                (Some(end), false) => end - low,
            };
            if passed >= high - low {
                self.choices.pop();
            } else if run.greedy {
                choice.high -= passed + 1;
            } else {
                choice.low += passed + 1;
            }
            self.spend(1 + passed)?;
            match (end, literal) {
                (None, _) => {}
                (Some(end), None) => return Some((link + 1, end)),
                (Some(end), Some((literal, needle))) => {
                    // Nothing but ends of groups stands between the run and its literal.
                    (link + 1..literal).for_each(|between| self.save(between, end));
                    return Some((literal + 1, end + needle.len()));
                }
            }
        }
    }

    fn save(&mut self, link: usize, at: usize) {
        if let Some(Link::Save(slot)) = self.chain.links.get(link)
            && let Some(place) = self.slots.get_mut(usize::from(*slot))
        {
            *place = at;
        }
    }

    /// None, and no steps left, if that was too much.
    #[inline(always)]
    fn spend(&mut self, steps: usize) -> Option<()> {
        count(steps);
        self.steps = self.steps.saturating_sub(steps);
        (self.steps > 0).then_some(())
    }
}
