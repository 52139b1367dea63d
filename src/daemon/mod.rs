//! The daemon: one loop, one `poll`, one timer.
//!
//! Each turn of the loop deals with what has come (signals, the end of a command, lines of each source)
//! for a bounded time and then sleeps until something happens or the nearest deadline is reached. With
//! nothing to do there is no deadline, and nothing wakes it.
//!
//! * `SIGHUP` reads the configuration again. A bad one is reported and changes nothing; a good one keeps
//!   the place in every source that stays and the progress of every rule that matches as before.
//! * `SIGUSR1` reports the state. `SIGUSR2` says that somebody asks, by hand, for a lease to be closed.
//! * `SIGTERM` and `SIGINT` let the running job finish and close every lease, each command within its
//!   deadline, as the end of standard input does. A second one exits at once; the record keeps what is open for the
//!   next start.

pub mod dispatch;

use crate::backoff::{NEVER, after};
use crate::commands::runner::Runner;
use crate::config::Config;
use crate::config::load::{Purpose, load};
use crate::daemon::dispatch::{Dispatch, Life};
use crate::engine::{Engine, Setup};
use crate::leases::ledger::{Kind, Ledger, Need};
use crate::log::{Level, Log, Target};
use crate::source::{Sources, Wanted};
use crate::sys::alarm::Alarm;
use crate::sys::fd::{self, Poll};
use crate::sys::signal::{self, Signal, Signals};
use crate::sys::{Errno, clock, process, random_seed};
use crate::text::Pieces;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

/// How long lines are taken before everything else gets its turn, in milliseconds.
const TURN_MS: u64 = 20;

/// How long to wait before asking again for what the system has no memory for, in milliseconds.
const SHORTAGE_MS: u64 = 100;

/// How many lines that lead to nothing are taken between two looks at the clock: with musl, each is a system call.
const LINES_A_LOOK: u32 = 64;

/// The longest sleep of which nobody minds when the machine sleeps longer meanwhile.
const NAP_MS: u64 = 1000;

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
    signal::hold_early();
    process::settle_in();
    let mut log = Log::new(options.target, options.level);
    let config = match load(options.config, Purpose::Act) {
        Ok(config) => config,
        Err(message) => {
            log_lines(&mut log, &message);
            return End::BadConfig;
        }
    };
    match Daemon::start(options, config, log) {
        Ok(daemon) => daemon.run(),
        Err(end) => end,
    }
}

/// A configuration's diagnostics span lines; a log message does not.
fn log_lines(log: &mut Log, message: &[u8]) {
    for line in Pieces(message, b'\n') {
        if !line.is_empty() {
            log.write(Level::Error, line);
        }
    }
}

struct Daemon {
    options: Options,
    /// The configuration's.
    checksum: u32,
    setup: Setup,
    engine: Engine,
    sources: Sources,
    dispatch: Dispatch,
    signals: Signals,
    /// A signal has asked us to stop. The end of standard input is no signal.
    is_told: bool,
    /// For deadlines that a sleeping machine may miss; none where the kernel has none.
    alarm: Option<Alarm>,
}

impl Daemon {
    /// The program ends with its daemon, so nothing of it is ever taken apart.
    fn start(
        options: Options,
        config: Box<Config>,
        mut log: Log,
    ) -> Result<&'static mut Daemon, End> {
        let (signals, runner) = match (Signals::catch(), Runner::new()) {
            (Ok(signals), Ok(runner)) => (signals, runner),
            (Err(errno), _) | (_, Err(errno)) => {
                say!(log, Error: "cannot start: {}", errno);
                return Err(End::Failed);
            }
        };
        log.set_level(options.level.max(configured_level(&config)));
        let setup = Setup {
            max_keys: config.max_keys,
            seed: random_seed(),
            own_id: Some(process::own_id()),
            explain: log.shows(Level::Debug),
        };
        let now_ms = clock::boot_time_ms();
        let (state, need, seed) = (&config.state, need(&config), setup.seed);
        let ledger = match Ledger::load(state, need, now_ms, seed, &mut log) {
            Ok(ledger) => ledger,
            Err(refusal) => {
                say!(log, Error: "{}", refusal.reason);
                return Err(match refusal.kind {
                    Kind::Foreign => End::BadConfig,
                    _ => End::Failed,
                });
            }
        };
        let sources = Sources::open(&wanted(&config), now_ms, &mut log);
        let daemon = Box::leak(Box::new(Daemon {
            dispatch: Dispatch::new(runner, ledger, config.max_keys, log),
            checksum: config.checksum,
            engine: Engine::new(config.rules, &setup),
            options,
            setup,
            sources,
            signals,
            is_told: false,
            alarm: None,
        }));
        daemon.dispatch.select_sequences(&mut daemon.engine, true);
        Ok(daemon)
    }

    fn run(&mut self) -> End {
        self.announce("watching");
        let mut polls = Vec::new();
        loop {
            if let Some(end) = self.turn(&mut polls) {
                return end;
            }
        }
    }

    /// One turn of the loop; it may be the last. Not a part of the loop to the compiler, which would keep what
    /// every turn computes alike, and that takes more code than computing it.
    #[inline(never)]
    fn turn(&mut self, polls: &mut Vec<Poll>) -> Option<End> {
        let now_ms = clock::boot_time_ms();
        self.dispatch.advance(now_ms);
        self.sources.push_leaving(now_ms);
        if self.is_watching() {
            // It may have been only now that the record was read.
            self.dispatch.select_sequences(&mut self.engine, false);
            self.read_sources(now_ms);
            self.dispatch.advance(clock::boot_time_ms());
        } else if self.dispatch.life() == Life::Running && self.dispatch.is_idle() {
            // Standard input has ended, and what it led to is finished.
            self.stop();
            self.dispatch.advance(now_ms);
        }
        let is_done = self.dispatch.is_idle() && !self.sources.has_leaving();
        if self.dispatch.life() == Life::Stopping && is_done {
            return Some(self.end(now_ms));
        }
        if let Err(errno) = self.wait(polls) {
            say!(self.dispatch.log, Error: "poll: {}", errno);
            return Some(End::Failed);
        }
        let end = self.handle_signals();
        if end.is_none() {
            self.dispatch.read_output();
        }
        end
    }

    /// Whether lines are still read: until we are to stop or standard input has ended.
    fn is_watching(&self) -> bool {
        self.dispatch.life() == Life::Running && !self.sources.has_ended()
    }

    fn stop(&mut self) {
        let now_ms = clock::boot_time_ms();
        self.sources.close(now_ms, &mut self.dispatch.log);
        self.dispatch.begin_stop(now_ms);
    }

    fn end(&mut self, now_ms: u64) -> End {
        let everything_is_closed = self.dispatch.end_stop(now_ms);
        say!(self.dispatch.log, Info: "stopped");
        match everything_is_closed {
            true => End::Stopped,
            false => End::Failed,
        }
    }

    fn announce(&mut self, what: &str) {
        let log = &mut self.dispatch.log;
        for (name, is_open) in self.sources.report() {
            let state = if is_open { "" } else { " (not open yet)" };
            say!(log, Info: "{} {:?}{}", what, name, state);
        }
        let version = env!("CARGO_PKG_VERSION");
        say!(log, Info: "logknockd {}: {} rule{s}", version, self.engine.rules().count());
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, polls: &mut Vec<Poll>) -> Result<(), Errno> {
        polls.clear();
        Poll::add(Some(self.signals.fd()), polls);
        Poll::add(self.dispatch.fd(), polls);
        let leaving_ms = self.sources.leaving_deadline_ms();
        let mut deadline_ms = self.dispatch.deadline_ms().min(leaving_ms);
        let first = polls.len();
        if self.is_watching() {
            self.sources.add_polls(polls);
            deadline_ms = deadline_ms.min(self.sources.deadline_ms());
        } else if self.dispatch.life() == Life::Running && self.dispatch.is_idle() {
            deadline_ms = 0;
        }
        let behind_sources = polls.len();
        let mut timeout_ms = match deadline_ms {
            NEVER => NEVER,
            _ => deadline_ms.saturating_sub(clock::boot_time_ms()),
        };
        if timeout_ms != NEVER && timeout_ms > NAP_MS {
            // Made when it is needed for the first time.
            if self.alarm.is_none() {
                self.alarm = Alarm::new().ok();
            }
            if let Some(alarm) = &mut self.alarm {
                match alarm.set(deadline_ms) {
                    Ok(()) => Poll::add(Some(alarm.fd()), polls),
                    Err(_) => self.alarm = None,
                }
            }
            // Some twenty looks at the clock in an hour, should it move on in a way that no alarm tells of.
            timeout_ms = NAP_MS.max(timeout_ms / 4);
        }
        match fd::poll(polls, timeout_ms) {
            // For a few descriptors the kernel needs no memory. The others get their turn when it has some again.
            Err(errno) if errno.is_shortage() => {
                let few = polls.get_mut(..first).unwrap_or_default();
                fd::poll(few, timeout_ms.min(SHORTAGE_MS))?;
            }
            polled => polled?,
        }
        let of_sources = polls.get(first..behind_sources).unwrap_or_default();
        self.sources.note_ready(of_sources);
        Ok(())
    }

    /// Deals with the signals that have come; one of them may be the end.
    #[inline(never)]
    fn handle_signals(&mut self) -> Option<End> {
        while let Some(signal) = self.signals.next() {
            match (signal, self.dispatch.life()) {
                (Signal::Child, _) => self.reap(),
                (Signal::Report, _) => self.report(),
                (Signal::Ask, Life::Running) => self.dispatch.by_hand(clock::boot_time_ms()),
                (Signal::Ask, Life::Stopping) => {}
                (Signal::Reload, Life::Running) => self.reload(),
                (Signal::Reload, Life::Stopping) => {}
                (Signal::Stop, life) if !self.is_told => {
                    self.is_told = true;
                    if life == Life::Running {
                        self.stop();
                    }
                }
                (Signal::Stop, _) => {
                    self.sources.kill_rest();
                    say!(self.dispatch.log, Warn: "stopped at once by a second signal");
                    return Some(End::Failed);
                }
            }
        }
        None
    }

    /// Waits for everybody who has ended: our children, and as process 1 of a container those that commands have
    /// left behind.
    fn reap(&mut self) {
        let mut stranger = None;
        let mut waited = None;
        loop {
            self.dispatch.reap();
            self.sources.reap();
            let ended = process::ended_child();
            match ended {
                None => return,
                // The kernel shows it and will not let us wait for it.
                Some(_) if ended == waited => return,
                // It had ended before we waited for all of ours.
                Some(child) if ended == stranger => {
                    child.wait();
                    waited = ended;
                }
                Some(_) => {}
            }
            stranger = ended;
        }
    }

    #[inline(never)]
    fn reload(&mut self) {
        let log = &mut self.dispatch.log;
        let config = match load(self.options.config, Purpose::Act) {
            Ok(config) => config,
            Err(message) => {
                log_lines(log, &message);
                say!(log, Error: "reload failed: the configuration in use is kept");
                return;
            }
        };
        let now_ms = clock::boot_time_ms();
        let (state, need) = (&config.state, need(&config));
        if let Err(reason) = self.dispatch.reload(state, need, config.max_keys, now_ms) {
            say!(self.dispatch.log, Error: "reload failed: {}: the configuration in use is kept", reason);
            return;
        }
        let unchanged = config.checksum == self.checksum;
        self.checksum = config.checksum;
        let log = &mut self.dispatch.log;
        log.set_level(self.options.level.max(configured_level(&config)));
        self.sources.replace(&wanted(&config), now_ms, log);
        self.setup.max_keys = config.max_keys;
        self.setup.explain = self.dispatch.log.shows(Level::Debug);
        let engine = Engine::new(config.rules, &self.setup);
        let former = core::mem::replace(&mut self.engine, engine);
        self.engine.inherit(former);
        self.dispatch.select_sequences(&mut self.engine, true);
        self.announce(match unchanged {
            true => "reloaded without a change, watching",
            false => "reloaded, watching",
        });
    }

    fn report(&mut self) {
        let log = &mut self.dispatch.log;
        for (name, is_open) in self.sources.report() {
            let state = if is_open { "open" } else { "not open" };
            say!(log, Info: "state: source {:?}: {}", name, state);
        }
        for (rule, counters, keys) in self.engine.report() {
            say!(log, Info: "state: rule {:?}: {} line{s} passed the filter, {} knock{s}, \
                {} key{s} in progress, {} gave way to others, {} line{s} without a key",
                rule.name, counters.passed, counters.knocks, keys, counters.gave_way, counters.nobodys);
        }
        self.dispatch.report(clock::boot_time_ms());
    }

    /// Takes lines from each source that has some, no longer than [`TURN_MS`] in all, because a line and what it leads
    /// to (writing the record, say) may take its time.
    fn read_sources(&mut self, now_ms: u64) {
        self.sources.look(now_ms, &mut self.dispatch.log);
        let mut now_ms = clock::boot_time_ms();
        let end_ms = after(now_ms, TURN_MS);
        while now_ms < end_ms && self.sources.read(now_ms, &mut self.dispatch.log) {
            // After reading: no line counts as older than it is, so no lease ends early.
            now_ms = self.take_lines(clock::boot_time_ms(), end_ms);
        }
    }

    /// Takes the lines that were read until there are no more or it is `end_ms`; returns the time.
    fn take_lines(&mut self, mut now_ms: u64, end_ms: u64) -> u64 {
        let mut passed = 0u32;
        while now_ms < end_ms
            && let Some((name, line)) = self.sources.next_line(&mut self.dispatch.log)
        {
            passed = passed.wrapping_add(1);
            let log = &mut self.dispatch.log;
            let mut took_time = log.shows(Level::Trace) || passed.is_multiple_of(LINES_A_LOOK);
            if log.shows(Level::Trace) && !self.engine.is_own(line.bytes) {
                say!(log, Trace: "{:?}: {}", name, line.bytes);
            }
            if self.engine.concern(line.bytes).is_some() {
                let outcomes = self.engine.line(line, now_ms);
                // To try a pattern may take its time, whatever comes of it.
                took_time |= outcomes.size_hint().1 != Some(0);
                for (rule, outcome) in outcomes {
                    self.dispatch.outcome(rule, name, outcome, now_ms);
                }
                self.dispatch.select_sequences(&mut self.engine, false);
            }
            if took_time {
                now_ms = clock::boot_time_ms();
            }
        }
        now_ms
    }
}

fn need(config: &Config) -> Need {
    match config.needs_record() {
        true => Need::Required,
        false => Need::Leftovers,
    }
}

fn wanted(config: &Config) -> Wanted<'_> {
    Wanted {
        files: &config.files,
        command: config.command.as_deref(),
        poll_ms: config.poll_ms,
    }
}

fn configured_level(config: &Config) -> Level {
    match (config.trace, config.debug) {
        (true, _) => Level::Trace,
        (_, true) => Level::Debug,
        _ => Level::Info,
    }
}
