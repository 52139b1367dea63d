//! Compares addresses and networks with Python's `ipaddress`, on random ones and near misses.
//!
//! `LOGKNOCKD_SEED` chooses other ones. Without `python3` the test fails.

mod common;

use logknockd::address::{Address, Network, canonical, family};
use std::process::Command;

const ROWS: usize = 20_000;

fn spelled(address: &Address) -> String {
    String::from_utf8(logknockd::text!("{}", address)).expect("ASCII")
}

#[derive(Default)]
struct Tally {
    addresses: usize,
    rewritten: usize,
    inside: usize,
    outside: usize,
}

#[test]
fn addresses_and_networks_are_what_python_takes_them_for() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/addresses.py");
    let seed = common::seed().to_string();
    let python = Command::new("python3")
        .args([script, &seed, &ROWS.to_string()])
        .output();
    let (status, rows, errors) = common::outcome(&python.expect("python3, to compare with"));
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let mut tally = Tally::default();
    for row in rows.lines() {
        match row.split('\t').collect::<Vec<_>>()[..] {
            ["a", text, spelling] => check_address(text, spelling, &mut tally),
            ["n", network, address, answer] => check_network(network, address, answer, &mut tally),
            _ => panic!("{row:?}"),
        }
    }
    assert_eq!(rows.lines().count(), 2 * ROWS);
    // A test that sees nothing but misses would always pass.
    let Tally {
        addresses,
        rewritten,
        inside,
        outside,
    } = tally;
    let enough = ROWS / 10;
    assert!(
        addresses > 3 * enough && rewritten > enough && inside > enough && outside > enough,
        "{addresses} addresses, {rewritten} rewritten, {inside} inside, {outside} outside"
    );
}

fn check_address(text: &str, spelling: &str, tally: &mut Tally) {
    let address = Address::parse(text.as_bytes());
    let ours = address.map_or("-".into(), |address| spelled(&address));
    assert_eq!(ours, spelling, "{text:?}");
    let kind = match spelling {
        "-" => "",
        spelling if spelling.contains(':') => "6",
        _ => "4",
    };
    assert_eq!(family(text.as_bytes()), kind.as_bytes(), "{text:?}");
    let key = canonical(text.as_bytes()).map(|key| String::from_utf8(key).expect("ASCII"));
    let expected = (spelling != "-" && spelling != text).then(|| spelling.to_string());
    assert_eq!(key, expected, "{text:?}");
    // The one spelling is one.
    assert_eq!(canonical(ours.as_bytes()), None, "{text:?}");
    tally.addresses += usize::from(spelling != "-");
    tally.rewritten += usize::from(expected.is_some());
}

fn check_network(network: &str, address: &str, answer: &str, tally: &mut Tally) {
    let Ok(read) = Network::parse(network.as_bytes()) else {
        assert_eq!(answer, "-", "{network:?} is refused");
        return;
    };
    assert_ne!(answer, "-", "{network:?} is accepted");
    let address = Address::parse(address.as_bytes()).expect("an address");
    let ours = if read.contains(address) { "yes" } else { "no" };
    assert_eq!(ours, answer, "{network:?} and {}", spelled(&address));
    // Shown and read again it is the same.
    let shown = logknockd::text!("{}", read);
    let Ok(again) = Network::parse(&shown) else {
        panic!("{network:?} is shown as {}", shown.escape_ascii());
    };
    assert_eq!(again.contains(address), read.contains(address));
    tally.inside += usize::from(answer == "yes");
    tally.outside += usize::from(answer == "no");
}
