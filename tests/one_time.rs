//! A one-time sequence works once, whatever happens afterwards.

mod common;

use common::{Daemon, TempDir, config, outcome};

/// A rule whose one-time sequences are lists of words: `alice a`, `alice b` make `["a","b"]`.
fn one_time(sequences: &str, actions: &str) -> String {
    let rule = format!(
        r#"{{"name": "door", "filter": "^(\\S+) ", "one_time": {sequences}, "actions": {actions}}}"#
    );
    config(r#""log", "state": "state""#, &[rule])
}

const TWO: &str = r#"[["a$", "b$"], ["c$"]]"#;
const ECHO: &str = r#"["echo opened {key}"]"#;

fn start(dir: &TempDir, sequences: &str) -> Daemon {
    dir.append("log", "");
    Daemon::start(dir, &one_time(sequences, ECHO))
}

#[test]
fn each_sequence_works_once_in_its_order_and_the_end_of_the_list_is_reported() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, TWO);
    dir.append("log", "eve c\nalice a\nalice b\n");
    daemon.wait_without("knock by eve", "knock by alice");
    daemon.wait_for("1 one-time sequence left");
    daemon.wait_for("output: opened alice");
    // Heard and repeated by somebody else: worthless.
    dir.append("log", "eve a\neve b\nalice c\n");
    daemon.wait_without("eve", "knock by alice");
    let message = daemon.wait_for("every one-time sequence is spent");
    assert!(message.starts_with("[WARN]"), "{message}");
    dir.append("log", "alice c\nalice a\nalice b\n");
    daemon.signal("USR1");
    daemon.wait_for("state: rule");
    assert_eq!(daemon.count("knock by"), 2);
}

#[test]
fn a_sequence_is_spent_before_its_commands_run() {
    let dir = TempDir::new();
    dir.append("log", "");
    let mut daemon = Daemon::start(&dir, &one_time(TWO, r#"["tail -n 1 state"]"#));
    dir.append("log", "alice a\nalice b\n");
    let record = daemon.wait_for_rest("output: ");
    assert!(
        record.contains(r#""spent":{"rule":"door","steps":["a$","b$"]}"#),
        "{record}"
    );
}

#[test]
fn a_spent_sequence_stays_spent_after_a_crash_a_reload_and_a_restart() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, TWO);
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("knock by alice");
    daemon.wait_for("output: opened");
    drop(daemon);
    let mut daemon = start(&dir, TWO);
    assert_eq!(daemon.count("1 one-time sequence left"), 1);
    dir.append("log", "eve a\neve b\n");
    daemon.signal("HUP");
    daemon.wait_without("knock by", "reloaded");
    dir.append("log", "eve a\neve b\nalice c\n");
    daemon.wait_without("knock by eve", "knock by alice");
    daemon.wait_for("output: opened alice");
    daemon.signal("TERM");
    daemon.expect_exit(0);
    let daemon = start(&dir, TWO);
    assert_eq!(
        daemon.count("[WARN] rule \"door\": every one-time sequence is spent"),
        1
    );
}

#[test]
fn where_the_record_is_read_late_no_line_is_lost_for_what_it_says() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.mkdir("late");
    let config = one_time(r#"[["a$", "b$"], ["c$", "d$"]]"#, ECHO);
    let config = config.replace(r#""state": ""#, r#""state": "late/"#);
    let mut daemon = Daemon::start(&dir, &config);
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("output: opened alice");
    daemon.signal("TERM");
    daemon.expect_exit(0);
    dir.rename("late", "away");
    let mut daemon = Daemon::start(&dir, &config);
    dir.rename("away", "late");
    daemon.wait_for("1 one-time sequence left");
    dir.append("log", "alice c\nalice d\n");
    daemon.wait_for("output: opened alice");
}

#[test]
fn editing_the_list_revives_nothing() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, TWO);
    dir.append("log", "alice a\nalice b\nalice c\n");
    daemon.wait_for("every one-time sequence is spent");
    dir.configure(&one_time(r#"[["c$"], ["d$"], ["a$", "b$"], ["e$"]]"#, ECHO));
    daemon.signal("HUP");
    daemon.wait_for("2 one-time sequences left");
    daemon.wait_for("reloaded");
    dir.append("log", "eve c\neve a\neve b\neve e\nalice d\nalice e\n");
    daemon.wait_without("knock by eve", "knock by alice");
    daemon.wait_without("knock by eve", "every one-time sequence is spent");
}

#[test]
fn what_cannot_be_recorded_as_spent_opens_nothing() {
    let dir = TempDir::new();
    dir.append("log", "");
    let config = one_time(TWO, ECHO).replace("\"state\": \"state\"", "\"state\": \"no/state\"");
    let mut daemon = Daemon::start(&dir, &config);
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("[ERROR] rule \"door\": knock by alice refused: cannot lock \"no/state.lock\"");
    dir.mkdir("no");
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_without("opened", "knock by alice");
    daemon.wait_for("output: opened alice");
}

#[test]
fn the_check_says_how_many_are_left() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, TWO);
    let check = || outcome(&dir.run(&["-t", "-c", common::CONFIG])).1;
    assert!(
        check().contains("\"door\": 2 of 2 one-time sequences left"),
        "{}",
        check()
    );
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("output: opened");
    assert!(
        check().contains("\"door\": 1 of 2 one-time sequences left"),
        "{}",
        check()
    );
}

#[test]
fn after_a_damaged_record_nothing_opens_until_somebody_decides() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, TWO);
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("output: opened");
    drop(daemon);
    dir.write("state", dir.read("state").replace("boot", "b##t"));
    // Also not after another restart, which finds no damage any more.
    for _ in 0..2 {
        let mut daemon = start(&dir, TWO);
        assert_eq!(
            daemon.count("which one-time sequences are spent is unknown"),
            1
        );
        dir.append("log", "eve a\neve b\neve c\n");
        daemon.signal("USR1");
        daemon.wait_without("knock by", "state: queue");
    }
    dir.remove("state");
    let mut daemon = start(&dir, TWO);
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("output: opened");
}
