//! Copies, constants, globals, fuel.

use std::marker::PhantomData;

use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{GlobalSlot, VmContext};

use crate::machine::{Dispatch, HEAD, Machine, Op, Stop, code};
use crate::operand::{DEST, Dest, Source, Value};

/// Copies a slot, leaving the accumulators alone: destination, source.
pub(crate) struct Copy;

impl Op for Copy {
    const SIZE: usize = HEAD + DEST + 2;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            *m.slot(HEAD) = *m.slot(HEAD + DEST);
            m.next::<D>(Self::SIZE)
        }
    }
}

/// Two copies, one after the other: destination, source, destination, source.
pub(crate) struct Copy2;

impl Op for Copy2 {
    const SIZE: usize = HEAD + 8;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            *m.slot(HEAD) = *m.slot(HEAD + 2);
            *m.slot(HEAD + 4) = *m.slot(HEAD + 6);
            m.next::<D>(Self::SIZE)
        }
    }
}

/// Copies the accumulator of a class to a slot.
pub(crate) struct CopyAcc<T>(PhantomData<T>);

impl<T: Value> Op for CopyAcc<T> {
    const SIZE: usize = HEAD + DEST;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            *m.slot(HEAD) = T::from_acc(&m).to_bits();
            m.next::<D>(Self::SIZE)
        }
    }
}

/// Sets a slot to a zero-extended 32-bit constant: destination, constant.
pub(crate) struct Const32;

impl Op for Const32 {
    const SIZE: usize = HEAD + DEST + 4;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            *m.slot(HEAD) = m.operand::<u32>(HEAD + DEST).into();
            m.next::<D>(Self::SIZE)
        }
    }
}

/// Sets a slot to a 64-bit constant: destination, constant.
pub(crate) struct Const64;

impl Op for Const64 {
    const SIZE: usize = HEAD + DEST + 8;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            *m.slot(HEAD) = m.operand(HEAD + DEST);
            m.next::<D>(Self::SIZE)
        }
    }
}

/// `global.get` of a global of the instance itself (`OWN`) or behind a pointer: destination, context offset.
pub(crate) struct GlobalGet<Z, const OWN: bool>(PhantomData<Z>);

/// The global whose context offset is at byte offset `at`.
///
/// # Safety
/// The instruction has such an operand.
#[inline(always)]
unsafe fn global<const OWN: bool>(m: &Machine, at: usize) -> *mut GlobalSlot {
    // SAFETY: the caller's promise.
    unsafe {
        let offset = m.operand::<u32>(at);
        if OWN {
            VmContext::at::<GlobalSlot>(m.ctx, offset)
        } else {
            *VmContext::at::<*mut GlobalSlot>(m.ctx, offset)
        }
    }
}

impl<Z: Dest, const OWN: bool> Op for GlobalGet<Z, OWN> {
    const SIZE: usize = HEAD + DEST + 4;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            let value = GlobalSlot::low(global::<OWN>(&m, HEAD + DEST));
            Z::put(&mut m, HEAD, value);
            m.next::<D>(Self::SIZE)
        }
    }
}

/// `global.set`: value, context offset.
pub(crate) struct GlobalSet<X, const OWN: bool>(PhantomData<X>);

impl<X: Source<u64>, const OWN: bool> Op for GlobalSet<X, OWN> {
    const SIZE: usize = HEAD + X::WIDTH + 4;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            GlobalSlot::set_low(global::<OWN>(&m, HEAD + X::WIDTH), X::get(&m, HEAD));
            m.next::<D>(Self::SIZE)
        }
    }
}

/// Pays for a segment: cost. Stops when the fuel does not reach.
pub(crate) struct Charge;

impl Op for Charge {
    const SIZE: usize = HEAD + 4;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has this operand, and the context is alive.
        unsafe {
            let exec = m.exec();
            let left = (*exec).fuel - i64::from(m.operand::<u32>(HEAD));
            if left < 0 {
                return D::cold::<Stop<{ code(Trap::OutOfFuel) }>>(m);
            }
            (*exec).fuel = left;
            m.next::<D>(Self::SIZE)
        }
    }
}
