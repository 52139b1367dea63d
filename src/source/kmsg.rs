//! The records of `/dev/kmsg`.
//!
//! Each `read` of the device returns one record, in the form that the kernel documents in
//! `Documentation/ABI/testing/dev-kmsg`:
//!
//! ```text
//! 4,1234,118522941,-;drop wan in: IN=eth1 OUT= …\n
//!  SUBSYSTEM=net\n
//! ```
//!
//! Priority, sequence number, microseconds and flags stand before the semicolon; lines that begin with a
//! blank are about the device concerned and no part of the message. Bytes that are not printable, and
//! backslashes, come as `\x1b`. A newline that was written so is a byte of the line like any other: no
//! message can forge a second line.

use crate::text::{Pieces, until};

/// Takes a record apart: its sequence number, and how long its message is, which is written over the record, a newline
/// behind it. None if it has no such form.
pub fn parse(record: &mut [u8]) -> Option<(u32, usize)> {
    let fields = until(record, b';');
    let sequence = decimal(Pieces(fields, b',').nth(1)?)?;
    record.get(fields.len())?;
    let mut at = fields.len() + 1;
    let mut length = 0;
    while let Some(&byte) = record.get(at).filter(|&&byte| byte != b'\n') {
        at += 1;
        let mut decoded = byte;
        if let Some([b'x', high, low]) = record.get(at..at + 3)
            && byte == b'\\'
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded = high << 4 | low;
            at += 3;
        }
        *record.get_mut(length)? = decoded;
        length += 1;
    }
    // OK because the message is shorter than what was before it and itself.
    *record.get_mut(length)? = b'\n';
    Some((sequence, length))
}

/// The lowest 32 bits of a number: enough to tell how many have been left out.
fn decimal(digits: &[u8]) -> Option<u32> {
    let mut number: u32 = 0;
    for &digit in digits {
        let digit = self::digit(digit).filter(|digit| *digit < 10)?;
        number = number.wrapping_mul(10).wrapping_add(u32::from(digit));
    }
    (!digits.is_empty()).then_some(number)
}

fn digit(character: u8) -> Option<u8> {
    // OK because a hexadecimal digit is below 16.
    char::from(character).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn parsed(record: &[u8]) -> Option<(u32, Vec<u8>)> {
        let mut record = record.to_vec();
        let (sequence, length) = parse(&mut record)?;
        assert_eq!(record[length], b'\n');
        Some((sequence, record[..length].to_vec()))
    }

    #[test]
    fn the_message_is_what_stands_between_the_prefix_and_the_newline() {
        let record = b"4,1234,118522941,-;drop wan in: IN=a;b OUT=\n SUBSYSTEM=net\n DEVICE=n2\n";
        let expected = b"drop wan in: IN=a;b OUT=".to_vec();
        assert_eq!(parsed(record), Some((1234, expected)));
        assert_eq!(parsed(b"12,9,1,-,caller=T1;x\n"), Some((9, b"x".to_vec())));
        assert_eq!(
            parsed(b"4,18446744073709551615,0,c;\n"),
            Some((u32::MAX, Vec::new()))
        );
    }

    #[test]
    fn escapes_are_the_bytes_they_stand_for_and_make_no_second_line() {
        let (_, message) =
            parsed(b"4,1,2,-;a\\x1b[31m\\x0aSRC\\x5cx \\xc3\\xBC \\x4 \\xzz \\\n").unwrap();
        assert_eq!(message, b"a\x1b[31m\nSRC\\x \xc3\xbc \\x4 \\xzz \\");
    }

    #[test]
    fn what_is_no_record_is_none() {
        for record in [
            &b""[..],
            b"\n",
            b"no prefix",
            b";text",
            b"4;text",
            b"4,x,2,-;text",
            b"4,-1,2,-;text",
            b"4,\xff,2,-;text",
        ] {
            assert_eq!(parsed(record), None, "{}", record.escape_ascii());
        }
    }
}
