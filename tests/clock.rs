//! A wall clock that is set changes nothing: a router without a clock boots in the past and jumps.

mod common;

use common::{Daemon, TempDir, config, knock, outcome, rule};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// libfaketime, which shows a program another wall clock; the file says how far off it is.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut candidates = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    candidates.find(|path| path.exists())
}

#[test]
fn a_lease_lasts_as_long_as_it_should_while_the_wall_clock_jumps_by_years() {
    let Some(library) = library() else {
        return common::skipped("no libfaketime");
    };
    if std::env::var_os("LOGKNOCKD").is_some_and(|path| is_static(&PathBuf::from(path))) {
        return common::skipped("a static program cannot be shown another clock");
    }
    let dir = TempDir::new();
    dir.append("log", "");
    dir.write("offset", "+0");
    let door =
        r#""timeout": 5, "within": 4, "actions": ["echo opened"], "revert": ["echo closed"]"#;
    dir.configure(&config(r#""log", "state": "state""#, &[rule("door", door)]));
    let with_clock = |arguments: &[&str]| {
        let mut command = dir.command(arguments);
        command.env("LD_PRELOAD", &library);
        command.env("FAKETIME_TIMESTAMP_FILE", dir.path("offset"));
        command
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    };
    let mut daemon = Daemon::spawn(&mut with_clock(&["-c", common::CONFIG]));
    daemon.wait_until_watching();
    for offset in ["+20y", "-20y"] {
        dir.append("log", "alice one\nalice two\n");
        dir.write("offset", offset);
        let opened = Instant::now();
        dir.append("log", "alice three\n");
        daemon.wait_for(": opened for alice");
        // The program does see another clock, and knows better than to believe it.
        let (_, table, _) = outcome(&with_clock(&["-l", "-c", common::CONFIG]).output().unwrap());
        let year: u32 = table.split_once("alice").unwrap().1.trim()[..4]
            .parse()
            .unwrap();
        assert!(!(2010..2040).contains(&year), "{table}");
        assert!(table.trim_end().ends_with(" s"), "{table}");
        dir.write("offset", "+0");
        daemon.wait_for("output: closed");
        let lasted = opened.elapsed();
        assert!(lasted >= Duration::from_millis(4950), "{lasted:?}");
        assert!(lasted < Duration::from_secs(15), "{lasted:?}");
    }
    dir.append("log", knock("bob"));
    daemon.wait_for("output: opened");
}

fn is_static(program: &std::path::Path) -> bool {
    // The path of the dynamic linker stands near the beginning of every program that has one.
    let bytes = std::fs::read(program).unwrap_or_default();
    let head = &bytes[..bytes.len().min(4096)];
    !head.windows(4).any(|window| window == b"/ld-")
}
