//! What comes near to a filter that has matched nothing.
//!
//! A filter looks for literals before it is tried: a line that has them and does not match is what its author may have
//! meant. For each filter of a rule of which no line has matched one, those lines are counted that have the literal that
//! tells most, those of them that have each of the others, and those that have all; the first is remembered. Of a rule
//! that has matched a line nothing is asked any more. Most lines are sieved out unseen: of these nothing else is
//! known.

use crate::engine::Engine;
use crate::regex::Regex;
use crate::regex::seek::Literal;
use crate::text::Put;
use alloc::vec::Vec;

/// What comes near to the filters of the rules that have matched nothing so far. Of the lines that are sieved out it
/// is known only that they do not.
pub struct Nearing {
    near: Vec<Near>,
    /// What every filter looks for, with the lines that have it: no others come here.
    common: Option<(Literal, Lines)>,
    /// Lines that do not have its telling literal are all that is sieved out of a filter.
    is_by_literals: bool,
}

/// What came nearest to one filter.
struct Near {
    /// Index of the filter's rule.
    rule: usize,
    /// The literal that tells most.
    telling: Literal,
    /// Lines that have it, and those that have all.
    some: Lines,
    all: Lines,
    /// The filter's other literals, with how many of those lines have them.
    others: Vec<(Literal, usize)>,
}

/// Of the filter, where lines have what is said.
const REST: &str = ": the rest of it does not match";

/// Lines that have something.
#[derive(Default)]
struct Lines {
    count: usize,
    /// Where the first stands.
    first: Vec<u8>,
}

impl Lines {
    fn add(&mut self, at: &dyn Put) {
        self.count += 1;
        if self.count == 1 {
            self.first = text!("{}", at);
        }
    }

    fn put(&self, literal: &Literal, out: &mut Vec<u8>) {
        match self.count {
            0 => put!(out, "no line has {:?} as the filter has it", literal.bytes),
            count => put!(
                out,
                "{} line{s} with {:?}, the first is {}",
                count,
                literal.bytes,
                &self.first
            ),
        }
    }
}

impl Nearing {
    pub fn new(engine: &Engine) -> Nearing {
        let mut near = Vec::new();
        for (index, rule) in engine.rules().enumerate() {
            for filter in &rule.filters {
                near.push(Near::new(index, filter));
            }
        }
        let common = engine.filters().common();
        Nearing {
            common: common.map(|common| (Literal::new(common.to_vec()), Lines::default())),
            is_by_literals: engine.filters().is_by_literals(),
            near,
        }
    }

    /// Looks at a line that the engine has just looked at.
    pub fn look(&mut self, at: &dyn Put, line: &[u8], engine: &Engine) {
        if self.near.is_empty() {
            return;
        }
        if let Some((common, lines)) = &mut self.common
            && common.first(line, 0).is_some()
        {
            lines.add(at);
        }
        for rule in engine.filters().found() {
            let rule = usize::from(*rule);
            let first = self.near.partition_point(|near| near.rule < rule);
            let rest = self.near.get_mut(first..).unwrap_or_default();
            let own = rest.iter_mut().take_while(|near| near.rule == rule);
            own.for_each(|near| near.look(at, line));
        }
    }

    /// Of a filter that matches nobody asks what came near.
    pub fn forget_matched(&mut self, engine: &Engine) {
        if !self.near.is_empty() {
            for (index, (_, seen, _)) in engine.report().enumerate() {
                if seen.passed + seen.ignored > 0 {
                    self.near.retain(|near| near.rule != index);
                }
            }
        }
    }

    /// Says what came near to the filters of a rule.
    pub fn put(&self, rule: usize, out: &mut Vec<u8>) {
        for near in self.near.iter().filter(|near| near.rule == rule) {
            put!(out, "  nearest: ");
            match &self.common {
                Some((common, lines)) if near.some.count == 0 => {
                    lines.put(common, out);
                    match self.is_by_literals {
                        _ if lines.count == 0 => {}
                        true => put!(out, ", none of them has {:?}", near.telling.bytes),
                        false => put!(out, "{}", REST),
                    }
                }
                None if near.some.count == 0
                    && !self.is_by_literals
                    && !near.telling.bytes.is_empty() =>
                {
                    put!(out, "no line has enough of what the filter looks for");
                }
                _ => near.put(out),
            }
            out.push(b'\n');
        }
    }
}

impl Near {
    fn new(rule: usize, filter: &Regex) -> Near {
        let new = |literal: &[u8]| Literal::new(literal.to_vec());
        let telling = filter.telling();
        let mut others = Vec::new();
        for literal in filter.literals() {
            if literal != telling {
                others.push((new(literal), 0));
            }
        }
        Near {
            rule,
            telling: new(telling),
            some: Lines::default(),
            all: Lines::default(),
            others,
        }
    }

    fn look(&mut self, at: &dyn Put, line: &[u8]) {
        if self.telling.bytes.is_empty() || self.telling.first(line, 0).is_none() {
            return;
        }
        let mut all = true;
        for (other, count) in &mut self.others {
            let has = other.first(line, 0).is_some();
            *count += usize::from(has);
            all &= has;
        }
        self.some.add(at);
        if all {
            self.all.add(at);
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        if self.telling.bytes.is_empty() {
            put!(out, "unknown, the filter has no text to look for");
        } else if self.all.count > 0 {
            put!(
                out,
                "{} line{s} with every text the filter looks for, the first is {}{}",
                self.all.count,
                &self.all.first,
                REST
            );
        } else {
            self.some.put(&self.telling, out);
            for (other, count) in &self.others {
                match *count {
                    count if count == self.some.count => {}
                    0 => put!(out, ", none of them has {:?}", other.bytes),
                    count => put!(out, ", {} of them with {:?}", count, other.bytes),
                }
            }
        }
    }
}
