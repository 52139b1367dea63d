//! Where messages go, what they may hold, and what becomes of them when they come back.

mod common;

use common::{Daemon, PATIENCE, TempDir, config, knock, rule};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

#[test]
fn nothing_a_terminal_obeys_reaches_the_log() {
    let dir = TempDir::new();
    dir.write("log", "");
    let rules = [rule(
        "x",
        r#""actions": [["printf", "out \\033[2J\\377\\n"], "echo end"]"#,
    )];
    let mut daemon = Daemon::start_with(&dir, &config(r#""log""#, &rules), &["-T"]);
    dir.append(
        "log",
        b"\x1b]0;title\x07 one\n\xc2\x9b31m one\nalice \xff\x80\n".as_slice(),
    );
    dir.append("log", knock("alice"));
    daemon.wait_for(r"output: out \x1b[2J\xff");
    daemon.wait_for("output: end");
    let escaped = r#"[TRACE] "log": \x1b]0;title\x07 one"#;
    assert!(daemon.seen.iter().any(|line| line == escaped));
    let raw = |line: &String| line.contains(|c: char| c.is_control() || c == '\u{fffd}');
    assert!(!daemon.seen.iter().any(raw));
}

#[test]
fn our_own_messages_in_the_log_we_watch_are_passed_over() {
    let dir = TempDir::new();
    dir.write("log", "");
    let steps = r#""filter": "(alice|bob)", "sequence": ["one", "two"]"#;
    let rules = [format!(
        r#"{{"name": "x", {steps}, "actions": ["echo {{key}} done"]}}"#
    )];
    let mut daemon = Daemon::start_with(&dir, &config(r#""log""#, &rules), &["-T"]);
    let pid = daemon.pid();
    let tagged = |before: &str, text: &str| format!("{before} logknockd[{pid}]: {text}\n");
    for before in [
        "Nov 22 06:00:00 host",
        "Sun Nov 22 06:00:00 2026 daemon.info",
    ] {
        dir.append(
            "log",
            tagged(before, "alice one") + &tagged(before, "alice two"),
        );
    }
    // As the system log has it of a process whose number is small.
    dir.append(
        "log",
        format!("logknockd[{pid:09}]: alice one\nlogknockd[{pid:09}]: alice two\n"),
    );
    // What a stranger says further back in a line does not hide it.
    let stranger = "Nov 22 06:00:00 host sshd[7]: Invalid user";
    dir.append(
        "log",
        tagged(stranger, "bob one") + &tagged(stranger, "bob two"),
    );
    daemon.wait_for("output: bob done");
    assert_eq!(daemon.count("alice"), 0);
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_daemon_and_what_is_lost_is_counted() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.fifo("done");
    let wait = rule("x", r#""actions": [["sh", "-c", "echo {{}} > done"]]"#);
    dir.configure(&config(r#""log""#, &[wait]));
    let mut daemon = Daemon::spawn_unheard(&mut dir.command(&["-T", "-c", common::CONFIG]));
    // Far more than a pipe holds.
    let shown = read_while(&dir, || {
        dir.append("log", "noise\n".repeat(5000) + &knock("alice"))
    });
    assert_eq!(shown, "{}\n");
    daemon.listen();
    // The loss is reported with the next message that finds room.
    while daemon.count(" messages lost") == 0 {
        dir.append("log", "more\n");
        daemon.wait_for("[TRACE] ");
    }
    let lost = daemon
        .seen
        .iter()
        .find_map(|line| line.strip_prefix("[WARN] log: "));
    let (count, _) = lost.unwrap().split_once(' ').unwrap();
    assert!(count.parse::<u32>().unwrap() > 1000, "{lost:?}");
}

/// Reads the FIFO `done` and does `work` again and again until somebody has written to it: whoever cannot
/// be heard cannot say when it is ready either.
fn read_while(dir: &TempDir, work: impl Fn()) -> String {
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| dir.read("done"));
        let limit = Instant::now() + PATIENCE;
        while !reader.is_finished() {
            if Instant::now() > limit {
                dir.append("done", "nothing came\n");
            }
            work();
            std::thread::sleep(Duration::from_millis(50));
        }
        reader.join().unwrap()
    })
}

#[test]
fn without_standard_descriptors_no_other_file_takes_their_place() {
    let dir = TempDir::new();
    dir.write("log", "");
    dir.fifo("done");
    let show = r#"for fd in 0 1 2; do readlink /proc/$0/fd/$fd; done > done"#;
    // The daemon is the parent of its command.
    let action = format!(
        r#""actions": [["sh", "-c", "set -- $(cat /proc/$$/stat); exec sh -c '{show}' $4"]]"#
    );
    dir.configure(&config(r#""log""#, &[rule("x", &action)]));
    let closing = "exec 0<&- 1>&- 2>&-";
    let arguments = ["-c", common::CONFIG];
    let _daemon = Daemon::spawn(&mut dir.command_after(&[], closing, &arguments));
    let shown = read_while(&dir, || dir.append("log", knock("alice")));
    assert_eq!(shown, "/dev/null\n".repeat(3));
}

/// A daemon that logs to `/dev/log`, for which the socket `dev/log` in `dir` stands.
fn start_with_syslog(dir: &TempDir) -> Option<Daemon> {
    let launcher = ["unshare", "-Urm"];
    let private = "mount --bind /dev/null dev/null && mount --rbind dev /dev";
    dir.mkdir("dev");
    dir.write("dev/null", "");
    dir.write("log", "");
    let rules = [rule("x", r#""actions": ["true"]"#)];
    dir.configure(&config(r#""log""#, &rules));
    let place = format!("cd '{}' && {private}", dir.text(""));
    if !common::works(launcher[0], &[launcher[1], "sh", "-c", &place]) {
        common::skipped("no namespaces for a /dev of its own");
        return None;
    }
    let arguments = ["-sT", "-c", common::CONFIG];
    Some(Daemon::spawn(
        &mut dir.command_after(&launcher, private, &arguments),
    ))
}

fn syslog_socket(dir: &TempDir) -> UnixDatagram {
    dir.mkdir("dev");
    let socket = UnixDatagram::bind(dir.path("dev/log")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 9000];
    let length = socket.recv(&mut buffer).expect("a message");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn messages_go_to_the_system_log_and_without_one_to_standard_error() {
    let dir = TempDir::new();
    let socket = syslog_socket(&dir);
    let Some(mut daemon) = start_with_syslog(&dir) else {
        return;
    };
    let tag = format!("logknockd[{:04}]: ", daemon.pid());
    assert_eq!(receive(&socket), format!("<30>{tag}watching \"log\""));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        receive(&socket),
        format!("<30>{tag}logknockd {version}: 1 rule")
    );
    dir.append("log", "a\x1bb\n");
    assert_eq!(receive(&socket), format!("<31>{tag}\"log\": a\\x1bb"));
    drop(socket);
    dir.append("log", "nobody-listens\n");
    daemon.wait_for(r#"[TRACE] "log": nobody-listens"#);
    dir.remove("dev/log");
    dir.append("log", "nothing-there\n");
    daemon.wait_for(r#"[TRACE] "log": nothing-there"#);
    assert_eq!(daemon.seen.len(), 2, "{:?}", daemon.seen);
    let socket = syslog_socket(&dir);
    dir.append("log", "there-again\n");
    assert_eq!(receive(&socket), format!("<31>{tag}\"log\": there-again"));
}

#[test]
fn a_system_log_that_does_not_read_holds_nothing_up_and_is_used_again_when_it_does() {
    let dir = TempDir::new();
    let socket = syslog_socket(&dir);
    let Some(mut daemon) = start_with_syslog(&dir) else {
        return;
    };
    while !receive(&socket).contains(common::WATCHING) {}
    // It takes some messages without reading them; what it has no room for goes to standard error.
    dir.append("log", "unread\n".repeat(1000) + "unread end\n");
    daemon.wait_for(r#"[TRACE] "log": unread end"#);
    while !receive(&socket).ends_with("unread") {}
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    dir.append("log", "read again\n");
    // What the last unread line led to may come first.
    while !receive(&socket).ends_with("\"log\": read again") {}
}

#[test]
fn a_system_log_that_is_watched_does_not_feed_itself() {
    let dir = TempDir::new();
    let socket = syslog_socket(&dir);
    let Some(_daemon) = start_with_syslog(&dir) else {
        return;
    };
    // What a syslog daemon does.
    let pass_on = |message: String| {
        let (_, text) = message.split_once('>').unwrap();
        dir.append("log", format!("Nov 22 06:00:00 host {text}\n"));
    };
    pass_on(receive(&socket));
    pass_on(receive(&socket));
    for line in ["alice one", "alice two", "end"] {
        dir.append("log", format!("{line}\n"));
        let message = receive(&socket);
        assert!(message.ends_with(&format!("\"log\": {line}")), "{message}");
        pass_on(message);
        if line != "end" {
            pass_on(receive(&socket));
        }
    }
}

#[test]
fn a_pipe_that_others_write_to_as_well_is_opened_anew_and_left_as_they_know_it() {
    const NONBLOCK: u32 = 0o4000;
    let dir = TempDir::new();
    let daemon = common::follow_log(&dir);
    let proc = format!("/proc/{}", daemon.pid());
    let shared = std::fs::read_link(format!("{proc}/fd/2")).unwrap();
    let mut waits = Vec::new();
    for entry in std::fs::read_dir(format!("{proc}/fd")).unwrap() {
        let entry = entry.unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|pipe| pipe == shared) {
            let number = entry.file_name().into_string().unwrap();
            let info = std::fs::read_to_string(format!("{proc}/fdinfo/{number}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
            waits.push((number == "2", flags & NONBLOCK == 0));
        }
    }
    waits.sort();
    assert_eq!(waits, [(false, false), (true, true)]);
}
