//! From the words of the configuration to children that run, one at a time.
//!
//! * [`template`](mod@template): a command's words and what is filled into them; a value never adds a word (pure).
//! * `guard`: where in a command no value may stand, because a shell would run it (pure).
//! * [`job`]: the filled-in commands of one event (pure).
//! * [`runner`]: the command that runs now, each with its deadline.

mod guard;
pub mod job;
pub mod runner;
pub mod template;
