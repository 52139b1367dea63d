//! What a child writes into a pipe, line by line.
//!
//! What comes without a newline is a line when the pipe is at its end, or when nothing more is to be read from it.

use super::lines::{Line, LineBuffer};
use crate::sys::Errno;
use crate::sys::fd::Fd;

/// The end of a pipe that is read, and what has been read.
pub struct Output {
    fd: Option<Fd>,
    lines: LineBuffer,
}

impl Output {
    /// Nothing has been read yet.
    pub fn new(fd: Fd) -> Output {
        Output {
            fd: Some(fd),
            lines: LineBuffer::new(0),
        }
    }

    /// The descriptor to wait for; none when there is nothing more to read.
    pub fn fd(&self) -> Option<&Fd> {
        self.fd.as_ref()
    }

    /// Reads once, for [`Output::next_line`]. False if there is nothing just now.
    pub fn read(&mut self) -> bool {
        let Some(fd) = &self.fd else {
            return false;
        };
        match fd.read(self.lines.room()) {
            Ok(count @ 1..) => self.lines.add(count),
            Err(Errno::EAGAIN) => return false,
            Ok(_) | Err(_) => self.finish(),
        }
        true
    }

    /// Nothing more is read.
    pub fn finish(&mut self) {
        self.fd = None;
        self.lines.finish();
    }

    /// The next line of what was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        self.lines.next_line()
    }
}
