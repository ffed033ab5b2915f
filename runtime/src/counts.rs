//! How often the instructions of a module are executed, where somebody wants to know.
//!
//! Code counts *segments*, the straight lines that fuel is paid for at once (see [`crate::fuel`]). That at the entry of a
//! function is named by the offset in the module of the function's body, any other by that of the instruction which ended the
//! one before: a branch, a call, the `end` of a block. Its counter goes up before its first instruction; one without any is
//! not counted. Instructions are what is not structure alone ([`is_counted`]). A `loop` is executed at each turn: it is in the
//! segment that it begins, and not in the one that it ends.
//!
//! Code that traps does not come to the end of its segment. As segments end at calls, that happens in the frame alone that
//! traps, and whoever comes by the trap notes the place here ([`Counts::note_stop`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmparser::Operator;

use crate::module::Module;
use crate::trap::{Pending, Trap};

/// How often segments have been executed. Goes up while code runs.
pub type Counter = AtomicU64;

/// What the code of a module counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// By number among those that the module defines.
    functions: Box<[Mutex<OfFunction>]>,
}

/// What the code of a function counts.
#[derive(Debug, Default)]
struct OfFunction {
    /// By the names of the segments that code has been made of, for any tier.
    segments: BTreeMap<u32, Arc<Counter>>,
    /// How often code stopped for good in the middle of a segment, by the offset of the last instruction that was begun.
    stops: BTreeMap<u32, u64>,
}

impl Counts {
    /// Counts of so many functions.
    pub(crate) fn new(functions: usize) -> Counts {
        Counts { functions: (0..functions).map(|_| Mutex::default()).collect() }
    }

    /// The counter of a segment of a function, by its number among those that the module defines. It lives as long as this.
    pub fn counter(&self, defined: u32, segment: u32) -> *const Counter {
        Arc::as_ptr(self.of(defined).segments.entry(segment).or_default())
    }

    /// Notes that code of a function that `module` defines has stopped for good, for this reason, at the instruction at this
    /// offset in the module.
    pub fn note_stop(&self, module: &Module, function: u32, at: u32, reason: &Pending) {
        let Some(defined) = function.checked_sub(module.imported_function_count()) else { return };
        let body = module.function_body(function).expect("the module defines it");
        let first = body.get_operators_reader().expect("validated body").original_position() as u32;
        // Where a function or the turn of a loop begins there is a poll, and fuel is paid, before anything is counted.
        let is_header = module.bytes()[at as usize] == LOOP;
        if !is_header && (at != first || !is_of_a_poll(reason)) {
            *self.of(defined).stops.entry(at).or_default() += 1;
        }
    }

    /// What has been counted of a function by now, by its number among those that the module defines.
    pub fn now(&self, defined: u32) -> Counted {
        let function = self.of(defined);
        let read = |(segment, counter): (&u32, &Arc<Counter>)| (*segment, counter.load(Ordering::Relaxed));
        Counted { segments: function.segments.iter().map(read).collect(), stops: function.stops.clone() }
    }

    /// What has been counted of all functions by now, in order.
    pub fn all_now(&self) -> Box<[Counted]> {
        (0..self.functions.len() as u32).map(|defined| self.now(defined)).collect()
    }

    fn of(&self, defined: u32) -> MutexGuard<'_, OfFunction> {
        self.functions[defined as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What had been counted of a function at some moment.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    segments: BTreeMap<u32, u64>,
    stops: BTreeMap<u32, u64>,
}

impl Counted {
    /// How often each instruction of a function that `module` defines, and whose code has counted this, had been executed: offset in the
    /// module, what it is, and the number.
    pub fn instructions<'c>(
        &'c self,
        module: &'c Module,
        function: u32,
    ) -> impl Iterator<Item = (u32, Operator<'c>, u64)> {
        let body = module.function_body(function).expect("the module defines it");
        let mut operators = body.get_operators_reader().expect("validated body");
        let executed = |segment: u32| self.segments.get(&segment).copied();
        // How often the code here is executed. It is not come to where nothing has counted it.
        let start = module.body(function).map_or(0, |body| body.start);
        let mut here = executed(start).unwrap_or(0);
        let next = move || {
            if operators.eof() {
                return None;
            }
            let at = operators.original_position() as u32;
            let operator = operators.read().expect("validated operators");
            if matches!(operator, Operator::Loop { .. }) {
                here = executed(at).unwrap_or(0);
            }
            let found = is_counted(&operator).then(|| (at, operator.clone(), here));
            // Of the largest functions it is not known where they stop.
            here = here.saturating_sub(self.stops.get(&at).copied().unwrap_or(0));
            if ends_segment(&operator) {
                // Nothing has counted what is never come to, as behind a call that never returns.
                here = 0;
            }
            here = executed(at).unwrap_or(here);
            Some(found)
        };
        std::iter::from_fn(next).flatten()
    }
}

/// The byte that a `loop` is written as.
const LOOP: u8 = 0x03;

/// Whether code stops for this reason where it has not begun an instruction.
fn is_of_a_poll(reason: &Pending) -> bool {
    match reason {
        Pending::Trap(trap) => {
            matches!(trap, Trap::StackOverflow | Trap::OutOfFuel | Trap::Interrupt | Trap::Deadline)
        }
        Pending::Host(_) | Pending::Panic(_) => true,
        Pending::Exception => false,
    }
}

/// Whether an operator is an instruction, and no end of a part of a block.
pub fn is_counted(operator: &Operator<'_>) -> bool {
    use Operator::{Catch, CatchAll, Delegate, Else, End};
    !matches!(operator, End | Else | Catch { .. } | CatchAll | Delegate { .. })
}

/// Whether what is behind an operator is another segment, if it is come to at all. That at the `end` of a block may be the same.
fn ends_segment(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::If { .. }
            | Operator::Else
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::BrIf { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Unreachable
            | Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::Rethrow { .. }
    )
}
