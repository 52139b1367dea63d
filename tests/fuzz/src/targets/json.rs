//! The reader of JSON: what it accepts is what is written, every offset is right, and an error stands at the first
//! byte that cannot be part of a document.

use super::{hex, no_remark, texts};
use crate::hunt::Target;
use logknockd::config::json::{self, Value};

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
            check_places(document, value);
            let mut written = Vec::new();
            write(value, &mut written);
            let back =
                json::parse(&written).unwrap_or_else(|_| panic!("{}", written.escape_ascii()));
            assert_eq!(notation(back), notation(value), "read, written, read");
        }
        Err(error) => {
            assert!(error.at <= document.len() && !error.message.is_empty());
            // What stands before it is the beginning of some document.
            let before = json::parse(&document[..error.at]);
            if error.message != b"not UTF-8"
                && let Err(earlier) = before
            {
                assert!(
                    earlier.message.starts_with(b"the document ends too early"),
                    "{}",
                    earlier.message.escape_ascii()
                );
            }
        }
    }
    check_scaled(document);
}

fn check_places(document: &[u8], value: Value) {
    let at = value.at(document);
    let rest = &document[at..];
    match value.first() {
        b'"' => check_string(document, at, &value.text()),
        b'[' => value.items().for_each(|item| check_places(document, item)),
        b'{' => {
            for key in value.items() {
                check_string(document, key.at(document), &key.text());
                check_places(document, key.behind_key());
                let found = value.member(&key.text()).map(|found| found.at(document));
                assert_eq!(found, Some(key.behind_key().at(document)));
            }
        }
        b't' | b'f' | b'n' => {
            let word = ["true", "false", "null"].map(str::as_bytes);
            assert!(word.contains(&value.word()) && rest.starts_with(value.word()));
        }
        _ => assert!(rest.starts_with(value.word()) && !value.word().is_empty()),
    }
    let string = value.string();
    assert_eq!(string.is_some(), value.first() == b'"');
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
        let read = json::parse(&alone).ok().and_then(Value::string);
        assert_eq!(read, Some(character.to_string()), "{place}..{next}");
    }
    assert_eq!(
        document[json::string_offset(document, at, string.len())],
        b'"'
    );
}

/// `scaled` moves the decimal point and nothing else.
fn check_scaled(document: &[u8]) {
    let Ok(value) = json::parse(document) else {
        return;
    };
    let number = match value.first() {
        b'-' | b'0'..=b'9' => str::from_utf8(value.word()).expect("digits"),
        _ => return assert_eq!(value.scaled(0), None),
    };
    for decimals in [0, 3] {
        assert_eq!(
            value.scaled(decimals),
            shifted(number, i64::from(decimals)),
            "{number} times 10^{decimals}"
        );
    }
}

/// The same with text instead of arithmetic.
fn shifted(number: &str, decimals: i64) -> Option<u64> {
    let lower = number.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    // An exponent that is too large is as large as can be.
    let huge = if exponent.starts_with('-') { -1 } else { 1 } << 40;
    let exponent: i64 = exponent.parse().unwrap_or(huge).clamp(-1 << 40, 1 << 40);
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

fn write(value: Value, out: &mut Vec<u8>) {
    match value.first() {
        b'"' => json::put_json_string(value.text().as_bytes(), out),
        b'[' => list(b"[]", value, out, write),
        b'{' => list(b"{}", value, out, |key, out| {
            json::put_json_string(key.text().as_bytes(), out);
            out.push(b':');
            write(key.behind_key(), out);
        }),
        _ => out.extend(value.word()),
    }
}

fn list(brackets: &[u8; 2], value: Value, out: &mut Vec<u8>, put: impl Fn(Value, &mut Vec<u8>)) {
    out.push(brackets[0]);
    for (index, item) in value.items().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(item, out);
    }
    out.push(brackets[1]);
}

/// A value without its places, in the notation of `oracle.py`.
fn notation(value: Value) -> String {
    let list = |item: fn(Value) -> String| value.items().map(item).collect::<Vec<_>>().join(",");
    match value.first() {
        b'n' => "n".into(),
        b't' => "t".into(),
        b'f' => "f".into(),
        b'"' => format!("\"{}", hex(value.text().as_bytes())),
        b'[' => format!("[{}]", list(notation)),
        b'{' => {
            let member = |key: Value| {
                format!(
                    "{}:{}",
                    hex(key.text().as_bytes()),
                    notation(key.behind_key())
                )
            };
            format!("{{{}}}", list(member))
        }
        _ => format!("#{}", String::from_utf8_lossy(value.word())),
    }
}

fn verdict(document: &[u8]) -> String {
    match json::parse(document) {
        Ok(value) => notation(value),
        Err(error) => format!("!{}", String::from_utf8_lossy(&error.message)),
    }
}
