//! What is written about the program says what the program does: manual page, README, versions, installation.

mod common;

use common::{TempDir, binary, outcome, skipped, works};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A file of the project.
fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).expect(name)
}

/// The manual page without the escapes it uses.
fn manual() -> String {
    read("docs/logknockd.8")
        .replace("\\-", "-")
        .replace("\\[u2026]", "…")
}

/// Each tag of a section of the manual page with the line that describes it.
fn tagged<'m>(manual: &'m str, section: &str) -> Vec<(&'m str, &'m str)> {
    let text = manual
        .split(".SH ")
        .find_map(|text| text.strip_prefix(section))
        .expect(section);
    let entries = text.split(".TP\n.B ").skip(1);
    entries
        .map(|entry| entry.trim_end().split_once('\n').expect("a description"))
        .collect()
}

/// The same of a section of the help: `  what it is   what it does`.
fn described<'h>(help: &'h str, section: &str) -> Vec<(&'h str, &'h str)> {
    let text = help
        .split("\n\n")
        .find_map(|text| text.strip_prefix(section))
        .expect(section);
    let entry = |line: &'h str| {
        let (tag, description) = line.trim().split_once("  ").expect("two columns");
        (tag, description.trim())
    };
    text.lines().skip(1).map(entry).collect()
}

#[test]
fn the_manual_page_and_the_help_say_the_same() {
    let (_, help, _) = outcome(&TempDir::new().run(&["--help"]));
    let manual = manual();
    assert!(described(&help, "Options:").len() > 8, "{help}");
    assert_eq!(tagged(&manual, "SYNOPSIS"), described(&help, "Usage:"));
    assert_eq!(tagged(&manual, "OPTIONS"), described(&help, "Options:"));
    for (head, label) in [
        ("SIGNALS\n", "Signals: "),
        ("EXIT STATUS\n", "Exit status: "),
    ] {
        let line = help
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .expect(label);
        assert!(manual.contains(&format!(".SH {head}{line}\n")), "{label}");
    }
}

/// The rows of a README table: the first one behind `heading`.
fn table<'r>(readme: &'r str, heading: &str) -> Vec<Vec<&'r str>> {
    let (_, after) = readme.split_once(heading).expect(heading);
    let (_, table) = after.split_once("|---").expect("a table");
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    // A bar inside a cell is written with a backslash.
    let cells = |row: &'r str| {
        let mut cells = Vec::new();
        let (mut start, mut before) = (1, '|');
        for (at, character) in row.char_indices().skip(1) {
            if character == '|' && before != '\\' {
                cells.push(row[start..at].trim());
                start = at + 1;
            }
            before = character;
        }
        cells
    };
    rows.map(cells).collect()
}

/// The keys that a table of the README describes.
fn keys<'r>(readme: &'r str, heading: &str) -> Vec<&'r str> {
    let rows = table(readme, heading).into_iter();
    rows.flat_map(|row| row[0].split('`').skip(1).step_by(2))
        .collect()
}

/// The README's text as a manual page has it: code is bold, links are their text.
fn roff(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, (_, after))) = link
            .split_once("](")
            .and_then(|(label, target)| Some((label, target.split_once(')')?)))
            .filter(|(label, _)| !label.contains(['`', '[', ']']))
        else {
            plain.extend([before, "["]);
            rest = link;
            continue;
        };
        plain.extend([before, label]);
        rest = after;
    }
    plain.push_str(rest);
    let escaped = plain
        .replace("\\|", "|")
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('…', "\\[u2026]")
        .replace('–', "\\[en]")
        .replace('≥', "\\[u2265]");
    let parts = escaped.split('`').enumerate();
    parts
        .map(|(index, part)| match (index % 2, part) {
            (0, part) => part.to_string(),
            (_, part) => format!("\\fB{part}\\fR"),
        })
        .collect()
}

/// A table of the README as the list of a manual page.
fn list(readme: &str, heading: &str) -> String {
    let mut list = String::new();
    for row in table(readme, heading) {
        let (tag, (meaning, about)) = (roff(row[0]), row[1..].split_last().expect("columns"));
        list += &format!(".TP\n{tag}");
        let about: Vec<String> = about
            .iter()
            .filter(|cell| **cell != "–")
            .enumerate()
            .map(|(index, cell)| match (index, *cell) {
                (1, cell) if !cell.starts_with("required") && !cell.contains("of the two") => {
                    format!("default {}", roff(cell))
                }
                (_, cell) => roff(cell),
            })
            .collect();
        if !about.is_empty() {
            list += &format!(" ({})", about.join("; "));
        }
        // A line that begins with a dot would be a request.
        list += &format!("\n\\&{}\n", roff(meaning));
    }
    list
}

const BEGIN: &str = ".\\\" README: ";
const END: &str = ".\\\" end\n";
const BLESS: &str = "LOGKNOCKD_BLESS";

/// The configuration's page with its lists made anew from the tables of the README that it names.
fn with_tables(page: &str, readme: &str) -> String {
    let mut parts = page.split(BEGIN);
    let mut made = parts.next().expect("a beginning").to_string();
    for part in parts {
        let (heading, rest) = part.split_once('\n').expect("a heading");
        let (_, rest) = rest.split_once(END).expect("an end");
        let list = list(readme, &format!("\n{heading}\n"));
        made += &format!("{BEGIN}{heading}\n{list}{END}{rest}");
    }
    made
}

#[test]
fn the_configurations_manual_page_has_the_tables_of_the_readme() {
    let (page, readme) = (read("docs/logknockd.conf.5"), read("README.md"));
    assert!(page.matches(BEGIN).count() >= 4, "{page}");
    let made = with_tables(&page, &readme);
    if made != page && std::env::var_os(BLESS).is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logknockd.conf.5");
        return fs::write(path, made).expect("the page");
    }
    assert!(
        made == page,
        "docs/logknockd.conf.5 has not what the README's tables have. This writes it: {BLESS}=1 cargo test --test manual"
    );
}

#[test]
fn groff_has_nothing_to_say_about_the_manual_pages() {
    if !works("groff", &["--version"]) {
        return skipped("no groff");
    }
    for page in ["docs/logknockd.8", "docs/logknockd.conf.5"] {
        let mut groff = Command::new("groff");
        groff
            .args(["-man", "-Tutf8", "-ww", "-z", page])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let (status, _, errors) = outcome(&groff.output().expect("groff"));
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{page}");
    }
}

#[test]
fn every_key_of_the_readme_is_known_to_the_program() {
    let (readme, dir) = (read("README.md"), TempDir::new());
    let top = keys(&readme, "\n## Configuration\n");
    let rule = keys(&readme, "\nA rule:\n");
    assert!(top.len() == 8 && rule.len() == 17, "{top:?} {rule:?}");
    let member = |key: &&str| format!("\"{key}\": null");
    let members = |keys: &[&str]| keys.iter().map(member).collect::<Vec<_>>().join(", ");
    let without_rules: Vec<&str> = top.into_iter().filter(|key| *key != "ruleset").collect();
    let config = format!(
        "{{{}, \"ruleset\": [{{{}}}]}}",
        members(&without_rules),
        members(&rule)
    );
    dir.write("c", config);
    let (status, _, errors) = outcome(&dir.run(&["-t", "-c", "c"]));
    assert!(
        status == Some(2) && !errors.contains("unknown key"),
        "{errors}"
    );
}

#[test]
fn the_program_prints_what_the_readme_shows() {
    let readme = read("README.md");
    let mut shown = 0;
    for block in readme.split("```\n$ logknockd ").skip(1) {
        let (example, _) = block.split_once("```").expect("the end of the block");
        let (arguments, expected) = example.split_once('\n').expect("what it prints");
        let mut command = Command::new(binary());
        command
            .args(arguments.split(' '))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(
            outcome(&command.output().expect("run")).1,
            expected,
            "{arguments}"
        );
        shown += 1;
    }
    assert!(shown >= 2, "{shown}");
}

#[test]
fn the_first_rule_of_readme_and_manual_page_is_a_valid_one() {
    let (readme, manual, dir) = (
        read("README.md"),
        read("docs/logknockd.conf.5"),
        TempDir::new(),
    );
    let manual = manual.replace("\\-", "-");
    for (text, begin, end) in [(&readme, "```json\n", "```"), (&manual, ".EX\n{", ".EE")] {
        let (_, block) = text.split_once(begin).expect(begin);
        let (json, _) = block.split_once(end).expect(end);
        let json = if json.starts_with('{') {
            json.into()
        } else {
            format!("{{{json}")
        };
        dir.write("c", json);
        let (status, _, errors) = outcome(&dir.run(&["-t", "-c", "c"]));
        assert_eq!((status, errors.as_str()), (Some(0), ""));
    }
}

#[test]
fn what_the_pages_link_to_is_there() {
    for (page, folder) in [
        ("README.md", ""),
        ("docs/leases.md", "docs/"),
        ("CHANGELOG.md", ""),
    ] {
        let text = read(page);
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|link| link.split(')').next());
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let name = if file.is_empty() {
                page.into()
            } else {
                format!("{folder}{file}")
            };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
            assert!(path.exists(), "{page}: {link}");
            let is_heading = |line: &str| {
                let heading = line
                    .trim_start_matches('#')
                    .trim()
                    .to_lowercase()
                    .replace(' ', "-");
                line.starts_with('#') && heading == anchor
            };
            assert!(
                anchor.is_empty() || read(&name).lines().any(is_heading),
                "{page}: {link}"
            );
        }
    }
}

#[test]
fn one_version_is_the_version_everywhere() {
    for (file, mark) in [
        ("docs/logknockd.8", format!("\"logknockd {VERSION}\"")),
        ("docs/logknockd.conf.5", format!("\"logknockd {VERSION}\"")),
        (
            "cross/feed/logknockd/Makefile",
            format!("\nPKG_VERSION:={VERSION}\n"),
        ),
        (
            "README.md",
            format!("logknockd_{VERSION}-1_mipsel_24kc.ipk"),
        ),
        ("README.md", format!("logknockd_{VERSION}-1_amd64.deb")),
    ] {
        assert!(read(file).contains(&mark), "{file} does not say {mark}");
    }
    // The latest release is this version, and the manual page is as old. What is not released has no date.
    let changes = read("CHANGELOG.md");
    let mut headings = changes.lines().filter_map(|line| line.strip_prefix("## "));
    let latest = headings
        .find(|heading| *heading != "Unreleased")
        .expect("a version");
    let (version, date) = latest.split_once(" – ").expect("a date");
    assert_eq!(version, VERSION);
    let conf = read("docs/logknockd.conf.5");
    assert!(
        manual().contains(&format!(".TH LOGKNOCKD 8 {date} ")),
        "{date}"
    );
    assert!(
        conf.contains(&format!(".TH LOGKNOCKD.CONF 5 {date} ")),
        "{date}"
    );
}

/// Installs to `arguments`, with a umask that would hide everything.
fn install(arguments: &[String]) {
    let mut make = Command::new("sh");
    make.args(["-c", "umask 077; exec make -s install \"$@\"", "sh"])
        .args(arguments);
    make.arg(format!("PROGRAM={}", binary().display()))
        .env_remove("MAKEFLAGS");
    let (status, _, errors) = outcome(
        &make
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("sh"),
    );
    assert_eq!((status, errors.as_str()), (Some(0), ""));
}

#[test]
fn make_install_puts_everything_below_destdir_for_everybody_to_read() {
    if !works("make", &["--version"]) {
        return skipped("no make");
    }
    let dir = TempDir::new();
    install(&[
        format!("DESTDIR={}", dir.text("root")),
        "PREFIX=/usr".into(),
    ]);
    for (name, mode) in [
        ("usr/sbin/logknockd", 0o755),
        ("usr/share/man/man8/logknockd.8", 0o644),
        ("usr/share/man/man5/logknockd.conf.5", 0o644),
        ("usr/share/doc/logknockd/docs/leases.md", 0o644),
        ("usr/share/doc/logknockd/examples/knock.log", 0o644),
        ("usr/lib/systemd/system/logknockd.service", 0o644),
        ("usr/share/doc/logknockd/README.md", 0o644),
        ("usr/share/doc/logknockd/examples/ssh-ban.conf", 0o644),
        ("usr/share/doc/logknockd/examples/knock", 0o755),
        ("usr/share/doc/logknockd/examples/linux-ufw.sh", 0o755),
        ("usr/share", 0o755),
    ] {
        let found = fs::metadata(dir.path("root").join(name))
            .expect(name)
            .permissions();
        assert_eq!(found.mode() & 0o7777, mode, "{name}");
    }
    let unit = dir.read("root/usr/lib/systemd/system/logknockd.service");
    assert!(
        unit.contains("\nExecStart=/usr/sbin/logknockd\n") && !unit.contains('@'),
        "{unit}"
    );
}

#[test]
fn systemd_understands_the_unit() {
    if !works("make", &["--version"]) || !works("systemd-analyze", &["--version"]) {
        return skipped("no make or no systemd-analyze");
    }
    // Not where TMPDIR says: a unit's paths are split at blanks, and nobody installs to such a place.
    let dir = TempDir::new_in("/tmp".as_ref());
    install(&[format!("PREFIX={}", dir.text("local"))]);
    let unit = dir.text("local/lib/systemd/system/logknockd.service");
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", &unit])
        .output();
    let (status, out, errors) = outcome(&verify.expect("systemd-analyze"));
    assert_eq!((status, out.as_str(), errors.as_str()), (Some(0), "", ""));
    let started = Command::new(dir.path("local/sbin/logknockd"))
        .arg("-V")
        .output();
    assert_eq!(
        outcome(&started.expect("installed")).1,
        format!("logknockd {VERSION}\n")
    );
}
