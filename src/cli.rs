//! The command line: arguments to a command, a command to an exit status.
//!
//! Options follow POSIX (`-nd` is `-n -d`, `-cFILE` is `-c FILE`, `--` ends them) with long names as
//! GNU has them. What is asked for comes on standard output, what is wrong on standard error.

use crate::address::canonical;
use crate::config::Config;
use crate::config::load::{Purpose, load};
use crate::daemon::{self, End, Options};
use crate::dryrun;
use crate::leases::byhand;
use crate::leases::record::{Found, Record, Request};
use crate::listing;
use crate::log::{Level, Target};
use crate::sys::fd::{STDERR, STDOUT};
use crate::sys::{Errno, tail};
use crate::text::{Pieces, entry, until};
use alloc::vec::Vec;
use core::ffi::CStr;

/// Everything went well.
pub const FINE: u8 = 0;
/// Something failed while running.
pub const FAILED: u8 = 1;
/// Bad usage or a bad configuration; nothing was started.
pub const USAGE: u8 = 2;

const DEFAULT_CONFIG: &CStr = c"/etc/logknockd.conf";

const HELP: &str = "\
logknockd watches logs and runs commands when one source produces a given sequence of lines.

Usage:
  logknockd [-c FILE] [-d|-T] [-s]    watch and act, in the foreground
  logknockd -t [-c FILE]              check the configuration
  logknockd -n [-c FILE] [-d] [LOG…]  dry run: replay logs (or stdin), run nothing
  logknockd -l [-c FILE]              list open leases
  logknockd -x [-c FILE] KEY [RULE]   close the leases of KEY ('*': of all) now

Options:
  -c, --config FILE   the configuration, default /etc/logknockd.conf
  -t, --test          check the configuration and exit
  -n, --dry-run       show what would run for the lines of the logs
  -l, --list          list what is open and when it closes
  -q, --quiet         with -t: say only what is wrong
  -x, --close         have the running logknockd close leases now
  -d, --debug         say where each sender stands
  -T, --trace         also show every line that is read
  -s, --syslog        log to /dev/log instead of standard error
  -V, --version       print the version
  -h, --help          print this help

Signals: SIGHUP reloads, SIGUSR1 logs the state, SIGTERM closes what is open and exits.
Exit status: 0 fine, 1 failed while running, 2 bad usage or configuration.
";

/// What the command line asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
enum Mode {
    Watch,
    Test,
    DryRun,
    List,
    Close,
    Version,
    Help,
}

/// A command line that was understood.
struct Command {
    mode: Mode,
    config: &'static CStr,
    level: Level,
    target: Target,
    logs: Vec<&'static CStr>,
    quiet: bool,
}

/// Does what the arguments (without the program's name) ask for and returns the exit status.
pub fn run(arguments: impl Iterator<Item = &'static CStr>) -> u8 {
    let command = match parse(arguments) {
        Ok(command) => command,
        Err(message) => {
            complain(&text!("logknockd: {}\nTry 'logknockd --help'.\n", message));
            return USAGE;
        }
    };
    match command.mode {
        Mode::Help => print(HELP.as_bytes()),
        Mode::Version => print(concat!("logknockd ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()),
        Mode::Watch => watch(&command),
        Mode::Test | Mode::DryRun | Mode::List | Mode::Close => look(&command),
    }
}

fn watch(command: &Command) -> u8 {
    let options = Options {
        config: command.config,
        level: command.level,
        target: command.target,
    };
    match daemon::run(options) {
        End::Stopped => FINE,
        End::Failed => FAILED,
        End::BadConfig => USAGE,
    }
}

/// Loads the configuration to do something with it other than to watch; what there is to say is printed.
fn look(command: &Command) -> u8 {
    // What the daemon would refuse must not be called fine.
    let purpose = match command.mode {
        Mode::Test if command.quiet => Purpose::Act,
        Mode::Test => Purpose::Check,
        _ => Purpose::Look,
    };
    let config = match load(command.config, purpose) {
        Ok(config) => config,
        Err(message) => {
            complain(&message);
            return USAGE;
        }
    };
    if command.mode == Mode::Test
        && config.needs_record()
        && let Ok(record) = Record::new(&config.state, 0)
        && let Ok(Found::Foreign(reason)) = record.load()
        // What this user may not read may well be the daemon's.
        && reason != text!("{}", Errno::EACCES)
    {
        return fail(&record.refused(&reason), USAGE);
    }
    let answer = match command.mode {
        Mode::Test if command.quiet => Ok(only_warnings(&listing::rules(&config, command.config))),
        Mode::Test => Ok(listing::rules(&config, command.config)),
        Mode::List => listing::leases(&config),
        Mode::Close => return close(&config, command),
        _ => dryrun::run(config, &command.logs, command.level).map(|()| Vec::new()),
    };
    match answer {
        Ok(answer) => print(&answer),
        Err(message) => fail(&message, FAILED),
    }
}

/// The warnings of a listing, below the names of their rules: patterns may be secrets, and a log is no place for these.
#[inline(never)]
fn only_warnings(listing: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rule = &b""[..];
    for line in Pieces(listing, b'\n') {
        if line.starts_with(b"  \"") {
            rule = line;
        } else if line.trim_ascii_start().starts_with(b"warning: ") {
            if !rule.is_empty() {
                put!(&mut out, "{}\n", core::mem::take(&mut rule));
            }
            put!(&mut out, "{}\n", line);
        }
    }
    out
}

/// Has the running daemon close leases and says which were.
#[inline(never)]
fn close(config: &Config, command: &Command) -> u8 {
    let mut words = command.logs.iter().map(|word| word.to_bytes());
    let key = words.next().unwrap_or_default();
    let request = Request {
        // As lines spell it.
        key: canonical(key).unwrap_or_else(|| key.to_vec()),
        rule: words.next().unwrap_or_default().to_vec(),
    };
    match byhand::close(config, &request) {
        Ok((closed, left)) => {
            complain(&left);
            match print(&closed) {
                FINE if !left.is_empty() => FAILED,
                status => status,
            }
        }
        Err(message) => fail(&message, FAILED),
    }
}

fn print(text: &[u8]) -> u8 {
    match STDOUT.write_all(text) {
        Ok(()) => FINE,
        Err(errno) => fail(&text!("standard output: {}", errno), FAILED),
    }
}

/// Says what is wrong; the status is handed back.
#[inline(never)]
fn fail(message: &[u8], status: u8) -> u8 {
    complain(&text!("logknockd: {}\n", message));
    status
}

fn complain(message: &[u8]) {
    // Nobody is left to be told when this fails.
    let _ = STDERR.write_all(message);
}

/// The long name of each option, and its letter.
const OPTIONS: &str =
    "config:c test:t dry-run:n list:l quiet:q close:x debug:d trace:T syslog:s version:V help:h";

fn parse(mut arguments: impl Iterator<Item = &'static CStr>) -> Result<Command, Vec<u8>> {
    let mut command = Command {
        mode: Mode::Watch,
        config: DEFAULT_CONFIG,
        level: Level::Info,
        target: Target::Stderr,
        logs: Vec::new(),
        quiet: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.to_bytes() {
            b"--" => {
                for log in arguments.by_ref() {
                    command.logs.push(log);
                }
            }
            [b'-', b'-', ..] => command.long_option(argument, &mut arguments)?,
            [b'-', _, ..] => command.short_options(argument, &mut arguments)?,
            _ => command.logs.push(argument),
        }
    }
    if command.quiet && !matches!(command.mode, Mode::Test | Mode::Help | Mode::Version) {
        return Err(text!("option -q goes with -t"));
    }
    let words = command.logs.len();
    match command.logs.first() {
        _ if command.mode == Mode::Close => match words {
            1 | 2 => Ok(command),
            _ => Err(text!(
                "option -x needs a key, or '*' for all, and perhaps the name of a rule"
            )),
        },
        Some(log) if command.mode == Mode::Test => Err(text!(
            "the configuration is given by -c: logknockd -t -c {:?}",
            log.to_bytes()
        )),
        Some(log) if !matches!(command.mode, Mode::DryRun | Mode::Help | Mode::Version) => {
            Err(text!(
                "only a dry run (-n) takes the name of a log: {:?}",
                log.to_bytes()
            ))
        }
        _ => Ok(command),
    }
}

impl Command {
    /// `--name`, `--name VALUE` or `--name=VALUE`.
    fn long_option(
        &mut self,
        argument: &'static CStr,
        rest: &mut impl Iterator<Item = &'static CStr>,
    ) -> Result<(), Vec<u8>> {
        let text = argument.to_bytes().get(2..).unwrap_or_default();
        let name = until(text, b'=');
        let value = tail(argument, 2 + name.len() + 1);
        let letter = entry(OPTIONS, b' ', name).and_then(<[u8]>::first);
        match (letter, value) {
            (None, _) => Err(text!("unknown option {:?}", argument.to_bytes())),
            (Some(b'c'), value) => self.set_config(value.or_else(|| rest.next())),
            (Some(_), Some(_)) => Err(text!("option --{} takes no value", name)),
            (Some(letter), None) => self.apply(*letter),
        }
    }

    /// `-x`, `-xyz` for several, `-c VALUE` or `-cVALUE`.
    fn short_options(
        &mut self,
        argument: &'static CStr,
        rest: &mut impl Iterator<Item = &'static CStr>,
    ) -> Result<(), Vec<u8>> {
        for (index, letter) in argument.to_bytes().iter().enumerate().skip(1) {
            if *letter == b'c' {
                let value = tail(argument, index + 1).filter(|value| !value.is_empty());
                return self.set_config(value.or_else(|| rest.next()));
            }
            self.apply(*letter)?;
        }
        Ok(())
    }

    fn set_config(&mut self, value: Option<&'static CStr>) -> Result<(), Vec<u8>> {
        self.config = value.ok_or_else(|| text!("option -c needs the name of a file"))?;
        Ok(())
    }

    /// Does what an option without a value is for.
    fn apply(&mut self, letter: u8) -> Result<(), Vec<u8>> {
        let mode = match letter {
            b'd' => {
                self.level = self.level.max(Level::Debug);
                return Ok(());
            }
            b'T' => {
                self.level = Level::Trace;
                return Ok(());
            }
            b's' => {
                self.target = Target::Syslog;
                return Ok(());
            }
            b'q' => {
                self.quiet = true;
                return Ok(());
            }
            b't' => Mode::Test,
            b'n' => Mode::DryRun,
            b'l' => Mode::List,
            b'x' => Mode::Close,
            b'V' => Mode::Version,
            b'h' => Mode::Help,
            _ => return Err(text!("unknown option {:?}", [b'-', letter])),
        };
        match self.mode {
            Mode::Help | Mode::Version => {}
            other if other == Mode::Watch || other == mode => self.mode = mode,
            _ if matches!(mode, Mode::Help | Mode::Version) => self.mode = mode,
            _ => return Err(text!("options -t, -n, -l and -x exclude each other")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(arguments: &[&'static CStr]) -> Command {
        match parse(arguments.iter().copied()) {
            Ok(command) => command,
            Err(message) => panic!("{}", std::string::String::from_utf8_lossy(&message)),
        }
    }

    fn refused(arguments: &[&'static CStr]) -> Vec<u8> {
        parse(arguments.iter().copied()).err().expect("not refused")
    }

    #[test]
    fn options_can_be_joined_spelt_out_and_given_values_in_every_usual_way() {
        for arguments in [
            &[c"-n", c"-d", c"-c", c"my.conf", c"a.log"][..],
            &[c"-ndcmy.conf", c"a.log"],
            &[c"a.log", c"--dry-run", c"--debug", c"--config", c"my.conf"],
            &[c"-nd", c"--config=my.conf", c"--", c"a.log"],
        ] {
            let command = understood(arguments);
            assert_eq!(command.mode, Mode::DryRun);
            assert_eq!(command.config, c"my.conf");
            assert!(command.level == Level::Debug);
            assert_eq!(command.logs, [c"a.log"]);
        }
        assert_eq!(understood(&[c"-n", c"-", c"--", c"-x"]).logs, [c"-", c"-x"]);
        let plain = understood(&[]);
        assert!(plain.mode == Mode::Watch && plain.config == DEFAULT_CONFIG);
        assert!(understood(&[c"-Td", c"-s"]).level == Level::Trace);
        assert_eq!(understood(&[c"-t", c"-h", c"-n"]).mode, Mode::Help);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let cases: [(&[&'static CStr], &str); 7] = [
            (&[c"-y"], "unknown option \"-y\""),
            (&[c"--dry"], "unknown option \"--dry\""),
            (&[c"-c"], "option -c needs the name of a file"),
            (&[c"--config"], "option -c needs the name of a file"),
            (&[c"--test=1"], "option --test takes no value"),
            (
                &[c"-t", c"-n"],
                "options -t, -n, -l and -x exclude each other",
            ),
            (
                &[c"-t", c"x"],
                "the configuration is given by -c: logknockd -t -c \"x\"",
            ),
        ];
        for (arguments, message) in cases {
            assert_eq!(refused(arguments), message.as_bytes());
        }
    }
}
