//! What knocks open is closed again, whatever happens in between.

mod common;

use common::{Daemon, TempDir, config, hasten, knock, of_another_boot, outcome, recorded, rule};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const ACTIONS: &str = r#""actions": ["echo opened {key}"], "revert": ["echo closed {key}"]"#;

/// A configuration with the rule `door`, the log `log` and the record `state`.
fn door(more: &str) -> String {
    with_state(&[rule("door", more)])
}

fn with_state(rules: &[String]) -> String {
    config(r#""log", "state": "state""#, rules)
}

/// A daemon with `door`, and an empty log.
fn start(dir: &TempDir, more: &str) -> Daemon {
    dir.append("log", "");
    Daemon::start(dir, &door(more))
}

/// The record does not say that anything is open.
fn expect_nothing_recorded(dir: &TempDir) {
    let record = dir.read("state");
    assert!(recorded(&record).is_empty(), "{record}");
}

#[test]
fn a_lease_opens_once_is_renewed_by_further_knocks_and_closes_at_its_deadline() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("knock by alice");
    daemon.wait_for("output: opened alice");
    daemon.wait_for("opened for alice, closes in ");
    // A knock has it last as long as its rule says then.
    dir.configure(&door(&format!(r#""timeout": 1.2, {ACTIONS}"#)));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    let renewed = Instant::now();
    dir.append("log", knock("alice"));
    daemon.wait_for("renewed for alice, closes in 2 s");
    daemon.wait_without("output: opened", "output: closed alice");
    let lasted = renewed.elapsed();
    assert!(
        lasted >= Duration::from_millis(1150),
        "closed after {lasted:?}"
    );
    daemon.wait_for("closed for alice");
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
}

#[test]
fn leases_of_different_keys_stand_beside_each_other() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_without("closing", ": opened for bob");
    dir.run(&["-c", common::CONFIG, "-x", "alice"]);
    daemon.wait_without("closed bob", "closed for alice");
    daemon.signal("TERM");
    daemon.wait_without("closed alice", "closed for bob");
}

#[test]
fn an_exclusive_lease_is_opened_after_the_standing_one_is_closed() {
    let dir = TempDir::new();
    let mut daemon = start(
        &dir,
        &format!(r#""timeout": 60, "exclusive": true, {ACTIONS}"#),
    );
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
    dir.append("log", knock("bob"));
    daemon.wait_without("output: opened bob", "output: closed alice");
    daemon.wait_for("output: opened bob");
    daemon.signal("TERM");
    daemon.wait_without("output: closed alice", "output: closed bob");
    daemon.expect_exit(0);
}

#[test]
fn the_record_is_there_before_the_actions_and_empty_after_the_revert() {
    let dir = TempDir::new();
    let commands = r#""actions": ["grep alice state"], "revert": ["grep alice state"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 0.3, {commands}"#));
    dir.append("log", knock("alice"));
    for _ in 0..2 {
        let record = daemon.wait_for_rest("output: ");
        assert!(record.contains(r#""key":"alice""#), "{record}");
        let revert = r#""revert":[["grep","alice","state"]]"#;
        assert!(record.contains(revert), "{record}");
    }
    daemon.wait_for("closed for alice");
    // The message comes before the record is emptied; the next one after that.
    daemon.signal("USR1");
    daemon.wait_for("state: queue");
    expect_nothing_recorded(&dir);
    let mode = std::fs::metadata(dir.path("state"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!dir.path("state.new").exists());
}

#[test]
fn what_cannot_be_recorded_is_not_opened() {
    let dir = TempDir::new();
    dir.append("log", "");
    let rules = [rule("door", &format!(r#""timeout": 60, {ACTIONS}"#))];
    let config = config(r#""log", "state": "missing/state""#, &rules);
    let mut daemon = Daemon::start(&dir, &config);
    // It is said before somebody stands in front of the door.
    let message = "[ERROR] cannot lock \"missing/state.lock\": No such file or directory (errno 2): no lease can be opened";
    assert_eq!(daemon.count(message), 1);
    dir.append("log", knock("alice"));
    let message = daemon.wait_for("refused: ");
    assert!(message.starts_with("[ERROR]"), "{message}");
    assert!(message.contains("No such file or directory"), "{message}");
    // As soon as it can be recorded, it is opened.
    dir.mkdir("missing");
    dir.append("log", knock("bob"));
    daemon.wait_without("opened alice", "output: opened bob");
    daemon.signal("TERM");
    daemon.wait_without("closed alice", "output: closed bob");
    daemon.expect_exit(0);
}

#[test]
fn a_full_disk_refuses_the_knock_and_does_not_end_the_daemon() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.configure(&door(&format!(r#""timeout": 60, {ACTIONS}"#)));
    // A file size limit of nothing: every write fails, as on a disk without room.
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], "ulimit -f 0", &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("alice"));
    let message = daemon.wait_for("refused: ");
    assert!(message.contains("File too large"), "{message}");
    assert!(!dir.path("state").exists() && !dir.path("state.new").exists());
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

#[test]
fn a_folder_that_may_not_be_read_holds_a_record_all_the_same() {
    let Some((dir, launcher)) = common::as_nobody() else {
        return;
    };
    dir.append("log", "");
    let rules = [rule("door", &format!(r#""timeout": 60, {ACTIONS}"#))];
    dir.configure(&config(r#""log", "state": "var/state""#, &rules));
    let arguments = ["-c", common::CONFIG];
    let script = "mkdir var; chmod 333 var";
    let mut daemon = Daemon::spawn(&mut dir.command_after(launcher, script, &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("alice"));
    daemon.wait_without("[ERROR]", ": opened for alice");
    daemon.signal("TERM");
    daemon.wait_without("[ERROR]", ": closed for alice");
    daemon.expect_exit(0);
    dir.chmod("var", 0o755);
}

#[test]
fn a_folder_that_cannot_be_synced_holds_a_record_all_the_same() {
    // Some file systems sync no folders; only the calls about that path are touched.
    let dir = TempDir::new();
    dir.append("log", "");
    dir.mkdir("var");
    let fail = "--inject=fsync:error=EINVAL";
    let folder = dir.text("var");
    let launcher = ["strace", "-f", "-o", "calls", "-P", &folder, fail];
    if common::is_emulated() || !common::works("strace", &["-o", "/dev/null", fail, "true"]) {
        return common::skipped("no strace to let system calls fail");
    }
    // A record of before: it is replaced.
    let rules = [rule("door", &format!(r#""timeout": 60, {ACTIONS}"#))];
    let config = config(r#""log", "state": "var/state""#, &rules);
    let mut daemon = Daemon::start(&dir, &config);
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    drop(daemon);
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, "", &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("bob"));
    daemon.wait_without("[ERROR]", ": opened for bob");
    let process = dir.read("var/state.lock");
    assert!(common::works("sh", &["-c", "kill $0", process.trim()]));
    daemon.wait_without("[ERROR]", "stopped");
    daemon.expect_exit(0);
    assert!(
        dir.read("calls").contains("EINVAL"),
        "{}",
        dir.read("calls")
    );
}

#[test]
fn what_is_opened_is_recorded_even_if_the_record_cannot_be_synced() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.configure(&door(&format!(r#""timeout": 60, {ACTIONS}"#)));
    let fail = "--inject=fsync:error=EIO";
    // Not where it is written anew: that is another file until it has the name.
    let record = dir.text("state");
    let launcher = ["strace", "-f", "-o", "calls", "-P", &record, fail];
    if common::is_emulated() || !common::works("strace", &["-o", "/dev/null", fail, "true"]) {
        return common::skipped("no strace to let system calls fail");
    }
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, "", &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    assert_eq!(recorded(&dir.read("state")), ["door alice"]);
    let process = dir.read("state.lock");
    assert!(common::works("sh", &["-c", "kill $0", process.trim()]));
    daemon.wait_for(": closed for alice");
    daemon.expect_exit(0);
    assert!(dir.read("calls").contains("EIO"), "{}", dir.read("calls"));
}

#[test]
fn when_the_record_cannot_be_written_the_revert_runs_all_the_same() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.mkdir("var");
    let commands = r#""actions": ["mv var gone"], "revert": ["echo closed {key}"]"#;
    let rules = [rule("door", &format!(r#""timeout": 0.7, {commands}"#))];
    let mut daemon = Daemon::start(&dir, &config(r#""log", "state": "var/state""#, &rules));
    dir.append("log", knock("alice"));
    daemon.wait_for("[ERROR] record of leases: cannot write");
    daemon.wait_for("output: closed alice");
    // It is tried again, until the record agrees with what is open.
    dir.rename("gone", "var");
    let limit = Instant::now() + common::PATIENCE;
    while !recorded(&dir.read("var/state")).is_empty() {
        assert!(Instant::now() < limit, "{}", dir.read("var/state"));
        std::thread::yield_now();
    }
}

#[test]
fn what_is_no_record_is_refused_and_stays_as_it_is() {
    let dir = TempDir::new();
    dir.append("log", "");
    let precious = "root:x:0:0:root:/root:/bin/ash\ndaemon:*:1:1:daemon:/var:/bin/false\n";
    dir.write("victim", precious);
    dir.write("hostname", "router\n");
    dir.symlink("victim", "link");
    dir.mkdir("folder");
    dir.write("folder/in it", precious);
    dir.fifo("fifo");
    dir.configure(&door(&format!(r#""timeout": 60, {ACTIONS}"#)));
    for (name, reason) in [
        ("victim", "it is some other file"),
        ("hostname", "it is some other file"),
        ("link", "it is a symbolic link"),
        ("folder", "it is a folder"),
        ("fifo", "it is no file"),
    ] {
        let rules = [rule("door", &format!(r#""timeout": 60, {ACTIONS}"#))];
        dir.configure(&config(&format!(r#""log", "state": "{name}""#), &rules));
        let (status, _, errors) = outcome(&dir.run(&["-c", common::CONFIG]));
        assert_eq!(status, Some(2), "{errors}");
        let message = format!("\"state\": \"{name}\" is no record of ours ({reason})");
        assert!(errors.contains(&message), "{errors}");
        assert!(!dir.path(&format!("{name}.lock")).exists());
    }
    assert_eq!(dir.read("victim"), precious);
    assert_eq!(dir.read("hostname"), "router\n");
    assert_eq!(dir.read("folder/in it"), precious);
    assert_eq!(dir.read("link"), precious);
}

#[test]
fn no_file_is_locked_that_is_known_by_another_name() {
    let dir = TempDir::new();
    dir.write("precious", "precious");
    dir.chmod("precious", 0o600);
    std::fs::hard_link(dir.path("precious"), dir.path("state.lock")).expect("another name");
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("knock by alice refused: cannot lock \"state.lock\": Too many links");
    assert_eq!(dir.read("precious"), "precious");
}

#[test]
fn root_keeps_no_record_where_others_can_put_one() {
    if !common::is_root() {
        return common::skipped("only root's record is guarded");
    }
    let dir = TempDir::new();
    dir.append("log", "");
    dir.mkdir("theirs");
    std::os::unix::fs::chown(dir.path("theirs"), Some(65534), None).unwrap();
    dir.mkdir("open");
    dir.chmod("open", 0o777);
    dir.symlink("theirs", "detour");
    // As /tmp is, where nobody can touch what is there.
    dir.mkdir("sticky");
    dir.chmod("sticky", 0o1777);
    for (state, place) in [
        ("theirs/s", "theirs"),
        ("open/s", "open"),
        ("detour/s", "theirs"),
        ("sticky/s", "sticky"),
    ] {
        let rules = [rule("door", &format!(r#""timeout": 60, {ACTIONS}"#))];
        dir.configure(&config(&format!(r#""log", "state": "{state}""#), &rules));
        let (status, _, errors) = outcome(&dir.run(&["-c", common::CONFIG]));
        assert_eq!(status, Some(2), "{errors}");
        let place = dir.path(place).canonicalize().unwrap();
        let message = format!("(others can change {place:?} on the way to it)");
        assert!(errors.contains(&message), "{errors}");
        assert_eq!(std::fs::read_dir(place).unwrap().count(), 0);
    }
    // A folder of root's own in there is, as a router's /tmp/run is.
    dir.mkdir("sticky/run");
    dir.symlink("sticky", "var");
    let rules = [rule("door", &format!(r#""timeout": 60, {ACTIONS}"#))];
    let mut daemon = Daemon::start(&dir, &config(r#""log", "state": "var/run/s""#, &rules));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
}

#[test]
fn a_record_that_others_can_write_is_not_trusted() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
    drop(daemon);
    dir.chmod("state", 0o666);
    let daemon = start(&dir, &format!(r#""timeout": 60, {ACTIONS}"#));
    assert_eq!(daemon.count("is unusable"), 1);
    assert_eq!(daemon.count("recorded lease"), 0);
}

#[test]
fn a_damaged_record_is_set_aside_and_reported() {
    let dir = TempDir::new();
    dir.write("state", "{\"version\":1,\"boot\":");
    dir.chmod("state", 0o600);
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {ACTIONS}"#));
    assert_eq!(
        daemon.count("[ERROR] record \"state\" is unusable, now \"state.unusable-"),
        1
    );
    let kept = std::fs::read_dir(dir.path("")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("state.unusable-")
    });
    assert_eq!(kept.count(), 1);
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
}

#[test]
fn after_a_crash_a_lease_goes_on_with_the_time_it_has_left() {
    let dir = TempDir::new();
    let more = format!(r#""timeout": 600, {ACTIONS}"#);
    let mut daemon = start(&dir, &more);
    let opened = Instant::now();
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
    drop(daemon);
    let mut daemon = start(&dir, &more);
    assert_eq!(daemon.count("going on with 1 recorded lease"), 1);
    dir.append("log", knock("alice"));
    daemon.wait_for("renewed for alice");
    drop(daemon);
    hasten(&dir, "state", Duration::from_millis(598_500));
    let mut daemon = start(&dir, &more);
    daemon.wait_for("output: closed alice");
    assert!(opened.elapsed() >= Duration::from_millis(1500));
}

#[test]
fn after_another_boot_everything_is_closed_at_once_even_if_its_rule_is_gone() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 3600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
    drop(daemon);
    dir.write("state", of_another_boot(&dir.read("state")));
    let mut daemon = Daemon::start(
        &dir,
        &with_state(&[rule("other", r#""actions": ["true"]"#)]),
    );
    daemon.wait_for("output: closed alice");
    daemon.wait_for("closed for alice");
}

#[test]
fn stopping_closes_every_lease() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 3600, {ACTIONS}"#));
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for("output: opened bob");
    daemon.signal("TERM");
    daemon.wait_for("output: closed alice");
    daemon.wait_for("output: closed bob");
    daemon.expect_exit(0);
    expect_nothing_recorded(&dir);
}

#[test]
fn stopping_waits_no_longer_than_the_deadline_of_a_revert_and_keeps_what_failed() {
    let dir = TempDir::new();
    let more =
        r#""timeout": 3600, "action_timeout": 0.3, "actions": ["true"], "revert": ["sleep 60"]"#;
    let mut daemon = start(&dir, more);
    dir.append("log", knock("alice"));
    daemon.wait_for("opened for alice");
    let stopping = Instant::now();
    daemon.signal("TERM");
    daemon.wait_for("[ERROR] 1 lease could not be closed");
    daemon.expect_exit(1);
    assert!(stopping.elapsed() < Duration::from_secs(5));
    assert!(dir.read("state").contains("alice"));
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_the_record_for_the_next_start() {
    let dir = TempDir::new();
    dir.fifo("wait");
    let slow =
        r#""timeout": 3600, "actions": ["true"], "revert": ["sh -c 'echo closing; cat wait'"]"#;
    let mut daemon = start(&dir, slow);
    dir.append("log", knock("alice"));
    daemon.wait_for("opened for alice");
    daemon.signal("TERM");
    daemon.wait_for("output: closing");
    daemon.signal("TERM");
    daemon.wait_for("stopped at once");
    daemon.expect_exit(1);
    // Lets the command end that was left running.
    drop(dir.writer("wait"));
    let mut daemon = start(&dir, slow);
    daemon.wait_for("output: closing");
    drop(dir.writer("wait"));
    daemon.wait_for("closed for alice");
}

#[test]
fn a_reload_keeps_leases_also_of_rules_that_are_gone() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.configure(&with_state(&[rule("other", r#""actions": ["true"]"#)]));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    dir.run(&["-c", common::CONFIG, "-x", "alice"]);
    daemon.wait_for("output: closed alice");
}

#[test]
fn a_knock_of_a_rule_that_opens_no_lease_any_more_closes_the_old_one_and_runs_its_actions() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.configure(&door(r#""actions": ["echo did {key}"]"#));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    dir.append("log", knock("alice"));
    daemon.wait_without("output: did", "output: closed alice");
    daemon.wait_for("output: did alice");
    expect_nothing_recorded(&dir);
}

#[test]
fn a_revert_that_fails_is_tried_again() {
    let dir = TempDir::new();
    let revert = r#""revert": ["sh -c 'test -e allowed && echo closed'"]"#;
    let mut daemon = start(
        &dir,
        &format!(r#""timeout": 0.2, "actions": ["true"], {revert}"#),
    );
    dir.append("log", knock("alice"));
    daemon.wait_for("exit status 1");
    daemon.wait_for("not closed for alice, trying again in 1 s");
    assert!(dir.read("state").contains("alice"));
    daemon.wait_for("trying again in 2 s");
    dir.write("allowed", "");
    daemon.wait_for("output: closed");
    daemon.wait_for("closed for alice");
}

#[test]
fn a_knock_while_its_lease_is_being_closed_opens_again_after_that() {
    let dir = TempDir::new();
    dir.fifo("wait");
    let revert = r#""revert": ["sh -c 'echo closing; cat wait; echo closed'"]"#;
    let actions = r#""actions": ["echo opened {key}"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 0.3, {actions}, {revert}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("output: closing");
    dir.append("log", knock("alice"));
    daemon.wait_for("knock by alice");
    drop(dir.writer("wait"));
    daemon.wait_without("output: opened", "output: closed");
    daemon.wait_for("output: opened alice");
}

#[test]
fn a_full_queue_refuses_knocks_and_never_a_revert() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.fifo("wait");
    let wait = r#""ignore": "^alice", "action_timeout": 600,
        "actions": ["sh -c 'test -e go || (echo waiting; cat wait)'"]"#;
    let door = rule(
        "door",
        &format!(r#""ignore": "^b", "timeout": 600, {ACTIONS}"#),
    );
    let mut daemon = Daemon::start(&dir, &with_state(&[rule("slow", wait), door]));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    // One is running, 256 wait, one is too many.
    dir.append("log", knock("b0"));
    daemon.wait_for("output: waiting");
    let knocks: String = (1..258).map(|n| knock(&format!("b{n}"))).collect();
    dir.append("log", knocks);
    daemon.wait_for("refused: 256 knocks are waiting already");
    let mut by_hand = dir.command(&["-c", common::CONFIG, "-x", "alice"]);
    let mut by_hand = by_hand.stdout(Stdio::null()).spawn().expect("run");
    daemon.wait_for("closing for alice");
    dir.write("go", "");
    drop(dir.writer("wait"));
    daemon.wait_for("output: closed alice");
    daemon.wait_for("closed for alice");
    assert!(by_hand.wait().expect("its end").success());
}

#[test]
fn open_leases_are_listed_and_reported() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 3600, {ACTIONS}"#));
    let list = || outcome(&dir.run(&["-l", "-c", common::CONFIG]));
    assert_eq!(list(), (Some(0), "no open leases\n".into(), String::new()));
    dir.append("log", knock("alice") + &knock("bartholomew"));
    daemon.wait_for(": opened for bartholomew");
    let (status, table, errors) = list();
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "RULE    KEY          OPENED (UTC)         LEFT");
    assert!(lines[1].starts_with("\"door\"  alice        20"), "{table}");
    assert!(lines[2].starts_with("\"door\"  bartholomew  20"), "{table}");
    assert!(
        lines[1].ends_with("  1 h 0 min") || lines[1].contains("  59 min "),
        "{table}"
    );
    daemon.signal("USR1");
    daemon.wait_for("state: lease of rule \"door\", alice: open, closes in 3");
    daemon.wait_for("state: lease of rule \"door\", bartholomew: open, closes in 3");
}

#[test]
fn leases_are_listed_as_they_are_where_their_daemon_sees_another_boot_id() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 3600, {ACTIONS}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("opened for alice");
    dir.write("state", of_another_boot(&dir.read("state")));
    let list = || outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    let unknown = "  before the last boot  not standing\n";
    assert!(!list().ends_with(unknown), "{}", list());
    daemon.signal("KILL");
    daemon.exit_status();
    assert!(list().ends_with(unknown), "{}", list());
}

#[test]
fn a_key_that_is_not_text_opens_no_lease() {
    let dir = TempDir::new();
    let commands = r#""actions": ["echo opened"], "revert": ["true"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {commands}"#));
    dir.append("log", b"\xff one\n\xff two\n\xff three\n");
    let message = daemon.wait_for("refused: ");
    assert!(
        message.contains("{key} is not printable UTF-8"),
        "{message}"
    );
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened");
}

#[test]
fn a_retried_revert_does_not_close_what_the_same_key_has_opened_again() {
    let dir = TempDir::new();
    let revert = r#""revert": ["sh -c 'echo closing; test -e allowed'"]"#;
    let actions = r#""actions": ["echo opened {key}"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 2, {actions}, {revert}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("output: closing");
    daemon.wait_for("not closed for alice, trying again in 1 s");
    let opened = Instant::now();
    dir.append("log", knock("alice"));
    daemon.wait_for("1 lease that could not be closed is left to a newer one");
    daemon.wait_for("opened for alice");
    dir.write("allowed", "");
    daemon.wait_for("output: closing");
    assert!(
        opened.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        opened.elapsed()
    );
    daemon.wait_for("closed for alice");
    wait_until_nothing_is_recorded(&dir);
}

#[test]
fn two_daemons_never_share_a_record() {
    let dir = TempDir::new();
    let mut first = start(&dir, &format!(r#""timeout": 60, {ACTIONS}"#));
    let (status, _, errors) = outcome(&dir.run(&["-c", common::CONFIG]));
    assert_eq!(status, Some(1));
    assert!(
        errors.contains("[ERROR] record \"state\": another process uses it"),
        "{errors}"
    );
    dir.append("log", knock("alice"));
    first.wait_for("output: opened alice");
    first.signal("TERM");
    first.expect_exit(0);
}

#[test]
fn a_flood_of_knocks_delays_no_deadline_and_writes_no_more_than_it_must() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 1, {ACTIONS}"#));
    let flood = knock("alice").repeat(20_000);
    dir.append("log", &flood);
    dir.append("log", knock("bob"));
    let written = Instant::now();
    daemon.wait_for("output: opened bob");
    daemon.wait_for("output: closed bob");
    assert!(
        written.elapsed() >= Duration::from_millis(1000),
        "{:?}",
        written.elapsed()
    );
    // One message for all renewals of a turn, not one for each.
    assert!(
        daemon.count("renewed for alice") < 2000,
        "{}",
        daemon.count("renewed for alice")
    );
    dir.append("log", &flood);
    let stopping = Instant::now();
    daemon.signal("TERM");
    daemon.expect_exit(0);
    assert!(
        stopping.elapsed() < Duration::from_secs(10),
        "{:?}",
        stopping.elapsed()
    );
}

/// The record is written after the message that says so.
fn wait_until_nothing_is_recorded(dir: &TempDir) {
    let limit = Instant::now() + common::PATIENCE;
    while !recorded(&dir.read("state")).is_empty() {
        assert!(Instant::now() < limit, "{}", dir.read("state"));
        std::thread::yield_now();
    }
}
