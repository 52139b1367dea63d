//! While nothing happens, the daemon does nothing: it is not even woken up.

mod common;

use common::{Daemon, TempDir, config, knock, rule};
use std::fs;
use std::time::Duration;

/// How often the daemon's only thread was given a processor or lost it.
fn switches(daemon: &Daemon) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
    lines.map(String::from).collect()
}

#[test]
fn nothing_wakes_an_idle_daemon() {
    let dir = TempDir::new();
    for name in ["a", "b"] {
        dir.write(name, "");
    }
    dir.fifo("fifo");
    dir.fifo("stdin");
    // The kernel's log only where it may be read.
    let kernel = match fs::File::open("/dev/kmsg") {
        Ok(_) => "/dev/kmsg",
        Err(_) => "fifo too",
    };
    let files = format!(
        r#"["-", "a", "b", "missing", "missing/too", "fifo", "{kernel}"], "command": "sleep 1000""#
    );
    let rules = [rule("x", r#""actions": ["echo done"], "within": 1"#)];
    dir.configure(&config(&files, &rules));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&[], "exec < stdin", &arguments));
    let _stdin = dir.writer("stdin");
    daemon.wait_until_watching();
    // It has had something to do, and one sender is on its way.
    dir.append("b", knock("alice") + "bob one\n");
    daemon.wait_for("output: done");
    // The command's end comes after its output; a second is plenty for it.
    std::thread::sleep(Duration::from_secs(1));
    let before = switches(&daemon);
    assert_eq!(before.len(), 2);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(switches(&daemon), before);
    dir.append("a", knock("carol"));
    daemon.wait_for("output: done");
}
