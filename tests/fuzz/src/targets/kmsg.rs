//! Records of the kernel's log: what the kernel would write for a message gives that message back, and nothing makes
//! a second line.

use super::{no_remark, texts};
use crate::hunt::Target;
use logknockd::source::kmsg::parse;

pub const TARGET: Target = Target {
    name: "kmsg",
    seeds,
    words: &[
        "4,",
        ",-;",
        ";",
        "\\x0a",
        "\\x5c",
        "\\",
        "\\x",
        "\n ",
        "SUBSYSTEM=net\n",
        "18446744073709551616",
        "-1",
        "+1",
    ],
    check,
    verdict: None,
    remark: no_remark,
};

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "4,1234,118522941,-;drop wan in: IN=a;b OUT=\n SUBSYSTEM=net\n DEVICE=n2\n",
        "12,9,1,-,caller=T1;x\n",
        "4,1,2,-;a\\x1b[31m\\x0aSRC\\x5cx \\xc3\\xBC \\x4 \\xzz \\\n",
        "6,0,0,-;",
        "<4>no record",
    ])
}

/// A message as the kernel puts it into a record (`append_char` in kernel/printk/printk.c).
fn as_kernel(sequence: u32, message: &[u8]) -> Vec<u8> {
    let mut record = format!("6,{sequence},339,-;").into_bytes();
    for &byte in message {
        match byte {
            b' '..b'\x7f' if byte != b'\\' => record.push(byte),
            _ => record.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    record.extend(b"\n SUBSYSTEM=net\n");
    record
}

/// The number and the message of a record.
fn parsed(record: &[u8]) -> (Option<u32>, Vec<u8>) {
    let mut record = record.to_vec();
    let Some((sequence, length)) = parse(&mut record) else {
        return (None, Vec::new());
    };
    assert_eq!(record[length], b'\n');
    record.truncate(length);
    (Some(sequence), record)
}

fn check(input: &[u8]) {
    let sequence = (input.len() as u32).wrapping_mul(0x0101_0101);
    let (number, message) = parsed(&as_kernel(sequence, input));
    assert_eq!((number, message.as_slice()), (Some(sequence), input));

    let (parsed, message) = parsed(input);
    // A comma and digits before the first semicolon: otherwise it is no record.
    let prefix = input.split(|&byte| byte == b';').next().unwrap_or_default();
    let field = prefix
        .split(|&byte| byte == b',')
        .nth(1)
        .filter(|field| !field.is_empty() && field.iter().all(u8::is_ascii_digit))
        .filter(|_| prefix.len() < input.len());
    // Of a number that is too large for it, what 32 bits hold.
    let add = |sum: u32, digit: &u8| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
    let number = field.map(|field| field.iter().fold(0, add));
    assert_eq!(parsed, number);
    if parsed.is_none() {
        return;
    }
    let line = input[prefix.len() + 1..]
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    assert!(message.len() <= line.len());
    // Where there is no backslash there is nothing to undo.
    if !line.contains(&b'\\') {
        assert_eq!(message, line);
    }
    let escaped_newlines = line
        .windows(4)
        .filter(|four| four.starts_with(b"\\x0") && four[3] | 32 == b'a')
        .count();
    assert_eq!(
        message.iter().filter(|&&byte| byte == b'\n').count(),
        escaped_newlines
    );
}
