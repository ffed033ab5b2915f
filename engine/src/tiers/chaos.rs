//! A policy that only tests want: tiers change at random, so that every change happens in every place.
//!
//! The same seed makes the same changes, as long as one thread runs guest code.

use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use wasmrun_interpreter::Loops;
use wasmrun_jit::code::InstalledFunction;
use wasmrun_jit::compile::Start;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::vm::{ExecContext, Place, VmContext};

use super::compiler::{Compiler, guarded};
use super::module_tiers::ModuleTiers;
use super::staying::Loop;
use crate::lock::lock;

/// How many times the code of a function is published: what has been published is kept.
const MAX_PUBLICATIONS: u32 = 20;

/// Frames of a module that leave compiled code often; from then on they do so rarely, as there are programs to be finished.
const OFTEN: u32 = 500;

/// The policy.
pub(super) struct Chaos {
    compiler: Arc<Compiler>,
    state: AtomicU64,
}

/// What has been compiled of a module, to be found again.
#[derive(Debug, Default)]
pub(super) struct Known {
    functions: Mutex<HashMap<(MemoryPlan, u32), Entry>>,
    /// Addresses of the code of loops, which the module keeps; `None` where there cannot be any.
    loops: Mutex<HashMap<Loop, Option<usize>>>,
    /// Frames that have left compiled code.
    left: AtomicU32,
}

#[derive(Debug)]
struct Entry {
    code: Option<Arc<InstalledFunction>>,
    publications: u32,
}

impl Chaos {
    pub(super) fn new(compiler: Arc<Compiler>, seed: u64) -> Chaos {
        Chaos { compiler, state: AtomicU64::new(seed) }
    }

    /// Lets the code of a store change its tier. This stays where it is as long as the store does.
    pub(super) fn attach(&self, exec: &mut ExecContext) {
        exec.native.policy = ptr::from_ref(self).cast();
        exec.native.entries.counted = Some(counted);
        exec.native.entries.leaves = Some(leaves);
        exec.set_interval(1);
        exec.polls_often = true;
    }

    /// A number below `bound`, which is not 0.
    fn draw(&self, bound: u64) -> u64 {
        // SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Changes the tier of the function at `place`, or leaves it.
    fn disturb(&self, module: &Arc<Module>, plan: MemoryPlan, place: Place) {
        let Place { function, at, frame } = place;
        let loops = Loops::of(module, plan, function);
        match (self.draw(8), at) {
            (0, _) => self.publish_known(module, plan, place),
            (1, _) => module.withdraw_compiled(plan, function),
            (2..=4, 1..) => {
                let around = loops.around(at);
                let at = around[self.draw(around.len() as u64) as usize];
                let start = [Start::Loop, Start::EntryOrLoop][self.draw(2) as usize];
                if let Some(code) = self.known_loop(module, Loop { plan, function, at }, start(at)) {
                    // SAFETY: this is the loop's code, compiled for these instances, and the module keeps it.
                    unsafe { loops.lead_out(at, code as *const ()) };
                }
            }
            (5, 1..) => loops.keep_in(at),
            (6, 1..) => loops.watch_around(at, frame),
            _ => {}
        }
    }

    /// Publishes code of the function at `place`, which frames that are at a loop there can enter as well, although none does.
    fn publish_known(&self, module: &Arc<Module>, plan: MemoryPlan, place: Place) {
        let Place { function, at, .. } = place;
        let start = if at == 0 { Start::Entry } else { Start::EntryOrLoop(at) };
        let known = &ModuleTiers::of(module).known;
        let mut functions = lock(&known.functions);
        let entry = functions.entry((plan, function)).or_insert_with(|| {
            let code = guarded(|| self.compiler.code_of(module, plan, function, start));
            let code = code.unwrap_or_else(|reason| {
                ModuleTiers::of(module).leave(plan, function, reason);
                None
            });
            Entry { code: code.map(Arc::new), publications: 0 }
        });
        if let Some(code) = &entry.code
            && entry.publications < MAX_PUBLICATIONS
        {
            entry.publications += 1;
            self.compiler.publish(module, plan, code.clone());
        }
    }

    fn known_loop(&self, module: &Arc<Module>, of: Loop, start: Start) -> Option<usize> {
        let known = &ModuleTiers::of(module).known;
        let mut loops = lock(&known.loops);
        *loops.entry(of).or_insert_with(|| self.compiler.code_of_loop(module, of, start).unwrap_or_default())
    }
}

/// See [`NativeEntries::counted`](wasmrun_runtime::vm::NativeEntries::counted).
unsafe extern "C" fn counted(exec: *mut ExecContext, vmctx: *mut VmContext, place: *const Place) {
    // SAFETY: the context and its module are alive, and so is the policy of the store's engine, which has named itself.
    unsafe {
        let chaos = &*(*exec).native.policy.cast::<Chaos>();
        let module = VmContext::module(vmctx);
        let plan = module.cells().plan_of(VmContext::cells(vmctx));
        chaos.disturb(module, plan, *place);
    }
}

/// Whether a frame of compiled code leaves for tier 0: see [`NativeEntries::leaves`](wasmrun_runtime::vm::NativeEntries).
///
/// # Safety
/// Called by code of the store, at a poll.
unsafe extern "C" fn leaves(exec: *mut ExecContext, vmctx: *mut VmContext, function: u32, at: u32) -> bool {
    // SAFETY: the context and its module are alive, and so is the policy of the store's engine, which has named itself.
    unsafe {
        let chaos = &*(*exec).native.policy.cast::<Chaos>();
        let (module, cells) = (VmContext::module(vmctx), VmContext::cells(vmctx));
        let left = &ModuleTiers::of(module).known.left;
        let once_in = if left.load(Ordering::Relaxed) < OFTEN { 4 } else { 1000 };
        if chaos.draw(once_in) != 0 {
            return false;
        }
        left.fetch_add(1, Ordering::Relaxed);
        let room = (*exec).stack().values_end().saturating_sub((*exec).value_top as usize);
        // As many references as a frame can have.
        if (*exec).ref_limit.saturating_sub((*exec).ref_top as usize) < usize::from(u16::MAX) * 4 {
            return false;
        }
        let loops = Loops::of(module, module.cells().plan_of(cells), function);
        loops.can_enter(at, room)
    }
}
