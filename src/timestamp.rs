//! The time a log line carries, for replaying logs.
//!
//! Three forms are understood at the beginning of a line, after an optional syslog priority (`<134>`):
//!
//! | form | example |
//! |---|---|
//! | OpenWrt (C's `asctime`) | `Sun Nov 22 06:00:00 2026` |
//! | RFC 3164, section 4.1.2 | `Nov 22 06:00:00` |
//! | RFC 3339 | `2026-11-22T06:00:00.123+01:00` |
//!
//! Times without a zone are taken as UTC; only differences matter. RFC 3164 leaves out the year: the
//! first such line is taken to be from the last twelve months, every further one from the year that
//! brings it nearest to the one before.

use crate::text::Put;
use alloc::vec::Vec;

const DAY_S: i64 = 86_400;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Reads the times of a log's lines, one after the other.
pub struct LogClock {
    /// The time of the last line without a year, in seconds since 1970.
    last_s: i64,
    /// Its year.
    year: i32,
}

impl LogClock {
    /// A clock for a log that is read at `now_s`, in seconds since 1970.
    pub fn new(now_s: i64) -> LogClock {
        // What is nearest to half a year ago is from the last twelve months; with a day's grace for clocks and
        // zones that differ.
        let last_s = now_s - 365 * DAY_S / 2 + DAY_S;
        LogClock {
            last_s,
            year: year_of(day_of(last_s)),
        }
    }

    /// The time of `line` in milliseconds since 1970; none if it carries none that can be read.
    pub fn time_ms(&mut self, line: &[u8]) -> Option<u64> {
        let mut text = Cursor(skip_priority(line));
        let ms = if text.0.first()?.is_ascii_digit() {
            rfc3339_ms(&mut text)?
        } else {
            self.named_month(&mut text)? * 1000
        };
        u64::try_from(ms).ok()
    }

    /// `Sun Nov 22 06:00:00 2026` or `Nov 22 06:00:00`, in seconds.
    fn named_month(&mut self, text: &mut Cursor) -> Option<i64> {
        let mut month = month(text.0);
        if month.is_none() {
            text.skip(3)?;
            text.expect(b' ')?;
            month = self::month(text.0);
        }
        text.skip(3)?;
        text.expect(b' ')?;
        // A day below ten is padded with a blank.
        let _ = text.expect(b' ');
        let (month, day) = (month?, text.number(1, 2)?);
        text.expect(b' ')?;
        let time = text.time()?;
        let written = text.expect(b' ').and_then(|()| text.number(4, 4));
        if let Some(year @ 1970..2200) = written
            && matches!(text.0.first(), None | Some(b' '))
        {
            return moment(year, month, day, time);
        }
        // The nearest of three: forwards over a new year, or back over one that came too early.
        let mut nearest: Option<(u64, i32, i64)> = None;
        for year in self.year - 1..=self.year + 1 {
            if let Some(seconds) = moment(year, month, day, time) {
                let distance = seconds.abs_diff(self.last_s);
                if nearest.is_none_or(|(least, ..)| distance < least) {
                    nearest = Some((distance, year, seconds));
                }
            }
        }
        (_, self.year, self.last_s) = nearest?;
        Some(self.last_s)
    }
}

fn skip_priority(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"<") else {
        return line;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match rest.get(digits..) {
        Some([b'>', rest @ ..]) => rest,
        _ => line,
    }
}

fn month(text: &[u8]) -> Option<i32> {
    let name = text.first_chunk::<3>()?;
    let index = MONTHS.iter().position(|month| *month == name)?;
    // OK because there are twelve.
    Some(index as i32 + 1)
}

/// `2026-11-22T06:00:00.123+01:00`, also with a blank instead of the `T`, as RFC 3339 allows. In milliseconds.
fn rfc3339_ms(text: &mut Cursor) -> Option<i64> {
    let year = text.number(4, 4)?;
    text.expect(b'-')?;
    let month = text.number(2, 2)?;
    text.expect(b'-')?;
    let day = text.number(2, 2)?;
    text.expect(b'T').or_else(|| text.expect(b' '))?;
    let time = text.time()?;
    let ms = text.fraction_ms();
    let offset = text.zone()?;
    Some(moment(year, month, day, time - offset)? * 1000 + i64::from(ms))
}

/// A time of a day in seconds since 1970; none if there is no such date.
fn moment(year: i32, month: i32, day: i32, time: i32) -> Option<i64> {
    Some(i64::from(days(year, month, day)?) * DAY_S + i64::from(time))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar after the year 0; none if there is no such date.
fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day last; their months then start at (153 m + 2) / 5.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// The day of a time; that of a time before 1970 is the first.
fn day_of(seconds: i64) -> i32 {
    // OK because days are fewer than seconds, of which there are not that many yet.
    (seconds.max(0) as u64 / DAY_S as u64) as i32
}

/// The year of a day.
fn year_of(day: i32) -> i32 {
    // Never too early, and a year too late for every 1460 that have passed.
    let mut year = 1970 + day / 365 + 1;
    while days(year, 1, 1).is_some_and(|first| first > day) {
        year -= 1;
    }
    year
}

/// A time in seconds since 1970, shown as `2026-11-22 06:00:00`.
pub struct Utc(pub i64);

impl Put for Utc {
    fn put(&self, out: &mut Vec<u8>) {
        let day = day_of(self.0);
        // OK because a day has fewer.
        let second = (self.0 - i64::from(day) * DAY_S) as i32;
        let year = year_of(day);
        let (mut month, mut first) = (13, i32::MAX);
        while first > day {
            month -= 1;
            first = days(year, month, 1).unwrap_or(day);
        }
        put!(out, "{}", year);
        for (before, number) in [
            (b'-', month),
            (b'-', day - first + 1),
            (b' ', second / 3600),
            (b':', second / 60 % 60),
            (b':', second % 60),
        ] {
            // OK because each has two digits.
            out.extend_from_slice(&[
                before,
                b'0' + (number / 10) as u8,
                b'0' + (number % 10) as u8,
            ]);
        }
    }
}

/// What is left of a line to be read.
struct Cursor<'l>(&'l [u8]);

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    #[inline(never)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn digit(&mut self) -> Option<i32> {
        let (digit @ b'0'..=b'9', rest) = self.0.split_first()? else {
            return None;
        };
        self.0 = rest;
        Some(i32::from(digit - b'0'))
    }

    /// A number of `least` to `most` digits.
    #[inline(never)]
    fn number(&mut self, least: usize, most: usize) -> Option<i32> {
        let mut value = 0;
        for count in 0..most {
            match self.digit() {
                Some(digit) => value = value * 10 + digit,
                None if count < least => return None,
                None => break,
            }
        }
        Some(value)
    }

    /// `06:00:00` in seconds; a leap second is allowed.
    fn time(&mut self) -> Option<i32> {
        let hours = self.number(2, 2)?;
        self.expect(b':')?;
        let minutes = self.number(2, 2)?;
        self.expect(b':')?;
        let seconds = self.number(2, 2)?;
        let valid = hours < 24 && minutes < 60 && seconds <= 60;
        valid.then_some((hours * 60 + minutes) * 60 + seconds)
    }

    /// `.123456`, or nothing.
    fn fraction_ms(&mut self) -> i32 {
        let mut ms = 0;
        let mut weight = 100;
        if self.expect(b'.').is_some() {
            while let Some(digit) = self.digit() {
                ms += digit * weight;
                weight /= 10;
            }
        }
        ms
    }

    /// `Z`, `+01:00` or nothing, in seconds to subtract.
    fn zone(&mut self) -> Option<i32> {
        let sign = match self.0.first() {
            Some(b'+') => 60,
            Some(b'-') => -60,
            _ => return Some(0),
        };
        self.skip(1)?;
        let hours = self.number(2, 2)?;
        let _ = self.expect(b':');
        let minutes = self.number(2, 2)?;
        let valid = hours < 24 && minutes < 60;
        valid.then_some(sign * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 06:00:00 UTC, as `date -u -d '2026-11-22 06:00:00' +%s` prints it.
    const SUNDAY_MS: u64 = 1_795_327_200_000;

    fn one(line: &str) -> Option<u64> {
        LogClock::new(SUNDAY_MS as i64 / 1000).time_ms(line.as_bytes())
    }

    #[test]
    fn the_three_forms_of_one_moment_are_the_same_time() {
        for line in [
            "Sun Nov 22 06:00:00 2026 kern.warn kernel: [12345.678901] drop wan in: IN=eth1",
            "Nov 22 06:00:00 router kernel: drop",
            "<4>Nov 22 06:00:00 router kernel: drop",
            "2026-11-22T06:00:00Z router kernel: drop",
            "2026-11-22 06:00:00 drop",
            "2026-11-22T07:00:00+01:00 router kernel: drop",
            "2026-11-22T01:30:00-0430 router kernel: drop",
        ] {
            assert_eq!(one(line), Some(SUNDAY_MS), "{line}");
        }
        assert_eq!(
            one("2026-11-22T06:00:00.0429+00:00 x"),
            Some(SUNDAY_MS + 42)
        );
    }

    #[test]
    fn what_is_no_time_stamp_is_none() {
        for line in [
            "",
            "drop wan in: IN=eth1",
            "Sun Nov 31 06:00:00 2026 x",
            "Nov 22 24:00:00 x",
            "Foo 22 06:00:00 x",
            "2026-13-01T00:00:00Z",
            "2026-11-22",
            "2026-11-22T06:00:00+24:00",
            "2026-11-22T06:00:00-01:60",
            "99999999999999999999",
            "<4",
            "\u{ff}\u{ff}\u{ff}\u{ff}",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
    }

    #[test]
    fn a_log_without_years_goes_on_across_a_new_year() {
        let now_s = moment(2026, 1, 3, 0).unwrap();
        let mut clock = LogClock::new(now_s);
        let mut time = |line: &str| clock.time_ms(line.as_bytes()).unwrap() / 1000;
        let before = time("Dec 31 23:59:58 host x");
        assert_eq!(before, days(2026, 1, 1).unwrap() as u64 * 86_400 - 2);
        assert_eq!(time("Jan  1 00:00:01 host x"), before + 3);
        // A clock that is set back a little does not make a year.
        assert_eq!(time("Dec 31 23:59:59 host x"), before + 1);
        assert_eq!(time("Jan  1 00:00:02 host x"), before + 4);
    }

    #[test]
    fn a_time_is_shown_as_it_was_read() {
        for text in [
            "1970-01-01 00:00:00",
            "1999-12-31 23:59:59",
            "2000-02-29 12:34:56",
            "2026-11-22 06:00:00",
        ] {
            let seconds = one(text).unwrap() / 1000;
            assert_eq!(text!("{}", Utc(seconds as i64)), text.as_bytes());
        }
    }

    #[test]
    fn every_day_of_five_centuries_follows_the_one_before() {
        let mut expected = days(1800, 1, 1).unwrap();
        for year in 1800..2300 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(number) = days(year, month, day) {
                        assert_eq!(number, expected, "{year}-{month}-{day}");
                        assert_eq!(year_of(number), year);
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 2, 29), Some(11_016));
    }
}
