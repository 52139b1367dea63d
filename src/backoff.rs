//! Trying again: after 1 s, then after twice as long each time, up to 60 s.

/// A time that never comes, in milliseconds like all others.
pub const NEVER: u64 = u64::MAX;

/// So many milliseconds later; at most [`NEVER`].
#[inline(never)]
pub fn after(now_ms: u64, ms: u64) -> u64 {
    now_ms.saturating_add(ms)
}

/// How many seconds to wait after so many failures before the one that was just seen.
pub fn delay_s(failures: u32) -> u32 {
    // OK because 1 << 6 is beyond the longest delay already.
    (1 << failures.min(6)).min(60)
}

/// The time after a delay in seconds.
pub fn after_s(now_ms: u64, delay_s: u32) -> u64 {
    after(now_ms, u64::from(delay_s * 1000))
}

/// When to try something again that has failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Backoff {
    failures: u32,
    at_ms: u64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            failures: 0,
            at_ms: NEVER,
        }
    }
}

impl Backoff {
    /// When the next try is due; [`NEVER`] after a success.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// Whether the next try is due.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.at_ms <= now_ms
    }

    /// How often it has failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes that a try has begun: nothing is due until it fails.
    pub fn begin(&mut self) {
        self.at_ms = NEVER;
    }

    /// Notes a failure.
    pub fn fail(&mut self, now_ms: u64) {
        self.at_ms = after_s(now_ms, delay_s(self.failures));
        self.failures = self.failures.saturating_add(1);
    }

    /// Notes a success.
    pub fn succeed(&mut self) {
        *self = Backoff::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        assert!(!backoff.is_due(NEVER - 1));
        let mut delays = std::vec::Vec::new();
        for _ in 0..9 {
            backoff.fail(5);
            delays.push((backoff.at_ms() - 5) / 1000);
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!backoff.is_due(60_004) && backoff.is_due(60_005));
        backoff.succeed();
        backoff.fail(0);
        assert_eq!(backoff.at_ms(), 1000);
    }
}
