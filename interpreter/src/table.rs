//! The opcode table: every instruction once, in one order, from which the numbers, the handlers of both
//! dispatchers, the names and the fields follow.

pub(crate) mod vectors;

use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::object::Storage;

use crate::dispatch::{Handler, Step};
use crate::entry::{Description, Entry, entry};
use crate::field::Field;
use crate::machine::Stop;
use crate::mode::{Acc, Imm, Slot};
use crate::ops::atomic::AtomicFence;
use crate::ops::branch::*;
use crate::ops::bulk::*;
use crate::ops::call::*;
use crate::ops::compiled::{EnterCompiled, Look};
use crate::ops::exception::{Throw, ThrowRef};
use crate::ops::misc::*;
use crate::ops::object::*;
use crate::ops::reference::*;
use crate::ops::simd::lanes::{Shuffle8, Shuffle32};
use crate::ops::simd::slots::*;
use crate::ops::tail_call::*;
use crate::ops::wide::*;
use crate::returns;
use crate::rows::atomics::*;
use crate::rows::objects::*;
use crate::rows::vectors::*;
use crate::rows::*;

// What the translator names instructions by, and what return addresses can point at.
pub(crate) use crate::ops::atomic::Operation as AtomicOperation;
use crate::ops::memory::FarAddress;
pub(crate) use crate::ops::memory::{LoadKind, StoreKind};
pub(crate) use crate::ops::numeric::{BinaryKind, UnaryKind};
pub(crate) use crate::rows::{SelectKind, is_float_compare};

/// `global.get` of a global of the instance itself, writing a slot.
pub(crate) const GLOBAL_GET: u16 = GLOBAL_GET_ROWS;

/// The same behind a pointer.
pub(crate) const GLOBAL_GET_FAR: u16 = GLOBAL_GET_ROWS + GLOBAL_GET_ROW as u16;

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
    RESTORE = Restore;
    EXIT = Exit;
    AFTER_TAIL = AfterTail;
    REF_LEAVE = RefLeave;
    LOOK = Look;
    UNREACHABLE = Stop<{ Trap::UnreachableCodeReached as u8 }>;
    OUT_OF_BOUNDS = Stop<{ Trap::MemoryOutOfBounds as u8 }>;
    BR = Br<false>;
    BR_BACK = Br<true>;
    BR_TABLE_SLOT = BrTable<Slot>;
    BR_TABLE_ACC = BrTable<Acc>;
    COPY = CopySlot;
    COPY2 = CopyTwoSlots;
    COPY_ACC = CopyAcc<u64>;
    COPY_ACC32 = CopyAcc<f32>;
    COPY_ACC64 = CopyAcc<f64>;
    CONST32 = Const32;
    CONST64 = Const64;
    FAR_ADDRESS = FarAddress;
    ADD128 = WideOp<I64Add128, 4>;
    SUB128 = WideOp<I64Sub128, 4>;
    MUL_WIDE_S = WideOp<I64MulWideS, 2>;
    MUL_WIDE_U = WideOp<I64MulWideU, 2>;
    GLOBAL_SET = GlobalSet<Slot, true>;
    GLOBAL_SET_ACC = GlobalSet<Acc, true>;
    GLOBAL_SET_IMM = GlobalSet<Imm, true>;
    GLOBAL_SET_FAR = GlobalSet<Slot, false>;
    CHARGE = Charge;
    COUNT_SEGMENT = Count;
    CALL = Call;
    CALL_IMPORT = CallImport;
    CALL_INDIRECT_SLOT = CallIndirect<Slot>;
    CALL_INDIRECT_ACC = CallIndirect<Acc>;
    CALL_INDIRECT_IMM = CallIndirect<Imm>;
    CALL_REF = CallRef;
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
    ENTER_COMPILED = EnterCompiled;
    TAIL_CALL = TailCall;
    TAIL_CALL_IMPORT = TailCallImport;
    TAIL_CALL_INDIRECT = TailCallIndirect;
    TAIL_CALL_REF = TailCallRef;
    MEMORY_SIZE = MemorySize;
    MEMORY_GROW = MemoryGrow;
    MEMORY_FILL = MemoryFill;
    MEMORY_COPY = MemoryCopy;
    MEMORY_INIT = MemoryInit;
    DATA_DROP = DataDrop;
    MEMORY_ATOMIC_NOTIFY = MemoryAtomicNotify;
    MEMORY_ATOMIC_WAIT32 = MemoryAtomicWait32;
    MEMORY_ATOMIC_WAIT64 = MemoryAtomicWait64;
    ATOMIC_FENCE = AtomicFence;
    TABLE_SIZE = TableSize;
    TABLE_GET = TableGet;
    TABLE_SET = TableSet;
    TABLE_GROW = TableGrow;
    TABLE_FILL = TableFill;
    TABLE_COPY = TableCopy;
    TABLE_INIT = TableInit;
    ELEM_DROP = ElemDrop;
    REF_FUNC = RefFunc;
    NON_NULL = NonNull;
    BR_IF_NULL = BrNull<true, false>;
    BR_UNLESS_NULL = BrNull<false, false>;
    BR_BACK_IF_NULL = BrNull<true, true>;
    BR_BACK_UNLESS_NULL = BrNull<false, true>;
    REF_BR_IF_NULL = RefBrNull<true, false>;
    REF_BR_UNLESS_NULL = RefBrNull<false, false>;
    REF_BR_BACK_IF_NULL = RefBrNull<true, true>;
    REF_BR_BACK_UNLESS_NULL = RefBrNull<false, true>;
    REF_FRAME = RefFrame;
    REF_ENTER = RefEnter;
    REF_COPY = RefCopy;
    REF_MOVE = RefMove;
    REF_NULL = RefNull;
    REF_IS_NULL = RefIsNull;
    REF_NON_NULL = RefNonNull;
    REF_SELECT = RefSelect;
    REF_GLOBAL_GET = RefGlobalGet;
    REF_GLOBAL_SET = RefGlobalSet;
    REF_TABLE_GET = RefTableGet;
    REF_TABLE_SET = RefTableSet;
    REF_TABLE_GROW = RefTableGrow;
    REF_TABLE_FILL = RefTableFill;
    STRUCT_NEW = StructNew;
    ARRAY_NEW = ArrayNew;
    ARRAY_NEW_FIXED = ArrayNewFixed;
    ARRAY_NEW_DATA = ArrayNewData;
    ARRAY_NEW_ELEM = ArrayNewElem;
    ARRAY_INIT_DATA = ArrayInitData;
    ARRAY_INIT_ELEM = ArrayInitElem;
    ARRAY_COPY = ArrayCopy;
    ARRAY_FILL = ArrayFill;
    ARRAY_FILL_VECTOR = ArrayFillVector;
    ARRAY_FILL_REF = ArrayFillRef;
    ARRAY_FILL_NEW = ArrayFillNew;
    ARRAY_FILL_NEW_VECTOR = ArrayFillNewVector;
    ARRAY_FILL_NEW_REF = ArrayFillNewRef;
    ARRAY_LEN = ArrayLen;
    THROW = Throw;
    THROW_REF = ThrowRef;
    REF_I31 = RefI31;
    I31_GET_S = I31Get<true>;
    I31_GET_U = I31Get<false>;
    REF_EQ = RefEq;
    REF_TEST = RefTest<Object>;
    FUNC_TEST = RefTest<Function>;
    REF_CAST = RefCast<Object>;
    FUNC_CAST = RefCast<Function>;
    COPY_VECTOR = CopyVector;
    CONST_VECTOR = ConstVector;
    SELECT_VECTOR_SLOT = SelectVector<Slot>;
    SELECT_VECTOR_ACC = SelectVector<Acc>;
    GLOBAL_GET_VECTOR = GlobalGetVector<true>;
    GLOBAL_GET_VECTOR_FAR = GlobalGetVector<false>;
    GLOBAL_SET_VECTOR = GlobalSetVector<true>;
    GLOBAL_SET_VECTOR_FAR = GlobalSetVector<false>;
    RET_VECTOR = RetVector;
    SHUFFLE8 = Shuffle8;
    SHUFFLE32 = Shuffle32;
    #[cfg(test)]
    LANDING = crate::jumps::Landing;
}

const fn len<const R: usize, const N: usize>(_: &[[Entry; R]; N]) -> u16 {
    (R * N) as u16
}

// Return addresses point at these, which code that knows nothing of this table compares.
const _: () = assert!(
    RESTORE == returns::RESTORE
        && EXIT == returns::EXIT
        && AFTER_TAIL == returns::AFTER_TAIL
        && REF_LEAVE == returns::REF_LEAVE
        && LOOK == returns::LOOK
);

const fn place<const R: usize, const N: usize>(all: &mut [Entry; COUNT], at: u16, rows: &[[Entry; R]; N]) {
    let mut i = 0;
    while i < R * N {
        all[at as usize + i] = rows[i / R][i % R];
        i += 1;
    }
}

macro_rules! families {
    ($($name:ident = $rows:ident;)*) => {
        families! { @number 0; $($name = $rows;)* }

        /// Every instruction, by opcode. A constant, as the statics below are made of it; it is not in the binary.
        #[allow(clippy::large_const_arrays)]
        const ENTRIES: [Entry; COUNT] = {
            let mut all = [entry::<Exit>(); COUNT];
            $(place(&mut all, $name, &$rows);)*
            all
        };
    };
    (@number $at:expr; $name:ident = $rows:ident; $($rest:tt)*) => {
        const $name: u16 = $at;
        families! { @number $name + len(&$rows); $($rest)* }
    };
    (@number $at:expr;) => {
        /// Number of opcodes.
        pub(crate) const COUNT: usize = ($at) as usize;
    };
}

families! {
    SINGLE = SINGLES;
    BINARY = BINARIES;
    UNARY = UNARIES;
    COMPARE = COMPARES;
    SELECT = SELECTS;
    LOAD = LOADS;
    STORE = STORES;
    BR_IF = BR_IFS;
    GLOBAL_GET_ROWS = GLOBAL_GETS;
    ELEMENT = ELEMENTS;
    INTEGER_UNARY = INTEGER_UNARIES;
    INTEGER_BINARY = INTEGER_BINARIES;
    COMPARISON = COMPARISONS;
    FLOAT_UNARY = FLOAT_UNARIES;
    FLOAT_BINARY = FLOAT_BINARIES;
    CONVERSION = CONVERSIONS;
    COMBINATION = COMBINATIONS;
    SWIZZLE = SWIZZLES;
    SELECTION = SELECTIONS;
    RELAXED_UNARY = RELAXED_UNARIES;
    RELAXED_BINARY = RELAXED_BINARIES;
    RELAXED_TERNARY = RELAXED_TERNARIES;
    QUESTION = QUESTIONS;
    SPLAT = SPLATS;
    EXTRACT = EXTRACTS;
    REPLACE = REPLACES;
    SHIFT = SHIFTS;
    VECTOR_LOAD = VECTOR_LOADS;
    LANE_LOAD = LANE_LOADS;
    LANE_STORE = LANE_STORES;
    VECTOR_STORE = VECTOR_STORES;
    WIDE_LOAD = WIDE_LOADS;
    WIDE_STORE = WIDE_STORES;
    WIDE_VECTOR_LOAD = WIDE_VECTOR_LOADS;
    WIDE_LANE_LOAD = WIDE_LANE_LOADS;
    WIDE_LANE_STORE = WIDE_LANE_STORES;
    FIELD_GET = FIELD_GETS;
    FIELD_SET = FIELD_SETS;
    CAST_BRANCH = CAST_BRANCHES;
    ATOMIC = ATOMICS;
}

/// Handlers of the tail dispatcher.
pub(crate) struct HandlerTable(
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "read through its address"))]
    pub(crate)  [Handler; COUNT],
);

/// Handlers of the loop.
pub(crate) struct Steps(pub(crate) [Step; COUNT]);

#[cfg_attr(not(all(wasmrun_tail_dispatch, not(debug_assertions))), allow(dead_code))]
pub(crate) static HANDLERS: HandlerTable = {
    let mut handlers = [ENTRIES[0].handler; COUNT];
    let mut i = 0;
    while i < COUNT {
        handlers[i] = ENTRIES[i].handler;
        i += 1;
    }
    HandlerTable(handlers)
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

static DESCRIPTIONS: [Description; COUNT] = {
    let mut descriptions = [ENTRIES[0].description; COUNT];
    let mut i = 0;
    while i < COUNT {
        descriptions[i] = ENTRIES[i].description;
        i += 1;
    }
    descriptions
};

/// The name of an instruction.
pub(crate) fn name(opcode: u16) -> &'static str {
    DESCRIPTIONS[usize::from(opcode)].name()
}

/// The fields of an instruction.
pub(crate) fn fields(opcode: u16) -> &'static [Field] {
    DESCRIPTIONS[usize::from(opcode)].fields()
}

/// Addressing modes of the two sources of a binary instruction, in the order of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Modes {
    SlotSlot,
    SlotAcc,
    AccSlot,
    SlotImm,
    AccImm,
    ImmSlot,
    ImmAcc,
}

/// The opcode in column `column` of a family's row.
const fn in_row(family: u16, row: u16, row_len: usize, column: usize) -> u16 {
    family + row * row_len as u16 + column as u16
}

/// A binary instruction that writes a slot.
pub(crate) fn binary(kind: BinaryKind, modes: Modes) -> u16 {
    in_row(BINARY, kind as u16, BINARY_ROW, modes as usize)
}

/// What a binary instruction is, when `opcode` is one that writes a slot: its kind, and the number of its
/// [`Modes`].
pub(crate) fn as_binary(opcode: u16) -> Option<(BinaryKind, u16)> {
    let at = opcode.checked_sub(BINARY).filter(|at| *at < len(&BINARIES))?;
    let (row, column) = (at / BINARY_ROW as u16, at % BINARY_ROW as u16);
    let kind = *BinaryKind::ALL.get(usize::from(row))?;
    (usize::from(column) < BINARY_SPARED).then_some((kind, column))
}

/// How much is added to the opcode of an instruction that writes a slot to get the one that writes the
/// accumulator alone; `None` where there is no such instruction.
pub(crate) fn to_acc_delta(opcode: u16) -> Option<u16> {
    let delta = ACC_DELTAS[usize::from(opcode)];
    (delta != 0).then_some(delta.into())
}

static ACC_DELTAS: [u8; COUNT] = {
    /// In each row of a family, `count` columns from `start` on are followed by the same spared the write.
    const fn spare(
        deltas: &mut [u8; COUNT],
        family: u16,
        len: u16,
        row_len: usize,
        start: usize,
        count: usize,
    ) {
        let mut at = 0;
        while at < len as usize {
            let column = at % row_len;
            if column >= start && column < start + count {
                deltas[family as usize + at] = count as u8;
            }
            at += 1;
        }
    }
    let mut all = [0; COUNT];
    spare(&mut all, BINARY, len(&BINARIES), BINARY_ROW, 0, BINARY_SPARED);
    spare(&mut all, UNARY, len(&UNARIES), UNARY_ROW, 0, UNARY_SPARED);
    spare(&mut all, SELECT, len(&SELECTS), SELECT_ROW, 0, SELECT_SPARED);
    spare(&mut all, LOAD, len(&LOADS), LOAD_ROW, 0, LOAD_SPARED);
    spare(&mut all, LOAD, len(&LOADS), LOAD_ROW, LOAD_SUMS, LOAD_SUM_SPARED);
    spare(&mut all, LOAD, len(&LOADS), LOAD_ROW, LOAD_ELEMENTS, LOAD_ELEMENT_SPARED);
    spare(&mut all, WIDE_LOAD, len(&WIDE_LOADS), LOAD_ROW, 0, LOAD_SPARED);
    spare(&mut all, WIDE_LOAD, len(&WIDE_LOADS), LOAD_ROW, LOAD_SUMS, LOAD_SUM_SPARED);
    spare(&mut all, WIDE_LOAD, len(&WIDE_LOADS), LOAD_ROW, LOAD_ELEMENTS, LOAD_ELEMENT_SPARED);
    spare(&mut all, ELEMENT, len(&ELEMENTS), ELEMENT_ROW, 0, ELEMENT_SPARED);
    spare(&mut all, GLOBAL_GET_ROWS, len(&GLOBAL_GETS), GLOBAL_GET_ROW, 0, GLOBAL_GET_SPARED);
    spare(&mut all, QUESTION, len(&QUESTIONS), SCALAR_ROW, 0, SCALAR_SPARED);
    spare(&mut all, EXTRACT, len(&EXTRACTS), SCALAR_ROW, 0, SCALAR_SPARED);
    all
};

/// A unary instruction that writes a slot.
pub(crate) fn unary(kind: UnaryKind, acc: bool) -> u16 {
    in_row(UNARY, kind as u16, UNARY_ROW, usize::from(acc))
}

/// A fused comparison and branch: by the row of the comparison, in the second half of the row when `second`.
pub(crate) fn compare(row: u16, modes: u16, second: bool) -> u16 {
    in_row(COMPARE, row, COMPARE_ROW, usize::from(modes) + if second { COMPARE_SECOND } else { 0 })
}

/// A `select` that writes a slot.
pub(crate) fn select(kind: SelectKind, first_imm: bool, second_imm: bool, acc: bool) -> u16 {
    let column = usize::from(first_imm) * SELECT_FIRST_IMM
        + usize::from(second_imm) * SELECT_SECOND_IMM
        + usize::from(acc) * SELECT_ACC;
    in_row(SELECT, kind as u16, SELECT_ROW, column)
}

/// The addressing mode of one source, in the order of the rows of loads and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Mode {
    Slot,
    Acc,
    Imm,
}

/// The family of accesses with addresses of 32 bits, or of 64.
const fn by_width(wide: bool, narrow_family: u16, wide_family: u16) -> u16 {
    if wide { wide_family } else { narrow_family }
}

/// A load that writes a slot.
pub(crate) fn load(wide: bool, kind: LoadKind, address: Mode) -> u16 {
    in_row(by_width(wide, LOAD, WIDE_LOAD), kind as u16, LOAD_ROW, address as usize)
}

/// A load that adds up its address, with the modes that the addition had; writes a slot. There is none for
/// an addition that starts with a constant.
pub(crate) fn load_sum(wide: bool, kind: LoadKind, modes: u16) -> Option<u16> {
    let column = usize::from(modes);
    let family = by_width(wide, LOAD, WIDE_LOAD);
    (column < LOAD_SUM_SPARED).then(|| in_row(family, kind as u16, LOAD_ROW, LOAD_SUMS + column))
}

/// A load from an element of an array, with the modes that its address had; writes a slot.
pub(crate) fn load_element(wide: bool, kind: LoadKind, modes: u16) -> u16 {
    in_row(by_width(wide, LOAD, WIDE_LOAD), kind as u16, LOAD_ROW, LOAD_ELEMENTS + usize::from(modes))
}

/// The address of an array's element; writes a slot. `modes` is one of the first three of [`Modes`].
pub(crate) fn element(wide: bool, modes: u16) -> u16 {
    in_row(ELEMENT, wide.into(), ELEMENT_ROW, modes.into())
}

/// The [`Modes`] of an address of an array's element, when `opcode` is one of so many bits that writes a slot.
pub(crate) fn as_element(wide: bool, opcode: u16) -> Option<u16> {
    opcode.checked_sub(element(wide, 0)).filter(|at| usize::from(*at) < ELEMENT_SPARED)
}

/// A load from any memory.
pub(crate) fn load_from(wide: bool, kind: LoadKind) -> u16 {
    in_row(by_width(wide, LOAD, WIDE_LOAD), kind as u16, LOAD_ROW, LOAD_FROM)
}

/// A store.
pub(crate) fn store(wide: bool, kind: StoreKind, address: Mode, value: Mode) -> u16 {
    let column = address as usize * STORE_VALUES + value as usize;
    in_row(by_width(wide, STORE, WIDE_STORE), kind as u16, STORE_ROW, column)
}

/// A store to any memory.
pub(crate) fn store_to(wide: bool, kind: StoreKind) -> u16 {
    in_row(by_width(wide, STORE, WIDE_STORE), kind as u16, STORE_ROW, STORE_TO)
}

/// An atomic access of so many bytes, of which this is the logarithm to the base 2.
pub(crate) fn atomic(operation: AtomicOperation, log2: u8) -> u16 {
    in_row(ATOMIC, operation as u16, ATOMIC_ROW, log2.into())
}

/// A branch on a value.
pub(crate) fn br_null(collected: bool, when: bool, back: bool) -> u16 {
    match (collected, back, when) {
        (false, false, true) => BR_IF_NULL,
        (false, false, false) => BR_UNLESS_NULL,
        (false, true, true) => BR_BACK_IF_NULL,
        (false, true, false) => BR_BACK_UNLESS_NULL,
        (true, false, true) => REF_BR_IF_NULL,
        (true, false, false) => REF_BR_UNLESS_NULL,
        (true, true, true) => REF_BR_BACK_IF_NULL,
        (true, true, false) => REF_BR_BACK_UNLESS_NULL,
    }
}

/// A branch on the type of a reference: to an object, or to a function.
pub(crate) fn br_cast(collected: bool, when: bool, back: bool) -> u16 {
    let column = usize::from(!when) * CAST_UNLESS + usize::from(back) * CAST_BACK;
    in_row(CAST_BRANCH, u16::from(!collected), CAST_ROW, column)
}

/// The row of what reads a field or an element.
fn get_row(storage: Storage, signed: bool) -> u16 {
    match (storage, signed) {
        (Storage::I8, true) => 0,
        (Storage::I8, false) => 1,
        (Storage::I16, true) => 2,
        (Storage::I16, false) => 3,
        (Storage::Word, _) => 4,
        (Storage::Double | Storage::Function, _) => 5,
        (Storage::Vector, _) => 6,
        (Storage::Reference, _) => 7,
    }
}

/// The row of what writes one.
fn set_row(storage: Storage) -> u16 {
    match storage {
        Storage::I8 => 0,
        Storage::I16 => 1,
        Storage::Word => 2,
        Storage::Double | Storage::Function => 3,
        Storage::Vector => 4,
        Storage::Reference => 5,
    }
}

/// A `struct.get`.
pub(crate) fn struct_get(storage: Storage, signed: bool) -> u16 {
    in_row(FIELD_GET, get_row(storage, signed), FIELD_ROW, 0)
}

/// An `array.get`.
pub(crate) fn array_get(storage: Storage, signed: bool) -> u16 {
    in_row(FIELD_GET, get_row(storage, signed), FIELD_ROW, FIELD_OF_ARRAY)
}

/// A `struct.set`.
pub(crate) fn struct_set(storage: Storage) -> u16 {
    in_row(FIELD_SET, set_row(storage), FIELD_ROW, 0)
}

/// An `array.set`.
pub(crate) fn array_set(storage: Storage) -> u16 {
    in_row(FIELD_SET, set_row(storage), FIELD_ROW, FIELD_OF_ARRAY)
}

pub(crate) fn br_if(acc: bool, when: bool, back: bool) -> u16 {
    let column = usize::from(acc) + if when { 0 } else { BR_IF_UNLESS } + if back { BR_IF_BACK } else { 0 };
    in_row(BR_IF, 0, BR_IF_ROW, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_spared_its_write_differs_in_nothing_else() {
        let mut pairs = 0;
        for opcode in 0..COUNT as u16 {
            let Some(delta) = to_acc_delta(opcode) else { continue };
            let spared = opcode + delta;
            assert_eq!(name(opcode), name(spared));
            assert_eq!(fields(opcode)[0], Field::Dest, "{}", name(opcode));
            assert_eq!(fields(spared)[0], Field::SparedDest, "{}", name(opcode));
            assert_eq!(fields(opcode)[1..], fields(spared)[1..], "{}", name(opcode));
            assert_eq!(to_acc_delta(spared), None);
            pairs += 1;
        }
        let spared = (0..COUNT as u16).filter(|op| fields(*op).first() == Some(&Field::SparedDest)).count();
        assert_eq!(pairs, spared, "each is reached");
    }

    #[test]
    fn the_selectors_name_instructions_with_the_fields_that_were_asked_for() {
        use Field::{Acc, Context, Dest, Displacement, F64, I32, I64, Offset, Slot};
        assert_eq!(name(binary(BinaryKind::I32Sub, Modes::ImmAcc)), "i32.sub");
        assert_eq!(fields(binary(BinaryKind::I32Sub, Modes::ImmAcc)), [Dest, I32, Acc]);
        assert_eq!(as_binary(binary(BinaryKind::F64Le, Modes::AccImm)), Some((BinaryKind::F64Le, 4)));
        assert_eq!(fields(unary(UnaryKind::I32Clz, true)), [Dest, Acc]);
        let row = BinaryKind::I64GeU.comparison().unwrap();
        assert_eq!(name(compare(row, 0, true)), "br_back_if.i64.ge_u");
        let row = BinaryKind::F32Ge.comparison().unwrap();
        assert_eq!(name(compare(row, 0, true)), "br_unless.f32.ge");
        assert_eq!(fields(select(SelectKind::F64, true, false, true)), [Dest, F64, Slot, Acc]);
        assert_eq!(fields(select(SelectKind::F64, false, true, false)), [Dest, Slot, F64, Slot]);
        assert_eq!(fields(load(false, LoadKind::Load8U, Mode::Acc)), [Dest, Acc, Offset]);
        assert_eq!(fields(load(false, LoadKind::Load8U, Mode::Imm)), [Dest, Offset]);
        assert_eq!(name(load_sum(false, LoadKind::Load64, 3).unwrap()), "load64.sum");
        assert_eq!(load_sum(false, LoadKind::Load64, Modes::ImmSlot as u16), None);
        assert_eq!(fields(load_element(false, LoadKind::Load64, 1)), [Dest, Slot, Acc, I32, Offset]);
        assert_eq!(as_element(false, element(false, 2)), Some(2));
        assert_eq!(
            (as_element(true, element(true, 1)), as_element(false, element(true, 1))),
            (Some(1), None)
        );
        assert_eq!(name(load(true, LoadKind::Load8U, Mode::Acc)), "load8_u.wide");
        assert_eq!(fields(load_element(true, LoadKind::Load64, 1)), [Dest, Slot, Acc, I64, Offset]);
        assert_eq!(name(store_to(true, StoreKind::StoreF32)), "f32.store.wide.to");
        assert_eq!(name(load_from(false, LoadKind::LoadF32)), "f32.load.from");
        assert_eq!(fields(store(false, StoreKind::StoreF64, Mode::Imm, Mode::Imm)), [F64, Offset]);
        assert_eq!(fields(store(false, StoreKind::Store8, Mode::Acc, Mode::Slot)), [Acc, Slot, Offset]);
        assert_eq!(fields(store_to(false, StoreKind::Store8)), [Slot, Slot, Offset, Context]);
        assert_eq!(name(br_if(true, false, true)), "br_back_unless");
        assert_eq!(fields(br_if(true, false, true)), [Acc, Displacement]);
        assert_eq!(name(GLOBAL_GET_FAR), "global.get.far");
    }
}
