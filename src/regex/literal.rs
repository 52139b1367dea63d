//! What can be known about a match without running the program.
//!
//! Guarantees only necessary conditions: a text that is turned away here has no match, and no place that is
//! passed over here starts one. Most lines of a log concern no rule at all; they should cost a search for a few bytes.
//!
//! The one idea: the literal runs of a pattern that no alternative and no quantifier can leave out stand in every
//! match, apart from each other and in the order of the pattern.

use alloc::vec::Vec;

use super::tree::{Look, Node};

/// Longer runs are cut to this: it bounds what the search costs on texts that nearly match.
const MAX_NEEDLE: usize = 32;

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
            match needle.find(text, at) {
                Some(found) => at = found + needle.bytes.len(),
                None => return false,
            }
        }
        true
    }

    /// The first place not before `at` where a match could start.
    pub fn next_start(&self, text: &[u8], at: usize) -> Option<usize> {
        match self.start {
            Start::Anywhere => Some(at),
            Start::Text => (at == 0).then_some(at),
            Start::Needle => self.needles.first()?.find(text, at),
        }
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
        let starts = first && !self.run.is_empty();
        // A single byte turns few lines away, but it is worth knowing that a match starts with it.
        if self.run.len() > 1 || starts {
            self.shortcuts.needles.push(Needle::new(&self.run));
        }
        if starts {
            self.shortcuts.start = Start::Needle;
        }
        self.run.clear();
    }
}

/// A literal to look for.
struct Needle {
    bytes: Vec<u8>,
    /// Index of the byte that is likely to be the rarest, which is looked for first.
    rare: usize,
}

impl Needle {
    fn new(bytes: &[u8]) -> Needle {
        let indices = bytes.iter().enumerate();
        let rare = indices.min_by_key(|(_, byte)| commonness(**byte));
        Needle {
            bytes: bytes.to_vec(),
            rare: rare.map_or(0, |(index, _)| index),
        }
    }

    /// The first place not before `at` where the literal is.
    fn find(&self, text: &[u8], mut at: usize) -> Option<usize> {
        let rare = *self.bytes.get(self.rare)?;
        loop {
            at += find_byte(rare, text.get(at + self.rare..)?)?;
            if text.get(at..)?.starts_with(&self.bytes) {
                return Some(at);
            }
            at += 1;
        }
    }
}

/// How often a byte is seen in logs, by rough classes.
fn commonness(byte: u8) -> u8 {
    match byte {
        b' ' | b'=' | b'.' | b':' | b'0'..=b'9' => 3,
        b'a'..=b'z' => 2,
        b'A'..=b'Z' => 1,
        _ => 0,
    }
}

/// The first place of a byte, a machine word at a time.
fn find_byte(byte: u8, text: &[u8]) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    const LOW: usize = usize::MAX / 255;
    const HIGH: usize = LOW << 7;
    let wanted = LOW * usize::from(byte);
    let mut rest = text;
    while let Some((word, tail)) = rest.split_first_chunk::<WORD>() {
        // Zero where the byte is, and the subtraction borrows from the lowest zero byte first.
        let differences = usize::from_le_bytes(*word) ^ wanted;
        let zeros = differences.wrapping_sub(LOW) & !differences & HIGH;
        if zeros != 0 {
            return Some(text.len() - rest.len() + zeros.trailing_zeros() as usize / 8);
        }
        rest = tail;
    }
    let index = rest.iter().position(|&found| found == byte)?;
    Some(text.len() - rest.len() + index)
}
