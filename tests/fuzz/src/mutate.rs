//! New inputs out of old ones, all from one seed.

/// Longer inputs are cut.
pub const MAX_INPUT: usize = 4096;

/// Marsaglia's xorshift64*: small, quick, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // OK because no input is so long that the remainder's bias counts.
        (self.next() >> 16) as usize % end.max(1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Changes `input` in one to eight places. `other` is another input to take parts from.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], words: &[&str], random: &mut Random) {
    for _ in 0..1 << random.below(4) {
        mutate_once(input, other, words, random);
    }
    input.truncate(MAX_INPUT);
}

fn mutate_once(input: &mut Vec<u8>, other: &[u8], words: &[&str], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let length = match random.below(4) {
        0 => random.below(input.len() - at + 1),
        _ => random.below((input.len() - at).min(8) + 1),
    };
    let end = at + length;
    match random.below(12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => {
            let step = random.below(9) as u8;
            if let Some(byte) = input.get_mut(at) {
                *byte = byte.wrapping_add(step).wrapping_sub(4);
            }
        }
        3 | 4 => drop(input.drain(at..end)),
        5 => {
            let byte = *random.pick(b"\0\x01\t\n \"#%'*+-.0:?[\\]^_{|}\x7f\x80\xc3\xff");
            let times = [1, 1, 2, 70][random.below(4)];
            input.splice(at..at, std::iter::repeat_n(byte, times));
        }
        6 => {
            let copy = input[at..end].to_vec();
            let to = random.below(input.len() + 1);
            let times = [1, 1, 2, 40][random.below(4)];
            input.splice(to..to, copy.repeat(times));
        }
        7 | 8 => {
            let from = random.below(other.len() + 1);
            let length = random.below(other.len() - from + 1);
            input.splice(at..end, other[from..from + length].iter().copied());
        }
        9 => {
            let digits = match random.below(4) {
                0 => random.below(10).to_string(),
                1 => random.below(300).to_string(),
                2 => (1u128 << random.below(70)).to_string(),
                _ => random.next().to_string(),
            };
            input.splice(at..end, digits.into_bytes());
        }
        _ if words.is_empty() => {}
        10 => drop(input.splice(at..at, random.pick(words).bytes())),
        _ => drop(input.splice(at..end, random.pick(words).bytes())),
    }
}
