//! Runs the commands of knocks: one child at a time, in order, each with a deadline, and never in the
//! way of anything else.
//!
//! * A *job* is all commands of one event; which is next is for others to say.
//! * A command that fails or cannot be started is reported, and the next one of its job runs all the
//!   same, as in a shell script.
//! * A command still running at its deadline gets `SIGTERM`, `GRACE_MS` later `SIGKILL`, and so does
//!   everything it started that is still in its process group. A command that has left its group is killed all the
//!   same; what it started elsewhere is out of reach, and nobody waits for it. One that even that does not end (it
//!   hangs in a dead file system, or runs with rights that we have not) is left behind `GRACE_MS` later: a limit
//!   must not trust what it limits.
//! * What commands print is logged line by line, up to `OUTPUT_LINES` a command. The command's own end
//!   counts, not that of its output: something it left running in the background does not hold up the
//!   queue, and its further output is not read.

use crate::backoff::{NEVER, after};
use crate::commands::job::{EVENTS, Event, Job, Order};
use crate::commands::template::put_shell_words;
use crate::log::{Level, Log};
use crate::source::output::Output;
use crate::sys::fd::Fd;
use crate::sys::process::{Child, Exit, Streams, spawn};
use crate::sys::{Errno, clock};
use crate::text::{Put, program, with_blanks};
use alloc::vec::Vec;

/// Between `SIGTERM` and `SIGKILL`, in milliseconds.
const GRACE_MS: u64 = 2000;

/// Lines of output logged for one command.
const OUTPUT_LINES: u32 = 200;

/// Reads it takes to empty a pipe that nobody writes to any more.
const LAST_READS: usize = 8;

/// How the commands of an order ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Each with status 0.
    Yes,
    /// One with status 1, which is a check's no.
    No,
    /// In another way, if they could be run at all.
    Unclear,
}

/// An order that has been dealt with.
pub struct Finished {
    /// The order.
    pub order: Order,
    /// How its commands ended.
    pub answer: Answer,
}

/// How far a running command has been pushed towards its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Terminated,
    Killed,
}

/// The command that is running now.
struct Running {
    child: Child,
    stage: Stage,
    /// When the stage ends.
    deadline_ms: u64,
    /// What it prints, and how many lines of that have come.
    output: Output,
    logged: u32,
}

/// The job whose commands are being run.
struct Current {
    order: Order,
    /// Index of the command that is running or was last.
    index: usize,
    answer: Answer,
    running: Option<Running>,
}

/// The job that is being run.
pub struct Runner {
    current: Option<Current>,
    /// Commands that nothing has ended; nobody waits for them, but should they end, they are to be buried.
    left_behind: Vec<Child>,
    null: Fd,
}

impl Runner {
    /// A runner without jobs. Fails if there is no `/dev/null`.
    pub fn new() -> Result<Runner, Errno> {
        Ok(Runner {
            current: None,
            left_behind: Vec::new(),
            null: Fd::open(c"/dev/null")?,
        })
    }

    /// Whether a command could be started now, as far as descriptors go.
    pub fn can_start(&self) -> Result<(), Errno> {
        // Its output, and the report why it cannot be run.
        let _pipes = (Fd::pipe()?, Fd::pipe()?);
        Ok(())
    }

    /// The job that is running.
    pub fn current(&self) -> Option<&Job> {
        self.current.as_ref().map(|current| &*current.order.job)
    }

    /// The descriptor to wait for.
    pub fn fd(&self) -> Option<&Fd> {
        self.running()?.output.fd()
    }

    /// When to call [`Runner::check_deadline`].
    pub fn deadline_ms(&self) -> u64 {
        self.running().map_or(NEVER, |running| running.deadline_ms)
    }

    fn running(&self) -> Option<&Running> {
        self.current.as_ref()?.running.as_ref()
    }

    /// Goes on with the job that is being run, and hands it out when it has been dealt with.
    pub fn advance(&mut self, log: &mut Log) -> Option<Finished> {
        let current = self.current.as_mut()?;
        if current.running.is_some() || current.start_next(&self.null, log) {
            return None;
        }
        let Current { order, answer, .. } = self.current.take()?;
        Some(Finished { order, answer })
    }

    /// Makes a job the one that is being run.
    pub fn begin(&mut self, order: Order) {
        self.current = Some(Current::new(order));
    }

    /// Logs what the running command has printed.
    pub fn read_output(&mut self, log: &mut Log) {
        let level = self.current.as_ref().map_or(Level::Info, Current::level);
        if let Some(current) = &mut self.current
            && let Some(running) = &mut current.running
        {
            running.read_output(&current.order.job, level, log);
        }
    }

    /// Looks whether the running command has ended; to be called at every `SIGCHLD`.
    pub fn reap(&mut self, log: &mut Log) {
        while let Some(place) = self.left_behind.iter().position(|child| child.has_ended()) {
            self.left_behind.swap_remove(place).wait();
        }
        if let Some(current) = &mut self.current {
            current.reap(log);
        }
    }

    /// Pushes a command that is over its time.
    pub fn check_deadline(&mut self, now_ms: u64, log: &mut Log) {
        if let Some(current) = &mut self.current
            && let Some(child) = current.check_deadline(now_ms, log)
        {
            self.left_behind.push(child);
        }
    }
}

impl Current {
    fn new(order: Order) -> Current {
        Current {
            order,
            index: 0,
            answer: Answer::Yes,
            running: None,
        }
    }

    /// Starts the next command that can be started; false if there is none.
    fn start_next(&mut self, null: &Fd, log: &mut Log) -> bool {
        let job = &*self.order.job;
        while let Some(command) = job.commands(self.order.event).get(self.index) {
            if self.is_check() && self.answer != Answer::Yes {
                return false;
            }
            self.index += 1;
            let (words, rule) = (ShellWords(command), &job.rule);
            say!(log, (self.level()): "rule {:?}: running {}", rule, words);
            match start(&self.order, command, null) {
                Ok((child, output)) => {
                    self.running = Some(Running {
                        child,
                        stage: Stage::Running,
                        // The turn may have begun long ago: the disk may have made us wait.
                        deadline_ms: after(clock::boot_time_ms(), job.timeout_ms),
                        output,
                        logged: 0,
                    });
                    return true;
                }
                Err(errno) => {
                    self.answer = Answer::Unclear;
                    say!(log, Error: "rule {:?}: cannot run {:?}: {}",
                        job.rule, program(command), errno);
                }
            }
        }
        false
    }

    fn reap(&mut self, log: &mut Log) {
        let level = self.level();
        let Some(running) = &mut self.running else {
            return;
        };
        if !running.child.has_ended() {
            return;
        }
        // One that had to be ended did not succeed, whatever it says.
        let was_left_alone = running.stage == Stage::Running;
        if !was_left_alone {
            // While its leader is not waited for, the group's number cannot belong to anybody else.
            running.child.kill_group();
        }
        for _ in 0..LAST_READS {
            running.read_output(&self.order.job, level, log);
        }
        running.output.finish();
        running.log_output(&self.order.job, level, log);
        let what = running.child.wait();
        self.running = None;
        if was_left_alone && what == Exit::Status(0) {
            return;
        }
        let says_no = was_left_alone && what == Exit::Status(1);
        self.answer = match says_no {
            true => Answer::No,
            false => Answer::Unclear,
        };
        if says_no && self.is_check() {
            return;
        }
        say!(log, Warn: "rule {:?}: {}: {}", self.order.job.rule, self.program(), what);
    }

    fn is_check(&self) -> bool {
        self.order.event == Event::Check
    }

    /// How loud it is: what a check does is seldom worth a line.
    fn level(&self) -> Level {
        match self.is_check() {
            true => Level::Debug,
            false => Level::Info,
        }
    }

    /// The running command's name.
    fn program(&self) -> &[u8] {
        let index = self.index.wrapping_sub(1);
        let commands = self.order.job.commands(self.order.event);
        let command = commands.get(index);
        command.map_or(b"", |command| program(command))
    }

    /// Pushes the running command if it is over its time, and hands it out if nothing helps.
    fn check_deadline(&mut self, now_ms: u64, log: &mut Log) -> Option<Child> {
        if now_ms < self.running.as_ref()?.deadline_ms {
            return None;
        }
        // It may have ended in time, while the disk made us wait.
        self.reap(log);
        let running = self.running.as_mut()?;
        running.deadline_ms = after(now_ms, GRACE_MS);
        let mut left = None;
        let what = match running.stage {
            Stage::Running => {
                running.child.terminate_group();
                running.stage = Stage::Terminated;
                "takes too long, terminating it"
            }
            Stage::Terminated => {
                running.child.kill_group();
                running.stage = Stage::Killed;
                "does not end, killing it"
            }
            Stage::Killed => {
                left = self.running.take();
                self.answer = Answer::Unclear;
                "cannot be ended, going on without it"
            }
        };
        say!(log, Warn: "rule {:?}: {}: {}", self.order.job.rule, self.program(), what);
        left.map(|running| running.child)
    }
}

/// Starts one command of `order`.
fn start(order: &Order, command: &[u8], null: &Fd) -> Result<(Child, Output), Errno> {
    let event = EVENTS[order.event as usize];
    let (rule, key) = (&order.job.rule, &order.job.key);
    let variables = text!(
        "LOGKNOCK_RULE={}\0LOGKNOCK_KEY={}\0LOGKNOCK_EVENT={}\0",
        rule,
        key,
        event
    );
    let (read, write) = Fd::pipe()?;
    let streams = Streams {
        input: null,
        output: &write,
        error: &write,
    };
    let child = spawn(command, &variables, &streams)?;
    Ok((child, Output::new(read)))
}

impl Running {
    /// Reads once and logs the complete lines.
    fn read_output(&mut self, job: &Job, level: Level, log: &mut Log) {
        if self.output.read() {
            self.log_output(job, level, log);
        }
    }

    fn log_output(&mut self, job: &Job, level: Level, log: &mut Log) {
        while let Some(line) = self.output.next_line() {
            self.logged = self.logged.saturating_add(1);
            if self.logged <= OUTPUT_LINES {
                // The log escapes a tab, for a filter that is written after a line must know of it. No filter is
                // written after what a command prints, and its columns stay what they are.
                let shown = with_blanks(line.indented, b'\t');
                say!(log, (level): "rule {:?}: output: {}", job.rule, shown);
            } else if self.logged == OUTPUT_LINES + 1 {
                say!(log, Warn: "rule {:?}: the rest of the output is not logged", job.rule);
            }
        }
    }
}

/// A command as it could be typed into a shell.
struct ShellWords<'a>(&'a [u8]);

impl Put for ShellWords<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put_shell_words(self.0, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Target;
    use crate::sys::clock::boot_time_ms;
    use core::time::Duration;
    use std::thread::sleep;

    const TIMEOUT_MS: u64 = 60_000;

    fn running(command: &str, log: &mut Log) -> Runner {
        let job = Job {
            commands: [std::vec![text!("{}\0", command)], Vec::new(), Vec::new()],
            timeout_ms: TIMEOUT_MS,
            ..Job::default()
        };
        let mut runner = Runner::new().expect("a runner");
        runner.begin(Order {
            event: Event::Open,
            lease: None,
            job: job.into(),
        });
        assert!(runner.advance(log).is_none(), "it runs");
        runner
    }

    #[test]
    fn a_command_that_ended_in_time_has_whenever_we_look() {
        let mut log = Log::new(Target::Stderr, Level::Error);
        let mut runner = running("true", &mut log);
        while !runner
            .running()
            .is_none_or(|running| running.child.has_ended())
        {
            sleep(Duration::from_millis(1));
        }
        runner.check_deadline(boot_time_ms() + TIMEOUT_MS, &mut log);
        runner.reap(&mut log);
        let finished = runner.advance(&mut log).expect("its end");
        assert!(finished.answer == Answer::Yes);
    }
}
