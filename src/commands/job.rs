//! What is to be run: the commands of one event, filled in.
//!
//! A job is made when a knock is completed and does not change any more: the queue, the leases and what
//! the record is written from share it.

use alloc::vec::Vec;

/// Names the lease that a job opens or closes, while the program runs: whoever runs the job only hands it back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct LeaseId(pub u32);

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

impl Job {
    /// Whether running one is as good as running the other.
    pub fn does_the_same_as(&self, other: &Job) -> bool {
        self.rule == other.rule && self.commands == other.commands
    }
}
