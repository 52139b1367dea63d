//! The loader of configurations: one that exists is valid, every error has its place inside the file, and comments
//! change nothing.

use super::no_remark;
use crate::hunt::Target;
use logknockd::backoff::NEVER;
use logknockd::commands::template::Values;
use logknockd::config::Config;
use logknockd::config::diagnostic::Diagnostic;
use logknockd::engine::rule::Rule;
use logknockd::text::program;
use std::collections::BTreeSet;

pub const TARGET: Target = Target {
    name: "config",
    seeds,
    words: &[
        "\"file\":",
        "\"command\":",
        "\"ruleset\":[",
        "\"debug\":true,",
        "\"trace\":1,",
        "\"state\":\"/s\",",
        "\"poll\":0.1,",
        "\"max_keys\":1,",
        "\"name\":\"n\",",
        "\"filter\":\"(a)\",",
        "\"filter\":[\"(a)\",\"(?:(b)|c)\"],",
        "\"within\":\"10m\",",
        "\"sequence\":[\"a\",\"(b)\"],",
        "\"one_time\":[[\"a\"],[\"b\",\"(c)\"]],",
        "\"actions\":[\"x {0} {key}\"],",
        "\"ignore\":\"z\",",
        "\"count\":3,",
        "\"ignore_hosts\":[\"10.0.0.0/8\",\"::1\"],",
        "<HOST>",
        "{family}",
        "\"within\":1.5,",
        "\"repeats\":true,",
        "\"timeout\":10,",
        "\"revert\":[[\"y\",\"{rule}\"]],",
        "\"exclusive\":true,",
        "\"action_timeout\":3,",
        "\"_c\":0,",
        "{0}",
        "{1}",
        "{key}",
        "{name}",
        "{{",
        "}}",
        "sh -c '{0}' ",
        "(?P<name>a)",
        "{\"",
        "\"}",
        "\\u0000",
        "\\n",
        "\\\\d",
        "315360000.001",
        "null",
        "[",
        "]",
        "{",
        "}",
        ",",
    ],
    check,
    verdict: None,
    remark: no_remark,
};

fn seeds() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../../data/python-example.json")[..],
        include_bytes!("../../../../examples/openwrt-nft.conf"),
        include_bytes!("../../../../examples/openwrt-uci.conf"),
        include_bytes!("../../../../examples/ssh-ban.conf"),
        include_bytes!("../../../../examples/wake-on-lan.conf"),
        include_bytes!("../../../bench/rules.json"),
        br#"{"command":"logread -f","ruleset":[{"name":"o","filter":"(.)","one_time":[["a","(b)"],["(?P<n>c)"]],
           "actions":["x {0} {key} {{}}",["sh","-c","echo $1","sh","{rule}"]],"timeout":1,"revert":["y"]}],"max_keys":9}"#,
        br#"{"file":["-","/a",7],"sequnce":1,"ruleset":[{"name":"","filter":"a(","sequence":[],"actions":["'","{9}"]}]}"#,
    ]
    .map(<[u8]>::to_vec)
    .into()
}

fn check(document: &[u8]) {
    let read = Config::parse(document);
    match &read {
        Ok(config) => check_config(config),
        Err(errors) => check_errors(document, errors),
    }
    check_comment(document, &read);
}

fn check_config(config: &Config) {
    assert!(!config.files.is_empty() || config.command.is_some());
    assert!(config.files.len() <= 64 && is_set(&config.files));
    let path = |path: &String| (1..=4095).contains(&path.len()) && !path.contains('\0');
    assert!(config.files.iter().all(path) && path(&config.state));
    assert!(
        config
            .command
            .as_ref()
            .is_none_or(|command| !program(command).is_empty())
    );
    assert!(config.poll_ms == NEVER || (100..=3_600_000).contains(&config.poll_ms));
    assert!((1..=65_535).contains(&config.max_keys));
    assert!((1..=256).contains(&config.rules.len()));
    assert!(is_set(config.rules.iter().map(|rule| &rule.name)));
    config.rules.iter().for_each(|rule| check_rule(rule));
}

fn is_set<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}

fn check_rule(rule: &Rule) {
    const TEN_YEARS_MS: u64 = 315_360_000_000;
    let duration = |ms: u64| (1..=TEN_YEARS_MS).contains(&ms);
    assert!((1..=255).contains(&rule.name.len()) && !rule.name.contains(char::is_control));
    assert!((1..=16).contains(&rule.filters.len()) && (1..=1000).contains(&rule.count));
    assert!(rule.filters.iter().all(|filter| filter.group_count() > 0));
    assert!(
        duration(rule.action_timeout_ms) && (rule.within_ms == NEVER || duration(rule.within_ms))
    );
    assert!(
        rule.lease
            .as_ref()
            .is_none_or(|terms| duration(terms.timeout_ms))
    );
    assert!(!rule.sequences.is_empty() && (rule.one_time || rule.sequences.len() == 1));
    for sequence in &rule.sequences {
        assert!((1..=32).contains(&sequence.steps.len()));
        let Some(last) = sequence.steps.last() else {
            panic!("a sequence without steps");
        };
        let groups = vec![b"$(x) ' \" y".to_vec(); last.group_count()];
        let values = Values {
            rule: &rule.name,
            key: b"k k",
            family: b"4",
            groups: &groups,
        };
        for command in rule.commands.iter().flatten() {
            let words = command
                .fill(last, &values)
                .unwrap_or_else(|_| panic!("cannot be filled"));
            assert!(!program(&words).is_empty() && words.ends_with(&[0]));
        }
    }
    let [actions, _, revert] = &rule.commands;
    assert!(!actions.is_empty());
    assert_eq!(rule.lease.is_some(), !revert.is_empty());
}

fn check_errors(document: &[u8], errors: &[Diagnostic]) {
    assert!(!errors.is_empty() && errors.is_sorted_by_key(|error| error.at));
    let lines: Vec<&[u8]> = document.split(|&byte| byte == b'\n').collect();
    for error in errors {
        assert!(error.at <= document.len());
        assert!(!error.message.is_empty());
        let mut shown = Vec::new();
        error.render(b"f", document, &mut shown);
        let shown = String::from_utf8(shown).expect("what is shown is UTF-8");
        assert_eq!(shown.lines().count(), 3, "{shown}");
        let place: Vec<usize> = shown
            .splitn(4, ':')
            .skip(1)
            .take(2)
            .map(|n| n.parse().expect("a number"))
            .collect();
        let [line, column] = place[..] else {
            panic!("{shown}")
        };
        let width = String::from_utf8_lossy(lines[line - 1]).chars().count();
        assert!((1..=width + 1).contains(&column), "{shown}");
        assert!(
            !shown.contains(|c: char| c.is_control() && !"\n\t".contains(c)),
            "{shown:?}"
        );
    }
}

/// A comment put in behind the first brace moves every error and changes none.
fn check_comment(document: &[u8], read: &Result<Box<Config>, Vec<Diagnostic>>) {
    const COMMENT: &[u8] = br#""_fuzz comment":[{"a":"b"}],"#;
    let is_space = |byte: &&u8| b" \t\r\n".contains(byte);
    let brace = document.iter().take_while(is_space).count();
    let behind = document.iter().skip(brace + 1).find(|byte| !is_space(byte));
    if document.get(brace) != Some(&b'{')
        || behind != Some(&b'"')
        || document.windows(6).any(|w| w == b"_fuzz ")
    {
        return;
    }
    let commented = [&document[..=brace], COMMENT, &document[brace + 1..]].concat();
    match (read, Config::parse(&commented)) {
        (Ok(one), Ok(other)) => assert_eq!(one.rules.len(), other.rules.len()),
        (Err(one), Err(other)) => {
            let moved = |error: &Diagnostic| {
                (
                    error.at + if error.at > brace { COMMENT.len() } else { 0 },
                    error.message.clone(),
                )
            };
            let one: Vec<_> = one.iter().map(moved).collect();
            let other: Vec<_> = other
                .iter()
                .map(|error| (error.at, error.message.clone()))
                .collect();
            assert_eq!(one, other);
        }
        _ => panic!("a comment makes a difference"),
    }
}
