//! Tree to program: a graph of small instructions that [`super::exec`] and [`super::sure`] follow.
//!
//! Guarantees that a program has at most [`MAX_STATES`] states, however small the pattern that asks for more, and that
//! finding out costs no more than [`MAX_VISITS`] steps. It is built from its end: a node is compiled for a known
//! continuation, so there is nothing to patch but the head of a loop.
//!
//! A *state* is an instruction and a number: how many of the innermost loops around it are *fresh*, that is, have
//! consumed nothing in their current iteration. Python leaves a loop as soon as an iteration has matched the empty
//! string, and *keeps* what groups that iteration set: `(a|b*)*` on `b` ends with the group at the empty string
//! after `b`. So whoever runs a program counts: [`Op::Enter`] begins an iteration, whatever consumes a byte makes all
//! loops stale (what consumed for the inner one consumed for the outer ones), and [`Op::Leave`] asks. What
//! happens behind a state depends on the state alone, which is what makes matching linear.
//!
//! For the [`super::sieve`], which wants to know only what cannot match, programs are *rough*: byte by byte, without groups
//! and loops to be counted, many parts of patterns in one. What they match is more than the trees do.

use alloc::vec::Vec;

use super::seek::Literal;
use super::set::Set;
use super::tree::{Error, Fault, Look, Node, Repeat};
use crate::address::Reading;

/// States a program may have; each byte of a literal counts as one.
///
/// The largest of fail2ban's failregexes has 2 500. Measured by `cargo test --release --test regex_limits -- --nocapture`:
/// 100 ms at the most on the longest line, and 10 for a tenth of the states.
const MAX_STATES: u16 = 3000;
/// Nodes that are looked at, each as often as it is repeated.
const MAX_VISITS: u16 = 60_000;
/// States of a part in a rough program, and the repetitions that are written out there; more are any number.
const MAX_PART: u16 = 500;
pub(super) const REPETITIONS: u32 = 8;

/// Index of an instruction.
pub(super) type Pc = u16;

#[derive(Clone, Copy)]
pub(super) struct Inst {
    pub op: Op,
    pub next: Pc,
    /// Its first state; as many follow as loops around it can be fresh.
    pub state: u16,
}

#[derive(Clone, Copy)]
pub(super) enum Op {
    /// Index into the literals of the program.
    Literal(u16),
    /// Index into the sets of the program.
    Set(u16),
    /// Any number of bytes of a set.
    Run {
        /// Index into the sets of the program.
        set: u16,
        greedy: bool,
        /// The literal that follows, if nothing but the ends of groups comes before it.
        ahead: Option<u16>,
    },
    Look(Look),
    /// Consumes an address.
    Host(Reading),
    /// Sets a slot to the current place; group n begins at slot 2n and ends at slot 2n + 1.
    Save(u16),
    /// Goes on at `next`, or else here.
    Split(Pc),
    /// Begins an iteration that could be empty.
    Enter,
    /// Ends one: goes on at `next` if it has consumed something, here otherwise.
    Leave(Pc),
    /// In a rough program, the part with the number `next`.
    Match,
}

#[derive(Default)]
pub(super) struct Program {
    pub insts: Vec<Inst>,
    pub literals: Vec<Literal>,
    /// The first is [`Set::LINE`].
    pub sets: Vec<Set>,
    pub start: Pc,
    /// The literal that every match begins with, if there is one.
    pub ahead: Option<u16>,
    pub states: u16,
}

impl Program {
    pub fn inst(&self, pc: Pc) -> Option<&Inst> {
        self.insts.get(usize::from(pc))
    }

    pub fn set(&self, index: u16) -> &Set {
        let set = self.sets.get(usize::from(index));
        set.unwrap_or(&Set::EMPTY)
    }

    pub fn literal(&self, index: u16) -> Option<&Literal> {
        self.literals.get(usize::from(index))
    }

    /// The state of an instruction with so many fresh loops around it.
    pub fn state(&self, (pc, fresh): (Pc, u16)) -> u16 {
        self.inst(pc).map_or(0, |inst| inst.state + fresh)
    }

    /// The number of the part that ends at `pc`.
    pub fn part(&self, pc: Pc) -> Option<u16> {
        let inst = self.inst(pc)?;
        matches!(inst.op, Op::Match).then_some(inst.next)
    }

    /// The literal where the program goes on at `pc`.
    fn ahead(&self, pc: Pc) -> Option<u16> {
        let mut inst = self.inst(pc)?;
        while let Op::Save(_) = inst.op {
            inst = self.inst(inst.next)?;
        }
        match inst.op {
            Op::Literal(index) => Some(index),
            _ => None,
        }
    }
}

/// Compiles a tree.
pub(super) fn compile(node: &Node) -> Result<Program, Error> {
    let mut compiler = Compiler::new(false);
    match compiler.add(&[node], 0) {
        Some(start) => {
            compiler.program.start = start;
            compiler.program.ahead = compiler.program.ahead(start);
            Ok(compiler.program)
        }
        None => Err(Error {
            at: compiler.fault,
            message: Fault::TooLarge.message(),
        }),
    }
}

#[derive(Default)]
pub(super) struct Compiler {
    pub program: Program,
    is_rough: bool,
    /// States there may be.
    most: u16,
    /// Where what is being compiled ends.
    end: Pc,
    /// Loops around the current node whose iterations could be empty.
    depth: u16,
    visits: u16,
    /// The quantifier that made it too much.
    fault: usize,
}

/// None is returned for what is too large.
impl Compiler {
    pub fn new(is_rough: bool) -> Compiler {
        let mut compiler = Compiler::default();
        compiler.program.sets.push(Set::LINE);
        compiler.is_rough = is_rough;
        compiler
    }

    /// Compiles trees that follow each other, in a rough program as one more part. Says where it begins.
    pub fn add(&mut self, nodes: &[&Node], number: u16) -> Option<Pc> {
        let (first, sets) = (self.program.states, self.program.sets.len());
        self.most = match self.is_rough {
            true => first.saturating_add(MAX_PART).min(u16::MAX - 1),
            false => MAX_STATES,
        };
        self.visits = MAX_VISITS;
        self.end = first;
        let end = self.push(Op::Match, number);
        let mut nodes = nodes.iter().rev();
        let start = end.and_then(|end| nodes.try_fold(end, |next, node| self.node(node, next)));
        if start.is_none() {
            self.program.insts.truncate(usize::from(first));
            self.program.sets.truncate(sets);
            self.program.states = first;
        }
        start
    }

    fn push(&mut self, op: Op, next: Pc) -> Option<Pc> {
        let state = self.program.states;
        self.claim(1 + self.depth)?;
        let index = self.program.insts.len();
        self.program.insts.push(Inst { op, next, state });
        // OK because there are no more instructions than states.
        Some(index as Pc)
    }

    fn claim(&mut self, states: u16) -> Option<()> {
        self.program.states = self.program.states.saturating_add(states);
        (self.program.states <= self.most).then_some(())
    }

    fn node(&mut self, node: &Node, next: Pc) -> Option<Pc> {
        self.visits = self.visits.checked_sub(1)?;
        match node {
            Node::Empty => Some(next),
            Node::Byte(byte) if self.is_rough => self.one_of(&Set::from(*byte), next),
            Node::Byte(_) => self.literal(core::slice::from_ref(node), next),
            Node::Set(set) => self.one_of(set, next),
            Node::Look(look) if !self.is_rough || *look == Look::TextStart => {
                self.push(Op::Look(*look), next)
            }
            // A line ends before a newline or as if before one, and what follows is not asked for.
            Node::Look(Look::TextEnd | Look::TextEndOrNewline | Look::LineEnd) => {
                self.one_of(&Set::from(b'\n'), self.end)
            }
            Node::Look(_) => Some(next),
            Node::Host(_) if self.is_rough => {
                // What an address looks like does not matter here. OK because the next instruction has a number.
                let byte = self.program.insts.len() as Pc + 1;
                let more = self.push(Op::Split(byte), next)?;
                self.one_of(&Set::LINE, more)
            }
            Node::Host(reading) => self.push(Op::Host(*reading), next),
            Node::Group(_, node) if self.is_rough => self.node(node, next),
            Node::Group(number, node) => {
                // OK because the parser admits no number that large.
                let slot = number * 2;
                let close = self.push(Op::Save(slot + 1), next)?;
                let body = self.node(node, close)?;
                self.push(Op::Save(slot), body)
            }
            Node::Concat(nodes) => self.concat(nodes, next),
            Node::Alternate(nodes) => {
                let mut branches = nodes.iter().rev();
                let mut rest = self.node(branches.next()?, next)?;
                for node in branches {
                    let branch = self.node(node, next)?;
                    rest = self.push(Op::Split(rest), branch)?;
                }
                Some(rest)
            }
            Node::Repeat(repeat) => {
                let entry = self.repeat(repeat, next);
                if entry.is_none() && (repeat.min > 1 || repeat.max.is_some_and(|max| max > 1)) {
                    self.fault = repeat.at;
                }
                entry
            }
        }
    }

    fn concat(&mut self, nodes: &[Node], next: Pc) -> Option<Pc> {
        let mut next = next;
        let mut rest = nodes;
        while let Some((last, before)) = rest.split_last() {
            let is_byte = |node: &&Node| matches!(node, Node::Byte(_)) && !self.is_rough;
            let bytes = rest.iter().rev().take_while(is_byte).count();
            let (more, literal) = rest.split_at(rest.len() - bytes);
            (next, rest) = match bytes {
                0 => (self.node(last, next)?, before),
                _ => (self.literal(literal, next)?, more),
            };
        }
        Some(next)
    }

    /// Bytes in a row.
    fn literal(&mut self, nodes: &[Node], next: Pc) -> Option<Pc> {
        let byte = |node: &Node| match node {
            Node::Byte(byte) => Some(*byte),
            _ => None,
        };
        let bytes: Vec<u8> = nodes.iter().filter_map(byte).collect();
        self.claim(u16::try_from(bytes.len()).ok()?)?;
        let index = self.program.literals.len();
        self.program.literals.push(Literal::new(bytes));
        // OK because there are no more literals than states.
        self.push(Op::Literal(index as u16), next)
    }

    fn one_of(&mut self, set: &Set, next: Pc) -> Option<Pc> {
        let set = self.set(set);
        self.push(Op::Set(set), next)
    }

    fn set(&mut self, set: &Set) -> u16 {
        let sets = &mut self.program.sets;
        let index = sets.iter().position(|known| known == set);
        // OK because there is at most one more set than there are states.
        index.unwrap_or_else(|| {
            sets.push(*set);
            sets.len() - 1
        }) as u16
    }

    fn repeat(&mut self, repeat: &Repeat, next: Pc) -> Option<Pc> {
        let repetitions = if self.is_rough { REPETITIONS } else { u32::MAX };
        let mut mandatory = repeat.min.min(repetitions);
        let more = repeat.max.map(|max| max - mandatory);
        let mut entry = next;
        match more.filter(|more| *more <= repetitions) {
            Some(more) => {
                for _ in 0..more {
                    let body = self.iteration(repeat, entry, next)?;
                    entry = self.choice(repeat, body, next)?;
                }
            }
            None => {
                if let (false, Some(set)) = (self.is_rough, repeat.node.as_set()) {
                    let run = Op::Run {
                        set: self.set(&set),
                        greedy: repeat.greedy,
                        ahead: self.program.ahead(next),
                    };
                    entry = self.push(run, next)?;
                } else {
                    // The body leads back to the choice in front of it, so one of them has to be patched.
                    let head = self.choice(repeat, next, next)?;
                    let body = self.iteration(repeat, head, next)?;
                    let choice = self.program.insts.get_mut(usize::from(head))?;
                    match repeat.greedy {
                        true => choice.next = body,
                        false => choice.op = Op::Split(body),
                    }
                    entry = head;
                    if mandatory > 0 && !repeat.nullable {
                        mandatory -= 1;
                        entry = body;
                    }
                }
            }
        }
        for _ in 0..mandatory {
            entry = self.node(&repeat.node, entry)?;
        }
        Some(entry)
    }

    /// One iteration that leads to `again`, or out of the loop if it was empty.
    fn iteration(&mut self, repeat: &Repeat, again: Pc, leave: Pc) -> Option<Pc> {
        if self.is_rough || !repeat.nullable {
            return self.node(&repeat.node, again);
        }
        self.depth += 1;
        let end = self.push(Op::Leave(leave), again)?;
        let body = self.node(&repeat.node, end)?;
        self.depth -= 1;
        self.push(Op::Enter, body)
    }

    /// The choice between one more iteration and what follows the loop.
    fn choice(&mut self, repeat: &Repeat, enter: Pc, leave: Pc) -> Option<Pc> {
        match repeat.greedy {
            true => self.push(Op::Split(leave), enter),
            false => self.push(Op::Split(enter), leave),
        }
    }
}
