//! Addressing modes of instructions, and the values that operands hold.
//!
//! An instruction is compiled for each useful combination of modes: [`Slot`] is a slot of the frame,
//! [`Acc`] the accumulator of the value's class, [`Imm`] a constant in the instruction, [`Pair`] the two slots of a
//! vector. Each mode says which [`Field`] of the instruction it is.

use crate::field::Field;
use crate::machine::{Machine, Op};

/// A value of a class that has an accumulator.
pub(crate) trait Value: Copy {
    /// What an immediate is in an instruction.
    const IMM: Field;

    /// From the representation of a slot.
    fn from_bits(bits: u64) -> Self;

    /// To the representation of a slot: 32-bit values are zero-extended, so that a slot is always written
    /// whole and a later 64-bit copy is never held up by a narrower store.
    fn to_bits(self) -> u64;

    /// Reads the accumulator.
    fn from_acc(m: &Machine) -> Self;

    /// Writes the accumulator.
    fn to_acc(self, m: &mut Machine);

    /// Reads field `I` of the instruction, an `O`, as an immediate.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    unsafe fn immediate<O: Op, const I: usize>(m: &Machine) -> Self;
}

macro_rules! int_value {
    ($($ty:ty, $bits:ty, $imm:ty, $field:expr);*) => { $(
        impl Value for $ty {
            const IMM: Field = $field;

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
            unsafe fn immediate<O: Op, const I: usize>(m: &Machine) -> Self {
                // SAFETY: the caller's promise. 64-bit immediates are sign-extended 32-bit ones.
                unsafe { m.field::<O, i32, I>() as $imm as $ty }
            }
        }
    )* };
}

int_value! {
    i32, u32, i32, Field::I32; u32, u32, i32, Field::I32; i64, u64, i64, Field::I64; u64, u64, i64, Field::I64
}

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
    const IMM: Field = Field::F32;

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
    unsafe fn immediate<O: Op, const I: usize>(m: &Machine) -> Self {
        // SAFETY: the caller's promise.
        unsafe { m.field::<O, Self, I>() }
    }
}

impl Value for f64 {
    const IMM: Field = Field::F64;

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
    unsafe fn immediate<O: Op, const I: usize>(m: &Machine) -> Self {
        // SAFETY: the caller's promise.
        unsafe { m.field::<O, Self, I>() }
    }
}

/// Where a source operand of type `T` comes from.
pub(crate) trait Source<T> {
    /// What it is in an instruction.
    const FIELD: Field;

    /// Reads it from field `I` of the instruction, an `O`.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    unsafe fn get<O: Op, const I: usize>(m: &Machine) -> T;
}

/// Where a result of type `T` goes.
pub(crate) trait Dest<T> {
    /// What it is in an instruction.
    const FIELD: Field;

    /// Writes what field `I` of the instruction, an `O`, names; the accumulator in any case, if `T` has one.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    unsafe fn put<O: Op, const I: usize>(m: &mut Machine, value: T);
}

/// A slot of the frame.
pub(crate) struct Slot;

/// The accumulator.
pub(crate) struct Acc;

/// A constant.
pub(crate) struct Imm;

/// Two slots of the frame, one behind the other: a vector.
pub(crate) struct Pair;

/// All lanes of a vector, the lane with number 0 first. Vectors have no accumulator.
///
/// # Safety
/// Any 16 bytes are such lanes, at any address that is good for a slot.
pub(crate) unsafe trait Lanes: Copy {}

macro_rules! lanes {
    ($($lanes:ty)*) => { $(
        // SAFETY: numbers without padding, none larger than a slot; 16 bytes of them.
        unsafe impl Lanes for $lanes {}
        const _: () = assert!(size_of::<$lanes>() == 16 && align_of::<$lanes>() <= align_of::<u64>());
    )* };
}

lanes! { [i8; 16] [u8; 16] [i16; 8] [u16; 8] [i32; 4] [u32; 4] [i64; 2] [u64; 2] [f32; 4] [f64; 2] }

// Two slots are the bytes of a vector, the first slot the low half of it, and lanes are read from them as they are.
const _: () = assert!(cfg!(target_endian = "little"), "vectors in slots have their bytes in the other order");

impl<T: Value> Source<T> for Slot {
    const FIELD: Field = Field::Slot;

    #[inline(always)]
    unsafe fn get<O: Op, const I: usize>(m: &Machine) -> T {
        const { assert!(matches!(O::FIELDS[I], Field::Slot)) }
        // SAFETY: the caller's promise.
        T::from_bits(unsafe { *m.slot::<O, I>() })
    }
}

impl<T: Value> Source<T> for Acc {
    const FIELD: Field = Field::Acc;

    #[inline(always)]
    unsafe fn get<O: Op, const I: usize>(m: &Machine) -> T {
        const { assert!(matches!(O::FIELDS[I], Field::Acc)) }
        T::from_acc(m)
    }
}

impl<T: Value> Source<T> for Imm {
    const FIELD: Field = T::IMM;

    #[inline(always)]
    unsafe fn get<O: Op, const I: usize>(m: &Machine) -> T {
        // SAFETY: the caller's promise.
        unsafe { T::immediate::<O, I>(m) }
    }
}

impl<T: Value> Dest<T> for Slot {
    const FIELD: Field = Field::Dest;

    #[inline(always)]
    unsafe fn put<O: Op, const I: usize>(m: &mut Machine, value: T) {
        const { assert!(matches!(O::FIELDS[I], Field::Dest)) }
        // SAFETY: the caller's promise.
        unsafe { *m.slot::<O, I>() = value.to_bits() };
        value.to_acc(m);
    }
}

impl<T: Value> Dest<T> for Acc {
    const FIELD: Field = Field::SparedDest;

    #[inline(always)]
    unsafe fn put<O: Op, const I: usize>(m: &mut Machine, value: T) {
        const { assert!(matches!(O::FIELDS[I], Field::SparedDest)) }
        value.to_acc(m);
    }
}

impl<T: Lanes> Source<T> for Pair {
    const FIELD: Field = Field::Vector;

    #[inline(always)]
    unsafe fn get<O: Op, const I: usize>(m: &Machine) -> T {
        const { assert!(matches!(O::FIELDS[I], Field::Vector)) }
        // SAFETY: the caller's promise, and that of `Lanes`.
        unsafe { m.slot::<O, I>().cast::<T>().read() }
    }
}

impl<T: Lanes> Dest<T> for Pair {
    const FIELD: Field = Field::VectorDest;

    #[inline(always)]
    unsafe fn put<O: Op, const I: usize>(m: &mut Machine, value: T) {
        const { assert!(matches!(O::FIELDS[I], Field::VectorDest)) }
        // SAFETY: the caller's promise, and that of `Lanes`.
        unsafe { m.slot::<O, I>().cast::<T>().write(value) };
    }
}

impl Pair {
    /// One lane, a `T`, of the vector that field `I` of the instruction, an `O`, names; its number is field `L`.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`, and a vector such a lane.
    #[inline(always)]
    pub(crate) unsafe fn lane<O: Op, T: Copy, const I: usize, const L: usize>(m: &Machine) -> T {
        const { assert!(matches!((O::FIELDS[I], O::FIELDS[L]), (Field::Vector, Field::Lane))) }
        // SAFETY: the caller's promise.
        unsafe { m.slot::<O, I>().cast::<T>().add(m.field::<O, u16, L>().into()).read() }
    }
}
