//! Instructions on objects: structures, arrays, numbers of 31 bits, and what tests references.
//!
//! Those that make an object may collect. They say in [`Field::Count`] how many slots of the reference frame are in use, the
//! operands included: what is above is nobody's.

use std::marker::PhantomData;

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::types::object::ARRAY_LENGTH;
use wasmrun_runtime::vm::{FuncRef, TypeTest, VmContext, builtins, write_object_ref};

use super::branch::{back, when};
use crate::field::Field::{self, Count, Data, Dest, Element, I32, Offset, RefDest, RefSlot, Slot, Type};
use crate::machine::{At, Dispatch, Machine, Op, Stop, code};
use crate::ops::reference::{put, reference};

type Null = Stop<{ code(Trap::NullReference) }>;
type OutOfBounds = Stop<{ code(Trap::ArrayOutOfBounds) }>;
type NotOfType = Stop<{ code(Trap::CastFailure) }>;

/// How a field or an element becomes a value.
pub(crate) trait Get {
    /// Its name.
    const NAME: &'static str;
    /// What the value is written to.
    const FIELD: Field;
    /// Its size.
    const BYTES: usize;
    /// Copies it to the slot that the first field of the instruction, an `O`, names.
    ///
    /// # Safety
    /// It is at `from`.
    unsafe fn get<O: Op>(m: &Machine, from: *const u8);
}

/// How a value becomes a field or an element.
pub(crate) trait Set {
    /// Its name.
    const NAME: &'static str;
    /// What the value is read from.
    const FIELD: Field;
    /// Its size.
    const BYTES: usize;
    /// Copies it from the slot that field `I` of the instruction, an `O`, names.
    ///
    /// # Safety
    /// It goes to `to`, in an object.
    unsafe fn set<O: Op, const I: usize>(m: &Machine, to: *mut u8);
}

macro_rules! gets {
    ($($name:ident $text:literal: $stored:ty as $slot:ty;)*) => { $(
        pub(crate) struct $name;
        impl Get for $name {
            const NAME: &'static str = $text;
            const FIELD: Field = Dest;
            const BYTES: usize = size_of::<$stored>();
            #[inline(always)]
            unsafe fn get<O: Op>(m: &Machine, from: *const u8) {
                // SAFETY: the caller's promise.
                unsafe { *m.slot::<O, 0>() = from.cast::<$stored>().read() as $slot as u64 };
            }
        }
    )* };
}

gets! {
    GetI8S "i8_s": i8 as u32;
    GetI8U "i8_u": u8 as u32;
    GetI16S "i16_s": i16 as u32;
    GetI16U "i16_u": u16 as u32;
    GetWord "word": u32 as u32;
    GetDouble "double": u64 as u64;
}

macro_rules! sets {
    ($($name:ident $text:literal: $stored:ty;)*) => { $(
        pub(crate) struct $name;
        impl Set for $name {
            const NAME: &'static str = $text;
            const FIELD: Field = Slot;
            const BYTES: usize = size_of::<$stored>();
            #[inline(always)]
            unsafe fn set<O: Op, const I: usize>(m: &Machine, to: *mut u8) {
                // SAFETY: the caller's promise.
                unsafe { to.cast::<$stored>().write(*m.slot::<O, I>() as $stored) };
            }
        }
    )* };
}

sets! {
    SetI8 "i8": u8;
    SetI16 "i16": u16;
    SetWord "word": u32;
    SetDouble "double": u64;
}

/// A vector.
pub(crate) struct Vector;

impl Get for Vector {
    const NAME: &'static str = "vector";
    const FIELD: Field = Field::VectorDest;
    const BYTES: usize = 16;
    #[inline(always)]
    unsafe fn get<O: Op>(m: &Machine, from: *const u8) {
        // SAFETY: the caller's promise; a vector has two slots.
        unsafe { m.slot::<O, 0>().cast::<[u64; 2]>().write(from.cast::<[u64; 2]>().read()) };
    }
}

impl Set for Vector {
    const NAME: &'static str = "vector";
    const FIELD: Field = Field::Vector;
    const BYTES: usize = 16;
    #[inline(always)]
    unsafe fn set<O: Op, const I: usize>(m: &Machine, to: *mut u8) {
        // SAFETY: the caller's promise; a vector has two slots.
        unsafe { to.cast::<[u64; 2]>().write(m.slot::<O, I>().cast::<[u64; 2]>().read()) };
    }
}

/// A collected reference.
pub(crate) struct Reference;

impl Get for Reference {
    const NAME: &'static str = "ref";
    const FIELD: Field = RefDest;
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn get<O: Op>(m: &Machine, from: *const u8) {
        // SAFETY: the caller's promise.
        unsafe { m.at().ref_slot::<O, 0>().write(from.cast::<u32>().read()) };
    }
}

impl Set for Reference {
    const NAME: &'static str = "ref";
    const FIELD: Field = RefSlot;
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn set<O: Op, const I: usize>(m: &Machine, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { write_object_ref(m.exec(), to.cast(), *m.at().ref_slot::<O, I>()) };
    }
}

/// The first byte of an object.
#[inline(always)]
unsafe fn object(m: &Machine, reference: u32) -> *mut u8 {
    // SAFETY: the caller's reference leads to an object.
    unsafe { (*m.exec()).gc.base.add(reference as usize) }
}

/// `struct.get`: destination, structure, offset of the field.
pub(crate) struct StructGet<E>(PhantomData<E>);

impl<E: Get> Op for StructGet<E> {
    const NAME: &'static [&'static str] = &["struct.get.", E::NAME];
    const FIELDS: &'static [Field] = &[E::FIELD, RefSlot, Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; a structure of its type has the field.
        unsafe {
            let structure = *m.at().ref_slot::<Self, 1>();
            if structure == 0 {
                return D::cold::<Null>(m);
            }
            E::get::<Self>(&m, object(&m, structure).add(m.field::<Self, u32, 2>() as usize));
            m.next::<D, Self>()
        }
    }
}

/// `struct.set`, and how new objects are filled: object, value, offset of the field or element.
pub(crate) struct StructSet<E>(PhantomData<E>);

impl<E: Set> Op for StructSet<E> {
    const NAME: &'static [&'static str] = &["struct.set.", E::NAME];
    const FIELDS: &'static [Field] = &[RefSlot, E::FIELD, Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let structure = *m.at().ref_slot::<Self, 0>();
            if structure == 0 {
                return D::cold::<Null>(m);
            }
            let to = object(&m, structure).add(m.field::<Self, u32, 2>() as usize);
            E::set::<Self, 1>(&m, to);
            m.next::<D, Self>()
        }
    }
}

/// `array.get`: destination, array, index in a slot, offset of the first element.
pub(crate) struct ArrayGet<E>(PhantomData<E>);

impl<E: Get> Op for ArrayGet<E> {
    const NAME: &'static [&'static str] = &["array.get.", E::NAME];
    const FIELDS: &'static [Field] = &[E::FIELD, RefSlot, Slot, Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; the index is checked.
        unsafe {
            let array = *m.at().ref_slot::<Self, 1>();
            if array == 0 {
                return D::cold::<Null>(m);
            }
            let (start, index) = (object(&m, array), *m.slot::<Self, 2>() as u32);
            if index >= start.add(ARRAY_LENGTH).cast::<u32>().read() {
                return D::cold::<OutOfBounds>(m);
            }
            E::get::<Self>(&m, start.add(m.field::<Self, u32, 3>() as usize + index as usize * E::BYTES));
            m.next::<D, Self>()
        }
    }
}

/// `array.set`: array, index in a slot, value, offset of the first element.
pub(crate) struct ArraySet<E>(PhantomData<E>);

impl<E: Set> Op for ArraySet<E> {
    const NAME: &'static [&'static str] = &["array.set.", E::NAME];
    const FIELDS: &'static [Field] = &[RefSlot, Slot, E::FIELD, Offset];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as above.
        unsafe {
            let array = *m.at().ref_slot::<Self, 0>();
            if array == 0 {
                return D::cold::<Null>(m);
            }
            let (start, index) = (object(&m, array), *m.slot::<Self, 1>() as u32);
            if index >= start.add(ARRAY_LENGTH).cast::<u32>().read() {
                return D::cold::<OutOfBounds>(m);
            }
            let to = start.add(m.field::<Self, u32, 3>() as usize + index as usize * E::BYTES);
            E::set::<Self, 2>(&m, to);
            m.next::<D, Self>()
        }
    }
}

/// `array.len`: destination, array.
pub(crate) struct ArrayLen;

impl Op for ArrayLen {
    const NAME: &'static [&'static str] = &["array.len"];
    const FIELDS: &'static [Field] = &[Dest, RefSlot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let array = *m.at().ref_slot::<Self, 1>();
            if array == 0 {
                return D::cold::<Null>(m);
            }
            *m.slot::<Self, 0>() = object(&m, array).add(ARRAY_LENGTH).cast::<u32>().read().into();
            m.next::<D, Self>()
        }
    }
}

/// `ref.eq`: destination, references.
pub(crate) struct RefEq;

impl Op for RefEq {
    const NAME: &'static [&'static str] = &["ref.eq"];
    const FIELDS: &'static [Field] = &[Dest, RefSlot, RefSlot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let equal = *m.at().ref_slot::<Self, 1>() == *m.at().ref_slot::<Self, 2>();
            *m.slot::<Self, 0>() = equal.into();
            m.next::<D, Self>()
        }
    }
}

/// `ref.i31`: destination, number in a slot.
pub(crate) struct RefI31;

impl Op for RefI31 {
    const NAME: &'static [&'static str] = &["ref.i31"];
    const FIELDS: &'static [Field] = &[RefDest, Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            *m.at().ref_slot::<Self, 0>() = ((*m.slot::<Self, 1>() as u32) << 1) | 1;
            m.next::<D, Self>()
        }
    }
}

/// `i31.get_s` and `i31.get_u`: destination, reference.
pub(crate) struct I31Get<const SIGNED: bool>;

impl<const SIGNED: bool> Op for I31Get<SIGNED> {
    const NAME: &'static [&'static str] = &["i31.get", if SIGNED { "_s" } else { "_u" }];
    const FIELDS: &'static [Field] = &[Dest, RefSlot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let word = *m.at().ref_slot::<Self, 1>();
            if word == 0 {
                return D::cold::<Null>(m);
            }
            let value = if SIGNED { (word as i32 >> 1) as u32 } else { word >> 1 };
            *m.slot::<Self, 0>() = value.into();
            m.next::<D, Self>()
        }
    }
}

/// Where a reference that is tested is.
pub(crate) trait Tested {
    /// Begins the names of its instructions.
    const NAME: &'static str;
    const FIELD: Field;
    /// Whether the reference that field `I` of the instruction, an `O`, names is of the type in the next two.
    ///
    /// # Safety
    /// The instruction has these fields.
    unsafe fn test<O: Op, const I: usize>(m: &Machine, target: TypeTest, id: TypeId) -> bool;
}

/// An object, or a number of 31 bits.
pub(crate) struct Object;

impl Tested for Object {
    const NAME: &'static str = "ref.";
    const FIELD: Field = RefSlot;
    #[inline(always)]
    unsafe fn test<O: Op, const I: usize>(m: &Machine, target: TypeTest, id: TypeId) -> bool {
        // SAFETY: the caller's promise.
        unsafe { target.admits(m.exec(), *m.at().ref_slot::<O, I>(), id) }
    }
}

/// A function.
pub(crate) struct Function;

impl Tested for Function {
    const NAME: &'static str = "func.";
    const FIELD: Field = Slot;
    #[inline(always)]
    unsafe fn test<O: Op, const I: usize>(m: &Machine, target: TypeTest, id: TypeId) -> bool {
        // SAFETY: the caller's promise.
        unsafe { target.admits_function(m.exec(), *m.slot::<O, I>() as *const FuncRef, id) }
    }
}

/// `ref.test`: destination, reference, target, type.
pub(crate) struct RefTest<T>(PhantomData<T>);

impl<T: Tested> Op for RefTest<T> {
    const NAME: &'static [&'static str] = &[T::NAME, "test"];
    const FIELDS: &'static [Field] = &[Dest, T::FIELD, Count, I32];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let (target, id) =
                (TypeTest::of_word(m.field::<Self, u16, 2>()), TypeId(m.field::<Self, u32, 3>()));
            *m.slot::<Self, 0>() = T::test::<Self, 1>(&m, target, id).into();
            m.next::<D, Self>()
        }
    }
}

/// `ref.cast`: reference, target, type.
pub(crate) struct RefCast<T>(PhantomData<T>);

impl<T: Tested> Op for RefCast<T> {
    const NAME: &'static [&'static str] = &[T::NAME, "cast"];
    const FIELDS: &'static [Field] = &[T::FIELD, Count, I32];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let (target, id) =
                (TypeTest::of_word(m.field::<Self, u16, 1>()), TypeId(m.field::<Self, u32, 2>()));
            if !T::test::<Self, 0>(&m, target, id) {
                return D::cold::<NotOfType>(m);
            }
            m.next::<D, Self>()
        }
    }
}

/// Branches when a reference is of a type (`WHEN`) or not: reference, target, type, displacement.
pub(crate) struct BrCast<T, const WHEN: bool, const BACK: bool>(PhantomData<T>);

impl<T: Tested, const WHEN: bool, const BACK: bool> Op for BrCast<T, WHEN, BACK> {
    const NAME: &'static [&'static str] = &[T::NAME, "br", back(BACK), when(WHEN), ".cast"];
    const FIELDS: &'static [Field] = &[T::FIELD, Count, I32, Field::Displacement];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let (target, id) =
                (TypeTest::of_word(m.field::<Self, u16, 1>()), TypeId(m.field::<Self, u32, 2>()));
            if T::test::<Self, 0>(&m, target, id) == WHEN {
                m.branch::<D, Self, 3, BACK>()
            } else {
                m.next::<D, Self>()
            }
        }
    }
}

/// Lets a slow path collect: the frame has `used` reference slots.
pub(super) unsafe fn collecting(
    m: At,
    used: u16,
    make: impl FnOnce(*mut VmContext) -> Result<u32, Pending>,
) -> Result<u64, Pending> {
    // SAFETY: the caller's instruction is in a frame with so many.
    unsafe {
        let exec = m.exec();
        let top = (*exec).ref_top;
        (*exec).ref_top = (*exec).ref_frame.add(used.into());
        let made = make(m.ctx);
        (*exec).ref_top = top;
        made.map(u64::from)
    }
}

reference! {
    /// `struct.new_default`: destination, type, reference slots in use.
    StructNew "struct.new": [RefDest, Type, Count], |m| {
        let (ty, used) = (m.field::<StructNew, u32, 1>(), m.field::<StructNew, u16, 2>());
        put(m.ref_slot::<StructNew, 0>(), collecting(m, used, |ctx| builtins::struct_new(ctx, ty))?);
    };
    /// `array.new_default`: destination, length in a slot, type, reference slots in use.
    ArrayNew "array.new": [RefDest, Slot, Type, Count], |m| {
        let (len, ty) = (*m.slot::<ArrayNew, 1>() as u32, m.field::<ArrayNew, u32, 2>());
        let used = m.field::<ArrayNew, u16, 3>();
        put(m.ref_slot::<ArrayNew, 0>(), collecting(m, used, |ctx| builtins::array_new(ctx, ty, len))?);
    };
    /// The array of an `array.new_fixed`: destination, length, type, reference slots in use.
    ArrayNewFixed "array.new_fixed": [RefDest, I32, Type, Count], |m| {
        let (len, ty) = (m.field::<ArrayNewFixed, u32, 1>(), m.field::<ArrayNewFixed, u32, 2>());
        let used = m.field::<ArrayNewFixed, u16, 3>();
        put(m.ref_slot::<ArrayNewFixed, 0>(), collecting(m, used, |ctx| builtins::array_new(ctx, ty, len))?);
    };
    /// `array.new_data`: destination, offset and length in slots, type, segment, reference slots in use.
    ArrayNewData "array.new_data": [RefDest, Slot, Slot, Type, Data, Count], |m| {
        let (from, len) = (*m.slot::<ArrayNewData, 1>() as u32, *m.slot::<ArrayNewData, 2>() as u32);
        let (ty, segment) = (m.field::<ArrayNewData, u32, 3>(), m.field::<ArrayNewData, u32, 4>());
        let used = m.field::<ArrayNewData, u16, 5>();
        let made = collecting(m, used, |ctx| builtins::array_new_data(ctx, ty, segment, from, len))?;
        put(m.ref_slot::<ArrayNewData, 0>(), made);
    };
    /// `array.new_elem`: destination, offset and length in slots, type, segment, reference slots in use.
    ArrayNewElem "array.new_elem": [RefDest, Slot, Slot, Type, Element, Count], |m| {
        let (from, len) = (*m.slot::<ArrayNewElem, 1>() as u32, *m.slot::<ArrayNewElem, 2>() as u32);
        let (ty, segment) = (m.field::<ArrayNewElem, u32, 3>(), m.field::<ArrayNewElem, u32, 4>());
        let used = m.field::<ArrayNewElem, u16, 5>();
        let made = collecting(m, used, |ctx| builtins::array_new_elem(ctx, ty, segment, from, len))?;
        put(m.ref_slot::<ArrayNewElem, 0>(), made);
    };
    /// `array.init_data`: array, offsets and length in slots, type, segment.
    ArrayInitData "array.init_data": [RefSlot, Slot, Slot, Slot, Type, Data], |m| {
        let (array, to) = (*m.ref_slot::<ArrayInitData, 0>(), *m.slot::<ArrayInitData, 1>() as u32);
        let (from, len) = (*m.slot::<ArrayInitData, 2>() as u32, *m.slot::<ArrayInitData, 3>() as u32);
        let (ty, segment) = (m.field::<ArrayInitData, u32, 4>(), m.field::<ArrayInitData, u32, 5>());
        builtins::array_init_data(m.ctx, ty, segment, array, to, from, len)?;
    };
    /// `array.init_elem`: array, offsets and length in slots, type, segment.
    ArrayInitElem "array.init_elem": [RefSlot, Slot, Slot, Slot, Type, Element], |m| {
        let (array, to) = (*m.ref_slot::<ArrayInitElem, 0>(), *m.slot::<ArrayInitElem, 1>() as u32);
        let (from, len) = (*m.slot::<ArrayInitElem, 2>() as u32, *m.slot::<ArrayInitElem, 3>() as u32);
        let (ty, segment) = (m.field::<ArrayInitElem, u32, 4>(), m.field::<ArrayInitElem, u32, 5>());
        builtins::array_init_elem(m.ctx, ty, segment, array, to, from, len)?;
    };
    /// `array.copy`: destination, offset in a slot, source, offset and length in slots, type of the destination.
    ArrayCopy "array.copy": [RefSlot, Slot, RefSlot, Slot, Slot, Type], |m| {
        let (target, to) = (*m.ref_slot::<ArrayCopy, 0>(), *m.slot::<ArrayCopy, 1>() as u32);
        let (source, from) = (*m.ref_slot::<ArrayCopy, 2>(), *m.slot::<ArrayCopy, 3>() as u32);
        let (len, ty) = (*m.slot::<ArrayCopy, 4>() as u32, m.field::<ArrayCopy, u32, 5>());
        builtins::array_copy(m.ctx, ty, target, to, source, from, len)?;
    };
    /// `array.fill` of scalars and functions: array, start, value and length in slots, type.
    ArrayFill "array.fill": [RefSlot, Slot, Slot, Slot, Type], |m| {
        let (array, start) = (*m.ref_slot::<ArrayFill, 0>(), *m.slot::<ArrayFill, 1>() as u32);
        let (value, len) = (*m.slot::<ArrayFill, 2>(), *m.slot::<ArrayFill, 3>() as u32);
        builtins::array_fill(m.ctx, m.field::<ArrayFill, u32, 4>(), array, start, [value, 0], len)?;
    };
    /// `array.fill` of vectors.
    ArrayFillVector "array.fill.vector": [RefSlot, Slot, Field::Vector, Slot, Type], |m| {
        let array = *m.ref_slot::<ArrayFillVector, 0>();
        let (start, len) = (*m.slot::<ArrayFillVector, 1>() as u32, *m.slot::<ArrayFillVector, 3>() as u32);
        let value = m.slot::<ArrayFillVector, 2>().cast::<[u64; 2]>().read();
        builtins::array_fill(m.ctx, m.field::<ArrayFillVector, u32, 4>(), array, start, value, len)?;
    };
    /// `array.fill` of references.
    ArrayFillRef "array.fill.ref": [RefSlot, Slot, RefSlot, Slot, Type], |m| {
        let (array, start) = (*m.ref_slot::<ArrayFillRef, 0>(), *m.slot::<ArrayFillRef, 1>() as u32);
        let (value, len) = (*m.ref_slot::<ArrayFillRef, 2>(), *m.slot::<ArrayFillRef, 3>() as u32);
        builtins::array_fill(m.ctx, m.field::<ArrayFillRef, u32, 4>(), array, start, [value.into(), 0], len)?;
    };
    /// The elements of an `array.new`, scalars or functions: array, value and length in slots, type.
    ArrayFillNew "array.fill_new": [RefSlot, Slot, Slot, Type], |m| {
        let array = *m.ref_slot::<ArrayFillNew, 0>();
        let (value, len) = (*m.slot::<ArrayFillNew, 1>(), *m.slot::<ArrayFillNew, 2>() as u32);
        builtins::array_fill(m.ctx, m.field::<ArrayFillNew, u32, 3>(), array, 0, [value, 0], len)?;
    };
    /// The same of vectors.
    ArrayFillNewVector "array.fill_new.vector": [RefSlot, Field::Vector, Slot, Type], |m| {
        let (array, len) = (*m.ref_slot::<ArrayFillNewVector, 0>(), *m.slot::<ArrayFillNewVector, 2>() as u32);
        let value = m.slot::<ArrayFillNewVector, 1>().cast::<[u64; 2]>().read();
        builtins::array_fill(m.ctx, m.field::<ArrayFillNewVector, u32, 3>(), array, 0, value, len)?;
    };
    /// The same of references.
    ArrayFillNewRef "array.fill_new.ref": [RefSlot, RefSlot, Slot, Type], |m| {
        let (array, len) = (*m.ref_slot::<ArrayFillNewRef, 0>(), *m.slot::<ArrayFillNewRef, 2>() as u32);
        let value = [u64::from(*m.ref_slot::<ArrayFillNewRef, 1>()), 0];
        builtins::array_fill(m.ctx, m.field::<ArrayFillNewRef, u32, 3>(), array, 0, value, len)?;
    };
}
