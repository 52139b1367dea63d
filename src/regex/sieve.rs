//! Which of many patterns a line may match, in one pass over it, however many there are.
//!
//! Guarantees only a necessary condition: what is sieved out has no match. Of every pattern a *part* is sought that no
//! match can do without: the bytes in a row that tell most, be they letters of either case, digits, alternatives
//! or repetitions that end, and the fewer patterns have a part, the more it tells. Only a pattern without such a part
//! is sought as a whole. What does not matter here is left out of the program of all parts ([`super::compile`]).
//!
//! The parts are one automaton that is made deterministic as lines need it: a state is the set of places in parts where
//! the line may be, a row of the table says where each class of bytes leads. What has been computed once costs a
//! few instructions for each byte. The memory for that is bounded; when it is full, all is forgotten, and a line that
//! fills it more than once is given up: then every pattern may match.
//!
//! Where all patterns have a literal in common, as the rules of a firewall do, that is sought first, in whole buffers
//! ([`crate::regex::seek`]). A few patterns that each have a telling literal are told apart by that; then there is no
//! automaton.

use alloc::vec;
use alloc::vec::Vec;
use core::mem::{replace, take};
use core::ops::Range;

use super::compile::{Compiler, Op, Pc, Program, REPETITIONS};
use super::literal;
use super::parse;
use super::seek::{Literal, Places};
use super::steps::count;
use super::tree::Node;
use super::{Regex, Text};

/// Entries of the table, and places in parts that all states together may have: 48 KiB on routers, and
/// 1.5 MiB elsewhere, of which no more is used than lines need.
const ENTRIES: usize = match size_of::<usize>() {
    4 => 1 << 13,
    _ => 1 << 18,
};
const PLACES: usize = ENTRIES;
/// What a part must tell.
const TELLING: u32 = 4;
/// Sets of more bytes than this are in every line.
const NARROW: u32 = 16;
/// So many patterns are told apart by their literals: to seek each is cheaper than to follow the automaton.
const FEW: usize = 12;

/// So many bits of a hash choose where to look for a state.
const HASH_BITS: u32 = 8;
/// No row begins here: an entry of the table that is not known yet, and the end of a list of states.
const UNKNOWN: u32 = 0;

/// Many patterns, each with the numbers of those who ask for it.
#[derive(Default)]
#[repr(C)]
pub struct Sieve {
    /// Whether this line has filled the memory.
    is_full: bool,
    /// The length of a row.
    stride: usize,
    /// What one step from state to state needs: its number, the number of the step that came to an instruction last, what is
    /// still to be followed, and where it leads, in order.
    step: u32,
    marks: Vec<u32>,
    stack: Vec<Pc>,
    after: Vec<Pc>,
    /// For each state and class the row that follows: where it begins, which is odd, or one less if that state is one to
    /// look at, because a part ends there or nothing can follow.
    table: Vec<u32>,
    states: Vec<State>,
    /// What the sets of the states are parts of.
    places: Vec<Pc>,
    /// The places that every state has, because a part can begin anywhere. They are not in the states' sets.
    starts: Vec<Pc>,
    patterns: Vec<Pattern>,
    /// The patterns whose parts have been found in it, and the numbers of those.
    hits: Vec<u16>,
    found: Vec<u16>,
    /// The class of each byte.
    classes: Vec<u8>,
    /// The row of the state that was made last of those whose hashes begin with this number.
    newest: Vec<u32>,
    /// What the state in which a line begins has beside them.
    first: Vec<Pc>,
    /// The indices of those that no part tells apart.
    always: Vec<u16>,
    /// What every line that any pattern matches holds.
    common: Option<Literal>,
    /// The parts.
    program: Program,
    /// Where in it literals might stand.
    literal_places: Places,
}

struct Pattern {
    /// What every match holds, if that tells enough and is not what all patterns have in common.
    literal: Option<Literal>,
    numbers: Vec<u16>,
    /// Its part has been found in this line.
    is_hit: bool,
}

#[derive(Default)]
struct State {
    places: Range<usize>,
    /// The row of the one that was made before it of those whose hashes begin alike.
    older: u32,
}

/// The mark of what every state has.
const EVERYWHERE: u32 = u32::MAX;

impl Sieve {
    /// Made of patterns, each with the number of who asks for it.
    pub fn new(patterns: &[(u16, &Regex)]) -> Sieve {
        Sieve::with_few(patterns, FEW)
    }

    /// The same where no more than `few` patterns are told apart by their literals, so that tests reach the automaton.
    #[doc(hidden)]
    #[inline(never)]
    pub fn with_few(patterns: &[(u16, &Regex)], few: usize) -> Sieve {
        let (mut sieve, mut texts) = (Sieve::default(), Vec::<&str>::new());
        sieve.common = common(patterns);
        for (number, pattern) in patterns {
            let index = texts.iter().position(|text| *text == pattern.pattern());
            if let Some(known) = index.and_then(|index| sieve.patterns.get_mut(index)) {
                known.numbers.push(*number);
                continue;
            }
            texts.push(pattern.pattern());
            let literal = pattern.telling();
            let is_sought =
                literal::weight_of(literal) >= TELLING && sieve.common() != Some(literal);
            sieve.patterns.push(Pattern {
                literal: is_sought.then(|| Literal::new(literal.to_vec())),
                numbers: vec![*number],
                is_hit: false,
            });
        }
        let mut patterns = sieve.patterns.iter();
        let all_tell = sieve.common.is_some() || patterns.all(|pattern| pattern.literal.is_some());
        if !all_tell || texts.len() > few {
            sieve.prepare(&texts);
        }
        sieve
    }

    /// Makes the automaton.
    fn prepare(&mut self, texts: &[&str]) {
        let entries = self.add_parts(texts);
        self.divide_bytes();
        self.marks = vec![0; self.program.insts.len()];
        self.stack.clone_from(&entries);
        self.close(true);
        self.first = take(&mut self.after);
        self.stack = entries;
        self.close(false);
        self.starts = take(&mut self.after);
        let is_start = |pc: &Pc| self.marks.get(usize::from(*pc)) == Some(&self.step);
        self.first.retain(|pc| !is_start(pc));
        for pc in self.first.iter().chain(&self.starts) {
            if let Some(index) = self.program.part(*pc) {
                self.always.push(index);
            }
        }
        self.table = vec![UNKNOWN; ENTRIES];
        self.begin();
    }

    /// Adds a part of each pattern to the automaton: the fewer have it, the more it tells. Says where they begin.
    fn add_parts(&mut self, texts: &[&str]) -> Vec<Pc> {
        let mut nodes = Vec::new();
        for text in texts {
            // OK because it has been read before.
            nodes.extend(parse::parse(text.as_bytes()).map(|(node, _)| node));
        }
        let (mut digests, mut all) = (Vec::new(), Vec::new());
        for node in &nodes {
            let mut parts = vec![Part::default()];
            divide(node, &mut parts);
            digests.extend(parts.iter().map(|part| part.digest));
            all.push((node, parts));
        }
        let mut compiler = Compiler::new(true);
        let mut entries = Vec::new();
        // OK because there are at most as many patterns as numbers.
        for (index, (node, parts)) in (0..).zip(&all) {
            let (mut best, mut most) = (&[*node][..], 0);
            for part in parts.iter().filter(|part| part.tells >= TELLING) {
                let others = digests.iter().filter(|digest| **digest == part.digest);
                // OK because a pattern is not that long.
                let told = part.tells * 256 / others.count() as u32;
                if told >= most {
                    (best, most) = (&part.nodes, told);
                }
            }
            match compiler.add(best, index) {
                Some(entry) => entries.push(entry),
                None => self.always.push(index),
            }
        }
        self.program = compiler.program;
        entries
    }

    /// Bytes are of one class if no set tells them apart. A newline is one of its own.
    fn divide_bytes(&mut self) {
        self.classes = vec![0; 256];
        for set in &self.program.sets {
            // What a class becomes, for its members and for others.
            let mut known = Vec::new();
            for (byte, class) in (0..=u8::MAX).zip(&mut self.classes) {
                let old = (*class, set.contains(byte));
                let place = known.iter().position(|known| *known == old);
                if place.is_none() {
                    known.push(old);
                }
                // OK because there are no more classes than bytes.
                *class = place.unwrap_or(known.len() - 1) as u8;
            }
            self.stride = (known.len() + 1) & !1;
        }
    }

    /// Forgets all states but the one in which a line begins.
    fn begin(&mut self) {
        let used = self.states.len() * self.stride + 1;
        if let Some(used) = self.table.get_mut(..used) {
            used.fill(UNKNOWN);
        }
        self.newest = vec![UNKNOWN; 1 << HASH_BITS];
        self.states.clear();
        self.places.clear();
        // Where no row begins stands a state that nothing leads to.
        self.states.push(State::default());
        // Until all is forgotten again there are no more steps than entries of the table.
        self.step = 0;
        self.marks.fill(0);
        for pc in &self.starts {
            if let Some(mark) = self.marks.get_mut(usize::from(*pc)) {
                *mark = EVERYWHERE;
            }
        }
        self.add_state(&self.first.clone());
    }

    /// The row of the state with these places, one less if it is to be looked at. None if there is no room.
    fn add_state(&mut self, places: &[Pc]) -> Option<u32> {
        let mut hash = 0;
        for pc in places {
            mix(&mut hash, u32::from(*pc));
        }
        let newest = self
            .newest
            .get_mut((hash >> (u32::BITS - HASH_BITS)) as usize)?;
        let mut row = *newest;
        while row != UNKNOWN {
            let state = self.states.get(row as usize / self.stride)?;
            if self.places.get(state.places.clone()) == Some(places) {
                break;
            }
            row = state.older;
        }
        if row == UNKNOWN {
            let (new, first) = (self.states.len() * self.stride + 1, self.places.len());
            if new + self.stride > ENTRIES || first + places.len() > PLACES {
                return None;
            }
            self.places.extend_from_slice(places);
            // OK because a row ends within the table.
            row = new as u32;
            self.states.push(State {
                places: first..self.places.len(),
                older: replace(newest, row),
            });
        }
        let is_end = places.iter().any(|pc| self.program.part(*pc).is_some());
        let is_dead = places.is_empty() && self.starts.is_empty();
        Some(row - u32::from(is_end || is_dead))
    }

    /// Computes an entry of the table. None if the line is to be given up.
    #[inline(never)]
    fn compute(&mut self, row: u32, byte: u8) -> Option<u32> {
        let state = self.states.get(row as usize / self.stride)?;
        let before = self.places.get(state.places.clone())?;
        count(before.len() + self.starts.len());
        for pcs in [before, &self.starts] {
            for pc in pcs {
                let inst = self.program.inst(*pc)?;
                if let Op::Set(set) = inst.op
                    && self.program.set(set).contains(byte)
                {
                    self.stack.push(inst.next);
                }
            }
        }
        self.close(false);
        let after = take(&mut self.after);
        let mut entry = self.add_state(&after);
        let place = row as usize + self.class(byte);
        if let (Some(entry), Some(place)) = (entry, self.table.get_mut(place)) {
            *place = entry;
        } else if !replace(&mut self.is_full, true) {
            self.begin();
            entry = self.add_state(&after);
        }
        self.after = after;
        entry
    }

    /// Follows what consumes nothing from the instructions on the stack to those that do, and to the ends of parts.
    fn close(&mut self, is_start: bool) {
        self.step += 1;
        self.after.clear();
        while let Some(pc) = self.stack.pop() {
            let mark = self.marks.get_mut(usize::from(pc));
            let (Some(inst), Some(mark)) = (self.program.inst(pc), mark) else {
                continue;
            };
            if *mark >= self.step {
                continue;
            }
            *mark = self.step;
            match inst.op {
                Op::Split(other) => self.stack.extend([other, inst.next]),
                // Of all that looks only this is left: a line begins here.
                Op::Look(_) if is_start => self.stack.push(inst.next),
                Op::Look(_) => {}
                _ => self.after.push(pc),
            }
        }
        sort(&mut self.after);
    }

    /// What every line holds that any pattern matches, if that is known.
    pub fn common(&self) -> Option<&[u8]> {
        self.common.as_ref().map(|literal| &*literal.bytes)
    }

    /// Whether what is sieved out of a pattern is every line without its [telling](Regex::telling) literal, and no other.
    pub fn is_by_literals(&self) -> bool {
        self.table.is_empty()
    }

    /// A place in `text`, which may be many lines: those that end before it match none of the patterns.
    pub fn next(&self, text: &[u8]) -> Option<usize> {
        match &self.common {
            Some(literal) => literal.first(text, 0),
            None => (!self.patterns.is_empty()).then_some(0),
        }
    }

    /// The numbers of the patterns that a line may match in which [`Sieve::next`] has found a place, in their order.
    #[inline(never)]
    pub fn sift(&mut self, line: Text) -> &[u16] {
        self.literal_places.forget();
        self.found.clear();
        self.hits.clear();
        // What no part tells apart its literal may.
        let is_passed = !self.is_by_literals() && self.pass(line);
        let asked = is_passed.then_some(&self.always);
        for place in 0..asked.map_or(self.patterns.len(), Vec::len) {
            let index = asked.map_or(place, |asked| usize::from(asked[place]));
            if let Some(pattern) = self.patterns.get(index)
                && let literal = pattern.literal.as_ref()
                && literal.is_none_or(|literal| literal.is_in(line.bytes, &mut self.literal_places))
            {
                self.found.extend_from_slice(&pattern.numbers);
            }
        }
        for index in &self.hits {
            if let Some(pattern) = self.patterns.get_mut(usize::from(*index)) {
                pattern.is_hit = false;
                self.found.extend_from_slice(&pattern.numbers);
            }
        }
        sort(&mut self.found);
        self.found.dedup();
        &self.found
    }

    /// What [`Sieve::sift`] found last.
    pub fn found(&self) -> &[u16] {
        &self.found
    }

    /// Notes which parts are in a line. False if it is given up.
    fn pass(&mut self, line: Text) -> bool {
        self.is_full = false;
        count(line.bytes.len());
        // OK because a row ends within the table.
        let (mut row, mut at) = (self.stride as u32 + 1, 0);
        loop {
            (row, at) = self.run(line.bytes, row, at);
            let byte = match line.bytes.get(at) {
                Some(byte) => *byte,
                None if line.is_cut => return true,
                // As if the next line followed: so the program says where one ends.
                None => b'\n',
            };
            let known = self.table.get(row as usize + self.class(byte)).copied();
            let known = known.filter(|entry| *entry != UNKNOWN);
            let Some(entry) = known.or_else(|| self.compute(row, byte)) else {
                return false;
            };
            row = entry | 1;
            if (entry != row && !self.look(row)) || at == line.bytes.len() {
                return true;
            }
            at += 1;
        }
    }

    fn class(&self, byte: u8) -> usize {
        let class = self.classes.get(usize::from(byte));
        usize::from(class.copied().unwrap_or(0))
    }

    /// Follows the line from row to row, up to what is not known or is to be looked at.
    #[inline(never)]
    fn run(&self, text: &[u8], row: u32, at: usize) -> (u32, usize) {
        let (mut row, mut at) = (row, at);
        let classes: Option<&[u8; 256]> = self.classes.first_chunk();
        let (Some(table), Some(classes)) = (self.table.first_chunk::<ENTRIES>(), classes) else {
            return (row, at);
        };
        // Written so that no bound has to be checked.
        let entry = |row: u32, byte: u8| {
            table[(row as usize + usize::from(classes[usize::from(byte)])) % ENTRIES]
        };
        let (chunks, _) = text.get(at..).unwrap_or_default().as_chunks::<8>();
        // Most of a line passes here.
        for chunk in chunks {
            let (mut last, mut all) = (row, 1);
            for byte in chunk {
                // What is behind a stop means nothing, and does no harm.
                last = entry(last, *byte);
                all &= last;
            }
            if all & 1 == 0 {
                break;
            }
            row = last;
            at += chunk.len();
        }
        for byte in text.get(at..).unwrap_or_default() {
            let next = entry(row, *byte);
            if next & 1 == 0 {
                break;
            }
            row = next;
            at += 1;
        }
        (row, at)
    }

    /// Notes the parts that end in a state. False if nothing can follow.
    fn look(&mut self, row: u32) -> bool {
        let Some(state) = self.states.get(row as usize / self.stride) else {
            return false;
        };
        let places = self.places.get(state.places.clone()).unwrap_or_default();
        for pc in places {
            if let Some(index) = self.program.part(*pc)
                && let Some(pattern) = self.patterns.get_mut(usize::from(index))
                && !replace(&mut pattern.is_hit, true)
            {
                self.hits.push(index);
            }
        }
        !places.is_empty() || !self.starts.is_empty()
    }
}

/// What every match of every pattern holds and tells most, if it tells enough.
fn common(patterns: &[(u16, &Regex)]) -> Option<Literal> {
    let ((_, first), others) = patterns.split_first()?;
    let (mut common, mut most) = (None, TELLING);
    for bytes in &first.literals {
        let (literal, tells) = (Literal::new(bytes.clone()), literal::weight_of(bytes));
        let holds = |other: &Vec<u8>| literal.first(other, 0).is_some();
        let mut others = others.iter();
        if tells >= most && others.all(|(_, other)| other.literals.iter().any(holds)) {
            (common, most) = (Some(literal), tells);
        }
    }
    common
}

/// Nodes in a row, none of which can be long or be anything.
#[derive(Default)]
struct Part<'n> {
    nodes: Vec<&'n Node>,
    tells: u32,
    /// The same for equal ones, and hardly ever for others.
    digest: u32,
}

/// Adds the nodes that every match consists of, one behind the other, to the last part, or begins another.
fn divide<'n>(node: &'n Node, parts: &mut Vec<Part<'n>>) {
    match (node, parts.last_mut()) {
        (Node::Concat(nodes), _) => nodes.iter().for_each(|node| divide(node, parts)),
        (Node::Group(_, node), _) => divide(node, parts),
        (_, Some(part)) => {
            let mut digest = part.digest;
            match tells(node, &mut digest) {
                Some(more) => {
                    part.nodes.push(node);
                    part.tells += more;
                    part.digest = digest;
                }
                None => parts.push(Part::default()),
            }
        }
        _ => {}
    }
}

/// What a node tells, and the digest of what comes before it and of the node. None if it can be long, or be anything.
fn tells(node: &Node, digest: &mut u32) -> Option<u32> {
    match node {
        Node::Byte(byte) => {
            mix(digest, u32::from(*byte));
            Some(literal::weight(*byte))
        }
        Node::Set(set) => {
            set.0.into_iter().for_each(|word| mix(digest, word));
            let length = set.len();
            (length <= NARROW).then_some(u32::from(length <= 2))
        }
        Node::Host(_) => None,
        Node::Empty | Node::Look(_) => Some(0),
        Node::Group(_, node) => tells(node, digest),
        Node::Concat(nodes) => nodes.iter().map(|node| tells(node, digest)).sum(),
        Node::Alternate(nodes) => {
            // OK because it need not be all of a large number.
            mix(digest, nodes.len() as u32);
            let mut nodes = nodes.iter();
            nodes.try_fold(u32::MAX, |least, node| {
                Some(least.min(tells(node, digest)?))
            })
        }
        Node::Repeat(repeat) => {
            mix(digest, repeat.min);
            repeat.max.filter(|max| *max <= REPETITIONS)?;
            Some(tells(&repeat.node, digest)? * repeat.min)
        }
    }
}

/// Adds a word to a hash.
fn mix(hash: &mut u32, word: u32) {
    *hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b1);
}

/// Sorts: Shell's way, which is quick with what is in order already and not slow with anything.
fn sort(items: &mut [u16]) {
    let mut gap = 1;
    while gap < items.len() / 3 {
        gap = 3 * gap + 1;
    }
    while gap > 0 {
        for end in gap..items.len() {
            let mut at = end;
            while at >= gap && items[at - gap] > items[at] {
                items.swap(at - gap, at);
                at -= gap;
            }
        }
        gap /= 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_computed_is_not_computed_again_even_where_every_place_is_looked_at() {
        for pattern in ["^.*", "(a|b)*", r"^\S*", "x$"] {
            let regex = Regex::new(pattern).expect("a pattern");
            let mut sieve = Sieve::with_few(&[(0, &regex)], 0);
            let mut steps = || {
                sieve.sift(Text::from("ab ba x"));
                sieve.step
            };
            let computed = steps();
            assert_eq!(steps(), computed, "{pattern}");
        }
    }
}
