//! Streams: standard input, FIFOs, character devices, and the kernel's log among them.
//!
//! * *Standard input* ends the program when it ends; its unfinished last line is a line.
//! * *A FIFO* never blocks, and survives writers coming and going: at the end of the last writer it is
//!   opened anew, before the old descriptor is closed, so that nothing written in between is lost.
//! * *`/dev/kmsg`* is read from its end, one record (see `kmsg`) at a time. Records that were overwritten
//!   before we came to them are counted by the gap in the sequence numbers and reported.
//!
//! Whatever is there is read when `poll` says so: a stream needs no watching, only its path does.

use super::access::{Access, Obstacle};
use super::kmsg;
use super::lines::{Line, LineBuffer};
use crate::log::Log;
use crate::sys::Errno;
use crate::sys::fd::{Device, Fd, FileId, FileKind, STDIN, status};
use core::ffi::CStr;

/// The name of standard input.
pub const STDIN_NAME: &[u8] = b"-";

/// Linux's number for `/dev/kmsg` (Documentation/admin-guide/devices.txt).
const KMSG: Device = Device {
    major: 1,
    minor: 11,
};

/// An open stream.
struct Opened {
    fd: Fd,
    /// None for standard input, which is never replaced.
    id: Option<FileId>,
}

/// One stream.
pub struct StreamSource {
    opened: Option<Opened>,
    lines: LineBuffer,
    /// It is the kernel's log, which comes in records, not in lines.
    is_kmsg: bool,
    /// The sequence number of the record that comes next, if nothing is lost.
    expected: Option<u32>,
    has_ended: bool,
}

impl StreamSource {
    /// A stream that is not open yet.
    pub fn new() -> StreamSource {
        StreamSource {
            opened: None,
            lines: LineBuffer::new(0),
            is_kmsg: false,
            expected: None,
            has_ended: false,
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Whether it is standard input and has come to its end.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The descriptor to wait for.
    pub fn fd(&self) -> Option<&Fd> {
        let opened = self.opened.as_ref().filter(|_| !self.has_ended)?;
        Some(&opened.fd)
    }

    /// Whether it is open and a path leads to something else.
    pub fn is_replaced(&self, path: &CStr) -> bool {
        let current = self.opened.as_ref().and_then(|opened| opened.id);
        current.is_some_and(|id| status(path).is_ok_and(|status| status.id != id))
    }

    /// Makes what has come of an unfinished line a line. Returns whether something has come.
    pub fn finish(&mut self) -> bool {
        self.lines.finish()
    }

    /// Opens it if it is not; `-` is standard input.
    pub fn look(&mut self, access: &mut Access, now_ms: u64, log: &mut Log) {
        if access.name() == STDIN_NAME {
            let stdin = Opened {
                fd: STDIN,
                id: None,
            };
            self.opened.get_or_insert(stdin);
        } else if !self.is_open() {
            match self.reopen(access) {
                // Success is what can be read, not what can be opened.
                Ok(()) => access.backoff.begin(),
                Err(obstacle) => access.fail(obstacle, false, now_ms, log),
            }
        }
    }

    /// Opens the path. What was open before is closed after that.
    fn reopen(&mut self, access: &Access) -> core::result::Result<(), Obstacle> {
        let (fd, status) = access.open()?;
        let is_kmsg = match status.kind {
            FileKind::Device(KMSG) => {
                fd.seek_to_end()?;
                true
            }
            // A pipe without a name, such as /dev/stdin: opened anew, it is where it was before, at its end.
            FileKind::Fifo if fd.is_abandoned() => return Err(Obstacle::Ended),
            FileKind::Fifo | FileKind::Device(_) => false,
            _ => return Err(Obstacle::Unreadable),
        };
        if self.is_kmsg || is_kmsg {
            self.lines = LineBuffer::new(0);
        }
        self.is_kmsg = is_kmsg;
        self.expected = None;
        self.opened = Some(Opened {
            fd,
            id: Some(status.id),
        });
        Ok(())
    }

    /// Reads once, for [`StreamSource::next_line`]. Returns whether there may be more at once.
    pub fn read(&mut self, access: &mut Access, now_ms: u64, log: &mut Log) -> bool {
        let Some(opened) = self.opened.as_ref().filter(|_| !self.has_ended) else {
            return false;
        };
        let is_stdin = opened.id.is_none();
        let room = self.lines.room();
        let count = match opened.fd.read(room) {
            // The line is there: noise was taken for what one types to end an input, or it is set not to wait.
            Ok(0) if !is_stdin && opened.fd.is_terminal() => return false,
            Ok(0) if !self.is_kmsg => {
                self.lines.finish();
                if is_stdin {
                    say!(log, Info: "standard input has come to its end");
                    self.has_ended = true;
                } else {
                    self.restart(access, now_ms, log);
                }
                return false;
            }
            Ok(count) => count,
            Err(Errno::EAGAIN) => {
                access.tell_success(log);
                return false;
            }
            // Records were overwritten before we came to them; the next one tells how many.
            Err(Errno::EPIPE) if self.is_kmsg => 0,
            Err(errno) if is_stdin => {
                say!(log, Error: "standard input: {}", errno);
                self.has_ended = true;
                return false;
            }
            Err(errno) => {
                self.opened = None;
                access.fail(Obstacle::System(errno), false, now_ms, log);
                return false;
            }
        };
        access.tell_success(log);
        if !self.is_kmsg {
            self.lines.add(count);
        } else if let Some((sequence, length)) =
            kmsg::parse(room.get_mut(..count).unwrap_or_default())
        {
            self.lines.add_line(length);
            let lost = sequence.wrapping_sub(self.expected.unwrap_or(sequence));
            if lost > 0 {
                say!(log, Warn: "the kernel's log overran us, {} record{s} lost", lost);
            }
            self.expected = Some(sequence.wrapping_add(1));
        }
        // Standard input may block: only poll knows whether there is more.
        !is_stdin
    }

    /// The last writer of a FIFO is gone: the next one is waited for with a new descriptor, because the
    /// old one would go on reporting the end.
    fn restart(&mut self, access: &mut Access, now_ms: u64, log: &mut Log) {
        let reopened = match status(access.path()).map(|status| status.kind) {
            Ok(FileKind::Fifo) => self.reopen(access),
            Ok(FileKind::Device(_)) => Err(Obstacle::Ended),
            // Something else has taken its place, and is looked at next.
            Ok(_) => {
                self.opened = None;
                return;
            }
            Err(errno) => Err(Obstacle::from(errno)),
        };
        if let Err(obstacle) = reopened {
            self.opened = None;
            access.fail(obstacle, false, now_ms, log);
        }
    }

    /// The next line of what was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        self.lines.next_line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Target};
    use crate::sys::fd::c_path;
    use alloc::vec::Vec;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_pipe_without_a_name_is_at_its_end_when_its_writers_are_gone() {
        let mut log = Log::new(Target::Stderr, Level::Error);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let path = std::format!("/proc/self/fd/{}", reader.as_raw_fd());
        let mut access = Access::new(c_path(path.as_bytes()).expect("a path"));
        let mut stream = StreamSource::new();
        stream.look(&mut access, 0, &mut log);
        assert!(stream.is_open());
        writer.write_all(b"one\ntwo").expect("a write");
        drop(writer);
        let mut lines = Vec::new();
        while stream.read(&mut access, 0, &mut log) {}
        while let Some(line) = stream.next_line() {
            lines.push(line.bytes.to_vec());
        }
        assert_eq!(lines, [b"one", b"two"]);
        assert!(!stream.is_open());
        assert_eq!(access.backoff.at_ms(), 1000);
    }
}
