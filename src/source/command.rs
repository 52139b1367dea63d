//! A command whose standard output is the log: `logread -f`.
//!
//! * It runs in a process group of its own, which is ended with us, when a reload drops it, and when it has
//!   closed its output: `SIGTERM`, two seconds later `SIGKILL`, even if it has left its group. Every child is waited
//!   for; but one that cannot be ended holds up nothing, our own end included.
//! * When it ends it is started again after 1 s, doubling to 60 s; having lived for 60 s makes it start
//!   over with 1 s. What it had written is read first, and an unfinished last line is a line.
//! * What it writes to standard error is logged, line by line, up to `ERROR_LINES` in ten seconds.
//! * There is one message when it begins to fail, and none for every try.

use super::lines::{Line, LineBuffer};
use super::output::Output;
use crate::backoff::{Backoff, NEVER};
use crate::log::{Log, Throttle};
use crate::sys::fd::{Fd, Poll};
use crate::sys::process::{Child, Exit, Streams, spawn};
use crate::sys::{Errno, Result};
use crate::text::program;
use alloc::vec::Vec;

/// A command that has lived this long is not failing.
const LIFE_MS: u64 = 60_000;

/// Between `SIGTERM` and `SIGKILL`, in milliseconds.
const GRACE_MS: u64 = 2000;

/// How long a command may live on after it has closed its output, in milliseconds.
const LAST_WORDS_MS: u64 = 1000;

/// Reads of standard error at a time; a pipe holds no more than 64 KiB.
const ERROR_READS: usize = 4;

/// Lines of standard error that are logged in ten seconds.
const ERROR_LINES: u32 = 50;

/// A command that is running, or whose output has not been read to its end.
struct Running {
    /// How it ended when it has been waited for.
    child: core::result::Result<Child, Exit>,
    /// None when it has been closed.
    output: Option<Fd>,
    error: Output,
    /// When to end the command, which has closed its output.
    end_at_ms: u64,
    started_ms: u64,
}

/// A child on its way out.
pub struct Leaving {
    child: Child,
    stage: Stage,
    /// When the stage ends.
    deadline_ms: u64,
}

/// How far a child has been pushed towards its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Terminated,
    Killed,
    /// Nothing ends it.
    LeftBehind,
}

/// One command.
pub struct CommandSource {
    /// Its words, a NUL byte behind each.
    words: Vec<u8>,
    running: Option<Running>,
    lines: LineBuffer,
    throttle: Throttle,
}

impl CommandSource {
    /// The command, not yet started.
    pub fn new(words: &[u8]) -> CommandSource {
        CommandSource {
            words: words.to_vec(),
            running: None,
            lines: LineBuffer::new(0),
            throttle: Throttle::new(ERROR_LINES),
        }
    }

    /// When to call [`CommandSource::read`] even though nothing has happened.
    pub fn wake_at_ms(&self) -> u64 {
        let running = self.running.as_ref();
        running.map_or(NEVER, |running| running.end_at_ms)
    }

    /// Whether it is running.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The descriptors to wait for.
    pub fn add_polls(&self, polls: &mut Vec<Poll>) {
        if let Some(running) = &self.running {
            Poll::add(running.output.as_ref(), polls);
            Poll::add(running.error.fd(), polls);
        }
    }

    /// Its words, a NUL byte behind each.
    pub fn words(&self) -> &[u8] {
        &self.words
    }

    fn name(&self) -> &[u8] {
        program(&self.words)
    }

    /// Starts the command if it is not running.
    pub fn start(&mut self, backoff: &mut Backoff, now_ms: u64, log: &mut Log) {
        if self.running.is_some() {
            return;
        }
        backoff.begin();
        match run(&self.words, now_ms) {
            Ok(running) => {
                say!(log, Debug: "command {:?}: started", self.name());
                self.running = Some(running);
            }
            Err(errno) => {
                if backoff.failures() == 0 {
                    say!(log, Error: "command {:?}: {}; trying again", self.name(), errno);
                }
                backoff.fail(now_ms);
            }
        }
    }

    /// Reads what fits into the buffer, for [`CommandSource::next_line`]. Returns whether there may be
    /// more. A command that has closed its output is through: its child is returned, to be ended.
    pub fn read(
        &mut self,
        backoff: &mut Backoff,
        now_ms: u64,
        log: &mut Log,
    ) -> (bool, Option<Leaving>) {
        self.read_errors(now_ms, log);
        let Some(running) = &mut self.running else {
            return (false, None);
        };
        let is_over = running.child.is_err() || running.end_at_ms <= now_ms;
        let read = match &running.output {
            Some(output) => output.read(self.lines.room()),
            None => Ok(0),
        };
        match read {
            Ok(count @ 1..) => {
                self.lines.add(count);
                (true, None)
            }
            Err(Errno::EAGAIN) if !is_over => (false, None),
            // The end; or what is left open by somebody it has left behind, and nothing in it.
            Ok(_) | Err(_) if is_over => (true, self.end(backoff, now_ms, log)),
            // Its own end should follow, and with it its status.
            Ok(_) | Err(_) => {
                running.output = None;
                let end_at_ms = now_ms.saturating_add(LAST_WORDS_MS);
                running.end_at_ms = running.end_at_ms.min(end_at_ms);
                (false, None)
            }
        }
    }

    fn end(&mut self, backoff: &mut Backoff, now_ms: u64, log: &mut Log) -> Option<Leaving> {
        self.lines.finish();
        for _ in 0..ERROR_READS {
            self.read_errors(now_ms, log);
        }
        self.running.as_mut()?.error.finish();
        self.read_errors(now_ms, log);
        let running = self.running.take()?;
        if now_ms.saturating_sub(running.started_ms) >= LIFE_MS {
            backoff.succeed();
        }
        if backoff.failures() == 0 {
            let why = match &running.child {
                Ok(_) => text!("has closed its output"),
                Err(exit) => text!("{}", *exit),
            };
            say!(log, Warn: "command {:?}: {}, starting it again", self.name(), why);
        }
        backoff.fail(now_ms);
        let child = running.child.ok()?;
        Some(Leaving::new(child, now_ms))
    }

    /// Reads standard error once and logs what has come.
    fn read_errors(&mut self, now_ms: u64, log: &mut Log) {
        let name = program(&self.words);
        let Some(running) = &mut self.running else {
            return;
        };
        running.error.read();
        while let Some(line) = running.error.next_line() {
            if self.throttle.pass(now_ms) {
                say!(log, Warn: "command {:?}: {}{}", name, line.bytes, self.throttle);
            }
        }
    }

    /// The next line of what was read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        self.lines.next_line()
    }

    /// Waits for the command if it has ended; true if so. What it has written can still be read.
    pub fn reap(&mut self) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let Ok(child) = running.child else {
            return false;
        };
        if !child.has_ended() {
            return false;
        }
        // While its leader is not waited for, the group's number cannot belong to anybody else.
        child.kill_group();
        // Told when it is known whether it had lived long enough for that.
        running.child = Err(child.wait());
        true
    }

    /// Ends the command for good.
    pub fn close(&mut self, now_ms: u64) -> Option<Leaving> {
        let child = self.running.take()?.child.ok()?;
        Some(Leaving::new(child, now_ms))
    }
}

fn run(words: &[u8], now_ms: u64) -> Result<Running> {
    let (output, output_end) = Fd::pipe()?;
    let (error, error_end) = Fd::pipe()?;
    let streams = Streams {
        input: &Fd::open(c"/dev/null")?,
        output: &output_end,
        error: &error_end,
    };
    Ok(Running {
        child: Ok(spawn(words, &[], &streams)?),
        output: Some(output),
        error: Output::new(error),
        end_at_ms: NEVER,
        started_ms: now_ms,
    })
}

impl Leaving {
    fn new(child: Child, now_ms: u64) -> Leaving {
        child.terminate_group();
        Leaving {
            child,
            stage: Stage::Terminated,
            deadline_ms: now_ms.saturating_add(GRACE_MS),
        }
    }

    /// When to call [`Leaving::push`].
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Whether its end is near.
    pub fn is_awaited(&self) -> bool {
        self.stage != Stage::LeftBehind
    }

    /// Pushes it further if it is over its time.
    pub fn push(&mut self, now_ms: u64) {
        if self.deadline_ms <= now_ms {
            self.child.kill_group();
            (self.stage, self.deadline_ms) = match self.stage {
                Stage::Terminated => (Stage::Killed, now_ms.saturating_add(GRACE_MS)),
                Stage::Killed | Stage::LeftBehind => (Stage::LeftBehind, NEVER),
            };
        }
    }

    /// Waits for it if it has ended; true if so.
    pub fn reap(&self) -> bool {
        if !self.child.has_ended() {
            return false;
        }
        self.child.kill_group();
        self.child.wait();
        true
    }

    /// Gives it no more time.
    pub fn kill(&self) {
        self.child.kill_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    #[test]
    fn how_a_command_ended_is_told_though_it_had_failed_before_it_lived_long() {
        for (life_ms, expected) in [
            (LIFE_MS - 1, ""),
            (
                LIFE_MS,
                "[WARN] command \"sh\": exit status 3, starting it again\n",
            ),
        ] {
            let (messages, end) = Fd::pipe().expect("a pipe");
            let mut log = Log::to(end, Level::Warn);
            let mut source = CommandSource::new(b"sh\0-c\0exit 3\0");
            let mut backoff = Backoff::default();
            backoff.fail(0);
            source.start(&mut backoff, 0, &mut log);
            while !source.reap() {
                std::thread::yield_now();
            }
            while source.is_running() {
                source.read(&mut backoff, life_ms, &mut log);
            }
            drop(log);
            let told = messages.read_all(1024).expect("what was told");
            assert_eq!(told.as_deref(), Some(expected.as_bytes()));
        }
    }
}
