//! Cutting into lines: the same lines however the bytes arrive, and every one of them handed out or counted.
//!
//! An input is a list of actions: bytes to add, a byte to add many times, a read, the end of a file.

use super::{Script, no_remark};
use crate::hunt::Target;
use logknockd::source::lines::{LineBuffer, MAX_LINE};

pub const TARGET: Target = Target {
    name: "lines",
    seeds,
    words: &[
        "\n",
        "\r\n",
        "\n\n",
        " \x0b\t",
        "K",
        "\u{fc}x\u{20}",
        "\u{fc}\n\u{ff}",
        "\0",
    ],
    check,
    verdict: None,
    remark: no_remark,
};

fn seeds() -> Vec<Vec<u8>> {
    [
        &b"\x01\x08one\ntwo\n\x05\x01\x04 x \r\x05\x06\x01\x02y\n"[..],
        b"\x02x\x80\x05\x01\x02z\n\x05",
        b"\x02x\x80\x02x\x80\x02x\x80\x05\x01\x05zK\nb\n\x05\x01\x02 K\x06\x01\x02d\n",
        b"\x03\x05\x01\x01\n\x05",
        b"\x02\n\xff\x05\x02K\xff\x05\x02\n\xff\x06",
        b"\x04\x01\x00\x05\x01\x02a\n\x04\x00\x01\x05",
    ]
    .map(<[u8]>::to_vec)
    .into()
}

/// What comes, and how.
enum Event {
    Bytes(Vec<u8>),
    /// The file ends here; what comes next is another file.
    End,
}

struct Stream {
    events: Vec<Event>,
    total: usize,
}

impl Stream {
    fn read(input: &[u8]) -> Stream {
        let mut script = Script(input);
        let mut events = Vec::new();
        let mut bytes = Vec::new();
        let mut total = 0;
        while !script.is_over() && total < 6 * MAX_LINE {
            let before = bytes.len();
            match script.byte() {
                0 | 1 => bytes.extend(script.bytes()),
                2 => {
                    let byte = script.byte() as u8;
                    bytes.resize(bytes.len() + script.byte() * 64, byte);
                }
                // Just about the limit.
                3 => bytes.resize(bytes.len() + MAX_LINE - 1 + script.byte() % 4, b'L'),
                // Just about what a buffer holds.
                4 => bytes.resize(bytes.len() + 2 * MAX_LINE - 2 + script.byte() % 4, b'B'),
                5 => events.push(Event::Bytes(std::mem::take(&mut bytes))),
                6 => {
                    events.push(Event::Bytes(std::mem::take(&mut bytes)));
                    events.push(Event::End);
                }
                other => bytes.push(other as u8),
            }
            total += bytes.len().saturating_sub(before);
        }
        events.push(Event::Bytes(bytes));
        events.push(Event::End);
        Stream { events, total }
    }

    /// The lines, worked out from everything at once.
    fn lines(&self) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Vec::new();
        let mut file = Vec::new();
        for event in &self.events {
            match event {
                Event::Bytes(bytes) => file.extend(bytes),
                Event::End => {
                    let last = file.rsplit(|&byte| byte == b'\n').next();
                    let ended = last.is_none_or(|last| last.iter().all(|byte| *byte == 0));
                    let mut pieces: Vec<&[u8]> = file.split(|&byte| byte == b'\n').collect();
                    if ended {
                        pieces.pop();
                    }
                    lines.extend(pieces.into_iter().map(line));
                    file.clear();
                }
            }
        }
        lines
    }
}

fn line(bytes: &[u8]) -> (Vec<u8>, bool) {
    let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[nuls..];
    let kept = &bytes[..bytes.len().min(MAX_LINE)];
    let is_blank = |byte: &u8| b" \t\n\x0b\x0c\r".contains(byte);
    let first = kept
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(kept.len());
    let end = kept
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(first, |last| last + 1);
    (kept[first..end].to_vec(), bytes.len() > MAX_LINE)
}

fn check(input: &[u8]) {
    let stream = Stream::read(input);
    let expected = stream.lines();
    // Short reads of long texts take their time.
    let short = if stream.total > 4096 { 997 } else { 1 } * (1 + input.len() % 13);
    for chunk in [usize::MAX, short] {
        let (lines, skipped) = cut(&stream, chunk, None);
        assert!(
            lines == expected,
            "{} lines, {} expected, {chunk} at a time",
            lines.len(),
            expected.len()
        );
        assert_eq!(skipped, 0);
    }
    for chunk in [usize::MAX, short] {
        let (lines, skipped) = cut(&stream, chunk, Some(b'K'));
        assert_eq!(
            lines.len() as u64 + skipped,
            expected.len() as u64,
            "lines handed out and skipped"
        );
        let with = |lines: &[(Vec<u8>, bool)]| {
            lines
                .iter()
                .filter(|(line, _)| line.contains(&b'K'))
                .count()
        };
        assert_eq!(
            with(&lines),
            with(&expected),
            "a line that was looked for is skipped"
        );
    }
}

/// What the buffer makes of it, with reads of at most `chunk` bytes, and lines skipped up to one with `wanted`.
fn cut(stream: &Stream, chunk: usize, wanted: Option<u8>) -> (Vec<(Vec<u8>, bool)>, u64) {
    let mut buffer = LineBuffer::new(0);
    let mut lines = Vec::new();
    let mut skipped = 0;
    for event in &stream.events {
        match event {
            Event::Bytes(bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let room = buffer.room();
                    let count = rest.len().min(chunk).min(room.len());
                    assert!(count > 0, "no room to go on");
                    room[..count].copy_from_slice(&rest[..count]);
                    buffer.add(count);
                    rest = &rest[count..];
                    skipped += take(&mut buffer, wanted, &mut lines);
                }
            }
            Event::End => {
                buffer.finish();
                skipped += take(&mut buffer, wanted, &mut lines);
            }
        }
    }
    (lines, skipped)
}

fn take(buffer: &mut LineBuffer, wanted: Option<u8>, lines: &mut Vec<(Vec<u8>, bool)>) -> u64 {
    let mut skipped = 0;
    loop {
        if let Some(wanted) = wanted {
            let find = |text: &[u8]| text.iter().position(|&byte| byte == wanted);
            let places = buffer.skip_lines(find);
            let text = buffer.between(places);
            assert!(text.is_empty() || text.ends_with(b"\n"));
            skipped += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        match buffer.next_line() {
            Some(line) => lines.push((line.bytes.to_vec(), line.cut)),
            None => return skipped,
        }
    }
}
