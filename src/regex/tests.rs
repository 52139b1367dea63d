//! What the engine promises, beyond agreeing with Python (which `tests/regex_*.rs` check).

use super::*;

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"))
}

/// What the groups of a match hold, `-` for one that took no part.
fn groups(pattern: &str, text: &str) -> Option<Vec<String>> {
    let mut scratch = Scratch::new();
    let captures = compiled(pattern).captures(text.as_bytes(), &mut scratch)?;
    let group = |group| match captures.get(group) {
        Some(range) => String::from(&text[range]),
        None => String::from("-"),
    };
    Some((0..captures.len()).map(group).collect())
}

fn assert_groups(pattern: &str, text: &str, expected: &[&str]) {
    let found = groups(pattern, text).unwrap_or_default();
    assert_eq!(found, expected, "{pattern} on {text:?}");
}

fn refusal(pattern: &str) -> (usize, &'static str) {
    match Regex::new(pattern) {
        Ok(_) => panic!("{pattern} is not refused"),
        Err(error) => (error.at, error.message),
    }
}

fn inst_count(pattern: &str) -> usize {
    compiled(pattern).program.insts.len()
}

#[test]
fn the_leftmost_match_wins_and_then_the_first_alternative() {
    assert_groups("b|ab", "xab", &["ab"]);
    assert_groups("a|ab", "xab", &["a"]);
    assert_groups("ab|a", "xab", &["ab"]);
}

#[test]
fn a_greedy_star_takes_as_much_as_it_can() {
    assert_groups("<(.*)>", "<a><b>", &["<a><b>", "a><b"]);
}

#[test]
fn a_lazy_star_takes_as_little_as_it_can() {
    assert_groups("<(.*?)>", "<a><b>", &["<a>", "a"]);
}

#[test]
fn a_group_holds_what_it_matched_last() {
    assert_groups("(?:(a)|(b))*", "ab", &["ab", "a", "b"]);
}

#[test]
fn a_loop_keeps_what_its_empty_last_iteration_set() {
    assert_groups("(a|b*)*", "b", &["b", ""]);
    assert_groups("((a*)(b*))*", "ab", &["ab", "", "", ""]);
}

#[test]
fn a_loop_over_nothing_ends() {
    assert_groups("(?:(?:)*)*", "a", &[""]);
    assert_groups("(?:(?:^|$)*)+x", "x", &["x"]);
}

#[test]
fn groups_are_known_by_number_and_name() {
    let regex = compiled("(?P<src>a)(b)(?P<port>c)?");
    assert_eq!(regex.group_count(), 3);
    assert_eq!(regex.group_named("src"), Some(1));
    assert_eq!(regex.group_named("port"), Some(3));
    assert_eq!(regex.group_named("sr"), None);
    assert_eq!(regex.pattern(), "(?P<src>a)(b)(?P<port>c)?");
}

#[test]
fn a_group_that_does_not_exist_is_no_group() {
    let mut scratch = Scratch::new();
    let regex = compiled("(a)|(b)");
    let captures = regex.captures(b"b", &mut scratch).expect("a match");
    assert_eq!(captures.len(), 3);
    assert_eq!(captures.get(1), None);
    assert_eq!(captures.get(2), Some(0..1));
    assert_eq!(captures.get(3), None);
    assert_eq!(captures.get(usize::MAX), None);
}

#[test]
fn text_may_be_any_bytes() {
    let mut scratch = Scratch::new();
    assert!(compiled("a.b").is_match(b"a\xffb", &mut scratch));
    assert!(compiled(r"^[^a]\W\S\D$").is_match(b"\xc3\xbc\x80\xff", &mut scratch));
    assert!(!compiled(r"\w|\s|\d").is_match(b"\xc3\xa0\x85\xff", &mut scratch));
    assert!(compiled("(?i)^[^k]{3}$").is_match("\u{212a}".as_bytes(), &mut scratch));
}

#[test]
fn a_quantifier_takes_a_whole_character() {
    assert_groups("fü+r", "füür", &["füür"]);
    assert_groups("(ü|ä)*", "äü", &["äü", "ü"]);
    assert_groups(r"\xfc{2}", "üü", &["üü"]);
}

#[test]
fn one_scratch_serves_all_patterns_in_any_order() {
    let mut scratch = Scratch::new();
    let regexes = ["(a+)(b+)", "x", "(?:a|b)*c", r"(\w)(\w)(\w)(\w)", ""].map(compiled);
    for _ in 0..3 {
        for regex in &regexes {
            let shared = regex.captures(b"aabbc", &mut scratch);
            let mut own = Scratch::new();
            let own = regex.captures(b"aabbc", &mut own);
            assert_eq!(
                shared.map(|found| found.slots),
                own.map(|found| found.slots)
            );
        }
    }
}

#[test]
fn matching_survives_the_end_of_its_generations() {
    let mut scratch = Scratch::new();
    let regex = compiled("(a|b)*c");
    for left in 0..20 {
        scratch.exhaust_generations(left);
        assert!(regex.is_match(b"ababc", &mut scratch));
        assert!(!regex.is_match(b"ababd", &mut scratch));
    }
}

#[test]
fn a_line_that_lacks_a_literal_is_turned_away_unread() {
    let regex = compiled("drop wan in: .* SRC=([0-9.]+) .* PROTO=UDP");
    assert!(regex.shortcuts.admit(b"drop wan in: x SRC=1 y PROTO=UDP"));
    assert!(!regex.shortcuts.admit(b"drop wan in: x SRC=1 y PROTO=TCP"));
    assert!(!regex.shortcuts.admit(b"PROTO=UDP drop wan in: x SRC=1 y"));
    assert!(!regex.shortcuts.admit(b""));
}

#[test]
fn only_what_every_match_contains_is_sought_beforehand() {
    for (pattern, text) in [
        ("(?:foo)?bar", "bar"),
        ("foo|bar", "bar"),
        ("(?:foo){0}bar", "bar"),
        ("(?:foo)*bar", "bar"),
        ("(?:ab)+c", "ababc"),
        ("(?i)foo", "FOO"),
        ("foo(?:bar|x)baz", "fooxbaz"),
        ("fo{2}bar", "foobar"),
        ("foo{2}", "fooo"),
        ("(?:^|x)foo", "foo"),
        ("(?:^foo)?x", "ax"),
        ("(?:^a|b)c", "xbc"),
        ("(?:^a)*c", "xc"),
        ("(?m)^foo", "x\nfoo"),
        ("a^|b", "b"),
    ] {
        let regex = compiled(pattern);
        assert!(
            regex.is_match(text.as_bytes(), &mut Scratch::new()),
            "{pattern}"
        );
    }
}

#[test]
fn a_literal_is_found_wherever_it_stands() {
    let regex = compiled("needle");
    let mut scratch = Scratch::new();
    for before in 0..40 {
        for after in 0..20 {
            let mut text = vec![b'e'; before];
            text.extend(b"needle");
            text.extend(vec![b'n'; after]);
            let captures = regex.captures(&text, &mut scratch).expect("the needle");
            assert_eq!(captures.get(0), Some(before..before + 6));
            text.remove(before + 2);
            assert!(!regex.is_match(&text, &mut scratch));
        }
    }
}

#[test]
fn a_program_is_no_larger_than_it_must_be() {
    // Two ends of group 0 and the match come on top.
    assert_eq!(inst_count("abc"), 3 + 3);
    assert_eq!(inst_count("[a-z]+"), 3 + 2);
    assert_eq!(inst_count("(?:a+b)+"), 3 + 4);
    assert_eq!(inst_count("(?:abc|xbc)"), 3 + 5);
    assert_eq!(compiled(r"[0-9]\d[0-9]").program.sets.len(), 1);
}

#[test]
fn an_error_points_at_its_byte() {
    for (pattern, at) in [
        ("drop wan in: .* SRC=([0-9.]+ .* PROTO=UDP", 20),
        ("ü(", 2),
        ("a)b", 1),
        ("a[b", 1),
        ("[z-a]", 1),
        ("a**", 2),
        ("a|*", 2),
        (r"\d\q", 2),
        ("a{3,2}", 2),
        ("a++", 2),
        ("a(?i)", 1),
        ("(?P<x>a)(?P<x>b)", 12),
        ("[aü]", 2),
        ("(?iz)", 3),
    ] {
        assert_eq!(refusal(pattern).0, at, "{pattern}");
    }
}

#[test]
fn what_is_not_supported_is_called_by_its_name() {
    for (pattern, name) in [
        (r"(a)\1", "backreference"),
        ("(?P<x>a)(?P=x)", "backreference"),
        ("(?=a)", "look-ahead"),
        ("(?!a)", "look-ahead"),
        ("(?<=a)", "look-behind"),
        ("(?<!a)", "look-behind"),
        ("(a)?(?(1)b|c)", "conditional"),
        ("(?>a)", "atomic"),
        ("a*+", "possessive"),
        ("(?x)a", "verbose"),
        (r"\N{BULLET}", "named characters"),
        (r"\p{L}", "properties"),
        ("(?a:b)", "flags a and u"),
        ("[ü]", "ASCII"),
        ("(?i)ü", "ignore case"),
        ("a{1000}", "too large"),
    ] {
        let (_, message) = refusal(pattern);
        assert!(message.contains(name), "{pattern}: {message}");
    }
}
