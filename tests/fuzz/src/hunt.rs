//! The search for inputs that fail.

use crate::coverage::Coverage;
use crate::mutate::{Random, mutate};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::panic::{PanicHookInfo, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What is searched.
pub struct Target {
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What inputs are often made of.
    pub words: &'static [&'static str],
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
    /// What is made of an input, in the notation of `oracle.py`; none if that does not know this target.
    pub verdict: Option<fn(&[u8]) -> String>,
    /// What else to say at the end.
    pub remark: fn() -> String,
}

pub struct Limits {
    pub seconds: u64,
    pub tries: u64,
    pub seed: u64,
    /// A folder for the inputs worth keeping, to begin with the next time.
    pub keep: Option<PathBuf>,
}

/// No input within the limits of length may take the processor longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often making a failing input smaller is tried.
const SHRINKING: usize = 20_000;

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Remembers what a panic said instead of printing it.
pub fn note_panic(info: &PanicHookInfo) {
    if let Ok(mut last) = LAST_PANIC.lock() {
        *last = info.to_string();
    }
}

fn output_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/fuzz")
        .join(name);
    fs::create_dir_all(&folder).expect("a folder below target");
    folder
}

/// What went wrong with an input, if anything.
fn failure(target: &Target, input: &[u8]) -> Option<String> {
    let begin = Instant::now();
    if catch_unwind(|| (target.check)(input)).is_err() {
        return LAST_PANIC.lock().ok().map(|last| last.clone());
    }
    if begin.elapsed() < PATIENCE {
        return None;
    }
    // On a busy machine that says little. Again, with a clock that is slower to read.
    let before = processor_time();
    (target.check)(input);
    let taken = processor_time() - before;
    (taken > PATIENCE).then(|| format!("took {taken:?}"))
}

/// How long this thread has been on a processor.
fn processor_time() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Searches until the limits. The error is a report.
pub fn hunt(target: &Target, limits: &Limits) -> Result<(), String> {
    let begin = Instant::now();
    let mut hunt = Hunt {
        target,
        coverage: Coverage::new(),
        corpus: Vec::new(),
        trace: Trace::new(target),
        tries: 0,
    };
    for input in (target.seeds)().into_iter().chain(kept(target, limits)) {
        hunt.try_one(input, true)?;
    }
    let mut random = Random::new(limits.seed);
    while hunt.tries < limits.tries {
        if hunt.tries & 255 == 0 && begin.elapsed().as_secs() >= limits.seconds {
            break;
        }
        let newer = random
            .below(hunt.corpus.len())
            .max(random.below(hunt.corpus.len()));
        let mut input = hunt.corpus[newer].clone();
        let other = random.pick(&hunt.corpus);
        mutate(&mut input, other, target.words, &mut random);
        hunt.try_one(input, false)?;
    }
    keep(target, limits, &hunt.corpus);
    let asked = ask_oracle(target, &hunt.corpus)?;
    println!(
        "{:9} {:>9} tries in {:.0} s, seed {}, {} edges, {} inputs kept{asked}{}",
        target.name,
        hunt.tries,
        begin.elapsed().as_secs_f64(),
        limits.seed,
        hunt.coverage.edges,
        hunt.corpus.len(),
        (target.remark)(),
    );
    Ok(())
}

struct Hunt<'t> {
    target: &'t Target,
    coverage: Coverage,
    corpus: Vec<Vec<u8>>,
    trace: Trace,
    tries: u64,
}

impl Hunt<'_> {
    fn try_one(&mut self, input: Vec<u8>, keep: bool) -> Result<(), String> {
        self.tries += 1;
        self.trace.note(&input);
        self.coverage.clear();
        if failure(self.target, &input).is_some() {
            return Err(report(self.target, input));
        }
        if self.coverage.is_new() || keep {
            self.corpus.push(input);
        }
        Ok(())
    }
}

/// The input being tried, in a file: what even a crash of this program leaves behind.
struct Trace {
    file: File,
    len: usize,
}

impl Trace {
    fn new(target: &Target) -> Trace {
        let path = output_folder("trying").join(target.name);
        Trace {
            file: File::create(path).expect("a file below target"),
            len: 0,
        }
    }

    fn note(&mut self, input: &[u8]) {
        if input.len() < self.len {
            self.file.set_len(input.len() as u64).expect("to be cut");
        }
        self.file.write_all_at(input, 0).expect("to be written");
        self.len = input.len();
    }
}

fn report(target: &Target, input: Vec<u8>) -> String {
    let input = shrink(target, input);
    let why = failure(target, &input).unwrap_or_default();
    let path = output_folder("failures").join(format!("{}-{:016x}", target.name, hash(&input)));
    fs::write(&path, &input).expect("to be written");
    let path = path.canonicalize().unwrap_or(path);
    format!(
        "{}: {why}\ninput: {}\nagain: make fuzz FUZZ='--replay {} {}'",
        target.name,
        input.escape_ascii(),
        target.name,
        path.display()
    )
}

/// A shorter input that fails as well.
fn shrink(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut part = input.len() / 2;
    let mut tries = 0;
    while part > 0 && tries < SHRINKING {
        let mut at = 0;
        while at < input.len() && tries < SHRINKING {
            let mut shorter = input.clone();
            shorter.drain(at..(at + part).min(input.len()));
            tries += 1;
            if failure(target, &shorter).is_some() {
                input = shorter;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    input
}

fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

fn folder(target: &Target, limits: &Limits) -> Option<PathBuf> {
    Some(limits.keep.as_ref()?.join(target.name))
}

fn kept(target: &Target, limits: &Limits) -> Vec<Vec<u8>> {
    let files = folder(target, limits).and_then(|folder| fs::read_dir(folder).ok());
    let mut paths: Vec<PathBuf> = files
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .collect()
}

fn keep(target: &Target, limits: &Limits, corpus: &[Vec<u8>]) {
    let Some(folder) = folder(target, limits) else {
        return;
    };
    fs::create_dir_all(&folder).expect("a folder to keep inputs in");
    for input in corpus {
        let path = folder.join(format!("{:016x}", hash(input)));
        fs::write(path, input).expect("to be written");
    }
}

/// Has Python look at what is made of each input. The error is a report.
fn ask_oracle(target: &Target, corpus: &[Vec<u8>]) -> Result<String, String> {
    let Some(verdict) = target.verdict else {
        return Ok(String::new());
    };
    let mut lines = String::new();
    for input in corpus {
        for byte in input {
            write!(lines, "{byte:02x}").expect("a string to grow");
        }
        writeln!(lines, "\t{}", verdict(input)).expect("a string to grow");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle.py");
    let mut python = Command::new("python3")
        .args([script, target.name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3, which knows the answers");
    let mut stdin = python.stdin.take().expect("its input");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = python.wait_with_output().expect("Python to end");
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || writer.join().is_err() {
        return Err(format!("{}: Python disagrees\n{said}", target.name));
    }
    Ok(format!(", {}", said.trim()))
}
