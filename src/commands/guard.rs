//! Where among a command's words no value of a log line may stand (pure).
//!
//! Guarantees that what a stranger wrote is not run as code by a shell that the command names, and does not choose the
//! program. A shell may be named anywhere: by itself, behind `env`, behind `sudo -u sh`, in `SHELL=/bin/sh`; each
//! name is asked about, and what it would take for its options and its text is closed to values. Some programs
//! hand text to a shell that nobody names ([`RUNNERS`]).
//!
//! Refused is where a value *could* do harm, whatever it is. Interpreters other than shells are not known here.

use crate::text::{entry, holds, is_assignment, is_listed, leading, until, words};
use alloc::vec::Vec;

pub(super) const PROGRAM: &str = "what a log line says cannot choose the program to run";
pub(super) const SHELL: &str = "a shell would run the value as code: pass it as \"$1\", with sh and the placeholder \
                                as words after the script";
pub(super) const EVAL: &str = "eval in the script would run the value as code: use it without eval";

/// Those with an `r` in front (`rbash`), a version or `-static` behind are known, too.
const SHELLS: &str = "sh ash bash dash hush ksh mksh lksh oksh loksh pdksh yash posh zsh fish csh tcsh sash osh ysh bsh elvish pwsh xonsh";
/// Options that take the next word.
const LONG_TAKES: &str =
    "rcfile init-file emulate user group signal kill-after adjustment unset chdir target";
/// Options whose word is run, be it a program's name or a shell's text.
const LONG_RUNS: &str = "command session-command init-command exec startas shell split-string";
/// Those of them whose word is a shell's text.
const LONG_TEXTS: &str = "command session-command init-command";

/// Programs that run the one that stands behind their options: the name, a colon, how many other words come before that
/// (`-` if it is never more than an option's word), the letters of options that take a word, a colon, and those of
/// options whose word is run.
const RUNNERS: &str = "busybox:0: chroot:1: chrt:1TPD: doas:0uC: env:0uC:S flock:1wE:c ionice:0cnpPu: ip:1n: nice:0n: \
    nohup:0: nsenter:0tSG: runuser:-ugG:cs script:-EOIBoTm:c setpriv:0: setsid:0: \
    start-stop-daemon:-pnugkrdcNIPOR:xa stdbuf:0ioe: su:-gGwT:cs sudo:0ugphCTUrtRD: taskset:1: time:0fo: \
    timeout:1ks: unshare:0SGRw: watch:0n: xargs:0adEILnPs:";

/// Why no value may stand in this word of a command, whose words have a NUL byte behind each.
pub(super) fn refusal(command: &[u8], word: usize) -> Option<&'static str> {
    let mut all = Vec::new();
    for word in words(command) {
        all.push(word);
    }
    let (program, mut refusal) = program(&all, 0, word);
    for (at, name) in all.iter().enumerate() {
        if is_shell(name)
            && let Some(message) = shell_refusal(&all, at, at == program, word)
        {
            return Some(message);
        }
        // What is run by an option is so wherever the name stands.
        if at > 0 && runner(name).is_some_and(|(.., runs)| !runs.is_empty()) {
            refusal = refusal.or(self::program(&all, at, word).1);
        }
    }
    refusal.or((word == program).then_some(PROGRAM))
}

/// What the shell at `shell` makes of a word: its options and its text are its program. One that is not the program is
/// taken for a mere word, unless it is told to run a text.
fn shell_refusal(
    words: &[&[u8]],
    shell: usize,
    is_program: bool,
    word: usize,
) -> Option<&'static str> {
    let mut takes_text = is_program;
    let mut end = shell + 1;
    // Options, some of which take the next word for themselves, then the program.
    while let Some([b'-' | b'+', letters @ ..]) = words.get(end) {
        let takes_next = match letters {
            b"" => false,
            [b'-', long @ ..] => {
                let long = until(long, b'=');
                takes_text |= long.is_empty() || is_listed(LONG_RUNS, long);
                is_listed(LONG_TAKES, long)
            }
            _ => {
                takes_text |= letters.iter().any(|letter| matches!(letter, b'c' | b'C'));
                letters.iter().any(|letter| holds(b"oOTR", *letter))
            }
        };
        end += 1;
        // An option is nothing to take.
        if takes_next && !matches!(words.get(end), Some([b'-' | b'+', ..])) {
            end += 1;
        }
    }
    if !takes_text || word < shell {
        return None;
    }
    if word <= end {
        return Some(SHELL);
    }
    evaluates(words.get(end)?, true).then_some(EVAL)
}

/// Whether a script has an `eval` that is given the key from the environment or, where they are `values`, arguments of
/// the script.
pub(super) fn evaluates(script: &[u8], values: bool) -> bool {
    let (mut evaluates, mut has_argument) = (false, false);
    let mut rest = script;
    while let [byte, behind @ ..] = rest {
        let name = leading(rest, u8::is_ascii_alphanumeric);
        if name.is_empty() {
            rest = behind;
            has_argument |= values
                && matches!(
                    (byte, behind),
                    (b'$', [b'0'..=b'9' | b'@' | b'*' | b'{', ..])
                );
        } else {
            has_argument |= rest.starts_with(b"LOGKNOCK_KEY");
            rest = rest.get(name.len()..).unwrap_or_default();
            evaluates |= name == b"eval";
        }
        if evaluates && has_argument {
            return true;
        }
        // Another command begins.
        if holds(b";|&\n", *byte) {
            (evaluates, has_argument) = (false, false);
        }
    }
    false
}

/// Where the program stands that the one at `at` comes to run, itself perhaps, and why an option makes it wrong for a
/// value to stand in `word`.
fn program(words: &[&[u8]], mut at: usize, word: usize) -> (usize, Option<&'static str>) {
    let mut refusal = None;
    while let Some((mut before, takes, runs)) = words.get(at).and_then(|name| runner(name)) {
        let from = at;
        at += 1;
        match words.get(from).map(|name| base(name)) {
            // All its words together are a shell's text.
            Some(b"watch") if word > from => return (from, Some(SHELL)),
            // ip netns exec NAME
            Some(b"ip") => match words.iter().position(|word| *word == b"exec") {
                Some(exec) if exec > from => at = exec + 1,
                _ => return (from, refusal),
            },
            _ => {}
        }
        loop {
            let Some(&next) = words.get(at) else {
                // There is nothing behind it.
                return (from, refusal);
            };
            let here = at;
            at += 1;
            let (mut decides, mut message) = (false, PROGRAM);
            match next {
                b"-" | b"--" => continue,
                [b'-', b'-', long @ ..] => {
                    let name = until(long, b'=');
                    decides = is_listed(LONG_RUNS, name) || long.first() == Some(&b'{');
                    if is_listed(LONG_TEXTS, name) {
                        message = SHELL;
                    }
                    let is_alone = name.len() == long.len();
                    at += usize::from(is_listed(LONG_TAKES, name) || decides && is_alone);
                }
                [b'-', letters @ ..] => {
                    for (index, &letter) in letters.iter().enumerate() {
                        decides |= letter == b'{' || holds(runs, letter);
                        if letter == b'c' {
                            message = SHELL;
                        }
                        if decides || holds(takes, letter) {
                            at += usize::from(index + 1 == letters.len());
                            break;
                        }
                    }
                }
                _ if is_assignment(next) => continue,
                _ if before > 0 => {
                    before -= 1;
                    continue;
                }
                _ => break,
            }
            if decides && (here..at).contains(&word) {
                refusal = Some(message);
            }
        }
        at -= 1;
    }
    (at, refusal)
}

/// How many words come before the program that this one runs, the options that take a word, and those whose word is run.
fn runner(word: &[u8]) -> Option<(usize, &'static [u8], &'static [u8])> {
    let (before, options) = entry(RUNNERS, b' ', base(word))?.split_first()?;
    let takes = until(options, b':');
    let runs = options.get(takes.len() + 1..)?;
    let is_number = before.is_ascii_digit();
    Some((
        if is_number {
            usize::from(before - b'0')
        } else {
            usize::MAX
        },
        takes,
        runs,
    ))
}

/// What of a path, or of what is set to one, is the name.
fn base(word: &[u8]) -> &[u8] {
    let mut parts = word.rsplit(|byte| matches!(byte, b'/' | b'='));
    parts.next().unwrap_or_default()
}

fn is_shell(word: &[u8]) -> bool {
    let name = base(word);
    let letters = leading(name, u8::is_ascii_alphabetic);
    let rest = name.get(letters.len()..).unwrap_or_default();
    let is_same = matches!(
        rest,
        [] | [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..] | b"-static"
    );
    let restricted = letters.strip_prefix(b"r").unwrap_or(letters);
    is_same && (is_listed(SHELLS, letters) || is_listed(SHELLS, restricted))
}
