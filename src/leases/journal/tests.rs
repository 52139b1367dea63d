//! What the record promises about its text.

use super::*;
use crate::leases::lease::{Again, Phase};
use std::string::String;

const NOW: Now = Now {
    ms: 1000,
    wall_s: 1_000_000,
};

fn terms(rule: &str, key: &str, end_s: u64) -> Terms {
    let job = Job {
        rule: rule.into(),
        key: key.into(),
        templates: 7,
        timeout_ms: 30_000,
        commands: [
            std::vec![text!("sh\0-c\0echo 'a b' \"$1\"\n\0"), text!("true\0\0")],
            Vec::new(),
            std::vec![text!("close\0{}\0", key)],
        ],
    };
    Terms {
        job: job.into(),
        opened_ms: 900,
        deadline_ms: 60_900,
        end_s,
    }
}

/// A record as it grows line by line; the lines tell apart what a record that is cut there would say.
fn record() -> Vec<u8> {
    let mut leases = Leases::new(1);
    leases.open(terms("r \"1\"\\", "ключ \u{7f}", 0));
    leases.spend(spent("r", &mut ["DPT=1 \u{1}", "DPT=2"].into_iter()));
    let mut out = whole(&leases, b"boot", 1000);
    let first = leases.all().next().unwrap().id();
    put_open(
        1,
        &terms("q", "kept", 1_000_060),
        &[first],
        &spent("q", &mut ["x"].into_iter()),
        &mut out,
    );
    let second = leases.open(terms("q", "kept", 0));
    put_note(second, Note::Stands(false), 1000, &mut out);
    put_note(second, Note::Until(31_000, 1_000_030), 1000, &mut out);
    put_note(first, Note::Close, 1000, &mut out);
    out
}

fn read_as(document: &[u8], boot: &str) -> Result<Box<Leases>, Vec<u8>> {
    read(document, Some(boot.as_bytes()), NOW, 1)
}

fn text(record: &[u8]) -> String {
    String::from_utf8(record.to_vec()).unwrap()
}

#[test]
fn events_are_read_back_as_what_they_made() {
    let leases = read_as(&record(), "boot").unwrap();
    assert_eq!(leases.count(), 1);
    let lease = leases.all().next().unwrap();
    let mut expected = terms("q", "kept", 1_000_030);
    expected.deadline_ms = 31_000;
    assert_eq!((&lease.terms, lease.stands), (&expected, false));
    for (rule, steps) in [("r", &["DPT=1 \u{1}", "DPT=2"][..]), ("q", &["x"])] {
        assert!(leases.is_spent(&spent(rule, &mut steps.iter().copied())));
    }
    for (rule, steps) in [
        ("r", &["DPT=1 \u{1}"][..]),
        ("q", &["x", "y"]),
        ("p", &["x"]),
    ] {
        assert!(!leases.is_spent(&spent(rule, &mut steps.iter().copied())));
    }
    // Written whole, it is the same.
    let rewritten = whole(&leases, b"boot", 1000);
    let again = read_as(&rewritten, "boot").unwrap();
    assert_eq!(text(&whole(&again, b"boot", 1000)), text(&rewritten));
}

#[test]
fn a_lease_stands_only_when_that_is_written() {
    let mut record = whole(&Leases::new(1), b"boot", 0);
    put_open(0, &terms("r", "a", 0), &[], b"", &mut record);
    let stands = |record: &[u8]| {
        let leases = read_as(record, "boot").unwrap();
        let lease = leases.all().next().unwrap();
        (lease.id(), lease.stands, whole(&leases, b"boot", 0))
    };
    let (id, opened, written) = stands(&record);
    assert!(!opened && !stands(&written).1);
    put_note(id, Note::Stands(true), 0, &mut record);
    let (_, opened, written) = stands(&record);
    assert!(opened && stands(&written).1);
}

#[test]
fn a_lease_of_before_that_was_written_stands_and_knows_no_templates() {
    let mut record = whole(&Leases::new(1), b"boot", 0);
    let start = record.len();
    put!(
        &mut record,
        "{}",
        r#"{"open":0,"rule":"r","key":"a","opened_ms":900,"deadline_ms":60900,"action_timeout_ms":30000,"actions":[["sh","-c","echo 'a b' \"$1\"\n"],["true",""]],"check":[],"revert":[["close","a"]]"#
    );
    end_line(start, &mut record);
    let leases = read_as(&record, "boot").unwrap();
    let lease = leases.all().next().unwrap();
    let job = &lease.terms.job;
    assert_eq!((lease.stands, job.templates), (true, 0));
    // Nobody can tell whether its rule has changed.
    let now = terms("r", "a", 0).job;
    assert_eq!(job.commands, now.commands);
    assert!(!leases.is_out_of_date(lease.id(), &now));
}

#[test]
fn a_lease_that_was_given_up_is_told_from_one_that_is_tried() {
    let mut leases = Leases::new(1);
    let id = leases.open(terms("r", "a", 0));
    assert!(leases.next_due(60_900).is_some());
    let mut record = whole(&leases, b"boot", 60_900);
    put_note(id, Note::GivenUp, 60_900, &mut record);
    let phase = |record: &[u8]| {
        let now = Now { ms: 60_900, ..NOW };
        let mut leases = read(record, Some(b"boot"), now, 1).unwrap();
        let phase = leases.all().next().unwrap().phase;
        // A start tries either.
        assert!(leases.next_due(60_900).is_some());
        phase
    };
    assert_eq!(phase(&record), Phase::GivenUp);
    put_note(id, Note::Until(60_900, 0), 60_900, &mut record);
    assert_eq!(phase(&record), Phase::Failed);
    // As the daemon that gave it up writes it, and the one after it.
    while leases.failed(id, 0) != Again::GivenUp {}
    let written = whole(&leases, b"boot", 60_900);
    assert_eq!(phase(&written), Phase::GivenUp);
    let read = read_as(&written, "boot").unwrap();
    assert_eq!(phase(&whole(&read, b"boot", 60_900)), Phase::Failed);
}

#[test]
fn a_cut_record_says_what_was_so_when_it_ended_there() {
    let record = record();
    let lines = |end: usize| record[..end].iter().filter(|byte| **byte == b'\n').count();
    for end in 0..record.len() {
        let back = read_as(&record[..end], "boot");
        let Ok(leases) = back else {
            assert_eq!(lines(end), 0, "{end}");
            continue;
        };
        let open = [0, 0, 1, 1, 2, 2, 2][lines(end)];
        assert_eq!(leases.count(), open, "{end}");
    }
}

#[test]
fn no_changed_record_is_taken_for_another() {
    let record = record();
    let name = record.windows(4).position(|word| word == b"boot");
    let name = name.unwrap() + 7..name.unwrap() + 11;
    for at in crate::text::tests::places(&record) {
        for byte in [0, b'"', b'{', b']', b',', b'9', b' ', 0xff, record[at] ^ 1] {
            let mut changed = record.clone();
            changed[at] = byte;
            let same = byte == record[at];
            match read_as(&changed, "boot") {
                Ok(_) if same => {}
                // The name of the boot: then it was another, and everything is due.
                Ok(mut leases) if name.contains(&at) => assert!(leases.next_wanted().is_some()),
                // The last newline: then the line was not finished.
                Ok(leases) if at == record.len() - 1 => assert_eq!(leases.count(), 2),
                Ok(_) => panic!("byte {at} as {byte}"),
                Err(_) => assert!(!same, "byte {at}"),
            }
        }
    }
}

#[test]
fn after_another_boot_everything_is_due_but_what_outlives_it() {
    for boot in ["another", ""] {
        let mut leases = Leases::new(1);
        leases.open(terms("r", "a", 0));
        leases.open(terms("r", "kept", 1_000_020));
        leases.open(terms("r", "over", 999_999));
        let record = whole(&leases, b"boot", 1000);
        let mut leases = read_as(&record, boot).unwrap();
        let mut due = Vec::new();
        while let Some((_, job)) = leases.next_due(1000) {
            due.push(text(&job.key));
        }
        due.sort();
        assert_eq!(due, ["a", "over"]);
        // By the wall clock it has 20 s left.
        let kept = leases.find(b"r", b"kept").unwrap();
        assert_eq!(leases.deadline_ms(), 21_000);
        assert!(leases.get(kept).is_some_and(|lease| !lease.stands));
        assert_eq!(leases.next_wanted().map(|(id, _)| id), Some(kept));
    }
}

#[test]
fn a_clock_that_is_not_set_makes_no_lease_longer_than_it_was() {
    let mut leases = Leases::new(1);
    leases.open(terms("r", "kept", 1_000_060));
    let record = whole(&leases, b"boot", 10_900);
    let unset = Now { ms: 5, wall_s: 7 };
    let leases = read(&record, Some(b"another"), unset, 1).unwrap();
    assert_eq!(leases.deadline_ms(), 50_005);
}

#[test]
fn a_record_of_the_first_version_is_read() {
    let mut record = text!(
        "{}",
        r#"{"version":1,"boot":"boot","leases":[{"rule":"r","key":"a","opened_ms":5,"deadline_ms":2000,"action_timeout_ms":7,"revert":[["rm","-f"]]},{"rule":"r","key":"b","opened_ms":5,"deadline_ms":999,"action_timeout_ms":7,"revert":[["true"]]}],"spent":[{"rule":"r","steps":["a$","b$"]}],"#
    );
    let end = end_of(&record);
    record.extend(end);
    let mut leases = read_as(&record, "boot").unwrap();
    assert!(leases.is_spent(&spent("r", &mut ["a$", "b$"].into_iter())));
    assert_eq!(leases.next_due(1000).unwrap().1.key, b"b");
    assert!(leases.next_due(1999).is_none());
    let (_, job) = leases.next_due(2000).unwrap();
    assert_eq!(
        (&job.commands[2][0][..], job.timeout_ms),
        (&b"rm\0-f\0"[..], 7)
    );
    for at in 0..record.len() {
        let mut changed = record.clone();
        changed[at] ^= 1;
        let read = read_as(&changed, "boot");
        assert!(read.is_err(), "byte {at}");
    }
    assert_eq!(read_as(&record, "other").unwrap().deadline_ms(), 0);
}

#[test]
fn after_a_lost_record_every_sequence_counts_as_spent_for_good() {
    let record = whole(&Leases::after_loss(1), b"boot", 0);
    let leases = read_as(&record, "boot").unwrap();
    assert!(leases.is_spent_unknown() && leases.is_spent(b"anything"));
}

#[test]
fn other_files_are_told_from_damaged_records() {
    let record = record();
    for at in 0..record.len() {
        let mut damaged = record.clone();
        damaged[at] = b'#';
        assert!(may_be_ours(&damaged));
        assert!(may_be_ours(&record[..at]));
    }
    for zeros in [4096, 15, 1, 0] {
        assert!(may_be_ours(&[0; 4096][..zeros]));
    }
    for foreign in [
        "root:x:0:0:root:/root:/bin/ash\ndaemon:*:1:1:daemon:/var:/bin/false\n",
        "{\"file\": \"/var/log/auth.log\", \"ruleset\": []}",
        "config defaults\n\toption input 'ACCEPT'\n",
        // However short they are.
        "router\n",
        "{}",
        "{\"ver\":1}",
        "\n",
        "\0a",
        "\0\x01\0\0 a font, say",
    ] {
        assert!(!may_be_ours(foreign.as_bytes()), "{foreign}");
    }
}
