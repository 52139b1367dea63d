//! Files are found, waited for, and cut into lines, whatever they hold and wherever they are.
//!
//! In trace mode the daemon shows every line it reads, so most of these tests say which lines must come
//! out, in which order, after something was done to the file.

mod common;

use common::{Daemon, TempDir, any_rule, config, follow, follow_log, knock, rule};
use std::fs;
use std::io::Write;

#[test]
fn what_was_written_before_the_start_is_not_read() {
    let dir = TempDir::new();
    dir.write("log", knock("early"));
    let mut daemon = follow(&dir, r#""log""#);
    dir.append("log", "first\n");
    daemon.expect_lines(&["first"]);
}

#[test]
fn the_rest_of_a_line_that_began_before_the_start_is_no_line() {
    let dir = TempDir::new();
    dir.write("log", "203.0.113.9 GET / agent=\"");
    let mut daemon = follow(&dir, r#""log""#);
    dir.append("log", "Failed login from 192.0.2.1\nfirst\n");
    daemon.expect_lines(&["first"]);
}

#[test]
fn a_file_that_comes_later_is_read_from_its_beginning() {
    let dir = TempDir::new();
    let mut daemon = follow(&dir, r#""log""#);
    assert_eq!(daemon.count("not there yet, waiting for it"), 1);
    dir.write("log", "a\n");
    daemon.expect_lines(&["a"]);
}

#[test]
fn a_file_that_comes_later_and_is_older_than_the_start_is_read_from_its_end() {
    let dir = TempDir::new();
    dir.mkdir("disk");
    dir.write("disk/log", knock("last week"));
    // As if the disk came from elsewhere, or the clock has not been set yet.
    for time in ["2001-01-01", "2101-01-01"] {
        dir.symlink("nowhere", "mounted");
        assert!(common::works("touch", &["-d", time, &dir.text("disk/log")]));
        let mut daemon = follow(&dir, r#""mounted/log""#);
        dir.symlink("disk", "next");
        dir.rename("next", "mounted");
        daemon.wait_for("has nothing new");
        dir.append("disk/log", "a\n");
        daemon.expect_lines(&["a"]);
        dir.remove("mounted");
    }
}

#[test]
fn a_log_that_can_be_opened_and_not_read_is_reported_once() {
    if common::is_emulated() {
        return common::skipped("the memory of the emulator can be read from its beginning");
    }
    let dir = TempDir::new();
    dir.write("log", "");
    // Nothing is mapped at its beginning.
    let mut daemon = follow(&dir, r#"["/proc/self/mem", "log"]"#);
    std::thread::sleep(std::time::Duration::from_secs(4));
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
    assert_eq!(daemon.count(r#""/proc/self/mem": "#), 1);
    let refused = r#"[ERROR] "/proc/self/mem": Input/output error (errno 5); trying again"#;
    assert_eq!(daemon.count(refused), 1);
}

/// Whether the daemon has opened the device `name`.
fn has_open(daemon: &Daemon, name: &str) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let mut targets = descriptors.map_while(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| target.ends_with(name))
}

#[test]
fn a_device_in_the_place_of_the_log_is_not_opened() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    dir.rename("log", "log.1");
    dir.symlink("/dev/zero", "log");
    daemon.wait_for(r#"[ERROR] "log": leads to a device"#);
    assert!(!has_open(&daemon, "dev/zero"));
    dir.append("log.1", "a\n");
    daemon.expect_lines(&["a"]);
    dir.remove("log");
    dir.write("log", "b\n");
    daemon.expect_lines(&["b"]);
}

#[test]
fn a_device_is_opened_if_the_path_is_one_and_not_through_a_link() {
    let dir = TempDir::new();
    dir.symlink("/dev/zero", "zero");
    dir.write("log", "");
    let mut daemon = follow(&dir, r#"["zero", "/dev/null", "later", "log"]"#);
    assert_eq!(daemon.count(r#"[ERROR] "zero": leads to a device"#), 1);
    daemon.wait_for(r#""/dev/null": has come to its end"#);
    dir.symlink("/dev/zero", "later");
    daemon.wait_for(r#"[ERROR] "later": leads to a device"#);
    assert!(!has_open(&daemon, "dev/zero"));
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
}

#[test]
fn the_kernels_queue_is_not_read_by_whatever_name() {
    if !std::path::Path::new("/proc/kmsg").exists() {
        return common::skipped("there is no /proc/kmsg");
    }
    let dir = TempDir::new();
    dir.symlink("/proc/kmsg", "queue");
    dir.write("log", "");
    let mut daemon = follow(&dir, r#"["/proc/kmsg", "queue", "log"]"#);
    for name in ["/proc/kmsg", "queue"] {
        assert_eq!(
            daemon.count(&format!("[ERROR] \"{name}\": takes its lines")),
            1
        );
        assert!(!has_open(&daemon, "proc/kmsg"));
    }
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
}

#[test]
fn directories_that_come_later_are_waited_for() {
    let dir = TempDir::new();
    let mut daemon = follow(&dir, &format!("{:?}", dir.text("a/b/c/log")));
    dir.mkdir("a");
    dir.mkdir("a/b/c");
    dir.write("a/b/c/log", "at once\n");
    daemon.expect_lines(&["at once"]);
}

#[test]
fn a_symbolic_link_that_is_switched_leads_to_the_new_target() {
    let dir = TempDir::new();
    dir.write("monday", "");
    dir.symlink("monday", "log");
    let mut daemon = follow(&dir, r#""log""#);
    dir.append("monday", "a\n");
    dir.write("tuesday", "b\n");
    dir.symlink("tuesday", "next");
    dir.rename("next", "log");
    daemon.expect_lines(&["a", "b"]);
    dir.append("tuesday", "c\n");
    daemon.expect_lines(&["c"]);
}

#[test]
fn a_directory_link_that_is_switched_leads_to_the_new_target() {
    let dir = TempDir::new();
    dir.mkdir("monday");
    dir.write("monday/log", "");
    dir.symlink("monday", "today");
    let mut daemon = follow(&dir, r#""today/log""#);
    dir.mkdir("tuesday");
    dir.write("tuesday/log", "b\n");
    dir.append("monday/log", "a\n");
    daemon.expect_lines(&["a"]);
    dir.remove("today");
    dir.symlink("tuesday", "today");
    daemon.expect_lines(&["b"]);
    dir.rename("tuesday/log", "tuesday/log.1");
    dir.write("tuesday/log", "c\n");
    daemon.expect_lines(&["c"]);
}

#[test]
fn the_target_of_a_symbolic_link_can_be_rotated() {
    let dir = TempDir::new();
    dir.mkdir("elsewhere/deep");
    dir.write("elsewhere/deep/real", "");
    dir.symlink("elsewhere/../elsewhere/deep/real", "log");
    let mut daemon = follow(&dir, r#""log""#);
    dir.append("log", "a\n");
    dir.rename("elsewhere/deep/real", "elsewhere/deep/real.1");
    dir.write("elsewhere/deep/real", "b\n");
    daemon.expect_lines(&["a", "b"]);
    dir.rename("elsewhere", "away");
    dir.mkdir("elsewhere/deep");
    dir.write("elsewhere/deep/real", "c\n");
    daemon.expect_lines(&["c"]);
}

#[test]
fn a_link_to_a_file_that_comes_later_is_waited_for() {
    let dir = TempDir::new();
    dir.mkdir("elsewhere");
    dir.symlink(&dir.text("elsewhere/deep/real"), "log");
    let mut daemon = follow(&dir, r#""log""#);
    dir.mkdir("elsewhere/deep");
    dir.write("elsewhere/deep/real", "a\n");
    daemon.expect_lines(&["a"]);
}

#[test]
fn links_that_lead_through_each_other_do_not_keep_the_daemon_busy() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.symlink(".", "0");
    for number in 1..40 {
        let former = number - 1;
        dir.symlink(&format!("{former}/{former}"), &number.to_string());
    }
    dir.symlink("loop", "loop");
    let mut daemon = follow(&dir, r#"["2/log", "39/log", "loop", "log"]"#);
    // In whatever words the C library has for it.
    assert_eq!(daemon.count("; trying again"), 2);
    dir.append("log", "a\n");
    daemon.expect_lines(&["a", "a"]);
}

#[test]
fn more_events_than_the_kernel_keeps_lose_nothing() {
    let dir = TempDir::new();
    let echo = rule("x", r#""actions": ["echo opened {key}"]"#);
    dir.write("a", "");
    dir.write("b", "");
    let mut daemon = Daemon::start(&dir, &config(r#"["a", "b"]"#, &[echo]));
    daemon.signal("STOP");
    let mut writers = ["a", "b"].map(|name| dir.writer(name));
    // In turn, or the kernel would make one event of many.
    for _ in 0..10_000 {
        for writer in &mut writers {
            writer.write_all(b"noise\n").unwrap();
        }
    }
    dir.append("b", "bob one\nbob two\nbob three\n");
    dir.rename("a", "a.1");
    dir.write("a", knock("alice"));
    daemon.signal("CONT");
    for _ in 0..2 {
        daemon.wait_for("output: opened");
    }
}

#[test]
fn one_file_by_two_names_is_followed_by_each_on_its_own() {
    let dir = TempDir::new();
    dir.write("log", "");
    fs::hard_link(dir.path("log"), dir.path("copy")).unwrap();
    let mut daemon = follow(&dir, r#"["log", "copy"]"#);
    dir.append("copy", "both\n");
    daemon.expect_lines(&["both", "both"]);
    dir.remove("log");
    dir.write("log", "new\n");
    daemon.expect_lines(&["new"]);
    // That one name leads elsewhere now must not make the other one deaf.
    dir.append("copy", "old\n");
    daemon.expect_lines(&["old"]);
}

#[test]
fn a_line_written_byte_by_byte_is_one_line() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let mut writer = dir.writer("log");
    for byte in b"one line\nand another\n" {
        writer.write_all(&[*byte]).unwrap();
    }
    daemon.expect_lines(&["one line", "and another"]);
}

#[test]
fn lines_beyond_the_limit_are_cut_with_one_warning() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let flood = "x".repeat(100_000);
    dir.append("log", format!("before\n{flood}\nbetween\n{flood}\nafter\n"));
    daemon.expect_lines(&["before"]);
    assert!(daemon.wait_for_rest("[TRACE] \"log\": ").starts_with("xxx"));
    daemon.expect_lines(&["between"]);
    assert!(daemon.wait_for_rest("[TRACE] \"log\": ").starts_with("xxx"));
    daemon.expect_lines(&["after"]);
    assert_eq!(daemon.count("a line is longer than 8192 bytes"), 1);
}

#[test]
fn where_a_line_was_cut_is_not_its_end() {
    let cut_behind = |text: &str, more: &str| {
        let head = r#"198.51.100.9 GET /login 401 agent=""#;
        let pad = "A".repeat(8192 - head.len() - text.len());
        format!("{head}{pad}{text}{more}\n")
    };
    // A sender whose agent is so long that the cut falls behind an address of his choice, or behind what is ignored.
    let log = cut_behind(" client=198.51.100.10", "0 and more client=192.0.2.66")
        + &cut_behind(" trusted", " not client=192.0.2.66")
        + "198.51.100.9 GET / 401 trusted\n198.51.100.9 GET / 401 client=192.0.2.1\n";
    let actions = r#""actions": ["true"]"#;
    let rules = [
        format!(
            r#"{{"name": "ban", "filter": "401 .*client=([0-9.]+)$", "sequence": ["401"], {actions}}}"#
        ),
        format!(
            r#"{{"name": "count", "filter": "^([0-9.]+) ", "sequence": ["401"], "ignore": "trusted$", {actions}}}"#
        ),
        format!(
            r#"{{"name": "step", "filter": "^([0-9.]+) ", "sequence": ["trusted$"], {actions}}}"#
        ),
    ];
    let dir = TempDir::new();
    dir.write("log", "");
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    dir.append("log", &log);
    let lines = daemon.lines_until("\"ban\": knock by 192.0.2.1");
    let count = |rule: &str| {
        let knock = format!("\"{rule}\": knock by");
        lines.iter().filter(|line| line.contains(&knock)).count()
    };
    assert_eq!([count("ban"), count("step")], [1, 1]);
    daemon.wait_for("\"count\": knock by");
    assert_eq!(daemon.count("\"count\": knock by"), 3);
    let (_, shown, _) = common::outcome(&dir.run(&["-n", "-c", common::CONFIG, "log"]));
    let knocks: Vec<_> = shown
        .lines()
        .filter(|line| line.contains(": knock "))
        .collect();
    let expected = [
        r#"1: knock "count" 198.51.100.9"#,
        r#"2: knock "count" 198.51.100.9"#,
        r#"3: knock "step" 198.51.100.9"#,
        r#"4: knock "ban" 192.0.2.1"#,
        r#"4: knock "count" 198.51.100.9"#,
    ];
    assert_eq!(knocks, expected);
}

#[test]
fn bytes_that_are_no_text_are_part_of_a_line() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    dir.append(
        "log",
        b"nul \0 in it\n\xff\xfe not UTF-8\r\n\x01\n\n \t \nend\n",
    );
    let nul = r"nul \x00 in it";
    daemon.expect_lines(&[nul, r"\xff\xfe not UTF-8", r"\x01", "", "", "end"]);
}

#[test]
fn several_files_are_followed_at_once() {
    let dir = TempDir::new();
    dir.write("a", "");
    dir.mkdir("d");
    let mut daemon = follow(&dir, r#"["a", "d/b", "c"]"#);
    for round in 0..3 {
        for name in ["a", "d/b", "c"] {
            dir.append(name, format!("{name} {round}\n"));
            daemon.expect_lines(&[&format!("{name} {round}")]);
            dir.rename(name, &format!("{name}.old"));
        }
    }
}

#[test]
fn with_poll_files_are_looked_at_on_a_timer() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = any_rule();
    let config = format!(r#"{{"file": ["log", "later"], "poll": 0.1, "ruleset": [{rules}]}}"#);
    let mut daemon = Daemon::start_with(&dir, &config, &["-T"]);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let targets = descriptors.map_while(|entry| fs::read_link(entry.ok()?.path()).ok());
    assert!(
        !targets
            .into_iter()
            .any(|target| target.ends_with("anon_inode:inotify"))
    );
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
    dir.rename("log", "log.1");
    dir.write("log", "b\n");
    daemon.expect_lines(&["b"]);
    dir.write("later", "c\n");
    daemon.expect_lines(&["c"]);
}

/// Follows a file with the user's inotify limit `name` set to `limit`.
fn follow_with_limit(name: &str, limit: u32) {
    let limited = format!("echo {limit} > /proc/sys/user/{name}");
    let launcher = ["unshare", "-Ur"];
    if !common::works(launcher[0], &[launcher[1], "sh", "-c", &limited]) {
        return common::skipped("no user namespaces to limit inotify in");
    }
    let dir = TempDir::new();
    dir.write("log", "");
    dir.configure(&config(r#"["log", "later"]"#, &[any_rule()]));
    let arguments = ["-T", "-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, &limited, &arguments));
    daemon.wait_for("[WARN] inotify: ");
    daemon.wait_until_watching();
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
    dir.rename("log", "log.1");
    dir.write("log", "b\n");
    dir.write("later", "");
    daemon.expect_lines(&["b"]);
    dir.append("later", "c\n");
    daemon.expect_lines(&["c"]);
    assert_eq!(daemon.count("inotify: "), 1);
}

#[test]
fn without_an_inotify_instance_files_are_looked_at_every_second() {
    follow_with_limit("max_inotify_instances", 0);
}

#[test]
fn without_inotify_watches_files_are_looked_at_every_second() {
    follow_with_limit("max_inotify_watches", 0);
}

#[test]
fn with_too_few_inotify_watches_files_are_looked_at_every_second() {
    follow_with_limit("max_inotify_watches", 1);
}

#[test]
fn a_directory_that_cannot_be_watched_for_a_while_does_not_end_inotify() {
    // A network file system whose server is gone: the watch at the start is set, the next ones are not.
    let fail = "--inject=inotify_add_watch:error=EIO:when=2..4";
    // As a child of the daemon's, which is ended with the test.
    let launcher = ["strace", "-D", "-o", "calls", "-P", "./disk", fail];
    if common::is_emulated() || !common::works("strace", &["-o", "/dev/null", fail, "true"]) {
        return common::skipped("no strace to let system calls fail");
    }
    let dir = TempDir::new();
    dir.mkdir("disk");
    dir.write("disk/log", "");
    dir.configure(&config(r#""disk/log""#, &[any_rule()]));
    let arguments = ["-T", "-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, "", &arguments));
    daemon.wait_until_watching();
    for line in ["a", "b", "c"] {
        dir.remove("disk/log");
        dir.write("disk/log", format!("{line}\n"));
        daemon.expect_lines(&[line]);
    }
    let calls = dir.read("calls");
    assert!(calls.contains("EIO"), "{calls}");
    let once = "inotify: a directory cannot be read; looking at files every second as well";
    assert_eq!((daemon.count("inotify: "), daemon.count(once)), (1, 1));
}

#[test]
fn a_directory_in_the_place_of_the_log_is_reported_and_its_successor_read() {
    let dir = TempDir::new();
    dir.mkdir("log");
    let mut daemon = follow(&dir, r#""log""#);
    assert_eq!(
        daemon.count(r#"[ERROR] "log": not a file with lines to read"#),
        1
    );
    fs::remove_dir(dir.path("log")).unwrap();
    dir.write("log", "a\n");
    daemon.expect_lines(&["a"]);
}

/// A daemon without root's rights that follows `file` in `dir`.
fn follow_as_nobody(dir: &TempDir, launcher: &[&str], file: &str) -> Daemon {
    dir.configure(&config(&format!("{file:?}"), &[any_rule()]));
    let arguments = ["-T", "-c", common::CONFIG];
    Daemon::spawn(&mut dir.command_after(launcher, "", &arguments))
}

#[test]
fn a_log_that_may_not_be_read_is_reported_and_tried_again() {
    let Some((dir, launcher)) = common::as_nobody() else {
        return;
    };
    dir.write("log", "");
    dir.chmod("log", 0);
    let mut daemon = follow_as_nobody(&dir, launcher, "log");
    daemon.wait_for(r#"[ERROR] "log": Permission denied (errno 13); trying again"#);
    daemon.wait_until_watching();
    dir.chmod("log", 0o644);
    daemon.wait_for(r#""log": opened"#);
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
}

#[test]
fn what_was_in_a_log_before_it_could_be_read_is_not_read() {
    let Some((dir, launcher)) = common::as_nobody() else {
        return;
    };
    dir.write("log", "old\n");
    dir.chmod("log", 0);
    let mut daemon = follow_as_nobody(&dir, launcher, "log");
    daemon.wait_until_watching();
    dir.chmod("log", 0o644);
    daemon.wait_for(r#""log": opened"#);
    dir.append("log", "new\n");
    daemon.expect_lines(&["new"]);
}

#[test]
fn rotation_in_a_directory_that_may_be_entered_but_not_listed_is_noticed() {
    let Some((dir, launcher)) = common::as_nobody() else {
        return;
    };
    dir.mkdir("closed");
    dir.write("closed/log", "");
    dir.chmod("closed/log", 0o644);
    let mut daemon = follow_as_nobody(&dir, launcher, "closed/log");
    daemon.wait_until_watching();
    dir.chmod("closed", 0o311);
    dir.append("closed/log", "a\n");
    daemon.expect_lines(&["a"]);
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    for line in ["b", "c"] {
        dir.remove("closed/log");
        dir.write("closed/log", format!("{line}\n"));
        daemon.expect_lines(&[line]);
    }
}
