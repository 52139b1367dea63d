//! Rotation, of whatever kind, loses no line, repeats none and keeps their order.

mod common;

use common::{Daemon, Random, TempDir, any_rule, config, follow, follow_log, rule};
use std::fs::{self, File};
use std::io::Write;

#[test]
fn a_knock_survives_rotation_between_its_steps() {
    let dir = TempDir::new();
    dir.write("log", "");
    let echo = rule("x", r#""actions": ["echo opened {key}"]"#);
    let config = config(r#""log""#, &[echo]);
    let mut daemon = Daemon::start_with(&dir, &config, &["-d"]);
    dir.append("log", "alice one\n");
    dir.rename("log", "log.1");
    dir.write("log", "alice two\n");
    daemon.wait_for("alice step 2/3");
    dir.rename("log", "log.2");
    dir.write("log", "alice three\n");
    daemon.wait_for("output: opened alice");
}

#[test]
fn late_lines_of_the_old_file_come_before_the_first_of_the_new() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let mut old = dir.writer("log");
    old.write_all(b"a\n").unwrap();
    daemon.expect_lines(&["a"]);
    dir.rename("log", "log.1");
    dir.write("log", "");
    daemon.wait_for("rotated");
    // The writer has not been told yet.
    old.write_all(b"b\n").unwrap();
    daemon.expect_lines(&["b"]);
    old.write_all(b"c\n").unwrap();
    dir.append("log", "d\n");
    daemon.expect_lines(&["c", "d"]);
}

#[test]
fn a_writer_that_keeps_the_renamed_file_open_is_read_until_there_is_a_new_one() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let mut old = dir.writer("log");
    dir.rename("log", "log.1");
    old.write_all(b"a\n").unwrap();
    daemon.expect_lines(&["a"]);
    old.write_all(b"b\n").unwrap();
    dir.write("log", "c\n");
    daemon.expect_lines(&["b", "c"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_its_successor_from_its_beginning() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let mut old = dir.writer("log");
    dir.remove("log");
    old.write_all(b"a\n").unwrap();
    daemon.expect_lines(&["a"]);
    drop(old);
    dir.write("log", "b\nc\n");
    daemon.expect_lines(&["b", "c"]);
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    dir.append("log", "a\nb\n");
    daemon.expect_lines(&["a", "b"]);
    for line in ["c", "d"] {
        fs::copy(dir.path("log"), dir.path("log.1")).unwrap();
        dir.write("log", "");
        daemon.wait_for("truncated");
        dir.append("log", format!("{line}\n"));
        daemon.expect_lines(&[line]);
    }
}

#[test]
fn a_file_moved_over_the_log_takes_its_place() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    dir.append("log", "a\n");
    dir.write("new", "b\nc\n");
    dir.rename("new", "log");
    daemon.expect_lines(&["a", "b", "c"]);
}

#[test]
fn a_replaced_directory_brings_a_new_file() {
    let dir = TempDir::new();
    dir.mkdir("a/b");
    dir.write("a/b/log", "");
    let mut daemon = follow(&dir, r#""a/b/log""#);
    for (round, replaced) in ["a/b", "a", "a/b"].into_iter().enumerate() {
        dir.append("a/b/log", format!("old {round}\n"));
        dir.rename(replaced, &format!("away {round}"));
        dir.mkdir("a/b");
        dir.write("a/b/log", format!("new {round}\n"));
        daemon.expect_lines(&[&format!("old {round}"), &format!("new {round}")]);
    }
}

#[test]
fn the_unfinished_tail_of_a_file_that_was_rotated_away_is_a_line() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    dir.append("log", "a\nno newline");
    daemon.expect_lines(&["a"]);
    dir.rename("log", "log.1");
    dir.write("log", "b\n");
    daemon.expect_lines(&["no newline", "b"]);
}

/// A program that writes numbered lines and has its log rotated in every way.
struct Rotated<'d> {
    dir: &'d TempDir,
    random: Random,
    writer: File,
    /// Lines written so far.
    written: usize,
    /// Those the daemon has shown.
    shown: usize,
    /// The first line of the file that is called `log` now.
    first: usize,
}

impl Rotated<'_> {
    /// Writes up to `limit` lines, in pieces.
    fn write(&mut self, limit: usize) {
        for _ in 0..self.random.below(limit) {
            let line = format!("line {} of many\n", self.written);
            let (head, tail) = line.split_at(self.random.below(line.len()));
            self.writer.write_all(head.as_bytes()).unwrap();
            self.writer.write_all(tail.as_bytes()).unwrap();
            self.written += 1;
        }
    }

    /// Writes at least one line, so that the daemon can be waited for.
    fn begin(&mut self) {
        self.first = self.written;
        self.write(30);
        writeln!(self.writer, "line {} of many", self.written).unwrap();
        self.written += 1;
    }

    /// Waits until the daemon has shown all lines before `end`, and checks them.
    fn wait(&mut self, daemon: &mut Daemon, end: usize) {
        while self.shown < end {
            daemon.expect_lines(&[&format!("line {} of many", self.shown)]);
            self.shown += 1;
        }
    }

    fn rotate(&mut self, daemon: &mut Daemon) {
        // A file that came and went before the daemon could look would be lost to everyone.
        self.wait(daemon, self.first + 1);
        let old = format!("log.{}", self.first);
        match self.random.below(5) {
            0 => {
                self.dir.rename("log", &old);
                self.write(10);
                self.writer = self.dir.writer("log");
            }
            1 => {
                self.dir.rename("log", &old);
                let next = self.dir.writer("log");
                self.write(10);
                self.writer = next;
            }
            2 => {
                self.dir.remove("log");
                self.write(10);
                // The end of the file makes this a line.
                write!(self.writer, "line {} of many", self.written).unwrap();
                self.written += 1;
                self.writer = self.dir.writer("log");
            }
            3 => {
                self.write(10);
                self.writer = self.dir.writer("next");
                self.write(10);
                self.dir.rename("next", "log");
            }
            _ => {
                self.wait(daemon, self.written);
                self.dir.write("log", "");
                daemon.wait_for("truncated");
            }
        }
        self.begin();
    }
}

/// Rotates the log `rounds` times.
fn rotate_at_random(rounds: usize, more: &str) {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = any_rule();
    let config = format!(r#"{{"file": "log", "state": "state", {more} "ruleset": [{rules}]}}"#);
    let mut daemon = Daemon::start_with(&dir, &config, &["-T"]);
    let mut rotated = Rotated {
        dir: &dir,
        random: Random::new(common::seed()),
        writer: dir.writer("log"),
        written: 0,
        shown: 0,
        first: 0,
    };
    rotated.begin();
    let held = held(&daemon);
    for _ in 0..rounds {
        rotated.rotate(&mut daemon);
    }
    let written = rotated.written;
    rotated.wait(&mut daemon, written);
    dir.append("log", "end\n");
    daemon.expect_lines(&["end"]);
    assert_eq!(self::held(&daemon), held, "descriptors and watches");
}

/// How many descriptors the daemon has open, and how many inotify watches.
fn held(daemon: &Daemon) -> (usize, usize) {
    let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid())).unwrap();
    let infos = descriptors.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let watches = |info: String| info.matches("inotify wd").count();
    infos.fold((0, 0), |(count, sum), info| {
        (count + 1, sum + watches(info))
    })
}

#[test]
fn random_rotations_lose_no_line_and_repeat_none() {
    rotate_at_random(300, "");
}

#[test]
fn random_rotations_looked_at_on_a_timer_lose_no_line_and_repeat_none() {
    rotate_at_random(20, r#""poll": 0.1,"#);
}

#[test]
fn a_file_system_that_is_mounted_over_the_directory_is_noticed() {
    let unshare = ["unshare", "--user", "--map-root-user", "--mount"];
    if !common::works("unshare", &["--user", "--map-root-user", "--mount", "true"]) {
        return common::skipped("no namespaces of our own");
    }
    let dir = TempDir::new();
    dir.mkdir("stick");
    dir.write("stick/log", "");
    dir.fifo("go");
    dir.configure(&config(
        r#""stick/log""#,
        &[rule("x", r#""actions": ["true"]"#)],
    ));
    // Mounts when told to; the mount is seen in the namespace only.
    let mount = "(read -r _ < go; mount -t tmpfs none stick; echo first > stick/log) &";
    let arguments = ["-T", "-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&unshare, mount, &arguments));
    daemon.wait_until_watching();
    dir.append("stick/log", "before\n");
    daemon.expect_lines(&["before"]);
    dir.append("go", "go\n");
    daemon.expect_lines(&["first"]);
}
