//! The sure way to match: from the end of the text to its beginning, every state at every place, once.
//!
//! Guarantees time O(states × text), whatever the pattern, and memory of a bit for each state at each place: 300 KiB for
//! 300 states on the longest line, 3 MiB for the largest program. What a state leads to depends on the state alone: so
//! whether a match can be reached from it at a place is known as soon as that is known for what it leads to. Then the
//! first match is found by going forward and never wrong: at every choice the better way is taken if it leads to a match.

use alloc::vec;
use alloc::vec::Vec;
use core::mem::replace;

use super::Text;
use super::compile::{Op, Pc, Program};
use super::steps::count;
use crate::address::host_end;

/// Where a path is in the program: an instruction, and how many loops around it are fresh.
type Spot = (Pc, u16);

/// A spot, with the states that it leads to.
struct Cell {
    op: Op,
    state: u16,
    /// By what it consumes.
    next: u16,
    /// By nothing; the same twice if there is one.
    ways: Option<[u16; 2]>,
}

/// From which states a match can be reached, for every place.
pub(super) struct Table<'t> {
    program: &'t Program,
    /// Where the first match begins; any, if that was enough.
    pub first: Option<usize>,
    /// Words of a place.
    width: usize,
    bits: Vec<u32>,
}

impl<'t> Table<'t> {
    pub fn new(program: &'t Program, text: Text, is_any_enough: bool) -> Table<'t> {
        let width = usize::from(program.states).div_ceil(32);
        let mut table = Table {
            program,
            first: None,
            width,
            bits: vec![0; (text.bytes.len() + 1) * width],
        };
        let cells = cells(program);
        for at in (0..=text.bytes.len()).rev() {
            table.fill(&cells, text, at);
            if table.leads((program.start, 0), at) {
                table.first = Some(at);
                if is_any_enough {
                    break;
                }
            }
        }
        table
    }

    /// Whether a match can be reached from here.
    pub fn leads(&self, spot: Spot, at: usize) -> bool {
        self.is_set(at, self.program.state(spot))
    }

    fn is_set(&self, at: usize, state: u16) -> bool {
        let word = self.bits.get(at * self.width + usize::from(state / 32));
        word.is_some_and(|word| word >> (state % 32) & 1 != 0)
    }

    /// Finds out for one place, given those behind it.
    fn fill(&mut self, cells: &[Cell], text: Text, at: usize) {
        let byte = text.bytes.get(at).copied();
        count(cells.len());
        for cell in cells {
            let is_member = |set| byte.is_some_and(|byte| self.program.set(set).contains(byte));
            // Where it leads by what stands here.
            let end = match cell.op {
                Op::Set(set) | Op::Run { set, .. } => is_member(set).then_some(at + 1),
                Op::Literal(index) => {
                    let literal = self.program.literal(index);
                    let literal = literal.filter(|literal| literal.is_at(text.bytes, at));
                    literal.map(|literal| at + literal.bytes.len())
                }
                Op::Host(reading) => host_end(text.bytes, at, text.is_cut, reading),
                Op::Look(look) if !look.holds(text, at) => continue,
                _ => None,
            };
            let leads = end.is_some_and(|end| self.is_set(end, cell.next))
                || cell
                    .ways
                    .is_some_and(|ways| ways.iter().any(|way| self.is_set(at, *way)))
                || matches!(cell.op, Op::Match);
            let word = at * self.width + usize::from(cell.state / 32);
            if leads && let Some(word) = self.bits.get_mut(word) {
                *word |= 1 << (cell.state % 32);
            }
        }
    }
}

/// All spots, in an order in which one comes after those that it leads to by nothing.
fn cells(program: &Program) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut seen = vec![false; usize::from(program.states)];
    let mut stack = Vec::new();
    // OK because there are no more instructions than states.
    for pc in 0..program.insts.len() as Pc {
        stack.push(((pc, 0), false));
        // A spot that is left had all it leads to by nothing on top of it.
        while let Some((spot, is_left)) = stack.pop() {
            let (pc, fresh) = spot;
            let state = program.state(spot);
            let (Some(inst), Some(seen)) = (program.inst(pc), seen.get_mut(usize::from(state)))
            else {
                continue;
            };
            let next = (inst.next, fresh);
            let ways = match inst.op {
                Op::Match | Op::Set(_) | Op::Literal(_) | Op::Host(_) => None,
                Op::Run { .. } | Op::Look(_) | Op::Save(_) => Some([next; 2]),
                Op::Split(other) => Some([next, (other, fresh)]),
                Op::Enter => Some([(inst.next, fresh + 1); 2]),
                Op::Leave(_) if fresh == 0 => Some([next; 2]),
                Op::Leave(out) => Some([(out, fresh - 1); 2]),
            };
            if is_left {
                let consumed = match inst.op {
                    Op::Run { .. } => (pc, 0),
                    _ => (inst.next, 0),
                };
                cells.push(Cell {
                    op: inst.op,
                    state,
                    next: program.state(consumed),
                    ways: ways.map(|ways| ways.map(|way| program.state(way))),
                });
            } else if !replace(seen, true) {
                stack.push((spot, true));
                stack.extend(ways.into_iter().flatten().map(|way| (way, false)));
            }
        }
    }
    cells
}
