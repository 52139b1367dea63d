//! Addresses: the one spelling is one, and what is found in a line is a whole address.

use super::texts;
use crate::hunt::Target;
use logknockd::address::{Address, Network, Reading, canonical, host_end};
use logknockd::text;

pub const TARGET: Target = Target {
    name: "address",
    seeds,
    words: &[
        "::",
        ":",
        ".",
        "::ffff:",
        "192.0.2.1",
        "2001:db8:",
        "fe80::1",
        "%eth0",
        "/16",
        "/128",
        "/0",
        "0000:",
        "[",
        "]:",
        ":443",
        " ",
        "x",
        "-",
        "255",
        "256",
        "0.0.0.0",
        "ffff",
        "11:22:33:44:55:66:77:88",
    ],
    check,
    verdict: Some(verdict),
    remark: super::no_remark,
};

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "192.0.2.1",
        "2001:0db8:0000:0000:0000:0000:0000:0007",
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "192.168.0.0/16",
        "fe80::/10",
        "00:11:22:33:44:55:66:77",
        "from [2001:db8::1]:443 and 192.0.2.1:80, 192.0.2.1.example.org",
        "[client ::1:54321]",
    ])
}

fn check(input: &[u8]) {
    if let Some(spelling) = canonical(input) {
        assert!(spelling != input && canonical(&spelling).is_none());
        assert!(Address::parse(&spelling) == Address::parse(input));
    }
    if let Ok(network) = Network::parse(input) {
        let shown = text!("{}", network);
        let Ok(again) = Network::parse(&shown) else {
            panic!("{} is no network", shown.escape_ascii());
        };
        assert_eq!(text!("{}", again), shown);
        let first = shown.split(|&byte| byte == b'/').next().unwrap_or_default();
        let Some(first) = Address::parse(first) else {
            panic!("{} has no first address", shown.escape_ascii());
        };
        assert!(network.contains(first));
    }
    for at in 0..input.len().min(256) {
        for reading in [Reading::Whole, Reading::BeforePort] {
            for is_cut in [false, true] {
                check_host(input, at, is_cut, reading);
            }
        }
    }
}

fn check_host(line: &[u8], at: usize, is_cut: bool, reading: Reading) {
    let Some(end) = host_end(line, at, is_cut, reading) else {
        return;
    };
    let host = &line[at..end];
    assert!(Address::parse(host).is_some(), "{}", host.escape_ascii());
    let of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
    let before = at.checked_sub(1).and_then(|at| line.get(at));
    assert!(
        !of_word(before) && !of_word(line.get(end)),
        "a part of {}",
        line.escape_ascii()
    );
    let is_port = reading == Reading::BeforePort;
    assert!(!is_port || line.get(end) == Some(&b':') && host.contains(&b':'));
    assert!(!is_cut || end < line.len());
}

fn verdict(input: &[u8]) -> String {
    let spelling = Address::parse(input).map(|address| text!("{}", address));
    spelling.map_or("-".into(), |spelling| {
        String::from_utf8_lossy(&spelling).into_owned()
    })
}
