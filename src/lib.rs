//! logknockd watches logs and runs commands when one source produces a given sequence of lines.
//!
//! This page is the guided tour, in the order a line takes:
//!
//! ```text
//! source ──line──▶ engine ──knock──▶ dispatch ──job──▶ runner ──▶ child process
//!     ▲                                │   ▲              │
//!     │                              leases and           │
//!     │                            their record           │
//!     └────── daemon: one poll(2) over sources, signals and children; one timer
//! ```
//!
//! 1. [`source`] follows files through everything that happens to log files, reads streams and the
//!    output of a command, and cuts what it reads into lines ([`source::lines`]).
//! 2. [`engine`] takes a line and the time it came. Each [`rule`] asks its filter whether the line
//!    concerns it and whose it is (the *key*), and its steps which of them the line matches; a
//!    [`tracker`] keeps each key's progress in bounded memory. A completed sequence is a *knock*.
//!    Patterns are matched by [`regex`], whose time is linear in the line, always; most lines concern no
//!    rule and are sieved out before a pattern is tried ([`regex::Sieve`]), by the rarest bytes of a word
//!    ([`find`]).
//! 3. [`request`] fills the captured values into the rule's commands ([`template`]: a value can never
//!    add a word or choose what is run), which makes a [`job`]. For a rule with a timeout it opens or renews a
//!    [`lease`].
//! 4. [`dispatch`] has the [`ledger`] write what is opened to the [`record`] on disk, and queues the commands
//!    as a job; when a lease ends, it queues those that close again.
//! 5. [`runner`] runs one child at a time, each with a deadline, and logs what they print ([`log`]).
//! 6. [`daemon`] is the loop that does all of this and sleeps in between. [`dryrun`] is the other user of
//!    engine, requests and leases: it replays logs by their own [`timestamp`]s and prints what would run.
//!
//! What is wanted comes from [`config`], which reads [`json`], reports everything that is wrong with a
//! [`diagnostic`] that points at the byte, and is fetched by [`load`]; [`cli`] understands the arguments,
//! [`listing`] shows rules and leases.
//!
//! Half of the modules are pure: values in, values out, no I/O, no clock. [`sys`] is the only module with
//! `unsafe` in it and the only one that calls the C library. The rest is a thin shell between the two.
//! There is no standard library and no other crate: the whole program is what stands here, small enough
//! for a router with 8 MB of flash.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

// Pure.
#[macro_use]
pub mod text;
pub mod backoff;
pub mod config;
pub mod diagnostic;
pub mod engine;
pub mod find;
pub mod job;
pub mod json;
pub mod lease;
pub mod regex;
pub mod request;
pub mod rule;
pub mod template;
pub mod timestamp;
pub mod tracker;

// The shell.
#[macro_use]
pub mod log;
pub mod cli;
pub mod daemon;
pub mod dispatch;
pub mod dryrun;
pub mod ledger;
pub mod listing;
pub mod load;
pub mod record;
pub mod runner;
pub mod source;
pub mod sys;
