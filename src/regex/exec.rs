//! Follows a program through a text, going back to the latest choice when something does not fit: Python's way, and
//! so what it finds is what Python finds.
//!
//! Guarantees time O(program × text). Going back can take for ever, so there are two ways to walk:
//!
//! * The *quick* way takes a run of bytes in one step and then tries only the ends where the literal stands that
//!   follows the run. It remembers nothing but its choices, and has an allowance of steps in proportion to the text.
//!   Lines of a log need a small part of it.
//! * When the allowance is spent, the *sure* way begins again: it takes runs byte by byte and notes every state at
//!   every place, in one bit each. What was there before has failed and will fail again, so nothing is tried twice.
//!   That takes memory, `MAX_STATES` / 8 times the text at most, and up to one choice for each bit.

use alloc::vec::Vec;
use core::mem::replace;

use super::compile::{Op, Pc, Program};
use super::find::{Literal, find_byte};
use super::set::WORD;
use super::steps::count;
use super::tree::Look;

/// Value of a slot that was not set.
pub(super) const UNSET: usize = usize::MAX;

/// Steps for every byte of the text, and for one that is short. A byte that is searched through is a step.
const STEPS_PER_BYTE: usize = 32;
const STEPS_AT_LEAST: usize = 512;

/// Choices that there is room for between two searches.
const CHOICES_KEPT: usize = 2048;

/// Memory for matching, to be shared by all patterns: it grows to what they usually need, and then no line
/// allocates. What hostile lines need beyond that is given back after each.
#[derive(Default)]
pub struct Scratch {
    /// Slots of the match.
    pub(super) slots: Vec<usize>,
    /// What is left to try, and slots to put back, latest last.
    choices: Vec<Choice>,
    /// One bit for each state at each place.
    visited: Vec<u32>,
}

enum Choice {
    /// To go on here.
    Try(Point),
    /// To end the run at this point at its place, or another up to the one given, the best first.
    Run(Point, usize),
    Restore {
        slot: u16,
        value: usize,
    },
}

/// Where a path is in program and text.
#[derive(Clone, Copy)]
struct Point {
    pc: Pc,
    /// Loops that have not consumed in their current iteration.
    fresh: u16,
    at: usize,
}

impl Point {
    /// Past a byte.
    fn consumed(pc: Pc, at: usize) -> Point {
        Point { pc, fresh: 0, at }
    }
}

impl Scratch {
    /// Memory that has not grown yet.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Looks for the first match; `slots` holds where its groups are, as far as `slot_count` goes.
    pub(super) fn search(
        &mut self,
        program: &Program,
        text: &[u8],
        slot_count: usize,
        quick: bool,
    ) -> bool {
        let steps = text.len().saturating_mul(STEPS_PER_BYTE) + STEPS_AT_LEAST;
        let mut found = None;
        if quick {
            found = self.attempt(program, text, slot_count, Some(steps));
        }
        let found = found.or_else(|| {
            let found = self.attempt(program, text, slot_count, None);
            self.visited = Vec::new();
            found
        });
        if self.choices.capacity() > CHOICES_KEPT {
            self.choices = Vec::new();
        }
        found == Some(true)
    }

    /// One search, with an allowance of steps the quick way; no answer if that was not enough.
    pub(super) fn attempt(
        &mut self,
        program: &Program,
        text: &[u8],
        slot_count: usize,
        steps: Option<usize>,
    ) -> Option<bool> {
        self.slots.clear();
        self.slots.resize(slot_count, UNSET);
        self.choices.clear();
        self.visited.clear();
        if steps.is_none() {
            let bits = (text.len() + 1) * usize::from(program.states);
            self.visited.resize(bits / 32 + 1, 0);
        }
        let mut walk = Walk {
            program,
            text,
            scratch: self,
            quick: steps.is_some(),
            steps: steps.unwrap_or(usize::MAX),
            line: (1, 0),
        };
        let mut from = 0;
        while let Some((start, point)) = walk.next_start(from) {
            if let Some(end) = walk.end(point) {
                if let [first, second, ..] = &mut self.slots[..] {
                    (*first, *second) = (start, end);
                }
                return Some(true);
            }
            if walk.steps == 0 {
                return None;
            }
            from = start + 1;
        }
        Some(false)
    }
}

struct Walk<'t> {
    program: &'t Program,
    text: &'t [u8],
    scratch: &'t mut Scratch,
    quick: bool,
    /// How many are left; those of the sure way last for ever.
    steps: usize,
    /// From where the end of a line was sought last, and where it is.
    line: (usize, usize),
}

impl Walk<'_> {
    /// The first place not before `from` where a match could start, and where to go on from there.
    fn next_start(&mut self, from: usize) -> Option<(usize, Point)> {
        let pc = self.program.start;
        if self.quick {
            if let Some((of, literal)) = self.program.literal(pc) {
                let start = literal.first(self.text, from)?;
                self.spend(start - from);
                return Some((start, self.past(pc, of, literal, start)));
            }
            if from > 0 && matches!(self.program.inst(pc)?.op, Op::Look(Look::TextStart)) {
                return None;
            }
        }
        (from <= self.text.len()).then_some((from, Point::consumed(pc, from)))
    }

    /// Goes on at `pc`, where the literal of the instruction `of` is known to stand.
    fn past(&self, pc: Pc, of: Pc, literal: &Literal, at: usize) -> Point {
        match self.program.inst(pc) {
            Some(inst) if pc == of => Point::consumed(inst.next, at + literal.bytes.len()),
            _ => Point::consumed(pc, at),
        }
    }

    fn spend(&mut self, steps: usize) {
        count(steps);
        self.steps = self.steps.saturating_sub(steps);
    }

    /// Where the match ends that goes on here.
    fn end(&mut self, from: Point) -> Option<usize> {
        let Point {
            mut pc,
            mut fresh,
            mut at,
        } = from;
        loop {
            let inst = self.program.inst(pc)?;
            self.spend(1);
            if self.steps == 0 {
                return None;
            }
            if self.quick || self.is_new(inst.state + fresh, at) {
                let here = Point { pc, fresh, at };
                pc = inst.next;
                let fits = match inst.op {
                    Op::Literal(index) => {
                        let literal = self.program.literals.get(usize::from(index))?;
                        (fresh, at) = (0, at + literal.bytes.len());
                        literal.is_at(self.text, here.at)
                    }
                    Op::Set(set) => {
                        (fresh, at) = (0, at + 1);
                        self.is_member(set, here.at)
                    }
                    Op::Run { set, .. } if self.quick => {
                        let end = self.extent(set, at);
                        let choice = end > at && !self.is_definite(set, inst.next);
                        if choice {
                            self.scratch.choices.push(Choice::Run(here, end));
                        } else if end > at {
                            (fresh, at) = (0, end);
                        }
                        !choice
                    }
                    Op::Run { set, greedy } => {
                        if self.is_member(set, at) {
                            let more = Point::consumed(here.pc, at + 1);
                            let mut other = more;
                            if greedy {
                                other = Point { pc, ..here };
                                Point { pc, fresh, at } = more;
                            }
                            self.scratch.choices.push(Choice::Try(other));
                        }
                        true
                    }
                    Op::Look(look) => holds(look, self.text, at),
                    Op::Save(slot) => {
                        if let Some(place) = self.scratch.slots.get_mut(usize::from(slot)) {
                            let value = replace(place, at);
                            self.scratch.choices.push(Choice::Restore { slot, value });
                        }
                        true
                    }
                    Op::Split(pc) => {
                        self.scratch.choices.push(Choice::Try(Point { pc, ..here }));
                        true
                    }
                    Op::Enter => {
                        fresh += 1;
                        true
                    }
                    Op::Leave(out) => {
                        if fresh > 0 {
                            (pc, fresh) = (out, fresh - 1);
                        }
                        true
                    }
                    Op::Match => return Some(at),
                };
                if fits {
                    continue;
                }
            }
            Point { pc, fresh, at } = self.go_back()?;
        }
    }

    /// Whether no path has been here before, as far as that is noted.
    fn is_new(&mut self, state: u16, at: usize) -> bool {
        let bit = at * usize::from(self.program.states) + usize::from(state);
        let Some(word) = self.scratch.visited.get_mut(bit / 32) else {
            return false;
        };
        let before = *word;
        *word |= 1 << (bit % 32);
        *word != before
    }

    fn is_member(&self, set: u16, at: usize) -> bool {
        let byte = self.text.get(at);
        byte.is_some_and(|byte| self.program.set(set).contains(*byte))
    }

    /// Whether a run of a set can only end where it must: what follows cannot begin inside it.
    fn is_definite(&self, set: u16, next: Pc) -> bool {
        let literal = self.program.literal(next);
        let first = literal.and_then(|(_, literal)| literal.bytes.first());
        first.is_some_and(|byte| !self.program.set(set).contains(*byte))
    }

    /// Where a run that begins here ends at the latest.
    fn extent(&mut self, set: u16, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        if set != 0 {
            let members = self.program.set(set);
            let length = rest.iter().position(|byte| !members.contains(*byte));
            let length = length.unwrap_or(rest.len());
            self.spend(length);
            return at + length;
        }
        if at < self.line.0 || at > self.line.1 {
            let length = find_byte(rest, b'\n').unwrap_or(rest.len());
            self.spend(length);
            self.line = (at, at + length);
        }
        self.line.1
    }

    /// Goes back to the latest choice.
    fn go_back(&mut self) -> Option<Point> {
        loop {
            match self.scratch.choices.pop()? {
                Choice::Try(point) => return Some(point),
                Choice::Run(point, high) => {
                    if let Some(point) = self.end_run(point, high) {
                        return Some(point);
                    }
                }
                Choice::Restore { slot, value } => {
                    if let Some(place) = self.scratch.slots.get_mut(usize::from(slot)) {
                        *place = value;
                    }
                }
            }
        }
    }

    /// Ends a run at the best of the places up to `high`, and leaves the others behind.
    fn end_run(&mut self, point: Point, high: usize) -> Option<Point> {
        let Point { pc, fresh, at } = point;
        let inst = self.program.inst(pc)?;
        let Op::Run { greedy, .. } = inst.op else {
            return None;
        };
        let literal = self.program.literal(inst.next);
        let end = match literal {
            None if greedy => Some(high),
            None => Some(at),
            Some((_, literal)) if greedy => literal.last(self.text, at, high),
            Some((_, literal)) => {
                let text = self.text.get(..high + literal.bytes.len());
                literal.first(text.unwrap_or(self.text), at)
            }
        };
        self.spend(match end {
            None => high - at,
            Some(end) if greedy => high - end,
            Some(end) => end - at,
        });
        let end = end?;
        if greedy && end > at {
            self.scratch.choices.push(Choice::Run(point, end - 1));
        } else if !greedy && end < high {
            // Behind the first place something has been consumed.
            let shortest = Point::consumed(pc, end + 1);
            self.scratch.choices.push(Choice::Run(shortest, high));
        }
        Some(match literal {
            Some((of, literal)) => self.past(inst.next, of, literal, end),
            None if end > at => Point::consumed(inst.next, end),
            None => Point {
                pc: inst.next,
                fresh,
                at,
            },
        })
    }
}

fn holds(look: Look, text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
    let after = text.get(at).copied();
    let is_word = |byte: Option<u8>| byte.is_some_and(|byte| WORD.contains(byte));
    match look {
        Look::TextStart => before.is_none(),
        Look::TextEnd => after.is_none(),
        Look::TextEndOrNewline => after.is_none() || (after == Some(b'\n') && text.len() - at == 1),
        Look::LineStart => before.is_none_or(|byte| byte == b'\n'),
        Look::LineEnd => after.is_none_or(|byte| byte == b'\n'),
        Look::WordBoundary => is_word(before) != is_word(after),
        // Python before 3.14 finds no such place in an empty text.
        Look::NotWordBoundary => is_word(before) == is_word(after) && !text.is_empty(),
    }
}
