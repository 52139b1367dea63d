//! When the system has nothing left to give: there is a message, and when it gives again, everything goes on without a
//! restart.

mod common;

use common::{Daemon, TempDir, any_rule, config, knock, outcome, recorded, rule};
use std::fs;
use std::time::{Duration, Instant};

/// Sets a soft limit of the running daemon, as the user that `launcher` becomes; none if that cannot be done.
fn limit(daemon: &Daemon, launcher: &[&str], limit: &str) -> Option<()> {
    let (pid, limit) = (format!("--pid={}", daemon.pid()), format!("{limit}:"));
    let words = [launcher, &["prlimit", &pid, &limit]].concat();
    if !common::works(words[0], &words[1..]) {
        common::skipped("no way to change the limits of another process");
        return None;
    }
    Some(())
}

/// Two rules: a door that closes after `timeout`, and one without a lease; and a command that is watched.
fn doors(timeout: &str) -> String {
    let door = format!(
        r#""timeout": {timeout}, "actions": ["echo opened {{key}}"], "revert": ["echo closed {{key}}"]"#
    );
    let plain = r#"{"name": "plain", "filter": "^(\\S+) is plain$", "sequence": ["plain"],
        "actions": ["echo done {key}"]}"#;
    let rules = format!("[{}, {plain}]", rule("door", &door));
    let members = r#""file": "log", "command": "sh source", "state": "state""#;
    format!(r#"{{{members}, "ruleset": {rules}}}"#)
}

/// Waits until each of these lines has come, in any order.
fn wait_for_all(daemon: &mut Daemon, awaited: &[&str]) {
    let first = daemon.seen.len();
    let is_missing = |daemon: &Daemon| {
        let new = daemon.seen[first..].join("\n");
        awaited.iter().any(|text| !new.contains(text))
    };
    while is_missing(daemon) {
        daemon.wait_for("");
    }
}

/// The lowest number that no descriptor of the daemon has.
fn lowest_free(daemon: &Daemon) -> usize {
    let is_used =
        |n: &usize| fs::symlink_metadata(format!("/proc/{}/fd/{n}", daemon.pid())).is_ok();
    (0..).find(|n| !is_used(n)).unwrap()
}

/// Whether it is said that there are no descriptors. The C libraries have different words for that; an emulator that
/// lacks them itself says no more than the words.
fn tells_shortage(text: &str) -> bool {
    ["(errno 24)", "Too many open files"]
        .iter()
        .any(|words| text.contains(words))
}

/// Waits for a message that says so.
fn expect_shortage(daemon: &mut Daemon, head: &str) {
    let message = daemon.wait_for(head);
    assert!(tells_shortage(&message), "{message}");
}

/// Ends the command `sh source`, which has written its process id to `pid`.
fn kill_source(dir: &TempDir) {
    let pid = dir.read("pid");
    assert!(common::works("sh", &["-c", "kill -KILL $0", pid.trim()]));
}

const SOURCE: &str = "echo $$ > pid; echo source is plain; exec sleep 100";

#[test]
fn without_descriptors_everything_is_reported_and_made_good_later() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.write("source", SOURCE);
    let mut daemon = Daemon::start(&dir, &doors("2"));
    daemon.wait_for("output: done source");
    dir.append("log", knock("early"));
    daemon.wait_for("output: opened early");
    kill_source(&dir);
    daemon.wait_for("starting it again");
    // The messages come before descriptors are closed.
    daemon.wait_until_idle();
    if limit(&daemon, &[], &format!("--nofile={}", lowest_free(&daemon))).is_none() {
        return;
    }
    // It may have been quicker than we.
    let runs_again = daemon.count("output: done source") > 1;
    dir.append("log", "alice is plain\n");
    expect_shortage(&mut daemon, r#"[ERROR] rule "plain": cannot run "echo": "#);
    dir.append("log", knock("alice"));
    expect_shortage(
        &mut daemon,
        "knock by alice refused: its commands cannot be run: ",
    );
    daemon.signal("HUP");
    expect_shortage(&mut daemon, "[ERROR] logknockd.conf: ");
    daemon.wait_for("the configuration in use is kept");
    daemon.wait_for("closing for early");
    daemon.wait_for("not closed for early, trying again in 1 s");
    dir.rename("log", "log.1");
    dir.write("log", "bob one\n");
    expect_shortage(&mut daemon, r#"[ERROR] "log": "#);
    limit(&daemon, &[], "--nofile=1024").unwrap();
    dir.append("log", "bob two\nbob three\n");
    let awaited = [
        "output: closed early",
        "output: closed bob",
        "output: done source",
    ];
    wait_for_all(&mut daemon, &awaited[..3 - usize::from(runs_again)]);
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

/// Numbers of descriptors, from the fewest with which the program can be started at all (its libraries, or its
/// emulator, take some).
fn few(dir: &TempDir) -> std::ops::Range<u32> {
    let can_start = |number: &u32| {
        let mut command = dir.command_after(&[], &format!("ulimit -n {number}"), &["-V"]);
        command.output().unwrap().status.success()
    };
    let fewest = (3..20).find(can_start).expect("twenty are enough");
    fewest..fewest + 13
}

#[test]
fn however_few_descriptors_there_are_at_the_start_it_says_so_or_works() {
    let outcomes = few(&TempDir::new()).map(|number| {
        let dir = TempDir::new();
        dir.write("input", knock("alice"));
        dir.configure(
            &doors("60")
                .replace(r#""log""#, r#""-""#)
                .replace("sh source", "true"),
        );
        let limit = format!("exec < input; ulimit -n {number}");
        let arguments = ["-c", common::CONFIG];
        let output = dir.command_after(&[], &limit, &arguments).output().unwrap();
        let (status, _, log) = outcome(&output);
        let works = log.contains("output: opened alice") && log.contains("output: closed alice");
        assert!(tells_shortage(&log) || works, "with {number}: {log}");
        assert!(
            !works || status == Some(0),
            "with {number}: {status:?} {log}"
        );
        works
    });
    let outcomes: Vec<bool> = outcomes.collect();
    assert!(!outcomes[0] && outcomes[outcomes.len() - 1], "{outcomes:?}");
}

#[test]
fn a_record_that_there_is_no_descriptor_to_read_with_is_kept() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.write("source", SOURCE);
    let mut daemon = Daemon::start(&dir, &doors("60"));
    dir.append("log", knock("alice"));
    daemon.wait_for("output: opened alice");
    drop(daemon);
    let mut last = None;
    let numbers = few(&dir);
    for number in numbers.clone() {
        let limit = format!("ulimit -n {number}");
        let arguments = ["-c", common::CONFIG];
        let mut daemon = Daemon::spawn(&mut dir.command_after(&[], &limit, &arguments));
        let end = daemon.lines_until("").pop().unwrap();
        if end.contains("going on with 1 recorded lease") {
            last = Some(number);
            break;
        }
        assert!(tells_shortage(&end), "with {number}: {end}");
        assert_ne!(daemon.exit_status().code(), Some(0));
    }
    assert!(last.is_some(), "it never started");
    if last == Some(numbers.start) {
        common::skipped("the emulator needs more descriptors than the start takes");
    }
}

#[test]
fn without_processes_commands_are_reported_and_reverts_tried_again() {
    let Some((dir, launcher)) = common::as_nobody() else {
        return;
    };
    dir.write("log", "");
    dir.write("source", SOURCE);
    dir.configure(&doors("2"));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(launcher, "", &arguments));
    daemon.wait_for("output: done source");
    dir.append("log", knock("early"));
    daemon.wait_for("output: opened early");
    let Some(()) = limit(&daemon, launcher, "--nproc=0") else {
        return;
    };
    let no_more = "Resource temporarily unavailable (errno 11)";
    kill_source(&dir);
    daemon.wait_for("starting it again");
    dir.append("log", "alice is plain\n");
    daemon.wait_for(&format!(
        "[ERROR] rule \"plain\": cannot run \"echo\": {no_more}"
    ));
    daemon.wait_for("not closed for early, trying again in 1 s");
    daemon.wait_for("not closed for early, trying again in 2 s");
    limit(&daemon, launcher, "--nproc=1000").unwrap();
    wait_for_all(
        &mut daemon,
        &["output: done source", "output: closed early"],
    );
    dir.append("log", knock("bob"));
    daemon.wait_for("output: opened bob");
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

#[test]
fn when_inotify_watches_run_out_later_files_are_looked_at_every_second() {
    let launcher = ["unshare", "-Ur"];
    let allow = |number: u32| format!("echo {number} > /proc/sys/user/max_inotify_watches");
    if !common::works(launcher[0], &[launcher[1], "sh", "-c", &allow(100)]) {
        return common::skipped("no user namespaces to limit inotify in");
    }
    let dir = TempDir::new();
    dir.write("log", "");
    dir.configure(&config(r#""log""#, &[any_rule()]));
    let arguments = ["-T", "-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, &allow(100), &arguments));
    daemon.wait_until_watching();
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
    assert_eq!(daemon.count("inotify"), 0);
    // The namespace is known by its process.
    let inside = [
        "-t",
        &daemon.pid().to_string(),
        "-U",
        "--preserve-credentials",
    ];
    if !common::works("nsenter", &[&inside[..], &["sh", "-c", &allow(1)]].concat()) {
        return common::skipped("no way into the user namespace of the daemon");
    }
    dir.rename("log", "log.1");
    dir.write("log", "b\n");
    daemon.wait_for("[WARN] inotify: No space left on device");
    daemon.expect_lines(&["b"]);
    dir.append("log", "c\n");
    daemon.expect_lines(&["c"]);
    dir.rename("log", "log.2");
    dir.write("log", "d\n");
    daemon.expect_lines(&["d"]);
}

#[test]
fn on_a_full_disk_nothing_is_opened_what_is_open_is_closed_and_room_is_enough_to_go_on() {
    let launcher = ["unshare", "-Urm"];
    let mount = "mount -t tmpfs -o size=64k,mode=755 none disk";
    let dir = TempDir::new();
    dir.mkdir("disk");
    dir.write("log", "");
    let place = format!("cd '{}' && {mount}", dir.text(""));
    if !common::works(launcher[0], &[launcher[1], "sh", "-c", &place]) {
        return common::skipped("no namespaces to mount a small disk in");
    }
    // Nobody else sees that disk: the daemon's own commands fill and empty it.
    let order = |name: &str, action: &str| {
        let filter = format!(r#""filter": "^(root) {name}$", "sequence": ["{name}"]"#);
        format!(r#"{{"name": "{name}", {filter}, "actions": [["sh", "-c", "{action}"]]}}"#)
    };
    let door =
        r#""timeout": 600, "actions": ["echo opened {key}"], "revert": ["echo closed {key}"]"#;
    let closer =
        r#"{"name": "closer", "filter": "^(\\S+) ", "sequence": ["closes$"], "closes": "door"}"#;
    let rules = [
        rule("door", door),
        closer.into(),
        order("fill", "cat /dev/zero > disk/fill; ls disk; echo full"),
        order("empty", "rm disk/fill; cat disk/state; echo; echo empty"),
    ];
    dir.configure(&config(r#""log", "state": "disk/state""#, &rules));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, mount, &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("early"));
    daemon.wait_for("output: opened early");
    dir.append("log", "root fill\n");
    daemon.wait_for("output: full");
    assert_eq!(daemon.count("state.new"), 0);
    // What the record's last page has room for is still written.
    let knocks = (0..100).map(|number| knock(&format!("k{number}")));
    dir.append("log", knocks.collect::<String>());
    daemon.wait_for("refused: cannot write \"disk/state\": No space left on device");
    // There is room for a closing or two.
    let closings = (0..100).map(|number| format!("k{number} closes\n"));
    dir.append(
        "log",
        "early closes\n".to_string() + &closings.collect::<String>(),
    );
    let failed = "[ERROR] record of leases: cannot write";
    wait_for_all(&mut daemon, &["output: closed early", failed]);
    dir.append("log", "root empty\n");
    // The record of before is whole: had the machine failed, the next start would have closed it.
    daemon.wait_for("\"key\":\"early\"");
    daemon.wait_for("output: empty");
    dir.append("log", knock("bob"));
    daemon.wait_for("output: opened bob");
    daemon.signal("TERM");
    daemon.wait_for("output: closed bob");
    daemon.expect_exit(0);
}

#[test]
fn while_the_record_cannot_be_written_what_happens_does_not_write_it_again_and_again() {
    let dir = TempDir::new();
    dir.write("log", "");
    let door = r#""timeout": 600, "actions": ["true"], "revert": ["true {key}"]"#;
    let closer =
        r#"{"name": "closer", "filter": "^(\\S+) ", "sequence": ["closes$"], "closes": "door"}"#;
    let rules = [rule("door", door), closer.into()];
    let mut daemon = Daemon::start(&dir, &config(r#""log", "state": "state""#, &rules));
    for_each(&dir, 0..200, knock);
    daemon.wait_for(": opened for k199");
    // Less than the record of those that stay.
    if limit(&daemon, &[], "--fsize=2000").is_none() {
        return;
    }
    let before = written(&daemon);
    for_each(&dir, 0..180, |key| format!("{key} closes\n"));
    daemon.wait_for("[ERROR] record of leases: cannot write");
    daemon.wait_for("\"door\": closed for k179");
    // Most of it is messages. One try for each event would take ten times as much.
    let grown = written(&daemon) - before;
    assert!(grown < 200_000, "{grown}");
    assert_eq!(daemon.count("[ERROR]"), 1);
    dir.append("log", knock("early"));
    daemon.wait_for("knock by early refused: cannot write \"state\": File too large");
    limit(&daemon, &[], "--fsize=unlimited").expect("it could be set before");
    // However long it has been so, what comes next opens, and all that has happened is written with it.
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    assert_eq!(recorded(&dir.read("state")).len(), 21);
}

#[test]
fn whoever_closes_by_hand_reads_what_is_so_as_soon_as_it_can_be_written() {
    let dir = TempDir::new();
    dir.write("log", "");
    let door = r#""timeout": 600, "actions": ["true"], "revert": ["true {key}"]"#;
    let door = [rule("door", door)];
    let mut daemon = Daemon::start(&dir, &config(r#""log", "state": "state""#, &door));
    for_each(&dir, 0..20, knock);
    daemon.wait_for(": opened for k19");
    // Less than the record of those that stay.
    if limit(&daemon, &[], "--fsize=2000").is_none() {
        return;
    }
    let close = |key| outcome(&dir.run(&["-c", common::CONFIG, "-x", key]));
    let (status, said, errors) = close("k0");
    assert_eq!((status, &said[..]), (Some(1), ""));
    assert_eq!(errors, "still in the record, see the log: \"door\" k0\n");
    daemon.wait_for("\"door\": closed for k0");
    limit(&daemon, &[], "--fsize=unlimited").expect("it could be set before");
    let (status, said, errors) = close("k1");
    assert_eq!(
        (status, &said[..]),
        (Some(0), "closed: \"door\" k1\n"),
        "{errors}"
    );
    assert_eq!(recorded(&dir.read("state")).len(), 18);
}

/// What the daemon has written, messages and all.
fn written(daemon: &Daemon) -> usize {
    let io = fs::read_to_string(format!("/proc/{}/io", daemon.pid())).expect("its io");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).expect("a number")
}

fn for_each(dir: &TempDir, numbers: std::ops::Range<u32>, lines: impl Fn(&str) -> String) {
    for number in numbers {
        dir.append("log", lines(&format!("k{number}")));
    }
}

#[test]
fn what_was_due_while_the_daemon_was_stopped_is_done_when_it_goes_on() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.write("source", SOURCE);
    let mut daemon = Daemon::start(&dir, &doors("3"));
    dir.append("log", knock("early"));
    daemon.wait_for("output: opened early");
    daemon.signal("STOP");
    let stopped = Instant::now();
    // More than a pipe holds, a rotation, and the end of the command it watches.
    kill_source(&dir);
    dir.append("log", "noise\n".repeat(100_000) + "bob one\n");
    dir.rename("log", "log.1");
    dir.write("log", "bob two\nbob three\n");
    while stopped.elapsed() < Duration::from_secs(4) {
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.signal("CONT");
    let went_on = Instant::now();
    daemon.wait_for("closing for early");
    assert!(
        went_on.elapsed() < Duration::from_millis(2500),
        "{:?}",
        went_on.elapsed()
    );
    wait_for_all(&mut daemon, &["output: done source", "output: closed bob"]);
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

#[test]
fn a_command_that_was_stopped_is_ended_at_its_time() {
    let dir = TempDir::new();
    dir.write("log", "");
    let stopped =
        r#""action_timeout": 0.3, "actions": [["sh", "-c", "kill -STOP $$"], "echo done"]"#;
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &[rule("x", stopped)]));
    dir.append("log", knock("alice"));
    daemon.wait_for("takes too long, terminating it");
    // A stopped process does not act on SIGTERM.
    daemon.wait_for("does not end, killing it");
    daemon.wait_for("ended by signal 9");
    daemon.wait_for("output: done");
}

#[test]
fn thousands_of_quick_commands_run_in_order_and_are_all_waited_for() {
    const COUNT: usize = 2000;
    /// Fewer than may wait.
    const AT_ONCE: usize = 100;
    let dir = TempDir::new();
    dir.write("log", "");
    let actions = r#""actions": [["sh", "-c", "echo $LOGKNOCK_KEY >> done"], "true"]"#;
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &[rule("x", actions)]));
    for first in (0..COUNT).step_by(AT_ONCE) {
        let keys = first..first + AT_ONCE;
        dir.append(
            "log",
            keys.map(|key| knock(&key.to_string())).collect::<String>(),
        );
        (0..AT_ONCE).for_each(|_| drop(daemon.wait_for("running true")));
    }
    let expected: String = (0..COUNT).map(|key| format!("{key}\n")).collect();
    assert_eq!(dir.read("done"), expected);
    let deadline = Instant::now() + common::PATIENCE;
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
    while !fs::read_to_string(&children).unwrap().is_empty() {
        assert!(Instant::now() < deadline, "a child was not waited for");
        std::thread::yield_now();
    }
}

/// What the daemon has mapped, in bytes.
fn mapped(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
fn without_memory_it_says_so_and_the_next_start_closes_what_is_open() {
    if common::is_emulated() {
        return common::skipped("it is the emulator that runs out of memory");
    }
    let dir = TempDir::new();
    dir.write("log", "");
    dir.write("source", "sleep 1000");
    let mut daemon = Daemon::start(&dir, &doors("600"));
    dir.append("log", knock("first"));
    daemon.wait_for("output: opened first");
    let more = format!("--as={}", mapped(&daemon) + (64 << 10));
    if limit(&daemon, &[], &more).is_none() {
        return;
    }
    // Each sender who has begun takes memory.
    let begun: String = (0..4000).map(|n| format!("sender-{n} one\n")).collect();
    dir.append("log", begun);
    daemon.wait_for("[ERROR] logknockd: out of memory");
    daemon.expect_exit(1);
    let mut daemon = Daemon::start(&dir, &doors("600"));
    assert_eq!(daemon.count("going on with 1 recorded lease"), 1);
    daemon.signal("TERM");
    daemon.wait_for("output: closed first");
    daemon.expect_exit(0);
}
