//! The jobs that wait, in two lanes that take turns.
//!
//! * An opening waits for the openings before it and for half as many reverts at most; a revert likewise. So
//!   neither three hundred bans that run out together keep a knock waiting, nor a hundred spoofed knocks what is
//!   to be closed.
//! * Where the order matters it is kept: one rule's openings and reverts for one key run as they were submitted.
//!   A revert goes behind the opening of its lease; one that waits goes before a newer opening, and so does
//!   whatever else must be closed first ([`Queue::before_next_opening`]).
//! * [`QUEUE_LIMIT`] knocks may wait. Reverts are not counted and never refused: what was opened must be closed.
//!   However many there are, taking the next one costs the same.

use crate::commands::job::{Event, Job, LeaseId};
use crate::text::checksum;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Knocks that may wait.
pub const QUEUE_LIMIT: usize = 256;

/// A job to be done.
#[cfg_attr(test, derive(Debug))]
pub struct Order {
    /// What it is for.
    pub event: Event,
    /// The lease it is about.
    pub lease: Option<LeaseId>,
    /// What is to be run.
    pub job: Rc<Job>,
}

/// An order that waits.
struct Waiting {
    /// Tells most rules and keys apart without looking at them.
    tag: u32,
    order: Order,
}

/// Which lane is next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Openings,
    Reverts,
}

/// The orders that wait.
pub struct Queue {
    /// Openings, and the reverts that belong before or behind one of them.
    openings: VecDeque<Waiting>,
    /// Openings among them.
    knocks: usize,
    reverts: VecDeque<Waiting>,
    next: Lane,
}

impl Queue {
    /// A queue in which nothing waits.
    pub fn new() -> Queue {
        Queue {
            openings: VecDeque::new(),
            knocks: 0,
            reverts: VecDeque::new(),
            next: Lane::Openings,
        }
    }

    /// Whether there is room for another knock.
    pub fn has_room(&self) -> bool {
        self.knocks < QUEUE_LIMIT
    }

    /// Orders that wait.
    pub fn len(&self) -> usize {
        self.openings.len() + self.reverts.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an order.
    pub fn push(&mut self, order: Order) {
        let tag = tag(&order.job);
        let waiting = Waiting { tag, order };
        match waiting.order.event {
            Event::Open => {
                let job = waiting.order.job.clone();
                self.bring_forward(|other| other.tag == tag && is_alike(&other.order.job, &job));
                self.knocks += 1;
                self.openings.push_back(waiting);
            }
            // Somebody has knocked, and waits; not for room, though.
            Event::Check => self.openings.push_back(waiting),
            Event::Close => {
                let lease = waiting.order.lease;
                let opens = |other: &Waiting| lease.is_some() && other.order.lease == lease;
                match self.openings.iter().rposition(opens) {
                    Some(place) => self.openings.insert(place + 1, waiting),
                    None => self.reverts.push_back(waiting),
                }
            }
        }
    }

    /// Makes the reverts that `are_meant` run before any opening that is submitted from now on. Looks at every
    /// revert that waits.
    pub fn before_next_opening(&mut self, are_meant: impl Fn(&Order) -> bool) {
        self.bring_forward(|waiting| are_meant(&waiting.order));
    }

    fn bring_forward(&mut self, is_meant: impl Fn(&Waiting) -> bool) {
        while let Some(place) = self.reverts.iter().position(&is_meant) {
            self.openings.extend(self.reverts.remove(place));
        }
    }

    /// Takes out what is to be done next.
    pub fn pop(&mut self) -> Option<Order> {
        let (first, second) = match self.next {
            Lane::Openings => (&mut self.openings, &mut self.reverts),
            Lane::Reverts => (&mut self.reverts, &mut self.openings),
        };
        self.next = match self.next {
            Lane::Openings => Lane::Reverts,
            Lane::Reverts => Lane::Openings,
        };
        let waiting = first.pop_front().or_else(|| second.pop_front())?;
        if waiting.order.event == Event::Open {
            self.knocks -= 1;
        }
        Some(waiting.order)
    }

    /// Takes out what would open something; returns the lease of each.
    pub fn drop_opening(&mut self) -> Vec<Option<LeaseId>> {
        let mut dropped = Vec::new();
        self.openings.retain(|Waiting { order, .. }| {
            if order.event == Event::Open {
                dropped.push(order.lease);
            }
            order.event != Event::Open
        });
        self.knocks = 0;
        dropped
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue::new()
    }
}

fn tag(job: &Job) -> u32 {
    checksum(&job.rule) ^ checksum(&job.key).rotate_left(16)
}

fn is_alike(one: &Job, other: &Job) -> bool {
    one.rule == other.rule && one.key == other.key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> LeaseId {
        LeaseId { slot, serial: 0 }
    }

    fn order(event: Event, lease: u32, rule: &str, key: &str) -> Order {
        let job = Job {
            rule: rule.into(),
            key: key.into(),
            ..Job::default()
        };
        Order {
            event,
            lease: Some(id(lease)),
            job: Rc::new(job),
        }
    }

    /// The queue after `+` and `-` (a knock of a rule and key, a revert), each as `+3 rule key`.
    fn queue(orders: &[&str]) -> Queue {
        let mut queue = Queue::new();
        for text in orders {
            let words: Vec<_> = text[1..].split(' ').collect();
            let event = match &text[..1] {
                "+" => Event::Open,
                _ => Event::Close,
            };
            queue.push(order(event, words[0].parse().unwrap(), words[1], words[2]));
        }
        queue
    }

    fn drain(mut queue: Queue) -> Vec<String> {
        let name = |order: Order| {
            let mark = ["-", "+"][usize::from(order.event == Event::Open)];
            format!("{mark}{}", order.lease.unwrap().slot)
        };
        core::iter::from_fn(|| queue.pop()).map(name).collect()
    }

    #[test]
    fn knocks_and_reverts_take_turns() {
        let queue = queue(&["-1 b a", "-2 b b", "-3 b c", "-4 b d", "+5 s a", "+6 s b"]);
        assert_eq!(drain(queue), ["+5", "-1", "+6", "-2", "-3", "-4"]);
    }

    #[test]
    fn a_revert_comes_behind_the_opening_of_its_lease_and_before_those_of_others() {
        let queue = queue(&["+1 s a", "+2 s b", "+3 s c", "-2 s b"]);
        assert_eq!(drain(queue), ["+1", "+2", "-2", "+3"]);
    }

    #[test]
    fn an_opening_comes_behind_the_reverts_of_its_rule_and_key_only() {
        let queue = queue(&["-1 s a", "-2 s b", "-3 s c", "-4 t c", "+5 s c"]);
        assert_eq!(drain(queue), ["-3", "-1", "+5", "-2", "-4"]);
    }

    #[test]
    fn what_must_be_closed_first_is_closed_first() {
        let mut queue = queue(&["-1 b a", "-2 b b", "-3 s c", "+4 t e"]);
        queue.before_next_opening(|order| order.job.rule == b"s");
        queue.push(order(Event::Open, 5, "s", "d"));
        assert_eq!(drain(queue), ["+4", "-1", "-3", "-2", "+5"]);
    }

    #[test]
    fn only_knocks_are_counted() {
        let mut queue = Queue::new();
        for number in 0..1000 {
            queue.push(order(Event::Close, number, "b", "a"));
        }
        for number in 0..QUEUE_LIMIT as u32 {
            assert!(queue.has_room());
            queue.push(order(Event::Open, 1000 + number, "s", "a"));
        }
        assert!(!queue.has_room());
        let dropped = queue.drop_opening();
        assert_eq!(dropped.len(), QUEUE_LIMIT);
        assert!(queue.has_room());
        assert_eq!(queue.len(), 1000);
    }
}
