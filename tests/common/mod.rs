//! What the tests share: the binary, a directory for each test, and a daemon whose log can be awaited.
//!
//! Nothing here sleeps. Every step of a test waits for the log line that says the daemon has taken the
//! step before it; a line that does not come within [`PATIENCE`] fails the test and shows the whole log.

#![allow(dead_code)] // OK because each test file uses a part of this.

use logknockd::leases::journal::{self, Now};
use logknockd::leases::lease::{Lease, Note};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long anything may take. A test that works never waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is in the message that comes when every file has been opened, at the start and after a reload.
pub const WATCHING: &str = concat!("logknockd ", env!("CARGO_PKG_VERSION"), ": ");

/// What the tests call the configuration file.
pub const CONFIG: &str = "logknockd.conf";

/// The binary: `LOGKNOCKD` from the environment, or the one cargo has just built.
pub fn binary() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_logknockd"));
    let chosen = std::env::var_os("LOGKNOCKD").map_or(built, PathBuf::from);
    // The tests run it in directories of their own.
    std::path::absolute(chosen).expect("the binary's path")
}

/// Whether the binary is a script that runs it in an emulator, in whose memory and descriptors it lives.
pub fn is_emulated() -> bool {
    fs::read(binary()).is_ok_and(|program| program.starts_with(b"#!"))
}

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("data").join(name)
}

/// Says that a test cannot be made here; the caller returns.
pub fn skipped(why: &str) {
    // Not with eprintln, which the test runner keeps to itself when the test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Whether the tests run as root. The owner of what we create is who we are.
pub fn is_root() -> bool {
    fs::metadata(TempDir::new().path(""))
        .expect("metadata")
        .uid()
        == 0
}

/// Whether `program` with `arguments` runs and succeeds.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A directory that somebody without root's rights may enter, with the binary in it, and what makes a program run as
/// such a somebody. None, and a word about it, if that cannot be done here.
pub fn as_nobody() -> Option<(TempDir, &'static [&'static str])> {
    const NOBODY: &[&str] = &[
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    if !is_root() {
        return Some((TempDir::new(), &[]));
    }
    // Neither the clone nor the usual place for temporary files need be open to everybody.
    let folders = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    for folder in [&[std::env::temp_dir()], &folders[..]].concat() {
        if !folder.is_dir() {
            continue;
        }
        let mut dir = TempDir::new_in(&folder);
        dir.chmod("", 0o777);
        dir.bring_binary();
        // The very way in which the tests will run it.
        let mut probe = dir.command_after(NOBODY, "", &["-V"]);
        if probe.output().is_ok_and(|output| output.status.success()) {
            return Some((dir, NOBODY));
        }
    }
    skipped("there is no way to run the binary without root's rights");
    None
}

/// The leases of a record of this boot, as `rule key` each.
pub fn recorded(record: &str) -> Vec<String> {
    let now = Now { ms: 0, wall_s: 0 };
    let boot = record.split('"').nth(5).expect("a boot id");
    let Ok(leases) = journal::read(record.as_bytes(), Some(boot.as_bytes()), now, 0) else {
        panic!("{record}");
    };
    let name = |lease: &Lease| {
        let job = &lease.terms.job;
        [&job.rule[..], b" ", &job.key].concat()
    };
    let names = leases.all().map(name);
    names
        .map(|name| String::from_utf8(name).expect("text"))
        .collect()
}

/// Makes a record of this boot one whose leases end sooner.
pub fn hasten(dir: &TempDir, name: &str, by: Duration) {
    let record = dir.read(name);
    let boot = record.split('"').nth(5).expect("a boot id");
    let uptime = fs::read_to_string("/proc/uptime").expect("uptime");
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().expect("seconds");
    let now = Now {
        ms: (seconds * 1000.0) as u64,
        wall_s: 0,
    };
    let Ok(mut leases) = journal::read(record.as_bytes(), Some(boot.as_bytes()), now, 0) else {
        panic!("{record}");
    };
    let (by_ms, by_s) = (by.as_millis() as u64, by.as_secs());
    let ends = leases.all().map(|lease| {
        let (ms, s) = (lease.terms.deadline_ms, lease.terms.end_s);
        (lease.id(), ms.saturating_sub(by_ms), s.saturating_sub(by_s))
    });
    for (id, ms, s) in ends.collect::<Vec<_>>() {
        leases.apply(id, Note::Until(ms, s));
    }
    dir.write(name, journal::whole(&leases, boot.as_bytes(), now.ms));
}

/// The same record, but of another boot.
pub fn of_another_boot(record: &str) -> String {
    let boot = record.split('"').nth(5).expect("a boot id");
    record.replace(boot, "another")
}

/// A new, empty directory that goes away with the value. Names are relative to it.
pub struct TempDir {
    path: PathBuf,
    /// What its commands run.
    binary: PathBuf,
}

impl TempDir {
    pub fn new() -> TempDir {
        TempDir::new_in(&std::env::temp_dir())
    }

    /// For programs whose own configuration takes no path with a blank in it, which `TMPDIR` may be.
    pub fn without_blanks() -> TempDir {
        match std::env::temp_dir() {
            folder if folder.to_string_lossy().contains(' ') => TempDir::new_in(Path::new("/tmp")),
            folder => TempDir::new_in(&folder),
        }
    }

    pub fn new_in(folder: &Path) -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("logknockd-test-{}-{number}", std::process::id());
        // The tests change the working directory, and TMPDIR may be a relative path.
        let path = std::path::absolute(folder.join(name)).expect("its path");
        fs::create_dir(&path).expect("a temporary directory");
        TempDir {
            path,
            binary: binary(),
        }
    }

    /// Copies the binary to where it may be run from by whoever may enter this directory.
    pub fn bring_binary(&mut self) {
        let copy = self.path("the-logknockd");
        fs::copy(&self.binary, &copy).expect("a copy of the binary");
        self.binary = copy;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path as text, for configurations.
    pub fn text(&self, name: &str) -> String {
        let path = self.path(name);
        path.to_str().expect("a path that is UTF-8").into()
    }

    /// Creates the file `name` or replaces what it holds, in place.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect(name);
    }

    /// Appends to the file `name`, which need not be there yet.
    pub fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        self.writer(name)
            .write_all(content.as_ref())
            .expect("append");
    }

    /// The file `name` opened to append, as a program that logs holds it.
    pub fn writer(&self, name: &str) -> File {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        options.open(self.path(name)).expect(name)
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("remove");
    }

    /// Creates a directory and those it stands in.
    pub fn mkdir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("mkdir");
    }

    pub fn symlink(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("symlink");
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("chmod");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    /// Creates a FIFO.
    pub fn fifo(&self, name: &str) {
        let path = self.text(name);
        assert!(works("mkfifo", &[path.as_str()]), "mkfifo {path}");
    }

    /// Writes the configuration, such that root accepts it whatever the umask is.
    pub fn configure(&self, config: &str) {
        // By another name first: a running daemon never finds half of it.
        self.write("new.conf", config);
        self.chmod("new.conf", 0o644);
        self.rename("new.conf", CONFIG);
    }

    /// The binary with `arguments`, to be run in this directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.path).args(arguments);
        command
    }

    /// The same, started by a shell after `script` and with the same process id. `launcher` comes
    /// before the shell.
    pub fn command_after(&self, launcher: &[&str], script: &str, arguments: &[&str]) -> Command {
        let script = format!("{script}\nexec \"$0\" \"$@\"");
        let words = [launcher, &["sh", "-c", &script]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(&self.binary).args(arguments);
        command.current_dir(&self.path);
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).output().expect("run")
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Both outputs of a program, and its exit status.
pub fn outcome(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), stdout, stderr)
}

/// A running daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    log: Receiver<String>,
    /// Every line of its log so far.
    pub seen: Vec<String>,
}

impl Daemon {
    /// Starts the daemon in `dir` and waits until it watches.
    pub fn start(dir: &TempDir, config: &str) -> Daemon {
        Daemon::start_with(dir, config, &[])
    }

    /// The same, with more arguments.
    pub fn start_with(dir: &TempDir, config: &str, arguments: &[&str]) -> Daemon {
        dir.configure(config);
        let arguments = [&["-c", CONFIG], arguments].concat();
        let mut daemon = Daemon::spawn(&mut dir.command(&arguments));
        daemon.wait_until_watching();
        daemon
    }

    /// Starts `command`, which becomes the daemon, and waits for nothing.
    pub fn spawn(command: &mut Command) -> Daemon {
        let mut daemon = Daemon::spawn_unheard(command);
        daemon.listen();
        daemon
    }

    /// The same, but its log is not read before [`Daemon::listen`].
    pub fn spawn_unheard(command: &mut Command) -> Daemon {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::piped());
        Daemon {
            child: command.spawn().expect("start the daemon"),
            log: mpsc::channel().1,
            seen: Vec::new(),
        }
    }

    /// Reads its log from now on, whether somebody waits for a line or not.
    pub fn listen(&mut self) {
        let stderr = self.child.stderr.take().expect("its log");
        let (sender, log) = mpsc::channel();
        self.log = log;
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }

    /// Waits for the message that comes when every file has been opened.
    pub fn wait_until_watching(&mut self) {
        self.wait_for(WATCHING);
    }

    /// Waits until no command is running or waiting: a command's end comes after its output.
    pub fn wait_until_idle(&mut self) {
        self.signal("USR1");
        while !self
            .wait_for("state: queue: ")
            .contains("0 running, 0 waiting")
        {
            self.signal("USR1");
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its log; none when it has ended.
    fn next(&mut self, awaited: &str) -> Option<String> {
        match self.log.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => self.fail(&format!("no sign of {awaited:?}")),
        }
    }

    /// Fails the test and shows the log.
    pub fn fail(&self, why: &str) -> ! {
        panic!("{why}; the log:\n{}\n", self.seen.join("\n"));
    }

    /// Waits for a line that contains `text`, beyond those that were waited for before.
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut lines = self.lines_until(text);
        lines.pop().expect("the last line is the one awaited")
    }

    /// All lines up to the next one that contains `text`, which is the last.
    pub fn lines_until(&mut self, text: &str) -> Vec<String> {
        let first = self.seen.len();
        loop {
            match self.next(text) {
                Some(line) if line.contains(text) => return self.seen[first..].to_vec(),
                Some(_) => {}
                None => self.fail(&format!("it ended without {text:?}")),
            }
        }
    }

    /// Waits for `marker` and makes sure that no line before it contains `unwanted`.
    pub fn wait_without(&mut self, unwanted: &str, marker: &str) {
        let lines = self.lines_until(marker);
        if lines.iter().any(|line| line.contains(unwanted)) {
            self.fail(&format!("{unwanted:?} before {marker:?}"));
        }
    }

    /// What follows `marker` in the next line that has it.
    pub fn wait_for_rest(&mut self, marker: &str) -> String {
        let line = self.wait_for(marker);
        let (_, rest) = line.split_once(marker).expect("it was found in there");
        rest.into()
    }

    /// How many lines of the log so far contain `text`.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.seen.iter();
        lines.filter(|line| line.contains(text)).count()
    }

    /// In trace mode: makes sure that the next lines it reads are exactly `expected`.
    pub fn expect_lines(&mut self, expected: &[&str]) {
        for (index, expected) in expected.iter().enumerate() {
            // Its source comes first.
            let line = self.wait_for_rest("[TRACE] \"");
            let line = line.split_once("\": ").expect("a line").1;
            if line != *expected {
                self.fail(&format!("line {index} is {line:?} and not {expected:?}"));
            }
        }
    }

    /// Sends the signal `name`, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(works("sh", &["-c", "kill -$0 $1", name, &pid]), "kill");
    }

    /// Waits for its end.
    pub fn exit_status(&mut self) -> ExitStatus {
        while self.next("its end").is_some() {}
        // It has closed its log, so the end is near.
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("wait") {
                Some(status) => return status,
                None if Instant::now() > limit => self.fail("it does not end"),
                None => std::thread::yield_now(),
            }
        }
    }

    /// Waits for its end and makes sure that the exit status is `expected`.
    pub fn expect_exit(&mut self, expected: i32) {
        let status = self.exit_status();
        if status.code() != Some(expected) {
            self.fail(&format!("it ended with {status}"));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration that watches `files` (JSON, which may go on with other keys) with `rules`. The record is the test's
/// own: other daemons of this machine may use the usual one.
pub fn config(files: &str, rules: &[String]) -> String {
    let state = match files.contains("\"state\"") {
        true => "",
        false => "\"state\": \"state\", ",
    };
    let rules = rules.join(", ");
    format!("{{\"file\": {files}, {state}\"ruleset\": [{rules}]}}")
}

/// A rule for lines such as `alice one`: the steps are `one`, `two` and `three`, the key is the first
/// word. `more` is JSON for its further members, at least `"actions": […]`.
pub fn rule(name: &str, more: &str) -> String {
    let filter = r#""filter": "^(\\S+) ", "sequence": [" one$", " two$", " three$"]"#;
    format!("{{\"name\": \"{name}\", {filter}, {more}}}")
}

/// Rules nobody knocks for, where only the lines matter.
pub fn any_rule() -> String {
    rule("unused", r#""actions": ["true"]"#)
}

/// A daemon that shows the lines of `files` (JSON).
pub fn follow(dir: &TempDir, files: &str) -> Daemon {
    Daemon::start_with(dir, &config(files, &[any_rule()]), &["-T"])
}

/// A daemon that shows the lines of the file `log`, which is there.
pub fn follow_log(dir: &TempDir) -> Daemon {
    dir.write("log", "");
    follow(dir, r#""log""#)
}

/// The lines that make `key` knock.
pub fn knock(key: &str) -> String {
    format!("{key} one\n{key} two\n{key} three\n")
}

/// Numbers that look random and come again with the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        // The state must not be 0, and neighbouring seeds should not give similar numbers.
        Random((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to `limit` - 1.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }
}

/// `LOGKNOCKD_SEED`, to replay a failure, or one from the clock. Printed, for that purpose.
pub fn seed() -> u64 {
    let given = std::env::var("LOGKNOCKD_SEED").ok();
    let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        since.map_or(1, |since| since.as_nanos() as u64)
    });
    eprintln!("LOGKNOCKD_SEED={seed} replays this");
    seed
}
