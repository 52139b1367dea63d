//! What will not work although it is well formed: for `-t`, before the first knock finds out.
//!
//! Guarantees that a configuration that works is not warned of: what is said here has been looked up on this machine, or
//! can have no other meaning. What may be meant (an address that is only in the log, a program that another program
//! runs, what a script does) is not guessed at. One message a fault, in the order of the configuration.

use crate::commands::template::foreign;
use crate::config::Config;
use crate::engine::rule::{Rule, Sequence};
use crate::regex::{Regex, Scratch};
use crate::source::unreadable;
use crate::sys::fd::{self, FileKind, Status};
use crate::sys::{Errno, process};
use crate::text::{folder, holds, is_assignment, is_listed, program, words};
use alloc::vec::Vec;

/// What only a shell does; on some systems programs of these names exist, and do nothing of use.
const BUILTINS: &str =
    ". alias cd eval exec export for if set shift source trap ulimit umask unset while";

const EMPTY_STEP: &str = "is empty and matches every line: \".\" says that this is meant";
const EVERY_LINE: &str = "matches every line, and other steps do not";
const NO_LINE: &str = "matches no line: none begins or ends with a blank, holds a newline, or goes on before ^ or behind $";
const FAIL2BANS: &str = "has %(…)s or <F-…>, for which fail2ban puts something else: write what stands there in the line";
const KEYLESS: &str =
    "{key} in the top \"command\" stays as it is: that runs before anybody knocks";
const IGNORES_ALL: &str =
    "\"ignore\" matches every line that \"filter\" does: the rule passes over all";

/// What is wrong beside the rules.
pub fn on_sources(config: &Config) -> Vec<Vec<u8>> {
    let (mut advice, mut known) = (Vec::new(), Vec::new());
    for file in &config.files {
        let status = status(file.as_bytes());
        let is_pattern = file.bytes().any(|byte| holds(b"*?[", byte));
        let mut is_known = false;
        if let Ok(status) = &status {
            is_known = known.contains(&status.id);
            known.push(status.id);
        }
        if let Ok(Status {
            kind: FileKind::Directory,
            ..
        }) = status
        {
            advice.push(text!("file {:?} is a folder: name the files in it", file));
        } else if is_known {
            advice.push(text!(
                "file {:?} is another name of one before it: each of its lines counts twice",
                file
            ));
        } else if is_pattern && status.is_err() {
            advice.push(text!(
                "file {:?} is not there, and is no pattern: * ? [ stand for themselves, so name each file",
                file
            ));
        } else if let Some(reason) = unreadable(file.as_bytes()) {
            advice.push(text!("file {:?}: {}", file, reason));
        } else if file != "-"
            && let Some(reason) = relative("file", file.as_bytes())
        {
            advice.push(reason);
        }
    }
    if let Some(command) = &config.command {
        on_program(program(command), &mut advice);
        if command.windows(5).any(|part| part == b"{key}") {
            advice.push(text!("{}", KEYLESS));
        }
    }
    if config.needs_record() {
        match recordable(config.state.as_bytes()) {
            Ok(()) => {
                if let Some(reason) = relative("state", config.state.as_bytes()) {
                    advice.push(reason);
                }
            }
            Err(errno) => advice.push(text!(
                "state {:?}: {}: what cannot be recorded is not opened",
                config.state,
                errno
            )),
        }
    }
    advice
}

/// What is wrong with a path that does not begin at the root: it means something else elsewhere, to `-l` for one.
fn relative(what: &str, path: &[u8]) -> Option<Vec<u8>> {
    match path {
        [b'/', ..] => None,
        [b'~', ..] => Some(text!(
            "{} {:?}: no shell reads this, so ~ is no folder",
            what,
            path
        )),
        _ => Some(text!(
            "{} {:?} is there only if the daemon starts in this folder",
            what,
            path
        )),
    }
}

/// Whether there can be a record. A file that takes its own place is not changed, but not even that is allowed where
/// nothing can be written. The daemon may have more rights than who asks.
fn recordable(path: &[u8]) -> Result<(), Errno> {
    if status(folder(path))?.kind != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let path = fd::c_path(path)?;
    match fd::rename(&path, &path) {
        Err(Errno::ENOENT | Errno::EACCES) => Ok(()),
        done => done,
    }
}

fn status(path: &[u8]) -> Result<Status, Errno> {
    fd::status(&fd::c_path(path)?)
}

/// What is wrong with a rule.
pub fn on_rule(rule: &Rule, config: &Config) -> Vec<Vec<u8>> {
    let has_records = config.files.iter().any(|file| file == "/dev/kmsg");
    let mut advice = Vec::new();
    let mut scratch = Scratch::new();
    if let Some(ignore) = &rule.ignore {
        let mut filters = rule.filter_patterns();
        if filters.all(|filter| filter == ignore.pattern()) || matches_all(ignore, &mut scratch) {
            advice.push(text!("{}", IGNORES_ALL));
        }
    }
    for (name, patterns) in [
        ("filter", &rule.filters[..]),
        ("ignore", rule.ignore.as_slice()),
    ] {
        for pattern in patterns {
            if !pattern.fits_lines(has_records) {
                advice.push(text!("{:?} {}", name, NO_LINE));
            }
            // Its names for parts of patterns begin so, and its tags end.
            let mut parts = pattern.pattern().as_bytes().windows(4);
            if parts.any(|part| part.starts_with(b"%(_") || part == b"</F-") {
                advice.push(text!("{:?} {}", name, FAIL2BANS));
            }
        }
    }
    for sequence in &rule.sequences {
        on_steps(sequence, has_records, &mut scratch, &mut advice);
    }
    for commands in &rule.commands {
        for command in commands {
            on_program(program(command.words()), &mut advice);
            for word in words(command.words()) {
                let mut texts = (0..word.len()).filter_map(|at| word.get(at..));
                if let Some(message) = texts.find_map(foreign) {
                    add(text!("{}", message), &mut advice);
                }
            }
        }
    }
    advice
}

/// A step that every line takes is no fault if all are such, for that counts lines.
fn on_steps(
    sequence: &Sequence,
    has_records: bool,
    scratch: &mut Scratch,
    advice: &mut Vec<Vec<u8>>,
) {
    let mut all = sequence.steps.iter();
    let counts = all.all(|step| matches_all(step, scratch));
    for (index, step) in sequence.steps.iter().enumerate() {
        let fault = match step.pattern() {
            "" => EMPTY_STEP,
            _ if !step.fits_lines(has_records) => NO_LINE,
            _ if !counts && matches_all(step, scratch) => EVERY_LINE,
            _ => continue,
        };
        advice.push(text!("step {} {}", index + 1, fault));
    }
}

/// Whether a pattern matches whatever a line holds, as far as two lines that have nothing in common can tell.
fn matches_all(pattern: &Regex, scratch: &mut Scratch) -> bool {
    let mut every = Vec::new();
    for byte in 1..=u8::MAX {
        if byte != b'\n' {
            every.push(byte);
        }
    }
    [&b"\x01"[..], &every]
        .iter()
        .all(|line| pattern.is_match(line, scratch))
}

/// Whether a program is there to be run.
fn on_program(program: &[u8], advice: &mut Vec<Vec<u8>>) {
    let is_builtin = is_listed(BUILTINS, program);
    let found = process::find(program);
    let advised = match (program, found) {
        _ if is_builtin => text!(
            "{:?} is a shell's own, and no shell runs this: see sh -c",
            program
        ),
        (_, Err(_)) if is_assignment(program) => {
            text!(
                "{:?} sets no variable, for no shell runs this: write env {}",
                program,
                program
            )
        }
        (_, Err(Errno::ENOENT)) if !program.starts_with(b"~") => {
            text!("there is no program {:?}", program)
        }
        (_, Err(errno)) if errno != Errno::ENOENT => text!("program {:?}: {}", program, errno),
        (_, Ok(())) if !holds(program, b'/') => return,
        _ => match relative("program", program) {
            Some(message) => message,
            None => return,
        },
    };
    add(advised, advice);
}

/// Adds what has not been said.
fn add(advised: Vec<u8>, advice: &mut Vec<Vec<u8>>) {
    if !advice.contains(&advised) {
        advice.push(advised);
    }
}
