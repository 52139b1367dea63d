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
use core::mem::replace;

use super::chain::{Chain, Choice, Walk, Walker};
use super::compile::{Op, Pc, Program};
use super::literal::Shortcuts;
use super::set::WORD;
use super::steps::count;
use super::tree::Look;

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
    /// Ways not taken yet and slots to put back, latest last.
    pending: Stack<Pending>,
    /// Runs that a walk along a chain may go back to.
    choices: Vec<Choice>,
}

struct Threads {
    pcs: Stack<Pc>,
    /// The slots of all threads, one thread after the other.
    slots: Vec<usize>,
}

/// A stack with a fixed capacity. The searches spend their time here, and `Vec::push` has to be ready to grow.
struct Stack<T> {
    items: Vec<T>,
    len: usize,
}

#[derive(Clone, Copy)]
enum Pending {
    Follow(Pc),
    Restore { slot: u16, value: usize },
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
            current: Threads::NONE,
            next: Threads::NONE,
            slots: Vec::new(),
            matched: Vec::new(),
            reached: Vec::new(),
            generation: 0,
            pending: Stack::NONE,
            choices: Vec::new(),
        }
    }

    /// Slots of the latest match.
    pub(super) fn matched(&self) -> &[usize] {
        &self.matched
    }

    /// Leaves so few generations that they will have to start again.
    #[cfg(test)]
    pub(super) fn exhaust_generations(&mut self, left: usize) {
        self.generation = usize::MAX - left;
    }

    fn prepare(&mut self, search: &Search) {
        let inst_count = search.program.insts.len();
        if self.reached.len() < inst_count {
            self.reached.resize(inst_count, 0);
            // Enough because an instruction adds to each of these at most once per place.
            self.current.pcs.items.resize(inst_count, 0);
            self.next.pcs.items.resize(inst_count, 0);
            self.pending.items.resize(inst_count, Pending::Follow(0));
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

    /// The same as `search`, or giving up, along a chain.
    pub(super) fn walk(&mut self, chain: &Chain, search: &Search) -> Walk {
        self.matched.clear();
        self.matched.resize(search.slot_count, UNSET);
        let slots = &mut self.matched;
        Walker::new(chain, search.text, slots, &mut self.choices).search(search.shortcuts)
    }

    /// Looks for the first match; `matched` holds its slots.
    pub(super) fn search(&mut self, search: &Search) -> bool {
        self.prepare(search);
        let mut found = false;
        let mut start = search.shortcuts.next_start(search.text, 0);
        let mut at = 0;
        while at <= search.text.len() {
            if self.current.pcs.len == 0 {
                match start {
                    Some(start) => at = start,
                    None => break,
                }
            }
            found |= self.step(search, at, start);
            if found {
                if search.slot_count == 0 {
                    break;
                }
                start = None;
            } else if start == Some(at) {
                start = search.shortcuts.next_start(search.text, at + 1);
            }
            at += 1;
        }
        found
    }

    /// Takes all threads, and if a match may start here a new one, past the byte at `at`. True if one of them
    /// matched; those that would only match after it are gone then.
    fn step(&mut self, search: &Search, at: usize, start: Option<usize>) -> bool {
        // OK because `prepare` left room for each place.
        self.generation += 1;
        self.next.clear();
        let current = replace(&mut self.current, Threads::NONE);
        let mut matched = false;
        let pcs = current.pcs.items.iter().take(current.pcs.len);
        for (index, &pc) in pcs.enumerate() {
            self.load(&current.slots, index);
            matched = self.follow(search, pc, at);
            if matched {
                break;
            }
        }
        if !matched && start == Some(at) {
            // Not `fill`, for the reason in `load`.
            self.slots.iter_mut().for_each(|slot| *slot = UNSET);
            matched = self.follow(search, search.program.start, at);
        }
        self.current = replace(&mut self.next, current);
        matched
    }

    /// Takes over the slots of the thread with this index.
    fn load(&mut self, threads: &[usize], index: usize) {
        let count = self.slots.len();
        // Copying nothing is not free: glibc's `memcpy` touches the address all the same, and takes a fault.
        if count == 0 {
            return;
        }
        let first = index * count;
        if let Some(slots) = threads.get(first..first + count) {
            // OK because both are `count` long.
            self.slots.copy_from_slice(slots);
        }
    }

    /// Follows one thread to everything it can consume at `at`. True if it matched instead.
    fn follow(&mut self, search: &Search, start: Pc, at: usize) -> bool {
        let byte = search.text.get(at).copied();
        let mut pc = start;
        loop {
            count(1);
            let mut onward = None;
            match search.program.insts.get(usize::from(pc)) {
                Some(inst) if self.reach(pc) => {
                    // Not a `match`: most are splits and consuming ones, and a jump table costs those two half
                    // as much again.
                    if let Op::Split(second) = inst.op {
                        self.pending.push(Pending::Follow(second));
                        onward = Some(inst.next);
                    } else if search.program.consumes(inst.op, byte) {
                        self.survive(inst.next);
                    } else if let Op::Save(slot) = inst.op {
                        self.save(slot, at);
                        onward = Some(inst.next);
                    } else if let Op::Look(look) = inst.op {
                        onward = holds(look, search.text, at).then_some(inst.next);
                    } else if inst.op == Op::Match {
                        // OK because both are `slot_count` long.
                        self.matched.copy_from_slice(&self.slots);
                        self.pending.len = 0;
                        return true;
                    }
                }
                _ => {}
            }
            pc = match onward.or_else(|| self.resume()) {
                Some(pc) => pc,
                None => return false,
            };
        }
    }

    /// Goes back to the latest way not taken yet.
    fn resume(&mut self) -> Option<Pc> {
        loop {
            match self.pending.pop()? {
                Pending::Follow(pc) => return Some(pc),
                Pending::Restore { slot, value } => {
                    if let Some(place) = self.slots.get_mut(usize::from(slot)) {
                        *place = value;
                    }
                }
            }
        }
    }

    /// Whether this is the first path to an instruction at this place.
    #[inline(always)]
    fn reach(&mut self, pc: Pc) -> bool {
        match self.reached.get_mut(usize::from(pc)) {
            Some(generation) if *generation != self.generation => {
                *generation = self.generation;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn survive(&mut self, pc: Pc) {
        self.next.pcs.push(pc);
        if !self.slots.is_empty() {
            self.next.slots.extend_from_slice(&self.slots);
        }
    }

    fn save(&mut self, slot: u16, at: usize) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            let value = replace(place, at);
            self.pending.push(Pending::Restore { slot, value });
        }
    }
}

impl<T: Copy> Stack<T> {
    const NONE: Stack<T> = Stack {
        items: Vec::new(),
        len: 0,
    };

    #[inline(always)]
    fn push(&mut self, item: T) {
        if let Some(place) = self.items.get_mut(self.len) {
            *place = item;
            self.len += 1;
        }
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        self.items.get(self.len).copied()
    }
}

impl Threads {
    const NONE: Threads = Threads {
        pcs: Stack::NONE,
        slots: Vec::new(),
    };

    fn clear(&mut self) {
        self.pcs.len = 0;
        self.slots.clear();
    }
}

pub(super) fn holds(look: Look, text: &[u8], at: usize) -> bool {
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
