//! Typed reading of JSON values: what the schema in `config` is written with.
//!
//! Every reader takes a value and gives what it stands for. If it does not stand for that, the reader
//! reports why, at the byte where it is wrong, and gives nothing or a default: reading goes on, so that
//! one run finds every error. That the result is not to be used is known from `Loader::problems`.
//!
//! What a message begins with, `"debug": ` or `rule "ssh": filter: `, is worked out from the byte it is
//! about when something is reported: readers need not know where they are.

use crate::address::Network;
use crate::commands::template::{self, Command, printable};
use crate::config::diagnostic::Diagnostic;
use crate::config::json::{self, Items, Value};
use crate::regex::Regex;
use crate::text::{entry, holds, whole};
use alloc::string::String;
use alloc::vec::Vec;

/// As the system has it, less the NUL at the end.
const MAX_PATH: usize = 4095;

/// The longest name of a rule, in bytes.
const MAX_NAME: usize = 255;

/// A key of the configuration; what is meant by key elsewhere is whose a line is.
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// The key without which it means nothing, if there is one.
    needs: &'static str,
    /// Of one that is read as a number.
    limits: Option<&'static Limits>,
}

impl Setting {
    /// A key whose value the schema reads.
    pub(super) const fn of(name: &'static str) -> Setting {
        Setting {
            name,
            needs: "",
            limits: None,
        }
    }

    pub(super) const fn number(name: &'static str, limits: &'static Limits) -> Setting {
        Setting {
            limits: Some(limits),
            ..Setting::of(name)
        }
    }

    /// 1 if it is true.
    pub(super) const fn flag(name: &'static str) -> Setting {
        Setting::number(name, &FLAG)
    }

    pub(super) const fn needs(self, needs: &'static str) -> Setting {
        Setting { needs, ..self }
    }
}

/// The index of a key among others.
pub(super) const fn index_of(keys: &[Setting], name: &str) -> usize {
    let mut index = 0;
    while !is_same(keys[index].name.as_bytes(), name.as_bytes()) {
        index += 1;
    }
    index
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) => *a == *b && is_same(one, other),
        _ => false,
    }
}

/// What numbers may be; `what` says it in words, of a time the range of its seconds.
pub(super) struct Limits {
    pub(super) kind: Kind,
    pub(super) least: u64,
    pub(super) most: u64,
    /// What it is unless it is written.
    pub(super) unless: u64,
    pub(super) what: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    Whole,
    /// Seconds or a string, read as milliseconds.
    Time,
}

const FLAG: Limits = Limits {
    kind: Kind::Flag,
    least: 0,
    most: 1,
    unless: 0,
    what: "true or false",
};

/// No object has more keys.
pub(super) const MAX_SETTINGS: usize = 17;

/// Decimals of seconds that are read as milliseconds.
const MS: i32 = 3;
/// Units of times that are written as strings, in seconds.
const UNITS: [(u8, u32); 5] = [
    (b's', 1),
    (b'm', 60),
    (b'h', 3600),
    (b'd', 86_400),
    (b'w', 604_800),
];

/// What arrays may hold, and how many.
pub(super) struct ArrayOf {
    most: usize,
    what: &'static str,
    /// Whether one may stand without an array.
    or_one: bool,
}

impl ArrayOf {
    /// At least one is always needed.
    pub(super) const fn up_to(most: usize, what: &'static str) -> ArrayOf {
        ArrayOf {
            most,
            what,
            or_one: false,
        }
    }

    /// The same, or one of them by itself.
    pub(super) const fn or_one(most: usize, what: &'static str) -> ArrayOf {
        ArrayOf {
            or_one: true,
            ..ArrayOf::up_to(most, what)
        }
    }

    /// The items of an array, or the one that stands for it.
    pub(super) fn of<'v>(&self, value: Option<Value<'v>>) -> Items<'v> {
        match value {
            Some(value) if value.first() == b'[' => value.items(),
            Some(value) if self.or_one => value.alone(),
            _ => Items::default(),
        }
    }
}

const WORDS: ArrayOf = ArrayOf::up_to(256, "words");

const COMMAND: &str = "a command: a string or an array of words";
const OBJECT: &str = "an object";
const PATH: &str = "a path of 1 to 4095 bytes without NUL";
const STRING: &str = "a string";
const TIMES: &str =
    " seconds: a number, or a string such as \"90s\", \"10m\", \"2h\", \"7d\" or \"1w\"";

/// What knockd and fail2ban call things, and what they are called here. At the top `command` is known.
const ABROAD: &str = "actionban:\"actions\"\n\
    actionunban:\"revert\"\n\
    bantime:\"timeout\"\n\
    cmd_timeout:\"timeout\"\n\
    command:\"actions\"; what is watched stands beside \"ruleset\"\n\
    failregex:\"filter\"\n\
    findtime:\"within\"\n\
    ignoreip:\"ignore_hosts\"\n\
    ignoreregex:\"ignore\"\n\
    interface:a part of \"filter\": IN=eth0\n\
    logfile:-s, or where standard error goes\n\
    logpath:\"file\", beside \"ruleset\"\n\
    maxretry:\"count\"\n\
    one_time_sequences:\"one_time\"\n\
    seq_timeout:\"within\"\n\
    start_command:\"actions\"\n\
    start_command_6:\"actions\", with {family}\n\
    stop_command:\"revert\"\n\
    stop_command_6:\"revert\", with {family}\n\
    tcpflags:for the firewall's rule to choose, or a part of a step";

/// Reads values and collects what is wrong with them.
pub(super) struct Loader<'d> {
    pub(super) document: &'d [u8],
    top: Value<'d>,
    /// In the order of the document.
    pub(super) problems: Vec<Diagnostic>,
}

impl<'d> Loader<'d> {
    pub(super) fn new(document: &'d [u8], top: Value<'d>) -> Loader<'d> {
        Loader {
            document,
            top,
            problems: Vec::new(),
        }
    }

    /// An object that should have no keys but `keys` and comments; of `others` is said where they belong. Its numbers
    /// and flags come each in the place of its key.
    pub(super) fn object(
        &mut self,
        value: Value,
        keys: &[Setting],
        others: (&[Setting], &str),
        numbers: &mut [u64; MAX_SETTINGS],
    ) -> Option<()> {
        if value.first() != b'{' {
            self.expected(value, OBJECT);
            return None;
        }
        for (number, key) in numbers.iter_mut().zip(keys) {
            *number = key.limits.map_or(0, |limits| limits.unless);
        }
        for written in value.items() {
            let name = written.text();
            let mut known = keys.iter().zip(&mut *numbers);
            let Some((key, number)) = known.find(|(key, _)| key.name == name) else {
                self.report_unknown(written, &name, keys, others);
                continue;
            };
            if !key.needs.is_empty() && value.key(key.needs).is_none() {
                self.report(written, text!("{:?} needs {:?}", key.name, key.needs));
            }
            if let Some(limits) = key.limits {
                *number = self.number(written.behind_key(), limits);
            }
        }
        Some(())
    }

    fn report_unknown(
        &mut self,
        written: Value,
        name: &str,
        keys: &[Setting],
        others: (&[Setting], &str),
    ) {
        if name.starts_with('_') {
            return;
        }
        let mut message = text!("unknown key {:?}", name);
        if let Some(here) = entry(ABROAD, b'\n', name.as_bytes()) {
            put!(&mut message, ": here it is {}", here);
        } else if others.0.iter().any(|other| other.name == name) {
            put!(&mut message, ": it stands {}", others.1);
        } else if let Some(meant) = nearest(name, keys) {
            put!(&mut message, ": did you mean {:?}?", meant);
        }
        self.report(written, message);
    }

    /// The value of a key that must be there.
    pub(super) fn required<'v>(&mut self, object: Value<'v>, key: &str) -> Option<Value<'v>> {
        let value = object.member(key);
        if value.is_none() {
            self.report(object, text!("missing {:?}", key));
        }
        value
    }

    fn number(&mut self, value: Value, limits: &Limits) -> u64 {
        let number = match (limits.kind, value.first()) {
            (Kind::Flag, b't') => Some(1),
            (Kind::Flag, b'f') => Some(0),
            (Kind::Flag, _) => None,
            (Kind::Whole, _) => value.scaled(0),
            (Kind::Time, b'"') => milliseconds(&value.text()),
            (Kind::Time, _) => value.scaled(MS),
        };
        let fits = |number: &u64| (limits.least..=limits.most).contains(number);
        number.filter(fits).unwrap_or_else(|| {
            let is_time = matches!(limits.kind, Kind::Time);
            let of_times = if is_time { TIMES } else { "" };
            self.expected(value, text!("{}{}", limits.what, of_times));
            limits.unless
        })
    }

    /// The items of what should be such; none if there are too few or too many.
    pub(super) fn items<'v>(&mut self, value: Option<Value<'v>>, items: &ArrayOf) -> Items<'v> {
        let values = items.of(value);
        if let Some(value) = value
            && !(1..=items.most).contains(&values.clone().count())
        {
            self.expected(
                value,
                text!("an array of 1 to {} {}", items.most, items.what),
            );
            return Items::default();
        }
        values
    }

    /// What a string stands for.
    pub(super) fn string(&mut self, value: Value) -> Option<String> {
        let string = value.string();
        if string.is_none() {
            self.expected(value, STRING);
        }
        string
    }

    /// An empty one if it is wrong.
    pub(super) fn path(&mut self, value: Value) -> String {
        let path = value.string().unwrap_or_default();
        if path.is_empty() || path.len() > MAX_PATH || holds(path.as_bytes(), 0) {
            self.expected(value, PATH);
            return String::new();
        }
        path
    }

    /// A pattern that compiles.
    pub(super) fn regex(&mut self, value: Value) -> Option<Regex> {
        match Regex::new(&self.string(value)?) {
            Ok(regex) => Some(regex),
            Err(error) => {
                self.report_inside(value, error.at, error.message);
                None
            }
        }
    }

    /// An address or a network.
    pub(super) fn network(&mut self, value: Value) -> Option<Network> {
        match Network::parse(self.string(value)?.as_bytes()) {
            Ok(network) => Some(network),
            Err((at, message)) => {
                self.report_inside(value, at, &message);
                None
            }
        }
    }

    /// A command, which may be written as a string or as an array of words.
    pub(super) fn command(&mut self, value: Value) -> Option<Command> {
        let command = match value.first() {
            b'"' => Command::split(&value.text()),
            b'[' => Command::from_words(&self.words(value)?),
            _ => {
                self.expected(value, COMMAND);
                return None;
            }
        };
        command
            .map_err(|error| self.report_command(value, &error))
            .ok()
    }

    fn words(&mut self, value: Value) -> Option<Vec<String>> {
        let problems = self.problems.len();
        let mut words = Vec::new();
        for word in self.items(Some(value), &WORDS) {
            if let Some(word) = self.string(word) {
                words.push(word);
            }
        }
        (self.problems.len() == problems).then_some(words)
    }

    /// Reports an error in the command that `value` is.
    pub(super) fn report_command(&mut self, value: Value, error: &template::Error) {
        let word = match value.first() {
            b'[' => value.items().nth(error.word),
            _ => None,
        };
        self.report_inside(word.unwrap_or(value), error.at, &error.message);
    }

    /// Reports that `value` is not `what` it should be.
    pub(super) fn expected(&mut self, value: Value, what: impl AsRef<[u8]>) {
        let mut message = text!("expected {}, found ", what.as_ref());
        put_found(value, &mut message);
        self.report(value, message);
    }

    /// Reports an error at byte `index` of a decoded string.
    fn report_inside(&mut self, string: Value, index: usize, message: impl AsRef<[u8]>) {
        let at = json::string_offset(self.document, string.at(self.document), index);
        self.report_at(at, message.as_ref());
    }

    /// Reports an error that `value` as a whole is.
    pub(super) fn report(&mut self, value: Value, message: impl AsRef<[u8]>) {
        self.report_at(value.at(self.document), message.as_ref());
    }

    #[inline(never)]
    fn report_at(&mut self, at: usize, what: &[u8]) {
        let mut message = Vec::new();
        self.put_place(at, &mut message);
        message.extend_from_slice(what);
        let later = |problem: &Diagnostic| problem.at > at;
        let index = self.problems.iter().position(later);
        let index = index.unwrap_or(self.problems.len());
        self.problems.insert(index, Diagnostic { at, message });
    }

    /// What byte `at` belongs to, in words.
    fn put_place(&self, at: usize, out: &mut Vec<u8>) {
        let Some((key, value)) = self.member_at(self.top, at) else {
            return;
        };
        let rule = match key.as_str() {
            "ruleset" => self.item_at(value, at),
            _ => None,
        };
        let Some((number, rule)) = rule else {
            put!(out, "{:?}: ", key);
            return;
        };
        put!(out, "rule ");
        match name_of(rule) {
            Some(name) => put!(out, "{:?}", name),
            None => put!(out, "{}", number),
        }
        put!(out, ": ");
        let Some((key, value)) = self.member_at(rule, at) else {
            return;
        };
        put!(out, "{}", &key);
        if let Some((number, item)) = self.item_at(value, at) {
            put!(out, " {}", number);
            if let (true, Some((number, _))) = (key == "one_time", self.item_at(item, at)) {
                put!(out, ": step {}", number);
            }
        }
        put!(out, ": ");
    }

    /// The key and value of an object that byte `at` belongs to, if it belongs to a value.
    fn member_at(&self, object: Value<'d>, at: usize) -> Option<(String, Value<'d>)> {
        let (_, key) = self.item_at(object, at)?;
        let value = key.behind_key();
        (value.at(self.document) <= at).then(|| (key.text(), value))
    }

    /// The item of an array or key of an object that byte `at` belongs to, and its number from 1 on.
    fn item_at(&self, value: Value<'d>, at: usize) -> Option<(usize, Value<'d>)> {
        let before = |item: &Value| item.at(self.document) <= at;
        let items = value.items().take_while(before);
        (1..).zip(items).last()
    }
}

/// What a time such as `10m` is in milliseconds: a whole number and its unit.
fn milliseconds(text: &str) -> Option<u64> {
    let (unit, digits) = text.as_bytes().split_last()?;
    let (_, unit_s) = UNITS.iter().find(|(letter, _)| letter == unit)?;
    let number = whole(digits)?;
    // OK because 2^32 weeks are less.
    Some(u64::from(number) * u64::from(*unit_s) * 1000)
}

fn put_found(value: Value, out: &mut Vec<u8>) {
    let count = value.items().count();
    match value.first() {
        b'"' if value.text().is_empty() => put!(out, "an empty string"),
        b'"' => put!(out, "{}", STRING),
        b'[' if count == 0 => put!(out, "an empty array"),
        b'[' => put!(out, "an array of {}", count),
        b'{' => put!(out, "{}", OBJECT),
        _ => out.extend_from_slice(value.word()),
    }
}

/// The one of `keys` that `key` was probably meant to be.
pub(super) fn nearest(key: &str, keys: &[Setting]) -> Option<&'static str> {
    let near = |edits| {
        let mut names = keys.iter().map(|key| key.name);
        names.find(|name| within_edits(key.as_bytes(), name.as_bytes(), edits))
    };
    near(1).or_else(|| near(2))
}

/// Whether `edits` insertions, deletions, replacements and exchanges of neighbours make one text the
/// other. Recursion ends with the edits.
fn within_edits(one: &[u8], other: &[u8], edits: u32) -> bool {
    let alike = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (behind(one, alike), behind(other, alike));
    if one.is_empty() && other.is_empty() {
        return true;
    }
    let Some(left) = edits.checked_sub(1) else {
        return false;
    };
    let exchanged = matches!((one, other), ([a, b, ..], [c, d, ..]) if (a, b) == (d, c));
    // How many bytes an edit takes from the one and from the other.
    let edits: [(usize, usize); 4] = [(1, 1), (1, 0), (0, 1), (2, 2)];
    let mut edits = edits.iter().take(3 + usize::from(exchanged));
    edits.any(|&(a, b)| within_edits(behind(one, a), behind(other, b), left))
}

fn behind(text: &[u8], start: usize) -> &[u8] {
    text.get(start..).unwrap_or_default()
}

/// The name of a rule, if it has a valid one.
pub(super) fn name_of(rule: Value) -> Option<String> {
    let name = rule.member("name")?.string()?;
    let valid = (1..=MAX_NAME).contains(&name.len()) && printable(name.as_bytes());
    valid.then_some(name)
}
