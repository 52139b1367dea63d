//! The commands that wait for their turn, in two lanes that take turns.
//!
//! * An opening waits for the openings before it and for half as many reverts at most; a revert likewise. So
//!   neither three hundred bans that run out together keep a knock waiting, nor a hundred spoofed knocks what is
//!   to be closed.
//! * Where the order matters it is kept: one rule's openings and reverts for one key run as they were submitted.
//!   A revert goes behind the opening of its lease; one that waits goes before a newer opening, and so does
//!   whatever else must be closed first ([`Queue::bring_forward`]).
//! * [`QUEUE_LIMIT`] knocks may wait. Reverts are not counted and never refused: what was opened must be closed.
//!   However many there are, taking the next one costs the same: their lane is the leases' own list.

use crate::commands::job::{Event, Job, LeaseId, Order};
use crate::leases::lease::Leases;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Knocks that may wait.
pub const QUEUE_LIMIT: usize = 256;

/// The orders that wait, but for the reverts that only wait for their turn.
#[derive(Default)]
pub struct Queue {
    /// Openings and checks, and the reverts that belong before or behind one of them.
    orders: Vec<Order>,
    /// Whose turn it is.
    reverts_turn: bool,
}

impl Queue {
    /// Whether there is room for another knock.
    pub fn has_room(&self) -> bool {
        self.knocks() < QUEUE_LIMIT
    }

    fn knocks(&self) -> usize {
        let opens = |order: &&Order| order.event == Event::Open;
        self.orders.iter().filter(opens).count()
    }

    /// How many orders wait.
    pub fn len(&self, leases: &Leases) -> usize {
        self.orders.len() + leases.waiting()
    }

    /// Adds a knock's actions.
    pub fn open(&mut self, lease: Option<LeaseId>, job: Rc<Job>, leases: &mut Leases) {
        let place = self.orders.len();
        while let Some(other) = leases.unwait_alike(&job) {
            self.add(place, other, Event::Close, leases);
        }
        self.orders.push(Order {
            event: Event::Open,
            lease,
            job,
        });
    }

    /// Adds commands of a lease. A check does not wait for room: somebody has knocked already.
    pub fn submit(&mut self, id: LeaseId, event: Event, leases: &mut Leases) {
        let of_lease = |order: &Order| order.lease == Some(id);
        match event {
            Event::Open => {
                if let Some(lease) = leases.get(id) {
                    let job = lease.terms.job.clone();
                    self.open(Some(id), job, leases);
                }
            }
            Event::Check => self.add(self.orders.len(), id, event, leases),
            Event::Close => match self.orders.iter().rposition(of_lease) {
                Some(place) => self.add(place + 1, id, event, leases),
                None => leases.wait(id),
            },
        }
    }

    fn add(&mut self, place: usize, id: LeaseId, event: Event, leases: &Leases) {
        if let Some(lease) = leases.get(id) {
            let order = Order {
                event,
                lease: Some(id),
                job: lease.terms.job.clone(),
            };
            self.orders.insert(place, order);
        }
    }

    /// Makes the reverts of these leases, if they wait, run before any opening that is submitted from now on.
    pub fn bring_forward(&mut self, ids: &[LeaseId], leases: &mut Leases) {
        for id in ids {
            if leases.unwait(*id) {
                self.add(self.orders.len(), *id, Event::Close, leases);
            }
        }
    }

    /// Takes out what is to be done next.
    pub fn next(&mut self, leases: &mut Leases) -> Option<Order> {
        self.reverts_turn = !self.reverts_turn;
        if (!self.reverts_turn || self.orders.is_empty())
            && let Some(id) = leases.first_waiting()
        {
            leases.unwait(id);
            self.add(0, id, Event::Close, leases);
        }
        match self.orders.is_empty() {
            true => None,
            false => Some(self.orders.remove(0)),
        }
    }

    /// Takes out the knocks, and tells how many they were.
    pub fn drop_knocks(&mut self) -> usize {
        let knocks = self.knocks();
        self.orders.retain(|order| order.event != Event::Open);
        knocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leases::lease::Terms;
    use std::boxed::Box;

    /// A queue after `+` and `-` (a knock of a rule and key, a revert), each as `+3 rule key`.
    struct Played {
        queue: Queue,
        leases: Box<Leases>,
        ids: Vec<(u32, LeaseId)>,
    }

    impl Played {
        fn play(&mut self, orders: &[&str]) {
            for text in orders {
                let words: Vec<_> = text[1..].split(' ').collect();
                let number = words[0].parse().unwrap();
                let job = Rc::new(Job {
                    rule: words[1].into(),
                    key: words[2].into(),
                    revert: std::vec![text!("{}", number)],
                    ..Job::default()
                });
                let known = self.ids.iter().find(|(other, _)| *other == number);
                let id = known.map_or_else(
                    || {
                        self.leases.open(Terms {
                            job: job.clone(),
                            opened_ms: 0,
                            deadline_ms: 0,
                            end_s: 0,
                        })
                    },
                    |(_, id)| *id,
                );
                self.ids.push((number, id));
                match &text[..1] {
                    "+" => self.queue.open(Some(id), job, &mut self.leases),
                    _ => {
                        self.leases.begin_closing(id);
                        self.queue.submit(id, Event::Close, &mut self.leases);
                    }
                }
            }
        }

        fn drain(mut self) -> Vec<String> {
            let mut names = Vec::new();
            while let Some(order) = self.queue.next(&mut self.leases) {
                let mark = ["-", "+"][usize::from(order.event == Event::Open)];
                let known = self.ids.iter().find(|(_, id)| Some(*id) == order.lease);
                names.push(format!("{mark}{}", known.unwrap().0));
            }
            names
        }
    }

    fn played(orders: &[&str]) -> Played {
        let mut played = Played {
            queue: Queue::default(),
            leases: Leases::new(1),
            ids: Vec::new(),
        };
        played.play(orders);
        played
    }

    #[test]
    fn knocks_and_reverts_take_turns() {
        let queue = played(&["-1 b a", "-2 b b", "-3 b c", "-4 b d", "+5 s a", "+6 s b"]);
        assert_eq!(queue.drain(), ["+5", "-1", "+6", "-2", "-3", "-4"]);
    }

    #[test]
    fn a_revert_comes_behind_the_opening_of_its_lease_and_before_those_of_others() {
        let queue = played(&["+1 s a", "+2 s b", "+3 s c", "-2 s b"]);
        assert_eq!(queue.drain(), ["+1", "+2", "-2", "+3"]);
    }

    #[test]
    fn an_opening_comes_behind_the_reverts_of_its_rule_and_key_only() {
        let queue = played(&["-1 s a", "-2 s b", "-3 s c", "-4 t c", "-5 s c", "+6 s c"]);
        assert_eq!(queue.drain(), ["-3", "-1", "-5", "-2", "+6", "-4"]);
    }

    #[test]
    fn what_must_be_closed_first_is_closed_first() {
        let mut queue = played(&["-1 b a", "-2 b b", "-3 s c", "+4 t e"]);
        let id = queue.ids[2].1;
        queue.queue.bring_forward(&[id], &mut queue.leases);
        queue.play(&["+5 s d"]);
        assert_eq!(queue.drain(), ["+4", "-1", "-3", "-2", "+5"]);
    }

    #[test]
    fn only_knocks_are_counted() {
        let mut queue = played(&[]);
        for number in 0..1000 {
            queue.play(&[&format!("-{number} b a")]);
        }
        for number in 1000..1000 + QUEUE_LIMIT {
            assert!(queue.queue.has_room());
            queue.play(&[&format!("+{number} s a")]);
        }
        assert!(!queue.queue.has_room());
        assert_eq!(queue.queue.drop_knocks(), QUEUE_LIMIT);
        assert!(queue.queue.has_room());
        assert_eq!(queue.queue.len(&queue.leases), 1000);
    }
}
