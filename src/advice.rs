//! What will not work although it is well formed: for `-t`, before the first knock finds out.
//!
//! Guarantees that a configuration that works is not warned of: what is said here has been looked up on this machine, or
//! can have no other meaning. What may be meant (an address that is only in the log, a program that another program
//! runs, what a script does) is not guessed at. One message a fault, in the order of the configuration.

use crate::config::Config;
use crate::engine::rule::{Rule, Sequence};
use crate::regex::{Regex, Scratch};
use crate::sys::fd::{self, FileKind};
use crate::sys::{Errno, process};
use crate::text::{holds, program, words};
use alloc::vec::Vec;

/// What only a shell does; on some systems programs of these names exist, and do nothing of use.
const BUILTINS: &str =
    ". alias cd eval exec export for if set shift source trap ulimit umask unset while";

const EMPTY_STEP: &str = "is empty and matches every line: \".\" says that this is meant";
const EVERY_LINE: &str = "matches every line, and other steps do not";
const IGNORES_ALL: &str = "\"ignore\" matches every line: the rule passes over all";

/// What is wrong beside the rules.
pub fn on_sources(config: &Config) -> Vec<Vec<u8>> {
    let mut advice = Vec::new();
    for file in &config.files {
        let status = status(file.as_bytes());
        if status == Ok(FileKind::Directory) {
            advice.push(text!("file {:?} is a folder: name the files in it", file));
        }
        let is_pattern = file.bytes().any(|byte| holds(b"*?[", byte));
        if is_pattern && status.is_err() {
            advice.push(text!(
                "file {:?} is not there, and is no pattern: * ? [ stand for themselves, so name each file",
                file
            ));
        }
    }
    if let Some(command) = &config.command {
        on_program(program(command), &mut advice);
    }
    let mut rules = config.rules.iter();
    if rules.any(|rule| rule.lease.is_some() || rule.one_time) {
        let state = config.state.as_bytes();
        let end = state.iter().rposition(|&byte| byte == b'/');
        let folder = match end {
            Some(0) => &b"/"[..],
            Some(end) => state.get(..end).unwrap_or_default(),
            None => b".",
        };
        match status(folder) {
            Ok(FileKind::Directory) => {}
            Ok(_) => advice.push(text!("state {:?}: {:?} is no folder", config.state, folder)),
            Err(errno) => advice.push(text!(
                "state {:?}: {}: what cannot be recorded is not opened",
                config.state,
                errno
            )),
        }
        if status(state) == Ok(FileKind::Directory) {
            advice.push(text!("state {:?} is a folder", config.state));
        }
    }
    advice
}

fn status(path: &[u8]) -> Result<FileKind, Errno> {
    fd::status(&fd::c_path(path)?).map(|status| status.kind)
}

/// What is wrong with a rule.
pub fn on_rule(rule: &Rule) -> Vec<Vec<u8>> {
    let mut advice = Vec::new();
    let mut scratch = Scratch::new();
    if rule
        .ignore
        .as_ref()
        .is_some_and(|ignore| matches_all(ignore, &mut scratch))
    {
        advice.push(text!("{}", IGNORES_ALL));
    }
    for sequence in &rule.sequences {
        on_steps(sequence, &mut scratch, &mut advice);
    }
    let commands = [&rule.actions, &rule.check, &rule.revert];
    for command in commands.into_iter().flatten() {
        on_program(program(command.words()), &mut advice);
        for word in words(command.words()) {
            for (mark, whose) in [(&b"%IP%"[..], "knockd"), (b"<ip>", "fail2ban")] {
                if word.windows(4).any(|part| part == mark) {
                    advice.push(text!("{} is {}'s: here it is {key}", mark, whose));
                }
            }
        }
    }
    advice
}

/// A step that every line takes is no fault if all are such, for that counts lines.
fn on_steps(sequence: &Sequence, scratch: &mut Scratch, advice: &mut Vec<Vec<u8>>) {
    let mut all = sequence.steps.iter();
    let counts = all.all(|step| matches_all(step, scratch));
    for (index, step) in sequence.steps.iter().enumerate() {
        let fault = match step.pattern() {
            "" => EMPTY_STEP,
            _ if !counts && matches_all(step, scratch) => EVERY_LINE,
            _ => continue,
        };
        advice.push(text!("step {} {}", index + 1, fault));
    }
}

/// Whether a pattern matches whatever a line holds, as far as two lines that have nothing in common can tell.
fn matches_all(pattern: &Regex, scratch: &mut Scratch) -> bool {
    let mut every: Vec<u8> = (1..=u8::MAX).collect();
    every.retain(|byte| *byte != b'\n');
    [&b"\x01"[..], &every]
        .iter()
        .all(|line| pattern.is_match(line, scratch))
}

/// Whether a program is there to be run.
fn on_program(program: &[u8], advice: &mut Vec<Vec<u8>>) {
    let is_builtin = BUILTINS
        .as_bytes()
        .split(|&byte| byte == b' ')
        .any(|name| name == program);
    let found = process::find(program);
    let advised = match (program, found) {
        _ if is_builtin => text!(
            "{:?} is a shell's own, and no shell runs this: see sh -c",
            program
        ),
        ([b'~', ..], Err(_)) => text!("{:?}: no shell runs this, so ~ is no folder", program),
        (_, Err(_)) if sets_variable(program) => {
            text!(
                "{:?} sets no variable, for no shell runs this: write env {}",
                program,
                program
            )
        }
        (_, Err(Errno::ENOENT)) => text!("there is no program {:?}", program),
        (_, Err(errno)) => text!("program {:?}: {}", program, errno),
        ([b'/', ..], Ok(())) => return,
        (_, Ok(())) if !holds(program, b'/') => return,
        _ => text!(
            "program {:?} is there only if the daemon starts in this folder",
            program
        ),
    };
    if !advice.contains(&advised) {
        advice.push(advised);
    }
}

fn sets_variable(word: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = word.iter().take_while(|byte| is_name(byte)).count();
    length > 0 && word.get(length) == Some(&b'=')
}
