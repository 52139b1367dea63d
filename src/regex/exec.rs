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

use super::compile::{Inst, Op, Pc, Program};
use super::find::{Literal, find_byte};
use super::set::{Set, WORD};
use super::steps::count;
use super::tree::Look;

/// Value of a slot that was not set.
pub(super) const UNSET: usize = usize::MAX;

/// Steps for every byte of the text, and for one that is short. A byte that is searched through is a step.
const STEPS_PER_BYTE: usize = 32;
const STEPS_AT_LEAST: usize = 512;

/// Memory for matching, to be shared by all patterns: it grows to what the largest needs, and then no
/// line allocates.
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
        if quick && let Some(found) = self.attempt(program, text, slot_count, Some(steps)) {
            return found;
        }
        self.attempt(program, text, slot_count, None) == Some(true)
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
        let mut next = walk.next_start(0);
        while let Some(start) = next {
            if walk.matches(start) {
                return Some(true);
            }
            if walk.steps == 0 {
                return None;
            }
            next = walk.next_start(start + 1);
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
    /// The first place not before `at` where a match could start.
    fn next_start(&mut self, at: usize) -> Option<usize> {
        if self.quick {
            if let Some(literal) = self.literal(self.program.start) {
                let found = literal.first(self.text, at);
                self.spend(found.unwrap_or(self.text.len()).saturating_sub(at));
                return found;
            }
            if let Some(Op::Look(Look::TextStart)) = self.inst(self.program.start).map(|i| i.op) {
                return (at == 0).then_some(0);
            }
        }
        (at <= self.text.len()).then_some(at)
    }

    fn inst(&self, pc: Pc) -> Option<&Inst> {
        self.program.insts.get(usize::from(pc))
    }

    /// The literal that comes next, if nothing but the ends of groups comes before it.
    fn literal(&self, pc: Pc) -> Option<&Literal> {
        let mut pc = pc;
        loop {
            let inst = self.inst(pc)?;
            match inst.op {
                Op::Save(_) => pc = inst.next,
                Op::Literal(index) => return self.program.literals.get(usize::from(index)),
                _ => return None,
            }
        }
    }

    fn set(&self, index: u16) -> &Set {
        self.program
            .sets
            .get(usize::from(index))
            .unwrap_or(&Set::EMPTY)
    }

    #[inline(always)]
    fn spend(&mut self, steps: usize) {
        count(steps);
        self.steps = self.steps.saturating_sub(steps);
    }

    /// Whether a match starts here; then its slots are set.
    fn matches(&mut self, start: usize) -> bool {
        let mut point = Point {
            pc: self.program.start,
            fresh: 0,
            at: start,
        };
        loop {
            let Some(inst) = self.inst(point.pc).copied() else {
                return false;
            };
            self.spend(1);
            if self.steps == 0 {
                return false;
            }
            let onward = match self.is_new(inst.state + point.fresh, point.at) {
                true if matches!(inst.op, Op::Match) => {
                    if let [first, second, ..] = &mut self.scratch.slots[..] {
                        (*first, *second) = (start, point.at);
                    }
                    return true;
                }
                true => self.follow(inst, point),
                false => None,
            };
            point = match onward.or_else(|| self.resume()) {
                Some(point) => point,
                None => return false,
            };
        }
    }

    /// Whether no path has been here before, as far as that is noted.
    #[inline(always)]
    fn is_new(&mut self, state: u16, at: usize) -> bool {
        if self.quick {
            return true;
        }
        let bit = at * usize::from(self.program.states) + usize::from(state);
        let Some(word) = self.scratch.visited.get_mut(bit / 32) else {
            return false;
        };
        let before = *word;
        *word |= 1 << (bit % 32);
        *word != before
    }

    /// Where an instruction leads, leaving behind what else there is to try.
    #[inline(always)]
    fn follow(&mut self, inst: Inst, point: Point) -> Option<Point> {
        let Point { fresh, at, .. } = point;
        let next = Point {
            pc: inst.next,
            ..point
        };
        match inst.op {
            Op::Literal(index) => {
                let literal = self.program.literals.get(usize::from(index))?;
                let end = at + literal.bytes.len();
                literal
                    .is_at(self.text, at)
                    .then_some(Point::consumed(inst.next, end))
            }
            Op::Set(set) => {
                let byte = *self.text.get(at)?;
                self.set(set)
                    .contains(byte)
                    .then_some(Point::consumed(inst.next, at + 1))
            }
            Op::Run { set, .. } if self.quick => self.run(set, point, next),
            Op::Run { set, greedy } => {
                let byte = self.text.get(at);
                if byte.is_none_or(|byte| !self.set(set).contains(*byte)) {
                    return Some(next);
                }
                let more = Point::consumed(point.pc, at + 1);
                let (first, second) = if greedy { (more, next) } else { (next, more) };
                self.scratch.choices.push(Choice::Try(second));
                Some(first)
            }
            Op::Look(look) => holds(look, self.text, at).then_some(next),
            Op::Save(slot) => {
                if let Some(place) = self.scratch.slots.get_mut(usize::from(slot)) {
                    let value = replace(place, at);
                    self.scratch.choices.push(Choice::Restore { slot, value });
                }
                Some(next)
            }
            Op::Split(second) => {
                let second = Point {
                    pc: second,
                    ..point
                };
                self.scratch.choices.push(Choice::Try(second));
                Some(next)
            }
            Op::Enter => Some(Point {
                fresh: fresh + 1,
                ..next
            }),
            Op::Leave(_) if fresh == 0 => Some(next),
            Op::Leave(out) => Some(Point {
                pc: out,
                fresh: fresh - 1,
                at,
            }),
            Op::Match => None,
        }
    }

    /// Takes a whole run, to where it must end or to a choice of ends.
    fn run(&mut self, set: u16, point: Point, next: Point) -> Option<Point> {
        let high = self.extent(set, point.at);
        let literal = self.literal(next.pc);
        let first = literal.and_then(|literal| literal.bytes.first());
        if first.is_none_or(|byte| self.set(set).contains(*byte)) && high > point.at {
            self.scratch.choices.push(Choice::Run(point, high));
            return None;
        }
        Some(match high > point.at {
            true => Point::consumed(next.pc, high),
            false => next,
        })
    }

    /// Where a run that begins here ends at the latest.
    fn extent(&mut self, set: u16, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        if set != 0 {
            let members = self.set(set);
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
    fn resume(&mut self) -> Option<Point> {
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
        let inst = *self.inst(pc)?;
        let Op::Run { greedy, .. } = inst.op else {
            return None;
        };
        let literal = self.literal(inst.next);
        let end = match (literal, greedy) {
            (None, true) => Some(high),
            (None, false) => Some(at),
            (Some(literal), true) => literal.last(self.text, at, high),
            (Some(literal), false) => {
                let text = self.text.get(..high + literal.bytes.len());
                literal.first(text.unwrap_or(self.text), at)
            }
        };
        let passed = match (end, greedy) {
            (None, _) => high - at,
            (Some(end), true) => high - end,
            (Some(end), false) => end - at,
        };
        self.spend(passed);
        let end = end?;
        // Behind the first place something has been consumed.
        let stale = Point::consumed(pc, end + 1);
        match greedy {
            true if end > at => self.scratch.choices.push(Choice::Run(point, end - 1)),
            false if end < high => self.scratch.choices.push(Choice::Run(stale, high)),
            _ => {}
        }
        Some(Point {
            pc: inst.next,
            fresh: if end > at { 0 } else { fresh },
            at: end,
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
