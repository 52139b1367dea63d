//! Whose line it is: where filters take the key from, and what becomes of lines that have none.

mod common;

use common::{Daemon, TempDir, config, outcome};

/// A rule that echoes the key at the second `x` of a sender.
fn rule(filter: &str) -> String {
    format!(
        r#"{{"name": "r", "filter": {filter}, "sequence": ["x", "x"], "actions": ["echo {{key}}"]}}"#
    )
}

/// What a dry run over `log` prints and says in the end, without how long it took.
fn dry_run(filter: &str, log: &str) -> (String, String) {
    let dir = TempDir::new();
    dir.configure(&config(r#""log""#, &[rule(filter)]));
    dir.write("log", log);
    let (status, shown, summary) = outcome(&dir.run(&["-n", "-d", "-c", common::CONFIG, "log"]));
    assert_eq!(status, Some(0), "{summary}");
    let (_, summary) = summary.split_once('\n').expect("a line of speed");
    (shown, summary.into())
}

/// What `-t` says of the rule's filter.
fn understood(filter: &str) -> String {
    let dir = TempDir::new();
    dir.configure(&config(r#""log""#, &[rule(filter)]));
    let (status, shown, errors) = outcome(&dir.run(&["-t", "-c", common::CONFIG]));
    assert_eq!(status, Some(0), "{errors}");
    let lines = shown.lines().map(str::trim);
    let of_key = lines.filter(|line| line.starts_with("key: ") || line.contains("without it"));
    of_key.collect::<Vec<_>>().join("; ")
}

#[test]
fn the_key_is_the_first_group_that_took_part() {
    let log = "from 192.0.2.1 x\nuser bob x\nfrom 192.0.2.2 x\nuser eve x\nfrom 192.0.2.1 x\n";
    for filter in [
        r#""from ([0-9.]+) |user (\\w+) ""#,
        r#"["from ([0-9.]+) ", "user (\\w+) "]"#,
        r#"["from (?:([0-9.]+)) ", "user ((\\w)\\w*) "]"#,
    ] {
        let (shown, summary) = dry_run(filter, log);
        let expected = "1: \"r\" 192.0.2.1 step 1/2\n2: \"r\" bob step 1/2\n3: \"r\" 192.0.2.2 step 1/2\n\
             4: \"r\" eve step 1/2\n5: knock \"r\" 192.0.2.1\n5:   run echo 192.0.2.1\n";
        assert_eq!(shown, expected, "{filter}");
        assert_eq!(summary, "rule \"r\": 5 filtered, 1 knocks\n");
    }
}

#[test]
fn a_group_named_key_is_the_key_wherever_it_stands() {
    let filter = r#""user (\\w+) from (?P<key>[0-9.]+) ""#;
    let (shown, _) = dry_run(filter, "user a from 192.0.2.1 x\nuser b from 192.0.2.1 x\n");
    assert!(shown.contains("2: knock \"r\" 192.0.2.1\n"), "{shown}");
}

#[test]
fn the_first_alternative_that_matches_is_the_one_that_counts() {
    // The second would find another key.
    let filter = r#"["from ([0-9.]+) ", "user (\\w+) "]"#;
    let (shown, _) = dry_run(filter, "user a from 192.0.2.1 x\nuser b from 192.0.2.1 x\n");
    assert!(shown.contains("2: knock \"r\" 192.0.2.1\n"), "{shown}");
}

#[test]
fn a_line_without_a_key_is_passed_over_and_counted() {
    let log = "user x\nfrom 192.0.2.1 x\nuser x\nuser x\nfrom 192.0.2.1 x\n";
    for filter in [
        r#""from ([0-9.]+) |user ""#,
        // What the other group took is not the key.
        r#""from (?P<key>[0-9.]+) |(user) ""#,
    ] {
        let (shown, summary) = dry_run(filter, log);
        let passed_over = "no key: none of the filter's groups took part, passed over\n";
        assert!(
            shown.starts_with(&format!("1: \"r\" {passed_over}")),
            "{shown}"
        );
        assert_eq!(shown.matches(passed_over).count(), 3, "{shown}");
        assert!(shown.contains("5: knock \"r\" 192.0.2.1\n"), "{shown}");
        assert_eq!(
            summary,
            "rule \"r\": 5 filtered, 1 knocks, 3 without a key\n"
        );
    }
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [rule(r#""from ([0-9.]+) |user ""#)];
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    dir.append("log", log);
    daemon.wait_for("output: 192.0.2.1");
    daemon.signal("USR1");
    daemon.wait_for("5 lines passed the filter, 1 knocks, 0 keys in progress, 0 given up for lack of room, 3 lines without a key");
}

#[test]
fn an_empty_group_that_took_part_is_everybodys_key() {
    let (shown, summary) = dry_run(r#""()from ""#, "from 192.0.2.1 x\nfrom 192.0.2.2 x\n");
    assert!(
        shown.contains("2: knock \"r\" \n2:   run echo ''\n"),
        "{shown}"
    );
    assert_eq!(summary, "rule \"r\": 2 filtered, 1 knocks\n");
}

#[test]
fn the_check_shows_where_the_key_comes_from_and_warns_when_it_may_be_missing() {
    let warning = "; warning: the filter can match without it: such lines are passed over";
    for (filter, key, certain) in [
        (r#""^a (b)""#, "group 1", true),
        (r#""^a (b)?""#, "group 1", false),
        (r#""^a (b)(c)""#, "group 1", true),
        (
            r#""^a (?:(b)|(c))""#,
            "the first of 2 groups that took part",
            true,
        ),
        (
            r#""^a (?:(b)|(c)){0,3}""#,
            "the first of 2 groups that took part",
            false,
        ),
        (
            r#""^a (?:(b)|(c)){2}""#,
            "the first of 2 groups that took part",
            true,
        ),
        (r#""^a (?:(b)|c)""#, "group 1", false),
        (r#""^a (b)(?P<key>c)""#, "group 2, which is named key", true),
        (
            r#""^a (b)(?P<key>c)*""#,
            "group 2, which is named key",
            false,
        ),
    ] {
        let warning = if certain { "" } else { warning };
        assert_eq!(
            understood(filter),
            format!("key: {key}{warning}"),
            "{filter}"
        );
    }
    let both = understood(r#"["^a (b)", "^(?:c|(d))"]"#);
    assert_eq!(both, format!("key: group 1; key: group 1{warning}"));
}
