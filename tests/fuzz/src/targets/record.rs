//! The record of leases: what is written is read back, on another boot everything is due, and damage never makes
//! another line of a line.
//!
//! An input is a script that opens, moves and closes leases and spends sequences, and then says where the record is
//! damaged; it is read as a record, too.

use super::{Script, no_remark};
use crate::hunt::Target;
use logknockd::commands::job::Job;
use logknockd::leases::journal::{self, Now, put_note, put_open, put_spent, spent};
use logknockd::leases::lease::{Lease, Leases, Note, Terms};
use std::rc::Rc;

pub const TARGET: Target = Target {
    name: "record",
    seeds,
    words: &[
        "\"leases\":[",
        "{\"open\":0",
        "{\"until\":0",
        "{\"stands\":0",
        "{\"close\":0",
        "\"ends\":[0]",
        "\"spent\":{",
        "\"actions\":[[",
        "\"check\":[",
        "\"end_s\":",
        "\"left_ms\":",
        "\"boot\":",
        "\"version\":2",
        "\"rule\":",
        "\"key\":",
        "\"revert\":[[",
        "\"steps\":[",
        "\"deadline_ms\":",
        "\"spent_unknown\":true",
        "\u{7f}",
        "\u{fc}",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\n",
    ],
    check,
    verdict: None,
    remark: no_remark,
};

const BOOT: &str = "0d9b7f4c-boot";

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = [
        &b"\x01\x01r\x03key\x01\x02\x03\x04\x02\x02\x02nf\x01x\x01\x01y\x00\x07\x08"[..],
        b"\x01\x01r\x03\"\\\n\xff\x02\x03\x04\x00\x02\x01r\x02\x02ab\x01c\x00\x00\x01",
        b"\x03\x02\x01r\x01\x01a\x01\x01q\x01k\x00\x00\x00\x10\x01\x01\x02rm\x00\x50\x02",
        b"\x01\x01r\x01a\x00\x00\x00\x05\x01\x01\x01x\x04\x01\x01r\x01a\x00\x00\x00\x09\x01\x01\x01x\x00\x30\x04\x99",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    for script in seeds.clone() {
        seeds.push(build(&mut Script(&script)).1);
    }
    seeds
}

fn words(script: &mut Script) -> Vec<String> {
    (0..script.byte() % 4).map(|_| script.text()).collect()
}

fn number(script: &mut Script) -> u64 {
    let value = (0..4).fold(0, |value, _| value << 8 | script.byte() as u64);
    // Every power of ten, and the ends.
    match script.byte() % 4 {
        0 => value,
        1 => value % 1000,
        2 => u64::MAX - value % 3,
        _ => value << 29,
    }
}

fn commands(script: &mut Script) -> Vec<Vec<u8>> {
    let command = |script: &mut Script| {
        let words = words(script).into_iter();
        words
            .flat_map(|word| (word.replace('\0', "") + "\0").into_bytes())
            .collect()
    };
    (0..script.byte() % 3).map(|_| command(script)).collect()
}

/// What the script makes, and the journal of how it came to that.
fn build(script: &mut Script) -> (Box<Leases>, Vec<u8>) {
    let mut leases = match script.byte() % 8 {
        0 => Leases::after_loss(1),
        _ => Leases::new(1),
    };
    let mut record = written(&leases);
    while !script.is_over() {
        let chosen = script.byte();
        let ids: Vec<_> = leases.all().map(Lease::id).collect();
        let id = ids.get(chosen / 8 % ids.len().max(1)).copied();
        match (chosen % 8, id) {
            (0, _) => break,
            (2, _) => {
                let (rule, steps) = (script.text(), words(script));
                let spent = spent(&rule, &mut steps.iter().map(String::as_str));
                put_spent(&spent, &mut record);
                leases.spend(spent);
            }
            (3..6, Some(id)) => {
                let note = match chosen % 8 {
                    3 => Note::Close,
                    4 => Note::Stands(script.byte().is_multiple_of(2)),
                    _ => Note::Until(number(script), 0),
                };
                put_note(id, note, 0, &mut record);
                leases.apply(id, note);
            }
            _ => {
                let job = Job {
                    rule: script.text().into_bytes(),
                    key: script.text().into_bytes(),
                    commands: [commands(script), commands(script), commands(script)],
                    timeout_ms: number(script),
                    templates: number(script) as u32,
                };
                let terms = Terms {
                    job: Rc::new(job),
                    opened_ms: number(script),
                    deadline_ms: number(script),
                    end_s: 0,
                };
                let ends: Vec<_> = id.into_iter().filter(|_| chosen >= 128).collect();
                put_open(leases.next_slot(), &terms, &ends, b"", &mut record);
                for end in ends {
                    leases.apply(end, Note::Until(terms.opened_ms, 0));
                }
                leases.open(terms);
            }
        }
    }
    (leases, record)
}

fn written(leases: &Leases) -> Vec<u8> {
    journal::whole(leases, BOOT.as_bytes(), 1000)
}

fn read(record: &[u8], boot: &str) -> Option<Box<Leases>> {
    let now = Now {
        ms: 1000,
        wall_s: 1_000_000,
    };
    journal::read(record, Some(boot.as_bytes()), now, 1).ok()
}

fn check(input: &[u8]) {
    let mut script = Script(input);
    let (leases, record) = build(&mut script);
    let back =
        read(&record, BOOT).unwrap_or_else(|| panic!("not read back: {}", record.escape_ascii()));
    let whole = written(&leases);
    assert!(
        written(&back) == whole,
        "written, read, written: {}",
        record.escape_ascii()
    );
    for boot in ["another", ""] {
        let mut later = read(&record, boot).unwrap_or_else(|| panic!("on another boot"));
        assert_eq!(later.count(), leases.count());
        assert_eq!(later.is_spent_unknown(), leases.is_spent_unknown());
        let next = || later.next_due(0).map(|_| ());
        let due = std::iter::from_fn(next).count();
        assert_eq!(due, leases.count(), "all are due on another boot");
    }
    check_damage(&record, &mut script);
    if let Some(leases) = read(input, BOOT) {
        assert!(read(&written(&leases), BOOT).is_some());
    }
}

/// A damaged record is refused, whatever the damage, or each of its lines is as it was written, or it is one of another
/// boot: else a lease might end at another time, or by another command.
fn check_damage(record: &[u8], script: &mut Script) {
    let mut damaged = record.to_vec();
    let at = (script.byte() << 8 | script.byte()) % record.len();
    let end = (at + 1 + script.byte()).min(record.len());
    match script.byte() % 6 {
        0 => damaged[at] ^= 1 << (script.byte() % 8),
        1 => damaged[at] = script.byte() as u8,
        2 => drop(damaged.drain(at..end)),
        3 => drop(damaged.splice(at..at, script.bytes().iter().copied())),
        4 => damaged.truncate(at),
        _ => damaged[at..end].fill(script.byte() as u8),
    }
    if read(&damaged, BOOT).is_none() {
        assert!(damaged != record);
        return;
    }
    // A file that lost a whole line is as if that had never been written.
    let lines = |record: &[u8]| -> Vec<Vec<u8>> {
        let lines = record.split_inclusive(|byte| *byte == b'\n');
        let whole = lines.filter(|line| line.ends_with(b"\n"));
        whole.map(<[u8]>::to_vec).collect()
    };
    let written = lines(record);
    let is_written = lines(&damaged).iter().all(|line| written.contains(line));
    // Only the first line has no sum: it names the boot.
    let of_first = record.iter().position(|byte| *byte == b'\n') >= Some(at);
    assert!(
        is_written || of_first,
        "damage at {at}: {}",
        damaged.escape_ascii()
    );
}
