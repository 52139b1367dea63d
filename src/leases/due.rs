//! Which of many small numbers is due first: a binary heap in which each number knows its place.

use alloc::vec::Vec;

/// Not in the heap.
const OUT: u32 = u32::MAX;

/// Numbers and the time when each is due.
#[derive(Default)]
pub struct Due {
    heap: Vec<u32>,
    places: Vec<u32>,
    times: Vec<u64>,
}

impl Due {
    /// The number that is due first, and when.
    pub fn first(&self) -> Option<(u32, u64)> {
        let first = *self.heap.first()?;
        Some((first, self.time(first)))
    }

    /// What is due first comes first; of what is due together, the lowest.
    #[inline(never)]
    fn is_before(&self, number: u32, other: u32) -> bool {
        (self.time(number), number) < (self.time(other), other)
    }

    fn time(&self, number: u32) -> u64 {
        self.times.get(number as usize).copied().unwrap_or(u64::MAX)
    }

    /// Says when a number is due.
    pub fn set(&mut self, number: u32, time: u64) {
        let index = number as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, OUT);
            self.times.resize(index + 1, u64::MAX);
        }
        if let Some(place) = self.times.get_mut(index) {
            *place = time;
        }
        let mut place = self.places.get(index).copied().unwrap_or(OUT) as usize;
        if place == OUT as usize {
            place = self.heap.len();
            self.heap.push(number);
        }
        self.settle(place);
    }

    /// Takes a number out.
    pub fn remove(&mut self, number: u32) {
        let Some(place) = self.places.get_mut(number as usize) else {
            return;
        };
        let place = core::mem::replace(place, OUT) as usize;
        if place < self.heap.len() {
            self.heap.swap_remove(place);
            self.settle(place);
        }
    }

    /// Moves what is at a place to where it belongs.
    fn settle(&mut self, mut place: usize) {
        let Some(&number) = self.heap.get(place) else {
            return;
        };
        while place > 0 {
            let above = (place - 1) / 2;
            let other = self.heap.get(above).copied().unwrap_or(OUT);
            if !self.is_before(number, other) {
                break;
            }
            self.put(place, other);
            place = above;
        }
        loop {
            let mut below = place * 2 + 1;
            let Some(&left) = self.heap.get(below) else {
                break;
            };
            let mut other = left;
            if let Some(&right) = self.heap.get(below + 1)
                && self.is_before(right, left)
            {
                (below, other) = (below + 1, right);
            }
            if !self.is_before(other, number) {
                break;
            }
            self.put(place, other);
            place = below;
        }
        self.put(place, number);
    }

    fn put(&mut self, place: usize, number: u32) {
        if let Some(entry) = self.heap.get_mut(place) {
            *entry = number;
        }
        if let Some(entry) = self.places.get_mut(number as usize) {
            // OK because there are not more places than numbers.
            *entry = place as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_first_is_always_one_of_those_that_are_due_first() {
        let mut due = Due::default();
        let mut times = BTreeMap::new();
        let mut state = 7u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = state >> 16 & 0x7f;
            if state >> 29 == 0 {
                due.remove(number);
                times.remove(&number);
            } else {
                let time = u64::from(state >> 24);
                due.set(number, time);
                times.insert(number, time);
            }
            let least = times.iter().map(|(number, time)| (*time, *number)).min();
            assert_eq!(due.first().map(|(number, time)| (time, number)), least);
        }
    }
}
