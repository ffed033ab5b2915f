//! How much work a turn of a loop is found to be.
//!
//! What is [expected](wasmrun_runtime::Work) of a body is ten times too much for the main loops of some interpreters, which would be compiled before all
//! else for that. But there is no more in a turn than there is time for.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::lock::lock;

/// Bytes of bodies that tier 0 executes in a nanosecond at best: an instruction has two or three of them.
const FASTEST: u128 = 2;

/// For loops of a module, by function and offset, how many bytes a turn can have executed, in the mean of the last few times that it was seen.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<(u32, u32), u32>>);

impl Turns {
    /// Bytes that a turn of a loop executes: as many as are expected, if there is time for that. `took` is what a turn took just now, if that was
    /// seen.
    pub(super) fn bytes(&self, of: (u32, u32), expected: u32, took: Option<Duration>) -> u32 {
        let mut turns = lock(&self.0);
        if let Some(took) = took {
            let most = u32::try_from(took.as_nanos() * FASTEST).unwrap_or(u32::MAX).max(1);
            let mean = turns.entry(of).or_insert(most);
            *mean = *mean - *mean / 4 + most / 4;
        }
        turns.get(&of).map_or(expected, |mean| expected.min(*mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_more_in_a_turn_than_there_is_time_for() {
        let (turns, of) = (Turns::default(), (3, 50));
        assert_eq!(turns.bytes(of, 1000, None), 1000, "nothing has been seen");
        assert_eq!(turns.bytes(of, 1000, Some(Duration::from_nanos(100))), 200);
        assert_eq!(turns.bytes(of, 1000, None), 200);
        assert_eq!(turns.bytes(of, 50, None), 50, "there was time for more");
        assert_eq!(turns.bytes((3, 60), 1000, None), 1000, "that is another loop");
        assert!(turns.bytes(of, 1000, Some(Duration::MAX)) == 1000, "once it took longer");
        let last = (0..100).map(|_| turns.bytes(of, 1000, Some(Duration::from_nanos(20)))).last();
        assert!(last < Some(60), "{last:?}");
        assert_eq!(turns.bytes((0, 1), 1000, Some(Duration::ZERO)), 1);
    }
}
