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
        Err(error) => (error.at, std::str::from_utf8(error.message).expect("ASCII")),
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
    assert_eq!(regex.group_named(b"src"), Some(1));
    assert_eq!(regex.group_named(b"port"), Some(3));
    assert_eq!(regex.group_named(b"sr"), None);
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
fn nothing_is_said_about_what_was_cut_off() {
    let mut scratch = Scratch::new();
    for (pattern, bytes) in [
        ("b$", "ab"),
        (r"b\Z", "ab"),
        ("(?m)b$", "ab"),
        (r"b\b", "ab"),
        (r" \B", "a "),
        ("b$", "ab\n"),
        ("b*$|z", "ab"),
        ("", "ab"),
        ("b", "ab"),
        ("(?m)b$", "ab\na"),
        (r"\bab", "ab"),
    ] {
        let regex = compiled(pattern);
        let whole = Text::from(bytes);
        let cut = Text {
            is_cut: true,
            ..whole
        };
        let says_end = bytes != "ab\na" && pattern.contains(['$', 'Z', 'B']) || pattern == r"b\b";
        for regex in [compiled(pattern).without_shortcuts(), regex] {
            assert!(regex.is_match(whole, &mut scratch), "{pattern}");
            assert_eq!(regex.is_match(cut, &mut scratch), !says_end, "{pattern}");
        }
    }
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
        let matches = regex.is_match(text.as_bytes(), &mut Scratch::new());
        assert!(matches, "{pattern}");
        for literal in regex.literals() {
            let literal = std::str::from_utf8(literal).expect("ASCII");
            assert!(text.contains(literal), "{pattern}: {literal}");
        }
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
fn a_literal_is_found_from_either_end_and_only_between_the_bounds() {
    let needle = seek::Literal::new(b"aba".to_vec());
    for length in 0..28 {
        for pattern in 0..16u64 {
            let bit = |index: usize| pattern.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> index & 1;
            let text: Vec<u8> = (0..length)
                .map(|index| b"ab"[bit(index) as usize])
                .collect();
            let is_there = |place: &usize| text[*place..].starts_with(b"aba");
            for from in 0..=length {
                assert_eq!(needle.first(&text, from), (from..length).find(is_there));
                for to in from..=length + 1 {
                    let mut places = (from..=to.min(length)).filter(is_there);
                    assert_eq!(needle.last(&text, from, to), places.next_back());
                }
            }
        }
    }
}

#[test]
fn a_literal_is_in_a_line_wherever_others_like_it_stand() {
    let patterns = ["(.) DPT=12", "(.) DPT=13", "(.)xyz", "(.) DPT=1"].map(compiled);
    for count in 0..20 {
        for end in ["", " DPT=12", " DPT=13", "xyz"] {
            let line = [&" DPT=4".repeat(count), end].concat();
            let mut places = seek::Places::default();
            for regex in &patterns {
                let literal = &regex.pattern()[3..];
                let may_match = regex.may_match(line.as_bytes(), &mut places);
                assert_eq!(may_match, line.contains(literal), "{literal} in {line}");
            }
        }
    }
}

#[test]
fn a_search_that_takes_too_many_steps_begins_again_the_sure_way() {
    let mut scratch = Scratch::new();
    let text = [b"a".repeat(300), b"!".to_vec()].concat();
    for (pattern, matches) in [
        (".*a.*a.*a.*a.*a.*b", false),
        ("(a+).*?(a+).*?(a+).*?(a+)x", false),
        ("(?:a*)a*a*a*a*a*[^a]$", true),
        ("(?:a|a)*[^a!]", false),
    ] {
        let regex = compiled(pattern);
        let quick = scratch.attempt(&regex.program, (&text).into(), 0, 10_000);
        assert!(matches || quick.is_none(), "{pattern}");
        assert_eq!(regex.is_match(&text, &mut scratch), matches, "{pattern}");
    }
}

/// Patterns, and a sieve in which each has its index for a number.
fn sieved(patterns: &[&str]) -> (Vec<Regex>, Sieve) {
    let regexes: Vec<Regex> = patterns.iter().map(|pattern| compiled(pattern)).collect();
    let patterns: Vec<(u16, &Regex)> = (0..).zip(&regexes).collect();
    let sieve = Sieve::new(&patterns);
    (regexes, sieve)
}

fn assert_sifted(patterns: &[&str], line: &str, expected: &[u16]) {
    let (_, mut sieve) = sieved(patterns);
    assert_eq!(sieve.sift(Text::from(line)), expected, "{line}");
}

#[test]
fn an_address_is_taken_the_sure_way_too() {
    let mut scratch = Scratch::new();
    for (pattern, text) in [
        ("from <HOST> port", "from 192.0.2.1 port"),
        ("from <HOST>:?(.*)", "x from [2001:db8::1]:22"),
        ("(?:a?<HOST>,?)* ([0-9]+)", "192.0.2.1,2001:db8::1:22 7"),
        ("(?:(?:<HOST>)?[ .]?)*$", "192.0.2.1 fe80::1%eth0 ::1."),
        ("<HOST>:(x)?", "2001:db8::1:22"),
        (".*?<HOST>$", "1.2.3 1.2.3.4.5 1.2.3.4"),
        ("<HOST>", "none 1.2.3"),
    ] {
        // Longer than the walk back to the beginning.
        let padded = [text, &" ".repeat(3), &"x".repeat(80), " ", text].concat();
        let (quick, sure) = (compiled(pattern), compiled(pattern).without_shortcuts());
        for text in [text, &padded] {
            let quick = quick
                .captures(text, &mut scratch)
                .map(|found| found.slots.to_vec());
            let sure = sure
                .captures(text, &mut scratch)
                .map(|found| found.slots.to_vec());
            assert_eq!(quick, sure, "{pattern} on {text}");
            let (_, mut sieve) = sieved(&[pattern, "(x)never"]);
            assert!(
                quick.is_none() || sieve.sift(Text::from(text)).contains(&0),
                "{pattern}"
            );
        }
    }
}

#[test]
fn a_sieve_lets_every_match_through_and_little_else() {
    let patterns = [
        "drop wan in: .* PROTO=UDP",
        "Bad password .* from ([0-9.]+)",
        "([0-9.]+) qitox",
        "(?i)refused CONNECT from",
        r"(\d\d?):(?:warn|error|alert)\b",
        r"^(\S+) [a-z]+$",
        "^kernel: ([a-z])",
        "()x?",
        "Bad password .* from ([0-9.]+)",
        r"(\d+)z\d{20}",
    ];
    for (line, expected) in [
        ("nothing", &[7][..]),
        ("drop wan in: PROTO=UDP", &[0, 7]),
        ("Bad password for x from 1", &[1, 7, 8]),
        ("1.2 qitox", &[2, 5, 7]),
        ("x 1.2 qitox", &[2, 7]),
        ("refused connect FROM", &[3, 7]),
        ("12:error: no", &[4, 5, 7]),
        ("kernel: x Y", &[6, 7]),
        ("a kernel: x", &[7]),
        ("1.2.3.4 ab", &[5, 7]),
        ("1.2.3.4 ab\n", &[5, 7]),
        ("1z1", &[7]),
        ("1z12345678", &[7, 9]),
        ("", &[7]),
    ] {
        assert_sifted(&patterns, line, expected);
    }
}

#[test]
fn a_literal_is_found_wherever_it_stands_and_however_long_the_line() {
    let (regexes, mut sieve) = sieved(&["needle one", "needle two", "x=(.)"]);
    for before in 0..40 {
        let line = [
            "e".repeat(before),
            "needle two".into(),
            "n".repeat(40 - before),
        ]
        .concat();
        assert_eq!(sieve.next(line.as_bytes()), Some(0));
        assert_eq!(sieve.sift(Text::from(&line)), [1]);
        assert!(regexes[1].is_match(&line, &mut Scratch::new()));
    }
}

#[test]
fn one_literal_of_all_patterns_is_sought_in_whole_buffers() {
    let (_, mut sieve) = sieved(&["(.) PROTO=UDP", "x (.*) PROTO=UDP"]);
    assert_eq!(sieve.next(b"one\ntwo PROTO=TCP\n"), None);
    assert_eq!(sieve.next(b"one\nx PROTO=UDP\n"), Some(5));
    assert_eq!(sieve.sift(Text::from("x PROTO=UDP")), [0, 1]);
    // What they have in common may be a part of another.
    let (_, sieve) = sieved(&["wan in: (.) PROTO=UDP", "a wan in: (.)", "^(.)wan in:x"]);
    assert_eq!(sieve.common(), Some(&b"wan in:"[..]));
    assert_eq!(sieve.next(b"lan in : PROTO=UDP\nwan in:\n"), Some(19));
}

#[test]
fn a_few_patterns_are_told_apart_by_their_literals_and_more_as_well() {
    let patterns: Vec<String> = (10..60).map(|n| format!("knock: .*port={n}(.)")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    for count in 2..50 {
        let (_, mut sieve) = sieved(&patterns[..count]);
        assert_eq!(sieve.next(b"port=10"), None);
        for number in 0..count as u16 {
            let line = format!("knock: port={} ", number + 10);
            assert_eq!(sieve.sift(Text::from(&line)), [number]);
        }
        assert_eq!(sieve.sift(Text::from("knock: ")), [0; 0]);
    }
}

#[test]
fn a_rule_that_has_a_filter_twice_is_named_once() {
    let regexes = ["knock (.)", "x(.)"].map(compiled);
    let [knock, other] = &regexes;
    for patterns in [
        &[(3, knock), (3, knock)][..],
        &[(3, knock), (3, other), (3, knock)],
    ] {
        assert_eq!(Sieve::new(patterns).sift(Text::from("knock xy")), [3]);
    }
}

#[test]
fn a_line_that_was_cut_has_no_end() {
    let (_, mut sieve) = sieved(&[r"(\d+)$", r"(\d+)[ab]c?"]);
    let whole = Text::from("ab 12");
    assert_eq!(sieve.sift(whole), [0]);
    assert_eq!(
        sieve.sift(Text {
            is_cut: true,
            ..whole
        }),
        [0; 0]
    );
}

#[test]
fn a_thousand_patterns_are_told_apart() {
    let patterns: Vec<String> = (0..1000).map(|n| format!("port {n}: ([a-z]+)$")).collect();
    let (_, mut sieve) = sieved(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
    for number in 0..1000 {
        let line = format!("knock at port {number}: yes");
        assert_eq!(sieve.sift(Text::from(&line)), [number]);
    }
}

#[test]
fn a_sieve_whose_memory_is_too_small_for_a_line_lets_all_through() {
    let patterns: Vec<String> = (0..120)
        .map(|n| format!("(a)[ab]{{{}}}{}[ab]*[^ab]", n % 8, "[ab]".repeat(n)))
        .collect();
    let (_, mut sieve) = sieved(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
    let mixed = |index: u32| b"ab"[(index.wrapping_mul(2_654_435_761) >> 16 & 1) as usize];
    let line: Vec<u8> = (0..8192).map(mixed).collect();
    assert_eq!(sieve.sift(Text::from(&line)).len(), 120);
    // The next line finds it in order.
    assert_eq!(sieve.sift(Text::from("c")), [0; 0]);
    assert_eq!(sieve.sift(Text::from("ac")), [0]);
}

#[test]
fn a_program_is_no_larger_than_it_must_be() {
    // The end of the match comes on top.
    assert_eq!(inst_count("abc"), 1 + 1);
    assert_eq!(inst_count("[a-z]+"), 1 + 2);
    assert_eq!(inst_count("(?:a+b)+"), 1 + 4);
    assert_eq!(inst_count("(?:abc|xbc)"), 1 + 3);
    assert_eq!(inst_count("(?:a*)*"), 1 + 4);
    assert_eq!(compiled(r".[0-9]\d[0-9].").program.sets.len(), 2);
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
        ("a{2000}", "too large"),
    ] {
        let (_, message) = refusal(pattern);
        assert!(message.contains(name), "{pattern}: {message}");
    }
}

#[test]
fn a_pattern_that_can_begin_with_anything_is_told_from_one_that_cannot() {
    for firm in [
        "^a",
        r"\A.*a",
        "(?m)^(.*)",
        "drop .*",
        "(a)b*",
        "(?i)drop",
        "(?:sshd|^dropbear)",
        r"\bdrop",
        "a+",
        "[-=]x",
    ] {
        assert!(compiled(firm).begins_firmly(), "{firm}");
    }
    for loose in [
        ".*drop",
        r"(\S+) ",
        r"\bS*",
        "a?drop",
        "(?:a|)drop",
        "(?:sshd|.*bear)",
        r"\d+",
        "[a-z]x",
        "$",
        "",
        "(a|b*)c",
    ] {
        assert!(!compiled(loose).begins_firmly(), "{loose}");
    }
}

#[test]
fn a_pattern_that_no_line_can_match_is_told_and_no_other() {
    for never in [
        "^ a",
        "^\ta",
        r"^\sa",
        r"^\s+a",
        r"\A a",
        "(?i)^ a",
        "a $",
        "a\t$",
        r"a\s$",
        r"a\s+$",
        r"a\ \Z",
        "a +$",
        r"a\\ $",
        "(?:^ |a\n)x",
        "(a $){2}",
        r"a\n",
        "a[\n]b",
        "a$b",
        "b^a",
        "(?:a|b$)^c",
        "a$.",
        r"x+\Ay",
        "(x$|y$)z",
    ] {
        assert!(!compiled(never).fits_lines(false), "{never:?}");
    }
    for fine in [
        " a ",
        "^ *a",
        "^ ?a",
        r"^\s*a",
        "^ {0,1}a",
        "a *$",
        "(?:^ |x)a",
        "as$",
        r"a\\s$",
        r"\bs$",
        "$",
        "^",
        "",
        "^$",
        r"a\S$",
        "(?P<n> )",
        r"a \$",
        "(?:^|,)a(?:,|$)",
        "(?:^|,a){2,}",
        "(?:a|$)*",
        "^.*$",
        r"a[^b]\n?",
        "x?^a",
        "a$b*",
        "<HOST>$",
        "^<HOST>",
        "a{0}^b",
        r"(?m)^a$",
        r"\s\S",
        "( |^)(a|$)",
    ] {
        assert!(compiled(fine).fits_lines(false), "{fine:?}");
    }
    // What only a record of the kernel's can be.
    for record in [r"a\n", "(?m)a$\nb", r"(?m)a\n^b"] {
        let pattern = compiled(record);
        assert!(
            !pattern.fits_lines(false) && pattern.fits_lines(true),
            "{record:?}"
        );
    }
    assert!(!compiled("a$b").fits_lines(true));
}

#[test]
fn a_part_that_is_too_large_leaves_nothing_behind() {
    let (node, _) = parse::parse(b"[a-z]\\d{9}".repeat(60).as_slice()).expect("a pattern");
    let mut compiler = compile::Compiler::new(true);
    assert_eq!(compiler.add(&[&node], 0), None);
    let program = compiler.program;
    let left = (program.insts.len(), program.sets.len(), program.states);
    assert_eq!(left, (0, 1, 0));
}
