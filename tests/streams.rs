//! Streams and commands: every other place that lines come from.

mod common;

use common::{Daemon, PATIENCE, TempDir, config, knock, rule};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ECHO: &str = r#""actions": ["echo done {key}"]"#;

/// A configuration with the rule `x` and these sources (JSON members).
fn sources(members: &str) -> String {
    format!(
        r#"{{{members}, "state": "state", "ruleset": [{}]}}"#,
        rule("x", ECHO)
    )
}

/// Opens a FIFO to write, which waits for its reader.
fn open_to_write(dir: &TempDir, name: &str) -> File {
    OpenOptions::new()
        .write(true)
        .open(dir.path(name))
        .expect(name)
}

/// The processes whose parent is `parent`: their ids and states.
fn children(parent: u32) -> Vec<(u32, String)> {
    let stat = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name before it may hold blanks and parentheses.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.to_string();
        (fields.next()? == parent.to_string()).then_some((id, state))
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(stat)
        .collect()
}

/// Waits until `condition` holds; for what nobody tells.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(process: u32) -> bool {
    // A zombie that nobody waits for yet has ended.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Starts the daemon with a FIFO as standard input; returns the end to write to.
fn start_with_input(dir: &TempDir, config: &str, arguments: &[&str]) -> (Daemon, File) {
    dir.configure(config);
    dir.fifo("stdin");
    let arguments = [&["-c", common::CONFIG], arguments].concat();
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], "exec < stdin", &arguments));
    let input = open_to_write(dir, "stdin");
    daemon.wait_until_watching();
    (daemon, input)
}

#[test]
fn standard_input_is_watched_and_its_end_finishes_everything_and_exits() {
    let dir = TempDir::new();
    let lease =
        r#""timeout": 3600, "actions": ["echo opened {key}"], "revert": ["echo closed {key}"]"#;
    let config = config(r#""-", "state": "state""#, &[rule("door", lease)]);
    let (mut daemon, mut input) = start_with_input(&dir, &config, &[]);
    // The last line has no newline: the end makes it a line.
    let knocks = knock("alice") + knock("bob").trim_end();
    input.write_all(knocks.as_bytes()).unwrap();
    drop(input);
    daemon.wait_for("output: opened alice");
    daemon.wait_without("closing", "output: opened bob");
    daemon.wait_for("output: closed alice");
    daemon.wait_for("output: closed bob");
    daemon.expect_exit(0);
    assert_eq!(daemon.count("standard input has come to its end"), 1);
    let record = dir.read("state");
    assert_eq!(
        record.matches("\"open\"").count(),
        record.matches("\"close\"").count(),
        "{record}"
    );
}

#[test]
fn the_end_of_input_is_no_signal_and_the_first_one_after_it_leaves_nothing_open() {
    let dir = TempDir::new();
    dir.fifo("wait");
    let lease =
        r#""timeout": 3600, "actions": ["true"], "revert": ["sh -c 'echo closing; cat wait'"]"#;
    let config = config(r#""-", "state": "state""#, &[rule("door", lease)]);
    let (mut daemon, mut input) = start_with_input(&dir, &config, &[]);
    input.write_all(knock("alice").as_bytes()).unwrap();
    drop(input);
    daemon.wait_for("output: closing");
    daemon.signal("TERM");
    // When the state is told, both have come.
    daemon.signal("USR1");
    daemon.wait_without("second signal", "state: queue: 1 running");
    drop(dir.writer("wait"));
    daemon.wait_for("closed for alice");
    daemon.expect_exit(0);
}

#[test]
fn the_end_of_input_waits_for_queued_commands() {
    let dir = TempDir::new();
    let slow = rule("x", r#""actions": ["sleep 0.2", "echo done {key}"]"#);
    let (mut daemon, mut input) = start_with_input(&dir, &config(r#""-""#, &[slow]), &[]);
    let knocks: String = (0..5).map(|n| knock(&format!("k{n}"))).collect();
    input.write_all(knocks.as_bytes()).unwrap();
    drop(input);
    for n in 0..5 {
        daemon.wait_for(&format!("output: done k{n}"));
    }
    daemon.expect_exit(0);
}

#[test]
fn a_regular_file_can_be_standard_input() {
    let dir = TempDir::new();
    dir.write("input", knock("alice"));
    dir.configure(&sources(r#""file": "-""#));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], "exec < input", &arguments));
    daemon.wait_for("output: done alice");
    daemon.expect_exit(0);
}

#[test]
fn a_fifo_survives_writers_coming_and_going() {
    let dir = TempDir::new();
    dir.fifo("fifo");
    dir.configure(&sources(r#""file": "fifo""#));
    let mut daemon = Daemon::start_with(&dir, &sources(r#""file": "fifo""#), &["-T"]);
    for n in 0..3 {
        let mut writer = open_to_write(&dir, "fifo");
        writer
            .write_all(format!("a{n}\nrest{n}").as_bytes())
            .unwrap();
        drop(writer);
        // What the last writer left unfinished is a line.
        daemon.expect_lines(&[&format!("a{n}"), &format!("rest{n}")]);
    }
    let writers = [(); 2].map(|()| open_to_write(&dir, "fifo"));
    for (mut writer, line) in writers.into_iter().zip(["one\n", "two\n"]) {
        writer.write_all(line.as_bytes()).unwrap();
        daemon.expect_lines(&[line.trim()]);
    }
}

#[test]
fn what_was_not_there_at_the_start_is_told_of_once_when_it_comes_a_stream_too() {
    let dir = TempDir::new();
    let config = sources(r#""file": ["log", "fifo"]"#);
    let mut daemon = Daemon::start_with(&dir, &config, &["-T"]);
    dir.write("log", "a line\n");
    daemon.expect_lines(&["a line"]);
    dir.fifo("fifo");
    for line in ["first", "second"] {
        let mut writer = open_to_write(&dir, "fifo");
        writer.write_all(format!("{line}\n").as_bytes()).unwrap();
        daemon.expect_lines(&[line]);
    }
    for name in ["log", "fifo"] {
        let told = |what: &str| daemon.count(&format!("\"{name}\": {what}"));
        assert_eq!((told("not there yet"), told("opened")), (1, 1), "{name}");
    }
}

#[test]
fn what_is_in_a_fifo_at_the_start_is_read() {
    let dir = TempDir::new();
    dir.fifo("fifo");
    // As rsyslog opens it: no reader is needed for that.
    let mut options = OpenOptions::new();
    let mut writer = options
        .read(true)
        .write(true)
        .open(dir.path("fifo"))
        .unwrap();
    writer.write_all(b"before\n").unwrap();
    let mut daemon = Daemon::start_with(&dir, &sources(r#""file": "fifo""#), &["-T"]);
    writer.write_all(b"after\n").unwrap();
    daemon.expect_lines(&["before", "after"]);
}

#[test]
fn a_fifo_that_is_replaced_is_read_to_its_end_first() {
    let dir = TempDir::new();
    dir.fifo("fifo");
    let mut daemon = Daemon::start_with(&dir, &sources(r#""file": "fifo""#), &["-T"]);
    let mut former = open_to_write(&dir, "fifo");
    former.write_all(b"first\n").unwrap();
    daemon.expect_lines(&["first"]);
    daemon.signal("STOP");
    // More than is read at once, and less than the log has room for.
    let line = |number| format!("line {number} {}", "x".repeat(500));
    let mut lines: Vec<String> = (0..40).map(line).collect();
    former
        .write_all((lines.join("\n") + "\nunfinished").as_bytes())
        .unwrap();
    dir.fifo("new");
    dir.rename("new", "fifo");
    daemon.signal("CONT");
    lines.push("unfinished".into());
    daemon.expect_lines(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    // Somebody may still hold the old one.
    let mut writer = open_to_write(&dir, "fifo");
    writer.write_all(b"next\n").unwrap();
    daemon.expect_lines(&["next"]);
    drop(former);
    writer.write_all(b"last\n").unwrap();
    daemon.expect_lines(&["last"]);
}

#[test]
fn a_serial_line_is_at_its_end_when_it_is_gone_whatever_has_come_over_it() {
    let script = "import os\nline, end = os.openpty()\nprint(os.ttyname(end), flush=True)\n\
                  while data := os.read(0, 4096): os.write(line, data)";
    if !common::works("python3", &["-c", "import os; os.openpty()"]) {
        return common::skipped("no python3 to make a terminal");
    }
    let mut command = Command::new("python3");
    command.args(["-c", script]).stdin(Stdio::piped());
    let mut device = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut name = String::new();
    let mut output = BufReader::new(device.stdout.take().unwrap());
    output.read_line(&mut name).unwrap();
    let dir = TempDir::new();
    let file = format!("\"file\": \"{}\"", name.trim());
    let mut daemon = Daemon::start(&dir, &sources(&file));
    let mut line = device.stdin.take().unwrap();
    // What one types to end an input, Ctrl-D, where a line begins and within one.
    line.write_all(b"alice one\n\x04alice t\x04wo\nalice three\n")
        .unwrap();
    daemon.wait_without("has come to its end", "output: done alice");
    drop(line);
    daemon.wait_for("not there yet, waiting for it");
    device.wait().unwrap();
}

#[test]
fn a_path_can_become_a_fifo_and_a_file_again() {
    let dir = TempDir::new();
    let mut daemon = Daemon::start_with(&dir, &sources(r#""file": "log""#), &["-T"]);
    dir.fifo("log");
    let mut writer = open_to_write(&dir, "log");
    writer.write_all(b"from the fifo\n").unwrap();
    daemon.expect_lines(&["from the fifo"]);
    dir.write("new", "from the file\n");
    dir.rename("new", "log");
    daemon.expect_lines(&["from the file"]);
    dir.remove("log");
    dir.fifo("log");
    let mut writer = open_to_write(&dir, "log");
    writer.write_all(b"from another\n").unwrap();
    daemon.expect_lines(&["from another"]);
}

#[test]
fn what_was_written_before_another_kind_of_file_took_the_place_is_read_first() {
    let dir = TempDir::new();
    let mut daemon = Daemon::start_with(&dir, &sources(r#""file": "log""#), &["-T"]);
    // More than is read at once.
    let line = |number| format!("line {number} {}", "x".repeat(500));
    let mut lines: Vec<String> = (0..40).map(line).collect();
    let text = lines.join("\n") + "\nunfinished";
    lines.push("unfinished".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    dir.append("log", "first\n");
    daemon.expect_lines(&["first"]);
    daemon.signal("STOP");
    dir.append("log", &text);
    dir.fifo("new");
    dir.rename("new", "log");
    daemon.signal("CONT");
    daemon.expect_lines(&lines);
    for is_held in [false, true] {
        let mut writer = open_to_write(&dir, "log");
        writer.write_all(b"from the fifo\n").unwrap();
        daemon.expect_lines(&["from the fifo"]);
        daemon.signal("STOP");
        writer.write_all(text.as_bytes()).unwrap();
        let writer = is_held.then_some(writer);
        dir.write("new", "from the file\n");
        dir.rename("new", "log");
        daemon.signal("CONT");
        daemon.expect_lines(&lines);
        daemon.expect_lines(&["from the file"]);
        dir.remove("log");
        dir.fifo("log");
        drop(writer);
    }
    assert_eq!(daemon.count("has come to its end"), 0);
    assert_eq!(daemon.count("[ERROR]"), 0);
}

#[test]
fn a_command_is_watched_and_started_again_when_it_ends() {
    let dir = TempDir::new();
    dir.fifo("lines");
    let command = r#""command": ["sh", "-c", "echo to stderr >&2; cat lines; exit 3"]"#;
    let mut daemon = Daemon::start(&dir, &sources(command));
    daemon.wait_for("command \"sh\": to stderr");
    let mut writer = open_to_write(&dir, "lines");
    writer
        .write_all((knock("alice") + "bob one\nbob two\nbob three").as_bytes())
        .unwrap();
    daemon.wait_for("output: done alice");
    let ended = Instant::now();
    drop(writer);
    // The unfinished line at the end of its output counts, and its status is told.
    daemon.wait_for("command \"sh\": exit status 3");
    daemon.wait_for("output: done bob");
    let mut writer = open_to_write(&dir, "lines");
    assert!(
        ended.elapsed() >= Duration::from_millis(900),
        "{:?}",
        ended.elapsed()
    );
    writer.write_all(knock("carol").as_bytes()).unwrap();
    daemon.wait_for("output: done carol");
    wait_until("no zombie", || {
        let children = children(daemon.pid());
        children.iter().all(|(_, state)| state != "Z")
    });
}

#[test]
fn a_command_that_cannot_be_started_is_reported_once_and_tried_again() {
    let dir = TempDir::new();
    let mut daemon = Daemon::start(&dir, &sources(r#""command": "./later""#));
    assert_eq!(
        daemon.count("[ERROR] command \"./later\": No such file or directory"),
        1
    );
    dir.write(
        "now",
        "#!/bin/sh\nprintf 'alice one\\nalice two\\nalice three\\n'\nexec sleep 60\n",
    );
    dir.chmod("now", 0o755);
    dir.rename("now", "later");
    daemon.wait_for("output: done alice");
    assert_eq!(daemon.count("[ERROR]"), 1);
}

/// Clock ticks of processor time the daemon has used.
fn processor_ticks(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_command_that_was_restarted_or_has_closed_its_errors_leaves_the_daemon_idle() {
    let dir = TempDir::new();
    let once = r#""command": ["sh", "-c", "exec 2>&-; test -e again && sleep 1000; touch again"]"#;
    let mut daemon = Daemon::start_with(&dir, &sources(once), &["-d"]);
    daemon.wait_for("command \"sh\": exit status");
    daemon.wait_for("command \"sh\": started");
    let before = processor_ticks(&daemon);
    // The interval is what is measured.
    std::thread::sleep(Duration::from_secs(2));
    let used = processor_ticks(&daemon) - before;
    assert!(used < 20, "{used} ticks in two seconds");
}

#[test]
fn a_failing_command_is_not_started_more_often_because_something_else_happens() {
    let dir = TempDir::new();
    let members =
        r#""poll": 0.1, "file": "log", "command": ["sh", "-c", "echo x >> starts; exit 1"]"#;
    let mut daemon = Daemon::start(&dir, &sources(members));
    daemon.wait_for("exit status 1");
    std::thread::sleep(Duration::from_millis(2500));
    // At once, after one second, and after two more.
    assert!(dir.read("starts").len() <= 2 * 3, "{}", dir.read("starts"));
}

#[test]
fn a_source_and_a_command_of_the_same_name_are_two_things() {
    let dir = TempDir::new();
    dir.write(
        "./same",
        "#!/bin/sh\nprintf 'alice one\\nalice two\\nalice three\\n'; exec sleep 60\n",
    );
    dir.chmod("same", 0o755);
    let mut daemon = Daemon::start(&dir, &sources(r#""file": "./same""#));
    dir.configure(&sources(r#""command": "./same""#));
    daemon.signal("HUP");
    daemon.wait_for("output: done alice");
}

#[test]
fn standard_input_that_cannot_be_read_ends_the_program() {
    let dir = TempDir::new();
    dir.configure(&sources(r#""file": "-""#));
    for redirection in ["exec <&-", "exec < ."] {
        let mut command = dir.command_after(&[], redirection, &["-c", common::CONFIG]);
        Daemon::spawn(&mut command).expect_exit(0);
    }
}

#[test]
fn a_command_and_all_it_started_end_with_the_daemon_and_with_a_reload() {
    let dir = TempDir::new();
    dir.write("log", "");
    let tree = r#""command": "sh -c 'sleep 1000 & echo $! > grandchild; sleep 1000'""#;
    let grandchild = || -> u32 {
        wait_until("its id", || {
            dir.path("grandchild").exists() && dir.read("grandchild").ends_with('\n')
        });
        let id = dir.read("grandchild").trim().parse().unwrap();
        dir.remove("grandchild");
        id
    };
    let mut daemon = Daemon::start(&dir, &sources(tree));
    let first = grandchild();
    dir.configure(&sources(r#""file": "log""#));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    wait_until("the grandchild's end", || !is_alive(first));
    wait_until("no child", || children(daemon.pid()).is_empty());

    dir.configure(&sources(tree));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    let second = grandchild();
    daemon.signal("TERM");
    daemon.expect_exit(0);
    wait_until("the grandchild's end", || !is_alive(second));
}

#[test]
fn a_command_that_ignores_the_signal_is_killed() {
    let dir = TempDir::new();
    dir.write("log", "");
    let deaf = r#""command": "sh -c 'trap \"\" TERM; echo $$ > id; while :; do sleep 1; done'""#;
    let mut daemon = Daemon::start(&dir, &sources(deaf));
    wait_until("its id", || {
        dir.path("id").exists() && dir.read("id").ends_with('\n')
    });
    let id: u32 = dir.read("id").trim().parse().unwrap();
    dir.configure(&sources(r#""file": "log""#));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    assert!(is_alive(id));
    wait_until("its end", || {
        !is_alive(id) && children(daemon.pid()).is_empty()
    });
}

#[test]
fn a_reload_loses_no_line_of_the_sources_that_stay() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.fifo("fifo");
    let mut daemon = Daemon::start_with(&dir, &sources(r#""file": ["fifo", "log"]"#), &["-T"]);
    let mut writer = open_to_write(&dir, "fifo");
    for n in 0..20 {
        let first = ["\"fifo\"", "\"fifo\", \"log\"", "\"more\", \"fifo\""][n % 3];
        dir.configure(&sources(&format!("\"file\": [{first}]")));
        writer
            .write_all(format!("before {n}\nhalf ").as_bytes())
            .unwrap();
        daemon.signal("HUP");
        writer.write_all(format!("{n}\n").as_bytes()).unwrap();
        daemon.expect_lines(&[&format!("before {n}"), &format!("half {n}")]);
    }
}

#[test]
fn a_noisy_source_starves_neither_the_others_nor_the_timers() {
    let dir = TempDir::new();
    dir.write("log", "");
    let lease =
        r#""timeout": 0.5, "actions": ["echo opened {key}"], "revert": ["echo closed {key}"]"#;
    let config = format!(
        r#"{{"file": "log", "command": "yes noise", "state": "state", "ruleset": [{}]}}"#,
        rule("door", lease)
    );
    let mut daemon = Daemon::start(&dir, &config);
    for key in ["alice", "bob"] {
        let written = Instant::now();
        dir.append("log", knock(key));
        daemon.wait_for(&format!("output: opened {key}"));
        assert!(
            written.elapsed() < Duration::from_secs(4),
            "{:?}",
            written.elapsed()
        );
        daemon.wait_for(&format!("output: closed {key}"));
        let lasted = written.elapsed();
        assert!(lasted < Duration::from_secs(8), "{lasted:?}");
    }
    daemon.signal("TERM");
    daemon.expect_exit(0);
}

#[test]
fn what_a_key_does_is_told_with_its_source() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.fifo("fifo");
    let members = r#""file": ["log", "fifo"], "command": "sh -c 'echo alice two; sleep 60'""#;
    let mut daemon = Daemon::start_with(&dir, &sources(members), &["-d"]);
    daemon.wait_for("rule \"x\": alice step 0/3, from \"sh -c echo alice two; sleep 60\"");
    dir.append("log", "alice one\n");
    daemon.wait_for("rule \"x\": alice step 1/3, from \"log\"");
    open_to_write(&dir, "fifo")
        .write_all(b"alice two\n")
        .unwrap();
    daemon.wait_for("rule \"x\": alice step 2/3, from \"fifo\"");
}

/// The daemon's resident memory in KiB.
fn resident(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const LOAD: usize = 200_000;
const KNOCK_EVERY: usize = 1000;

/// Writes lines of many senders with a knock in every thousand, in pieces, and waits for each knock
/// before the next thousand if `paced`.
fn load(daemon: &mut Daemon, mut write: impl FnMut(&str), paced: bool) -> (u64, u64) {
    let mut first = 0;
    for thousand in 0..LOAD / KNOCK_EVERY {
        let mut text = String::new();
        for n in 0..KNOCK_EVERY - 3 {
            text += &format!("sender{thousand}-{n} one of many lines that lead nowhere\n");
        }
        write(&(text + &knock(&format!("k{thousand}"))));
        if paced || thousand == 0 {
            daemon.wait_for(&format!("knock by k{thousand}"));
        }
        if thousand == 0 {
            first = resident(daemon);
        }
    }
    if !paced {
        daemon.wait_for(&format!("knock by k{}", LOAD / KNOCK_EVERY - 1));
    }
    assert_eq!(daemon.count("knock by "), LOAD / KNOCK_EVERY);
    (first, resident(daemon))
}

fn expect_flat((first, last): (u64, u64)) {
    assert!(
        last <= first + 512,
        "{first} KiB after the first knock, {last} KiB at the end"
    );
}

/// Writes without a pause, to a source that makes its writer wait or forgets nothing.
fn expect_every_knock(daemon: &mut Daemon, log: &mut File) {
    expect_flat(load(
        daemon,
        |text| log.write_all(text.as_bytes()).unwrap(),
        false,
    ));
}

/// A rule whose command is done at once, so that only the lines are under test.
fn quick(members: &str) -> String {
    format!(
        r#"{{{members}, "state": "state", "ruleset": [{}]}}"#,
        rule("x", r#""actions": ["true"]"#)
    )
}

#[test]
fn a_file_under_load_loses_no_knock_and_memory_stays_flat() {
    let dir = TempDir::new();
    dir.write("log", "");
    let mut daemon = Daemon::start(&dir, &quick(r#""file": "log""#));
    let mut log = dir.writer("log");
    expect_every_knock(&mut daemon, &mut log);
}

#[test]
fn a_fifo_under_load_loses_no_knock_and_memory_stays_flat() {
    let dir = TempDir::new();
    dir.fifo("fifo");
    let mut daemon = Daemon::start(&dir, &quick(r#""file": "fifo""#));
    let mut fifo = open_to_write(&dir, "fifo");
    expect_every_knock(&mut daemon, &mut fifo);
}

#[test]
fn standard_input_under_load_loses_no_knock_and_memory_stays_flat() {
    let dir = TempDir::new();
    let (mut daemon, mut input) = start_with_input(&dir, &quick(r#""file": "-""#), &[]);
    expect_every_knock(&mut daemon, &mut input);
}

#[test]
fn a_command_under_load_loses_no_knock_and_memory_stays_flat() {
    let dir = TempDir::new();
    dir.fifo("fifo");
    let mut daemon = Daemon::start(&dir, &quick(r#""command": "cat fifo""#));
    let mut fifo = open_to_write(&dir, "fifo");
    expect_every_knock(&mut daemon, &mut fifo);
}

mod kernel_log {
    //! The real `/dev/kmsg`, one test at a time: it is one for the whole machine.

    use super::*;
    use std::sync::{Mutex, MutexGuard};

    static ONE: Mutex<()> = Mutex::new(());
    const LIMIT: &str = "/proc/sys/kernel/printk_devkmsg";

    /// The device to write records to, without the kernel's limit of ten in five seconds.
    pub struct Kernel {
        device: File,
        limit: String,
        _one: MutexGuard<'static, ()>,
    }

    impl Kernel {
        /// None, and a message, if we may not.
        pub fn open() -> Option<Kernel> {
            let one = ONE.lock().unwrap_or_else(|error| error.into_inner());
            let opened = OpenOptions::new().read(true).write(true).open("/dev/kmsg");
            let Ok(device) = opened else {
                common::skipped("no right to write to /dev/kmsg");
                return None;
            };
            let limit = fs::read_to_string(LIMIT).unwrap_or_default();
            if fs::write(LIMIT, "on").is_err() {
                common::skipped("no right to write many records to /dev/kmsg");
                return None;
            }
            Some(Kernel {
                device,
                limit,
                _one: one,
            })
        }

        /// Writes each line of `text` as a record of its own, at a level no console shows.
        pub fn write(&mut self, text: &str) {
            for line in text.lines() {
                self.device
                    .write_all(format!("<7>{line}").as_bytes())
                    .unwrap();
            }
        }
    }

    impl Drop for Kernel {
        fn drop(&mut self) {
            let _ = fs::write(LIMIT, &self.limit);
        }
    }

    #[test]
    fn it_is_read_from_its_end_one_record_a_line_with_escapes_decoded() {
        let Some(mut kernel) = Kernel::open() else {
            return;
        };
        let dir = TempDir::new();
        kernel.write(&knock("early"));
        let mut daemon = Daemon::start_with(&dir, &sources(r#""file": "/dev/kmsg""#), &["-T"]);
        kernel.write(&knock("alice"));
        daemon.wait_without("early", "output: done alice");
        kernel.write("für\\x\x07 end");
        let line = daemon.wait_for("für");
        // The bell is escaped again, by our own log.
        assert_eq!(line, "[TRACE] \"/dev/kmsg\": für\\x\\x07 end");
    }

    #[test]
    fn an_overrun_is_reported_once_with_its_number_and_survived() {
        let Some(mut kernel) = Kernel::open() else {
            return;
        };
        let dir = TempDir::new();
        let mut daemon = Daemon::start(&dir, &sources(r#""file": "/dev/kmsg""#));
        kernel.write("alice one");
        kernel.write(&knock("bob"));
        daemon.wait_for("output: done bob");
        daemon.signal("STOP");
        let filler = "x".repeat(900);
        for _ in 0..8000 {
            kernel.write(&filler);
        }
        daemon.signal("CONT");
        let lost = daemon.wait_for_rest("[WARN] the kernel's log overran us: ");
        let lost: u64 = lost.split(' ').next().unwrap().parse().unwrap();
        assert!((1..=8000).contains(&lost), "{lost}");
        kernel.write("alice two\nalice three");
        daemon.wait_for("output: done alice");
        assert_eq!(daemon.count("overran"), 1);
    }

    #[test]
    fn under_load_it_loses_no_knock_and_memory_stays_flat() {
        let Some(mut kernel) = Kernel::open() else {
            return;
        };
        let dir = TempDir::new();
        let mut daemon = Daemon::start(&dir, &quick(r#""file": "/dev/kmsg""#));
        // The kernel does not wait for readers, so the writer does.
        let memory = load(&mut daemon, |text| kernel.write(text), true);
        assert_eq!(daemon.count("overran"), 0);
        expect_flat(memory);
    }
}

#[test]
fn a_watched_command_that_leaves_its_group_does_not_hold_up_the_end() {
    if !common::works("python3", &["-c", ""]) {
        return common::skipped("no python3 to leave a process group");
    }
    let dir = TempDir::new();
    let script = "import os, time; os.setpgid(0, os.getpgid(os.getppid())); print('left', flush=True); time.sleep(1000)";
    let source = format!(r#"["python3", "-c", "{script}"]"#);
    let config = format!(
        r#"{{"command": {source}, "ruleset": [{}]}}"#,
        common::any_rule()
    );
    let mut daemon = Daemon::start_with(&dir, &config, &["-T"]);
    daemon.expect_lines(&["left"]);
    daemon.signal("TERM");
    daemon.expect_exit(0);
}
