//! How commands are split, what may stand where, and what is filled in.

use super::*;
use crate::commands::guard::{EVAL, PROGRAM, SHELL};
use std::format;

const HOSTILE: &str = "x'; reboot #\" $(reboot) `reboot` \\";

fn split(line: &str) -> Vec<String> {
    match Command::split(line) {
        Ok(command) => texts(&command.into_words()),
        Err(error) => panic!("{line}: {error:?}"),
    }
}

fn texts(command: &[u8]) -> Vec<String> {
    words(command)
        .map(|word| String::from_utf8(word.into()).unwrap())
        .collect()
}

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).ok().unwrap()
}

/// A step with the groups 0, 1 (`port`) and 2.
fn step() -> Regex {
    pattern(r"SRC=([0-9.]+) (?P<port>\d+)( x)?")
}

/// A command that is right for it.
fn template(line: &str) -> Result<Command, Error> {
    let command = Command::split(line)?;
    command.check(None)?;
    command.check(Some(&step()))?;
    Ok(command)
}

fn filled(line: &str) -> Vec<String> {
    let template = match template(line) {
        Ok(template) => template,
        Err(error) => panic!("{line}: {error:?}"),
    };
    let groups = [b"192.0.2.1".to_vec(), HOSTILE.into(), Vec::new()];
    let values = Values {
        rule: "my rule",
        key: b"k y",
        family: b"4",
        groups: &groups,
    };
    let words = template
        .fill(&step(), &values)
        .expect("the tests' values are printable");
    texts(&words)
}

fn message<T>(result: Result<T, Error>) -> (usize, String) {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => (error.at, String::from_utf8(error.message).unwrap()),
    }
}

#[test]
fn words_are_split_as_a_shell_splits_them() {
    let cases: [(&str, &[&str]); 19] = [
        ("uci commit", &["uci", "commit"]),
        ("  a \t b\r\n c  ", &["a", "b", "c"]),
        ("a 'b c' d", &["a", "b c", "d"]),
        ("a \"b c\" d", &["a", "b c", "d"]),
        ("a b\\ c", &["a", "b c"]),
        ("a '' \"\"", &["a", "", ""]),
        ("a x''y\"\"z", &["a", "xyz"]),
        ("a'b'\"c\"\\d", &["abcd"]),
        (r"a 'b\c' '\'", &["a", r"b\c", r"\"]),
        (r#"a "\a\$\`\"\\" \a"#, &["a", r#"\a$`"\"#, "a"]),
        ("a \"b\\\nc\" d\\\ne \\\n f", &["a", "bc", "de", "f"]),
        ("a 'b\nc'", &["a", "b\nc"]),
        ("a '\"' \"'\"", &["a", "\"", "'"]),
        (
            "a \\$HOME x$ x$'y' \\`x' `' '|' x?a=1&b *.c ~ # \\; ! a;b 4%IP 2'>'x",
            &[
                "a", "$HOME", "x$", "x$y", "`x `", "|", "x?a=1&b", "*.c", "~", "#", ";", "!",
                "a;b", "4%IP", "2>x",
            ],
        ),
        (
            "nft add chain x {{ a; b ; }}",
            &["nft", "add", "chain", "x", "{{", "a;", "b", ";", "}}"],
        ),
        (
            "/usr/bin/find x -exec y {{}} ;",
            &["/usr/bin/find", "x", "-exec", "y", "{{}}", ";"],
        ),
        ("für 'ü b'\\ü", &["für", "ü bü"]),
        ("a {0} {{", &["a", "{0}", "{{"]),
        ("\u{a0}a", &["\u{a0}a"]),
    ];
    for (line, words) in cases {
        assert_eq!(split(line), words, "{line}");
    }
}

#[test]
fn what_cannot_be_split_is_refused_at_its_byte() {
    let cases = [
        ("", 0, NO_COMMAND),
        (" \t", 0, NO_COMMAND),
        ("\\\n", 0, NO_COMMAND),
        ("'' a", 0, NO_PROGRAM),
        ("a 'b", 2, UNTERMINATED),
        ("a | b", 2, NO_SHELL),
        ("a && b", 2, NO_SHELL),
        ("a >b", 2, NO_SHELL),
        ("a 2>/dev/null", 3, NO_SHELL),
        ("a b$HOME", 3, NO_SHELL),
        ("a $(b)", 2, NO_SHELL),
        ("a b$(c)", 3, NO_SHELL),
        ("a `b`", 2, NO_SHELL),
        ("a b`c`", 3, NO_SHELL),
        ("a b; c", 3, SEMICOLON),
        ("a b ; c", 4, SEMICOLON),
        ("a b ;c", 4, SEMICOLON),
        ("a {key};", 7, SEMICOLON),
        ("a -s %IP% b", 5, KNOCKD),
        ("a -s=%IP% b", 5, KNOCKD),
        ("a <ip>", 2, FAIL2BAN),
        ("a x=<ip>", 4, FAIL2BAN),
        ("ü $x", 3, NO_SHELL),
        ("ü \"b c'", 3, UNTERMINATED),
        ("a \"b\\\"", 2, UNTERMINATED),
        ("a b\\", 3, DANGLING_BACKSLASH),
        ("a \"b\\", 2, UNTERMINATED),
        ("a 'b c'\0", 7, NUL),
    ];
    for (line, at, expected) in cases {
        assert_eq!(message(template(line)), (at, expected.into()), "{line}");
    }
}

#[test]
fn given_words_are_taken_as_they_are_and_errors_name_the_word() {
    let words = ["a b", "'c'", "", "\\"].map(String::from);
    assert_eq!(
        texts(&Command::from_words(&words).ok().unwrap().into_words()),
        words
    );
    let cases: [(&[&str], usize, usize, &str); 5] = [
        (&[], 0, 0, NO_COMMAND),
        (&["", "a"], 0, 0, NO_PROGRAM),
        (&["a", "b", "c\0"], 2, 1, NUL),
        (&["a", "b", "c {x!r}"], 2, 4, NOT_PLAIN),
        (&["a", "b", "ü{"], 2, 2, UNCLOSED),
    ];
    for (words, word, at, expected) in cases {
        let words: Vec<String> = words.iter().map(|word| String::from(*word)).collect();
        let result = Command::from_words(&words).and_then(|command| command.check(None));
        let expected = error(word, at, expected);
        assert_eq!(result.err(), Some(expected), "{words:?}");
    }
}

#[test]
fn placeholders_are_those_of_python() {
    let cases: [(&str, &[&str]); 10] = [
        (
            "uci set x.src_ip={0}",
            &["uci", "set", "x.src_ip=192.0.2.1"],
        ),
        ("a {0} {0}{0}", &["a", "192.0.2.1", "192.0.2.1192.0.2.1"]),
        ("a x<{2}>", &["a", "x<>"]),
        ("a {00}", &["a", "192.0.2.1"]),
        (
            "a {} x<{}{}>",
            &["a", "192.0.2.1", &format!("x<{HOSTILE}>")],
        ),
        ("a {key} {rule}", &["a", "k y", "my rule"]),
        ("a {} {key}", &["a", "192.0.2.1", "k y"]),
        (
            "a {{ {0} }} {{{0}}} {{0}}",
            &["a", "{", "192.0.2.1", "}", "{192.0.2.1}", "{0}"],
        ),
        ("a ü{{ü}}ü{0}ü", &["a", "ü{ü}ü192.0.2.1ü"]),
        ("a '{'0}", &["a", "192.0.2.1"]),
    ];
    for (line, words) in cases {
        assert_eq!(filled(line), words, "{line}");
    }
}

#[test]
fn a_captured_value_never_adds_or_splits_a_word() {
    for line in ["a {port} b", "a \"{port}\" b", "a '{1}' b", "a {1} b"] {
        assert_eq!(filled(line), ["a", HOSTILE, "b"], "{line}");
    }
    assert_eq!(filled("a {2} b"), ["a", "", "b"]);
}

#[test]
fn a_bad_placeholder_is_refused_at_its_byte() {
    let cases = [
        ("a {0:>5}", 4, NOT_PLAIN),
        ("a {0!r}", 4, NOT_PLAIN),
        ("a {0.x}", 4, NOT_PLAIN),
        ("a {port[0]}", 7, NOT_PLAIN),
        ("a '{ {0} }'", 5, NESTED),
        ("a 'x }'", 5, STRAY_BRACE),
        ("a {0}}", 5, STRAY_BRACE),
        ("nft add element inet fw4 k { {0} }", 27, UNCLOSED),
        ("a \"ü\\\"\" x{", 10, UNCLOSED),
        ("a {} {0}", 5, &format!("{{0}}{MIXED}")),
        ("a {0} {}", 6, &format!("{{}}{MIXED}")),
        ("a {3}", 2, &format!("{{3}}{NO_GROUP}")),
        (
            "a {9999999999999999999}",
            2,
            &format!("{{9999999999999999999}}{NO_GROUP}"),
        ),
        ("a {}{}{}{}", 8, &format!("{{}}{NO_GROUP}")),
        ("a {prot}", 2, &format!("{{prot}}{UNKNOWN}")),
        ("a {-1}", 2, &format!("{{-1}}{UNKNOWN}")),
        ("a '{ 0 }'", 3, &format!("{{ 0 }}{UNKNOWN}")),
        ("{0} a", 0, PROGRAM),
        ("/bin/{0}", 5, PROGRAM),
    ];
    for (line, at, expected) in cases {
        assert_eq!(message(template(line)), (at, expected.into()), "{line}");
    }
}

#[test]
fn an_index_error_says_where_counting_begins() {
    let command = Command::split("a {1}").ok().unwrap();
    let cases = [
        (
            "x",
            "{1}: the last step has no groups (the filter's is {key})",
        ),
        (
            "(x)",
            "{1}: the last step has no group of that number (its first is {0})",
        ),
    ];
    for (step, expected) in cases {
        assert_eq!(message(command.check(Some(&pattern(step)))).1, expected);
    }
    assert!(command.check(Some(&pattern("(x)(y)"))).is_ok());
}

#[test]
fn a_group_cannot_take_the_name_of_the_key_or_the_rule() {
    for name in ["key", "rule"] {
        let command = Command::split(&format!("a {{{name}}}")).ok().unwrap();
        let step = pattern(&format!("(?P<{name}>x)"));
        let found = message(command.check(Some(&step)));
        assert_eq!(found, (2, format!("{{{name}}}{AMBIGUOUS}")));
    }
}

#[test]
fn no_placeholder_stands_where_a_shell_reads_its_program() {
    let refused = [
        "sh -c '{0}'",
        "sh -c 'echo {key}' sh x",
        "/bin/sh -c {0}",
        "./ash -ec {0}",
        "bash -e -c {0}",
        "bash --norc -c {0}",
        "bash --rcfile x -c {0}",
        "bash -O extglob -c {0}",
        "dash -o pipefail -c {0}",
        "sh -eo pipefail -c {0}",
        "sh -c -- {0}",
        "sh -c - {0}",
        "sh +x -c {0}",
        "sh -c -{0} x",
        "sh {0}",
        "sh /etc/{0}",
        "sh -- {0}",
        "busybox sh -c {0}",
        "env A=1 /bin/sh -c {0}",
        "timeout 5 sh -c {0}",
        "nice {0}/sh -c true",
        "busybox sh {0}",
        "env SHELL=/bin/sh sh -c {0}",
        "env SHELL=/bin/bash bash -c {0}",
        "env bash -T -c {0}",
        "flock /tmp/bash sh -c {0}",
        "sudo -u sh sh -c {0}",
        "sudo sh {0}",
        "su -s /bin/sh root -- -c {0}",
        "runuser -u root -- sh -c {0}",
        "start-stop-daemon -S -x /bin/sh -- -c {0}",
        "start-stop-daemon --start --exec=/bin/sh -- {0}",
        "start-stop-daemon -S -n kn -a /bin/sh -- -c {0}",
        "zsh --emulate sh -c {0}",
        "mksh -T /dev/null -c {0}",
        "rbash -c {0}",
        "bash-static -c {0}",
        "ksh93 -c {0}",
        "/bin/zsh-5.9 -c {0}",
        "lksh -c {0}",
        "yash -c {0}",
        "posh -c {0}",
        "fish -c {0}",
        "fish -C {0} x",
        "fish --init-command={0} x",
        "csh -c {0}",
        "tcsh -c {0}",
        "xargs -a /dev/null sh -c {0}",
        "bash -oc errexit {0}",
        "bash -cO extglob {0}",
        "setsid -w sh -c {0}",
        "unshare -m -- sh -c {0}",
        "nsenter -t 1 -m sh -c {0}",
        "ip netns exec sh sh -c {0}",
        "busybox env sh -c {0}",
        "firejail bash -c {0}",
        "watch -n1 -g {0}",
        "systemd-run su root -c {0}",
        "script /dev/null --command {0}",
        "script -qc {0} /dev/null",
        "runuser root -c {0}",
        "su - root --command={0}",
        "su root -c {0}",
        "su -c {0}",
        "flock /tmp/lock -c {0}",
        "watch echo x{0}",
    ];
    for line in refused {
        let at = line.find('{').unwrap();
        assert_eq!(message(template(line)), (at, SHELL.into()), "{line}");
    }
    let allowed = [
        "sh -c 'logger \"$1\"' sh {0}",
        "sh -c '${{1}}' {0}",
        "sh -ec x {0}",
        "sh /etc/open.sh {0}",
        "sh /etc/open.sh -c {0}",
        "sh -- /etc/open.sh -c {0}",
        "/opt/sh-tools -c {0}",
        "/etc/open.sh {0}",
        "sh -c 'eval \"$(date +A=%s)\"; logger \"$1\"' sh {0}",
        "sh -c 'eval \"$1\"; logger \"$LOGKNOCK_KEY\"' sh ls",
        "sh -c 'eval \"on_$LOGKNOCK_EVENT\"'",
        "sh -o pipefail -c x {0}",
        "logger -t sh {0}",
        "env A={0} sh -c 'echo \"$A\"'",
        "ssh -c {0}",
        "sh",
        "sh -c",
        "sh --",
        "sh --rcfile",
        "bash -O",
    ];
    for line in allowed {
        assert!(template(line).is_ok(), "{line}");
    }
}

#[test]
fn no_placeholder_chooses_what_another_program_runs() {
    let refused = [
        "env {0}",
        "env -i A=1 {0}",
        "env {0}=x logger",
        "env -S 'logger {0}'",
        "env '-Slogger {0}'",
        "env --split-string='logger {0}'",
        "busybox {0}",
        "busybox env nice {0}",
        "timeout 5 {0}",
        "timeout -k 2 5 {0}",
        "timeout --signal KILL 5 {0}",
        "nice -n 5 {0}",
        "sudo -u nobody {0}",
        "sudo -{0} x",
        "sudo --{0} x",
        "ip netns exec blue {0}",
        "flock -w 5 /tmp/lock {0}",
        "su -s {0} root",
        "start-stop-daemon -S -x {0}",
        "start-stop-daemon --start --startas {0}",
    ];
    for line in refused {
        let at = line.find('{').unwrap();
        assert_eq!(message(template(line)), (at, PROGRAM.into()), "{line}");
    }
    let allowed = [
        "env A={0} logger {1}",
        "env -i -u B logger {0}",
        "busybox logger {0}",
        "timeout 5 logger {0}",
        "timeout -s {0} 5 logger {1}",
        "nice -5 logger {0}",
        "nice -n5 logger {0}",
        "sudo -n logger {0}",
        "sudo -u nobody logger -c {0}",
        "doas -u nobody logger -s {0}",
        "ip netns exec blue ping -c 1 {0}",
        "ip route add blackhole {0}",
        "flock -n /tmp/lock logger -c {0}",
        "su root /etc/open {0}",
        "su root -c 'logger \"$1\"' sh {0}",
        "runuser -u nobody -- logger {0}",
        "start-stop-daemon -S -x /usr/sbin/opened -- -k {0}",
        "xargs -a /tmp/list -n 1 logger {0}",
        "stdbuf -oL logger {0}",
        "setsid -f logger {0}",
        "chrt -f 50 logger {0}",
        "logger -t watch {0}",
    ];
    for line in allowed {
        assert!(template(line).is_ok(), "{line}");
    }
}

#[test]
fn no_script_evaluates_a_value() {
    for line in [
        "sh -c 'eval \"$1\"' sh {0}",
        "env sh -c 'x; eval echo $@ ;y' sh {0}",
        "bash -c 'eval \"${{1}}\"' sh {0}",
    ] {
        let at = line.rfind('{').unwrap();
        assert_eq!(message(template(line)), (at, EVAL.into()), "{line}");
    }
    // The environment has it in every command.
    for line in [
        "sh -c 'eval \"logger $LOGKNOCK_KEY\"'",
        "env A=1 sh -c 'x; eval y ${{LOGKNOCK_KEY}}'",
        "su nobody -c 'eval $LOGKNOCK_KEY'",
    ] {
        assert_eq!(message(template(line)), (0, EVAL.into()), "{line}");
    }
}

#[test]
fn only_printable_values_of_bounded_length_are_filled_in() {
    let template = template("a {0}").ok().unwrap();
    let fill = |value: &[u8]| {
        let groups = [value.to_vec()];
        let values = Values {
            rule: "",
            key: b"",
            family: b"4",
            groups: &groups,
        };
        template.fill(&step(), &values)
    };
    let longest = "ü".repeat(127) + "x";
    for value in ["", "192.0.2.1", "für", "a b", "-", &longest] {
        assert_eq!(fill(value.as_bytes()), Ok(text!("a\0{}\0", value)));
    }
    let refused: [&[u8]; 12] = [
        b"\n",
        b"\0",
        b"a\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        "\u{85}".as_bytes(),
        "\u{2028}".as_bytes(),
        "\u{202e}x".as_bytes(),
        "\u{2066}".as_bytes(),
        "\u{200f}".as_bytes(),
    ];
    for value in refused {
        let refusal = text!("{0} is not printable UTF-8");
        assert_eq!(fill(value), Err(refusal), "{value:?}");
    }
    let refusal = text!("{0} is longer than 255 bytes");
    assert_eq!(fill(&b"x".repeat(MAX_VALUE + 1)), Err(refusal));
}

#[test]
fn the_key_and_the_rule_are_checked_like_groups() {
    let fill = |line, rule, key: &[u8]| {
        let values = Values {
            rule,
            key,
            family: b"4",
            groups: &[],
        };
        template(line).ok().unwrap().fill(&step(), &values).err()
    };
    assert_eq!(
        fill("a {key}", "", b"\n"),
        Some(text!("{key} is not printable UTF-8"))
    );
    assert_eq!(
        fill("a {rule}", "\n", b""),
        Some(text!("{rule} is not printable UTF-8"))
    );
    // What no placeholder asks for is nobody's business; a group that is not there is empty.
    assert_eq!(fill("a {0}", "\n", b"\n"), None);
}

#[test]
fn shown_words_can_be_pasted_into_a_shell() {
    let cases: [(&[&[u8]], &str); 8] = [
        (
            &[b"uci", b"set", b"a.b[0].c=192.0.2.1"],
            "uci set 'a.b[0].c=192.0.2.1'",
        ),
        (
            &[b"/bin/x", b"-a", b"k=v,w:@+_/.-"],
            "/bin/x -a k=v,w:@+_/.-",
        ),
        (&[b"A=1", b"A=1"], "'A=1' A=1"),
        (&[b"a", b"", b"b c", b"~", b"#"], "a '' 'b c' '~' '#'"),
        (
            &[b"a", b"it's", b"$(x) `y` \\ \""],
            "a 'it'\\''s' '$(x) `y` \\ \"'",
        ),
        (&[b"a", "für".as_bytes()], "a 'für'"),
        (&[b"a", b"x'\\\n\x1b\xff"], "a $'x\\'\\\\\\x0a\\x1b\\xff'"),
        (&[], ""),
    ];
    for (words, expected) in cases {
        let mut out = Vec::new();
        let command: Vec<u8> = words.iter().flat_map(|word| text!("{}\0", word)).collect();
        put_shell_words(&command, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn shown_words_split_into_themselves_again() {
    let words = [
        "a", "", "b c", HOSTILE, "'", "\"", "\\", "für", "{0}", "A=1",
    ];
    let mut out = Vec::new();
    let command: Vec<u8> = words.iter().flat_map(|word| text!("{}\0", word)).collect();
    put_shell_words(&command, &mut out);
    assert_eq!(split(&String::from_utf8(out).unwrap()), words);
}

#[test]
fn no_cut_or_changed_command_makes_the_parser_panic() {
    let line = r#"sh -o p -c '{{ü "$1"' "a\"{0}\\ü" {port} x\ {key} {} {0!r} --"#;
    for at in (0..=line.len()).filter(|at| line.is_char_boundary(*at)) {
        for put in ["", "'", "\"", "\\", "{", "}", "\0", "ü", " "] {
            for rest in [&line[at..], line.get(at + 1..).unwrap_or(""), ""] {
                let line = [&line[..at], put, rest].concat();
                if let Err(error) = template(&line) {
                    assert!(
                        error.at <= line.len() && line.is_char_boundary(error.at),
                        "{line}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_family_is_the_keys_and_a_key_without_one_is_refused_where_it_is_wanted() {
    let fill = |line, family: &[u8]| {
        let values = Values {
            rule: "r",
            key: b"k",
            family,
            groups: &[],
        };
        template(line).ok().unwrap().fill(&step(), &values)
    };
    assert_eq!(
        fill("nft add x{family} {key}", b"6"),
        Ok(text!("nft\0add\0x6\0k\0"))
    );
    assert_eq!(fill("a {key}", b""), Ok(text!("a\0k\0")));
    let refusal = text!("{family}: the key is no address");
    assert_eq!(fill("a {key} b{family}", b""), Err(refusal));
    let ambiguous = Regex::new("(?P<family>a)").ok().unwrap();
    let command = Command::split("a {family}").ok().unwrap();
    let (at, message) = message(command.check(Some(&ambiguous)));
    assert_eq!(at, 2);
    assert!(message.contains("is ambiguous"), "{message}");
}
