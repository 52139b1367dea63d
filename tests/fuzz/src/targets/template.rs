//! Commands: a value never adds a word, never chooses the program or a shell's text, and a command shown for a shell
//! is that command.
//!
//! An input is a command, a byte that no UTF-8 has, and values divided by the same byte.

use super::{hex, no_remark, texts};
use crate::hunt::Target;
use logknockd::commands::template::{Command, MAX_VALUE, Values, printable, put_shell_words};
use logknockd::regex::Regex;
use logknockd::text::{program, words};
use std::sync::LazyLock;

pub const TARGET: Target = Target {
    name: "template",
    seeds,
    words: &[
        "{0}",
        "{1}",
        "{2}",
        "{}",
        "{key}",
        "{rule}",
        "{name}",
        "{{",
        "}}",
        "{",
        "}",
        "'",
        "\"",
        "\\",
        " ",
        "\\\n",
        "sh ",
        "-c ",
        "/bin/sh ",
        "busybox ",
        "env ",
        "-o ",
        "--",
        "--rcfile ",
        "su ",
        "flock ",
        "timeout ",
        "watch ",
        "eval ",
        "$1",
        "{0!r}",
        "{0:d}",
        "\u{fc}",
        "\u{2028}",
        "\0",
    ],
    check,
    verdict: Some(verdict),
    remark: no_remark,
};

/// What the last step may be.
static STEPS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    ["x", "(a)", "(a)(?P<name>b)(c)", "(?P<key>a)(b)"].map(|pattern| {
        let Ok(regex) = Regex::new(pattern) else {
            panic!("{pattern}");
        };
        regex
    })
});

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = texts(&[
        "uci set firewall.knock_ssh.src_ip={0}",
        "nft add element inet fw4 knock_ssh '{{ {key} }}'",
        "nft add element inet fw4 knock_ssh{family} '{{ {key} }}'",
        "sh -c 'echo \"$1\" >> /var/log/doors' sh {key} {name}{2}",
        "busybox sh -ec \"x $1\" {0} \\{{ \\\\ '' \"\\\"\"",
        "a {} {} '{}'",
        "env X={0} bash -o pipefail -c 'x' {rule}",
        "a\\\nb {1}{1}",
        "sudo -u x timeout -k 1 5 logger {0}",
        "su root -c 'eval x; y \"$1\"' sh {0}",
        "start-stop-daemon -S -x /bin/sh -- /etc/open {0}",
    ]);
    for seed in &mut seeds {
        seed.extend(b"\xff198.51.100.7\xff$(reboot)\xff'; \" \\");
    }
    seeds
}

struct Case<'i> {
    line: &'i str,
    groups: Vec<Vec<u8>>,
}

impl<'i> Case<'i> {
    fn read(input: &'i [u8]) -> Option<Case<'i>> {
        let mut parts = input.split(|&byte| byte == 0xff);
        let line = str::from_utf8(parts.next()?).ok()?;
        let mut groups: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
        groups.resize(4, b"v".to_vec());
        Some(Case { line, groups })
    }

    fn values(&self, groups: usize) -> Values<'_> {
        Values {
            rule: "a rule",
            key: &self.groups[3],
            family: b"4",
            groups: &self.groups[..groups],
        }
    }
}

fn check(input: &[u8]) {
    let Some(case) = Case::read(input) else {
        return;
    };
    let command = match Command::split(case.line) {
        Ok(command) => command,
        Err(error) => {
            assert!(case.line.is_char_boundary(error.at) && !error.message.is_empty());
            return;
        }
    };
    for step in STEPS.iter() {
        match command.check(Some(step)) {
            Ok(()) => check_filled(&case, step, &command),
            Err(error) => {
                assert!(case.line.is_char_boundary(error.at) && !error.message.is_empty())
            }
        }
    }
    let words = command.into_words();
    assert!(!program(&words).is_empty() && words.ends_with(&[0]));
    let words = split_up(&words);
    check_shown(&words);
    check_words(&case, &words);
}

fn check_filled(case: &Case, step: &Regex, command: &Command) {
    let Ok(again) = Command::split(case.line) else {
        panic!("split twice, refused once");
    };
    let written = split_up(&again.into_words());
    let values = case.values(step.group_count());
    let filled = command.fill(step, &values).map_err(|_| ());
    let mut next = 0;
    let expected = written
        .iter()
        .map(|word| format(word, step, &values, &mut next))
        .collect::<Option<Vec<Filled>>>();
    let expected = expected.expect("the placeholders were checked");
    let refused = expected
        .iter()
        .flat_map(|word| &word.values)
        .any(|value| value.len() > MAX_VALUE || !printable(value));
    match filled {
        Err(()) => assert!(refused, "refused without a reason"),
        Ok(words) => {
            assert!(!refused, "a value that must not be filled in");
            let texts: Vec<&Vec<u8>> = expected.iter().map(|word| &word.text).collect();
            assert_eq!(
                split_up(&words)
                    .iter()
                    .map(String::as_bytes)
                    .collect::<Vec<_>>(),
                texts
            );
        }
    }
    let is_constant = |index: usize| {
        expected
            .get(index)
            .is_none_or(|word| word.values.is_empty())
    };
    assert!(is_constant(0), "a value in the program's name");
    for (at, pair) in written.windows(2).enumerate() {
        let shell = pair[0].rsplit('/').next().unwrap_or_default();
        if ["sh", "ash", "bash", "dash", "rbash", "zsh"].contains(&shell) && pair[1] == "-c" {
            assert!(
                is_constant(at) && is_constant(at + 1) && is_constant(at + 2),
                "a value in the shell's text"
            );
        }
    }
}

/// Each word of a command by itself.
fn split_up(command: &[u8]) -> Vec<String> {
    let own = |word: &[u8]| String::from_utf8(word.to_vec()).expect("a command is UTF-8");
    words(command).map(own).collect()
}

/// A word with its values, and those.
struct Filled {
    text: Vec<u8>,
    values: Vec<Vec<u8>>,
}

/// The same in a simpler way; `next` is the number of the next placeholder without one. None if it has no value.
fn format(word: &str, step: &Regex, values: &Values, next: &mut usize) -> Option<Filled> {
    let mut filled = Filled {
        text: Vec::new(),
        values: Vec::new(),
    };
    let bytes = word.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let brace = matches!(byte, b'{' | b'}');
        if !brace || bytes.get(at + 1) == Some(&byte) {
            filled.text.push(byte);
            at += 1 + usize::from(brace);
            continue;
        }
        let end = at + bytes[at..].iter().position(|&byte| byte == b'}')?;
        let value = match &word[at + 1..end] {
            "" => {
                *next += 1;
                values.groups.get(*next - 1)?
            }
            "key" => values.key,
            "rule" => values.rule.as_bytes(),
            "family" => values.family,
            written => match written.parse::<usize>() {
                Ok(number) => values.groups.get(number)?,
                Err(_) => values
                    .groups
                    .get(step.group_named(written.as_bytes())? - 1)?,
            },
        };
        filled.text.extend(value);
        filled.values.push(value.to_vec());
        at = end + 1;
    }
    Some(filled)
}

/// What is shown for a shell to run is what is run.
fn check_shown(words: &[String]) {
    if !words.iter().all(|word| printable(word.as_bytes())) {
        return;
    }
    let mut shown = Vec::new();
    let joined: Vec<u8> = words
        .iter()
        .flat_map(|word| [word.as_bytes(), &[0]].concat())
        .collect();
    put_shell_words(&joined, &mut shown);
    let shown = String::from_utf8(shown).expect("printable words");
    let Ok(command) = Command::split(&shown) else {
        panic!("{shown:?} is no command");
    };
    assert_eq!(split_up(&command.into_words()), words, "{shown}");
}

/// Words given one by one are the words.
fn check_words(case: &Case, words: &[String]) {
    let Ok(command) = Command::from_words(words) else {
        panic!("words of a command are none");
    };
    let Ok(split) = Command::split(case.line) else {
        panic!("split twice, refused once");
    };
    for step in STEPS.iter() {
        match (command.check(Some(step)), split.check(Some(step))) {
            (Err(one), Err(other)) => {
                assert_eq!(one.message, other.message);
                assert!(words[one.word].is_char_boundary(one.at));
            }
            (one, other) => assert_eq!(one.is_ok(), other.is_ok()),
        }
    }
    assert_eq!(split_up(&command.into_words()), words);
}

fn verdict(input: &[u8]) -> String {
    let Some(case) = Case::read(input) else {
        return "?".into();
    };
    let Ok(command) = Command::split(case.line) else {
        return "!".into();
    };
    let step = &STEPS[2];
    let filled = match command.check(Some(step)) {
        Ok(()) => command.fill(step, &case.values(3)).map_err(drop),
        Err(_) => Err(()),
    };
    let list = |words: &[Vec<u8>]| {
        words
            .iter()
            .map(|word| hex(word))
            .collect::<Vec<_>>()
            .join(",")
    };
    let own = |flat: &[u8]| words(flat).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let split = own(&command.into_words());
    format!(
        "{};{};{}",
        list(&split),
        list(&case.groups),
        filled.map_or("!".into(), |filled| list(&own(&filled)))
    )
}
