//! The dry run goes by the time the log lines carry.

mod common;

use common::{TempDir, config, outcome, rule};

/// What a dry run prints for `log` and the rule `door` with `more`.
fn replay(more: &str, log: &str) -> (String, String) {
    let dir = TempDir::new();
    // The key is the word before the step, wherever in the line it is.
    let rule = rule("door", more).replace(r"^(\\S+) ", r"(\\S+) (?:one|two|three)$");
    dir.configure(&config("\"unused\"", &[rule]));
    dir.write("log", log);
    let (status, out, summary) = outcome(&dir.run(&["-n", "-c", common::CONFIG, "log"]));
    assert_eq!(status, Some(0), "{summary}");
    (out, summary)
}

/// Three lines of `key`, each with its time stamp.
fn knock(key: &str, times: [&str; 3]) -> String {
    let steps = times.iter().zip(["one", "two", "three"]);
    steps
        .map(|(time, step)| format!("{time} router app: {key} {step}\n"))
        .collect()
}

const LEASE: &str = r#""timeout": 60, "actions": ["open {key}"], "revert": ["close {key}"]"#;

#[test]
fn leases_open_are_renewed_and_close_by_the_time_of_the_log() {
    let log = knock("alice", ["Sun Nov 22 06:00:00 2026"; 3])
        + &knock("alice", ["Sun Nov 22 06:00:30 2026"; 3])
        + "Sun Nov 22 06:01:29 2026 router app: nothing\n"
        + "Sun Nov 22 06:01:30 2026 router app: nothing\n"
        + &knock("bob", ["Sun Nov 22 07:00:00 2026"; 3]);
    let expected = "\
3: knock \"door\" alice
3: open \"door\" alice
3:   run open alice
6: knock \"door\" alice
6: renew \"door\" alice
8: close \"door\" alice
8:   run close alice
11: knock \"door\" bob
11: open \"door\" bob
11:   run open bob
";
    let (out, summary) = replay(LEASE, &log);
    assert_eq!(out, expected);
    assert!(
        summary.contains("1 lease open at the end of the log"),
        "{summary}"
    );
}

#[test]
fn an_exclusive_lease_closes_the_standing_one_first() {
    let times = ["2026-11-22T06:00:00Z"; 3];
    let more = LEASE.to_string() + ", \"exclusive\": true";
    let (out, _) = replay(&more, &(knock("alice", times) + &knock("bob", times)));
    let second = "\
6: knock \"door\" bob
6: close \"door\" alice
6:   run close alice
6: open \"door\" bob
6:   run open bob
";
    assert!(out.ends_with(second), "{out}");
}

#[test]
fn within_is_applied_by_every_kind_of_time_stamp() {
    let more = r#""within": 10, "actions": ["open"]"#;
    for [early, start, late] in [
        [
            "Sun Nov 22 06:00:00 2026",
            "Sun Nov 22 06:00:10 2026",
            "Sun Nov 22 06:00:11 2026",
        ],
        ["Nov 22 06:00:00", "Nov 22 06:00:10", "Nov 22 06:00:11"],
        // Across a new year.
        ["Dec 31 23:59:55", "Jan  1 00:00:05", "Jan  1 00:00:06"],
        [
            "2026-11-22T06:00:00+01:00",
            "2026-11-22T05:00:10Z",
            "2026-11-22T06:00:10.001+01:00",
        ],
        [
            "2026/11/22 06:00:00",
            "2026/11/22 06:00:10",
            "2026/11/22 06:00:11",
        ],
        [
            "x - - [22/Nov/2026:06:00:00 +0100]",
            "x - - [22/Nov/2026:06:00:10 +0100]",
            "x - - [22/Nov/2026:06:00:11 +0100]",
        ],
        [
            "[Sun Nov 22 06:00:00.123456 2026]",
            "[Sun Nov 22 06:00:10.123456 2026]",
            "[Sun Nov 22 06:00:10.124456 2026]",
        ],
        ["1795327200.5", "1795327210.5", "1795327210.6"],
        ["[    8.522941]", "[   18.522941]", "[   18.600000]"],
    ] {
        let (out, _) = replay(more, &knock("alice", [early, early, start]));
        assert_eq!(out, "3: knock \"door\" alice\n3:   run open\n", "{early}");
        let (out, _) = replay(more, &knock("alice", [early, early, late]));
        assert_eq!(out, "", "{early}");
    }
}

#[test]
fn without_time_stamps_the_summary_says_that_limits_were_not_applied() {
    let log = "alice one\nalice two\nalice three\n";
    let limits = "time limits were not applied";
    assert!(replay(LEASE, log).1.contains(limits));
    assert!(
        replay(r#""within": 1, "actions": ["open"]"#, log)
            .1
            .contains(limits)
    );
    assert!(!replay(r#""actions": ["open"]"#, log).1.contains(limits));
}

/// Lines with a step each, at the given times.
fn steps(times: &[&str]) -> String {
    let steps = times.iter().zip(["one", "two", "three"].iter().cycle());
    steps
        .map(|(time, step)| format!("{time} router app: alice {step}\n"))
        .collect()
}

const WITHIN: &str = r#""within": 60, "actions": ["open"]"#;

#[test]
fn logs_are_taken_in_the_order_of_their_first_time_stamps() {
    let dir = TempDir::new();
    let rule = rule("door", WITHIN).replace(r"^(\\S+) ", r"(\\S+) (?:one|two|three)$");
    dir.configure(&config("\"unused\"", &[rule]));
    let [first, second, third] = ["one", "two", "three"];
    let line = |time: &str, step: &str| format!("{time} router app: alice {step}\n");
    // As the shell lists them: the newest first.
    dir.write("log", line("Jan  1 00:00:01", third));
    dir.write(
        "log.1",
        String::from("no time\n") + &line("Dec 31 23:59:59", second),
    );
    dir.write("log.2", line("Dec 31 23:59:50", first));
    let dry = |logs: &[&str]| outcome(&dir.run(&[&["-n", "-c", common::CONFIG], logs].concat()));
    let (status, out, summary) = dry(&["log", "log.1", "log.2"]);
    assert_eq!(status, Some(0), "{summary}");
    assert_eq!(out, "log:1: knock \"door\" alice\nlog:1:   run open\n");
    let order = "in the order of their first time stamps: log.2 log.1 log\n";
    assert!(summary.starts_with(order), "{summary}");
    assert!(!summary.contains("backwards"), "{summary}");
    // An empty one is in nobody's way, and where order is not known it is as it was given.
    dir.write("log.0", "");
    assert_eq!(dry(&["log", "log.0", "log.1", "log.2"]).1, out);
    dir.write("log.0", "no time\n");
    let (_, out, summary) = dry(&["log.1", "log.0", "log.2"]);
    assert!(out.is_empty() && !summary.contains("order"), "{summary}");
    assert!(
        summary.contains(
            "time goes backwards 1 time, first at line log.2:1: time limits mean nothing there\n"
        ),
        "{summary}"
    );
}

#[test]
fn time_that_goes_backwards_and_lines_without_are_counted() {
    let log = steps(&[
        "2026-11-22 06:00:00",
        "2026-11-22 05:59:59",
        "2026-11-21 06:00:00",
        "2026-11-21 06:00:01",
    ]) + "nothing of use\n\n  indented\n  2026-11-20 06:00:00 indented\nnor this\n";
    let (_, summary) = replay(WITHIN, &log);
    assert!(
        summary.contains(
            "time goes backwards 2 times, first at line 3: time limits mean nothing there\n"
        ),
        "{summary}"
    );
    let timeless = "3 lines without a time stamp that can be read, taken for time limits to be as old as the line before\n";
    assert!(summary.contains(timeless), "{summary}");
    let (_, summary) = replay(WITHIN, &steps(&["2026-11-22 06:00:00"; 3]));
    assert!(
        !summary.contains("backwards") && !summary.contains("no time stamp"),
        "{summary}"
    );
}

#[test]
fn a_lease_closes_at_the_first_line_of_its_time_whatever_that_line_concerns() {
    let noise = |second: u32| format!("2026-11-22 06:01:{second:02} router: noise\n");
    let log = steps(&["2026-11-22 06:00:30"; 3]) + &noise(29) + &noise(31) + &noise(32);
    let (out, _) = replay(LEASE, &log);
    assert!(
        out.ends_with("\n5: close \"door\" alice\n5:   run close alice\n"),
        "{out}"
    );
}
