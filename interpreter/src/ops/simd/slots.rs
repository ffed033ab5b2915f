//! Vectors as they are: copied, constant, selected, in globals, and returned.

use std::marker::PhantomData;

use wasmrun_runtime::vm::GlobalSlot;

use super::U64x2;
use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};
use crate::mode::{Dest, Pair, Source};
use crate::ops::call::return_to;
use crate::ops::misc::{far, global};

/// Copies a vector: destination, source.
pub(crate) struct CopyVector;

impl Op for CopyVector {
    const NAME: &'static [&'static str] = &["copy"];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Vector];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields. The two may overlap: all is read before anything is written.
        unsafe {
            let value: U64x2 = Pair::get::<Self, 1>(&m);
            Pair::put::<Self, 0>(&mut m, value);
            m.next::<D, Self>()
        }
    }
}

/// `v128.const`: destination, low half, high half.
pub(crate) struct ConstVector;

impl Op for ConstVector {
    const NAME: &'static [&'static str] = &["v128.const"];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Bits64, Field::Bits64];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let value: U64x2 = [m.field::<Self, u64, 1>(), m.field::<Self, u64, 2>()];
            Pair::put::<Self, 0>(&mut m, value);
            m.next::<D, Self>()
        }
    }
}

/// `select`: destination, first vector, second vector, condition.
pub(crate) struct SelectVector<C>(PhantomData<C>);

impl<C: Source<u32>> Op for SelectVector<C> {
    const NAME: &'static [&'static str] = &["select"];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Vector, Field::Vector, C::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a: U64x2 = Pair::get::<Self, 1>(&m);
            let b: U64x2 = Pair::get::<Self, 2>(&m);
            let condition = C::get::<Self, 3>(&m);
            Pair::put::<Self, 0>(&mut m, if condition != 0 { a } else { b });
            m.next::<D, Self>()
        }
    }
}

/// `global.get` of a global of the instance itself (`OWN`) or behind a pointer: destination, context offset.
pub(crate) struct GlobalGetVector<const OWN: bool>;

impl<const OWN: bool> Op for GlobalGetVector<OWN> {
    const NAME: &'static [&'static str] = &["global.get.v128", far(OWN)];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let value = GlobalSlot::words(global::<OWN>(&m, m.field::<Self, u32, 1>()));
            Pair::put::<Self, 0>(&mut m, value);
            m.next::<D, Self>()
        }
    }
}

/// `global.set`: vector, context offset.
pub(crate) struct GlobalSetVector<const OWN: bool>;

impl<const OWN: bool> Op for GlobalSetVector<OWN> {
    const NAME: &'static [&'static str] = &["global.set.v128", far(OWN)];
    const FIELDS: &'static [Field] = &[Field::Vector, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields, and the global holds vectors.
        unsafe {
            let value: U64x2 = Pair::get::<Self, 0>(&m);
            GlobalSlot::set_words(global::<OWN>(&m, m.field::<Self, u32, 1>()), value);
            m.next::<D, Self>()
        }
    }
}

/// Returns one vector: link slot, vector.
pub(crate) struct RetVector;

impl Op for RetVector {
    const NAME: &'static [&'static str] = &["return"];
    const FIELDS: &'static [Field] = &[Field::Slot, Field::Vector];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the link slot holds the return address and is behind slots 0 and 1, which hold the result.
        unsafe {
            let value: U64x2 = Pair::get::<Self, 1>(&m);
            let address = *m.slot::<Self, 0>() as *const u8;
            m.sp.cast::<U64x2>().write(value);
            return_to(&mut m, address);
            D::go(m)
        }
    }
}
