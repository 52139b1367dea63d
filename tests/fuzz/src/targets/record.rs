//! The record of leases: what is written is read back, on another boot everything is due, and damage never makes
//! another record of it.
//!
//! An input is a script that opens leases and spends sequences, and then says where the record is damaged; it is
//! read as a record, too.

use super::{Script, no_remark};
use crate::hunt::Target;
use logknockd::commands::job::Job;
use logknockd::leases::lease::Leases;
use std::rc::Rc;

pub const TARGET: Target = Target {
    name: "record",
    seeds,
    words: &[
        "\"leases\":[",
        "\"spent\":[",
        "\"boot\":",
        "\"version\":1",
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
        seeds.push(written(&build(&mut Script(&script))));
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

fn build(script: &mut Script) -> Leases {
    let mut leases = Leases::default();
    while !script.is_over() {
        match script.byte() {
            0 => break,
            2 => {
                let (rule, steps) = (script.text(), words(script));
                leases.spend(&rule, &mut steps.iter().map(String::as_str));
            }
            3 => leases = Leases::after_loss(),
            4 => leases.expire_all(script.byte() as u64),
            _ => {
                let command = |script: &mut Script| {
                    let words = words(script).into_iter();
                    words
                        .flat_map(|word| (word.replace('\0', "") + "\0").into_bytes())
                        .collect()
                };
                let job = Job {
                    rule: script.text().into_bytes(),
                    key: script.text().into_bytes(),
                    commands: (0..script.byte() % 3).map(|_| command(script)).collect(),
                    timeout_ms: number(script),
                };
                leases.open(Rc::new(job), number(script), number(script));
            }
        }
    }
    leases
}

fn written(leases: &Leases) -> Vec<u8> {
    let mut record = Vec::new();
    leases.put_json(BOOT, &mut record);
    record
}

fn read(record: &[u8], boot: &str) -> Option<Leases> {
    Leases::from_json(record, boot, 1000).ok()
}

fn check(input: &[u8]) {
    let mut script = Script(input);
    let leases = build(&mut script);
    let record = written(&leases);
    let back =
        read(&record, BOOT).unwrap_or_else(|| panic!("not read back: {}", record.escape_ascii()));
    assert!(
        written(&back) == record,
        "written, read, written: {}",
        record.escape_ascii()
    );
    for boot in ["another", ""] {
        let mut later = read(&record, boot).unwrap_or_else(|| panic!("on another boot"));
        assert_eq!(later.all().len(), leases.all().len());
        assert_eq!(later.is_spent_unknown(), leases.is_spent_unknown());
        let due = std::iter::from_fn(|| later.next_due(0).map(|_| ())).count();
        assert_eq!(due, leases.all().len(), "all are due on another boot");
    }
    check_damage(&record, &mut script);
    if let Some(leases) = read(input, BOOT) {
        assert!(read(&written(&leases), BOOT).is_some());
    }
}

/// A damaged record is refused, whatever the damage: else a lease might end at another time, or another command.
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
    let same = damaged == record;
    assert_eq!(
        read(&damaged, BOOT).is_some(),
        same,
        "damage at {at}: {}",
        damaged.escape_ascii()
    );
}
