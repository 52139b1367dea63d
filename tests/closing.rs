//! The ways in which a lease ends before its time, and those in which it outlives us.

mod common;

use common::{Daemon, TempDir, config, hasten, knock, of_another_boot, outcome, recorded, rule};
use std::process::Stdio;
use std::time::{Duration, Instant};

const ACTIONS: &str = r#""actions": ["echo opened {key}"], "revert": ["echo closed {key}"]"#;

fn with_state(rules: &[String]) -> String {
    config(r#""log", "state": "state""#, rules)
}

fn start(dir: &TempDir, more: &str) -> Daemon {
    dir.append("log", "");
    Daemon::start(dir, &with_state(&[rule("door", more)]))
}

/// A rule that closes `door`, and its knock by alice.
fn closer(more: &str) -> String {
    let closer = rule("closer", &format!(r#""closes": "door"{more}"#));
    closer
        .replace(" one", " first")
        .replace(" two", " second")
        .replace(" three", " third")
}

const CLOSE: &str = "alice first\nalice second\nalice third\n";

#[test]
fn a_knock_of_another_rule_closes_for_its_key_before_its_own_actions_run() {
    let dir = TempDir::new();
    dir.append("log", "");
    let rules = [
        rule("door", ACTIONS),
        closer(r#", "actions": ["echo after {key}"]"#),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", knock("alice") + &knock("bob"));
    // There is no time at which it closes.
    let message = daemon.wait_for(": opened for bob");
    assert!(!message.contains("closes in"), "{message}");
    let listed = outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    assert!(listed.contains("no limit"), "{listed}");
    dir.append("log", CLOSE);
    daemon.wait_without("output: after", "output: closed alice");
    daemon.wait_for("output: after alice");
    assert_eq!(recorded(&dir.read("state")), ["door bob"]);
    // Nothing is open: nothing is closed.
    dir.append("log", CLOSE);
    daemon.wait_without("closed", "output: after alice");
    daemon.signal("TERM");
    daemon.wait_for("output: closed bob");
    daemon.expect_exit(0);
}

/// The revert fails until there is a file `works`.
const CLOSE_LATER: &str = r#""actions": ["true"], "revert": ["cp works {key}"]"#;

#[test]
fn a_knock_that_closes_tries_at_once_what_has_failed_before() {
    let dir = TempDir::new();
    dir.append("log", "");
    let door = format!(r#""timeout": 600, "exclusive": true, {CLOSE_LATER}"#);
    let rules = [
        rule("door", &door),
        closer(r#", "actions": ["echo after {key}"]"#),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    let by_hand = || outcome(&dir.run(&["-c", common::CONFIG, "-x", "*"]));
    let listed = || outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    while daemon.count("trying again in 60 s") == 0 {
        assert_eq!(by_hand().0, Some(1));
        daemon.wait_for("not closed for alice");
    }
    assert!(listed().contains("  due\n"), "{}", listed());
    // It waits for its time: a knock tries it before that, and before its own commands run.
    dir.append("log", CLOSE);
    daemon.wait_without("output: after", "not closed for alice, trying again");
    daemon.wait_for("output: after alice");
    while daemon.count("not closed for alice, giving up") == 0 {
        assert_eq!(by_hand().0, Some(1));
        daemon.wait_for("not closed for alice");
    }
    daemon.signal("USR1");
    daemon.wait_for("alice: could not be closed, given up");
    assert!(
        listed().contains("  could not be closed, given up\n"),
        "{}",
        listed()
    );
    // Nor does another key get what an exclusive lease holds without its being tried.
    dir.append("log", knock("bob"));
    daemon.wait_without(": opened for bob", "not closed for alice, giving up");
    daemon.wait_for(": opened for bob");
    dir.write("works", "");
    dir.append("log", CLOSE);
    daemon.wait_without("output: after", ": closed for alice");
    daemon.wait_for("output: after alice");
    assert_eq!(recorded(&dir.read("state")), ["door bob"]);
}

#[test]
fn the_next_start_tries_what_was_given_up() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {CLOSE_LATER}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    while daemon.count("giving up") == 0 {
        dir.run(&["-c", common::CONFIG, "-x", "alice"]);
        daemon.wait_for("not closed for alice");
    }
    let listed = || outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    assert!(listed().contains("given up"), "{}", listed());
    drop(daemon);
    assert!(listed().contains("given up"), "{}", listed());
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {CLOSE_LATER}"#));
    daemon.wait_for("not closed for alice, trying again in 1 s");
    assert!(listed().contains("  due\n"), "{}", listed());
    dir.write("works", "");
    daemon.wait_for(": closed for alice");
}

#[test]
fn a_rule_that_only_closes_needs_no_actions() {
    let dir = TempDir::new();
    dir.append("log", "");
    let rules = [
        rule("door", &format!(r#""timeout": 60, {ACTIONS}"#)),
        closer(""),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", knock("alice") + CLOSE);
    daemon.wait_for("output: opened alice");
    daemon.wait_for("output: closed alice");
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
}

#[test]
fn what_is_being_closed_already_is_closed_before_the_knock_that_would_end_it_opens() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.fifo("wait");
    let on = |name: &str, verb: &str, more: &str| {
        let filter = r#""filter": "^(\\S+) ""#;
        format!(r#"{{"name": "{name}", {filter}, "sequence": [" {verb}$"], {more}}}"#)
    };
    let lease = r#""timeout": 600, "actions": ["echo {rule} opened {key}"], "revert": ["echo {rule} closed {key}"]"#;
    let rules = [
        on("ban", "bans", lease),
        on("door", "opens", &format!(r#""exclusive": true, {lease}"#)),
        on(
            "amnesty",
            "is free",
            r#""closes": "ban", "actions": ["echo free {key}"]"#,
        ),
        on(
            "slow",
            "waits",
            r#""action_timeout": 600, "actions": ["cat wait"]"#,
        ),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", "x bans\ny bans\nz bans\nalice opens\n");
    daemon.wait_for("output: door opened alice");
    dir.append("log", "root waits\n");
    daemon.wait_for("running cat");
    // Their reverts wait one behind the other.
    let mut asked = dir.command(&["-c", common::CONFIG, "-x", "*"]);
    let mut asked = asked.stdout(Stdio::null()).spawn().expect("it can be run");
    daemon.wait_for("closing for alice");
    dir.append("log", "bob opens\nz is free\n");
    daemon.wait_for("knock by z");
    drop(dir.writer("wait"));
    let lines = daemon.lines_until("output: free z");
    let place = |text: &str| lines.iter().position(|line| line.contains(text));
    let closed = place("output: door closed alice");
    assert!(
        closed.is_some() && closed < place("output: door opened bob"),
        "{lines:?}"
    );
    assert!(place("output: ban closed z").is_some(), "{lines:?}");
    assert!(asked.wait().expect("it ends").success());
}

#[test]
fn a_lease_without_actions_holds_open_what_its_revert_closes() {
    let dir = TempDir::new();
    dir.append("log", "");
    let lease = r#"{"name": "lease", "filter": "^(\\S+) ", "sequence": [" holds$"], "closes": "door", "timeout": 600, "revert": ["echo shut"]}"#;
    let rules = [
        rule("door", &format!(r#""timeout": 60, {ACTIONS}"#)),
        lease.into(),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", "alice holds\nbob holds\n");
    daemon.wait_for("\"lease\": opened for bob, closes in 600 s");
    dir.run(&["-c", common::CONFIG, "-x", "alice"]);
    daemon.wait_without(
        "output: shut",
        "ended for alice, another lease holds the same open",
    );
    daemon.signal("TERM");
    daemon.wait_for("output: shut");
    daemon.expect_exit(0);
}

#[test]
fn whoever_closes_by_hand_waits_for_every_lease() {
    let dir = TempDir::new();
    for key in ["alice", "bob", "carol"] {
        dir.fifo(key);
    }
    let commands = r#""actions": ["true"], "revert": ["cat {key}"], "action_timeout": 600"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {commands}"#));
    dir.append("log", knock("alice") + &knock("bob") + &knock("carol"));
    daemon.wait_for(": opened for carol");
    let mut asked = dir.command(&["-c", common::CONFIG, "-x", "*"]);
    let asked = asked.stdout(Stdio::piped()).spawn().expect("it can be run");
    for key in ["alice", "bob", "carol"] {
        daemon.wait_for(&format!("running cat {key}"));
        daemon.signal("USR1");
        daemon.wait_for("state: queue: 1 running");
        assert!(dir.path("state.request").exists());
        drop(dir.writer(key));
    }
    let said = asked.wait_with_output().expect("it ends").stdout;
    assert_eq!(
        said,
        b"closed: \"door\" alice\nclosed: \"door\" bob\nclosed: \"door\" carol\n"
    );
}

#[test]
fn leases_are_closed_by_hand() {
    let dir = TempDir::new();
    dir.append("log", "");
    let broken = rule(
        "broken",
        r#""timeout": 60, "actions": ["true"], "revert": ["false"]"#,
    );
    let rules = [
        rule("door", &format!(r#""timeout": 60, {ACTIONS}"#)),
        broken,
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for("\"broken\": opened for bob");
    let close =
        |words: &[&str]| outcome(&dir.run(&[&["-c", common::CONFIG, "-x"], words].concat()));
    let (status, said, errors) = close(&["alice", "door"]);
    assert_eq!(
        (status, &said[..]),
        (Some(0), "closed: \"door\" alice\n"),
        "{errors}"
    );
    daemon.wait_for("output: closed alice");
    assert_eq!(recorded(&dir.read("state")).len(), 3);
    let (status, said, errors) = close(&["carol"]);
    assert_eq!((status, &said[..]), (Some(1), ""));
    assert_eq!(errors, "logknockd: no such lease is open\n");
    let (status, said, errors) = close(&["*"]);
    assert_eq!((status, &said[..]), (Some(1), "closed: \"door\" bob\n"));
    assert!(
        errors.contains("still in the record, see the log: \"broken\" alice"),
        "{errors}"
    );
    assert!(
        errors.contains("still in the record, see the log: \"broken\" bob"),
        "{errors}"
    );
    assert!(!dir.path("state.request").exists());
    // Without a daemon there is nobody to ask.
    drop(daemon);
    let (status, _, errors) = close(&["*"]);
    assert_eq!(status, Some(1));
    assert!(
        errors.contains("no logknockd is running that uses \"state\""),
        "{errors}"
    );
}

#[test]
fn a_daemon_that_is_process_1_closes_by_hand_too() {
    let launcher = ["unshare", "-Urpf", "--kill-child", "--mount-proc"];
    let probe = [&launcher[1..], &["true"]].concat();
    if common::is_emulated() || !common::works(launcher[0], &probe) {
        return common::skipped("no process namespace of our own");
    }
    let dir = TempDir::new();
    dir.append("log", "");
    dir.fifo("go");
    dir.configure(&with_state(&[rule(
        "door",
        &format!(r#""timeout": 600, {ACTIONS}"#),
    )]));
    let by_hand = format!(
        "(cat go; \"$0\" -c {} -x alice) >said 2>&1 &",
        common::CONFIG
    );
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, &by_hand, &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    drop(dir.writer("go"));
    daemon.wait_for(": closed for alice");
}

#[test]
fn a_request_that_was_given_up_is_in_nobodys_way() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for(": opened for bob");
    // Somebody was killed before anybody was told.
    dir.write("state.request", "bob\0door of the other house\0");
    dir.chmod("state.request", 0o600);
    let mut asked = dir.command(&["-c", common::CONFIG, "-x", "alice"]);
    let mut asked = asked.stdout(Stdio::null()).spawn().expect("it can be run");
    daemon.wait_without("bob", "closed for alice");
    assert!(asked.wait().expect("it ends").success());
    assert_eq!(recorded(&dir.read("state")), ["door bob"]);
    assert!(!dir.path("state.request").exists());
}

#[test]
fn a_request_that_there_is_no_room_for_leaves_nothing_behind() {
    let dir = TempDir::new();
    let fail = "--inject=write:error=ENOSPC";
    if common::is_emulated() || !common::works("strace", &["-o", "/dev/null", fail, "true"]) {
        return common::skipped("no strace to let system calls fail");
    }
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    let request = dir.text("state.request");
    let launcher = ["strace", "-o", "calls", "-P", &request, fail];
    let arguments = ["-c", common::CONFIG, "-x", "alice"];
    let mut command = dir.command_after(&launcher, "", &arguments);
    let (status, _, errors) = outcome(&command.output().expect("it can be run"));
    assert_eq!(status, Some(1));
    assert!(errors.contains("No space left on device"), "{errors}");
    assert!(!dir.path("state.request").exists());
}

#[test]
fn a_process_that_only_has_the_number_of_the_daemon_in_its_container_is_left_alone() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    let mut other = std::process::Command::new("cat");
    let mut other = other.stdin(Stdio::piped()).spawn().expect("cat");
    // In place: it stays locked.
    dir.write("state.lock", format!("{}\n", other.id()));
    let arguments = ["-c", common::CONFIG, "-x", "alice"];
    let mut command = dir.command_after(&["timeout", "30"], "", &arguments);
    let (status, said, errors) = outcome(&command.output().expect("it can be run"));
    assert_eq!((status, &said[..]), (Some(1), ""), "{errors}");
    assert!(
        errors.contains("it may run in another container"),
        "{errors}"
    );
    assert!(!dir.path("state.request").exists());
    drop(other.stdin.take());
    assert!(other.wait().expect("its end").success());
    assert_eq!(recorded(&dir.read("state")), ["door alice"]);
}

#[test]
fn two_who_close_by_hand_are_both_served() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    let keys: Vec<String> = (0..12).map(|number| format!("k{number}")).collect();
    dir.append("log", keys.iter().map(|key| knock(key)).collect::<String>());
    daemon.wait_for(": opened for k11");
    let close = |key: &String| {
        let mut command = dir.command(&["-c", common::CONFIG, "-x", key]);
        command
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be run")
    };
    let asked: Vec<_> = keys.iter().map(close).collect();
    for (key, asked) in keys.iter().zip(asked) {
        let said = asked.wait_with_output().expect("it ends").stdout;
        assert_eq!(
            String::from_utf8_lossy(&said),
            format!("closed: \"door\" {key}\n")
        );
    }
}

#[test]
fn a_record_whose_lock_was_taken_away_is_locked_again() {
    let dir = TempDir::new();
    dir.mkdir("var");
    dir.append("log", "");
    let rules = [rule("door", &format!(r#""timeout": 600, {ACTIONS}"#))];
    let config = config(r#""log", "state": "var/state""#, &rules);
    let mut daemon = Daemon::start(&dir, &config);
    let close = |key| outcome(&dir.run(&["-c", common::CONFIG, "-x", key]));
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for(": opened for bob");
    dir.remove("var/state.lock");
    // With the next that is written.
    dir.append("log", knock("carol"));
    daemon.wait_for(": opened for carol");
    let (status, said, errors) = close("alice");
    assert_eq!(
        (status, &said[..]),
        (Some(0), "closed: \"door\" alice\n"),
        "{errors}"
    );
    // With all that is in the folder.
    std::fs::remove_dir_all(dir.path("var")).expect("it can be removed");
    dir.mkdir("var");
    dir.append("log", knock("dave"));
    daemon.wait_for(": opened for dave");
    let (status, _, errors) = outcome(&dir.run(&["-c", common::CONFIG]));
    assert_eq!(status, Some(1));
    assert!(errors.contains("another process uses it"), "{errors}");
    let (status, said, errors) = close("*");
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn an_address_is_closed_by_hand_however_it_is_spelt() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("2001:DB8::0:7"));
    daemon.wait_for(": opened for 2001:db8::7");
    let closed = dir.run(&["-c", common::CONFIG, "-x", "2001:0db8:0:0::7"]);
    let (status, said, errors) = outcome(&closed);
    assert_eq!(
        (status, &said[..]),
        (Some(0), "closed: \"door\" 2001:db8::7\n"),
        "{errors}"
    );
    daemon.wait_for("output: closed 2001:db8::7");
}

#[test]
fn a_request_that_others_can_write_is_not_listened_to() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.write("state.request", "*\0\0");
    dir.chmod("state.request", 0o666);
    daemon.signal("USR2");
    daemon.signal("USR1");
    daemon.wait_without("by hand", "state: queue");
    assert_eq!(recorded(&dir.read("state")), ["door alice"]);
}

#[test]
fn what_is_kept_outlives_a_stop_and_ends_at_its_time() {
    let dir = TempDir::new();
    let more = format!(r#""timeout": 600, "keep": true, {ACTIONS}"#);
    let mut daemon = start(&dir, &more);
    let opened = Instant::now();
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    daemon.signal("TERM");
    daemon.wait_without("closed alice", "1 lease kept for the next start");
    daemon.expect_exit(0);
    assert_eq!(recorded(&dir.read("state")), ["door alice"]);
    hasten(&dir, "state", Duration::from_secs(598));
    let mut daemon = start(&dir, &more);
    // It is the same boot: what was opened is still there.
    daemon.wait_without("opened alice", "output: closed alice");
    assert!(
        opened.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        opened.elapsed()
    );
}

#[test]
fn a_stop_begins_no_check_of_what_is_kept() {
    let dir = TempDir::new();
    dir.fifo("alice");
    dir.fifo("bob");
    let commands = r#""actions": ["true"], "check": ["cat {key}"], "revert": ["true {key}"]"#;
    let more = format!(r#""timeout": 600, "keep": true, "action_timeout": 600, {commands}"#);
    dir.append("log", "");
    let rules = [rule("door", &more)];
    let mut daemon = Daemon::start_with(&dir, &with_state(&rules), &["-d"]);
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for(": opened for bob");
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for("running cat alice");
    while daemon.count("state: queue: 1 running, 1 waiting") == 0 {
        daemon.signal("USR1");
        daemon.wait_for("state: queue");
    }
    daemon.signal("TERM");
    daemon.wait_for("stopping: waiting for the commands");
    drop(dir.writer("alice"));
    daemon.wait_without("running cat bob", "2 leases kept for the next start");
    daemon.expect_exit(0);
}

#[test]
fn what_is_kept_is_opened_again_after_a_reboot() {
    let dir = TempDir::new();
    let more = format!(r#""timeout": 600, "keep": true, {ACTIONS}"#);
    let mut daemon = start(&dir, &more);
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for(": opened for bob");
    daemon.signal("TERM");
    daemon.expect_exit(0);
    dir.write("state", of_another_boot(&dir.read("state")));
    let mut daemon = start(&dir, &more);
    daemon.wait_for(": opened for");
    daemon.wait_for(": opened for");
    daemon.signal("TERM");
    daemon.wait_without("closed", "2 leases kept for the next start");
    daemon.expect_exit(0);
    // Its time is over when the machine is up again.
    hasten(&dir, "state", Duration::from_secs(601));
    dir.write("state", of_another_boot(&dir.read("state")));
    let mut daemon = start(&dir, &more);
    daemon.wait_for(": closed for");
    daemon.wait_for(": closed for");
    assert_eq!(daemon.count("output: opened"), 0);
}

#[test]
fn a_stop_with_many_kept_leases_takes_no_longer_than_with_none() {
    let dir = TempDir::new();
    let commands = r#""actions": ["true"], "revert": ["echo closed {key}"]"#;
    let mut daemon = start(
        &dir,
        &format!(r#""timeout": 600, "keep": true, {commands}"#),
    );
    for number in 0..40 {
        dir.append("log", knock(&format!("k{number}")));
    }
    daemon.wait_for(": opened for k39");
    daemon.signal("TERM");
    daemon.wait_without("running", "40 leases kept for the next start");
    daemon.expect_exit(0);
}

#[test]
fn a_record_that_is_moved_by_a_reload_is_known_after_a_crash() {
    let dir = TempDir::new();
    let more = format!(r#""timeout": 600, {ACTIONS}"#);
    let mut daemon = start(&dir, &more);
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    let moved = config(r#""log", "state": "elsewhere""#, &[rule("door", &more)]);
    dir.configure(&moved);
    daemon.signal("HUP");
    daemon.wait_for("record: now \"elsewhere\" instead of \"state\"");
    daemon.wait_for("reloaded");
    drop(daemon);
    assert!(recorded(&dir.read("state")).is_empty());
    assert_eq!(recorded(&dir.read("elsewhere")), ["door alice"]);
    let mut daemon = Daemon::start(&dir, &moved);
    daemon.signal("TERM");
    daemon.wait_for("output: closed alice");
}

#[test]
fn a_record_that_a_reload_calls_by_another_name_goes_on() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.mkdir("run");
    dir.symlink("run", "var");
    let more = format!(r#""timeout": 600, {ACTIONS}"#);
    let named = |state: &str| {
        let files = format!(r#""log", "state": "{state}""#);
        config(&files, &[rule("door", &more)])
    };
    let mut daemon = Daemon::start(&dir, &named("var/state"));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.configure(&named("run/state"));
    daemon.signal("HUP");
    daemon.wait_without("failed", "reloaded");
    dir.remove("var");
    dir.append("log", knock("bob"));
    daemon.wait_for(": opened for bob");
    assert_eq!(recorded(&dir.read("run/state")), ["door alice", "door bob"]);
    daemon.signal("TERM");
    daemon.wait_for("output: closed bob");
    daemon.expect_exit(0);
}

#[test]
fn a_reload_whose_record_cannot_be_used_is_refused() {
    let dir = TempDir::new();
    let more = format!(r#""timeout": 60, {ACTIONS}"#);
    let mut daemon = start(&dir, &more);
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.mkdir("folder");
    let moved = config(r#""log", "state": "folder""#, &[rule("door", &more)]);
    dir.configure(&moved);
    daemon.signal("HUP");
    let message = daemon.wait_for("reload failed");
    assert!(message.contains("it is a folder"), "{message}");
    assert_eq!(recorded(&dir.read("state")), ["door alice"]);
}

#[test]
fn what_another_daemon_has_written_is_read_before_the_record_is_used() {
    let dir = TempDir::new();
    dir.append("log", "");
    let plain = config(
        r#""log", "state": "state""#,
        &[rule("plain", r#""actions": ["true"]"#)],
    );
    let mut first = Daemon::start(&dir, &plain);
    // Another one uses the record meanwhile, and is killed.
    dir.mkdir("other");
    dir.append("other/log", "");
    let more = format!(r#""timeout": 600, {ACTIONS}"#);
    let config = config(r#""other/log", "state": "state""#, &[rule("door", &more)]);
    let mut second = Daemon::start(&dir, &config);
    dir.append("other/log", knock("alice"));
    second.wait_for(": opened for alice");
    drop(second);
    first.signal("HUP");
    first.wait_for("going on with 1 recorded lease");
    first.signal("TERM");
    first.wait_for("output: closed alice");
}

#[test]
fn opening_writes_in_proportion_to_what_is_opened() {
    let dir = TempDir::new();
    let commands = r#""actions": ["true {key}"], "revert": ["false {key}"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {commands}"#));
    let written = |daemon: &Daemon| -> usize {
        let io = std::fs::read_to_string(format!("/proc/{}/io", daemon.pid())).expect("its io");
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
        line.and_then(|bytes| bytes.parse().ok()).expect("a number")
    };
    let before = written(&daemon);
    for round in 0..2 {
        for number in 0..200 {
            dir.append("log", knock(&format!("{round}-{number}")));
        }
        daemon.wait_for(&format!(": opened for {round}-199"));
    }
    // For each some 250 bytes in the record, as many in the log, and up to twice that for a record that is rewritten
    // whenever it is twice as long. Writing all for each takes fifty times as much.
    let each = (written(&daemon) - before) / 400;
    assert!(each < 1100, "{each} bytes");
}

#[test]
fn no_sequence_is_spent_for_commands_that_cannot_be_run() {
    if !common::works("prlimit", &["--version"]) {
        return common::skipped("no prlimit to take descriptors away");
    }
    let dir = TempDir::new();
    dir.append("log", "");
    let rule = r#"{"name": "door", "filter": "^(\\S+) ", "one_time": [["a$", "b$"], ["c$"]], "actions": ["echo opened"]}"#;
    let mut daemon = Daemon::start(&dir, &with_state(&[rule.into()]));
    let process = daemon.pid().to_string();
    let limit = |number: usize| {
        let limit = format!("--nofile={number}:");
        assert!(common::works("prlimit", &["--pid", &process, &limit]));
    };
    let folder = format!("/proc/{}/fd", daemon.pid());
    let used = std::fs::read_dir(folder).expect("its descriptors").count();
    limit(used + 1);
    dir.append("log", "alice a\nalice b\n");
    let message = daemon.wait_for("refused");
    assert!(message.contains("its commands cannot be run"), "{message}");
    assert!(
        !dir.read("state").contains("spent"),
        "{}",
        dir.read("state")
    );
    limit(1024);
    dir.append("log", "alice a\nalice b\n");
    daemon.wait_for("output: opened");
}
