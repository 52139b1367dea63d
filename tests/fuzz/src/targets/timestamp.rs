//! Times of log lines: the forms of a moment are one time, later moments are later, and a log without years
//! goes on where it was.

use super::texts;
use crate::hunt::Target;
use logknockd::timestamp::{LogClock, Utc};
use std::fmt::Write as _;

pub const TARGET: Target = Target {
    name: "timestamp",
    seeds,
    words: &[
        "Jan",
        "Feb",
        "Mar",
        "Dec",
        " 29 ",
        " 1 ",
        "Mon ",
        "<134>",
        "T",
        "Z",
        "+01:00",
        "-0430",
        ".123",
        ",5",
        "[",
        "]",
        "/",
        "/Nov/",
        "audit(",
        " +0100",
        "1795327200",
        "23:59:60",
        "00:00:00",
        "2024-02-29",
        "1970-01-01",
        "9999-12-31",
        "2106-02-07 06:28:15",
        " 2026",
        "-",
        ":",
        "\n",
    ],
    check,
    verdict: Some(verdict),
    remark: super::no_remark,
};

/// 2026-11-22 06:00:00 UTC.
const NOW_S: i64 = 1_795_327_200;
const DAY_MS: u64 = 86_400_000;
/// What comes later has no time.
const END_MS: u64 = 1000 << 32;

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "Sun Nov 22 06:00:00 2026 kern.warn kernel: [12345.678901] drop wan in: IN=eth1",
        "Nov 22 06:00:00 router kernel: drop",
        "<4>Nov  2 06:00:00 router kernel: drop",
        "2026-11-22T06:00:00Z router kernel: drop",
        "2026-11-22 06:00:00.0429 drop",
        "2026-11-22T07:00:00+01:00 router kernel: drop",
        "2026-11-22T01:30:00-0430 router kernel: drop",
        "Dec 31 23:59:58 host x\nJan  1 00:00:01 host x\nDec 31 23:59:59 host x\nFeb 29 00:00:00 x",
        "Feb 29 12:00:00 x\nMar  1 12:00:00 x",
        "2026/11/22 06:00:00 [error] 12#12: *3 user",
        "203.0.113.9 - bob [22/Nov/2026:07:00:00 +0100] \"GET / HTTP/1.1\" 401",
        "[Sun Nov 22 06:00:00.123456 2026] [error]\n[Sun Nov 22 06:00:01 2026] [error]",
        "[2026-11-22 06:00:00] x\n[2026-11-22 06:00:01] x\n[2026-11-22 06:00:02,5] x",
        "nov/22/2026 06:00:00 system\n2026-11-22 06:00:00 +0100 x",
        "1795327200.123 x\n[  118.522941] x\ntype=X msg=audit(1795327200.123:45): x",
    ])
}

fn check(input: &[u8]) {
    let mut clock = LogClock::new(NOW_S);
    // Reads every line anew: in between comes one of another form.
    let mut forgetful = LogClock::new(NOW_S);
    let mut last_ms = None;
    for line in input.split(|&byte| byte == b'\n').take(64) {
        let time_ms = clock.time_ms(line);
        forgetful.time_ms(b"1795327200 x");
        assert_eq!(
            time_ms,
            forgetful.time_ms(line),
            "what is remembered changes a time"
        );
        let Some(time_ms) = time_ms else {
            continue;
        };
        assert!(time_ms < END_MS);
        // Shown and read again it is the same second.
        let mut shown = Vec::new();
        logknockd::text::Put::put(&Utc((time_ms / 1000) as u32), &mut shown);
        assert_eq!(
            LogClock::new(NOW_S).time_ms(&shown),
            Some(time_ms / 1000 * 1000),
            "{}",
            shown.escape_ascii()
        );
        if !is_without_year(line) {
            last_ms = None;
        } else {
            if let Some(last_ms) = last_ms {
                // Not every year has a 29 February.
                let limit = if line.starts_with(b"Feb 29") {
                    1100
                } else {
                    184
                };
                assert!(
                    time_ms.abs_diff(last_ms) <= limit * DAY_MS,
                    "a year too far"
                );
            }
            last_ms = Some(time_ms);
        }
    }
    check_forms(input);
}

fn is_without_year(line: &[u8]) -> bool {
    // Only the plain form: month, day, time, and then no digit.
    line.first().is_some_and(u8::is_ascii_uppercase)
        && line.get(3) == Some(&b' ')
        && line.get(9) == Some(&b':')
        && !line
            .get(15..)
            .unwrap_or_default()
            .iter()
            .any(u8::is_ascii_digit)
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[derive(PartialEq, PartialOrd, Clone, Copy)]
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    second: u64,
}

impl Moment {
    fn of(bytes: &[u8]) -> Moment {
        let number = |at: usize| {
            bytes
                .iter()
                .skip(at)
                .take(4)
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        Moment {
            year: 1970 + number(0) % 136,
            month: 1 + number(1) % 12,
            day: 1 + number(2) % 31,
            second: number(3) % 86_400,
        }
    }

    fn is_a_day(&self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year == 2000);
        self.day
            <= match self.month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            }
    }

    fn forms(&self) -> [String; 7] {
        let Moment {
            year,
            month,
            day,
            second,
        } = *self;
        let time = format!(
            "{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        let name = MONTHS[month as usize - 1];
        [
            format!("{year}-{month:02}-{day:02}T{time}Z x"),
            format!("Sun {name} {day:2} {time} {year} x"),
            format!("<7>{name} {day:2} {time} {year}"),
            format!("{year}-{month:02}-{day:02} {time}.9999+00:00"),
            format!("{year}/{month:02}/{day:02} {time} [error]"),
            format!("x - - [{day:02}/{name}/{year}:{time} +0000]"),
            format!("[Sun {name} {day:2} {time}.123456 {year}] x"),
        ]
    }

    /// None if the forms differ.
    fn time_ms(&self) -> Option<Option<u64>> {
        let read = |form: &String| {
            LogClock::new(NOW_S)
                .time_ms(form.as_bytes())
                .map(|ms| ms / 1000 * 1000)
        };
        let times = self.forms().each_ref().map(read);
        times
            .iter()
            .all(|time| *time == times[0])
            .then_some(times[0])
    }
}

fn check_forms(input: &[u8]) {
    let moments = [
        Moment::of(input),
        Moment::of(input.get(5..).unwrap_or_default()),
    ];
    let times = moments.map(|moment| {
        moment
            .time_ms()
            .unwrap_or_else(|| panic!("{:?} differ", moment.forms()))
    });
    for (moment, time) in moments.iter().zip(times) {
        assert_eq!(time.is_some(), moment.is_a_day(), "{:?}", moment.forms());
    }
    if let [Some(one), Some(other)] = times {
        assert_eq!(
            one.cmp(&other),
            moments[0].partial_cmp(&moments[1]).expect("numbers")
        );
    }
}

/// The time of each line, read by itself.
fn verdict(input: &[u8]) -> String {
    let mut shown = String::new();
    for line in input.split(|&byte| byte == b'\n').take(64) {
        match LogClock::new(NOW_S).time_ms(line) {
            Some(time_ms) => write!(shown, "{time_ms};").expect("a string to grow"),
            None => shown.push_str("-;"),
        }
    }
    shown
}
