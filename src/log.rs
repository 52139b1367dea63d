//! What the daemon says: levels, and where messages go.
//!
//! * A message is one line. Bytes that a terminal or a log reader could act on are escaped here, at the
//!   last moment, whatever part of the message they came from.
//! * Writing never blocks the daemon. When standard error is a pipe that nobody empties, messages are
//!   dropped and counted, and the count is reported when there is room again. To ask for room first is not enough
//!   where others write to the same pipe: they may be quicker. So it is opened anew, without waiting, and what others
//!   share with us stays as they have set it up. Only a pipe that somebody else owns, to whom we are a stranger,
//!   cannot be; there the question must do.
//! * Standard error is the default: procd, systemd and runit all collect it. With `--syslog`, messages
//!   are datagrams to `/dev/log` in the form of RFC 3164 without its time stamp, which every syslog
//!   daemon adds itself; if `/dev/log` is not there, they go to standard error.

use crate::sys::fd::FileKind;
use crate::sys::{Errno, fd, process};
use crate::text::{Parts, Put, Template, put_escaped, text};
use alloc::vec::Vec;

/// How important a message is. Later levels are more talkative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something did not work and will not mend itself.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What the daemon does.
    Info,
    /// Why it does it.
    Debug,
    /// Every line it reads.
    Trace,
}

/// How each level is marked on standard error, and its severity in syslog (RFC 3164, section 4.1.1).
const LEVELS: [(&str, u32); 5] = [
    ("[ERROR] ", 3),
    ("[WARN] ", 4),
    ("[INFO] ", 6),
    ("[DEBUG] ", 7),
    ("[TRACE] ", 7),
];

/// The syslog facility "daemon", already shifted to its place.
const FACILITY: u32 = 3 << 3;

/// A message takes no more than this many bytes, so that a pipe takes it whole or not at all.
const MAX_MESSAGE: usize = 4000;

const SYSLOG_SOCKET: &[u8] = b"/dev/log";

/// Where messages go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// `/dev/log`.
    Syslog,
}

/// The daemon's log.
pub struct Log {
    level: Level,
    target: Target,
    socket: Option<fd::Fd>,
    /// Standard error, if it is a pipe or a terminal: opened anew, because there may be room for less than a
    /// message, and what we share with others must not be made non-blocking.
    own: Option<fd::Fd>,
    /// Standard error is a socket, which cannot be opened anew but need not be waited for.
    is_socket: bool,
    lost: u64,
}

impl Log {
    /// A log that shows messages up to `level`.
    pub fn new(target: Target, level: Level) -> Log {
        let kind = fd::STDERR.status().map(|status| status.kind);
        let is_socket = matches!(kind, Ok(FileKind::Socket));
        let can_wait = matches!(kind, Ok(FileKind::Fifo)) || fd::STDERR.is_terminal();
        let reopen = || fd::Fd::open_to_write(c"/proc/self/fd/2").ok();
        Log {
            level,
            target,
            socket: None,
            own: can_wait.then(reopen).flatten(),
            is_socket,
            lost: 0,
        }
    }

    /// A log that somebody reads who wants to know what is said.
    #[cfg(test)]
    pub fn to(reader: fd::Fd, level: Level) -> Log {
        Log {
            own: Some(reader),
            ..Log::new(Target::Stderr, level)
        }
    }

    /// Shows messages up to `level` from now on.
    pub fn set_level(&mut self, level: Level) {
        self.level = level;
    }

    /// Whether messages of `level` are shown: what is costly to put together can be left out.
    pub fn shows(&self, level: Level) -> bool {
        level <= self.level
    }

    /// Writes a message, `template` filled in with `parts`.
    #[inline(never)]
    pub fn say(&mut self, level: Level, template: Template, parts: Parts) {
        if self.shows(level) {
            self.write(level, &text(template, parts));
        }
    }

    /// Writes one message.
    pub fn write(&mut self, level: Level, message: &[u8]) {
        if !self.shows(level) {
            return;
        }
        // OK because LEVELS has an entry for each of the five levels.
        let (mark, severity) = LEVELS[level as usize];
        if self.target == Target::Syslog && self.write_syslog(severity, message) {
            return;
        }
        if self.lost > 0 {
            let lost = text!("{}log: {} message{s} lost", LEVELS[1].0, self.lost);
            if !self.write_stderr(lost) {
                self.lost = self.lost.saturating_add(1);
                return;
            }
            self.lost = 0;
        }
        let mut line = mark.as_bytes().to_vec();
        put_escaped(message, &mut line);
        if !self.write_stderr(line) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Writes a line to standard error; false if there is no room for it now.
    fn write_stderr(&self, mut line: Vec<u8>) -> bool {
        line.truncate(MAX_MESSAGE);
        line.push(b'\n');
        let shared = fd::STDERR;
        let fd = self.own.as_ref().unwrap_or(&shared);
        // Any other error: nobody is left to be told.
        fd.is_writable()
            && Err(Errno::EAGAIN)
                != match self.is_socket {
                    true => fd.send(&line),
                    false => fd.write_all(&line),
                }
    }

    fn write_syslog(&mut self, severity: u32, message: &[u8]) -> bool {
        let priority = FACILITY | severity;
        let mut datagram = text!("<{}>{}", priority, &*tag(process::own_id()));
        put_escaped(message, &mut datagram);
        datagram.truncate(MAX_MESSAGE);
        // Twice, because a restarted syslog daemon leaves us with a dead socket.
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = fd::Fd::connect_datagram(SYSLOG_SOCKET).ok();
            }
            match &self.socket {
                None => return false,
                Some(socket) if socket.send(&datagram).is_ok() => return true,
                Some(_) => self.socket = None,
            }
        }
        false
    }
}

/// What a message for syslog begins with. Where a blank is the sixteenth byte, OpenWrt's logd takes it for the one behind
/// a time, and leaves out all of these: so the number of the process has four digits at least.
fn tag(id: u32) -> Vec<u8> {
    let zeros = match id {
        0..10 => "000",
        10..100 => "00",
        100..1000 => "0",
        _ => "",
    };
    text!("logknockd[{}{}]: ", zeros, id)
}

/// Logs a message, unless its level is not shown: `say!(log, Info: "rule {:?}", name)`, or `say!(log, (level): …)`.
#[macro_export]
macro_rules! say {
    ($log:expr, ($level:expr): $($message:tt)+) => {
        $crate::with_parts!([$log.say], ($level), $($message)+)
    };
    ($log:expr, $level:ident: $($message:tt)+) => {
        $crate::with_parts!([$log.say], ($crate::log::Level::$level), $($message)+)
    };
}

/// How long a throttle counts, in milliseconds.
const THROTTLE_MS: u64 = 10_000;

/// Keeps a message that strangers can provoke from filling the log: so many in ten seconds, and with the
/// next one how many were left out.
pub struct Throttle {
    burst: u32,
    passed: u32,
    counts_until_ms: u64,
    left_out: u32,
    told: u32,
}

impl Throttle {
    /// Lets `burst` messages pass in ten seconds.
    pub fn new(burst: u32) -> Throttle {
        Throttle {
            burst,
            passed: 0,
            counts_until_ms: 0,
            left_out: 0,
            told: 0,
        }
    }

    /// Whether to say something now, with the throttle itself as its last part.
    pub fn pass(&mut self, now_ms: u64) -> bool {
        if now_ms >= self.counts_until_ms {
            self.counts_until_ms = now_ms.saturating_add(THROTTLE_MS);
            self.passed = 0;
        }
        if self.passed >= self.burst {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        }
        self.passed += 1;
        self.told = core::mem::take(&mut self.left_out);
        true
    }
}

/// How many messages of this kind were left out before the one that has just passed; nothing if none.
impl Put for Throttle {
    fn put(&self, out: &mut Vec<u8>) {
        if self.told > 0 {
            put!(out, " ({} such message{s} left out)", self.told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_number_makes_a_message_look_as_if_it_began_with_a_time() {
        for id in [1, 42, 308, 999, 1000, 32_768, 4_194_304] {
            let message = text!("{}  {{}}", &*tag(id));
            assert_ne!(message.get(15), Some(&b' '), "{id}");
            assert!(message.starts_with(b"logknockd["), "{id}");
        }
    }

    #[test]
    fn a_flood_of_warnings_becomes_one_in_ten_seconds_that_counts_the_others() {
        let mut throttle = Throttle::new(1);
        let mut shown = Vec::new();
        for now_ms in (0..25_000).step_by(1000) {
            if throttle.pass(now_ms) {
                shown.push((now_ms, throttle.told));
            }
        }
        assert_eq!(shown, [(0, 0), (10_000, 9), (20_000, 9)]);
    }
}
