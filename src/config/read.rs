//! Typed reading of JSON values: what the schema in `config` is written with.
//!
//! Every reader takes a value and gives what it stands for. If it does not stand for that, the reader
//! reports why, at the byte where it is wrong, and gives nothing or a default: reading goes on, so that
//! one run finds every error. That the result is not to be used is known from `Loader::problems`.
//!
//! A [`Field`] is a value and its [`Place`]: what messages about it begin with, `"debug": ` or
//! `rule "ssh": filter: `, which becomes text only when something is reported.

use crate::diagnostic::Diagnostic;
use crate::json::{self, Kind, Member, Value};
use crate::regex::{self, Regex};
use crate::template::{self, Command};
use crate::text::Put;
use alloc::vec::Vec;

/// As the system has it, less the NUL at the end.
const MAX_PATH: usize = 4095;

/// What numbers may be; `what` says it in words.
pub(super) struct Limits {
    /// 3 for seconds, which become milliseconds.
    pub(super) decimals: i32,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) what: &'static str,
}

/// What arrays may hold, and how many.
pub(super) struct Items {
    most: usize,
    what: &'static str,
}

impl Items {
    /// At least one is always needed.
    pub(super) const fn up_to(most: usize, what: &'static str) -> Items {
        Items { most, what }
    }
}

const WORDS: Items = Items::up_to(256, "words");

const BOOLEAN: &str = "true or false";
const COMMAND: &str = "a command: a string or an array of words";
const OBJECT: &str = "an object";
const PATH: &str = "a path of 1 to 4095 bytes without NUL";
const STRING: &str = "a string";

/// Where in the configuration something is, in words.
#[derive(Clone, Copy)]
pub(super) struct Place<'v> {
    rule: Option<(usize, Option<&'v str>)>,
    /// A key or noun, with its number if it is one of several. An empty one ends the list.
    parts: [(&'v str, usize); 2],
}

impl Put for Place<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match self.rule {
            None => {}
            Some((_, Some(name))) => put!(out, "rule {:?}: ", name),
            Some((number, None)) => put!(out, "rule {}: ", number),
        }
        for (noun, number) in self.parts {
            match (noun, number) {
                ("", _) => return,
                (_, 0) if self.rule.is_none() => put!(out, "{:?}: ", noun),
                (_, 0) => put!(out, "{}: ", noun),
                _ => put!(out, "{} {}: ", noun, number),
            }
        }
    }
}

/// A value and its place.
#[derive(Clone, Copy)]
pub(super) struct Field<'v> {
    pub(super) value: &'v Value,
    place: Place<'v>,
}

impl<'v> Field<'v> {
    /// The document.
    pub(super) fn top(value: &'v Value) -> Field<'v> {
        Field {
            value,
            place: Place {
                rule: None,
                parts: [("", 0); 2],
            },
        }
    }

    /// The rule at `index`, which messages call by its name if that is fit to be shown.
    pub(super) fn rule(value: &'v Value, index: usize, name: Option<&'v str>) -> Field<'v> {
        Field {
            value,
            place: Place {
                rule: Some((index + 1, name)),
                parts: [("", 0); 2],
            },
        }
    }

    /// A member of this object.
    pub(super) fn get(&self, key: &'v str) -> Option<Field<'v>> {
        let value = &self.value.member(key)?.value;
        Some(Field {
            value,
            place: self.place.with([(key, 0), ("", 0)]),
        })
    }

    /// An item of this array, which messages call by the array's key.
    pub(super) fn unnamed(&self, value: &'v Value) -> Field<'v> {
        Field {
            value,
            place: self.place,
        }
    }

    /// An item of this array, which messages call `noun` and its number instead of the array's key.
    pub(super) fn item(&self, noun: &'v str, index: usize, value: &'v Value) -> Field<'v> {
        Field {
            value,
            place: self.place.with([(noun, index + 1), ("", 0)]),
        }
    }

    /// The same for an array that is an item itself: both are named.
    pub(super) fn nested(&self, noun: &'v str, index: usize, value: &'v Value) -> Field<'v> {
        let [outer, _] = self.place.parts;
        Field {
            value,
            place: self.place.with([outer, (noun, index + 1)]),
        }
    }
}

impl<'v> Place<'v> {
    fn with(&self, parts: [(&'v str, usize); 2]) -> Place<'v> {
        Place {
            rule: self.rule,
            parts,
        }
    }
}

/// Reads fields and collects what is wrong with them.
pub(super) struct Loader<'d> {
    document: &'d [u8],
    /// In the order of the document.
    pub(super) problems: Vec<Diagnostic>,
}

impl<'d> Loader<'d> {
    pub(super) fn new(document: &'d [u8]) -> Loader<'d> {
        Loader {
            document,
            problems: Vec::new(),
        }
    }

    /// An object that should have no keys but `keys` and comments.
    pub(super) fn object(&mut self, field: &Field, keys: &[&str]) -> Option<()> {
        let Kind::Object(members) = &field.value.kind else {
            self.expected(field, &OBJECT);
            return None;
        };
        for Member { key, key_at, .. } in members {
            if key.starts_with('_') || keys.contains(&key.as_str()) {
                continue;
            }
            let mut message = text!("unknown key {:?}", key);
            if let Some(meant) = nearest(key, keys) {
                put!(&mut message, ": did you mean {:?}?", meant);
            }
            self.report_at(*key_at, field, &message);
        }
        Some(())
    }

    /// The value of a key that must be there.
    pub(super) fn required<'v>(&mut self, object: &Field<'v>, key: &'v str) -> Option<Field<'v>> {
        let field = object.get(key);
        if field.is_none() {
            self.report(object, &text!("missing {:?}", key));
        }
        field
    }

    /// `false` unless it is there.
    pub(super) fn flag(&mut self, field: Option<Field>) -> bool {
        let Some(field) = field else {
            return false;
        };
        if let Kind::Bool(flag) = field.value.kind {
            return flag;
        }
        self.expected(&field, &BOOLEAN);
        false
    }

    /// Scaled by the `decimals` of its limits.
    pub(super) fn number(&mut self, field: Option<Field>, limits: &Limits) -> Option<u64> {
        let field = field?;
        let number = match &field.value.kind {
            Kind::Number(number) => json::scaled(number, limits.decimals),
            _ => None,
        };
        let number = number.filter(|number| (limits.least..=limits.most).contains(number));
        if number.is_none() {
            self.expected(&field, &limits.what);
        }
        number
    }

    /// The items of an array; none if it is no array, empty, or too long.
    pub(super) fn items<'v>(&mut self, field: &Field<'v>, items: &Items) -> &'v [Value] {
        match &field.value.kind {
            Kind::Array(values) if (1..=items.most).contains(&values.len()) => values,
            _ => {
                let what = text!("an array of 1 to {} {}", items.most, items.what);
                self.expected(field, &what);
                &[]
            }
        }
    }

    fn string<'v>(&mut self, field: &Field<'v>, what: &dyn Put) -> Option<&'v str> {
        if let Kind::String(string) = &field.value.kind {
            return Some(string);
        }
        self.expected(field, what);
        None
    }

    pub(super) fn path<'v>(&mut self, field: &Field<'v>) -> Option<&'v str> {
        let path = self.string(field, &PATH)?;
        if path.is_empty() || path.len() > MAX_PATH || path.as_bytes().contains(&0) {
            self.expected(field, &PATH);
            return None;
        }
        Some(path)
    }

    /// A pattern that compiles.
    pub(super) fn regex(&mut self, field: &Field) -> Option<Regex> {
        let pattern = self.string(field, &STRING)?;
        let report = |error: regex::Error| {
            let at = json::string_offset(self.document, field.value.at, error.at);
            self.report_at(at, field, &error.message);
        };
        Regex::new(pattern).map_err(report).ok()
    }

    /// A command, which may be written as a string or as an array of words.
    pub(super) fn command(&mut self, field: &Field) -> Option<Command> {
        let command = match &field.value.kind {
            Kind::String(line) => Command::split(line),
            Kind::Array(_) => Command::from_words(&self.words(field)?),
            _ => {
                self.expected(field, &COMMAND);
                return None;
            }
        };
        self.no_error(field, command)
    }

    fn words<'v>(&mut self, field: &Field<'v>) -> Option<Vec<&'v str>> {
        let items = self.items(field, &WORDS);
        let mut words = Vec::new();
        for value in items {
            words.extend(self.string(&field.unnamed(value), &STRING));
        }
        (!words.is_empty() && words.len() == items.len()).then_some(words)
    }

    /// What came out of the command that `field` is; an error is reported.
    pub(super) fn no_error<T>(
        &mut self,
        field: &Field,
        result: Result<T, template::Error>,
    ) -> Option<T> {
        result
            .map_err(|error| self.command_error(field, &error))
            .ok()
    }

    fn command_error(&mut self, field: &Field, error: &template::Error) {
        let source = match &field.value.kind {
            Kind::Array(words) => words.get(error.word).unwrap_or(field.value),
            _ => field.value,
        };
        let at = json::string_offset(self.document, source.at, error.at);
        self.report_at(at, field, &error.message);
    }

    /// Reports that `field` is not `what` it should be.
    pub(super) fn expected(&mut self, field: &Field, what: &dyn Put) {
        let mut message = text!("expected {}, found ", what);
        put_found(field.value, &mut message);
        self.report(field, &message);
    }

    /// Reports an error that `field` as a whole is.
    pub(super) fn report(&mut self, field: &Field, message: &dyn Put) {
        self.report_at(field.value.at, field, message);
    }

    /// Reports an error in `field`, or near it, at byte `at` of the document.
    pub(super) fn report_at(&mut self, at: usize, field: &Field, message: &dyn Put) {
        let index = self.problems.partition_point(|earlier| earlier.at <= at);
        let message = text!("{}{}", field.place, message);
        self.problems.insert(index, Diagnostic { at, message });
    }
}

fn put_found(value: &Value, out: &mut Vec<u8>) {
    match &value.kind {
        Kind::Null => put!(out, "null"),
        Kind::Bool(true) => put!(out, "true"),
        Kind::Bool(false) => put!(out, "false"),
        Kind::Number(number) => put!(out, "{}", number),
        Kind::String(string) if string.is_empty() => put!(out, "an empty string"),
        Kind::String(_) => put!(out, "a string"),
        Kind::Array(items) if items.is_empty() => put!(out, "an empty array"),
        Kind::Array(items) => put!(out, "an array of {}", items.len()),
        Kind::Object(_) => put!(out, "an object"),
    }
}

/// The one of `keys` that `key` was probably meant to be.
pub(super) fn nearest<'k>(key: &str, keys: &[&'k str]) -> Option<&'k str> {
    let near = |edits| {
        let mut keys = keys.iter().copied();
        keys.find(|other| within_edits(key.as_bytes(), other.as_bytes(), edits))
    };
    near(1).or_else(|| near(2))
}

/// Whether `edits` insertions, deletions, replacements and exchanges of neighbours make one text the
/// other. Recursion ends with the edits.
fn within_edits(one: &[u8], other: &[u8], edits: u32) -> bool {
    let common = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    let one = one.get(common..).unwrap_or_default();
    let other = other.get(common..).unwrap_or_default();
    if one.is_empty() && other.is_empty() {
        return true;
    }
    let Some(left) = edits.checked_sub(1) else {
        return false;
    };
    let [one_1, other_1] = [one, other].map(|text| text.get(1..).unwrap_or_default());
    let exchanged = match (one, other) {
        ([a, b, one_2 @ ..], [c, d, other_2 @ ..]) if (a, b) == (d, c) => {
            within_edits(one_2, other_2, left)
        }
        _ => false,
    };
    exchanged
        || within_edits(one_1, other_1, left)
        || within_edits(one_1, other, left)
        || within_edits(one, other_1, left)
}
