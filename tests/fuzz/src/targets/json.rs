//! The reader of JSON: what it accepts is what is written, every offset is right, and an error stands at the first
//! byte that cannot be part of a document.

use super::{hex, no_remark, texts};
use crate::hunt::Target;
use logknockd::json::{self, Kind, Value};

pub const TARGET: Target = Target {
    name: "json",
    seeds,
    words: &[
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\":",
        "{}",
        "[]",
        "[[",
        "]]",
        "{\"k\":1,",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "\\n",
        "\\\"",
        "-0",
        "1e",
        "E+",
        ".5",
        "\u{feff}",
        "ü",
        "😀",
        "\r\n",
        ",",
        ":",
        "//",
    ],
    check,
    verdict: Some(verdict),
    remark: no_remark,
};

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = texts(&[
        r#"{"a": [1, -2.50e+3, true, false, null], "b\u0041\n": {"": "x\ud83d\ude00ü"}}"#,
        r#" "\"\\\/\b\f\n\r\t" "#,
        "0.001",
        "18446744073709551615",
        "1e300",
    ]);
    seeds.push(format!("{}1{}", "[".repeat(63), "]".repeat(63)).into_bytes());
    seeds.push(include_bytes!("../../../data/python-example.json").to_vec());
    seeds
}

fn check(document: &[u8]) {
    match json::parse(document) {
        Ok(value) => {
            check_places(document, &value);
            let mut written = Vec::new();
            write(&value, &mut written);
            let back =
                json::parse(&written).unwrap_or_else(|_| panic!("{}", written.escape_ascii()));
            assert_eq!(notation(&back), notation(&value), "read, written, read");
        }
        Err(error) => {
            assert!(error.at <= document.len() && !error.message.is_empty());
            // What stands before it is the beginning of some document.
            let before = json::parse(&document[..error.at]);
            if error.message != b"not UTF-8"
                && let Err(earlier) = before
            {
                assert_eq!(
                    String::from_utf8_lossy(&earlier.message),
                    "the document ends too early"
                );
            }
        }
    }
    check_scaled(document);
}

fn check_places(document: &[u8], value: &Value) {
    let first = document[value.at];
    match &value.kind {
        Kind::Null => assert_eq!(first, b'n'),
        Kind::Bool(truth) => assert_eq!(first, if *truth { b't' } else { b'f' }),
        Kind::Number(number) => assert!(document[value.at..].starts_with(number.as_bytes())),
        Kind::String(string) => check_string(document, value.at, string),
        Kind::Array(items) => {
            assert_eq!(first, b'[');
            items.iter().for_each(|item| check_places(document, item));
        }
        Kind::Object(members) => {
            assert_eq!(first, b'{');
            for member in members {
                check_string(document, member.key_at, &member.key);
                check_places(document, &member.value);
            }
        }
    }
}

/// Every character of a string is where `string_offset` says.
fn check_string(document: &[u8], at: usize, string: &str) {
    assert_eq!(document[at], b'"');
    // It takes linear time each, which is fine for a few errors and not for every byte of a long document.
    let step = string.len() / 64 + 1;
    for (index, character) in string.char_indices().step_by(step) {
        let place = json::string_offset(document, at, index);
        let next = json::string_offset(document, at, index + character.len_utf8());
        assert!(at < place && place < next && next < document.len());
        let alone = [b"\"", &document[place..next], b"\""].concat();
        let Ok(Value {
            kind: Kind::String(read),
            ..
        }) = json::parse(&alone)
        else {
            panic!("{place}..{next} is not a character");
        };
        assert_eq!(read, character.to_string());
    }
    assert_eq!(
        document[json::string_offset(document, at, string.len())],
        b'"'
    );
}

/// `scaled` moves the decimal point and nothing else.
fn check_scaled(document: &[u8]) {
    let Ok(Value {
        kind: Kind::Number(number),
        ..
    }) = json::parse(document)
    else {
        return;
    };
    for decimals in [0, 3] {
        let scaled = json::scaled(&number, decimals);
        assert_eq!(
            scaled,
            shifted(&number, i64::from(decimals)),
            "{number} times 10^{decimals}"
        );
    }
}

/// The same with text instead of arithmetic; none where that would take too long a text.
fn shifted(number: &str, decimals: i64) -> Option<u64> {
    let lower = number.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i64 = i64::from(exponent.parse::<i32>().ok()?);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.starts_with('-') {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let shift = exponent + decimals - fraction.len() as i64;
    if shift >= 0 {
        return format!("{digits}{}", "0".repeat(shift.min(30) as usize))
            .parse()
            .ok();
    }
    let (kept, cut) =
        digits.split_at_checked(digits.len().checked_sub(shift.unsigned_abs() as usize)?)?;
    (!kept.is_empty() && cut.bytes().all(|digit| digit == b'0')).then(|| kept.parse().ok())?
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match &value.kind {
        Kind::Null => out.extend(b"null"),
        Kind::Bool(truth) => out.extend(truth.to_string().bytes()),
        Kind::Number(number) => out.extend(number.bytes()),
        Kind::String(string) => json::put_json_string(string.as_bytes(), out),
        Kind::Array(items) => list(b"[]", items, out, write),
        Kind::Object(members) => list(b"{}", members, out, |member, out| {
            json::put_json_string(member.key.as_bytes(), out);
            out.push(b':');
            write(&member.value, out);
        }),
    }
}

fn list<T>(brackets: &[u8; 2], items: &[T], out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    out.push(brackets[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(item, out);
    }
    out.push(brackets[1]);
}

/// A value without its places, in the notation of `oracle.py`.
fn notation(value: &Value) -> String {
    match &value.kind {
        Kind::Null => "n".into(),
        Kind::Bool(true) => "t".into(),
        Kind::Bool(false) => "f".into(),
        Kind::Number(number) => format!("#{number}"),
        Kind::String(string) => format!("\"{}", hex(string.as_bytes())),
        Kind::Array(items) => format!(
            "[{}]",
            items.iter().map(notation).collect::<Vec<_>>().join(",")
        ),
        Kind::Object(members) => {
            let member = |member: &json::Member| {
                format!("{}:{}", hex(member.key.as_bytes()), notation(&member.value))
            };
            format!(
                "{{{}}}",
                members.iter().map(member).collect::<Vec<_>>().join(",")
            )
        }
    }
}

fn verdict(document: &[u8]) -> String {
    match json::parse(document) {
        Ok(value) => notation(&value),
        Err(error) => format!("!{}", String::from_utf8_lossy(&error.message)),
    }
}
