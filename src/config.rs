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

use crate::diagnostic::Diagnostic;
use crate::json::{self, Kind, Value};
use crate::regex::Regex;
use crate::rule::{LeaseTerms, Rule, Sequence};
use crate::template::{Command, Template, printable};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::slice::from_ref;
use read::{Field, Items, Limits, Loader};

mod read;

const TOP_KEYS: &[&str] = &[
    "command", "debug", "file", "max_keys", "poll", "ruleset", "state", "trace",
];
const RULE_KEYS: &[&str] = &[
    "action_timeout",
    "actions",
    "exclusive",
    "filter",
    "ignore",
    "name",
    "one_time",
    "repeats",
    "revert",
    "sequence",
    "timeout",
    "within",
];
/// Keys of a rule that mean nothing without another.
const NEEDS: [(&str, &str); 3] = [
    ("timeout", "revert"),
    ("revert", "timeout"),
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
const POLL: Limits = Limits {
    decimals: 3,
    least: 100,
    most: 3_600_000,
    what: "a number of seconds from 0.1 to 3600",
};
/// Up to ten years.
const DURATION: Limits = Limits {
    decimals: 3,
    least: 1,
    most: 315_360_000_000,
    what: "a number of seconds from 0.001 to 315360000",
};

const FILES: Items = Items::up_to(64, "paths");
const RULES: Items = Items::up_to(256, "rules");
const STEPS: Items = Items::up_to(32, "regexes");
const SEQUENCES: Items = Items::up_to(256, "sequences");
const COMMANDS: Items = Items::up_to(64, "commands");

const MAX_NAME: usize = 255;

const NAME: &str = "printable text of 1 to 255 bytes";
const BOTH_SEQUENCES: &str = "cannot stand beside \"sequence\"";
const NAME_TAKEN: &str = "an earlier rule has this name";
const NO_KEY: &str = "there is no capture group to take the key from, such as ([0-9.]+)";
/// What messages call an item of `one_time`.
const ONE_TIME_SEQUENCE: &str = "one_time sequence";
const NO_SEQUENCE: &str = "missing \"sequence\" (or \"one_time\")";
const NO_SOURCE: &str = "missing \"file\" or \"command\": there is nothing to watch";

/// A valid configuration.
pub struct Config {
    /// Log files, FIFOs, character devices, `-` for standard input; distinct, at most 64. At least one of
    /// `files` and `command` is there.
    pub files: Vec<String>,
    /// The words of the command whose output is watched; braces in it are only braces.
    pub command: Option<Vec<String>>,
    /// 1 to 256, their names distinct.
    pub rules: Vec<Rule>,
    pub debug: bool,
    pub trace: bool,
    /// Path of the record of leases and spent sequences.
    pub state: String,
    /// Look at files this often instead of being notified; 100 to 3 600 000.
    pub poll_ms: Option<u64>,
    /// Keys in progress per rule; 1 to 65535.
    pub max_keys: usize,
}

impl Config {
    /// Reads a configuration file's bytes.
    ///
    /// # Errors
    ///
    /// At least one error, in the order of the document: all there are, or the first if it is not JSON.
    pub fn parse(document: &[u8]) -> Result<Config, Vec<Diagnostic>> {
        let value = json::parse(document).map_err(|error| vec![error])?;
        let mut loader = Loader::new(document);
        match loader.config(&value) {
            Some(config) if loader.problems.is_empty() => Ok(config),
            _ => Err(loader.problems),
        }
    }
}

impl Loader<'_> {
    fn config(&mut self, value: &Value) -> Option<Config> {
        let top = Field::top(value);
        self.object(&top, TOP_KEYS)?;
        if top.get("file").is_none() && top.get("command").is_none() {
            self.report(&top, &NO_SOURCE);
        }
        let max_keys = self.number(top.get("max_keys"), &KEYS);
        Some(Config {
            files: self.files(top.get("file")),
            command: self.source_command(top.get("command")),
            rules: self.rules(&top),
            debug: self.flag(top.get("debug")),
            trace: self.flag(top.get("trace")),
            state: self.state(top.get("state")),
            poll_ms: self.number(top.get("poll"), &POLL),
            // OK because the limit fits.
            max_keys: max_keys.unwrap_or(DEFAULT_MAX_KEYS) as usize,
        })
    }

    fn files(&mut self, field: Option<Field>) -> Vec<String> {
        let mut files: Vec<String> = Vec::new();
        let Some(field) = field else {
            return files;
        };
        let paths = match &field.value.kind {
            Kind::Array(_) => self.items(&field, &FILES),
            _ => from_ref(field.value),
        };
        for value in paths {
            let field = field.unnamed(value);
            let Some(path) = self.path(&field) else {
                continue;
            };
            if files.iter().any(|earlier| earlier == path) {
                self.report(&field, &text!("{:?} is listed twice", path));
            }
            files.push(path.into());
        }
        files
    }

    fn source_command(&mut self, field: Option<Field>) -> Option<Vec<String>> {
        self.command(&field?).map(Command::into_words)
    }

    fn state(&mut self, field: Option<Field>) -> String {
        let path = field.and_then(|field| self.path(&field));
        path.unwrap_or(DEFAULT_STATE).into()
    }

    fn rules(&mut self, top: &Field) -> Vec<Rule> {
        let mut names = Vec::new();
        let mut rules = Vec::new();
        let Some(field) = self.required(top, "ruleset") else {
            return rules;
        };
        for (index, value) in self.items(&field, &RULES).iter().enumerate() {
            let rule = Field::rule(value, index, name_of(value));
            if self.object(&rule, RULE_KEYS).is_some() {
                self.name(&rule, &mut names);
                rules.extend(self.rule(&rule));
            }
        }
        rules
    }

    /// Checks the name of a rule against those of the rules before it.
    fn name<'v>(&mut self, rule: &Field<'v>, earlier: &mut Vec<&'v str>) {
        let Some(field) = self.required(rule, "name") else {
            return;
        };
        match name_of(rule.value) {
            None => self.expected(&field, &NAME),
            Some(name) if earlier.contains(&name) => self.report(&field, &NAME_TAKEN),
            Some(name) => earlier.push(name),
        }
    }

    fn rule(&mut self, rule: &Field) -> Option<Rule> {
        self.report_lonely(rule);
        let sequences = self.sequences(rule);
        let ignore = rule.get("ignore").and_then(|field| self.regex(&field));
        let action_timeout_ms = self.number(rule.get("action_timeout"), &DURATION);
        let lease = self.lease(rule);
        Some(Rule {
            within_ms: self.number(rule.get("within"), &DURATION),
            repeats: self.flag(rule.get("repeats")),
            name: name_of(rule.value).unwrap_or_default().into(),
            filter: self.filter(rule)?,
            ignore,
            sequences,
            one_time: rule.get("one_time").is_some(),
            lease,
            action_timeout_ms: action_timeout_ms.unwrap_or(DEFAULT_ACTION_TIMEOUT_MS),
        })
    }

    /// Reports keys that need another one which is not there.
    fn report_lonely(&mut self, rule: &Field) {
        for (key, needed) in NEEDS {
            if let (Some(member), None) = (rule.value.member(key), rule.value.member(needed)) {
                let message = text!("{:?} needs {:?}", key, needed);
                self.report_at(member.key_at, rule, &message);
            }
        }
    }

    fn lease(&mut self, rule: &Field) -> Option<LeaseTerms> {
        let exclusive = self.flag(rule.get("exclusive"));
        let timeout_ms = self.number(rule.get("timeout"), &DURATION)?;
        Some(LeaseTerms {
            timeout_ms,
            exclusive,
        })
    }

    fn filter(&mut self, rule: &Field) -> Option<Regex> {
        let field = self.required(rule, "filter")?;
        let filter = self.regex(&field)?;
        if filter.group_count() == 0 {
            self.report(&field, &NO_KEY);
        }
        Some(filter)
    }

    fn sequences(&mut self, rule: &Field) -> Vec<Sequence> {
        let actions = self.required(rule, "actions");
        let mut plans = Plans {
            actions: self.plans(actions, "action"),
            revert: self.plans(rule.get("revert"), "revert command"),
        };
        let Some(one_time) = rule.get("one_time") else {
            let Some(field) = rule.get("sequence") else {
                self.report(rule, &NO_SEQUENCE);
                return Vec::new();
            };
            let sequence = self.sequence(&field, None, &mut plans);
            return sequence.into_iter().collect();
        };
        if rule.get("sequence").is_some() {
            self.report(&one_time, &BOTH_SEQUENCES);
        }
        self.one_time(&one_time, &mut plans)
    }

    fn one_time(&mut self, field: &Field, plans: &mut Plans) -> Vec<Sequence> {
        let mut sequences = Vec::new();
        let items = self.items(field, &SEQUENCES);
        for (index, value) in items.iter().enumerate() {
            let field = field.item(ONE_TIME_SEQUENCE, index, value);
            let Some(sequence) = self.sequence(&field, Some(index), plans) else {
                continue;
            };
            let mut earlier = items.iter().take(index);
            if let Some(same) = earlier.position(|earlier| same_strings(earlier, value)) {
                self.report(&field, &text!("the same as sequence {}", same + 1));
            }
            sequences.push(sequence);
        }
        sequences
    }

    /// Reads the only sequence of a rule or, with an index, one of several.
    fn sequence(
        &mut self,
        field: &Field,
        index_of_several: Option<usize>,
        plans: &mut Plans,
    ) -> Option<Sequence> {
        let items = self.items(field, &STEPS);
        let mut steps = Vec::new();
        for (index, value) in items.iter().enumerate() {
            let step = match index_of_several {
                None => field.item("sequence step", index, value),
                Some(_) => field.nested("step", index, value),
            };
            steps.extend(self.regex(&step));
        }
        let last = steps.last().filter(|_| steps.len() == items.len())?;
        let actions = self.bind(&mut plans.actions, last, index_of_several);
        let revert = self.bind(&mut plans.revert, last, index_of_several);
        Some(Sequence {
            steps,
            actions,
            revert,
        })
    }

    /// Checks commands as far as that is possible without knowing a sequence.
    fn plans<'v>(&mut self, field: Option<Field<'v>>, noun: &'static str) -> Vec<Plan<'v>> {
        let mut plans = Vec::new();
        let Some(field) = field else {
            return plans;
        };
        for (index, value) in self.items(&field, &COMMANDS).iter().enumerate() {
            let field = field.item(noun, index, value);
            let Some(command) = self.command(&field) else {
                continue;
            };
            if self
                .no_error(&field, command.check_placeholders())
                .is_some()
            {
                plans.push(Plan {
                    field,
                    command: Some(command),
                });
            }
        }
        plans
    }

    /// Resolves commands against the last step of a sequence. One that does not fit is dropped, so that
    /// an error is reported once and not for every sequence.
    fn bind(
        &mut self,
        plans: &mut [Plan],
        last: &Regex,
        index_of_several: Option<usize>,
    ) -> Vec<Template> {
        let mut templates = Vec::new();
        for plan in plans {
            let Some(command) = &plan.command else {
                continue;
            };
            let field = match index_of_several {
                None => plan.field,
                Some(index) => plan
                    .field
                    .nested(ONE_TIME_SEQUENCE, index, plan.field.value),
            };
            match self.no_error(&field, Template::new(command, last)) {
                Some(template) => templates.push(template),
                None => plan.command = None,
            }
        }
        templates
    }
}

/// The commands of a rule on their way to one template for each sequence.
struct Plans<'v> {
    actions: Vec<Plan<'v>>,
    revert: Vec<Plan<'v>>,
}

struct Plan<'v> {
    field: Field<'v>,
    /// `None` once an error has been reported.
    command: Option<Command>,
}

/// The name of a rule, if it has a valid one.
fn name_of(rule: &Value) -> Option<&str> {
    let Kind::String(name) = &rule.member("name")?.value.kind else {
        return None;
    };
    let valid = (1..=MAX_NAME).contains(&name.len()) && printable(name.as_bytes());
    valid.then_some(name)
}

/// Whether two arrays hold the same strings.
fn same_strings(one: &Value, other: &Value) -> bool {
    let (Kind::Array(one), Kind::Array(other)) = (&one.kind, &other.kind) else {
        return false;
    };
    let same = |(one, other): (&Value, &Value)| match (&one.kind, &other.kind) {
        (Kind::String(one), Kind::String(other)) => one == other,
        _ => false,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

#[cfg(test)]
mod tests;
