//! Follows a program through a text, going back to the latest choice when something does not fit: Python's way, and
//! so what it finds is what Python finds.
//!
//! A run of bytes is taken in one step, and then only the ends are tried where the literal stands that follows the run.
//! Nothing is remembered but choices, so going back could take for ever: there is an allowance of steps in proportion
//! to the text, and one of choices. Lines of a log need a small part of it. When it is spent, [`super::sure`]
//! finds out where choices lead, and the walk begins again and never goes back.

use alloc::vec::Vec;
use core::mem::replace;

use super::Text;
use super::compile::{Op, Pc, Program};
use super::seek::find_byte;
use super::steps::count;
use super::sure::Table;
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
            let table = Table::new(program, text, slot_count == 0);
            let Some(start) = table.first else {
                return false;
            };
            let mut walk = self.walk(program, text, slot_count, usize::MAX);
            walk.sure = Some(&table);
            walk.consume(start);
            slot_count == 0 || walk.is_match(start)
        })
    }

    fn walk<'t>(
        &'t mut self,
        program: &'t Program,
        text: Text<'t>,
        slot_count: usize,
        steps: usize,
    ) -> Walk<'t> {
        self.slots.clear();
        self.slots.resize(slot_count, UNSET);
        self.choices.clear();
        Walk {
            program,
            text: text.bytes,
            whole: text,
            slots: &mut self.slots,
            choices: &mut self.choices,
            steps,
            sure: None,
            line: match text.is_line {
                true => (0, text.bytes.len()),
                false => (1, 0),
            },
            here: Point {
                pc: program.start,
                fresh: 0,
                at: 0,
            },
        }
    }

    /// One search with an allowance of steps; no answer if that was not enough.
    pub(super) fn attempt(
        &mut self,
        program: &Program,
        text: Text,
        slot_count: usize,
        steps: usize,
    ) -> Option<bool> {
        let mut walk = self.walk(program, text, slot_count, steps);
        let mut from = 0;
        while let Some(start) = walk.next_start(from) {
            if walk.is_match(start) {
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
    /// Which choices lead to a match; then nothing is left behind to be tried.
    sure: Option<&'t Table<'t>>,
    /// From where the end of a line was sought last, and where it is.
    line: (usize, usize),
    here: Point,
}

impl Walk<'_> {
    /// Goes to the first place not before `from` where a match could start.
    fn next_start(&mut self, from: usize) -> Option<usize> {
        self.here.pc = self.program.start;
        if let Some(literal) = self.program.ahead {
            let start = self.program.literal(literal)?.first(self.text, from)?;
            self.spend(start - from);
            self.consume(start);
            self.skip();
            return Some(start);
        }
        let op = self.program.inst(self.program.start)?.op;
        if from > 0 && matches!(op, Op::Look(Look::TextStart)) {
            return None;
        }
        self.consume(from);
        (from <= self.text.len()).then_some(from)
    }

    /// Whether there is a match that begins at `start`, where the walk is, or has begun there.
    fn is_match(&mut self, start: usize) -> bool {
        let Some(end) = self.end() else {
            return false;
        };
        if let [first, second, ..] = self.slots {
            (*first, *second) = (start, end);
        }
        true
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
            Op::Run { set, greedy, ahead } => {
                let Some(sure) = self.sure else {
                    let high = self.extent(set, at);
                    let first = ahead.and_then(|index| self.program.literal(index)?.bytes.first());
                    // Where the literal behind it does not begin in the set, it ends where the set's bytes do.
                    if high > at && first.is_none_or(|byte| self.program.set(set).contains(*byte)) {
                        return self.end_run(from, high);
                    }
                    if high > at {
                        self.consume(high);
                    }
                    return true;
                };
                let goes_on = match greedy {
                    true => self.is_member(set, at) && sure.leads((from.pc, 0), at + 1),
                    false => !sure.leads((self.here.pc, from.fresh), at),
                };
                if goes_on {
                    self.here.pc = from.pc;
                    self.consume(at + 1);
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
                    if self.sure.is_none() {
                        self.choices.push(Choice::Restore { slot, value });
                    }
                }
                true
            }
            Op::Split(pc) => {
                match self.sure {
                    None => self.choices.push(Choice::Try(Point { pc, ..from })),
                    Some(sure) if sure.leads((self.here.pc, from.fresh), at) => {}
                    Some(_) => self.here.pc = pc,
                }
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
                    if self.end_run(point, high) {
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
    fn end_run(&mut self, from: Point, high: usize) -> bool {
        let at = from.at;
        let Some(inst) = self.program.inst(from.pc) else {
            return false;
        };
        let Op::Run { greedy, ahead, .. } = inst.op else {
            return false;
        };
        let end = match ahead.and_then(|index| self.program.literal(index)) {
            None if greedy => Some(high),
            None => Some(at),
            Some(literal) if greedy => literal.last(self.text, at, high),
            Some(literal) => {
                let text = self.text.get(..high + literal.bytes.len());
                literal.first(text.unwrap_or(self.text), at)
            }
        };
        self.spend(match end {
            None => high - at,
            Some(end) if greedy => high - end,
            Some(end) => end - at,
        });
        let Some(end) = end else {
            return false;
        };
        if greedy && end > at {
            self.choices.push(Choice::Run(from, end - 1));
        } else if !greedy && end < high {
            // Behind the first place something has been consumed.
            let shortest = Point {
                pc: from.pc,
                fresh: 0,
                at: end + 1,
            };
            self.choices.push(Choice::Run(shortest, high));
        }
        self.here = Point {
            pc: inst.next,
            fresh: if end == at { from.fresh } else { 0 },
            at: end,
        };
        if ahead.is_some() {
            self.skip();
        }
        true
    }

    /// Goes behind the literal that has been found here, unless a group begins or ends before it.
    fn skip(&mut self) {
        if let Some(inst) = self.program.inst(self.here.pc)
            && let Op::Literal(index) = inst.op
            && let Some(literal) = self.program.literal(index)
        {
            self.here.pc = inst.next;
            self.consume(self.here.at + literal.bytes.len());
        }
    }
}
