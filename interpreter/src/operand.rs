//! Kinds of operands, and the values that they hold.
//!
//! An instruction is compiled for each useful combination of kinds: [`Slot`] is a slot of the frame,
//! [`Acc`] the accumulator of the value's class, [`Imm`] a constant in the instruction. What an operand
//! costs in bytes is its `WIDTH`.

use crate::machine::Machine;

/// A value of a class that has an accumulator.
pub(crate) trait Value: Copy {
    /// Bytes of an immediate.
    const IMM: usize;

    /// From the representation of a slot.
    fn from_bits(bits: u64) -> Self;

    /// To the representation of a slot: 32-bit values are zero-extended, so that a slot is always written
    /// whole and a later 64-bit copy is never held up by a narrower store.
    fn to_bits(self) -> u64;

    /// Reads the accumulator.
    fn from_acc(m: &Machine) -> Self;

    /// Writes the accumulator.
    fn to_acc(self, m: &mut Machine);

    /// Reads an immediate.
    ///
    /// # Safety
    /// The instruction has one at byte offset `at`.
    unsafe fn immediate(m: &Machine, at: usize) -> Self;
}

macro_rules! int_value {
    ($($ty:ty, $bits:ty, $imm:ty);*) => { $(
        impl Value for $ty {
            const IMM: usize = 4;

            #[inline(always)]
            fn from_bits(bits: u64) -> Self {
                bits as $bits as $ty
            }

            #[inline(always)]
            fn to_bits(self) -> u64 {
                u64::from(self as $bits)
            }

            #[inline(always)]
            fn from_acc(m: &Machine) -> Self {
                m.acc as $bits as $ty
            }

            #[inline(always)]
            fn to_acc(self, m: &mut Machine) {
                m.acc = u64::from(self as $bits);
            }

            #[inline(always)]
            unsafe fn immediate(m: &Machine, at: usize) -> Self {
                // SAFETY: the caller's promise. 64-bit immediates are sign-extended 32-bit ones.
                unsafe { m.operand::<i32>(at) as $imm as $ty }
            }
        }
    )* };
}

int_value! { i32, u32, i32; u32, u32, i32; i64, u64, i64; u64, u64, i64 }

/// Number of an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Integers and references.
    Int,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
}

impl Value for f32 {
    const IMM: usize = 4;

    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        f32::from_bits(bits as u32)
    }

    #[inline(always)]
    fn to_bits(self) -> u64 {
        f32::to_bits(self).into()
    }

    #[inline(always)]
    fn from_acc(m: &Machine) -> Self {
        m.acc32
    }

    #[inline(always)]
    fn to_acc(self, m: &mut Machine) {
        m.acc32 = self;
    }

    #[inline(always)]
    unsafe fn immediate(m: &Machine, at: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { m.operand(at) }
    }
}

impl Value for f64 {
    const IMM: usize = 8;

    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }

    #[inline(always)]
    fn to_bits(self) -> u64 {
        f64::to_bits(self)
    }

    #[inline(always)]
    fn from_acc(m: &Machine) -> Self {
        m.acc64
    }

    #[inline(always)]
    fn to_acc(self, m: &mut Machine) {
        m.acc64 = self;
    }

    #[inline(always)]
    unsafe fn immediate(m: &Machine, at: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { m.operand(at) }
    }
}

/// Where a source operand of type `T` comes from.
pub(crate) trait Source<T> {
    /// Bytes in the instruction.
    const WIDTH: usize;

    /// Reads it.
    ///
    /// # Safety
    /// The instruction has an operand of this kind at byte offset `at`.
    unsafe fn get(m: &Machine, at: usize) -> T;
}

/// Where a result goes. Two bytes in every instruction, so that a destination can be changed in place.
pub(crate) trait Dest {
    /// Writes it; the accumulator in any case.
    ///
    /// # Safety
    /// The instruction has an operand of this kind at byte offset `at`.
    unsafe fn put<T: Value>(m: &mut Machine, at: usize, value: T);
}

/// Bytes of a constant shift: as wide as any immediate of 32 bits, so that it can be taken over from one.
pub(crate) const SHIFT: usize = 4;

/// Bytes of a destination.
pub(crate) const DEST: usize = 2;

/// A slot of the frame.
pub(crate) struct Slot;

/// The accumulator.
pub(crate) struct Acc;

/// A constant.
pub(crate) struct Imm;

impl<T: Value> Source<T> for Slot {
    const WIDTH: usize = 2;

    #[inline(always)]
    unsafe fn get(m: &Machine, at: usize) -> T {
        // SAFETY: the caller's promise.
        T::from_bits(unsafe { *m.slot(at) })
    }
}

impl<T: Value> Source<T> for Acc {
    const WIDTH: usize = 0;

    #[inline(always)]
    unsafe fn get(m: &Machine, _: usize) -> T {
        T::from_acc(m)
    }
}

impl<T: Value> Source<T> for Imm {
    const WIDTH: usize = T::IMM;

    #[inline(always)]
    unsafe fn get(m: &Machine, at: usize) -> T {
        // SAFETY: the caller's promise.
        unsafe { T::immediate(m, at) }
    }
}

impl Dest for Slot {
    #[inline(always)]
    unsafe fn put<T: Value>(m: &mut Machine, at: usize, value: T) {
        // SAFETY: the caller's promise.
        unsafe { *m.slot(at) = value.to_bits() };
        value.to_acc(m);
    }
}

impl Dest for Acc {
    #[inline(always)]
    unsafe fn put<T: Value>(m: &mut Machine, _: usize, value: T) {
        value.to_acc(m);
    }
}
