//! What is remembered from one report of tier 0 on what is warm to the next, for who decides what is compiled.

use std::ptr;
use std::time::{Duration, Instant};

/// A frame that is found in a loop, time and again.
#[derive(Debug)]
pub struct Stay {
    function: u32,
    frame: *mut u64,
    times: u32,
}

impl Stay {
    /// Notes that a function was found in a loop, in this frame, or at its entry, with none. Returns how many times in a
    /// row it was found in a loop in this frame.
    pub fn note(&mut self, function: u32, frame: *mut u64) -> u32 {
        let same = function == self.function && frame == self.frame && !frame.is_null();
        // The entry of another function says nothing of a frame that may have called it.
        if !frame.is_null() || function == self.function {
            *self = Stay { function, frame, times: if same { self.times.saturating_add(1) } else { 1 } };
        }
        if frame.is_null() { 0 } else { self.times }
    }
}

/// A loop and when something was told of it, if nothing has been told of anything else since.
#[derive(Debug)]
pub struct Turning(Option<(u32, u32, Instant)>);

impl Turning {
    /// Notes that the loop at this offset is told of, or with 0 the function's entry. Returns the time since that was so the last time,
    /// if nothing else was told of meanwhile.
    pub fn note(&mut self, function: u32, at: u32) -> Option<Duration> {
        if at == 0 {
            self.0 = None;
            return None;
        }
        let now = Instant::now();
        let last = self.0.replace((function, at, now));
        last.filter(|last| (last.0, last.1) == (function, at)).map(|(_, _, then)| now - then)
    }
}

/// What the last reports of an execution context were of.
#[derive(Debug)]
pub struct Reported {
    /// The frame that was in a loop.
    pub stay: Stay,
    /// The loop.
    pub turning: Turning,
}

impl Reported {
    /// There has been no report.
    pub(super) const NOTHING: Reported =
        Reported { stay: Stay { function: 0, frame: ptr::null_mut(), times: 0 }, turning: Turning(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stays_while_reports_are_of_it_or_of_the_entries_of_other_functions() {
        let [one, other] = [8, 16].map(ptr::without_provenance_mut);
        let mut stay = Reported::NOTHING.stay;
        let frames = [
            (1, one),
            (1, one),
            (2, ptr::null_mut()),
            (1, one),
            (1, ptr::null_mut()),
            (1, one),
            (1, other),
            (2, other),
        ];
        let times = frames.map(|(function, frame)| stay.note(function, frame));
        assert_eq!(times, [1, 2, 0, 3, 0, 1, 1, 1]);
    }

    #[test]
    fn the_time_of_turns_is_known_where_nothing_else_is_told_of_meanwhile() {
        let mut turning = Reported::NOTHING.turning;
        let is_known = [(1, 8), (1, 8), (1, 9), (1, 8), (2, 8), (2, 8), (2, 8), (3, 0), (2, 8), (2, 8)]
            .map(|(function, at)| turning.note(function, at).is_some());
        assert_eq!(is_known, [false, true, false, false, false, true, true, false, false, true]);
    }
}
