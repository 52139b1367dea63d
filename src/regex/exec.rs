//! Runs a program over a text, on all paths at once (a Pike VM).
//!
//! Guarantees time O(program × text) and memory O(program), and the match that Python's backtracking would find:
//! paths are kept in the order it would try them, and of two that reach the same instruction at the same place only
//! the first counts, since from there on both have the same future.
//!
//! A *thread* is a path that has just consumed a byte; it is nothing but the next instruction and the slots it
//! has set. Threads are followed through everything that consumes nothing up to instructions that consume, and
//! survive only if the byte there is the right one, so slots are copied for survivors alone.

use alloc::vec::Vec;
use core::mem::{replace, take};

use super::compile::{Op, Pc, Program};
use super::literal::Shortcuts;
use super::parse::Look;
use super::set::WORD;

/// Value of a slot that was not set.
pub(super) const UNSET: usize = usize::MAX;

/// Memory for matching, to be shared by all patterns: it grows to what the largest needs, and then no
/// line allocates.
pub struct Scratch {
    current: Threads,
    next: Threads,
    /// Slots of the path that is followed at the moment.
    slots: Vec<usize>,
    /// Slots of the best match so far.
    matched: Vec<usize>,
    /// For each instruction, the generation in which it was last reached.
    reached: Vec<usize>,
    /// Counts the places in texts that were ever looked at.
    generation: usize,
    pending: Vec<Pending>,
}

#[derive(Default)]
struct Threads {
    pcs: Vec<Pc>,
    /// The slots of all threads, one thread after the other.
    slots: Vec<usize>,
}

enum Pending {
    Follow(Pc),
    Restore { slot: usize, value: usize },
}

/// What a search is after.
pub(super) struct Search<'t> {
    pub program: &'t Program,
    pub shortcuts: &'t Shortcuts,
    pub text: &'t [u8],
    /// Slots to fill; with none the first match found ends the search.
    pub slot_count: usize,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

impl Scratch {
    /// Memory that has not grown yet.
    pub fn new() -> Scratch {
        Scratch {
            current: Threads::default(),
            next: Threads::default(),
            slots: Vec::new(),
            matched: Vec::new(),
            reached: Vec::new(),
            generation: 0,
            pending: Vec::new(),
        }
    }

    /// Slots of the latest match.
    pub(super) fn matched(&self) -> &[usize] {
        &self.matched
    }

    fn prepare(&mut self, search: &Search) {
        if self.reached.len() < search.program.insts.len() {
            self.reached.resize(search.program.insts.len(), 0);
        }
        // Each place of the text needs a generation.
        if self.generation > usize::MAX - search.text.len() - 2 {
            self.generation = 0;
            self.reached.fill(0);
        }
        self.current.clear();
        self.slots.clear();
        self.slots.resize(search.slot_count, UNSET);
        self.matched.clear();
        self.matched.resize(search.slot_count, UNSET);
    }

    /// Looks for the first match; `matched` holds its slots.
    pub(super) fn search(&mut self, search: &Search) -> bool {
        self.prepare(search);
        let mut found = false;
        let mut at = 0;
        while at <= search.text.len() {
            if self.current.pcs.is_empty() {
                if found {
                    break;
                }
                match search.shortcuts.next_start(search.text, at) {
                    Some(start) => at = start,
                    None => break,
                }
            }
            found |= self.step(search, at, found);
            if found && search.slot_count == 0 {
                break;
            }
            at += 1;
        }
        found
    }

    /// Takes all threads, and while there is no match yet a new one, past the byte at `at`. True if one of them
    /// matched; those that would only match after it are gone then.
    fn step(&mut self, search: &Search, at: usize, found: bool) -> bool {
        // OK because `prepare` left room for each place.
        self.generation += 1;
        self.next.clear();
        let current = take(&mut self.current);
        let mut matched = false;
        for (index, &pc) in current.pcs.iter().enumerate() {
            let first = index * search.slot_count;
            if let Some(slots) = current.slots.get(first..first + search.slot_count) {
                // OK because both are `slot_count` long.
                self.slots.copy_from_slice(slots);
            }
            matched = self.follow(search, pc, at);
            if matched {
                break;
            }
        }
        if !matched && !found {
            self.slots.fill(UNSET);
            matched = self.follow(search, search.program.start, at);
        }
        self.current = replace(&mut self.next, current);
        matched
    }

    /// Follows one thread to everything it can consume at `at`. True if it matched instead.
    fn follow(&mut self, search: &Search, pc: Pc, at: usize) -> bool {
        let byte = search.text.get(at).copied();
        self.pending.clear();
        self.pending.push(Pending::Follow(pc));
        while let Some(pending) = self.pending.pop() {
            let mut pc = match pending {
                Pending::Follow(pc) => pc,
                Pending::Restore { slot, value } => {
                    self.set_slot(slot, value);
                    continue;
                }
            };
            while self.reach(pc) {
                let Some(inst) = search.program.insts.get(usize::from(pc)) else {
                    break;
                };
                match inst.op {
                    Op::Byte(wanted) if byte == Some(wanted) => self.survive(inst.next),
                    Op::Set(set) if byte.is_some_and(|byte| search.program.has(set, byte)) => {
                        self.survive(inst.next);
                    }
                    Op::Byte(_) | Op::Set(_) => {}
                    Op::Look(look) if !holds(look, search.text, at) => {}
                    Op::Look(_) => {
                        pc = inst.next;
                        continue;
                    }
                    Op::Save(slot) => {
                        self.save(usize::from(slot), at);
                        pc = inst.next;
                        continue;
                    }
                    Op::Split(second) => {
                        self.pending.push(Pending::Follow(second));
                        pc = inst.next;
                        continue;
                    }
                    Op::Match => {
                        // OK because both are `slot_count` long.
                        self.matched.copy_from_slice(&self.slots);
                        return true;
                    }
                }
                break;
            }
        }
        false
    }

    /// Whether this is the first path to an instruction at this place.
    fn reach(&mut self, pc: Pc) -> bool {
        match self.reached.get_mut(usize::from(pc)) {
            Some(generation) if *generation != self.generation => {
                *generation = self.generation;
                true
            }
            _ => false,
        }
    }

    fn survive(&mut self, pc: Pc) {
        self.next.pcs.push(pc);
        self.next.slots.extend_from_slice(&self.slots);
    }

    fn save(&mut self, slot: usize, at: usize) {
        if let Some(&value) = self.slots.get(slot) {
            self.pending.push(Pending::Restore { slot, value });
            self.set_slot(slot, at);
        }
    }

    fn set_slot(&mut self, slot: usize, value: usize) {
        if let Some(old) = self.slots.get_mut(slot) {
            *old = value;
        }
    }
}

impl Threads {
    fn clear(&mut self) {
        self.pcs.clear();
        self.slots.clear();
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
