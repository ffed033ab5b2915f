//! Slow paths that compiled code calls by number.
//!
//! Code finds the table in its execution context and calls its entries with the convention of the system.
//! All take the context of the running instance and then 64-bit words. A value that is shorter is zero-extended. All but
//! [`Builtin::Raise`] and [`Builtin::RaiseInCaller`] return a [`Pair`](functions::Pair). With a status other than 0 the reason is
//! pending on the execution context, and the code calls `Raise`. None of them panics or unwinds.
//!
//! [`Builtin::Poll`] and [`Builtin::TableCallee`] are the exceptions: they keep every register, so that a poll takes none from the
//! loop that it is in, and functions that only call in place of themselves save none. They return nothing, and raise by
//! themselves; a poll takes nothing either. [`Builtin::MoveBytes`] and [`Builtin::SetBytes`] are
//! functions of C, and take what those take.

pub mod functions;

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{AbiParam, Signature};
use cranelift_codegen::isa::CallConv;

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*);)*) => {
        /// The number of a slow path. Arguments follow the context of the running instance.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Builtin {
            $($(#[$doc])* $name,)*
        }

        impl Builtin {
            /// All of them, by number.
            pub const ALL: &[Builtin] = &[$(Builtin::$name),*];

            /// Arguments after the first.
            const fn arguments(self) -> usize {
                match self {
                    $(Builtin::$name => { const NAMES: &[&str] = &[$(stringify!($arg)),*]; NAMES.len() })*
                }
            }
        }
    };
}

builtins! {
    /// Answers requests of other threads and checks that there is native stack left, at the place that is in
    /// [`NativeWords::polling`](wasmrun_runtime::vm::NativeWords). It returns if the code may go on, and raises otherwise. If
    /// the frame has to go on in tier 0 instead, it leaves in `NativeWords::way_out` what the code has to tail-call, with
    /// context and id of the function: at an entry with its arguments, and in a loop with none and all values in the slots
    /// of tier 0.
    Poll();
    /// Leaves compiled code for the handler of the innermost `enter`. Takes the execution context instead of
    /// an instance's, and does not return.
    Raise();
    /// Calls a host function, by its `FuncRef`, for the `to_host` stub whose frame pointer is `frame`. The
    /// context is that of the caller and may be null. The value is the execution context.
    CallHost(func_ref, slots, frame);
    /// The value is the old size in pages, or -1.
    MemoryGrow(memory, delta);
    /// `memory.fill`.
    MemoryFill(memory, to, value, len);
    /// `memory.copy`.
    MemoryCopy(to_memory, from_memory, to, from, len);
    /// `memory.init`.
    MemoryInit(segment, memory, to, from, len);
    /// `data.drop`.
    DataDrop(segment);
    /// The value is the element, in the representation of a slot.
    TableGet(table, index);
    /// `table.set`.
    TableSet(table, index, value);
    /// The value is the old length, or -1.
    TableGrow(table, value, delta);
    /// The value is the length.
    TableSize(table);
    /// `table.fill`.
    TableFill(table, start, value, len);
    /// `table.copy`.
    TableCopy(to_table, from_table, to, from, len);
    /// `table.init`.
    TableInit(segment, table, to, from, len);
    /// `elem.drop`.
    ElemDrop(segment);
    /// The value is the reference to a function of the instance.
    RefFunc(function);
    /// The slow path of `call_indirect`: leaves the callee in `NativeWords::callee`. `at` is the address of an element of the table,
    /// which the code has at hand anyway, and `ty` the index of the expected type.
    TableCallee(table, at, ty);
    /// The value is the reference to a new structure, whose fields are 0 and null.
    StructNew(ty);
    /// The value is the reference to a new array of elements that are 0 or null.
    ArrayNew(ty, len);
    /// `array.new_data`.
    ArrayNewData(ty, segment, from, len);
    /// `array.new_elem`.
    ArrayNewElem(ty, segment, from, len);
    /// `array.init_data`.
    ArrayInitData(ty, segment, array, to, from, len);
    /// `array.init_elem`.
    ArrayInitElem(ty, segment, array, to, from, len);
    /// `array.copy`, with the type of the destination.
    ArrayCopy(ty, to_array, to, from_array, from, len);
    /// `array.fill`, with both words of the value as a slot has it.
    ArrayFill(ty, array, start, low, high, len);
    /// Leaves an exception to be raised, or the trap that null is. It always fails.
    Throw(exception);
    /// As `Raise`, for a stub whose frame pointer is `frame`: the innermost frame is that of its caller.
    RaiseInCaller(frame);
    /// Answers requests of other threads and checks that the value stack reaches as far as `end`.
    PollValues(end);
    /// The C library's `memmove`, for bytes that have been found to be inside of memories.
    MoveBytes();
    /// The C library's `memset`, as well.
    SetBytes();
    /// `memory.atomic.notify`: the value is the number of threads that it has woken.
    MemoryAtomicNotify(memory, address, offset, count);
    /// `memory.atomic.wait32`: the value says how the wait has ended.
    MemoryAtomicWait32(memory, address, offset, expected, timeout);
    /// `memory.atomic.wait64`, as well.
    MemoryAtomicWait64(memory, address, offset, expected, timeout);
}

impl Builtin {
    /// Offset of its entry in the table.
    pub const fn offset(self) -> i32 {
        self as i32 * 8
    }

    /// Its signature for calls from compiled code.
    pub fn signature(self) -> Signature {
        let mut signature = Signature::new(CallConv::SystemV);
        match self {
            Builtin::Poll => signature.call_conv = CallConv::PreserveAll,
            Builtin::TableCallee => {
                signature.call_conv = CallConv::PreserveAll;
                signature.params.extend([AbiParam::new(I64)].repeat(1 + self.arguments()));
            }
            Builtin::MoveBytes => signature.params = [I64, I64, I64].map(AbiParam::new).into(),
            Builtin::SetBytes => signature.params = [I64, I32, I64].map(AbiParam::new).into(),
            _ => return self.usual_signature(),
        }
        signature
    }

    fn usual_signature(self) -> Signature {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend([AbiParam::new(I64)].repeat(1 + self.arguments()));
        if !matches!(self, Builtin::Raise | Builtin::RaiseInCaller) {
            signature.returns.extend([AbiParam::new(I64)].repeat(2));
        }
        signature
    }
}
