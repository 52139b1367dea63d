//! The fault test: the daemon is killed at random instants while knocks come in, and what it opened is
//! closed all the same, at its time.
//!
//! Commands keep a set of marks, as a firewall would, and note what they do with the machine's uptime.
//! `LOGKNOCKD_SEED` replays the choices, though not the instants; `LOGKNOCKD_CRASHES` sets their number.

mod common;

use common::{Daemon, Random, TempDir, config, seed};
use std::collections::HashMap;
use std::fs;
use std::time::Duration;

const TIMEOUT_MS: u64 = 1500;

/// The clock is read a moment before the line that a knock is counted from, and shows hundredths.
const SLACK_MS: u64 = 100;

/// How late the last lease may be closed: the time of a few commands on a busy machine.
const LATE_MS: u64 = 3000;

const KEYS: usize = 8;

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

fn configuration() -> String {
    let rule = format!(
        r#"{{"name": "door", "filter": "^(\\S+) ", "sequence": [" one$", " two$"],
            "timeout": {}.{}, "actions": ["sh mark {{key}}"], "revert": ["sh mark {{key}}"]}}"#,
        TIMEOUT_MS / 1000,
        TIMEOUT_MS % 1000
    );
    config(r#""log", "state": "state""#, &[rule])
}

/// Notes for each key when its last knock was written that is known to have been taken.
fn note_knocks(daemon: &mut Daemon, written: &HashMap<String, u64>, taken: &mut Taken) {
    // Killed: its log ends.
    daemon.exit_status();
    for line in &daemon.seen {
        for what in ["opened for ", "renewed for "] {
            if let Some((_, rest)) = line.split_once(what) {
                let key = rest.split(',').next().expect("a key").to_string();
                taken.entry(key.clone()).or_default().push(written[&key]);
            }
        }
    }
}

/// When knocks of each key were written that have been taken.
type Taken = HashMap<String, Vec<u64>>;

#[test]
fn two_hundred_kills_leave_nothing_open_and_close_nothing_early() {
    let mut random = Random::new(seed());
    let crashes = std::env::var("LOGKNOCKD_CRASHES").ok();
    let crashes: usize = crashes.and_then(|text| text.parse().ok()).unwrap_or(200);
    let dir = TempDir::new();
    dir.mkdir("marks");
    dir.write("mark", SCRIPT);
    dir.write("events", "");
    dir.append("log", "");
    let mut taken = Taken::new();
    let mut last_written = 0;
    for _ in 0..crashes {
        let mut daemon = Daemon::start(&dir, &configuration());
        let mut written = HashMap::new();
        for _ in 0..random.below(4) {
            let key = format!("k{}", random.below(KEYS));
            // One knock a life and key, so that a message belongs to one time.
            if !written.contains_key(&key) {
                last_written = uptime_ms();
                written.insert(key.clone(), last_written);
                dir.append("log", format!("{key} one\n{key} two\n"));
            }
        }
        // The instant is the point: nothing is waited for.
        std::thread::sleep(Duration::from_micros(random.below(40_000) as u64));
        daemon.signal("KILL");
        note_knocks(&mut daemon, &written, &mut taken);
    }
    let mut daemon = Daemon::start(&dir, &configuration());
    while dir.read("state").contains("\"rule\"") {
        let late = uptime_ms().saturating_sub(last_written + TIMEOUT_MS);
        assert!(late < LATE_MS, "still open: {}", dir.read("state"));
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.signal("TERM");
    daemon.expect_exit(0);
    check(&dir, &taken);
}

fn check(dir: &TempDir, taken: &Taken) {
    let marks: Vec<_> = fs::read_dir(dir.path("marks")).expect("marks").collect();
    assert!(
        marks.is_empty(),
        "left open: {marks:?}\n{}",
        dir.read("events")
    );
    let (mut opened, mut closed) = (0, 0);
    for event in dir.read("events").lines() {
        let [what, key, uptime] = event.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{event}");
        };
        if what == "open" {
            opened += 1;
            continue;
        }
        closed += 1;
        let now = milliseconds(uptime);
        let knocks = taken.get(key).map_or(&[][..], Vec::as_slice);
        let last = knocks.iter().filter(|&&time| time < now).max();
        if let Some(last) = last {
            assert!(
                now + SLACK_MS >= last + TIMEOUT_MS,
                "{key} was closed at {now}, early: its last knock was at {last}"
            );
        }
    }
    let knocks: usize = taken.values().map(Vec::len).sum();
    eprintln!("{knocks} knocks known to be taken, {opened} opened, {closed} closed");
    assert!(opened > 0 && closed > 0, "nothing has been tried");
}
