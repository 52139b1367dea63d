//! Time, by the clock that nobody can set.
//!
//! Every deadline and every age in the program is measured in milliseconds of `CLOCK_BOOTTIME`: it
//! starts at boot, goes on through suspend and does not move when the wall clock is set. A system that does not tell
//! it ends the program, at the start already.

use super::ffi;
use core::ffi::c_int;

/// Milliseconds since the machine booted.
pub fn boot_time_ms() -> u64 {
    // OK because it is positive.
    read_ms(ffi::CLOCK_BOOTTIME) as u64
}

/// Seconds since 1970 by the wall clock, which may be wrong and may jump: for showing and for guessing a
/// missing year only.
pub fn unix_time_s() -> i64 {
    read(ffi::CLOCK_REALTIME).seconds
}

/// The same in milliseconds, from 1970 on.
pub fn unix_time_ms() -> u64 {
    u64::try_from(read_ms(ffi::CLOCK_REALTIME)).unwrap_or(0)
}

/// Milliseconds since 1970 by the wall clock as file systems read it: up to a tick behind.
pub fn file_time_ms() -> i64 {
    read_ms(ffi::CLOCK_REALTIME_COARSE)
}

/// OK because 2^63 milliseconds are more than any machine stays up; what a file says of its time may be nonsense.
pub(super) fn milliseconds(seconds: i64, nanoseconds: u32) -> i64 {
    seconds
        .wrapping_mul(1000)
        .wrapping_add(i64::from(nanoseconds / 1_000_000))
}

fn read_ms(clock: c_int) -> i64 {
    let time = read(clock);
    // OK because a second has less than 2^32 nanoseconds.
    milliseconds(time.seconds, time.nanoseconds as u32)
}

fn read(clock: c_int) -> ffi::Timespec {
    let time = ask(clock);
    #[cfg(target_pointer_width = "32")]
    let time = time.or_else(|| ask_for_32_bits(clock));
    // If time stood still, nothing would ever be closed again.
    time.unwrap_or_else(|| super::end(b"the system does not tell the time"))
}

fn ask(clock: c_int) -> Option<ffi::Timespec> {
    let mut time = ffi::Timespec::default();
    let place = &raw mut time;
    // SAFETY: the structure is filled.
    let answer = unsafe {
        #[cfg(not(target_env = "musl"))]
        {
            ffi::clock_gettime(clock, place)
        }
        // musl would look for the kernel's vDSO first, with a kilobyte of code, for a call a turn.
        #[cfg(target_env = "musl")]
        {
            ffi::syscall(ffi::arch::SYS_CLOCK_GETTIME, clock as usize, place)
        }
    };
    (answer == 0).then_some(time)
}

/// By the call that 32-bit machines have had from the beginning: kernels before 5.1 have no other, and a filter of
/// system calls may know no other.
#[cfg(target_pointer_width = "32")]
fn ask_for_32_bits(clock: c_int) -> Option<ffi::Timespec> {
    let mut time = [0i32; 2];
    let (number, place) = (ffi::arch::SYS_CLOCK_GETTIME32, &raw mut time);
    // SAFETY: the structure is two words, which are filled.
    let answer = unsafe { ffi::syscall(number, clock as usize, place) };
    let [seconds, nanoseconds] = time.map(i64::from);
    (answer == 0).then_some(ffi::Timespec {
        seconds,
        nanoseconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_ask_for_the_time_tells_the_same() {
        for clock in [ffi::CLOCK_BOOTTIME, ffi::CLOCK_REALTIME] {
            let known = ask(clock).unwrap();
            assert!(known.seconds > 0);
            #[cfg(target_pointer_width = "32")]
            {
                let other = ask_for_32_bits(clock).unwrap();
                assert!((known.seconds..known.seconds + 60).contains(&other.seconds));
                assert!((0..1_000_000_000).contains(&other.nanoseconds));
            }
        }
        assert!(ask(-1).is_none());
    }
}
