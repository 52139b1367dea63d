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

use crate::address::Network;
use crate::backoff::NEVER;
use crate::commands::template::{self, Command};
use crate::config::diagnostic::Diagnostic;
use crate::engine::rule::{LeaseTerms, Rule, Sequence};
use crate::regex::Regex;
use crate::text::checksum;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use json::Value;
use read::{Items, Limits, Loader, TIME, name_of};

pub mod diagnostic;
pub mod json;
pub mod load;
mod read;
pub mod trust;

const TOP_KEYS: &[&str] = &[
    "command", "debug", "file", "max_keys", "poll", "ruleset", "state", "trace",
];
const RULE_KEYS: &[&str] = &[
    "action_timeout",
    "actions",
    "check",
    "closes",
    "count",
    "exclusive",
    "filter",
    "ignore",
    "ignore_hosts",
    "keep",
    "name",
    "one_time",
    "repeats",
    "revert",
    "sequence",
    "timeout",
    "within",
];
/// Keys of a rule that mean nothing without another.
const NEEDS: [(&str, &str); 4] = [
    ("timeout", "revert"),
    ("check", "revert"),
    ("keep", "timeout"),
    ("exclusive", "timeout"),
];

const DEFAULT_STATE: &str = "/var/run/logknockd.state";
const DEFAULT_MAX_KEYS: u64 = 4096;
const DEFAULT_ACTION_TIMEOUT_MS: u64 = 30_000;

const KEYS: Limits = Limits {
    decimals: 0,
    least: 1,
    most: 65_535,
    what: "an integer from 1 to 65535",
};
const COUNT: Limits = Limits {
    decimals: 0,
    least: 2,
    most: 1000,
    what: "an integer from 2 to 1000",
};
const POLL: Limits = Limits {
    decimals: TIME,
    least: 100,
    most: 3_600_000,
    what: "a time from 0.1 to 3600",
};
/// Up to ten years.
const DURATION: Limits = Limits {
    decimals: TIME,
    least: 1,
    most: 315_360_000_000,
    what: "a time from 0.001 to 315360000",
};

const FILES: Items = Items::up_to(64, "paths");
const RULES: Items = Items::up_to(1000, "rules");
const STEPS: Items = Items::up_to(32, "regexes");
const HOSTS: Items = Items::up_to(256, "addresses and networks");
const FILTERS: Items = Items::up_to(16, "regexes");
const SEQUENCES: Items = Items::up_to(256, "sequences");
const COMMANDS: Items = Items::up_to(64, "commands");

const NAME: &str = "printable text of 1 to 255 bytes";
const BOTH_SEQUENCES: &str = "cannot stand beside \"sequence\"";
const NAME_TAKEN: &str = "an earlier rule has this name";
const NOT_JSON: &str = "a configuration is JSON and begins with {: INI files (knockd.conf, jail.conf) and YAML are not read, \
                        but examples/from-knockd.conf and from-fail2ban.conf show the way";
const CLOSES_ITSELF: &str = "a rule cannot close its own leases";
const NO_END: &str = "\"revert\" needs \"timeout\", or another rule that \"closes\" this one";
const NO_KEY: &str = "there is no capture group to take the key from, such as ([0-9.]+)";
const NO_SEQUENCE: &str = "missing \"sequence\" (or \"one_time\")";
const NO_SOURCE: &str = "missing \"file\" or \"command\": there is nothing to watch";

/// A valid configuration.
pub struct Config {
    /// Log files, FIFOs, character devices, `-` for standard input; distinct, at most 64. At least one of
    /// `files` and `command` is there.
    pub files: Vec<String>,
    /// The words of the command whose output is watched; braces in it are only braces.
    pub command: Option<Vec<u8>>,
    /// 1 to 1000, their names distinct.
    #[allow(clippy::vec_box)] // A rule is large, and is handed on.
    pub rules: Vec<Box<Rule>>,
    pub debug: bool,
    pub trace: bool,
    /// Path of the record of leases and spent sequences.
    pub state: String,
    /// Look at files this often instead of being notified; 100 to 3 600 000.
    pub poll_ms: Option<u64>,
    /// Keys in progress per rule; 1 to 65535.
    pub max_keys: usize,
    /// Of the file it was read from: another one for another file.
    pub checksum: u32,
}

impl Config {
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
    for line in document.split_inclusive(|&byte| byte == b'\n') {
        match line.trim_ascii() {
            [] | [b'#' | b';', ..] => at += line.len(),
            [b'[', b'a'..=b'z' | b'A'..=b'Z', ..] => return Some(at),
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', rest @ ..] => {
                return rest
                    .iter()
                    .any(|byte| matches!(byte, b':' | b'='))
                    .then_some(at);
            }
            b"---" => return Some(at),
            _ => return None,
        }
    }
    None
}

impl Loader<'_> {
    fn config(&mut self, top: Value) -> Option<Box<Config>> {
        self.object(top, TOP_KEYS, (RULE_KEYS, "in a rule, inside \"ruleset\""))?;
        let (file, command) = (top.member("file"), top.member("command"));
        if file.is_none() && command.is_none() {
            self.report(top, &NO_SOURCE);
        }
        let command = command.and_then(|command| self.command(command));
        let state = top.member("state").map(|path| self.path(path));
        let max_keys = self.number(top, "max_keys", &KEYS);
        Some(Box::new(Config {
            files: file.map_or(Vec::new(), |file| self.files(file)),
            command: command.map(Command::into_words),
            rules: self.rules(top),
            debug: self.flag(top, "debug"),
            trace: self.flag(top, "trace"),
            state: state.unwrap_or(DEFAULT_STATE.into()),
            poll_ms: self.number(top, "poll", &POLL),
            // OK because the limit fits.
            max_keys: max_keys.unwrap_or(DEFAULT_MAX_KEYS) as usize,
            checksum: checksum(self.document),
        }))
    }

    fn files(&mut self, file: Value) -> Vec<String> {
        if file.first() != b'[' {
            return vec![self.path(file)];
        }
        let mut files = Vec::new();
        for file in self.items(file, &FILES) {
            let path = self.path(file);
            if !path.is_empty() && files.contains(&path) {
                self.report(file, &text!("{:?} is listed twice", path));
            }
            files.push(path);
        }
        files
    }

    #[allow(clippy::vec_box)]
    fn rules(&mut self, top: Value) -> Vec<Box<Rule>> {
        let mut rules = Vec::new();
        let mut names = Vec::new();
        let Some(ruleset) = self.required(top, "ruleset") else {
            return rules;
        };
        for rule in self.items(ruleset, &RULES) {
            let others = (TOP_KEYS, "beside \"ruleset\"");
            if self.object(rule, RULE_KEYS, others).is_some() {
                self.name(rule, &mut names);
                self.report_endless(rule, ruleset);
                let rule = self.rule(rule, ruleset);
                rules.push(rule);
            }
        }
        rules
    }

    /// Reports a `revert` that neither a time nor another rule's knock makes run.
    fn report_endless(&mut self, rule: Value, ruleset: Value) {
        let name = name_of(rule);
        let closes_it = |other: Value| {
            let mut names = closes(other);
            name.is_some() && names.any(|closed| closed.string() == name)
        };
        if let (Some(revert), None) = (rule.key("revert"), rule.key("timeout"))
            && !ruleset.items().any(closes_it)
        {
            self.report(revert, &NO_END);
        }
    }

    /// The names of the rules whose leases a rule's knocks end.
    fn closes(&mut self, rule: Value, ruleset: Value) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(written) = rule.member("closes").filter(|list| list.first() == b'[') {
            self.items(written, &RULES);
        }
        for written in closes(rule) {
            let Some(name) = self.string(written) else {
                continue;
            };
            if name_of(rule).as_ref() == Some(&name) {
                self.report(written, &CLOSES_ITSELF);
            } else if !ruleset
                .items()
                .any(|other| name_of(other).as_ref() == Some(&name))
            {
                self.report(written, &text!("there is no rule {:?}", name));
            }
            names.push(name);
        }
        names
    }

    /// Checks the name of a rule against those of the rules before it.
    fn name(&mut self, rule: Value, earlier: &mut Vec<String>) {
        let Some(written) = self.required(rule, "name") else {
            return;
        };
        match name_of(rule) {
            None => self.expected(written, &NAME),
            Some(name) if earlier.contains(&name) => self.report(written, &NAME_TAKEN),
            Some(name) => earlier.push(name),
        }
    }

    /// Reads a rule.
    fn rule(&mut self, rule: Value, ruleset: Value) -> Box<Rule> {
        self.report_lonely(rule);
        let closes = self.closes(rule, ruleset);
        let actions = match rule.member("closes") {
            Some(_) => rule.member("actions"),
            None => self.required(rule, "actions"),
        };
        let one_time = rule.member("one_time").is_some();
        let sequences = self.sequences(rule);
        let fit = Fit {
            sequences: &sequences,
            one_time,
        };
        let actions = self.commands(actions, &fit);
        let check = self.commands(rule.member("check"), &fit);
        let revert = self.commands(rule.member("revert"), &fit);
        let ignore = rule.member("ignore").and_then(|ignore| self.regex(ignore));
        let action_timeout_ms = self.number(rule, "action_timeout", &DURATION);
        let lease = self.lease(rule);
        let within_ms = self.number(rule, "within", &DURATION);
        let repeats = self.flag(rule, "repeats");
        let count = self.number(rule, "count", &COUNT);
        Box::new(Rule {
            name: name_of(rule).unwrap_or_default(),
            filters: self.filters(rule),
            ignore,
            ignore_hosts: self.networks(rule),
            sequences,
            one_time,
            actions,
            check,
            revert,
            closes,
            within_ms,
            repeats,
            // OK because the limit fits.
            count: count.map_or(1, |count| count as u16),
            lease,
            action_timeout_ms: action_timeout_ms.unwrap_or(DEFAULT_ACTION_TIMEOUT_MS),
        })
    }

    /// Reports keys that need another one which is not there.
    fn report_lonely(&mut self, rule: Value) {
        for (key, needed) in NEEDS {
            if let (Some(lonely), None) = (rule.key(key), rule.key(needed)) {
                self.report(lonely, &text!("{:?} needs {:?}", key, needed));
            }
        }
    }

    fn lease(&mut self, rule: Value) -> Option<LeaseTerms> {
        let (exclusive, keep) = (self.flag(rule, "exclusive"), self.flag(rule, "keep"));
        let timeout_ms = self.number(rule, "timeout", &DURATION);
        let lasts = timeout_ms.is_some() || rule.member("revert").is_some();
        lasts.then_some(LeaseTerms {
            timeout_ms: timeout_ms.unwrap_or(NEVER),
            keep,
            exclusive,
        })
    }

    fn filters(&mut self, rule: Value) -> Vec<Regex> {
        let mut filters = Vec::new();
        let Some(written) = self.required(rule, "filter") else {
            return filters;
        };
        if written.first() != b'[' {
            filters.extend(self.filter(written));
            return filters;
        }
        for (index, alternative) in self.items(written, &FILTERS).enumerate() {
            let mut earlier = written.items().take(index);
            let same = earlier.position(|other| other.string() == alternative.string());
            match same.filter(|_| alternative.first() == b'"') {
                Some(same) => self.report(alternative, &text!("the same as filter {}", same + 1)),
                None => filters.extend(self.filter(alternative)),
            }
        }
        filters
    }

    fn filter(&mut self, written: Value) -> Option<Regex> {
        let filter = self.regex(written)?;
        if filter.group_count() == 0 {
            self.report(written, &NO_KEY);
        }
        Some(filter)
    }

    fn networks(&mut self, rule: Value) -> Vec<Network> {
        let mut networks = Vec::new();
        let Some(list) = rule.member("ignore_hosts") else {
            return networks;
        };
        for written in self.items(list, &HOSTS) {
            networks.extend(self.network(written));
        }
        networks
    }

    fn sequences(&mut self, rule: Value) -> Vec<Sequence> {
        let mut sequences: Vec<Sequence> = Vec::new();
        let sequence = rule.member("sequence");
        let Some(one_time) = rule.member("one_time") else {
            match sequence {
                Some(sequence) => sequences.push(self.sequence(sequence)),
                None => self.report(rule, &NO_SEQUENCE),
            }
            return sequences;
        };
        if sequence.is_some() {
            self.report(one_time, &BOTH_SEQUENCES);
        }
        for written in self.items(one_time, &SEQUENCES) {
            let sequence = self.sequence(written);
            let same = |earlier: &Sequence| earlier.patterns().eq(sequence.patterns());
            if let (Some(_), Some(same)) = (sequence.steps.first(), sequences.iter().position(same))
            {
                self.report(written, &text!("the same as sequence {}", same + 1));
            }
            sequences.push(sequence);
        }
        sequences
    }

    /// Reads a sequence; it is empty if a step is wrong.
    fn sequence(&mut self, sequence: Value) -> Sequence {
        let problems = self.problems.len();
        let mut steps = Vec::new();
        for step in self.items(sequence, &STEPS) {
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
    fn commands(&mut self, list: Option<Value>, fit: &Fit) -> Vec<Command> {
        let mut commands = Vec::new();
        let Some(list) = list else {
            return commands;
        };
        for written in self.items(list, &COMMANDS) {
            let Some(command) = self.command(written) else {
                continue;
            };
            if let Err(error) = fit.check(&command) {
                self.report_command(written, &error);
            }
            commands.push(command);
        }
        commands
    }
}

/// What is written behind a rule's `closes`: the names, or the name.
fn closes(rule: Value) -> impl Iterator<Item = Value> {
    let written = rule.member("closes");
    let single = written.filter(|written| written.first() != b'[');
    let list = written.map_or(json::Items::default(), |written| match single {
        Some(_) => json::Items::default(),
        None => written.items(),
    });
    single.into_iter().chain(list)
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
                    error.message = text!("one_time sequence {}: {}", index + 1, error.message);
                }
                error
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
