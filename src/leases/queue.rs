//! The commands that wait for their turn, in three lanes that take turns.
//!
//! * Knocks, reverts and checks: one of each. So neither three hundred bans that run out together nor as many checks of
//!   them keep a knock waiting, nor a hundred spoofed knocks what is to be closed.
//! * Where the order matters it is kept: one rule's openings and reverts for one key run as they were submitted.
//!   A revert goes behind the first opening of its lease; one that waits goes before a newer opening, and so does
//!   whatever else must be closed first ([`Queue::bring_forward`]).
//! * [`MAX_WAITING`] knocks may wait. Reverts are not counted and never refused: what was opened must be closed.
//!   However many reverts and checks there are, taking the next one costs the same: their lanes are the leases' own lists.

use crate::commands::job::{Event, Job, LeaseId, Order};
use crate::leases::lease::{KEY, Leases, Phase, common};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// Knocks that may wait.
pub const MAX_WAITING: usize = 256;

/// The orders that wait, but for the reverts and checks that only wait for their turn.
#[derive(Default)]
pub struct Queue {
    /// Openings, and the reverts that belong before or behind one of them.
    orders: Vec<Order>,
    /// Whose turn was last: 1 is the knocks', 2 the reverts'.
    lane: u32,
    /// The lease that was taken up last without anybody waiting for it.
    taken_up: Option<LeaseId>,
}

impl Queue {
    /// Whether there is room for another knock.
    pub fn has_room(&self) -> bool {
        let opens = |order: &&Order| order.event == Event::Open;
        self.orders.iter().filter(opens).count() < MAX_WAITING
    }

    /// How many orders wait.
    pub fn len(&self, leases: &Leases) -> usize {
        self.orders.len() + leases.waiting(Event::Check) + leases.waiting(Event::Close)
    }

    /// Adds a knock's actions.
    pub fn open(&mut self, lease: Option<LeaseId>, job: Rc<Job>, leases: &mut Leases) {
        let mut alike = Vec::new();
        leases.alike(KEY, &common(KEY, &job), &mut alike);
        self.bring_forward(&alike, leases);
        self.orders.push(Order {
            event: Event::Open,
            lease,
            job,
        });
    }

    /// Adds commands of a lease. A check does not wait for room: somebody has knocked already. It must not find what is
    /// about to be closed before that knock; whether a revert has failed is asked at once. A revert goes behind the
    /// first opening of its lease; where only a check or another opening waits, that finds nothing to do.
    pub fn submit(&mut self, id: LeaseId, event: Event, leases: &mut Leases) {
        let opens = |order: &Order| order.event == Event::Open && order.lease == Some(id);
        match event {
            Event::Open => {
                if let Some(lease) = leases.get(id) {
                    let job = lease.terms.job.clone();
                    self.open(Some(id), job, leases);
                }
            }
            Event::Check => {
                let closes = |order: &Order| order.event == Event::Close;
                let is_open = leases
                    .get(id)
                    .is_some_and(|lease| lease.phase == Phase::Open);
                match leases.order(id, event) {
                    Some(order) if is_open && self.orders.iter().any(closes) => {
                        self.orders.push(order);
                    }
                    _ => leases.wait(id, event),
                }
            }
            // Once its actions have begun, an opening that still waits finds nothing to do either.
            Event::Close => match self.orders.iter().rposition(opens) {
                Some(place) if !leases.has_begun(id) => {
                    if let Some(order) = leases.order(id, event) {
                        self.orders.insert(place + 1, order);
                    }
                }
                _ => leases.wait(id, event),
            },
        }
    }

    /// Takes up what is wanted without anybody waiting for it, one lease at a time; an opening comes behind the knocks that
    /// wait, and not when none does: some may always wait.
    pub fn take_up(&mut self, leases: &mut Leases) {
        if !self.taken_up.is_some_and(|id| leases.is_busy(id)) {
            self.taken_up = leases.next_wanted().map(|(id, event)| {
                self.submit(id, event, leases);
                id
            });
        }
    }

    /// Makes the reverts of these leases, if they wait, run before any opening that is submitted from now on; the last
    /// one first.
    pub fn bring_forward(&mut self, ids: &[LeaseId], leases: &mut Leases) {
        for id in ids.iter().rev() {
            if let Some(order) = leases.unwait(*id) {
                self.orders.push(order);
            }
        }
    }

    /// Takes out what is to be done next.
    pub fn next(&mut self, leases: &mut Leases) -> Option<Order> {
        for _ in 0..3 {
            self.lane = (self.lane + 1) % 3;
            let order = match self.lane {
                1 if self.orders.is_empty() => None,
                1 => Some(self.orders.remove(0)),
                2 => leases.next_waiting(Event::Close),
                _ => leases.next_waiting(Event::Check),
            };
            if order.is_some() {
                return order;
            }
        }
        None
    }

    /// Takes out the knocks, and tells how many they were.
    pub fn drop_knocks(&mut self) -> usize {
        let mut count = 0;
        let is_knock = |order: &Order| order.event == Event::Open;
        while let Some(place) = self.orders.iter().position(is_knock) {
            self.orders.remove(place);
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leases::lease::{Note, Terms};
    use std::boxed::Box;

    /// A queue after `+`, `-` and `?` (a knock of a rule and key, a revert, a check), each as `+3 rule key`.
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
                    commands: [
                        Vec::new(),
                        std::vec![text!("true")],
                        std::vec![text!("{}", number)],
                    ],
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
                    "?" => self.queue.submit(id, Event::Check, &mut self.leases),
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
                let mark = match order.event {
                    Event::Open => "+",
                    Event::Check => "?",
                    Event::Close => "-",
                };
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
    fn knocks_reverts_and_checks_take_turns() {
        let queue = played(&[
            "?1 b a", "?2 b b", "?3 b c", "-4 b d", "-5 b e", "+6 s a", "+7 s b",
        ]);
        assert_eq!(queue.queue.len(&queue.leases), 7);
        assert_eq!(queue.drain(), ["+6", "-4", "?1", "+7", "-5", "?2", "?3"]);
        // A check of what is closed first comes too early before that.
        let queue = played(&["-1 s a", "+2 s a", "?3 b c", "-4 b d"]);
        assert_eq!(queue.drain(), ["-1", "-4", "+2", "?3"]);
        // What is to be closed needs no check any more, and does not wait where one did.
        let queue = played(&["-1 s a", "+2 s a", "+3 s b", "?4 b c", "-4 b c"]);
        assert_eq!(queue.drain(), ["-1", "-4", "+2", "+3", "?4"]);
        // Whether a revert has failed is a part of closing.
        let mut queue = played(&["-1 s a", "+2 s a", "+3 s b", "-4 b c"]);
        let (id, leases) = (queue.ids[3].1, &mut queue.leases);
        assert!(leases.unwait(id).is_some() && leases.check(id));
        queue.queue.submit(id, Event::Check, leases);
        assert_eq!(queue.drain(), ["-1", "?4", "+2", "+3"]);
        assert_eq!(
            played(&["?1 b a", "?2 b b", "-1 b a"]).drain(),
            ["-1", "?2"]
        );
    }

    #[test]
    fn a_revert_comes_behind_the_opening_of_its_lease_and_before_those_of_others() {
        let queue = played(&["+1 s a", "+2 s b", "+3 s c", "-2 s b"]);
        assert_eq!(queue.drain(), ["+1", "+2", "-2", "+3"]);
    }

    #[test]
    fn a_revert_does_not_wait_for_actions_that_were_to_run_once_more() {
        let mut queue = played(&["+1 s a", "+2 s b", "+3 s c"]);
        let id = queue.ids[0].1;
        assert!(queue.queue.next(&mut queue.leases).is_some());
        queue.leases.begin(id, Event::Open);
        queue.play(&["+1 s a", "-1 s a"]);
        assert_eq!(queue.drain(), ["-1", "+2", "+3", "+1"]);
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
    fn what_nobody_waits_for_is_opened_though_knocks_always_wait() {
        let mut queue = played(&["+1 s a", "+2 s b", "+3 s c"]);
        while let Some(order) = queue.queue.next(&mut queue.leases) {
            let id = order.lease.unwrap();
            queue.leases.apply(id, Note::Until(1, 0));
        }
        queue.leases.resume(0, false);
        queue.play(&["+4 t a"]);
        let mut opened = 0;
        for number in 5..25 {
            queue.play(&[&format!("+{number} t a")]);
            queue.queue.take_up(&mut queue.leases);
            let order = queue.queue.next(&mut queue.leases).unwrap();
            if *order.job.rule == *b"s" {
                queue.leases.set_busy(order.lease.unwrap(), false);
                opened += 1;
            }
        }
        assert_eq!(opened, 3);
        assert!(!queue.queue.orders.is_empty());
    }

    #[test]
    fn only_knocks_are_counted() {
        let mut queue = played(&[]);
        for number in 0..1000 {
            queue.play(&[&format!("-{number} b a")]);
        }
        for number in 1000..1000 + MAX_WAITING {
            assert!(queue.queue.has_room());
            queue.play(&[&format!("+{number} s a")]);
        }
        assert!(!queue.queue.has_room());
        assert_eq!(queue.queue.drop_knocks(), MAX_WAITING);
        assert!(queue.queue.has_room());
        assert_eq!(queue.queue.len(&queue.leases), 1000);
    }
}
