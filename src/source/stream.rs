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
use super::lines::{Line, LineBuffer, one_line};
use crate::log::Log;
use crate::sys::fd::{Device, Fd, FileId, FileKind, Path, Poll, STDIN, status};
use crate::sys::{Errno, Result};
use alloc::vec::Vec;

/// The name of standard input.
pub const STDIN_NAME: &[u8] = b"-";

/// Linux's number for `/dev/kmsg` (Documentation/admin-guide/devices.txt).
const KMSG: Device = Device {
    major: 1,
    minor: 11,
};

/// Room for the largest record that the kernel makes; a smaller buffer is answered with `EINVAL`.
const RECORD_SIZE: usize = 16 << 10;

/// Bytes of a text stream's buffer.
const BUFFER_SIZE: usize = 16 << 10;

/// How a stream is cut into lines.
enum Form {
    Text(LineBuffer),
    Records(Records),
}

/// Records of the kernel's log.
struct Records {
    buffer: Vec<u8>,
    /// The message of the record that was read last, until it is handed out.
    message: Vec<u8>,
    is_new: bool,
    /// The sequence number that comes next, if nothing is lost.
    expected: Option<u64>,
}

/// An open stream.
struct Opened {
    fd: Fd,
    /// None for standard input, which is never replaced.
    id: Option<FileId>,
}

/// What reading has come to.
enum Read {
    /// There may be more.
    More,
    /// There is nothing more just now.
    Nothing,
    /// The last writer is gone.
    End,
}

/// One stream.
pub struct StreamSource {
    access: Access,
    opened: Option<Opened>,
    form: Form,
    has_ended: bool,
}

impl StreamSource {
    /// Opens `path`; `-` is standard input.
    pub fn new(path: Path, now_ms: u64, log: &mut Log) -> StreamSource {
        let mut source = StreamSource {
            access: Access::new(path),
            opened: None,
            form: Form::Text(LineBuffer::new(BUFFER_SIZE)),
            has_ended: false,
        };
        if source.access.name() == STDIN_NAME {
            source.opened = Some(Opened {
                fd: STDIN,
                id: None,
            });
        } else {
            source.check_path(now_ms, log);
        }
        source
    }

    /// How to get at it.
    pub fn access(&self) -> &Access {
        &self.access
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
    pub fn poll(&self) -> Option<Poll> {
        let opened = self.opened.as_ref().filter(|_| !self.has_ended)?;
        Some(Poll::reading(&opened.fd))
    }

    /// Looks whether the path leads to another stream than before, and if so goes over to that one.
    pub fn check_path(&mut self, now_ms: u64, log: &mut Log) {
        if matches!(&self.opened, Some(Opened { id: None, .. })) {
            return;
        }
        match self.open_if_new() {
            // Success is what can be read, not what can be opened.
            Ok(()) => self.access.begin(),
            Err(obstacle) => self.access.fail(obstacle, self.is_open(), now_ms, log),
        }
    }

    fn open_if_new(&mut self) -> core::result::Result<(), Obstacle> {
        let current = self.opened.as_ref().and_then(|opened| opened.id);
        if current == Some(status(self.access.path())?.id) {
            return Ok(());
        }
        self.reopen()
    }

    /// Opens the path. What was open before is closed after that.
    fn reopen(&mut self) -> core::result::Result<(), Obstacle> {
        let (fd, status) = self.access.open()?;
        match (status.kind, &self.form) {
            (FileKind::Device(KMSG), _) => {
                fd.seek_to_end()?;
                self.form = Form::Records(Records::new());
            }
            (FileKind::Fifo | FileKind::Device(_), Form::Text(_)) => {}
            (FileKind::Fifo | FileKind::Device(_), Form::Records(_)) => {
                self.form = Form::Text(LineBuffer::new(BUFFER_SIZE));
            }
            _ => return Err(Obstacle::Unreadable),
        }
        self.opened = Some(Opened {
            fd,
            id: Some(status.id),
        });
        Ok(())
    }

    /// Reads once, for [`StreamSource::next_line`]. Returns whether there may be more at once.
    pub fn read(&mut self, now_ms: u64, log: &mut Log) -> bool {
        let Some(opened) = self.opened.as_ref().filter(|_| !self.has_ended) else {
            return false;
        };
        let is_stdin = opened.id.is_none();
        let read = self.form.read(&opened.fd, log);
        if matches!(read, Ok(Read::More | Read::Nothing)) {
            self.access.succeed();
        }
        match read {
            // Standard input may block: only poll knows whether there is more.
            Ok(Read::More) => !is_stdin,
            Ok(Read::Nothing) => false,
            Ok(Read::End) if is_stdin => {
                self.has_ended = true;
                false
            }
            Ok(Read::End) => {
                self.restart(now_ms, log);
                false
            }
            Err(errno) if is_stdin => {
                say!(log, Error: "standard input: {}", errno);
                self.has_ended = true;
                false
            }
            Err(errno) => {
                self.opened = None;
                self.access
                    .fail(Obstacle::System(errno), false, now_ms, log);
                false
            }
        }
    }

    /// The last writer of a FIFO is gone: the next one is waited for with a new descriptor, because the
    /// old one would go on reporting the end.
    fn restart(&mut self, now_ms: u64, log: &mut Log) {
        let reopened = match status(self.access.path()) {
            Ok(status) if status.kind == FileKind::Fifo => self.reopen(),
            Ok(_) => Err(Obstacle::Ended),
            Err(errno) => Err(Obstacle::from(errno)),
        };
        if let Err(obstacle) = reopened {
            self.opened = None;
            self.access.fail(obstacle, false, now_ms, log);
        }
    }

    /// The next line of what was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        match &mut self.form {
            Form::Text(lines) => lines.next_line(),
            Form::Records(records) => records.next_line(),
        }
    }
}

impl Form {
    fn read(&mut self, fd: &Fd, log: &mut Log) -> Result<Read> {
        let lines = match self {
            Form::Text(lines) => lines,
            Form::Records(records) => return records.read(fd, log),
        };
        match fd.read(lines.room()) {
            Ok(0) => {
                lines.finish();
                Ok(Read::End)
            }
            Ok(count) => {
                lines.add(count);
                Ok(Read::More)
            }
            Err(Errno::EAGAIN) => Ok(Read::Nothing),
            Err(errno) => Err(errno),
        }
    }
}

impl Records {
    fn new() -> Records {
        Records {
            buffer: alloc::vec![0; RECORD_SIZE],
            message: Vec::new(),
            is_new: false,
            expected: None,
        }
    }

    fn read(&mut self, fd: &Fd, log: &mut Log) -> Result<Read> {
        let count = match fd.read(&mut self.buffer) {
            Ok(count) => count,
            Err(Errno::EAGAIN) => return Ok(Read::Nothing),
            // Records were overwritten before we came to them; the next one tells how many.
            Err(Errno::EPIPE) => return Ok(Read::More),
            Err(errno) => return Err(errno),
        };
        let record = self.buffer.get(..count).unwrap_or_default();
        if let Some(sequence) = kmsg::parse(record, &mut self.message) {
            let lost = sequence.saturating_sub(self.expected.unwrap_or(sequence));
            if lost > 0 {
                say!(log, Warn: "the kernel's log overran us, {} record{s} lost", lost);
            }
            self.expected = Some(sequence.saturating_add(1));
            self.is_new = true;
        }
        Ok(Read::More)
    }

    fn next_line(&mut self) -> Option<Line<'_>> {
        core::mem::take(&mut self.is_new).then(|| one_line(&self.message))
    }
}
