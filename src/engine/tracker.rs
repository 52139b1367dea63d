//! How far each key has come, in bounded memory.
//!
//! *Progress* is the Shift-And automaton: bit `i` says that the key's last `i + 1` lines that passed the filter matched
//! the steps `0..=i` in order. A line that matches the steps in the mask `m` moves it to
//! `((p << 1) | 1) & m`, which is the sliding window over the last lines at the price of one word. Where the sequence must
//! be completed several times, each time is a hit (see `hits`), and after the last the key starts over.
//!
//! *Memory.* A key without progress or hits is forgotten at once, so only senders that hit the first step are
//! remembered at all; beyond `max_keys` the least recently active one gives way. Every operation takes
//! constant time: a chained hash table finds the key, a doubly linked list through the same slots keeps
//! the order of activity. Keys are chosen by strangers, so the hash is seeded with a secret.

use crate::backoff::NEVER;
use crate::engine::hits::Hits;
use crate::text::Put;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A set of steps: bit 0 is the first. A sequence has at most 32.
pub type Steps = u32;

/// What a rule measures progress by.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Measure {
    /// Steps in the sequence, 1 to 32.
    pub length: u8,
    /// How often a key must complete it; at least 1.
    pub count: u16,
    /// All of that must arrive within this many milliseconds; [`NEVER`] if that is no matter.
    pub within_ms: u64,
    /// A line that repeats the step just matched keeps the progress.
    pub repeats: bool,
}

/// What a line did to its key's progress.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Change {
    /// Progress before the line.
    pub before: Steps,
    /// Progress the line led to, before a completed sequence was taken out.
    pub after: Steps,
    /// Steps that would have counted, had they not come too late.
    pub late: Steps,
    /// Another key gave way.
    pub gave_way: bool,
    /// The line completed the sequence, for the last time that was wanted.
    pub complete: bool,
    /// How often it has been completed by now, and how often that is wanted.
    pub hits: u16,
    pub count: u16,
    /// Steps in the sequence.
    pub length: u8,
}

/// How many steps the furthest of these is.
pub fn reached(steps: Steps) -> u32 {
    Steps::BITS - steps.leading_zeros()
}

/// How far the key is now, as `step 2/4`, and where it stood if that was not a step forward.
impl Put for Change {
    fn put(&self, out: &mut Vec<u8>) {
        let (before, after) = (reached(self.before), reached(self.after));
        let length = u32::from(self.length);
        put!(out, "step {}/{}", after, length);
        if after <= before && before > 0 {
            put!(out, ", was {}/{}", before, length);
        }
        if self.late != 0 {
            put!(out, ", too late");
        }
        if self.count > 1 {
            let (hits, count) = (u32::from(self.hits), u32::from(self.count));
            put!(out, ", {}/{} times", hits, count);
        }
    }
}

/// A key as it is looked up, and its [`hash`]: the trackers of all rules share the work of making it.
#[derive(Clone, Copy)]
pub struct Key<'k> {
    pub bytes: &'k [u8],
    pub hash: u32,
}

/// "No slot": one more than the largest index, as at most 65535 keys are held.
const NONE: u16 = u16::MAX;

/// One key and its progress.
struct Slot {
    key: Box<[u8]>,
    progress: Steps,
    /// With `within`: when the line that set the lowest step behind each bit came. Else empty.
    started_ms: Box<[u64]>,
    hash: u32,
    /// Next slot of the same bucket, or of the list of free slots.
    next_in_bucket: u16,
    /// Neighbours in the order of activity.
    newer: u16,
    older: u16,
}

/// The progress of every key of one rule.
pub struct Tracker {
    measure: Measure,
    max_keys: usize,
    slots: Vec<Slot>,
    /// Those of each slot; none if completing the sequence once is enough.
    hits: Vec<Hits>,
    /// First slot of each chain; the length is a power of two.
    buckets: Vec<u16>,
    free: u16,
    newest: u16,
    oldest: u16,
    count: usize,
}

impl Tracker {
    /// A tracker without keys. `max_keys` is at least 1 and at most 65535.
    pub fn new(measure: Measure, max_keys: usize) -> Tracker {
        Tracker {
            measure,
            max_keys: max_keys.clamp(1, usize::from(NONE)),
            slots: Vec::new(),
            hits: Vec::new(),
            buckets: Vec::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            count: 0,
        }
    }

    /// How many keys are in progress.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no key is in progress.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Holds at most `max_keys` from now on; the least recently active ones give way.
    pub fn limit(&mut self, max_keys: usize) {
        self.max_keys = max_keys.clamp(1, usize::from(NONE));
        while self.count > self.max_keys {
            self.remove(self.oldest);
        }
    }

    /// How many keys it holds at most.
    pub fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// The steps that a line of a key with this progress could match to any effect.
    fn candidates(&self, progress: Steps) -> Steps {
        let all = Steps::MAX >> (32 - self.measure.length.clamp(1, 32));
        let kept = if self.measure.repeats { progress } else { 0 };
        ((progress << 1) | 1 | kept) & all
    }

    /// Counts a line of `key` that came at `now_ms`. `matches` is told which steps it could match to any effect, and
    /// tells which of those it does match.
    pub fn advance(
        &mut self,
        key: Key,
        now_ms: u64,
        matches: impl FnOnce(Steps) -> Steps,
    ) -> Change {
        let found = self.find(key);
        // OK because what is found is there.
        let progress = found.map_or(0, |index| self.slots[usize::from(index)].progress);
        let awaited = self.candidates(progress);
        let matched = awaited & matches(awaited);
        match found {
            Some(index) => self.advance_slot(index, matched, now_ms),
            None => self.begin(key, matched, now_ms),
        }
    }

    fn begin(&mut self, key: Key, after: Steps, now_ms: u64) -> Change {
        let is_hit = self.is_complete(after);
        let kept = self.kept(after);
        let is_kept = kept != 0 || is_hit && self.measure.count > 1;
        let gave_way = is_kept && self.insert(key, kept, now_ms);
        let hits = match is_hit {
            true if is_kept => self.hit(self.newest, now_ms, now_ms),
            is_hit => u16::from(is_hit),
        };
        Change {
            before: 0,
            after,
            late: 0,
            gave_way,
            complete: is_hit && hits >= self.measure.count,
            hits,
            count: self.measure.count,
            length: self.measure.length,
        }
    }

    fn advance_slot(&mut self, index: u16, matched: Steps, now_ms: u64) -> Change {
        let slot = &mut self.slots[usize::from(index)];
        let before = slot.progress;
        let stayed = if self.measure.repeats {
            before & matched
        } else {
            0
        };
        let (mut after, mut late) = (matched, 0);
        // Without a limit no times are kept.
        if !slot.started_ms.is_empty() {
            shift_starts(&mut slot.started_ms, before, stayed, now_ms);
            for (step, started_ms) in slot.started_ms.iter().enumerate() {
                if now_ms.saturating_sub(*started_ms) > self.measure.within_ms {
                    late |= after & (1 << step);
                }
            }
            after &= !late;
        }
        let start_ms = slot.started_ms.last().copied().unwrap_or(now_ms);
        let is_hit = self.is_complete(after);
        let hits = match is_hit {
            true => self.hit(index, start_ms, now_ms),
            false => self.hits.get(usize::from(index)).map_or(0, Hits::count),
        };
        let complete = is_hit && hits >= self.measure.count;
        let (mut kept, mut is_kept) = (self.kept(after), self.measure.count > 1 && hits > 0);
        if complete && self.measure.count > 1 {
            // The key starts over.
            (kept, is_kept) = (0, false);
        }
        self.slots[usize::from(index)].progress = kept;
        if kept == 0 && !is_kept {
            self.remove(index);
        } else {
            self.unlink_from_order(index);
            self.link_as_newest(index);
        }
        Change {
            before,
            after,
            late,
            gave_way: false,
            complete,
            hits,
            count: self.measure.count,
            length: self.measure.length,
        }
    }

    /// Notes that the key of a slot has completed the sequence; tells how often it has.
    fn hit(&mut self, index: u16, start_ms: u64, now_ms: u64) -> u16 {
        let hits = self.hits.get_mut(usize::from(index));
        hits.map_or(1, |hits| hits.add(start_ms, now_ms, self.measure.within_ms))
    }

    fn is_complete(&self, progress: Steps) -> bool {
        progress >> (self.measure.length - 1) & 1 != 0
    }

    /// What remains of a line's progress: the last step has nothing to lead to, and with `repeats` its
    /// repetition must not complete the sequence again.
    fn kept(&self, progress: Steps) -> Steps {
        match (self.is_complete(progress), self.measure.repeats) {
            (true, true) => 0,
            _ => progress & !(1 << (self.measure.length - 1)),
        }
    }

    /// Forgets every key and goes on by another measure.
    pub fn restart(&mut self, measure: Measure) {
        *self = Tracker::new(measure, self.max_keys);
    }

    fn find(&self, key: Key) -> Option<u16> {
        let mut index = *self.buckets.get(self.bucket(key.hash))?;
        while index != NONE {
            // OK because chains and lists hold only indexes of slots, and slots are never taken away.
            let slot = &self.slots[usize::from(index)];
            if slot.hash == key.hash && *slot.key == *key.bytes {
                return Some(index);
            }
            index = slot.next_in_bucket;
        }
        None
    }

    fn bucket(&self, hash: u32) -> usize {
        // OK because there is no bucket to look at while there are none: `get` answers None.
        hash as usize & self.buckets.len().wrapping_sub(1)
    }

    /// Adds a key; true if another had to give way.
    fn insert(&mut self, key: Key, progress: Steps, now_ms: u64) -> bool {
        let gave_way = self.count >= self.max_keys;
        if gave_way {
            self.remove(self.oldest);
        }
        if self.count >= self.buckets.len() {
            self.grow();
        }
        let steps = match self.measure.within_ms {
            NEVER => 0,
            _ => usize::from(self.measure.length),
        };
        let slot = Slot {
            key: key.bytes.into(),
            progress,
            started_ms: [now_ms; 32].get(..steps).unwrap_or_default().into(),
            hash: key.hash,
            next_in_bucket: NONE,
            newer: NONE,
            older: NONE,
        };
        let index = self.store(slot);
        self.link_into_bucket(index);
        self.link_as_newest(index);
        self.count += 1;
        gave_way
    }

    fn store(&mut self, slot: Slot) -> u16 {
        if self.free == NONE {
            // OK because fewer than 65535 slots are in use: insert made room.
            let index = self.slots.len() as u16;
            self.slots.push(slot);
            if self.measure.count > 1 {
                self.hits.push(Hits::default());
            }
            return index;
        }
        let index = self.free;
        let place = &mut self.slots[usize::from(index)];
        self.free = place.next_in_bucket;
        *place = slot;
        index
    }

    fn remove(&mut self, index: u16) {
        self.unlink_from_order(index);
        self.unlink_from_bucket(index);
        let slot = &mut self.slots[usize::from(index)];
        slot.key = Box::default();
        slot.started_ms = Box::default();
        slot.next_in_bucket = self.free;
        self.free = index;
        self.count -= 1;
        if let Some(hits) = self.hits.get_mut(usize::from(index)) {
            *hits = Hits::default();
        }
    }

    /// Doubles the buckets, so that chains stay short and an idle rule has none.
    fn grow(&mut self) {
        let size = (self.buckets.len() * 2).max(16);
        self.buckets = alloc::vec![NONE; size];
        let mut index = self.newest;
        while index != NONE {
            self.link_into_bucket(index);
            index = self.slots[usize::from(index)].older;
        }
    }

    fn link_into_bucket(&mut self, index: u16) {
        let slot = &mut self.slots[usize::from(index)];
        let bucket = slot.hash as usize & (self.buckets.len() - 1);
        slot.next_in_bucket = core::mem::replace(&mut self.buckets[bucket], index);
    }

    fn unlink_from_bucket(&mut self, index: u16) {
        let Slot {
            hash,
            next_in_bucket: next,
            ..
        } = self.slots[usize::from(index)];
        let bucket = self.bucket(hash);
        let mut at = self.buckets[bucket];
        if at == index {
            self.buckets[bucket] = next;
            return;
        }
        while self.slots[usize::from(at)].next_in_bucket != index {
            at = self.slots[usize::from(at)].next_in_bucket;
        }
        self.slots[usize::from(at)].next_in_bucket = next;
    }

    fn link_as_newest(&mut self, index: u16) {
        let second = core::mem::replace(&mut self.newest, index);
        let slot = &mut self.slots[usize::from(index)];
        slot.newer = NONE;
        slot.older = second;
        match second {
            NONE => self.oldest = index,
            second => self.slots[usize::from(second)].newer = index,
        }
    }

    fn unlink_from_order(&mut self, index: u16) {
        let Slot { newer, older, .. } = self.slots[usize::from(index)];
        match newer {
            NONE => self.newest = older,
            newer => self.slots[usize::from(newer)].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[usize::from(older)].newer = newer,
        }
    }
}

/// HalfSipHash-1-3 (Aumasson and Bernstein): short, quick on 32-bit processors, and without the seed
/// nobody can choose keys that fall into one bucket.
/// `seed` should be a secret, and is the same for all keys of a tracker.
pub fn hash(key: &[u8], seed: u64) -> u32 {
    let (low, high) = (seed as u32, (seed >> 32) as u32);
    let mut state = [low, high, 0x6c79_6765 ^ low, 0x7465_6462 ^ high];
    let (words, rest) = key.as_chunks();
    for word in words {
        sip_word(&mut state, u32::from_le_bytes(*word));
    }
    // The bytes that are left come first, and the length last.
    let mut last = 0;
    for byte in rest.iter().rev() {
        last = last << 8 | u32::from(*byte);
    }
    sip_word(&mut state, last | (key.len() as u32) << 24);
    state[2] ^= 0xff;
    (0..3).for_each(|_| sip_round(&mut state));
    state[1] ^ state[3]
}

#[inline(always)]
fn sip_word(state: &mut [u32; 4], word: u32) {
    state[3] ^= word;
    sip_round(state);
    state[0] ^= word;
}

#[inline(always)]
fn sip_round([a, b, c, d]: &mut [u32; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(5) ^ *a;
    *a = a.rotate_left(16);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(8) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(7) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *c;
    *c = c.rotate_left(16);
}

/// Moves the starting times along with the bits: a step reached from the one before takes that one's
/// start, a step that was repeated keeps its own, and of two ways to the same step the later start
/// counts, because it leaves more time.
fn shift_starts(started_ms: &mut [u64], before: Steps, stayed: Steps, now_ms: u64) {
    for step in (1..started_ms.len()).rev() {
        let came = (before >> (step - 1) & 1 != 0).then(|| started_ms[step - 1]);
        let kept = (stayed >> step & 1 != 0).then(|| started_ms[step]);
        started_ms[step] = came.max(kept).unwrap_or(now_ms);
    }
    if let Some(first) = started_ms.first_mut() {
        *first = now_ms;
    }
}
