//! What a file may say, and what is said about one that is wrong.

use super::*;
use crate::commands::template::Values;
use std::format;

/// Every key there is, each with a value that is not its default.
const FULL: &str = r#"{
  "_comment": ["anything"],
  "file": ["/var/log/messages", "/dev/kmsg", "-"],
  "command": "logread -f -e '{0} }'",
  "debug": true, "trace": true,
  "state": "/tmp/state", "poll": 0.25, "max_keys": 65535,
  "ruleset": [
    {
      "name": "für \"ssh\"", "_why": null,
      "filter": "drop .* SRC=([0-9.]+) .* PROTO=UDP", "ignore": "\\bSPT=53\\b",
      "sequence": ["DPT=1", "DPT=2", "SRC=([0-9.]+) (?P<port>DPT=\\d+)( x)?"],
      "within": 12.5, "repeats": true,
      "actions": [
        "nft add element inet fw4 k {{ {0} }}",
        ["/bin/echo", "{port}", "it's {key}", "{rule}", "", "{2}"]
      ],
      "timeout": 3600, "exclusive": true, "action_timeout": 1e1,
      "revert": ["nft delete element inet fw4 k '{{ {} }}'"]
    },
    {
      "name": "once", "filter": "(a)", "actions": ["x {0}"],
      "one_time": [["a", "(b)"], ["a", "(c)"], ["(b)"]]
    }
  ]
}"#;

/// What a time may be.
const DURATIONS: &str = "a time from 0.001 to 315360000 seconds: a number, or a string such as \
    \"90s\", \"10m\", \"2h\", \"7d\" or \"1w\"";

fn load(document: &str) -> Config {
    match Config::parse(document.as_bytes()) {
        Ok(config) => *config,
        Err(problems) => panic!("{}", rendered(document, &problems)),
    }
}

fn rendered(document: &str, problems: &[Diagnostic]) -> String {
    let mut out = Vec::new();
    for problem in problems {
        problem.render(b"test.conf", document.as_bytes(), &mut out);
    }
    String::from_utf8(out).expect("what is rendered is UTF-8")
}

fn patterns(steps: &[Regex]) -> Vec<&str> {
    steps.iter().map(Regex::pattern).collect()
}

fn fill(command: &Command, step: &Regex) -> Vec<String> {
    let groups = ["192.0.2.1", "DPT=3", ""].map(Vec::from);
    let values = Values {
        rule: "R",
        key: b"K",
        family: b"4",
        groups: &groups,
    };
    let words = command.fill(step, &values).expect("printable values");
    crate::text::words(&words)
        .map(|word| String::from_utf8(word.into()).unwrap())
        .collect()
}

/// Each `¿` of `document` marks where an error must point; `messages` are the errors in that order. A
/// second error at the same place has a `¿` of its own.
fn check(document: &str, messages: &[&str]) {
    let mut places = Vec::new();
    let mut clean = String::new();
    for piece in document.split_inclusive('¿') {
        clean.push_str(piece.trim_end_matches('¿'));
        if piece.ends_with('¿') {
            places.push(clean.len());
        }
    }
    let problems = match Config::parse(clean.as_bytes()) {
        Ok(_) => panic!("no error: {clean}"),
        Err(problems) => problems,
    };
    let found: Vec<(usize, &str)> = problems
        .iter()
        .map(|problem| (problem.at, std::str::from_utf8(&problem.message).unwrap()))
        .collect();
    assert_eq!(places.len(), messages.len(), "one mark for each message");
    let expected: Vec<(usize, &str)> = places.into_iter().zip(messages.iter().copied()).collect();
    assert_eq!(found, expected, "{}", rendered(&clean, &problems));
}

/// The same for the members of an only rule.
fn check_rule(members: &str, messages: &[&str]) {
    check(
        &format!(r#"{{"file": "f", "ruleset": [{{{members}}}]}}"#),
        messages,
    );
}

/// The same for members added to a rule that has all it must have.
fn check_added(members: &str, messages: &[&str]) {
    let complete = r#""name": "r", "filter": "(a)", "sequence": ["(b)"], "actions": ["x"]"#;
    check_rule(&format!("{complete}, {members}"), messages);
}

/// The same for commands of a rule whose last step has the groups 0 and `port`.
fn check_actions(actions: &str, messages: &[&str]) {
    let rule = r#""name": "r", "filter": "(a)", "sequence": ["a", "(b)(?P<port>c)"]"#;
    check_rule(&format!(r#"{rule}, "actions": {actions}"#), messages);
}

/// The same for top-level members beside a rule.
fn check_top(members: &str, messages: &[&str]) {
    let rule = r#"{"name": "r", "filter": "(a)", "sequence": ["b"], "actions": ["x"]}"#;
    check(&format!(r#"{{{members}, "ruleset": [{rule}]}}"#), messages);
}

#[test]
fn every_key_is_read() {
    let config = load(FULL);
    assert_eq!(config.files, ["/var/log/messages", "/dev/kmsg", "-"]);
    assert_eq!(config.command.unwrap(), b"logread\0-f\0-e\0{0} }\0");
    assert!(config.debug && config.trace);
    assert_eq!(config.state, "/tmp/state");
    assert_eq!((config.poll_ms, config.max_keys), (250, 65535));

    let [rule, once] = config.rules.as_slice() else {
        panic!()
    };
    assert_eq!(rule.name, "für \"ssh\"");
    assert_eq!(
        patterns(&rule.filters),
        ["drop .* SRC=([0-9.]+) .* PROTO=UDP"]
    );
    assert_eq!(
        rule.ignore.as_ref().map(Regex::pattern),
        Some(r"\bSPT=53\b")
    );
    assert!(rule.repeats && !rule.one_time);
    assert_eq!((rule.within_ms, rule.action_timeout_ms), (12_500, 10_000));
    let lease = rule.lease.as_ref().unwrap();
    assert_eq!((lease.timeout_ms, lease.exclusive), (3_600_000, true));
    let [sequence] = rule.sequences.as_slice() else {
        panic!()
    };
    let last = r"SRC=([0-9.]+) (?P<port>DPT=\d+)( x)?";
    assert_eq!(patterns(&sequence.steps), ["DPT=1", "DPT=2", last]);
    let step = sequence.steps.last().unwrap();
    let [actions, _, revert] = &rule.commands;
    let [nft, echo] = actions.as_slice() else {
        panic!()
    };
    assert_eq!(
        fill(nft, step),
        [
            "nft",
            "add",
            "element",
            "inet",
            "fw4",
            "k",
            "{",
            "192.0.2.1",
            "}"
        ]
    );
    assert_eq!(
        fill(echo, step),
        ["/bin/echo", "DPT=3", "it's K", "R", "", ""]
    );
    let [revert] = revert.as_slice() else {
        panic!()
    };
    assert_eq!(
        fill(revert, step),
        [
            "nft",
            "delete",
            "element",
            "inet",
            "fw4",
            "k",
            "{ 192.0.2.1 }"
        ]
    );

    assert!(once.one_time && once.lease.is_none());
    let sequences: Vec<_> = once
        .sequences
        .iter()
        .map(|one| patterns(&one.steps))
        .collect();
    assert_eq!(sequences, [vec!["a", "(b)"], vec!["a", "(c)"], vec!["(b)"]]);
    let [actions, _, revert] = &once.commands;
    let [command] = actions.as_slice() else {
        panic!()
    };
    for sequence in &once.sequences {
        let step = sequence.steps.last().unwrap();
        assert_eq!(fill(command, step), ["x", "192.0.2.1"]);
    }
    assert!(revert.is_empty());
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = load(
        r#"{"file": "f", "ruleset":
            [{"name": "r", "filter": "(a)", "sequence": ["b"], "actions": ["x"]}]}"#,
    );
    assert_eq!(config.files, ["f"]);
    assert!(config.command.is_none() && !config.debug && !config.trace);
    assert_eq!(config.state, "/var/run/logknockd.state");
    assert_eq!((config.poll_ms, config.max_keys), (NEVER, 4096));
    let rule = &config.rules[0];
    assert!(rule.ignore.is_none() && rule.lease.is_none());
    assert!(!rule.repeats && !rule.one_time);
    assert_eq!((rule.within_ms, rule.action_timeout_ms), (NEVER, 30_000));
}

#[test]
fn a_file_written_for_the_python_daemon_loads_unchanged() {
    let config = load(
        r#"{
    "trace": false,
    "debug": true,
    "file": "/tmp/system.log",
    "ruleset": [
        {
            "name": "Forward ports for service x",
            "filter": "drop wan in: .* SRC=([0-9.]+) .* PROTO=UDP",
            "sequence": [
                "drop wan in: .* SRC=([0-9.]+) .* DPT=1234",
                "drop wan in: .* SRC=([0-9.]+) .* DPT=2345",
                "drop wan in: .* SRC=([0-9.]+) .* DPT=3456",
                "drop wan in: .* SRC=([0-9.]+) .* DPT=4567"
            ],
            "actions": [
                "uci set firewall.cfgxxx.src_ip={0}",
                "uci commit",
                "service firewall reload"
            ]
        }
    ]
}"#,
    );
    let [actions, ..] = &config.rules[0].commands;
    let steps = &config.rules[0].sequences[0].steps;
    assert_eq!(
        fill(&actions[0], &steps[3]),
        ["uci", "set", "firewall.cfgxxx.src_ip=192.0.2.1"]
    );
    assert_eq!(actions.len(), 3);
}

#[test]
fn an_error_is_shown_with_its_line_and_a_caret() {
    let document = r#"{
  "file": "/tmp/system.log",
  "debug": "yes",
  "ruleset": [
    {
      "name": "ssh",
      "filter": "\"\u00fc\" SRC=([0-9.]+ .* PROTO=UDP",
      "sequnce": []
    }
  ]
}
"#;
    let problems = Config::parse(document.as_bytes()).err().unwrap();
    let expected = r#"test.conf:3:12: error: "debug": expected true or false, found a string
    3 |   "debug": "yes",
      |            ^
test.conf:5:5: error: rule "ssh": missing "actions"
    5 |     {
      |     ^
test.conf:5:5: error: rule "ssh": missing "sequence" (or "one_time")
    5 |     {
      |     ^
test.conf:7:33: error: rule "ssh": filter: unclosed group
    7 |       "filter": "\"\u00fc\" SRC=([0-9.]+ .* PROTO=UDP",
      |                                 ^
test.conf:8:7: error: rule "ssh": unknown key "sequnce": did you mean "sequence"?
    8 |       "sequnce": []
      |       ^
"#;
    assert_eq!(rendered(document, &problems), expected);
}

#[test]
fn what_is_no_json_stops_at_its_first_error() {
    check(
        r#"{"debug": 1, "trace": 2¿"#,
        &["the document ends too early; the { of line 1 is still open"],
    );
    check(
        r#"{"debug": 1 ¿"trace": 2}"#,
        &["expected a comma or the closing bracket; the { of line 1 is still open"],
    );
    check(
        r#"{"file": "f", ¿"file": "g"}"#,
        &["duplicate key \"file\""],
    );
}

#[test]
fn top_level_errors_are_reported_in_words() {
    check("¿[]", &["expected an object, found an empty array"]);
    check(
        "¿¿{}",
        &[
            "missing \"file\" or \"command\": there is nothing to watch",
            "missing \"ruleset\"",
        ],
    );
    check_top(
        r#"¿"fil": "f", "file": "g""#,
        &["unknown key \"fil\": did you mean \"file\"?"],
    );
    check_top(
        r#""file": "f", ¿"logfiles": 1"#,
        &["unknown key \"logfiles\""],
    );
    check_top(
        r#""file": "f", ¿"filter": 1, ¿"logpath": 1"#,
        &[
            "unknown key \"filter\": it stands in a rule, inside \"ruleset\"",
            "unknown key \"logpath\": here it is \"file\", beside \"ruleset\"",
        ],
    );
    check_top(
        r#""file": "f", ¿"a\nb\u0000": 1"#,
        &["unknown key \"a\\x0ab\\x00\""],
    );
    check_top(
        r#""file": "f", "debug": ¿"no", "trace": ¿1"#,
        &[
            "\"debug\": expected true or false, found a string",
            "\"trace\": expected true or false, found 1",
        ],
    );
}

#[test]
fn paths_are_checked() {
    let expected = "expected a path of 1 to 4095 bytes without NUL, found";
    let file = |found: &str| format!("\"file\": {expected} {found}");
    check_top(r#""file": ¿"""#, &[&file("an empty string")]);
    check_top(r#""file": ¿null"#, &[&file("null")]);
    check_top(
        r#""file": ["a", ¿"a\u0000b", ¿{}]"#,
        &[&file("a string"), &file("an object")],
    );
    let long = "x".repeat(4096);
    check_top(&format!(r#""file": ¿"{long}""#), &[&file("a string")]);
    check_top(
        r#""file": "f", "state": ¿"""#,
        &[&format!("\"state\": {expected} an empty string")],
    );
    check_top(
        r#""file": ¿[]"#,
        &["\"file\": expected an array of 1 to 64 paths, found an empty array"],
    );
    check_top(
        r#""file": ["a", "b", ¿"a"]"#,
        &["\"file\": \"a\" is listed twice"],
    );
    check_top(
        r#""file": ["a", "b"], "state": ¿"b""#,
        &["\"state\": this is a \"file\" to watch: the record would take its place"],
    );
}

#[test]
fn numbers_are_checked() {
    let max_keys =
        |found: &str| format!("\"max_keys\": expected an integer from 1 to 65535, found {found}");
    let poll = |found: &str| {
        let expected = DURATIONS.replace("0.001 to 315360000", "0.1 to 3600");
        format!("\"poll\": expected {expected}, found {found}")
    };
    for value in ["0", "-1", "1.5", "65536", "1e99", "true", "false"] {
        check_top(
            &format!(r#""file": "f", "max_keys": ¿{value}"#),
            &[&max_keys(value)],
        );
    }
    for value in ["0", "0.099", "0.1005", "3600.001", "-1"] {
        check_top(
            &format!(r#""file": "f", "poll": ¿{value}"#),
            &[&poll(value)],
        );
    }
    for key in ["within", "action_timeout"] {
        let expected = format!("expected {DURATIONS}, found");
        for value in ["0", "-5", "315360000.001", "1e999", "0.0001"] {
            let message = format!("rule \"r\": {key}: {expected} {value}");
            check_added(&format!(r#""{key}": ¿{value}"#), &[&message]);
        }
        let message = format!("rule \"r\": {key}: {expected} a string");
        for value in [
            "5",
            "10 m",
            "10min",
            "1h30m",
            "1.5h",
            "-1s",
            "+1s",
            "10M",
            "m",
            "0s",
            "3651d",
            "18446744073709551s",
            "99999999999999999999w",
            "ä",
        ] {
            check_added(&format!(r#""{key}": ¿"{value}""#), &[&message]);
        }
        let message = format!("rule \"r\": {key}: {expected} an empty string");
        check_added(&format!(r#""{key}": ¿"""#), &[&message]);
    }
    check_added(
        r#""timeout": ¿[1], "revert": ["x"]"#,
        &[&format!(
            "rule \"r\": timeout: expected {DURATIONS}, found an array of 1"
        )],
    );
}

#[test]
fn a_time_is_seconds_or_a_number_with_its_unit() {
    for (written, ms) in [
        ("0.001", 1),
        ("90", 90_000),
        ("\"1s\"", 1_000),
        ("\"90s\"", 90_000),
        ("\"10m\"", 600_000),
        ("\"010m\"", 600_000),
        ("\"2h\"", 7_200_000),
        ("\"7d\"", 604_800_000),
        ("\"1w\"", 604_800_000),
        ("\"3650d\"", 315_360_000_000),
    ] {
        let config = load(&format!(
            r#"{{"file": "f", "poll": "1h", "ruleset": [{{"name": "r", "filter": "(a)",
                "sequence": ["b"], "actions": ["x"], "revert": ["y"], "within": {written},
                "timeout": {written}, "action_timeout": {written}}}]}}"#
        ));
        let rule = &config.rules[0];
        let lease_ms = rule.lease.as_ref().map(|lease| lease.timeout_ms);
        let read = (
            config.poll_ms,
            rule.within_ms,
            lease_ms,
            rule.action_timeout_ms,
        );
        assert_eq!(read, (3_600_000, ms, Some(ms), ms), "{written}");
    }
}

#[test]
fn a_filter_is_a_pattern_or_up_to_sixteen_alternatives() {
    let rest = r#""name": "r", "sequence": ["b"], "actions": ["x"]"#;
    let config = load(&format!(
        r#"{{"file": "f", "ruleset": [{{{rest}, "filter": ["(a)", "b(c)|(d)"]}}]}}"#
    ));
    assert_eq!(patterns(&config.rules[0].filters), ["(a)", "b(c)|(d)"]);
    let no_key = "there is no capture group to take the key from, such as <HOST> or ([0-9.]+)";
    check_rule(
        &format!(r#"{rest}, "filter": ["(a)", ¿"b", "¿(c", "(d)", ¿"(a)", ¿7]"#),
        &[
            &format!("rule \"r\": filter 2: {no_key}"),
            "rule \"r\": filter 3: unclosed group",
            "rule \"r\": filter 5: the same as filter 1",
            "rule \"r\": filter 6: expected a string, found 7",
        ],
    );
    let many = vec!["\"(a)\""; 17].join(", ");
    for (filter, found) in [
        ("[]", "an empty array"),
        (&format!("[{many}]"), "an array of 17"),
    ] {
        let message =
            format!("rule \"r\": filter: expected an array of 1 to 16 regexes, found {found}");
        check_rule(&format!(r#"{rest}, "filter": ¿{filter}"#), &[&message]);
    }
    check_rule(
        &format!(r#"{rest}, "filter": ¿1"#),
        &["rule \"r\": filter: expected a string, found 1"],
    );
}

#[test]
fn the_source_command_is_checked() {
    check_top(
        r#""command": ¿5"#,
        &["\"command\": expected a command: a string or an array of words, found 5"],
    );
    check_top(r#""command": "¿""#, &["\"command\": empty command"]);
    check_top(
        r#""command": ¿[]"#,
        &["\"command\": expected an array of 1 to 256 words, found an empty array"],
    );
    check_top(
        r#""command": ["¿"]"#,
        &["\"command\": the first word, the program, is empty"],
    );
    check_top(
        r#""command": ["a", ¿1, "b", ¿null]"#,
        &[
            "\"command\": expected a string, found 1",
            "\"command\": expected a string, found null",
        ],
    );
    check_top(
        r#""command": "logread ¿'-f""#,
        &["\"command\": unterminated quote"],
    );
}

#[test]
fn a_rule_must_have_what_a_rule_needs() {
    check(
        r#"{"file": "f", "ruleset": ¿[]}"#,
        &["\"ruleset\": expected an array of 1 to 1000 rules, found an empty array"],
    );
    check(
        r#"{"file": "f", "ruleset": ¿{}}"#,
        &["\"ruleset\": expected an array of 1 to 1000 rules, found an object"],
    );
    check(
        r#"{"file": "f", "ruleset": [¿1, ¿¿¿¿{}]}"#,
        &[
            "rule 1: expected an object, found 1",
            "rule 2: missing \"name\"",
            "rule 2: missing \"actions\"",
            "rule 2: missing \"sequence\" (or \"one_time\")",
            "rule 2: missing \"filter\"",
        ],
    );
    check_added(
        r#"¿"action": 1"#,
        &["rule \"r\": unknown key \"action\": did you mean \"actions\"?"],
    );
    check_added(
        r#"¿"file": "x", ¿"maxretry": 5, ¿"bantime": 3600, ¿"command": "x", ¿"tcpflags": "syn""#,
        &[
            "rule \"r\": unknown key \"file\": it stands beside \"ruleset\"",
            "rule \"r\": unknown key \"maxretry\": here it is \"count\"",
            "rule \"r\": unknown key \"bantime\": here it is \"timeout\"",
            "rule \"r\": unknown key \"command\": here it is \"actions\"; what is watched stands beside \"ruleset\"",
            "rule \"r\": unknown key \"tcpflags\": here it is for the firewall's rule to choose, or a part of a step",
        ],
    );
    check_added(
        r#""repeats": ¿0"#,
        &["rule \"r\": repeats: expected true or false, found 0"],
    );
}

#[test]
fn a_file_of_another_format_is_called_that() {
    for document in [
        "[options]\n    UseSyslog\n",
        "# comment\n\n[ssh]\n",
        "; comment\r\n[ssh]\n",
        "file: /var/log/x\nruleset:\n",
        "\n---\nfile: x\n",
        "key = value\n",
    ] {
        let problems = Config::parse(document.as_bytes()).err().unwrap();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, NOT_JSON.as_bytes(), "{document}");
        let rest = &document[problems[0].at..];
        assert!(
            ["[", "f", "---", "key"]
                .iter()
                .any(|begin| rest.starts_with(begin)),
            "{document}"
        );
    }
    for document in ["{file: x}", "[]", "# x\n{}", "/", ""] {
        let problems = Config::parse(document.as_bytes()).err().unwrap();
        assert_ne!(problems[0].message, NOT_JSON.as_bytes(), "{document}");
    }
}

#[test]
fn names_are_checked() {
    let rest = r#""filter": "(a)", "sequence": ["b"], "actions": ["x"]"#;
    let long = format!("\"{}\"", "x".repeat(256));
    let text = "rule 1: name: expected printable text of 1 to 255 bytes, found";
    let cases = [
        ("\"\"", "an empty string"),
        ("\"a\\nb\"", "a string"),
        (long.as_str(), "a string"),
        ("7", "7"),
    ];
    for (name, found) in cases {
        check_rule(
            &format!(r#""name": ¿{name}, {rest}"#),
            &[&format!("{text} {found}")],
        );
    }
    let rules = format!(r#"[{{"name": "r", {rest}}}, {{"name": ¿"r", {rest}}}]"#);
    check(
        &format!(r#"{{"file": "f", "ruleset": {rules}}}"#),
        &["rule \"r\": name: an earlier rule has this name"],
    );
}

#[test]
fn patterns_are_checked_and_the_caret_points_into_them() {
    check_rule(
        r#""name": "r", "filter": "\\(\u00fc¿(a", "ignore": "a¿)",
           "sequence": ["a", "\"¿(", ¿3, "¿("], "actions": ["x"]"#,
        &[
            "rule \"r\": filter: unclosed group",
            "rule \"r\": ignore: unbalanced parenthesis",
            "rule \"r\": sequence 2: unclosed group",
            "rule \"r\": sequence 3: expected a string, found 3",
            "rule \"r\": sequence 4: unclosed group",
        ],
    );
    check_rule(
        r#""name": "r", "filter": ¿"(?:a)", "sequence": ["b"], "actions": ["x"]"#,
        &[
            "rule \"r\": filter: there is no capture group to take the key from, such as <HOST> or ([0-9.]+)",
        ],
    );
}

#[test]
fn sequences_are_checked() {
    let rest = r#""name": "r", "filter": "(a)", "actions": ["x"]"#;
    let check = |members: &str, messages| check_rule(&format!("{rest}, {members}"), messages);
    let many = ["\"a\""; 33].join(",");
    check(
        &format!(r#""sequence": ¿[{many}]"#),
        &["rule \"r\": sequence: expected an array of 1 to 32 regexes, found an array of 33"],
    );
    check(
        r#""sequence": ¿"a""#,
        &["rule \"r\": sequence: expected an array of 1 to 32 regexes, found a string"],
    );
    check(
        r#""sequence": ["a"], "one_time": ¿[["b"]]"#,
        &["rule \"r\": one_time: cannot stand beside \"sequence\""],
    );
    check(
        r#""one_time": ¿[]"#,
        &["rule \"r\": one_time: expected an array of 1 to 256 sequences, found an empty array"],
    );
    check(
        r#""one_time": [["a"], ¿"a", ["a", "¿)"], ¿[]]"#,
        &[
            "rule \"r\": one_time 2: expected an array of 1 to 32 regexes, found a string",
            "rule \"r\": one_time 3: step 2: unbalanced parenthesis",
            "rule \"r\": one_time 4: expected an array of 1 to 32 regexes, found an empty array",
        ],
    );
    check(
        r#""one_time": [["a"], ["a", "b"], ¿["a"], ["b", "a"], ¿["a", "b"]]"#,
        &[
            "rule \"r\": one_time 3: the same as sequence 1",
            "rule \"r\": one_time 5: the same as sequence 2",
        ],
    );
}

#[test]
fn what_belongs_together_is_asked_for() {
    check_added(
        r#"¿"timeout": 5"#,
        &["rule \"r\": \"timeout\" needs \"revert\""],
    );
    check_added(
        r#"¿"revert": ["x"]"#,
        &["rule \"r\": \"revert\" needs \"timeout\", or another rule that \"closes\" this one"],
    );
    check_added(
        r#"¿"exclusive": true"#,
        &["rule \"r\": \"exclusive\" needs \"timeout\""],
    );
    check_added(
        r#"¿"revert": ["x"], ¿"exclusive": ¿1"#,
        &[
            "rule \"r\": \"revert\" needs \"timeout\", or another rule that \"closes\" this one",
            "rule \"r\": \"exclusive\" needs \"timeout\"",
            "rule \"r\": exclusive: expected true or false, found 1",
        ],
    );
}

#[test]
fn only_a_rule_that_opens_something_can_be_closed() {
    check_added(
        r#""closes": ["open", ¿"none", ¿"plain"]}, {"name": "open", "filter": "(a)", "sequence": ["a"], "actions": ["x"],
        "revert": ["x"]}, {"name": "plain", "filter": "(a)", "sequence": ["a"], "actions": ["x"]"#,
        &[
            "rule \"r\": closes 2: there is no rule \"none\"",
            "rule \"r\": closes 3: rule \"plain\" has no \"revert\": it opens nothing that could be closed",
        ],
    );
}

#[test]
fn commands_are_checked_and_the_caret_points_into_them() {
    check_actions(
        "¿[]",
        &["rule \"r\": actions: expected an array of 1 to 64 commands, found an empty array"],
    );
    check_actions(
        r#"¿"x""#,
        &["rule \"r\": actions: expected an array of 1 to 64 commands, found a string"],
    );
    check_actions(
        r#"["\"ü\" a\\\\b ¿{2}", ["x", "\u00fc\"¿{prot}"], "x {0¿:x}", "x \"\\\"{0}\" '¿}'"]"#,
        &[
            "rule \"r\": actions 1: {2}: the last step has no group of that number (its first is {0})",
            "rule \"r\": actions 2: {prot}: the last step has no group of that name \
         (literal braces are written {{ and }})",
            "rule \"r\": actions 3: a placeholder is a group's number or name and nothing else",
            "rule \"r\": actions 4: single } (a literal brace is written }})",
        ],
    );
    check_actions(
        r#"["¿", ["x", ¿["y"]]]"#,
        &[
            "rule \"r\": actions 1: empty command",
            "rule \"r\": actions 2: expected a string, found an array of 1",
        ],
    );
    check_actions(
        r#"[["sh", "-c", "echo ¿{0}"], "x y¿\u0000"]"#,
        &[
            "rule \"r\": actions 1: a shell would run the value as code: pass it as \"$1\", with sh and \
         the placeholder as words after the script",
            "rule \"r\": actions 2: a command cannot hold a NUL byte",
        ],
    );
    check_added(
        r#""timeout": 1, "revert": ["x", "y ¿{1}"]"#,
        &[
            "rule \"r\": revert 2: {1}: the last step has no group of that number (its first is {0})",
        ],
    );
}

#[test]
fn a_command_is_checked_against_every_sequence_and_reported_once() {
    check_rule(
        r#""name": "r", "filter": "(a)", "one_time": [["(a)"], ["b"], ["c"]],
           "actions": ["x ¿{0}", "x {key}", "x ¿'"]"#,
        &[
            "rule \"r\": actions 1: one_time 2: {0}: the last step has no groups (the filter's is {key})",
            "rule \"r\": actions 3: unterminated quote",
        ],
    );
    // Where no sequence is known, what can be said about a command is still said.
    check_rule(
        r#""name": "r", "filter": "(a)", "sequence": ["¿("], "actions": ["x {7}", "x {¿!r}"]"#,
        &[
            "rule \"r\": sequence 1: unclosed group",
            "rule \"r\": actions 2: a placeholder is a group's number or name and nothing else",
        ],
    );
}

#[test]
fn all_errors_are_reported_in_the_order_of_the_document() {
    check(
        r#"¿{ "ruleset": [
            {"actions": ["x ¿{5}"], "sequence": ["b"], "name": "one", "filter": "¿("},
            ¿{"exclusive": ¿2, "timeout": ¿0, "revert": ["¿"], "sequence": ["¿)"],
             "filter": ¿"x", "name": "two"}
          ], "debug": ¿null, ¿"trase": 1 }"#,
        &[
            "missing \"file\" or \"command\": there is nothing to watch",
            "rule \"one\": actions 1: {5}: the last step has no groups (the filter's is {key})",
            "rule \"one\": filter: unclosed group",
            "rule \"two\": missing \"actions\"",
            "rule \"two\": exclusive: expected true or false, found 2",
            &format!("rule \"two\": timeout: expected {DURATIONS}, found 0"),
            "rule \"two\": revert 1: empty command",
            "rule \"two\": sequence 1: unbalanced parenthesis",
            "rule \"two\": filter: there is no capture group to take the key from, such as <HOST> or ([0-9.]+)",
            "\"debug\": expected true or false, found null",
            "unknown key \"trase\": did you mean \"trace\"?",
        ],
    );
}

#[test]
fn a_suggestion_is_made_for_two_slips_of_the_pen_and_no_more() {
    let cases = [
        ("sequnce", Some("sequence")),
        ("seqeunce", Some("sequence")),
        ("sequences", Some("sequence")),
        ("Filter", Some("filter")),
        ("one-time", Some("one_time")),
        ("onetime", Some("one_time")),
        ("revrets", Some("revert")),
        ("acton", Some("actions")),
        ("nmae", Some("name")),
        ("timeot", Some("timeout")),
        ("action_timout", Some("action_timeout")),
        ("", None),
        ("cooldown", None),
        ("regex", None),
        ("filtration", None),
    ];
    for (written, meant) in cases {
        assert_eq!(read::nearest(written, RULE), meant, "{written}");
    }
}

#[test]
fn no_cut_or_changed_file_makes_the_reader_panic_or_say_nothing() {
    let try_one = |document: &[u8]| {
        if let Err(problems) = Config::parse(document) {
            assert!(!problems.is_empty());
            assert!(problems.is_sorted_by_key(|problem| problem.at));
            for problem in &problems {
                assert!(problem.at <= document.len());
                problem.render(b"f", document, &mut Vec::new());
            }
        }
    };
    let full = FULL.as_bytes();
    for at in crate::text::tests::places(full) {
        try_one(&full[..at]);
        let mut shorter = full.to_vec();
        shorter.remove(at);
        try_one(&shorter);
        for byte in [
            0, b'"', b'\\', b'{', b'}', b'[', b'0', b'-', b'x', b',', b'(', 0xff,
        ] {
            let mut changed = full.to_vec();
            changed[at] = byte;
            try_one(&changed);
        }
    }
}

/// Replaces every value of the full configuration by one of each kind.
#[test]
fn no_value_of_a_wrong_type_makes_the_reader_panic_or_say_nothing() {
    fn values(value: Value, out: &mut Vec<usize>) {
        out.push(value.at(FULL.as_bytes()));
        for item in value.items() {
            match value.first() {
                b'{' => values(item.behind_key(), out),
                _ => values(item, out),
            }
        }
    }
    let full = json::parse(FULL.as_bytes()).unwrap();
    let mut places = Vec::new();
    values(full, &mut places);
    for at in places {
        // The end of a value is where the text from its beginning first is one.
        let end = (at + 1..=FULL.len()).find(|&end| json::parse(&FULL.as_bytes()[at..end]).is_ok());
        let rest = &FULL[end.unwrap()..];
        for kind in [
            "null",
            "true",
            "-1",
            "1e400",
            "\"\"",
            "\"\\u0000\"",
            "[]",
            "[[[]]]",
            "{}",
        ] {
            let document = [&FULL[..at], kind, rest].concat();
            if let Err(problems) = Config::parse(document.as_bytes()) {
                assert!(!problems.is_empty(), "{document}");
            }
        }
    }
}

#[test]
fn a_count_is_more_than_one() {
    for found in ["1", "0", "-2", "1001", "2.5", "1e9", "null"] {
        let message =
            format!("rule \"r\": count: expected an integer from 2 to 1000, found {found}");
        check_added(&format!(r#""count": ¿{found}"#), &[&message]);
    }
}

#[test]
fn hosts_to_be_ignored_are_addresses_and_networks() {
    let no_network =
        "expected an address or a network, such as 192.0.2.1, 192.168.0.0/16 or fe80::/10";
    check_added(
        r#""ignore_hosts": ["::1", "¿localhost", "127.0.0.0/¿33", "¿\u00b5", "¿127.0.0.1/8", ¿7]"#,
        &[
            &format!("rule \"r\": ignore_hosts 2: {no_network}"),
            "rule \"r\": ignore_hosts 3: expected the length of the network, 0 to 32",
            &format!("rule \"r\": ignore_hosts 4: {no_network}"),
            "rule \"r\": ignore_hosts 5: has bits behind the first 8: did you mean 127.0.0.0/8?",
            "rule \"r\": ignore_hosts 6: expected a string, found 7",
        ],
    );
    check_added(
        r#""ignore_hosts": ¿"::1""#,
        &[
            "rule \"r\": ignore_hosts: expected an array of 1 to 256 addresses and networks, found a string",
        ],
    );
}

#[test]
fn progress_means_the_same_only_where_all_that_matches_is_the_same() {
    let rule = |members: &str| {
        let config = load(&format!(
            r#"{{"file": "f", "ruleset": [{{"name": "r", "sequence": ["b"], {members}}}]}}"#
        ));
        config.rules.into_iter().next().expect("a rule")
    };
    let matching = [
        r#""filter": "(a)""#,
        r#""filter": ["(a)", "(c)"]"#,
        r#""filter": "(a)(c)""#,
        r#""filter": "(a)", "ignore": "(c)""#,
        r#""filter": "(a)", "ignore_hosts": ["::1"]"#,
        r#""filter": "(a)", "ignore_hosts": ["127.0.0.0/8"]"#,
        r#""filter": "(a)", "within": 5"#,
        r#""filter": "(a)", "repeats": true"#,
        r#""filter": "(a)", "count": 2"#,
        r#""filter": "(a)", "count": 3"#,
    ];
    let rules = |action: &str| {
        let rule = |members| rule(&format!(r#"{members}, "actions": ["{action}"]"#));
        matching.map(rule)
    };
    for (index, one) in rules("x").iter().enumerate() {
        for (other_index, other) in rules("y").iter().enumerate() {
            let (index, other_index) = (matching[index], matching[other_index]);
            assert_eq!(
                one.matches_as(other),
                index == other_index,
                "{index} {other_index}"
            );
        }
    }
    // It is the same filter.
    let list = rule(r#""filter": ["(a)"], "within": "5s", "actions": ["x"]"#);
    assert!(list.matches_as(&rule(r#""filter": "(a)", "within": 5, "actions": ["x"]"#)));
}
