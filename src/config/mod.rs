//! The configuration file: JSON to a [`Config`] that can be run.
//!
//! Guarantees that a `Config` that exists is valid: every pattern compiles, every placeholder has its
//! group, every number is in its range; nothing about it can fail later but the system. A file with errors
//! yields all of them at once, in the order of the document, each pointing at the byte that is wrong, even
//! inside a string. Only a file that is not JSON stops at its first error.
//!
//! The idea: readers report what is wrong and go on with a default, and one place, [`Config::parse`],
//! drops the result if anything was reported. Refused: unknown keys (a misspelt `timeout` would leave a
//! port open for ever) and everything that could not do what it seems to ask for. Keys that begin with
//! `_` are comments.

use crate::backoff::NEVER;
use crate::commands::template::{self, Command};
use crate::config::diagnostic::Diagnostic;
use crate::engine::rule::{Holding, Rule, Sequence};
use crate::regex::Regex;
use crate::text::{checksum, holds, until};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use json::Value;
use read::{ArrayOf, Kind, Limits, Loader, MAX_SETTINGS, Setting, index_of, name_of};

pub mod diagnostic;
pub mod json;
pub mod load;
mod read;
pub mod trust;

/// The keys beside `ruleset`.
const TOP: &[Setting] = &[
    Setting::of("command"),
    Setting::flag("debug"),
    Setting::of("file"),
    Setting::number("max_keys", &KEYS),
    Setting::number("poll", &POLL),
    Setting::of("ruleset"),
    Setting::of("state"),
    Setting::flag("trace"),
];
/// The keys of a rule.
const RULE: &[Setting] = &[
    Setting::number("action_timeout", &ACTION_TIMEOUT),
    Setting::of("actions"),
    Setting::of("check").needs("revert"),
    Setting::of("closes"),
    Setting::number("count", &COUNT),
    Setting::flag("exclusive").needs("timeout"),
    Setting::of("filter"),
    Setting::of("ignore"),
    Setting::of("ignore_hosts"),
    Setting::flag("keep").needs("timeout"),
    Setting::of("name"),
    Setting::of("one_time"),
    Setting::flag("repeats"),
    Setting::of("revert"),
    Setting::of("sequence"),
    Setting::number("timeout", &DURATION).needs("revert"),
    Setting::number("within", &DURATION),
];

const KEYS: Limits = Limits {
    kind: Kind::Whole,
    least: 1,
    most: 65_535,
    unless: 4096,
    what: "an integer from 1 to 65535",
};
const COUNT: Limits = Limits {
    kind: Kind::Whole,
    least: 2,
    most: 1000,
    unless: 1,
    what: "an integer from 2 to 1000",
};
const POLL: Limits = Limits {
    kind: Kind::Time,
    least: 100,
    most: 3_600_000,
    unless: NEVER,
    what: "a time from 0.1 to 3600",
};
/// Up to ten years.
const DURATION: Limits = Limits {
    kind: Kind::Time,
    least: 1,
    most: 315_360_000_000,
    unless: NEVER,
    what: "a time from 0.001 to 315360000",
};
const ACTION_TIMEOUT: Limits = Limits {
    unless: 30_000,
    ..DURATION
};

const DEFAULT_STATE: &str = "/var/run/logknockd.state";

const FILES: ArrayOf = ArrayOf::or_one(64, "paths");
const RULES: ArrayOf = ArrayOf::up_to(1000, "rules");
const CLOSES: ArrayOf = ArrayOf::or_one(1000, "rules");
const STEPS: ArrayOf = ArrayOf::up_to(32, "regexes");
const HOSTS: ArrayOf = ArrayOf::up_to(256, "addresses and networks");
const FILTERS: ArrayOf = ArrayOf::or_one(16, "regexes");
const SEQUENCES: ArrayOf = ArrayOf::up_to(256, "sequences");
const COMMANDS: ArrayOf = ArrayOf::up_to(64, "commands");

const NAME: &str = "printable text of 1 to 255 bytes";
const BOTH_SEQUENCES: &str = "cannot stand beside \"sequence\"";
const NAME_TAKEN: &str = "an earlier rule has this name";
const NOT_JSON: &str = "a configuration is JSON and begins with {: INI files (knockd.conf, jail.conf) and YAML are not read, \
                        but examples/from-knockd.conf and from-fail2ban.conf show the way";
const CLOSES_ITSELF: &str = "a rule cannot close its own leases";
const NO_END: &str = "\"revert\" needs \"timeout\", or another rule that \"closes\" this one";
const NO_KEY: &str = "there is no capture group to take the key from, such as <HOST> or ([0-9.]+)";
const NO_SEQUENCE: &str = "missing \"sequence\" (or \"one_time\")";
const NO_SOURCE: &str = "missing \"file\" or \"command\": there is nothing to watch";
const STATE_IS_LOG: &str = "this is a \"file\" to watch: the record would take its place";

/// A valid configuration.
#[repr(C)] // What is asked for most stands first: see HACKING.
pub struct Config {
    pub debug: bool,
    pub trace: bool,
    /// Log files, FIFOs, character devices, `-` for standard input; distinct, at most 64. At least one of
    /// `files` and `command` is there.
    pub files: Vec<String>,
    /// The words of the command whose output is watched; braces in it are only braces.
    pub command: Option<Vec<u8>>,
    /// 1 to 1000, their names distinct.
    #[allow(clippy::vec_box)] // A rule is large, and is handed on.
    pub rules: Vec<Box<Rule>>,
    /// Path of the record of leases and spent sequences.
    pub state: String,
    /// Keys in progress per rule; 1 to 65535.
    pub max_keys: usize,
    /// Look at files this often, 100 to 3 600 000; [`NEVER`] if notified.
    pub poll_ms: u64,
    /// Of the file it was read from: another one for another file.
    pub checksum: u32,
}

impl Config {
    /// Whether a rule has something to record.
    pub fn needs_record(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.one_time || rule.lease.is_some())
    }

    /// Reads a configuration file's bytes.
    ///
    /// # Errors
    ///
    /// At least one error, in the order of the document: all there are, or the first if it is not JSON.
    pub fn parse(document: &[u8]) -> Result<Box<Config>, Vec<Diagnostic>> {
        let top = json::parse(document).map_err(|error| match other_format(document) {
            Some(at) => {
                let message = text!("{}", NOT_JSON);
                vec![Diagnostic { at, message }]
            }
            None => vec![error],
        })?;
        let mut loader = Loader::new(document, top);
        match loader.config(top) {
            Some(config) if loader.problems.is_empty() => Ok(config),
            _ => Err(loader.problems),
        }
    }
}

/// Where a document that is not JSON begins as INI files (`[options]`) and YAML (`file: x`) do.
fn other_format(document: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = document.get(at..)?;
        match rest {
            [b'#' | b';', ..] => at += until(rest, b'\n').len(),
            [b'[', b']', ..] => return None,
            [byte, ..] if byte.is_ascii_whitespace() => at += 1,
            [byte, ..] => {
                let begins_otherwise = byte.is_ascii_alphabetic() || holds(b"_[-", *byte);
                return begins_otherwise.then_some(at);
            }
            [] => return None,
        }
    }
}

impl Loader<'_> {
    fn config(&mut self, top: Value) -> Option<Box<Config>> {
        let mut numbers = [0; MAX_SETTINGS];
        let others = (RULE, "in a rule, inside \"ruleset\"");
        self.object(top, TOP, others, &mut numbers)?;
        let (file, command) = (top.member("file"), top.member("command"));
        if file.is_none() && command.is_none() {
            self.report(top, NO_SOURCE);
        }
        let command = command.and_then(|command| self.command(command));
        let files = self.files(file);
        let state = top.member("state").map(|path| {
            let state = self.path(path);
            if files.contains(&state) {
                self.report(path, STATE_IS_LOG);
            }
            state
        });
        let poll_ms = numbers[const { index_of(TOP, "poll") }];
        Some(Box::new(Config {
            files,
            command: command.map(Command::into_words),
            rules: self.rules(top),
            debug: numbers[const { index_of(TOP, "debug") }] != 0,
            trace: numbers[const { index_of(TOP, "trace") }] != 0,
            state: state.unwrap_or(DEFAULT_STATE.into()),
            poll_ms,
            // OK because the limit fits.
            max_keys: numbers[const { index_of(TOP, "max_keys") }] as usize,
            checksum: checksum(self.document),
        }))
    }

    fn files(&mut self, file: Option<Value>) -> Vec<String> {
        let mut files = Vec::new();
        for file in self.items(file, &FILES) {
            let path = self.path(file);
            if !path.is_empty() && files.contains(&path) {
                self.report(file, text!("{:?} is listed twice", path));
            }
            files.push(path);
        }
        files
    }

    #[allow(clippy::vec_box)]
    fn rules(&mut self, top: Value) -> Vec<Box<Rule>> {
        let (mut rules, mut written) = (Vec::new(), Vec::new());
        let ruleset = self.required(top, "ruleset");
        for rule in self.items(ruleset, &RULES) {
            let mut numbers = [0; MAX_SETTINGS];
            let others = (TOP, "beside \"ruleset\"");
            if self.object(rule, RULE, others, &mut numbers).is_some() {
                rules.push(self.rule(rule, &numbers));
                written.push(rule);
            }
        }
        for (index, rule) in written.iter().enumerate() {
            self.report_among(&rules, index, *rule);
        }
        rules
    }

    /// Reports what is wrong with a rule beside the others.
    fn report_among(&mut self, rules: &[Box<Rule>], index: usize, written: Value) {
        // OK because there is a rule for each that is written.
        let rule = &rules[index];
        let named = |name: &String| rules.iter().position(|other| other.name == *name);
        if let Some(name) = written.member("name")
            && !rule.name.is_empty()
            && named(&rule.name) != Some(index)
        {
            self.report(name, NAME_TAKEN);
        }
        for closes in CLOSES.of(written.member("closes")) {
            let Some(name) = closes.string() else {
                continue;
            };
            match named(&name) {
                _ if name == rule.name => self.report(closes, CLOSES_ITSELF),
                None => self.report(closes, text!("there is no rule {:?}", name)),
                // OK because it is the place of one.
                Some(at) if rules[at].lease.is_none() => {
                    self.report(
                        closes,
                        text!(
                            "rule {:?} has no \"revert\": it opens nothing that could be closed",
                            name
                        ),
                    );
                }
                Some(_) => {}
            }
        }
        if let (Some(revert), None) = (written.key("revert"), written.key("timeout"))
            && !rules.iter().any(|other| other.closes.contains(&rule.name))
        {
            self.report(revert, NO_END);
        }
    }

    /// Reads a rule.
    fn rule(&mut self, written: Value, numbers: &[u64; MAX_SETTINGS]) -> Box<Rule> {
        let mut rule = Box::new(Rule::default());
        if let Some(name) = self.required(written, "name") {
            match name_of(written) {
                Some(name) => rule.name = name,
                None => self.expected(name, NAME),
            }
        }
        for name in self.items(written.member("closes"), &CLOSES) {
            if let Some(name) = self.string(name) {
                rule.closes.push(name);
            }
        }
        let actions = match written.member("closes") {
            Some(_) => written.member("actions"),
            None => self.required(written, "actions"),
        };
        let revert = written.member("revert");
        rule.one_time = written.member("one_time").is_some();
        self.sequences(written, &mut rule.sequences);
        let fit = Fit {
            sequences: &rule.sequences,
            one_time: rule.one_time,
        };
        let lists = [actions, written.member("check"), revert];
        for (list, commands) in lists.into_iter().zip(&mut rule.commands) {
            self.commands(list, &fit, commands);
        }
        self.filters(written, &mut rule.filters);
        if let Some(ignore) = written.member("ignore") {
            rule.ignore = self.regex(ignore);
        }
        for network in self.items(written.member("ignore_hosts"), &HOSTS) {
            if let Some(network) = self.network(network) {
                rule.ignore_hosts.push(network);
            }
        }
        let timeout_ms = numbers[const { index_of(RULE, "timeout") }];
        if revert.is_some() || timeout_ms != NEVER {
            rule.lease = Some(Holding {
                timeout_ms,
                keep: numbers[const { index_of(RULE, "keep") }] != 0,
                exclusive: numbers[const { index_of(RULE, "exclusive") }] != 0,
            });
        }
        let within_ms = numbers[const { index_of(RULE, "within") }];
        rule.within_ms = within_ms;
        rule.repeats = numbers[const { index_of(RULE, "repeats") }] != 0;
        // OK because the limit fits.
        rule.count = numbers[const { index_of(RULE, "count") }] as u16;
        rule.action_timeout_ms = numbers[const { index_of(RULE, "action_timeout") }];
        rule
    }

    fn filters(&mut self, rule: Value, filters: &mut Vec<Regex>) {
        let written = self.required(rule, "filter");
        let alternatives = self.items(written, &FILTERS);
        for (index, alternative) in alternatives.clone().enumerate() {
            let text = alternative.string();
            let same = alternatives
                .clone()
                .position(|other| other.string() == text);
            if let Some(same) = same.filter(|same| *same < index && text.is_some()) {
                self.report(alternative, text!("the same as filter {}", same + 1));
            } else if let Some(filter) = self.regex(alternative) {
                if filter.group_count() == 0 {
                    self.report(alternative, NO_KEY);
                }
                filters.push(filter);
            }
        }
    }

    fn sequences(&mut self, rule: Value, sequences: &mut Vec<Sequence>) {
        let sequence = rule.member("sequence");
        let one_time = rule.member("one_time");
        match (sequence, one_time) {
            (None, None) => self.report(rule, NO_SEQUENCE),
            (Some(_), Some(one_time)) => self.report(one_time, BOTH_SEQUENCES),
            (Some(sequence), None) => sequences.push(self.sequence(sequence)),
            (None, Some(_)) => {}
        }
        for written in self.items(one_time, &SEQUENCES) {
            let sequence = self.sequence(written);
            let same = |earlier: &Sequence| earlier.patterns().eq(sequence.patterns());
            if let (Some(_), Some(same)) = (sequence.steps.first(), sequences.iter().position(same))
            {
                self.report(written, text!("the same as sequence {}", same + 1));
            }
            sequences.push(sequence);
        }
    }

    /// Reads a sequence; it is empty if a step is wrong.
    fn sequence(&mut self, sequence: Value) -> Sequence {
        let problems = self.problems.len();
        let mut steps = Vec::new();
        for step in self.items(Some(sequence), &STEPS) {
            if let Some(step) = self.regex(step) {
                steps.push(step);
            }
        }
        if self.problems.len() > problems {
            steps.clear();
        }
        Sequence { steps }
    }

    /// Reads commands that are right for the last step of every sequence.
    fn commands(&mut self, list: Option<Value>, fit: &Fit, commands: &mut Vec<Command>) {
        for written in self.items(list, &COMMANDS) {
            let Some(command) = self.command(written) else {
                continue;
            };
            if let Err(error) = fit.check(&command) {
                self.report_command(written, &error);
            }
            commands.push(command);
        }
    }
}

/// What the commands of a rule are to be right for.
struct Fit<'r> {
    sequences: &'r [Sequence],
    one_time: bool,
}

impl Fit<'_> {
    /// The first error, so that one that is there for every sequence is reported once.
    fn check(&self, command: &Command) -> Result<(), template::Error> {
        command.check(None)?;
        for (index, sequence) in self.sequences.iter().enumerate() {
            command.check(sequence.steps.last()).map_err(|mut error| {
                if self.one_time {
                    error.message = text!("one_time {}: {}", index + 1, error.message);
                }
                error
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
