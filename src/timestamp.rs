//! The time a log line carries, for replaying logs.
//!
//! These forms are understood at the beginning of a line, after an optional syslog priority (`<134>`, `<134>1`) or bracket:
//!
//! | form | example |
//! |---|---|
//! | OpenWrt (C's `asctime`), Apache's errors | `Sun Nov 22 06:00:00 2026`, `[Sun Nov 22 06:00:00.123456 2026]` |
//! | syslog (RFC 3164, section 4.1.2) | `Nov 22 06:00:00` |
//! | RFC 3339 and what is like it | `2026-11-22T06:00:00.123+01:00`, `[2026-11-22 06:00:00,123]`, `2026/11/22 06:00:00` |
//! | the same behind a weekday (`journalctl -o short-full`) | `Sun 2026-11-22 06:00:00 CET` |
//! | BIND, PHP; Python | `22-Nov-2026 06:00:00.123`, `[22/Nov/2026 06:00:00]` |
//! | RouterOS | `nov/22/2026 06:00:00` |
//! | seconds since 1970 (squid, `journalctl -o short-unix`) | `1795327200.123` |
//! | seconds since the start (the kernel's) | `[  118.522941]` |
//!
//! and these anywhere in it: `[22/Nov/2026:06:00:00 +0100]` (access logs), `audit(1795327200.123:45)`,
//! `"ts":1795327200.123` (Caddy), and what is like RFC 3339 behind a quote, `=` or `[` (JSON, logfmt):
//! `"time":"2026-11-22T06:00:00Z"`, `time=2026-11-22T06:00:00Z`. An hour below ten may be padded with a blank (MariaDB)
//! or not at all.
//!
//! Times without a zone are taken as UTC; only differences matter. RFC 3164 leaves out the year: the
//! first such line is taken to be from the last twelve months, every further one from the year that
//! brings it nearest to the one before. Times are those of 32 bits, from 1970 to 2106.
//!
//! Most lines differ from the one before by their second at most: what has been read is remembered, and a beginning
//! that is the same but for its second is not read again.

use crate::text::{Put, is_letter, leading, same};
use alloc::vec::Vec;

const DAY_S: u32 = 86_400;

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// Reads the times of a log's lines, one after the other.
pub struct LogClock {
    /// The time of the last line without a year, in seconds since 1970.
    last_s: u32,
    /// Its year.
    year: i32,
    known: Known,
}

/// The beginning of the last line whose time could be read, and what it means.
struct Known {
    text: [u8; KNOWN],
    /// How much of it counts; 0 if nothing is known.
    length: usize,
    /// Where the two digits of the second stand.
    second_at: usize,
    /// The time of the minute, in seconds since 1970.
    minute_s: u32,
    /// Whether the year was not written.
    guessed: bool,
}

/// The longest beginning that is remembered.
const KNOWN: usize = 40;

impl LogClock {
    /// A clock for a log that is read at `now_s`, in seconds since 1970.
    pub fn new(now_s: i64) -> LogClock {
        // What is nearest to half a year ago is from the last twelve months; with a day's grace for clocks and
        // zones that differ.
        let now_s = u32::try_from(now_s).unwrap_or(0);
        let last_s = now_s.saturating_sub(365 * DAY_S / 2 - DAY_S);
        LogClock {
            last_s,
            year: year_of(day_of(last_s)),
            known: Known {
                text: [0; KNOWN],
                length: 0,
                second_at: 0,
                minute_s: 0,
                guessed: false,
            },
        }
    }

    /// The time of `line` in milliseconds since 1970 (or, if it is the kernel's, since the start); none if it carries
    /// none that can be read.
    #[inline]
    pub fn time_ms(&mut self, line: &[u8]) -> Option<u64> {
        let Some(seconds) = self.known.time_s(line) else {
            return self.read(line);
        };
        if self.known.guessed {
            self.last_s = seconds;
        }
        Some(u64::from(seconds) * 1000)
    }

    #[inline(never)]
    fn read(&mut self, line: &[u8]) -> Option<u64> {
        let mut text = Cursor::new(skip_priority(line));
        let mut time = self.beginning(&mut text);
        if time.is_none() {
            (text, time) = inside(line);
        }
        let (seconds, ms) = time?;
        let time_ms = u64::from(seconds) * 1000 + u64::from(ms);
        // From here on what was known may mean something else: years are guessed one after the other.
        self.known.length = 0;
        if ms == 0 {
            self.known.learn(line, &text, seconds);
        }
        Some(time_ms)
    }

    /// A time in seconds and milliseconds.
    fn beginning(&mut self, text: &mut Cursor) -> Option<(u32, u32)> {
        if text.expect(b'[').is_some() {
            text.bracketed = true;
            // The kernel pads its seconds.
            while text.expect(b' ').is_some() {}
        }
        match text.rest.first()?.is_ascii_digit() {
            true => numbered(text),
            false => self.named_month(text),
        }
    }

    /// `Sun Nov 22 06:00:00 2026`, `Nov 22 06:00:00` or `nov/22/2026 06:00:00`.
    fn named_month(&mut self, text: &mut Cursor) -> Option<(u32, u32)> {
        let mut month = month(text.rest);
        if month.is_none() {
            text.skip(3)?;
            text.expect(b' ')?;
            month = self::month(text.rest);
            if is_year(text.rest) {
                return numbered(text);
            }
        }
        text.skip(3)?;
        let month = month?;
        if text.expect(b'/').is_some() {
            let day = text.number(2, 2)?;
            text.expect(b'/')?;
            let year = text.number(4, 4)?;
            text.expect(b' ')?;
            let time = text.time()?;
            return Some((moment(year, month, day, time)?, text.fraction_ms()));
        }
        text.expect(b' ')?;
        // A day below ten is padded with a blank.
        let _ = text.expect(b' ');
        let day = text.number(1, 2)?;
        text.expect(b' ')?;
        let time = text.time()?;
        let ms = text.fraction_ms();
        let behind = text.rest;
        let written = text.expect(b' ').and_then(|()| text.number(4, 4));
        if let Some(year @ 1970..2106) = written
            && matches!(text.rest.first(), None | Some(b' ' | b']'))
        {
            text.decisive = 1;
            return Some((moment(year, month, day, time)?, ms));
        }
        text.rest = behind;
        text.guessed = true;
        // The nearest of five: forwards over a new year, or back over one that came too early. One of them has a leap day.
        let mut nearest: Option<(u32, i32, u32)> = None;
        for year in self.year - 2..=self.year + 2 {
            if let Some(seconds) = moment(year, month, day, time) {
                let distance = seconds.abs_diff(self.last_s);
                if nearest.is_none_or(|(least, ..)| distance < least) {
                    nearest = Some((distance, year, seconds));
                }
            }
        }
        (_, self.year, self.last_s) = nearest?;
        Some((self.last_s, ms))
    }
}

impl Known {
    /// The time of a line that begins like the one that is known.
    #[inline]
    fn time_s(&self, line: &[u8]) -> Option<u32> {
        let (head, known) = (line.get(..self.length)?, self.text.get(..self.length)?);
        let (before, after) = head.split_at_checked(self.second_at)?;
        let (known_before, known_after) = known.split_at_checked(self.second_at)?;
        let ([tens @ b'0'..=b'5', ones @ b'0'..=b'9', after @ ..], [_, _, known_after @ ..]) =
            (after, known_after)
        else {
            return None;
        };
        let is_same = same(before, known_before) && same(after, known_after);
        let second = u32::from((tens - b'0') * 10 + (ones - b'0'));
        self.minute_s.checked_add(second).filter(|_| is_same)
    }

    /// Remembers the beginning of a line that has been read up to `text`, and what behind it decided that it ends there.
    fn learn(&mut self, line: &[u8], text: &Cursor, seconds: u32) {
        let read = line.len() - text.rest.len();
        let Some(second_at) = text
            .second_left
            .and_then(|left| line.len().checked_sub(left))
        else {
            return;
        };
        let (Some(head), second) = (line.get(..read + text.decisive), line.get(second_at..)) else {
            return;
        };
        // The next line might have a year or a zone where this one has only its first byte.
        let guessed = text.guessed;
        let is_open = match head.last() {
            Some(b'+' | b'-') => text.decisive > 0,
            last => guessed && last.is_some_and(u8::is_ascii_digit),
        };
        if let (Some([tens @ b'0'..=b'5', ones @ b'0'..=b'9', ..]), false) = (second, is_open)
            && let Some(text) = self.text.get_mut(..head.len())
        {
            text.copy_from_slice(head);
            self.length = head.len();
            self.second_at = second_at;
            self.guessed = guessed;
            self.minute_s = seconds - u32::from((tens - b'0') * 10 + (ones - b'0'));
        }
    }
}

fn skip_priority(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"<") else {
        return line;
    };
    match rest.get(leading(rest, u8::is_ascii_digit).len()..) {
        // RFC 5424 has its version behind it.
        Some([b'>', b'1', b' ', rest @ ..] | [b'>', rest @ ..]) => rest,
        _ => line,
    }
}

/// The time that a line carries behind a bracket that opens a date or before the value of a name, or in `audit(…)`, and
/// what is left behind it. A stranger's text stands behind `audit(…)`, but may stand before the date of an access log.
fn inside(line: &[u8]) -> (Cursor<'_>, Option<(u32, u32)>) {
    let mut audit = (Cursor::new(line), None);
    let mut rest = line;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if !matches!(byte, b'[' | b'"' | b'=' | b'a') {
            continue;
        }
        let is_date = match (byte, behind) {
            (b'[', [b'0'..=b'3', b'0'..=b'9', b'/', ..]) => true,
            (b'[' | b'"' | b'=', [b'1' | b'2', _, _, _, b'-', ..]) => audit.1.is_none(),
            (b'a', [b'u', b'd', b'i', b't', b'(', inside @ ..])
            | (b'"', [b't', b's', b'"', b':', inside @ ..])
                if audit.1.is_none() =>
            {
                audit.0 = Cursor::new(inside);
                audit.1 = numbered(&mut audit.0);
                false
            }
            _ => false,
        };
        if is_date {
            let mut text = Cursor::new(behind);
            if let time @ Some(_) = numbered(&mut text) {
                return (text, time);
            }
        }
    }
    audit
}

/// Whether a date begins here with its year.
fn is_year(text: &[u8]) -> bool {
    matches!(text, [b'1' | b'2', _, _, _, b'-', ..])
}

/// A month's English name; RouterOS writes it small.
fn month(text: &[u8]) -> Option<i32> {
    let [first, second, third] = *text.first_chunk()?;
    let name = [first & !0x20, second, third];
    let (names, _) = MONTHS.as_chunks();
    let index = names.iter().position(|month| *month == name)?;
    // OK because there are twelve.
    Some(index as i32 + 1)
}

/// What begins with a number: `2026-11-22T06:00:00.123+01:00`, also with a blank instead of the `T`, as RFC 3339 allows,
/// and with slashes; `22/Nov/2026:06:00:00 +0100`; seconds. In seconds and milliseconds.
fn numbered(text: &mut Cursor) -> Option<(u32, u32)> {
    let (mut number, mut count) = (0u32, 0);
    while let Some(digit) = text.digit() {
        count += 1;
        number = number.checked_mul(10)?.checked_add_signed(digit)?;
    }
    let (year, month, day) = match (count, text.rest.first()) {
        (4, Some(&separator @ (b'-' | b'/'))) => {
            text.skip(1)?;
            let month = text.number(2, 2)?;
            text.expect(separator)?;
            let day = text.number(2, 2)?;
            text.expect(b'T').or_else(|| text.expect(b' '))?;
            // OK because a number of four digits fits.
            (number as i32, month, day)
        }
        (2, Some(&separator @ (b'-' | b'/'))) => {
            text.skip(1)?;
            let month = month(text.rest)?;
            text.skip(3)?;
            text.expect(separator)?;
            let year = text.number(4, 4)?;
            text.expect(b':').or_else(|| text.expect(b' '))?;
            // OK because a number of two digits fits.
            (year, month, number as i32)
        }
        // Those of the years 2001 to 2065; what has fewer digits is padded with zeros, a number of something else.
        (10, next)
            if matches!(number, 1_000_000_000..3_000_000_000)
                && !matches!(next, Some(b'-' | b'/')) =>
        {
            let ms = text.fraction_ms();
            let ends = text.rest.first().is_none_or(|byte| !is_letter(byte, b""));
            return ends.then_some((number, ms));
        }
        (_, Some(b'.')) if text.bracketed => {
            let ms = text.fraction_ms();
            return text.expect(b']').map(|()| (number, ms));
        }
        _ => return None,
    };
    let time = text.time()?;
    let ms = text.fraction_ms();
    let offset = text.zone()?;
    Some((moment(year, month, day, time - offset)?, ms))
}

/// A time of a day in seconds since 1970; none if there is no such date or it is before that, or too late.
#[inline(never)]
fn moment(year: i32, month: i32, day: i32, time: i32) -> Option<u32> {
    let day = u32::try_from(days(year, month, day)?).ok()?;
    day.checked_mul(DAY_S)?.checked_add_signed(time)
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

/// The day of a time.
fn day_of(seconds: u32) -> i32 {
    // OK because it has so many seconds.
    (seconds / DAY_S) as i32
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
pub struct Utc(pub u32);

impl Put for Utc {
    fn put(&self, out: &mut Vec<u8>) {
        let day = day_of(self.0);
        // OK because a day has fewer.
        let second = (self.0 % DAY_S) as i32;
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

/// What is left of a line to be read, and what has been found out on the way.
struct Cursor<'l> {
    rest: &'l [u8],
    /// How much was left where the second of the time stands.
    second_left: Option<usize>,
    /// How many bytes behind what was read decided that the time ends there.
    decisive: usize,
    /// Whether a bracket stands before it.
    bracketed: bool,
    /// Whether the year was guessed.
    guessed: bool,
}

impl Cursor<'_> {
    fn new(rest: &[u8]) -> Cursor<'_> {
        Cursor {
            rest,
            second_left: None,
            decisive: 2,
            bracketed: false,
            guessed: false,
        }
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    #[inline(never)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn digit(&mut self) -> Option<i32> {
        let (digit @ b'0'..=b'9', rest) = self.rest.split_first()? else {
            return None;
        };
        self.rest = rest;
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
        // MariaDB pads an hour below ten with a blank.
        let _ = self.expect(b' ');
        let hours = self.number(1, 2)?;
        self.expect(b':')?;
        let minutes = self.number(2, 2)?;
        self.expect(b':')?;
        self.second_left = Some(self.rest.len());
        let seconds = self.number(2, 2)?;
        let valid = hours < 24 && minutes < 60 && seconds <= 60;
        valid.then_some((hours * 60 + minutes) * 60 + seconds)
    }

    /// `.123456`, with a comma in some programs, or nothing.
    fn fraction_ms(&mut self) -> u32 {
        let mut ms = 0;
        let mut weight = 100;
        if self.expect(b'.').or_else(|| self.expect(b',')).is_some() {
            while let Some(digit) = self.digit() {
                ms += digit.unsigned_abs() * weight;
                weight /= 10;
            }
        }
        ms
    }

    /// `Z`, `+01:00` or nothing, in seconds to subtract. Behind a blank only what is one for certain.
    fn zone(&mut self) -> Option<i32> {
        let before = self.rest;
        let spaced = self.expect(b' ').is_some();
        let sign = match self.rest.first() {
            Some(b'+') => 60,
            Some(b'-') => -60,
            _ => 0,
        };
        let mut offset = Some(0);
        if sign != 0 {
            offset = self.offset_minutes().map(|minutes| sign * minutes);
            self.decisive = usize::from(spaced);
        }
        // A number that goes on is none: somebody's telephone, say.
        let goes_on = self.rest.first().is_some_and(u8::is_ascii_digit);
        if sign == 0 || spaced && (offset.is_none() || goes_on) {
            self.rest = before;
            self.decisive = 2;
            offset = Some(0);
        }
        offset
    }

    /// Behind the sign.
    fn offset_minutes(&mut self) -> Option<i32> {
        self.skip(1)?;
        let hours = self.number(2, 2)?;
        let _ = self.expect(b':');
        let minutes = self.number(2, 2)?;
        let valid = hours < 24 && minutes < 60;
        valid.then_some(hours * 60 + minutes)
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
    fn all_forms_of_one_moment_are_the_same_time() {
        for line in [
            "Sun Nov 22 06:00:00 2026 kern.warn kernel: [12345.678901] drop wan in: IN=eth1",
            "Nov 22 06:00:00 router kernel: drop",
            "<4>Nov 22 06:00:00 router kernel: drop",
            "2026-11-22T06:00:00Z router kernel: drop",
            "<4>2026-11-22T06:00:00Z router kernel: drop",
            "<4>1 2026-11-22T06:00:00Z router kernel - - - drop",
            "2026-11-22 06:00:00 drop",
            "2026-11-22T07:00:00+01:00 router kernel: drop",
            "2026-11-22T01:30:00-0430 router kernel: drop",
            "2026/11/22 06:00:00 [error] 12#12: *3 user",
            "203.0.113.9 - bob [22/Nov/2026:07:00:00 +0100] \"GET / HTTP/1.1\" 401",
            "[22/Nov/2026:06:00:00 +0000] x",
            "[Sun Nov 22 06:00:00 2026] [error] [client 203.0.113.9]",
            "[2026-11-22 06:00:00] NOTICE[12]: chan_sip.c",
            "[Nov 22 06:00:00] NOTICE[12]: chan_sip.c",
            "[2026/11/22 06:00:00,  0] smbd",
            "2026-11-22 07:00:00 +0100 x",
            "2026-11-22 06:00:00 +5 x",
            "2026-11-22T07:00:00+0100 host x",
            "nov/22/2026 06:00:00 system,error",
            "2026-11-22  6:00:00 4644 [Warning] Access denied",
            "2026-11-22 6:00:00 x",
            "2026-11-22 06:00:00 +12025550123 called",
            "2026-11-22 07:00:00 +0100",
            "Sun 2026-11-22 06:00:00 CET host sshd[7]: x",
            "22-Nov-2026 06:00:00 client @0x7f 203.0.113.9#5: query",
            "[22-Nov-2026 06:00:00 Europe/Berlin] PHP Warning",
            "[22-Nov-2026 07:00:00 +0100]: <1> FAILED login",
            "203.0.113.9 - - [22/Nov/2026 06:00:00] \"GET / HTTP/1.1\" 401 -",
            "203.0.113.9 - - [2026-11-22T07:00:00+01:00] \"GET / HTTP/1.1\" 401 1",
            "203.0.113.9 - [10/ [22/Nov/2026:06:00:00 +0000] \"GET /\"",
            "{\"level\":2,\"time\":\"2026-11-22T06:00:00+00:00\",\"remoteAddr\":\"203.0.113.9\"}",
            "time=\"2026-11-22T07:00:00+01:00\" level=error",
            "t=2026-11-22T07:00:00+0100 lvl=eror",
            "1795327200 x",
            "1795327200",
            "type=USER_AUTH msg=audit(1795327200.000:45): pid=1",
            "{\"level\":\"info\",\"ts\":1795327200.0001,\"logger\":\"http.log.access\"}",
            // What a stranger can have put in.
            "type=USER_LOGIN msg=audit(1795327200.000:45): acct=\"2020-01-01T00:00:00\"",
            "203.0.113.9 - audit(1000000000) [22/Nov/2026:06:00:00 +0000] \"GET /\"",
            "203.0.113.9 - - [22/Nov/2026:06:00:00 +0000] \"GET /?t=2020-01-01T00:00:00\"",
        ] {
            assert_eq!(one(line), Some(SUNDAY_MS), "{line}");
        }
        assert_eq!(
            one("2026-11-22T06:00:00.0429+00:00 x"),
            Some(SUNDAY_MS + 42)
        );
        for line in [
            "[Sun Nov 22 06:00:00.123456 2026] [auth_basic:error]",
            "2026-11-22 06:00:00,123 INFO x",
            "1795327200.123    45 203.0.113.9 TCP_DENIED/407",
            "Nov 22 06:00:00.123456 host sshd[1]: x",
            "[2026/11/22 06:00:00.123, 0] smbd",
        ] {
            assert_eq!(one(line), Some(SUNDAY_MS + 123), "{line}");
        }
        assert_eq!(one("[  118.522941] drop wan in: IN=eth1"), Some(118_522));
        assert_eq!(one("<4>[12345.000001] x"), Some(12_345_000));
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
            "17953272001",
            "0953272001 x",
            "pid 1795327200 x",
            "SRC=2026-11-22",
            "x \"2026-11-22\"",
            "1795327200th try",
            "118.522941 x",
            "[118] x",
            "[  118.522941 x",
            "192.0.2.1 - - [32/Nov/2026:06:00:00 +0100]",
            "192.0.2.1 - - [22/Foo/2026:06:00:00 +0100]",
            "2026/11-22 06:00:00",
            "nov/22/26 06:00:00",
            "audit(",
            "x [12/",
            "<4",
            "\u{ff}\u{ff}\u{ff}\u{ff}",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
    }

    #[test]
    fn a_log_without_years_goes_on_across_a_new_year() {
        let now_s = moment(2026, 1, 3, 0).unwrap();
        let mut clock = LogClock::new(now_s.into());
        let mut time = |line: &str| clock.time_ms(line.as_bytes()).unwrap() / 1000;
        let before = time("Dec 31 23:59:58 host x");
        assert_eq!(before, days(2026, 1, 1).unwrap() as u64 * 86_400 - 2);
        assert_eq!(time("Jan  1 00:00:01 host x"), before + 3);
        // A clock that is set back a little does not make a year.
        assert_eq!(time("Dec 31 23:59:59 host x"), before + 1);
        assert_eq!(time("Jan  1 00:00:02 host x"), before + 4);
    }

    #[test]
    fn a_leap_day_without_a_year_is_one_of_the_nearest_leap_year() {
        for (now, leap_year) in [(2026, 2024), (2027, 2028), (2028, 2028), (2029, 2028)] {
            let now_s = moment(now, 6, 1, 0).unwrap();
            let mut clock = LogClock::new(now_s.into());
            let mut time = |line: &str| clock.time_ms(line.as_bytes()).map(|ms| ms / 1000);
            let leap_day = days(leap_year, 2, 29).unwrap() as u64 * 86_400;
            assert_eq!(time("Feb 29 23:59:58 host x"), Some(leap_day + 86_398));
            assert_eq!(time("Mar  1 00:00:01 host x"), Some(leap_day + 86_401));
        }
    }

    /// What a clock says that has read other lines before is what one says that remembers nothing.
    #[test]
    fn what_is_remembered_changes_no_time() {
        let lines = [
            "Nov 22 06:00:00 host x",
            "Nov 22 06:00:59 host x",
            "Nov 22 06:00:60 host x",
            "Nov 22 06:00:00 hat x",
            "Nov 22 06:00:00 2027 x",
            "Nov 22 06:00:01 20 x",
            "Nov 22 06:00:01 2028 x",
            "Nov 22 06:00:01.5 host x",
            "Nov 22 06:00:01",
            "Nov 22 06:00:0",
            "Nov 22 06:00:6x host",
            "Sun Nov 22 06:00:00 2026 kern",
            "Sun Nov 22 06:00:07 2026 kern",
            "Sun Nov 22 06:00:07 20267 kern",
            "Sun Nov 22 06:00:07 2025 kern",
            "Sun Nov 22 06:00:07 2026kern",
            "Sun Nov 22 06:00:07 2026 daemon",
            "2026-11-22T06:00:00Z x",
            "2026-11-22T06:00:09Z x",
            "2026-11-22T06:00:09+01:00 x",
            "2026-11-22T06:00:10+01:00 x",
            "2026-11-22T06:00:10+02:00 x",
            "2026-11-22T06:00:10+01:0 x",
            "2026-11-22 06:00:10 x",
            "2026-11-22 06:00:11 +0100 x",
            "2026-11-22 06:00:12 +0100 x",
            "2026-11-22 06:00:12 +",
            "2026-11-22 06:00:12 +01000 x",
            "2026-11-22 06:00:12 +0100",
            "2026-11-22  6:00:12 x",
            "2026-11-22  6:00:13 x",
            "Sun 2026-11-22 06:00:12 CET",
            "Sun 2026-11-22 06:00:13 +0100",
            "{\"time\":\"2026-11-22T06:00:12Z\"}",
            "{\"time\":\"2026-11-22T06:00:13Z\"}",
            "{\"time\":\"2026-11-22T06:00:13+01:00\"}",
            "x=2026-11-22T06:00:13 [22/Nov/2026:06:00:00 +0000]",
            "x=2026-11-22T06:00:14 y",
            "22-Nov-2026 06:00:12 x",
            "22-Nov-2026 06:00:13 x",
            "2026-11-22 06:00:12.25 x",
            "2026-11-22 06:00:12,25 x",
            "<4>2026-11-22 06:00:12 x",
            "<6>2026-11-22 06:00:13 x",
            "[2026-11-22 06:00:12] x",
            "[2026-11-22 06:00:13] x",
            "[Sun Nov 22 06:00:00.123456 2026] x",
            "[Sun Nov 22 06:00:00.123456 2027] x",
            "Dec 31 23:59:59 host x",
            "Jan  1 00:00:00 host x",
            "Dec 31 23:59:58 host x",
            "Jan  1 00:00:00.5 host x",
            "no time",
            "1795327200.123 x",
            "[  118.522941] x",
        ];
        for first in lines {
            for second in lines {
                for third in lines {
                    let mut clock = LogClock::new(SUNDAY_MS as i64 / 1000);
                    let mut forgetful = LogClock::new(SUNDAY_MS as i64 / 1000);
                    for line in [first, second, third] {
                        forgetful.known.length = 0;
                        let expected = forgetful.time_ms(line.as_bytes());
                        assert_eq!(
                            clock.time_ms(line.as_bytes()),
                            expected,
                            "{first:?} {second:?} {third:?}"
                        );
                    }
                    assert_eq!(
                        (clock.year, clock.last_s),
                        (forgetful.year, forgetful.last_s)
                    );
                }
            }
        }
    }

    #[test]
    fn a_line_that_differs_by_its_second_is_not_read_again() {
        let mut clock = LogClock::new(SUNDAY_MS as i64 / 1000);
        for (line, next) in [
            (
                "Sun Nov 22 06:00:00 2026 kern",
                "Sun Nov 22 06:00:59 2026 daemon",
            ),
            ("Nov 22 06:00:00 host x", "Nov 22 06:00:31 home x"),
            ("2026-11-22T06:00:00+01:00 x", "2026-11-22T06:00:31+01:00 y"),
            ("[2026-11-22 06:00:00] x", "[2026-11-22 06:00:31] x"),
        ] {
            let first = clock.time_ms(line.as_bytes()).unwrap();
            let seconds = clock.known.time_s(next.as_bytes()).expect(next);
            assert!(
                (31..60).contains(&(u64::from(seconds) - first / 1000)),
                "{next}"
            );
        }
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
            assert_eq!(text!("{}", Utc(seconds as u32)), text.as_bytes());
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
