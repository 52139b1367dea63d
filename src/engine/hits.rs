//! How often a key has completed its sequence, where that has to happen several times.
//!
//! Guarantees that the hits that count are exactly those whose first line came within the time that is allowed, in memory
//! that the configuration bounds: `count` times four bytes, twice that while a ring has just grown. The first hit needs no
//! memory of its own, and the last is a knock, after which the key starts over. Without a time limit a hit is but a number.
//!
//! The idea: a ring of times in *ticks*. A tick is a millisecond where the time limit is below twelve days, and so
//! much longer where it is above that twice the limit fits 31 bits.

use crate::backoff::NEVER;
use alloc::vec::Vec;

/// The hits of one key, oldest first.
#[derive(Default)]
pub struct Hits {
    count: u16,
    /// When the line came that the oldest of them began with, in ticks.
    oldest: u32,
    /// The same of the others, in a ring that begins at `head`.
    later: Vec<u32>,
    head: u16,
    /// When the latest of them came.
    latest_ms: u64,
}

impl Hits {
    /// How many there are.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Adds one that began at `start_ms` and came at `now_ms`, after forgetting those that began too long before; tells
    /// how many there are.
    pub fn add(&mut self, start_ms: u64, now_ms: u64, within_ms: u64) -> u16 {
        if within_ms == NEVER {
            self.count = self.count.saturating_add(1);
            return self.count;
        }
        // Older ones than that have begun too long ago, too, and their ticks may have come round.
        if now_ms.abs_diff(self.latest_ms) > within_ms {
            *self = Hits::default();
        }
        let shift = shift(within_ms);
        // OK because only differences count, which fit.
        let ticks = |ms: u64| (ms >> shift) as u32;
        let now = ticks(now_ms);
        while self.count > 0 && now.wrapping_sub(self.oldest) as i32 > ticks(within_ms) as i32 {
            self.forget_oldest();
        }
        self.latest_ms = now_ms;
        self.push(ticks(start_ms));
        self.count
    }

    fn push(&mut self, start: u32) {
        if self.count == 0 {
            self.oldest = start;
        } else {
            let held = usize::from(self.count) - 1;
            if held == self.later.len() {
                self.later.rotate_left(usize::from(self.head));
                self.head = 0;
                self.later.push(start);
            } else {
                let place = self.place(held);
                self.later[place] = start;
            }
        }
        self.count += 1;
    }

    fn forget_oldest(&mut self) {
        self.count -= 1;
        if self.count > 0 {
            self.oldest = self.later[usize::from(self.head)];
            // OK because a ring of fewer than 1000 is no longer than that.
            self.head = self.place(1) as u16;
        }
    }

    /// Where in the ring the one stands that is `index` places behind the head.
    fn place(&self, index: usize) -> usize {
        (usize::from(self.head) + index) % self.later.len()
    }
}

/// By how many bits milliseconds are shifted to make them ticks.
fn shift(within_ms: u64) -> u32 {
    let bits = u64::BITS - within_ms.saturating_mul(2).leading_zeros();
    bits.saturating_sub(31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_millisecond_up_to_twelve_days_and_less_than_a_second_up_to_ten_years() {
        assert_eq!(shift(12 * 86_400_000), 0);
        assert_eq!(shift(13 * 86_400_000), 1);
        assert_eq!(1 << shift(315_360_000_000), 512);
    }

    #[test]
    fn a_hit_counts_up_to_the_last_millisecond() {
        let mut hits = Hits::default();
        assert_eq!(hits.add(5, 5, 1000), 1);
        assert_eq!(hits.add(1004, 1005, 1000), 2);
        assert_eq!(hits.add(1006, 1006, 1000), 2);
        assert_eq!(hits.add(2005, 2005, 1000), 2);
    }

    #[test]
    fn the_first_hit_takes_no_memory_of_its_own_and_the_ring_no_more_than_there_are_hits() {
        let mut hits = Hits::default();
        hits.add(1, 1, 10);
        assert_eq!(hits.later.capacity(), 0);
        for now_ms in 2..10_000 {
            assert_eq!(hits.add(now_ms, now_ms, 10), (now_ms as u16).min(11));
        }
        assert_eq!(hits.later.len(), 10);
    }

    #[test]
    fn ticks_that_come_round_revive_nothing() {
        let within_ms = 12 * 86_400_000;
        let mut hits = Hits::default();
        hits.add(0, 0, within_ms);
        assert_eq!(hits.add(1 << 32, 1 << 32, within_ms), 1);
    }
}
