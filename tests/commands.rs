//! What a knock runs: with which words, in which surroundings, in which order and for how long.

mod common;

use common::{Daemon, PATIENCE, TempDir, config, knock, rule};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Instant;

/// A daemon that follows the empty file `log` with one rule, `x`; `more` are its further members.
fn start(dir: &TempDir, more: &str) -> Daemon {
    dir.write("log", "");
    Daemon::start(dir, &config(r#""log""#, &[rule("x", more)]))
}

/// A rule whose last step captures the rest of the line.
fn capturing(actions: &str) -> String {
    let filter = r#""filter": "^(\\S+) ", "sequence": [" says (?P<what>.*)$"]"#;
    format!(r#"{{"name": "x", {filter}, "actions": {actions}}}"#)
}

/// Prints its words in brackets, one a line.
const SHOW_WORDS: &str = r#"for word; do printf '[%s]\n' "$word"; done; echo "$# words""#;

/// The output of what a knock ran, up to the line `end`.
fn output(daemon: &mut Daemon, end: &str) -> Vec<String> {
    let lines = daemon.lines_until(&format!("output: {end}"));
    let text = |line: String| Some(line.split_once("output: ")?.1.to_string());
    lines.into_iter().filter_map(text).collect()
}

#[test]
fn words_and_placeholders_reach_the_command_exactly() {
    let dir = TempDir::new();
    dir.write("show", SHOW_WORDS);
    let by_string = r#""sh show plain 'two words' \"$HOME {key}\" '' {rule}{{}} a\\ b *""#;
    let by_array = r#"["sh", "show", "{0}", "{what}", "", "it's", "{key}={0}"]"#;
    dir.write("log", "");
    let rules = [capturing(&format!("[{by_string}, {by_array}]"))];
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    dir.append("log", "alice says a  b\n");
    let shown = "[plain]|[two words]|[$HOME alice]|[]|[x{}]|[a b]|[*]|7 words";
    assert_eq!(output(&mut daemon, "7 words").join("|"), shown);
    let shown = "[a  b]|[a  b]|[]|[it's]|[alice=a  b]|5 words";
    assert_eq!(output(&mut daemon, "5 words").join("|"), shown);
}

#[test]
fn the_output_of_a_command_keeps_the_blanks_it_is_indented_by() {
    let dir = TempDir::new();
    dir.write("log", "");
    let error = r#"["printf", "in: add element\\n\\t\\t  ^^^  \\n\\nend\\tset\\n"]"#;
    let mut daemon = Daemon::start(
        &dir,
        &config(r#""log""#, &[capturing(&format!("[{error}]"))]),
    );
    dir.append("log", "alice says x\n");
    let shown = output(&mut daemon, "end");
    assert_eq!(shown, ["in: add element", "    ^^^", "", "end set"]);
}

#[test]
fn hostile_text_is_one_word_and_nothing_more() {
    let dir = TempDir::new();
    dir.write("show", SHOW_WORDS);
    dir.write("log", "");
    let rules = [capturing(r#"["sh show {0}"]"#)];
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    let hostile = [
        "$(touch owned)",
        "`touch owned`; touch owned & touch owned | touch owned",
        "' touch owned '\"",
        "\" touch owned \"",
        "-rf --help",
        "{0} {key} {{}} %s \\n \\",
        "* ? ~ > owned",
        "grüße",
    ];
    for text in hostile {
        dir.append("log", format!("mallory says {text}\n"));
        let shown = format!("[{text}]|1 words");
        assert_eq!(output(&mut daemon, "1 words").join("|"), shown);
    }
    assert!(!dir.path("owned").exists());
}

#[test]
fn nobody_escapes_by_a_value_that_is_not_printable_or_too_long() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [capturing(r#"[["echo", "done", "{0}"]]"#)];
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    let limit = "a".repeat(255);
    let values: [(&[u8], &str); 6] = [
        (b"\x1b[31m red", "?[31m red"),
        (b"a\0b", "a?b"),
        (b"\xff", "?"),
        (b"\xe2\x80\xaegnp.exe", "???gnp.exe"),
        ("müller".as_bytes(), "müller"),
        (&[b'a'; 256], &limit),
    ];
    for (value, cleaned) in values {
        dir.append("log", [b"mallory says ", value, b"\n"].concat());
        daemon.wait_for(&format!("output: done {cleaned}"));
    }
    assert_eq!(daemon.count("refused"), 0);
}

#[test]
fn a_key_that_is_not_printable_reaches_no_command() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, r#""actions": ["echo done"]"#);
    for key in ["\x1b[2J", "\u{202e}", "good"] {
        dir.append("log", knock(key));
    }
    daemon.wait_without("running", "knock by good");
    daemon.wait_for("output: done");
}

#[test]
fn commands_inherit_the_environment_and_learn_of_the_knock() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.configure(&config(
        r#""log""#,
        &[rule("two words", r#""actions": ["env", "echo end"]"#)],
    ));
    let mut command = dir.command(&["-c", common::CONFIG]);
    command
        .env("FROM_OUTSIDE", "a b")
        .env("LOGKNOCK_KEY", "old");
    let mut daemon = Daemon::spawn(&mut command);
    daemon.wait_until_watching();
    dir.append("log", knock("10.0.0.1"));
    let shown = output(&mut daemon, "end");
    for expected in [
        "LOGKNOCK_RULE=two words",
        "LOGKNOCK_KEY=10.0.0.1",
        "LOGKNOCK_EVENT=open",
        "FROM_OUTSIDE=a b",
    ] {
        assert!(
            shown.iter().any(|line| line == expected),
            "{expected}: {shown:?}"
        );
    }
    assert!(!shown.contains(&"LOGKNOCK_KEY=old".to_string()));
}

/// Shell that prints what each descriptor stands for.
const DESCRIPTORS: &str = r#"fd=0; while test $fd -lt 1024; do
    test -e /proc/$$/fd/$fd && printf "$fd " && readlink /proc/$$/fd/$fd
    fd=$((fd + 1))
done"#;

#[test]
fn a_command_gets_null_as_input_its_output_and_no_other_descriptor() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.fifo("fifo");
    let look = format!(r#"["sh", "-c", {DESCRIPTORS:?}]"#);
    let actions = format!(r#""actions": [{look}, "echo end"], "revert": ["true"], "timeout": 60"#);
    // As many of ours as there can be.
    let members = r#""file": ["log", "fifo"], "command": "sleep 60", "state": "state""#;
    let rule = rule("x", &actions);
    dir.configure(&format!(r#"{{{members}, "ruleset": [{rule}]}}"#));
    // And some that whoever started us has left open. (A shell only knows the numbers below ten.)
    let left_open = "exec 5<. 9>>left-open";
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], left_open, &arguments));
    daemon.wait_until_watching();
    let ours = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let ours: Vec<_> = ours.flatten().map(|entry| entry.file_name()).collect();
    assert!(
        ours.len() > 10 && ours.iter().any(|name| name == "9"),
        "{ours:?}"
    );
    dir.append("log", knock("alice"));
    let shown = output(&mut daemon, "end");
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert_eq!(shown[0], "0 /dev/null");
    let pipe = shown[1].strip_prefix("1 pipe:").expect("a pipe");
    assert_eq!(shown[2], format!("2 pipe:{pipe}"));
}

/// What a command sees of its surroundings when the daemon is started after `script`.
fn surroundings(script: &str, look: &str) -> (TempDir, Daemon, Vec<String>) {
    let dir = TempDir::new();
    dir.write("log", "");
    let action = format!(r#""actions": [["/bin/sh", "-c", {look:?}], "/bin/echo end"]"#);
    dir.configure(&config(r#""log""#, &[rule("x", &action)]));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], script, &arguments));
    daemon.wait_until_watching();
    dir.append("log", knock("alice"));
    let shown = output(&mut daemon, "end");
    (dir, daemon, shown)
}

#[test]
fn what_commands_write_is_never_writable_for_everybody() {
    for (given, expected) in [("000", "0022"), ("027", "0027"), ("077", "0077")] {
        let (.., shown) = surroundings(&format!("umask {given}"), "umask");
        assert_eq!(shown, [expected, "end"]);
    }
}

#[test]
fn commands_are_found_where_systems_keep_them_even_if_nobody_said_where() {
    for script in ["unset PATH", "export PATH=''"] {
        let (.., shown) = surroundings(script, "/usr/bin/env | /usr/bin/grep ^PATH=; ls -d /");
        assert_eq!(shown, ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/", "end"]);
    }
    let (.., shown) = surroundings("export PATH=/nowhere", "echo $PATH");
    assert_eq!(shown, ["/nowhere", "end"]);
}

#[test]
fn a_crash_leaves_no_core_and_commands_may_do_as_they_like() {
    let (dir, mut daemon, shown) = surroundings("ulimit -c unlimited", "ulimit -c");
    assert_eq!(shown, ["unlimited", "end"]);
    daemon.signal("SEGV");
    let status = daemon.exit_status();
    assert_eq!((status.signal(), status.core_dumped()), (Some(11), false));
    let control = Command::new("sh")
        .args(["-c", "ulimit -c unlimited; kill -SEGV $$"])
        .current_dir(dir.path(""))
        .status();
    if !control.unwrap().core_dumped() {
        common::skipped("this system makes no cores at all");
    }
}

#[test]
fn a_command_leads_a_process_group_of_its_own() {
    let dir = TempDir::new();
    let look = r#"set -- $(cat /proc/$$/stat); test $1 = $5 && echo leader"#;
    let mut daemon = start(&dir, &format!(r#""actions": [["sh", "-c", {look:?}]]"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("output: leader");
}

/// The signals in one of the masks that `/proc/PID/status` shows.
fn mask(status: &str, name: &str) -> u64 {
    let (_, rest) = status.split_once(name).expect("a mask");
    let digits = rest.trim_start_matches([':', '\t']).get(..16);
    u64::from_str_radix(digits.expect("16 digits"), 16).expect("hexadecimal")
}

#[test]
fn a_command_finds_signals_as_usual() {
    let dir = TempDir::new();
    let actions = r#""actions": ["cp /proc/self/status status", "echo end"]"#;
    let mut daemon = start(&dir, actions);
    dir.append("log", knock("alice"));
    daemon.wait_for("output: end");
    let (command, test) = (dir.read("status"), fs::read_to_string("/proc/self/status"));
    assert_eq!(mask(&command, "SigBlk"), 0);
    // What the test itself was started with may be passed on (an emulator keeps it to itself), but for what
    // Rust ignores for itself. Signals from 32 on belong to the C library.
    const STANDARD: u64 = (1 << 31) - 1;
    const PIPE: u64 = 1 << (13 - 1);
    let ignored = |status: &str| mask(status, "SigIgn") & STANDARD & !PIPE;
    assert_eq!(ignored(&command) & !ignored(&test.unwrap()), 0);
    assert_eq!(mask(&command, "SigIgn") & PIPE, 0);
}

#[test]
fn knocks_are_dealt_with_one_after_the_other_and_in_order() {
    let dir = TempDir::new();
    let actions =
        r#""actions": [["sh", "-c", "cat gate; echo $0 first", "{key}"], "echo {key} second"]"#;
    dir.fifo("gate");
    let mut daemon = start(&dir, actions);
    dir.append("log", knock("alice") + &knock("bob") + &knock("carol"));
    for key in ["alice", "bob", "carol"] {
        // Its command waits for somebody to open the other end; nobody else's does.
        daemon
            .wait_for(&format!("{key} first' {key}").replace(&format!("{key} first"), "$0 first"));
        drop(dir.writer("gate"));
        assert_eq!(daemon.wait_for_rest("output: "), format!("{key} first"));
        assert_eq!(daemon.wait_for_rest("output: "), format!("{key} second"));
    }
}

#[test]
fn reading_goes_on_while_a_command_runs() {
    let dir = TempDir::new();
    dir.fifo("gate");
    dir.write("log", "");
    let rules = [
        rule("slow", r#""actions": ["cat gate"], "ignore": "bob""#),
        rule("other", r#""actions": ["echo {key}"], "ignore": "alice""#),
    ];
    let mut daemon = Daemon::start(&dir, &config(r#""log""#, &rules));
    dir.append("log", knock("alice"));
    daemon.wait_for("running cat gate");
    dir.append("log", knock("bob"));
    daemon.wait_for(r#"rule "other": knock by bob"#);
    assert_eq!(daemon.count("running echo"), 0);
    dir.append("gate", "go on\n");
    assert_eq!(output(&mut daemon, "bob"), ["go on", "bob"]);
}

/// Makes sure that the process that wrote its id to `file` goes away. It is nobody's child here, so there is
/// nothing to wait for: one has to look.
fn expect_death(dir: &TempDir, file: &str) {
    let stat = format!("/proc/{}/stat", dir.read(file).trim());
    // A zombie is as dead as it gets until its parent looks.
    let is_alive = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    let limit = Instant::now() + PATIENCE;
    while is_alive() {
        assert!(Instant::now() < limit, "{file} lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_command_over_its_time_is_terminated() {
    let dir = TempDir::new();
    let mut daemon = start(
        &dir,
        r#""actions": ["sleep 1000", "echo next"], "action_timeout": 0.1"#,
    );
    dir.append("log", knock("alice"));
    daemon.wait_for(r#"[WARN] rule "x": sleep: takes too long, terminating it"#);
    daemon.wait_for(r#"[WARN] rule "x": sleep: ended by signal 15"#);
    daemon.wait_for("output: next");
    assert_eq!(daemon.count("killing"), 0);
}

#[test]
fn a_command_that_had_to_be_terminated_has_failed_whatever_it_says() {
    let dir = TempDir::new();
    let polite = "trap 'exit 0' TERM; sleep 1000 & wait";
    let actions = format!(r#""actions": [["sh", "-c", "{polite}"]], "action_timeout": 0.3"#);
    let mut daemon = start(&dir, &actions);
    dir.append("log", knock("alice"));
    daemon.wait_for("takes too long");
    daemon.wait_for(r#"[WARN] rule "x": sh: exit status 0"#);
}

#[test]
fn a_command_that_does_not_end_is_killed_with_all_it_started() {
    let dir = TempDir::new();
    let stubborn =
        "trap '' TERM; (echo $$ > leader; sh -c 'echo $$ > grandchild; sleep 1000'); sleep 1000";
    let actions =
        format!(r#""actions": [["sh", "-c", "{stubborn}"], "echo next"], "action_timeout": 0.3"#);
    let mut daemon = start(&dir, &actions);
    dir.append("log", knock("alice"));
    daemon.wait_for("takes too long, terminating it");
    daemon.wait_for("sh: does not end, killing it");
    daemon.wait_for("sh: ended by signal 9");
    daemon.wait_for("output: next");
    expect_death(&dir, "leader");
    expect_death(&dir, "grandchild");
}

#[test]
fn what_a_terminated_command_leaves_behind_is_killed() {
    let dir = TempDir::new();
    let parting = "(trap '' TERM; sh -c 'echo $$ > orphan; exec sleep 1000') & sleep 1000";
    let actions =
        format!(r#""actions": [["sh", "-c", "{parting}"], "echo next"], "action_timeout": 0.3"#);
    let mut daemon = start(&dir, &actions);
    dir.append("log", knock("alice"));
    daemon.wait_for("sh: ended by signal 15");
    daemon.wait_for("output: next");
    expect_death(&dir, "orphan");
}

#[test]
fn how_a_command_ended_and_what_it_printed_is_logged() {
    let dir = TempDir::new();
    let actions = r#""actions": [
        ["sh", "-c", "echo to stdout; echo to stderr >&2; printf unfinished; exit 3"],
        ["sh", "-c", "kill -9 $$"], "echo end"]"#;
    let mut daemon = start(&dir, actions);
    dir.append("log", knock("alice"));
    let shown = daemon.lines_until("output: end");
    let expected = [
        r#"[INFO] rule "x": knock by alice"#,
        r#"[INFO] rule "x": running sh -c 'echo to stdout; echo to stderr >&2; printf unfinished; exit 3'"#,
        r#"[INFO] rule "x": output: to stdout"#,
        r#"[INFO] rule "x": output: to stderr"#,
        r#"[INFO] rule "x": output: unfinished"#,
        r#"[WARN] rule "x": sh: exit status 3"#,
        r#"[INFO] rule "x": running sh -c 'kill -9 $$'"#,
        r#"[WARN] rule "x": sh: ended by signal 9"#,
        r#"[INFO] rule "x": running echo end"#,
        r#"[INFO] rule "x": output: end"#,
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_last_words_of_a_command_are_logged_even_if_its_child_lives_on() {
    let dir = TempDir::new();
    let actions = r#""actions": [["sh", "-c", "sleep 1000 & echo $! > pid; printf 'last words'"], "echo end"]"#;
    let mut daemon = start(&dir, actions);
    dir.append("log", knock("alice"));
    assert_eq!(output(&mut daemon, "end"), ["last words", "end"]);
    let stays = dir.read("pid");
    assert!(
        common::works("kill", &[stays.trim()]),
        "what was left in the background was ended"
    );
}

#[test]
fn what_a_command_leaves_behind_may_print_if_that_goes_elsewhere() {
    let dir = TempDir::new();
    dir.fifo("go");
    // It prints only when the command has ended, and says whether it has survived that.
    dir.write(
        "left",
        "read -r line <go\necho printed || exit\necho lives >alive",
    );
    let actions =
        r#""actions": ["sh -c 'setsid sh left >/dev/null 2>&1 &'", "sh -c 'echo go >go'"]"#;
    let mut daemon = start(&dir, actions);
    dir.append("log", knock("alice"));
    daemon.wait_for("knock by alice");
    let limit = Instant::now() + PATIENCE;
    while !dir.path("alive").exists() {
        assert!(Instant::now() < limit, "what was left has ended");
    }
}

#[test]
fn a_command_that_cannot_be_started_says_why_and_the_next_one_runs() {
    let dir = TempDir::new();
    dir.write("no-program", "");
    dir.write("from-windows", "#!/bin/sh\r\necho\r\n");
    dir.chmod("from-windows", 0o755);
    let actions = r#""actions": ["./missing", "./no-program", "./from-windows",
        "there-is-no-such-program", "echo next"]"#;
    let mut daemon = start(&dir, actions);
    dir.append("log", knock("alice"));
    for expected in [
        r#"[ERROR] rule "x": cannot run "./missing": No such file or directory (errno 2)"#,
        r#"[ERROR] rule "x": cannot run "./no-program": Permission denied (errno 13)"#,
        // It is there.
        r#"[ERROR] rule "x": cannot run "./from-windows": Exec format error (errno 8)"#,
        // The reason depends on whether every directory of PATH may be searched.
        r#"[ERROR] rule "x": cannot run "there-is-no-such-program": "#,
    ] {
        assert!(daemon.wait_for("ERROR").starts_with(expected));
    }
    daemon.wait_for("output: next");
}

#[test]
fn knocks_beyond_the_queue_are_refused_and_the_daemon_goes_on() {
    let dir = TempDir::new();
    dir.fifo("gate");
    let mut daemon = start(
        &dir,
        r#""actions": [["sh", "-c", "test -p gate && cat gate; echo $0", "{key}"]]"#,
    );
    dir.append("log", knock("first"));
    daemon.wait_for("running sh");
    let knocks: String = (0..258)
        .map(|number| knock(&format!("key-{number}")))
        .collect();
    dir.append("log", knocks);
    daemon.wait_for("knock by key-256 refused: 256 knocks are waiting already");
    let gate = dir.writer("gate");
    dir.remove("gate");
    drop(gate);
    daemon.wait_for("output: first");
    daemon.wait_for("output: key-255");
    dir.append("log", knock("last"));
    daemon.wait_without("output: key-256", "output: last");
}

#[test]
fn chatty_commands_are_logged_up_to_a_limit() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, r#""actions": ["seq 1 100000", "echo end"]"#);
    dir.append("log", knock("alice"));
    daemon.wait_for("output: 200");
    let rest = r#"[WARN] rule "x": the rest of the output is not logged"#;
    assert_eq!(daemon.wait_for(r#"rule "x""#), rest);
    assert_eq!(
        daemon.wait_for(r#"rule "x""#),
        r#"[INFO] rule "x": running echo end"#
    );
}

#[test]
fn an_ignored_sigchld_from_whoever_started_us_does_no_harm() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [rule("x", r#""actions": ["false", "echo end"]"#)];
    dir.configure(&config(r#""log""#, &rules));
    // A shell cannot hand an ignored SIGCHLD on, Python can.
    let ignoring = "import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])";
    if !common::works("python3", &["-c", ""]) {
        return common::skipped("no python3 to ignore SIGCHLD");
    }
    let mut command = Command::new("python3");
    command.current_dir(dir.path("")).args(["-c", ignoring]);
    command.arg(common::binary()).args(["-c", common::CONFIG]);
    let mut daemon = Daemon::spawn(&mut command);
    daemon.wait_until_watching();
    let mut writer = dir.writer("log");
    writer.write_all(knock("alice").as_bytes()).unwrap();
    daemon.wait_for("false: exit status 1");
    daemon.wait_for("output: end");
}

/// What is watched, and where leases are recorded.
const STATE: &str = r#""log", "state": "state""#;

/// A rule for lines such as `alice bans`, whose leases end after `timeout` and take 200 ms each to close.
fn bans(timeout: &str) -> String {
    let filter = r#""filter": "^(\\S+) bans$", "sequence": ["bans"], "actions": ["true"]"#;
    format!(r#"{{"name": "bans", {filter}, "timeout": {timeout}, "revert": ["sleep 0.2"]}}"#)
}

#[test]
fn a_knock_waits_for_one_of_many_reverts() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [bans("2"), rule("x", r#""actions": ["echo {key}"]"#)];
    let mut daemon = Daemon::start(&dir, &config(STATE, &rules));
    let lines: String = (0..100).map(|number| format!("k{number} bans\n")).collect();
    dir.append("log", lines);
    daemon.wait_for("closing for k99");
    let closed_before = daemon.count(": closed for");
    dir.append("log", knock("alice"));
    daemon.wait_for("output: alice");
    let closed = daemon.count(": closed for") - closed_before;
    if closed > 20 {
        daemon.fail(&format!("the knock has waited for {closed} reverts"));
    }
}

#[test]
fn a_revert_does_not_wait_for_the_knocks_of_others() {
    let dir = TempDir::new();
    dir.write("log", "");
    let more = r#""actions": ["sleep 0.1"], "timeout": 1, "revert": ["true {key}"]"#;
    let mut daemon = Daemon::start(&dir, &config(STATE, &[rule("x", more)]));
    dir.append("log", knock("alice"));
    daemon.wait_for("running sleep");
    let knocks: String = (0..100)
        .map(|number| knock(&format!("k{number}")))
        .collect();
    dir.append("log", knocks);
    daemon.wait_for("closed for alice");
    let begun = daemon.count("running sleep");
    if begun > 50 {
        daemon.fail(&format!("the revert has waited for {begun} knocks"));
    }
}

/// An action that leaves its process group for ours and sleeps; none without a Python that can do it.
fn leaving_its_group() -> Option<String> {
    let script = "import os, time; os.setpgid(0, os.getpgid(os.getppid())); print('left', flush=True); time.sleep(1000)";
    common::works("python3", &["-c", ""]).then(|| format!(r#"["python3", "-c", "{script}"]"#))
}

#[test]
fn a_command_that_leaves_its_group_is_ended_at_its_limit_and_holds_nothing_up() {
    let Some(action) = leaving_its_group() else {
        return common::skipped("no python3 to leave a process group");
    };
    let dir = TempDir::new();
    let more = format!(r#""actions": [{action}, "echo next"], "action_timeout": 5"#);
    let mut daemon = start(&dir, &more);
    dir.append("log", knock("alice"));
    daemon.wait_for("output: left");
    daemon.wait_for("python3: takes too long, terminating it");
    daemon.wait_for("python3: ended by signal");
    daemon.wait_for("output: next");
}

#[test]
fn as_process_1_nobody_that_commands_leave_behind_stays_a_zombie() {
    let launcher = ["unshare", "-Urpf", "--kill-child"];
    if !common::works(launcher[0], &[launcher[1], launcher[2], "true"]) {
        return common::skipped("no process namespace of our own");
    }
    let dir = TempDir::new();
    dir.write("log", "");
    let rule = rule(
        "x",
        r#""actions": [["sh", "-c", "sleep 0.1 >/dev/null 2>&1 &"]]"#,
    );
    let text = config(r#""log""#, &[rule]);
    dir.configure(&text);
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&launcher, "", &arguments));
    daemon.wait_until_watching();
    for number in 0..20 {
        dir.append("log", knock(&format!("k{number}")));
        daemon.wait_for("running sh");
    }
    let children = |pid: &str| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let own = children(&daemon.pid().to_string()).unwrap();
    let limit = std::time::Instant::now() + common::PATIENCE;
    while !children(own.trim()).unwrap().is_empty() {
        if std::time::Instant::now() > limit {
            daemon.fail("somebody is left");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
