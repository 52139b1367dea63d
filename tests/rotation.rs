//! Rotation, of whatever kind, loses no line, repeats none and keeps their order.

mod common;

use common::{Daemon, Random, TempDir, any_rule, config, follow, follow_log, rule};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

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
    // Somebody may be about to write the rest of it, until the old file is left.
    daemon.expect_lines(&["b", "no newline"]);
}

#[test]
fn what_a_second_writer_writes_to_the_old_file_is_read() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let mut second = dir.writer("log");
    dir.append("log", "a\n");
    second.write_all(b"b begins").unwrap();
    daemon.expect_lines(&["a"]);
    dir.rename("log", "log.1");
    dir.append("log", "c\n");
    daemon.expect_lines(&["c"]);
    second.write_all(b", b ends\n").unwrap();
    daemon.expect_lines(&["b begins, b ends"]);
    dir.append("log", "d\n");
    second.write_all(b"e\n").unwrap();
    let mut both = [(); 2].map(|()| daemon.wait_for_rest("[TRACE] \"log\": "));
    both.sort();
    assert_eq!(both, ["d", "e"]);
    // A further rotation meanwhile, and all three are written to.
    dir.rename("log", "log.2");
    dir.append("log", "f\n");
    daemon.expect_lines(&["f"]);
    dir.append("log.2", "g\n");
    daemon.expect_lines(&["g"]);
    second.write_all(b"h\n").unwrap();
    daemon.expect_lines(&["h"]);
    dir.append("log", "i\n");
    daemon.expect_lines(&["i"]);
}

#[test]
fn an_old_file_is_left_after_a_while_and_then_costs_nothing() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    let before = held(&daemon);
    let mut old = dir.writer("log");
    dir.rename("log", "log.1");
    dir.write("log", "a\n");
    daemon.expect_lines(&["a"]);
    assert_ne!(held(&daemon), before);
    wait_until_held(&mut daemon, before);
    old.write_all(b"too late\n").unwrap();
    dir.append("log", "b\n");
    daemon.expect_lines(&["b"]);
}

#[test]
fn a_rotation_that_is_taken_back_after_the_new_file_was_written_to_repeats_nothing() {
    let dir = TempDir::new();
    let mut daemon = follow_log(&dir);
    dir.append("log", "a\n");
    dir.rename("log", "log.1");
    dir.write("log", "b\n");
    daemon.expect_lines(&["a", "b"]);
    dir.rename("log.1", "log");
    dir.append("log", "c\n");
    daemon.expect_lines(&["c"]);
}

#[test]
fn a_file_that_a_link_leads_back_to_is_read_on_where_it_was_left() {
    let dir = TempDir::new();
    dir.write("a", "old\n");
    dir.symlink("a", "log");
    let mut daemon = follow_log(&dir);
    let before = held(&daemon);
    dir.append("a", "1\n");
    daemon.expect_lines(&["1"]);
    let mut switch = |target: &str, lines: &[&str]| {
        dir.symlink(target, "next");
        dir.rename("next", "log");
        daemon.expect_lines(lines);
        wait_until_held(&mut daemon, before);
    };
    dir.write("b", "2\n");
    switch("b", &["2"]);
    // More than is remembered of what was read last.
    dir.append("b", numbered(0..100));
    // Somebody has gone on with it meanwhile.
    dir.append("a", "3\n");
    let lines = numbered(0..100);
    let lines: Vec<&str> = lines.lines().chain(["3"]).collect();
    switch("a", &lines);
    // Written anew, even to the same length, it is another one.
    dir.write("b", "x".repeat(numbered(0..100).len() + 1));
    dir.append("b", "\n");
    dir.write("c", "4\n");
    switch("c", &["4"]);
    switch("b", &["x".repeat(numbered(0..100).len() + 1).as_str()]);
}

/// Numbered lines with a time in front, as logs have them.
fn numbered(lines: std::ops::Range<u32>) -> String {
    lines
        .map(|line| format!("Nov 26 06:00:00 gw line {line} of many\n"))
        .collect()
}

/// Follows a log of 300 lines, of which the daemon reads the last ten.
fn follow_numbered(dir: &TempDir) -> Daemon {
    dir.write("log", numbered(0..290));
    let mut daemon = follow(dir, r#""log""#);
    dir.append("log", numbered(290..300));
    expect_numbered(&mut daemon, 290..300);
    daemon
}

fn expect_numbered(daemon: &mut Daemon, lines: std::ops::Range<u32>) {
    for line in numbered(lines).lines() {
        daemon.expect_lines(&[line]);
    }
}

#[test]
fn a_log_that_is_replaced_by_longer_copies_is_read_once_whatever_inodes_they_get() {
    let dir = TempDir::new();
    let mut daemon = follow_numbered(&dir);
    let before = held(&daemon);
    for lines in [310, 320, 330] {
        // Often by the inode of the one that was left last.
        dir.write("next", numbered(0..lines));
        dir.rename("next", "log");
        expect_numbered(&mut daemon, lines - 10..lines);
        wait_until_held(&mut daemon, before);
    }
    dir.append("log", "end\n");
    daemon.expect_lines(&["end"]);
}

#[test]
fn lines_that_a_trimmed_log_keeps_do_not_count_again() {
    for (kept, new) in [(100, 0), (100, 3), (1, 1), (5, 0), (300, 2)] {
        for in_place in [true, false] {
            let dir = TempDir::new();
            let mut daemon = follow_numbered(&dir);
            let trimmed = numbered(300 - kept..300 + new);
            match in_place {
                true => dir.write("log", trimmed),
                false => {
                    dir.write("trimmed", trimmed);
                    dir.rename("trimmed", "log");
                }
            }
            expect_numbered(&mut daemon, 300..300 + new);
            // And what comes now is read at once.
            dir.append("log", numbered(300 + new..310));
            expect_numbered(&mut daemon, 300 + new..310);
        }
    }
}

#[test]
fn a_trimmed_log_that_lacks_the_last_lines_read_repeats_none_of_the_others() {
    for in_place in [true, false] {
        let dir = TempDir::new();
        let mut daemon = follow_numbered(&dir);
        // Two lines came between tail and cat.
        let trimmed = numbered(200..298);
        match in_place {
            true => dir.write("log", trimmed),
            false => {
                dir.write("trimmed", trimmed);
                dir.rename("trimmed", "log");
            }
        }
        dir.append("log", numbered(300..305));
        expect_numbered(&mut daemon, 300..305);
    }
}

#[test]
fn a_trimmed_log_that_takes_its_time_to_be_written_repeats_nothing() {
    let dir = TempDir::new();
    let mut daemon = follow_numbered(&dir);
    dir.write("log", "");
    let mut writer = dir.writer("log");
    for first in (200..300).step_by(10) {
        writer
            .write_all(numbered(first..first + 10).as_bytes())
            .unwrap();
        // Not to wait for anything: the daemon shall see it grow.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    dir.append("log", numbered(300..305));
    expect_numbered(&mut daemon, 300..305);
}

#[test]
fn a_log_that_takes_the_place_of_another_is_read_at_once() {
    let dir = TempDir::new();
    let mut daemon = follow_numbered(&dir);
    let started = std::time::Instant::now();
    for line in 300..320 {
        dir.rename("log", &format!("log.{line}"));
        dir.write("log", numbered(line..line + 1));
        expect_numbered(&mut daemon, line..line + 1);
    }
    assert!(started.elapsed().as_secs() < 20, "it waits at every one");
}

#[test]
fn a_log_that_is_trimmed_more_slowly_than_lines_usually_come_repeats_nothing() {
    for in_place in [true, false] {
        let dir = TempDir::new();
        let mut daemon = follow_numbered(&dir);
        match in_place {
            true => dir.write("log", ""),
            false => dir.rename("log", "old"),
        }
        for first in (150..300).step_by(10) {
            dir.append("log", numbered(first..first + 10));
            // Longer in all than a log that is new is waited for.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        dir.append("log", numbered(300..305));
        expect_numbered(&mut daemon, 300..305);
    }
}

#[test]
fn a_log_that_grows_fast_while_it_is_rewritten_repeats_nothing() {
    let dir = TempDir::new();
    dir.write("log", numbered(0..290));
    // Few lines are told of: what the daemon says must not be more than is taken from it in time.
    let rule = r#"{"name": "r", "filter": "line ([0-9]*[05]0) of", "sequence": ["many$"], "actions": ["true"]}"#;
    let mut daemon = Daemon::start(&dir, &common::config(r#""log""#, &[rule.into()]));
    dir.append("log", numbered(290..301));
    daemon.wait_for("knock by 300");
    daemon.signal("STOP");
    // Without the last line that was read: it might still come. And with more than half of what is searched of a file.
    dir.write("log", numbered(200..300) + &numbered(301..4300));
    daemon.signal("CONT");
    let mut lines = Vec::new();
    // Between two reports it has looked.
    for _ in 0..2 {
        daemon.signal("USR1");
        lines.extend(daemon.lines_until("state: queue"));
    }
    dir.append("log", numbered(4300..8301));
    lines.extend(daemon.lines_until("knock by 8300"));
    let knocks = lines.iter().filter_map(|line| line.split_once("knock by "));
    let knocks: Vec<u32> = knocks
        .map(|(_, line)| line.parse().expect("its number"))
        .collect();
    let expected: Vec<u32> = (350..=8300).step_by(50).collect();
    assert_eq!(knocks, expected);
}

#[test]
fn lines_that_are_taken_out_of_a_log_do_not_make_the_others_count_again() {
    for out in [&[299][..], &[298], &[295], &[288], &[281, 286, 291, 297]] {
        for in_place in [true, false] {
            let dir = TempDir::new();
            let mut daemon = follow_numbered(&dir);
            let kept = (200..302).filter(|line| !out.contains(line));
            let kept: String = kept.map(|line| numbered(line..line + 1)).collect();
            match in_place {
                true => dir.write("log", kept),
                false => {
                    dir.write("kept", kept);
                    dir.rename("kept", "log");
                }
            }
            expect_numbered(&mut daemon, 300..302);
            // And what comes now is read at once.
            dir.append("log", numbered(302..304));
            expect_numbered(&mut daemon, 302..304);
        }
    }
}

/// A line of a ring.
fn line(number: u32) -> String {
    format!("{number:08} a line of always the same length\n")
}

/// A log that is kept at fifty lines, up to `last`.
fn ring(last: u32) -> String {
    (last - 49..=last).map(line).collect()
}

#[test]
fn a_ring_that_is_rewritten_for_every_line_shows_each_line_once_and_at_once() {
    let dir = TempDir::new();
    dir.write("log", ring(100));
    let mut daemon = follow(&dir, r#""log""#);
    let started = std::time::Instant::now();
    for last in 101..200 {
        dir.write("log", ring(last));
        daemon.expect_lines(&[line(last).trim_end()]);
    }
    assert!(started.elapsed().as_secs() < 20, "it waits at every line");
    // Others write the new one aside.
    for last in 200..220 {
        dir.write("next", ring(last));
        dir.rename("next", "log");
        daemon.expect_lines(&[line(last).trim_end()]);
    }
}

#[test]
fn a_ring_that_is_rewritten_while_it_is_read_shows_each_line_once() {
    let dir = TempDir::new();
    dir.write("log", ring(100));
    let mut daemon = follow(&dir, r#""log""#);
    for first in (101..3101).step_by(6) {
        for last in first..first + 6 {
            dir.write("log", ring(last));
        }
        for last in first..first + 6 {
            daemon.expect_lines(&[line(last).trim_end()]);
        }
    }
}

#[test]
fn a_log_that_is_truncated_under_a_writer_that_does_not_append_loses_no_line() {
    let dir = TempDir::new();
    dir.write("log", "");
    let mut writer = File::options().write(true).open(dir.path("log")).unwrap();
    let mut daemon = follow(&dir, r#""log""#);
    for round in 0..3 {
        let before = numbered(0..100 + round);
        writer.write_all(before.as_bytes()).unwrap();
        expect_numbered(&mut daemon, 0..100 + round);
        dir.write("log", "");
        // The file system makes a hole of what was there.
        let after = format!("first {round}\nsecond {round}\n");
        writer.write_all(after.as_bytes()).unwrap();
        daemon.expect_lines(&[&format!("first {round}"), &format!("second {round}")]);
    }
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
        match self.random.below(9) / 2 {
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
    wait_until_held(&mut daemon, held);
}

/// Waits until all that was rotated away has been let go of.
fn wait_until_held(daemon: &mut Daemon, held: (usize, usize)) {
    let limit = std::time::Instant::now() + common::PATIENCE;
    while self::held(daemon) != held {
        if std::time::Instant::now() > limit {
            daemon.fail(&format!("{:?} descriptors and watches", self::held(daemon)));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// How many descriptors of the log the daemon has open, whatever it is called now, and how many inotify watches.
fn held(daemon: &Daemon) -> (usize, usize) {
    let mut held = (0, 0);
    for entry in fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap() {
        let entry = entry.unwrap();
        let target = fs::read_link(entry.path()).unwrap_or_default();
        held.0 += usize::from(target.to_string_lossy().contains("/log"));
        let info = format!("/proc/{}/fdinfo", daemon.pid());
        let info = fs::read_to_string(Path::new(&info).join(entry.file_name()));
        held.1 += info.unwrap_or_default().matches("inotify wd").count();
    }
    held
}

#[test]
fn random_rotations_lose_no_line_and_repeat_none() {
    rotate_at_random(200, "");
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

#[test]
fn a_copy_over_the_rotated_log_is_not_read() {
    let dir = TempDir::new();
    let mut daemon = common::follow_log(&dir);
    dir.append("log", "a\n");
    daemon.expect_lines(&["a"]);
    dir.rename("log", "log.1");
    dir.write("log", "b\nc\n");
    daemon.expect_lines(&["b", "c"]);
    // What a script does that rotates by a copy, into the very file that is still waited for.
    fs::copy(dir.path("log"), dir.path("log.1")).unwrap();
    fs::write(dir.path("log"), "").unwrap();
    dir.append("log", "d\n");
    daemon.expect_lines(&["d"]);
    // A rewritten log is read a second later; it would have been, too.
    dir.write("log", "");
    dir.append("log", "e\n");
    daemon.expect_lines(&["e"]);
}
