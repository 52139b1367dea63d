//! The literal that tells most about a pattern: a text without it has no match.
//!
//! The one idea: the literal runs of a pattern that no alternative and no quantifier can leave out stand in every
//! match.

use alloc::vec::Vec;

use super::find::rarity;
use super::tree::Node;

/// The literal that tells most of those in every match; of equals the last, for patterns go from the general to the
/// particular. Empty if there is none.
pub(super) fn telling(node: &Node) -> Vec<u8> {
    let mut collector = Collector::default();
    collector.visit(node);
    collector.cut();
    collector.best
}

#[derive(Default)]
struct Collector {
    best: Vec<u8>,
    weight: u32,
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
        let weight = run.iter().map(|byte| rarity(*byte)).sum();
        if weight >= self.weight {
            (self.best, self.weight) = (run, weight);
        }
    }
}
