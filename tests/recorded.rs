//! A recorded firewall log (see `data/record`) leads to the knocks that were made while it was recorded,
//! and to no others, in the daemon as in the dry run.

mod common;

use common::{Daemon, Random, TempDir, config, outcome};
use std::fs;

/// A knock: line number, rule, and the last part of the sender's address 198.51.100.x.
type Knock = (usize, String, u8);

/// Service x, which knocks with UDP.
const X: Service = Service {
    protocol: "UDP",
    ports: [1234, 2345, 1357, 2468],
};

/// Service t, which knocks with TCP.
const T: Service = Service {
    protocol: "TCP",
    ports: [7001, 7003, 7002, 7004],
};

struct Service {
    protocol: &'static str,
    ports: [u16; 4],
}

impl Service {
    /// A rule for this service; `more` is JSON for further members.
    fn rule(&self, name: &str, more: &str) -> String {
        let pattern = |end: String| format!(r#""drop wan in: .* SRC=([0-9.]+) .* {end}""#);
        let filter = pattern(format!("PROTO={}", self.protocol));
        let steps = self
            .ports
            .map(|port| pattern(format!("DPT={port}")))
            .join(", ");
        let actions = r#""actions": ["echo {0}"]"#;
        let known = format!(r#""name": "{name}", "filter": {filter}, "sequence": [{steps}]"#);
        format!("{{{known}, {actions}{more}}}")
    }
}

/// Every rule that asks for something else.
fn rules() -> Vec<String> {
    vec![
        X.rule("x", ""),
        X.rule("x without icmp", r#", "ignore": "PROTO=ICMP""#),
        X.rule("x with repeats", r#", "repeats": true"#),
        T.rule("t", ""),
        T.rule("t with repeats", r#", "repeats": true"#),
    ]
}

/// What those rules should find.
fn expected() -> Vec<Knock> {
    const ALL_OF_X: [(usize, u8); 6] =
        [(46, 7), (78, 7), (80, 45), (84, 112), (248, 89), (267, 89)];
    let mut knocks = Vec::new();
    for (line, sender) in ALL_OF_X {
        knocks.push((line, "x".into(), sender));
        // The ports of that one are quoted in ICMP errors.
        if line != 84 {
            knocks.push((line, "x without icmp".into(), sender));
        }
        knocks.push((line, "x with repeats".into(), sender));
    }
    knocks.push((68, "x with repeats".into(), 23));
    knocks.push((259, "t with repeats".into(), 45));
    knocks.sort();
    knocks
}

fn sender(address: &str) -> u8 {
    let last = address.strip_prefix("198.51.100.").expect("a sender");
    last.parse().expect("a number")
}

/// The knocks a dry run prints for the recorded log.
fn dry_run(rules: &[String]) -> Vec<Knock> {
    let dir = TempDir::new();
    dir.configure(&config(r#""log""#, rules));
    let log = common::data("firewall.log");
    let log = log.to_str().expect("a path that is UTF-8");
    let (status, stdout, stderr) = outcome(&dir.run(&["-n", "-c", common::CONFIG, log]));
    assert_eq!(status, Some(0));
    assert!(stderr.starts_with("267 lines in "), "{stderr}");
    let knock = |line: &str| {
        let (number, rest) = line.split_once(": knock \"")?;
        let (rule, address) = rest.split_once("\" ")?;
        Some((number.parse().ok()?, rule.into(), sender(address)))
    };
    let mut knocks: Vec<Knock> = stdout.lines().filter_map(knock).collect();
    knocks.sort();
    knocks
}

/// The knocks a daemon logs when the recorded log is written in pieces of random size.
fn watch(rules: &[String]) -> Vec<Knock> {
    let dir = TempDir::new();
    dir.write("log", "");
    let mut daemon = Daemon::start_with(&dir, &config(r#""log""#, rules), &["-T"]);
    let log = fs::read(common::data("firewall.log")).unwrap();
    let mut random = Random::new(common::seed());
    let mut rest = log.as_slice();
    while !rest.is_empty() {
        let size = 1 + random.below(rest.len().min(3000));
        let (piece, others) = rest.split_at(size);
        dir.append("log", piece);
        for _ in piece.iter().filter(|&&byte| byte == b'\n') {
            daemon.wait_for("[TRACE] \"log\": ");
        }
        rest = others;
    }
    dir.append("log", "end\n");
    daemon.wait_for("[TRACE] \"log\": end");
    let mut number = 0;
    let mut knocks = Vec::new();
    for message in &daemon.seen {
        number += usize::from(message.starts_with("[TRACE] \"log\": "));
        if let Some((rule, address)) = message.split_once("\": knock by ") {
            let (_, rule) = rule.split_once("rule \"").expect("a rule");
            knocks.push((number, rule.into(), sender(address)));
        }
    }
    knocks.sort();
    knocks
}

#[test]
fn the_dry_run_finds_the_knocks_that_were_recorded() {
    assert_eq!(dry_run(&rules()), expected());
}

#[test]
fn the_daemon_finds_the_knocks_that_were_recorded() {
    assert_eq!(watch(&rules()), expected());
}

#[test]
fn a_port_scan_is_no_knock() {
    let scan = |(line, _, sender): &Knock| (97..=243).contains(line) || *sender == 66;
    assert!(!dry_run(&rules()).iter().any(scan));
}

#[test]
fn a_slow_knock_counts_only_within_its_time() {
    for (seconds, counts) in [(15, false), (30, true)] {
        let rules = [X.rule("x", &format!(r#", "within": {seconds}"#))];
        let knocks = dry_run(&rules);
        assert_eq!(knocks.len(), 5 + usize::from(counts));
        assert_eq!(knocks.contains(&(267, "x".into(), 89)), counts);
    }
}
