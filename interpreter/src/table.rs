//! The opcode table: every instruction once, in one order, from which the numbers, the handlers of both
//! dispatchers and the sizes follow.

use crate::machine::{Handler, Op, Step, step, tail};
use crate::operand::{Acc, Imm, Slot};
use crate::ops::branch::{
    BR_IFS, Br, BrBack, BrTable, COMPARE_ROW, COMPARES, SELECT_ROW, SELECTS, SelectKind,
};
use crate::ops::bulk::*;
use crate::ops::call::*;
use crate::ops::compiled::EnterCompiled;
use crate::ops::memory::{LOAD_ELEMENTS, LOAD_ROW, LOAD_SUMS, LOADS, LoadKind, STORE_ROW, STORES, StoreKind};
use crate::ops::misc::*;
use crate::ops::numeric::{BINARIES, BINARY_ROW, BinaryKind, ELEMENTS, UNARIES, UNARY_ROW, UnaryKind};
use crate::ops::reference::*;
use crate::ops::tail_call::*;
use wasmrun_runtime::trap::Trap;

/// One instruction: its handlers, and what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    handler: Handler,
    step: Step,
    #[cfg(any(test, debug_assertions))]
    size: u8,
    #[cfg(test)]
    name: fn() -> &'static str,
}

/// The entry of an instruction.
pub(crate) const fn entry<O: Op>() -> Entry {
    Entry {
        handler: tail::<O>,
        step: step::<O>,
        #[cfg(any(test, debug_assertions))]
        size: O::SIZE as u8,
        #[cfg(test)]
        name: std::any::type_name::<O>,
    }
}

/// `global.get`, by what it writes: a slot or the accumulator alone.
const GLOBAL_GETS: [[Entry; 2]; 2] = [
    [entry::<GlobalGet<Slot, true>>(), entry::<GlobalGet<Acc, true>>()],
    [entry::<GlobalGet<Slot, false>>(), entry::<GlobalGet<Acc, false>>()],
];

/// `global.get` of a global of the instance itself, writing a slot.
pub(crate) const GLOBAL_GET: u16 = GLOBAL_GET_ROWS;

/// The same behind a pointer.
pub(crate) const GLOBAL_GET_FAR: u16 = GLOBAL_GET_ROWS + 2;

macro_rules! singles {
    ($($(#[$when:meta])? $name:ident = $op:ty;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Single { $($(#[$when])? $name),* }

        const SINGLES: [[Entry; 1]; [$($(#[$when])? Single::$name),*].len()] =
            [$($(#[$when])? [entry::<$op>()]),*];

        $($(#[$when])? pub(crate) const $name: u16 = SINGLE + Single::$name as u16;)*
    };
}

singles! {
    UNREACHABLE = crate::machine::Stop<{ Trap::UnreachableCodeReached as u8 }>;
    OUT_OF_BOUNDS = crate::machine::Stop<{ Trap::MemoryOutOfBounds as u8 }>;
    BR = Br;
    BR_BACK = BrBack;
    BR_TABLE_SLOT = BrTable<Slot>;
    BR_TABLE_ACC = BrTable<Acc>;
    COPY = Copy;
    COPY2 = Copy2;
    COPY_ACC = CopyAcc<u64>;
    COPY_ACC32 = CopyAcc<f32>;
    COPY_ACC64 = CopyAcc<f64>;
    CONST32 = Const32;
    CONST64 = Const64;
    GLOBAL_SET = GlobalSet<Slot, true>;
    GLOBAL_SET_ACC = GlobalSet<Acc, true>;
    GLOBAL_SET_IMM = GlobalSet<Imm, true>;
    GLOBAL_SET_FAR = GlobalSet<Slot, false>;
    CHARGE = Charge;
    CALL = Call;
    CALL_IMPORT = CallImport;
    CALL_INDIRECT_SLOT = CallIndirect<Slot>;
    CALL_INDIRECT_ACC = CallIndirect<Acc>;
    CALL_INDIRECT_IMM = CallIndirect<Imm>;
    RESTORE = Restore;
    RET = Ret;
    RET_SLOT = RetValue<u64, Slot>;
    RET_ACC = RetValue<u64, Acc>;
    RET_I32_IMM = RetValue<u32, Imm>;
    RET_I64_IMM = RetValue<u64, Imm>;
    RET_F32_SLOT = RetValue<f32, Slot>;
    RET_F32_ACC = RetValue<f32, Acc>;
    RET_F32_IMM = RetValue<f32, Imm>;
    RET_F64_SLOT = RetValue<f64, Slot>;
    RET_F64_ACC = RetValue<f64, Acc>;
    RET_F64_IMM = RetValue<f64, Imm>;
    EXIT = Exit;
    AFTER_TAIL = AfterTail;
    ENTER_COMPILED = EnterCompiled;
    TAIL_CALL = TailCall;
    TAIL_CALL_IMPORT = TailCallImport;
    TAIL_CALL_INDIRECT = TailCallIndirect;
    MEMORY_SIZE = MemorySize;
    MEMORY_GROW = MemoryGrow;
    MEMORY_FILL = MemoryFill;
    MEMORY_COPY = MemoryCopy;
    MEMORY_INIT = MemoryInit;
    DATA_DROP = DataDrop;
    TABLE_SIZE = TableSize;
    TABLE_GET = TableGet;
    TABLE_SET = TableSet;
    TABLE_GROW = TableGrow;
    TABLE_FILL = TableFill;
    TABLE_COPY = TableCopy;
    TABLE_INIT = TableInit;
    ELEM_DROP = ElemDrop;
    REF_FUNC = RefFunc;
    REF_FRAME = RefFrame;
    REF_ENTER = RefEnter;
    REF_LEAVE = RefLeave;
    REF_COPY = RefCopy;
    REF_MOVE = RefMove;
    REF_NULL = RefNull;
    REF_IS_NULL = RefIsNull;
    REF_SELECT = RefSelect;
    REF_GLOBAL_GET = RefGlobalGet;
    REF_GLOBAL_SET = RefGlobalSet;
    REF_TABLE_GET = RefTableGet;
    REF_TABLE_SET = RefTableSet;
    REF_TABLE_GROW = RefTableGrow;
    REF_TABLE_FILL = RefTableFill;
    #[cfg(test)]
    PROBE = crate::jumps::Probe;
}

const fn len<const R: usize, const N: usize>(_: &[[Entry; R]; N]) -> u16 {
    (R * N) as u16
}

const BINARY: u16 = 0;
const UNARY: u16 = BINARY + len(&BINARIES);
const COMPARE: u16 = UNARY + len(&UNARIES);
const SELECT: u16 = COMPARE + len(&COMPARES);
const LOAD: u16 = SELECT + len(&SELECTS);
const STORE: u16 = LOAD + len(&LOADS);
const BR_IF: u16 = STORE + len(&STORES);
const GLOBAL_GET_ROWS: u16 = BR_IF + len(&BR_IFS);
const ELEMENT: u16 = GLOBAL_GET_ROWS + len(&GLOBAL_GETS);
const SINGLE: u16 = ELEMENT + len(&ELEMENTS);

/// Number of opcodes.
pub(crate) const COUNT: usize = (SINGLE + len(&SINGLES)) as usize;

const fn place<const R: usize, const N: usize>(all: &mut [Entry; COUNT], at: u16, rows: &[[Entry; R]; N]) {
    let mut i = 0;
    while i < R * N {
        all[at as usize + i] = rows[i / R][i % R];
        i += 1;
    }
}

/// Every instruction, by opcode. A constant, as the statics below are made of it; it is not in the binary.
#[allow(clippy::large_const_arrays)]
const ENTRIES: [Entry; COUNT] = {
    let mut all = [entry::<Exit>(); COUNT];
    place(&mut all, BINARY, &BINARIES);
    place(&mut all, UNARY, &UNARIES);
    place(&mut all, COMPARE, &COMPARES);
    place(&mut all, SELECT, &SELECTS);
    place(&mut all, LOAD, &LOADS);
    place(&mut all, STORE, &STORES);
    place(&mut all, BR_IF, &BR_IFS);
    place(&mut all, GLOBAL_GET_ROWS, &GLOBAL_GETS);
    place(&mut all, ELEMENT, &ELEMENTS);
    place(&mut all, SINGLE, &SINGLES);
    all
};

/// Handlers of the tail dispatcher.
pub(crate) struct Handlers(
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "read through its address"))]
    pub(crate)  [Handler; COUNT],
);

/// Handlers of the loop.
pub(crate) struct Steps(pub(crate) [Step; COUNT]);

#[cfg_attr(not(all(wasmrun_tail_dispatch, not(debug_assertions))), allow(dead_code))]
pub(crate) static HANDLERS: Handlers = {
    let mut handlers = [ENTRIES[0].handler; COUNT];
    let mut i = 0;
    while i < COUNT {
        handlers[i] = ENTRIES[i].handler;
        i += 1;
    }
    Handlers(handlers)
};

#[cfg_attr(all(wasmrun_tail_dispatch, not(debug_assertions)), allow(dead_code))]
pub(crate) static STEPS: Steps = {
    let mut steps = [ENTRIES[0].step; COUNT];
    let mut i = 0;
    while i < COUNT {
        steps[i] = ENTRIES[i].step;
        i += 1;
    }
    Steps(steps)
};

/// Bytes of an instruction; of a `br_table`, without its displacements.
#[cfg(any(test, debug_assertions))]
pub(crate) fn size(opcode: u16) -> usize {
    ENTRIES[usize::from(opcode)].size.into()
}

/// The name of an instruction's type.
#[cfg(test)]
pub(crate) fn name(opcode: u16) -> &'static str {
    (ENTRIES[usize::from(opcode)].name)()
}

/// Source operands of a binary instruction, in the order of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Sources {
    SlotSlot,
    SlotAcc,
    AccSlot,
    SlotImm,
    AccImm,
    ImmSlot,
    ImmAcc,
}

/// A binary instruction that writes a slot.
pub(crate) fn binary(kind: BinaryKind, sources: Sources) -> u16 {
    BINARY + kind as u16 * BINARY_ROW as u16 + sources as u16
}

/// What a binary instruction is, when `opcode` is one that writes a slot.
pub(crate) fn as_binary(opcode: u16) -> Option<(BinaryKind, u16)> {
    let at = opcode.checked_sub(BINARY).filter(|at| *at < len(&BINARIES))?;
    let (row, sources) = (at / BINARY_ROW as u16, at % BINARY_ROW as u16);
    let kind = *BinaryKind::ALL.get(usize::from(row))?;
    (sources < BINARY_ROW as u16 / 2).then_some((kind, sources))
}

/// How much is added to the opcode of an instruction that writes a slot to get the one that writes the
/// accumulator alone; `None` where there is no such instruction.
pub(crate) fn to_acc_delta(opcode: u16) -> Option<u16> {
    let within = |start: u16, count: u16, row: usize, half: usize| {
        let at = opcode.checked_sub(start).filter(|at| *at < count)?;
        ((at as usize % row) < half).then_some(half as u16)
    };
    within(BINARY, len(&BINARIES), BINARY_ROW, BINARY_ROW / 2)
        .or_else(|| within(UNARY, len(&UNARIES), UNARY_ROW, UNARY_ROW / 2))
        .or_else(|| within(SELECT, len(&SELECTS), SELECT_ROW, SELECT_ROW / 2))
        .or_else(|| load_to_acc_delta(opcode))
        .or_else(|| within(ELEMENT, len(&ELEMENTS), 6, 3))
        .or_else(|| within(GLOBAL_GET_ROWS, len(&GLOBAL_GETS), 2, 1))
}

fn load_to_acc_delta(opcode: u16) -> Option<u16> {
    let at = opcode.checked_sub(LOAD).filter(|at| *at < len(&LOADS))? as usize % LOAD_ROW;
    let groups = [(0, 3), LOAD_SUMS, LOAD_ELEMENTS];
    let group = groups.into_iter().find(|(start, count)| (*start..start + count).contains(&at));
    group.map(|(_, count)| count as u16)
}

/// A unary instruction that writes a slot.
pub(crate) fn unary(kind: UnaryKind, acc: bool) -> u16 {
    UNARY + kind as u16 * UNARY_ROW as u16 + u16::from(acc)
}

/// A fused comparison and branch: by the row of the comparison, in the second half of the row when `second`.
pub(crate) fn compare(row: u16, sources: u16, second: bool) -> u16 {
    COMPARE + row * COMPARE_ROW as u16 + sources + if second { COMPARE_ROW as u16 / 2 } else { 0 }
}

/// A `select` that writes a slot.
pub(crate) fn select(kind: SelectKind, first_imm: bool, second_imm: bool, acc: bool) -> u16 {
    let values = u16::from(first_imm) * 2 + u16::from(second_imm);
    SELECT + kind as u16 * SELECT_ROW as u16 + values + u16::from(acc) * 4
}

/// Where the address of an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Place {
    Slot,
    Acc,
    Imm,
}

/// A load that writes a slot.
pub(crate) fn load(kind: LoadKind, address: Place) -> u16 {
    LOAD + kind as u16 * LOAD_ROW as u16 + address as u16
}

/// A load that adds up its address, with the sources that the addition had; writes a slot. There is none for
/// an addition that starts with a constant.
pub(crate) fn load_sum(kind: LoadKind, sources: u16) -> Option<u16> {
    let (start, count) = LOAD_SUMS;
    let row = LOAD + kind as u16 * LOAD_ROW as u16;
    (usize::from(sources) < count).then_some(row + start as u16 + sources)
}

/// A load from an element of an array, with the sources that its address had; writes a slot.
pub(crate) fn load_element(kind: LoadKind, sources: u16) -> u16 {
    LOAD + kind as u16 * LOAD_ROW as u16 + LOAD_ELEMENTS.0 as u16 + sources
}

/// The address of an array's element; writes a slot. `sources` is one of the first three of [`Sources`].
pub(crate) fn element(sources: u16) -> u16 {
    ELEMENT + sources
}

/// The sources of an address of an array's element, when `opcode` is one that writes a slot.
pub(crate) fn as_element(opcode: u16) -> Option<u16> {
    opcode.checked_sub(ELEMENT).filter(|at| *at < 3)
}

/// A load from any memory.
pub(crate) fn load_from(kind: LoadKind) -> u16 {
    LOAD + kind as u16 * LOAD_ROW as u16 + 6
}

/// A store.
pub(crate) fn store(kind: StoreKind, address: Place, value: Place) -> u16 {
    STORE + kind as u16 * STORE_ROW as u16 + address as u16 * 3 + value as u16
}

/// A store to any memory.
pub(crate) fn store_to(kind: StoreKind) -> u16 {
    STORE + kind as u16 * STORE_ROW as u16 + STORE_ROW as u16 - 1
}

/// A branch on a value.
pub(crate) fn br_if(acc: bool, when: bool, back: bool) -> u16 {
    BR_IF + u16::from(acc) + if when { 0 } else { 2 } + if back { 4 } else { 0 }
}

/// What the outermost frame returns to: [`Exit`], with a distance of 0 before it.
pub(crate) fn exit() -> *const u8 {
    static CODE: [u16; 2] = [0, EXIT];
    CODE.as_ptr().wrapping_add(1).cast()
}

/// What the outermost frame of a segment returns to that compiled code has entered.
pub(crate) fn exit_to_compiled() -> *const u8 {
    static CODE: [u16; 2] = [0, EXIT];
    CODE.as_ptr().wrapping_add(1).cast()
}

/// Whether nothing of its segment is above the frame that returns to `address`.
pub(crate) fn is_exit(address: *const u8) -> bool {
    address == exit() || address == exit_to_compiled()
}

/// What the frame above a stand-in returns to: [`AfterTail`], with the size of a stand-in before it.
pub(crate) fn after_tail() -> *const u8 {
    static CODE: [u16; 2] = [STAND_IN_SLOTS as u16, AFTER_TAIL];
    CODE.as_ptr().wrapping_add(1).cast()
}
