//! The table of characters that show nothing is Unicode's own, and not a list of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The runs in a text that has `(0x200b, 0x200f),` in its lines, as the characters they hold.
fn characters(text: &str) -> BTreeSet<u32> {
    let number = |text: &str| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    let run = |line: &str| {
        let (first, last) = line
            .trim()
            .strip_prefix('(')?
            .strip_suffix("),")?
            .split_once(',')?;
        Some(number(first)?..=number(last)?)
    };
    text.lines().filter_map(run).flatten().collect()
}

#[test]
fn the_table_of_unprintable_characters_is_unicodes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(output) = Command::new("perl")
        .arg(root.join("tests/unprintable.pl"))
        .output()
    else {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no perl\n");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let unicode = characters(&String::from_utf8(output.stdout).unwrap());
    let source = fs::read_to_string(root.join("src/text.rs")).unwrap();
    let (_, table) = source.split_once("const UNPRINTABLE: ").unwrap();
    let table = characters(table.split_once("];").unwrap().0);
    assert!(unicode.len() > 4000);
    let missing: Vec<_> = unicode.difference(&table).collect();
    assert!(missing.is_empty(), "not in the table: {missing:x?}");
    // A Perl that is older than the table does not know the latest.
    let is_unknown = r"exit scalar grep { chr(hex) !~ /\p{Unassigned}/ } @ARGV";
    let more = table.difference(&unicode).map(|code| format!("{code:x}"));
    let status = Command::new("perl")
        .args(["-e", is_unknown])
        .args(more)
        .status()
        .unwrap();
    assert!(status.success(), "more in the table than there should be");
}

#[test]
fn what_a_person_can_see_is_printable() {
    use logknockd::text::is_unprintable;
    let shown = " ~aé\u{a0}ßŁ漢字\u{1f511}\u{fffd}\u{2026}\u{5d0}\u{627}";
    assert!(!shown.contains(is_unprintable));
    let hidden = "\0\u{1b}\u{7f}\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{202e}\u{2028}\u{2069}\u{206f}\u{3164}\u{feff}\u{fff9}\u{e0001}\u{e0fff}";
    assert!(hidden.chars().all(is_unprintable));
}
