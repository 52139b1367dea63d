//! Follows a program through a text, going back to the latest choice when something does not fit: Python's way, and
//! so what it finds is what Python finds.
//!
//! A run of bytes is taken in one step, and then only the ends are tried where the literal stands that follows the run.
//! Nothing is remembered but choices, so going back could take for ever: there is an allowance of steps in proportion
//! to the text, and one of choices. Lines of a log need a small part of it. When it is spent, [`super::sure`] begins again.

use alloc::vec::Vec;
use core::mem::replace;

use super::Text;
use super::compile::{Op, Pc, Program, Run};
use super::seek::find_byte;
use super::steps::count;
use super::sure;
use super::tree::Look;
use crate::address::host_end;

/// Value of a slot that was not set.
pub(super) const UNSET: usize = usize::MAX;

/// Steps for every byte of the text, and for one that is short. A byte that is searched through is a step.
const STEPS_PER_BYTE: usize = 32;
const STEPS_AT_LEAST: usize = 512;

/// Choices that may be left open, and those that there is room for between two searches.
const MAX_CHOICES: usize = 8192;
const CHOICES_KEPT: usize = 2048;

/// Memory for matching, to be shared by all patterns: it grows to what they usually need, and then no line
/// allocates. What hostile lines need beyond that is given back after each.
#[derive(Default)]
pub struct Scratch {
    /// Slots of the match.
    pub(super) slots: Vec<usize>,
    /// What is left to try, and slots to put back, latest last.
    choices: Vec<Choice>,
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

impl Scratch {
    /// Memory that has not grown yet.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Looks for the first match; `slots` holds where its groups are, as far as `slot_count` goes.
    pub(super) fn search(
        &mut self,
        program: &Program,
        text: Text,
        slot_count: usize,
        quick: bool,
    ) -> bool {
        let steps = text.bytes.len().saturating_mul(STEPS_PER_BYTE) + STEPS_AT_LEAST;
        let quickly = if quick {
            self.attempt(program, text, slot_count, steps)
        } else {
            None
        };
        if self.choices.capacity() > CHOICES_KEPT {
            self.choices = Vec::new();
        }
        quickly.unwrap_or_else(|| {
            self.begin(slot_count);
            sure::search(program, text, &mut self.slots)
        })
    }

    fn begin(&mut self, slot_count: usize) {
        self.slots.clear();
        self.slots.resize(slot_count, UNSET);
        self.choices.clear();
    }

    /// One search with an allowance of steps; no answer if that was not enough.
    pub(super) fn attempt(
        &mut self,
        program: &Program,
        text: Text,
        slot_count: usize,
        steps: usize,
    ) -> Option<bool> {
        self.begin(slot_count);
        let mut walk = Walk {
            program,
            text: text.bytes,
            whole: text,
            slots: &mut self.slots,
            choices: &mut self.choices,
            steps,
            line: (1, 0),
            here: Point {
                pc: program.start,
                fresh: 0,
                at: 0,
            },
        };
        let mut from = 0;
        while let Some(start) = walk.next_start(from) {
            if let Some(end) = walk.end() {
                if let [first, second, ..] = walk.slots {
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
    whole: Text<'t>,
    slots: &'t mut [usize],
    choices: &'t mut Vec<Choice>,
    /// How many are left.
    steps: usize,
    /// From where the end of a line was sought last, and where it is.
    line: (usize, usize),
    here: Point,
}

impl Walk<'_> {
    /// Goes to the first place not before `from` where a match could start.
    fn next_start(&mut self, from: usize) -> Option<usize> {
        self.here.pc = self.program.start;
        self.consume(from);
        let ahead = self.program.ahead;
        if let Some(literal) = ahead.literal {
            let literal = self.program.literal(literal)?;
            let start = literal.first(self.text, from)?;
            self.spend(start - from);
            self.here.pc = ahead.next;
            self.consume(start + ahead.skip);
            return Some(start);
        }
        let op = self.program.inst(self.program.start)?.op;
        if from > 0 && matches!(op, Op::Look(Look::TextStart)) {
            return None;
        }
        (from <= self.text.len()).then_some(from)
    }

    fn spend(&mut self, steps: usize) {
        count(steps);
        self.steps = self.steps.saturating_sub(steps);
    }

    /// Where the match ends that goes on from where the walk is.
    fn end(&mut self) -> Option<usize> {
        loop {
            let Point { pc, fresh, at } = self.here;
            let inst = self.program.inst(pc)?;
            count(1);
            if self.choices.len() > MAX_CHOICES {
                self.steps = 0;
            }
            self.steps = self.steps.checked_sub(1)?;
            if let Op::Match = inst.op {
                return Some(at);
            }
            self.here.pc = inst.next;
            if self.step(inst.op, Point { pc, fresh, at }) {
                continue;
            }
            self.go_back()?;
        }
    }

    /// Goes behind an instruction, if it fits; where only `next` follows, the caller has gone there.
    #[inline(always)]
    fn step(&mut self, op: Op, from: Point) -> bool {
        let at = from.at;
        match op {
            Op::Literal(index) => {
                let literal = self.program.literal(index);
                literal.is_some_and(|literal| {
                    self.consume(at + literal.bytes.len());
                    literal.is_at(self.text, at)
                })
            }
            Op::Set(set) => {
                self.consume(at + 1);
                self.is_member(set, at)
            }
            Op::Run(index) => {
                let Some(run) = self.program.run(index) else {
                    return false;
                };
                let high = self.extent(run.set, at);
                if high > at && !run.definite {
                    return self.end_run(run, from, high);
                }
                if high > at {
                    self.consume(high);
                }
                true
            }
            Op::Look(look) => look.holds(self.whole, at),
            Op::Host(reading) => match host_end(self.text, at, self.whole.is_cut, reading) {
                Some(end) => {
                    // It has been read for its end, and what is before it for its beginning.
                    self.spend(end - at);
                    self.consume(end);
                    true
                }
                None => false,
            },
            Op::Save(slot) => {
                if let Some(place) = self.slots.get_mut(usize::from(slot)) {
                    let value = replace(place, at);
                    self.choices.push(Choice::Restore { slot, value });
                }
                true
            }
            Op::Split(pc) => {
                self.choices.push(Choice::Try(Point { pc, ..from }));
                true
            }
            Op::Enter => {
                self.here.fresh += 1;
                true
            }
            Op::Leave(out) => {
                if from.fresh > 0 {
                    self.here.pc = out;
                    self.here.fresh -= 1;
                }
                true
            }
            Op::Match => false,
        }
    }

    /// Goes on behind bytes that were consumed.
    fn consume(&mut self, at: usize) {
        self.here.fresh = 0;
        self.here.at = at;
    }

    fn is_member(&self, set: u16, at: usize) -> bool {
        let byte = self.text.get(at);
        byte.is_some_and(|byte| self.program.set(set).contains(*byte))
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

    /// Goes back to the latest choice; none if there is none left.
    fn go_back(&mut self) -> Option<()> {
        loop {
            match self.choices.pop()? {
                Choice::Try(point) => {
                    self.here = point;
                    return Some(());
                }
                Choice::Run(point, high) => {
                    if let Op::Run(run) = self.program.inst(point.pc)?.op
                        && self.end_run(self.program.run(run)?, point, high)
                    {
                        return Some(());
                    }
                }
                Choice::Restore { slot, value } => {
                    if let Some(place) = self.slots.get_mut(usize::from(slot)) {
                        *place = value;
                    }
                }
            }
        }
    }

    /// Ends a run that begins at `from` at the best of the places up to `high`, and leaves the others behind.
    fn end_run(&mut self, run: &Run, from: Point, high: usize) -> bool {
        let at = from.at;
        let literal = run.ahead.literal;
        let end = match literal.and_then(|index| self.program.literal(index)) {
            None if run.greedy => Some(high),
            None => Some(at),
            Some(literal) if run.greedy => literal.last(self.text, at, high),
            Some(literal) => {
                let text = self.text.get(..high + literal.bytes.len());
                literal.first(text.unwrap_or(self.text), at)
            }
        };
        self.spend(match end {
            None => high - at,
            Some(end) if run.greedy => high - end,
            Some(end) => end - at,
        });
        let Some(end) = end else {
            return false;
        };
        if run.greedy && end > at {
            self.choices.push(Choice::Run(from, end - 1));
        } else if !run.greedy && end < high {
            // Behind the first place something has been consumed.
            let shortest = Point {
                pc: from.pc,
                fresh: 0,
                at: end + 1,
            };
            self.choices.push(Choice::Run(shortest, high));
        }
        self.here = Point {
            pc: run.ahead.next,
            fresh: match literal {
                None if end == at => from.fresh,
                _ => 0,
            },
            at: end + run.ahead.skip,
        };
        true
    }
}
