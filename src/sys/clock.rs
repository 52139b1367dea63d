//! Time, by the clock that nobody can set.
//!
//! Every deadline and every age in the program is measured in milliseconds of `CLOCK_BOOTTIME`: it
//! starts at boot, goes on through suspend and does not move when the wall clock is set.

use super::ffi;
use core::ffi::c_int;

/// Milliseconds since the machine booted.
pub fn boot_time_ms() -> u64 {
    let time = read(ffi::CLOCK_BOOTTIME);
    // OK because both are positive, a second has less than 2^32 nanoseconds, and 2^64 milliseconds are more
    // than any machine stays up.
    (time.seconds as u64).wrapping_mul(1000) + u64::from(time.nanoseconds as u32 / 1_000_000)
}

/// Seconds since 1970 by the wall clock, which may be wrong and may jump: for showing and for guessing a
/// missing year only.
pub fn unix_time_s() -> i64 {
    read(ffi::CLOCK_REALTIME).seconds
}

fn read(clock: c_int) -> ffi::Timespec {
    let mut time = ffi::Timespec::default();
    let place = &raw mut time;
    // SAFETY: the structure is filled. That cannot fail for these clocks on any kernel since 2.6.39; if
    // it did, time would stand still at zero.
    unsafe {
        #[cfg(not(target_env = "musl"))]
        ffi::clock_gettime(clock, place);
        // musl would look for the kernel's vDSO first, with a kilobyte of code, for a call a turn.
        #[cfg(target_env = "musl")]
        ffi::syscall(ffi::arch::SYS_CLOCK_GETTIME, clock as usize, place);
    }
    time
}
