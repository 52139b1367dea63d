//! logknockd watches logs and runs commands when one source produces a given sequence of lines.
//!
//! This page is the guided tour, in the order a line takes. Each room is a folder; its first lines say what it promises.
//!
//! ```text
//! source ──line──▶ engine ──knock──▶ leases ──job──▶ commands ──▶ child process
//!     ▲                                │
//!     └────── daemon: one poll(2) over sources, signals and children; one timer
//! ```
//!
//! 1. [`source`] follows files through everything that happens to log files, reads streams and the
//!    output of a command, and cuts what it reads into lines ([`source::lines`]).
//! 2. [`engine`] takes a line and the time it came. Each [`engine::rule`] asks its filter whether the line
//!    concerns it and whose it is (the *key*), and its steps which of them the line matches; a
//!    [`engine::tracker`] keeps each key's progress in bounded memory. A completed sequence is a *knock*.
//!    Patterns are matched by [`regex`], whose time is linear in the line, always; most lines concern no
//!    rule and are sieved out before a pattern is tried, by one automaton for all rules ([`regex::Sieve`]) or by the
//!    rarest bytes of a word ([`regex::seek`]).
//! 3. [`leases`] has what knocks open. [`leases::opening`] fills the captured values into the rule's commands
//!    ([`commands::template`]: a value can never add a word or choose what is run), which makes a
//!    [`commands::job`]. For a rule with a timeout it opens or renews a [`leases::lease`], and the
//!    [`leases::ledger`] writes that to the [`leases::record`] on disk before anything is run.
//!    Whose commands are next says the [`leases::queue`].
//! 4. [`commands::runner`] runs one child at a time, each with a deadline, and logs what they print ([`log`]).
//! 5. [`daemon`] is the loop that does all of this and sleeps in between; its [`daemon::dispatch`] turns what
//!    lines mean into leases and jobs. [`dryrun`] is the other user of engine and leases: it replays
//!    logs by their own [`timestamp`]s and prints what would run.
//!
//! What is wanted comes from [`config`], which reads [`config::json`], reports everything that is wrong with a
//! [`config::diagnostic`] that points at the byte, and is fetched by [`config::load`]; [`cli`] understands the
//! arguments, [`listing`] shows rules and leases, and [`advice`] warns of what is well formed and will not work.
//!
//! Dependencies point one way: `cli`, `daemon`, `dryrun`, `listing`, `advice`, `leases`, `config`, `engine`, `commands`,
//! `source`, `regex`, `log`, `sys`, and what all share. Nothing names what stands before it in that row, and no two
//! files name each other (`tests/house.rs` holds that). The pure modules (values in, values out, no I/O, no clock) never name
//! [`sys`], which is the only one with `unsafe` in it and the only one that calls the C library; [`regex::seek`] borrows
//! a search from it, and `text` what messages are handed over as ([`sys::message`]). The rest is a thin shell between
//! the two.
//! There is no standard library and no other crate: the whole program is what stands here, small enough
//! for a router with 8 MB of flash.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

// Macros come first: `text!` and `put!`, and `say!`, which is `log`'s.
#[macro_use]
pub mod text;
#[macro_use]
pub mod log;

pub mod address;
pub mod advice;
pub mod backoff;
pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod dryrun;
pub mod engine;
pub mod leases;
pub mod listing;
pub mod regex;
pub mod source;
pub mod sys;
pub mod timestamp;
