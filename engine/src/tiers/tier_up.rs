//! When code of tier 0 is compiled while it runs.
//!
//! A function that has been executed as often as compiling it is worth goes to the queue, the warmest first. A frame
//! that stays in a loop is not helped by that: for it the loop gets code of its own, in which tier 0 goes on when it comes to
//! the header again. The outermost loop that still turns is chosen, so that the compiler sees as much of the work as it can.

use std::sync::Arc;
use std::time::Instant;

use wasmrun_interpreter::Loops;
use wasmrun_jit::compile::{Job, Start};
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::vm::{ExecContext, Place, VmContext};

use super::heat::{Loop, ModuleTiers};
use super::{CompiledTier, Refusal, Seen, Shared, guarded};

/// Reports on one frame in a loop, one after the other, from which on the frame is taken to stay there.
const STAYS: u32 = 2;

/// Reports on a loop after which it gets code of its own although one around it has: that may have turned its last time. Many
/// more than there are while the other one is compiled.
const PATIENCE: u32 = 4000;

/// See [`NativeEntries::counted`](wasmrun_runtime::vm::NativeEntries::counted).
pub(super) unsafe extern "C" fn counted(exec: *mut ExecContext, vmctx: *mut VmContext, place: *const Place) {
    // SAFETY: the context and its module are alive, and so is the tier of the store's engine, which has named itself.
    unsafe {
        let tier = &*(*exec).native.tiers.cast::<CompiledTier>();
        let (module, place) = (VmContext::module(vmctx), *place);
        let plan = module.cells().plan_of(VmContext::cells(vmctx));
        let stays = (*exec).native.stay.note(place.function, place.frame);
        let interval = (*exec).interval();
        tier.report(module, plan, place, interval, stays);
    }
}

impl CompiledTier {
    /// Code of `module` has been entered `interval` times somewhere, the last of them at `place`, by a frame that has been
    /// found there `stays` times.
    fn report(&self, module: &Arc<Module>, plan: MemoryPlan, place: Place, interval: u32, stays: u32) {
        if let Some(chaos) = &self.chaos {
            return self.disturb(chaos, module, plan, place);
        }
        let Place { function, at, len, .. } = place;
        let body = module.body(function).map_or(1, |body| body.len).max(1);
        let turned = if at == 0 { body } else { len };
        let executions = u64::from(interval) * u64::from(turned) / u64::from(body);
        let tiers = ModuleTiers::of(module);
        let heat = tiers.heat(module, function, u32::try_from(executions).unwrap_or(u32::MAX).max(1));
        if heat < self.threshold {
            return;
        }
        if at != 0 && stays >= STAYS {
            self.compile_around(module, Loop { plan, function, at });
        }
        if tiers.ask(module, plan, function) {
            let shared = self.shared.clone();
            let module = Arc::downgrade(module);
            self.queue.push(heat.into(), move || {
                if let Some(module) = module.upgrade() {
                    shared.compile(&module, plan, function);
                }
            });
        }
    }

    /// Guest code stays in a loop: asks for code of the outermost loop around it that turns.
    fn compile_around(&self, module: &Arc<Module>, of: Loop) {
        let tiers = ModuleTiers::of(module);
        let loops = Loops::of(module, of.plan, of.function);
        let wanted = match tiers.found_in(of) {
            1 => return loops.watch_around(of.at),
            2 => Loop { at: loops.outermost_turning(of.at), ..of },
            PATIENCE => of,
            _ => return,
        };
        if tiers.ask_loop(wanted) {
            self.ask_for_loop(module, wanted);
        }
    }

    fn ask_for_loop(&self, module: &Arc<Module>, of: Loop) {
        let (shared, module) = (self.shared.clone(), Arc::downgrade(module));
        // Before all that is only warm: a thread is in it.
        self.queue.push(u64::MAX, move || {
            if let Some(module) = module.upgrade() {
                shared.compile_loop(&module, of);
            }
        });
    }
}

impl Shared {
    /// Compiles a loop and leads tier 0 to its code.
    fn compile_loop(&self, module: &Arc<Module>, of: Loop) {
        if let Some(code) = self.code_of_loop(module, of) {
            // SAFETY: this is the loop's code, compiled for these instances, and the module keeps it.
            unsafe { Loops::of(module, of.plan, of.function).lead_out(of.at, code as *const ()) };
        }
    }

    /// The address of the compiled code of a loop, which the module keeps from now on. A loop without any turns in tier
    /// 0, and it is noted why.
    pub(super) fn code_of_loop(&self, module: &Arc<Module>, of: Loop) -> Option<usize> {
        if !(self.chosen)(of.function) {
            return None;
        }
        let started = Instant::now();
        let compiled: Result<_, Refusal> = guarded(|| {
            let seen = Seen { module, plan: of.plan };
            let (whole, _memory) = self.job(module, of.function, &seen)?;
            Ok(self.space.compile_loop(module, &Job { start: Start::Loop(of.at), ..whole })?)
        });
        let code = match compiled {
            Ok(code) => Box::new(code),
            Err(Refusal { reason, .. }) => {
                let reason = format!("at its loop at {:#x}: {reason}", of.at);
                // It says nothing of the function as a whole.
                ModuleTiers::of(module).leave(of.function, Refusal { reason, lasting: false });
                return None;
            }
        };
        let size = code.code().addresses().len();
        ModuleTiers::of(module).add_cost(module, of.function, started.elapsed(), size, true);
        let address = (&raw const *code).expose_provenance();
        module.keep_code(code);
        Some(address)
    }
}
