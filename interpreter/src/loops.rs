//! What a policy of tiers asks of loops that run in tier 0, and does to them.
//!
//! A loop is named by the offset in the module of its operator. Nothing here is fast, nor has to be: it is done a few
//! times in the life of a function.

use wasmrun_runtime::module::{MemoryPlan, Module};

use crate::bind::bind;
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

    /// This loop and those around it, the outermost first.
    pub fn around(&self, at: u32) -> Vec<u32> {
        self.with(|code| code.loops_around(at).map(|header| header.wasm).collect()).unwrap_or_default()
    }

    /// The innermost of the loops that are nearly all of the function, if it has been translated. Interpreters have one, and
    /// sometimes another one around it that hardly ever turns.
    pub fn covering(&self) -> Option<u32> {
        let body = self.module.body(self.function)?.len;
        let is_nearly_all =
            |header: &&LoopHeader| (header.end - header.wasm) as u64 * 8 >= u64::from(body) * 7;
        self.with(|code| code.loops().iter().rfind(is_nearly_all).map(|header| header.wasm)).flatten()
    }

    /// Whether a frame of the function can go on in tier 0, if the value stack has `room` bytes left for it: at the header of
    /// this loop, or at the function's entry if `at` is 0. Translates the function if need be.
    pub fn can_enter(&self, at: u32, room: usize) -> bool {
        if at != 0 && self.module.bytecode(self.plan, self.function).is_none() {
            // One that is too large stays where it is.
            let _ = bind(self.module, self.plan, self.function);
        }
        let fits = |code: &Code| {
            let results = code.entered_slots(self.module) * size_of::<u64>();
            code.loop_of(at).is_some() && results.max(code.header().frame_bytes as usize) <= room
        };
        at == 0 || self.with(fits).unwrap_or(false)
    }

    /// Watches whether the frame at this address, which is in this loop, comes to the headers of those around it. Other
    /// frames come to them as well, from above.
    pub fn watch_around(&self, at: u32, frame: *const u64) {
        self.with(|code| around(code, at).for_each(|header| code.watch(header, frame)));
    }

    /// The outermost loop around this one whose header the frame has come to since that is watched, or that has compiled code;
    /// this one if there is none. The others are not watched any more.
    pub fn outermost_turning(&self, at: u32) -> u32 {
        let outermost = self.with(|code| {
            let outermost = around(code, at).find(|header| code.has_been_seen(*header));
            around(code, at).for_each(|header| code.stop_watching(header));
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

/// Loops around one that are looked at: of a nest that is deeper, the innermost. The compiler takes no deeper one either.
const MOST_AROUND: usize = 100;

/// The loops around one, without those whose header is where its own is, the outermost first.
fn around(code: &Code, at: u32) -> impl Iterator<Item = LoopHeader> {
    let own = code.loop_of(at).map(|header| header.code);
    let all: Vec<LoopHeader> = code.loops_around(at).filter(|header| Some(header.code) != own).collect();
    let deeper = all.len().saturating_sub(MOST_AROUND);
    all.into_iter().skip(deeper)
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use std::sync::Arc;

    use wasmrun_runtime::features::Features;
    use wasmrun_runtime::trap::Status;

    use wasmrun_runtime::vm::{Imports, MemoryStrategy, StackSizes, Store, VmContext};

    use super::*;
    use crate::code::opcode_at;
    use crate::frames::invoke;

    const PLAN: MemoryPlan = MemoryPlan::Guarded;

    /// Runs function 0 of a module that takes an `i32` and returns one.
    fn run(store: &mut Store, context: *mut VmContext, argument: u64) -> u64 {
        let exec = &raw mut *store.exec_mut();
        // SAFETY: the function belongs to the store.
        unsafe {
            *(*exec).value_top = argument;
            assert_eq!(invoke(exec, VmContext::func_ref(context, 0)), Status::Ok);
            *(*exec).value_top
        }
    }

    fn store(sizes: StackSizes, wat: &str) -> (Store, Arc<Module>, *mut VmContext) {
        let bytes = wat::parse_str(wat).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &Default::default()).unwrap();
        let mut store = Store::new(sizes, MemoryStrategy::Guarded, module.registry()).unwrap();
        let module = Arc::new(module);
        // SAFETY: the module imports nothing.
        let key = unsafe { store.instantiate(module.clone(), &Imports::default()) }.unwrap();
        let context = store.instance(key).unwrap().context();
        (store, module, context)
    }

    const NEST: &str = r#"(module (func (export "f") (param $n i32) (result i32) (local $i i32) (local $sum i32)
        (loop $outer
          (local.set $i (i32.const 3))
          (loop $inner
            (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
            (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
          (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (loop)
        (local.get $sum)))"#;

    #[test]
    fn the_innermost_loop_that_is_nearly_all_of_a_function_covers_it() {
        let much = "(local.set 0 (i32.add (local.get 0) (i32.const 1)))".repeat(100);
        let covering = |body: &str| {
            let wat = format!("(module (func (export \"f\") (param i32) (result i32) {body} (local.get 0)))");
            let (mut store, module, context) = store(StackSizes::default(), &wat);
            let loops = Loops::of(&module, PLAN, 0);
            assert_eq!(loops.covering(), None, "it has not been translated");
            run(&mut store, context, 1);
            let at =
                |at| loops.with(|code| code.loops().iter().position(|header| header.wasm == at)).flatten();
            loops.covering().and_then(at)
        };
        assert_eq!(covering(&format!("(loop (loop {much}) (loop))")), Some(1));
        assert_eq!(covering(&format!("(loop (loop {much}) (loop {much}))")), Some(0));
        assert_eq!(covering(&format!("{much} (loop {much})")), None);
    }

    #[test]
    fn the_outermost_loop_that_turns_is_found_while_code_runs() {
        let (mut store, module, context) = store(StackSizes::default(), NEST);
        run(&mut store, context, 1);
        let loops = Loops::of(&module, PLAN, 0);
        let headers: Vec<u32> = loops.with(|code| code.loops().iter().map(|h| h.wasm).collect()).unwrap();
        let [outer, inner, last] = headers[..] else { panic!("{headers:?}") };
        assert_eq!(loops.around(inner), [outer, inner]);
        assert_eq!(loops.around(last), [last]);
        // Where frames are that the host calls.
        let frame = store.exec_mut().value_top.cast_const();
        let len = |at| loops.with(|code| code.loop_of(at).map(|h| h.end - h.wasm)).flatten();
        assert!(len(outer) > len(inner) && len(inner) > Some(2));
        assert_eq!(loops.outermost_turning(inner), inner, "nothing was watched");
        loops.watch_around(inner, frame);
        assert_eq!(loops.outermost_turning(inner), inner, "nothing has run");
        loops.watch_around(inner, frame.wrapping_add(1));
        assert_eq!(run(&mut store, context, 5), 15);
        assert_eq!(loops.outermost_turning(inner), inner, "another frame has");
        // SAFETY: there is an instruction.
        let opcode = |code: &Code, h: LoopHeader| unsafe { opcode_at(code.entry().add(h.code as usize)) };
        let opcode_of_outer = || loops.with(|code| code.loop_of(outer).map(|header| opcode(code, header)));
        let unwatched = opcode_of_outer();
        loops.watch_around(inner, frame.wrapping_add(1));
        assert_ne!(opcode_of_outer(), unwatched);
        run(&mut store, context, 300);
        assert_eq!(opcode_of_outer(), unwatched, "a frame that is gone is not waited for");
        loops.watch_around(inner, frame.wrapping_add(1));
        loops.watch_around(inner, frame);
        assert_eq!(run(&mut store, context, 5), 15);
        assert_eq!(loops.outermost_turning(inner), outer);
        assert_eq!(loops.outermost_turning(inner), inner, "it was forgotten");
        // A loop with code keeps it, whoever looks.
        let compiled = std::ptr::without_provenance(16);
        // SAFETY: it is never run.
        unsafe { loops.lead_out(outer, compiled) };
        loops.watch_around(inner, frame);
        assert_eq!(loops.outermost_turning(inner), outer);
        assert_eq!(loops.outermost_turning(inner), outer);
        loops.keep_in(outer);
    }

    #[test]
    fn a_header_that_is_looked_at_in_every_turn_leaves_nothing_on_the_native_stack() {
        // There is no room for compiled code: so every turn looks for it, and goes on in tier 0.
        let sizes = StackSizes { native: 0, ..StackSizes::default() };
        let (mut store, module, context) = store(sizes, NEST);
        run(&mut store, context, 1);
        let loops = Loops::of(&module, PLAN, 0);
        let turns = if cfg!(miri) { 100 } else { 300_000 };
        for header in loops.with(|code| code.loops().to_vec()).unwrap() {
            // SAFETY: it is never run.
            unsafe { loops.lead_out(header.wasm, std::ptr::null()) };
        }
        assert_eq!(run(&mut store, context, turns), turns * 3);
        loops.with(|code| code.loops().to_vec()).unwrap().iter().for_each(|h| loops.keep_in(h.wasm));
        assert_eq!(run(&mut store, context, 2), 6);
    }

    #[test]
    fn only_loops_that_tier_0_has_and_has_room_for_can_be_entered() {
        let (_store, module, _) = store(StackSizes::default(), NEST);
        let loops = Loops::of(&module, PLAN, 0);
        assert!(loops.can_enter(0, 0), "the call that follows looks for itself");
        assert!(!loops.can_enter(1, 1 << 20));
        let header = loops.with(|code| code.loops()[0]).expect("translated to find that out");
        let frame = loops.with(|code| code.header().frame_bytes as usize).unwrap();
        assert!(loops.can_enter(header.wasm, frame) && !loops.can_enter(header.wasm, frame - 1));
    }
}
