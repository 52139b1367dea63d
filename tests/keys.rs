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
        assert_eq!(summary, "rule \"r\": 5 lines passed the filter, 1 knock\n");
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
            "rule \"r\": 5 lines passed the filter, 1 knock, 3 lines without a key\n"
        );
    }
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [rule(r#""from ([0-9.]+) |user ""#)];
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    dir.append("log", log);
    daemon.wait_for("output: 192.0.2.1");
    daemon.signal("USR1");
    daemon.wait_for("5 lines passed the filter, 1 knock, 1 key in progress, 0 gave way to others, 3 lines without a key");
}

#[test]
fn an_empty_group_that_took_part_is_everybodys_key() {
    let (shown, summary) = dry_run(r#""()from ""#, "from 192.0.2.1 x\nfrom 192.0.2.2 x\n");
    assert!(
        shown.contains("2: knock \"r\" \n2:   run echo ''\n"),
        "{shown}"
    );
    assert_eq!(summary, "rule \"r\": 2 lines passed the filter, 1 knock\n");
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

#[test]
fn one_host_is_one_sender_however_it_is_written() {
    let log = "x from 2001:db8::7\nx from 2001:0db8:0000:0000:0000:0000:0000:0007\n\
               x from ::ffff:192.0.2.1\nx from 192.0.2.1\n\
               x from 62:2E:AA:0B:CC:DD\nx from 62:2e:aa:0b:cc:dd\n";
    let (shown, _) = dry_run(r#""from (\\S+)$""#, log);
    for line in [
        "2: knock \"r\" 2001:db8::7\n2:   run echo 2001:db8::7\n",
        "4: knock \"r\" 192.0.2.1\n4:   run echo 192.0.2.1\n",
        // Names of hardware are no addresses, and these two are two.
        "5: \"r\" 62:2E:AA:0B:CC:DD step 1/2\n6: \"r\" 62:2e:aa:0b:cc:dd step 1/2\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn host_takes_an_address_of_either_family_and_nothing_else() {
    let log = "x Failed password for root from 192.0.2.1 port 22\n\
               x Failed password for root from 2001:DB8::1 port 22\n\
               x Failed password for root from 192.0.2.1.example.org port 22\n\
               x Failed password for root from 999.0.2.1 port 22\n\
               x Failed password for root from UNKNOWN port 22\n\
               x Failed password for root from [2001:db8::1] port 22\n";
    let (shown, summary) = dry_run(r#""Failed password for \\S+ from <HOST> port""#, log);
    let expected = "1: \"r\" 192.0.2.1 step 1/2\n2: \"r\" 2001:db8::1 step 1/2\n\
                    6: knock \"r\" 2001:db8::1\n6:   run echo 2001:db8::1\n";
    assert_eq!(shown, expected);
    assert_eq!(summary, "rule \"r\": 3 lines passed the filter, 1 knock\n");
}

#[test]
fn what_host_took_is_the_key_whatever_groups_stand_before_it() {
    let log = "x user bob from 192.0.2.1\nx user eve from 192.0.2.1\n";
    for filter in [
        r#""user (\\w+) from <HOST>$""#,
        r#""user (\\w+) (?:at <HOST>|from <HOST>)$""#,
        r#"["user (\\w+) at <HOST>$", "user (\\w+) from <HOST>$"]"#,
    ] {
        let (shown, _) = dry_run(filter, log);
        assert!(
            shown.contains("2: knock \"r\" 192.0.2.1\n"),
            "{filter}: {shown}"
        );
    }
    assert_eq!(understood(r#""^user (\\w+) from <HOST>$""#), "key: <HOST>");
    let missing = understood(r#""^user (\\w+)(?: from <HOST>)?$""#);
    assert!(missing.starts_with("key: <HOST>; warning: "), "{missing}");
}

#[test]
fn a_port_behind_an_address_is_not_taken_for_a_part_of_it() {
    let log = "x [client 192.0.2.1:50942] a\nx [client 192.0.2.1:1234] a\n\
               x [client 2001:db8::1:50942] a\nx [client 2001:db8::1:1234] a\n";
    let (shown, _) = dry_run(r#""\\[client <HOST>:\\d{1,5}\\]""#, log);
    for key in ["2: knock \"r\" 192.0.2.1\n", "4: knock \"r\" 2001:db8::1\n"] {
        assert!(shown.contains(key), "{shown}");
    }
}

#[test]
fn an_address_in_a_user_name_is_not_the_hosts() {
    // What sshd writes for somebody who calls himself so.
    let names = [
        "from 203.0.113.9",
        "x from 203.0.113.9 port 1 ssh2",
        "203.0.113.9",
        "[203.0.113.9]",
        "::ffff:203.0.113.9",
    ];
    let line = |name| {
        format!("x sshd[7]: Failed password for invalid user {name} from 192.0.2.1 port 22 ssh2\n")
    };
    let log: String = names.map(line).concat();
    let filter = r#""sshd\\[\\d+\\]: Failed password for .* from <HOST> port \\d+ ssh2$""#;
    let (shown, summary) = dry_run(filter, &log);
    assert!(!shown.contains("203.0.113.9"), "{shown}");
    assert!(
        summary.contains(" 5 lines passed the filter, "),
        "{summary}"
    );
}

#[test]
fn a_literal_host_in_angle_brackets_can_still_be_written() {
    let (shown, _) = dry_run(
        r#""(\\w+) says \\<HOST>""#,
        "x bob says <HOST>\nx bob says <HOST>\n",
    );
    assert!(shown.contains("2: knock \"r\" bob\n"), "{shown}");
}

#[test]
fn hosts_that_are_to_be_ignored_are_passed_over_in_every_spelling() {
    let dir = TempDir::new();
    let rule = r#"{"name": "r", "filter": "from (\\S+)", "sequence": ["x"], "actions": ["echo {key}"],
        "ignore_hosts": ["192.168.0.0/16", "2001:db8::/32", "fe80::/10", "198.51.100.7"]}"#;
    dir.configure(&config(r#""log""#, &[rule.into()]));
    let passed_over = [
        "192.168.255.1",
        "::ffff:192.168.0.1",
        "2001:DB8:ffff::",
        "2001:0db8:0000:0000:0000:0000:0000:0001",
        "fe80::1%eth0",
        "198.51.100.7",
        "::ffff:c633:6407",
    ];
    let knocks = [
        "192.169.0.1",
        "2001:db9::",
        "198.51.100.8",
        "192.168.0.1x",
        "bob",
        "::192.168.0.1",
    ];
    let lines = passed_over
        .iter()
        .chain(&knocks)
        .map(|key| format!("x from {key}\n"));
    dir.write("log", lines.collect::<String>());
    let (status, shown, _) = outcome(&dir.run(&["-n", "-d", "-c", common::CONFIG, "log"]));
    assert_eq!(status, Some(0));
    let told = ": passed over, it is one of \"ignore_hosts\"\n";
    assert_eq!(shown.matches(told).count(), passed_over.len(), "{shown}");
    assert_eq!(
        shown.matches(": knock \"r\" ").count(),
        knocks.len(),
        "{shown}"
    );
    let (_, shown, _) = outcome(&dir.run(&["-t", "-c", common::CONFIG]));
    let listed = "    ignore_hosts: 192.168.0.0/16, 2001:db8::/32, fe80::/10, 198.51.100.7\n";
    assert!(shown.contains(listed), "{shown}");
}

#[test]
fn a_command_that_names_the_family_serves_both_and_wants_an_address() {
    let dir = TempDir::new();
    let rule = r#"{"name": "r", "filter": "from (\\S+)", "sequence": ["x"], "timeout": "1h",
        "actions": ["nft add ssh{family} {key}"], "revert": ["nft delete ssh{family} {key}"]}"#;
    dir.configure(&config(r#""log""#, &[rule.into()]));
    dir.write(
        "log",
        "x from 192.0.2.1\nx from ::ffff:192.0.2.2\nx from 2001:DB8::1\nx from bob\n",
    );
    let (status, shown, _) = outcome(&dir.run(&["-n", "-c", common::CONFIG, "log"]));
    assert_eq!(status, Some(0));
    for line in [
        "1:   run nft add ssh4 192.0.2.1\n",
        "2:   run nft add ssh4 192.0.2.2\n",
        "3:   run nft add ssh6 2001:db8::1\n",
        "4:   refused: {family}: the key is no address\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let (_, shown, _) = outcome(&dir.run(&["-t", "-c", common::CONFIG]));
    assert!(
        shown.contains("    open: nft add 'ssh{family}' '{key}'\n"),
        "{shown}"
    );
    // The daemon says so, too.
    dir.write("log", "");
    let mut daemon = Daemon::start(
        &dir,
        &config(r#""log""#, &[rule.replace("nft", "echo nft")]),
    );
    dir.append("log", "x from bob\nx from 2001:DB8::1\n");
    daemon.wait_for("rule \"r\": knock refused: {family}: the key is no address");
    daemon.wait_for("output: nft add ssh6 2001:db8::1");
}

#[test]
fn a_count_bans_after_that_many_lines_and_then_starts_over() {
    let dir = TempDir::new();
    let rule = r#"{"name": "r", "filter": "Failed .* from <HOST>", "sequence": ["Failed"], "actions": ["echo {key}"],
        "count": 3, "within": "10m"}"#;
    dir.configure(&config(r#""log""#, &[rule.into()]));
    let line =
        |minute, host| format!("Nov 22 06:{minute:02}:00 h sshd[1]: Failed password from {host}\n");
    // The first has been too long ago when the third comes.
    let log = [
        (0, 1),
        (5, 1),
        (11, 1),
        (12, 1),
        (13, 2),
        (14, 1),
        (15, 1),
        (16, 1),
    ];
    let log = log.map(|(minute, host)| line(minute, format!("192.0.2.{host}")));
    dir.write("log", log.concat());
    let (status, shown, _) = outcome(&dir.run(&["-n", "-d", "-c", common::CONFIG, "log"]));
    assert_eq!(status, Some(0));
    let expected = "1: \"r\" 192.0.2.1 step 1/1, 1/3 times\n2: \"r\" 192.0.2.1 step 1/1, 2/3 times\n\
        3: \"r\" 192.0.2.1 step 1/1, 2/3 times\n4: knock \"r\" 192.0.2.1\n4:   run echo 192.0.2.1\n\
        5: \"r\" 192.0.2.2 step 1/1, 1/3 times\n6: \"r\" 192.0.2.1 step 1/1, 1/3 times\n\
        7: \"r\" 192.0.2.1 step 1/1, 2/3 times\n8: knock \"r\" 192.0.2.1\n8:   run echo 192.0.2.1\n";
    assert_eq!(shown, expected);
    let (_, shown, _) = outcome(&dir.run(&["-t", "-c", common::CONFIG]));
    assert!(shown.contains("    count: 3 times\n"), "{shown}");
}

#[test]
fn one_rule_fills_the_firewalls_sets_of_both_families_from_three_programs_lines() {
    if !common::is_root() || !common::works("unshare", &["-n", "nft", "list", "ruleset"]) {
        return common::skipped("not root, or no network namespace with nft");
    }
    let dir = TempDir::new();
    dir.write("log", "");
    let rule = r#"{"name": "r", "sequence": [""], "count": 3, "within": "10m",
        "filter": ["^[^\"]* \\[error\\] \\d+#\\d+: \\*\\d+ user \"[^:]*\": password mismatch, client: <HOST>, server: ",
                   "^\\w+ +\\d+ \\S+ \\S+ sshd\\[\\d+\\]: Failed password for .* from <HOST> port \\d+ ssh2$",
                   "^\\w+ +\\d+ \\S+ \\S+ kernel: \\[[ \\d.]+\\] knock: IN=\\S* OUT=\\S* (?:MAC=\\S* )?SRC=<HOST> DST="],
        "actions": ["nft add element inet f ban{family} '{{ {key} }}'", "nft list set inet f ban{family}"],
        "timeout": "1h", "revert": ["nft delete element inet f ban{family} '{{ {key} }}'"], "ignore_hosts": ["198.51.100.0/24"]}"#;
    dir.configure(&config(r#""log""#, &[rule.into()]));
    let sets = "nft 'add table inet f; add set inet f ban4 { type ipv4_addr; }; add set inet f ban6 { type ipv6_addr; }'";
    let mut daemon =
        Daemon::spawn(&mut dir.command_after(&["unshare", "-n"], sets, &["-c", common::CONFIG]));
    daemon.wait_until_watching();
    let lines = |nginx: &str, sshd: &str, kernel: &str| {
        format!(
            "2026/11/22 06:00:00 [error] 7#7: *5 user \"x\": password mismatch, client: {nginx}, server: h\n\
             Nov 22 06:00:00 h sshd[7]: Failed password for root from {sshd} port 22 ssh2\n\
             Nov 22 06:00:00 h kernel: [  118.52] knock: IN=eth0 OUT= MAC=62:2e:00:0b:cc:dd:11:22:33:44:55:66:08:00 \
             SRC={kernel} DST=198.51.100.1 LEN=60\n"
        )
    };
    dir.append(
        "log",
        lines("::ffff:198.51.100.9", "198.51.100.9", "198.51.100.9"),
    );
    dir.append(
        "log",
        lines(
            "2001:DB8:0::7",
            "2001:db8::7",
            "2001:0db8:0000:0000:0000:0000:0000:0007",
        ),
    );
    daemon.wait_for("elements = { 2001:db8::7 }");
    dir.append("log", lines("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"));
    daemon.wait_for("elements = { 192.0.2.1 }");
    // What is open is closed by the same placeholders.
    daemon.signal("TERM");
    daemon.wait_for("closed for 192.0.2.1");
    daemon.expect_exit(0);
    assert_eq!(daemon.count("198.51.100.9"), 0, "{:?}", daemon.seen);
}
