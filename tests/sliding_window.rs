//! The engine against the plain rule it stands for: the last n lines of a key that passed the filter match the n
//! steps in order. The models here keep every line and look at all of them again, each time.

mod common;

use common::Random;
use logknockd::config::Config;
use logknockd::engine::{Engine, Meaning, Setup};

/// What lines are made of.
const LETTERS: [char; 4] = ['a', 'b', 'c', 'd'];

/// A line that passed the filter: its letters, and when it came.
#[derive(Clone)]
struct Line {
    letters: String,
    at_ms: u64,
}

/// A sequence whose steps each match any of some letters.
struct Rule {
    steps: Vec<String>,
    within_ms: Option<u64>,
    repeats: bool,
    /// 1 if it is not given.
    count: usize,
}

impl Rule {
    fn random(random: &mut Random) -> Rule {
        let length = 1 + random.below(5);
        Rule {
            steps: (0..length).map(|_| letters(random)).collect(),
            within_ms: None,
            repeats: false,
            count: 1,
        }
    }

    fn matches(&self, step: usize, line: &Line) -> bool {
        line.letters
            .contains(|letter| self.steps[step].contains(letter))
    }

    fn in_time(&self, lines: &[Line]) -> bool {
        match (self.within_ms, lines) {
            (Some(within_ms), [first, .., last]) => last.at_ms - first.at_ms <= within_ms,
            _ => true,
        }
    }

    /// Whether the last lines match the first `count` steps, one each.
    fn ends_with(&self, lines: &[Line], count: usize) -> bool {
        let Some(start) = lines.len().checked_sub(count) else {
            return false;
        };
        let window = &lines[start..];
        let mut pairs = window.iter().enumerate();
        self.in_time(window) && pairs.all(|(step, line)| self.matches(step, line))
    }

    /// Whether some of the last lines match all steps, one or more lines in a row each.
    fn ends_with_repeats(&self, lines: &[Line]) -> bool {
        (0..lines.len()).any(|start| {
            let window = &lines[start..];
            self.in_time(window) && self.splits(window, 0)
        })
    }

    /// When the latest of the windows began that end with the last line and match all steps.
    fn start_ms(&self, lines: &[Line]) -> Option<u64> {
        let matches = |start: &usize| {
            let window = &lines[*start..];
            self.in_time(window)
                && match self.repeats {
                    true => self.splits(window, 0),
                    false => {
                        window.len() == self.steps.len() && self.ends_with(window, window.len())
                    }
                }
        };
        let start = (0..lines.len()).rev().find(matches)?;
        Some(lines[start].at_ms)
    }

    /// Whether `lines` can be split into a part for each of the steps from `step` on.
    fn splits(&self, lines: &[Line], step: usize) -> bool {
        if step == self.steps.len() {
            return lines.is_empty();
        }
        let fitting = lines.iter().take_while(|line| self.matches(step, line));
        (1..=fitting.count()).any(|count| self.splits(&lines[count..], step + 1))
    }

    fn engine(&self, max_keys: usize) -> Engine {
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|step| format!("\"[{step}]\""))
            .collect();
        let mut more = format!(r#""repeats": {}"#, self.repeats);
        if let Some(within_ms) = self.within_ms {
            more += &format!(
                r#", "within": {}.{:03}"#,
                within_ms / 1000,
                within_ms % 1000
            );
        }
        if self.count > 1 {
            more += &format!(r#", "count": {}"#, self.count);
        }
        let config = format!(
            r#"{{"file": "f", "ruleset": [{{"name": "r", "filter": "^([0-9]+) [a-d]",
                "sequence": [{}], "actions": ["true"], {more}}}]}}"#,
            steps.join(", ")
        );
        let rules = match Config::parse(config.as_bytes()) {
            Ok(config) => config.rules,
            Err(_) => panic!("not accepted: {config}"),
        };
        let setup = Setup {
            max_keys,
            seed: 7,
            own_id: None,
            explain: true,
        };
        Engine::new(rules, &setup)
    }
}

/// One to three letters, in order.
fn letters(random: &mut Random) -> String {
    let first = LETTERS[random.below(4)];
    let others = LETTERS
        .iter()
        .filter(|&&letter| letter != first && random.below(4) == 0);
    others.chain([&first]).collect()
}

/// Whether `line` of `key` completes the sequence, according to the engine.
fn knocks(engine: &mut Engine, key: usize, line: &Line) -> bool {
    let text = format!("{key} {}", line.letters);
    let outcomes: Vec<_> = engine.line(text.as_bytes(), line.at_ms).collect();
    assert_eq!(outcomes.len(), 1);
    matches!(outcomes[0].1.meaning, Meaning::Knock(_))
}

/// Runs random logs through the engine and through `model`, which is given the line's key and the line
/// and says whether it knocks. `prepare` makes a rule and a model for it.
fn compare<M: FnMut(usize, Line) -> bool>(
    max_keys: impl Fn(&mut Random) -> usize,
    adjust: impl Fn(&mut Rule, &mut Random),
    model: impl Fn(std::rc::Rc<Rule>, usize) -> M,
) {
    let first_seed = common::seed();
    let mut knocked = 0;
    for seed in first_seed..first_seed + 400 {
        let mut random = Random::new(seed);
        let mut rule = Rule::random(&mut random);
        adjust(&mut rule, &mut random);
        let max_keys = max_keys(&mut random);
        let mut engine = rule.engine(max_keys);
        let rule = std::rc::Rc::new(rule);
        let mut model = model(rule.clone(), max_keys);
        let mut at_ms = 0;
        for number in 0..300 {
            // Lines that do not pass the filter change nothing.
            if random.below(5) == 0 {
                assert_eq!(engine.line(b"1 other", at_ms).count(), 0);
            }
            at_ms += random.below(4) as u64 * 250;
            let line = Line {
                letters: letters(&mut random),
                at_ms,
            };
            let key = random.below(5);
            let expected = model(key, line.clone());
            let found = knocks(&mut engine, key, &line);
            assert_eq!(
                found, expected,
                "seed {seed}, line {number}, steps {:?}",
                rule.steps
            );
            knocked += usize::from(found);
        }
    }
    assert!(knocked > 1000, "only {knocked} knocks: that proves little");
}

fn room_for_all(_: &mut Random) -> usize {
    100
}

#[test]
fn progress_is_the_sliding_window_over_each_keys_lines() {
    compare(
        room_for_all,
        |_, _| {},
        |rule, _| {
            let mut lines = vec![Vec::new(); 5];
            move |key: usize, line| {
                lines[key].push(line);
                rule.ends_with(&lines[key], rule.steps.len())
            }
        },
    );
}

#[test]
fn within_is_the_time_from_the_first_to_the_last_line_of_the_window() {
    compare(
        room_for_all,
        |rule, random| rule.within_ms = Some(1 + random.below(20) as u64 * 250),
        |rule, _| {
            let mut lines = vec![Vec::new(); 5];
            move |key: usize, line| {
                lines[key].push(line);
                rule.ends_with(&lines[key], rule.steps.len())
            }
        },
    );
}

#[test]
fn repeats_are_several_lines_in_a_row_for_one_step_and_a_knock_starts_over() {
    compare(
        room_for_all,
        |rule, random| {
            rule.repeats = true;
            rule.within_ms = (random.below(2) == 0).then(|| 1 + random.below(20) as u64 * 250);
        },
        |rule, _| {
            let mut lines: Vec<Vec<Line>> = vec![Vec::new(); 5];
            move |key: usize, line| {
                lines[key].push(line);
                let knocks = rule.ends_with_repeats(&lines[key]);
                if knocks {
                    lines[key].clear();
                }
                knocks
            }
        },
    );
}

#[test]
fn a_count_is_that_many_completions_within_the_time_and_a_knock_starts_over() {
    compare(
        room_for_all,
        |rule, random| {
            rule.steps.truncate(1 + random.below(2));
            rule.repeats = random.below(2) == 0;
            rule.count = 2 + random.below(4);
            let within_ms = 250 + random.below(80) as u64 * 250;
            rule.within_ms = (random.below(4) > 0).then_some(within_ms);
        },
        |rule, _| {
            // Each key's lines, and the starts of its hits.
            let mut keys: Vec<(Vec<Line>, Vec<u64>)> = vec![Default::default(); 5];
            move |key: usize, line| {
                let (lines, hits) = &mut keys[key];
                let now_ms = line.at_ms;
                lines.push(line);
                let Some(start_ms) = rule.start_ms(lines) else {
                    return false;
                };
                hits.push(start_ms);
                if rule.repeats {
                    lines.clear();
                }
                let within_ms = rule.within_ms.unwrap_or(u64::MAX);
                hits.retain(|start_ms| now_ms - start_ms <= within_ms);
                let knocks = hits.len() == rule.count;
                if knocks {
                    *hits = Vec::new();
                    *lines = Vec::new();
                }
                knocks
            }
        },
    );
}

#[test]
fn a_thousand_hits_count_as_exactly_as_two() {
    let first_seed = common::seed();
    for (seed, within_s) in (first_seed..).zip([3, 1_000, 900_000]) {
        let mut random = Random::new(seed);
        let rule = Rule {
            steps: vec!["abcd".into()],
            within_ms: Some(within_s * 1000),
            repeats: false,
            count: 1000,
        };
        let mut engine = rule.engine(10);
        let (mut at_ms, mut hits, mut knocked) = (0, std::collections::VecDeque::new(), 0);
        for number in 0..60_000 {
            // Some stretches are too slow by a little, some are not.
            let pace_ms = within_s * (if number / 2_500 % 2 == 0 { 2 } else { 1 });
            at_ms += random.below(pace_ms as usize + 1) as u64;
            if random.below(4_000) == 0 {
                at_ms += within_s * 1000;
            }
            hits.push_back(at_ms);
            while hits
                .front()
                .is_some_and(|first| at_ms - first > within_s * 1000)
            {
                hits.pop_front();
            }
            let expected = hits.len() == 1000;
            if expected {
                hits.clear();
                knocked += 1;
            }
            let line = Line {
                letters: "a".into(),
                at_ms,
            };
            assert_eq!(
                knocks(&mut engine, 1, &line),
                expected,
                "seed {seed}, line {number}"
            );
        }
        assert!(knocked > 3, "only {knocked} knocks");
    }
}

#[test]
fn beyond_max_keys_the_least_recently_active_key_is_forgotten() {
    compare(
        |random| 1 + random.below(4),
        |_, _| {},
        |rule, max_keys| {
            // The keys with progress and their lines, least recently active first.
            let mut known: Vec<(usize, Vec<Line>)> = Vec::new();
            move |key, line| {
                let index = known.iter().position(|(other, _)| *other == key);
                let mut lines = index.map_or(Vec::new(), |index| known.remove(index).1);
                lines.push(line);
                let length = rule.steps.len();
                if (1..length).any(|count| rule.ends_with(&lines, count)) {
                    if known.len() == max_keys {
                        known.remove(0);
                    }
                    known.push((key, lines.clone()));
                }
                rule.ends_with(&lines, length)
            }
        },
    );
}
