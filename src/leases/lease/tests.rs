//! What leases promise, shown with plain values.

use super::*;
use std::string::String;

fn job(rule: &str, key: &str) -> Job {
    Job {
        rule: rule.into(),
        key: key.into(),
        commands: std::vec![text!("close\0{}\0", key)],
        timeout_ms: 30_000,
    }
}

fn open(leases: &mut Leases, rule: &str, key: &str, deadline_ms: u64) -> LeaseId {
    leases.open(job(rule, key).into(), 0, deadline_ms)
}

fn keys_due(leases: &mut Leases, now_ms: u64) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some((_, job)) = leases.next_due(now_ms) {
        keys.push(String::from_utf8(job.key.clone()).unwrap());
    }
    keys
}

#[test]
fn a_lease_is_due_once_at_its_deadline_and_not_before() {
    let mut leases = Leases::default();
    open(&mut leases, "r", "a", 100);
    open(&mut leases, "r", "b", 50);
    assert_eq!(leases.deadline_ms(), 50);
    assert!(keys_due(&mut leases, 49).is_empty());
    assert_eq!(keys_due(&mut leases, 100), ["a", "b"]);
    assert_eq!(keys_due(&mut leases, 1000), [""; 0]);
    assert_eq!(leases.deadline_ms(), NEVER);
}

#[test]
fn only_an_open_lease_of_the_same_rule_and_key_is_renewed() {
    let mut leases = Leases::default();
    open(&mut leases, "r", "a", 100);
    assert!(!leases.renew("r", b"b", 200));
    assert!(!leases.renew("q", b"a", 200));
    assert!(leases.renew("r", b"a", 200));
    assert_eq!(leases.deadline_ms(), 200);
    assert!(leases.next_due(200).is_some());
    assert!(!leases.renew("r", b"a", 300));
}

#[test]
fn an_exclusive_lease_makes_the_others_of_its_rule_due() {
    let mut leases = Leases::default();
    for (rule, key) in [("r", "a"), ("q", "x"), ("r", "b")] {
        open(&mut leases, rule, key, 100);
    }
    leases.expire_rule("r", 7);
    assert_eq!(keys_due(&mut leases, 7), ["a", "b"]);
}

#[test]
fn a_failed_revert_is_tried_ten_times_more_and_then_kept() {
    let mut leases = Leases::default();
    let id = open(&mut leases, "r", "a", 0);
    let mut now_ms = 0;
    let mut delays = Vec::new();
    loop {
        assert!(leases.next_due(now_ms).is_some());
        match leases.closed(id, false, now_ms) {
            Closed::Retry(delay_ms) => {
                assert!(leases.next_due(now_ms + delay_ms - 1).is_none());
                delays.push(delay_ms / 1000);
                now_ms += delay_ms;
            }
            other => {
                assert_eq!(other, Closed::GivenUp);
                break;
            }
        }
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    assert_eq!(leases.deadline_ms(), NEVER);
    assert_eq!(leases.all()[0].phase, Phase::GivenUp);
    // Stopping tries once more.
    leases.expire_all(now_ms);
    assert!(leases.next_due(now_ms).is_some());
    assert_eq!(leases.closed(id, true, now_ms), Closed::Done);
    assert!(leases.all().is_empty());
}

#[test]
fn a_failed_revert_that_would_close_a_newer_lease_is_left_to_that_one() {
    let mut leases = Leases::default();
    let old = open(&mut leases, "r", "a", 10);
    assert!(leases.next_due(10).is_some());
    assert_eq!(leases.closed(old, false, 10), Closed::Retry(1000));
    assert_eq!(leases.drop_superseded(), 0);
    open(&mut leases, "r", "b", 100);
    open(&mut leases, "q", "a", 100);
    assert_eq!(leases.drop_superseded(), 0);
    open(&mut leases, "r", "a", 5000);
    assert_eq!(leases.drop_superseded(), 1);
    assert_eq!(keys_due(&mut leases, 1010), ["b", "a"]);
    assert_eq!(leases.deadline_ms(), 5000);
}

#[test]
fn an_overdue_lease_of_a_record_does_not_close_a_newer_one() {
    let mut leases = Leases::default();
    open(&mut leases, "r", "a", 10);
    open(&mut leases, "r", "a", 5000);
    let mut out = Vec::new();
    leases.put_json("boot", &mut out);
    let mut back = Leases::from_json(&out, "boot", 20).unwrap();
    assert_eq!(back.drop_superseded(), 1);
    assert_eq!(back.deadline_ms(), 5000);
    // After another boot nothing is open, and everything is closed.
    let mut back = Leases::from_json(&out, "other", 20).unwrap();
    assert_eq!(back.drop_superseded(), 0);
    assert_eq!(keys_due(&mut back, 20).len(), 2);
}

#[test]
fn one_success_closes_all_that_the_same_commands_close() {
    let mut leases = Leases::default();
    let old = open(&mut leases, "r", "a", 0);
    assert!(leases.next_due(0).is_some());
    leases.closed(old, false, 0);
    let new = open(&mut leases, "r", "a", 1);
    assert!(leases.next_due(1).is_some());
    assert_eq!(leases.closed(new, true, 2), Closed::Done);
    assert!(leases.all().is_empty());
}

#[test]
fn after_a_lost_record_every_sequence_counts_as_spent_for_good() {
    let leases = Leases::after_loss();
    let mut out = Vec::new();
    leases.put_json("boot", &mut out);
    let back = Leases::from_json(&out, "boot", 0).unwrap();
    assert!(back.is_spent("r", &mut ["a"].into_iter()) && back.is_spent_unknown());
}

#[test]
fn a_sequence_stays_spent_by_its_text_whatever_becomes_of_the_list() {
    let mut leases = Leases::default();
    leases.spend("r", &mut ["a", "b"].into_iter());
    assert!(leases.is_spent("r", &mut ["a", "b"].into_iter()));
    for steps in [&["a"][..], &["a", "b", "c"], &["ab"], &["b", "a"]] {
        assert!(!leases.is_spent("r", &mut steps.iter().copied()));
    }
    assert!(!leases.is_spent("q", &mut ["a", "b"].into_iter()));
}

fn record() -> (Leases, Vec<u8>) {
    let mut leases = Leases::default();
    let mut odd = job("r \"1\"\\", "ключ \u{7f}");
    odd.commands = std::vec![text!("sh\0-c\0echo 'a b' \"$1\"\n\0"), text!("true\0\0"),];
    leases.open(odd.into(), u64::MAX, 5);
    open(&mut leases, "r", "b", 1 << 40);
    leases.spend("r", &mut ["DPT=1 \u{1}", "DPT=2"].into_iter());
    let mut out = Vec::new();
    leases.put_json("boot-1", &mut out);
    (leases, out)
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let (leases, out) = record();
    let back = Leases::from_json(&out, "boot-1", 0).unwrap();
    assert_eq!(back.all(), leases.all());
    assert_eq!(back.spent, leases.spent);
}

#[test]
fn after_another_boot_everything_is_due_at_once() {
    let (_, out) = record();
    for boot in ["boot-2", ""] {
        let mut back = Leases::from_json(&out, boot, 0).unwrap();
        assert_eq!(keys_due(&mut back, 0).len(), 2);
        assert_eq!(back.spent.len(), 1);
    }
}

#[test]
fn no_cut_or_changed_record_is_taken_for_another() {
    let (_, out) = record();
    for end in 0..out.len() {
        assert!(
            Leases::from_json(&out[..end], "boot-1", 0).is_err(),
            "{end}"
        );
    }
    for at in 0..out.len() {
        for byte in [0, b'"', b'{', b']', b',', b'9', b' ', 0xff, out[at] ^ 1] {
            let mut changed = out.clone();
            changed[at] = byte;
            let read = Leases::from_json(&changed, "boot-1", 0);
            assert_eq!(read.is_ok(), byte == out[at], "byte {at}");
        }
    }
}

#[test]
fn looking_for_what_newer_leases_will_close_takes_no_time_when_many_are_open() {
    let mut leases = Leases::default();
    for number in 0..10_000u32 {
        let key = String::from_utf8(text!("{}", number)).unwrap();
        open(&mut leases, "r", &key, 100);
    }
    let begin = std::time::Instant::now();
    for _ in 0..10 {
        open(&mut leases, "r", "new", 100);
        assert_eq!(leases.drop_superseded(), 0);
    }
    // Comparing each with each takes ten times as long, at the least.
    assert!(begin.elapsed().as_secs() < 1, "{:?}", begin.elapsed());
}
