//! Text that strangers have written, and what becomes of it: in a command's words, in our log, in the record, and when
//! our own messages come back through the log we watch.
//!
//! That hostile text is one word of a command and nothing more is shown in `commands.rs`.

mod common;

use common::{Daemon, TempDir, config, knock, outcome};
use std::time::Instant;

/// What a stranger might say, as far as it is printable: it reaches commands as it is.
const PRINTABLE: [&str; 12] = [
    "two words and  more",
    r#"" ' \ \" \\ ' ""#,
    "$(touch owned) `touch owned` ; touch owned",
    "--help -rf --",
    r#""}],"leases":[],"spent":[{"rule":"x"#,
    r"\u0000 \x00 \n \e[2J %s %n {0} {key} {{}}",
    "../../../etc/passwd",
    "[ERROR] logknockd: internal error",
    "=1+1|cmd",
    "für Ł 漢字 🔑",
    "\u{a0}\u{fffd}",
    "<30>logknockd[1]: x",
];

/// What no command sees: with its form in the log.
const UNPRINTABLE: [(&[u8], &str); 13] = [
    (b"a\0b", r"a\x00b"),
    (b"\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
    (b"a\rb", r"a\x0db"),
    (b"a\x0bb\x0cc", r"a\x0bb\x0cc"),
    (b"\x7f\x08", r"\x7f\x08"),
    (b"\xc2\x9b2J", r"\xc2\x9b2J"),
    ("\u{202e}gnp".as_bytes(), r"\xe2\x80\xaegnp"),
    // What turns text around without being one of the usual marks, and what shows nothing.
    ("a\u{61c}b".as_bytes(), r"a\xd8\x9cb"),
    ("ad\u{ad}min".as_bytes(), r"ad\xc2\xadmin"),
    (
        "\u{3164}\u{feff}\u{2060}".as_bytes(),
        r"\xe3\x85\xa4\xef\xbb\xbf\xe2\x81\xa0",
    ),
    ("\u{e0041}".as_bytes(), r"\xf3\xa0\x81\x81"),
    (b"\xff\xfe", r"\xff\xfe"),
    (b"\xc0\xaf \xed\xa0\x80", r"\xc0\xaf \xed\xa0\x80"),
];

/// A rule whose key is what a stranger says, and whose lease lasts. Its commands write their words, each ended by a NUL,
/// to `opened` and `closed`.
fn saying() -> String {
    let write = |file: &str| {
        let script = format!(r#"printf '%s\\0' \"$@\" >> {file}"#);
        format!(r#"[["sh", "-c", "{script}", "sh", "{{key}}", "{{0}}"]]"#)
    };
    let members =
        r#""name": "x", "filter": "^\\S+ says (.*) end$", "sequence": ["says (.*) end$"]"#;
    format!(
        r#"{{{members}, "timeout": 60, "actions": {}, "revert": {}}}"#,
        write("opened"),
        write("closed")
    )
}

fn start(dir: &TempDir) -> Daemon {
    dir.append("log", "");
    let config = config(r#""log", "state": "state""#, &[saying()]);
    Daemon::start_with(dir, &config, &["-T"])
}

/// The words that a command has written.
fn words(dir: &TempDir, file: &str) -> Vec<String> {
    let text = dir.read(file);
    let words = text.strip_suffix('\0').expect("a word").split('\0');
    words.map(String::from).collect()
}

/// Nothing that a terminal obeys, and nothing that is not text.
fn expect_clean(daemon: &Daemon) {
    let obeyed = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    for line in &daemon.seen {
        assert!(!line.contains(|c: char| obeyed(c)), "{line:?}");
        assert!(line.starts_with('['), "{line:?} pretends to be a message");
    }
}

#[test]
fn printable_text_reaches_commands_and_comes_back_from_the_record_as_it_was() {
    let dir = TempDir::new();
    let mut daemon = start(&dir);
    for text in PRINTABLE {
        dir.append("log", format!("mallory says {text} end\n"));
        daemon.wait_for(&format!("opened for {text}, closes in"));
    }
    // The message comes before the command.
    dir.append("log", "mallory says nothing end\n");
    daemon.wait_for("running sh -c");
    while daemon.count("running sh -c") <= PRINTABLE.len() {
        daemon.wait_for("running sh -c");
    }
    let (_, listed, _) = outcome(&dir.run(&["-l", "-c", common::CONFIG]));
    for text in PRINTABLE {
        assert!(
            listed.contains(&format!("\"x\"   {text}  ")),
            "{text} is not in {listed}"
        );
    }
    expect_clean(&daemon);
    // Killed: what it has opened is known from the record only.
    drop(daemon);
    let said: Vec<_> = PRINTABLE.iter().flat_map(|text| [*text; 2]).collect();
    assert_eq!(words(&dir, "opened")[..said.len()], said);
    let mut daemon = start(&dir);
    assert_eq!(daemon.count("going on with 13 recorded leases"), 1);
    daemon.signal("TERM");
    daemon.expect_exit(0);
    expect_clean(&daemon);
    let mut closed = words(&dir, "closed");
    closed.truncate(said.len());
    assert_eq!(closed, said);
    assert!(!dir.path("owned").exists());
}

#[test]
fn unprintable_text_is_escaped_in_the_log_and_goes_nowhere_else() {
    let dir = TempDir::new();
    let mut daemon = start(&dir);
    for (text, shown) in UNPRINTABLE {
        dir.append("log", [b"mallory says ", text, b" end\n"].concat());
        daemon.wait_for(&format!("[TRACE] \"log\": mallory says {shown} end"));
    }
    dir.append("log", "alice says hello end\n");
    daemon.wait_for("opened for hello");
    assert_eq!(daemon.count("knock by"), 1);
    assert!(daemon.count("is not printable UTF-8") >= 1);
    expect_clean(&daemon);
    let record = std::fs::read(dir.path("state")).unwrap();
    assert!(
        record
            .iter()
            .all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n')
    );
    assert!(!String::from_utf8(record).unwrap().contains("mallory"));
    assert!(!dir.path("closed").exists());
}

#[test]
fn a_hundred_kilobytes_are_cut_refused_and_survived() {
    let dir = TempDir::new();
    let mut daemon = start(&dir);
    let long = "a".repeat(100_000);
    // The line is cut before its end, so the rule does not apply to it.
    dir.append("log", format!("mallory says {long} end\n"));
    daemon.wait_for("a line is longer than 8192 bytes");
    // This one is whole, and its key too long.
    dir.append("log", format!("mallory says {} end\n", &long[..8000]));
    daemon.wait_for("a key of more than 255 bytes is passed over");
    dir.append("log", "alice says hello end\n");
    daemon.wait_for("opened for hello");
    assert_eq!(daemon.count("knock by"), 1);
    assert!(daemon.seen.iter().all(|line| line.len() <= 4000));
    assert!(dir.read("state").len() < 1000);
}

#[test]
fn a_line_is_never_more_than_one_line_whatever_is_in_it() {
    let dir = TempDir::new();
    let mut daemon = start(&dir);
    // Other things that are called line ends: none of them ends a line, so none begins one that meets the anchor.
    for separator in [
        "\r", "\x0b", "\x0c", "\0", "\u{85}", "\u{2028}", "\u{2029}", "\\n", "%0a",
    ] {
        dir.append("log", format!("x{separator}mallory says hello end\n"));
    }
    dir.append("log", "alice says hello end\n");
    daemon.wait_for("knock by hello");
    assert_eq!(daemon.count("knock by"), 1);
}

/// Runs a daemon that logs straight into the log it watches, without a tag, as `2>>log` does it; two people knock.
/// Returns the log once it says `awaited` so many times.
fn watch_itself(filter: &str, awaited: &str, times: usize) -> String {
    let dir = TempDir::new();
    dir.write("log", "");
    let rule = format!(
        r#"{{"name": "x", "filter": "{filter}", "sequence": ["knock"], "actions": ["echo did {{key}}"]}}"#
    );
    dir.configure(&config(r#""log""#, &[rule]));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], "exec 2>>log", &arguments));
    let deadline = Instant::now() + common::PATIENCE;
    let wait_for = |text: &str, times: usize| {
        while dir.read("log").matches(text).count() < times {
            assert!(Instant::now() < deadline, "{}", dir.read("log"));
            std::thread::yield_now();
        }
    };
    wait_for(common::WATCHING, 1);
    dir.append("log", "alice knock\nbob knock\n");
    wait_for(awaited, times);
    daemon.signal("TERM");
    daemon.expect_exit(0);
    dir.read("log")
}

#[test]
fn our_messages_without_a_tag_answer_themselves_only_through_a_filter_that_is_not_anchored() {
    const KNOCK: &str = "rule \"x\": knock by ";
    let log = watch_itself("^(alice|bob) ", "output: did ", 2);
    assert_eq!(log.matches(KNOCK).count(), 2, "{log}");
    // What `-t` warns of: the message about a knock is a knock.
    watch_itself("\\\\b(alice|bob)\\\\b", KNOCK, 20);
}

#[test]
fn a_forged_tag_hides_the_line_it_stands_in_and_no_other_and_opens_nothing() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [common::rule("x", r#""actions": ["true"]"#)];
    let mut daemon = Daemon::start_with(&dir, &config(r#""log""#, &rules), &["-T"]);
    let pid = daemon.pid();
    // The key is the first word: whoever chooses that can make it our tag, and is not heard.
    dir.append("log", knock(&format!("logknockd[{pid}]:")));
    dir.append(
        "log",
        format!("alice one\nlogknockd[{pid}]: two\nalice two\nalice three\n"),
    );
    daemon.wait_for("knock by alice");
    assert_eq!(daemon.count("logknockd["), 0, "shown as little as heard");
    // Neither another process's tag nor a level at the beginning makes a line ours.
    for key in [
        format!("logknockd[{}]:", pid + 1),
        "logknockd:".into(),
        "[INFO]".into(),
    ] {
        dir.append("log", knock(&key));
        daemon.wait_for(&format!("knock by {key}"));
    }
}

#[test]
fn a_user_name_that_names_an_address_fools_only_a_filter_that_takes_the_first_one() {
    let dir = TempDir::new();
    let line = "sshd[7]: Failed password for invalid user x from 192.0.2.1 port 22 from 198.51.100.7 port 4711 ssh2\n";
    dir.write("log", line);
    let loose = " from ([0-9.]+) port";
    let tight = "sshd[^ ]*: Failed password for .* from ([0-9.]+) port [0-9]+ ssh2$";
    for (filter, key) in [(loose, "192.0.2.1"), (tight, "198.51.100.7")] {
        dir.configure(&config(r#""log""#, &[format!(
            r#"{{"name": "x", "filter": "{filter}", "sequence": ["Failed"], "actions": ["true"]}}"#
        )]));
        let (_, stdout, _) = outcome(&dir.run(&["-n", "-c", common::CONFIG, "log"]));
        assert!(
            stdout.starts_with(&format!("1: knock \"x\" {key}\n")),
            "{filter}: {stdout}"
        );
    }
}
