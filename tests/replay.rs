//! Whatever way a log is searched, the knocks are those that Python's `re` finds.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::{TempDir, config, knock, outcome, rule};

const LINES: &str = "30000";

fn bench(name: &str) -> String {
    format!("{}/tests/bench/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .expect("python3, which this test compares with");
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

/// The knocks of a dry run, as `LINE RULE KEY`.
fn knocks(dir: &TempDir, rules: &str) -> Vec<String> {
    dir.write("rules", rules);
    let (status, out, summary) = outcome(&dir.run(&["-n", "-c", "rules", "log"]));
    assert_eq!(status, Some(0), "{summary}");
    assert!(summary.contains("30000 lines in"), "{summary}");
    let knock = |line: &str| {
        let (number, knock) = line.split_once(": knock ")?;
        Some(format!("{number} {}", knock.replace('"', "")))
    };
    out.lines().filter_map(knock).collect()
}

#[test]
fn a_replay_finds_the_knocks_that_python_finds() {
    let dir = TempDir::new();
    let mut python = Command::new("python3");
    dir.write("log", output(python.args([&bench("generate.py"), LINES])));
    let mut python = Command::new("python3");
    python.args([
        &bench("baseline.py"),
        "--knocks",
        &dir.text("log"),
        &bench("rules.json"),
    ]);
    let expected = String::from_utf8(output(&mut python)).expect("text");
    let expected: Vec<&str> = expected.lines().collect();
    assert!(expected.len() > 20, "too few knocks to tell anything");

    let rules = std::fs::read_to_string(bench("rules.json")).expect("the rules");
    for (way, rules) in [
        ("as it is", rules.clone()),
        ("a line at a time", with_time_limits(&rules)),
        ("by the program alone", without_literals(&rules)),
        ("by runs of four bytes", with_other_beginnings(&rules)),
    ] {
        assert_eq!(knocks(&dir, &rules), expected, "{way}");
    }
}

/// Where the time of every line counts, none is skipped.
fn with_time_limits(rules: &str) -> String {
    rules.replace("\"sequence\"", "\"within\": 31536000, \"sequence\"")
}

/// The same for the second rule, whose literals begin with other bytes than those of the first.
fn with_other_beginnings(rules: &str) -> String {
    let (first, second) = rules.split_at(rules.rfind("\"filter\"").expect("a second rule"));
    let other = second
        .replace(" DPT=", ".DPT=")
        .replace(" PROTO=", ".PROTO=");
    assert_ne!(other, second);
    [first, &other].concat()
}

/// The same patterns as one of two alternatives, so that no literal stands in every match.
fn without_literals(rules: &str) -> String {
    let open = rules.replace("\"drop", "\"(?:drop");
    let ends = (0..10).map(|digit| digit.to_string()).chain(["UDP".into()]);
    ends.fold(open, |rules, end| {
        rules.replace(&format!("{end}\""), &format!("{end}|x^)\""))
    })
}

/// What `logread -f | logknockd -n` is for.
#[test]
fn what_a_line_does_is_shown_before_the_next_one_comes() {
    let dir = TempDir::new();
    dir.configure(&config(
        "\"unused\"",
        &[rule("door", r#""actions": ["open"]"#)],
    ));
    let mut child = dir
        .command(&["-n", "-c", common::CONFIG])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let mut log = child.stdin.take().expect("its input");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let (shown, lines) = mpsc::channel();
    std::thread::spawn(move || output.lines().try_for_each(|line| shown.send(line)));
    log.write_all(knock("alice").as_bytes()).expect("a knock");
    let first = lines.recv_timeout(Duration::from_secs(60));
    drop(log);
    child.wait().expect("its end");
    let first = first.expect("nothing before the end of the log");
    assert_eq!(first.expect("a line"), "3: knock \"door\" alice");
}
