//! What can be known about a match without running the program.
//!
//! Guarantees only necessary conditions: a text that is turned away here has no match, and no place that is
//! passed over here starts one. Most lines of a log concern no rule at all; they should cost a search for a few bytes.
//!
//! The one idea: the literal runs of a pattern that no alternative and no quantifier can leave out stand in every
//! match, apart from each other and in the order of the pattern.

use alloc::vec::Vec;

use super::find::{MAX_NEEDLE, Needle, rarity};
use super::tree::{Look, Node};

/// What must be there for a match to be.
pub(super) struct Shortcuts {
    needles: Vec<Needle>,
    start: Start,
}

/// Where a match can start.
enum Start {
    Anywhere,
    /// At the start of the text only.
    Text,
    /// Where the first needle is.
    Needle,
}

impl Shortcuts {
    /// No conditions at all.
    pub fn none() -> Shortcuts {
        Shortcuts {
            needles: Vec::new(),
            start: Start::Anywhere,
        }
    }

    /// The conditions of a pattern.
    pub fn of(node: &Node) -> Shortcuts {
        let mut collector = Collector {
            shortcuts: Shortcuts::none(),
            run: Vec::new(),
            consumed: false,
        };
        collector.visit(node);
        collector.cut();
        collector.shortcuts
    }

    /// False if the text has no match.
    pub fn admit(&self, text: &[u8]) -> bool {
        let mut at = 0;
        for needle in &self.needles {
            match needle.first(text, at, usize::MAX) {
                Some(found) => at = found + needle.len(),
                None => return false,
            }
        }
        true
    }

    /// The first place not before `at` where a match could start.
    pub fn next_start(&self, text: &[u8], at: usize) -> Option<usize> {
        match self.start {
            Start::Anywhere => (at <= text.len()).then_some(at),
            Start::Text => (at == 0).then_some(at),
            Start::Needle => self.needles.first()?.first(text, at, usize::MAX),
        }
    }

    /// The literal that tells most of those in every match; of equals the last, for patterns go from the general to
    /// the particular. Empty if there is none.
    pub fn telling(&self) -> &[u8] {
        let weight = |needle: &&[u8]| needle.iter().map(|byte| rarity(*byte)).sum::<u32>();
        self.literals().max_by_key(weight).unwrap_or_default()
    }

    /// The literals that stand in every match, in the order of the pattern.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.needles.iter().map(Needle::bytes)
    }
}

struct Collector {
    shortcuts: Shortcuts,
    /// The literal that the latest nodes make.
    run: Vec<u8>,
    /// Whether something before the run may consume.
    consumed: bool,
}

impl Collector {
    fn visit(&mut self, node: &Node) {
        match node {
            Node::Empty => {}
            Node::Byte(byte) => self.run.push(*byte),
            // Wherever it stands, there is nothing before it.
            Node::Look(Look::TextStart) => self.shortcuts.start = Start::Text,
            Node::Look(_) => {}
            Node::Group(_, node) => self.visit(node),
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.visit(node)),
            Node::Repeat(repeat) if repeat.min > 0 => {
                if !self.run.is_empty() {
                    self.cut();
                }
                self.visit(&repeat.node);
                self.cut();
            }
            Node::Set(_) | Node::Alternate(_) | Node::Repeat(_) => self.cut(),
        }
    }

    /// Ends the run: what follows need not be next to it.
    fn cut(&mut self) {
        let first = !self.consumed && matches!(self.shortcuts.start, Start::Anywhere);
        self.consumed = true;
        self.run.truncate(MAX_NEEDLE);
        // A single byte turns few lines away, but it is worth knowing that a match starts with it.
        if (self.run.len() > 1 || first)
            && let Some(needle) = Needle::new(&self.run)
        {
            self.shortcuts.needles.push(needle);
            if first {
                self.shortcuts.start = Start::Needle;
            }
        }
        self.run.clear();
    }
}
