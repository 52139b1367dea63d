//! The literal that tells most about a pattern: a text without it has no match.
//!
//! The one idea: the literal runs of a pattern that no alternative and no quantifier can leave out stand in every
//! match.

use alloc::vec::Vec;

use super::find::rarity;
use super::tree::Node;

/// The literals of two bytes or more that stand in every match, in the order of the pattern.
pub(super) fn literals(node: &Node) -> Vec<Vec<u8>> {
    let mut collector = Collector {
        literals: Vec::new(),
        run: Vec::new(),
    };
    collector.visit(node);
    collector.cut();
    collector.literals
}

/// The one of them that tells most; of equals the last, for patterns go from the general to the particular. Empty if
/// there is none.
pub(super) fn telling(node: &Node) -> Vec<u8> {
    let (mut best, mut most) = (Vec::new(), 0);
    for literal in literals(node) {
        let weight: u32 = literal.iter().map(|byte| rarity(*byte)).sum();
        if weight >= most {
            (best, most) = (literal, weight);
        }
    }
    best
}

struct Collector {
    literals: Vec<Vec<u8>>,
    /// The literal that the latest nodes make.
    run: Vec<u8>,
}

impl Collector {
    fn visit(&mut self, node: &Node) {
        match node {
            Node::Byte(byte) => self.run.push(*byte),
            Node::Empty | Node::Look(_) => {}
            Node::Group(_, node) => self.visit(node),
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.visit(node)),
            Node::Repeat(repeat) if repeat.min > 0 => {
                self.cut();
                self.visit(&repeat.node);
                self.cut();
            }
            Node::Set(_) | Node::Alternate(_) | Node::Repeat(_) => self.cut(),
        }
    }

    /// Ends the run: what follows need not be next to it.
    fn cut(&mut self) {
        let run = core::mem::take(&mut self.run);
        if run.len() > 1 {
            self.literals.push(run);
        }
    }
}
