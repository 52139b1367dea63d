//! IP addresses, as logs write them and as we do.
//!
//! Guarantees that one address has one spelling: [`canonical`] brings what is an address to the form of RFC 5952, and an
//! IPv4 address that IPv6 carries (`::ffff:192.0.2.1`) to the four numbers that it is. Everything else is left
//! alone. What is an address is what `inet_pton` takes, but for two things. Eight groups of two digits each are a hardware
//! address (EUI-64): no host has such an address, and hardware is not to be renamed. And the zone behind a link-local
//! address (`fe80::1%eth0`) is passed over, because neither the kernel's log nor a firewall's set has it. Numbers with
//! leading zeros (`010.0.0.1`) are none: some read them as octal.
//!
//! [`host_end`] finds an address in a line, and only a whole one: what goes on as a name, a number or another
//! address (`192.0.2.1.example.org`, `1192.0.2.1`) is none.

use crate::text::{Pieces, Put, hex, holds, is_letter, leading, until, whole};
use alloc::vec::Vec;

/// The first bytes of an IPv6 address that carries an IPv4 address.
const CARRIER: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
/// The bits of these.
const CARRIER_BITS: u8 = 96;
/// No address is longer, its zone not counted.
const MAX_LENGTH: usize = 45;
/// No zone is longer: it is the name of an interface.
const MAX_ZONE: usize = 15;

/// An address of either family.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Address([u8; 16]);

impl Address {
    /// Reads an address.
    pub fn parse(text: &[u8]) -> Option<Address> {
        let mut address = Address([0; 16]);
        if !holds(text, b':') {
            address.0 = carried(four(text)?);
            return Some(address);
        }
        let digits = until(text, b'%');
        address.0 = six(digits)?;
        if let Some(zone) = text.get(digits.len() + 1..) {
            let is_link_local = address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80;
            let is_name = (1..=MAX_ZONE).contains(&zone.len()) && zone.iter().all(is_of_zone);
            (is_link_local && is_name).then_some(())?;
        }
        Some(address)
    }

    /// Whether it is an IPv4 address.
    fn is_four(&self) -> bool {
        self.0.starts_with(&CARRIER)
    }

    /// Whether all bits from number `bits` on are zero.
    fn ends_after(&self, bits: u8) -> bool {
        self.masked(bits) == *self
    }

    /// The address with its first `bits` bits only.
    fn masked(&self, bits: u8) -> Address {
        let mut masked = *self;
        for (index, byte) in masked.0.iter_mut().enumerate() {
            let kept = usize::from(bits).saturating_sub(index * 8).min(8);
            // OK because at least 0 and at most 8 of 16 bits are shifted out.
            *byte &= (0xff00u16 >> kept) as u8;
        }
        masked
    }
}

/// An IPv4 address as IPv6 carries it.
fn carried(four: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&CARRIER);
    bytes[12..].copy_from_slice(&four);
    bytes
}

fn four(text: &[u8]) -> Option<[u8; 4]> {
    let mut parts = Pieces(text, b'.');
    let mut bytes = [0; 4];
    for byte in &mut bytes {
        let part = parts.next()?;
        let is_plain = part.len() == 1 || part.first() != Some(&b'0');
        *byte = number(part).filter(|_| is_plain)?;
    }
    let ends = parts.next().is_none() && text.last() != Some(&b'.');
    ends.then_some(bytes)
}

fn six(text: &[u8]) -> Option<[u8; 16]> {
    if is_hardware(text) {
        return None;
    }
    let mut bytes = [0; 16];
    // How many of them are known, and how many were before the `::`.
    let (mut known, mut gap) = (0, None);
    let mut rest = text;
    if let Some(more) = rest.strip_prefix(b"::") {
        (rest, gap) = (more, Some(0));
    }
    while !rest.is_empty() {
        let digits = leading(rest, u8::is_ascii_hexdigit);
        let more = rest.get(digits.len()..)?;
        if more.first() == Some(&b'.') {
            bytes
                .get_mut(known..known + 4)?
                .copy_from_slice(&four(rest)?);
            known += 4;
            break;
        }
        (1..=4).contains(&digits.len()).then_some(())?;
        let number = digits
            .iter()
            .fold(0, |number, digit| number << 4 | hex_value(*digit));
        bytes
            .get_mut(known..known + 2)?
            .copy_from_slice(&number.to_be_bytes());
        known += 2;
        rest = match more {
            [] => break,
            [b':', b':', rest @ ..] if gap.is_none() => {
                gap = Some(known);
                rest
            }
            [b':', rest @ ..] if !rest.is_empty() => rest,
            _ => return None,
        };
    }
    match gap {
        None => (known == 16).then_some(bytes),
        // It stands for one group at least.
        Some(gap) if known < 16 => {
            for index in (gap..known).rev() {
                // OK because there is room for as many as are left out.
                bytes.swap(index, index + 16 - known);
            }
            Some(bytes)
        }
        Some(_) => None,
    }
}

/// The value of a hexadecimal digit.
fn hex_value(digit: u8) -> u16 {
    // OK because letters have their numbers in their lower half, from 1 on.
    let value = if digit > b'9' {
        (digit & 15) + 9
    } else {
        digit & 15
    };
    u16::from(value)
}

/// Whether this is eight groups of two digits.
fn is_hardware(text: &[u8]) -> bool {
    let is_right = |(index, byte): (usize, &u8)| (index % 3 == 2) == (*byte == b':');
    text.len() == 23 && text.iter().enumerate().all(is_right)
}

/// The one spelling of an address.
impl Put for Address {
    fn put(&self, out: &mut Vec<u8>) {
        if self.is_four() {
            for (index, byte) in self.0.iter().skip(12).enumerate() {
                put!(
                    out,
                    "{}{}",
                    if index > 0 { "." } else { "" },
                    u32::from(*byte)
                );
            }
            return;
        }
        let (groups, _) = self.0.as_chunks::<2>();
        let (gap, gap_length) = longest_zeros(groups);
        for (index, group) in groups.iter().enumerate() {
            if (gap..gap + gap_length).contains(&index) {
                out.extend_from_slice(if index == gap { b"::" } else { b"" });
                continue;
            }
            if index > 0 && index != gap + gap_length {
                out.push(b':');
            }
            let number = u16::from_be_bytes(*group);
            let digits = (19 - number.leading_zeros()) / 4;
            for place in (0..digits.max(1)).rev() {
                // OK because its lowest bits are what is wanted.
                out.push(hex((number >> (place * 4)) as u8));
            }
        }
    }
}

/// The first of the longest runs of zero groups, and its length; of one group it is none.
fn longest_zeros(groups: &[[u8; 2]]) -> (usize, usize) {
    let (mut best, mut longest, mut length) = (groups.len(), 1, 0);
    for (index, group) in groups.iter().enumerate() {
        length = if *group == [0, 0] { length + 1 } else { 0 };
        if length > longest {
            (best, longest) = (index + 1 - length, length);
        }
    }
    // Where there is none, it is behind the end.
    (best, longest)
}

/// The one spelling of the address that `text` is, if it is one in another.
pub fn canonical(text: &[u8]) -> Option<Vec<u8>> {
    // Without a colon there is only one, and most have none.
    let address = holds(text, b':').then(|| Address::parse(text))??;
    let spelling = text!("{}", address);
    (spelling != text).then_some(spelling)
}

/// The family of the address that `text` is, `4` or `6`; nothing if it is none.
pub fn family(text: &[u8]) -> &'static [u8] {
    match Address::parse(text) {
        None => b"",
        Some(address) if address.is_four() => b"4",
        Some(_) => b"6",
    }
}

/// The addresses that begin alike.
pub struct Network {
    first: Address,
    /// Of the 128 bits that an address of either family has here.
    bits: u8,
}

const NO_NETWORK: &str =
    "expected an address or a network, such as 192.0.2.1, 192.168.0.0/16 or fe80::/10";

impl Network {
    /// Reads an address or a network.
    ///
    /// # Errors
    ///
    /// What is wrong, and at which byte.
    pub fn parse(text: &[u8]) -> Result<Network, (usize, Vec<u8>)> {
        let written = until(text, b'/');
        let Some(first) = Address::parse(written).filter(|_| !holds(written, b'%')) else {
            return Err((0, text!("{}", NO_NETWORK)));
        };
        let Some(digits) = text.get(written.len() + 1..) else {
            return Ok(Network { first, bits: 128 });
        };
        let (most, carrier) = match holds(written, b':') {
            true => (128, 0),
            false => (32, CARRIER_BITS),
        };
        let Some(bits) = number(digits).filter(|bits| *bits <= most) else {
            let message = text!(
                "expected the length of the network, 0 to {}",
                u32::from(most)
            );
            return Err((written.len() + 1, message));
        };
        let network = Network {
            first,
            // OK because both together are 128 at most.
            bits: carrier + bits,
        };
        if !first.ends_after(network.bits) {
            let meant = Network {
                first: first.masked(network.bits),
                ..network
            };
            let message = text!(
                "has bits behind the first {}: did you mean {}?",
                u32::from(bits),
                meant
            );
            return Err((0, message));
        }
        Ok(network)
    }

    /// Whether the address is one of these.
    pub fn contains(&self, address: Address) -> bool {
        address.is_four() == self.first.is_four() && address.masked(self.bits) == self.first
    }
}

impl Put for Network {
    fn put(&self, out: &mut Vec<u8>) {
        self.first.put(out);
        if self.bits < 128 {
            let before = if self.first.is_four() {
                CARRIER_BITS
            } else {
                0
            };
            put!(out, "/{}", u32::from(self.bits - before));
        }
    }
}

/// A number of one to three digits.
fn number(digits: &[u8]) -> Option<u8> {
    let number = whole(digits).filter(|_| digits.len() <= 3)?;
    u8::try_from(number).ok()
}

/// Which address is meant where one is followed by a port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All that can be an address is: `2001:db8::1:22`.
    Whole,
    /// An IPv6 address ends before the last number: `2001:db8::1`, and 22 is a port.
    BeforePort,
}

/// Where the address ends that begins at byte `at` of a line, if a whole one does. Its zone is part of it. What is
/// behind the end of a line that `is_cut` is not known.
pub fn host_end(text: &[u8], at: usize, is_cut: bool, reading: Reading) -> Option<usize> {
    let first = text.get(at)?;
    if !is_of_address(first) || !begins(text, at) {
        return None;
    }
    let rest = text.get(at..)?;
    let run = leading(first_of(rest, MAX_LENGTH + 1), is_of_address);
    let mut length = six_length(run, rest, reading);
    if length.is_none() && reading == Reading::Whole {
        let digits = without_dots(until(run, b':'));
        four(digits)?;
        length = Some(digits.len());
    }
    let end = at + length?;
    ends(text, end, is_cut).then_some(end)
}

/// How long the IPv6 address is at the beginning of `rest`, whose beginning `run` consists of digits, colons and dots.
fn six_length(run: &[u8], rest: &[u8], reading: Reading) -> Option<usize> {
    if reading == Reading::BeforePort {
        let colon = run.iter().rposition(|byte| *byte == b':')?;
        let (address, port) = run.split_at(colon);
        let is_port = (2..=6).contains(&port.len()) && port.iter().skip(1).all(u8::is_ascii_digit);
        let goes_on = rest.get(run.len()).is_some_and(is_of_word);
        (is_port && !goes_on).then_some(())?;
        six(address)?;
        return Some(colon);
    }
    // A colon or full stop behind it is the sentence's.
    let mut length = run.len();
    while six(run.get(..length)?).is_none() {
        let last = run.get(length.checked_sub(1)?)?;
        matches!(last, b':' | b'.').then_some(())?;
        length -= 1;
    }
    if rest.get(length) == Some(&b'%') {
        let zone = rest.get(length + 1..)?;
        let zone = without_dots(leading(first_of(zone, MAX_ZONE + 1), is_of_zone));
        let with_zone = length + 1 + zone.len();
        if Address::parse(rest.get(..with_zone)?).is_some() {
            length = with_zone;
        }
    }
    Some(length)
}

/// So many bytes of a text, or all there are.
fn first_of(text: &[u8], count: usize) -> &[u8] {
    text.get(..count).unwrap_or(text)
}

fn without_dots(text: &[u8]) -> &[u8] {
    let dots = text.iter().rev().take_while(|byte| **byte == b'.');
    text.get(..text.len() - dots.count()).unwrap_or_default()
}

/// Whether what stands before byte `at` does not belong to what begins there.
fn begins(text: &[u8], at: usize) -> bool {
    let mut before = text.get(..at).unwrap_or_default().iter().rev();
    match before.next() {
        None => true,
        Some(b'.' | b'-') => !before.next().is_some_and(is_of_word),
        // It may be in the middle of an address, unless it is behind a word.
        Some(b':') => {
            let word = before.find(|byte| !byte.is_ascii_hexdigit());
            word.is_some_and(is_of_word)
        }
        Some(byte) => !is_of_word(byte),
    }
}

/// Whether what stands from byte `end` on does not belong to what ends there.
fn ends(text: &[u8], end: usize, is_cut: bool) -> bool {
    match (text.get(end), text.get(end + 1)) {
        (None, _) | (Some(b'.' | b'-' | b'%'), None) => !is_cut,
        (Some(b'.' | b'-' | b'%'), Some(next)) => !is_of_word(next),
        (Some(byte), _) => !is_of_word(byte),
    }
}

/// Letters, digits, and bytes of what is not ASCII.
fn is_of_word(byte: &u8) -> bool {
    *byte >= 0x80 || is_letter(byte, b"_")
}

fn is_of_address(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

fn is_of_zone(byte: &u8) -> bool {
    is_letter(byte, b"_-.@")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `<HOST>` takes of a line from byte `at` on.
    fn host(line: &str, at: usize, reading: Reading) -> Option<&str> {
        let end = host_end(line.as_bytes(), at, false, reading)?;
        Some(&line[at..end])
    }

    /// All that it finds in a line, wherever it is tried.
    fn hosts(line: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for at in 0..=line.len() {
            found.extend(host(line, at, Reading::Whole));
            let before_port = host(line, at, Reading::BeforePort);
            found.extend(before_port.map(|_| "before a port:"));
            found.extend(before_port);
        }
        found
    }

    #[test]
    fn one_host_has_one_spelling() {
        for (spelling, others) in [
            (
                "2001:db8::7",
                &[
                    "2001:0db8:0000:0000:0000:0000:0000:0007",
                    "2001:DB8::7",
                    "2001:db8:0::0:7",
                    "2001:db8::0.0.0.7",
                ][..],
            ),
            (
                "192.0.2.1",
                &[
                    "::ffff:192.0.2.1",
                    "::FFFF:c000:201",
                    "0000:0000:0000:0000:0000:ffff:c000:0201",
                ],
            ),
            ("2001:db8:0:1:1:1:1:1", &["2001:db8::1:1:1:1:1"]),
            ("2001:0:0:1::1", &["2001:0:0:1:0:0:0:1"]),
            ("2001:db8::1:0:0:1", &["2001:db8:0:0:1:0:0:1"]),
            ("::", &["0::", "::0", "0:0:0:0:0:0:0:0"]),
            ("1::", &["1:0::"]),
            ("::1", &["0:0:0:0:0:0:0:1"]),
            ("64:ff9b::c000:201", &["64:ff9b::192.0.2.1"]),
            ("fe80::1", &["fe80::1%eth0", "FE80::1%br-lan.5"]),
        ] {
            assert_eq!(canonical(spelling.as_bytes()), None, "{spelling}");
            for other in others {
                assert_eq!(
                    canonical(other.as_bytes()),
                    Some(text!("{}", spelling)),
                    "{other}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_address_stays_as_it_is() {
        for text in [
            "",
            "bob",
            "1234",
            "010.0.0.1",
            "192.0.2.256",
            "192.0.2",
            "192.0.2.1.",
            "1.2.3.4:22",
            "12:34:56",
            "62:2E:AA:0B:CC:DD",
            "00:11:22:33:44:55:66:77",
            "0A-1B-2C-3D-4E-5F",
            ":",
            ":::",
            "1:2",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8",
            "::1::",
            "12345::",
            "g::1",
            "[::1]",
            "::1 ",
            "2001:db8::1%eth0",
            "fe80::1%",
            "fe80::1%eth0 x",
            "192.0.2.1%eth0",
            "::1.2.3",
            "1.2.3.4::",
            "1::2.3.4.5:6",
            "A::B::C",
        ] {
            assert_eq!(canonical(text.as_bytes()), None, "{text}");
            assert_eq!(family(text.as_bytes()), b"", "{text}");
        }
    }

    #[test]
    fn a_host_is_found_where_a_whole_address_stands() {
        for (line, found) in [
            ("from 192.0.2.1 port 22", &["192.0.2.1"][..]),
            ("from 192.0.2.1", &["192.0.2.1"]),
            ("192.0.2.1 - - ", &["192.0.2.1"]),
            ("from 192.0.2.1.", &["192.0.2.1"]),
            ("client: 192.0.2.1, server", &["192.0.2.1"]),
            ("[192.0.2.1]:25", &["192.0.2.1"]),
            ("client:192.0.2.1:54321]", &["192.0.2.1"]),
            ("source:192.0.2.1", &["192.0.2.1"]),
            ("root@192.0.2.1/tty", &["192.0.2.1"]),
            ("rhost=192.0.2.1  user", &["192.0.2.1"]),
            (
                "SRC=2001:0db8:0000:0000:0000:0000:0000:0007 DST",
                &["2001:0db8:0000:0000:0000:0000:0000:0007"],
            ),
            ("from ::ffff:192.0.2.1 port", &["::ffff:192.0.2.1"]),
            ("from ::ffff:192.0.2.1: closed", &["::ffff:192.0.2.1"]),
            ("from 2001:db8::7: closed", &["2001:db8::7"]),
            ("from 2001:db8::: closed", &["2001:db8::"]),
            ("from 2001:db8::7.", &["2001:db8::7"]),
            ("client:2001:db8::7 x", &["2001:db8::7"]),
            ("[2001:db8::7]:443", &["2001:db8::7"]),
            ("[client ::1:54321] x", &["before a port:", "::1"]),
            (
                "client 2001:db8::7:443,",
                &["2001:db8::7:443", "before a port:", "2001:db8::7"],
            ),
            ("1:2:3:4:5:6:7:8:9", &["before a port:", "1:2:3:4:5:6:7:8"]),
            ("from fe80::1%eth0 port", &["fe80::1%eth0"]),
            ("from fe80::1%br-lan.5: x", &["fe80::1%br-lan.5"]),
        ] {
            assert_eq!(hosts(line), found, "{line}");
        }
    }

    #[test]
    fn a_part_of_something_longer_is_no_host() {
        for line in [
            "1192.0.2.1",
            "192.0.2.1234",
            "192.0.2.1.5",
            "5.192.0.2.1",
            "192.0.2.1.example.org",
            "host-192.0.2.1",
            "192.0.2.1-pool.example.org",
            "x192.0.2.1",
            "192.0.2.1x",
            "192.0.2.1_",
            "é192.0.2.1",
            "192.0.2.1é",
            "010.0.0.1",
            "256.0.0.1",
            "192.0.2.1%eth0",
            "64:ff9b::192.0.2.1x",
            "dead:192.0.2.1",
            "62:2e:aa:0b:cc:dd:11:22:33:44:55:66:08:00",
            "00:11:22:33:44:55:66:77",
            "2001:db8::1g",
            "2001:db8::1-x",
            "2001:db8::1.example.org",
            "2001:db8::1%eth0",
            "fe80::1%interface-names5",
            "12:34:56",
            "",
            "::ffff:1.2.3.4.5",
        ] {
            assert_eq!(hosts(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn an_address_that_was_cut_off_is_no_host() {
        for (line, whole) in [
            ("from 192.0.2.1", false),
            ("from 192.0.2.1.", false),
            ("from 192.0.2.1 ", true),
        ] {
            let found = host_end(line.as_bytes(), 5, true, Reading::Whole);
            assert_eq!(found.is_some(), whole, "{line:?}");
        }
        assert_eq!(host_end(b"::1:12", 0, true, Reading::BeforePort), Some(3));
    }

    #[test]
    fn a_network_that_is_none_is_shown_with_its_fault() {
        for (text, at, message) in [
            ("localhost", 0, NO_NETWORK),
            ("192.168.0.0 /16", 0, NO_NETWORK),
            ("fe80::1%eth0", 0, NO_NETWORK),
            (
                "192.168.0.0/33",
                12,
                "expected the length of the network, 0 to 32",
            ),
            (
                "192.168.0.0/",
                12,
                "expected the length of the network, 0 to 32",
            ),
            (
                "192.168.0.0/255.255.0.0",
                12,
                "expected the length of the network, 0 to 32",
            ),
            (
                "fe80::/129",
                7,
                "expected the length of the network, 0 to 128",
            ),
            (
                "127.0.0.1/8",
                0,
                "has bits behind the first 8: did you mean 127.0.0.0/8?",
            ),
            (
                "fe80::1/10",
                0,
                "has bits behind the first 10: did you mean fe80::/10?",
            ),
        ] {
            let error = Network::parse(text.as_bytes()).err();
            assert_eq!(error, Some((at, text!("{}", message))), "{text}");
        }
    }
}
