//! How much work a turn of a loop is found to be.
//!
//! What is [expected](wasmrun_runtime::Work) of a body is ten times too much for the main loops of some interpreters, which would be compiled before all
//! else for that. But there is no more in a turn than there is time for.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::lock::lock;

/// Bytes of bodies that tier 0 executes in a nanosecond at best: an instruction has two or three of them.
const FASTEST: u64 = 2;

/// For loops of a module, by function and offset, how many sixteenths of a byte a turn can have executed, in the mean of the last few times that it
/// was seen.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<(u32, u32), u64>>);

const SIXTEENTHS: u64 = 16;

impl Turns {
    /// Bytes that a turn of a loop executes: as many as are expected, if there is time for that. `took` is how long it has just taken to
    /// count so many turns and whatever else is counted between them, if that was seen.
    pub(super) fn bytes(&self, of: (u32, u32), expected: u32, took: Option<(Duration, u32)>) -> u32 {
        let mut turns = lock(&self.0);
        if let Some((took, count)) = took {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            let most = nanos.saturating_mul(FASTEST * SIXTEENTHS) / u64::from(count.max(1));
            let mean = turns.entry(of).or_insert(most);
            *mean = *mean - *mean / 4 + most / 4;
        }
        let most = turns.get(&of).map_or(u64::MAX, |mean| (mean / SIXTEENTHS).max(1));
        expected.min(u32::try_from(most).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_more_in_a_turn_than_there_is_time_for() {
        let (turns, of) = (Turns::default(), (3, 50));
        assert_eq!(turns.bytes(of, 1000, None), 1000, "nothing has been seen");
        assert_eq!(turns.bytes(of, 1000, Some((Duration::from_nanos(1000), 10))), 200);
        assert_eq!(turns.bytes(of, 1000, None), 200);
        assert_eq!(turns.bytes(of, 50, None), 50, "there was time for more");
        assert_eq!(turns.bytes((3, 60), 1000, None), 1000, "that is another loop");
        assert_eq!(turns.bytes(of, 1000, Some((Duration::MAX, 1))), 1000, "once it took longer");
        let last = |nanos, count| {
            let took = Some((Duration::from_nanos(nanos), count));
            (0..200).map(|_| turns.bytes(of, 1000, took)).last()
        };
        assert_eq!(last(20, 1), Some(40));
        assert_eq!(last(100, 125), Some(1));
        assert_eq!(last(440, 125), Some(7), "nanoseconds are not rounded");
        assert_eq!(turns.bytes((0, 1), 1000, Some((Duration::ZERO, 0))), 1);
    }
}
