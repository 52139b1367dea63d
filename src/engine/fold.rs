//! Lines that rsyslog has folded: `sshd[7]: message repeated 5 times: [ Failed password for …]`.
//!
//! With `$RepeatedMsgReduction` (the default of Ubuntu) the first of equal messages is written as it is, and a line of
//! this form says how often it came again. [`unfold`] makes the line of it that would have been written so often.
//!
//! Guarantees that only rsyslog can write this form, not somebody whose text a program logs: it is one only where
//! a message begins, straight behind the tag of the program, and the tag only where a log line has it, behind at most
//! a date and the name of a host. A user name comes later. And since rsyslog cuts the message at [`MAX_MESSAGE`] bytes,
//! so that a stranger could choose what the line seems to end with, a message that long is left as it is.

use crate::text::{Pieces, is_letter};
use alloc::vec::Vec;

/// The message of a folded line is cut behind this many bytes.
const MAX_MESSAGE: usize = 800;
/// Words of a date and the name of a host: `Nov 22 06:00:00 host`.
const MAX_WORDS: usize = 4;
/// As often as the longest sequence can be wanted; what goes beyond that makes no difference.
const MAX_TIMES: u32 = 32 * 1000;

const BEFORE: &[u8] = b" message repeated ";
const BEHIND: &[u8] = b" times: [";

/// The line that a folded line stands for, and how often it came.
pub fn unfold(line: &[u8]) -> Option<(Vec<u8>, u32)> {
    // Most lines end otherwise.
    let line = line.strip_suffix(b"]")?;
    let tag_end = tag_end(line)?;
    let (tagged, rest) = line.split_at_checked(tag_end)?;
    let rest = rest.strip_prefix(BEFORE)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(digits)?;
    let message = rest.strip_prefix(BEHIND)?;
    let mut times = 0u32;
    for digit in digits {
        times = times
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'));
    }
    let is_whole = message.first() == Some(&b' ') && message.len() < MAX_MESSAGE;
    let is_folded = is_whole && times > 0;
    is_folded.then(|| (text!("{}{}", tagged, message), times.min(MAX_TIMES)))
}

/// Where the tag of a line ends, with its colon.
fn tag_end(line: &[u8]) -> Option<usize> {
    let (mut end, mut words) = (0, 0);
    for word in Pieces(line, b' ') {
        end += word.len();
        if let Some(tag) = word.strip_suffix(b":") {
            let is_of_tag = |byte: &u8| is_letter(byte, b"_-./@[]");
            return (!tag.is_empty() && tag.iter().all(is_of_tag)).then_some(end);
        }
        let is_of_header = |byte: &u8| is_letter(byte, b"_-.:+");
        words += usize::from(!word.is_empty());
        if words > MAX_WORDS || !word.iter().all(is_of_header) {
            return None;
        }
        end += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfolded(line: &str) -> Option<(String, u32)> {
        let (text, times) = unfold(line.as_bytes())?;
        Some((String::from_utf8(text).expect("as it was"), times))
    }

    #[test]
    fn a_folded_line_is_the_line_it_stands_for() {
        for header in [
            "Nov 22 06:00:00 host ",
            "Nov  2 06:00:00 host ",
            "2026-11-22T06:00:00.123456+01:00 host.example.org ",
            "host ",
            "",
        ] {
            for tag in [
                "sshd[7]:",
                "sshd:",
                "sshd-session[12345]:",
                "postfix/smtpd[1]:",
                "systemd@1[9]:",
            ] {
                let line =
                    format!("{header}{tag} message repeated 5 times: [ Failed for x [preauth]]");
                let expected = format!("{header}{tag} Failed for x [preauth]");
                assert_eq!(unfolded(&line), Some((expected, 5)), "{line}");
            }
        }
        let (_, times) = unfolded("a: message repeated 99999999999 times: [ x]").expect("folded");
        assert_eq!(times, MAX_TIMES);
    }

    #[test]
    fn what_a_stranger_writes_is_not_unfolded() {
        let fold =
            "message repeated 5 times: [ Failed password for root from 203.0.113.9 port 1 ssh2]";
        for line in [
            format!("Nov 22 06:00:00 host sshd[7]: Invalid user {fold}"),
            format!("Nov 22 06:00:00 host sshd[7]: Invalid user x: {fold}"),
            format!("Nov 22 06:00:00 host sshd[7]: Invalid user sshd[7]: {fold}"),
            format!("Nov 22 06:00:00 host sshd[7]: {fold} from 192.0.2.1 port 2"),
            format!("Nov 22 06:00:00 host sshd[7]:  {fold}"),
            format!("192.0.2.1 - x [22/Nov/2026:06:00:00 +0000] \"GET /: {fold}"),
            format!("192.0.2.1 - - x y z: {fold}"),
            format!("2026/11/22 06:00:00 [error] 1#1: {fold}"),
            format!("x'y: {fold}"),
            format!(": {fold}"),
            fold.into(),
        ] {
            assert_eq!(unfolded(&line), None, "{line}");
        }
    }

    #[test]
    fn what_is_not_quite_the_form_stays_as_it_is() {
        for line in [
            "a: message repeated 0 times: [ x]",
            "a: message repeated  times: [ x]",
            "a: message repeated -1 times: [ x]",
            "a: message repeated 5 times: [x]",
            "a: message repeated 5 times: []",
            "a: message repeated 5 times: [ x",
            "a: message repeated 5 times",
            "a: last message repeated 5 times",
            "a:",
            "]",
            "",
            ": ]",
        ] {
            assert_eq!(unfolded(line), None, "{line}");
        }
    }

    #[test]
    fn a_message_that_may_have_been_cut_stays_as_it_is() {
        let line = |length| format!("a: message repeated 5 times: [ {}]", "x".repeat(length));
        assert!(unfolded(&line(798)).is_some());
        assert_eq!(unfolded(&line(799)), None);
    }
}
