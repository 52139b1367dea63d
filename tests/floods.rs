//! Floods: more than anybody should write to a log. Memory stays as it is, a knock in the middle still counts, and
//! whatever has a time of its own keeps it: timers, signals, reverts, and knocks in other logs.
//!
//! `make flood` makes them as large as they are meant and holds every single event to its time, on a machine that
//! does nothing else. Here they are short, and since other programs want the processor, too, only the usual event is
//! held to it.

mod common;

use common::{Daemon, Random, TempDir, knock, rule};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One flood at a time: they are about time.
static ONE: Mutex<()> = Mutex::new(());

/// How late anything may be; in an emulator, that translates what it meets for the first time, ten times as much.
const LATE: Duration = Duration::from_millis(100);

/// How much more memory than at the beginning a flood may take, in KiB. What an emulator takes is its own.
const MORE: u64 = 1024;

/// What the leases and the command of the probes last.
const LASTS: Duration = Duration::from_millis(300);

fn is_full_size() -> bool {
    std::env::var_os("LOGKNOCKD_FLOOD").is_some()
}

/// Where the flood comes from, beside the log of the probes.
fn configuration(flooded: &str, more: &str) -> String {
    let door = r#""timeout": 0.3, "actions": ["true"], "revert": ["true {key}"]"#;
    let slow = r#"{"name": "slow", "filter": "^(\\S+) is slow$", "sequence": ["slow"],
        "action_timeout": 0.3, "actions": ["sleep 100"]}"#;
    format!(
        r#"{{"file": ["log", "{flooded}"], "state": "state", "ruleset": [{}, {slow}{more}]}}"#,
        rule("door", door)
    )
}

fn start(dir: &TempDir, config: &str) -> Daemon {
    dir.write("log", "");
    let mut daemon = Daemon::start(dir, config);
    // It has done everything once that it will do during the flood.
    probe(&mut daemon, dir, 0);
    daemon
}

/// The most memory it ever had, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let (_, rest) = status.split_once("VmHWM:").expect("the peak");
    let number = rest.split_whitespace().next().unwrap();
    number.parse().unwrap()
}

/// How much later than it should have been something was, each with its name.
type Delays = Vec<(&'static str, Duration)>;

/// Makes everything happen once that has a time, and tells how late it was.
fn probe(daemon: &mut Daemon, dir: &TempDir, number: usize) -> Delays {
    let mut delays = Delays::new();
    let mut late = |what, since: Instant, due: Duration| {
        delays.push((what, since.elapsed().saturating_sub(due)));
    };
    let key = format!("probe{number}");
    let written = Instant::now();
    dir.append("log", knock(&key));
    daemon.wait_for(&format!("opened for {key},"));
    late("knock", written, Duration::ZERO);
    let opened = Instant::now();
    daemon.wait_for(&format!("closing for {key}"));
    late("lease", opened, LASTS);
    daemon.wait_for(&format!("\"door\": closed for {key}"));
    dir.append("log", format!("{key} is slow\n"));
    daemon.wait_for("running sleep");
    let running = Instant::now();
    daemon.wait_for("takes too long");
    late("command's limit", running, LASTS);
    daemon.wait_for("sleep: ended by signal 15");
    late("command's end", running, LASTS);
    let sent = Instant::now();
    daemon.signal("USR1");
    daemon.wait_for("state: queue");
    late("report", sent, Duration::ZERO);
    let sent = Instant::now();
    daemon.signal("HUP");
    daemon.wait_for(common::WATCHING);
    late("reload", sent, Duration::ZERO);
    delays
}

/// When a probe fails, the daemon may have stopped reading, and the flood would wait for it for ever.
struct EndOfFlood(u32);

impl Drop for EndOfFlood {
    fn drop(&mut self) {
        if std::thread::panicking() {
            common::works("sh", &["-c", "kill -KILL $0", &self.0.to_string()]);
        }
    }
}

/// Probes for as long as `flood` goes on in a thread of its own, at least once; checks the delays, and that memory
/// stays as it is.
fn endure(name: &str, daemon: &mut Daemon, dir: &TempDir, flood: impl FnOnce() + Send) {
    let before = peak(daemon);
    let is_over = AtomicBool::new(false);
    let mut delays = Delays::new();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let _end = EndOfFlood(daemon.pid());
        scope.spawn(|| {
            flood();
            is_over.store(true, Ordering::Release);
        });
        for number in 1.. {
            delays.extend(probe(daemon, dir, number));
            if is_over.load(Ordering::Acquire) {
                break;
            }
        }
    });
    let took = begun.elapsed();
    delays.sort_by_key(|(_, delay)| *delay);
    let (usual, worst) = (delays[delays.len() / 2].1, delays[delays.len() - 1].1);
    let now = peak(daemon);
    eprintln!("{name}: {took:.1?}; memory {before} KiB before, at most {now} KiB in it");
    eprintln!(
        "{} events, half of them at most {usual:.1?} late; the latest:",
        delays.len()
    );
    for (index, (what, delay)) in delays.iter().enumerate() {
        if delays[index + 1..].iter().all(|(later, _)| later != what) {
            eprintln!("    {what}: {delay:.1?}");
        }
    }
    let judged = if is_full_size() { worst } else { usual };
    let is_emulated = common::is_emulated();
    let late = LATE * if is_emulated { 10 } else { 1 };
    assert!(judged <= late, "{name}: {judged:.1?}");
    assert!(
        now <= before + MORE || is_emulated,
        "{name}: {before} KiB before, {now} KiB"
    );
}

/// Opens the FIFO `flood` to write, once the daemon reads it.
fn fifo(dir: &TempDir) -> File {
    File::options()
        .write(true)
        .open(dir.path("flood"))
        .expect("flood")
}

/// What the state report says of the rule `name`.
fn counter(daemon: &mut Daemon, name: &str, what: &str) -> usize {
    daemon.signal("USR1");
    let line = daemon.wait_for(&format!("state: rule \"{name}\": "));
    let (head, _) = line.split_once(what).expect(what);
    head.rsplit([' ', ','])
        .find(|word| !word.is_empty())
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn spoofed_senders_take_no_memory_and_hide_no_knock_that_max_keys_leaves_room_for() {
    let _one = ONE.lock();
    let (senders, every) = if is_full_size() {
        (5_000_000, 100_000)
    } else {
        (100_000, 20_000)
    };
    const MAX_KEYS: usize = 4096;
    let dir = TempDir::new();
    dir.fifo("flood");
    let mut daemon = start(&dir, &configuration("flood", ""));
    let mut flood = fifo(&dir);
    // Each comes twice, and every so often somebody knocks: with room enough, then with too little.
    let count = 2 * senders;
    let sender = |n: usize| format!("{} one\n", spoofed((n % senders) as u32));
    let knock_between = |key: &str, first: usize, others: usize| {
        let mut text = String::new();
        for (step, line) in knock(key).lines().enumerate() {
            text += &format!("{line}\n");
            (0..others).for_each(|n| text += &sender(first + step * others + n));
        }
        text
    };
    endure("spoofed senders", &mut daemon, &dir, || {
        for first in (0..count).step_by(every) {
            let mut text = knock_between(&format!("good{first}"), first, MAX_KEYS / 2);
            text += &knock_between(&format!("late{first}"), first, MAX_KEYS);
            let written = text.lines().count();
            (written..every).for_each(|n| text += &sender(first + n));
            flood.write_all(text.as_bytes()).unwrap();
        }
    });
    flood.write_all(knock("last").as_bytes()).unwrap();
    daemon.wait_for("knock by last");
    assert_eq!(daemon.count("knock by good"), count / every);
    assert_eq!(daemon.count("knock by late"), 0);
    assert!(counter(&mut daemon, "door", " gave way to others") > count / 2);
}

fn spoofed(n: u32) -> std::net::Ipv4Addr {
    // Neighbours are not neighbours: a multiplication by an odd number is a permutation.
    std::net::Ipv4Addr::from(n.wrapping_mul(0x9e37_79b1))
}

/// Pours `bytes` into the FIFO, made by `chunk`, and knocks behind them.
fn pour(name: &str, bytes: usize, mut chunk: impl FnMut(&mut [u8]) + Send) {
    let _one = ONE.lock();
    let dir = TempDir::new();
    dir.fifo("flood");
    let mut daemon = start(&dir, &configuration("flood", ""));
    let mut flood = fifo(&dir);
    let mut buffer = vec![0; 64 << 10];
    endure(name, &mut daemon, &dir, || {
        for _ in 0..bytes / buffer.len() {
            chunk(&mut buffer);
            flood.write_all(&buffer).unwrap();
        }
    });
    flood
        .write_all(format!("\n{}", knock("alice")).as_bytes())
        .unwrap();
    daemon.wait_for("opened for alice");
    assert!(daemon.count("a line is longer than 8192 bytes") <= 1);
}

fn megabytes(full: usize, short: usize) -> usize {
    (if is_full_size() { full } else { short }) << 20
}

#[test]
fn a_gigabyte_of_noise_is_only_noise() {
    let mut random = Random::new(common::seed());
    pour("noise", megabytes(1024, 16), |buffer| {
        for bytes in buffer.chunks_mut(8) {
            bytes.copy_from_slice(&random.next().to_ne_bytes());
        }
    });
}

#[test]
fn a_line_without_end_is_one_line() {
    pour("no newline", megabytes(1024, 8), |buffer| buffer.fill(b'a'));
}

#[test]
fn nothing_but_newlines_is_nothing() {
    pour("newlines", megabytes(256, 1), |buffer| buffer.fill(b'\n'));
}

#[test]
fn nothing_but_nuls_is_nothing() {
    pour("NULs", megabytes(256, 8), |buffer| buffer.fill(0));
}

/// How far the daemon has read the file at `path`.
fn place(daemon: u32, path: &Path) -> u64 {
    let of_daemon = |name: &str| {
        fs::read_dir(format!("/proc/{daemon}/{name}"))
            .unwrap()
            .flatten()
    };
    let mut files = of_daemon("fd");
    let file = files.find(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path));
    let number = file.expect("it is open").file_name();
    let mut places = of_daemon("fdinfo");
    let info = places.find(|entry| entry.file_name() == number).unwrap();
    let info = fs::read_to_string(info.path()).unwrap();
    info.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_log_that_grows_faster_than_it_is_read_is_read_to_its_end() {
    let _one = ONE.lock();
    let lines = if is_full_size() { 2_000_000 } else { 20_000 };
    let dir = TempDir::new();
    dir.write("flood", "");
    // A filter that takes its time: no literal to look for, and every line passes.
    let costly = r#", {"name": "costly", "filter": "([a-z]+|[0-9]+)+\\W(\\w+|\\W+)*z?",
        "sequence": ["never"], "actions": ["true"]}"#;
    let mut daemon = start(&dir, &configuration("flood", costly));
    let (pid, path) = (daemon.pid(), dir.path("flood"));
    let line = "the quick brown fox 12 jumps over 34 the lazy dog 56 and back again 78\n";
    let size = (line.len() * lines) as u64;
    endure("faster than we read", &mut daemon, &dir, || {
        let mut flood = dir.writer("flood");
        let thousand = line.repeat(1000);
        (0..lines / 1000).for_each(|_| flood.write_all(thousand.as_bytes()).unwrap());
        let behind = size - place(pid, &path);
        eprintln!("{size} bytes written, {behind} of them not read yet");
        assert!(behind > size / 10, "it was not faster");
        while place(pid, &path) < size {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    dir.append("flood", knock("alice"));
    daemon.wait_for("opened for alice");
    // The probes' lines pass that filter, too; the flood's are the others.
    let passed = counter(&mut daemon, "costly", " lines passed");
    let others = dir.read("log").lines().count() + 3;
    assert_eq!(passed, lines + others);
}
