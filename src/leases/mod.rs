//! What knocks have opened, written down before it is done, and closed again.
//!
//! * [`lease`]: all leases and spent sequences as plain state (pure); [`sets`] and [`due`] find them.
//! * [`queue`]: whose commands are next (pure).
//! * [`opening`]: what a knock opens and what it ends, its commands filled in (pure).
//! * [`journal`]: that state as text (pure).
//! * [`record`]: that text on disk.
//! * [`byhand`]: what `-x` asks the daemon for.
//! * [`ledger`]: state and record kept in agreement: what happens to a lease happens there.

pub mod byhand;
pub mod due;
pub mod journal;
pub mod lease;
pub mod ledger;
pub mod opening;
pub mod queue;
pub mod record;
pub mod sets;
