//! While nothing happens, the daemon does nothing: it is not even woken up.

mod common;

use common::{Daemon, TempDir, config, knock, rule};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// How often the daemon's only thread was given a processor or lost it.
fn switches(daemon: &Daemon) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
    lines.map(String::from).collect()
}

/// Whether the kernel has said something since the last call, which is a reason to wake.
fn has_said_something(kernel: &mut Option<File>) -> bool {
    let mut record = [0; 8192];
    let mut records = 0;
    while let Some(kernel) = kernel {
        match kernel.read(&mut record) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            // An error says that records were overwritten before they were read.
            _ => records += 1,
        }
    }
    records > 0
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
    const O_NONBLOCK: i32 = 0o4000;
    let mut kmsg = OpenOptions::new();
    let mut kmsg = kmsg
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open("/dev/kmsg")
        .ok();
    let kernel = match &mut kmsg {
        Some(kmsg) => {
            kmsg.seek(SeekFrom::End(0)).expect("its end");
            "/dev/kmsg"
        }
        None => "fifo too",
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
    let limit = Instant::now() + 3 * common::PATIENCE;
    loop {
        has_said_something(&mut kmsg);
        // The command's end comes after its output; a second is plenty for it.
        std::thread::sleep(Duration::from_secs(1));
        let before = switches(&daemon);
        assert_eq!(before.len(), 2);
        std::thread::sleep(Duration::from_secs(3));
        let after = switches(&daemon);
        if !has_said_something(&mut kmsg) {
            assert_eq!(after, before);
            break;
        }
        if Instant::now() > limit {
            return common::skipped("the kernel says something all the time");
        }
    }
    dir.append("a", knock("carol"));
    daemon.wait_for("output: done");
}
