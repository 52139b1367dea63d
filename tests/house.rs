//! The layout of `src` is what the guided tour says it is: dependencies point one way.
//!
//! What a file names is read from its text: paths that begin with `crate::` or `super::`. A module that only declares
//! another or hands it on (`mod x;`, `pub use x::…`) does not name it; tests and documentation may look anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the top to the ground; see `src/lib.rs`.
const ROOMS: &[&str] = &[
    "lib",
    "cli",
    "daemon",
    "dryrun",
    "listing",
    "advice",
    "leases",
    "config",
    "engine",
    "commands",
    "source",
    "regex",
    "log",
    "sys",
    "timestamp",
    "backoff",
    "address",
    "text",
];

/// What must stay values in, values out.
const PURE: &[&str] = &[
    "engine",
    "regex",
    "commands/template",
    "commands/guard",
    "commands/job",
    "config/mod",
    "config/read",
    "config/json",
    "config/diagnostic",
    "dryrun/nearing",
    "leases/lease",
    "leases/queue",
    "leases/opening",
    "text",
    "address",
    "timestamp",
    "backoff",
];
/// The pure files that borrow from `sys` what has nothing of the system in it: a fast search, and how messages are
/// handed over.
const BORROWED: [(&str, &str); 3] = [
    ("regex/seek", "sys/block"),
    ("regex/seek", "sys/word"),
    ("text", "sys/message"),
];

fn main_part(text: &str) -> String {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src is there") {
        let path = entry.expect("src can be read").path();
        match path.is_dir() {
            true => collect(&path, into),
            false => into.push(path),
        }
    }
}

fn is_of_path(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == ':'
}

/// Each file by its name (`regex/exec`), with the files that it names.
fn files() -> BTreeMap<String, BTreeSet<String>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&src, &mut paths);
    let name = |path: &PathBuf| {
        let name = path
            .strip_prefix(&src)
            .expect("it is in src")
            .with_extension("");
        name.to_str().expect("names are plain").to_string()
    };
    paths.retain(|path| !["main", "tests"].contains(&path.file_stem().unwrap().to_str().unwrap()));
    let names: BTreeSet<String> = paths.iter().map(name).collect();
    let mut files = BTreeMap::new();
    for path in &paths {
        let own = name(path);
        let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
        let text = main_part(&std::fs::read_to_string(path).expect("it can be read"));
        let mut named = BTreeSet::new();
        let find = |base: &str, path: &str| {
            let parts: Vec<&str> = path.split("::").collect();
            // The longest beginning that is a file; a folder stands for its mod.rs.
            (0..=parts.len()).rev().find_map(|length| {
                let place = [&[base], &parts[..length]].concat();
                let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
                let folder = [&place[..], &["mod"]].concat().join("/");
                [place.join("/"), folder]
                    .into_iter()
                    .find(|name| names.contains(name))
            })
        };
        for (mark, base) in [("crate::", ""), ("super::", folder)] {
            for (at, _) in text.match_indices(mark) {
                let rest = &text[at + mark.len()..];
                let (path, rest) =
                    rest.split_at(rest.find(|c| !is_of_path(c)).unwrap_or(rest.len()));
                let group = rest
                    .strip_prefix('{')
                    .and_then(|rest| rest.split('}').next());
                for member in group.unwrap_or("").split(',') {
                    named.extend(find(base, &format!("{path}{}", member.trim())));
                }
            }
        }
        // A folder's mod.rs names its rooms by their name alone.
        for room in names.iter().filter(|_| own.ends_with("/mod")) {
            let Some((_, child)) = room
                .rsplit_once('/')
                .filter(|(parent, _)| *parent == folder)
            else {
                continue;
            };
            let uses = text.lines().filter(|line| !line.starts_with("pub use"));
            let is_named = |line: &str| {
                line.match_indices(&format!("{child}::"))
                    .any(|(at, _)| !line[..at].ends_with(is_of_path))
            };
            named.extend(uses.clone().any(is_named).then(|| room.clone()));
        }
        // A macro stands at the root of the crate wherever it is defined.
        named.remove("lib");
        named.remove(&own);
        files.insert(own, named);
    }
    files
}

fn room(file: &str) -> usize {
    let first = file.split('/').next().unwrap_or_default();
    let rank = ROOMS.iter().position(|room| *room == first);
    rank.unwrap_or_else(|| panic!("{file} is in no room of the tour"))
}

#[test]
fn no_folder_names_one_above_it() {
    let files = files();
    assert!(
        files.values().map(BTreeSet::len).sum::<usize>() > 100,
        "too little was read"
    );
    for (file, named) in &files {
        for other in named {
            assert!(
                room(other) >= room(file) || BORROWED.contains(&(file, other)),
                "{file} names {other}, which is above it"
            );
        }
    }
}

#[test]
fn no_two_files_name_each_other() {
    let files = files();
    for (file, named) in &files {
        for other in named {
            assert!(
                !files[other].contains(file),
                "{file} and {other} name each other"
            );
        }
    }
}

#[test]
fn what_is_pure_never_names_the_system() {
    for (file, named) in files() {
        let is_pure = PURE
            .iter()
            .any(|pure| file == *pure || file.starts_with(&format!("{pure}/")));
        let allowed = |other: &String| {
            BORROWED.contains(&(&file, other)) || !(other.starts_with("sys") || other == "log")
        };
        assert!(
            !is_pure || named.iter().all(allowed),
            "{file} is pure and names {named:?}"
        );
    }
}
