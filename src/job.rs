//! What is to be run: the commands of one event, filled in.
//!
//! A job is made when a knock is completed and does not change any more: the queue, the leases and what
//! the record is written from share it.

use alloc::vec::Vec;

/// All commands of one event.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Job {
    /// The rule's name.
    pub rule: Vec<u8>,
    /// Whose knock it was; printable.
    pub key: Vec<u8>,
    /// Each command's words, placeholders filled in and a NUL byte behind each.
    pub commands: Vec<Vec<u8>>,
    /// How long each command may take, in milliseconds.
    pub timeout_ms: u64,
}

/// The words of a command, each of which has a NUL byte behind it.
pub fn words(command: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = command.split_inclusive(|&byte| byte == 0);
    words.map(|word| word.strip_suffix(&[0]).unwrap_or(word))
}

/// The first word of a command; of one without words, nothing.
pub fn program(command: &[u8]) -> &[u8] {
    words(command).next().unwrap_or_default()
}

impl Job {
    /// Whether running one is as good as running the other.
    pub fn does_the_same_as(&self, other: &Job) -> bool {
        self.rule == other.rule && self.commands == other.commands
    }
}
