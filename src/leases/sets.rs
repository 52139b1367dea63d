//! Members that have something in common, found by it in constant time.
//!
//! A member is a small number; what its set has in common stays with the caller, who tells sets apart by asking any
//! member. A set has an order, so that members can be put in front; it is gone with its last member.

use alloc::vec::Vec;

/// No set, no member.
pub const NONE: u32 = u32::MAX;

struct Set {
    hash: u32,
    /// The next set with the same place in the table, or the next free one.
    next: u32,
    first: u32,
    last: u32,
    count: u32,
    held: u32,
}

#[derive(Clone, Copy)]
struct Link {
    set: u32,
    before: u32,
    after: u32,
}

const UNLINKED: Link = Link {
    set: NONE,
    before: NONE,
    after: NONE,
};

/// Sets of numbers; each number is in one of them at most.
#[derive(Default)]
pub struct Sets {
    table: Vec<u32>,
    sets: Vec<Set>,
    /// One more than the first set that is free, or zero.
    free: u32,
    links: Vec<Link>,
}

impl Sets {
    /// The set with this hash of which `same` says of a member that it is the one; perhaps [`NONE`].
    pub fn find(&self, hash: u32, same: &dyn Fn(u32) -> bool) -> u32 {
        let head = self.table.get(hash as usize & self.mask());
        let mut at = head.copied().unwrap_or(NONE);
        while let Some(set) = self.sets.get(at as usize) {
            if set.hash == hash && same(set.first) {
                break;
            }
            at = set.next;
        }
        at
    }

    fn mask(&self) -> usize {
        self.table.len().wrapping_sub(1)
    }

    fn set(&mut self, set: u32) -> Option<&mut Set> {
        self.sets.get_mut(set as usize)
    }

    fn link(&mut self, member: u32) -> Option<&mut Link> {
        self.links.get_mut(member as usize)
    }

    /// The set of a member.
    pub fn set_of(&self, member: u32) -> u32 {
        self.links
            .get(member as usize)
            .map_or(NONE, |link| link.set)
    }

    /// How many members a set has.
    pub fn count(&self, set: u32) -> u32 {
        self.sets.get(set as usize).map_or(0, |set| set.count)
    }

    /// How often a set is held; see [`Sets::hold`].
    pub fn held(&self, set: u32) -> u32 {
        self.sets.get(set as usize).map_or(0, |set| set.held)
    }

    /// The member in front, or [`NONE`].
    pub fn first(&self, set: u32) -> u32 {
        self.sets.get(set as usize).map_or(NONE, |set| set.first)
    }

    /// The member at the end, or [`NONE`].
    pub fn last(&self, set: u32) -> u32 {
        self.sets.get(set as usize).map_or(NONE, |set| set.last)
    }

    /// The member after another one, or [`NONE`].
    pub fn after(&self, member: u32) -> u32 {
        let link = self.links.get(member as usize);
        link.map_or(NONE, |link| link.after)
    }

    /// Counts the holds of a member's set up or down.
    pub fn hold(&mut self, member: u32, up: bool) {
        let set = self.set_of(member);
        if let Some(set) = self.set(set) {
            let (more, less) = (set.held.wrapping_add(1), set.held.wrapping_sub(1));
            set.held = if up { more } else { less };
        }
    }

    /// Adds a member at the end of the set it belongs to, which is made if there is none.
    pub fn add(&mut self, member: u32, hash: u32, same: &dyn Fn(u32) -> bool) {
        let mut set = self.find(hash, same);
        if set == NONE {
            set = self.make(hash);
        }
        if self.links.len() <= member as usize {
            self.links.resize(member as usize + 1, UNLINKED);
        }
        let last = self.last(set);
        if let Some(link) = self.link(member) {
            *link = Link {
                set,
                before: last,
                after: NONE,
            };
        }
        if let Some(link) = self.link(last) {
            link.after = member;
        }
        if let Some(set) = self.set(set) {
            set.last = member;
            set.count += 1;
            if last == NONE {
                set.first = member;
            }
        }
    }

    fn make(&mut self, hash: u32) -> u32 {
        if self.sets.len() >= self.table.len() && self.free == 0 {
            self.grow();
        }
        let mut fresh = Set {
            hash,
            next: NONE,
            first: NONE,
            last: NONE,
            count: 0,
            held: 0,
        };
        let index = hash as usize & self.mask();
        if let Some(head) = self.table.get(index) {
            fresh.next = *head;
        }
        let at = self.free.wrapping_sub(1);
        let place = match self.sets.get_mut(at as usize) {
            Some(place) => {
                self.free = place.next;
                *place = fresh;
                at
            }
            None => {
                self.sets.push(fresh);
                // OK because there are not more sets than members.
                self.sets.len() as u32 - 1
            }
        };
        if let Some(head) = self.table.get_mut(index) {
            *head = place;
        }
        place
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(16);
        self.table.clear();
        self.table.resize(size, NONE);
        for (at, set) in self.sets.iter_mut().enumerate() {
            if let Some(head) = self.table.get_mut(set.hash as usize & (size - 1)) {
                set.next = *head;
                // OK because there are not more sets than members.
                *head = at as u32;
            }
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: u32) {
        let Some(place) = self.link(member) else {
            return;
        };
        let link = core::mem::replace(place, UNLINKED);
        self.unchain(link);
        let Some(set) = self.set(link.set) else {
            return;
        };
        set.count -= 1;
        if set.count > 0 {
            return;
        }
        let (hash, next) = (set.hash, set.next);
        let index = hash as usize & self.mask();
        let head = self.table.get(index).copied().unwrap_or(NONE);
        if head == link.set {
            if let Some(head) = self.table.get_mut(index) {
                *head = next;
            }
        } else {
            let mut at = head;
            while let Some(set) = self.set(at) {
                if set.next == link.set {
                    set.next = next;
                    break;
                }
                at = set.next;
            }
        }
        let free = self.free;
        if let Some(set) = self.set(link.set) {
            set.next = free;
        }
        self.free = link.set + 1;
    }

    fn unchain(&mut self, link: Link) {
        if let Some(before) = self.link(link.before) {
            before.after = link.after;
        } else if let Some(set) = self.set(link.set) {
            set.first = link.after;
        }
        if let Some(after) = self.link(link.after) {
            after.before = link.before;
        } else if let Some(set) = self.set(link.set) {
            set.last = link.before;
        }
    }

    /// Puts a member in front of the others of its set.
    pub fn to_front(&mut self, member: u32) {
        let Some(link) = self.link(member).map(|link| *link) else {
            return;
        };
        let first = self.first(link.set);
        if first == member || first == NONE {
            return;
        }
        self.unchain(link);
        if let Some(front) = self.link(first) {
            front.before = member;
        }
        if let Some(place) = self.link(member) {
            place.before = NONE;
            place.after = first;
        }
        if let Some(set) = self.set(link.set) {
            set.first = member;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn members(sets: &Sets, set: u32) -> Vec<u32> {
        let mut members = Vec::new();
        let mut at = sets.first(set);
        while at != NONE {
            let member = at;
            members.push(member);
            at = sets.after(member);
        }
        members
    }

    #[test]
    fn sets_agree_with_lists_that_are_searched() {
        let mut sets = Sets::default();
        let mut lists: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut state = 1u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let member = state >> 16 & 0xff;
            // Many sets share a hash.
            let common = |member: u32| member % 37;
            let (hash, own) = (common(member) % 5, common(member));
            let list = lists.entry(own).or_default();
            let place = list.iter().position(|other| *other == member);
            match (place, state >> 28) {
                (None, _) => {
                    sets.add(member, hash, &|other| common(other) == own);
                    list.push(member);
                }
                (Some(place), 0..8) => {
                    sets.remove(member);
                    list.remove(place);
                }
                (Some(place), _) => {
                    sets.to_front(member);
                    list.remove(place);
                    list.insert(0, member);
                }
            }
            let found = sets.find(hash, &|other| common(other) == own);
            assert_eq!(found == NONE, list.is_empty());
            if found != NONE {
                let set = found;
                assert_eq!(&members(&sets, set), list);
                assert_eq!(sets.count(set) as usize, list.len());
                assert_eq!(Some(sets.last(set)), list.last().copied());
            }
        }
    }
}
