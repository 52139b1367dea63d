//! What `-t` and `-l` show: the rules as they were understood, and the open leases.

use crate::advice;
use crate::backoff::NEVER;
use crate::commands::job::EVENTS;
use crate::commands::template::{Values, put_shell_words};
use crate::config::Config;
use crate::config::diagnostic::count_characters;
use crate::engine::rule::{KeyGroup, Rule, Sequence, is_key_certain, key_group};
use crate::leases::lease::{Lease, Leases, Phase, Terms};
use crate::leases::opening::{count_unspent, first_unspent};
use crate::leases::record::Record;
use crate::regex::Regex;
use crate::sys::{Errno, clock, random_seed};
use crate::text::{Put, put_escaped};
use crate::timestamp::Utc;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

/// Of the table of leases.
const COLUMNS: usize = 4;
/// What is between two columns.
const GAP: usize = 2;

const LOOSE_FILTER: &str = "the filter begins with neither ^ nor fixed text: what strangers have written into a line may match it";

const MISSING_KEY: &str = "the filter can match without it: such lines are passed over";

/// The rules of a configuration that has been found to be valid; with how many one-time sequences are
/// left, as far as the record tells.
pub fn rules(config: &Config, name: &CStr) -> Vec<u8> {
    let leases = recorded(config);
    let mut out = Vec::new();
    let advice = advice::on_sources(config);
    let mut warnings = advice.len();
    for advice in advice {
        put_warning("  ", &advice, &mut out);
    }
    for rule in &config.rules {
        let mut current = Some(0);
        put!(&mut out, "  {:?}", rule.name);
        match &leases {
            _ if !rule.one_time => {}
            Ok(leases) => {
                current = first_unspent(rule, leases);
                let (left, all) = (count_unspent(rule, leases), rule.sequences.len());
                put!(&mut out, ": {} of {} one-time sequences left", left, all);
            }
            Err(reason) => put!(&mut out, ": one-time sequences left: unknown, {}", reason),
        }
        out.push(b'\n');
        for (index, filter) in rule.filters.iter().enumerate() {
            let what = match rule.filters.len() {
                1 => text!("filter"),
                _ => text!("filter {}", index + 1),
            };
            put_pattern(&what, filter, &mut out);
            if !filter.begins_firmly() {
                warnings += 1;
                put_warning("    ", LOOSE_FILTER.as_bytes(), &mut out);
            }
            put_key(filter, &mut out);
            if !is_key_certain(filter) {
                warnings += 1;
                put_warning("    ", MISSING_KEY.as_bytes(), &mut out);
            }
        }
        if let Some(ignore) = &rule.ignore {
            put_pattern(&"ignore", ignore, &mut out);
        }
        if rule.count > 1 {
            put!(&mut out, "    count: {} times\n", u32::from(rule.count));
        }
        let mut before = "    ignore_hosts: ";
        for network in &rule.ignore_hosts {
            put!(&mut out, "{}{}", before, network);
            before = ", ";
        }
        if !rule.ignore_hosts.is_empty() {
            out.push(b'\n');
        }
        if let Some(sequence) = current.and_then(|index| rule.sequences.get(index)) {
            put_sequence(rule, sequence, &mut out);
        }
        for advice in advice::on_rule(rule, config) {
            warnings += 1;
            put_warning("    ", &advice, &mut out);
        }
    }
    let mut head = Vec::new();
    put_escaped(name.to_bytes(), &mut head);
    put!(&mut head, ": fine");
    if warnings > 0 {
        put!(&mut head, " but for {} warning{s}", warnings);
    }
    put!(&mut head, ", {} rule{s}\n", config.rules.len());
    head.extend_from_slice(&out);
    head
}

/// What might not work, or not only as it is meant.
fn put_warning(indent: &str, text: &[u8], out: &mut Vec<u8>) {
    put!(out, "{}warning: ", indent);
    put_escaped(text, out);
    out.push(b'\n');
}

/// Where a filter takes the key from.
fn put_key(filter: &Regex, out: &mut Vec<u8>) {
    put!(out, "    key: ");
    match key_group(filter) {
        KeyGroup::Named(number) => put!(out, "group {}, which is named key\n", number),
        KeyGroup::Host => put!(out, "<HOST>\n"),
        KeyGroup::First => match filter.group_count() {
            count if count > 1 && !filter.surely_captures(&|group| group == 1) => {
                put!(out, "the first of {} groups that took part\n", count);
            }
            _ => put!(out, "group 1\n"),
        },
    }
}

/// A sequence's steps, the groups that its commands can name, and the commands.
fn put_sequence(rule: &Rule, sequence: &Sequence, out: &mut Vec<u8>) {
    for (index, step) in sequence.steps.iter().enumerate() {
        put_pattern(&text!("step {}", index + 1), step, out);
    }
    let Some(step) = sequence.steps.last() else {
        return;
    };
    let groups = groups(step);
    put!(out, "    groups of the last step:");
    for group in &groups {
        put!(out, " {}", group);
    }
    put!(out, if groups.is_empty() { " none\n" } else { "\n" });
    // Commands as they will be run, but with their placeholders still in them.
    let values = Values {
        rule: &rule.name,
        key: b"{key}",
        family: b"{family}",
        groups: &groups,
    };
    for (event, commands) in EVENTS.iter().zip(&rule.commands) {
        for command in commands {
            put!(out, "    {}: ", event);
            // What is filled in is printable; only a group's name could be too long.
            put_shell_words(&command.fill(step, &values).unwrap_or_default(), out);
            out.push(b'\n');
        }
    }
}

/// The placeholders for the groups of a step.
fn groups(step: &Regex) -> Vec<Vec<u8>> {
    let mut groups = Vec::new();
    for index in 0..step.group_count() {
        groups.push(text!("{}{}{}", "{", index, "}"));
    }
    for (name, number) in step.group_names() {
        // OK because groups are counted from 1.
        groups[number - 1] = text!("{}{}{}", "{", name, "}");
    }
    groups
}

/// What a line is searched for before the pattern itself is tried.
fn put_pattern(what: &dyn Put, pattern: &Regex, out: &mut Vec<u8>) {
    put!(out, "    {}: ", what);
    let mut before = "looks for ";
    for literal in pattern.literals() {
        put!(out, "{}{:?}", before, literal);
        before = ", ";
    }
    let none = if before == ", " {
        ""
    } else {
        "no literal to look for"
    };
    put!(out, "{}\n", none);
}

/// The open leases as a table. The error says why they are not known.
pub fn leases(config: &Config) -> Result<Vec<u8>, Vec<u8>> {
    let leases = recorded(config)?;
    if leases.count() == 0 {
        return Ok(text!("no open leases\n"));
    }
    let (now_ms, unix_ms) = (clock::boot_time_ms(), clock::unix_time_ms());
    let mut cells = Vec::new();
    for title in ["RULE", "KEY", "OPENED (UTC)", "LEFT"] {
        cells.push(text!("{}", title));
    }
    for lease in leases.all() {
        add_row(lease, now_ms, unix_ms, &mut cells);
    }
    Ok(table(&cells, COLUMNS))
}

fn recorded(config: &Config) -> Result<Box<Leases>, Vec<u8>> {
    let fail = |errno: Errno| text!("record {:?}: {}", config.state, errno);
    let record = Record::new(&config.state, random_seed());
    record.map_err(fail)?.leases()
}

fn add_row(lease: &Lease, now_ms: u64, unix_ms: u64, cells: &mut Vec<Vec<u8>>) {
    let Terms {
        job,
        opened_ms,
        deadline_ms,
        ..
    } = &lease.terms;
    // OK because no timeout is that long.
    let left_s = deadline_ms.saturating_sub(now_ms).div_ceil(1000) as u32;
    // The age is known for certain; what the wall clock showed at that time may have been wrong.
    let age_ms = now_ms.saturating_sub(*opened_ms);
    let mut key = Vec::new();
    put_escaped(&job.key, &mut key);
    cells.push(text!("{:?}", job.rule));
    cells.push(key);
    cells.push(match *opened_ms {
        0 => text!("before the last boot"),
        _ => {
            // Not of two numbers of seconds, which would go on at different times.
            let opened_s = unix_ms.saturating_sub(age_ms) / 1000;
            text!("{}", Utc(u32::try_from(opened_s).unwrap_or(0)))
        }
    });
    cells.push(match left_s {
        _ if lease.phase == Phase::GivenUp => text!("could not be closed, given up"),
        _ if !lease.stands => text!("not standing"),
        _ if *deadline_ms == NEVER => text!("no limit"),
        0 => text!("due"),
        1..60 => text!("{} s", left_s),
        60..3600 => text!("{} min {} s", left_s / 60, left_s % 60),
        _ => text!("{} h {} min", left_s / 3600, left_s / 60 % 60),
    });
}

/// The cells in rows, with their columns aligned.
fn table(cells: &[Vec<u8>], columns: usize) -> Vec<u8> {
    let width = |column: usize| {
        let cells = cells.iter().skip(column).step_by(columns);
        cells.fold(0, |widest, cell| widest.max(count_characters(cell)))
    };
    let mut out = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        out.extend_from_slice(cell);
        if index % columns == columns - 1 {
            out.push(b'\n');
        } else {
            let padding = width(index % columns) + GAP - count_characters(cell);
            out.resize(out.len() + padding, b' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::job::Job;
    use crate::leases::lease::Note;

    #[test]
    fn columns_line_up_under_the_widest_cell_and_no_line_ends_in_blanks() {
        let rows = [["A", "B"], ["long cell", "x"], ["für", "y"]];
        let cells = rows.as_flattened().iter();
        let cells: Vec<Vec<u8>> = cells.map(|cell| text!("{}", cell)).collect();
        let expected = "A          B\nlong cell  x\nfür        y\n";
        assert_eq!(table(&cells, 2), expected.as_bytes());
    }

    #[test]
    fn a_row_tells_the_age_by_the_clock_that_cannot_be_set() {
        let mut leases = Leases::new(1);
        let job = Job {
            rule: "ssh".into(),
            key: "198.51.100.7".into(),
            ..Job::default()
        };
        let terms = Terms {
            job: job.into(),
            opened_ms: 1_000,
            deadline_ms: 3_700_000,
            end_s: 0,
        };
        let id = leases.open(terms);
        leases.apply(id, Note::Stands(true));
        let show = |now_ms| {
            let mut cells = Vec::new();
            add_row(
                leases.all().next().unwrap(),
                now_ms,
                1_795_327_100_500 + now_ms,
                &mut cells,
            );
            cells.join(&b" | "[..])
        };
        // By a wall clock whose seconds begin at other times, and ever the same.
        let row = |left: &str| text!("\"ssh\" | 198.51.100.7 | 2026-11-22 05:58:21 | {}", left);
        assert_eq!(show(100_000), row("1 h 0 min"));
        assert_eq!(show(100_600), row("1 h 0 min"));
        assert_eq!(show(3_699_001), row("1 s"));
        assert!(show(3_700_000).ends_with(b"| due"));
    }
}
