//! Waking up at a time by the clock that goes on while the machine sleeps.

use super::errno::{Result, check};
use super::fd::{Fd, own};
use super::ffi;

/// A descriptor that is readable from a time on, by the clock of `boot_time_ms`: a machine that slept past it finds it
/// readable when it wakes up, while a sleeping `poll` goes on as if no time had passed.
pub struct Alarm {
    fd: Fd,
    at_ms: u64,
}

impl Alarm {
    /// An alarm that is not set. Fails on kernels before 3.15, which have none for this clock.
    pub fn new() -> Result<Alarm> {
        let (clock, flags) = (
            ffi::CLOCK_BOOTTIME as usize,
            ffi::O_CLOEXEC | ffi::arch::O_NONBLOCK,
        );
        // SAFETY: no memory is involved.
        let fd =
            own(unsafe { ffi::syscall(ffi::arch::SYS_TIMERFD_CREATE, clock, flags as usize) })?;
        Ok(Alarm { fd, at_ms: 0 })
    }

    /// The descriptor to poll for reading.
    pub fn fd(&self) -> &Fd {
        &self.fd
    }

    /// Sets it, in place of what it was set to before.
    pub fn set(&mut self, at_ms: u64) -> Result<()> {
        if self.at_ms == at_ms {
            return Ok(());
        }
        // Not again, and at this time; never is zero.
        let mut times = [ffi::Timespec::default(), ffi::Timespec::default()];
        if let (Ok(seconds), true) = (i64::try_from(at_ms / 1000), at_ms < u64::MAX) {
            times[1].seconds = seconds;
            // OK because a second has 1000 of these.
            times[1].nanoseconds = (at_ms % 1000) as i64 * 1_000_000;
        }
        let (fd, none) = (self.fd.number() as usize, 0usize);
        // SAFETY: the kernel reads two times of its own layout.
        check(unsafe {
            let number = ffi::arch::SYS_TIMERFD_SETTIME;
            ffi::syscall(number, fd, ffi::TFD_TIMER_ABSTIME, &raw const times, none)
        })?;
        self.at_ms = at_ms;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::boot_time_ms;
    use crate::sys::fd::{Poll, poll};

    #[test]
    fn an_alarm_is_heard_at_its_time_and_not_before() {
        let Ok(mut alarm) = Alarm::new() else {
            return;
        };
        let is_heard = |alarm: &Alarm, timeout_ms| {
            let mut polls = [Poll::reading(alarm.fd())];
            poll(&mut polls, timeout_ms).unwrap();
            polls[0].is_ready()
        };
        let at_ms = boot_time_ms() + 50;
        alarm.set(at_ms).unwrap();
        assert!(is_heard(&alarm, 60_000) && boot_time_ms() >= at_ms);
        // Later is another time, and never is none.
        alarm.set(at_ms + 3_600_000).unwrap();
        assert!(!is_heard(&alarm, 0));
        alarm.set(1).unwrap();
        assert!(is_heard(&alarm, 60_000));
        alarm.set(u64::MAX).unwrap();
        assert!(!is_heard(&alarm, 0));
    }
}
