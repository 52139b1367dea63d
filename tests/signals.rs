//! Stopping, reloading, reporting.

mod common;

use common::{Daemon, TempDir, config, knock, rule};
use std::fs;
use std::io::Write;

/// A daemon that follows `log` with the rule `x`; `more` are its further members.
fn start(dir: &TempDir, more: &str) -> Daemon {
    dir.write("log", "");
    Daemon::start_with(dir, &config(r#""log""#, &[rule("x", more)]), &["-d"])
}

/// A command that waits until somebody opens the FIFO `gate`, and another one.
const GATED: &str = r#""actions": ["cat gate", "echo {key} done"]"#;

/// A daemon whose command waits at the gate.
fn start_gated(dir: &TempDir) -> Daemon {
    dir.fifo("gate");
    let mut daemon = start(dir, GATED);
    dir.append("log", knock("alice"));
    daemon.wait_for("running cat gate");
    daemon
}

fn open_gate(dir: &TempDir) {
    drop(dir.writer("gate"));
}

#[test]
fn an_idle_daemon_stops_at_once() {
    for signal in ["TERM", "INT"] {
        let dir = TempDir::new();
        let mut daemon = start(&dir, GATED);
        daemon.signal(signal);
        daemon.wait_for("[INFO] stopped");
        daemon.expect_exit(0);
    }
}

#[test]
fn a_running_job_is_finished_before_the_end() {
    for signal in ["TERM", "INT"] {
        let dir = TempDir::new();
        let mut daemon = start_gated(&dir);
        daemon.signal(signal);
        daemon.wait_for(r#"[INFO] stopping: waiting for the commands of rule "x""#);
        // What comes now comes too late.
        dir.append("log", knock("bob"));
        open_gate(&dir);
        daemon.wait_for("output: alice done");
        daemon.wait_without("bob", "[INFO] stopped");
        daemon.expect_exit(0);
    }
}

#[test]
fn knocks_that_wait_are_dropped_with_a_message() {
    let dir = TempDir::new();
    let mut daemon = start_gated(&dir);
    dir.append("log", knock("bob") + &knock("carol"));
    daemon.wait_for("knock by carol");
    daemon.signal("TERM");
    daemon.wait_for("[WARN] stopping: dropping 2 knocks whose commands have not begun");
    open_gate(&dir);
    daemon.wait_without("running echo bob", "[INFO] stopped");
    daemon.expect_exit(0);
}

#[test]
fn a_command_over_its_time_does_not_hold_up_the_end() {
    let dir = TempDir::new();
    let slow = r#""actions": ["sleep 1000"], "action_timeout": 0.5"#;
    let mut daemon = start(&dir, slow);
    dir.append("log", knock("alice"));
    daemon.wait_for("running sleep");
    daemon.signal("TERM");
    daemon.wait_for("stopping: waiting");
    daemon.wait_for("sleep: takes too long, terminating it");
    daemon.wait_for("[INFO] stopped");
    daemon.expect_exit(0);
}

#[test]
fn a_second_signal_stops_at_once() {
    let dir = TempDir::new();
    let mut daemon = start_gated(&dir);
    daemon.signal("TERM");
    daemon.wait_for("stopping: waiting");
    daemon.signal("HUP");
    daemon.signal("INT");
    daemon.wait_for("[WARN] stopped at once by a second signal");
    daemon.expect_exit(1);
    open_gate(&dir);
}

#[test]
fn a_reload_keeps_the_progress_of_unchanged_rules_and_drops_that_of_others() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = |commands: &str, more: &str| {
        let unchanged = format!(r#""actions": ["echo {commands} {{key}}"]"#);
        let changed = format!(r#"{unchanged}, "ignore": "{more}""#);
        config(
            r#""log""#,
            &[rule("changed", &changed), rule("unchanged", &unchanged)],
        )
    };
    let mut daemon = Daemon::start_with(&dir, &rules("old", "nothing"), &["-d"]);
    dir.append("log", "alice one\nalice two\n");
    daemon.wait_for(r#"rule "unchanged": alice step 2/3"#);
    // Other commands do not make it another knock.
    dir.configure(&rules("new", "nobody"));
    daemon.signal("HUP");
    daemon.wait_for(r#"[INFO] reloaded, watching "log""#);
    dir.append("log", "alice three\n");
    daemon.wait_for(r#"rule "changed": alice step 0/3"#);
    daemon.wait_for(r#"rule "unchanged": knock by alice"#);
    daemon.wait_for("output: new alice");
    // Nor is a reload of the same file taken for one.
    daemon.signal("HUP");
    daemon.wait_for(r#"[INFO] reloaded without a change, watching "log""#);
    dir.configure(&rules("newer", "nobody"));
    daemon.signal("HUP");
    daemon.wait_for(r#"[INFO] reloaded, watching "log""#);
}

#[test]
fn a_reload_leaves_running_and_waiting_commands_alone() {
    let dir = TempDir::new();
    let mut daemon = start_gated(&dir);
    dir.append("log", knock("bob"));
    daemon.wait_for("knock by bob");
    dir.configure(&config(r#""log""#, &[rule("y", GATED)]));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    for key in ["alice", "bob"] {
        open_gate(&dir);
        daemon.wait_for(&format!(r#"rule "x": output: {key} done"#));
    }
}

#[test]
fn a_bad_configuration_is_reported_and_the_old_one_kept() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, r#""actions": ["echo done"]"#);
    dir.append("log", "alice one\nalice two\n");
    daemon.wait_for("alice step 2/3");
    dir.configure(r#"{"file": "log", "rulset": []}"#);
    daemon.signal("HUP");
    daemon.wait_for(r#"[ERROR] logknockd.conf:1:1: error: missing "ruleset""#);
    daemon.wait_for(r#"unknown key "rulset": did you mean "ruleset"?"#);
    daemon.wait_for("[ERROR] reload failed: the configuration in use is kept");
    fs::remove_file(dir.path(common::CONFIG)).unwrap();
    daemon.signal("HUP");
    daemon.wait_for("[ERROR] logknockd.conf: No such file or directory (errno 2)");
    daemon.wait_for("[ERROR] reload failed");
    dir.append("log", "alice three\n");
    daemon.wait_for("output: done");
}

#[test]
fn a_reload_adds_and_removes_files_and_loses_no_line_of_those_that_stay() {
    let dir = TempDir::new();
    let rules = [rule("x", r#""actions": ["true"]"#)];
    for name in ["stays", "goes", "comes", "rotated"] {
        dir.write(name, "before the start\n");
    }
    let before = config(r#"["stays", "goes", "rotated"]"#, &rules);
    let after = config(r#"["comes", "rotated", "stays"]"#, &rules);
    let mut daemon = Daemon::start_with(&dir, &before, &["-T"]);
    let mut number = 0;
    for configuration in [&after, &before, &after] {
        dir.append("rotated", format!("{number} rotated, not "));
        dir.rename("rotated", "rotated.1");
        for round in 0..50 {
            number += 1;
            dir.append("stays", format!("line {number}\n"));
            if round == 25 {
                dir.configure(configuration);
                daemon.signal("HUP");
            }
        }
        for line in number - 49..=number {
            daemon.expect_lines(&[&format!("line {line}")]);
        }
        dir.append("rotated.1", "lost\n");
        daemon.expect_lines(&[&format!("{} rotated, not lost", number - 50)]);
        dir.write("rotated", "new\n");
        daemon.expect_lines(&["new"]);
    }
    // A file that comes is read from its end, one that has gone not at all.
    dir.append("goes", "gone\n");
    dir.append("comes", "come\n");
    daemon.expect_lines(&["come"]);
    dir.append("stays", "end\n");
    daemon.expect_lines(&["end"]);
}

#[test]
fn a_reload_can_change_the_way_files_are_watched() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = rule("x", r#""actions": ["true"]"#);
    let with =
        |more: &str| format!(r#"{{"file": "log", "state": "state", {more} "ruleset": [{rules}]}}"#);
    let mut daemon = Daemon::start_with(&dir, &with(""), &["-T"]);
    for (round, more) in [r#""poll": 0.1,"#, "", r#""poll": 0.2,"#]
        .iter()
        .enumerate()
    {
        let mut writer = dir.writer("log");
        dir.rename("log", "log.1");
        dir.configure(&with(more));
        daemon.signal("HUP");
        daemon.wait_for("reloaded");
        writeln!(writer, "old {round}").unwrap();
        daemon.expect_lines(&[&format!("old {round}")]);
        dir.write("log", format!("new {round}\n"));
        daemon.expect_lines(&[&format!("new {round}")]);
    }
}

#[test]
fn a_reload_changes_how_much_is_said() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = rule("x", r#""actions": ["true"]"#);
    let with =
        |more: &str| format!(r#"{{"file": "log", "state": "state", {more} "ruleset": [{rules}]}}"#);
    let mut daemon = Daemon::start(&dir, &with(""));
    for (more, shown) in [(r#""trace": true,"#, true), (r#""debug": true,"#, false)] {
        dir.configure(&with(more));
        daemon.signal("HUP");
        daemon.wait_until_watching();
        dir.append("log", "alice one\n");
        let lines = daemon.lines_until("[DEBUG] rule \"x\": alice step 1/3");
        assert_eq!(lines.contains(&r#"[TRACE] "log": alice one"#.into()), shown);
    }
}

#[test]
fn the_state_is_reported_on_request() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.fifo("gate");
    let rules = [
        rule("x", GATED),
        rule("y", r#""ignore": "alice", "actions": ["true"]"#),
    ];
    let mut daemon = Daemon::start(&dir, &config(r#"["log", "missing"]"#, &rules));
    dir.append(
        "log",
        knock("alice") + "bob one\ncarol one\ncarol none\n" + &knock("alice"),
    );
    for _ in 0..2 {
        daemon.wait_for("knock by alice");
    }
    daemon.signal("USR1");
    let report = daemon.lines_until("state: queue");
    let state = report.iter().filter(|line| line.contains("state"));
    let expected = [
        r#"[INFO] state: source "log": open"#,
        r#"[INFO] state: source "missing": not open"#,
        r#"[INFO] state: rule "x": 9 lines passed the filter, 2 knocks, 1 key in progress, 0 gave way to others, 0 lines without a key"#,
        r#"[INFO] state: rule "y": 3 lines passed the filter, 0 knocks, 1 key in progress, 0 gave way to others, 0 lines without a key"#,
        "[INFO] state: queue: 1 running, 1 waiting",
    ];
    assert!(state.eq(expected.iter()), "{report:?}");
    open_gate(&dir);
}

/// A daemon that has opened its configuration, which is a FIFO, and what to write that with. There is a writer from
/// the beginning: without one the configuration would be empty.
fn waiting_for_its_configuration(dir: &TempDir) -> (Daemon, fs::File) {
    dir.fifo("fifo.conf");
    let mut both = fs::OpenOptions::new();
    let writer = both.read(true).write(true).open(dir.path("fifo.conf"));
    let daemon = Daemon::spawn(&mut dir.command(&["-c", "fifo.conf"]));
    let descriptors = format!("/proc/{}/fd", daemon.pid());
    let has_opened = || {
        let links = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        let mut targets = links.filter_map(|link| fs::read_link(link.path()).ok());
        targets.any(|target| target.ends_with("fifo.conf"))
    };
    let limit = std::time::Instant::now() + common::PATIENCE;
    while !has_opened() {
        if std::time::Instant::now() > limit {
            daemon.fail("it does not open its configuration");
        }
        std::thread::yield_now();
    }
    (daemon, writer.expect("the FIFO"))
}

#[test]
fn signals_that_come_before_the_configuration_is_read_do_not_end_it() {
    let dir = TempDir::new();
    dir.write("log", "");
    // Somebody reads it: what comes now comes early, but not before there is a program to come to.
    let (mut daemon, mut writer) = waiting_for_its_configuration(&dir);
    daemon.signal("HUP");
    daemon.signal("USR1");
    let config = config(r#""log""#, &[rule("x", r#""actions": ["true"]"#)]);
    writer.write_all(config.as_bytes()).unwrap();
    drop(writer);
    daemon.wait_for(common::WATCHING);
    daemon.wait_for("state: queue: ");
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

#[test]
fn a_daemon_that_waits_for_its_configuration_can_be_ended() {
    let dir = TempDir::new();
    let (mut daemon, _writer) = waiting_for_its_configuration(&dir);
    daemon.signal("TERM");
    let status = daemon.exit_status();
    assert!(!status.success(), "{status}");
}
