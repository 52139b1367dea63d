//! What knocks have opened, written down before it is done, and closed again.
//!
//! * [`lease`]: all leases and spent sequences as plain state (pure).
//! * [`request`]: what a knock asks for, its commands filled in (pure).
//! * [`record`]: that state on disk.
//! * [`ledger`]: the two kept in agreement.

pub mod lease;
pub mod ledger;
pub mod record;
pub mod request;
