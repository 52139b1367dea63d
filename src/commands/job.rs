//! What is to be run: the commands of one knock, filled in.
//!
//! A job is made when a knock is completed and does not change any more: the queue, the leases and what
//! the record is written from share it.

use alloc::rc::Rc;
use alloc::vec::Vec;

/// Names a lease while the program runs: whoever runs its job only hands it back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct LeaseId {
    /// Where the lease is kept, which is its number in the record.
    pub slot: u32,
    /// Tells it from those that were kept there before.
    pub serial: u32,
}

/// What commands are run for: their `LOGKNOCK_EVENT`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Event {
    /// A knock was completed.
    Open,
    /// Is what a knock opened there?
    Check,
    /// What a knock opened is closed again.
    Close,
}

/// Its name in the environment of commands.
pub const EVENTS: [&str; 3] = ["open", "check", "close"];

/// What the commands for each event are called in the configuration and in the record.
pub const NAMES: [&str; 3] = ["actions", "check", "revert"];

/// All commands of one knock. Each command is its words, placeholders filled in and a NUL byte behind each.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Job {
    /// The rule's name.
    pub rule: Vec<u8>,
    /// Whose knock it was; printable.
    pub key: Vec<u8>,
    /// A checksum of the rule's commands before anything was filled in; zero if it is unknown.
    pub templates: u32,
    /// How long each command may take, in milliseconds.
    pub timeout_ms: u64,
    /// What is run for each event. A check may be nothing.
    pub commands: [Vec<Vec<u8>>; 3],
}

/// A job to be done.
#[cfg_attr(test, derive(Debug))]
pub struct Order {
    /// What it is for.
    pub event: Event,
    /// The lease it is about.
    pub lease: Option<LeaseId>,
    /// What is to be run.
    pub job: Rc<Job>,
}

impl Job {
    /// What is run for an event.
    pub fn commands(&self, event: Event) -> &[Vec<u8>] {
        // OK because there are three events.
        &self.commands[event as usize]
    }
}
