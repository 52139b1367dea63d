//! The sure way to match: from the end of the text to its beginning, every state at every place, once.
//!
//! Guarantees time O(states × text), whatever the pattern, and memory for 2 √text columns of one byte for each state: half a
//! megabyte for the largest program on the longest line, a tenth of that for 300 states. What a state leads to depends on
//! the state alone, and hardly on more than the places next to it: so whether a match can be reached from a state at
//! a place is known as soon as that is known for the place behind. Then the first match is found by going forward and
//! never wrong: at every choice the better way is taken if it leads to a match.
//!
//! The columns of all places would be too many. Every √text-th is kept on the way back, and those between are
//! computed again from it on the way forward.

use alloc::vec;
use alloc::vec::Vec;

use super::Text;
use super::compile::{Op, Pc, Program};
use super::steps::count;
use super::tree::Look;
use crate::address::{Reading, host_end};

/// How a state leads to a match.
#[derive(Clone, Copy)]
enum Rule {
    Match,
    /// By this byte, to `next`.
    Byte(u8),
    /// By a byte of this set, to `next`.
    Set(u16),
    /// By nothing to `next`, or by a byte of this set to `other`.
    Run(u16),
    /// By nothing to `next`, where this holds.
    Look(Look),
    /// By the address that stands there, to `next` behind it; its index among such cells is `other`.
    Host(Reading),
    /// By nothing to `next`, or to `other`.
    Either,
}

struct Cell {
    rule: Rule,
    state: u16,
    next: u16,
    other: u16,
}

/// Where a path is in the program: an instruction, and how many loops around it are fresh.
type Spot = (Pc, u16);

struct Table<'t> {
    program: &'t Program,
    text: Text<'t>,
    /// In an order in which a cell comes after those that it leads to by nothing.
    cells: Vec<Cell>,
    /// For each byte that has been met, and for the end of the text, the cells that may lead on there.
    live: Vec<Vec<u16>>,
    /// Places from one column that is kept to the next.
    spacing: usize,
    kept: Vec<bool>,
    /// For each cell of an address, from which of the next places behind it a match can be reached: a bit for each, the
    /// next one lowest. No address is longer. And what is kept of them with a column.
    ahead: Vec<u64>,
    kept_ahead: Vec<u64>,
    /// The columns from `first` on, as many as there are in a spacing.
    block: Vec<bool>,
    first: usize,
}

/// Looks for the first match; `slots` are where its groups are.
pub(super) fn search(program: &Program, text: Text, slots: &mut [usize]) -> bool {
    let mut table = Table {
        program,
        text,
        cells: cells(program),
        live: vec![Vec::new(); 257],
        spacing: text.bytes.len().isqrt() + 1,
        kept: Vec::new(),
        ahead: Vec::new(),
        kept_ahead: Vec::new(),
        block: Vec::new(),
        first: usize::MAX,
    };
    let is_host = |cell: &&Cell| matches!(cell.rule, Rule::Host(_));
    table.ahead = vec![0; table.cells.iter().filter(is_host).count()];
    let Some(start) = table.begin(!slots.is_empty()) else {
        return false;
    };
    if !slots.is_empty() {
        let end = table.follow(start, slots).unwrap_or(start);
        if let [first, second, ..] = slots {
            (*first, *second) = (start, end);
        }
    }
    true
}

/// The cells of all states that can be reached.
fn cells(program: &Program) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut hosts = 0;
    let mut seen = vec![false; usize::from(program.states)];
    // A spot that is left had all it leads to by nothing on top of it.
    let mut stack: Vec<(Spot, bool)> = Vec::new();
    let mut behind: Vec<Spot> = vec![(program.start, 0)];
    while let Some((spot, is_left)) = stack.pop().or_else(|| Some((behind.pop()?, false))) {
        let (pc, fresh) = spot;
        let Some(inst) = program.inst(pc) else {
            continue;
        };
        let state = inst.state + fresh;
        let is_new = |seen: &mut Vec<bool>, state: u16| {
            let place = seen.get_mut(usize::from(state));
            place.is_some_and(|seen| !core::mem::replace(seen, true))
        };
        if !is_left && !is_new(&mut seen, state) {
            continue;
        }
        let mut cell = |rule, state, next: u16, other: u16| {
            cells.push(Cell {
                rule,
                state,
                next,
                other,
            });
        };
        let consumed = program.state((inst.next, 0));
        let [next, other] = match inst.op {
            Op::Match => {
                cell(Rule::Match, state, 0, 0);
                continue;
            }
            Op::Set(set) => {
                cell(Rule::Set(set), state, consumed, 0);
                behind.push((inst.next, 0));
                continue;
            }
            Op::Host(reading) => {
                cell(Rule::Host(reading), state, consumed, hosts);
                hosts += 1;
                behind.push((inst.next, 0));
                continue;
            }
            Op::Literal(index) => {
                let literal = program.literal(index);
                let bytes = literal.map_or(&[][..], |literal| &literal.bytes);
                // The bytes of a literal have states of their own, in front of its instruction's.
                // OK because they were counted as states.
                let inner = inst.state - bytes.len() as u16;
                for (done, byte) in (0..).zip(bytes) {
                    let next = match usize::from(done) + 1 == bytes.len() {
                        true => consumed,
                        false => inner + done + 1,
                    };
                    if done == 0 {
                        cell(Rule::Byte(*byte), state, next, 0);
                    } else if is_new(&mut seen, inner + done) {
                        cell(Rule::Byte(*byte), inner + done, next, 0);
                    }
                }
                behind.push((inst.next, 0));
                continue;
            }
            Op::Split(other) => [(inst.next, fresh), (other, fresh)],
            Op::Run(_) | Op::Look(_) | Op::Save(_) => [(inst.next, fresh); 2],
            Op::Enter => [(inst.next, fresh + 1); 2],
            Op::Leave(_) if fresh == 0 => [(inst.next, 0); 2],
            Op::Leave(out) => [(out, fresh - 1); 2],
        };
        if !is_left {
            stack.extend([(spot, true), (next, false), (other, false)]);
            continue;
        }
        let [next, other] = [next, other].map(|spot| program.state(spot));
        match inst.op {
            Op::Run(index) => {
                let set = program.run(index).map_or(0, |run| run.set);
                cell(Rule::Run(set), state, next, inst.state);
                behind.push((pc, 0));
            }
            Op::Look(look) => cell(Rule::Look(look), state, next, 0),
            _ => cell(Rule::Either, state, next, other),
        }
    }
    cells
}

impl Program {
    fn state(&self, (pc, fresh): Spot) -> u16 {
        self.inst(pc).map_or(0, |inst| inst.state + fresh)
    }
}

impl Table<'_> {
    /// From which states a match can be reached at a place, given those at the place behind.
    fn column(&mut self, at: usize, behind: &[bool], here: &mut [bool]) {
        let byte = self.text.bytes.get(at).copied();
        let is = |column: &[bool], state: u16| column.get(usize::from(state)) == Some(&true);
        let is_member = |set: u16| byte.is_some_and(|byte| self.program.set(set).contains(byte));
        let Some(live) = self.live.get_mut(byte.map_or(256, usize::from)) else {
            return;
        };
        if live.is_empty() {
            // OK because there are no more cells than states.
            let cells = (0..).zip(&self.cells);
            live.extend(cells.filter_map(|(index, cell)| match cell.rule {
                Rule::Byte(wanted) => (byte == Some(wanted)).then_some(index),
                Rule::Set(set) => is_member(set).then_some(index),
                _ => Some(index),
            }));
        }
        count(live.len());
        here.fill(false);
        for cell in live
            .iter()
            .filter_map(|index| self.cells.get(usize::from(*index)))
        {
            let leads = match cell.rule {
                Rule::Match => true,
                Rule::Byte(_) | Rule::Set(_) => is(behind, cell.next),
                Rule::Run(set) => is(here, cell.next) || (is(behind, cell.other) && is_member(set)),
                Rule::Host(reading) => {
                    let ahead = self.ahead.get_mut(usize::from(cell.other));
                    let ahead = ahead.map_or(0, |ahead| {
                        *ahead = *ahead << 1 | u64::from(is(behind, cell.next));
                        *ahead
                    });
                    let end = host_end(self.text.bytes, at, self.text.is_cut, reading);
                    end.is_some_and(|end| ahead >> (end - at - 1) & 1 != 0)
                }
                Rule::Look(look) => is(here, cell.next) && look.holds(self.text, at),
                Rule::Either => is(here, cell.next) || is(here, cell.other),
            };
            if let Some(place) = here.get_mut(usize::from(cell.state)) {
                *place = leads;
            }
        }
    }

    /// Where the first match begins. Any, if it will not be followed.
    fn begin(&mut self, will_follow: bool) -> Option<usize> {
        let width = usize::from(self.program.states);
        let length = self.text.bytes.len();
        let start = usize::from(self.program.state((self.program.start, 0)));
        let (mut behind, mut here) = (vec![false; width], vec![false; width]);
        if will_follow {
            self.kept = vec![false; (length / self.spacing + 1) * width];
        }
        let mut first = None;
        for at in (0..=length).rev() {
            self.column(at, &behind, &mut here);
            if here.get(start) == Some(&true) {
                first = Some(at);
                if !will_follow {
                    break;
                }
            }
            if at % self.spacing == 0
                && let Some(place) = self.kept.get_mut(at / self.spacing * width..)
                && let Some(place) = place.get_mut(..width)
            {
                place.copy_from_slice(&here);
                // The first of them is the last place's.
                self.kept_ahead.extend(&self.ahead);
            }
            core::mem::swap(&mut behind, &mut here);
        }
        first
    }

    /// Whether a match can be reached from here. `at` never goes back by more than a spacing.
    fn leads(&mut self, spot: Spot, at: usize) -> bool {
        let width = usize::from(self.program.states);
        let first = at - at % self.spacing;
        if self.first != first {
            self.first = first;
            self.compute(first, width);
        }
        let index = (at - first) * width + usize::from(self.program.state(spot));
        self.block.get(index) == Some(&true)
    }

    /// Computes the columns from `first` on to the next that is kept.
    fn compute(&mut self, first: usize, width: usize) {
        let mut block = core::mem::take(&mut self.block);
        let kept = core::mem::take(&mut self.kept);
        let count = self.ahead.len();
        let later = (self.text.bytes.len() / self.spacing).checked_sub(first / self.spacing + 1);
        let ahead = later.and_then(|later| self.kept_ahead.get(later * count..));
        match ahead.and_then(|ahead| ahead.get(..count)) {
            Some(ahead) => self.ahead.copy_from_slice(ahead),
            None => self.ahead.fill(0),
        }
        let places = self.spacing.min(self.text.bytes.len() + 1 - first);
        block.resize(places * width, false);
        let nothing = vec![false; width];
        let next = (first / self.spacing + 1) * width;
        let next = kept.get(next..).and_then(|kept| kept.get(..width));
        for place in (0..places).rev() {
            let (before, behind) = block.split_at_mut((place + 1) * width);
            let behind = behind.get(..width).or(next).unwrap_or(&nothing);
            if let Some(here) = before.get_mut(place * width..) {
                self.column(first + place, behind, here);
            }
        }
        (self.block, self.kept) = (block, kept);
    }

    /// Goes from where a match begins to where it ends.
    fn follow(&mut self, start: usize, slots: &mut [usize]) -> Option<usize> {
        let (mut spot, mut at) = ((self.program.start, 0), start);
        loop {
            let (pc, fresh) = spot;
            let inst = self.program.inst(pc)?;
            let next = (inst.next, fresh);
            count(1);
            spot = match inst.op {
                Op::Match => return Some(at),
                Op::Literal(index) => {
                    at += self.program.literal(index)?.bytes.len();
                    (inst.next, 0)
                }
                Op::Host(reading) => {
                    at = host_end(self.text.bytes, at, self.text.is_cut, reading)?;
                    (inst.next, 0)
                }
                Op::Set(_) => {
                    at += 1;
                    (inst.next, 0)
                }
                Op::Run(index) => {
                    let run = self.program.run(index)?;
                    let byte = self.text.bytes.get(at).copied();
                    let is_member =
                        byte.is_some_and(|byte| self.program.set(run.set).contains(byte));
                    let goes_on = match run.greedy {
                        true => is_member && self.leads((pc, 0), at + 1),
                        false => !self.leads(next, at),
                    };
                    at += usize::from(goes_on);
                    if goes_on { (pc, 0) } else { next }
                }
                Op::Save(slot) => {
                    if let Some(place) = slots.get_mut(usize::from(slot)) {
                        *place = at;
                    }
                    next
                }
                Op::Split(other) => match self.leads(next, at) {
                    true => next,
                    false => (other, fresh),
                },
                Op::Enter => (inst.next, fresh + 1),
                Op::Leave(out) if fresh > 0 => (out, fresh - 1),
                Op::Leave(_) | Op::Look(_) => next,
            };
        }
    }
}
