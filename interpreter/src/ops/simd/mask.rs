//! What is asked of all lanes together, and the choice by bits.

use super::{I32x4, I64x2, U8x16, U16x8, U32x4, U64x2, operators, ternaries, unaries};

unaries! { operators $ Question question_rows;
    V128AnyTrue "v128.any_true": U64x2 => u32, |a| ((a[0] | a[1]) != 0).into();
    I8x16AllTrue "i8x16.all_true": U8x16 => u32, |a| all(a, |a| a != 0);
    I8x16Bitmask "i8x16.bitmask": U64x2 => u32, |a| tops_of_8(a[0]) | tops_of_8(a[1]) << 8;
    I16x8AllTrue "i16x8.all_true": U16x8 => u32, |a| all(a, |a| a != 0);
    I16x8Bitmask "i16x8.bitmask": U64x2 => u32, |a| tops_of_16(a[0]) | tops_of_16(a[1]) << 4;
    I32x4AllTrue "i32x4.all_true": U32x4 => u32, |a| all(a, |a| a != 0);
    I32x4Bitmask "i32x4.bitmask": I32x4 => u32, |a| bitmask(a, |a| a < 0);
    I64x2AllTrue "i64x2.all_true": U64x2 => u32, |a| all(a, |a| a != 0);
    I64x2Bitmask "i64x2.bitmask": I64x2 => u32, |a| bitmask(a, |a| a < 0);
}

ternaries! { $ Selection selection_rows;
    V128Bitselect "v128.bitselect": U64x2 => U64x2, |a, b, mask| bitselect(a, b, mask);
}

operators! { Selection: V128Bitselect }

/// Whether it is so of each lane: all are asked, without a branch for each.
#[inline(always)]
fn all<T: Copy, const N: usize>(a: [T; N], is: impl Fn(T) -> bool) -> u32 {
    a.iter().fold(true, |all, a| all & is(*a)).into()
}

/// One bit for each lane, that of lane 0 lowest.
#[inline(always)]
fn bitmask<T: Copy, const N: usize>(a: [T; N], is: impl Fn(T) -> bool) -> u32 {
    a.iter().rev().fold(0, |mask, a| mask << 1 | u32::from(is(*a)))
}

/// The top bits of eight bytes, that of the lowest byte lowest: the multiplication moves each to its place in the highest byte,
/// and no two of its terms meet elsewhere.
#[inline(always)]
fn tops_of_8(lanes: u64) -> u32 {
    let tops = (lanes >> 7) & 0x0101_0101_0101_0101;
    (tops.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// The same of four lanes of 16 bits.
#[inline(always)]
fn tops_of_16(lanes: u64) -> u32 {
    let tops = (lanes >> 15) & 0x0001_0001_0001_0001;
    (tops.wrapping_mul(0x1000_2000_4000_8000) >> 60) as u32
}

/// The bits of `a` where those of `mask` are set, and of `b` where they are not.
#[inline(always)]
fn bitselect(a: U64x2, b: U64x2, mask: U64x2) -> U64x2 {
    let select = |i: usize| (a[i] & mask[i]) | (b[i] & !mask[i]);
    [select(0), select(1)]
}
