//! The daemon: one loop, one `poll`, one timer.
//!
//! Each turn of the loop deals with what has come (signals, the end of a command, lines of each source)
//! for a bounded time and then sleeps until something happens or the nearest deadline is reached. With
//! nothing to do there is no deadline, and nothing wakes it.
//!
//! * `SIGHUP` reads the configuration again. A bad one is reported and changes nothing; a good one keeps
//!   the place in every source that stays and the progress of every rule that matches as before.
//! * `SIGUSR1` reports the state.
//! * `SIGTERM` and `SIGINT` let the running job finish, each of its commands within its deadline. A
//!   second one exits at once.

use crate::config::Config;
use crate::dispatch::Dispatch;
use crate::engine::{Engine, Setup};
use crate::load::{Purpose, load};
use crate::log::{Level, Log, Target};
use crate::runner::Runner;
use crate::source::Sources;
use crate::sys::fd::{self, Poll};
use crate::sys::signal::{Signal, Signals};
use crate::sys::{Errno, clock, process, random_seed};
use crate::text::Quoted;
use alloc::vec::Vec;
use core::ffi::CStr;

/// What the command line says about running as a daemon.
#[derive(Clone, Copy)]
pub struct Options {
    /// The configuration file.
    pub config: &'static CStr,
    /// The verbosity asked for; the configuration can only raise it.
    pub level: Level,
    /// Where messages go.
    pub target: Target,
}

/// Why the daemon ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A signal asked it to.
    Stopped,
    /// The system did not give it what it needs.
    Failed,
    /// The configuration is bad; nothing was started.
    BadConfig,
}

/// Runs until a signal ends it.
pub fn run(options: Options) -> End {
    let mut log = Log::new(options.target, options.level);
    let config = match load(options.config, Purpose::Act) {
        Ok(config) => config,
        Err(message) => {
            log_lines(&mut log, &message);
            return End::BadConfig;
        }
    };
    match Daemon::start(options, config, log) {
        Ok(mut daemon) => daemon.run(),
        Err((mut log, errno)) => {
            say!(log, Error, "cannot start: ", errno);
            End::Failed
        }
    }
}

/// A configuration's diagnostics span lines; a log message does not.
fn log_lines(log: &mut Log, message: &[u8]) {
    for line in message.split(|&byte| byte == b'\n') {
        if !line.is_empty() {
            log.write(Level::Error, line);
        }
    }
}

/// How far the daemon is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Watching,
    /// Reading nothing any more; waiting for the running job.
    Stopping,
}

struct Daemon {
    options: Options,
    setup: Setup,
    engine: Engine,
    sources: Sources,
    dispatch: Dispatch,
    signals: Signals,
    phase: Phase,
}

impl Daemon {
    fn start(options: Options, config: Config, mut log: Log) -> Result<Daemon, (Log, Errno)> {
        let opened = Signals::catch().and_then(|signals| Ok((signals, Runner::new()?)));
        let (signals, runner) = match opened {
            Ok(opened) => opened,
            Err(errno) => return Err((log, errno)),
        };
        log.set_level(options.level.max(configured_level(&config)));
        let setup = Setup {
            max_keys: config.max_keys,
            seed: random_seed(),
            own_id: Some(process::own_id()),
        };
        let now_ms = clock::boot_time_ms();
        let daemon = Daemon {
            options,
            sources: Sources::open(&config.files, config.poll_ms, now_ms, &mut log),
            engine: Engine::new(config.rules, &setup),
            setup,
            dispatch: Dispatch::new(runner, log),
            signals,
            phase: Phase::Watching,
        };
        Ok(daemon)
    }

    fn run(&mut self) -> End {
        self.announce("watching");
        let mut polls = Vec::new();
        loop {
            let now_ms = clock::boot_time_ms();
            self.dispatch
                .runner
                .check_deadline(now_ms, &mut self.dispatch.log);
            self.dispatch.advance(now_ms);
            if self.phase == Phase::Stopping {
                if self.dispatch.runner.is_idle() {
                    say!(self.dispatch.log, Info, "stopped");
                    return End::Stopped;
                }
            } else {
                self.read_sources(now_ms);
                self.dispatch.advance(now_ms);
            }
            if self.wait(&mut polls).is_err() {
                return End::Failed;
            }
            if let Some(end) = self.handle_signals() {
                return end;
            }
            self.dispatch.runner.read_output(&mut self.dispatch.log);
        }
    }

    fn announce(&mut self, what: &str) {
        let rules = self.engine.rules().count();
        for (name, is_open) in self.sources.report() {
            let state = if is_open { "" } else { " (not open yet)" };
            say!(self.dispatch.log, Info, what, " ", Quoted(name), state);
        }
        let version = env!("CARGO_PKG_VERSION");
        say!(
            self.dispatch.log,
            Info,
            "logknockd ",
            version,
            ": ",
            rules,
            " rules"
        );
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, polls: &mut Vec<Poll>) -> Result<(), Errno> {
        let mut deadline_ms = self.dispatch.runner.deadline_ms();
        polls.clear();
        polls.push(Poll::reading(self.signals.fd()));
        polls.extend(self.dispatch.runner.poll());
        if self.phase == Phase::Watching {
            self.sources.add_polls(polls);
            deadline_ms = deadline_ms
                .into_iter()
                .chain(self.sources.deadline_ms())
                .min();
        }
        let now_ms = clock::boot_time_ms();
        let timeout_ms = deadline_ms.map(|deadline_ms| deadline_ms.saturating_sub(now_ms));
        fd::poll(polls, timeout_ms).inspect_err(|errno| {
            say!(self.dispatch.log, Error, "poll: ", errno);
        })
    }

    fn handle_signals(&mut self) -> Option<End> {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::Child => self.dispatch.runner.reap(&mut self.dispatch.log),
                Signal::Report => self.report(),
                Signal::Reload if self.phase == Phase::Watching => self.reload(),
                Signal::Reload => {}
                Signal::Stop if self.phase == Phase::Watching => self.stop(),
                Signal::Stop => {
                    say!(
                        self.dispatch.log,
                        Warn,
                        "stopped at once by a second signal"
                    );
                    return Some(End::Stopped);
                }
            }
        }
        None
    }

    fn stop(&mut self) {
        self.phase = Phase::Stopping;
        let dropped = self.dispatch.runner.drop_waiting();
        if dropped > 0 {
            say!(
                self.dispatch.log,
                Warn,
                "stopping: ",
                dropped,
                " knocks whose commands had not begun are dropped"
            );
        }
        if let Some(job) = self.dispatch.runner.current() {
            say!(
                self.dispatch.log,
                Info,
                "stopping: waiting for rule ",
                Quoted(&job.rule)
            );
        }
    }

    fn reload(&mut self) {
        let config = match load(self.options.config, Purpose::Act) {
            Ok(config) => config,
            Err(message) => {
                log_lines(&mut self.dispatch.log, &message);
                say!(
                    self.dispatch.log,
                    Error,
                    "reload failed: the configuration in use is kept"
                );
                return;
            }
        };
        self.dispatch
            .log
            .set_level(self.options.level.max(configured_level(&config)));
        self.setup.max_keys = config.max_keys;
        let engine = Engine::new(config.rules, &self.setup);
        let former = core::mem::replace(&mut self.engine, engine);
        self.engine.inherit(former);
        let now_ms = clock::boot_time_ms();
        self.sources.replace(
            &config.files,
            config.poll_ms,
            now_ms,
            &mut self.dispatch.log,
        );
        self.announce("reloaded, watching");
    }

    fn report(&mut self) {
        for (name, is_open) in self.sources.report() {
            let state = if is_open { "open" } else { "not open" };
            say!(
                self.dispatch.log,
                Info,
                "state: source ",
                Quoted(name),
                ": ",
                state
            );
        }
        for (rule, counters, keys) in self.engine.report() {
            say!(
                self.dispatch.log,
                Info,
                "state: rule ",
                Quoted(&rule.name),
                ": ",
                counters.filtered,
                " lines passed the filter, ",
                counters.knocks,
                " knocks, ",
                keys,
                " keys in progress, ",
                counters.evicted,
                " given up for lack of room"
            );
        }
        let running = usize::from(self.dispatch.runner.current().is_some());
        let waiting = self.dispatch.runner.waiting();
        say!(
            self.dispatch.log,
            Info,
            "state: queue: ",
            running,
            " running, ",
            waiting,
            " waiting"
        );
    }

    /// Takes a buffer full of lines from each source.
    fn read_sources(&mut self, now_ms: u64) {
        self.sources.look(now_ms, &mut self.dispatch.log);
        for source in 0..self.sources.count() {
            self.sources.read(source, &mut self.dispatch.log);
            while let Some(line) = self.sources.next_line(source, &mut self.dispatch.log) {
                if self.dispatch.log.shows(Level::Trace) && !self.engine.is_own(line) {
                    say!(self.dispatch.log, Trace, "line: ", line);
                }
                for (rule, outcome) in self.engine.line(line, now_ms) {
                    self.dispatch.outcome(rule, line, outcome, now_ms);
                }
            }
        }
    }
}

fn configured_level(config: &Config) -> Level {
    match (config.trace, config.debug) {
        (true, _) => Level::Trace,
        (_, true) => Level::Debug,
        _ => Level::Info,
    }
}
