//! The fault test: the daemon is killed at random instants while knocks come in, and what it opened is
//! closed all the same, at its time.
//!
//! Commands keep a set of marks, as a firewall would, and note what they do with the machine's uptime.
//! `LOGKNOCKD_SEED` replays the choices, though not the instants; `LOGKNOCKD_CRASHES` sets their number,
//! `LOGKNOCKD_CRASH_MS` how long a life may last: an emulated daemon does nothing in the usual 40.

mod common;

use common::{Daemon, Random, TempDir, config, recorded, seed};
use std::collections::HashMap;
use std::fs;
use std::time::Duration;

const TIMEOUT_MS: u64 = 300;

/// The clock is read a moment before the line that a knock is counted from, and shows hundredths.
const SLACK_MS: u64 = 100;

/// How late the last lease may be closed: the time of a few commands on a busy machine.
const LATE_MS: u64 = 3000;

const KEYS: usize = 40;

/// Notes one event and keeps the mark of the key.
const SCRIPT: &str = r#"#!/bin/sh
case $LOGKNOCK_EVENT in
    open) echo "$1" > "marks/$1" ;;
    close) rm -f "marks/$1" ;;
esac
read -r uptime _ < /proc/uptime
echo "$LOGKNOCK_EVENT $1 $uptime" >> events
"#;

fn uptime_ms() -> u64 {
    let text = fs::read_to_string("/proc/uptime").expect("uptime");
    milliseconds(text.split(' ').next().expect("a number"))
}

fn milliseconds(seconds: &str) -> u64 {
    let hundredths: u64 = seconds.replace('.', "").parse().expect("hundredths");
    hundredths * 10
}

/// A number from the environment.
fn setting(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn configuration() -> String {
    let rule = format!(
        r#"{{"name": "door", "filter": "^(\\S+) ", "sequence": [" one$", " two$"],
            "timeout": {}.{:03}, "actions": ["sh mark {{key}}"], "revert": ["sh mark {{key}}"]}}"#,
        TIMEOUT_MS / 1000,
        TIMEOUT_MS % 1000
    );
    config(r#""log", "state": "state""#, &[rule])
}

/// A knock that is known to have been taken: whose, when it was written, and what it did.
struct Taken {
    key: String,
    written: Written,
    renewed: bool,
}

/// When a knock was written. What commands had noted before says in which order things happened: the clock that
/// they read shows hundredths, and a killed daemon, its last command and the next one's start take less.
#[derive(Clone, Copy)]
struct Written {
    at_ms: u64,
    events: usize,
}

/// What a daemon that was killed has said about the knocks written during its life.
fn knocks_taken(daemon: &mut Daemon, written: &HashMap<String, Written>) -> Vec<Taken> {
    // Killed: its log ends.
    daemon.exit_status();
    let mut taken = Vec::new();
    for line in &daemon.seen {
        for what in ["opened for ", "renewed for "] {
            if let Some((_, rest)) = line.split_once(what) {
                let key = rest.split(',').next().expect("a key").to_string();
                taken.push(Taken {
                    written: written[&key],
                    renewed: what.starts_with("renewed"),
                    key,
                });
            }
        }
    }
    taken
}

/// A command that a killed daemon has left running cannot be taken back; what it still does belongs to
/// the life before.
fn wait_for_orphans(dir: &TempDir) {
    let own = fs::canonicalize(dir.path("")).expect("the directory");
    let works_here =
        |entry: fs::DirEntry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == own);
    while fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .any(works_here)
    {
        std::thread::yield_now();
    }
}

#[test]
fn two_hundred_kills_leave_nothing_open_and_close_nothing_early() {
    let mut random = Random::new(seed());
    let crashes = setting("LOGKNOCKD_CRASHES", 200);
    let longest_us = setting("LOGKNOCKD_CRASH_MS", 40) * 1000;
    let dir = TempDir::new();
    dir.mkdir("marks");
    dir.write("mark", SCRIPT);
    dir.write("events", "");
    dir.append("log", "");
    let mut taken = Vec::new();
    let mut last_written = 0;
    for _ in 0..crashes {
        let mut daemon = Daemon::start(&dir, &configuration());
        let mut written = HashMap::new();
        for _ in 0..random.below(4) {
            let key = format!("k{}", random.below(KEYS));
            // One knock a life and key, so that a message belongs to one time.
            if !written.contains_key(&key) {
                last_written = uptime_ms();
                let events = events(&dir).len();
                let at_ms = last_written;
                written.insert(key.clone(), Written { at_ms, events });
                dir.append("log", format!("{key} one\n{key} two\n"));
            }
        }
        // The instant is the point: nothing is waited for.
        std::thread::sleep(Duration::from_micros(random.below(longest_us) as u64));
        daemon.signal("KILL");
        taken.extend(knocks_taken(&mut daemon, &written));
        wait_for_orphans(&dir);
    }
    let mut daemon = Daemon::start(&dir, &configuration());
    while !recorded(&dir.read("state")).is_empty() {
        let late = uptime_ms().saturating_sub(last_written + TIMEOUT_MS);
        assert!(late < LATE_MS, "still open: {}", dir.read("state"));
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.signal("TERM");
    daemon.expect_exit(0);
    check(&dir, &taken);
}

/// One line of `events`.
struct Event {
    is_open: bool,
    key: String,
    at_ms: u64,
}

fn events(dir: &TempDir) -> Vec<Event> {
    let event = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, key, uptime] = words[..] else {
            panic!("{line}");
        };
        Event {
            is_open: what == "open",
            key: key.into(),
            at_ms: milliseconds(uptime),
        }
    };
    dir.read("events").lines().map(event).collect()
}

fn check(dir: &TempDir, taken: &[Taken]) {
    let marks: Vec<_> = fs::read_dir(dir.path("marks")).expect("marks").collect();
    assert!(
        marks.is_empty(),
        "left open: {marks:?}\n{}",
        dir.read("events")
    );
    let events = events(dir);
    for knock in taken {
        let since = events.iter().skip(knock.written.events);
        let mut since = since.filter(|event| event.key == knock.key);
        // What a knock opens can be closed from its actions on; before them the lease before it may
        // still be on its way out.
        let is_open = knock.renewed || since.any(|event| event.is_open);
        let close = since.find(|event| !event.is_open);
        if let (true, Some(close)) = (is_open, close) {
            let (key, written_ms, closed_ms) = (&knock.key, knock.written.at_ms, close.at_ms);
            assert!(
                closed_ms + SLACK_MS >= written_ms + TIMEOUT_MS,
                "{key} knocked at {written_ms} and was closed at {closed_ms}:\n{}",
                dir.read("events")
            );
        }
    }
    let opened = events.iter().filter(|event| event.is_open).count();
    let closed = events.len() - opened;
    eprintln!(
        "{} knocks known to be taken, {opened} opened, {closed} closed",
        taken.len()
    );
    assert!(opened > 0 && closed > 0, "nothing has been tried");
}
