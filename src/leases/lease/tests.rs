//! What leases promise, shown with plain values.

use super::*;
use std::string::String;

fn terms(rule: &str, key: &str, revert: &str, deadline_ms: u64) -> Terms {
    let job = Job {
        rule: rule.into(),
        key: key.into(),
        timeout_ms: 30_000,
        commands: [
            std::vec![text!("open\0{}\0", key)],
            Vec::new(),
            std::vec![text!("close\0{}\0", revert)],
        ],
        ..Job::default()
    };
    Terms {
        job: job.into(),
        opened_ms: 0,
        deadline_ms,
        end_s: 0,
    }
}

/// A lease whose actions have begun and ended, with a revert that is `revert`.
fn opened_as(
    leases: &mut Leases,
    rule: &str,
    key: &str,
    revert: &str,
    deadline_ms: u64,
) -> LeaseId {
    let id = leases.open(terms(rule, key, revert, deadline_ms));
    assert_eq!(leases.begin(id, Event::Open), Verdict::Go);
    leases.set_busy(id, false);
    id
}

fn opened(leases: &mut Leases, rule: &str, key: &str, deadline_ms: u64) -> LeaseId {
    opened_as(
        leases,
        rule,
        key,
        &std::format!("{rule} {key}"),
        deadline_ms,
    )
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
    let mut leases = Leases::new(1);
    opened(&mut leases, "r", "a", 100);
    opened(&mut leases, "r", "b", 50);
    assert_eq!(leases.deadline_ms(), 50);
    assert!(keys_due(&mut leases, 49).is_empty());
    assert_eq!(keys_due(&mut leases, 100), ["b", "a"]);
    assert_eq!(keys_due(&mut leases, 1000), [""; 0]);
    assert_eq!(leases.deadline_ms(), NEVER);
}

#[test]
fn only_the_open_lease_of_a_rule_and_key_is_found() {
    let mut leases = Leases::new(1);
    let old = opened(&mut leases, "r", "a", 100);
    assert_eq!(leases.find(b"r", b"b"), None);
    assert_eq!(leases.find(b"q", b"a"), None);
    assert_eq!(leases.find(b"r", b"a"), Some(old));
    leases.renew(old, 200, 0);
    leases.renew(old, 201, 0);
    assert_eq!(
        (leases.next_renewed(), leases.next_renewed()),
        (Some(old), None)
    );
    assert_eq!(leases.deadline_ms(), 201);
    assert!(leases.next_due(201).is_some());
    assert_eq!(leases.find(b"r", b"a"), None);
    let new = opened(&mut leases, "r", "a", 300);
    assert_eq!(leases.find(b"r", b"a"), Some(new));
    leases.apply(new, Note::Close);
    assert_eq!((leases.get(new).is_none(), leases.count()), (true, 1));
    assert_eq!(leases.find(b"r", b"a"), None);
}

#[test]
fn the_leases_of_a_rule_are_counted_and_found_the_open_ones_last() {
    let mut leases = Leases::new(1);
    for (rule, key) in [("r", "a"), ("q", "x"), ("r", "b"), ("r", "c")] {
        opened(&mut leases, rule, key, if key == "b" { 1 } else { 100 });
    }
    assert_eq!(keys_due(&mut leases, 1), ["b"]);
    let mut open = Vec::new();
    leases.alike(RULE, b"r", &mut open);
    let keys = open
        .iter()
        .map(|id| leases.get(*id).unwrap().terms.job.key[0]);
    assert_eq!(keys.collect::<Vec<_>>(), b"bac");
    assert_eq!(leases.count_of(b"r"), 3);
    assert_eq!((leases.count_of(b"q"), leases.count_of(b"p")), (1, 0));
}

#[test]
fn tries_that_others_ask_for_use_up_none_of_a_lease() {
    let mut leases = Leases::new(1);
    let id = opened(&mut leases, "r", "a", 0);
    assert!(leases.next_due(0).is_some());
    for _ in 0..3 * RETRIES {
        leases.forgive(&[id]);
        assert!(leases.failed(id, 0) != Again::GivenUp);
    }
    while leases.failed(id, 0) != Again::GivenUp {}
    // What was given up is tried when somebody asks for it, and given up again.
    leases.forgive(&[id]);
    assert!(leases.failed(id, 0) == Again::GivenUp);
}

#[test]
fn a_failed_revert_is_tried_ten_times_more_and_then_kept() {
    let mut leases = Leases::new(1);
    let id = opened(&mut leases, "r", "a", 0);
    let mut now_ms = 0;
    let mut delays = Vec::new();
    loop {
        assert!(leases.next_due(now_ms).is_some());
        match leases.failed(id, now_ms) {
            Again::After(delay_s) => {
                now_ms += u64::from(delay_s) * 1000;
                assert!(leases.next_due(now_ms - 1).is_none());
                delays.push(delay_s);
            }
            Again::GivenUp => break,
        }
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    assert_eq!(leases.deadline_ms(), NEVER);
    assert_eq!(
        leases.get(id).map(|lease| lease.phase),
        Some(Phase::GivenUp)
    );
    // Stopping tries once more.
    leases.hurry(id);
    assert!(leases.next_due(now_ms).is_some());
}

#[test]
fn the_last_of_those_that_opened_the_same_closes() {
    let mut leases = Leases::new(1);
    let one = opened_as(&mut leases, "sshd", "a", "same", 10);
    let two = opened_as(&mut leases, "dropbear", "a", "same", 20);
    let other = opened_as(&mut leases, "dropbear", "b", "other", 20);
    assert_eq!(keys_due(&mut leases, 10), ["a"]);
    assert_eq!(leases.begin(one, Event::Close), Verdict::Left);
    leases.apply(one, Note::Close);
    assert_eq!(keys_due(&mut leases, 20).len(), 2);
    assert_eq!(leases.begin(one, Event::Close), Verdict::Gone);
    assert_eq!(leases.begin(two, Event::Close), Verdict::Go);
    assert_eq!(leases.begin(other, Event::Close), Verdict::Go);
}

#[test]
fn a_lease_whose_actions_have_not_begun_takes_over_nothing() {
    let mut leases = Leases::new(1);
    let old = opened_as(&mut leases, "r", "a", "same", 10);
    assert!(leases.next_due(10).is_some());
    let new = leases.open(terms("r", "b", "same", 100));
    assert_eq!(leases.begin(old, Event::Close), Verdict::Go);
    leases.failed(old, 10);
    assert_eq!(leases.companion(new), Some(old));
    assert_eq!(leases.begin(new, Event::Open), Verdict::Go);
    assert_eq!(leases.begin(old, Event::Close), Verdict::Left);
    // Its actions running again take over nothing twice.
    assert_eq!(leases.begin(new, Event::Open), Verdict::Go);
    assert!(leases.next_due(100).is_some());
    leases.apply(old, Note::Close);
    assert_eq!(leases.begin(new, Event::Open), Verdict::Gone);
    assert_eq!(leases.begin(new, Event::Close), Verdict::Go);
}

#[test]
fn one_success_closes_all_that_the_same_commands_close() {
    let mut leases = Leases::new(1);
    let ids = ["a", "b", "c"].map(|key| opened_as(&mut leases, "r", key, "same", 0));
    let young = leases.open(terms("r", "d", "same", 0));
    assert_eq!(keys_due(&mut leases, 0).len(), 4);
    leases.failed(ids[1], 0);
    let mut companions = Vec::new();
    while let Some(id) = leases.companion(ids[0]) {
        companions.push(id);
        leases.apply(id, Note::Close);
    }
    assert_eq!(companions.len(), 2);
    assert!(!companions.contains(&young), "its actions have not begun");
}

#[test]
fn a_knock_runs_failed_actions_again_and_checks_once_in_five_seconds() {
    let mut leases = Leases::new(1);
    let mut terms = terms("r", "a", "x", 60_000);
    let id = leases.open(terms.clone());
    assert_eq!(leases.knocked(id, 0), None, "its actions are on their way");
    leases.begin(id, Event::Open);
    leases.apply(id, Note::Stands(true));
    leases.set_busy(id, false);
    assert_eq!(leases.knocked(id, 1), None, "there is no check");
    leases.apply(id, Note::Stands(false));
    assert_eq!(leases.knocked(id, 2), Some(Event::Open));
    let job = Job {
        commands: [Vec::new(), std::vec![text!("true\0")], Vec::new()],
        key: "b".into(),
        ..Job::default()
    };
    terms.job = job.into();
    let id = leases.open(terms);
    leases.apply(id, Note::Stands(true));
    leases.set_busy(id, false);
    let asked = [10, 5009, 5010].map(|now_ms| leases.knocked(id, now_ms));
    assert_eq!(asked, [Some(Event::Check), None, Some(Event::Check)]);
}

#[test]
fn what_nobody_waits_for_is_wanted_once_and_only_while_it_is_open() {
    let mut leases = Leases::new(1);
    let mut terms = terms("r", "a", "x", 10);
    opened(&mut leases, "r", "without a check", 10);
    let job = Job {
        commands: [Vec::new(), std::vec![text!("true\0")], Vec::new()],
        ..Job::default()
    };
    terms.job = job.into();
    let id = leases.open(terms);
    leases.want_checks();
    assert_eq!(leases.next_wanted(), None, "its actions are on their way");
    leases.set_busy(id, false);
    leases.want_checks();
    leases.want_checks();
    assert_eq!(leases.next_wanted(), Some((id, Event::Check)));
    assert_eq!(leases.next_wanted(), None);
    leases.set_busy(id, false);
    leases.want_checks();
    while leases.next_due(10).is_some() {}
    assert_eq!(leases.next_wanted(), None);
}

#[test]
fn each_is_checked_in_its_turn_however_often_all_are_to_be() {
    let mut leases = Leases::new(1);
    let mut terms = terms("r", "a", "x", 10);
    terms.job = Rc::new(Job {
        commands: [Vec::new(), std::vec![text!("true\0")], Vec::new()],
        ..Job::default()
    });
    for _ in 0..5 {
        let id = leases.open(terms.clone());
        leases.set_busy(id, false);
    }
    let mut checked = std::collections::BTreeSet::new();
    for _ in 0..5 {
        leases.want_checks();
        let (id, _) = leases.next_wanted().expect("a check");
        leases.set_busy(id, false);
        checked.insert(id.slot);
    }
    assert_eq!(checked.len(), 5);
}

#[test]
fn twenty_thousand_leases_cost_no_more_each_than_a_hundred() {
    let once = |count: u32, revert: &dyn Fn(u32) -> String| {
        let begin = std::time::Instant::now();
        for _ in 0..20_000 / count {
            let mut leases = Leases::new(7);
            let mut ids = Vec::new();
            for number in 0..count {
                let key = std::format!("{number}");
                ids.push(opened_as(
                    &mut leases,
                    "r",
                    &key,
                    &revert(number),
                    u64::from(number),
                ));
                leases.companion(ids[0]);
                assert_eq!(leases.find(b"r", key.as_bytes()), ids.last().copied());
            }
            for (now_ms, id) in ids.iter().enumerate() {
                assert!(leases.next_due(now_ms as u64).is_some());
                leases.begin(*id, Event::Close);
                leases.failed(*id, 1 << 40);
                leases.companion(*id);
                leases.apply(*id, Note::Close);
            }
            assert_eq!(leases.count(), 0);
        }
        begin.elapsed()
    };
    // Other programs want the processor, too.
    let time = |count, revert| (0..3).map(|_| once(count, revert)).min().expect("a time");
    let own = |number: u32| std::format!("{number}");
    let same = |_| String::from("same");
    let ways: [&dyn Fn(u32) -> String; 2] = [&own, &same];
    for revert in ways {
        let (few, many) = (time(100, revert), time(20_000, revert));
        // Looking at each for each takes a hundred times as long.
        assert!(many < few * 10, "{many:?} instead of {few:?}");
    }
}

/// One lease of a rule with a check, in the life after another boot.
fn after_a_reboot() -> (Box<Leases>, LeaseId) {
    let mut leases = Leases::new(1);
    let mut terms = terms("r", "a", "a", 100_000);
    let job = Job {
        commands: [Vec::new(), std::vec![text!("check\0")], Vec::new()],
        ..Job::default()
    };
    terms.job = job.into();
    let id = leases.open(terms);
    leases.resume(0, false);
    (leases, id)
}

#[test]
fn what_a_check_has_opened_again_after_a_reboot_is_not_opened_once_more() {
    for finds_it in [true, false] {
        let (mut leases, id) = after_a_reboot();
        leases.want_checks();
        assert_eq!(leases.next_wanted(), Some((id, Event::Check)));
        leases.set_busy(id, false);
        match finds_it {
            true => leases.apply(id, Note::Stands(true)),
            false => assert!(leases.reopen(id, 0)),
        }
        assert_eq!(leases.next_wanted(), None);
    }
    let (mut leases, id) = after_a_reboot();
    assert_eq!(leases.next_wanted(), Some((id, Event::Open)));
}

#[test]
fn what_a_reboot_has_shut_is_opened_however_often_all_are_to_be_checked() {
    let (mut leases, checked) = after_a_reboot();
    let id = opened(&mut leases, "r", "b", 100_000);
    leases.resume(0, false);
    let mut wanted = Vec::new();
    for _ in 0..2 {
        leases.want_checks();
        let (id, event) = leases.next_wanted().expect("something");
        leases.set_busy(id, false);
        leases.apply(id, Note::Stands(true));
        wanted.push((id, event));
    }
    assert!(wanted.contains(&(checked, Event::Check)));
    assert!(wanted.contains(&(id, Event::Open)));
}

#[test]
fn what_is_not_opened_again_before_a_crash_is_opened_by_the_next_start() {
    let (mut leases, id) = after_a_reboot();
    leases.resume(0, true);
    assert_eq!(leases.next_wanted(), Some((id, Event::Open)));
}

#[test]
fn a_check_has_the_actions_run_again_but_not_at_every_no() {
    let (mut leases, id) = after_a_reboot();
    assert!(leases.reopen(id, 1000));
    assert!(leases.is_reopened(id, 5000), "its actions took a while");
    assert!(!leases.reopen(id, 5001));
    assert!(leases.reopen(id, 5000 + REOPEN_MS));
    leases.found(id);
    assert!(leases.reopen(id, 5001 + REOPEN_MS));
}

#[test]
fn what_is_gone_again_and_again_is_opened_ten_times_and_then_once_a_minute_or_after_a_knock() {
    let (mut leases, id) = after_a_reboot();
    let mut times = |until_ms: u64| {
        let mut count = 0;
        for now_ms in (until_ms - 600_000..until_ms).step_by(500) {
            count += u32::from(leases.reopen(id, now_ms));
            leases.found(id);
        }
        leases.knocked(id, until_ms);
        count
    };
    assert_eq!((times(600_000), times(1_200_000)), (19, 19));
}
