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
        inst_cost: INSTRUCTION_COST + GROUP_COST * (group_count + 1),
        budget: MAX_COST,
    };
    let start = compiler.whole(node)?;
    Ok(Program {
        insts: compiler.insts,
        sets: compiler.sets,
        start,
    })
}

struct Compiler {
    insts: Vec<Inst>,
    sets: Vec<Set>,
    inst_cost: usize,
    budget: usize,
}

/// An entry or continuation for each number of fresh loops.
type Entries = Vec<Pc>;
type Compile<T> = Result<T, Error>;

impl Compiler {
    fn whole(&mut self, node: &Node) -> Compile<Pc> {
        let end = self.emit(Op::Match, 0)?;
        let close = self.emit(Op::Save(1), end)?;
        let body = self.node(node, &[close])?;
        self.emit(Op::Save(0), body.first().copied().unwrap_or(close))
    }

    fn spend(&mut self, cost: usize) -> Compile<()> {
        match self.budget.checked_sub(cost) {
            Some(rest) => self.budget = rest,
            None => {
                return Err(Error {
                    at: 0,
                    message: ERR_TOO_LARGE,
                });
            }
        }
        Ok(())
    }

    /// An instruction that does this: one that exists already, if it does exactly the same.
    fn emit(&mut self, op: Op, next: Pc) -> Compile<Pc> {
        self.spend(1)?;
        let inst = Inst { op, next };
        if let Some(index) = self.insts.iter().position(|&known| known == inst) {
            // OK because the budget ends before the indices do.
            return Ok(index as Pc);
        }
        self.push(inst)
    }

    fn push(&mut self, inst: Inst) -> Compile<Pc> {
        self.spend(self.inst_cost)?;
        let index = self.insts.len();
        self.insts.push(inst);
        // OK because the budget ends before the indices do.
        Ok(index as Pc)
    }

    fn node(&mut self, node: &Node, next: &[Pc]) -> Compile<Entries> {
        self.spend(1)?;
        match node {
            Node::Empty => Ok(next.to_vec()),
            Node::Byte(byte) => self.consume(Op::Byte(*byte), next),
            Node::Set(set) => {
                let set = self.set(set);
                self.consume(Op::Set(set), next)
            }
            Node::Look(look) => self.each(Op::Look(*look), next),
            Node::Group(number, node) => {
                // OK because the parser admits no number that large.
                let slot = number * 2;
                let close = self.each(Op::Save(slot + 1), next)?;
                let body = self.node(node, &close)?;
                self.each(Op::Save(slot), &body)
            }
            Node::Concat(nodes) => {
                let mut next = next.to_vec();
                for node in nodes.iter().rev() {
                    next = self.node(node, &next)?;
                }
                Ok(next)
            }
            Node::Alternate(nodes) => {
                let mut branches = nodes.iter().rev();
                let mut rest = match branches.next() {
                    Some(last) => self.node(last, next)?,
                    None => next.to_vec(),
                };
                for node in branches {
                    let branch = self.node(node, next)?;
                    rest = self.splits(&branch, &rest)?;
                }
                Ok(rest)
            }
            Node::Repeat(repeat) => self.repeat(repeat, next).map_err(|error| Error {
                at: match repeat.max {
                    None | Some(0 | 1) if repeat.min < 2 => error.at,
                    _ => repeat.at,
                },
                ..error
            }),
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
    fn consume(&mut self, op: Op, next: &[Pc]) -> Compile<Entries> {
        let consumed = next.first().copied().unwrap_or(0);
        let entry = self.emit(op, consumed)?;
        Ok(next.iter().map(|_| entry).collect())
    }

    /// An instruction that consumes nothing, for each continuation.
    fn each(&mut self, op: Op, next: &[Pc]) -> Compile<Entries> {
        next.iter().map(|&next| self.emit(op, next)).collect()
    }

    /// Choices between pairs of ways, the first of each pair preferred.
    fn splits(&mut self, first: &[Pc], second: &[Pc]) -> Compile<Entries> {
        let pairs = first.iter().zip(second);
        pairs
            .map(|(&first, &second)| self.split(first, second))
            .collect()
    }

    fn split(&mut self, first: Pc, second: Pc) -> Compile<Pc> {
        if first == second {
            return Ok(first);
        }
        self.emit(Op::Split(second), first)
    }

    fn repeat(&mut self, repeat: &Repeat, next: &[Pc]) -> Compile<Entries> {
        let mut mandatory = repeat.min;
        let mut entries = match repeat.max {
            Some(max) => self.optional(repeat, max - repeat.min, next)?,
            None if repeat.nullable || mandatory == 0 => self.looped(repeat, next)?.choices,
            None => {
                mandatory -= 1;
                self.looped(repeat, next)?.body
            }
        };
        for _ in 0..mandatory {
            entries = self.node(&repeat.node, &entries)?;
        }
        Ok(entries)
    }

    /// Up to `count` iterations, each of which may leave.
    fn optional(&mut self, repeat: &Repeat, count: u32, next: &[Pc]) -> Compile<Entries> {
        let mut entries = next.to_vec();
        for _ in 0..count {
            let again = entries.first().copied().unwrap_or(0);
            let body = self.iteration(repeat, again, next)?;
            entries = self.choices(repeat, &body, next)?;
        }
        Ok(entries)
    }

    /// Iterations without end, each of which may leave: their body, and the choice in front of them.
    fn looped(&mut self, repeat: &Repeat, next: &[Pc]) -> Compile<Loop> {
        // The choice the body leads back to is not known before the body is; until then it is one that equals
        // no other.
        // OK because the budget ends before the indices do.
        let hole = self.insts.len() as Pc;
        let head = self.push(Inst {
            op: Op::Split(hole),
            next: hole,
        })?;
        let body = self.iteration(repeat, head, next)?;
        let enter = body.get(usize::from(repeat.nullable));
        if let (Some(inst), Some(&enter), Some(&leave)) =
            (self.insts.get_mut(usize::from(head)), enter, next.first())
        {
            let (first, second) = preference(repeat, enter, leave);
            inst.next = first;
            inst.op = Op::Split(second);
        }
        let choices = self.choices(repeat, &body, next)?;
        Ok(Loop { body, choices })
    }

    /// One optional iteration that leads to `again`, or out of the loop if it was empty.
    fn iteration(&mut self, repeat: &Repeat, again: Pc, next: &[Pc]) -> Compile<Entries> {
        let mut after = Vec::from([again]);
        if repeat.nullable {
            after.extend(next);
        } else {
            after.resize(next.len(), again);
        }
        self.node(&repeat.node, &after)
    }

    /// The choice between one more iteration and what follows the loop.
    fn choices(&mut self, repeat: &Repeat, body: &[Pc], next: &[Pc]) -> Compile<Entries> {
        // An iteration that could be empty starts out fresh.
        let enter = body.iter().skip(usize::from(repeat.nullable));
        let ways = enter.zip(next).map(|(&enter, &leave)| {
            let (first, second) = preference(repeat, enter, leave);
            self.split(first, second)
        });
        ways.collect()
    }
}

struct Loop {
    body: Entries,
    choices: Entries,
}

fn preference(repeat: &Repeat, enter: Pc, leave: Pc) -> (Pc, Pc) {
    if repeat.greedy {
        (enter, leave)
    } else {
        (leave, enter)
    }
}
