//! The command line: arguments to a command, a command to an exit status.
//!
//! Options follow POSIX (`-nd` is `-n -d`, `-cFILE` is `-c FILE`, `--` ends them) with long names as
//! GNU has them. What is asked for comes on standard output, what is wrong on standard error.

use crate::config::Config;
use crate::daemon::{self, End, Options};
use crate::dryrun;
use crate::listing;
use crate::load::{Purpose, load};
use crate::log::{Level, Target};
use crate::sys::fd::{STDERR, STDOUT};
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

Options:
  -c, --config FILE   the configuration, default /etc/logknockd.conf
  -t, --test          check the configuration and exit
  -n, --dry-run       show what would run for the lines of the logs
  -l, --list          list what is open and when it closes
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
        Mode::Test => look(&command, |config| {
            Ok(listing::rules(&config, command.config))
        }),
        Mode::DryRun => look(&command, |config| {
            dryrun::run(config, &command.logs, command.level).map(|()| Vec::new())
        }),
        Mode::List => look(&command, |config| listing::leases(&config)),
        Mode::Watch => watch(&command),
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

/// Loads the configuration to do `what` with it; what that has to say, or why it failed, is printed.
fn look(command: &Command, what: impl FnOnce(Config) -> Result<Vec<u8>, Vec<u8>>) -> u8 {
    let config = match load(command.config, Purpose::Look) {
        Ok(config) => config,
        Err(message) => {
            complain(&message);
            return USAGE;
        }
    };
    match what(config) {
        Ok(answer) => print(&answer),
        Err(message) => {
            complain(&text!("logknockd: {}\n", message));
            FAILED
        }
    }
}

fn print(text: &[u8]) -> u8 {
    match STDOUT.write_all(text) {
        Ok(()) => FINE,
        Err(errno) => {
            complain(&text!("logknockd: standard output: {}\n", errno));
            FAILED
        }
    }
}

fn complain(message: &[u8]) {
    // Nobody is left to be told when this fails.
    let _ = STDERR.write_all(message);
}

/// What an option does.
#[derive(Clone, Copy)]
enum Effect {
    /// Another mode than watching.
    Mode(Mode),
    /// More messages.
    Level(Level),
    Syslog,
    /// Takes the configuration file's name.
    Config,
}

/// Every option: its letter, its long name, what it does.
const OPTIONS: [(u8, &str, Effect); 9] = [
    (b'c', "config", Effect::Config),
    (b't', "test", Effect::Mode(Mode::Test)),
    (b'n', "dry-run", Effect::Mode(Mode::DryRun)),
    (b'l', "list", Effect::Mode(Mode::List)),
    (b'd', "debug", Effect::Level(Level::Debug)),
    (b'T', "trace", Effect::Level(Level::Trace)),
    (b's', "syslog", Effect::Syslog),
    (b'V', "version", Effect::Mode(Mode::Version)),
    (b'h', "help", Effect::Mode(Mode::Help)),
];

fn parse(mut arguments: impl Iterator<Item = &'static CStr>) -> Result<Command, Vec<u8>> {
    let mut command = Command {
        mode: Mode::Watch,
        config: DEFAULT_CONFIG,
        level: Level::Info,
        target: Target::Stderr,
        logs: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        match argument.to_bytes() {
            b"--" => command.logs.extend(arguments.by_ref()),
            [b'-', b'-', ..] => command.long_option(argument, &mut arguments)?,
            [b'-', _, ..] => command.short_options(argument, &mut arguments)?,
            _ => command.logs.push(argument),
        }
    }
    match command.logs.first() {
        Some(log) if !matches!(command.mode, Mode::DryRun | Mode::Help | Mode::Version) => {
            let log = log.to_bytes();
            Err(text!(
                "only a dry run (-n) takes the name of a log: {:?}",
                log
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
        let name_length = text.iter().position(|&byte| byte == b'=');
        let name = text
            .get(..name_length.unwrap_or(text.len()))
            .unwrap_or_default();
        let value = name_length.and_then(|length| tail(argument, 2 + length + 1));
        let known = OPTIONS.iter().find(|(_, long, _)| long.as_bytes() == name);
        let Some(&(_, _, effect)) = known else {
            return Err(text!("unknown option {:?}", argument.to_bytes()));
        };
        match (effect, value) {
            (Effect::Config, value) => self.set_config(value.or_else(|| rest.next())),
            (_, Some(_)) => Err(text!("option --{} takes no value", name)),
            (effect, None) => self.apply(effect),
        }
    }

    /// `-x`, `-xyz` for several, `-c VALUE` or `-cVALUE`.
    fn short_options(
        &mut self,
        argument: &'static CStr,
        rest: &mut impl Iterator<Item = &'static CStr>,
    ) -> Result<(), Vec<u8>> {
        for (index, letter) in argument.to_bytes().iter().enumerate().skip(1) {
            match OPTIONS.iter().find(|(short, ..)| short == letter) {
                None => return Err(text!("unknown option {:?}", [b'-', *letter])),
                Some((_, _, Effect::Config)) => {
                    let value = tail(argument, index + 1).filter(|value| !value.is_empty());
                    return self.set_config(value.or_else(|| rest.next()));
                }
                Some(&(_, _, effect)) => self.apply(effect)?,
            }
        }
        Ok(())
    }

    fn set_config(&mut self, value: Option<&'static CStr>) -> Result<(), Vec<u8>> {
        self.config = value.ok_or_else(|| text!("option -c needs the name of a file"))?;
        Ok(())
    }

    fn apply(&mut self, effect: Effect) -> Result<(), Vec<u8>> {
        match effect {
            Effect::Config => {}
            Effect::Level(level) => self.level = self.level.max(level),
            Effect::Syslog => self.target = Target::Syslog,
            Effect::Mode(mode) => match self.mode {
                Mode::Help | Mode::Version => {}
                other if other == Mode::Watch || other == mode => self.mode = mode,
                _ if matches!(mode, Mode::Help | Mode::Version) => self.mode = mode,
                _ => return Err(text!("options -t, -n and -l exclude each other")),
            },
        }
        Ok(())
    }
}

/// What follows the first `start` bytes of `argument`.
fn tail(argument: &'static CStr, start: usize) -> Option<&'static CStr> {
    CStr::from_bytes_with_nul(argument.to_bytes_with_nul().get(start..)?).ok()
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
            (&[c"-x"], "unknown option \"-x\""),
            (&[c"--dry"], "unknown option \"--dry\""),
            (&[c"-c"], "option -c needs the name of a file"),
            (&[c"--config"], "option -c needs the name of a file"),
            (&[c"--test=1"], "option --test takes no value"),
            (&[c"-t", c"-n"], "options -t, -n and -l exclude each other"),
            (
                &[c"-t", c"x"],
                "only a dry run (-n) takes the name of a log: \"x\"",
            ),
        ];
        for (arguments, message) in cases {
            assert_eq!(refused(arguments), message.as_bytes());
        }
    }
}
