//! The command line: what is printed where, and the exit status.

mod common;

use common::{Daemon, TempDir, config, knock, outcome, rule};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// Statuses the manual promises.
const FINE: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const USAGE: Option<i32> = Some(2);

/// A directory with a configuration whose knocks echo their key.
fn echoing() -> TempDir {
    let dir = TempDir::new();
    let echo = rule("x", r#""actions": ["echo {key} 'two words'"]"#);
    dir.configure(&config(r#""-""#, &[echo]));
    dir
}

/// Its dry run with `arguments`: exit status, standard output, standard error.
fn dry_run(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments = [&["-n", "-c", common::CONFIG], arguments].concat();
    outcome(&dir.run(&arguments))
}

#[test]
fn help_and_version_go_to_standard_output() {
    let dir = TempDir::new();
    let (status, help, errors) = outcome(&dir.run(&["-h"]));
    assert_eq!((status, errors.as_str()), (FINE, ""));
    assert!(help.starts_with("logknockd watches logs"));
    for option in [
        "--config FILE",
        "--test",
        "--dry-run",
        "--debug",
        "--trace",
        "--syslog",
    ] {
        assert!(help.contains(option), "{option}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100));
    assert_eq!(outcome(&dir.run(&["--help"])).1, help);
    let version = (
        FINE,
        concat!("logknockd ", env!("CARGO_PKG_VERSION"), "\n").into(),
        String::new(),
    );
    assert_eq!(outcome(&dir.run(&["-V"])), version);
    assert_eq!(outcome(&dir.run(&["--version"])), version);
}

#[test]
fn bad_usage_is_named_and_ends_with_2() {
    let dir = TempDir::new();
    let cases: [(&[&str], &str); 5] = [
        (&["-y"], "unknown option \"-y\""),
        (&["--verbose"], "unknown option \"--verbose\""),
        (&["-c"], "option -c needs the name of a file"),
        (
            &["-t", "-n"],
            "options -t, -n, -l and -x exclude each other",
        ),
        (
            &["a.log"],
            "only a dry run (-n) takes the name of a log: \"a.log\"",
        ),
    ];
    for (arguments, message) in cases {
        let message = format!("logknockd: {message}\nTry 'logknockd --help'.\n");
        assert_eq!(
            outcome(&dir.run(arguments)),
            (USAGE, String::new(), message)
        );
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named_and_ends_with_2() {
    let dir = TempDir::new();
    dir.mkdir("directory");
    let cases = [
        ("missing", "No such file or directory (errno 2)"),
        ("directory", "Is a directory (errno 21)"),
        ("directory/missing", "No such file or directory (errno 2)"),
    ];
    for (name, reason) in cases {
        let message = format!("{name}: {reason}\n");
        for look in ["-t", "-n"] {
            let expected = (USAGE, String::new(), message.clone());
            assert_eq!(outcome(&dir.run(&[look, "-c", name])), expected);
        }
        let message = format!("[ERROR] {message}");
        assert_eq!(
            outcome(&dir.run(&["-c", name])),
            (USAGE, String::new(), message)
        );
    }
}

#[test]
fn what_is_understood_of_a_good_configuration_is_shown() {
    let dir = TempDir::new();
    let rules = [
        r#"{ "name": "x", "filter": "^([a-z]+) .*: ", "ignore": "\\d", "actions": ["echo 'b' '{{ {key} }}'"],
             "sequence": [" one$", "(two) \\w+", "(?P<what>three)(,.)"],
             "timeout": 5, "revert": ["sh -c 'c \"$1\"' sh {1} {what} {rule}"] }"#,
        r#"{ "name": "y", "filter": "^(.)", "sequence": ["drop wan in: .* SRC="], "actions": ["echo"] }"#,
    ];
    let files = format!(r#""-", "state": "{}""#, dir.text("state"));
    dir.write("c", config(&files, &rules.map(String::from)));
    let stdout = r#"c: fine, 2 rules
  "x"
    filter: no literal to look for
    key: group 1
    ignore: no literal to look for
    step 1: looks for " one"
    step 2: looks for "two "
    step 3: looks for "three,"
    groups of the last step: {what} {1}
    open: echo b '{ {key} }'
    close: sh -c 'c "$1"' sh '{1}' '{what}' x
  "y"
    filter: no literal to look for
    key: group 1
    step 1: looks for "drop wan in:", " SRC="
    groups of the last step: none
    open: echo
"#;
    assert_eq!(
        outcome(&dir.run(&["-t", "-c", "c"])),
        (FINE, stdout.into(), String::new())
    );
}

#[test]
fn a_filter_that_strangers_can_meet_anywhere_in_a_line_is_warned_of() {
    let dir = TempDir::new();
    let loose = rule("y", r#""actions": ["echo"]"#).replace("^(", "(");
    let rules = [rule("x", r#""actions": ["echo"]"#), loose];
    dir.write("c", config(r#""-""#, &rules));
    let (status, stdout, stderr) = outcome(&dir.run(&["-t", "-c", "c"]));
    assert_eq!((status, stderr.as_str()), (FINE, ""));
    let (_, y) = stdout.split_once("  \"y\"\n").unwrap();
    let warning =
        "    filter: no literal to look for\n    warning: the filter begins with neither ^ nor";
    assert!(y.starts_with(warning), "{stdout}");
    assert_eq!(stdout.matches("warning: ").count(), 1);
    let head = "c: fine but for 1 warning, 2 rules\n";
    assert!(stdout.starts_with(head), "{stdout}");
}

/// What is watched where that does not matter.
const INPUT: &str = r#""file": "-""#;

/// The warnings of `-t` about a configuration that is loaded: what stands behind `warning: `.
fn warnings(dir: &TempDir, top: &str, rules: &[&str]) -> Vec<String> {
    dir.write(
        "c",
        format!("{{{top}, \"ruleset\": [{}]}}", rules.join(",")),
    );
    let (status, stdout, stderr) = outcome(&dir.run(&["-t", "-c", "c"]));
    assert_eq!((status, stderr.as_str()), (FINE, ""), "{stdout}");
    let warnings = stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix("warning: "));
    warnings.map(String::from).collect()
}

#[test]
fn a_pattern_that_no_line_can_match_is_warned_of() {
    let dir = TempDir::new();
    let rule = r#"{"name": "x", "filter": "^ (\\S+) DPT", "ignore": "LEN=9 $",
        "sequence": ["DPT=1 ", "^\\s*DPT=2$", "^\\sDPT=3"], "actions": ["echo"]}"#;
    let because = "matches no line: none begins or ends with a blank, holds a newline, or goes on before ^ or behind $";
    let expected = [
        format!("\"filter\" {because}"),
        format!("\"ignore\" {because}"),
        format!("step 3 {because}"),
    ];
    assert_eq!(warnings(&dir, INPUT, &[rule]), expected);
    let rule = rule.replace("LEN=9 $", "LEN=9$x");
    let records = r#""file": "/dev/kmsg""#;
    assert_eq!(warnings(&dir, records, &[&rule]), expected);
    let newline = r#"{"name": "x", "filter": "^(k)", "sequence": ["a\\nb"], "actions": ["echo"]}"#;
    assert_eq!(
        warnings(&dir, INPUT, &[newline]),
        [format!("step 1 {because}")]
    );
    assert!(warnings(&dir, records, &[newline]).is_empty());
}

#[test]
fn a_pattern_with_names_that_only_fail2ban_knows_is_warned_of() {
    let dir = TempDir::new();
    let rule = |filter: &str, ignore: &str| {
        format!(
            r#"{{"name": "x", "filter": "{filter}", "ignore": "{ignore}", "sequence": ["."], "actions": ["echo"]}}"#
        )
    };
    let because = "has %(…)s or <F-…>, for which fail2ban puts something else: write what stands there in the line";
    assert_eq!(
        warnings(
            &dir,
            INPUT,
            &[&rule(
                "^%(__prefix_line)sBad password from <HOST>$",
                "^user <F-USER>x</F-USER>"
            )]
        ),
        [
            format!("\"filter\" {because}"),
            format!("\"ignore\" {because}")
        ]
    );
    // haproxy writes such, and a load stands in some logs.
    let lines = rule("^<HOST> <NOSRV> ", "^\\\\d+%(?:x) <F-");
    assert!(warnings(&dir, INPUT, &[&lines]).is_empty());
}

#[test]
fn a_command_that_cannot_be_run_is_warned_of_before_a_knock_finds_out() {
    let dir = TempDir::new();
    dir.write("here", "#!/bin/sh\n");
    dir.chmod("here", 0o755);
    dir.write("data", "");
    let data = dir.text("data");
    let quoted = format!("'{data}'");
    let cases = [
        (
            "no-such-program x",
            "there is no program \"no-such-program\"".into(),
        ),
        (
            "/no/such/program",
            "there is no program \"/no/such/program\"".into(),
        ),
        (
            &quoted,
            format!("program {data:?}: Permission denied (errno 13)"),
        ),
        (
            "~/bin/x",
            "program \"~/bin/x\": no shell reads this, so ~ is no folder".into(),
        ),
        (
            "FOO=b logger x",
            "\"FOO=b\" sets no variable, for no shell runs this: write env FOO=b".into(),
        ),
        (
            "cd /tmp",
            "\"cd\" is a shell's own, and no shell runs this: see sh -c".into(),
        ),
        (
            "./here",
            "program \"./here\" is there only if the daemon starts in this folder".into(),
        ),
        ("echo 'x %IP%'", "%IP% is knockd's: here it is {key}".into()),
        (
            "sh -c 'x -s <ip>'",
            "<ip> is fail2ban's: here it is {key}".into(),
        ),
    ];
    for (command, warning) in cases {
        let rule = rule("x", &format!("\"actions\": [\"{command}\"]"));
        assert_eq!(warnings(&dir, INPUT, &[&rule]), [warning]);
    }
    let fine = rule(
        "x",
        r#""actions": ["echo {key}", "/bin/sh -c 'cd /; no-such-program' sh"]"#,
    );
    let top = "\"file\": \"-\", \"command\": \"no-such-program -f\"";
    let warning = "there is no program \"no-such-program\"";
    assert_eq!(warnings(&dir, top, &[&fine]), [warning]);
    let top = "\"command\": \"echo {key}\"";
    let warning = "{key} in the top \"command\" stays as it is: that runs before anybody knocks";
    assert_eq!(warnings(&dir, top, &[&fine]), [warning]);
}

#[test]
fn what_cannot_be_watched_or_recorded_is_warned_of() {
    let dir = TempDir::new();
    dir.mkdir("folder");
    dir.write("log[1]", "");
    let lease = rule(
        "x",
        r#""actions": ["echo"], "timeout": 1, "revert": ["echo"]"#,
    );
    let plain = rule("x", r#""actions": ["echo"]"#);
    dir.write("plain", "");
    std::fs::hard_link(dir.path("plain"), dir.path("hard")).unwrap();
    dir.symlink("/dev/zero", "link");
    let _socket = std::os::unix::net::UnixDatagram::bind(dir.path("socket")).unwrap();
    // @ stands for the folder.
    let warnings = |top: &str, rule: &String| -> Vec<String> {
        let here = dir.text("");
        let here = here.trim_end_matches('/');
        let found = warnings(&dir, &top.replace('@', here), &[rule]);
        found.iter().map(|line| line.replace(here, "@")).collect()
    };
    let files = r#""file": ["@/folder", "@/a*.log", "@/log[1]", "@/not-yet", "@/link", "@/socket", "@/plain/x",
        "/proc/kmsg", "-", "plain", "~/x", "@/folder/../log[1]", "@/hard"]"#;
    let expected = [
        "file \"@/folder\" is a folder: name the files in it",
        "file \"@/a*.log\" is not there, and is no pattern: * ? [ stand for themselves, so name each file",
        "file \"@/link\": leads to a device, which only its own path may name",
        "file \"@/socket\": not a file with lines to read",
        "file \"@/plain/x\": Not a directory (errno 20)",
        "file \"/proc/kmsg\": takes its lines from whoever else reads them, old ones first: name /dev/kmsg",
        "file \"plain\" is there only if the daemon starts in this folder",
        "file \"~/x\": no shell reads this, so ~ is no folder",
        "file \"@/folder/../log[1]\" is another name of one before it: each of its lines counts twice",
        "file \"@/hard\" is another name of one before it: each of its lines counts twice",
    ];
    assert_eq!(warnings(files, &plain), expected);
    let state = r#""file": "-", "state": "@/no/state""#;
    let expected = [
        "state \"@/no/state\": No such file or directory (errno 2): what cannot be recorded is not opened",
    ];
    assert_eq!(warnings(state, &lease), expected);
    let no_folder = r#""file": "-", "state": "@/plain/state""#;
    let expected = [
        "state \"@/plain/state\": Not a directory (errno 20): what cannot be recorded is not opened",
    ];
    assert_eq!(warnings(no_folder, &lease), expected);
    // Nothing is recorded.
    assert!(warnings(state, &plain).is_empty());
    let state = r#""file": "-", "state": "@/folder/state""#;
    assert!(warnings(state, &lease).is_empty());
    // -l and -x would look for it in other folders.
    let state = r#""file": "-", "state": "folder/state""#;
    let expected = ["state \"folder/state\" is there only if the daemon starts in this folder"];
    assert_eq!(warnings(state, &lease), expected);
}

#[test]
fn a_step_that_every_line_takes_is_warned_of_unless_it_counts() {
    let dir = TempDir::new();
    let with = |sequence: &str| {
        let rule = rule("x", r#""actions": ["echo"]"#);
        let (before, after) = rule.split_once("\"sequence\": [").expect("a sequence");
        let (_, after) = after.split_once(']').expect("its end");
        warnings(
            &dir,
            INPUT,
            &[&format!("{before}\"sequence\": [{sequence}]{after}")],
        )
    };
    let empty = |number| {
        format!("step {number} is empty and matches every line: \".\" says that this is meant")
    };
    let every = |number| format!("step {number} matches every line, and other steps do not");
    assert_eq!(with(r#"" one", """#), [empty(2)]);
    assert_eq!(with(r#"" one", ".*", "^""#), [every(2), every(3)]);
    for counting in [
        r#"".", ".*", ".""#,
        r#""^$", "x""#,
        r#""^[a-z]*$", "[^a]x""#,
        r#"".""#,
    ] {
        assert!(with(counting).is_empty(), "{counting}");
    }
}

#[test]
fn an_ignore_that_leaves_nothing_to_the_filter_is_warned_of() {
    let dir = TempDir::new();
    let ignoring = |ignore: &str| {
        let more = format!(r#""ignore": {ignore}, "actions": ["echo"]"#);
        warnings(&dir, INPUT, &[&rule("x", &more)])
    };
    let all = "\"ignore\" matches every line that \"filter\" does: the rule passes over all";
    assert_eq!(ignoring(r#""x*""#), [all]);
    assert_eq!(ignoring(r#""^(\\S+) ""#), [all]);
    assert!(ignoring(r#""^(\\S+) x""#).is_empty());
}

#[test]
fn the_python_daemons_example_loads_unchanged() {
    let dir = TempDir::new();
    fs::copy(common::data("python-example.json"), dir.path("c")).unwrap();
    let (status, stdout, stderr) = outcome(&dir.run(&["-t", "-c", "c"]));
    // There may be no uci here, which is warned of.
    assert!(stdout.starts_with("c: fine"), "{stdout}");
    let head = ", 1 rule\n  \"Forward ports for service x\"\n";
    assert!(stdout.contains(head), "{stdout}");
    assert_eq!((status, stderr.as_str()), (FINE, ""));
}

const BAD: &str = r#"{
    "file": "x.log",
    "max_keys": 0,
    "ruleset": [
        {
            "name": "ssh",
            "filter": "SRC=([0-9.]+ PROTO=UDP",
            "sequnce": ["one"],
            "sequence": ["\\d\\1"],
            "actions": ["echo {1}"]
        }
    ]
}
"#;

const BAD_MESSAGES: &str = r#"c:3:17: error: "max_keys": expected an integer from 1 to 65535, found 0
    3 |     "max_keys": 0,
      |                 ^
c:7:28: error: rule "ssh": filter: unclosed group
    7 |             "filter": "SRC=([0-9.]+ PROTO=UDP",
      |                            ^
c:8:13: error: rule "ssh": unknown key "sequnce": did you mean "sequence"?
    8 |             "sequnce": ["one"],
      |             ^
c:9:30: error: rule "ssh": sequence 1: backreferences are not supported
    9 |             "sequence": ["\\d\\1"],
      |                              ^
"#;

#[test]
fn every_error_of_a_bad_configuration_is_shown_where_it_is() {
    let dir = TempDir::new();
    dir.write("c", BAD);
    dir.chmod("c", 0o644);
    let expected = (USAGE, String::new(), BAD_MESSAGES.into());
    assert_eq!(outcome(&dir.run(&["-t", "-c", "c"])), expected);
    // The daemon says the same in its log, where nothing of the file is shown, and starts nothing.
    let (status, _, log) = outcome(&dir.run(&["-c", "c"]));
    let messages = BAD_MESSAGES.lines().filter(|line| line.starts_with("c:"));
    let messages = messages.map(|line| format!("[ERROR] {line}\n"));
    assert_eq!((status, log), (USAGE, messages.collect()));
}

#[test]
fn what_is_not_json_is_an_error_and_no_riddle() {
    let dir = TempDir::new();
    for text in [
        "",
        "{",
        "[]",
        "\0",
        "{\"file\": \"a\", \"file\": \"b\"}",
        "\u{feff}nul",
    ] {
        dir.write("c", text);
        let (status, stdout, stderr) = outcome(&dir.run(&["-t", "-c", "c"]));
        assert_eq!((status, stdout.as_str()), (USAGE, ""), "{text}");
        assert!(
            stderr.starts_with("c:1:") && stderr.contains(": error: "),
            "{stderr}"
        );
    }
}

#[test]
fn root_acts_only_on_what_root_alone_can_write() {
    if !common::is_root() {
        return common::skipped("only root's configuration is guarded");
    }
    let dir = echoing();
    let refused = "refused: only root may own and write it, because its commands run as root";
    let refused = format!("[ERROR] {}: {refused}\n", common::CONFIG);
    for mode in [0o664, 0o646] {
        dir.chmod(common::CONFIG, mode);
        let expected = (USAGE, String::new(), refused.clone());
        assert_eq!(outcome(&dir.run(&["-c", common::CONFIG])), expected);
        let output = dir.run(&["-n", "-c", common::CONFIG]);
        assert_eq!(output.status.code(), FINE);
        // What the daemon would refuse is not called fine.
        let (status, _, errors) = outcome(&dir.run(&["-t", "-c", common::CONFIG]));
        assert_eq!(
            (status, format!("[ERROR] {errors}")),
            (USAGE, refused.clone())
        );
    }
    dir.chmod(common::CONFIG, 0o644);
    std::os::unix::fs::chown(dir.path(common::CONFIG), Some(65534), None).unwrap();
    let (status, _, log) = outcome(&dir.run(&["-c", common::CONFIG]));
    assert_eq!((status, log), (USAGE, refused));
}

#[test]
fn root_acts_only_on_what_nobody_else_can_put_in_place() {
    if !common::is_root() {
        return common::skipped("only root's configuration is guarded");
    }
    let dir = echoing();
    let own = |name: &str, user: u32| {
        std::os::unix::fs::lchown(dir.path(name), Some(user), None).unwrap();
    };
    // A good one, wherever somebody else might make it turn up.
    dir.mkdir("good/deep");
    std::fs::copy(dir.path(common::CONFIG), dir.path("good/x.conf")).unwrap();
    for (folder, user, mode) in [
        ("theirs", 65534, 0o755),
        ("open", 0, 0o775),
        ("tmp", 0, 0o1777),
    ] {
        dir.mkdir(folder);
        dir.mkdir(&format!("{folder}/ours"));
        std::fs::copy(
            dir.path("good/x.conf"),
            dir.path(&format!("{folder}/x.conf")),
        )
        .unwrap();
        dir.symlink("../good/x.conf", &format!("{folder}/link.conf"));
        dir.symlink("../good", &format!("{folder}/good"));
        own(folder, user);
        dir.chmod(folder, mode);
    }
    dir.symlink("/proc/self/cwd/theirs", "detour");
    dir.symlink("../good/x.conf", "tmp/stranger.conf");
    own("tmp/stranger.conf", 65534);
    dir.mkdir("tmp/strange");
    std::fs::copy(dir.path("good/x.conf"), dir.path("tmp/strange/x.conf")).unwrap();
    own("tmp/strange", 65534);
    let check = |path: &str| {
        let (status, _, errors) = outcome(&dir.run(&["-t", "-c", path]));
        (status, errors)
    };
    for path in [
        "good/x.conf",
        "./good/deep/../x.conf",
        "tmp/x.conf",
        "tmp/link.conf",
        "tmp/good/x.conf",
        &dir.text("good//x.conf"),
    ] {
        assert_eq!(check(path), (FINE, String::new()), "{path}");
    }
    let protected = std::fs::read_to_string("/proc/sys/fs/protected_symlinks");
    let are_links_protected = protected.is_ok_and(|value| value.trim() == "1");
    for (path, place) in [
        ("theirs/x.conf", "theirs"),
        ("theirs/link.conf", "theirs"),
        ("theirs/good/x.conf", "theirs"),
        ("theirs/ours/../../good/x.conf", "theirs"),
        ("detour/x.conf", "theirs"),
        ("open/x.conf", "open"),
        ("open/good/x.conf", "open"),
        ("tmp/stranger.conf", "tmp/stranger.conf"),
        ("tmp/strange/x.conf", "tmp/strange"),
    ] {
        let place = dir.path(place);
        let place = place.canonicalize().unwrap_or(place);
        let place = match path.ends_with("stranger.conf") {
            true => dir.path("").canonicalize().unwrap().join(path),
            false => place,
        };
        let expected = format!(
            "{path}: refused: others can change {place:?} on the way to it, and its commands run as root\n"
        );
        // Most systems have their kernel follow no stranger's link in such a folder, whoever goes there.
        let is_stopped = path == "tmp/stranger.conf" && are_links_protected;
        let (expected, looked_at) = match is_stopped {
            true => (format!("{path}: Permission denied (errno 13)\n"), USAGE),
            false => (expected, FINE),
        };
        assert_eq!(check(path), (USAGE, expected), "{path}");
        // To look at it does no harm.
        let status = dir.run(&["-n", "-c", path]).status.code();
        assert_eq!(status, looked_at, "{path}");
    }
    assert_eq!(dir.run(&["-c", "theirs/link.conf"]).status.code(), USAGE);
    // What a shell hands over has no folder.
    let script = "cat good/x.conf | \"$0\" -t -c /dev/stdin";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(common::binary());
    let (status, _, errors) = outcome(&shell.current_dir(dir.path("")).output().unwrap());
    assert_eq!((status, errors.as_str()), (FINE, ""));
}

#[test]
fn a_quiet_check_says_only_what_is_wrong() {
    let dir = echoing();
    let expected = (FINE, String::new(), String::new());
    assert_eq!(outcome(&dir.run(&["-tq", "-c", common::CONFIG])), expected);
    dir.write("bad", "{}");
    let (status, stdout, stderr) = outcome(&dir.run(&["-t", "--quiet", "-c", "bad"]));
    assert_eq!((status, stdout.as_str()), (USAGE, ""));
    assert!(stderr.starts_with("bad:1:"), "{stderr}");
}

#[test]
fn neither_a_quiet_check_nor_the_log_shows_a_line_of_a_configuration_that_is_wrong() {
    let dir = TempDir::new();
    let steps = r#"{"name": "x", "filter": "^(a)", "sequence": ["DPT=7411", "DPT=(3"], "actions": ["echo"]}"#;
    dir.write("bad", config(r#""log""#, &[steps.into()]));
    for arguments in [&["-tq", "-c", "bad"][..], &["-c", "bad"]] {
        let (status, stdout, stderr) = outcome(&dir.run(arguments));
        assert_eq!((status, stdout.as_str()), (USAGE, ""));
        assert!(stderr.ends_with("unclosed group\n"), "{stderr}");
        assert!(
            stderr.lines().count() == 1 && !stderr.contains("DPT"),
            "{stderr}"
        );
    }
    let (_, _, stderr) = outcome(&dir.run(&["-t", "-c", "bad"]));
    assert!(stderr.contains("DPT=7411"), "{stderr}");
}

#[test]
fn a_record_that_the_daemon_would_refuse_is_an_error() {
    let dir = TempDir::new();
    dir.write("mine", "some text of mine\n".repeat(9));
    dir.symlink("nowhere", "link");
    dir.mkdir("folder");
    let lease = rule(
        "x",
        r#""actions": ["echo"], "timeout": 1, "revert": ["echo"]"#,
    );
    for (state, reason) in [
        ("mine", "it is some other file"),
        ("c", "it is some other file"),
        ("link", "it is a symbolic link"),
        ("folder", "it is a folder"),
    ] {
        let of =
            |rule: &str| format!(r#"{{"file": "log", "state": "{state}", "ruleset": [{rule}]}}"#);
        dir.write("c", of(&lease));
        for arguments in [&["-t", "-c", "c"][..], &["-c", "c"]] {
            let (status, stdout, stderr) = outcome(&dir.run(arguments));
            assert_eq!((status, stdout.as_str()), (USAGE, ""), "{stderr}");
            let message = format!("{state:?} is no record of ours ({reason}) and stays as it is");
            assert!(stderr.contains(&message), "{stderr}");
        }
        // Nothing is recorded.
        dir.write("c", of(&rule("x", r#""actions": ["echo"]"#)));
        assert_eq!(outcome(&dir.run(&["-t", "-c", "c"])).0, FINE);
    }
}

#[test]
fn a_dry_run_counts_lines_that_are_cut_or_open_and_no_others() {
    let dir = TempDir::new();
    dir.write(
        "conf",
        r#"{"file": "log", "ruleset": [{"name": "r", "filter": "KNOCK ([0-9])",
            "sequence": ["KNOCK"], "actions": ["true"]}]}"#,
    );
    let long = |length| "x".repeat(length);
    for (log, count, knocks) in [
        (String::new(), "0", &[][..]),
        ("KNOCK 1".into(), "1", &["1"]),
        ("\n\nKNOCK 1\n\0\0\n".into(), "4", &["3"]),
        ("a\nKNOCK 1\nb\0\0".into(), "3", &["2"]),
        ("a\nKNOCK 1\n\0\0".into(), "2", &["2"]),
        (format!("{}\nKNOCK 1", long(8193)), "2", &["2"]),
        (format!("a\n{}", long(300_000)), "2", &[]),
        (format!("a\n{}\nKNOCK 1\n", long(300_000)), "3", &["3"]),
        (
            format!("KNOCK 1{}\nKNOCK 2{}", long(70_000), long(70_000)),
            "2",
            &["1", "2"],
        ),
        (
            format!(
                "{}KNOCK 1\n{}KNOCK 2\n",
                "a\n".repeat(40_000),
                "b\n".repeat(9)
            ),
            "40011",
            &["40001", "40011"],
        ),
    ] {
        dir.write("log", &log);
        let (status, out, summary) = outcome(&dir.run(&["-n", "-c", "conf", "log"]));
        assert_eq!(status, Some(0), "{summary}");
        let counted = summary.split_once(" line").map(|(counted, _)| counted);
        assert_eq!(counted, Some(count), "{summary}");
        let numbers = out.lines().filter_map(|line| line.split_once(": knock "));
        let numbers: Vec<&str> = numbers.map(|(number, _)| number).collect();
        assert_eq!(numbers, knocks, "{out}");
    }
}

#[test]
fn a_record_that_may_not_be_read_is_no_error_of_the_configuration() {
    let Some((dir, launcher)) = common::as_nobody() else {
        return;
    };
    // Somebody who writes rules need not be the daemon.
    dir.write("state", "");
    dir.chmod("state", 0);
    let one_time = r#"{"name": "x", "filter": "^(a)", "one_time": [["a"]], "actions": ["echo"]}"#;
    dir.configure(&config(r#""log", "state": "state""#, &[one_time.into()]));
    let run = |option| {
        let arguments = [option, "-c", common::CONFIG];
        let mut command = dir.command_after(launcher, "", &arguments);
        outcome(&command.output().expect("it can be run"))
    };
    let reason = "record \"state\": Permission denied (errno 13)";
    let (status, stdout, stderr) = run("-t");
    assert_eq!((status, stderr.as_str()), (FINE, ""));
    let unknown = format!("\"x\": one-time sequences left: unknown, {reason}\n");
    assert!(stdout.contains(&unknown), "{stdout}");
    let (status, stdout, stderr) = run("-l");
    assert_eq!((status, stdout.as_str()), (FAILED, ""));
    assert_eq!(stderr, format!("logknockd: {reason}\n"));
}

#[test]
fn what_the_unit_runs_before_the_start_tells_no_pattern() {
    let unit =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/systemd/logknockd.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let dir = echoing();
    for key in ["ExecStartPre=", "ExecReload="] {
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        let mut arguments: Vec<_> = line.unwrap().split(' ').skip(1).collect();
        arguments.extend(["-c", common::CONFIG]);
        let expected = (FINE, String::new(), String::new());
        assert_eq!(outcome(&dir.run(&arguments)), expected, "{arguments:?}");
    }
}

/// The summary without what depends on the machine's speed.
fn facts(summary: &str) -> String {
    let (lines, rest) = summary.split_once(" lines in ").expect("a count of lines");
    let (seconds, rest) = rest.split_once(" s, ").expect("a time");
    let (rate, rest) = rest.split_once(" lines/s\n").expect("a rate");
    assert!(
        seconds.contains('.') && rate.parse::<u64>().is_ok(),
        "{summary}"
    );
    format!("{lines} lines\n{rest}")
}

#[test]
fn a_dry_run_prints_what_would_run_and_a_summary() {
    let dir = echoing();
    dir.write(
        "log",
        format!("noise\nbob one\n{}bob two\n", knock("alice")),
    );
    let (status, stdout, stderr) = dry_run(&dir, &["log"]);
    assert_eq!(
        stdout,
        "5: knock \"x\" alice\n5:   run echo alice 'two words'\n"
    );
    assert_eq!(
        facts(&stderr),
        "6 lines\nrule \"x\": 5 lines passed the filter, 1 knock\n"
    );
    assert_eq!(status, FINE);
}

/// What `-n -d` prints for the lines `log` when the rule says `more`.
fn explained(more: &str, log: &str) -> String {
    let dir = TempDir::new();
    let rule = rule("x", &format!("{more}, \"actions\": [\"echo {{key}}\"]"));
    dir.configure(&config(r#""log""#, &[rule]));
    dir.write("log", log);
    dry_run(&dir, &["-d", "log"]).1
}

#[test]
fn a_dry_run_with_debug_says_which_step_was_due_and_what_came_instead() {
    let log = "a one\na one\nb two\na two\na one\na two\na four\nme one\na one\na two\na three\n";
    let expected = r#"1: "x" a step 1/3
2: "x" a step 1/3, was 1/3: step 2 is " two$", this is step 1 again (see "repeats"); the sequence starts over
3: "x" b step 0/3: step 1 is " one$", this is step 2
4: "x" a step 2/3
5: "x" a step 1/3, was 2/3: step 3 is " three$", this is step 1; the sequence starts over
6: "x" a step 2/3
7: "x" a step 0/3, was 2/3: step 3 is " three$", this is no step; the sequence starts over
8: "x" me: passed over, "ignore" matches
9: "x" a step 1/3
10: "x" a step 2/3
11: knock "x" a
11:   run echo a
"#;
    assert_eq!(explained(r#""ignore": "^me""#, log), expected);
    let expected = r#"1: "x" a step 1/3
2: "x" a step 1/3, was 1/3: repeated
"#;
    let out = explained(r#""repeats": true"#, "a one\na one\n");
    assert_eq!(out, expected);
}

#[test]
fn a_dry_run_with_debug_says_when_a_step_came_too_late() {
    let dir = TempDir::new();
    let rule = rule("x", r#""within": 4.9, "actions": ["b"]"#).replace("^", "^.*Z ");
    dir.configure(&config(r#""log""#, &[rule]));
    dir.write(
        "log",
        "2026-11-22T06:00:00Z a one\n2026-11-22T06:00:05Z a two\n",
    );
    let expected = r#"1: "x" a step 1/3
2: "x" a step 0/3, was 1/3, too late: "within" has passed, the sequence starts over
"#;
    assert_eq!(dry_run(&dir, &["-d", "log"]).1, expected);
}

#[test]
fn a_dry_run_with_trace_shows_every_line() {
    let dir = echoing();
    dir.write(
        "log",
        String::from("noise \x1b[2J\n") + &knock("alice") + "end",
    );
    let (_, stdout, _) = dry_run(&dir, &["-T", "log"]);
    let expected = "1: read noise \\x1b[2J
1: \"x\" noise step 0/3: step 1 is \" one$\", this is no step
2: read alice one
2: \"x\" alice step 1/3
3: read alice two
3: \"x\" alice step 2/3
4: read alice three
4: knock \"x\" alice
4:   run echo alice 'two words'
5: read end
";
    assert_eq!(stdout, expected);
}

#[test]
fn a_filter_that_matches_nothing_says_what_came_nearest() {
    let log = "a drop wan in: SRC=x\nb reject wan in: SRC=192.0.2.1 DPT=1234\nc reject wan in: SRC=192.0.2.2 DPT=1234\n";
    let nearest = |filter: &str| {
        let dir = TempDir::new();
        let rule = rule("x", r#""actions": ["a"]"#).replace(r"^(\\S+) ", filter);
        dir.configure(&config(r#""log""#, &[rule]));
        dir.write("log", log);
        let (_, _, summary) = dry_run(&dir, &["log"]);
        let nearest = summary
            .lines()
            .find_map(|line| line.trim().strip_prefix("nearest: "));
        nearest.map(String::from)
    };
    let cases = [
        // Each as somebody gets it wrong: the prefix, the port, the form of what is between.
        (
            "drop wan in: .*SRC=([0-9.]+) DPT=",
            "1 line with \"drop wan in:\", the first is 1, none of them has \" DPT=\"",
        ),
        (
            "SRC=([0-9.]+) .*DPT=7411",
            "no line has \"DPT=7411\" as the filter has it",
        ),
        (
            "reject wan in: SRC=([0-9.]+) SPT.*DPT=1234",
            "2 lines with \"DPT=1234\", the first is 2, none of them has \" SPT\"",
        ),
        (
            "reject wan in: SRC=([0-9.]+)  +DPT=1234",
            "2 lines with every text the filter looks for, the first is 2: the rest of it does not match",
        ),
        (
            " wan in: SRC=(?:192)? *(.*)=12345",
            "no line has \"=12345\" as the filter has it",
        ),
        (
            "DPT=(.+)drop wan in: (.)SRC",
            "1 line with \"drop wan in:\", the first is 1, none of them has \"DPT=\"",
        ),
        (
            r"^([x-z])\\d",
            "unknown, the filter has no text to look for",
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(nearest(filter).as_deref(), Some(expected), "{filter}");
    }
    assert_eq!(nearest("reject wan in: SRC=([0-9.]+)"), None);

    // What all filters look for comes first: lines without it are not even split.
    let dir = TempDir::new();
    let filters = [
        "drop wan in: SRC=(.) PROTO=TCP",
        "drop wan in: SRC=(.) PROTO=UDP",
        "reject: (.)",
        r"(\\d)(.)9\\d",
    ];
    let rules = |count| {
        let rules = (0..count).map(|number: usize| {
            let rule = rule(&format!("{number}"), r#""actions": ["a"]"#);
            rule.replace(r"^(\\S+) ", filters[number])
        });
        rules.collect::<Vec<_>>()
    };
    dir.write(
        "log",
        "a drop wan in: SRC=x\nb PROTO=TCP\nc drop wan in: SRC=y PROTO=ICMP\n",
    );
    for (count, expected) in [
        (
            2,
            "2 lines with \"drop wan in:\", the first is 1, none of them has \" PROTO=TCP\"",
        ),
        (
            3,
            "1 line with \" PROTO=TCP\", the first is 2, none of them has \"drop wan in:\", none of them has \" SRC=\"",
        ),
        // Of more than a literal is known whether a line comes near, not who else has the literal.
        (4, "no line has enough of what the filter looks for"),
    ] {
        dir.configure(&config(r#""log""#, &rules(count)));
        let (_, _, summary) = dry_run(&dir, &["log"]);
        let nearest = format!("nearest: {expected}");
        assert!(summary.contains(&nearest), "{summary}");
    }
    // Of the rest of such lines nothing is known.
    dir.write("log", "a DROP wan in: SRC=x PROTO=TCP\n");
    dir.configure(&config(r#""log""#, &rules(2)));
    let (_, _, summary) = dry_run(&dir, &["log"]);
    let nearest = "nearest: no line has \"drop wan in:\" as the filter has it\n";
    assert_eq!(summary.matches(nearest).count(), 2, "{summary}");
}

#[test]
fn of_a_filter_that_only_matches_what_is_ignored_nothing_comes_near() {
    let dir = TempDir::new();
    let rule = rule(
        "x",
        r#""actions": ["a"], "ignore": "eve$", "ignore_hosts": ["192.0.2.1"]"#,
    );
    dir.configure(&config(r#""log""#, &[rule]));
    dir.write("log", "192.0.2.1 x\nmallory by eve\n");
    let (_, _, summary) = dry_run(&dir, &["log"]);
    let (_, expected) = summary.split_once('\n').unwrap();
    assert_eq!(
        expected,
        "rule \"x\": 0 lines passed the filter, 0 knocks, 2 lines to be ignored\n"
    );
}

#[test]
fn a_compressed_log_is_refused_with_the_command_that_feeds_it() {
    let dir = echoing();
    dir.write("log", knock("alice"));
    for (magic, reader) in [
        (&b"\x1f\x8b\x08"[..], "zcat"),
        (b"BZh9", "bzcat"),
        (b"\xfd7zXZ\0", "xzcat"),
        (b"\x28\xb5\x2f\xfd", "zstdcat"),
    ] {
        dir.write("log.2", magic);
        let expected = format!("logknockd: log.2 is compressed: {reader} log.2 | logknockd -n\n");
        assert_eq!(
            dry_run(&dir, &["log", "log.2"]),
            (FAILED, String::new(), expected)
        );
    }
}

#[test]
fn a_dry_run_reads_standard_input() {
    let dir = echoing();
    dir.write("log", knock("alice"));
    for log in [&[][..], &["-"]] {
        let mut command = dir.command(&[&["-n", "-c", common::CONFIG], log].concat());
        let stdin = File::open(dir.path("log")).unwrap();
        let output = command.stdin(stdin).output().unwrap();
        let stdout = outcome(&output).1;
        assert_eq!(
            stdout,
            "3: knock \"x\" alice\n3:   run echo alice 'two words'\n"
        );
    }
}

#[test]
fn a_dry_run_of_several_logs_says_which_one_and_goes_on_from_one_to_the_next() {
    let dir = echoing();
    dir.write("log.1", "alice one\nalice two");
    dir.write("log", "alice three\n");
    let (_, stdout, stderr) = dry_run(&dir, &["log.1", "log"]);
    assert_eq!(
        stdout,
        "log:1: knock \"x\" alice\nlog:1:   run echo alice 'two words'\n"
    );
    assert!(facts(&stderr).starts_with("3 lines\n"));
}

#[test]
fn a_dry_run_numbers_lines_as_an_editor_does_however_long_they_are() {
    let dir = echoing();
    let long = "y".repeat(100_000);
    let knock = knock("alice");
    let lines = knock.lines().count();
    let log = format!("{long}\n\n{knock}{long}\n{knock}{long}");
    dir.write("log", &log);
    dir.write("log.1", format!("{long}{long}"));
    let (_, stdout, stderr) = dry_run(&dir, &["log.1", "log"]);
    let first = 2 + lines;
    let second = first + 1 + lines;
    let said =
        |line| format!("log:{line}: knock \"x\" alice\nlog:{line}:   run echo alice 'two words'\n");
    assert_eq!(stdout, said(first) + &said(second));
    let total = 1 + second + 1;
    assert!(
        facts(&stderr).starts_with(&format!("{total} lines\n")),
        "{stderr}"
    );
}

#[test]
fn a_dry_run_says_what_would_be_refused_and_shows_nothing_a_terminal_obeys() {
    let dir = echoing();
    dir.write("log", knock("\x1b[2J"));
    let (_, stdout, _) = dry_run(&dir, &["-d", "log"]);
    assert!(!stdout.contains('\x1b'));
    assert!(
        stdout.contains("3: knock \"x\" \\x1b[2J\n3:   refused: {key} is not printable"),
        "{stdout}"
    );
}

#[test]
fn what_a_dry_run_found_is_printed_before_it_fails() {
    let dir = echoing();
    dir.write("log", knock("alice"));
    dir.mkdir("directory");
    for (bad, reason) in [
        ("missing", "No such file or directory (errno 2)"),
        ("directory", "Is a directory (errno 21)"),
    ] {
        let (status, stdout, stderr) = dry_run(&dir, &["log", bad]);
        assert!(stdout.starts_with("log:3: knock \"x\" alice\n"), "{stdout}");
        assert_eq!(
            (status, stderr),
            (FAILED, format!("logknockd: {bad}: {reason}\n"))
        );
    }
}

#[test]
fn a_full_disk_is_blamed_for_lost_output() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        return common::skipped("no /dev/full");
    };
    let dir = echoing();
    // More than is kept back before it is written.
    dir.write("log", knock("alice").repeat(5000));
    let mut command = dir.command(&["-n", "-c", common::CONFIG, "log"]);
    let (status, _, stderr) = outcome(&command.stdout(full).output().unwrap());
    let message = "logknockd: standard output: No space left on device (errno 28)\n";
    assert_eq!((status, stderr.as_str()), (FAILED, message));
}

#[test]
fn a_dry_run_waits_for_the_writer_of_a_fifo() {
    let dir = echoing();
    dir.fifo("log");
    let mut command = dir.command(&["-n", "-c", common::CONFIG, "log"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Returns when the other side has opened it too.
    let mut writer = dir.writer("log");
    for part in ["alice one\nali", "ce two\n", "alice three\n"] {
        writer.write_all(part.as_bytes()).unwrap();
    }
    drop(writer);
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    assert_eq!(
        stdout,
        "3: knock \"x\" alice\n3:   run echo alice 'two words'\n"
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_dry_run_shows_its_progress_on_a_terminal() {
    if !common::works("python3", &["-c", "import pty"]) {
        return common::skipped("no python3 to make a terminal");
    }
    let dir = echoing();
    dir.fifo("log");
    let mut command = Command::new("python3");
    command.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])"]);
    command
        .arg(common::binary())
        .args(["-n", "-c", common::CONFIG, "log"]);
    command.current_dir(dir.path("")).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut terminal = child.stdout.take().unwrap();
    let mut writer = dir.writer("log");
    let (seen, stop) = mpsc::channel();
    // Writes until something has been shown, however fast the lines are read.
    let feed = std::thread::spawn(move || {
        while stop.try_recv().is_err() {
            writer
                .write_all("nobody none\n".repeat(1000).as_bytes())
                .unwrap();
        }
        writer.write_all(knock("alice").as_bytes()).unwrap();
    });
    let mut shown = String::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        shown += &String::from_utf8_lossy(&buffer[..count]);
        if shown.contains(" lines") {
            let _ = seen.send(());
        }
    }
    feed.join().unwrap();
    child.wait().unwrap();
    let (progress, rest) = shown.split_once("knock \"x\" alice").expect("the knock");
    assert!(progress.starts_with("\r\x1b[K"), "{progress}");
    // It makes way for what stays.
    let (_, number) = progress.rsplit_once("\r\x1b[K").unwrap();
    assert!(
        number.trim_end_matches(": ").parse::<u32>().is_ok(),
        "{number}"
    );
    assert!(
        rest.contains(" lines in ") && !rest.contains('\x1b'),
        "{rest}"
    );
}

#[test]
fn files_that_cannot_be_opened_do_not_keep_the_daemon_from_starting() {
    let dir = TempDir::new();
    let rules = [rule("x", r#""actions": ["echo done"]"#)];
    let mut daemon = Daemon::start(&dir, &config(r#"["a/b", "missing", "log"]"#, &rules));
    assert_eq!(daemon.count("(not open yet)"), 3);
    dir.write("log", knock("alice"));
    daemon.wait_for("output: done");
}
