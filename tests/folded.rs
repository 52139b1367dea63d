//! Lines that rsyslog has folded, `message repeated 5 times: [ … ]`, count as often as they say, and nobody else can say so.

mod common;

use common::{Daemon, TempDir, config, outcome, skipped, works};
use std::process::{Child, Command, Stdio};

/// A rule that echoes who has failed so often.
fn rule(filter: &str, more: &str) -> String {
    format!(
        r#"{{"name": "r", "filter": {filter}, "sequence": ["Failed"], "actions": ["echo banned {{key}}"], {more}}}"#
    )
}

const SSHD: &str =
    r#""^\\w+ +\\d+ \\S+ \\S+ sshd\\[\\d+\\]: Failed password for .* from <HOST> port \\d+ ssh2$""#;

fn plain(host: &str) -> String {
    format!("Nov 22 06:00:00 h sshd[7]: Failed password for root from {host} port 22 ssh2\n")
}

fn folded(times: u32, host: &str) -> String {
    format!(
        "Nov 22 06:00:00 h sshd[7]: message repeated {times} times: [ Failed password for root from {host} port 22 ssh2]\n"
    )
}

/// What a dry run of these rules over `log` prints, with or without `-d`, and its last lines.
fn dry_run(rules: &[String], log: &str, options: &[&str]) -> (String, String) {
    let dir = TempDir::new();
    dir.configure(&config(r#""log""#, rules));
    dir.write("log", log);
    let arguments = [&["-n", "-c", common::CONFIG], options, &["log"]].concat();
    let (status, shown, summary) = outcome(&dir.run(&arguments));
    assert_eq!(status, Some(0), "{summary}");
    (shown, summary)
}

#[test]
fn a_folded_line_counts_as_often_as_it_says() {
    let log = [
        plain("192.0.2.1"),
        folded(3, "192.0.2.1"),
        folded(3, "2001:db8::1"),
        plain("192.0.2.1"),
    ];
    let rules = [rule(SSHD, r#""count": 5, "within": "10m""#)];
    let (shown, summary) = dry_run(&rules, &log.concat(), &["-d"]);
    let expected = "1: \"r\" 192.0.2.1 step 1/1, 1/5 times\n2: \"r\" 192.0.2.1 step 1/1, 4/5 times\n\
        3: \"r\" 2001:db8::1 step 1/1, 3/5 times\n4: knock \"r\" 192.0.2.1\n4:   run echo banned 192.0.2.1\n";
    assert_eq!(shown, expected);
    assert!(
        summary.contains("rule \"r\": 8 lines passed the filter, 1 knock\n"),
        "{summary}"
    );
}

#[test]
fn a_folded_line_makes_one_knock_and_what_is_left_of_it_counts_on() {
    let log = [
        plain("192.0.2.1"),
        folded(7, "192.0.2.1"),
        plain("192.0.2.1"),
    ]
    .concat();
    let (shown, _) = dry_run(&[rule(SSHD, r#""count": 3"#)], &log, &[]);
    let knock =
        |line| format!("{line}: knock \"r\" 192.0.2.1\n{line}:   run echo banned 192.0.2.1\n");
    assert_eq!(shown, knock(2) + &knock(3));
    // Steps are steps: the second line brings the last two of three, and the third is one too few.
    let steps =
        rule(SSHD, r#""within": 60"#).replace(r#"["Failed"]"#, r#"["Failed", "Failed", "port"]"#);
    let log = [plain("192.0.2.1"), folded(2, "192.0.2.1")].concat();
    assert_eq!(dry_run(std::slice::from_ref(&steps), &log, &[]).0, knock(2));
    assert_eq!(dry_run(&[steps], &folded(2, "192.0.2.1"), &[]).0, "");
}

#[test]
fn a_folded_line_is_not_missed_for_lack_of_a_text_that_the_fold_tears_apart() {
    // The filters' only literals go on from the tag to the message.
    let filters = [
        r#""\\]: Failed .* <HOST> ""#,
        r#"" h sshd\\[7\\]: F\\w* .* <HOST> ""#,
        r#""7.: Failed (?:password .* <HOST>|x (y))""#,
    ];
    let log = [
        "nothing\n".into(),
        folded(5, "192.0.2.1"),
        "nothing\n".into(),
    ]
    .concat();
    for filter in filters {
        let (shown, _) = dry_run(&[rule(filter, r#""count": 5"#)], &log, &[]);
        assert!(
            shown.contains("2: knock \"r\" 192.0.2.1\n"),
            "{filter}: {shown}"
        );
    }
    let many = (0..20).map(|number| {
        let filter = format!(r#""service{number}\\[\\d+\\]: Failed .* <HOST> ""#);
        rule(&filter, r#""count": 5"#).replace("\"r\"", &format!("\"{number}\""))
    });
    let log = log.replace("sshd", "service13");
    let (shown, _) = dry_run(&many.collect::<Vec<_>>(), &log, &[]);
    assert!(shown.contains("2: knock \"13\" 192.0.2.1\n"), "{shown}");
}

#[test]
fn nobody_can_count_for_others_by_what_he_calls_himself() {
    let name =
        "x: message repeated 9 times: [ Failed password for root from 203.0.113.9 port 22 ssh2]";
    let lines = [
        format!(
            "Nov 22 06:00:00 h sshd[7]: Failed password for {name} from 192.0.2.1 port 22 ssh2\n"
        ),
        format!("Nov 22 06:00:00 h sshd[7]: Invalid user {name}\n"),
        format!("Nov 22 06:00:00 h sshd[7]: {name}\n"),
        // What rsyslog cuts: the end of the line is the stranger's, and the true one is gone.
        folded(9, "192.0.2.1").replace(
            "root",
            &format!("{}from 203.0.113.9 port 22 ssh2", "x".repeat(760)),
        ),
    ];
    let log = lines.map(|line| {
        if line.len() > 850 {
            format!("{}]\n", &line[..58 + 800])
        } else {
            line
        }
    });
    assert!(
        log[3].ends_with("x]\n") || log[3].contains("203.0.113.9"),
        "{}",
        log[3]
    );
    let (shown, _) = dry_run(&[rule(SSHD, r#""count": 5"#)], &log.concat(), &["-d"]);
    assert!(
        shown.starts_with("1: \"r\" 192.0.2.1 ") && !shown.contains("203.0.113.9"),
        "{shown}"
    );
    // A filter that is not anchored is met by what somebody calls himself, but by each line once.
    let loose = r#""Failed password for .* from <HOST> port""#;
    let (shown, _) = dry_run(&[rule(loose, r#""count": 5"#)], &log.concat(), &["-d"]);
    assert!(
        shown.contains(" 203.0.113.9 ") && !shown.contains("knock"),
        "{shown}"
    );
}

/// Ends with the test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_the_real_rsyslog_folds_bans_and_what_it_does_not_fold_does_not() {
    if !works("rsyslogd", &["-v"]) || !works("logger", &["--version"]) {
        return skipped("no rsyslogd or no logger");
    }
    let dir = TempDir::without_blanks();
    dir.write("auth.log", "");
    let socket = dir.text("socket");
    let rsyslog = format!(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{socket}\" CreatePath=\"on\")\n\
         $RepeatedMsgReduction on\n$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat\n*.* {}\n",
        dir.text("auth.log")
    );
    dir.write("rsyslog.conf", rsyslog);
    let rules = [rule(SSHD, r#""count": 5, "within": "10m""#)];
    let mut daemon = Daemon::start(&dir, &config(r#""auth.log""#, &rules));
    let mut command = Command::new("rsyslogd");
    command.args(["-n", "-iNONE", "-f", &dir.text("rsyslog.conf")]);
    let _rsyslog = Rsyslog(command.stderr(Stdio::null()).spawn().expect("rsyslogd"));
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !dir.path("socket").exists() {
        assert!(
            std::time::Instant::now() < limit,
            "rsyslogd does not listen"
        );
        std::thread::yield_now();
    }
    let log = |message: &str| {
        assert!(works(
            "logger",
            &[
                "-u",
                &socket,
                "-t",
                "sshd",
                "--id=4711",
                "-p",
                "auth.info",
                message
            ]
        ));
    };
    for _ in 0..4 {
        log("Failed password for root from 192.0.2.1 port 50022 ssh2");
    }
    for _ in 0..5 {
        log("Failed password for root from 192.0.2.2 port 50022 ssh2");
    }
    log("Connection closed by 192.0.2.2 port 50022 [preauth]");
    daemon.wait_without("192.0.2.1", "output: banned 192.0.2.2");
    let written = dir.read("auth.log");
    assert!(
        written.contains(": message repeated 4 times: [ Failed "),
        "{written}"
    );
}
