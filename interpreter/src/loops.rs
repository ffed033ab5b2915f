//! What a policy of tiers asks of loops that run in tier 0, and does to them.
//!
//! A loop is named by the offset in the module of its operator. Nothing here is fast, nor has to be: it is done a few
//! times in the life of a function.

use wasmrun_runtime::module::{MemoryPlan, Module};

use crate::code::{Code, LoopHeader};

/// The loops of a function as tier 0 runs them, in instances of one plan.
pub struct Loops<'m> {
    module: &'m Module,
    plan: MemoryPlan,
    function: u32,
}

impl<'m> Loops<'m> {
    /// The loops of a function that `module` defines.
    pub fn of(module: &'m Module, plan: MemoryPlan, function: u32) -> Loops<'m> {
        Loops { module, plan, function }
    }

    /// Does something with the code of the function, if it has been translated.
    fn with<R>(&self, action: impl FnOnce(&Code) -> R) -> Option<R> {
        let bytecode = self.module.bytecode(self.plan, self.function)?;
        bytecode.blob.as_any().downcast_ref::<Code>().map(action)
    }

    /// Bytes of a loop in the module.
    pub fn len(&self, at: u32) -> Option<u32> {
        self.with(|code| code.loop_of(at).map(|header| header.end - header.wasm))?
    }

    /// This loop and those around it, the outermost first.
    pub fn around(&self, at: u32) -> Vec<u32> {
        self.with(|code| code.loops_around(at).map(|header| header.wasm).collect()).unwrap_or_default()
    }

    /// Watches the loops around this one.
    pub fn watch_around(&self, at: u32) {
        self.with(|code| around(code, at).for_each(|header| code.watch(header)));
    }

    /// The outermost loop around this one whose header has been come to since it is watched; this one if there is
    /// none. The others are not watched any more.
    pub fn outermost_turning(&self, at: u32) -> u32 {
        let outermost = self.with(|code| {
            let outermost = around(code, at).find(|header| code.has_been_seen(*header));
            around(code, at).for_each(|header| code.forget(header));
            outermost.map(|header| header.wasm)
        });
        outermost.flatten().unwrap_or(at)
    }

    /// Lets tier 0, whenever it comes to the header of this loop, go on in the loop's compiled code, which it gives to
    /// [`NativeEntries::enter_loop`](wasmrun_runtime::vm::NativeEntries::enter_loop) as `code`.
    ///
    /// # Safety
    /// That function can run it, for as long as the module lives.
    #[allow(unsafe_code)]
    pub unsafe fn lead_out(&self, at: u32, code: *const ()) {
        self.with(|bytecode| bytecode.loop_of(at).map(|header| bytecode.lead_out(header, code)));
    }

    /// Keeps tier 0 in this loop.
    pub fn keep_in(&self, at: u32) {
        self.with(|code| code.loop_of(at).map(|header| code.forget(header)));
    }
}

/// The loops around one, without those whose header is where its own is, the outermost first.
fn around(code: &Code, at: u32) -> impl Iterator<Item = LoopHeader> {
    let own = code.loop_of(at).map(|header| header.code);
    code.loops_around(at).filter(move |header| Some(header.code) != own)
}
