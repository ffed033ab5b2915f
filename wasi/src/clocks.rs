//! The two clocks that guests may read.
//!
//! Invariants: the resolution is never 0; the monotonic clock starts near 0 with the instance, so that it does not
//! tell how long the host has been up, but never reads 0, which the run-time systems of some languages take for a
//! broken clock; times before 1970 read as 0 and times after 2554 as the largest number. The CPU-time clocks of the
//! specification are refused: answering with another clock's time, as some hosts do, is worse.
//!
//! Used by `clock_*` and by `poll_oneoff`, which on a virtual clock jumps to the deadline instead of sleeping.

use crate::Errno;
use crate::abi::clockid;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clocks of a guest.
#[derive(Clone, Debug)]
pub struct Clocks(Source);

#[derive(Clone, Debug)]
enum Source {
    Real { started: Instant },
    Virtual { start: u64, elapsed: u64, step: u64 },
}

impl Clocks {
    /// The host's clocks. The monotonic clock starts now.
    pub fn real() -> Clocks {
        Clocks(Source::Real { started: Instant::now() })
    }

    /// A clock that always shows the same time, in nanoseconds after 1970, except that sleeping moves it.
    pub fn fixed(time: u64) -> Clocks {
        Clocks::virtual_time(time, 0)
    }

    /// A clock that starts at a time in nanoseconds after 1970 and moves by `step` nanoseconds with every reading, so
    /// that guests that wait in a loop for time to pass come to an end. A guest sees the same times in every run.
    pub fn virtual_time(start: u64, step: u64) -> Clocks {
        Clocks(Source::Virtual { start, elapsed: 0, step })
    }

    /// Whether time passes only when it is read or slept away.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Source::Virtual { .. })
    }

    /// The resolution of a clock in nanoseconds.
    ///
    /// # Errors
    /// [`Errno::Inval`] for clocks other than realtime and monotonic.
    pub fn resolution(&self, id: u32) -> Result<u64, Errno> {
        let host = match u8::try_from(id) {
            Ok(clockid::REALTIME) => rustix::time::ClockId::Realtime,
            Ok(clockid::MONOTONIC) => rustix::time::ClockId::Monotonic,
            _ => return Err(Errno::Inval),
        };
        Ok(match self.0 {
            Source::Real { .. } => {
                let resolution = rustix::time::clock_getres(host);
                (resolution.tv_sec as u64)
                    .saturating_mul(1_000_000_000)
                    .saturating_add(resolution.tv_nsec as u64)
            }
            Source::Virtual { step, .. } => step,
        }
        .max(1))
    }

    /// Reads a clock, in nanoseconds.
    ///
    /// # Errors
    /// [`Errno::Inval`] for clocks other than realtime and monotonic.
    #[inline]
    pub fn now(&mut self, id: u32) -> Result<u64, Errno> {
        let time = self.peek(id)?;
        if let Source::Virtual { elapsed, step, .. } = &mut self.0 {
            *elapsed = elapsed.saturating_add(*step);
        }
        Ok(time)
    }

    /// Reads a clock without moving it.
    #[inline]
    pub(crate) fn peek(&self, id: u32) -> Result<u64, Errno> {
        let realtime = match u8::try_from(id) {
            Ok(clockid::REALTIME) => true,
            Ok(clockid::MONOTONIC) => false,
            _ => return Err(Errno::Inval),
        };
        Ok(match &self.0 {
            Source::Real { .. } if realtime => {
                nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
            }
            Source::Real { started } => nanoseconds(started.elapsed()).saturating_add(1),
            Source::Virtual { start, elapsed, .. } if realtime => start.saturating_add(*elapsed),
            Source::Virtual { elapsed, .. } => elapsed.saturating_add(1),
        })
    }

    /// Moves a virtual clock forward; does nothing to a real one.
    pub(crate) fn advance(&mut self, by: u64) {
        if let Source::Virtual { elapsed, .. } = &mut self.0 {
            *elapsed = elapsed.saturating_add(by);
        }
    }

    /// One line for reports.
    pub(crate) fn describe(&self) -> &'static str {
        match self.0 {
            Source::Real { .. } => "real",
            Source::Virtual { step: 0, .. } => "fixed",
            Source::Virtual { .. } => "virtual",
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_with_readings_and_saturates() {
        let mut clocks = Clocks::virtual_time(100, 7);
        assert_eq!(clocks.now(0), Ok(100));
        assert_eq!(clocks.now(1), Ok(8));
        assert_eq!(clocks.now(0), Ok(114));
        clocks.advance(u64::MAX);
        assert_eq!(clocks.now(0), Ok(u64::MAX));
        assert_eq!(clocks.now(1), Ok(u64::MAX));
    }

    #[test]
    fn no_clock_has_resolution_zero() {
        for clocks in [Clocks::real(), Clocks::fixed(0), Clocks::virtual_time(0, 5)] {
            assert!(clocks.resolution(0).unwrap() > 0);
            assert!(clocks.resolution(1).unwrap() > 0);
        }
    }

    #[test]
    fn the_monotonic_clock_starts_with_the_instance_and_never_reads_zero() {
        let mut clocks = Clocks::real();
        let first = clocks.now(1).unwrap();
        assert!(first > 0);
        assert!(clocks.now(1).unwrap() >= first);
        assert_eq!(Clocks::fixed(0).now(1), Ok(1));
    }

    #[test]
    fn clocks_of_cpu_time_are_refused() {
        for id in [2, 3, 4, u32::MAX, 256] {
            assert_eq!(Clocks::real().now(id), Err(Errno::Inval));
            assert_eq!(Clocks::real().resolution(id), Err(Errno::Inval));
        }
    }
}
