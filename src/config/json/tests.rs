//! What the reader accepts, what it refuses and where it points.

use super::Fault::*;
use super::*;
use alloc::vec;

fn read(document: &str) -> Value<'_> {
    match parse(document.as_bytes()) {
        Ok(value) => value,
        Err(error) => panic!("{document}: {}", String::from_utf8_lossy(&error.message)),
    }
}

fn error(at: usize, fault: Fault) -> Diagnostic {
    let message = fault.message().to_vec();
    Diagnostic { at, message }
}

fn read_string(document: &str) -> String {
    read(document).string().expect(document)
}

/// Documents every reader must accept, after the `y_` files of JSONTestSuite.
const VALID: &[&str] = &[
    "[[]   ]",
    "[\"\"]",
    "[]",
    "[\"a\"]",
    "[false]",
    "[null, 1, \"1\", {}]",
    "[null]",
    "[1\n]",
    " [1]",
    "[1,null,null,null,2]",
    "[2] ",
    "[123e65]",
    "[0e+1]",
    "[0e1]",
    "[ 4]",
    "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]",
    "[20e1]",
    "[-0]",
    "[-123]",
    "[-1]",
    "[1E22]",
    "[1E-2]",
    "[1E+2]",
    "[123e45]",
    "[123.456e78]",
    "[1e-2]",
    "[1e+2]",
    "[123]",
    "[123.456789]",
    "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}",
    "{\"asd\":\"sdf\"}",
    "{}",
    "{\"\":0}",
    "{\"foo\\u0000bar\": 42}",
    "{ \"min\": -1.0e+28, \"max\": 1.0e+28 }",
    "{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": \"x\"}",
    "{\"a\":[]}",
    "{\n\"a\": \"b\"\n}",
    "[\"\\u0060\\u012a\\u12AB\"]",
    "[\"\\uD801\\udc37\"]",
    "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]",
    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
    "[\"\\\\u0000\"]",
    "[\"\\\"\"]",
    "[\"a/*b*/c/*d//e\"]",
    "[\"\\\\a\"]",
    "[\"\\\\n\"]",
    "[\"\\u0012\"]",
    "[\"\\uFFFF\"]",
    "[\"asd\"]",
    "[ \"asd\"]",
    "[\"\\uDBFF\\uDFFF\"]",
    "[\"new\\u00A0line\"]",
    "[\"\u{10ffff}\"]",
    "[\"\u{ffff}\"]",
    "[\"\\u0000\"]",
    "[\"\\u002c\"]",
    "[\"π\"]",
    "[\"\u{1bfff}\"]",
    "[\"asd \"]",
    "\" \"",
    "[\"\\uD834\\uDd1e\"]",
    "[\"\\u0821\"]",
    "[\"\\u0123\"]",
    "[\"\u{2028}\"]",
    "[\"\u{2029}\"]",
    "[\"\\u0061\\u30af\\u30EA\\u30b9\"]",
    "[\"new\\u000Aline\"]",
    "[\"\u{7f}\"]",
    "[\"\\uA66D\"]",
    "[\"\\u005C\"]",
    "[\"⍂㈴⍂\"]",
    "[\"\\u0022\"]",
    "[\"\\u200B\"]",
    "[\"\\u2064\"]",
    "[\"\\uFDD0\"]",
    "[\"\\uFFFE\"]",
    "[\"€𝄞\"]",
    "[\"a\u{7f}a\"]",
    "false",
    "42",
    "-0.1",
    "null",
    "\"asd\"",
    "true",
    "\"\"",
    "[\"a\"]\n",
    "[true]",
    " [] ",
    "\u{feff}[]",
];

/// Documents no reader may accept, after the `n_` files of JSONTestSuite, with the offset and the
/// message of the error.
const INVALID: &[(&str, usize, Fault)] = &[
    ("[1 true]", 3, ExpectedComma),
    ("[\"\": 1]", 3, ExpectedComma),
    ("[\"\"],", 4, AfterTheEnd),
    ("[,1]", 1, ExpectedValue),
    ("[1,,2]", 3, ExpectedValue),
    ("[\"x\"]]", 5, AfterTheEnd),
    ("[\"\",]", 3, TrailingComma),
    ("[\"\"", 3, End),
    ("[x", 1, ExpectedValue),
    ("[3[4]]", 2, ExpectedComma),
    ("[1:2]", 2, ExpectedComma),
    ("[,]", 1, ExpectedValue),
    ("[-]", 2, ExpectedDigit),
    ("[   , \"\"]", 4, ExpectedValue),
    ("[1,\n1\n,1", 8, End),
    ("[1,]", 2, TrailingComma),
    ("[\"a\",\n4\n,1,", 11, End),
    ("[*]", 1, ExpectedValue),
    ("[1,\n1\n,1 \n ", 8, End),
    ("[{}", 3, End),
    ("[fals]", 1, ExpectedValue),
    ("[nul]", 1, ExpectedValue),
    ("[tru]", 1, ExpectedValue),
    ("[True]", 1, ExpectedValue),
    ("[++1234]", 1, ExpectedValue),
    ("[+1]", 1, ExpectedValue),
    ("[+Inf]", 1, ExpectedValue),
    ("[-01]", 3, ExpectedComma),
    ("[-1.0.]", 5, ExpectedComma),
    ("[-2.]", 4, ExpectedDigit),
    ("[-NaN]", 2, ExpectedDigit),
    ("[.-1]", 1, ExpectedValue),
    ("[.2e-3]", 1, ExpectedValue),
    ("[0.1.2]", 4, ExpectedComma),
    ("[0.3e+]", 6, ExpectedDigit),
    ("[0.3e]", 5, ExpectedDigit),
    ("[0.e1]", 3, ExpectedDigit),
    ("[0E+]", 4, ExpectedDigit),
    ("[0E]", 3, ExpectedDigit),
    ("[1.0e-]", 6, ExpectedDigit),
    ("[1 000.0]", 3, ExpectedComma),
    ("[1eE2]", 3, ExpectedDigit),
    ("[2.e+3]", 3, ExpectedDigit),
    ("[9.e+]", 3, ExpectedDigit),
    ("[Inf]", 1, ExpectedValue),
    ("[NaN]", 1, ExpectedValue),
    ("[\u{ff11}]", 1, ExpectedValue),
    ("[1+2]", 2, ExpectedComma),
    ("[0x1]", 2, ExpectedComma),
    ("[-Infinity]", 2, ExpectedDigit),
    ("[- 1]", 2, ExpectedDigit),
    ("[-012]", 3, ExpectedComma),
    ("[-.123]", 2, ExpectedDigit),
    ("[1ea]", 3, ExpectedDigit),
    ("[1.]", 3, ExpectedDigit),
    ("[012]", 2, ExpectedComma),
    ("[\"x\", truth]", 6, ExpectedValue),
    ("{[: \"x\"}\n", 1, ExpectedKey),
    ("{\"x\", null}", 4, ExpectedColon),
    ("{\"x\"::\"b\"}", 5, ExpectedValue),
    ("{\"a\":\"a\" 123}", 9, ExpectedComma),
    ("{key: 'value'}", 1, ExpectedKey),
    ("{\"a\" b}", 5, ExpectedColon),
    ("{:\"b\"}", 1, ExpectedKey),
    ("{\"a\":", 5, End),
    ("{\"a\"", 4, End),
    ("{1:1}", 1, ExpectedKey),
    ("{null:null,null:null}", 1, ExpectedKey),
    ("{\"id\":0,,,,,}", 8, ExpectedKey),
    ("{'a':0}", 1, OtherQuotes),
    ("['a']", 1, OtherQuotes),
    ("{\"id\":0,}", 7, TrailingComma),
    ("{\"a\":\"b\"}/**/", 9, Comment),
    ("{\"a\":\"b\"}// x", 9, Comment),
    ("{\"a\":1, # x\n}", 8, Comment),
    ("{\"a\":\"b\",,\"c\":\"d\"}", 9, ExpectedKey),
    ("{a: \"b\"}", 1, ExpectedKey),
    ("{\"a\":\"a", 7, End),
    ("{ \"foo\" : \"bar\", \"a\" }", 21, ExpectedColon),
    ("{\"a\":\"b\"}#", 9, Comment),
    ("{\"a\":1,\"b\":2,\"a\":3}", 13, DuplicateKey),
    ("{\"a\":1,\"\\u0061\":1}", 7, DuplicateKey),
    (" ", 0, End),
    ("", 0, End),
    ("\u{feff}", 3, End),
    ("[\"\\uD800\\\"]", 2, LoneSurrogate),
    ("[\"\\uD800\"]", 2, LoneSurrogate),
    ("[\"\\uD800\\\"", 2, LoneSurrogate),
    ("[\"\\uD800\\n\"]", 2, LoneSurrogate),
    ("[\"\\uD800x\"]", 2, LoneSurrogate),
    ("[\"\\uDC00\\uD800\"]", 2, LoneSurrogate),
    ("[\"\\uD834\\uD834\\uDD1E\"]", 2, LoneSurrogate),
    ("[\"\\uD800\\u\"]", 10, BadHex),
    ("[\"\\uD800\\u1\"]", 11, BadHex),
    ("[\"\\u00A\"]", 7, BadHex),
    ("[\"\\u/123\"]", 4, BadHex),
    ("[1e/]", 3, ExpectedDigit),
    ("[\"\\u12", 6, End),
    ("[\"\\u 123\"]", 4, BadHex),
    ("[\"\\u+123\"]", 4, BadHex),
    ("[\"\\u00é0\"]", 6, BadHex),
    ("[\"\\x00\"]", 3, BadEscape),
    ("[\"\\\\\\\"]", 7, End),
    ("[\"\\\t\"]", 3, BadEscape),
    ("[\"\\🌀\"]", 3, BadEscape),
    ("[\"\\", 3, End),
    ("[\"\\a\"]", 3, BadEscape),
    ("[\"\\d+\"]", 3, BadEscape),
    ("[é]", 1, ExpectedValue),
    ("\"", 1, End),
    ("['single quote']", 1, OtherQuotes),
    ("abc", 0, ExpectedValue),
    ("[\"a\u{0}a\"]", 3, Control),
    ("[\"new\nline\"]", 5, LineBreak),
    ("[\"new\rline\"]", 5, LineBreak),
    ("[\"\t\"]", 2, Control),
    ("\"\\UA66D\"", 2, BadEscape),
    ("\"\"x", 2, AfterTheEnd),
    ("<.>", 0, ExpectedValue),
    ("[<null>]", 1, ExpectedValue),
    ("[1]x", 3, AfterTheEnd),
    ("[1]]", 3, AfterTheEnd),
    ("2@", 1, AfterTheEnd),
    ("{}}", 2, AfterTheEnd),
    ("{\"\":", 4, End),
    ("{\"a\":/*comment*/\"b\"}", 5, Comment),
    ("{\"a\": true} \"x\"", 12, AfterTheEnd),
    ("[", 1, End),
    ("{", 1, End),
    ("{\"a\":1", 6, End),
    ("{\"a\"", 4, End),
    ("{]", 1, ExpectedKey),
    ("]", 0, ExpectedValue),
    ("[}", 1, ExpectedValue),
    ("[1}", 2, ExpectedComma),
    ("[\"a\"}", 4, ExpectedComma),
    ("nullx", 4, AfterTheEnd),
    ("[\u{c}]", 1, ExpectedValue),
    ("[\u{a0}]", 1, ExpectedValue),
    ("[\u{2060}]", 1, ExpectedValue),
    ("[]\u{feff}", 2, AfterTheEnd),
    ("1 2", 2, AfterTheEnd),
    ("--1", 1, ExpectedDigit),
];

#[test]
fn every_document_the_standard_allows_is_read() {
    for document in VALID {
        read(document);
    }
}

#[test]
fn every_other_document_is_refused_where_it_goes_wrong() {
    for &(document, at, fault) in INVALID {
        let message = std::str::from_utf8(fault.message()).expect("ASCII");
        match parse(document.as_bytes()) {
            Ok(value) => panic!("{document}: {value:?}"),
            Err(error) => {
                let found = String::from_utf8_lossy(&error.message).into_owned();
                let (found, _) = found.split_once("; the ").unwrap_or((&found, ""));
                // The key that is there twice is named.
                let found = found.strip_suffix("\"a\"").unwrap_or(found);
                assert_eq!((error.at, found), (at, message), "{document}");
            }
        }
    }
}

#[test]
fn a_bracket_that_is_missing_is_named_with_the_line_of_the_one_that_is_open() {
    let cases = [
        (
            "{\"a\": 1,\n\"b\": [1, 2,\n3",
            22,
            End,
            "; the [ of line 2 is still open",
        ),
        (
            "{\n\"a\": [\"x\",\n\"b\": 1}",
            16,
            ExpectedComma,
            "; the [ of line 2 is still open",
        ),
        (
            "[\n{\"a\": [1],\n{\"a\": 1}]",
            13,
            ExpectedKey,
            "; the { of line 2 is still open",
        ),
        (
            "[[1], {\"a\": \"x",
            14,
            End,
            "; the { of line 1 is still open",
        ),
        ("", 0, End, ""),
        ("\"x", 2, End, ""),
    ];
    for (document, at, fault, open) in cases {
        let error = parse(document.as_bytes()).unwrap_err();
        let expected = [fault.message(), open.as_bytes()].concat();
        assert_eq!((error.at, error.message), (at, expected), "{document}");
    }
}

#[test]
fn curly_quotes_are_named_wherever_they_stand() {
    for (document, at) in [
        ("{“a”: 1}", 1),
        ("[”x”]", 1),
        ("[„x“]", 1),
        ("{\"a”: 1\n}", 3),
        ("[‘x’]", 1),
    ] {
        let error = parse(document.as_bytes()).unwrap_err();
        assert_eq!(error, self::error(at, OtherQuotes), "{document}");
    }
    assert!(parse("[\"“a”\"]".as_bytes()).is_ok());
}

#[test]
fn invalid_utf8_is_refused_at_its_first_byte() {
    let documents: [(&[u8], usize); 8] = [
        (b"[\"\xff\"]", 2),
        (b"[\"\xe0\x80\x80\"]", 2),
        (b"[\"\xed\xa0\x80\"]", 2),
        (b"[\"\xc3\xbc\xe9\"]", 4),
        (b"{\"\xb9\":\"0\",}", 2),
        (b"\xff\xfe[\x00]\x00", 0),
        (b"[\"\\u\xe5\"]", 4),
        (b"\xef\xbb{}", 0),
    ];
    for (document, at) in documents {
        assert_eq!(parse(document), Err(error(at, NotUtf8)), "{document:?}");
    }
}

#[test]
fn escapes_mean_what_the_standard_says() {
    let cases = [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00fc\u20AC\u0000""#, "Aü€\0"),
        (
            r#""\ud834\udd1E\udbff\udfff\ud800\udc00""#,
            "𝄞\u{10ffff}\u{10000}",
        ),
        ("\"für \u{1f980}\"", "für \u{1f980}"),
    ];
    for (document, expected) in cases {
        assert_eq!(read_string(document), expected);
    }
}

#[test]
fn every_value_and_key_knows_where_it_begins() {
    let document = "\u{feff} { \"ä\" : [ 1 , -2.5e1 ],\n\"b\": {\"c\":\"d\"} }";
    let value = read(document);
    let [a, b]: [Value; 2] = value.items().collect::<Vec<_>>().try_into().unwrap();
    let items: Vec<Value> = a.behind_key().items().collect();
    let found: Vec<(Value, &str)> = vec![
        (value, "{ \"ä"),
        (a, "\"ä\""),
        (a.behind_key(), "[ 1"),
        (items[1], "-2.5e1"),
        (b, "\"b\""),
        (b.behind_key(), "{\"c\""),
    ];
    for (value, text) in found {
        let at = value.at(document.as_bytes());
        assert!(document[at..].starts_with(text), "{text}: {at}");
    }
    assert_eq!((items.len(), items[1].word()), (2, &b"-2.5e1"[..]));
}

#[test]
fn a_member_is_found_by_its_key() {
    let document = r#"{"a": [{"b": 1}, "]},:\"", {}], "\u0062": null}"#;
    let value = read(document);
    let key = value.key("b").unwrap();
    assert_eq!(key.at(document.as_bytes()), document.find("\"\\u").unwrap());
    assert_eq!(value.member("b").map(Value::word), Some(&b"null"[..]));
    assert!(value.member("c").is_none());
    assert!(read("[]").member("a").is_none());
    assert!(read(r#"["a", "b"]"#).member("a").is_none());
}

#[test]
fn only_arrays_and_objects_have_items() {
    for (document, count) in [
        ("null", 0),
        ("\",\"", 0),
        ("-1", 0),
        (" [ ] ", 0),
        ("{\n}", 0),
        ("[[],[],{\"a\":[1,2]}]", 3),
        ("[\"\\\"\",\"\\\\\"]", 2),
        ("{\"a\":1 , \"b\" : [{},{}] }", 2),
    ] {
        assert_eq!(read(document).items().count(), count, "{document}");
    }
}

#[test]
fn nesting_is_limited_and_the_limit_is_no_stack_overflow() {
    let nested =
        |open: &str, close: &str, depth| [open.repeat(depth), close.repeat(depth)].concat();
    read(&nested("[", "]", MAX_DEPTH));
    read(&nested("[{\"\":", "}]", MAX_DEPTH / 2).replace(":}", ":0}"));
    let at_limit = Err(error(MAX_DEPTH, TooDeep));
    assert_eq!(parse(nested("[", "]", MAX_DEPTH + 1).as_bytes()), at_limit);
    assert_eq!(parse("[".repeat(1_000_000).as_bytes()), at_limit);
    let found = parse("{\"a\":".repeat(1_000_000).as_bytes()).unwrap_err();
    assert_eq!(found, error(MAX_DEPTH * 5, TooDeep));
    assert!(
        TooDeep
            .message()
            .ends_with(b"64 arrays and objects inside each other")
    );
}

#[test]
fn a_byte_of_a_decoded_string_is_found_in_the_document() {
    let document = r#"{"a": "x\n\u00fc\ud834\udd1ez"}"#;
    let at = document.find("\"x").unwrap();
    let document = document.as_bytes();
    // x, \n, both bytes of ü, four of the clef, z, the closing quote, and beyond.
    let places = [1, 2, 4, 4, 10, 10, 10, 10, 22, 23, 23];
    for (index, place) in places.into_iter().enumerate() {
        assert_eq!(string_offset(document, at, index), at + place, "{index}");
    }
}

#[test]
fn an_offset_for_a_string_that_is_none_stays_inside_the_document() {
    for document in [
        "",
        "\"",
        "\"abc",
        "\"\\",
        "\"\\ud8",
        "{\"a\": 1}",
        "\u{feff}ü",
    ] {
        for at in 0..document.len() + 3 {
            for index in 0..6 {
                let offset = string_offset(document.as_bytes(), at, index);
                assert!(offset <= document.len(), "{document} {at} {index}");
            }
        }
    }
    assert_eq!(string_offset(b"\"a\"", usize::MAX, usize::MAX), 3);
}

#[test]
fn numbers_are_scaled_exactly_or_not_at_all() {
    let cases: [(&str, i32, Option<u64>); 31] = [
        ("0", 0, Some(0)),
        ("-0", 0, None),
        ("-1", 3, None),
        ("4096", 0, Some(4096)),
        ("18446744073709551615", 0, Some(u64::MAX)),
        ("18446744073709551616", 0, None),
        ("1.0", 0, Some(1)),
        ("1.5", 0, None),
        ("1e3", 0, Some(1000)),
        ("1E+3", 0, Some(1000)),
        ("1200e-2", 0, Some(12)),
        ("1250e-2", 0, None),
        ("1", 3, Some(1000)),
        ("0.1", 3, Some(100)),
        ("0.001", 3, Some(1)),
        ("0.0015", 3, None),
        ("0.00150", 4, Some(15)),
        ("1.25e1", 3, Some(12_500)),
        ("12.5", 3, Some(12_500)),
        ("1992547409920.0000000", 0, Some(1_992_547_409_920)),
        ("60000000000000000000000e-20", 3, Some(600_000)),
        ("18446744073709551.615", 3, Some(u64::MAX)),
        ("18446744073709551.616", 3, None),
        ("18446744073709552", 3, None),
        ("0e2000000000", 0, Some(0)),
        ("0e-2000000000", 0, Some(0)),
        ("1e2000000000", 0, None),
        ("1e-2000000000", 0, None),
        ("1e2147483647", 3, None),
        ("1e-2147483648", -3, None),
        ("1e99999999999999999999", 3, None),
    ];
    for (number, decimals, expected) in cases {
        assert_eq!(read(number).scaled(decimals), expected, "{number}");
    }
    for other in ["null", "\"1\"", "[1]", "{}", "true", "false"] {
        assert_eq!(read(other).scaled(3), None, "{other}");
    }
}

#[test]
fn a_written_string_is_read_back() {
    let every_byte: String = (0..=255).map(char::from).collect();
    for text in ["", "plain", "\"\\/", "für 🦀 \u{2028}", &every_byte] {
        let mut out = Vec::new();
        put_json_string(text.as_bytes(), &mut out);
        assert!(out.iter().all(|&byte| byte >= b' '), "{text}");
        assert_eq!(read_string(&String::from_utf8(out).unwrap()), text);
    }
    let mut out = Vec::new();
    put_json_string("a\x1fü".as_bytes(), &mut out);
    assert_eq!(out, "\"a\\u001fü\"".as_bytes());
}

/// Looks at everything there is.
fn walk(value: Value) {
    let _ = (value.scaled(0), value.string(), value.member("a"));
    for item in value.items() {
        match value.first() {
            b'{' => walk(item.behind_key()),
            _ => walk(item),
        }
    }
}

#[test]
fn no_cut_or_changed_document_makes_the_reader_panic() {
    let long = std::format!(
        "{{\"all\": [{}], \"\\ud834\\udd1e\": 1.5e-3}}",
        VALID[..60].join(",")
    );
    let read = |document: &[u8]| match parse(document) {
        Ok(value) => walk(value),
        Err(error) => assert!(error.at <= document.len()),
    };
    for document in VALID.iter().copied().chain([long.as_str()]) {
        let bytes = document.as_bytes();
        for end in 0..bytes.len() {
            read(&bytes[..end]);
            for changed in [
                0,
                b'"',
                b'\\',
                b'{',
                b']',
                b',',
                b'9',
                0xc3,
                0xff,
                bytes[end] ^ 1,
            ] {
                let mut document = bytes.to_vec();
                document[end] = changed;
                read(&document);
            }
        }
    }
}

#[test]
fn no_random_bytes_make_the_reader_panic() {
    const LIKELY: &[u8] = b"[]{}:,\"\"\\u0dDbn18.-eE \ntruefalsnl\xc3\xbc\xff";
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for _ in 0..100_000 {
        let length = random() % 24;
        let document: Vec<u8> = (0..length)
            .map(|_| LIKELY[random() % LIKELY.len()])
            .collect();
        match parse(&document) {
            Ok(value) => walk(value),
            Err(error) => assert!(error.at <= document.len()),
        }
        string_offset(&document, random() % 24, random() % 24);
    }
}

#[test]
fn an_object_of_more_keys_than_anybody_needs_is_refused_at_once() {
    let object = |count: u32| {
        let mut text = text!("{\"k0\":0");
        for number in 1..count {
            put!(&mut text, ",\"k{}\":0", number);
        }
        text.push(b'}');
        text
    };
    assert!(parse(&object(1000)).is_ok());
    let Err(error) = parse(&object(50_000)) else {
        panic!("not refused");
    };
    assert_eq!(error.message, b"more than 1000 keys in one object");
}
