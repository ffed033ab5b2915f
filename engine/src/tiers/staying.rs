//! Loops that frames of tier 0 stay in, and which of them get code of their own.
//!
//! A frame that stays in a loop is not helped by code of its function, which only calls find. So a loop gets code, in which the
//! frame goes on when it comes to the header again: once the frame has done work enough there. It is
//! the outermost loop that still turns, so that the compiler sees as much of the work as it can, or the main loop of a large function, whose code
//! is that of the function as well. Whether the loops around turn is watched meanwhile. The one that is chosen may have turned its last time: then frames go on doing work in tier 0 although
//! there is code, and after a while the loop that they are in gets code too.

use std::collections::HashMap;
use std::mem;
use std::sync::Mutex;

use wasmrun_runtime::module::MemoryPlan;

use crate::lock::lock;

/// A loop, in instances of one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Loop {
    pub(super) plan: MemoryPlan,
    pub(super) function: u32,
    /// Offset in the module of its operator.
    pub(super) at: u32,
}

/// The loops of a module that frames have been found to stay in, and those that were chosen for them.
#[derive(Debug, Default)]
pub(super) struct StayingLoops(Mutex<HashMap<Loop, State>>);

#[derive(Debug, Default)]
struct State {
    /// Bytes that have been executed there by frames that stay, since the compiler has answered if it has.
    done: u64,
    stage: Stage,
    code: Code,
    /// How often its code was asked for in vain, for a reason that may pass.
    in_vain: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    New,
    /// The loops around are watched.
    Watched,
    /// The code of this one, which is around it, has been asked for.
    Chosen(Loop),
    /// The compiler has answered.
    Answered,
    /// Its own code has been asked for.
    Settled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Code {
    #[default]
    None,
    Asked,
    /// There is code, or there will be none.
    Answered,
}

/// What is to be done about a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Watch the loops around it.
    Watch,
    /// Choose one of those that turn.
    Choose,
    /// Take this one.
    Insist,
}

/// How many bytes frames execute in a loop before something is done about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before a loop is chosen. The loops around are watched from half of that on.
    pub(super) enough: u64,
    /// After the compiler has answered, before it is this loop's turn.
    pub(super) too_many: u64,
}

impl StayingLoops {
    /// Notes that frames that stay in a loop have executed so many bytes there. Returns what is to be done about it by now.
    pub(super) fn stays_in(&self, of: Loop, bytes: u64, patience: Patience) -> Option<Step> {
        let mut loops = lock(&self.0);
        let state = loops.entry(of).or_default();
        state.done = state.done.saturating_add(bytes);
        // Each time that was in vain, twice as much is enough.
        let enough = match state.in_vain {
            0 => patience.enough,
            times => (patience.enough + 1).saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX)),
        };
        let (stage, step) = match state.stage {
            Stage::New if state.done >= enough / 2 => (Stage::Watched, Step::Watch),
            Stage::Watched if state.done >= enough => (Stage::Watched, Step::Choose),
            Stage::Answered if state.done >= patience.too_many => (Stage::Settled, Step::Insist),
            _ => return None,
        };
        state.stage = stage;
        Some(step)
    }

    /// Notes that the code of a loop is asked for, for frames that stay in `of`. Whether that is for the first time.
    pub(super) fn ask(&self, chosen: Loop, of: Loop) -> bool {
        let mut loops = lock(&self.0);
        let code = &mut loops.entry(chosen).or_default().code;
        let before = *code;
        if before == Code::None {
            *code = Code::Asked;
        }
        let state = loops.entry(of).or_default();
        state.stage = match before {
            _ if chosen == of => Stage::Settled,
            Code::Answered => Stage::Answered,
            Code::None | Code::Asked => Stage::Chosen(chosen),
        };
        if state.stage == Stage::Answered {
            state.done = 0;
        }
        before == Code::None
    }

    /// Notes that there is code of a loop, or that there will be none.
    pub(super) fn answered(&self, chosen: Loop) {
        let mut loops = lock(&self.0);
        loops.entry(chosen).or_default().code = Code::Answered;
        for state in loops.values_mut().filter(|state| state.stage == Stage::Chosen(chosen)) {
            *state = State { done: 0, stage: Stage::Answered, ..mem::take(state) };
        }
    }

    /// Notes that there is no code of a loop for now: frames that stay there ask again.
    pub(super) fn put_off(&self, chosen: Loop) {
        let mut loops = lock(&self.0);
        loops.entry(chosen).or_default().code = Code::None;
        let is_for_it = |of: Loop, stage| match stage {
            Stage::Chosen(loop_) => loop_ == chosen,
            Stage::Settled => of == chosen,
            _ => false,
        };
        for (_, state) in loops.iter_mut().filter(|(of, state)| is_for_it(**of, state.stage)) {
            let in_vain = state.in_vain.saturating_add(1);
            *state = State { done: 0, stage: Stage::New, in_vain, ..mem::take(state) };
        }
    }

    /// Whether somebody waits for code of a loop.
    pub(super) fn is_awaited(&self, of: Loop) -> bool {
        lock(&self.0).get(&of).is_some_and(|state| state.code == Code::Asked)
    }

    /// Whether there is code of a loop, or will be none.
    pub(super) fn has_answer(&self, of: Loop) -> bool {
        lock(&self.0).get(&of).is_some_and(|state| state.code == Code::Answered)
    }

    /// Bytes that frames that stay in a loop have executed there.
    pub(super) fn done(&self, of: Loop) -> u64 {
        lock(&self.0).get(&of).map_or(0, |state| state.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Loop = Loop { plan: MemoryPlan::Guarded, function: 3, at: 50 };
    const OUTER: Loop = Loop { at: 20, ..INNER };
    const PATIENCE: Patience = Patience { enough: 100, too_many: 300 };

    #[test]
    fn a_loop_is_watched_then_one_is_chosen_and_if_that_does_not_help_it_is_this_one() {
        let loops = StayingLoops::default();
        let steps =
            |times| (0..times).filter_map(|_| loops.stays_in(INNER, 10, PATIENCE)).collect::<Vec<_>>();
        assert_eq!(steps(4), []);
        assert_eq!(steps(5), [Step::Watch]);
        assert_eq!(steps(1), [Step::Choose]);
        assert!(loops.ask(OUTER, INNER));
        assert!(!loops.ask(OUTER, INNER));
        assert_eq!(steps(1000), [], "the compiler is at it");
        loops.answered(OUTER);
        assert_eq!(steps(29), []);
        assert_eq!(steps(1), [Step::Insist]);
        assert!(loops.ask(INNER, INNER));
        assert!(!loops.has_answer(INNER));
        loops.answered(INNER);
        assert!(loops.has_answer(INNER));
        assert_eq!(steps(1000), []);
    }

    #[test]
    fn who_comes_after_the_answer_waits_as_long() {
        let loops = StayingLoops::default();
        assert!(loops.ask(OUTER, OUTER));
        loops.answered(OUTER);
        loops.stays_in(INNER, 1000, PATIENCE);
        assert!(!loops.ask(OUTER, INNER));
        assert_eq!(loops.stays_in(INNER, 299, PATIENCE), None);
        assert_eq!(loops.stays_in(INNER, 1, PATIENCE), Some(Step::Insist));
    }

    #[test]
    fn who_was_put_off_asks_again_after_twice_as_much() {
        let loops = StayingLoops::default();
        let steps =
            |times| (0..times).filter_map(|_| loops.stays_in(INNER, 10, PATIENCE)).collect::<Vec<_>>();
        for (chosen, enough) in [(OUTER, 10), (INNER, 21), (INNER, 41)] {
            assert_eq!(steps(enough - 1), [Step::Watch], "{enough}");
            assert_eq!(steps(1), [Step::Choose], "{enough}");
            assert!(loops.ask(chosen, INNER) && loops.is_awaited(chosen));
            assert_eq!(steps(1000), [], "the compiler is at it");
            loops.put_off(chosen);
            assert!(!loops.is_awaited(chosen) && !loops.has_answer(chosen));
        }
        assert!(loops.ask(INNER, INNER));
        loops.answered(INNER);
        assert_eq!(steps(1000), []);
    }

    #[test]
    fn without_patience_each_report_is_a_step() {
        let loops = StayingLoops::default();
        let none = Patience { enough: 0, too_many: 1 };
        assert_eq!(loops.stays_in(INNER, 1, none), Some(Step::Watch));
        assert_eq!(loops.stays_in(INNER, 1, none), Some(Step::Choose));
    }
}
