//! Looks for inputs that break what the readers of untrusted and precious text promise.
//!
//! ```text
//! fuzz [--seconds N] [--tries N] [--seed N] [--keep FOLDER] [TARGET...]    search, all targets by default
//! fuzz --replay TARGET FILE                                                try one input again
//! ```
//!
//! Each target (`targets/`) is a function that takes any bytes and panics where a promise is broken; and not only
//! "it does not panic": what is written is read back, two ways of one answer agree, costs stay below their bounds.
//! The search (`hunt.rs`) changes inputs at random (`mutate.rs`) and keeps those that reach something new
//! (`coverage.rs`). Where Python knows the answer, too, it is asked about all that were kept (`oracle.py`).
//!
//! With `--tries`, everything follows from the seed. A failing input is made smaller, shown, and left in
//! `target/fuzz/failures`, with the command that tries it again.

mod coverage;
mod hunt;
mod mutate;
mod targets;

use hunt::{Limits, Target};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, panic};

const USAGE: &str = "usage: fuzz [--seconds N] [--tries N] [--seed N] [--keep FOLDER] [TARGET...]
       fuzz --replay TARGET FILE";

struct Options {
    limits: Limits,
    replay: Option<PathBuf>,
    targets: Vec<&'static Target>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        limits: Limits {
            seconds: u64::MAX,
            tries: u64::MAX,
            seed: 1,
            keep: None,
        },
        replay: None,
        targets: Vec::new(),
    };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse().ok();
        match word.as_str() {
            "--seconds" => options.limits.seconds = number()?,
            "--tries" => options.limits.tries = number()?,
            "--seed" => options.limits.seed = number()?,
            "--keep" => options.limits.keep = Some(words.next()?.into()),
            "--replay" => {
                let name = words.next()?;
                options.targets.extend(targets::named(&name));
                options.replay = Some(words.next()?.into());
            }
            name => options.targets.push(targets::named(name)?),
        }
    }
    if options.targets.is_empty() {
        options.targets.extend(targets::ALL);
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        eprintln!("{USAGE}\ntargets: {}", names.join(" "));
        return ExitCode::from(2);
    };
    if let Some(path) = options.replay {
        let input = fs::read(path).expect("the input");
        println!("{}", input.escape_ascii());
        options
            .targets
            .iter()
            .for_each(|target| (target.check)(&input));
        println!("every promise is kept");
        return ExitCode::SUCCESS;
    }
    panic::set_hook(Box::new(hunt::note_panic));
    for target in options.targets {
        if let Err(report) = hunt::hunt(target, &options.limits) {
            eprintln!("{report}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
