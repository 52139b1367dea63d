//! What is searched, one file each.

mod address;
mod config;
mod json;
mod kmsg;
mod lines;
mod record;
mod regex;
mod template;
mod timestamp;

use crate::hunt::Target;

pub const ALL: &[&Target] = &[
    &json::TARGET,
    &config::TARGET,
    &regex::TARGET,
    &template::TARGET,
    &lines::TARGET,
    &kmsg::TARGET,
    &timestamp::TARGET,
    &record::TARGET,
    &address::TARGET,
];

pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().copied().find(|target| target.name == name)
}

/// Nothing to add.
fn no_remark() -> String {
    String::new()
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Inputs written as text.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Takes an input apart into numbers and texts.
struct Script<'i>(&'i [u8]);

impl<'i> Script<'i> {
    /// The next byte; 0 at the end.
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first)
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// As many bytes as the next one says.
    fn bytes(&mut self) -> &'i [u8] {
        let length = self.byte().min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}
