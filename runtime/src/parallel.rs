//! Work on all cores, for validation and for compilers.

use std::num::NonZero;
use std::{panic, thread};

/// More threads than this would wait for memory and for each other.
const MOST: usize = 16;

/// Bytes of the stack of a thread that validates or compiles, whatever the environment has as a default: they use less than a
/// tenth.
pub const STACK_SIZE: usize = 2 << 20;

/// Runs `worker` on this thread and, when that is worth while, at the same time on others, one for each further
/// core. Returns what each has returned, this thread's first; a panic of one goes on here.
///
/// The workers share the work among themselves. A thread that cannot be started is not missed.
pub fn on_all_cores<R: Send>(worth_while: bool, worker: impl Fn() -> R + Sync) -> Vec<R> {
    // Asking for the number of cores reads files of the system.
    let cores = if worth_while { thread::available_parallelism().map_or(1, NonZero::get) } else { 1 };
    if cores == 1 {
        return vec![worker()];
    }
    thread::scope(|scope| {
        let handles: Vec<_> = (1..cores.min(MOST))
            .filter_map(|_| thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, &worker).ok())
            .collect();
        let mut results = vec![worker()];
        let join = |handle: thread::ScopedJoinHandle<'_, R>| {
            handle.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
        };
        results.extend(handles.into_iter().map(join));
        results
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_work_is_done_once_by_however_many_threads() {
        for worth_while in [false, true] {
            let next = AtomicUsize::new(0);
            let sums = on_all_cores(worth_while, || {
                std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
                    .take_while(|n| *n < 1000)
                    .sum::<usize>()
            });
            assert_eq!(sums.iter().sum::<usize>(), 499_500);
            assert!(worth_while || sums.len() == 1);
        }
    }
}
