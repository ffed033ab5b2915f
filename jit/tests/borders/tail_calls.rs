//! Tail calls between compiled code and tier 0: whatever the order and the types, they use no more native stack
//! than one of them.

use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;

use wasmrun_jit::stubs::AbiClass;
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::types::ValType;
use wasmrun_runtime::vm::TailTarget;

use super::support::{
    Code, Entry, F32, F64, Guest, I32, I64, InterpCall, V128, assemble, bounce, to_interp, ty,
};

/// Calls are counted down in the first parameter; the second is what the calls so far have computed.
const FEW: [ValType; 2] = [I64, I64];

/// More of each register class than registers hold.
fn many() -> Vec<ValType> {
    [&FEW[..], &[I32; 8], &[F64; 10], &[V128; 2], &[F32]].concat()
}

fn results(in_memory: bool) -> Vec<ValType> {
    if in_memory { [&[I64; 9][..], &[V128]].concat() } else { vec![I64, F64] }
}

/// What the further parameters are called with; small enough for an exact `f32`.
fn filler(n: u64, k: usize) -> u64 {
    (n & 0xffff) * 31 + k as u64
}

fn fillers() -> usize {
    many().len() - FEW.len()
}

/// What a function with many parameters makes of them.
fn mixed(n: u64, acc: u64) -> u64 {
    let sum = (0..fillers()).map(|k| (k as u64 + 1).wrapping_mul(filler(n, k))).fold(acc, u64::wrapping_add);
    sum.wrapping_mul(MIX)
}

const MIX: u64 = 0x9e37_79b9;

/// The functions: two that are compiled, two of tier 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    CompiledFew,
    CompiledMany,
    InterpretedFew,
    InterpretedMany,
}
use Function::*;

impl Function {
    /// What callers say whom they call by.
    fn id(self) -> u64 {
        (self as u64) << 1 | 1
    }
}

/// Who is called next with `n - 1`, and the second argument.
fn step(function: Function, n: u64, acc: u64) -> (Function, u64) {
    match function {
        CompiledFew => (InterpretedMany, acc + 1),
        CompiledMany => (InterpretedFew, mixed(n, acc)),
        InterpretedFew => (if n % 2 == 1 { CompiledMany } else { CompiledFew }, acc.wrapping_add(2)),
        InterpretedMany => (if n.is_multiple_of(3) { CompiledFew } else { CompiledMany }, mixed(n, acc)),
    }
}

fn expected(mut n: u64) -> u64 {
    let (mut function, mut acc) = (CompiledFew, 0);
    while n > 0 {
        (function, acc) = step(function, n, acc);
        n -= 1;
    }
    acc
}

/// The slots of a call with `n`, with all that the function's type asks for.
fn arguments(function: Function, n: u64, acc: u64) -> Vec<u64> {
    let mut slots = vec![n, acc];
    if matches!(function, CompiledMany | InterpretedMany) {
        for (k, ty) in many()[FEW.len()..].iter().enumerate() {
            let value = filler(n, k);
            match *ty {
                F64 => slots.push((value as f64).to_bits()),
                F32 => slots.push((value as f32).to_bits().into()),
                V128 => slots.extend([value, !value]),
                _ => slots.push(value),
            }
        }
    }
    slots
}

/// The slots of the results.
fn outcome(in_memory: bool, acc: u64) -> Vec<u64> {
    match in_memory {
        false => vec![acc, (acc as f64).to_bits()],
        true => (0..9).map(|i| acc.wrapping_add(i)).chain([acc, !acc]).collect(),
    }
}

/// Text of a function, which grows by one instruction at a time.
struct Text {
    text: String,
    values: usize,
}

impl Text {
    /// Adds an instruction with a result, and names that.
    fn value(&mut self, instruction: &str) -> String {
        self.values += 1;
        let value = format!("v{}", 1000 + self.values);
        writeln!(self.text, "{value} = {instruction}").unwrap();
        value
    }

    fn constant(&mut self, value: u64) -> String {
        self.value(&format!("iconst.i64 {}", value as i64))
    }

    /// The number that an argument has been made of.
    fn number(&mut self, ty: ValType, argument: &str) -> String {
        match ty {
            I32 => self.value(&format!("uextend.i64 {argument}")),
            V128 => {
                let lanes = self.value(&format!("bitcast.i64x2 little {argument}"));
                let [low, high] = [0, 1].map(|i| self.value(&format!("extractlane {lanes}, {i}")));
                let high = self.value(&format!("bnot {high}"));
                self.value(&format!("band {low}, {high}"))
            }
            _ => self.value(&format!("fcvt_to_uint_sat.i64 {argument}")),
        }
    }

    /// An argument that is made of a number.
    fn argument(&mut self, ty: ValType, number: &str) -> String {
        match ty {
            I32 => self.value(&format!("ireduce.i32 {number}")),
            F64 => self.value(&format!("fcvt_from_uint.f64 {number}")),
            F32 => self.value(&format!("fcvt_from_uint.f32 {number}")),
            _ => {
                let low = self.value(&format!("splat.i64x2 {number}"));
                let high = self.value(&format!("bnot {number}"));
                let lanes = self.value(&format!("insertlane {low}, {high}, 1"));
                self.value(&format!("bitcast.i8x16 little {lanes}"))
            }
        }
    }
}

/// A compiled function that tail-calls one of tier 0, which has the other parameters.
fn compiled(function: Function, callee: &Code, in_memory: bool) -> &'static Code {
    let own = if in_memory { 3 } else { 2 };
    let of = |params: &[ValType]| {
        let class = AbiClass::of(&ty(params, &[]));
        let types = class.params().iter().map(ToString::to_string);
        (0..own).map(|_| "i64".to_owned()).chain(types).collect::<Vec<_>>()
    };
    let (mine, theirs, id) = match function {
        CompiledMany => (of(&many()), of(&FEW), InterpretedFew.id()),
        _ => (of(&FEW), of(&many()), InterpretedMany.id()),
    };
    let returns = if in_memory { "" } else { " -> i64, f64" };
    let params: Vec<_> = mine.iter().enumerate().map(|(i, ty)| format!("v{i}: {ty}")).collect();
    let (n, acc) = (format!("v{own}"), format!("v{}", own + 1));
    let mut text = Text { text: String::new(), values: 0 };
    writeln!(
        text.text,
        "function %compiled({}){returns} tail {{
        sig0 = ({}){returns} tail
        block0({}):
        brif {n}, block1, block2
        block2:",
        mine.join(", "),
        theirs.join(", "),
        params.join(", ")
    )
    .unwrap();
    if in_memory {
        for i in 0..9 {
            let i_ = text.constant(i);
            let value = text.value(&format!("iadd {acc}, {i_}"));
            writeln!(text.text, "store notrap {value}, v2+{}", 8 * i).unwrap();
        }
        let not = text.value(&format!("bnot {acc}"));
        writeln!(text.text, "store notrap {acc}, v2+72\nstore notrap {not}, v2+80\nreturn").unwrap();
    } else {
        let float = text.value(&format!("fcvt_from_uint.f64 {acc}"));
        writeln!(text.text, "return {acc}, {float}").unwrap();
    }
    text.text.push_str("block1:\n");
    let one = text.constant(1);
    let less = text.value(&format!("isub {n}, {one}"));
    let mut args = vec!["v0".to_owned(), text.constant(id)];
    args.extend(in_memory.then(|| "v2".to_owned()));
    args.push(less.clone());
    let further = &many()[FEW.len()..];
    if function == CompiledMany {
        let mut sum = acc;
        for (k, ty) in further.iter().enumerate() {
            let number = text.number(*ty, &format!("v{}", own + FEW.len() + k));
            let weight = text.constant(k as u64 + 1);
            let product = text.value(&format!("imul {number}, {weight}"));
            sum = text.value(&format!("iadd {sum}, {product}"));
        }
        let factor = text.constant(MIX);
        args.push(text.value(&format!("imul {sum}, {factor}")));
    } else {
        args.push(text.value(&format!("iadd {acc}, {one}")));
        let (mask, factor) = (text.constant(0xffff), text.constant(31));
        let masked = text.value(&format!("band {less}, {mask}"));
        let base = text.value(&format!("imul {masked}, {factor}"));
        for (k, ty) in further.iter().enumerate() {
            let k = text.constant(k as u64);
            let number = text.value(&format!("iadd {base}, {k}"));
            args.push(text.argument(*ty, &number));
        }
    }
    let callee = text.constant(callee.entry() as u64);
    writeln!(text.text, "return_call_indirect sig0, {callee}({})\n}}", args.join(", ")).unwrap();
    assemble(&text.text)
}

struct World {
    guest: Guest,
    entry: Entry,
    first: &'static Code,
    /// Lowest and highest frame of a `to_interp` stub.
    frames: Rc<Cell<(usize, usize)>>,
    /// Calls of functions of tier 0.
    calls: Rc<Cell<u64>>,
}

/// How a function of tier 0 ends when it is called with 0.
type End = fn(InterpCall, in_memory: bool, acc: u64) -> Status;

fn world(in_memory: bool, end: End) -> World {
    let guest = Guest::new("(module)");
    let [few, many_] = [&FEW[..], &many()].map(|params| ty(params, &results(in_memory)));
    let few_target = (compiled(CompiledFew, to_interp(&many_), in_memory), bounce(&few));
    let many_target = (compiled(CompiledMany, to_interp(&few), in_memory), bounce(&many_));
    let frames = Rc::new(Cell::new((usize::MAX, 0)));
    let calls = Rc::new(Cell::new(0));
    for function in [InterpretedFew, InterpretedMany] {
        let (frames, calls) = (frames.clone(), calls.clone());
        guest.interpreted(function.id(), move |call| {
            let (low, high) = frames.get();
            frames.set((low.min(call.frame as usize), high.max(call.frame as usize)));
            calls.set(calls.get() + 1);
            let &mut [n, acc] = call.slots(2) else { unreachable!() };
            let args = arguments(function, n, acc);
            assert_eq!(call.slots(args.len()), args, "{function:?} of {n}");
            if n == 0 {
                return end(call, in_memory, acc);
            }
            let (target, acc) = step(function, n, acc);
            let (code, bounce) = if target == CompiledFew { few_target } else { many_target };
            let args = arguments(target, n - 1, acc);
            // Where the callee's own calls lay out theirs, or nearly.
            let slots = call.slots.wrapping_add((n % 3) as usize);
            InterpCall { slots, ..call }.slots(args.len()).copy_from_slice(&args);
            // SAFETY: the context is alive.
            unsafe {
                (*call.exec()).native.tail_call = TailTarget {
                    code: code.entry(),
                    vmctx: call.vmctx,
                    callee_id: target.id(),
                    bounce: bounce.entry(),
                    slots,
                };
            }
            Status::TailCall
        });
    }
    World { guest, entry: Entry::new(&few), first: few_target.0, frames, calls }
}

fn returns(call: InterpCall, in_memory: bool, acc: u64) -> Status {
    let results = outcome(in_memory, acc);
    call.slots(results.len()).copy_from_slice(&results);
    Status::Ok
}

fn traps(call: InterpCall, _: bool, _: u64) -> Status {
    // SAFETY: the context is alive.
    unsafe { (*call.exec()).set_pending(Trap::TableOutOfBounds.into()) };
    Status::Trap
}

#[test]
fn a_million_tail_calls_between_tiers_compute_what_they_should_on_a_bounded_stack() {
    for in_memory in [false, true] {
        let world = world(in_memory, returns);
        // The last function is one of each kind.
        for n in [0, 1, 2, 3, 4, 5, 6, 7, 1_000_000] {
            let mut slots = vec![0; world.entry.slots];
            slots[0] = n;
            world.calls.set(0);
            world.guest.call(&world.entry, world.first, &mut slots).unwrap();
            let outcome = outcome(in_memory, expected(n));
            assert_eq!(slots[..outcome.len()], outcome, "{n} calls");
            assert_eq!(world.calls.get(), n.div_ceil(2));
        }
        let (low, high) = world.frames.get();
        assert!(high - low < 1024, "{low:x} to {high:x}");
    }
}

#[test]
fn a_function_that_tier_0_tail_calls_gets_its_own_context_and_id() {
    let (guest, other) = (Guest::new("(module)"), Guest::new("(module)"));
    let ty = ty(&[], &[I64, I64]);
    let code = assemble("function %f(i64, i64) -> i64, i64 tail { block0(v0: i64, v1: i64): return v0, v1 }");
    let (bounce, context) = (bounce(&ty), other.vmctx as u64);
    guest.interpreted(1, move |call| {
        let (code, bounce) = (code.entry(), bounce.entry());
        let target =
            TailTarget { code, vmctx: other.vmctx, callee_id: 0x1_2345_6789, bounce, slots: call.slots };
        // SAFETY: the context is alive.
        unsafe { (*call.exec()).native.tail_call = target };
        Status::TailCall
    });
    let mut slots = [0; 2];
    guest.call(&Entry::new(&ty), to_interp(&ty), &mut slots).unwrap();
    assert_eq!(slots, [context, 0x1_2345_6789]);
}

#[test]
fn functions_that_ended_in_a_tail_call_are_in_no_backtrace() {
    let world = world(false, traps);
    let caller = assemble(&format!(
        "function %caller(i64, i64, i64, i64) -> i64, f64 tail {{
            sig0 = (i64, i64, i64, i64) -> i64, f64 tail
        block0(v0: i64, v1: i64, v2: i64, v3: i64):
            v4 = iconst.i64 {}
            v5, v6 = call_indirect sig0, v4(v0, v1, v2, v3)
            v7 = iadd v5, v2
            return v7, v6
        }}",
        world.first.entry() as i64
    ));
    for n in [1, 1001] {
        let stopped = world.guest.call(&world.entry, caller, &mut [n, 0]);
        assert!(matches!(stopped, Err(Pending::Trap(Trap::TableOutOfBounds))));
        let (frames, complete) = world.guest.trace().unwrap();
        assert!(complete && frames.len() == 1 && caller.contains(frames[0]), "{frames:x?}");
    }
}

#[test]
fn callers_keep_their_registers_over_tail_calls_between_tiers() {
    let world = world(false, returns);
    let mut text = Text { text: String::new(), values: 0 };
    let kept: Vec<_> = (0..12)
        .map(|i| {
            let factor = text.constant(0x1234_5678_9abc_def1u64.wrapping_mul(2 * i + 1));
            text.value(&format!("imul v3, {factor}"))
        })
        .collect();
    let code = text.constant(world.first.entry() as u64);
    let zero = text.constant(0);
    writeln!(text.text, "v5, v6 = call_indirect sig0, {code}(v0, v1, v2, {zero})").unwrap();
    let mut sum = "v5".to_owned();
    for value in &kept {
        sum = text.value(&format!("bxor {sum}, {value}"));
    }
    let caller = assemble(&format!(
        "function %caller(i64, i64, i64, i64) -> i64, f64 tail {{
            sig0 = (i64, i64, i64, i64) -> i64, f64 tail
        block0(v0: i64, v1: i64, v2: i64, v3: i64):
        {}
            return {sum}, v6
        }}",
        text.text
    ));
    for n in 0..100 {
        let x = n * 0x98_7654_321f + 1;
        let mut slots = [n, x];
        world.guest.call(&world.entry, caller, &mut slots).unwrap();
        let factors = (0..12u64).map(|i| 0x1234_5678_9abc_def1u64.wrapping_mul(2 * i + 1));
        let kept = factors.map(|factor| x.wrapping_mul(factor)).fold(0, |a, b| a ^ b);
        assert_eq!(slots[0], expected(n) ^ kept);
    }
}
