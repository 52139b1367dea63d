//! The programs that rotate logs and write them on the routers and servers we run on: nothing is lost with any
//! of them, and nothing comes twice.

mod common;

use common::{Daemon, PATIENCE, TempDir, follow, works};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Whether `program` is there; says so if not.
fn has(program: &str, argument: &str) -> bool {
    let is_there = works(program, &[argument]);
    if !is_there {
        common::skipped(&format!("no {program} (tests/setup test installs it)"));
    }
    is_there
}

/// Rotates the log now, as a configuration with these `options` says.
fn logrotate(dir: &TempDir, options: &str) {
    let log = dir.text("log");
    dir.write(
        "rotate.conf",
        format!("{log} {{\nrotate 9\nmissingok\n{options}\n}}\n"),
    );
    dir.chmod("rotate.conf", 0o600);
    let (config, state) = (dir.text("rotate.conf"), dir.text("rotate.state"));
    let output = Command::new("logrotate")
        .args(["-f", "-v", "-s", &state, &config])
        .output();
    let output = output.expect("logrotate");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("rotating log"),
        "{said}"
    );
}

/// Shows the daemon's next lines to be those with these numbers.
fn expect(daemon: &mut Daemon, numbers: std::ops::Range<u32>) {
    for number in numbers {
        daemon.expect_lines(&[&line(number)]);
    }
}

fn line(number: u32) -> String {
    format!("Nov 26 06:00:00 gw sshd[1]: line {number}")
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| line(number) + "\n").collect()
}

#[test]
fn logrotate_loses_no_line_and_repeats_none_however_it_is_set_up() {
    if !has("logrotate", "--version") {
        return;
    }
    for options in [
        "create",
        "nocreate",
        "compress\ndelaycompress\ncreate",
        "dateext\ndateformat -%Y%m%d-%s\ncreate",
        "compress\nnodelaycompress\ncreate",
    ] {
        let dir = TempDir::without_blanks();
        dir.write("log", lines(0..50));
        let mut daemon = follow(&dir, r#""log""#);
        let (mut first, mut second) = (dir.writer("log"), dir.writer("log"));
        for round in 0..3 {
            let n = 100 * (round + 1);
            first.write_all(lines(n..n + 3).as_bytes()).unwrap();
            expect(&mut daemon, n..n + 3);
            let began = Instant::now();
            logrotate(&dir, options);
            // Both have the old file open, then the one, then nobody.
            first.write_all(lines(n + 3..n + 5).as_bytes()).unwrap();
            expect(&mut daemon, n + 3..n + 5);
            first = dir.writer("log");
            first.write_all(lines(n + 5..n + 7).as_bytes()).unwrap();
            expect(&mut daemon, n + 5..n + 7);
            second.write_all(lines(n + 7..n + 9).as_bytes()).unwrap();
            expect(&mut daemon, n + 7..n + 9);
            second = dir.writer("log");
            second.write_all(lines(n + 9..n + 11).as_bytes()).unwrap();
            expect(&mut daemon, n + 9..n + 11);
            // Names with a date are made of the second.
            while began.elapsed().as_millis() < 1100 && options.contains("dateext") {
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn logrotate_with_copytruncate_loses_no_line_and_repeats_none() {
    if !has("logrotate", "--version") {
        return;
    }
    for append in [true, false] {
        let dir = TempDir::without_blanks();
        dir.write("log", "");
        let mut daemon = follow(&dir, r#""log""#);
        let options = std::fs::File::options()
            .write(true)
            .append(append)
            .open(dir.path("log"));
        let mut writer = options.unwrap();
        for round in 0..3 {
            let n = 100 * round;
            writer.write_all(lines(n..n + 50).as_bytes()).unwrap();
            expect(&mut daemon, n..n + 50);
            logrotate(&dir, "copytruncate");
            writer.write_all(lines(n + 50..n + 53).as_bytes()).unwrap();
            expect(&mut daemon, n + 50..n + 53);
        }
    }
}

/// A rsyslogd that writes to `log` what comes through the socket `socket`. Killed when dropped.
struct Rsyslogd(Child);

impl Rsyslogd {
    fn start(dir: &TempDir) -> Rsyslogd {
        let (log, socket) = (dir.text("log"), dir.text("socket"));
        dir.write(
            "rsyslog.conf",
            format!(
                "global(workDirectory=\"{}\")\n\
                 module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                 input(type=\"imuxsock\" Socket=\"{socket}\")\n\
                 template(name=\"message\" type=\"string\" string=\"%programname%:%msg%\\n\")\n\
                 *.* action(type=\"omfile\" file=\"{log}\" template=\"message\")\n",
                dir.text("")
            ),
        );
        let (config, pid) = (dir.text("rsyslog.conf"), dir.text("rsyslog.pid"));
        let mut command = Command::new("rsyslogd");
        command.args(["-n", "-f", &config, "-i", &pid]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Rsyslogd(command.spawn().expect("rsyslogd"))
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn rsyslogd_whose_log_is_rotated_loses_no_line_and_repeats_none() {
    if !has("rsyslogd", "-v") || !has("logrotate", "--version") {
        return;
    }
    let dir = TempDir::without_blanks();
    dir.write("log", "");
    let rsyslogd = Rsyslogd::start(&dir);
    let socket = UnixDatagram::unbound().unwrap();
    let limit = Instant::now() + PATIENCE;
    while socket.connect(dir.path("socket")).is_err() {
        assert!(Instant::now() < limit, "rsyslogd does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut daemon = follow(&dir, r#""log""#);
    let mut number = 0;
    let mut send = |daemon: &mut Daemon, count: u32| {
        for _ in 0..count {
            let message = format!("<38>Nov 26 06:00:00 knock: number {number}");
            socket.send(message.as_bytes()).unwrap();
            number += 1;
        }
        for number in number - count..number {
            daemon.expect_lines(&[&format!("knock: number {number}")]);
        }
    };
    let pid = rsyslogd.0.id();
    let reopen = format!("create\npostrotate\nkill -HUP {pid}\nendscript");
    for options in [&reopen[..], "create", &reopen, "copytruncate", &reopen] {
        send(&mut daemon, 20);
        logrotate(&dir, options);
        // Without a signal it goes on with the file that it has.
        send(&mut daemon, 20);
        if options == "create" {
            assert!(works("kill", &["-HUP", &pid.to_string()]));
        }
        send(&mut daemon, 20);
    }
}
