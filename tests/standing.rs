//! What is written down is what is so: what was shut behind our back is opened again, and nothing that somebody else
//! holds open is shut.
//!
//! A file stands for what is opened: `open-KEY`.

mod common;

use common::{Daemon, TempDir, config, knock, outcome, recorded, rule};

const OPEN: &str =
    r#""actions": ["sh -c 'echo >> opened; test ! -e broken && touch \"open-$1\"' sh {key}"]"#;
const CHECK: &str = r#""check": ["test -e open-{key}"]"#;
const CLOSE: &str = r#""revert": ["rm open-{key}"]"#;

fn with_state(rules: &[String]) -> String {
    config(r#""log", "state": "state""#, rules)
}

fn start(dir: &TempDir, more: &str) -> Daemon {
    dir.append("log", "");
    Daemon::start(dir, &with_state(&[rule("door", more)]))
}

/// Closes leases by hand; what is said of that.
fn close(dir: &TempDir, words: &[&str]) -> String {
    let (status, said, errors) =
        outcome(&dir.run(&[&["-c", common::CONFIG, "-x"], words].concat()));
    assert_eq!(status, Some(0), "{errors}");
    said
}

fn times_opened(dir: &TempDir) -> usize {
    dir.read("opened").lines().count()
}

#[test]
fn a_failed_action_runs_again_at_the_next_knock_and_opened_is_said_when_it_is_so() {
    let dir = TempDir::new();
    dir.write("broken", "");
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {OPEN}, {CLOSE}"#));
    dir.append("log", knock("alice"));
    let message = daemon.wait_for("not opened for alice");
    assert!(message.starts_with("[WARN]"), "{message}");
    assert_eq!(daemon.count(": opened for alice"), 0);
    let listed = outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    assert!(listed.contains("not standing"), "{listed}");
    daemon.signal("USR1");
    daemon.wait_for("state: lease of rule \"door\", alice: not standing, open, closes in");
    // It is known after a crash, too.
    drop(daemon);
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {OPEN}, {CLOSE}"#));
    dir.remove("broken");
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice, closes in");
    assert!(dir.path("open-alice").exists());
    let listed = outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    assert!(!listed.contains("not standing"), "{listed}");
    // What stands is not opened once more.
    dir.append("log", knock("alice"));
    daemon.wait_for("renewed for alice");
    daemon.signal("TERM");
    daemon.expect_exit(0);
    assert_eq!(times_opened(&dir), 2);
    assert!(!dir.path("open-alice").exists());
}

#[test]
fn a_rule_that_was_mended_opens_by_its_new_actions() {
    let dir = TempDir::new();
    let mut daemon = start(
        &dir,
        r#""timeout": 60, "actions": ["false"], "revert": ["true"]"#,
    );
    dir.append("log", knock("alice"));
    daemon.wait_for("not opened for alice");
    let mended = rule("door", &format!(r#""timeout": 60, {OPEN}, {CLOSE}"#));
    dir.configure(&with_state(&[mended]));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    assert!(dir.path("open-alice").exists());
}

#[test]
fn actions_that_a_kill_has_cut_short_run_again_at_the_next_knock() {
    let dir = TempDir::new();
    dir.fifo("wait");
    let actions =
        r#""actions": ["sh -c 'echo begun; cat wait'", "touch open-{key}"], "action_timeout": 600"#;
    let door = format!(r#""timeout": 600, {actions}, {CLOSE}"#);
    let listed = || outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    let mut daemon = start(&dir, &door);
    dir.append("log", knock("alice"));
    daemon.wait_for("output: begun");
    drop(daemon);
    // It ends by itself, and nobody runs the next one.
    drop(dir.writer("wait"));
    let mut daemon = start(&dir, &door);
    assert!(listed().contains("not standing"), "{}", listed());
    dir.append("log", knock("alice"));
    daemon.wait_for("output: begun");
    drop(dir.writer("wait"));
    daemon.wait_for(": opened for alice");
    assert!(dir.path("open-alice").exists());
    // That they are through is known at once.
    drop(daemon);
    let mut daemon = start(&dir, &door);
    assert!(!listed().contains("not standing"), "{}", listed());
    dir.append("log", knock("alice"));
    daemon.wait_without("running", "renewed for alice");
    daemon.signal("TERM");
    daemon.wait_for("closed for alice");
    daemon.expect_exit(0);
    assert!(!dir.path("open-alice").exists());
}

#[test]
fn what_a_kill_has_left_half_open_is_closed_at_its_time() {
    let dir = TempDir::new();
    dir.fifo("wait");
    let actions =
        r#""actions": ["touch open-{key}", "sh -c 'echo begun; cat wait'"], "action_timeout": 600"#;
    let door = format!(r#""timeout": 2, {actions}, {CLOSE}"#);
    let mut daemon = start(&dir, &door);
    dir.append("log", knock("alice"));
    daemon.wait_for("output: begun");
    drop(daemon);
    drop(dir.writer("wait"));
    let mut daemon = start(&dir, &door);
    daemon.wait_without("output: begun", ": closed for alice");
    assert!(!dir.path("open-alice").exists());
}

/// `door` with these commands, which say of what configuration they are.
fn door(actions: &str, check: &str, revert: &str) -> String {
    let command = |name, word| format!(r#""{name}": ["echo {name} {word} {{key}} {{0}}"]"#);
    let mut commands = [command("actions", actions), command("revert", revert)].join(", ");
    if !check.is_empty() {
        commands += &format!(", {}", command("check", check));
    }
    let step = r#""filter": "^(\\S+) ", "sequence": [" knocks (\\S+)$"]"#;
    with_state(&[format!(
        r#"{{"name": "door", {step}, "timeout": 600, {commands}}}"#
    )])
}

#[test]
fn a_knock_opens_anew_what_was_opened_by_other_commands_than_the_rule_has_now() {
    let dir = TempDir::new();
    dir.append("log", "");
    let mut daemon = Daemon::start(&dir, &door("a", "", "a"));
    dir.append("log", "alice knocks 1\n");
    daemon.wait_for(": opened for alice");
    let changes = [
        ("a", ["b", "", "a"]),
        ("a", ["b", "a", "a"]),
        ("a", ["b", "a", "b"]),
        ("b", ["a", "", "a"]),
    ];
    for (place, (old, [actions, check, revert])) in changes.iter().enumerate() {
        let changed = door(actions, check, revert);
        // The lease knows its commands after a crash as it does after a reload.
        if place % 2 == 0 {
            dir.configure(&changed);
            daemon.signal("HUP");
            daemon.wait_for("reloaded, watching");
        } else {
            drop(daemon);
            daemon = Daemon::start(&dir, &changed);
        }
        dir.append("log", format!("alice knocks {}\n", place + 2));
        daemon.wait_for("what was opened for alice has other commands than the rule");
        let closed = format!("output: revert {old} alice {}", place + 1);
        daemon.wait_without("output: actions", &closed);
        daemon.wait_for(&format!("output: actions {actions} alice {}", place + 2));
        daemon.wait_for(": opened for alice");
        assert_eq!(recorded(&dir.read("state")), ["door alice"]);
    }
    daemon.signal("TERM");
    daemon.wait_for("output: revert a alice 5");
    daemon.expect_exit(0);
}

#[test]
fn what_an_old_revert_may_have_shut_when_it_succeeds_late_is_opened_by_the_next_knock() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {OPEN}, {CLOSE}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    // There is nothing that the old revert could close, until the new actions have run.
    dir.remove("open-alice");
    let other = r#""revert": ["rm -f open-{key}"]"#;
    let door = rule("door", &format!(r#""timeout": 600, {OPEN}, {other}"#));
    dir.configure(&with_state(&[door]));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    dir.append("log", knock("alice"));
    daemon.wait_for("not closed for alice, trying again in 1 s");
    daemon.wait_for(": opened for alice");
    daemon.wait_for(": closed for alice");
    daemon.wait_for("may have shut what was opened for alice since");
    assert!(!dir.path("open-alice").exists());
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    assert!(dir.path("open-alice").exists());
}

#[test]
fn a_rule_that_has_not_changed_is_not_opened_anew_whatever_is_filled_in() {
    let dir = TempDir::new();
    dir.append("log", "");
    let config = door("a", "a", "a");
    let mut daemon = Daemon::start(&dir, &config);
    dir.append("log", "alice knocks 1\n");
    daemon.wait_for(": opened for alice");
    for number in 2..5 {
        if number == 3 {
            drop(daemon);
            daemon = Daemon::start(&dir, &config);
        } else {
            // Neither what else the rule says.
            dir.configure(&config.replace("\"timeout\"", "\"within\": 60, \"timeout\""));
            daemon.signal("HUP");
            daemon.wait_for("reloaded");
        }
        dir.append("log", format!("alice knocks {number}\n"));
        daemon.wait_without("output: actions", "renewed for alice");
    }
    daemon.signal("TERM");
    daemon.wait_without("output: actions", "output: revert a alice 1");
    daemon.expect_exit(0);
}

#[test]
fn what_is_opened_anew_needs_no_more_room_than_before_and_stays_where_it_cannot_be_recorded() {
    let dir = TempDir::new();
    dir.append("log", "");
    let one = |config: String| config.replace("\"state\":", "\"max_keys\": 1, \"state\":");
    let mut daemon = Daemon::start(&dir, &one(door("a", "", "a")));
    dir.append("log", "alice knocks 1\n");
    daemon.wait_for(": opened for alice");
    dir.configure(&one(door("b", "", "b")));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    // The record can neither be added to nor replaced.
    dir.rename("state", "aside");
    dir.mkdir("state");
    dir.append("log", "alice knocks 2\n");
    daemon.wait_without("closing", "knock by alice refused");
    std::fs::remove_dir(dir.path("state")).expect("it can be removed");
    // A knock may try again a moment later only.
    while daemon.count("output: actions b alice 2") == 0 {
        dir.append("log", "alice knocks 2\n");
        daemon.signal("USR1");
        daemon.wait_for("state: queue");
    }
}

#[test]
fn what_was_shut_behind_our_back_is_opened_by_the_next_knock() {
    let dir = TempDir::new();
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {OPEN}, {CHECK}, {CLOSE}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.remove("open-alice");
    dir.append("log", knock("alice"));
    daemon.wait_for("what should be open for alice is not there, opening it");
    daemon.wait_for(": opened for alice");
    assert!(dir.path("open-alice").exists());
    // It is looked at once more.
    daemon.wait_until_idle();
    // At most once in five seconds, whoever knocks how often.
    dir.remove("open-alice");
    dir.append("log", knock("alice").repeat(50));
    daemon.wait_for("renewed for alice");
    daemon.signal("USR1");
    daemon.wait_without("is not there", "state: queue");
}

#[test]
fn a_reload_and_a_start_check_what_is_open() {
    let dir = TempDir::new();
    let more = format!(r#""timeout": 60, {OPEN}, {CHECK}, {CLOSE}"#);
    let mut daemon = start(&dir, &more);
    dir.append("log", knock("alice") + &knock("bob"));
    daemon.wait_for(": opened for bob");
    dir.remove("open-alice");
    daemon.signal("HUP");
    daemon.wait_for("what should be open for alice is not there, opening it");
    daemon.wait_without("bob is not there", ": opened for alice");
    // Killed, and the firewall started anew before the next start.
    drop(daemon);
    dir.remove("open-alice");
    dir.remove("open-bob");
    let mut daemon = start(&dir, &more);
    for _ in 0..2 {
        daemon.wait_for("is not there, opening it");
        daemon.wait_for(": opened for");
    }
    assert!(dir.path("open-alice").exists() && dir.path("open-bob").exists());
    assert_eq!(recorded(&dir.read("state")).len(), 2);
}

#[test]
fn what_a_reload_checks_does_not_wait_for_every_knock() {
    let dir = TempDir::new();
    dir.append("log", "");
    dir.fifo("wait");
    let rule_for = |name: &str, action: &str| {
        let filter = r#""filter": "^(\\S+) ""#;
        format!(
            r#"{{"name": "{name}", {filter}, "sequence": ["{name}$"], "action_timeout": 600, "actions": ["{action}"]}}"#
        )
    };
    let door = rule(
        "door",
        &format!(r#""timeout": 600, {OPEN}, {CHECK}, {CLOSE}"#),
    );
    let rules = [
        door,
        rule_for("waits", "cat wait"),
        rule_for("works", "echo worked {key}"),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.remove("open-alice");
    dir.append("log", "root waits\n");
    daemon.wait_for("running cat");
    for number in 0..20 {
        dir.append("log", format!("k{number} works\n"));
    }
    daemon.wait_for("knock by k19");
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    drop(dir.writer("wait"));
    daemon.wait_without(
        "worked k19",
        "what should be open for alice is not there, opening it",
    );
}

#[test]
fn a_check_that_cannot_tell_opens_nothing_and_says_so() {
    let dir = TempDir::new();
    let check = r#""check": ["sh -c 'exit 2'"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 60, {OPEN}, {check}, {CLOSE}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.append("log", knock("alice"));
    let message = daemon.wait_for("cannot be told");
    assert!(message.starts_with("[WARN]"), "{message}");
    assert_eq!(times_opened(&dir), 1);
}

#[test]
fn a_revert_that_fails_where_nothing_is_left_has_succeeded() {
    let dir = TempDir::new();
    let mut daemon = start(
        &dir,
        &format!(r#""timeout": 600, {OPEN}, {CHECK}, {CLOSE}"#),
    );
    dir.append("log", knock("alice"));
    daemon.wait_for(": opened for alice");
    dir.remove("open-alice");
    close(&dir, &["alice"]);
    daemon.wait_without("not closed", "closed for alice");
    // While it is there, a failure is one.
    let close = r#""revert": ["false {key}"]"#;
    let rules = [rule(
        "door",
        &format!(r#""timeout": 0.5, {OPEN}, {CHECK}, {close}"#),
    )];
    dir.configure(&with_state(&rules));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    dir.append("log", knock("bob"));
    daemon.wait_for("not closed for bob, trying again in 1 s");
    dir.remove("open-bob");
    daemon.wait_for("closed for bob");
}

#[test]
fn of_two_rules_that_open_the_same_the_last_one_closes() {
    let dir = TempDir::new();
    dir.append("log", "");
    let other = rule("other", &format!(r#""timeout": 600, {OPEN}, {CLOSE}"#));
    let rules = [
        rule("door", &format!(r#""timeout": 600, {OPEN}, {CLOSE}"#)),
        other
            .replace(" one", " first")
            .replace(" two", " second")
            .replace(" three", " third"),
    ];
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append(
        "log",
        knock("alice") + "alice first\nalice second\nalice third\n",
    );
    daemon.wait_for("\"other\": opened for alice");
    let said = close(&dir, &["alice", "door"]);
    let left = "ended: \"door\" alice, but \"other\" alice holds the same open\n";
    assert_eq!(said, left);
    daemon.wait_for("\"door\": ended for alice, another lease holds the same open");
    assert!(dir.path("open-alice").exists());
    assert_eq!(close(&dir, &["alice"]), "closed: \"other\" alice\n");
    daemon.wait_without("not closed", "\"other\": closed for alice");
    assert!(!dir.path("open-alice").exists());
}

#[test]
fn each_of_the_leases_that_one_revert_closes_is_said_to_be_closed() {
    let dir = TempDir::new();
    dir.append("log", "");
    let lease = format!(r#""timeout": 600, {OPEN}, {CLOSE}"#);
    let rules = ["door", "gate", "yard"].map(|name| rule(name, &lease));
    let mut daemon = Daemon::start(&dir, &with_state(&rules));
    dir.append("log", knock("alice"));
    daemon.wait_for("\"yard\": opened for alice");
    daemon.signal("TERM");
    daemon.expect_exit(0);
    for name in ["door", "gate", "yard"] {
        let said = format!("rule \"{name}\": closed for alice");
        assert_eq!(daemon.count(&said), 1, "{:?}", daemon.seen);
    }
    assert_eq!(daemon.count("running rm"), 1);
}

#[test]
fn a_door_that_could_not_be_closed_is_not_lost_with_a_knock_that_a_stop_drops() {
    let dir = TempDir::new();
    dir.append("log", "");
    let close = r#""revert": ["sh -c 'test ! -e broken && rm -f \"open-$1\"' sh {key}"]"#;
    let door = rule(
        "door",
        &format!(
            r#""timeout": 0.3, "ignore": "^slow", "actions": ["touch open-{{key}}"], {close}"#
        ),
    );
    dir.fifo("wait");
    let slow = r#""ignore": "^alice", "action_timeout": 600, "actions": ["cat wait"]"#;
    let mut daemon = Daemon::start(&dir, &with_state(&[door, rule("slow", slow)]));
    dir.write("broken", "");
    dir.append("log", knock("alice"));
    daemon.wait_for("not closed for alice, trying again");
    dir.append("log", knock("slow"));
    daemon.wait_for("running cat");
    dir.append("log", knock("alice"));
    daemon.wait_for("knock by alice");
    dir.remove("broken");
    daemon.signal("TERM");
    daemon.wait_for("dropping 1 knock whose commands have not begun");
    drop(dir.writer("wait"));
    daemon.expect_exit(0);
    assert!(!dir.path("open-alice").exists());
}

#[test]
fn a_check_that_never_says_yes_does_not_run_the_actions_for_ever() {
    let dir = TempDir::new();
    // Whoever restarts a firewall tells the daemon.
    let actions = r#""actions": ["sh -c 'echo >> opened; kill -HUP $PPID'"], "check": ["false"]"#;
    let mut daemon = start(&dir, &format!(r#""timeout": 600, {actions}, {CLOSE}"#));
    dir.append("log", knock("alice"));
    daemon.wait_for("what should be open for alice is not there, opening it");
    daemon.wait_for("the check does not find what was opened again for alice");
    for _ in 0..3 {
        daemon.signal("HUP");
        daemon.wait_for("the check does not find what was opened again for alice");
    }
    assert_eq!(times_opened(&dir), 2);
    let listed = outcome(&dir.run(&["-l", "-c", common::CONFIG])).1;
    assert!(listed.contains("not standing"), "{listed}");
    dir.append("log", knock("alice"));
    daemon.wait_for("running sh");
}

#[test]
fn two_leases_that_undo_each_other_do_not_run_their_actions_for_ever() {
    let dir = TempDir::new();
    dir.append("log", "");
    let script = "rm -f mark-*; : > mark-$LOGKNOCK_RULE; kill -HUP $PPID";
    let both = ["one", "two"].map(|name| {
        let actions =
            format!(r#""actions": [["sh", "-c", "{script}"]], "check": ["test -e mark-{{rule}}"]"#);
        rule(
            name,
            &format!(r#""timeout": 600, {actions}, "revert": ["true {{rule}}"]"#),
        )
    });
    let mut daemon = Daemon::start(&dir, &with_state(&both));
    dir.append("log", knock("alice"));
    daemon.wait_for(
        "the check does not find what was opened again for alice, the next knock runs the actions",
    );
    // The last one to be opened is told of once more.
    daemon.signal("HUP");
    daemon.wait_for("does not find what was opened again");
    let times = daemon.count("running sh");
    assert!((12..=24).contains(&times), "{times}");
    dir.append("log", knock("alice"));
    daemon.wait_for("running sh");
}

/// A firewall with an empty set.
const FIREWALL: &str =
    "table inet fw\ndelete table inet fw\ntable inet fw {\n set door {\n type ipv4_addr\n }\n}\n";

#[test]
fn a_real_firewall_that_is_restarted_is_opened_again() {
    let unshare = ["unshare", "-n"];
    if !common::is_root() || !common::works("unshare", &["-n", "nft", "list", "ruleset"]) {
        return common::skipped("there is no nft in a network of its own here");
    }
    let dir = TempDir::new();
    dir.append("log", "");
    dir.write("fw", FIREWALL);
    let more = r#""timeout": 60,
        "actions": ["nft add element inet fw door '{{ {key} }}'"],
        "check": ["nft get element inet fw door '{{ {key} }}'"],
        "revert": ["nft delete element inet fw door '{{ {key} }}'"]"#;
    let reset = rule("reset", r#""ignore": "^192", "actions": ["nft -f fw"]"#);
    let show = rule(
        "show",
        r#""ignore": "^192", "actions": ["nft list set inet fw door"]"#,
    );
    let show = show
        .replace(" one", " show")
        .replace(" two", " it")
        .replace(" three", " now");
    let rules = [
        rule("door", &format!(r#""ignore": "^fw", {more}"#)),
        reset,
        show,
    ];
    dir.configure(&with_state(&rules));
    let arguments = ["-c", common::CONFIG];
    let mut daemon = Daemon::spawn(&mut dir.command_after(&unshare, "nft -f fw", &arguments));
    daemon.wait_until_watching();
    let shows = |daemon: &mut Daemon| {
        dir.append("log", "fw show\nfw it\nfw now\n");
        daemon.wait_for("set door {");
        daemon.wait_for("output: }");
        daemon.count("elements = { 192.0.2.7 }")
    };
    dir.append("log", knock("192.0.2.7"));
    daemon.wait_for(": opened for 192.0.2.7");
    assert_eq!(shows(&mut daemon), 1);
    dir.append("log", knock("fw"));
    daemon.wait_for("running nft -f fw");
    assert_eq!(shows(&mut daemon), 1);
    dir.append("log", knock("192.0.2.7"));
    daemon.wait_for(": opened for 192.0.2.7");
    assert_eq!(shows(&mut daemon), 2);
    // A set that is empty is as good as a revert.
    dir.append("log", knock("fw"));
    daemon.wait_for("running nft -f fw");
    daemon.signal("TERM");
    daemon.wait_for("closed for 192.0.2.7");
    daemon.expect_exit(0);
}
