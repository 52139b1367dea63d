//! The literals without which a text has no match.
//!
//! The one idea: the literal runs of a pattern that no alternative and no quantifier can leave out stand in every
//! match.

use alloc::vec::Vec;

use super::seek::Literal;
use super::tree::Node;

/// The literals of more than one byte that stand in every match, in the order of the pattern.
pub(super) fn required(node: &Node) -> Vec<Vec<u8>> {
    let mut collector = Collector::default();
    collector.visit(node);
    collector.cut();
    collector.literals
}

/// The literal that tells most, to be sought before the pattern is tried; of equals the last, for patterns go from the
/// general to the particular.
pub(super) fn telling(literals: &[Vec<u8>]) -> Option<Literal> {
    let (mut telling, mut most) = (None, 0);
    for literal in literals {
        let told = weight_of(literal);
        if told >= most {
            (telling, most) = (Some(literal), told);
        }
    }
    telling.map(|literal| Literal::new(literal.clone()))
}

#[derive(Default)]
struct Collector {
    literals: Vec<Vec<u8>>,
    /// The literal that the latest nodes make.
    run: Vec<u8>,
}

impl Collector {
    fn visit(&mut self, node: &Node) {
        match node {
            Node::Byte(byte) => {
                // Between the tag and the message of a folded line stands what the fold is (`engine::fold`): there it
                // must not be missed for lack of a literal that goes on from one to the other.
                if *byte == b' ' && self.run.last() == Some(&b':') {
                    self.cut();
                }
                self.run.push(*byte);
            }
            Node::Empty | Node::Look(_) => {}
            Node::Group(_, node) => self.visit(node),
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.visit(node)),
            Node::Repeat(repeat) if repeat.min > 0 => {
                self.cut();
                self.visit(&repeat.node);
                self.cut();
            }
            Node::Set(_) | Node::Host(_) | Node::Alternate(_) | Node::Repeat(_) => self.cut(),
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

/// How much a literal tells.
pub(super) fn weight_of(literal: &[u8]) -> u32 {
    literal.iter().map(|byte| weight(*byte)).sum()
}

/// How much a byte tells, by rough classes: words and blanks fill every line, capitals and numbers single a line out.
pub(super) fn weight(byte: u8) -> u32 {
    match byte {
        b' ' => 0,
        b'a'..=b'z' | b'=' | b'.' | b':' => 1,
        _ => 2,
    }
}
