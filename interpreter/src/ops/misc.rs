//! Copies, constants, globals, fuel, counts.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use wasmrun_runtime::counts::Counter;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{GlobalSlot, VmContext};

use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op, Stop, code};
use crate::mode::{Dest, Source, Value};

/// Copies a slot, leaving the accumulators alone: destination, source.
pub(crate) struct CopySlot;

impl Op for CopySlot {
    const NAME: &'static [&'static str] = &["copy"];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            *m.slot::<Self, 0>() = *m.slot::<Self, 1>();
            m.next::<D, Self>()
        }
    }
}

/// Two copies, one after the other: destination, source, destination, source.
pub(crate) struct CopyTwoSlots;

impl Op for CopyTwoSlots {
    const NAME: &'static [&'static str] = &["copy2"];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Slot, Field::Dest, Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            *m.slot::<Self, 0>() = *m.slot::<Self, 1>();
            *m.slot::<Self, 2>() = *m.slot::<Self, 3>();
            m.next::<D, Self>()
        }
    }
}

/// Copies the accumulator of a class to a slot.
pub(crate) struct CopyAcc<T>(PhantomData<T>);

impl<T: Value> Op for CopyAcc<T> {
    const NAME: &'static [&'static str] = &["copy"];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Acc];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            *m.slot::<Self, 0>() = T::from_acc(&m).to_bits();
            m.next::<D, Self>()
        }
    }
}

/// Sets a slot to a zero-extended 32-bit constant: destination, constant.
pub(crate) struct Const32;

impl Op for Const32 {
    const NAME: &'static [&'static str] = &["const32"];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Bits32];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            *m.slot::<Self, 0>() = m.field::<Self, u32, 1>().into();
            m.next::<D, Self>()
        }
    }
}

/// Sets a slot to a 64-bit constant: destination, constant.
pub(crate) struct Const64;

impl Op for Const64 {
    const NAME: &'static [&'static str] = &["const64"];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Bits64];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            *m.slot::<Self, 0>() = m.field::<Self, u64, 1>();
            m.next::<D, Self>()
        }
    }
}

/// `global.get` of a global of the instance itself (`OWN`) or behind a pointer: destination, context offset.
pub(crate) struct GlobalGet<Z, const OWN: bool>(PhantomData<Z>);

/// The global at this offset in the context.
///
/// # Safety
/// The context has such a global there.
#[inline(always)]
pub(super) unsafe fn global<const OWN: bool>(m: &Machine, offset: u32) -> *mut GlobalSlot {
    // SAFETY: the caller's promise.
    unsafe {
        if OWN {
            VmContext::at::<GlobalSlot>(m.ctx, offset)
        } else {
            *VmContext::at::<*mut GlobalSlot>(m.ctx, offset)
        }
    }
}

pub(super) const fn far(own: bool) -> &'static str {
    if own { "" } else { ".far" }
}

impl<Z: Dest<u64>, const OWN: bool> Op for GlobalGet<Z, OWN> {
    const NAME: &'static [&'static str] = &["global.get", far(OWN)];
    const FIELDS: &'static [Field] = &[Z::FIELD, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let value = GlobalSlot::low(global::<OWN>(&m, m.field::<Self, u32, 1>()));
            Z::put::<Self, 0>(&mut m, value);
            m.next::<D, Self>()
        }
    }
}

/// `global.set`: value, context offset.
pub(crate) struct GlobalSet<X, const OWN: bool>(PhantomData<X>);

impl<X: Source<u64>, const OWN: bool> Op for GlobalSet<X, OWN> {
    const NAME: &'static [&'static str] = &["global.set", far(OWN)];
    const FIELDS: &'static [Field] = &[X::FIELD, Field::Context];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            GlobalSlot::set_low(global::<OWN>(&m, m.field::<Self, u32, 1>()), X::get::<Self, 0>(&m));
            m.next::<D, Self>()
        }
    }
}

/// Pays for a segment: cost. Stops when the fuel does not reach.
pub(crate) struct Charge;

impl Op for Charge {
    const NAME: &'static [&'static str] = &["charge"];
    const FIELDS: &'static [Field] = &[Field::Fuel];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has this field, and the context is alive.
        unsafe {
            let exec = m.exec();
            let left = (*exec).fuel - i64::from(m.field::<Self, u32, 0>());
            if left < 0 {
                return D::cold::<Stop<{ code(Trap::OutOfFuel) }>>(m);
            }
            (*exec).fuel = left;
            m.next::<D, Self>()
        }
    }
}

/// Counts a segment: the address of its counter.
pub(crate) struct Count;

impl Op for Count {
    const NAME: &'static [&'static str] = &["count"];
    const FIELDS: &'static [Field] = &[Field::Counter];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has this field; counters live as long as the code of their module. The code of one store
        // alone counts there, so that nothing is lost between the two.
        unsafe {
            let counter = &*m.field::<Self, *const Counter, 0>();
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            m.next::<D, Self>()
        }
    }
}
