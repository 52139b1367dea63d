//! Tree to program: a graph of small instructions that [`super::exec`] runs on all paths at once.
//!
//! Guarantees that a program has at most [`MAX_COST`] to run per byte of text, however small the pattern that asks
//! for more, and that finding out costs no more than that. It is built from its end: a node is compiled for a known
//! continuation, so there is nothing to patch but the head of a loop.
//!
//! The one idea is how loops over something that can be empty become exact. Python leaves such a loop as soon as
//! an iteration has matched the empty string, and *keeps* what groups that iteration set: `(a|b*)*` on `b` ends
//! with the group at the empty string after `b`. A program in which an instruction's future depends on the
//! instruction alone cannot ask "has this iteration consumed anything?". So the instructions of such a
//! loop's body that consume nothing exist once per answer. Loops nest, and what consumed for the inner one consumed for
//! the outer one, so the answer is a number: how many of the innermost such loops are *fresh*, that is,
//! have not consumed in their current iteration. A continuation is therefore a list, indexed by that number;
//! behind a byte everything is consumed and the number is 0.

use alloc::vec::Vec;

use super::Error;
use super::set::Set;
use super::tree::{Look, Node, Repeat};

const ERR_TOO_LARGE: &str = "pattern is too large (repetitions count as often as they repeat)";

/// Limit of what a program costs: some 270 instructions when there are no groups.
///
/// Measured by `cargo test --release --test regex_limits -- --nocapture`: half of the 50 ms that the worst pattern may
/// take on the longest line, so that a busy machine keeps the promise too.
const MAX_COST: usize = 10_000;
/// Cost of an instruction: it may run once for every byte of the text.
const INSTRUCTION_COST: usize = 32;
/// Cost of the part of an instruction that carries the two ends of one group along.
const GROUP_COST: usize = 2;

/// Index of an instruction.
pub(super) type Pc = u16;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Inst {
    pub op: Op,
    pub next: Pc,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Byte(u8),
    /// Index into the sets of the program.
    Set(u16),
    Look(Look),
    /// Sets a slot to the current place; group n begins at slot 2n and ends at slot 2n + 1.
    Save(u16),
    /// Goes on at `next`, or else here.
    Split(Pc),
    Match,
}

pub(super) struct Program {
    pub insts: Vec<Inst>,
    pub sets: Vec<Set>,
    pub start: Pc,
}

impl Program {
    /// Whether an instruction consumes this byte; no byte is the end of the text.
    #[inline(always)]
    pub fn consumes(&self, op: Op, byte: Option<u8>) -> bool {
        match (op, byte) {
            (Op::Byte(wanted), Some(byte)) => wanted == byte,
            (Op::Set(set), Some(byte)) => {
                let set = self.sets.get(usize::from(set));
                set.is_some_and(|set| set.contains(byte))
            }
            _ => false,
        }
    }
}

/// Compiles a tree with `group_count` capture groups, not counting group 0.
pub(super) fn compile(node: &Node, group_count: usize) -> Result<Program, Error> {
    let mut compiler = Compiler {
        insts: Vec::new(),
        sets: Vec::new(),
        entries: Vec::new(),
        inst_cost: INSTRUCTION_COST + GROUP_COST * (group_count + 1),
        budget: MAX_COST,
        spent: false,
        repetition: 0,
    };
    let start = compiler.whole(node);
    if compiler.spent {
        return Err(Error {
            at: compiler.repetition,
            message: ERR_TOO_LARGE,
        });
    }
    Ok(Program {
        insts: compiler.insts,
        sets: compiler.sets,
        start,
    })
}

struct Compiler {
    insts: Vec<Inst>,
    sets: Vec<Set>,
    /// What all [`Entries`] are in.
    entries: Vec<Pc>,
    inst_cost: usize,
    budget: usize,
    /// Whether the budget has been exceeded. Then whatever is compiled is of no meaning, and every loop ends.
    spent: bool,
    /// Offset of the outermost repetition that writes out more than one iteration, while there is one.
    repetition: usize,
}

/// An entry or continuation for each number of fresh loops.
#[derive(Clone, Copy)]
struct Entries {
    first: usize,
    count: usize,
}

impl Compiler {
    fn whole(&mut self, node: &Node) -> Pc {
        let end = self.emit(Op::Match, 0);
        let close = self.emit(Op::Save(1), end);
        let next = self.repeated(close, 1);
        let body = self.node(node, next);
        self.emit(Op::Save(0), self.entry(body, 0))
    }

    fn spend(&mut self, cost: usize) {
        match self.budget.checked_sub(cost) {
            Some(rest) => self.budget = rest,
            None => self.spent = true,
        }
    }

    /// An instruction that does this: one that exists already, if it does exactly the same.
    fn emit(&mut self, op: Op, next: Pc) -> Pc {
        self.spend(1);
        if self.spent {
            return 0;
        }
        let inst = Inst { op, next };
        match self.insts.iter().position(|&known| known == inst) {
            // OK because the budget ends before the indices do.
            Some(index) => index as Pc,
            None => self.push(inst),
        }
    }

    fn push(&mut self, inst: Inst) -> Pc {
        self.spend(self.inst_cost);
        self.insts.push(inst);
        // OK because the budget ends before the indices do.
        (self.insts.len() - 1) as Pc
    }

    fn entry(&self, entries: Entries, index: usize) -> Pc {
        let entry = self.entries.get(entries.first + index);
        entry.copied().unwrap_or(0)
    }

    fn repeated(&mut self, entry: Pc, count: usize) -> Entries {
        let first = self.entries.len();
        self.entries.resize(first + count, entry);
        Entries { first, count }
    }

    fn node(&mut self, node: &Node, next: Entries) -> Entries {
        self.spend(1);
        if self.spent {
            return next;
        }
        match node {
            Node::Empty => next,
            Node::Byte(byte) => self.consume(Op::Byte(*byte), next),
            Node::Set(set) => {
                let set = self.set(set);
                self.consume(Op::Set(set), next)
            }
            Node::Look(look) => self.each(Op::Look(*look), next),
            Node::Group(number, node) => {
                // OK because the parser admits no number that large.
                let slot = number * 2;
                let close = self.each(Op::Save(slot + 1), next);
                let body = self.node(node, close);
                self.each(Op::Save(slot), body)
            }
            Node::Concat(nodes) => {
                let mut entries = next;
                for node in nodes.iter().rev() {
                    entries = self.node(node, entries);
                }
                entries
            }
            Node::Alternate(nodes) => {
                let mut rest = None;
                for node in nodes.iter().rev() {
                    let branch = self.node(node, next);
                    rest = Some(match rest {
                        Some(rest) => self.choices(true, branch, rest),
                        None => branch,
                    });
                }
                rest.unwrap_or(next)
            }
            Node::Repeat(repeat) => {
                let outer = self.repetition;
                let is_once = repeat.min < 2 && matches!(repeat.max, None | Some(0 | 1));
                // OK because no quantifier is at 0.
                if outer == 0 && !is_once {
                    self.repetition = repeat.at;
                }
                let entries = self.repeat(repeat, next);
                if !self.spent {
                    self.repetition = outer;
                }
                entries
            }
        }
    }

    fn set(&mut self, set: &Set) -> u16 {
        let index = self.sets.iter().position(|known| known == set);
        // OK because every set belongs to an instruction, and the budget ends before the indices do.
        index.unwrap_or_else(|| {
            self.sets.push(*set);
            self.sets.len() - 1
        }) as u16
    }

    /// Behind an instruction that consumes, no loop is fresh.
    fn consume(&mut self, op: Op, next: Entries) -> Entries {
        let entry = self.emit(op, self.entry(next, 0));
        self.repeated(entry, next.count)
    }

    /// An instruction that consumes nothing, for each continuation.
    fn each(&mut self, op: Op, next: Entries) -> Entries {
        let first = self.entries.len();
        for index in 0..next.count {
            let entry = self.emit(op, self.entry(next, index));
            self.entries.push(entry);
        }
        Entries { first, ..next }
    }

    /// For each number of fresh loops, the choice between entering and leaving; the first is tried first if
    /// `greedy`.
    fn choices(&mut self, greedy: bool, enter: Entries, leave: Entries) -> Entries {
        let first = self.entries.len();
        for index in 0..leave.count {
            let (enter, leave) = (self.entry(enter, index), self.entry(leave, index));
            let (preferred, other) = preference(greedy, enter, leave);
            let entry = match enter == leave {
                true => enter,
                false => self.emit(Op::Split(other), preferred),
            };
            self.entries.push(entry);
        }
        Entries { first, ..leave }
    }

    fn repeat(&mut self, repeat: &Repeat, next: Entries) -> Entries {
        let mut mandatory = repeat.min;
        let mut entries = next;
        match repeat.max {
            // Up to so many iterations, each of which may leave.
            Some(max) => {
                for _ in repeat.min..max {
                    if self.spent {
                        break;
                    }
                    let body = self.iteration(repeat, self.entry(entries, 0), next);
                    entries = self.choices(repeat.greedy, fresh(repeat, body), next);
                }
            }
            None => {
                let body = self.looped(repeat, next);
                if repeat.nullable || mandatory == 0 {
                    entries = self.choices(repeat.greedy, fresh(repeat, body), next);
                } else {
                    mandatory -= 1;
                    entries = body;
                }
            }
        }
        for _ in 0..mandatory {
            if self.spent {
                break;
            }
            entries = self.node(&repeat.node, entries);
        }
        entries
    }

    /// The body of iterations without end, each of which may leave.
    fn looped(&mut self, repeat: &Repeat, next: Entries) -> Entries {
        // The choice the body leads back to is not known before the body is; until then it is one that equals
        // no other.
        // OK because the budget ends before the indices do.
        let hole = self.insts.len() as Pc;
        let head = self.push(Inst {
            op: Op::Split(hole),
            next: hole,
        });
        let body = self.iteration(repeat, head, next);
        let enter = self.entry(fresh(repeat, body), 0);
        let (preferred, other) = preference(repeat.greedy, enter, self.entry(next, 0));
        if let Some(inst) = self.insts.get_mut(usize::from(head)) {
            inst.next = preferred;
            inst.op = Op::Split(other);
        }
        body
    }

    /// One optional iteration that leads to `again`, or out of the loop if it was empty.
    fn iteration(&mut self, repeat: &Repeat, again: Pc, next: Entries) -> Entries {
        if !repeat.nullable {
            let after = self.repeated(again, next.count);
            return self.node(&repeat.node, after);
        }
        let mut after = self.repeated(again, 1);
        for index in 0..next.count {
            self.entries.push(self.entry(next, index));
        }
        after.count += next.count;
        self.node(&repeat.node, after)
    }
}

/// An iteration that could be empty starts out fresh.
fn fresh(repeat: &Repeat, body: Entries) -> Entries {
    let skipped = usize::from(repeat.nullable);
    Entries {
        first: body.first + skipped,
        count: body.count - skipped,
    }
}

fn preference(greedy: bool, enter: Pc, leave: Pc) -> (Pc, Pc) {
    if greedy {
        (enter, leave)
    } else {
        (leave, enter)
    }
}
